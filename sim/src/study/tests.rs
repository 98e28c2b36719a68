use super::*;

const HEAD: &str = "title = 'T'\nquestion = 'Q'\nseeds = '3..5'\n";

fn cells(text: &str) -> Result<Vec<String>, String> {
    let study = Study::parse(&format!("{HEAD}{text}"))?;
    let line = |cell: &Vec<Value>| cell.iter().map(Value::to_string).collect::<Vec<_>>().join(" ");
    Ok(study.cells.iter().map(line).collect())
}

#[test]
fn every_combination_is_tried() {
    let grid = cells("[sweep]\nservers = [2, 3]\nnetwork.request_loss = { from = 0, to = 20, step = 10 }").unwrap();
    assert_eq!(grid, ["0 2", "0 3", "10 2", "10 3", "20 2", "20 3"]);
    let spans = cells("[sweep]\n'partition.lasts' = { from = '0s', to = '1min', step = '30s' }").unwrap();
    assert_eq!(spans, ["\"0s\"", "\"30s\"", "\"60s\""]);
    let together = cells("[sweep]\nusers = [4, 5]\n[together]\nservers = [2, 3]\nsteps = [20, 30]").unwrap();
    assert_eq!(together, ["4 2 20", "4 3 30", "5 2 20", "5 3 30"]);
    assert_eq!(cells("").unwrap(), [""], "one world for each seed");
}

#[test]
fn what_is_wrong_is_said() {
    let error = |text: &str| cells(text).unwrap_err();
    assert!(error("[sweep]\nservers = 2").contains("list of values"));
    assert!(error("[sweep]\nservants = [2]").contains("there is no parameter servants; there are "));
    assert!(error("[together]\nservers = [2]\nsteps = [1, 2]").contains("as many"));
    assert!(error("[fixed]\nservers = 'two'").contains("servers is a number"));
    assert!(error("[[plots]]\nname = 'p'\nx = 'servers'\ny = 'events'").contains("servers"));
    assert!(Study::parse("title = 'T'\nquestion = 'Q'\nseeds = '5'").unwrap_err().contains("range"));
}

#[test]
fn runs_are_told_apart() {
    let study = Study::parse(&format!("{HEAD}[sweep]\nservers = [2, 3]")).unwrap();
    let mut identities: Vec<String> = study.runs().into_iter().map(|run| study.identity(run)).collect();
    assert_eq!(identities.len(), 4);
    identities.dedup();
    assert_eq!(identities.len(), 4);
    assert_eq!(identities[0], "Calm servers=2 seed=3");
}

use super::*;

const STUDY: &str = r#"
title = "A title"
question = "A question?"
seeds = "0..5"
[sweep]
servers = [2, 4]
"partition.lasts" = ["10s", "20s", "30s"]
[[plots]]
name = "p"
x = "partition.lasts"
y = "convergence_from_faults"
by = "servers"
"#;

fn table() -> Table {
    let columns = ["partition.lasts", "servers", "convergence_from_faults"].map(str::to_owned).to_vec();
    let mut rows = Vec::new();
    for (servers, lasts) in [2, 4].into_iter().flat_map(|servers| [10, 20, 30].map(|lasts| (servers, lasts))) {
        for at in 0..5 {
            let value = if at == 4 && lasts == 30 { Cell::Empty } else { Cell::Number(servers * 1_000_000 * at) };
            rows.push(vec![Cell::Number(lasts * 1_000_000), Cell::Number(servers), value]);
        }
    }
    Table { columns, rows }
}

#[test]
fn a_table_becomes_a_figure() {
    let study = Study::parse(STUDY).unwrap();
    let figure = study.plots[0].figure(&study, &table());
    assert_eq!((figure.series.len(), figure.series[1].label.as_str()), (2, "4"));
    assert_eq!(figure.series[1].points[0], Point { x: 10.0, y: 8.0, low: 4.0, high: 12.0 });
    assert!(figure.x_label.ends_with("(s)") && figure.y_label.ends_with("(s)"), "{figure:?}");
    assert!(figure.note.contains("5 worlds") && figure.note.contains("2 worlds have no such value"), "{}", figure.note);
}

#[test]
fn a_figure_becomes_pictures() {
    let study = Study::parse(STUDY).unwrap();
    let figure = study.plots[0].figure(&study, &table());
    let text = svg(&figure);
    for part in ["<svg", "A title", "A question?", "(s)", "</svg>"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(png(&figure).starts_with(b"\x89PNG"));
}

#[test]
fn quantiles_lie_between_values() {
    let values = [1.0, 2.0, 3.0, 10.0];
    assert_eq!([0.0, 0.5, 1.0].map(|at| quantile(&values, at)), [1.0, 2.5, 10.0]);
    assert_eq!(quantile(&[7.0], 0.9), 7.0);
}

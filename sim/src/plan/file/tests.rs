use super::*;
use crate::clock::{Span, Time};
use crate::options::Overrides;
use crate::plan::Fault;
use crate::runner::run;
use crate::world::Extras;

const MANY: Overrides = Overrides { servers: Some((2, 5)), byzantine: Some((0, 2)), ..NONE };
const NONE: Overrides = Overrides {
    servers: None,
    byzantine: None,
    crashes: None,
    older_stores: None,
    clients: None,
    steps: None,
    room_version: None,
    lie: None,
};

#[test]
fn a_plan_is_read_as_it_was_written() {
    for overrides in [NONE, MANY] {
        for seed in 0..60 {
            let plan = Plan::draw(seed, overrides);
            assert_eq!(Plan::from_toml(&plan.to_toml()), Ok(plan), "seed {seed}");
        }
    }
}

#[test]
fn a_plan_that_was_read_runs_as_the_one_that_was_written() {
    for (seed, overrides) in [(1, NONE), (2, NONE), (3, MANY)] {
        let plan = Plan::draw(seed, overrides);
        let read = Plan::from_toml(&plan.to_toml()).unwrap();
        assert_eq!(run(&plan, Extras::default()), run(&read, Extras::default()), "seed {seed}");
    }
}

#[test]
fn an_operation_is_a_line() {
    let plan = Plan::draw(3, MANY);
    let text = plan.to_toml();
    assert_eq!(text.lines().filter(|line| line.contains("do = ")).count(), plan.ops.len());
    let op = plan.ops[0];
    let line = format!(
        "  {{ number = {}, at = \"{}\", device = {}, lane = {}, do = \"{:?}\", picks = [{}, {}, {}] }},",
        op.number,
        op.at - Time(0),
        op.device,
        op.lane,
        op.kind,
        op.picks[0],
        op.picks[1],
        op.picks[2]
    );
    assert!(text.lines().any(|found| found == line), "{line}");
}

#[test]
fn what_a_file_leaves_out_is_calm() {
    let text = "version = 1\n[world]\nseed = 7\n[plan]\n\
        ops = [{ number = 0, at = \"1s\", device = 0, lane = 0, do = \"CreateRoom\", picks = [0, 0, 0] }]\n\
        faults = [{ at = \"2s\", server = 0, fault = { Crash = { effects = 0, down = \"1.5s\" } } }]\n";
    let plan = Plan::from_toml(text).unwrap();
    assert_eq!(plan.options, Options { seed: 7, ..Options::default() });
    assert_eq!(plan.faults[0].fault, Fault::Crash { effects: 0, down: Span::millis(1_500) });
    let outcome = run(&plan, Extras::default());
    assert_eq!((outcome.failure, outcome.counts.work.acknowledged), (None, 1));
}

#[test]
fn errors_name_the_line() {
    let check = |text: &str, line: Option<usize>, what: &str| {
        let error = Plan::from_toml(text).unwrap_err();
        assert!(error.line == line && error.what.contains(what), "{text}: {error}");
    };
    let world = "version = 1\n[world]\nservers = 2\n";
    check("", Some(1), "version");
    check("version = 2\n[new]\n", None, "version 2");
    check("version = 1\n", Some(1), "world");
    check("version = 1\n[world]\nserver = 2\n", Some(3), "unknown field `server`");
    check("version = 1\n[world]\nservers = = 2\n", Some(3), "");
    check("version = 1\n[world]\nservers = 0\n", None, "no server");
    check(&format!("{world}horizon = \"5 days\"\n"), Some(4), "5 days");
    check(&format!("{world}[world.clients]\nlane = 1\n"), Some(5), "unknown field `lane`");
    let op =
        |op: &str| format!("{world}[plan]\nops = [\n  {{ number = 0, at = \"1s\", {op}, picks = [0, 0, 0] }},\n]\n");
    check(&op("device = 0, lane = 0, do = \"Sing\""), Some(6), "unknown variant `Sing`");
    check(&op("device = 0, do = \"Send\""), Some(6), "missing field `lane`");
    check(&op("device = 0, lane = 0, loudly = true, do = \"Send\""), Some(6), "unknown field `loudly`");
    check(&op("device = 1, lane = 0, do = \"Send\""), Some(6), "no device 1");
    let fault = |fault: &str| format!("{world}[plan]\nfaults = [\n  {{ at = \"1s\", {fault} }},\n]\n");
    check(&fault("server = 2, fault = { Outage = { lasts = \"1s\" } }"), Some(6), "no server 2");
    check(&fault("server = 1, fault = { Outage = { last = \"1s\" } }"), Some(6), "last, available keys: lasts");
    let attacker = format!("{world}[[world.byzantine]]\nserver = 1\nstrategies = []\nlies = 0\nattacks = 0\n[plan]\n");
    let attack = |server: u32, strategy: &str| {
        format!(
            "{attacker}attacks = [\n{{ number = 0, at = \"1s\", server = {server}, victim = 0, strategy = \"{strategy}\" }}]\n"
        )
    };
    check(&attack(0, "Flood"), Some(11), "honest");
    check(&attack(1, "Silence"), Some(11), "a lie");
    assert_eq!(Plan::from_toml(&attack(1, "Flood")).unwrap().attacks.len(), 1);
}

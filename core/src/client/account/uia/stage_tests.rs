use alloc::vec;

use super::*;

const D: Stage = Stage::Dummy;
const P: Stage = Stage::Password;
const T: Stage = Stage::RegistrationToken;

fn plan(flows: &[&[Stage]]) -> Plan {
    Plan { flows: flows.iter().map(|flow| flow.to_vec()).collect(), user: None, binding: Binding::Strict }
}

#[track_caller]
fn check(flows: &[&[Stage]], completed: &[Stage], offered: Stage, expected: Option<Stage>) {
    assert_eq!(next_stage(&plan(flows), completed, offered.name()), expected);
}

#[test]
fn stages_are_taken_in_the_order_of_a_flow() {
    check(&[&[T, D]], &[], T, Some(T));
    check(&[&[T, D]], &[], D, None);
    check(&[&[T, D]], &[T], D, Some(D));
    check(&[&[T, D]], &[T], T, None);
    check(&[&[T, D]], &[T, D], D, None);
    check(&[&[T, D], &[P]], &[], P, Some(P));
    check(&[&[T, D], &[P]], &[T], P, None);
    check(&[&[T, D], &[T, P]], &[T], P, Some(P));
    check(&[], &[], D, None);
    assert_eq!(next_stage(&plan(&[&[D]]), &[], "m.login.magic"), None);
}

#[test]
fn a_flow_is_complete_with_its_last_stage_and_no_other() {
    let plan = plan(&[&[T, D], &[P]]);
    let complete = |completed: &[Stage]| is_complete(&plan, completed);
    assert!(complete(&[T, D]) && complete(&[P]));
    for incomplete in [vec![], vec![T], vec![D], vec![D, T], vec![P, T], vec![T, D, P]] {
        assert!(!complete(&incomplete), "{incomplete:?}");
    }
}

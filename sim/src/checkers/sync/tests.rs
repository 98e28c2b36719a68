use orrery_core::canonical_json::{self, Value};

use super::*;

fn answer(json: &str) -> Object {
    match canonical_json::parse(json.as_bytes()).unwrap() {
        Value::Object(object) => object,
        other => panic!("{other:?}"),
    }
}

fn event(id: &str) -> String {
    format!(r#"{{"event_id":"{id}","sender":"@u:s","type":"m.room.message","origin_server_ts":1,"content":{{}}}}"#)
}

/// An answer with some events in one room.
fn increment(next: u64, limited: bool, events: &[&str]) -> Object {
    let events: Vec<String> = events.iter().map(|id| event(id)).collect();
    answer(&format!(
        r#"{{"next_batch":"s{next}_1_0_0","rooms":{{"join":{{"!r":{{
            "timeline":{{"limited":{limited},"prev_batch":"t{next}","events":[{}]}}}}}}}}}}"#,
        events.join(",")
    ))
}

fn view(increments: &[Object]) -> View {
    let mut view = View::default();
    for increment in increments {
        check_answer(&view, increment, 10).unwrap();
        view.apply(increment);
    }
    view
}

fn check_refused(view: &View, next: &Object, complaint: &str) {
    let failure = check_answer(view, next, 10).expect_err(complaint);
    assert!(failure.evidence.contains(complaint), "{failure}");
}

#[test]
fn a_repeat_is_caught() {
    let view = view(&[increment(1, false, &["a", "b"]), increment(2, true, &["d"])]);
    check_refused(&view, &increment(3, false, &["b"]), "came twice");
    check_refused(&view, &increment(3, false, &["e", "e"]), "came twice");
    assert_eq!(check_answer(&view, &increment(3, false, &["e"]), 10), Ok(()));
}

#[test]
fn what_puts_somebody_out_without_a_place_may_come_again() {
    let ban = event("ban");
    let out = |prev_batch: &str| {
        answer(&format!(
            r#"{{"next_batch":"s2_1_0_0","rooms":{{"leave":{{"!r":{{"timeline":{{"limited":false,{prev_batch}"events":[{ban}]}}}}}}}}}}"#
        ))
    };
    let again = increment(4, false, &["ban"]);
    let came_back = |out: Object| view(&[increment(1, false, &["a"]), out, increment(3, false, &["b"])]);
    assert_eq!(check_answer(&came_back(out("")), &again, 10), Ok(()));
    check_refused(&came_back(out(r#""prev_batch":"t2","#)), &again, "came twice");
}

#[test]
fn a_token_that_goes_backwards_is_caught() {
    let view = view(&[increment(5, false, &["a"])]);
    check_refused(&view, &increment(4, false, &[]), "is before since");
    check_refused(&view, &answer(r#"{"next_batch":"what"}"#), "is no token");
    check_refused(&view, &answer("{}"), "without next_batch");
}

#[test]
fn a_malformed_answer_is_caught() {
    let bare = answer(
        r#"{"next_batch":"s1_1_0_0","rooms":{"join":{"!r":{"timeline":{"prev_batch":"t1","events":[{"event_id":"a"}]}}}}}"#,
    );
    check_refused(&View::default(), &bare, "has no sender");
    assert!(check_answer(&View::default(), &increment(1, false, &["a", "b", "c"]), 2).is_err());
}

#[test]
fn a_gap_is_caught() {
    let full: Vec<String> = "abcdef".chars().map(String::from).collect();
    let check = |increments: &[Object], complaint: Option<&str>| {
        let view = view(increments);
        match (check_no_gap("u", "!r", &view.rooms["!r"], &full), complaint) {
            (Ok(()), None) => {}
            (Err(failure), Some(complaint)) => assert!(failure.evidence.contains(complaint), "{failure}"),
            (result, _) => panic!("{result:?}"),
        }
    };
    check(&[increment(1, false, &["a", "b", "c"]), increment(2, false, &["d", "e", "f"])], None);
    check(&[increment(1, true, &["b"]), increment(2, true, &["e", "f"])], None);
    check(&[increment(1, false, &["a", "b"]), increment(2, false, &["d", "e", "f"])], Some("not shown [\"c\"]"));
    check(&[increment(1, false, &["a", "b", "c", "d", "e"])], Some("last"));
    // What a cut without events leaves out, the device asks for.
    check(&[increment(1, false, &["a", "b", "c", "d", "e"]), increment(2, true, &[])], None);
    check(&[increment(1, false, &["b", "a"])], Some("other way round"));
    check(&[increment(1, false, &["a", "x"])], Some("/messages does not have"));
}

#[test]
fn a_view_that_differs_from_a_fresh_start_is_caught() {
    let with_state = |topic: &str| {
        answer(&format!(
            r#"{{"next_batch":"s1_1_0_0","rooms":{{"join":{{"!r":{{"state":{{"events":[
                {{"type":"m.room.topic","state_key":"","event_id":"{topic}"}}]}}}}}}}}}}"#
        ))
    };
    let (mine, same, other) = (view(&[with_state("a")]), view(&[with_state("a")]), view(&[with_state("b")]));
    assert_eq!(check_fresh("u", (&mine, &same), false, false), Ok(()));
    assert!(check_fresh("u", (&mine, &other), false, false).unwrap_err().evidence.contains("m.room.topic"));
    assert!(check_fresh("u", (&mine, &View::default()), false, false).unwrap_err().evidence.contains("joined rooms"));
}

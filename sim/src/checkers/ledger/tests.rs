use orrery_core::canonical_json::{self, Value};

use super::*;

fn event(json: &str) -> Object {
    match canonical_json::parse(json.as_bytes()).unwrap() {
        Value::Object(object) => object,
        other => panic!("{other:?}"),
    }
}

fn sent(event_id: Option<&str>) -> Sent {
    Sent {
        room: "!r".to_owned(),
        sender: 0,
        device: 0,
        generation: 1,
        txn_id: "op7".to_owned(),
        event_id: event_id.map(str::to_owned),
        acknowledged: None,
        torn: false,
    }
}

fn check(ledger: &Ledger, json: &str, complaint: Option<&str>) {
    match (ledger.check_event(&event(json), Time(10)), complaint) {
        (Ok(()), None) => {}
        (Err(failure), Some(complaint)) => assert!(failure.evidence.contains(complaint), "{failure}"),
        (result, _) => panic!("{json}: {result:?}"),
    }
}

#[test]
fn an_operation_makes_one_event() {
    let mut ledger = Ledger::default();
    ledger.send(7, sent(Some("$a")));
    check(&ledger, r#"{"event_id":"$a","content":{"org.orrery.op":7}}"#, None);
    check(&ledger, r#"{"event_id":"$b","content":{"org.orrery.op":7}}"#, Some("applied twice"));
    check(&ledger, r#"{"event_id":"$c","content":{"org.orrery.op":8}}"#, None);

    let twice = vec![event(r#"{"event_id":"$a","content":{"org.orrery.op":7}}"#); 2];
    assert!(ledger.check_once(twice.iter()).is_err());
    assert!(ledger.check_once(twice[..1].iter()).is_ok());

    assert!(ledger.sent(7, "$a", Time(1)).is_ok());
    assert!(ledger.sent(7, "$b", Time(1)).is_err(), "two answers to one transaction ID");
}

#[test]
fn redactions_show_if_and_only_if_they_were_asked_for() {
    let plain = r#"{"event_id":"$a","content":{"org.orrery.op":7}}"#;
    let redacted = r#"{"event_id":"$a","content":{},"unsigned":{"redacted_because":{}}}"#;
    let mut ledger = Ledger::default();
    ledger.send(7, sent(Some("$a")));
    check(&ledger, plain, None);
    check(&ledger, redacted, Some("nobody asked"));
    ledger.redact("$a");
    check(&ledger, plain, None);
    check(&ledger, redacted, None);
    ledger.redacted("$a", Time(10));
    check(&ledger, plain, Some("does not show"));
    check(&ledger, redacted, None);
    assert!(ledger.check_event(&event(plain), Time(9)).is_ok(), "a read that began before");
}

#[test]
fn a_lost_write_is_caught() {
    let mut ledger = Ledger::default();
    let register = Register::DisplayName { user: 0 };
    let id = ledger.begin(&register, Some("Al"), Time(1));
    ledger.acknowledge(&register, id, Time(2), false);
    assert!(ledger.check(&register, Some("Al"), Time(5), Time(6)).is_ok());
    assert!(ledger.check(&register, None, Time(5), Time(6)).is_err());
}

#[test]
fn a_marker_that_goes_back_or_astray_is_caught() {
    let order: Vec<String> = ["$a", "$b", "$c"].map(str::to_owned).to_vec();
    let mut ledger = Ledger::default();
    let register = Register::Marker { user: 0, room: "!r".to_owned(), kind: "m.read" };
    for (event, acknowledged) in [("$b", true), ("$a", true), ("$c", false)] {
        let id = ledger.begin(&register, Some(event), Time(1));
        if acknowledged {
            ledger.acknowledge(&register, id, Time(2), false);
        }
    }
    let check = |event: Option<&str>| ledger.check_marker(&register, event, &order);
    assert!(check(Some("$b")).is_ok());
    assert!(check(Some("$c")).is_ok(), "asked for, though nobody knows whether it was done");
    assert!(check(Some("$a")).is_err());
    assert!(check(None).is_err());
    assert!(check(Some("$d")).is_err());
}

#[test]
fn a_room_has_the_tags_of_those_that_it_replaces() {
    let tag = |room: &str| Register::Tag { user: 0, room: room.to_owned(), tag: "u.a".to_owned() };
    let mut ledger = Ledger::default();
    let id = ledger.begin(&tag("!first"), Some("1"), Time(1));
    ledger.acknowledge(&tag("!first"), id, Time(2), false);
    let id = ledger.begin(&tag("!third"), None, Time(3));
    ledger.acknowledge(&tag("!third"), id, Time(4), false);
    let check = |ledger: &Ledger, value| ledger.check(&tag("!third"), Some(value), Time(5), Time(6));
    assert!(check(&ledger, "1").is_err());
    ledger.replaces("!third", "!second");
    ledger.replaces("!second", "!first");
    assert!(check(&ledger, "1").is_ok());
    assert!(check(&ledger, "2").is_err(), "nobody put it there");
    ledger.replaces("!first", "!third");
    assert!(check(&ledger, "2").is_err(), "a tombstone may say anything");
}

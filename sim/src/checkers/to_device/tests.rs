use super::*;
use crate::failure::assert_complaint;

fn address(device: &str) -> Address {
    ("@u:s".to_owned(), device.to_owned())
}

fn event(op: u32) -> Object {
    let content = Object::new().with(OP, op);
    Object::new().with("type", "t").with("sender", "@v:s").with("content", content)
}

/// A world in which `@v:s` has sent messages one after the other, each to these devices.
fn messages(sent: &[&str]) -> Messages {
    let mut messages = Messages::default();
    for device in ["A", "B"] {
        messages.session_begins(address(device), Time(0));
    }
    for (op, device) in (0u32..).zip(sent) {
        let began = Time(u64::from(op) * 10 + 1);
        let message = Message {
            sender: "@v:s".to_owned(),
            kind: "t".to_owned(),
            recipients: vec![address(device)],
            began,
            honest: true,
            acknowledged: None,
            torn: false,
        };
        messages.send(op, message);
        messages.acknowledge(op, Time(began.0 + 5));
    }
    messages
}

fn check(sent: &[&str], arrivals: &[(&str, u32)], complaint: Option<&str>) {
    let mut messages = messages(sent);
    let mut result = Ok(());
    for (device, op) in arrivals {
        result = result.and_then(|()| messages.arrives(&address(device), &event(*op)));
    }
    let result = result.and_then(|()| messages.check(|_| true));
    assert_complaint(result, complaint);
}

#[test]
fn each_message_comes_once_to_each_device_it_is_for() {
    check(&["A", "B", EVERY_DEVICE], &[("A", 0), ("A", 2), ("B", 1), ("B", 2)], None);
    check(&["A"], &[], Some("never got"));
    check(&[EVERY_DEVICE], &[("A", 0)], Some("never got"));
    check(&["A"], &[("A", 0), ("A", 0)], Some("twice"));
    check(&["A"], &[("A", 0), ("B", 0)], Some("was for"));
    check(&["A", "A"], &[("A", 1), ("A", 0)], Some("before that of 0"));
}

#[test]
fn a_device_that_came_later_or_is_gone_is_owed_nothing() {
    let mut messages = messages(&["A"]);
    messages.session_begins(address("A"), Time(9));
    assert_eq!(messages.check(|_| true), Ok(()));
    messages.session_begins(address("A"), Time(0));
    messages.session_ends(&address("A"));
    assert_eq!(messages.check(|_| true), Ok(()));
}

#[test]
fn what_was_acknowledged_does_not_come_again() {
    let mut messages = messages(&["A"]);
    assert_eq!(messages.arrives_afresh(&address("A"), &event(0)), Ok(()));
    messages.arrives(&address("A"), &event(0)).unwrap();
    assert!(messages.arrives_afresh(&address("A"), &event(0)).is_err());
}

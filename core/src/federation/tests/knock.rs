use super::*;

fn knocking() -> Value {
    json!({
        "name": "Tea",
        "initial_state": [{ "type": "m.room.join_rules", "content": { "join_rule": "knock" } }]
    })
}

fn knock_path(room: &str, via: &str) -> String {
    alloc::format!("/_matrix/client/v3/knock/{}?via={via}", percent_encode(room))
}

#[test]
fn a_knock_is_shown_on_both_sides_and_answered() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, knocking());
    net.ok("b.test", Method::Post, &knock_path(&room, "a.test"), &bob, json!({ "reason": "tea?" }));
    assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "knock");
    let shown = in_sync(&mut net, "b.test", &bob, "knock", &room).expect("the knock is shown").to_string();
    assert!(shown.contains("\"Tea\"") && shown.contains("m.room.create") && shown.contains("tea?"), "{shown}");
    let invite = json!({ "user_id": (bob.user_id.as_str()) });
    net.ok("a.test", Method::Post, &room_path(&room, "/invite"), &alice, invite);
    assert!(in_sync(&mut net, "b.test", &bob, "knock", &room).is_none());
    assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_some());
    net.ok("b.test", Method::Post, &room_path(&room, "/join"), &bob, ());
    assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "join");
}

#[test]
fn a_knock_is_taken_back() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, knocking());
    net.ok("b.test", Method::Post, &knock_path(&room, "a.test"), &bob, ());
    net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, ());
    assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "leave");
    assert!(in_sync(&mut net, "b.test", &bob, "knock", &room).is_none());
}

#[test]
fn knocks_that_cannot_be() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let check = |net: &mut Net, body: Value, status: u16, errcode: &str| {
        let room = create(net, "a.test", &alice, body);
        let (found, answer) = net.call("b.test", Method::Post, &knock_path(&room, "a.test"), &bob, ());
        assert_eq!((found, answer.get("errcode")), (status, Some(&Value::from(errcode))), "{answer}");
        assert!(in_sync(net, "b.test", &bob, "knock", &room).is_none());
    };
    check(&mut net, json!({}), 403, "M_FORBIDDEN");
    check(&mut net, json!({ "room_version": "6" }), 403, "M_FORBIDDEN");
    let (status, answer) = net.call("b.test", Method::Post, &knock_path("!nowhere:a.test", "a.test"), &bob, ());
    assert_eq!((status, answer.get("errcode")), (404, Some(&Value::from("M_NOT_FOUND"))), "{answer}");
}

use super::*;
use crate::signing::{SigningKey, base64, sign_json};

/// A room of alice on `a.test` to which an address was invited, and what the identity server says once it is bob's.
fn invited(net: &mut Net, alice: &User, key: &SigningKey) -> (String, Object) {
    let room = create(net, "a.test", alice, json!({ "name": "Tea" }));
    let public_key = base64::encode_unpadded(&key.public_key());
    let invitation = json!({
        "display_name": "b...@example.org", "public_key": (public_key.as_str()),
        "key_validity_url": "https://id.test/valid", "public_keys": [{ "public_key": (public_key) }]
    });
    net.ok("a.test", Method::Put, &room_path(&room, "/state/m.room.third_party_invite/token"), alice, invitation);
    let mut signed = Object::new().with("mxid", "@bob:b.test").with("token", "token");
    sign_json(&mut signed, "id.test", key).unwrap();
    (room, signed)
}

fn on_bind(room: &str, signed: &Object) -> Value {
    json!({
        "medium": "email", "address": "bob@example.org", "mxid": "@bob:b.test",
        "invites": [{
            "medium": "email", "address": "bob@example.org", "mxid": "@bob:b.test", "room_id": (room),
            "sender": "@alice:a.test", "signed": (signed.clone())
        }]
    })
}

const ON_BIND: &str = "/_matrix/federation/v1/3pid/onbind";

#[test]
fn an_invite_to_an_address_reaches_its_user() {
    let key = SigningKey::from_seed("0", &[9; 32]).unwrap();
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let (room, signed) = invited(&mut net, &alice, &key);
    net.ok("b.test", Method::Put, ON_BIND, (), on_bind(&room, &signed));
    assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "invite");
    let shown = in_sync(&mut net, "b.test", &bob, "invite", &room).expect("the invite is shown").to_string();
    assert!(shown.contains("b...@example.org"), "{shown}");
    net.ok("b.test", Method::Post, &room_path(&room, "/join"), &bob, ());
    assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "join");
}

#[test]
fn the_invited_server_may_be_in_the_room() {
    let key = SigningKey::from_seed("0", &[9; 32]).unwrap();
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let (bob, carol) = (net.server("b.test").register("bob"), net.server("b.test").register("carol"));
    let (room, signed) = invited(&mut net, &alice, &key);
    let invite = json!({ "user_id": (carol.user_id.as_str()) });
    net.ok("a.test", Method::Post, &room_path(&room, "/invite"), &alice, invite);
    net.ok("b.test", Method::Post, &room_path(&room, "/join"), &carol, ());
    net.ok("b.test", Method::Put, ON_BIND, (), on_bind(&room, &signed));
    assert_eq!(membership(&mut net, "b.test", &carol, &room, &bob), "invite");
}

#[test]
fn what_no_identity_server_said_is_refused() {
    let key = SigningKey::from_seed("0", &[9; 32]).unwrap();
    let other = SigningKey::from_seed("0", &[8; 32]).unwrap();
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    net.server("b.test").register("bob");
    let (room, good) = invited(&mut net, &alice, &key);
    let exchange = |net: &mut Net, change: &dyn Fn(&mut Object), status: u16, errcode: &str| {
        let Value::Object(mut event) = json!({
            "type": "m.room.member", "room_id": (room.as_str()), "sender": "@alice:a.test", "state_key": "@bob:b.test",
            "content": { "membership": "invite", "third_party_invite": { "signed": (good.clone()) } }
        }) else {
            unreachable!()
        };
        change(&mut event);
        let target = alloc::format!("/_matrix/federation/v1/exchange_third_party_invite/{}", percent_encode(&room));
        let (found, answer) = ask(net, "b.test", "a.test", Outgoing::put(target, Value::Object(event.clone())));
        assert_eq!((found, answer.get("errcode")), (status, Some(&Value::from(errcode))), "{event:?} {answer}");
    };
    let signed = |signed: Object| json!({ "membership": "invite", "third_party_invite": { "signed": (signed) } });
    let said = |mxid: &str, token: &str, key: &SigningKey| {
        let mut said = Object::new().with("mxid", mxid).with("token", token);
        sign_json(&mut said, "id.test", key).unwrap();
        signed(said)
    };
    let bad = "M_INVALID_PARAM";
    exchange(&mut net, &|event| drop(event.insert("type", "m.room.name")), 400, bad);
    exchange(&mut net, &|event| drop(event.insert("room_id", "!other:a.test")), 400, bad);
    exchange(&mut net, &|event| drop(event.insert("state_key", "@bob:c.test")), 403, "M_FORBIDDEN");
    exchange(&mut net, &|event| drop(event.insert("state_key", "@carol:b.test")), 400, bad);
    exchange(&mut net, &|event| drop(event.insert("sender", "@bob:b.test")), 403, "M_FORBIDDEN");
    exchange(&mut net, &|event| drop(event.insert("sender", "@eve:a.test")), 403, "M_FORBIDDEN");
    exchange(&mut net, &|event| drop(event.insert("content", json!({ "membership": "join" }))), 400, bad);
    exchange(
        &mut net,
        &|event| drop(event.insert("content", json!({ "membership": "invite" }))),
        400,
        "M_MISSING_PARAM",
    );
    exchange(&mut net, &|event| drop(event.insert("content", signed(Object::new()))), 400, bad);
    for (token, key) in [("token", &other), ("another", &key)] {
        exchange(&mut net, &|event| drop(event.insert("content", said("@bob:b.test", token, key))), 403, "M_FORBIDDEN");
    }
    let no_user = json!({ "medium": "email", "address": "x", "mxid": "@nobody:b.test", "invites": [] });
    let (status, answer) = net.call("b.test", Method::Put, ON_BIND, (), no_user);
    assert_eq!((status, answer.get("errcode")), (404, Some(&Value::from("M_NOT_FOUND"))));
    let (status, answer) =
        net.call("b.test", Method::Put, ON_BIND, (), json!({ "mxid": "@bob:b.test", "invites": [1] }));
    assert_eq!((status, answer.get("errcode")), (400, Some(&Value::from("M_BAD_JSON"))));
}

use alloc::format;

use crate::http::Method::{Delete, Get, Post, Put};
use crate::limits::MAX_DEVICES;
use crate::testing::{PASSWORD, Server, json};

const DEVICES: &str = "/_matrix/client/v3/devices";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[test]
fn devices_are_listed_and_named() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let bob = server.register("bob");
    let path = format!("{DEVICES}/{}", alice.device_id);
    let expected = json!({ "device_id": (alice.device_id.as_str()), "display_name": null, "last_seen_ip": "127.0.0.1",
        "last_seen_ts": (server.now.0) });
    assert_eq!(server.ok(Get, &path, &alice, ()), expected);
    assert_eq!(server.ok(Get, DEVICES, &alice, ()), json!({ "devices": [expected] }));

    server.ok(Put, &path, &alice, json!({ "display_name": "phone" }));
    server.ok(Put, &path, &alice, json!({}));
    assert_eq!(server.ok(Get, &path, &alice, ()).get("display_name"), Some(&json!("phone")));

    for who in [&alice, &bob] {
        let path = if who.user_id == alice.user_id { format!("{DEVICES}/unknown") } else { path.clone() };
        server.fails(Get, &path, who, (), 404, "M_NOT_FOUND");
        server.fails(Put, &path, who, json!({ "display_name": "x" }), 404, "M_NOT_FOUND");
    }
    server.fails(Put, &path, &alice, json!({ "display_name": 1 }), 400, "M_BAD_JSON");
    server.fails(Put, &path, &alice, json!({ "display_name": ("x".repeat(257)) }), 400, "M_TOO_LARGE");
    server.fails(Put, &path, &alice, "no", 400, "M_NOT_JSON");
}

#[test]
fn devices_are_seen_now_and_then() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let path = format!("{DEVICES}/{}", alice.device_id);
    let seen = |server: &mut Server| {
        server.ok(Get, WHOAMI, &alice, ());
        let device = server.ok(Get, &path, &alice, ());
        (device.get("last_seen_ts").unwrap().as_integer().unwrap() as u64, device.get("last_seen_ip").unwrap().clone())
    };
    let start = server.now.0;
    server.advance(599_999);
    assert_eq!(seen(&mut server), (start, json!("127.0.0.1")));
    // A restart has forgotten what was written, and looks.
    let mut server = server.crash();
    assert_eq!(seen(&mut server), (start, json!("127.0.0.1")));
    server.advance(600_000);
    assert_eq!(seen(&mut server), (start + 1_199_999, json!("127.0.0.1")));
    server.remote = Some([192, 0, 2, 1].into());
    server.advance(1);
    assert_eq!(seen(&mut server), (start + 1_200_000, json!("192.0.2.1")));
}

#[test]
fn devices_are_deleted_by_password() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let (second, third) = (server.login("alice"), server.login("alice"));
    let auth = json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "alice" },
        "password": PASSWORD });
    let many = "/_matrix/client/v3/delete_devices";
    server.fails(Post, many, &alice, json!({ "auth": (auth.clone()) }), 400, "M_MISSING_PARAM");
    server.fails(Post, many, &alice, json!({ "devices": "x" }), 400, "M_BAD_JSON");
    server.fails(Post, many, &alice, json!({ "devices": [1] }), 400, "M_BAD_JSON");
    assert_eq!(server.call(Delete, &format!("{DEVICES}/{}", second.device_id), &alice, ()).0, 401);
    server.ok(Get, WHOAMI, &second, ());

    let body = json!({ "devices": [(second.device_id.as_str()), "unknown"], "auth": (auth.clone()) });
    server.ok(Post, many, &alice, body);
    server.fails(Get, WHOAMI, &second, (), 401, "M_UNKNOWN_TOKEN");
    server.ok(Delete, &format!("{DEVICES}/{}", third.device_id), &alice, json!({ "auth": auth }));
    server.fails(Get, WHOAMI, &third, (), 401, "M_UNKNOWN_TOKEN");
    server.ok(Get, WHOAMI, &alice, ());
}

#[test]
fn the_device_not_seen_for_longest_makes_room() {
    let mut server = Server::new();
    let first = server.register("alice");
    server.advance(1);
    let second = server.login("alice");
    server.advance(1);
    for _ in 2..MAX_DEVICES {
        server.login("alice");
    }
    server.ok(Get, WHOAMI, &first, ());
    server.login("alice");
    server.fails(Get, WHOAMI, &first, (), 401, "M_UNKNOWN_TOKEN");
    server.ok(Get, WHOAMI, &second, ());
}

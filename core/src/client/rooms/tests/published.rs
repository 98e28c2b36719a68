use super::*;

#[test]
fn aliases_lead_to_rooms() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = create(&mut server, &alice, json!({ "preset": "public_chat", "room_alias_name": "tea" }));
    let path = |alias: &str| format!("/_matrix/client/v3/directory/room/{}", segment(alias));
    let found = server.ok(Method::Get, &path("#tea:example.org"), (), ());
    assert_eq!(found, json!({ "room_id": (room.as_str()), "servers": ["example.org"] }));
    assert_eq!(state(&mut server, &alice, &room, "m.room.canonical_alias", ""), json!({ "alias": "#tea:example.org" }));
    let target = json!({ "room_id": (room.as_str()) });
    server.fails(Method::Put, &path("#bobs:example.org"), &bob, target.clone(), 403, "M_FORBIDDEN");
    server.ok(Method::Post, "/_matrix/client/v3/join/%23tea%3Aexample.org", &bob, json!({}));
    server.ok(Method::Put, &path("#bobs:example.org"), &bob, target.clone());
    server.fails(Method::Put, &path("#bobs:example.org"), &alice, target.clone(), 409, "M_UNKNOWN");
    server.fails(Method::Put, &path("#x:elsewhere.org"), &alice, target, 400, "M_INVALID_PARAM");
    let aliases = server.ok(Method::Get, &room_path(&room, "aliases"), &bob, ());
    assert_eq!(aliases, json!({ "aliases": ["#bobs:example.org", "#tea:example.org"] }));
    server.fails(Method::Delete, &path("#tea:example.org"), &bob, (), 403, "M_FORBIDDEN");
    server.ok(Method::Delete, &path("#tea:example.org"), &alice, ());
    server.fails(Method::Get, &path("#tea:example.org"), (), (), 404, "M_NOT_FOUND");
    assert_eq!(state(&mut server, &alice, &room, "m.room.canonical_alias", ""), json!({}));
    // The canonical alias must lead here.
    let path = room_path(&room, "state/m.room.canonical_alias/");
    server.fails(Method::Put, &path, &alice, json!({ "alias": "#tea:example.org" }), 400, "M_BAD_ALIAS");
    server.fails(Method::Put, &path, &alice, json!({ "alias": "tea" }), 400, "M_INVALID_PARAM");
    server.ok(Method::Put, &path, &alice, json!({ "alias": "#bobs:example.org" }));
}

#[test]
fn the_list_of_public_rooms() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let listed = "/_matrix/client/v3/publicRooms";
    let mut rooms = alloc::vec::Vec::new();
    for name in ["Tea", "Coffee", "Cocoa"] {
        rooms.push(create(&mut server, &alice, json!({ "visibility": "public", "name": name, "topic": "Hot drinks" })));
    }
    let space = json!({ "type": "m.space" });
    create(&mut server, &alice, json!({ "visibility": "public", "name": "Drinks", "creation_content": space }));
    act(&mut server, &bob, &rooms[1], "join", json!({}));
    let names = |answer: &Value| -> alloc::vec::Vec<String> {
        let chunk = answer.get("chunk").and_then(Value::as_array).expect("chunk");
        chunk.iter().filter_map(|room| room.get("name")?.as_str().map(ToString::to_string)).collect()
    };
    let answer = server.ok(Method::Get, listed, (), ());
    assert_eq!(names(&answer), ["Coffee", "Tea", "Cocoa", "Drinks"], "the largest first");
    assert_eq!(answer.get("total_room_count_estimate"), Some(&json!(4)));

    let first = server.ok(Method::Get, &format!("{listed}?limit=3"), (), ());
    let next = first.get("next_batch").and_then(Value::as_str).expect("there is more");
    let second = server.ok(Method::Get, &format!("{listed}?limit=3&since={next}"), (), ());
    assert_eq!(names(&second), ["Drinks"]);
    let back = second.get("prev_batch").and_then(Value::as_str).expect("there is something before");
    assert_eq!(names(&server.ok(Method::Get, &format!("{listed}?limit=3&since={back}"), (), ())), names(&first));

    for (filter, expected) in [
        (json!({ "generic_search_term": "cO" }), &["Coffee", "Cocoa"][..]),
        (json!({ "generic_search_term": "hot" }), &["Coffee", "Tea", "Cocoa"]),
        (json!({ "room_types": ["m.space"] }), &["Drinks"]),
        (json!({ "room_types": [null] }), &["Coffee", "Tea", "Cocoa"]),
    ] {
        let answer = server.ok(Method::Post, listed, &bob, json!({ "filter": filter }));
        assert_eq!(names(&answer), expected);
    }
    let visibility = format!("/_matrix/client/v3/directory/list/room/{}", segment(&rooms[0]));
    assert_eq!(server.ok(Method::Get, &visibility, (), ()), json!({ "visibility": "public" }));
    server.fails(Method::Put, &visibility, &bob, json!({ "visibility": "private" }), 403, "M_FORBIDDEN");
    server.ok(Method::Put, &visibility, &alice, json!({ "visibility": "private" }));
    assert_eq!(names(&server.ok(Method::Get, listed, (), ())), ["Coffee", "Cocoa", "Drinks"]);
    server.fails(Method::Get, &format!("{listed}?since=x"), (), (), 400, "M_INVALID_PARAM");
    server.fails(Method::Post, listed, &bob, json!({ "limit": (-1) }), 400, "M_INVALID_PARAM");
}

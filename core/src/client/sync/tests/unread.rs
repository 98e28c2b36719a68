//! Counts of what is unread, as `/sync` tells them. Each time a client that goes on is told what one that begins anew is.

use super::*;
use crate::limits::UNREAD_STRETCH;

/// Two users in a room, of which the second reads.
struct World {
    server: Server,
    alice: User,
    bob: User,
    room: String,
    /// Bob's client, with threads together, and the last counts that it was told.
    client: Client,
    told: (i64, i64),
}

impl World {
    fn new() -> World {
        let mut server = Server::new();
        let (alice, bob) = (server.register("alice"), server.register("bob"));
        let room = public_room(&mut server, &alice);
        send(&mut server, &alice, &room, "before anybody joined");
        join(&mut server, &bob, &room);
        let mut client = Client::new(&bob);
        let told = counts(&client.sync(&mut server), &room).expect("a room is told with its counts");
        World { server, alice, bob, room, client, told }
    }

    fn send(&mut self, content: Value) -> String {
        let (alice, room) = (self.alice.clone(), self.room.clone());
        send_content(&mut self.server, &alice, &room, content)
    }

    fn say(&mut self, body: &str) -> String {
        self.send(json!({ "msgtype": "m.text", "body": body }))
    }

    fn mention(&mut self) -> String {
        let bob = self.bob.user_id.clone();
        self.send(json!({ "msgtype": "m.text", "body": "bob", "m.mentions": { "user_ids": [(&bob)] } }))
    }

    /// What a message in a thread has beside its body.
    fn say_in(&mut self, root: &str) -> String {
        self.send(json!({ "msgtype": "m.text", "body": "in a thread", "m.relates_to": (thread(root)) }))
    }

    /// Sends a receipt of Bob's.
    fn read(&mut self, kind: &str, event: &str, body: Value) {
        let target = alloc::format!("/_matrix/client/v3/rooms/{}/receipt/{kind}/{}", encode(&self.room), encode(event));
        self.server.ok(Method::Post, &target, &self.bob, body);
    }

    /// Notifications and highlights, as a client that goes on and one that begins anew are told.
    #[track_caller]
    fn check(&mut self, expected: (i64, i64)) {
        let answer = self.client.sync(&mut self.server);
        self.told = counts(&answer, &self.room).unwrap_or(self.told);
        assert_eq!(self.told, expected, "a client that goes on");
        let anew = Client::new(&self.bob).sync(&mut self.server);
        assert_eq!(counts(&anew, &self.room), Some(expected), "a client that begins anew");
    }

    /// The main timeline's counts, and those of threads by their roots.
    #[track_caller]
    fn check_threads(&mut self, main: (i64, i64), threads: &[(&str, (i64, i64))]) {
        let filter = json!({ "room": { "timeline": { "unread_thread_notifications": true } } });
        let anew = Client::new(&self.bob).with_filter(&filter).sync(&mut self.server);
        assert_eq!(counts(&anew, &self.room), Some(main));
        let told = at(&anew, &["rooms", "join", &self.room, "unread_thread_notifications"]).as_object();
        let told: Vec<(&str, (i64, i64))> =
            told.into_iter().flat_map(|threads| threads.iter()).map(|(root, of)| (root, pair(of))).collect();
        let mut expected = threads.to_vec();
        expected.sort_unstable();
        assert_eq!(told, expected);
        let all = threads.iter().fold(main, |all, (_, thread)| (all.0 + thread.0, all.1 + thread.1));
        self.check(all);
    }
}

fn thread(root: &str) -> Value {
    json!({ "rel_type": "m.thread", "event_id": root })
}

fn pair(of: &Value) -> (i64, i64) {
    let count = |name: &str| of.get(name).and_then(Value::as_integer).unwrap();
    (count("notification_count"), count("highlight_count"))
}

fn counts(answer: &Value, room: &str) -> Option<(i64, i64)> {
    let of = at(answer, &["rooms", "join", room, "unread_notifications"]);
    of.as_object().map(|_| pair(of))
}

fn send_content(server: &mut Server, user: &User, room: &str, content: Value) -> String {
    static TRANSACTION: AtomicU64 = AtomicU64::new(0);
    let transaction = TRANSACTION.fetch_add(1, Ordering::Relaxed);
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/send/m.room.message/u{transaction}", encode(room));
    text(&server.ok(Method::Put, &target, user, content), "event_id").to_string()
}

fn push_rule(world: &mut World, rule: &str, body: Value) {
    let target = alloc::format!("/_matrix/client/v3/pushrules/global/{rule}");
    world.server.ok(Method::Put, &target, &world.bob, body);
}

#[test]
fn what_others_say_counts_until_it_is_read() {
    let mut world = World::new();
    world.check((0, 0));
    let first = world.say("one");
    world.check((1, 0));
    world.mention();
    let third = world.say("three");
    world.check((3, 1));
    world.read("m.read", &first, json!({}));
    world.check((2, 1));
    world.read("m.read.private", &third, json!({}));
    world.check((0, 0));
    let fourth = world.say("four");
    // A receipt that is behind takes nothing back, and a marker is no receipt.
    world.read("m.read", &third, json!({}));
    world.read("m.fully_read", &fourth, json!({}));
    world.check((1, 0));
    // Nobody's own messages count for themselves.
    let alice = Client::new(&world.alice).sync(&mut world.server);
    assert_eq!(counts(&alice, &world.room), Some((0, 0)));
}

#[test]
fn whoever_speaks_has_read() {
    let mut world = World::new();
    world.say("one");
    world.mention();
    let (bob, room) = (world.bob.clone(), world.room.clone());
    // A name is repeated in every room, and says nothing of what was read there.
    let profile = alloc::format!("/_matrix/client/v3/profile/{}/displayname", encode(&bob.user_id));
    world.server.ok(Method::Put, &profile, &bob, json!({ "displayname": "Bobby" }));
    world.check((2, 1));
    send(&mut world.server, &bob, &room, "aye");
    world.check((0, 0));
    world.say("two");
    world.check((1, 0));
}

#[test]
fn threads_are_read_apart() {
    let mut world = World::new();
    let root = world.say("root");
    let first = world.say_in(&root);
    let second = world.say_in(&root);
    let edit = json!({ "rel_type": "m.reference", "event_id": (&second) });
    let about = world.send(json!({ "msgtype": "m.text", "body": "about it", "m.relates_to": edit }));
    let other = world.say("another root");
    let mention = json!({ "user_ids": [(&world.bob.user_id)] });
    world.send(json!({ "msgtype": "m.text", "body": "bob", "m.relates_to": (thread(&other)), "m.mentions": mention }));
    world.check_threads((2, 0), &[(&root, (3, 0)), (&other, (1, 1))]);
    world.read("m.read", &first, json!({ "thread_id": (&root) }));
    world.check_threads((2, 0), &[(&root, (2, 0)), (&other, (1, 1))]);
    world.read("m.read.private", &other, json!({ "thread_id": "main" }));
    world.check_threads((0, 0), &[(&root, (2, 0)), (&other, (1, 1))]);
    world.read("m.read", &about, json!({ "thread_id": (&root) }));
    world.check_threads((0, 0), &[(&other, (1, 1))]);
    // Who speaks in a thread has read that thread.
    let (bob, room) = (world.bob.clone(), world.room.clone());
    world.say("in the main timeline");
    world.say_in(&root);
    let own = json!({ "msgtype": "m.text", "body": "aye", "m.relates_to": (thread(&root)) });
    send_content(&mut world.server, &bob, &room, own);
    world.check_threads((1, 0), &[(&other, (1, 1))]);
    // A receipt without a thread is for all of them.
    let last = world.say_in(&other);
    world.read("m.read", &last, json!({}));
    world.check_threads((0, 0), &[]);
}

#[test]
fn relations_are_followed_three_times() {
    let mut world = World::new();
    let root = world.say("root");
    let mut last = world.say_in(&root);
    for _ in 0..4 {
        let relation = json!({ "rel_type": "m.reference", "event_id": (&last) });
        last = world.send(json!({ "msgtype": "m.text", "body": "further", "m.relates_to": relation }));
    }
    for bad in [json!("x"), json!({ "rel_type": "m.thread" }), json!({ "rel_type": "m.thread", "event_id": "x" })] {
        world.send(json!({ "msgtype": "m.text", "body": "bad", "m.relates_to": bad }));
    }
    let unknown = json!({ "rel_type": "m.reference", "event_id": "$unknown" });
    world.send(json!({ "msgtype": "m.text", "body": "bad", "m.relates_to": unknown }));
    world.check_threads((6, 0), &[(&root, (4, 0))]);
}

#[test]
fn what_is_redacted_or_of_ignored_users_does_not_count() {
    let mut world = World::new();
    world.say("one");
    let second = world.mention();
    world.check((2, 1));
    let redact = alloc::format!("/_matrix/client/v3/rooms/{}/redact/{}/r", encode(&world.room), encode(&second));
    world.server.ok(Method::Put, &redact, &world.alice, json!({}));
    world.check((1, 0));
    let ignored =
        alloc::format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", encode(&world.bob.user_id));
    let ignore = json!({ "ignored_users": { "@alice:example.org": {} } });
    world.server.ok(Method::Put, &ignored, &world.bob, ignore);
    let anew = Client::new(&world.bob).sync(&mut world.server);
    assert_eq!(counts(&anew, &world.room), Some((0, 0)));
    world.server.ok(Method::Put, &ignored, &world.bob, json!({ "ignored_users": {} }));
    world.check((1, 0));
}

#[test]
fn rules_count_as_they_are() {
    let mut world = World::new();
    world.say("tea?");
    world.mention();
    world.check((2, 1));
    push_rule(
        &mut world,
        "content/tea",
        json!({ "pattern": "tea", "actions": ["notify", { "set_tweak": "highlight" }] }),
    );
    world.check((2, 2));
    let room = encode(&world.room);
    push_rule(&mut world, &alloc::format!("room/{room}"), json!({ "actions": [] }));
    // What is more important than the room's rule still notifies.
    world.check((2, 2));
    push_rule(&mut world, "content/tea/enabled", json!({ "enabled": false }));
    world.check((1, 1));
    push_rule(&mut world, "override/.m.rule.master/enabled", json!({ "enabled": true }));
    world.check((0, 0));
    push_rule(&mut world, "override/.m.rule.master/enabled", json!({ "enabled": false }));
    world.check((1, 1));
}

#[test]
fn what_rules_ask_of_the_room_is_what_it_is_now() {
    let mut world = World::new();
    push_rule(&mut world, "underride/.m.rule.message/enabled", json!({ "enabled": false }));
    let name = json!([{ "kind": "contains_display_name" }]);
    let highlight = json!(["notify", { "set_tweak": "highlight" }]);
    push_rule(&mut world, "override/name", json!({ "conditions": name, "actions": highlight }));
    world.say("hello");
    world.say("hello robert");
    world.check((2, 0));
    let (alice, bob, room) = (world.alice.clone(), world.bob.clone(), world.room.clone());
    let profile = alloc::format!("/_matrix/client/v3/profile/{}/displayname", encode(&bob.user_id));
    world.server.ok(Method::Put, &profile, &bob, json!({ "displayname": "Robert" }));
    world.check((2, 1));
    // With a third member it is no longer a room of two.
    let carol = world.server.register("carol");
    join(&mut world.server, &carol, &room);
    world.check((1, 1));
    let everybody = json!({ "msgtype": "m.text", "body": "all", "m.mentions": { "room": true } });
    send_content(&mut world.server, &carol, &room, everybody);
    world.check((1, 1));
    let levels = json!({ "users": { (carol.user_id.as_str()) : 50 } });
    set_state(&mut world.server, &alice, &room, "m.room.power_levels", "", levels);
    world.check((2, 2));
}

#[test]
fn what_came_before_a_join_does_not_count() {
    let mut world = World::new();
    world.say("one");
    let (bob, room) = (world.bob.clone(), world.room.clone());
    leave(&mut world.server, &bob, &room);
    world.say("two");
    join(&mut world.server, &bob, &room);
    world.check((0, 0));
    world.say("three");
    world.check((1, 0));
    let mut crashed = World { server: world.server.crash(), ..world };
    crashed.check((1, 0));
    crashed.say("four");
    crashed.check((2, 0));
}

#[test]
fn whoever_waits_is_told_when_only_the_counts_change() {
    let mut world = World::new();
    let event = world.say("one");
    let filter = json!({ "presence": { "not_types": ["*"] }, "room": {
        "timeline": { "types": ["none"] }, "ephemeral": { "types": ["none"] }, "account_data": { "types": ["none"] } },
        "account_data": { "types": ["none"] } });
    let mut client = Client::synced(&mut world.server, &world.bob);
    client = client.with_filter(&filter);
    client.sync(&mut world.server);
    let poll = client.poll(&mut world.server, 30_000);
    for (kind, expected) in [("m.read", (0, 0)), ("m.read.private", (0, 0))] {
        let poll = if kind == "m.read" { poll } else { client.poll(&mut world.server, 30_000) };
        world.read(kind, &event, json!({}));
        let answer = client.polled(&mut world.server, poll).expect("the counts changed");
        assert_eq!(counts(&answer, &world.room), Some(expected));
    }
    let poll = client.poll(&mut world.server, 30_000);
    world.mention();
    let answer = client.polled(&mut world.server, poll).expect("the counts changed");
    assert_eq!(counts(&answer, &world.room), Some((1, 1)));
    let poll = client.poll(&mut world.server, 30_000);
    push_rule(&mut world, "override/.m.rule.master/enabled", json!({ "enabled": true }));
    let answer = client.polled(&mut world.server, poll).expect("the counts changed");
    assert_eq!(counts(&answer, &world.room), Some((0, 0)));
    // What changes nothing of them is no reason to wake.
    let poll = client.poll(&mut world.server, 30_000);
    let event = world.say("quiet");
    let alice = world.alice.clone();
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/receipt/m.read/{}", encode(&world.room), encode(&event));
    world.server.ok(Method::Post, &target, &alice, json!({}));
    assert!(client.polled(&mut world.server, poll).is_none());
}

#[test]
fn of_very_many_events_the_newest_count() {
    let mut world = World::new();
    let mut sent = 0;
    world.mention();
    for _ in 0..3 * UNREAD_STRETCH {
        world.say("one of many");
        sent += 1;
        if sent % 700 == 0 {
            let answer = world.client.sync(&mut world.server);
            world.told = counts(&answer, &world.room).unwrap();
            assert_eq!(counts(&Client::new(&world.bob).sync(&mut world.server), &world.room), Some(world.told));
        }
    }
    world.client.sync(&mut world.server);
    let (notifications, highlights) = counts(&Client::new(&world.bob).sync(&mut world.server), &world.room).unwrap();
    let (least, most) = (i64::from(UNREAD_STRETCH), i64::from(2 * UNREAD_STRETCH));
    assert!((least..=most).contains(&notifications), "{notifications}");
    assert_eq!(highlights, 0);
    world.told = (notifications, highlights);
    world.check((notifications, highlights));
    world.mention();
    world.check((notifications + 1, 1));
}

/// The bodies of a page of notifications, with whether they are read, and the token of the next page.
fn page(world: &mut World, query: &str) -> (Vec<(String, bool)>, Option<String>) {
    let answer =
        world.server.ok(Method::Get, &alloc::format!("/_matrix/client/v3/notifications{query}"), &world.bob, ());
    let notifications = answer.get("notifications").and_then(Value::as_array).unwrap().iter();
    let briefs =
        notifications.map(|one| (brief(at(one, &["event"])), one.get("read").and_then(Value::as_bool).unwrap()));
    (briefs.collect(), answer.get("next_token").and_then(Value::as_str).map(ToString::to_string))
}

#[test]
fn notifications_are_listed_the_newest_first() {
    let mut world = World::new();
    let (alice, bob) = (world.alice.clone(), world.bob.clone());
    let other = public_room(&mut world.server, &alice);
    join(&mut world.server, &bob, &other);
    let left = public_room(&mut world.server, &alice);
    join(&mut world.server, &bob, &left);
    send(&mut world.server, &alice, &left, "in a room that was left");
    leave(&mut world.server, &bob, &left);
    let first = world.say("one");
    send(&mut world.server, &alice, &other, "two");
    send(&mut world.server, &bob, &other, "own");
    world.mention();
    send(&mut world.server, &alice, &other, "four");
    world.read("m.read", &first, json!({}));
    let of = |body: &str, read: bool| (body.to_string(), read);
    let all = [of("four", false), of("bob", false), of("two", false), of("one", true)];
    assert_eq!(page(&mut world, ""), (all.to_vec(), None));
    assert_eq!(page(&mut world, "?only=highlight"), (alloc::vec![of("bob", false)], None));
    let (mut found, mut token) = (Vec::new(), String::new());
    for _ in 0..4 {
        let (one, next) = page(&mut world, &alloc::format!("?limit=1{token}"));
        assert_eq!(one.len(), 1);
        found.extend(one);
        token = alloc::format!("&from={}", next.unwrap_or_default());
        // What comes meanwhile is on no later page.
        world.say("meanwhile");
    }
    assert_eq!(found, all);
    let get = |query: &str| alloc::format!("/_matrix/client/v3/notifications?{query}");
    for query in ["from=x", "from=-1", "from=", "limit=-1", "limit=x", "only=all"] {
        world.server.fails(Method::Get, &get(query), &bob, (), 400, "M_INVALID_PARAM");
    }
    world.server.fails(Method::Get, &get(""), (), (), 401, "M_MISSING_TOKEN");
    let answer = world.server.ok(Method::Get, &get("limit=1"), &bob, ());
    let one = &answer.get("notifications").and_then(Value::as_array).unwrap()[0];
    assert_eq!(one.get("actions"), Some(&json!(["notify", { "set_tweak": "sound", "value": "default" }])));
    assert_eq!(one.get("room_id").and_then(Value::as_str), Some(world.room.as_str()));
    assert_eq!(one.get("ts"), at(one, &["event"]).get("origin_server_ts"));
}

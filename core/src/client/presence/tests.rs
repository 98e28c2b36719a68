use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::http::Method::{Get, Post, Put};
use crate::store::memory::Memory;
use crate::testing::{Server, User, json};

const START: u64 = 1_700_000_000_000;

fn user(name: &str) -> (UserId, DeviceId) {
    (UserId::parse(&format!("@{name}:example.org")).unwrap(), DeviceId::parse("PHONE").unwrap())
}

/// A machine with a clock.
struct World {
    presence: Presence,
    now: Timestamp,
    store: Memory,
}

impl World {
    fn new() -> World {
        World { presence: Presence::default(), now: Timestamp(START), store: Memory::default() }
    }

    fn sync(&mut self, who: &(UserId, DeviceId), state: PresenceState, millis: u64) {
        let until = Timestamp(self.now.0 + millis);
        self.presence.connected(&self.store, (&who.0, &who.1), self.now, state, until).unwrap();
    }

    fn act(&mut self, who: &(UserId, DeviceId)) {
        self.presence.active(&self.store, (&who.0, &who.1), self.now).unwrap();
    }

    fn advance(&mut self, millis: u64) {
        let end = Timestamp(self.now.0 + millis);
        while let Some(deadline) = self.presence.next_deadline().filter(|deadline| *deadline <= end) {
            self.presence.expire(deadline);
            assert!(self.presence.next_deadline().is_none_or(|next| next > deadline));
        }
        self.now = end;
    }

    #[track_caller]
    fn check(&mut self, who: &(UserId, DeviceId), state: PresenceState, currently_active: bool) {
        let view = self.presence.view(&self.store, &who.0, self.now).unwrap();
        assert_eq!((view.state, view.currently_active), (state, currently_active), "{view:?}");
        let told = self.presence.users.get(&who.0).map(|user| &user.told);
        assert!(told.is_none_or(|told| told.state == state && told.currently_active == currently_active), "{told:?}");
    }
}

#[test]
fn a_user_comes_falls_asleep_wakes_and_goes() {
    use PresenceState::{Offline, Online, Unavailable};
    let (mut world, alice) = (World::new(), user("alice"));
    world.check(&alice, Offline, false);
    world.sync(&alice, Online, 600_000);
    world.check(&alice, Online, true);
    world.advance(59_999);
    world.check(&alice, Online, true);
    world.advance(1);
    world.check(&alice, Online, false);
    world.advance(240_000);
    world.check(&alice, Unavailable, false);
    world.act(&alice);
    world.check(&alice, Online, true);
    world.advance(330_000);
    world.check(&alice, Offline, false);
    assert_eq!(world.presence.next_deadline(), None);
    assert_eq!(world.presence.present().count(), 0);
    let view = world.presence.view(&world.store, &alice.0, world.now).unwrap();
    assert_eq!(view.last_active_ago, Some(330_000));
}

#[test]
fn the_most_present_device_counts() {
    use PresenceState::{Offline, Online, Unavailable};
    let (mut world, phone) = (World::new(), user("alice"));
    let laptop = (phone.0.clone(), DeviceId::parse("LAPTOP").unwrap());
    world.sync(&phone, Unavailable, 10_000);
    world.check(&phone, Unavailable, false);
    world.sync(&laptop, Online, 0);
    world.check(&phone, Online, true);
    world.advance(30_000);
    world.check(&phone, Unavailable, false);
    world.sync(&phone, Offline, 10_000);
    world.check(&phone, Offline, false);
    world.act(&phone);
    world.check(&phone, Offline, false);
}

#[test]
fn changes_have_serials() {
    let (mut world, alice, bob) = (World::new(), user("alice"), user("bob"));
    world.sync(&alice, PresenceState::Online, 100_000);
    world.sync(&bob, PresenceState::Online, 1_000_000);
    let serial = world.presence.serial();
    world.sync(&bob, PresenceState::Online, 1_000_000);
    assert_eq!(world.presence.serial(), serial, "nothing changed that others are told of");
    world.advance(60_000);
    let changed: Vec<&UserId> = world.presence.changed_since(serial).collect();
    assert_eq!(changed, [&alice.0, &bob.0]);
    let serial = world.presence.serial();
    world.presence.profile_changed(&alice.0);
    world.presence.logged_out(&bob.0, None, world.now);
    let changed: Vec<&UserId> = world.presence.changed_since(serial).collect();
    assert_eq!(changed, [&alice.0, &bob.0]);
    world.check(&bob, PresenceState::Offline, false);
}

fn path(user: &User) -> String {
    format!("/_matrix/client/v3/presence/{}/status", user.user_id)
}

#[test]
fn presence_is_set_and_seen_by_those_who_share_a_room() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    assert_eq!(server.ok(Get, &path(&alice), &alice, ()), json!({ "presence": "offline" }));
    server.ok(Put, &path(&alice), &alice, json!({ "presence": "online", "status_msg": "tea" }));
    let online = json!({ "presence": "online", "status_msg": "tea", "currently_active": true, "last_active_ago": 0 });
    assert_eq!(server.ok(Get, &path(&alice), &alice, ()), online);
    server.fails(Get, &path(&alice), &bob, (), 403, "M_FORBIDDEN");

    let room = server.ok(Post, "/_matrix/client/v3/createRoom", &alice, json!({ "preset": "public_chat" }));
    let room = room.get("room_id").unwrap().as_str().unwrap();
    server.ok(Post, &format!("/_matrix/client/v3/rooms/{room}/join"), &bob, json!({}));
    assert_eq!(server.ok(Get, &path(&alice), &bob, ()), online);
    server.advance(30_000);
    let offline = json!({ "presence": "offline", "status_msg": "tea", "last_active_ago": 30_000 });
    assert_eq!(server.ok(Get, &path(&alice), &bob, ()), offline);
    let mut server = server.crash();
    assert_eq!(server.ok(Get, &path(&alice), &bob, ()), offline);

    let mut server = server.restart_with(|config| config.presence = false);
    server.ok(Put, &path(&alice), &alice, json!({ "presence": "online" }));
    assert_eq!(server.ok(Get, &path(&alice), &bob, ()), offline);
}

#[test]
fn bad_requests_are_refused() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    server.fails(Put, &path(&bob), &alice, json!({ "presence": "online" }), 403, "M_FORBIDDEN");
    server.fails(Put, &path(&alice), &alice, json!({}), 400, "M_MISSING_PARAM");
    server.fails(Put, &path(&alice), &alice, json!({ "presence": 1 }), 400, "M_BAD_JSON");
    server.fails(Put, &path(&alice), &alice, json!({ "presence": "asleep" }), 400, "M_INVALID_PARAM");
    let long = json!({ "presence": "online", "status_msg": ("x".repeat(1025)) });
    server.fails(Put, &path(&alice), &alice, long, 400, "M_INVALID_PARAM");
    server.fails(Get, "/_matrix/client/v3/presence/alice/status", &alice, (), 400, "M_INVALID_PARAM");
}

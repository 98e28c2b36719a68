//! What must hold, whatever comes.

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::redaction::redact;
use orrery_core::http::Response;
use orrery_core::identifiers::RoomId;
use orrery_core::room::{EventIndex, Room, StoredEvent};
use orrery_core::signing::{SigningKey, verify_json};
use orrery_core::store::Read;
use orrery_core::store::tables::RoomNum;

use super::peer::{ALICE, LOCAL, PEER};

/// The statuses that the specification has for these endpoints, and those of a client whose request needs another server.
const STATUSES: [u16; 8] = [200, 400, 401, 403, 404, 405, 413, 429];
const STATUSES_FOR_CLIENTS: [u16; 3] = [502, 503, 504];

/// An answer is JSON, with a status that may be, and an error says which.
pub fn answer(request: &str, response: &Response) {
    let status = response.status;
    let is_of_client = request.contains(" /_matrix/client/");
    assert!(
        STATUSES.contains(&status) || is_of_client && STATUSES_FOR_CLIENTS.contains(&status),
        "{status} to {request}: {:?}",
        response.body
    );
    let body = parse(&response.body).unwrap_or_else(|error| panic!("{error} to {request}: {:?}", response.body));
    if status != 200 {
        let has = |name: &str| body.get(name).is_some_and(|value| value.as_str().is_some());
        // Who has yet to authenticate is told how.
        assert!(has("errcode") && has("error") || status == 401 && is_of_client, "{status} to {request}: {body}");
    }
}

/// What is written is in proportion to what came in.
pub fn cost(written: usize, received: usize) {
    assert!(written <= 256 * 1024 + 64 * received, "{written} bytes written for {received} that came");
}

/// What nobody but Alice can change in her room.
#[derive(Clone, Debug)]
pub struct Untouched {
    pub room_id: RoomId,
    create: EventIndex,
}

impl Untouched {
    pub fn read(storage: &dyn Read, room_id: RoomId) -> Untouched {
        let room = Room::find(storage, &room_id).expect("it is readable").expect("it is there");
        let at = |kind: &str, key: &str| {
            let event = room.state_event(storage, room.head.state, kind, key);
            event.expect("it is readable").expect("it is there")
        };
        let membership = at("m.room.member", ALICE);
        assert_eq!(membership.header.sender.as_str(), ALICE, "somebody else says what Alice is");
        let json = parse(&membership.json).expect("it is an event");
        let membership = json.get("content").and_then(|content| content.get("membership"));
        assert_eq!(membership, Some(&Value::from("join")), "Alice is in her room");
        Untouched { room_id, create: at("m.room.create", "").index }
    }

    pub fn check(&self, storage: &dyn Read) {
        assert_eq!(Untouched::read(storage, self.room_id.clone()).create, self.create, "another create event");
    }
}

/// Whoever's name an event bears has signed it, in every room.
pub fn signatures(storage: &dyn Read, first_room: &RoomId, first: EventIndex) {
    let local = SigningKey::from_seed("a", &[1; 32]).expect("it is a key ID");
    let peer = SigningKey::from_seed("b", &[2; 32]).expect("it is a key ID");
    for num in 0.. {
        let Some(room) = Room::get(storage, RoomNum(num)).expect("it is readable") else { break };
        let from = if room.info.room_id == *first_room { first } else { EventIndex(0) };
        for index in from.0..room.head.next_index {
            let Some(event) = StoredEvent::get(storage, room.num, EventIndex(index)).expect("it is readable") else {
                continue;
            };
            let object = parse(&event.json).ok().and_then(|json| json.as_object().cloned()).expect("it is an event");
            // A third party's token stands for the signature of whoever invites.
            if object.object("content").is_some_and(|content| content.contains("third_party_invite")) {
                continue;
            }
            let redacted = redact(&object, room.info.version.rules());
            let is_signed = match event.header.sender.server_str() {
                LOCAL => is_signed(&redacted, LOCAL, &local),
                PEER => is_signed(&redacted, PEER, &peer),
                _ => false,
            };
            assert!(is_signed, "stored in {}: {}", room.info.room_id, Value::from(object));
        }
    }
}

fn is_signed(redacted: &Object, server: &str, key: &SigningKey) -> bool {
    verify_json(redacted, server, key.key_id(), &key.public_key()).is_ok()
}

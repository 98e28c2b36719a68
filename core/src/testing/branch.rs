//! Events as another server would make them: a branch of a room's history, with the state that its server takes for the room's.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

use super::Server;
use crate::auth_rules::select_auth_events;
use crate::canonical_json::{Object, Value};
use crate::event::{NewEvent, Pdu};
use crate::identifiers::{EventId, RoomId, ServerName, UserId};
use crate::room::{Room, StoredEvent};
use crate::room_version::RoomVersion;
use crate::signing::SigningKey;
use crate::time::Timestamp;

/// The signing key of an imagined server.
pub(crate) fn key_of(server: &str) -> SigningKey {
    SigningKey::from_seed("fake", &Sha256::digest(server).into()).unwrap()
}

/// The end of a branch. Cloned, it is a fork.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub version: RoomVersion,
    pub room_id: RoomId,
    pub state: BTreeMap<(String, String), EventId>,
    /// The previous events of the next one.
    pub tip: Vec<EventId>,
    pub depth: i64,
    pub now: u64,
    /// The seeds of the signing keys of servers that are not imagined.
    pub seeds: BTreeMap<String, [u8; 32]>,
}

impl Branch {
    /// Continues a room as `server` has it.
    pub fn of(server: &mut Server, room_id: &str) -> Branch {
        let now = server.now.0;
        server.inspect(|read| {
            let room = Room::find(read, room_id).unwrap().unwrap();
            let state = room.state_events(read, room.head.state, None).unwrap();
            let id =
                |index: &crate::room::EventIndex| StoredEvent::expect(read, room.num, *index).unwrap().header.event_id;
            Branch {
                version: room.info.version,
                room_id: room.info.room_id.clone(),
                state: state
                    .into_iter()
                    .map(|event| ((event.header.kind, event.header.state_key.unwrap()), event.header.event_id))
                    .collect(),
                tip: room.head.extremities.iter().map(id).collect(),
                depth: room.head.depth,
                now,
                seeds: BTreeMap::new(),
            }
        })
    }

    /// The next event of the branch.
    #[track_caller]
    pub fn send(&mut self, sender: &str, kind: &str, state_key: Option<&str>, content: Value) -> Pdu {
        let pdu = self.draft(sender, kind, state_key, content, None);
        self.take(&pdu);
        pdu
    }

    pub fn message(&mut self, sender: &str, body: &str) -> Pdu {
        let content = Object::new().with("body", body).with("msgtype", "m.text");
        self.send(sender, "m.room.message", None, Value::Object(content))
    }

    pub fn member(&mut self, sender: &str, target: &str, membership: &str) -> Pdu {
        let content = Object::new().with("membership", membership);
        self.send(sender, "m.room.member", Some(target), Value::Object(content))
    }

    pub fn redact(&mut self, sender: &str, target: &EventId) -> Pdu {
        let pdu = self.draft(sender, "m.room.redaction", None, Value::Object(Object::new()), Some(target));
        self.take(&pdu);
        pdu
    }

    /// Goes on from `pdu`, which is an event of this branch.
    pub fn take(&mut self, pdu: &Pdu) {
        self.tip = alloc::vec![pdu.event_id.clone()];
        self.depth = pdu.depth;
        if let Some(state_key) = &pdu.state_key {
            self.state.insert((pdu.kind.clone(), state_key.clone()), pdu.event_id.clone());
        }
    }

    /// An event that would come next, of which the branch does not know.
    #[track_caller]
    pub fn draft(
        &mut self,
        sender: &str,
        kind: &str,
        state_key: Option<&str>,
        content: Value,
        redacts: Option<&EventId>,
    ) -> Pdu {
        let Value::Object(mut content) = content else { panic!("a content is an object") };
        let rules = self.version.rules();
        if let Some(redacts) = redacts.filter(|_| rules.redacts_in_content) {
            content.insert("redacts", redacts);
        }
        self.now += 1;
        let sender = UserId::parse(sender).unwrap();
        let auth: Vec<EventId> = select_auth_events(rules, kind, state_key, &sender, &content)
            .into_iter()
            .filter_map(|(kind, state_key)| self.state.get(&(kind.to_string(), state_key.to_string())).cloned())
            .collect();
        let server = ServerName::parse(sender.server_str()).unwrap();
        let event = NewEvent {
            version: self.version,
            room_id: Some(&self.room_id),
            sender: &sender,
            kind,
            state_key,
            content,
            prev_events: &self.tip,
            auth_events: &auth,
            depth: self.depth.saturating_add(1),
            origin_server_ts: Timestamp(self.now),
            redacts,
            reference_hash: &|_| Ok(Some([0; 32])),
        };
        let key = match self.seeds.get(server.as_str()) {
            Some(seed) => SigningKey::from_seed("1", seed).unwrap(),
            None => key_of(server.as_str()),
        };
        event.build(&server, &key).unwrap()
    }
}

//! Making events and requests, rightly signed, whatever is in them.

use std::collections::BTreeMap;
use std::rc::Rc;

use orrery_core::auth_rules::select_auth_events;
use orrery_core::canonical_json::{Object, Value};
use orrery_core::event::{NewEvent, Pdu, redaction};
use orrery_core::federation::x_matrix;
use orrery_core::http::{Method, Request};
use orrery_core::identifiers::{EventId, RoomId, ServerName, UserId};
use orrery_core::room::{Room, StoredEvent};
use orrery_core::room_version::{EventIdFormat, RoomVersion, RoomVersionRules};
use orrery_core::signing::{self, SigningKey, base64};
use orrery_core::store::StorageError;
use orrery_core::time::Timestamp;

use crate::storage::SimStorage;

/// A server's name and the key that it signs with.
#[derive(Clone, Debug)]
pub struct Identity {
    pub name: ServerName,
    pub key: SigningKey,
}

impl Identity {
    /// A signed request to `to`.
    #[must_use]
    pub fn request(&self, to: &ServerName, method: Method, target: &str, content: Option<Value>) -> Request {
        let authorization = x_matrix::authorization(&self.key, (&self.name, to), method, target, content.clone());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            authorization: Some(authorization),
            user_agent: None,
            remote: None,
            body: content.map(|content| content.to_bytes().into()).unwrap_or_default(),
        }
    }

    /// A transaction.
    #[must_use]
    pub fn transaction(
        &self,
        to: &ServerName,
        id: &str,
        (pdus, edus): (Vec<Value>, Vec<Value>),
        now: Timestamp,
    ) -> Request {
        let body = Object::new()
            .with("origin", &self.name)
            .with("origin_server_ts", now)
            .with("pdus", pdus)
            .with("edus", edus);
        self.request(to, Method::Put, &format!("/_matrix/federation/v1/send/{id}"), Some(body.into()))
    }

    /// Gives an event whose members were changed the ID, the hash and the signature that it then has.
    pub fn resign(&self, event: &mut Object, rules: &RoomVersionRules) {
        event.remove("signatures");
        event.remove("hashes");
        if rules.event_ids == EventIdFormat::Stated {
            event.remove("event_id");
            let opaque = base64::encode_url_safe_unpadded(&signing::content_hash(event));
            event.insert("event_id", format!("${opaque}:{}", self.name));
        }
        self.sign(event, rules);
    }

    /// The hash and the signature only.
    pub fn sign(&self, event: &mut Object, rules: &RoomVersionRules) {
        signing::set_content_hash(event);
        event.insert("signatures", Object::new());
        self.add_signature(event, &self.name, rules);
    }

    /// A signature by the identity's key in the name of `server`.
    pub fn add_signature(&self, event: &mut Object, server: &ServerName, rules: &RoomVersionRules) {
        let signature = signing::signature_of(&redaction::redact(event, rules), &self.key);
        signing::add_signature(event, server, self.key.key_id(), &signature)
            .expect("what was made here has an object of signatures");
    }
}

/// The end of a branch of a room, to which events can be added.
#[derive(Clone, Debug)]
pub struct Branch {
    pub version: RoomVersion,
    pub room_id: RoomId,
    pub state: BTreeMap<(String, String), EventId>,
    /// The previous events of the next one.
    pub tip: Vec<EventId>,
    pub depth: i64,
    /// What versions 1 and 2 put beside references.
    hashes: BTreeMap<EventId, [u8; 32]>,
}

impl Branch {
    /// The room as somebody has it now.
    pub fn of(read: &SimStorage, room: &Room) -> Result<Branch, StorageError> {
        let tip = room.head.extremities.iter().map(|index| StoredEvent::expect(read, room.num, *index));
        let tip = tip.collect::<Result<Vec<_>, _>>()?;
        let state = room.state_events(read, room.head.state, None)?;
        Branch::new(room, &tip, state, room.head.depth)
    }

    /// The room as it was after an event.
    pub fn after(read: &SimStorage, room: &Room, event: &StoredEvent) -> Result<Branch, StorageError> {
        let state = room.state_events(read, room.state_after(read, event)?, None)?;
        let depth = event.pdu(room.info.version)?.depth;
        Branch::new(room, std::slice::from_ref(event), state, depth)
    }

    fn new(room: &Room, tip: &[StoredEvent], state: Vec<StoredEvent>, depth: i64) -> Result<Branch, StorageError> {
        let version = room.info.version;
        let mut hashes = BTreeMap::new();
        if version.rules().references_have_hashes {
            for event in tip.iter().chain(&state) {
                let hash = event.pdu(version)?.reference_hash(version.rules());
                hashes.insert(event.header.event_id.clone(), hash);
            }
        }
        let key = |event: &StoredEvent| (event.header.kind.clone(), event.header.state_key.clone().unwrap_or_default());
        Ok(Branch {
            version,
            room_id: room.info.room_id.clone(),
            state: state.iter().map(|event| (key(event), event.header.event_id.clone())).collect(),
            tip: tip.iter().map(|event| event.header.event_id.clone()).take(20).collect(),
            depth,
            hashes,
        })
    }

    /// The next event; the branch does not go on from it. `None` if core does not build such an event.
    #[must_use]
    pub fn event(
        &self,
        by: &Identity,
        now: Timestamp,
        sender: &UserId,
        (kind, state_key): (&str, Option<&str>),
        content: Object,
    ) -> Option<Pdu> {
        let selected = select_auth_events(self.version.rules(), kind, state_key, sender, &content);
        let auth: Vec<EventId> = selected
            .into_iter()
            .filter_map(|(kind, state_key)| self.state.get(&(kind.to_owned(), state_key.to_owned())).cloned())
            .collect();
        let event = NewEvent {
            version: self.version,
            room_id: Some(&self.room_id),
            sender,
            kind,
            state_key,
            content,
            prev_events: &self.tip,
            auth_events: &auth,
            depth: self.depth.saturating_add(1),
            origin_server_ts: now,
            redacts: None,
            reference_hash: &|event_id| Ok(self.hashes.get(event_id).copied()),
        };
        event.build(&by.name, &by.key).ok()
    }

    /// Goes on from an event.
    pub fn take(&mut self, pdu: &Pdu) {
        let rules = self.version.rules();
        if rules.references_have_hashes {
            self.hashes.insert(pdu.event_id.clone(), pdu.reference_hash(rules));
        }
        self.tip = vec![pdu.event_id.clone()];
        self.depth = pdu.depth;
        if let Some(state_key) = &pdu.state_key {
            self.state.insert((pdu.kind.clone(), state_key.clone()), pdu.event_id.clone());
        }
    }

    /// The events of the state.
    #[must_use]
    pub fn state_ids(&self) -> Rc<[EventId]> {
        self.state.values().cloned().collect()
    }

    /// A reference to an event in the form of the room's version.
    #[must_use]
    pub fn reference(&self, event_id: &str) -> Value {
        if !self.version.rules().references_have_hashes {
            return Value::from(event_id);
        }
        let hash = EventId::parse(event_id).ok().and_then(|event_id| self.hashes.get(&event_id).copied());
        let hash = Object::new().with("sha256", base64::encode_unpadded(&hash.unwrap_or_default()));
        Value::Array(vec![Value::from(event_id), hash.into()])
    }

    /// The ID of an event of this room's version that does not exist.
    #[must_use]
    pub fn invented_id(&self, server: &ServerName, seed: [u8; 32]) -> String {
        let opaque = match self.version.rules().event_ids {
            EventIdFormat::Stated => return format!("${}:{server}", base64::encode_url_safe_unpadded(&seed)),
            EventIdFormat::Base64 => base64::encode_unpadded(&seed),
            EventIdFormat::UrlSafeBase64 => base64::encode_url_safe_unpadded(&seed),
        };
        format!("${opaque}")
    }
}

//! A room as one server thinks of it, followed event by event.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::event::Pdu;
use orrery_core::event::content::Membership;
use orrery_core::identifiers::EventId;
use orrery_core::room::{EventIndex, Room, StoredEvent};
use orrery_core::store::StorageError;
use orrery_core::store::state_map::StateId;
use sha2::{Digest as _, Sha256};

use super::agreement::Digest;
use super::resets::Key;
use crate::storage::SimStorage;

#[derive(Clone, Debug)]
struct Entry {
    event: EventId,
    /// It says that a user is joined.
    joined: bool,
}

/// What an event changed of the state: the key, what was there and what is.
pub type Change = (Key, Option<EventId>, Option<EventId>);

#[derive(Debug)]
pub struct View {
    /// The state as the server has it stored.
    at: StateId,
    state: BTreeMap<Key, Entry>,
    state_digest: Digest,
    pub extremities: Vec<EventId>,
}

impl Default for View {
    fn default() -> View {
        View { at: StateId::EMPTY, state: BTreeMap::new(), state_digest: Digest::default(), extremities: Vec::new() }
    }
}

impl View {
    /// Follows the state to where it is after an event. What changed.
    pub fn follow(&mut self, read: &SimStorage, room: &Room, event: &StoredEvent) -> Result<Vec<Change>, StorageError> {
        let after = room.current_after(read, event)?;
        let mut indices = Vec::new();
        room.state_difference(read, self.at, after, &mut |was, is| indices.push((was, is)))?;
        self.at = after;
        let stored =
            |index: Option<EventIndex>| index.map(|index| StoredEvent::expect(read, room.num, index)).transpose();
        let mut changes = Vec::with_capacity(indices.len());
        for (was, is) in indices {
            let (was, is) = (stored(was)?, stored(is)?);
            let Some(either) = is.as_ref().or(was.as_ref()) else { continue };
            let key = (either.header.kind.clone(), either.header.state_key.clone().unwrap_or_default());
            let joined = match &is {
                Some(is) if key.0 == "m.room.member" => {
                    is.pdu(room.info.version)?.membership() == Some(Membership::Join)
                }
                _ => false,
            };
            let [was, is] = [was, is].map(|event| event.map(|event| event.header.event_id));
            self.set(key.clone(), was.as_ref(), is.clone().map(|event| Entry { event, joined }));
            changes.push((key, was, is));
        }
        Ok(changes)
    }

    fn set(&mut self, key: Key, was: Option<&EventId>, is: Option<Entry>) {
        for event in was.into_iter().chain(is.as_ref().map(|is| &is.event)) {
            mix(&mut self.state_digest, &[&key.0, &key.1, event.as_str()]);
        }
        match is {
            Some(is) => self.state.insert(key, is),
            None => self.state.remove(&key),
        };
    }

    /// An event joins the graph.
    pub fn extend(&mut self, event: &Pdu) {
        self.extremities.retain(|end| !event.prev_events.contains(end));
        self.extremities.push(event.event_id.clone());
    }

    /// The servers that have joined users.
    #[must_use]
    pub fn servers(&self) -> BTreeSet<&str> {
        let joined = self.state.iter().filter(|(_, entry)| entry.joined);
        joined.filter_map(|((_, user), _)| Some(user.split_once(':')?.1)).collect()
    }

    #[must_use]
    pub fn has_joined(&self, server: &str) -> bool {
        let of = |user: &str| user.split_once(':').is_some_and(|(_, of)| of == server);
        self.state.iter().any(|((_, user), entry)| entry.joined && of(user))
    }

    /// What stands for the state.
    #[must_use]
    pub fn state_digest(&self) -> Digest {
        self.state_digest
    }

    /// What stands for the state and the forward extremities.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digest = self.state_digest;
        for end in &self.extremities {
            mix(&mut digest, &["", "", end.as_str()]);
        }
        digest
    }
}

/// Puts something into a digest, or takes it out again; in what order does not matter.
fn mix(digest: &mut Digest, parts: &[&str; 3]) {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    for (byte, mixed) in digest.iter_mut().zip(hash.finalize()) {
        *byte ^= mixed;
    }
}

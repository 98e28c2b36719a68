//! Forgery: whatever honest servers have stored was signed by the server of its sender, and nothing is accepted that nobody may
//! accept.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use orrery_core::event::Pdu;
use orrery_core::event::content::Membership;
use orrery_core::room::{EventIndex, Room, Standing, StoredEvent};
use orrery_core::room_version::RoomVersion;
use orrery_core::signing::{SigningKey, content_hash_matches, signature, verify};
use orrery_core::store::StorageError;

use super::stored::{Stored, rooms};
use crate::failure::Failure;
use crate::storage::SimStorage;

const CHECKER: &str = "forgery";

/// The true keys of all servers, by name: the one that each has, and those that it had.
pub type Keys = BTreeMap<String, Vec<SigningKey>>;

/// What was found good already, on whatever server.
#[derive(Debug, Default)]
pub struct Seen(BTreeSet<Bytes>);

/// The rooms of a server that one of `liars` has to do with: it knows of them, or has said something there.
pub fn touched(read: &SimStorage, own: bool, liars: &BTreeSet<String>) -> Result<BTreeSet<String>, StorageError> {
    let mut touched = BTreeSet::new();
    for num in rooms(read)? {
        let Some(room) = Room::get(read, num)? else { continue };
        let mut is_touched = own;
        for index in (0..room.head.next_index).map(EventIndex) {
            let event = StoredEvent::get(read, room.num, index)?;
            is_touched |= event.is_some_and(|event| liars.contains(event.header.sender.server_str()));
        }
        if is_touched {
            touched.insert(room.info.room_id.to_string());
        }
    }
    Ok(touched)
}

/// Looks at everything that a server has stored. `unacceptable`: events of Byzantine servers that break a rule by themselves.
pub fn check(
    server: u32,
    read: &SimStorage,
    keys: &Keys,
    unacceptable: &BTreeSet<String>,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let unreadable = |error: StorageError| Failure::safety(CHECKER, format!("server {server} cannot be read: {error}"));
    for num in rooms(read).map_err(unreadable)? {
        let Some(room) = Room::get(read, num).map_err(unreadable)? else { continue };
        let stored = Stored::read(read, room).map_err(unreadable)?;
        for (event, pdu) in stored.events.values() {
            let id = &event.header.event_id;
            let fail = |why: String| Failure::safety(CHECKER, format!("server {server} has {id}: {why}"));
            if !seen.0.contains(pdu.json()) {
                check_signature(pdu, stored.room.info.version, keys).map_err(fail)?;
                seen.0.insert(pdu.json().clone());
            }
            let accepted = event.header.standing == Standing::Accepted && !event.header.outlier;
            if accepted && stored.is_in_room(event) && unacceptable.contains(id.as_str()) {
                return Err(fail("it is accepted, which nobody may do".to_owned()));
            }
        }
    }
    Ok(())
}

/// Whether the sender's server signed an event; only that of an invite by a third party's token need not.
fn check_signature(pdu: &Pdu, version: RoomVersion, keys: &Keys) -> Result<(), String> {
    let invite = pdu.membership() == Some(Membership::Invite) && pdu.content.contains("third_party_invite");
    let server = pdu.sender.server_str();
    if invite {
        return Ok(());
    }
    if !keys.contains_key(server) {
        return Err(format!("there is no server {server}"));
    }
    if !is_signed_by(pdu, version, server, keys) {
        return Err(format!("{server} did not make it"));
    }
    // What does not fit its hash is kept without what the signature does not cover.
    if !content_hash_matches(&pdu.to_object()) && pdu.redacted(version.rules()).json() != pdu.json() {
        return Err("its content is not what was hashed".to_owned());
    }
    Ok(())
}

/// Whether a server signed an event with a key that it has or had.
pub(super) fn is_signed_by(pdu: &Pdu, version: RoomVersion, server: &str, keys: &Keys) -> bool {
    let (object, bytes) = (pdu.to_object(), pdu.signed_bytes(version.rules()));
    keys.get(server).into_iter().flatten().any(|key| {
        let signature = signature(&object, server, key.key_id());
        signature.is_ok_and(|signature| verify(&key.public_key(), &bytes, &signature).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_core::canonical_json::{Object, Value};
    use orrery_core::event::NewEvent;
    use orrery_core::identifiers::{RoomId, ServerName, UserId};
    use orrery_core::time::Timestamp;

    fn event(signer: &SigningKey) -> Pdu {
        let event = NewEvent {
            version: RoomVersion::V11,
            room_id: Some(&RoomId::parse("!r:a.test").unwrap()),
            sender: &UserId::parse("@u:a.test").unwrap(),
            kind: "m.room.message",
            state_key: None,
            content: Object::new().with("body", "hello"),
            prev_events: &[],
            auth_events: &[],
            depth: 1,
            origin_server_ts: Timestamp(1),
            redacts: None,
            reference_hash: &|_| Ok(None),
        };
        event.build(&ServerName::parse("a.test").unwrap(), signer).unwrap()
    }

    #[test]
    fn forged_events_are_caught() {
        let (own, other) =
            (SigningKey::from_seed("k", &[1; 32]).unwrap(), SigningKey::from_seed("k", &[2; 32]).unwrap());
        let keys = Keys::from([("a.test".to_owned(), vec![own.clone()])]);
        let check = |pdu: &Pdu| check_signature(pdu, RoomVersion::V11, &keys);
        let good = event(&own);
        assert_eq!(check(&good), Ok(()));
        assert!(check(&event(&other)).unwrap_err().contains("a.test did not make it"));
        assert!(check_signature(&good, RoomVersion::V11, &Keys::new()).unwrap_err().contains("no server"));
        let mut changed = good.to_object();
        changed.insert("content", Object::new().with("body", "goodbye"));
        let changed =
            Pdu::from_stored(good.event_id.clone(), Value::Object(changed).to_bytes().into(), RoomVersion::V11);
        assert!(check(&changed.unwrap()).unwrap_err().contains("not what was hashed"));
        assert_eq!(check(&good.redacted(RoomVersion::V11.rules())), Ok(()));
    }
}

//! Forgery: whatever honest servers have stored was signed by the server of its sender; what they accepted is allowed by its auth
//! events and by the state before it; and nothing is accepted that nobody may accept.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use orrery_core::auth_rules::{AuthState, CitedEvent, authorize, check_auth_events};
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
            // What was told of a room from outside (an invite) has no place in it.
            let in_room = stored.by_id.get(id.as_str()) == Some(&event.index);
            if event.header.standing != Standing::Accepted || event.header.outlier || !in_room {
                continue;
            }
            if unacceptable.contains(id.as_str()) {
                return Err(fail("it is accepted, which nobody may do".to_owned()));
            }
            check_auth(&stored, event, pdu).map_err(unreadable)?.map_err(fail)?;
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
    let rules = version.rules();
    let keys = keys.get(server).ok_or_else(|| format!("there is no server {server}"))?;
    let object = pdu.to_object();
    let is_by = |key: &SigningKey| {
        let signature = signature(&object, server, key.key_id());
        signature.is_ok_and(|signature| verify(&key.public_key(), &pdu.signed_bytes(rules), &signature).is_ok())
    };
    if !keys.iter().any(is_by) {
        return Err(format!("{server} did not make it"));
    }
    // What does not fit its hash is kept without what the signature does not cover.
    if !content_hash_matches(&object) && pdu.redacted(rules).json() != pdu.json() {
        return Err("its content is not what was hashed".to_owned());
    }
    Ok(())
}

/// Judges an accepted event again.
fn check_auth(stored: &Stored<'_>, event: &StoredEvent, pdu: &Pdu) -> Result<Result<(), String>, StorageError> {
    if pdu.kind == "m.room.create" {
        return Ok(Ok(()));
    }
    let rules = stored.room.info.version.rules();
    let cite = |id: &str| {
        let (event, pdu) = stored.events.get(stored.by_id.get(id)?)?;
        Some(CitedEvent { event: pdu, rejected: event.is_rejected() })
    };
    let Some(cited) = pdu.auth_events.iter().map(|id| cite(id)).collect::<Option<Vec<_>>>() else {
        return Ok(Err("an auth event of it is not here".to_owned()));
    };
    let named = if rules.auth.create_is_auth_event { None } else { cite(&format!("${}", &pdu.room_id[1..])) };
    if let Err(verdict) = check_auth_events(rules, pdu, &cited, named) {
        return Ok(Err(format!("its auth events are not those it needs: {verdict:?}")));
    }
    let pdus: Vec<&Pdu> = cited.iter().map(|cited| cited.event).collect();
    let create = named.map(|named| named.event);
    let create = create.or_else(|| pdus.iter().copied().find(|event| event.is_state_of("m.room.create", "")));
    let Some(create) = create else { return Ok(Err("nothing leads to a create event".to_owned())) };
    let verdict = authorize(rules, pdu, create, &AuthState(&pdus));
    if !verdict.allowed {
        return Ok(Err(format!("its auth events do not allow it: {verdict:?}")));
    }
    let state: Vec<&Pdu> =
        stored.state(event.header.state_before)?.iter().map(|index| &stored.events[index].1).collect();
    let verdict = authorize(rules, pdu, create, &AuthState(&state));
    Ok(if verdict.allowed { Ok(()) } else { Err(format!("the state before it does not allow it: {verdict:?}")) })
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

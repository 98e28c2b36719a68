//! Memberships in rooms that this server is not in: invites from other servers, knocks on their rooms, and how those end.
//!
//! Such a room has a number and a version and, unless the server was in it before, no state: [`Room::find`] does not find it, so
//! that to everybody else it is a room that this server does not know. The member event is stored under an index of the room,
//! but it is in no graph: its ID leads nowhere, and if the room is joined later the event comes again with the room's state.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::stored_event::StoredEvent;
use super::tables::{EventIndex, HEAD, INFO, ROOM_BY_ID, ROOM_COUNT, RoomHead, RoomInfo, USER_ROOMS, UserRoom};
use super::{Room, membership};
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::event::{NewEvent, Pdu, prune_stripped_state};
use crate::flow::{Notice, Step};
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::limits::MAX_STRIPPED_STATE;
use crate::room_version::RoomVersion;
use crate::store::log::{self, LogEntry};
use crate::store::state_map::StateId;
use crate::store::tables::{Position, RoomNum, RoomTable, room_tags};
use crate::store::{Read, StorageError};

/// A membership that a user of this server has of a room that this server is not in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// The member event. The row counts only while the user's own row names the same event.
    event: EventIndex,
    /// What the room is: an array of stripped state, as JSON.
    pub stripped_state: String,
    /// Servers that are in the room, as far as is known: who invited, or let knock.
    pub servers: Vec<ServerName>,
}

const OUTSIDE: RoomTable<UserId, Outside> = RoomTable::new(room_tags::OUTSIDE);
/// The room's version, as the server said that told of the room. Nobody can check that, so what one server says is taken for what
/// concerns its own invite, and for nothing else.
const SAID_VERSION: RoomTable<UserId, RoomVersion> = RoomTable::new(room_tags::SAID_VERSION);

/// What is known of a membership, if it is one of a room that this server is not in. `row` is what [`membership::of`] found.
pub fn of(
    read: &(impl Read + ?Sized),
    room: RoomNum,
    user_id: &UserId,
    row: &UserRoom,
) -> Result<Option<Outside>, StorageError> {
    Ok(OUTSIDE.get(read, room, user_id)?.filter(|outside| outside.event == row.event))
}

/// The version that the room has as far as the user's membership is concerned, which is one that [`of`] finds.
fn said_version(read: &(impl Read + ?Sized), room: &Room, user_id: &UserId) -> Result<RoomVersion, StorageError> {
    Ok(SAID_VERSION.get(read, room.num, user_id)?.unwrap_or(room.info.version))
}

/// The version by which an event is to be read that has come as one of this room: where the room has no state, what the server said
/// that told of it and may put the user out.
pub fn version_to_read(read: &(impl Read + ?Sized), room: &Room, event: &Object) -> Result<RoomVersion, StorageError> {
    let user = |name| event.str(name).and_then(|user_id| UserId::parse(user_id).ok());
    if room.head.state == StateId::EMPTY
        && let (Some(user_id), Some(sender)) = (user("state_key"), user("sender"))
        && let Some(outside) = OUTSIDE.get(read, room.num, &user_id)?
        && outside.servers.contains(&sender.server_name())
    {
        return said_version(read, room, &user_id);
    }
    Ok(room.info.version)
}

/// Refuses a version that a room with state cannot have: `400 M_INVALID_PARAM`. Those of which events read alike are one here.
pub fn require_version(room: &Room, version: RoomVersion) -> Result<(), ApiError> {
    if room.head.state == StateId::EMPTY || reads_alike(room.info.version, version) {
        return Ok(());
    }
    Err(ApiError::invalid_param("The room is of another version"))
}

/// Refuses a version that contradicts another server whose invite, or knock, the user has: `400 M_INVALID_PARAM`. Until the user has
/// said no to that it is not known which of the two is right.
pub fn require_same_version(
    read: &(impl Read + ?Sized),
    room: &Room,
    user_id: &UserId,
    (version, said_by): (RoomVersion, &ServerName),
) -> Result<(), ApiError> {
    let row = membership::of(read, user_id, room.num)?.filter(is_pending);
    let Some(row) = row else { return Ok(()) };
    match of(read, room.num, user_id, &row)? {
        Some(outside) if !outside.servers.contains(said_by) => {
            if reads_alike(said_version(read, room, user_id)?, version) {
                return Ok(());
            }
            Err(ApiError::invalid_param("Another server has said that the room is of another version"))
        }
        _ => Ok(()),
    }
}

/// Whether events of both versions have the same form. Of versions 1 and 2 an invite cannot always tell which it is of.
fn reads_alike(one: RoomVersion, other: RoomVersion) -> bool {
    one == other || one.rules().references_have_hashes && other.rules().references_have_hashes
}

fn is_pending(row: &UserRoom) -> bool {
    matches!(row.membership, Membership::Invite | Membership::Knock)
}

/// The room with this ID, for a user who joins it: one without state has the version from here on that the server says through which
/// they join. The room's lane is the caller's.
pub fn find_or_make_to_join(step: &mut Step<'_>, room_id: &RoomId, version: RoomVersion) -> Result<Room, StorageError> {
    let mut room = find_or_make(step, room_id, version)?;
    if room.head.state == StateId::EMPTY && room.info.version != version {
        room.info.version = version;
        INFO.put(step, room.num, (), &room.info);
    }
    Ok(room)
}

/// The room with this ID, made with this version if there is none.
pub fn find_or_make(step: &mut Step<'_>, room_id: &RoomId, version: RoomVersion) -> Result<Room, StorageError> {
    let num = match ROOM_BY_ID.get(step, room_id)? {
        Some(num) => num,
        None => {
            let num = RoomNum(ROOM_COUNT.get(step, ())?.unwrap_or(0));
            ROOM_COUNT.put(step, (), &(num.0 + 1));
            ROOM_BY_ID.put(step, room_id, &num);
            HEAD.put(step, num, (), &RoomHead::new());
            INFO.put(step, num, (), &RoomInfo { room_id: room_id.clone(), version });
            num
        }
    };
    Room::expect(step, num)
}

/// Makes a member event of a room of this version the user's membership. `stripped_state` is what another server sent of the room,
/// whole events or stripped ones. `400 M_INVALID_PARAM` if the room is of another version.
pub fn set(
    step: &mut Step<'_>,
    room: &mut Room,
    user_id: &UserId,
    (pdu, version): (&Pdu, RoomVersion),
    (stripped_state, servers): (&[Object], Vec<ServerName>),
) -> Result<(), ApiError> {
    require_version(room, version)?;
    SAID_VERSION.put(step, room.num, user_id, &version);
    let stripped = stripped_state.iter().take(MAX_STRIPPED_STATE).filter_map(prune_stripped_state);
    let stripped = Value::Array(stripped.map(Value::Object).collect()).to_string();
    put(step, room, user_id, pdu, (stripped, servers))
}

fn put(
    step: &mut Step<'_>,
    room: &mut Room,
    user_id: &UserId,
    pdu: &Pdu,
    (stripped_state, servers): (String, Vec<ServerName>),
) -> Result<(), ApiError> {
    let membership = pdu.membership().ok_or_else(|| ApiError::bad_json("The event has no membership"))?;
    let index = EventIndex(room.head.next_index);
    room.head.next_index += 1;
    let position = step.next_position();
    StoredEvent::new(index, pdu, position.order(), StateId::EMPTY, None).put(step, room.num);
    HEAD.put(step, room.num, (), &room.head);
    OUTSIDE.put(step, room.num, user_id, &Outside { event: index, stripped_state, servers });
    let old = membership::of(step, user_id, room.num)?;
    let joined_at = old.and_then(|old| old.joined_at);
    let row = UserRoom { membership, event: index, position, joined_at, forgotten: false };
    USER_ROOMS.put(step, (user_id, room.num), &row);
    log::append(step, position, &LogEntry::Membership { user_id: user_id.clone(), room: room.num });
    step.notify(Notice::Membership { user_id: user_id.clone(), room: room.num, joined: false });
    Ok(())
}

/// Ends a membership: `pdu` is the event that another server took, or `None` if there is none who would take one. Then the user
/// has left as far as this server is concerned.
pub fn leave(
    step: &mut Step<'_>,
    room: &mut Room,
    user_id: &UserId,
    pdu: Option<Pdu>,
    reason: Option<&str>,
) -> Result<(), ApiError> {
    let Some(row) = membership::of(step, user_id, room.num)? else { return Ok(()) };
    let Some(outside) = of(step, room.num, user_id, &row)? else { return Ok(()) };
    let pdu = match pdu {
        Some(pdu) => pdu,
        None => unsent_leave(step, room, user_id, reason)?,
    };
    put(step, room, user_id, &pdu, (outside.stripped_state, outside.servers))
}

/// Ends a membership because a server of those who invited, or let knock, says so: it has taken the invite back, or refused the
/// knock. That is its to say, as the invite was; what it is allowed in the room cannot be judged here. Otherwise nothing happens,
/// and `None` says so.
pub fn put_out(step: &mut Step<'_>, room: &mut Room, pdu: &Pdu) -> Result<Option<EventIndex>, ApiError> {
    if !matches!(pdu.membership(), Some(Membership::Leave | Membership::Ban)) {
        return Ok(None);
    }
    let Some(user_id) = pdu.state_key.as_deref().and_then(|user_id| UserId::parse(user_id).ok()) else {
        return Ok(None);
    };
    let Some(row) = membership::of(step, &user_id, room.num)? else { return Ok(None) };
    let Some(outside) = of(step, room.num, &user_id, &row)? else { return Ok(None) };
    if !is_pending(&row) || !outside.servers.contains(&pdu.sender.server_name()) {
        return Ok(None);
    }
    let index = EventIndex(room.head.next_index);
    put(step, room, &user_id, pdu, (outside.stripped_state, outside.servers))?;
    Ok(Some(index))
}

/// A leave that no other server sees.
fn unsent_leave(step: &Step<'_>, room: &Room, user_id: &UserId, reason: Option<&str>) -> Result<Pdu, ApiError> {
    let mut content = Object::new().with("membership", Membership::Leave.as_str());
    if let Some(reason) = reason {
        content.insert("reason", reason);
    }
    let event = NewEvent {
        version: said_version(step, room, user_id)?,
        room_id: Some(&room.info.room_id),
        sender: user_id,
        kind: "m.room.member",
        state_key: Some(user_id),
        content,
        prev_events: &[],
        auth_events: &[],
        depth: 0,
        origin_server_ts: step.now,
        redacts: None,
        reference_hash: &|_| Ok(None),
    };
    Ok(event.build(&step.config.server_name, step.signing_key)?)
}

impl RoomHead {
    /// Of a room of which nothing is known.
    fn new() -> RoomHead {
        RoomHead {
            next_index: 0,
            extremities: Vec::new(),
            depth: 0,
            since_depth: 0,
            state: StateId::EMPTY,
            last: Position(0),
            joined: 0,
            invited: 0,
            local_joined: 0,
            unresolved: false,
        }
    }
}

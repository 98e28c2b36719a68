//! Memberships: what the server remembers beside the room state, so that a user's rooms and a room's size are one read.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::history_visibility::membership_in;
use super::servers;
use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::{SERVERS, USER_ROOMS, UserRoom};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::flow::{Notice, Step};
use crate::identifiers::{ServerName, UserId};
use crate::store::state_map::StateId;
use crate::store::tables::{Position, RoomNum};
use crate::store::{Order, Read, StorageError};

/// A local user's membership of a room; `None` if they never had one.
pub fn of(read: &(impl Read + ?Sized), user_id: &UserId, room: RoomNum) -> Result<Option<UserRoom>, StorageError> {
    USER_ROOMS.get(read, (user_id, room))
}

/// Refuses with `403 M_FORBIDDEN` unless the user is joined.
pub fn require_joined(read: &(impl Read + ?Sized), user_id: &UserId, room: &Room) -> Result<UserRoom, ApiError> {
    match of(read, user_id, room.num)? {
        Some(row) if row.membership == Membership::Join => Ok(row),
        _ => Err(ApiError::forbidden("You are not in this room")),
    }
}

/// Every room that a local user has or had a membership of.
pub fn rooms_of(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Vec<(RoomNum, UserRoom)>, StorageError> {
    let mut rooms = Vec::new();
    USER_ROOMS.scan::<StorageError>(read, (user_id,), Order::Ascending, |(_, room), row| {
        rooms.push((room, row));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rooms)
}

/// The rooms here that a user, of this server or another, is joined to.
pub fn joined_rooms_of(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Vec<RoomNum>, StorageError> {
    let mut rooms = Vec::new();
    USER_ROOMS.scan::<StorageError>(read, (user_id,), Order::Ascending, |(_, room), row| {
        if row.membership == Membership::Join {
            rooms.push(room);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rooms)
}

/// Since when, without a break, a user of another server has been in a common room with users of this one, which is `own`;
/// `None` if they are not. What counts is one room: it may be longer, in one after the other.
pub fn shared_since(
    read: &(impl Read + ?Sized),
    own: &ServerName,
    user_id: &UserId,
) -> Result<Option<Position>, StorageError> {
    let mut earliest: Option<Position> = None;
    for (room, user) in rooms_of(read, user_id)? {
        if let Some(joined) = user.joined_at.filter(|_| user.membership == Membership::Join)
            && let Some(server) = SERVERS.get(read, room, own)?
        {
            let since = joined.max(server.since);
            earliest = Some(earliest.map_or(since, |earliest| earliest.min(since)));
        }
    }
    Ok(earliest)
}

/// Whether a server is in a room that a user is joined to.
pub fn shares_a_room_with(
    read: &(impl Read + ?Sized),
    user_id: &UserId,
    server: &ServerName,
) -> Result<bool, StorageError> {
    for room in joined_rooms_of(read, user_id)? {
        if SERVERS.contains(read, room, server)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether two local users are joined to a common room.
pub fn share_a_room(read: &(impl Read + ?Sized), a: &UserId, b: &UserId) -> Result<bool, StorageError> {
    for (room, row) in rooms_of(read, a)? {
        if row.membership == Membership::Join
            && of(read, b, room)?.is_some_and(|row| row.membership == Membership::Join)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Follows every membership in which the room's current state, which was `before`, now is `after`.
pub fn follow_state(
    step: &mut Step<'_>,
    room: &mut Room,
    (before, after): (StateId, StateId),
    position: Position,
) -> Result<(), StorageError> {
    let mut changes = Vec::new();
    room.state_difference(step, before, after, &mut |was, is| changes.push((was, is)))?;
    for (was, is) in changes {
        let was = was.map(|index| StoredEvent::expect(step, room.num, index)).transpose()?;
        let is = is.map(|index| StoredEvent::expect(step, room.num, index)).transpose()?;
        let Some(event) = is.as_ref().or(was.as_ref()).filter(|event| event.header.kind == "m.room.member") else {
            continue;
        };
        // A resolution can leave a user without any membership: they are out.
        let membership = is.as_ref().map_or(Some(Membership::Leave), membership_in);
        follow(step, room, event, (was.as_ref().and_then(membership_in), membership), position)?;
    }
    Ok(())
}

/// Follows a member event that has just become part of the current state, where the membership was `before`.
pub(super) fn follow(
    step: &mut Step<'_>,
    room: &mut Room,
    event: &StoredEvent,
    (before, membership): (Option<Membership>, Option<Membership>),
    position: Position,
) -> Result<(), StorageError> {
    let Some(user_id) = event.header.state_key.as_deref().and_then(|key| UserId::parse(key).ok()) else {
        return Ok(());
    };
    let Some(membership) = membership else { return Ok(()) };
    let head = &mut room.head;
    for (count, counted) in [(&mut head.joined, Membership::Join), (&mut head.invited, Membership::Invite)] {
        *count += u32::from(membership == counted);
        *count = count.saturating_sub(u32::from(before == Some(counted)));
    }
    let is_local = user_id.server_str() == step.config.server_name.as_str();
    let (joined, was_joined) = (membership == Membership::Join, before == Some(Membership::Join));
    // Servers whose users are only invited are to know when that is over.
    let mut tell_servers = !joined && !was_joined;
    if joined != was_joined {
        tell_servers = servers::count(step, room.num, &user_id.server_name(), joined)?;
        if is_local {
            let count = &mut room.head.local_joined;
            *count = if joined { *count + 1 } else { count.saturating_sub(1) };
        }
    }
    if !is_local {
        if tell_servers {
            step.notify(Notice::Servers(room.num));
            if joined {
                let joins = event.header.order == position.order() && !was_in_before(step, room, event)?;
                step.notify(Notice::CameIn { server: user_id.server_name(), room: room.num, joins });
            }
        }
        if joined && !was_joined {
            let joined_at = Some(position);
            let row = UserRoom { membership, event: event.index, position, joined_at, forgotten: false };
            USER_ROOMS.put(step, (&user_id, room.num), &row);
        } else if was_joined && !joined {
            USER_ROOMS.delete(step, (&user_id, room.num));
        }
        return Ok(());
    }
    let old = USER_ROOMS.get(step, (&user_id, room.num))?;
    let row = UserRoom {
        membership,
        event: event.index,
        position,
        joined_at: if joined && !was_joined { Some(position) } else { old.as_ref().and_then(|old| old.joined_at) },
        forgotten: false,
    };
    USER_ROOMS.put(step, (&user_id, room.num), &row);
    step.notify(Notice::Membership { user_id, room: room.num, joined });
    Ok(())
}

/// Whether the user of a member event was in the room before it, as the event's own server saw it.
fn was_in_before(step: &Step<'_>, room: &Room, event: &StoredEvent) -> Result<bool, StorageError> {
    let state_key = event.header.state_key.as_deref().unwrap_or_default();
    let before = room.state_event(step, event.header.state_before, "m.room.member", state_key)?;
    Ok(before.as_ref().and_then(membership_in) == Some(Membership::Join))
}

/// Makes the user forget a room that they have left: `row` is what [`of`] found.
pub fn forget(step: &mut Step<'_>, user_id: &UserId, room: RoomNum, mut row: UserRoom) {
    row.forgotten = true;
    USER_ROOMS.put(step, (user_id, room), &row);
}

//! Whether two servers share a room, in which each of them has users by its own opinion. They do not
//!
//! - if neither takes the other for one that is in the room: then nothing is sent between them;
//! - if one of them does not let the other's last joins count although nobody who had heard of them put their users out: they came
//!   too late and were soft-failed or rejected, or state resolution put something beside them in their place, or nothing. Whoever is
//!   out in such a way is not told what became of the room, and cannot know that they are out;
//! - if one of them has put the other's users out, and the other has heard of that and soft-failed or rejected it: it had taken away
//!   the power to do so before. Each of them is right on what it knew, and each refuses what the other says from then on;
//! - if one of them has the other's users out since they left, and soft-failed what they say since they came back: where they came
//!   back it was not known that somebody had closed the room to them meanwhile;
//! - if one of them came back with a backup, and the other knows an event that put its users out which it does not: whoever is out is
//!   told nothing more, and so not that either;
//! - in a room of version 1, if one of them takes the other for one that is out. Its state resolution gives another state when
//!   branches are merged step by step than when they are merged at once, and servers merge what they have.

use orrery_core::room::{Room, Standing};
use orrery_core::room_version::RoomVersion;
use orrery_core::store::StorageError;

use super::convergence::Side;

pub fn share(a: &Side<'_>, b: &Side<'_>, room: &str) -> Result<bool, StorageError> {
    let takes_for_in = |here: &Side<'_>, there: &Side<'_>| !here.opinion.joins_of(there.number).is_empty();
    let mutual = (takes_for_in(a, b), takes_for_in(b, a));
    let is_v1 = Room::find(&a.read, room)?.is_some_and(|room| room.info.version == RoomVersion::V1);
    match mutual {
        (false, false) => Ok(false),
        (true, true) => Ok(true),
        _ if is_v1 => Ok(false),
        (true, false) => Ok(!shuts_out(b, a, room)? && !is_out(a, b, room)?),
        (false, true) => Ok(!shuts_out(a, b, room)? && !is_out(b, a, room)?),
    }
}

/// Whether a server has heard of the events that put its users out, and did not accept any of them, or said more since that the other
/// soft-failed, or has lost them with a backup.
fn is_out(here: &Side<'_>, by: &Side<'_>, room: &str) -> Result<bool, StorageError> {
    let is_unheard = here.opinion.is_unheard_by(by, room)?;
    let Some(room) = Room::find(&here.read, room)? else { return Ok(false) };
    for event_id in here.opinion.joins_of(here.number) {
        let Some(join) = room.event(&here.read, event_id)? else { return Ok(false) };
        let user_id = join.header.state_key.unwrap_or_default();
        let Some(put_out) = by.opinion.state.get(&("m.room.member".to_owned(), user_id)) else { return Ok(false) };
        match room.event(&here.read, put_out)? {
            Some(event) if event.header.standing != Standing::Accepted || is_unheard => {}
            None if here.has_lost => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether none of the joins by which a server is in the room counts with another, and nobody who had heard of them has put its
/// users out.
fn shuts_out(here: &Side<'_>, there: &Side<'_>, room: &str) -> Result<bool, StorageError> {
    let read = &here.read;
    let Some(room) = Room::find(read, room)? else { return Ok(false) };
    for event_id in there.opinion.joins_of(there.number) {
        let Some(join) = room.event(read, event_id)? else { return Ok(false) };
        let user_id = join.header.state_key.clone().unwrap_or_default();
        let heard_of = match here.opinion.state.get(&("m.room.member".to_owned(), user_id.clone())) {
            Some(now) if now == event_id => true,
            Some(now) => match room.event(read, now)? {
                Some(now) => {
                    room.state_index(read, now.header.state_before, "m.room.member", &user_id)? == Some(join.index)
                }
                None => false,
            },
            None => false,
        };
        if heard_of && join.header.standing == Standing::Accepted {
            return Ok(false);
        }
    }
    Ok(true)
}

//! The answer of a sync: a pure function of what is stored, what lives in memory, and what was asked.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::super::event_format::Shown;
use super::super::json_writer::Members;
use super::super::request::QueryContext;
use super::super::token::StreamToken;
use super::super::unread::{Reader, Unread, tally};
use super::changes::{Changes, RoomChange, UserRooms};
use super::device_lists::DeviceLists;
use super::ephemeral::{self, Ephemeral};
use super::lazy_members::SentMembers;
use super::request::SyncRequest;
use super::to_device::ToDevice;
use super::{account_data, invited, joined, left};
use crate::canonical_json::Value;
use crate::effect::Requester;
use crate::encryption::one_time_keys;
use crate::event::content::Membership;
use crate::identifiers::UserId;
use crate::room::history_visibility::Viewer;
use crate::room::tables::UserRoom;
use crate::room::timeline::Place;
use crate::room::{Room, StoredEvent};
use crate::store::tables::{Position, RoomNum};
use crate::store::{Read, StorageError};

/// What a sync is answered from.
#[derive(Debug)]
pub struct Inputs<'a> {
    pub context: QueryContext<'a>,
    pub requester: &'a Requester,
    pub request: &'a SyncRequest,
    /// What the client has seen, which may be more than it said: a sync that waits moves on.
    pub since: Option<Position>,
    /// What `context` shows.
    pub until: Position,
    pub rooms: &'a UserRooms,
    /// Where to look; `None` is everywhere.
    pub changes: Option<&'a Changes>,
    pub ephemeral: &'a Ephemeral,
    pub sent_before: &'a SentMembers,
    /// What is new of the user's account data.
    pub(super) account_data: account_data::ByRoom,
    pub reader: &'a Reader,
    /// What is unread, as far as it is counted; the rest is counted when it is written.
    pub unread: BTreeMap<RoomNum, Unread>,
}

/// An answer.
#[derive(Debug)]
pub struct SyncAnswer {
    pub body: Vec<u8>,
    /// There is nothing in it that is worth waking a client for.
    pub is_empty: bool,
    /// The memberships that it tells, for [`SentMembers::record`].
    pub sent: Vec<(RoomNum, UserId)>,
}

/// Answers a sync.
pub fn answer(sync: &Inputs<'_>) -> Result<SyncAnswer, StorageError> {
    let mut answer = SyncAnswer { body: Vec::with_capacity(1024), is_empty: true, sent: Vec::new() };
    let to_device = ToDevice::load(sync)?;
    let token =
        StreamToken { position: sync.until, ephemeral: sync.ephemeral.token, to_device: to_device.continues_after() };
    let mut members = begin(sync.context.read, sync.requester, &mut answer.body, token)?;
    let mut something = false;
    if sync.changes.is_none_or(|changes| changes.account_data) {
        something |= section(&mut members, "account_data", |out| Ok(account_data::write_global(sync, out)))?;
    }
    something |= section(&mut members, "presence", |out| Ok(ephemeral::write_presence(sync, out)))?;
    something |= section(&mut members, "to_device", |out| Ok(to_device.write(out)))?;
    something |= DeviceLists::of(sync)?.write(&mut members);
    something |= members.optional("rooms", |out| write_rooms(sync, &mut answer.sent, out))?;
    members.end();
    answer.is_empty = !something;
    Ok(answer)
}

/// An answer that says only where to go on.
pub fn nothing(read: &dyn Read, requester: &Requester, next_batch: StreamToken) -> Result<Vec<u8>, StorageError> {
    let mut body = Vec::with_capacity(160);
    begin(read, requester, &mut body, next_batch)?.end();
    Ok(body)
}

/// Begins an answer with what every answer has.
fn begin<'o>(
    read: &dyn Read,
    requester: &Requester,
    body: &'o mut Vec<u8>,
    next_batch: StreamToken,
) -> Result<Members<'o>, StorageError> {
    let counts = one_time_keys::counts(read, &requester.user_id, &requester.device_id)?;
    let mut members = Members::begin(body);
    members.string("next_batch", &next_batch.to_string());
    // An algorithm that is not listed has no keys left: clients want to be told so every time.
    one_time_keys::describe(&counts).encode(members.name("device_one_time_keys_count"));
    Value::from(counts.unused_fallback).encode(members.name("device_unused_fallback_key_types"));
    Ok(members)
}

/// Appends a section of events if there are any.
fn section(
    members: &mut Members<'_>,
    name: &str,
    write: impl FnOnce(&mut Vec<u8>) -> Result<usize, StorageError>,
) -> Result<bool, StorageError> {
    members.optional(name, |out| {
        let mut section = Members::begin(out);
        let count = write(section.name("events"))?;
        section.end();
        Ok(count > 0)
    })
}

/// The sections of `rooms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Invite,
    Join,
    Knock,
    Leave,
}

impl Section {
    const ALL: [Section; 4] = [Section::Invite, Section::Join, Section::Knock, Section::Leave];

    fn name(self) -> &'static str {
        match self {
            Section::Invite => "invite",
            Section::Join => "join",
            Section::Knock => "knock",
            Section::Leave => "leave",
        }
    }

    /// Where a room goes, if anywhere.
    fn of(sync: &Inputs<'_>, row: &UserRoom) -> Option<Section> {
        // Other memberships are told when they begin; a room that was left before, if the client asks for it.
        let is_new = sync.since.is_none_or(|since| row.position > since);
        match row.membership {
            Membership::Join => Some(Section::Join),
            Membership::Invite => is_new.then_some(Section::Invite),
            Membership::Knock => is_new.then_some(Section::Knock),
            Membership::Leave | Membership::Ban => {
                let wanted = sync.since.is_some() || sync.request.filter.room.include_leave && !row.forgotten;
                (is_new && wanted).then_some(Section::Leave)
            }
        }
    }
}

fn write_rooms(sync: &Inputs<'_>, sent: &mut Vec<(RoomNum, UserId)>, out: &mut Vec<u8>) -> Result<bool, StorageError> {
    let mut sections: [Vec<(RoomNum, &UserRoom, RoomChange)>; 4] = Default::default();
    let mut place = |num: RoomNum, row, change| {
        if let Some(section) = Section::of(sync, row) {
            sections[section as usize].push((num, row, change));
        }
    };
    match sync.changes {
        None => sync.rooms.0.iter().for_each(|(num, row)| place(*num, row, RoomChange::EVERYTHING)),
        Some(changes) => {
            let quiet = changes.quiet_rooms(sync.rooms, sync.ephemeral.typing.keys().copied());
            let quiet = quiet.into_iter().map(|num| (num, RoomChange::default()));
            for (num, change) in changes.rooms.iter().map(|(num, change)| (*num, *change)).chain(quiet) {
                if let Some(row) = sync.rooms.0.get(&num) {
                    place(num, row, change);
                }
            }
        }
    }
    let mut members = Members::begin(out);
    let mut something = false;
    for section in Section::ALL {
        let rooms = &sections[section as usize];
        if !rooms.is_empty() {
            something |= members.optional(section.name(), |out| write_section(sync, section, rooms, sent, out))?;
        }
    }
    members.end();
    Ok(something)
}

fn write_section(
    sync: &Inputs<'_>,
    section: Section,
    rooms: &[(RoomNum, &UserRoom, RoomChange)],
    sent: &mut Vec<(RoomNum, UserId)>,
    out: &mut Vec<u8>,
) -> Result<bool, StorageError> {
    let mut members = Members::begin(out);
    let mut something = false;
    for (num, row, change) in rooms {
        let room = Room::expect(sync.context.read, *num)?;
        if !sync.request.filter.room.rooms.selects(room.room_id()) {
            continue;
        }
        something |= members.optional(room.room_id(), |out| match section {
            Section::Join => joined::write(sync, (&room, row), *change, sent, out),
            Section::Invite | Section::Knock => invited::write(sync, &room, row, out),
            Section::Leave => left::write(sync, &room, row, out).map(|()| true),
        })?;
    }
    members.end();
    Ok(something)
}

impl<'a> Inputs<'a> {
    /// Whether the client wants no timelines at all, and so cannot miss any of them.
    pub(super) fn wants_no_timeline(&self) -> bool {
        self.request.filter.room.timeline.events.limit == Some(0)
    }

    /// Messages of ignored users are not shown, their state events are (Client-Server API, "Ignoring users").
    pub(super) fn is_ignored(&self, event: &StoredEvent) -> bool {
        !event.is_state() && self.ignores(&event.header.sender)
    }

    /// Whether the user ignores another one.
    pub(super) fn ignores(&self, user_id: &UserId) -> bool {
        self.reader.ignored.contains(user_id)
    }

    /// What is unread in a joined room.
    pub(super) fn unread(&self, room: &Room, row: &UserRoom) -> Result<Unread, StorageError> {
        match self.unread.get(&room.num) {
            Some(unread) => Ok(unread.clone()),
            None => tally::count(self.context.read, (room, row), self.reader, Place::after(self.until)),
        }
    }

    pub(super) fn shown(&self, row: &UserRoom) -> Shown<'a> {
        let viewer = Viewer::with_row(&self.requester.user_id, Some(row.clone()));
        let filter = &self.request.filter;
        Shown::in_sync(viewer, self.requester, filter.event_format, filter.event_fields.as_ref())
    }
}

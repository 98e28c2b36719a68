//! Rooms as somebody sees them who is not in them, or not yet: summaries, and the children of spaces (Client-Server API,
//! "Spaces").

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::request::QueryContext;
use super::public_rooms;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::{HistoryVisibility, JoinRule, Membership, allowed_rooms};
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::limits::{MAX_ALIAS_SERVERS, MAX_SPACE_CHILDREN};
use crate::room::{Room, StoredEvent, history_visibility, membership, servers};
use crate::store::{Read, StorageError};

/// The summary of a room, without the children that a space has.
pub fn summary(context: &QueryContext<'_>, room: &Room) -> Result<Object, ApiError> {
    let read = context.read;
    let mut summary = match public_rooms::chunk(context, room)? {
        Value::Object(chunk) => chunk,
        _ => Object::new(),
    };
    summary.insert("room_version", room.info.version.as_str());
    if let Some(encryption) = room.current_content(read, "m.room.encryption", "")?
        && let Some(algorithm) = encryption.str("algorithm")
    {
        summary.insert("encryption", algorithm);
    }
    if let Some(rules) = room.current_content(read, "m.room.join_rules", "")?
        && is_restricted(room, JoinRule::of(&rules))
    {
        summary.insert("allowed_room_ids", allowed_rooms(&rules).map(Value::from).collect::<Vec<Value>>());
    }
    Ok(summary)
}

fn is_restricted(room: &Room, rule: Option<JoinRule>) -> bool {
    let rules = &room.info.version.rules().auth;
    match rule {
        Some(JoinRule::Restricted) => rules.restricted_joins,
        Some(JoinRule::KnockRestricted) => rules.knock_restricted_joins,
        _ => false,
    }
}

/// Who looks at a room from outside.
#[derive(Clone, Copy, Debug)]
pub enum Looker<'a> {
    User(&'a UserId),
    /// Any of its users.
    Server(&'a ServerName),
}

impl Looker<'_> {
    fn is_joined(self, read: &(impl Read + ?Sized), room: &Room) -> Result<bool, StorageError> {
        match self {
            Looker::User(user_id) => {
                Ok(membership::of(read, user_id, room.num)?.is_some_and(|row| row.membership == Membership::Join))
            }
            Looker::Server(server) => servers::is_in(read, room, server),
        }
    }

    fn is_invited(self, read: &(impl Read + ?Sized), room: &Room) -> Result<bool, StorageError> {
        match self {
            Looker::User(user_id) => {
                Ok(membership::of(read, user_id, room.num)?.is_some_and(|row| row.membership == Membership::Invite))
            }
            Looker::Server(_) if room.head.invited == 0 => Ok(false),
            Looker::Server(server) => {
                let mut invited = Ok(false);
                room.walk_state(read, room.head.state, Some("m.room.member"), &mut |index| {
                    invited = StoredEvent::expect(read, room.num, index).map(|event| {
                        let user_id = event.header.state_key.as_deref().unwrap_or_default();
                        user_id.split_once(':').is_some_and(|(_, name)| name == server.as_str())
                            && history_visibility::membership_in(&event) == Some(Membership::Invite)
                    });
                    if matches!(invited, Ok(false)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                invited
            }
        }
    }

    /// Whether the room may be shown: it is open to be read, joined or knocked on, or the looker is in it or invited (Client-Server
    /// API, `GET /rooms/{roomId}/hierarchy`).
    pub fn may_see(self, read: &(impl Read + ?Sized), room: &Room) -> Result<bool, StorageError> {
        if let Looker::User(user_id) = self
            && membership::of(read, user_id, room.num)?.is_some_and(|row| row.membership == Membership::Ban)
        {
            return Ok(false);
        }
        let rules = room.current_content(read, "m.room.join_rules", "")?.unwrap_or_default();
        let rule = JoinRule::of(&rules);
        let knocks = &room.info.version.rules().auth;
        match rule {
            Some(JoinRule::Public) => return Ok(true),
            Some(JoinRule::Knock) if knocks.knocking => return Ok(true),
            Some(JoinRule::KnockRestricted) if knocks.knock_restricted_joins => return Ok(true),
            _ => {}
        }
        if self.is_joined(read, room)?
            || history_visibility::at(read, room, room.head.state)? == HistoryVisibility::WorldReadable
            || self.is_invited(read, room)?
        {
            return Ok(true);
        }
        if is_restricted(room, rule) {
            for room_id in allowed_rooms(&rules) {
                if let Some(other) = Room::find(read, room_id)?
                    && self.is_joined(read, &other)?
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A child of a space: an `m.space.child` that says through which servers its room is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    pub room_id: RoomId,
    pub via: Vec<ServerName>,
    /// As stripped state with `origin_server_ts`, as answers have it.
    pub stripped: Object,
}

impl Child {
    /// Reads stripped state, which may come from another server; `None` if it makes no child.
    #[must_use]
    pub fn read(stripped: &Object) -> Option<Child> {
        let content = stripped.object("content")?;
        let via = content.array("via")?.iter().filter_map(|server| ServerName::parse(server.as_str()?).ok());
        let via: Vec<ServerName> = via.take(MAX_ALIAS_SERVERS).collect();
        let room_id = RoomId::parse(stripped.str("state_key")?).ok()?;
        if via.is_empty() || stripped.str("type") != Some("m.space.child") {
            return None;
        }
        let stripped = Object::new()
            .with("content", content.clone())
            .with("origin_server_ts", stripped.integer("origin_server_ts")?)
            .with("sender", stripped.str("sender")?)
            .with("state_key", &room_id)
            .with("type", "m.space.child");
        Some(Child { room_id, via, stripped })
    }

    fn suggested(&self) -> bool {
        self.stripped.object("content").and_then(|content| content.bool("suggested")) == Some(true)
    }

    /// Client-Server API, "Ordering of children within a space": by a valid `order`, then by age, then by room ID.
    fn sort_key(&self) -> (bool, String, i64, RoomId) {
        let order = self.stripped.object("content").and_then(|content| content.str("order"));
        let order = order.filter(|order| order.len() <= 50 && order.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
        let sent = self.stripped.integer("origin_server_ts").unwrap_or_default();
        (order.is_none(), String::from(order.unwrap_or_default()), sent, self.room_id.clone())
    }
}

/// Sorts children and keeps the first [`MAX_SPACE_CHILDREN`], or of those that are suggested.
pub fn in_order(mut children: Vec<Child>, suggested_only: bool) -> Vec<Child> {
    children.retain(|child| !suggested_only || child.suggested());
    children.sort_by_cached_key(Child::sort_key);
    children.truncate(MAX_SPACE_CHILDREN);
    children
}

/// The children of a room of this server; none unless it is a space.
pub fn children(context: &QueryContext<'_>, room: &Room, suggested_only: bool) -> Result<Vec<Child>, ApiError> {
    let create = room.current_content(context.read, "m.room.create", "")?.unwrap_or_default();
    if create.str("type") != Some("m.space") {
        return Ok(Vec::new());
    }
    let mut children = Vec::new();
    for event in room.state_events(context.read, room.head.state, Some("m.space.child"))? {
        let event = event.pdu(room.info.version)?;
        let stripped = Object::new()
            .with("content", event.content.clone())
            .with("origin_server_ts", event.timestamp())
            .with("sender", &event.sender)
            .with("state_key", event.state_key.as_deref().unwrap_or_default())
            .with("type", event.kind.as_str());
        children.extend(Child::read(&stripped));
    }
    Ok(in_order(children, suggested_only))
}

/// `children_state` as answers have it.
#[must_use]
pub fn children_state(children: &[Child]) -> Value {
    children.iter().map(|child| child.stripped.clone()).collect::<Vec<Object>>().into()
}

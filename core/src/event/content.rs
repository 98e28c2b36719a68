//! Contents of the state events that decide what may happen in a room, as far as the rules read them.
//!
//! Contents come from anybody: each read gives what the rules make of any JSON, never an error.

use serde::{Deserialize, Serialize};

use crate::canonical_json::{Object, Value};

/// `membership` of `m.room.member`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Membership {
    Invite,
    Join,
    Knock,
    Leave,
    Ban,
}

impl Membership {
    #[must_use]
    pub fn parse(text: &str) -> Option<Membership> {
        Some(match text {
            "invite" => Membership::Invite,
            "join" => Membership::Join,
            "knock" => Membership::Knock,
            "leave" => Membership::Leave,
            "ban" => Membership::Ban,
            _ => return None,
        })
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Membership::Invite => "invite",
            Membership::Join => "join",
            Membership::Knock => "knock",
            Membership::Leave => "leave",
            Membership::Ban => "ban",
        }
    }

    /// The membership that the content of an `m.room.member` gives, if the specification knows it.
    #[must_use]
    pub fn of(content: &Object) -> Option<Membership> {
        Membership::parse(content.str("membership")?)
    }
}

/// `join_rule` of `m.room.join_rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JoinRule {
    Public,
    Invite,
    Knock,
    Restricted,
    KnockRestricted,
    Private,
}

impl JoinRule {
    #[must_use]
    pub fn parse(text: &str) -> Option<JoinRule> {
        Some(match text {
            "public" => JoinRule::Public,
            "invite" => JoinRule::Invite,
            "knock" => JoinRule::Knock,
            "restricted" => JoinRule::Restricted,
            "knock_restricted" => JoinRule::KnockRestricted,
            "private" => JoinRule::Private,
            _ => return None,
        })
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            JoinRule::Public => "public",
            JoinRule::Invite => "invite",
            JoinRule::Knock => "knock",
            JoinRule::Restricted => "restricted",
            JoinRule::KnockRestricted => "knock_restricted",
            JoinRule::Private => "private",
        }
    }

    /// The join rule of the content of an `m.room.join_rules`, if the specification knows it.
    #[must_use]
    pub fn of(content: &Object) -> Option<JoinRule> {
        JoinRule::parse(content.str("join_rule")?)
    }
}

/// The rooms whose members may join, of the content of an `m.room.join_rules` (Client-Server API, "Restricted rooms").
/// Conditions of other kinds are passed over.
pub fn allowed_rooms(join_rules: &Object) -> impl Iterator<Item = &str> {
    join_rules
        .array("allow")
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_object)
        .filter(|condition| condition.str("type") == Some("m.room_membership"))
        .filter_map(|condition| condition.str("room_id"))
}

/// `history_visibility` of `m.room.history_visibility`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HistoryVisibility {
    Joined,
    Invited,
    Shared,
    WorldReadable,
}

impl HistoryVisibility {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            HistoryVisibility::Joined => "joined",
            HistoryVisibility::Invited => "invited",
            HistoryVisibility::Shared => "shared",
            HistoryVisibility::WorldReadable => "world_readable",
        }
    }

    /// The visibility that the content of an `m.room.history_visibility` gives: `shared` unless it is one that the
    /// specification knows (Client-Server API, "Room history visibility").
    #[must_use]
    pub fn of(content: Option<&Object>) -> HistoryVisibility {
        match content.and_then(|content| content.str("history_visibility")) {
            Some("joined") => HistoryVisibility::Joined,
            Some("invited") => HistoryVisibility::Invited,
            Some("world_readable") => HistoryVisibility::WorldReadable,
            _ => HistoryVisibility::Shared,
        }
    }
}

/// Whether the content of an `m.room.guest_access` lets guests join (Client-Server API, "Guest access").
#[must_use]
pub fn guests_can_join(content: Option<&Object>) -> bool {
    content.and_then(|content| content.str("guest_access")) == Some("can_join")
}

/// Reads of the content of an `m.room.create`.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a>(pub &'a Object);

impl<'a> Create<'a> {
    /// `creator`, which versions 1 to 10 have.
    #[must_use]
    pub fn creator(self) -> Option<&'a str> {
        self.0.str("creator")
    }

    /// `additional_creators`, which version 12 has.
    pub fn additional_creators(self) -> impl Iterator<Item = &'a str> {
        self.0.array("additional_creators").unwrap_or_default().iter().filter_map(Value::as_str)
    }

    /// `m.federate`: whether users of other servers may take part.
    #[must_use]
    pub fn federates(self) -> bool {
        self.0.bool("m.federate") != Some(false)
    }

    /// `room_version`, whose default is `1`. `None` if it is not a string.
    #[must_use]
    pub fn room_version(self) -> Option<&'a str> {
        match self.0.get("room_version") {
            None => Some("1"),
            Some(version) => version.as_str(),
        }
    }

    /// `type`: `m.space` for one.
    #[must_use]
    pub fn room_type(self) -> Option<&'a str> {
        self.0.str("type")
    }

    /// The room that this one replaces.
    #[must_use]
    pub fn predecessor(self) -> Option<&'a str> {
        self.0.object("predecessor")?.str("room_id")
    }
}

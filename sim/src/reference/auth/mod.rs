//! The authorization rules, as the pages of the room versions have them ("Authorisation rules"): each list a function, each rule
//! a line, in the order of the page, so that the number of a rule is its place. Quoted is version 1, and what was added later
//! with the version that added it.
//!
//! Nothing here knows core's `auth_rules`; the format of events, identifiers and signatures are core's.

mod create;
mod levels;
mod list;
mod member;
mod page;
mod power_levels;
mod selection;
mod third_party_invite;

#[cfg(test)]
mod tests;

use orrery_core::event::Pdu;
use orrery_core::room_version::RoomVersion;
use std::ops::ControlFlow;

pub use levels::{Levels, Power};
pub use list::Decision;
use list::{List, Ruling};
use page::Page;
pub use selection::selection;

/// An event that another one cites as an auth event, or as its room.
#[derive(Clone, Copy, Debug)]
pub struct Cited<'a> {
    pub event: &'a Pdu,
    /// It was rejected "under the checks performed on receipt of a PDU".
    pub rejected: bool,
}

/// A room state, or enough of it: the event with a type and a state key.
pub type StateOf<'a> = dyn Fn(&str, &str) -> Option<&'a Pdu> + 'a;

/// What the rules are asked.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub version: RoomVersion,
    /// Whether this is allowed,
    pub event: &'a Pdu,
    /// citing these (`None`: its auth events were considered before, and do not depend on the state),
    pub auth_events: Option<&'a [Cited<'a>]>,
    /// in the room of this `m.room.create`: in version 12 the one that the room ID names, before that the one in the state,
    pub create: Option<Cited<'a>>,
    /// in this state,
    pub state: &'a StateOf<'a>,
    /// if these servers have signed it.
    pub is_signed_by: &'a dyn Fn(&str) -> bool,
}

/// Judges an event.
#[must_use]
pub fn judge(asked: &Asked<'_>) -> Decision {
    match asked.rules() {
        ControlFlow::Break(decision) => decision,
        ControlFlow::Continue(()) => unreachable!("the last rule decides"),
    }
}

impl<'a> Asked<'a> {
    fn rules(&self) -> Ruling {
        let (page, event) = (self.page(), self.event);
        let is = |kind: &str| event.kind == kind;
        let mut list = List::new();
        // "If type is `m.room.create`:"
        list.section(is("m.room.create"), || self.create_rules())?;
        if page.room_id_names_create() {
            // Added in version 12: "If the event's `room_id` is not an event ID for an accepted (not rejected) `m.room.create`
            // event, with the sigil `!` instead of `$`, reject."
            list.reject_if(!self.create.is_some_and(|create| self.is_room_of(create)))?;
        }
        // "Considering the event's `auth_events`:"
        list.section(self.auth_events.is_some(), || self.auth_event_rules())?;
        // "If the `content` of the `m.room.create` event in the room state has the property `m.federate` set to `false`, and the
        // `sender` domain of the event does not match the `sender` domain of the create event, reject." A state without one is no
        // room's.
        list.reject_if(self.create.is_none_or(|create| self.is_kept_out_by(create.event)))?;
        if page.has_aliases_rule() {
            // "If type is `m.room.aliases`:"
            list.section(is("m.room.aliases"), || self.aliases_rules())?;
        }
        // "If type is `m.room.member`:"
        list.section(is("m.room.member"), || self.member_rules())?;
        // "If the `sender`'s current membership state is not `join`, reject."
        list.reject_if(self.membership(&event.sender) != "join")?;
        // "If type is `m.room.third_party_invite`:"
        list.section(is("m.room.third_party_invite"), || {
            let mut list = List::new();
            // "Allow if and only if `sender`'s current power level is greater than or equal to the *invite level*."
            list.allow_only_if(true, || self.levels().reaches(&event.sender, self.levels().field("invite")))
        })?;
        // "If the event type's *required power level* is greater than the `sender`'s power level, reject."
        list.reject_if(!self.levels().reaches(&event.sender, self.levels().required(event)))?;
        // "If the event has a `state_key` that starts with an `@` and does not match the `sender`, reject."
        let state_key = event.state_key.as_deref().unwrap_or_default();
        list.reject_if(state_key.starts_with('@') && state_key != event.sender.as_str())?;
        // "If type is `m.room.power_levels`:"
        list.section(is("m.room.power_levels"), || self.power_levels_rules())?;
        if page.has_redaction_rule() {
            // "If type is `m.room.redaction`:"
            list.section(is("m.room.redaction"), || self.redaction_rules())?;
        }
        list.otherwise_allow()
    }

    /// Up to version 5, rule 4.
    fn aliases_rules(&self) -> Ruling {
        let mut list = List::new();
        // "If event has no `state_key`, reject."
        list.reject_if(self.event.state_key.is_none())?;
        // "If sender's domain doesn't match `state_key`, reject."
        list.reject_if(self.event.state_key.as_deref() != Some(self.event.sender.server_str()))?;
        list.otherwise_allow()
    }

    /// Versions 1 and 2, rule 11.
    fn redaction_rules(&self) -> Ruling {
        let event = self.event;
        let mut list = List::new();
        // "If the `sender`'s power level is greater than or equal to the *redact level*, allow."
        list.allow_if(self.levels().reaches(&event.sender, self.levels().field("redact")))?;
        // "If the domain of the `event_id` of the event being redacted is the same as the domain of the `event_id` of the
        // `m.room.redaction`, allow."
        let domain = |id: &str| Some(id.split_once(':')?.1.to_owned());
        let of_redacted = event.redacts.as_ref().and_then(|id| domain(id));
        list.allow_if(of_redacted.is_some() && of_redacted == domain(&event.event_id))?;
        list.otherwise_reject()
    }

    fn page(&self) -> Page {
        Page(self.version)
    }

    /// Whether a create event is the one that the room ID names.
    fn is_room_of(&self, create: Cited<'_>) -> bool {
        let is_named = create.event.event_id.strip_prefix('$') == self.event.room_id.strip_prefix('!');
        !create.rejected && create.event.kind == "m.room.create" && is_named
    }

    fn is_kept_out_by(&self, create: &Pdu) -> bool {
        let elsewhere = create.sender.server_str() != self.event.sender.server_str();
        create.content.bool("m.federate") == Some(false) && elsewhere
    }

    /// The membership of a user in the state. Whoever has none was never there, or is there no more.
    fn membership(&self, user: &str) -> &'a str {
        let member = (self.state)("m.room.member", user);
        member.map_or("leave", |member| member.content.str("membership").unwrap_or_default())
    }

    /// The power levels in the state.
    fn levels(&self) -> Levels<'a> {
        let create = self.create.map(|create| create.event);
        Levels::new(self.version, create, (self.state)("m.room.power_levels", ""))
    }
}

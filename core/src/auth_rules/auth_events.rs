//! The rules on the auth events that an event cites: rule 2, and 3 in version 12.

use super::rule::{Rule, RuleId};
use super::select_auth_events::select_auth_events;
use super::verdict::Verdict;
use crate::event::Pdu;
use crate::room_version::RoomVersionRules;

/// An event that another one cites, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct CitedEvent<'a> {
    pub event: &'a Pdu,
    /// It was itself rejected.
    pub rejected: bool,
}

/// Judges `event` on its auth events, without regard to any state. A create event has none to judge.
///
/// `auth_events` are those that `event` cites, all of them. `create` is the create event that the room ID names, if the server
/// has it; it counts in versions whose room IDs are made of it.
pub fn check_auth_events(
    rules: &'static RoomVersionRules,
    event: &Pdu,
    auth_events: &[CitedEvent<'_>],
    create: Option<CitedEvent<'_>>,
) -> Result<(), Verdict> {
    if event.kind == "m.room.create" {
        return Ok(());
    }
    let reject = |rule: Rule| Verdict {
        allowed: false,
        rule: RuleId::new(rules, rule),
        inputs: auth_events.iter().map(|cited| cited.event.event_id.clone()).collect(),
    };
    let accepted = |cited: CitedEvent<'_>| {
        !cited.rejected && cited.event.kind == "m.room.create" && cited.event.names_room(&event.room_id)
    };
    if !rules.auth.create_is_auth_event && !create.is_some_and(accepted) {
        return Err(reject(Rule::RoomIdNamesNoCreate));
    }
    for (i, cited) in auth_events.iter().enumerate() {
        let duplicate = |other: &CitedEvent<'_>| {
            other.event.kind == cited.event.kind && other.event.state_key == cited.event.state_key
        };
        if auth_events[..i].iter().any(duplicate) {
            return Err(reject(Rule::AuthEventsDuplicate));
        }
    }
    let selected = select_auth_events(rules, &event.kind, event.state_key.as_deref(), &event.sender, &event.content);
    let unexpected =
        |cited: &CitedEvent<'_>| !selected.iter().any(|(kind, state_key)| cited.event.is_state_of(kind, state_key));
    if auth_events.iter().any(unexpected) {
        return Err(reject(Rule::AuthEventsUnexpected));
    }
    if auth_events.iter().any(|cited| cited.rejected) {
        return Err(reject(Rule::AuthEventsRejected));
    }
    if rules.auth.create_is_auth_event && !auth_events.iter().any(|cited| cited.event.is_state_of("m.room.create", ""))
    {
        return Err(reject(Rule::AuthEventsNoCreate));
    }
    if auth_events.iter().any(|cited| cited.event.room_id != event.room_id) {
        return Err(reject(Rule::AuthEventsOtherRoom));
    }
    Ok(())
}

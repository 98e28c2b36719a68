//! The oracle: the same events in `ruma`'s types.

use std::collections::BTreeSet;

use orrery_core::auth_rules::CitedEvent;
use orrery_core::event::Pdu;
use orrery_core::room_version::RoomVersion;
use orrery_oracles::ruma_event::{RumaEvent, ruma_id};
use ruma_common::room_version_rules::RoomVersionRules;
use ruma_common::{EventId, RoomVersionId};
use ruma_events::{StateEventType, TimelineEventType};
use ruma_state_res::{auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules};

pub fn rules(version: RoomVersion) -> RoomVersionRules {
    RoomVersionId::try_from(version.as_str()).unwrap().rules().unwrap()
}

/// The rules that depend on state.
pub fn on_state(rules: &RoomVersionRules, state: &[RumaEvent], event: &Pdu) -> Result<(), String> {
    let state = |kind: &StateEventType, state_key: &str| {
        let kind = TimelineEventType::from(kind.clone());
        state.iter().find(|event| event.kind == kind && event.state_key.as_deref() == Some(state_key))
    };
    check_state_dependent_auth_rules(&rules.authorization, RumaEvent::of(event), state)
}

/// The rules that do not: on the create event and on auth events.
pub fn on_auth_events(
    rules: &RoomVersionRules,
    event: &Pdu,
    cited: &[CitedEvent<'_>],
    create: CitedEvent<'_>,
) -> Result<(), String> {
    let fetch = |wanted: &EventId| {
        let all = cited.iter().chain([&create]);
        let found = all.into_iter().find(|cited| cited.event.event_id.as_str() == wanted.as_str())?;
        Some(RumaEvent { rejected: found.rejected, ..RumaEvent::of(found.event) })
    };
    let auth_events = cited.iter().map(|cited| ruma_id(&cited.event.event_id)).collect();
    let event = RumaEvent { auth_events, ..RumaEvent::of(event) };
    check_state_independent_auth_rules(&rules.authorization, event, fetch)
}

/// The selected auth events. `None` where `ruma` refuses to select because the rules reject the event anyway.
pub fn selection(rules: &RoomVersionRules, event: &Pdu) -> Option<BTreeSet<(String, String)>> {
    let event = RumaEvent::of(event);
    let selected = auth_types_for_event(
        &event.kind,
        &event.sender,
        event.state_key.as_deref(),
        &event.content,
        &rules.authorization,
    );
    Some(selected.ok()?.into_iter().map(|(kind, state_key)| (kind.to_string(), state_key)).collect())
}

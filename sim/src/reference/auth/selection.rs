//! The rules on the auth events that an event cites, and which ones those should be.

use orrery_core::event::Pdu;
use orrery_core::room_version::RoomVersion;

use super::Asked;
use super::list::{List, Ruling};
use super::page::Page;

impl Asked<'_> {
    /// Rule 2, and 3 in version 12.
    pub(super) fn auth_event_rules(&self) -> Ruling {
        let entries = self.auth_events.unwrap_or_default();
        let key = |event: &Pdu| (event.kind.clone(), event.state_key.clone());
        let mut list = List::new();
        // "If there are duplicate entries for a given `type` and `state_key` pair, reject."
        let of_key = |wanted: &Pdu| entries.iter().filter(|entry| key(entry.event) == key(wanted)).count();
        list.reject_if(entries.iter().any(|entry| of_key(entry.event) > 1))?;
        // "If there are entries whose `type` and `state_key` don't match those specified by the auth events selection algorithm
        // described in the server specification, reject."
        let selected = selection(self.version, self.event);
        let is_selected = |event: &Pdu| selected.iter().any(|(kind, state_key)| event.is_state_of(kind, state_key));
        list.reject_if(entries.iter().any(|entry| !is_selected(entry.event)))?;
        // "If there are entries which were themselves rejected under the checks performed on receipt of a PDU, reject."
        list.reject_if(entries.iter().any(|entry| entry.rejected))?;
        if !self.page().room_id_names_create() {
            // "If there is no `m.room.create` event among the entries, reject."
            list.reject_if(!entries.iter().any(|entry| entry.event.kind == "m.room.create"))?;
        }
        // "If any event in `auth_events` has a `room_id` which does not match that of the event being authorised, reject."
        list.reject_if(entries.iter().any(|entry| entry.event.room_id != self.event.room_id))
    }
}

/// Server-Server API, "Auth events selection": of which types and state keys they are.
#[must_use]
pub fn selection(version: RoomVersion, event: &Pdu) -> Vec<(String, String)> {
    let page = Page(version);
    let (kind, content) = (event.kind.as_str(), &event.content);
    let mut selected: Vec<(&str, &str)> = Vec::new();
    // "The `auth_events` for the `m.room.create` event in a room is empty; for other events, it should be the following subset of
    // the room state:"
    if kind == "m.room.create" {
        return Vec::new();
    }
    // "Depending on the room version, the `m.room.create` event."
    if !page.room_id_names_create() {
        selected.push(("m.room.create", ""));
    }
    // "The current `m.room.power_levels` event, if any."
    selected.push(("m.room.power_levels", ""));
    // "The sender's current `m.room.member` event, if any."
    selected.push(("m.room.member", &event.sender));
    // "If type is `m.room.member`:"
    if kind == "m.room.member" {
        let membership = content.str("membership").unwrap_or_default();
        // "The target's current `m.room.member` event, if any."
        selected.extend(event.state_key.as_deref().map(|target| ("m.room.member", target)));
        // "If `membership` is `join`, `invite` or `knock`, the current `m.room.join_rules` event, if any."
        if ["join", "invite", "knock"].contains(&membership) {
            selected.push(("m.room.join_rules", ""));
        }
        // "If membership is `invite` and `content` contains a `third_party_invite` property, the current
        // `m.room.third_party_invite` event with `state_key` matching `content.third_party_invite.signed.token`, if any."
        let signed = content.object("third_party_invite").and_then(|invite| invite.object("signed"));
        if membership == "invite" {
            let token = signed.and_then(|signed| signed.str("token"));
            selected.extend(token.map(|token| ("m.room.third_party_invite", token)));
        }
        // "If `membership` is `join`, `content.join_authorised_via_users_server` is present, and the room version supports
        // restricted rooms, then the `m.room.member` event with `state_key` matching
        // `content.join_authorised_via_users_server`."
        if membership == "join" && page.has_restricted_joins() {
            let authoriser = content.str("join_authorised_via_users_server");
            selected.extend(authoriser.map(|user| ("m.room.member", user)));
        }
    }
    selected.sort_unstable();
    selected.dedup();
    selected.into_iter().map(|(kind, state_key)| (kind.to_owned(), state_key.to_owned())).collect()
}

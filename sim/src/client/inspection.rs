//! Inspection: all of a room as one user can read it, piece by piece, compared with what syncs told.

use std::collections::BTreeMap;

use orrery_core::canonical_json::Object;

use super::Device;
use super::call::Call;
use super::view::{RoomView, list};
use crate::checkers::summary;
use crate::failure::Failure;
use crate::path;

/// How many gaps of a room are looked into.
const GAPS: usize = 4;

impl Device {
    /// All of a room that `/messages` shows, oldest first; both directions must agree.
    pub async fn all_messages(&self, room: &str) -> Option<Vec<Object>> {
        let mut backwards = self.pages(room, "b").await?;
        backwards.reverse();
        let forwards = self.pages(room, "f").await?;
        if ids(&backwards) != ids(&forwards) {
            let (back, forth) = (ids(&backwards), ids(&forwards));
            self.complain("order", &format!("/messages of {room}: backwards {back:?}, forwards {forth:?}"));
        }
        Some(backwards)
    }

    async fn pages(&self, room: &str, direction: &str) -> Option<Vec<Object>> {
        let mut events = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let limit = self.draw.borrow_mut().between(1, 60);
            let page = self.page(room, direction, from.as_deref(), limit).await?;
            events.extend(list(&page, "chunk").cloned());
            match page.str("end") {
                // The end of the history has no end token; a token that leads nowhere would be asked for for ever.
                Some(end) if from.as_deref() != Some(end) => from = Some(end.to_owned()),
                _ => return Some(events),
            }
        }
    }

    async fn page(&self, room: &str, direction: &str, from: Option<&str>, limit: u64) -> Option<Object> {
        let mut call =
            Call::get(path!["rooms", room, "messages"]).query("dir", direction).query("limit", limit.to_string());
        if let Some(from) = from {
            call = call.query("from", from);
        }
        let reply = self.call(call).await;
        reply.ok().then_some(reply.body)
    }

    /// Before each piece of the timeline `prev_batch` leads to what was before, however old the token is; and the end of
    /// the stream is a place in the timeline, too.
    pub async fn look_before_gaps(&self, room: &str, view: &RoomView, full: &[String]) {
        let pieces = view.segments.iter().rev().filter(|segment| !segment.events.is_empty()).take(GAPS);
        for segment in pieces {
            let (first, token) = (&segment.events[0], &segment.prev_batch);
            let Some((shown, expected)) = self.look_before(room, (first, token), full).await else { continue };
            if shown == expected {
                continue;
            }
            // A page fills the gaps that it comes to from other servers. One that nobody could fill before (the only server that could
            // was away, or lied) may be filled by now: then the room was read too early.
            if self.federated
                && let Some(events) = self.all_messages(room).await
                && let Some((shown, expected)) = self.look_before(room, (first, token), &ids(&events)).await
                && shown == expected
            {
                continue;
            }
            let evidence =
                format!("before {first} of {room} prev_batch {token} leads to {shown:?}, and there was {expected:?}");
            self.complain("sync", &evidence);
        }
    }

    /// What `token` leads to, and what there is before the event `first`.
    async fn look_before(
        &self,
        room: &str,
        (first, token): (&String, &str),
        full: &[String],
    ) -> Option<(Vec<String>, Vec<String>)> {
        let first = full.iter().position(|id| id == first)?;
        let limit = self.draw.borrow_mut().between(1, 5);
        let page = self.page(room, "b", Some(token), limit).await?;
        let events: Vec<Object> = list(&page, "chunk").cloned().collect();
        let shown = ids(&events);
        let expected = full[..first].iter().rev().take(shown.len().max(1)).cloned().collect();
        Some((shown, expected))
    }

    /// Everyone who is in the room, by each way to ask.
    pub async fn look_at_members(&self, room: &str, fresh: &RoomView) {
        let joined = self.call(Call::get(path!["rooms", room, "joined_members"])).await;
        let state = self.call(Call::get(path!["rooms", room, "members"])).await;
        let (Some(joined), true) = (joined.body.object("joined").filter(|_| joined.ok()), state.ok()) else { return };
        let members: BTreeMap<String, String> = list(&state.body, "chunk")
            .filter_map(|event| {
                Some((event.str("state_key")?.to_owned(), event.object("content")?.str("membership")?.to_owned()))
            })
            .collect();
        let by_state = members.iter().filter(|(_, membership)| *membership == "join").map(|(user, _)| user.as_str());
        let (mut by_state, by_map): (Vec<&str>, Vec<&str>) =
            (by_state.collect(), joined.iter().map(|(id, _)| id).collect());
        by_state.sort_unstable();
        let counted = fresh.counts.get("m.joined_member_count").copied();
        let count = i64::try_from(by_map.len()).ok();
        if by_state != by_map || (counted.is_some() && counted != count) {
            let evidence = format!("members of {room}: {by_map:?}, by state {by_state:?}, in the summary {counted:?}");
            self.complain("sync", &evidence);
        }
        let named = self.is_named(room).await;
        self.hub.check(summary::check((&self.who(), &self.user_id()), room, &members, named, fresh));
    }

    /// Whether the room has a name, or an alias to be called by.
    async fn is_named(&self, room: &str) -> bool {
        for (kind, member) in [("m.room.name", "name"), ("m.room.canonical_alias", "alias")] {
            let reply = self.call(Call::get(path!["rooms", room, "state", kind])).await;
            if reply.ok() && reply.body.str(member).is_some_and(|text| !text.is_empty()) {
                return true;
            }
        }
        false
    }

    /// The user's profile is repeated in every room.
    pub async fn look_at_profile(&self, room: &str) {
        let user_id = self.user_id();
        let profile = self.call(Call::get(path!["profile", user_id.as_str(), "displayname"])).await;
        let path = path!["rooms", room, "state", "m.room.member", user_id];
        let member = self.call(Call::get(path.clone())).await;
        let (by_profile, by_room) = (profile.body.str("displayname"), member.body.str("displayname"));
        if !member.ok() || profile.unrecognized() || by_profile == by_room {
            return;
        }
        // Some rooms do not let their members join again (join rules that their version does not know), or did not at that time.
        let rules = Call::get(path!["rooms", room, "state", "m.room.join_rules", ""]).query("format", "event");
        let rules = self.call(rules).await;
        if rules.body.object("unsigned").is_some_and(|unsigned| unsigned.get("replaces_state").is_some()) {
            return;
        }
        let body = Object::new().with("membership", "join").with("displayname", by_profile.unwrap_or_default());
        if self.call(Call::put(path, body)).await.ok() {
            let evidence = format!("the profile says {by_profile:?}, the membership of {room} {by_room:?}");
            self.complain("durability", &evidence);
        }
    }

    fn complain(&self, checker: &'static str, evidence: &str) {
        self.hub.fail(Failure::safety(checker, format!("{}: {evidence}", self.who())));
    }
}

/// The event IDs of a page.
#[must_use]
pub fn ids(events: &[Object]) -> Vec<String> {
    events.iter().filter_map(|event| event.str("event_id")).map(str::to_owned).collect()
}

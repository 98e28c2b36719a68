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

    /// A timeline that says nothing but that it was cut leaves out state that lost against other state (a client would take it for
    /// what is), and leads to it.
    pub async fn look_at_the_end(&self, room: &str, view: &RoomView, full: &[String]) {
        let Some(gap) = view.segments.last().filter(|_| view.joined && view.ends_in_a_gap()) else { return };
        let Some(page) = self.page(room, "b", Some(&gap.prev_batch), 1).await else { return };
        let newest = list(&page, "chunk").next();
        let lost = newest.filter(|event| {
            let key = (event.str("type").unwrap_or_default(), event.str("state_key"));
            let is = |key: (&str, &str)| view.state.get(&(key.0.to_owned(), key.1.to_owned())).map(String::as_str);
            key.1.is_some_and(|state_key| is((key.0, state_key)) != event.str("event_id"))
        });
        if lost.is_none() || newest.and_then(|event| event.str("event_id")) != full.last().map(String::as_str) {
            let evidence = format!("{room} ends in a gap, before which is {newest:?}; the last is {:?}", full.last());
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

    /// Everyone who is in the room, by each way to ask. `views` are what increments and a fresh start have told.
    pub async fn look_at_members(&self, room: &str, views: &[&RoomView]) {
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
        if by_state != by_map {
            let evidence = format!("members of {room}: {by_map:?}, by state {by_state:?}");
            self.complain("sync", &evidence);
        }
        for view in views {
            self.hub.check(summary::check((&self.who(), &self.user_id()), room, &members, view));
        }
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

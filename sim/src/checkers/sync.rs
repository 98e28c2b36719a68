//! Sync streams: no event is left out and none comes twice, tokens never go backwards, and what has been put together from
//! increments is what a fresh start would give.

use orrery_core::canonical_json::Object;
use orrery_core::client::token::StreamToken;

use crate::checkers::ledger::Sent;
use crate::client::view::{RoomView, View, list, members};
use crate::clock::{Span, Time};
use crate::failure::Failure;

const CHECKER: &str = "sync";

fn fail(evidence: String) -> Result<(), Failure> {
    Err(Failure::safety(CHECKER, evidence))
}

/// Whether `answer` may follow on `view`; called before the view takes it in.
pub fn check_answer(view: &View, answer: &Object, limit: u64) -> Result<(), Failure> {
    let Some(next) = answer.str("next_batch") else { return fail("an answer without next_batch".to_owned()) };
    check_token(view.since.as_deref(), next)?;
    let empty = Object::new();
    let rooms = answer.object("rooms").unwrap_or(&empty);
    for (section, joined) in [("join", true), ("leave", false)] {
        for (id, room) in members(rooms, section) {
            check_timeline(id, view.rooms.get(id), room, joined, limit)?;
        }
    }
    Ok(())
}

/// Tokens never go backwards, neither in the stream nor in the lives of the server.
fn check_token(since: Option<&str>, next: &str) -> Result<(), Failure> {
    let Some(next_token) = StreamToken::parse(next) else { return fail(format!("next_batch {next} is no token")) };
    let Some(since_token) = since.and_then(StreamToken::parse) else { return Ok(()) };
    let order = |token: StreamToken| (token.position, token.ephemeral.boot);
    if order(next_token) < order(since_token) {
        return fail(format!("next_batch {next} is before since {}", since.unwrap_or_default()));
    }
    Ok(())
}

fn check_timeline(id: &str, view: Option<&RoomView>, room: &Object, joined: bool, limit: u64) -> Result<(), Failure> {
    let empty = Object::new();
    let timeline = room.object("timeline").unwrap_or(&empty);
    let events = list(timeline, "events");
    if joined && !timeline.contains("prev_batch") && events.clone().next().is_some() {
        return fail(format!("room {id} has a timeline without prev_batch"));
    }
    if events.clone().count() as u64 > limit {
        return fail(format!("room {id} has more events than the filter's limit of {limit}"));
    }
    let starts_anew = view.is_none_or(|view| !view.joined);
    let mut ids = std::collections::BTreeSet::new();
    for event in events {
        for name in ["event_id", "sender", "type", "origin_server_ts", "content"] {
            if !event.contains(name) {
                return fail(format!("an event in room {id} has no {name}: {event:?}"));
            }
        }
        let event_id = event.str("event_id").unwrap_or_default();
        let repeated = !starts_anew && view.is_some_and(|view| view.seen.contains(event_id));
        if repeated || !ids.insert(event_id) {
            return fail(format!("event {event_id} of room {id} came twice"));
        }
    }
    Ok(())
}

/// A poll that was waiting when an event was acknowledged answers soon, and not only when its time is over.
pub fn check_awake(who: &str, sent: &Sent, began: Time, came: Time, wake_up: Span) -> Result<(), Failure> {
    match sent.acknowledged {
        Some(acknowledged) if acknowledged > began + wake_up && came > acknowledged + wake_up => {
            let evidence = format!(
                "{who} polled from {began} to {came} and slept through {:?}, which was acknowledged at {acknowledged}",
                sent.event_id
            );
            Err(Failure::liveness(CHECKER, evidence))
        }
        _ => Ok(()),
    }
}

/// What a device put together against a fresh start of the same device. `between_servers`: there are others, with which states are
/// resolved.
pub fn check_fresh(
    who: &str,
    (view, fresh): (&View, &View),
    lazy_members: bool,
    between_servers: bool,
) -> Result<(), Failure> {
    let same = |what: &str, mine: &dyn std::fmt::Debug, theirs: &dyn std::fmt::Debug| {
        let (mine, theirs) = (format!("{mine:?}"), format!("{theirs:?}"));
        if mine == theirs {
            return Ok(());
        }
        fail(format!("{who}: {what}: from increments {mine}, from a fresh start {theirs}"))
    };
    let ids = |view: &View| view.joined().map(|(id, _)| id.to_owned()).collect::<Vec<_>>();
    same("joined rooms", &ids(view), &ids(fresh))?;
    same("invites", &view.invites, &fresh.invites)?;
    same("knocks", &view.knocks, &fresh.knocks)?;
    same("account data", &readable(&view.account_data), &readable(&fresh.account_data))?;
    for ((id, mine), (_, theirs)) in view.joined().zip(fresh.joined()) {
        let what = |what: &str| format!("{what} of {id}");
        same(&what("account data"), &readable(&mine.account_data), &readable(&theirs.account_data))?;
        same(&what("receipts"), &mine.receipts, &theirs.receipts)?;
        same(&what("typing"), &mine.typing, &theirs.typing)?;
        same(&what("member counts"), &mine.counts, &theirs.counts)?;
        let state = |room: &RoomView| {
            let is_member = |kind: &str| lazy_members && kind == "m.room.member";
            let mut state = room.state.clone();
            state.retain(|(kind, _), _| !is_member(kind));
            state
        };
        let by_timeline = |event_id: &String| between_servers && theirs.by_timeline.contains(event_id);
        check_state(who, id, (&state(mine), &state(theirs)), between_servers, &by_timeline)?;
    }
    Ok(())
}

type State = std::collections::BTreeMap<(String, String), String>;

fn check_state(
    who: &str,
    room: &str,
    (mine, theirs): (&State, &State),
    between_servers: bool,
    by_timeline: &dyn Fn(&String) -> bool,
) -> Result<(), Failure> {
    for key in mine.keys().chain(theirs.keys()) {
        let (mine, theirs) = (mine.get(key), theirs.get(key));
        // No sync can say that state resolution has taken a key away without another event in its place.
        let taken_away = between_servers && theirs.is_none();
        // Nor does a timeline say which of its state events have lost against others: whoever takes each for the state, as one must
        // without `state_after`, is misled by one that has since come into a gap there. That it is in the timeline of both is checked
        // elsewhere.
        let misled = theirs.is_some_and(by_timeline);
        if mine != theirs && !taken_away && !misled {
            return fail(format!(
                "{who}: state {key:?} of {room}: from increments {mine:?}, from a fresh start {theirs:?}"
            ));
        }
    }
    Ok(())
}

fn readable(data: &std::collections::BTreeMap<String, Vec<u8>>) -> Vec<(&str, String)> {
    data.iter().map(|(kind, content)| (kind.as_str(), String::from_utf8_lossy(content).into_owned())).collect()
}

/// The device's pieces of a timeline against all of it, as `/messages` gives it to the same user: between two events that
/// came without a gap between them there is nothing, and at the end nothing is missing.
pub fn check_no_gap(who: &str, room: &str, view: &RoomView, full: &[String]) -> Result<(), Failure> {
    let at = |id: &String| full.iter().position(|other| other == id);
    for segment in &view.segments {
        for pair in segment.events.windows(2) {
            let (Some(a), Some(b)) = (at(&pair[0]), at(&pair[1])) else {
                return fail(format!("{who} was shown {pair:?} in {room}, and /messages does not have both"));
            };
            if b <= a {
                return fail(format!(
                    "{who} was shown {} before {} in {room}, and they are the other way round",
                    pair[0], pair[1]
                ));
            }
            if b != a + 1 {
                return fail(format!("{who} was not shown {:?} in {room}", &full[a + 1..b]));
            }
        }
    }
    // Where the newest piece is empty, what is before it is asked for.
    let last = view.segments.last().and_then(|segment| segment.events.last());
    if view.joined && !view.ends_in_a_gap() && last != full.last() {
        return fail(format!("{who} was shown {last:?} last in {room}, and the last is {:?}", full.last()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

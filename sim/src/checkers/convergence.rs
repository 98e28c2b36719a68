//! Convergence: once the world is healed and everyone has heard of everything, servers that share a room agree about its
//! current state and its forward extremities.
//!
//! With Byzantine servers around this is asked of the honest ones, and of two of them only if one has the other in the room: whoever
//! came into it by way of a liar may know nobody else. What a server tells of a room's state, at a join or after a gap, is hearsay
//! that nobody can check; rooms about which somebody lied in this way are left out.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::event::content::Membership;
use orrery_core::identifiers::EventId;
use orrery_core::room::{Room, Standing, StoredEvent, explain};
use orrery_core::store::{Read, StorageError};

use super::{parting, sharing};
use crate::failure::Failure;
use crate::glance::rooms_of;
use crate::server::Server;
use crate::storage::SimStorage;
use crate::world::server_name;

const CHECKER: &str = "convergence";

/// What one server thinks of a room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opinion {
    /// Event IDs by type and state key.
    pub state: BTreeMap<(String, String), String>,
    extremities: BTreeSet<String>,
    /// The joins that the state has: the user's server and the event.
    pub joins: Vec<(String, String)>,
}

impl Opinion {
    /// The joins of a server's users.
    pub fn joins_of(&self, server: u32) -> Vec<&str> {
        let name = server_name(server);
        self.joins.iter().filter(|(of, _)| *of == name).map(|(_, event_id)| event_id.as_str()).collect()
    }

    /// Whether another server has soft-failed all that was said last.
    pub fn is_unheard_by(&self, other: &Side<'_>, room: &str) -> Result<bool, StorageError> {
        for event_id in &self.extremities {
            if !is_soft_failed(other, room, event_id)? {
                return Ok(false);
            }
        }
        Ok(!self.extremities.is_empty())
    }
}

/// One of two servers that are compared.
#[derive(Debug)]
pub(super) struct Side<'o> {
    pub number: u32,
    pub read: SimStorage,
    pub opinion: &'o Opinion,
    /// It came back with a backup, and does not know everything that it knew.
    pub has_lost: bool,
}

/// `hearsay`: rooms about whose state somebody told lies that nobody can check. `heard`: the servers and rooms in which somebody of the
/// server could say something. Where nobody may, nothing ties loose ends together, and who left unheard is never heard of.
pub fn check(servers: &[Server], hearsay: &BTreeSet<String>, heard: &BTreeSet<(u32, String)>) -> Result<(), Failure> {
    if servers.len() < 2 {
        return Ok(());
    }
    let mut rooms: BTreeMap<String, Vec<(u32, Opinion)>> = BTreeMap::new();
    for (number, server) in (0u32..).zip(servers).filter(|(_, server)| server.liar.is_none()) {
        let opinions = opinions(&server.disk().durable(), number);
        let opinions =
            opinions.map_err(|error| Failure::safety(CHECKER, format!("server {number} cannot be read: {error}")))?;
        let is_compared = |room: &String| !hearsay.contains(room) && heard.contains(&(number, room.clone()));
        for (room, opinion) in opinions.into_iter().filter(|(room, _)| is_compared(room)) {
            rooms.entry(room).or_default().push((number, opinion));
        }
    }
    for (room, opinions) in &rooms {
        for (i, (first, reference)) in opinions.iter().enumerate() {
            for (other, opinion) in &opinions[i + 1..] {
                let read = |number: &u32| servers[*number as usize].disk().durable();
                let side = |number: &u32, opinion| {
                    let has_lost = servers[*number as usize].has_lost;
                    Side { number: *number, read: read(number), opinion, has_lost }
                };
                let (first, other) = (side(first, reference), side(other, opinion));
                let Err(difference) = compare(&first, &other, room) else { continue };
                if !sharing::share(&first, &other, room).unwrap_or(true) {
                    continue;
                }
                let mut evidence = format!("{room}: {}", difference.what);
                let parted = match &difference.key {
                    Some(key) => parting::find((&first.read, &other.read), room, key).unwrap_or_default(),
                    None => None,
                };
                for side in [first, other] {
                    let lines = explained(&side.read, room, &difference, parted.as_ref());
                    for line in lines.unwrap_or_default() {
                        evidence += &format!("\n  server {}: {line}", side.number);
                    }
                }
                return Err(Failure::safety(CHECKER, evidence));
            }
        }
    }
    Ok(())
}

/// Where two servers differ.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    what: String,
    /// Where the states differ.
    key: Option<(String, String)>,
    /// Events that one of them has there.
    events: Vec<String>,
}

/// The forward extremities of a server that another has soft-failed, and what they follow: for the other no event is after that. Both
/// see each other's ends again once somebody of the one server says something that the other accepts; whoever has lost the power to
/// say anything does not.
#[derive(Debug, Default)]
struct Unheard {
    ends: BTreeSet<String>,
    before: BTreeSet<String>,
}

impl Unheard {
    fn of(side: &Side<'_>, other: &Side<'_>, room: &str) -> Result<Unheard, StorageError> {
        let mut unheard = Unheard::default();
        let Some(here) = Room::find(&side.read, room)? else { return Ok(unheard) };
        for event_id in side.opinion.extremities.difference(&other.opinion.extremities) {
            if is_soft_failed(other, room, event_id)?
                && let Some(event) = here.event(&side.read, event_id)?
            {
                let before = event.pdu(here.info.version)?.prev_events;
                unheard.before.extend(before.iter().map(ToString::to_string));
                unheard.ends.insert(event_id.clone());
            }
        }
        Ok(unheard)
    }
}

fn is_soft_failed(side: &Side<'_>, room: &str, event_id: &str) -> Result<bool, StorageError> {
    let Some(here) = Room::find(&side.read, room)? else { return Ok(false) };
    let event = here.event(&side.read, event_id)?;
    Ok(event.is_some_and(|event| event.header.standing == Standing::SoftFailed))
}

fn compare(a: &Side<'_>, b: &Side<'_>, room: &str) -> Result<(), Difference> {
    let (of_a, of_b) = (a.opinion, b.opinion);
    let unheard_of_a = Unheard::of(a, b, room).unwrap_or_default();
    let unheard_of_b = Unheard::of(b, a, room).unwrap_or_default();
    let is_unheard = |unheard: &Unheard, at: Option<&String>, other: &Side<'_>| {
        !unheard.ends.is_empty() && at.is_some_and(|event_id| is_soft_failed(other, room, event_id).unwrap_or(false))
    };
    let keys: BTreeSet<_> = of_a.state.keys().chain(of_b.state.keys()).collect();
    for key in keys {
        let (at_a, at_b) = (of_a.state.get(key), of_b.state.get(key));
        if at_a != at_b && !is_unheard(&unheard_of_a, at_a, b) && !is_unheard(&unheard_of_b, at_b, a) {
            let what = format!("{key:?} is {at_a:?} on server {} and {at_b:?} on server {}", a.number, b.number);
            let ends = of_a.extremities.symmetric_difference(&of_b.extremities);
            let events = [at_a, at_b].into_iter().flatten().chain(ends).cloned().collect();
            return Err(Difference { what, key: Some(key.clone()), events });
        }
    }
    let apart = |these: &Side<'_>, those: &Side<'_>, own: &Unheard, others: &Unheard| {
        let mut only = these.opinion.extremities.difference(&those.opinion.extremities);
        only.any(|event_id| !own.ends.contains(event_id) && !others.before.contains(event_id))
    };
    if apart(a, b, &unheard_of_a, &unheard_of_b) || apart(b, a, &unheard_of_b, &unheard_of_a) {
        let (at_a, at_b) = (&of_a.extremities, &of_b.extremities);
        let what =
            format!("the forward extremities are {at_a:?} on server {} and {at_b:?} on server {}", a.number, b.number);
        let events = at_a.symmetric_difference(at_b).cloned().collect();
        return Err(Difference { what, key: None, events });
    }
    Ok(())
}

/// What a server says of a difference, and of the event before which they came to differ.
fn explained(
    read: &dyn Read,
    room: &str,
    difference: &Difference,
    parted: Option<&EventId>,
) -> Result<Vec<String>, StorageError> {
    let Some(room) = Room::find(read, room)? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    if let Some((kind, state_key)) = &difference.key {
        lines.extend(explain::state(read, &room, (kind, state_key), None)?.unwrap_or_default());
        if let Some(parted) = parted {
            lines.push(format!("they first differ before {parted}"));
            lines.extend(explain::event(read, &room, parted)?.unwrap_or_default());
            lines.extend(explain::state(read, &room, (kind, state_key), Some(parted))?.unwrap_or_default());
        }
    }
    for event_id in &difference.events {
        let known = explain::event(read, &room, event_id)?;
        lines.extend(known.unwrap_or_else(|| vec![format!("{event_id} is not here")]));
    }
    Ok(lines)
}

/// What a server thinks of the rooms that somebody of its own is joined to.
fn opinions(read: &dyn Read, server: u32) -> Result<Vec<(String, Opinion)>, StorageError> {
    let mut opinions = Vec::new();
    for (num, room, indices) in rooms_of(read)? {
        let mut opinion = Opinion { state: BTreeMap::new(), extremities: BTreeSet::new(), joins: Vec::new() };
        for index in indices {
            let event = StoredEvent::expect(read, num, index)?;
            let header = &event.header;
            let state_key = header.state_key.clone().unwrap_or_default();
            if header.kind == "m.room.member"
                && event.pdu(room.info.version)?.membership() == Some(Membership::Join)
                && let Some((_, of)) = state_key.split_once(':')
            {
                opinion.joins.push((of.to_owned(), header.event_id.to_string()));
            }
            opinion.state.insert((header.kind.clone(), state_key), header.event_id.to_string());
        }
        for index in &room.head.extremities {
            opinion.extremities.insert(StoredEvent::expect(read, num, *index)?.header.event_id.to_string());
        }
        if !opinion.joins_of(server).is_empty() {
            opinions.push((room.room_id().to_string(), opinion));
        }
    }
    Ok(opinions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Disk, Lie, Visibility};

    fn opinion(topic: &str, extremity: &str) -> Opinion {
        Opinion {
            state: BTreeMap::from([(("m.room.topic".to_owned(), String::new()), topic.to_owned())]),
            extremities: BTreeSet::from([extremity.to_owned()]),
            joins: Vec::new(),
        }
    }

    #[test]
    fn differences_are_caught() {
        let check = |a: Opinion, b: Opinion| {
            let read = || Disk::new(Visibility::WhenDurable, Lie::None).durable();
            let (a, b) = (&a, &b);
            let side = |number, opinion| Side { number, read: read(), opinion, has_lost: false };
            compare(&side(0, a), &side(1, b), "!r:s0.test").is_ok()
        };
        assert!(check(opinion("$a", "$x"), opinion("$a", "$x")));
        assert!(!check(opinion("$a", "$x"), opinion("$b", "$x")));
        assert!(!check(opinion("$a", "$x"), opinion("$a", "$y")));
    }
}

//! Convergence: once the world is healed and everyone has heard of everything, servers that share a room agree about its
//! current state and its forward extremities.
//!
//! Servers do not share a room if one of them does not let the other's last join count although nobody who had heard of it put them
//! out: the join came too late and was soft-failed or rejected, or state resolution put something beside it in its place, or
//! nothing. Whoever is out in such a way is not told what became of the room, and cannot know that they are out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use orrery_core::event::content::Membership;
use orrery_core::identifiers::EventId;
use orrery_core::room::tables::ROOM_BY_ID;
use orrery_core::room::{Room, Standing, StoredEvent, explain};
use orrery_core::store::{Order, Read, StorageError};

use super::parting;
use crate::failure::Failure;
use crate::server::Server;
use crate::world::server_name;

const CHECKER: &str = "convergence";

/// What one server thinks of a room.
#[derive(Debug, PartialEq, Eq)]
struct Opinion {
    /// Event IDs by type and state key.
    state: BTreeMap<(String, String), String>,
    extremities: BTreeSet<String>,
    /// The joins that the state has: the user's server and the event.
    joins: Vec<(String, String)>,
}

pub fn check(servers: &[Server]) -> Result<(), Failure> {
    if servers.len() < 2 {
        return Ok(());
    }
    let mut rooms: BTreeMap<String, Vec<(u32, Opinion)>> = BTreeMap::new();
    for (number, server) in (0u32..).zip(servers) {
        let opinions = opinions(&server.disk().durable(), &server_name(number));
        let opinions =
            opinions.map_err(|error| Failure::safety(CHECKER, format!("server {number} cannot be read: {error}")))?;
        for (room, opinion) in opinions {
            rooms.entry(room).or_default().push((number, opinion));
        }
    }
    for (room, opinions) in &rooms {
        for (i, (first, reference)) in opinions.iter().enumerate() {
            for (other, opinion) in &opinions[i + 1..] {
                let Err(difference) = compare((*first, reference), (*other, opinion)) else { continue };
                let read = |number: &u32| servers[*number as usize].disk().durable();
                let is_out = |here: (&u32, &Opinion), there: (&u32, &Opinion)| {
                    is_out(&read(here.0), room, here.1, &joins_of(there.1, &server_name(*there.0)))
                };
                let (first, other) = ((first, reference), (other, opinion));
                if is_out(first, other).unwrap_or(false) || is_out(other, first).unwrap_or(false) {
                    continue;
                }
                let mut evidence = format!("{room}: {}", difference.what);
                let parted = match &difference.key {
                    Some(key) => parting::find((&read(first.0), &read(other.0)), room, key).unwrap_or_default(),
                    None => None,
                };
                for number in [first.0, other.0] {
                    let lines = explained(&read(number), room, &difference, parted.as_ref());
                    for line in lines.unwrap_or_default() {
                        evidence += &format!("\n  server {number}: {line}");
                    }
                }
                return Err(Failure::safety(CHECKER, evidence));
            }
        }
    }
    Ok(())
}

/// The joins of a server's users in its own opinion.
fn joins_of<'o>(opinion: &'o Opinion, server: &str) -> Vec<&'o str> {
    opinion.joins.iter().filter(|(of, _)| of == server).map(|(_, event_id)| event_id.as_str()).collect()
}

/// Whether a server takes another for one that is not in the room, because it lets none of its `joins` count.
fn is_out(read: &dyn Read, room: &str, here: &Opinion, joins: &[&str]) -> Result<bool, StorageError> {
    let Some(room) = Room::find(read, room)? else { return Ok(false) };
    for event_id in joins {
        let Some(join) = room.event(read, event_id)? else { return Ok(false) };
        let user_id = join.header.state_key.clone().unwrap_or_default();
        let heard_of = match here.state.get(&("m.room.member".to_owned(), user_id.clone())) {
            Some(now) if now == event_id => true,
            Some(now) => match room.event(read, now)? {
                Some(now) => {
                    room.state_index(read, now.header.state_before, "m.room.member", &user_id)? == Some(join.index)
                }
                None => false,
            },
            None => false,
        };
        if heard_of && join.header.standing == Standing::Accepted {
            return Ok(false);
        }
    }
    Ok(true)
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

fn compare((a, of_a): (u32, &Opinion), (b, of_b): (u32, &Opinion)) -> Result<(), Difference> {
    let keys: BTreeSet<_> = of_a.state.keys().chain(of_b.state.keys()).collect();
    for key in keys {
        let (at_a, at_b) = (of_a.state.get(key), of_b.state.get(key));
        if at_a != at_b {
            let what = format!("{key:?} is {at_a:?} on server {a} and {at_b:?} on server {b}");
            let ends = of_a.extremities.symmetric_difference(&of_b.extremities);
            let events = [at_a, at_b].into_iter().flatten().chain(ends).cloned().collect();
            return Err(Difference { what, key: Some(key.clone()), events });
        }
    }
    if of_a.extremities != of_b.extremities {
        let (at_a, at_b) = (&of_a.extremities, &of_b.extremities);
        let what = format!("the forward extremities are {at_a:?} on server {a} and {at_b:?} on server {b}");
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
fn opinions(read: &dyn Read, server: &str) -> Result<Vec<(String, Opinion)>, StorageError> {
    let mut numbers = Vec::new();
    ROOM_BY_ID.scan::<StorageError>(read, (), Order::Ascending, |_, num| {
        numbers.push(num);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut opinions = Vec::new();
    for num in numbers {
        let Some(room) = Room::get(read, num)? else { continue };
        let mut indices = Vec::new();
        room.walk_state(read, room.head.state, None, &mut |index| {
            indices.push(index);
            ControlFlow::Continue(())
        })?;
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
        if !joins_of(&opinion, server).is_empty() {
            opinions.push((room.room_id().to_string(), opinion));
        }
    }
    Ok(opinions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opinion(topic: &str, extremity: &str) -> Opinion {
        Opinion {
            state: BTreeMap::from([(("m.room.topic".to_owned(), String::new()), topic.to_owned())]),
            extremities: BTreeSet::from([extremity.to_owned()]),
            joins: Vec::new(),
        }
    }

    #[test]
    fn differences_are_caught() {
        let check = |a, b| compare((0, &a), (1, &b)).is_ok();
        assert!(check(opinion("$a", "$x"), opinion("$a", "$x")));
        assert!(!check(opinion("$a", "$x"), opinion("$b", "$x")));
        assert!(!check(opinion("$a", "$x"), opinion("$a", "$y")));
    }
}

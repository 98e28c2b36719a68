//! The mainline ordering (Room version 2).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Error;
use super::checks::Resolution;
use super::graph::Place;
use crate::identifiers::EventId;

/// A mainline position. `None` is ∞: the event's power levels are not on the mainline.
pub type Position = Option<u32>;

/// Sorts `events` by the mainline of `power_levels`, each with its position: the farthest first, then the earliest, then the one
/// with the least ID.
pub(super) fn sort(
    resolution: &mut Resolution<'_>,
    power_levels: Option<Place>,
    events: &[Place],
) -> Result<Vec<(Place, Position)>, Error> {
    let mut mainline = Mainline::new(resolution, power_levels);
    let mut ranked: Vec<(bool, Reverse<u32>, i64, EventId, Place)> = Vec::with_capacity(events.len());
    for &place in events {
        let position = mainline.position(resolution, place)?;
        let event = &resolution.event(place)?.pdu;
        let (near, rank) = (position.is_some(), Reverse(position.unwrap_or(u32::MAX)));
        ranked.push((near, rank, event.origin_server_ts, event.event_id.clone(), place));
    }
    ranked.sort_unstable();
    Ok(ranked.into_iter().map(|(near, Reverse(rank), _, _, place)| (place, near.then_some(rank))).collect())
}

/// The mainline as far back as was asked for, and the positions of power levels that were asked for.
struct Mainline {
    /// The index of the oldest event of the mainline so far, with its place and position.
    last: Option<(u32, Place, u32)>,
    /// The index of power levels, and the position that they give to events that cite them.
    positions: BTreeMap<u32, Position>,
}

impl Mainline {
    fn new(resolution: &Resolution<'_>, power_levels: Option<Place>) -> Mainline {
        let last = power_levels.map(|place| (resolution.graph.index(place), place, 0));
        Mainline { last, positions: last.iter().map(|(index, _, position)| (*index, Some(*position))).collect() }
    }

    fn position(&mut self, resolution: &mut Resolution<'_>, event: Place) -> Result<Position, Error> {
        let key = resolution.power_levels;
        // From one power levels event to the next, until one is known.
        let mut passed = Vec::new();
        let mut next = resolution.graph.auth_event_at(event, &key)?;
        let position = loop {
            let Some(place) = next else { break None };
            let index = resolution.graph.index(place);
            self.extend_to(resolution, index)?;
            if let Some(known) = self.positions.get(&index) {
                break *known;
            }
            passed.push(index);
            next = resolution.graph.auth_event_at(place, &key)?;
        };
        self.positions.extend(passed.into_iter().map(|index| (index, position)));
        Ok(position)
    }

    /// Follows the mainline back to events as old as `index`.
    fn extend_to(&mut self, resolution: &mut Resolution<'_>, index: u32) -> Result<(), Error> {
        let key = resolution.power_levels;
        while let Some((last, place, position)) = self.last
            && last > index
        {
            self.last = match resolution.graph.auth_event_at(place, &key)? {
                Some(before) => Some((resolution.graph.index(before), before, position + 1)),
                None => None,
            };
            if let Some((index, _, position)) = self.last {
                self.positions.insert(index, Some(position));
            }
        }
        Ok(())
    }
}

//! The algorithm of room version 1 ("State resolution").

use alloc::vec::Vec;
use core::cmp::Reverse;
use sha1::{Digest, Sha1};

use super::Error;
use super::checks::Resolution;
use super::conflict::Sets;
use super::explain::Phase;
use super::graph::Place;
use crate::store::state_map::StateKeyHash;

/// The conflicting events at one key, by ascending depth, then descending SHA-1 of the event ID.
struct Candidates {
    key: StateKeyHash,
    events: Vec<Place>,
}

pub(super) fn run(resolution: &mut Resolution<'_>) -> Result<(), Error> {
    let (mut power_levels, mut join_rules, mut members, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for conflict in resolution.conflicts.iter() {
        let events = sorted(resolution, resolution.conflicts.candidates(conflict))?;
        let event = resolution.pdu(events[0])?;
        let of_kind = match event.kind.as_str() {
            "m.room.power_levels" if conflict.key == resolution.power_levels => &mut power_levels,
            "m.room.join_rules" => &mut join_rules,
            "m.room.member" => &mut members,
            _ => &mut others,
        };
        of_kind.push(Candidates { key: conflict.key, events });
    }
    for of_kind in [power_levels, join_rules, members] {
        let mut winners = Vec::with_capacity(of_kind.len());
        for candidates in of_kind {
            winners.push(last_in_line(resolution, &candidates)?);
        }
        winners.into_iter().for_each(|winner| resolution.set(winner));
    }
    for candidates in others {
        let winner = newest_allowed(resolution, &candidates)?;
        resolution.set(winner);
    }
    Ok(())
}

fn sorted(resolution: &mut Resolution<'_>, events: &[(u32, Sets)]) -> Result<Vec<Place>, Error> {
    let mut keyed = Vec::with_capacity(events.len());
    for (event, _) in events {
        let place = resolution.graph.meet(*event)?;
        let pdu = &resolution.event(place)?.pdu;
        let hash: [u8; 20] = Sha1::digest(pdu.event_id.as_bytes()).into();
        keyed.push((pdu.depth, Reverse(hash), place));
    }
    keyed.sort_unstable();
    Ok(keyed.into_iter().map(|(_, _, place)| place).collect())
}

/// Each event as long as the one before allows it, in a state that has none of the other conflicting events of the type.
fn last_in_line(resolution: &mut Resolution<'_>, candidates: &Candidates) -> Result<Place, Error> {
    let (mut last, rest) = (candidates.events[0], &candidates.events[1..]);
    for &place in rest {
        resolution.set(last);
        if !resolution.judge(place, Phase::InLine, false)? {
            break;
        }
        last = place;
    }
    resolution.unset(&candidates.key);
    Ok(last)
}

/// The newest event that is allowed, or the oldest if none is.
fn newest_allowed(resolution: &mut Resolution<'_>, candidates: &Candidates) -> Result<Place, Error> {
    for &place in candidates.events.iter().rev() {
        if resolution.judge(place, Phase::Newest, false)? {
            return Ok(place);
        }
    }
    Ok(candidates.events[0])
}

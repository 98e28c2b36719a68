//! Resolution: the state of a room, now and before each event with several previous ones, is what the reference model makes of the
//! states that meet there.
//!
//! Some states are not what their events' previous events make of them, and are not asked about: those that another server told,
//! because history is missing before them (it may have come later), and those in which an event took the place that it could not be
//! given at a join. A redaction takes away what the event said when it counted, so rooms in which an event was redacted that others
//! are judged on are left out.

use std::collections::BTreeSet;

use orrery_core::identifiers::EventId;
use orrery_core::room::{EventIndex, Room, Standing, StoredEvent};
use orrery_core::store::StorageError;
use orrery_core::store::state_map::StateId;
use orrery_core::store::tables::RoomNum;

use super::stored::{Stored, arrived_live, rooms};
use crate::failure::Failure;
use crate::reference::state_res::{Reading, key_of, resolve, separate};
use crate::reference::{Graph, State};
use crate::storage::SimStorage;

const CHECKER: &str = "resolution";

/// So many resolutions are compared in a world; the model takes its time.
const BUDGET: u32 = 300;
/// Conflicts of more events than this are left to the tests of core.
const LARGEST_CONFLICT: usize = 60;

/// What events are judged on.
const JUDGED_ON: [&str; 5] =
    ["m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.member", "m.room.third_party_invite"];

/// What was compared already, on whatever server, and how much may still be.
#[derive(Debug)]
pub struct Compared {
    seen: BTreeSet<(Vec<State>, State)>,
    left: u32,
}

impl Default for Compared {
    fn default() -> Compared {
        Compared { seen: BTreeSet::new(), left: BUDGET }
    }
}

impl Compared {
    /// How many resolutions were compared.
    #[must_use]
    pub fn count(&self) -> u32 {
        BUDGET - self.left
    }
}

/// Looks at the states of all rooms of a server.
pub fn check(server: u32, read: &SimStorage, compared: &mut Compared) -> Result<(), Failure> {
    let looked = look(read, compared);
    let differs =
        looked.map_err(|error| Failure::safety(CHECKER, format!("server {server} cannot be read: {error}")))?;
    match differs {
        None => Ok(()),
        Some(differs) => Err(Failure::safety(CHECKER, format!("server {server}: {differs}"))),
    }
}

/// The first difference.
fn look(read: &SimStorage, compared: &mut Compared) -> Result<Option<String>, StorageError> {
    let live = arrived_live(read)?;
    for num in rooms(read)? {
        let Some(room) = Room::get(read, num)? else { continue };
        let stored = Stored::read(read, room)?;
        let Some(graph) = graph_of(&stored) else { continue };
        let meeting = Meetings { stored: &stored, graph: &graph, live: &live };
        if let Some(differs) = meeting.look(compared)? {
            return Ok(Some(differs));
        }
    }
    Ok(None)
}

/// The room's events as the model takes them, or `None` if something is missing that it needs.
fn graph_of(stored: &Stored<'_>) -> Option<Graph> {
    let create = stored.events.values().find(|(event, pdu)| pdu.kind == "m.room.create" && stored.is_in_room(event))?;
    let mut graph = Graph::new(stored.room.info.version, create.1.clone());
    for (event, pdu) in stored.events.values().filter(|(event, _)| stored.is_in_room(event)) {
        let is_judged_on = JUDGED_ON.contains(&pdu.kind.as_str());
        let complete = pdu.auth_events.iter().all(|id| stored.by_id.contains_key(id.as_str()));
        if event.header.redacted_by.is_some() && is_judged_on {
            return None;
        }
        if complete {
            graph.add(pdu.clone(), event.is_rejected());
        } else if !event.is_rejected() {
            return None;
        }
    }
    Some(graph)
}

/// Where branches of a room's history meet.
struct Meetings<'s> {
    stored: &'s Stored<'s>,
    graph: &'s Graph,
    live: &'s BTreeSet<(RoomNum, EventIndex)>,
}

impl Meetings<'_> {
    /// The first difference. The newest events are looked at first: what was wrong before shows there, too.
    fn look(&self, compared: &mut Compared) -> Result<Option<String>, StorageError> {
        let head = &self.stored.room.head;
        if head.local_joined > 0 && !head.unresolved {
            let ends: Vec<&StoredEvent> = head.extremities.iter().map(|index| &self.stored.events[index].0).collect();
            if let Some(differs) = self.compare(&ends, head.state, compared)? {
                let room_id = self.stored.room.room_id();
                return Ok(Some(format!("the current state of {room_id}: {differs}")));
            }
        }
        for (event, pdu) in self.stored.events.values().rev() {
            let header = &event.header;
            if header.outlier
                || header.after_gap
                || header.standing == Standing::Rejected
                || !self.stored.is_in_room(event)
            {
                continue;
            }
            let before: Option<Vec<&StoredEvent>> =
                pdu.prev_events.iter().map(|id| self.was_there(id, event)).collect();
            let Some(before) = before.filter(|before| before.len() > 1) else { continue };
            if let Some(differs) = self.compare(&before, header.state_before, compared)? {
                return Ok(Some(format!("the state before {}: {differs}", header.event_id)));
            }
        }
        Ok(None)
    }

    /// A previous event of `event`, if it was in the graph when `event` came.
    fn was_there(&self, event_id: &str, event: &StoredEvent) -> Option<&StoredEvent> {
        let before = self.stored.in_graph(event_id)?;
        let is_hidden = |event: &StoredEvent| event.header.standing != Standing::Accepted;
        let (came, was) = (&event.header, &before.header);
        let in_order = match (is_hidden(event), is_hidden(before)) {
            (false, false) => self.is_live(event.index) && self.is_live(before.index) && was.order < came.order,
            _ => before.index < event.index,
        };
        in_order.then_some(before)
    }

    /// Compares a state with what the model makes of the states after some events.
    fn compare(
        &self,
        events: &[&StoredEvent],
        at: StateId,
        compared: &mut Compared,
    ) -> Result<Option<String>, StorageError> {
        let mut ids = BTreeSet::new();
        for event in events {
            ids.insert(self.stored.state_after(event)?);
        }
        if ids.is_empty() || (ids.len() == 1 && ids.contains(&at)) {
            return Ok(None);
        }
        let mut sets = Vec::new();
        for id in ids {
            let Some(set) = self.state(id)? else { return Ok(None) };
            sets.push(set);
        }
        sets.sort_unstable();
        let Some(ours) = self.state(at)? else { return Ok(None) };
        let (_, conflicted) = separate(&sets);
        let conflict: usize = conflicted.values().map(BTreeSet::len).sum();
        if compared.left == 0 || conflict > LARGEST_CONFLICT || !compared.seen.insert((sets.clone(), ours.clone())) {
            return Ok(None);
        }
        compared.left -= 1;
        if difference(&ours, &resolve(self.graph, &sets, Reading::AS_DEPLOYED)).is_none() {
            return Ok(None);
        }
        // Events that fill holes take their places in all states that have nothing there, before these meet.
        for (key, event_id) in ours.iter().filter(|(_, event_id)| self.fills_a_hole(event_id)) {
            for set in &mut sets {
                set.entry(key.clone()).or_insert_with(|| event_id.clone());
            }
        }
        Ok(difference(&ours, &resolve(self.graph, &sets, Reading::AS_DEPLOYED)))
    }

    /// Whether an event may have taken a place in the state that was empty: one that was fetched because it could not be had when the
    /// state was told, and that never came by itself, except perhaps as history, or only after that.
    fn fills_a_hole(&self, event_id: &EventId) -> bool {
        let index = self.stored.by_id.get(event_id.as_str());
        index.is_some_and(|index| !self.is_live(*index) || self.was_fetched_first(*index))
    }

    fn is_live(&self, index: EventIndex) -> bool {
        self.live.contains(&(self.stored.room.num, index))
    }

    /// Whether an event that came by itself was stored before: others that were stored after it came before it.
    fn was_fetched_first(&self, index: EventIndex) -> bool {
        let came = self.stored.events[&index].0.header.order;
        let others = self.stored.events.values().map(|(event, _)| event);
        others.filter(|other| other.index > index && self.is_live(other.index)).any(|other| other.header.order < came)
    }

    /// A state by its events' IDs; `None` if it has one that the model does not know.
    fn state(&self, at: StateId) -> Result<Option<State>, StorageError> {
        let mut state = State::new();
        for index in self.stored.state(at)? {
            let Some((event, pdu)) = self.stored.events.get(&index) else { return Ok(None) };
            if !self.graph.contains(&event.header.event_id) {
                return Ok(None);
            }
            state.insert(key_of(pdu), event.header.event_id.clone());
        }
        Ok(Some(state))
    }
}

/// What two states differ in.
fn difference(ours: &State, theirs: &State) -> Option<String> {
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let key = keys.into_iter().find(|key| ours.get(key) != theirs.get(key))?;
    let (here, there) = (ours.get(key), theirs.get(key));
    Some(format!("{key:?} is {here:?}, and {there:?} by the reference"))
}

//! The observer looks at the disks of honest servers, each time that one of them has something new, and takes down when it came.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use orrery_core::event::Pdu;
use orrery_core::identifiers::EventId;
use orrery_core::room::tables::{EVENT_BY_ID, ROOM_BY_ID};
use orrery_core::room::{EventIndex, Room, Standing, StoredEvent};
use orrery_core::room_version::RoomVersion;
use orrery_core::store::log::{self, LogEntry};
use orrery_core::store::tables::{Position, RoomNum};
use orrery_core::store::{Order, StorageError};

use super::agreement::{Disagreements, Moment};
use super::resets::{self, Arrival};
use super::view::View;
use super::{Measures, Resets, Stored};
use crate::clock::{Span, Time};
use crate::server::Server;
use crate::storage::SimStorage;
use crate::world::server_name;

#[derive(Debug)]
pub struct Observer {
    servers: Vec<Seen>,
    /// When events were first stored by the servers that made them.
    made: BTreeMap<EventId, Time>,
    /// How long events took to other servers.
    delays: Vec<Span>,
    rooms: BTreeMap<String, Moments>,
    resets: Resets,
    resets_told: Vec<String>,
    /// What was reset: the room and the values that were lost.
    reset: BTreeSet<(String, EventId)>,
}

/// What the observer has seen of a server.
#[derive(Debug, Default)]
struct Seen {
    /// Of [`crate::storage::Disk::changes`].
    changes: u64,
    position: Position,
    rooms: BTreeMap<RoomNum, View>,
}

/// What servers thought of a room, by time.
#[derive(Debug, Default)]
struct Moments {
    state: Vec<Moment>,
    all: Vec<Moment>,
}

const READABLE: &str = "whoever looks from outside can read";

impl Observer {
    #[must_use]
    pub fn new(servers: u32) -> Observer {
        Observer {
            servers: (0..servers).map(|_| Seen::default()).collect(),
            made: BTreeMap::new(),
            delays: Vec::new(),
            rooms: BTreeMap::new(),
            resets: Resets::default(),
            resets_told: Vec::new(),
            reset: BTreeSet::new(),
        }
    }

    /// Looks at what is new on the disks of honest servers.
    pub fn look(&mut self, servers: &[Server], now: Time) {
        for (number, server) in servers.iter().enumerate().filter(|(_, server)| server.liar.is_none()) {
            let changes = server.disk().changes();
            if std::mem::replace(&mut self.servers[number].changes, changes) != changes {
                self.look_at(number, servers, now).expect(READABLE);
            }
        }
    }

    fn look_at(&mut self, number: usize, servers: &[Server], now: Time) -> Result<(), StorageError> {
        let read = servers[number].disk().look();
        let (seen, last) = (self.servers[number].position, log::last_position(&read)?);
        self.servers[number].position = last;
        let mut events = Vec::new();
        log::scan::<StorageError>(&read, seen, last, |_, entry| {
            if let LogEntry::Event { room, index } = entry {
                events.push((room, EventIndex(index)));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let rooms: BTreeSet<RoomNum> = events.iter().map(|(room, _)| *room).collect();
        for (room, index) in events {
            self.event_came((number, servers), &read, &Room::expect(&read, room)?, index, now)?;
        }
        for num in rooms {
            let room = Room::expect(&read, num)?;
            let view = self.servers[number].rooms.entry(num).or_default();
            view.extremities.clear();
            for index in &room.head.extremities {
                view.extremities.push(StoredEvent::expect(&read, num, *index)?.header.event_id);
            }
            let server = u32::try_from(number).expect("servers are few");
            let inside = view.has_joined(&server_name(server));
            let moments = self.rooms.entry(room.info.room_id.to_string()).or_default();
            moments.state.push(Moment { at: now, server, inside, opinion: view.state_digest() });
            moments.all.push(Moment { at: now, server, inside, opinion: view.digest() });
        }
        Ok(())
    }

    fn event_came(
        &mut self,
        (number, servers): (usize, &[Server]),
        read: &SimStorage,
        room: &Room,
        index: EventIndex,
        now: Time,
    ) -> Result<(), StorageError> {
        let event = StoredEvent::expect(read, room.num, index)?;
        let pdu = event.pdu(room.info.version)?;
        let own = server_name(u32::try_from(number).expect("servers are few"));
        let view = self.servers[number].rooms.entry(room.num).or_default();
        let was_inside = view.has_joined(&own);
        let changes = view.follow(read, room, &event)?;
        let id = pdu.event_id.clone();
        // Who comes in takes over the state that they are told.
        if was_inside && changes.iter().any(|(_, was, is)| was.is_some() && is.as_ref() != Some(&id)) {
            let all = AllServers { servers, read, room };
            let arrived = [id.clone()];
            let arrival = Arrival { events: &arrived, extremities: &view.extremities, changes: &changes };
            for key in resets::find(&all, &arrival) {
                self.resets.note(&key);
                let Some((_, Some(was), is)) = changes.iter().find(|change| change.0 == key) else { continue };
                self.reset.insert((room.info.room_id.to_string(), was.clone()));
                let is = is.as_ref().map_or("nothing", |is| is.as_str());
                let (room_id, (kind, state_key)) = (room.room_id(), &key);
                self.resets_told.push(format!(
                    "{now} server {number}: {id} resets {kind} {state_key:?} of {room_id} from {was} to {is}"
                ));
            }
        }
        view.extend(&pdu);
        if pdu.sender.server_str() == own {
            self.made.entry(id).or_insert(now);
        } else if let Some(made) = self.made.get(&id).filter(|_| was_inside) {
            self.delays.push(now - *made);
        }
        Ok(())
    }

    /// Adds what was observed to the measures of a world that is over. `from`: when the last fault ended, and when the world was healed.
    pub fn tell(&mut self, measures: &mut Measures, servers: &[Server], from: (Time, Time), now: Time) {
        let (mut all, mut state) = (Disagreements::default(), Disagreements::default());
        for (room, moments) in &self.rooms {
            let pairs = self.pairs(room, servers);
            all.add(&moments.all, &pairs, now);
            state.add(&moments.state, &pairs, now);
        }
        measures.convergence_from_faults = all.over_after(from.0);
        measures.convergence_from_healing = all.over_after(from.1);
        measures.state_convergence_from_faults = state.over_after(from.0);
        measures.resets = self.resets;
        measures.resets_told = std::mem::take(&mut self.resets_told);
        measures.resets.values = self.reset.len() as u64;
        self.delays.sort_unstable();
        measures.delays = std::mem::take(&mut self.delays);
        measures.stored = stored(servers).expect(READABLE);
    }

    /// The honest servers that share a room at the end: each takes the other for one that is in it.
    fn pairs(&self, room: &str, servers: &[Server]) -> Vec<(u32, u32)> {
        let mut inside: Vec<(u32, BTreeSet<&str>)> = Vec::new();
        for ((number, server), seen) in (0u32..).zip(servers).zip(&self.servers) {
            let num = ROOM_BY_ID.get(&server.disk().look(), room).expect(READABLE);
            let view = num.and_then(|num| seen.rooms.get(&num));
            inside.extend(view.map(|view| (number, view.servers())));
        }
        let mut pairs = Vec::new();
        for (at, (a, of_a)) in inside.iter().enumerate() {
            let (name_a, others) = (server_name(*a), &inside[at + 1..]);
            let mutual = others.iter().filter(|(b, of_b)| {
                let name_b = server_name(*b);
                [of_a, of_b].iter().all(|of| of.contains(name_a.as_str()) && of.contains(name_b.as_str()))
            });
            pairs.extend(mutual.map(|(b, _)| (*a, *b)));
        }
        pairs
    }
}

/// How the events stand that honest servers have stored.
fn stored(servers: &[Server]) -> Result<Stored, StorageError> {
    let (mut stored, mut made) = (Stored::default(), BTreeSet::new());
    for server in servers.iter().filter(|server| server.liar.is_none()) {
        let read = server.disk().look();
        let mut rooms = Vec::new();
        ROOM_BY_ID.scan::<StorageError>(&read, (), Order::Ascending, |_, num| {
            rooms.push(num);
            Ok(ControlFlow::Continue(()))
        })?;
        for num in rooms {
            let Some(room) = Room::get(&read, num)? else { continue };
            for index in (0..room.head.next_index).map(EventIndex) {
                let Some(event) = StoredEvent::get(&read, num, index)? else { continue };
                match (event.header.standing, event.header.outlier) {
                    (Standing::Accepted, false) => stored.accepted += 1,
                    (Standing::Accepted, true) => stored.outliers += 1,
                    (Standing::SoftFailed, _) => stored.soft_failed += 1,
                    (Standing::Rejected, _) => stored.rejected += 1,
                }
                made.insert(event.header.event_id);
            }
        }
    }
    stored.events = made.len() as u64;
    Ok(stored)
}

/// A room as it is known to all servers together, with the verdicts of one.
struct AllServers<'a> {
    servers: &'a [Server],
    read: &'a SimStorage,
    room: &'a Room,
}

impl AllServers<'_> {
    fn look_up(&self, read: &SimStorage, id: &EventId) -> Result<Option<StoredEvent>, StorageError> {
        match EVENT_BY_ID.get(read, id.as_str())? {
            Some((room, index)) => StoredEvent::get(read, room, index),
            None => Ok(None),
        }
    }
}

impl resets::Events for AllServers<'_> {
    fn version(&self) -> RoomVersion {
        self.room.info.version
    }

    fn event(&self, id: &EventId) -> Option<Pdu> {
        let own = std::iter::once(self.read.clone());
        let mut disks = own.chain(self.servers.iter().map(|server| server.disk().look()));
        let event = disks.find_map(|read| self.look_up(&read, id).expect(READABLE))?;
        Some(event.pdu(self.room.info.version).expect(READABLE))
    }

    fn is_rejected(&self, id: &EventId) -> bool {
        let event = self.look_up(self.read, id).expect(READABLE);
        event.is_some_and(|event| event.is_rejected())
    }
}

//! All destinations: what of the log is due to which, and whose turn it is to be sent something.
//!
//! Whatever a step commits is looked through once, right after the step, and only if it is in a room with other servers: a room
//! of local users costs one look into a map.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::ControlFlow;

use super::destination::{self, Destination, Due, Next, Phase};
use super::outgoing::{self, RemoteError};
use super::room_servers::RoomServers;
use super::{edus, relay};
use crate::canonical_json::{Object, Value};
use crate::config::Config;
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::flow::{Cx, Notice, Step};
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::limits::{LOG_ENTRIES_AT_ONCE, MARK_EVERY, MAX_SENDING, STORAGE_RETRY};
use crate::room::history_visibility::membership_in;
use crate::room::{EventIndex, Room, Standing, StoredEvent};
use crate::store::log::{self, LogEntry};
use crate::store::tables::{Position, RoomNum, Table, tags};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

/// Up to where the log is delivered, or stored as missed, for every destination: where to begin after a restart, at the latest.
const ROUTED: Table<(), Position> = Table::new(tags::ROUTED);

/// The machine. It knows the destinations for which something is due; the others are rows.
#[derive(Debug)]
pub struct Destinations {
    enabled: bool,
    own: ServerName,
    /// The number of this life of the server, and of the last transaction in it.
    boot: u32,
    serial: u64,
    destinations: BTreeMap<ServerName, Destination>,
    deadlines: BTreeSet<(Timestamp, ServerName)>,
    ready: VecDeque<ServerName>,
    sending: usize,
    rooms: RoomServers,
    /// Those for which EDUs were stored.
    queued: Vec<ServerName>,
    /// How far the log has been looked through.
    routed: Position,
    /// Whether there may be something due after that.
    unrouted: bool,
    /// What of that other servers made: it need not be read unless it is to be relayed.
    foreign: BTreeSet<Position>,
    /// While the log of earlier lives is looked through: where that began.
    restarted_at: Option<Position>,
    /// What was [`routed`](Destinations::routed) when it was last stored how far it need not be looked through again.
    marked: Position,
    /// How often in a row the log could not be looked through because the storage could not be read, and when it is tried again.
    stumbles: u32,
    resting_until: Option<Timestamp>,
}

/// The machine as flows hold it.
pub type Shared = Rc<RefCell<Destinations>>;

impl Destinations {
    /// `boot` numbers this life of the server, `position` is the last one taken.
    pub fn new(
        config: &Config,
        boot: u32,
        position: Position,
        read: &dyn Read,
        now: Timestamp,
    ) -> Result<Destinations, StorageError> {
        let enabled = config.federation.enabled;
        let routed = if enabled { ROUTED.get(read, ())?.unwrap_or_default() } else { position };
        let mut destinations = Destinations {
            enabled,
            own: config.server_name.clone(),
            boot,
            serial: 0,
            destinations: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ready: VecDeque::new(),
            sending: 0,
            rooms: RoomServers::default(),
            queued: Vec::new(),
            routed,
            unrouted: routed < position,
            foreign: BTreeSet::new(),
            restarted_at: (routed < position).then_some(Position(routed.0 + 1)),
            marked: routed,
            stumbles: 0,
            resting_until: None,
        };
        if enabled {
            for name in destination::catching_up(read)? {
                destinations.with(read, &name, now, |_| Ok(()))?;
            }
            for name in edus::destinations(read)? {
                destinations.with(read, &name, now, |destination| {
                    destination.has_queued_edus = true;
                    Ok(())
                })?;
            }
        }
        Ok(destinations)
    }

    /// Changes a destination, and sees to what follows from the change.
    fn with<T>(
        &mut self,
        read: &(impl Read + ?Sized),
        name: &ServerName,
        now: Timestamp,
        change: impl FnOnce(&mut Destination) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if !self.destinations.contains_key(name) {
            self.destinations.insert(name.clone(), Destination::load(read, name, now)?);
        }
        let destination = self.destinations.get_mut(name).expect("it was there, or has just been loaded");
        let result = change(destination);
        self.settle(name);
        result
    }

    /// Sees to the turn, or the deadline, of a destination; one for which nothing is due is left to its row.
    fn settle(&mut self, name: &ServerName) {
        let Some(destination) = self.destinations.get_mut(name) else { return };
        match destination.phase {
            Phase::Idle if destination.is_due() => {
                destination.phase = Phase::Ready;
                self.ready.push_back(name.clone());
            }
            Phase::Idle => {
                self.destinations.remove(name);
            }
            Phase::BackingOff { until } => {
                self.deadlines.insert((until, name.clone()));
            }
            Phase::Ready | Phase::Sending => {}
        }
    }

    /// A step was committed; `position` is the last one taken.
    pub fn committed(&mut self, position: Position, notices: &[Notice]) {
        if !self.enabled {
            self.routed = position;
            return;
        }
        for notice in notices {
            match notice {
                Notice::Room(room) => self.unrouted |= !self.rooms.is_local(*room),
                Notice::Foreign(position) => {
                    self.foreign.insert(*position);
                }
                Notice::Servers(room) => {
                    self.rooms.forget(*room);
                    self.unrouted = true;
                }
                Notice::QueuedEdu(destination) => self.queued.push(destination.clone()),
                Notice::ServerIsUp(server) => self.is_up(server),
                _ => {}
            }
        }
        if !self.unrouted {
            self.foreign.clear();
            self.routed = position;
        }
    }

    /// A server that was thought to be down has shown that it is there.
    fn is_up(&mut self, name: &ServerName) {
        if let Some(destination) = self.destinations.get_mut(name)
            && let Phase::BackingOff { until } = destination.phase
        {
            self.deadlines.remove(&(until, name.clone()));
            destination.phase = Phase::Ready;
            self.ready.push_back(name.clone());
        }
    }

    /// Whether [`route`](Destinations::route) has something to do now.
    #[must_use]
    pub fn is_unrouted(&self, now: Timestamp) -> bool {
        // A clock that was set back makes no pause longer.
        let rests = self.resting_until.is_some_and(|until| now < until && until <= now + STORAGE_RETRY);
        !rests && (self.unrouted || !self.queued.is_empty() || self.routed.0 - self.marked.0 >= MARK_EVERY)
    }

    /// Looks through what was added to the log, and hands it to those to whom it is due. Where the storage cannot be read again and
    /// again, there is a pause: what was handed out until then has flows begin, which commit, whereupon it would be tried again.
    pub fn route(&mut self, step: &mut Step<'_>) -> Result<(), StorageError> {
        let routed = self.route_all(step);
        self.stumbles = if routed.is_ok() { 0 } else { self.stumbles + 1 };
        self.resting_until = (self.stumbles > 1).then(|| step.now + STORAGE_RETRY);
        routed
    }

    fn route_all(&mut self, step: &mut Step<'_>) -> Result<(), StorageError> {
        while let Some(name) = self.queued.last().cloned() {
            self.with(step, &name, step.now, |destination| {
                destination.has_queued_edus = true;
                Ok(())
            })?;
            self.queued.pop();
        }
        let start = self.routed;
        let routed = if self.unrouted { self.route_log(step) } else { Ok(()) };
        if routed.is_err() {
            // The step is dropped, and with it what was stored as missed.
            self.routed = start;
            return routed;
        }
        if self.routed.0 - self.marked.0 >= MARK_EVERY {
            self.marked = self.routed;
            let first = self.destinations.values().filter_map(Destination::first_in_memory).min();
            ROUTED.put(step, (), &first.map_or(self.routed, |first| Position(first.0 - 1)));
        }
        Ok(())
    }

    fn route_log(&mut self, step: &mut Step<'_>) -> Result<(), StorageError> {
        let until = step.position();
        while self.routed < until {
            let mut entries = Vec::new();
            log::scan::<StorageError>(step, self.routed, until, |position, entry| {
                entries.push((position, entry));
                Ok(if entries.len() < LOG_ENTRIES_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            let end = if entries.len() < LOG_ENTRIES_AT_ONCE { Some(until) } else { entries.last().map(|last| last.0) };
            for (position, entry) in entries {
                self.route_entry(step, position, &entry)?;
            }
            self.routed = end.unwrap_or(until);
        }
        self.unrouted = false;
        self.foreign.clear();
        self.restarted_at = None;
        Ok(())
    }

    fn route_entry(&mut self, step: &mut Step<'_>, position: Position, entry: &LogEntry) -> Result<(), StorageError> {
        match entry {
            LogEntry::Event { room, index } => self.route_event(step, position, *room, EventIndex(*index)),
            LogEntry::Receipt { room, user_id, private: false } if user_id.server_str() == self.own.as_str() => {
                for (server, _) in self.rooms.of(step, &self.own, *room)?.iter().filter(|other| other.1 < position) {
                    self.add(step, server, Due { position, room: *room, event: None, is_last: false })?;
                }
                Ok(())
            }
            LogEntry::Receipt { .. }
            | LogEntry::AccountData { .. }
            | LogEntry::Membership { .. }
            | LogEntry::DeviceList { .. }
            | LogEntry::ToDevice { .. } => Ok(()),
        }
    }

    fn route_event(
        &mut self,
        step: &mut Step<'_>,
        position: Position,
        room: RoomNum,
        index: EventIndex,
    ) -> Result<(), StorageError> {
        if self.foreign.contains(&position) && !relay::is_relayed(step, room, index)? {
            return Ok(());
        }
        let event = StoredEvent::expect(step, room, index)?;
        if !relay::is_ours(step, room, &event)? {
            return Ok(());
        }
        let due = Due { position, room, event: Some(index), is_last: false };
        let servers = self.rooms.of(step, &self.own, room)?;
        let sender = event.header.sender.server_str();
        for (server, _) in servers.iter().filter(|(server, since)| server.as_str() != sender && *since < position) {
            self.add(step, server, due)?;
        }
        if let Some((newcomer, _)) =
            servers.iter().find(|(server, since)| server.as_str() == sender && *since == position)
        {
            self.tell_what_was_beside(step, newcomer, due)?;
        }
        if let Some(server) = relay::puts_out_user_of(&event)
            && server != self.own
            && server.as_str() != sender
            && !servers.iter().any(|other| other.0 == server)
        {
            let due = Due { is_last: true, ..due };
            let was_in = match event.header.replaces {
                Some(index) => membership_in(&StoredEvent::expect(step, room, index)?) == Some(Membership::Join),
                None => false,
            };
            match self.restarted_at.filter(|_| was_in) {
                None => self.add(step, &server, due)?,
                Some(first) => {
                    self.change(step, &server, |destination, step| destination.add_last(step, due, first))?
                }
            }
        }
        Ok(())
    }

    /// A server has come into the room by a join, and was told what came before that. What others did between `make_join` and
    /// `send_join` is beside the join: the newcomer would learn of it only once somebody says something, and sends what there is of
    /// its own to nobody who joined meanwhile. The other ends of the graph lead it there.
    fn tell_what_was_beside(
        &mut self,
        step: &mut Step<'_>,
        newcomer: &ServerName,
        join: Due,
    ) -> Result<(), StorageError> {
        let ends = Room::expect(step, join.room)?.head.extremities;
        for index in ends.into_iter().filter(|index| Some(*index) != join.event) {
            let header = StoredEvent::expect(step, join.room, index)?.header;
            let is_known_there =
                header.order > join.position.order() || header.sender.server_str() == newcomer.as_str();
            if header.standing == Standing::Accepted && !is_known_there {
                self.add(step, newcomer, Due { event: Some(index), ..join })?;
            }
        }
        Ok(())
    }

    fn add(&mut self, step: &mut Step<'_>, name: &ServerName, due: Due) -> Result<(), StorageError> {
        self.change(step, name, |destination, step| destination.add(step, due))
    }

    /// [`Destinations::with`] for changes that write.
    fn change(
        &mut self,
        step: &mut Step<'_>,
        name: &ServerName,
        change: impl FnOnce(&mut Destination, &mut Step<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if !self.destinations.contains_key(name) {
            self.destinations.insert(name.clone(), Destination::load(step, name, step.now)?);
        }
        let destination = self.destinations.get_mut(name).expect("it was there, or has just been loaded");
        let result = change(destination, step);
        self.settle(name);
        result
    }

    /// Whether other servers are in a room, and this one talks with others.
    pub fn is_shared(&mut self, read: &dyn Read, room: RoomNum) -> Result<bool, StorageError> {
        Ok(self.enabled && !self.rooms.of(read, &self.own, room)?.is_empty())
    }

    /// A local user types in a room, or no longer does.
    pub fn typing(
        &mut self,
        read: &dyn Read,
        now: Timestamp,
        (room, room_id): (RoomNum, &RoomId),
        user_id: &UserId,
        typing: bool,
    ) -> Result<(), StorageError> {
        for (server, _) in self.rooms.of(read, &self.own, room)?.iter() {
            self.say(read, now, server, |ephemeral| ephemeral.typing(room_id, user_id, typing))?;
        }
        Ok(())
    }

    /// The presence of a local user, who is in these rooms, has changed: `update` is an item of `push`.
    pub fn presence(
        &mut self,
        read: &dyn Read,
        now: Timestamp,
        rooms: &[RoomNum],
        user_id: &UserId,
        update: &Object,
    ) -> Result<(), StorageError> {
        if !self.enabled {
            return Ok(());
        }
        let mut servers = BTreeSet::new();
        for room in rooms {
            servers.extend(self.rooms.of(read, &self.own, *room)?.iter().map(|other| other.0.clone()));
        }
        for server in servers {
            self.say(read, now, &server, |ephemeral| ephemeral.presence(user_id, update.clone()))?;
        }
        Ok(())
    }

    /// Tells a destination something of the moment, if it answers.
    fn say(
        &mut self,
        read: &dyn Read,
        now: Timestamp,
        name: &ServerName,
        say: impl FnOnce(&mut edus::Ephemeral),
    ) -> Result<(), StorageError> {
        self.with(read, name, now, |destination| {
            if !matches!(destination.phase, Phase::BackingOff { .. }) {
                say(&mut destination.ephemeral);
            }
            Ok(())
        })
    }

    /// The next destination whose turn it is; its flow is to be started now.
    pub fn take_ready(&mut self) -> Option<ServerName> {
        if self.sending >= MAX_SENDING {
            return None;
        }
        let name = self.ready.pop_front()?;
        if let Some(destination) = self.destinations.get_mut(&name) {
            destination.phase = Phase::Sending;
        }
        self.sending += 1;
        Some(name)
    }

    /// The flow of a destination ends, or could not be started.
    fn ended(&mut self, name: &ServerName) {
        self.sending -= 1;
        if let Some(destination) = self.destinations.get_mut(name)
            && destination.phase == Phase::Sending
        {
            destination.phase = Phase::Idle;
        }
        self.settle(name);
    }

    /// A flow could not be started, or the storage could not be read: later, then.
    pub fn stumbled(&mut self, name: &ServerName, now: Timestamp) {
        if let Some(destination) = self.destinations.get_mut(name) {
            destination.stumbled(now);
        }
        self.ended(name);
    }

    fn next(&mut self, step: &mut Step<'_>, name: &ServerName) -> Result<Next, StorageError> {
        self.serial += 1;
        let Some(destination) = self.destinations.get_mut(name) else { return Ok(Next::Nothing) };
        destination.next(step, self.routed, (self.boot, self.serial))
    }

    fn answered(
        &mut self,
        step: &mut Step<'_>,
        name: &ServerName,
        answer: &Result<Value, RemoteError>,
    ) -> Result<bool, StorageError> {
        let Some(destination) = self.destinations.get_mut(name) else { return Ok(false) };
        destination.answered(step, self.routed, answer)
    }

    /// For how many something is due.
    #[must_use]
    pub fn len(&self) -> usize {
        self.destinations.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.destinations.is_empty()
    }

    /// How many events and receipts are queued, and under way.
    #[must_use]
    pub fn due(&self) -> usize {
        self.destinations.values().map(Destination::queued).sum()
    }

    /// Those that have yet to be sent something.
    pub fn undelivered(&self) -> impl Iterator<Item = &ServerName> {
        let due = |destination: &Destination| destination.is_due() || destination.queued() > 0;
        self.destinations.iter().filter(move |(_, destination)| due(destination)).map(|(name, _)| name)
    }

    /// When the first destination, or the log, is to be tried again.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|deadline| deadline.0).into_iter().chain(self.resting_until).min()
    }

    /// Those whose time has come are tried again.
    pub fn wake(&mut self, now: Timestamp) {
        self.resting_until = self.resting_until.filter(|until| *until > now);
        while let Some((until, name)) = self.deadlines.first().filter(|deadline| deadline.0 <= now).cloned() {
            self.deadlines.remove(&(until, name.clone()));
            if let Some(destination) = self.destinations.get_mut(&name)
                && destination.phase == (Phase::BackingOff { until })
            {
                destination.phase = Phase::Idle;
                self.settle(&name);
            }
        }
    }
}

/// Sends a destination what is due to it, one transaction after the other, until there is nothing left or it does not answer.
pub async fn deliver(cx: Cx, destinations: Shared, name: ServerName) {
    match deliver_all(&cx, &destinations, &name).await {
        Ok(()) => destinations.borrow_mut().ended(&name),
        Err(_) => destinations.borrow_mut().stumbled(&name, cx.now()),
    }
}

async fn deliver_all(cx: &Cx, destinations: &Shared, name: &ServerName) -> Result<(), ApiError> {
    loop {
        match cx.step(|step| Ok(destinations.borrow_mut().next(step, name)?))? {
            Next::Send(transaction) => {
                let answer = outgoing::call(cx, name, transaction).await;
                if !cx.step(|step| Ok(destinations.borrow_mut().answered(step, name, &answer)?))? {
                    return Ok(());
                }
            }
            Next::LookOn => cx.give_way().await,
            Next::Nothing => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

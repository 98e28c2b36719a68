//! The ledger: everything that was asked of the servers, and what they acknowledged. Whatever it says must be there, after
//! every crash, exactly once.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::canonical_json::{Object, Value};

use super::one_time_keys::OneTimeKeys;
use super::register::{History, WriteId};
use super::restores::Restore;
use super::to_device::{Address, Messages};
use crate::clock::{Span, Time};
use crate::failure::Failure;

const CHECKER: &str = "durability";

/// The member of a content that names the operation that made it.
pub const OP: &str = "org.orrery.op";

/// Something that is written and read back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Register {
    AccountData {
        user: u32,
        kind: String,
    },
    RoomAccountData {
        user: u32,
        room: String,
        kind: String,
    },
    Tag {
        user: u32,
        room: String,
        tag: String,
    },
    /// `join`, `invite`, `knock`, or `None` for anything else.
    Membership {
        user: u32,
        room: String,
    },
    State {
        room: String,
        kind: String,
        state_key: String,
    },
    /// The event of the user's receipt, or (`m.fully_read`) of the fully-read marker. Both only move forward.
    Marker {
        user: u32,
        room: String,
        kind: &'static str,
    },
    DisplayName {
        user: u32,
    },
    /// The room of an alias.
    Alias {
        alias: String,
    },
}

/// An event that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub room: String,
    pub sender: u32,
    /// The device and which of its sessions; the server tells that session the transaction ID.
    pub device: u32,
    pub generation: u32,
    pub txn_id: String,
    /// Once it is acknowledged.
    pub event_id: Option<String>,
    /// When.
    pub acknowledged: Option<Time>,
    /// Its server has lost what it knew of it, or may have: the event may be gone, or there twice.
    pub torn: bool,
}

#[derive(Debug, Default)]
pub struct Ledger {
    registers: BTreeMap<Register, History>,
    /// By operation.
    events: BTreeMap<u32, Sent>,
    /// Redactions that were asked for, by the event, with the time of the acknowledgement.
    redactions: BTreeMap<String, Option<Time>>,
    /// Rooms whose creation was acknowledged. Of others nobody knows who was in them at first.
    rooms: BTreeSet<String>,
    /// Rooms that somebody wanted to upgrade.
    upgraded: BTreeSet<String>,
    /// The rooms that others replace, by those.
    predecessors: BTreeMap<String, String>,
    pub messages: Messages,
    pub one_time_keys: OneTimeKeys,
    pub restores: Vec<Restore>,
    /// How long an attempt that was given up may linger.
    linger: Span,
    /// Rooms are shared by servers that may be apart: what one acknowledged of a room, state resolution may take back.
    federated: bool,
}

impl Ledger {
    #[must_use]
    pub fn new(linger: Span, federated: bool) -> Ledger {
        Ledger { linger, federated, ..Ledger::default() }
    }

    /// A device has logged in.
    pub fn session_begins(&mut self, address: &Address, now: Time) {
        self.messages.session_begins(address.clone(), now);
    }

    /// Somebody asks for the end of a device.
    pub fn session_ends(&mut self, address: &Address) {
        self.messages.session_ends(address);
        self.one_time_keys.session_ends(address);
    }

    /// A backup is restored on a server, whose name this is, with these users.
    pub fn restored(&mut self, restore: Restore, name: &str, is_of: impl Fn(u32) -> bool) {
        self.restores.push(restore);
        let suffix = format!(":{name}");
        for (register, history) in &mut self.registers {
            let is_lost = match register {
                Register::AccountData { user, .. }
                | Register::RoomAccountData { user, .. }
                | Register::Tag { user, .. }
                | Register::Membership { user, .. }
                | Register::Marker { user, .. }
                | Register::DisplayName { user } => is_of(*user),
                Register::State { .. } => !self.federated,
                Register::Alias { alias } => alias.ends_with(&suffix),
            };
            if is_lost {
                history.restored(restore);
            }
        }
        for sent in self.events.values_mut().filter(|sent| is_of(sent.sender)) {
            sent.torn |= restore.may_lose(sent.acknowledged);
        }
        for acknowledged in self.redactions.values_mut() {
            *acknowledged = acknowledged.filter(|at| !restore.loses(*at));
        }
        self.messages.restored(restore, &suffix);
        self.one_time_keys.restored(&suffix);
    }

    /// Whether a server has lost what it acknowledged then.
    #[must_use]
    pub fn is_lost(&self, server: u32, acknowledged: Time) -> bool {
        self.restores.iter().any(|restore| restore.server == server && restore.loses(acknowledged))
    }

    /// A device has found its session lost, and goes on under another one: so does what it has begun.
    pub fn session_lost(&mut self, device: u32) {
        for sent in self.events.values_mut().filter(|sent| sent.device == device) {
            sent.torn |= sent.acknowledged.is_none();
        }
    }

    pub fn begin(&mut self, register: &Register, value: Option<&str>, now: Time) -> WriteId {
        self.registers.entry(register.clone()).or_default().begin(value.map(str::to_owned), now)
    }

    /// The write was acknowledged, at its only attempt or (`lingering`) with others that may still be under way.
    pub fn acknowledge(&mut self, register: &Register, id: WriteId, now: Time, lingering: bool) {
        let settled = if lingering { now + self.linger } else { now };
        self.registers.entry(register.clone()).or_default().acknowledge(id, now, settled);
    }

    pub fn refuse(&mut self, register: &Register, id: WriteId) {
        self.registers.entry(register.clone()).or_default().refuse(id);
    }

    /// Whether a read of `register` between `began` and `ended` may give `value`.
    pub fn check(&self, register: &Register, value: Option<&str>, began: Time, ended: Time) -> Result<(), Failure> {
        let Some(history) = self.registers.get(register) else { return Ok(()) };
        if matches!(register, Register::Membership { room, .. } if !self.rooms.contains(room)) {
            return Ok(());
        }
        if self.federated && matches!(register, Register::Membership { .. } | Register::State { .. }) {
            return Ok(());
        }
        // The aliases of a room that is upgraded lead to the one that replaces it. If the answer gets lost, nobody knows which that is.
        let has_moved = |room: Option<&str>| room.is_some_and(|room| self.upgraded.contains(room));
        if matches!(register, Register::Alias { .. })
            && value.is_some()
            && history.plausible(began, ended).into_iter().any(has_moved)
        {
            return Ok(());
        }
        if self.is_carried_over(register, value) {
            return Ok(());
        }
        history.check(value, began, ended).map_err(|why| Failure::safety(CHECKER, format!("{register:?}: {why}")))
    }

    /// Whether it is a tag of a room, and was one of a room that it replaces. Whoever joins a room that has no tags of theirs (and be it
    /// because a backup does not have them) is given those of the room before.
    fn is_carried_over(&self, register: &Register, value: Option<&str>) -> bool {
        let (Register::Tag { user, room, tag }, Some(value)) = (register, value) else { return false };
        let mut seen = BTreeSet::new();
        let mut room = room;
        while let Some(before) = self.predecessors.get(room).filter(|before| seen.insert(*before)) {
            let there = Register::Tag { user: *user, room: before.clone(), tag: tag.clone() };
            if self.registers.get(&there).is_some_and(|history| history.values().any(|other| other == Some(value))) {
                return true;
            }
            room = before;
        }
        false
    }

    /// Whether a marker may be at `event`, by the order of the room's events: where somebody put it, and nowhere before an
    /// acknowledged place.
    pub fn check_marker(&self, register: &Register, event: Option<&str>, order: &[String]) -> Result<(), Failure> {
        let Some(history) = self.registers.get(register) else { return Ok(()) };
        let place = |event: &str| order.iter().position(|other| other == event);
        let furthest = history.acknowledged().filter_map(|value| Some((place(value?)?, value?))).max();
        let fail = |what: String| Err(Failure::safety(CHECKER, format!("{register:?} is at {event:?}: {what}")));
        match (event, furthest) {
            (Some(event), _) if !history.values().any(|value| value == Some(event)) => {
                fail("nobody put it there".to_owned())
            }
            (None, Some((_, furthest))) => fail(format!("it was acknowledged at {furthest}")),
            (Some(event), Some((far, furthest))) if place(event).is_some_and(|place| place < far) => {
                fail(format!("it was acknowledged at {furthest}, which is later"))
            }
            _ => Ok(()),
        }
    }

    /// The room was made, by an answer.
    pub fn room_made(&mut self, room: &str) {
        self.rooms.insert(room.to_owned());
    }

    /// Somebody wants to upgrade the room.
    pub fn upgrades(&mut self, room: &str) {
        self.upgraded.insert(room.to_owned());
    }

    /// A room replaces another one.
    pub fn replaces(&mut self, next: &str, room: &str) {
        self.predecessors.insert(next.to_owned(), room.to_owned());
    }

    /// Whether the user was in the room all the time, whatever happened.
    #[must_use]
    pub fn certainly_joined(&self, user: u32, room: &str, began: Time, ended: Time) -> bool {
        let history = self.registers.get(&Register::Membership { user, room: room.to_owned() });
        history.is_some_and(|history| history.plausible(began, ended).iter().all(|value| *value == Some("join")))
    }

    /// Everything that was written.
    pub fn registers(&self) -> impl Iterator<Item = (&Register, &History)> {
        self.registers.iter()
    }

    pub fn send(&mut self, op: u32, sent: Sent) {
        self.events.insert(op, sent);
    }

    /// The server answered with this event.
    pub fn sent(&mut self, op: u32, event_id: &str, now: Time) -> Result<(), Failure> {
        let Some(sent) = self.events.get_mut(&op) else { return Ok(()) };
        sent.acknowledged.get_or_insert(now);
        match sent.event_id.replace(event_id.to_owned()) {
            Some(before) if before != event_id && !sent.torn => {
                let evidence = format!("operation {op} was answered with {before} and then with {event_id}");
                Err(Failure::safety(CHECKER, evidence))
            }
            _ => Ok(()),
        }
    }

    /// Events that were acknowledged and are not lost, with their operation.
    pub fn acknowledged(&self) -> impl Iterator<Item = (u32, &Sent, &str)> {
        self.events
            .iter()
            .filter(|(_, sent)| !sent.torn)
            .filter_map(|(op, sent)| Some((*op, sent, sent.event_id.as_deref()?)))
    }

    #[must_use]
    pub fn event(&self, op: u32) -> Option<&Sent> {
        self.events.get(&op)
    }

    pub fn redact(&mut self, event_id: &str) {
        self.redactions.entry(event_id.to_owned()).or_insert(None);
    }
    pub fn redacted(&mut self, event_id: &str, now: Time) {
        self.redactions.entry(event_id.to_owned()).or_insert(None).get_or_insert(now);
    }

    /// An event as a read that began then shows it: that of the operation it says, and redacted if that was acknowledged
    /// before, and only if it was asked for.
    pub fn check_event(&self, event: &Object, began: Time) -> Result<(), Failure> {
        let id = event.str("event_id").unwrap_or_default();
        let empty = Object::new();
        let content = event.object("content").unwrap_or(&empty);
        let redaction = self.redactions.get(id);
        // Elsewhere it may not have arrived, or not be allowed.
        let acknowledged = !self.federated && redaction.copied().flatten().is_some_and(|at| at <= began);
        let shows_redaction = event.object("unsigned").is_some_and(|unsigned| unsigned.contains("redacted_because"));
        let fail = |what: String| {
            let shown = String::from_utf8_lossy(&Value::Object(event.clone()).to_bytes()).into_owned();
            Err(Failure::safety(CHECKER, format!("{what}: {shown}")))
        };
        if shows_redaction && redaction.is_none() {
            return fail("an event is redacted and nobody asked for that".to_owned());
        }
        if acknowledged && (!shows_redaction || content.contains(OP)) {
            return fail("a redaction was acknowledged and does not show".to_owned());
        }
        let Some(op) = operation(content) else { return Ok(()) };
        let Some(sent) = self.events.get(&op) else { return Ok(()) };
        match &sent.event_id {
            Some(acknowledged) if acknowledged != id && !sent.torn => {
                fail(format!("operation {op} was applied twice, or to another event than {acknowledged}"))
            }
            _ => Ok(()),
        }
    }

    /// The events of one room as somebody sees them all: no operation made two.
    pub fn check_once<'e>(&self, events: impl Iterator<Item = &'e Object>) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        for event in events {
            let Some(op) = event.object("content").and_then(operation) else { continue };
            if self.events.get(&op).is_some_and(|sent| !sent.torn) && !seen.insert(op) {
                return Err(Failure::safety(CHECKER, format!("operation {op} was applied twice")));
            }
        }
        Ok(())
    }
}

/// The operation that a content names, in a member of its own or (redactions) as the reason.
#[must_use]
pub fn operation(content: &Object) -> Option<u32> {
    let named = content.integer(OP).and_then(|op| u32::try_from(op).ok());
    named.or_else(|| content.str("reason")?.strip_prefix(REASON)?.parse().ok())
}

/// The reason that a redaction gives.
#[must_use]
pub fn reason(op: u32) -> String {
    format!("{REASON}{op}")
}

const REASON: &str = "op ";

#[cfg(test)]
mod tests;

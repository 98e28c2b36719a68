//! Counts of what is unread: what each device was told when all was quiet, from increments and from a fresh start, is what a naive
//! count over the whole timeline of the room comes to, by the user's receipts and push rules as they are then.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::client::account_data;
use orrery_core::client::push_rules::ruleset;
use orrery_core::event::content::Membership;
use orrery_core::identifiers::{EventId, UserId};
use orrery_core::limits::UNREAD_STRETCH;
use orrery_core::room::{EventIndex, Room, StoredEvent, membership, receipts};
use orrery_core::store::StorageError;

use super::stored::arrived_live;
use crate::client::view::{Counts, Unread};
use crate::failure::Failure;
use crate::reference::push_rules::{self, judge};
use crate::storage::SimStorage;

const CHECKER: &str = "unread";
/// The thread of what is in none.
const MAIN: &str = "main";

/// What a device was told of a room.
#[derive(Clone, Debug)]
pub struct Told {
    /// The device, and by what way.
    pub who: String,
    pub server: u32,
    pub user_id: String,
    pub room: String,
    /// The device wants the counts of threads apart.
    pub threads_apart: bool,
    pub unread: Unread,
    /// The events of the room that the user can read.
    pub shown: BTreeSet<String>,
}

/// Counts by thread.
type ByThread = BTreeMap<String, Counts>;

/// Looks at what was `told` by one server.
pub fn check(server: u32, read: &SimStorage, told: &[Told]) -> Result<(), Failure> {
    find_wrong(server, read, told)
        .unwrap_or_else(|error| Some(format!("the storage of server {server}: {error}")))
        .map_or(Ok(()), |evidence| Err(Failure::safety(CHECKER, evidence)))
}

fn find_wrong(server: u32, read: &SimStorage, told: &[Told]) -> Result<Option<String>, StorageError> {
    let mut by_room: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for told in told.iter().filter(|told| told.server == server) {
        by_room.entry(&told.room).or_default().push(told);
    }
    let live = arrived_live(read)?;
    for (room_id, told) in by_room {
        let Some(room) = Room::find(read, room_id)? else { continue };
        if room.head.next_index >= UNREAD_STRETCH {
            // What lies far back need not count.
            continue;
        }
        let num = room.num;
        let whole = Whole::read(read, room, &|event| live.contains(&(num, event.index)))?;
        for told in told {
            if let Some(expected) = whole.count(told)?
                && let Some(difference) = differs(told, &expected)
            {
                let Told { who, .. } = told;
                return Ok(Some(format!(
                    "{who} was told that {difference} in {room_id}; by thread it is {expected:?}"
                )));
            }
        }
    }
    Ok(None)
}

/// In what the told counts differ from `expected`.
fn differs(told: &Told, expected: &ByThread) -> Option<String> {
    let Unread { counts, threads } = &told.unread;
    let main = if told.threads_apart {
        let others = expected.iter().filter(|(thread, _)| *thread != MAIN);
        let others: ByThread = others.map(|(thread, counts)| (thread.clone(), *counts)).collect();
        let told: ByThread =
            threads.iter().filter(|(_, counts)| **counts != (0, 0)).map(|(a, b)| (a.clone(), *b)).collect();
        if told != others {
            return Some(format!("{told:?} is unread in threads"));
        }
        expected.get(MAIN).copied().unwrap_or_default()
    } else {
        expected.values().fold((0, 0), |all, of| (all.0 + of.0, all.1 + of.1))
    };
    (*counts != Some(main)).then(|| format!("{counts:?} is unread"))
}

/// A room with all that counting asks for.
struct Whole<'r> {
    read: &'r SimStorage,
    room: Room,
    /// Its timeline by order.
    timeline: BTreeMap<i64, StoredEvent>,
    /// The orders of what came live, rather than with history that was fetched.
    live: BTreeSet<i64>,
    orders: BTreeMap<String, i64>,
    /// The contents of all memberships.
    members: BTreeMap<String, Object>,
}

impl Whole<'_> {
    fn read<'r>(
        read: &'r SimStorage,
        room: Room,
        is_live: &dyn Fn(&StoredEvent) -> bool,
    ) -> Result<Whole<'r>, StorageError> {
        let (mut timeline, mut live, mut orders) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for index in (0..room.head.next_index).map(EventIndex) {
            let Some(event) = StoredEvent::get(read, room.num, index)? else { continue };
            if event.is_in_timeline() {
                let order = event.header.order;
                if is_live(&event) {
                    live.insert(order);
                }
                orders.insert(event.header.event_id.to_string(), order);
                timeline.insert(order, event);
            }
        }
        let members = room.state_events(read, room.head.state, Some("m.room.member"))?;
        let members = members.iter().map(|event| (event.header.state_key.clone().unwrap_or_default(), content(event)));
        Ok(Whole { read, timeline, live, orders, members: members.collect(), room })
    }

    /// What is unread, by thread. Nothing if that is not for a device to know: a redaction that came with history is told to nobody.
    fn count(&self, told: &Told) -> Result<Option<ByThread>, StorageError> {
        let read = self.read;
        let user_id = UserId::parse(&told.user_id).expect("people have user IDs");
        let row = membership::of(read, &user_id, self.room.num)?;
        let Some(joined_at) = row.filter(|row| row.membership == Membership::Join).and_then(|row| row.joined_at) else {
            return Ok(None);
        };
        let Ok(Value::Object(rules)) = parse(&ruleset::account_data(read, &user_id)?) else { return Ok(None) };
        let rules = rules.object("global").cloned().unwrap_or_default();
        let ignored = account_data::ignored_users(read, &user_id)?;
        let levels = self.room.power_levels(read)?;
        let may_notify = |sender: &str, key: &str| levels.user(sender) >= levels.notification(key);
        let is_joined = |content: &&Object| content.str("membership") == Some("join");
        let room = push_rules::Room {
            members: self.members.values().filter(is_joined).count(),
            display_name: self.members.get(&told.user_id).and_then(|content| content.str("displayname")),
            may_notify: &may_notify,
        };
        let mut counts = ByThread::new();
        for (order, event) in self.timeline.range(joined_at.order() + 1..) {
            let header = &event.header;
            if let Some(by) = header.redacted_by
                && !self.live.iter().any(|order| self.timeline[order].index == by)
            {
                return Ok(None);
            }
            let thread = self.thread_of(event);
            let counts_here = self.live.contains(order)
                && told.shown.contains(header.event_id.as_str())
                && header.sender != user_id
                && !ignored.contains(&header.sender)
                && header.redacted_by.is_none()
                && !self.has_read(&user_id, &thread, *order)?;
            if !counts_here {
                continue;
            }
            let content = content(event);
            let event = push_rules::Event {
                event_id: &header.event_id,
                room_id: self.room.room_id(),
                sender: &header.sender,
                kind: &header.kind,
                state_key: header.state_key.as_deref(),
                content: &content,
            };
            let verdict = judge(&rules, &event, &room);
            if verdict.notify {
                let counts = counts.entry(thread).or_default();
                counts.0 += 1;
                counts.1 += i64::from(verdict.highlight);
            }
        }
        Ok(Some(counts))
    }

    /// Whether the user has read an event: by a receipt for it or a later one, of its thread or of none, or by sending something to
    /// its thread later.
    fn has_read(&self, user_id: &UserId, thread: &str, order: i64) -> Result<bool, StorageError> {
        for (_, receipt) in receipts::of_user(self.read, self.room.num, user_id)? {
            let is_for = receipt.thread_id.as_deref().is_none_or(|of| of == thread);
            if is_for && self.orders.get(receipt.event_id.as_str()).is_some_and(|at| *at >= order) {
                return Ok(true);
            }
        }
        Ok(self.timeline.range(order + 1..).any(|(later, event)| {
            let header = &event.header;
            let is_own_member = header.kind == "m.room.member" && header.state_key.as_deref() == Some(user_id.as_str());
            header.sender == *user_id && !is_own_member && self.live.contains(later) && self.thread_of(event) == thread
        }))
    }

    /// "Following the event relationships, it has a parent event which references the thread root with a rel_type of m.thread": with
    /// at most three parents, which were there before.
    fn thread_of(&self, event: &StoredEvent) -> String {
        let mut event = event;
        for _ in 0..=3 {
            let content = content(event);
            let Some(relation) = content.object("m.relates_to") else { break };
            let (Some(kind), Some(parent)) = (relation.str("rel_type"), relation.str("event_id")) else { break };
            if kind == "m.thread" {
                return if EventId::parse(parent).is_ok() { parent.to_owned() } else { MAIN.to_owned() };
            }
            let Some(parent) = self.orders.get(parent).map(|order| &self.timeline[order]) else { break };
            if parent.is_state() || parent.header.order >= event.header.order || parent.index >= event.index {
                break;
            }
            event = parent;
        }
        MAIN.to_owned()
    }
}

fn content(event: &StoredEvent) -> Object {
    match parse(event.content_bytes()) {
        Ok(Value::Object(content)) => content,
        _ => Object::new(),
    }
}

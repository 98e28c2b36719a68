//! The long poll: `/sync` after `/sync`, given up now and then, and everything that it tells put together.

use orrery_core::canonical_json::{Object, Value};

use super::Device;
use super::call::Call;
use super::keyring::ALGORITHM;
use super::tracking::Tracking;
use super::view::{View, list, members};
use crate::checkers::ledger::operation;
use crate::checkers::sync;
use crate::clock::{Span, Time};
use crate::draw::Draw;
use crate::failure::Failure;
use crate::options::ClientOptions;
use crate::path;

/// A device's place in its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Syncing {
    pub view: View,
    pub tracking: Tracking,
    /// The session that the view belongs to.
    generation: u32,
    /// When the place in the stream was had.
    since_at: Time,
    limit: u64,
    pub lazy_members: bool,
    state_after: bool,
    /// Wants the counts of threads apart.
    pub threads_apart: bool,
    /// The world has healed: polls are long, and nobody is impatient.
    pub calm: bool,
    /// The loop ends.
    pub stop: bool,
}

impl Syncing {
    #[must_use]
    pub fn draw(options: &ClientOptions, draw: &mut Draw) -> Syncing {
        Syncing {
            limit: *draw.pick(&options.timeline_limits),
            lazy_members: draw.chance(options.lazy_members),
            state_after: draw.chance(options.state_after),
            ..Syncing::default()
        }
    }

    /// Whether the view is that of this session.
    #[must_use]
    pub fn is_of(&self, generation: u32) -> bool {
        self.generation == generation
    }

    fn filter(&self) -> String {
        let timeline = Object::new().with("limit", self.limit);
        let timeline = match self.threads_apart {
            true => timeline.with("unread_thread_notifications", true),
            false => timeline,
        };
        let state = Object::new().with("lazy_load_members", self.lazy_members);
        let room = Object::new().with("timeline", timeline).with("state", state);
        let filter = Value::Object(Object::new().with("room", room));
        String::from_utf8(filter.to_bytes()).expect("JSON is UTF-8")
    }
}

/// Long polls end this much after the server promised an answer, whatever the network does.
const SLACK: Span = Span::secs(30);

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// Something new came.
    News,
    Nothing,
    /// No answer, or none that counts any more.
    Lost,
    /// The server has no `/sync`.
    Unrecognized,
}

impl Device {
    /// Syncs until told to stop.
    pub async fn sync_for_ever(&self) {
        loop {
            if self.syncing.borrow().stop {
                return;
            }
            self.with_session().await;
            let (timeout, full_state, reconnect) = {
                let mut draw = self.draw.borrow_mut();
                let timeout = *draw.pick(&self.options.sync_timeouts);
                (timeout, draw.chance(self.options.full_state), draw.chance(self.options.reconnect))
            };
            // When the world has calmed down there is nothing to be quick for.
            let timeout = if self.syncing.borrow().calm { 30_000 } else { timeout };
            let usual = Span::millis(timeout) + SLACK;
            let patience = if reconnect {
                self.draw.borrow_mut().span(Span::micros(1), Span::millis(timeout + 50))
            } else {
                self.patience(usual)
            };
            match self.sync_once(timeout, full_state, patience).await {
                Synced::News => {}
                Synced::Unrecognized => return,
                // A client that asks for no wait must not ask all the time.
                Synced::Nothing | Synced::Lost => {
                    let span = self.draw.borrow_mut().span(Span::millis(10), Span::secs(2));
                    self.hub.sleep(span).await;
                }
            }
        }
    }

    /// The rest of the stream, until it runs dry.
    pub async fn sync_to_the_end(&self) {
        for _ in 0..1_000 {
            match self.sync_once(0, false, SLACK).await {
                Synced::Nothing | Synced::Unrecognized => return,
                Synced::News => {}
                Synced::Lost => self.hub.sleep(Span::millis(100)).await,
            }
        }
        self.hub.fail(Failure::liveness("sync", format!("{} has news for ever", self.who())));
    }

    async fn sync_once(&self, timeout: u64, full_state: bool, patience: Span) -> Synced {
        let generation = self.generation();
        self.begin_view(generation);
        let since = self.syncing.borrow().view.since.clone();
        let (began, token_since) = (self.hub.now(), self.token_since());
        let call = self.sync_call(timeout, full_state, since.as_deref());
        let Ok((status, answer)) = self.attempt(&call, patience).await else { return Synced::Lost };
        if !self.is_at(generation, since.as_deref()) {
            return Synced::Lost;
        }
        match status {
            200 => self.take_sync(&answer, full_state, began),
            404 if answer.str("errcode") == Some("M_UNRECOGNIZED") => Synced::Unrecognized,
            401 if self.is_lost(token_since) => {
                self.renew(token_since).await;
                Synced::Lost
            }
            401 => {
                if answer.bool("soft_logout") == Some(true) {
                    self.refresh().await;
                }
                Synced::Lost
            }
            500.. => Synced::Lost,
            // A place that is lost: from the start, then.
            400 if since.is_some() && self.is_lost(self.syncing.borrow().since_at) => {
                let mut syncing = self.syncing.borrow_mut();
                (syncing.view, syncing.tracking) = (View::default(), syncing.tracking.anew());
                Synced::Lost
            }
            _ => {
                self.hub.fail(Failure::safety("sync", format!("{}: {status} {}", self.who(), show(&answer))));
                Synced::Lost
            }
        }
    }

    /// Whether the stream is still at that place.
    fn is_at(&self, generation: u32, since: Option<&str>) -> bool {
        let syncing = self.syncing.borrow();
        generation == self.generation() && generation == syncing.generation && syncing.view.since.as_deref() == since
    }

    /// A fresh start beside the stream, with the same filter.
    pub async fn sync_afresh(&self) -> Option<View> {
        let mut view = View::default();
        let reply = self.call(self.sync_call(0, false, None)).await;
        if !reply.ok() {
            return None;
        }
        self.hub.check(sync::check_answer(&view, &reply.body, self.syncing.borrow().limit));
        if let Some(address) = self.address_of_session() {
            let ledger = self.ledger.borrow();
            for message in list(&reply.body, "to_device") {
                self.hub.check(ledger.messages.arrives_afresh(&address, message));
            }
        }
        view.apply(&reply.body);
        Some(view)
    }

    fn sync_call(&self, timeout: u64, full_state: bool, since: Option<&str>) -> Call {
        let syncing = self.syncing.borrow();
        let mut call = Call::get(path!["sync"]).query("filter", syncing.filter()).query("timeout", timeout.to_string());
        if let Some(since) = since {
            call = call.query("since", since);
        }
        if full_state {
            call = call.query("full_state", "true");
        }
        if syncing.state_after {
            call = call.query("use_state_after", "true");
        }
        call
    }

    /// A new session begins with nothing.
    fn begin_view(&self, generation: u32) {
        let mut syncing = self.syncing.borrow_mut();
        if syncing.generation != generation {
            syncing.generation = generation;
            syncing.view = View::default();
            syncing.tracking = syncing.tracking.anew();
        }
    }

    fn take_sync(&self, answer: &Object, full_state: bool, began: Time) -> Synced {
        let checked = {
            let syncing = self.syncing.borrow();
            sync::check_answer(&syncing.view, answer, syncing.limit)
        };
        if let Err(failure) = checked {
            self.hub.fail(Failure { evidence: format!("{}: {}", self.who(), failure.evidence), ..failure });
            return Synced::Lost;
        }
        self.check_events(answer, began);
        self.learn(answer);
        self.take_messages(answer, began);
        let mut syncing = self.syncing.borrow_mut();
        let first = syncing.view.since.is_none();
        syncing.view.apply(answer);
        syncing.since_at = self.hub.now();
        let Syncing { view, tracking, lazy_members, .. } = &mut *syncing;
        tracking.apply(answer.object("device_lists").unwrap_or(&Object::new()));
        if first {
            tracking.begin(view, &self.user_id(), *lazy_members);
        }
        self.work.borrow_mut().syncs += 1;
        let news = ["rooms", "account_data", "to_device", "device_lists"]
            .iter()
            .any(|part| answer.object(part).is_some_and(|part| !part.is_empty()));
        // The full state is always news.
        if news && !full_state { Synced::News } else { Synced::Nothing }
    }

    /// Every event against what was asked for, and the transaction IDs of one's own.
    fn check_events(&self, answer: &Object, began: Time) {
        let ledger = self.ledger.borrow();
        let empty = Object::new();
        let rooms = answer.object("rooms").unwrap_or(&empty);
        let syncing = self.syncing.borrow();
        let joined_before = |room: &str| syncing.view.rooms.get(room).is_some_and(|room| room.joined);
        for (room_id, room) in members(rooms, "join").chain(members(rooms, "leave")) {
            for event in room.object("timeline").into_iter().flat_map(|timeline| list(timeline, "events")) {
                self.work.borrow_mut().delivered += 1;
                self.hub.check(ledger.check_event(event, began));
                let Some(sent) = event.object("content").and_then(operation).and_then(|op| ledger.event(op)) else {
                    continue;
                };
                // From other servers events come as soon as those get through.
                let server = |user_id: &str| user_id.split_once(':').map(|(_, server)| server.to_owned());
                let is_neighbour = event.str("sender").and_then(server) == server(&self.user_id());
                if joined_before(room_id) && is_neighbour {
                    self.hub.check(sync::check_awake(&self.who(), sent, began, self.hub.now(), self.options.wake_up));
                }
                let mine = sent.device == self.number && sent.generation == self.generation();
                let txn_id = event.object("unsigned").and_then(|unsigned| unsigned.str("transaction_id"));
                let expected = mine.then_some(sent.txn_id.as_str());
                if event.contains("state_key") || txn_id == expected || sent.torn {
                    continue;
                }
                let evidence = format!("{}: transaction_id {txn_id:?}, expected {expected:?}: {event:?}", self.who());
                self.hub.fail(Failure::safety("sync", evidence));
            }
        }
    }

    /// The messages to this device, and how many keys it has left.
    fn take_messages(&self, answer: &Object, began: Time) {
        let Some(address) = self.address_of_session() else { return };
        let mut ledger = self.ledger.borrow_mut();
        for message in list(answer, "to_device") {
            self.hub.check(ledger.messages.arrives(&address, message));
        }
        let count = answer.object("device_one_time_keys_count").and_then(|counts| counts.integer(ALGORITHM));
        let count = u64::try_from(count.unwrap_or_default()).unwrap_or_default();
        self.hub.check(ledger.one_time_keys.check_count(&address, count, (began, self.hub.now())));
    }

    /// What people hear from their devices.
    fn learn(&self, answer: &Object) {
        let empty = Object::new();
        let rooms = answer.object("rooms").unwrap_or(&empty);
        let mut population = self.population.borrow_mut();
        members(rooms, "join").for_each(|(room, _)| population.joined(self.user, room));
        members(rooms, "invite").for_each(|(room, _)| population.invited(self.user, room));
        members(rooms, "leave").for_each(|(room, _)| population.out(self.user, room));
        // An answer to an upgrade can get lost; the room says itself what it replaces.
        for (room_id, room) in members(rooms, "join") {
            let timeline = room.object("timeline").into_iter().flat_map(|timeline| list(timeline, "events"));
            let events = list(room, "state").chain(list(room, "state_after")).chain(timeline);
            for create in events.filter(|event| event.str("type") == Some("m.room.create")) {
                let predecessor = create.object("content").and_then(|content| content.object("predecessor"));
                if let Some(before) = predecessor.and_then(|predecessor| predecessor.str("room_id")) {
                    self.ledger.borrow_mut().replaces(room_id, before);
                }
            }
        }
    }

    /// How failures name the device.
    #[must_use]
    pub fn who(&self) -> String {
        format!("device {} of {}", self.number, self.user_id())
    }
}

fn show(answer: &Object) -> String {
    String::from_utf8_lossy(&answer.to_bytes()).into_owned()
}

//! The director: lets people sign up and work while things go wrong, then heals the world, and looks at what is left.

mod devices;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use orrery_core::canonical_json::{Value, parse};

use super::inspection::ids;
use super::operations::Done;
use super::population::Population;
use super::view::{RoomView, View};
use super::{Device, Shared};
use crate::byzantine::Strategy;
use crate::checkers::ledger::{Ledger, Register};
use crate::checkers::pace::Taken;
use crate::checkers::restores::Restore;
use crate::checkers::unread::Told;
use crate::checkers::{order, sync};
use crate::clock::{Span, Time};
use crate::draw::{Latency, stream};
use crate::plan::Plan;
use crate::recording::Watch;
use crate::tasks::{Command, Hub, TaskId};
use crate::world::server_name;

/// Within this time servers that work tell each other of a session that has ended.
const TELLING: Span = Span::secs(10);

/// What clients did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub acknowledged: u64,
    pub refused: u64,
    pub skipped: u64,
    /// Operations for which the server has no endpoint.
    pub unrecognized: u64,
    pub answers: u64,
    /// Requests without an answer.
    pub lost: u64,
    pub syncs: u64,
    /// Timeline events that syncs delivered.
    pub delivered: u64,
    pub rooms: u64,
}

impl Work {
    pub fn done(&mut self, done: Done) {
        match done {
            Done::Acknowledged => self.acknowledged += 1,
            Done::Refused => self.refused += 1,
            Done::Skipped => self.skipped += 1,
            Done::Unrecognized => self.unrecognized += 1,
        }
    }
}

/// Everyone in the world, and what is to be done.
#[derive(Clone, Debug)]
pub struct Director {
    shared: Shared,
    plan: Rc<Plan>,
    devices: Vec<Rc<Device>>,
}

impl Director {
    #[must_use]
    pub fn new(hub: &Hub, plan: &Plan, watch: &Watch) -> Director {
        let options = &plan.options;
        let users = options.clients.devices.iter().max().map_or(0, |last| last + 1);
        let ledger = Ledger::new(longest_linger(plan), options.is_federated());
        let population = Population::new(users, |user| {
            let server = user % options.servers;
            (server_name(server), options.is_honest(server))
        });
        let shared = Shared {
            hub: hub.clone(),
            options: Rc::new(options.clients.clone()),
            population: Rc::new(RefCell::new(population)),
            servers: options.servers,
            ledger: Rc::new(RefCell::new(ledger)),
            work: Rc::default(),
            byzantine: Rc::new(options.byzantine.iter().map(|liar| liar.server).collect()),
            taken: Rc::default(),
            heard: Rc::default(),
            told_unread: Rc::default(),
            devices: Rc::default(),
            watch: watch.clone(),
        };
        let devices: Vec<Rc<Device>> = (0u32..)
            .zip(&options.clients.devices)
            .map(|(number, user)| {
                let draw = stream(options.seed, &format!("device {number}"));
                let device = Device::new(&shared, number, *user, draw);
                let mut draw = stream(options.seed, &format!("threads of device {number}"));
                device.syncing.borrow_mut().threads_apart = draw.chance(500);
                Rc::new(device)
            })
            .collect();
        shared.devices.borrow_mut().extend(devices.iter().map(Rc::downgrade));
        Director { shared, plan: Rc::new(plan.clone()), devices }
    }

    #[must_use]
    pub fn work(&self) -> Work {
        let rooms = self.shared.population.borrow().rooms.len() as u64;
        Work { rooms, ..*self.shared.work.borrow() }
    }

    /// A backup that was taken then is restored on a server.
    pub fn restored(&self, server: u32, taken: Time, at: Time) {
        let is_of = |user: u32| user % self.plan.options.servers == server;
        let restore = Restore { server, taken, at };
        self.shared.ledger.borrow_mut().restored(restore, &server_name(server), is_of);
    }

    /// The messages that honest servers took.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.borrow().clone()
    }

    /// What devices of honest servers were told to be unread when all was quiet.
    #[must_use]
    pub fn told_unread(&self) -> Vec<Told> {
        self.shared.told_unread.borrow().clone()
    }

    /// In which rooms somebody of a server could say something once the world was healed.
    #[must_use]
    pub fn heard(&self) -> BTreeSet<(u32, String)> {
        self.shared.heard.borrow().clone()
    }

    /// The devices of which something is checked.
    fn honest(&self) -> impl Iterator<Item = &Rc<Device>> {
        self.devices.iter().filter(|device| device.honest)
    }

    /// The whole story.
    pub async fn direct(&self) {
        let hub = &self.shared.hub;
        if !self.sign_up().await {
            // A server without accounts has nothing that could be looked at.
            return;
        }
        hub.command(Command::SignedUp);
        let syncing: Vec<TaskId> = self.devices.iter().map(|device| self.spawn_sync(device)).collect();
        self.meet().await;
        for task in self.spawn_work() {
            hub.join(task).await;
        }
        hub.sleep_until((Time(0) + self.plan.options.horizon).max(hub.now())).await;
        hub.command(Command::Heal);
        for device in &self.devices {
            device.syncing.borrow_mut().calm = true;
        }
        // The longest typing notification ends by itself, and whatever lingers arrives.
        hub.sleep(Span::secs(90)).await;
        if self.plan.options.is_federated() {
            // Servers that had given each other up try again; then somebody of each says something in every room, which ties
            // the loose ends of the room together.
            hub.sleep(self.plan.options.convergence()).await;
            for _ in 0..self.wide_forks() {
                self.say_something_everywhere(Span::millis(500)).await;
            }
            for _ in 0..2 {
                self.say_something_everywhere(Span::secs(20)).await;
            }
        }
        for server in 0..self.plan.options.servers {
            hub.command(Command::Crash { server });
        }
        hub.sleep(Span::secs(5)).await;
        for device in &self.devices {
            device.syncing.borrow_mut().stop = true;
        }
        for task in syncing {
            hub.join(task).await;
        }
        if self.plan.options.is_federated() {
            hub.sleep(self.plan.options.convergence()).await;
        }
        self.look().await;
        // Whatever is written in the background gets to the disk.
        hub.sleep(Span::secs(60)).await;
    }

    /// An event ties 20 loose ends together; where liars make more of them, more events are needed.
    fn wide_forks(&self) -> usize {
        self.plan.attacks.iter().filter(|attack| attack.strategy == Strategy::WideFork).count()
    }

    async fn say_something_everywhere(&self, pause: Span) {
        for device in self.honest() {
            let rooms = device.syncing.borrow().view.joined().map(|(room, _)| room.to_owned()).collect::<Vec<_>>();
            for room in rooms {
                device.say_something(&room).await;
            }
            self.shared.hub.sleep(pause).await;
        }
    }

    /// First each user's first device, which makes the account, then the others.
    async fn sign_up(&self) -> bool {
        let mut seen = Vec::new();
        let (first, others): (Vec<_>, Vec<_>) = self.devices.iter().cloned().partition(|device| {
            let first = !seen.contains(&device.user);
            seen.push(device.user);
            first
        });
        for devices in [first, others] {
            let tasks: Vec<TaskId> = devices
                .into_iter()
                .map(|device| {
                    let name = format!("device {} signs up", device.number);
                    self.shared.hub.spawn(name, async move {
                        device.sign_up().await;
                    })
                })
                .collect();
            for task in tasks {
                self.shared.hub.join(task).await;
            }
        }
        self.devices.iter().all(|device| device.token().is_some())
    }

    /// Lets somebody make each meeting, and everybody come.
    async fn meet(&self) {
        let mut seen = Vec::new();
        for device in &self.devices {
            if !seen.iter().any(|first: &&Rc<Device>| first.user == device.user) {
                seen.push(device);
            }
        }
        let Some((host, guests)) = seen.split_first() else { return };
        for number in 0..self.plan.options.clients.meetings {
            let Some(room) = host.call_a_meeting(number).await else { continue };
            let come = |device: &Rc<Device>| {
                let (name, device, room) = (format!("user {} comes", device.user), device.clone(), room.clone());
                self.shared.hub.spawn(name, async move { device.come_to_the_meeting(&room).await })
            };
            let coming: Vec<TaskId> = guests.iter().map(|device| come(device)).collect();
            for task in coming {
                self.shared.hub.join(task).await;
            }
        }
    }

    fn spawn_sync(&self, device: &Rc<Device>) -> TaskId {
        let name = format!("device {} syncs", device.number);
        let device = device.clone();
        self.shared.hub.spawn(name, async move { device.sync_for_ever().await })
    }

    fn spawn_work(&self) -> Vec<TaskId> {
        let mut lanes: BTreeMap<(u32, u32), Vec<_>> = BTreeMap::new();
        for op in &self.plan.ops {
            lanes.entry((op.device, op.lane)).or_default().push(*op);
        }
        let spawn = |((device, lane), ops): ((u32, u32), Vec<_>)| {
            let device = self.devices[device as usize].clone();
            self.shared
                .hub
                .spawn(format!("device {} lane {lane}", device.number), async move { device.work(ops).await })
        };
        lanes.into_iter().map(spawn).collect()
    }

    /// Looks at everything there is, and compares it with what everyone was told.
    async fn look(&self) {
        let mut timelines: Timelines = BTreeMap::new();
        let mut fresh_views: BTreeMap<u32, View> = BTreeMap::new();
        let generations = self.generations();
        for device in self.honest() {
            device.sync_to_the_end().await;
            let Some(fresh) = device.sync_afresh().await else { continue };
            {
                let syncing = device.syncing.borrow();
                let views = (&syncing.view, &fresh);
                let checked = sync::check_fresh(&device.who(), views, syncing.lazy_members, device.federated);
                self.shared.hub.check(checked);
            }
            self.look_at_rooms(device, &fresh, !fresh_views.contains_key(&device.user), &mut timelines).await;
            fresh_views.insert(device.user, fresh);
        }
        for ((_, room), views) in &timelines {
            self.shared.hub.check(order::check(room, views));
        }
        self.look_at_events().await;
        // Whose session has ended meanwhile has begun another, of which all others have yet to be told.
        if self.generations() != generations {
            self.shared.hub.sleep(TELLING).await;
            for device in self.honest() {
                device.sync_to_the_end().await;
            }
        }
        self.look_at_devices().await;
        self.look_at_registers(&fresh_views, &timelines).await;
    }

    /// How many sessions each device has had.
    fn generations(&self) -> Vec<u32> {
        self.devices.iter().map(|device| device.generation()).collect()
    }

    async fn look_at_rooms(&self, device: &Device, fresh: &View, first_of_user: bool, timelines: &mut Timelines) {
        let hub = &self.shared.hub;
        let rooms: Vec<String> = fresh.joined().map(|(room, _)| room.to_owned()).collect();
        for room in rooms {
            // Each server has its own order.
            let views = timelines.entry((device.server, room.clone())).or_default();
            let who = device.user_id();
            // Among servers a gap may have been filled since the user's first device looked.
            if first_of_user || device.federated {
                let Some(events) = device.all_messages(&room).await else { continue };
                let ledger = self.shared.ledger.borrow();
                hub.check(ledger.check_once(events.iter()));
                views.retain(|(name, _)| *name != who);
                views.push((who.clone(), ids(&events)));
            }
            let Some((_, full)) = views.iter().find(|(name, _)| *name == who) else { continue };
            let mine = device.syncing.borrow().view.rooms.get(&room).cloned();
            for (how, view) in [("from increments", mine.as_ref()), ("from a fresh start", fresh.rooms.get(&room))] {
                let Some(view) = view else { continue };
                self.shared.told_unread.borrow_mut().push(Told {
                    who: format!("{} {how}", device.who()),
                    server: device.server,
                    user_id: who.clone(),
                    room: room.clone(),
                    threads_apart: device.syncing.borrow().threads_apart,
                    unread: view.unread.clone(),
                    shown: full.iter().cloned().collect(),
                });
                hub.check(sync::check_no_gap(&device.who(), &room, view, full));
                device.look_before_gaps(&room, view, full).await;
                device.look_at_the_end(&room, view, full).await;
            }
            if first_of_user {
                let views: Vec<&RoomView> = mine.as_ref().into_iter().chain(fresh.rooms.get(&room)).collect();
                device.look_at_members(&room, &views).await;
                // Elsewhere a member event may lose against what others did at the time.
                if !device.federated {
                    device.look_at_profile(&room).await;
                }
            }
        }
    }

    async fn look_at_events(&self) {
        let events: Vec<(String, String, u32)> = {
            let ledger = self.shared.ledger.borrow();
            ledger.acknowledged().map(|(_, sent, id)| (sent.room.clone(), id.to_owned(), sent.sender)).collect()
        };
        for (room, event_id, sender) in events {
            if let Some(device) = self.honest().find(|device| device.may_see_own(sender, &room)) {
                device.read_event(&room, &event_id).await;
            }
        }
    }

    async fn look_at_registers(&self, views: &BTreeMap<u32, View>, timelines: &Timelines) {
        let registers: Vec<Register> = {
            let ledger = self.shared.ledger.borrow();
            ledger.registers().map(|(register, _)| register.clone()).collect()
        };
        let hub = &self.shared.hub;
        for register in registers {
            match &register {
                Register::Membership { user, room } => {
                    let now = hub.now();
                    if let Some(told) = views.get(user).map(|view| membership_in(view, room)) {
                        hub.check(self.shared.ledger.borrow().check(&register, told.as_deref(), now, now));
                    }
                }
                Register::Marker { user, room, kind } => {
                    let id = self.shared.population.borrow().user(*user).id.clone();
                    let view = views.get(user).and_then(|view| view.rooms.get(room)).filter(|room| room.joined);
                    let order = timelines
                        .get(&(user % self.shared.servers, room.clone()))
                        .and_then(|views| views.iter().find(|(who, _)| *who == id));
                    if let (Some(view), Some((_, order))) = (view, order) {
                        let told = marker_in(view, kind, &id);
                        hub.check(self.shared.ledger.borrow().check_marker(&register, told.as_deref(), order));
                    }
                }
                _ => {}
            }
            if let Some(device) = self.honest().find(|device| device.may_read(&register)) {
                device.read_register(&register).await;
            }
        }
    }
}

/// What each user of a server sees of each room, oldest first.
type Timelines = BTreeMap<(u32, String), Vec<(String, Vec<String>)>>;

/// The event at which a receipt or the fully-read marker is.
fn marker_in(view: &RoomView, kind: &str, user_id: &str) -> Option<String> {
    if kind == "m.fully_read" {
        let Ok(Value::Object(content)) = parse(view.account_data.get(kind)?) else { return None };
        return content.str("event_id").map(str::to_owned);
    }
    view.receipts.get(&(kind.to_owned(), user_id.to_owned(), String::new())).cloned()
}

fn membership_in(view: &View, room: &str) -> Option<String> {
    let joined = view.rooms.get(room).is_some_and(|room| room.joined);
    let lobby = [(joined, "join"), (view.invites.contains(room), "invite"), (view.knocks.contains(room), "knock")];
    lobby.iter().find(|(is, _)| *is).map(|(_, name)| (*name).to_owned())
}

/// How long a request that its client has given up may still be under way.
fn longest_linger(plan: &Plan) -> Span {
    plan.options.network.latency.high.times(Latency::SLOW) + Span::secs(1)
}

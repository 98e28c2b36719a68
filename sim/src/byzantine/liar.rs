//! The liar around a Byzantine server: it has the server's key, sees what comes in and goes out, and knows what its victims know.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::Pdu;
use orrery_core::federation::x_matrix::XMatrix;
use orrery_core::http::{Request, Response};
use orrery_core::identifiers::{EventId, ServerName, UserId};
use orrery_core::input::RequestId;
use orrery_core::limits::{MAX_REQUEST_BODY, MAX_TRANSACTION_BODY, MAX_TRANSACTION_PDUS};
use orrery_core::room::tables::ROOM_BY_ID;
use orrery_core::room::{Room, StoredEvent};
use orrery_core::store::{Order, StorageError};
use orrery_core::time::Timestamp;

use super::forge::{Branch, Identity};
use super::{
    ByzantineOptions, Hearsay, PlannedAttack, Strategy, Way, answers, events, graph, handshakes, outgoing, transactions,
};
use crate::checkers::refusals::{self, Expect, Tally};
use crate::draw::{Draw, stream};
use crate::failure::Failure;
use crate::storage::SimStorage;
use crate::tasks::Lost;
use crate::world::server_name;

/// How many of others' requests, and of its own, it keeps to send them again.
const KEPT: usize = 8;

/// Events that only the liar has: what is in front of a chain, or was withheld.
#[derive(Debug, Default)]
pub(super) struct Made {
    events: BTreeMap<String, Object>,
    /// Those that it denies to have.
    withheld: BTreeSet<String>,
    /// What it says that the state was before them.
    states: BTreeMap<String, Rc<[EventId]>>,
}

impl Made {
    pub fn keep(&mut self, event: &Pdu) {
        self.events.insert(event.event_id.to_string(), event.to_object());
    }

    /// An event that nobody gets.
    pub fn withhold(&mut self, event: &Pdu) {
        self.keep(event);
        self.withheld.insert(event.event_id.to_string());
    }

    /// An event whose previous events nobody has: `state` is what was before it.
    pub fn keep_after_gap(&mut self, event: &Pdu, state: Rc<[EventId]>) {
        self.keep(event);
        self.states.insert(event.event_id.to_string(), state);
    }

    pub fn state_before(&self, event_id: &str) -> Option<&[EventId]> {
        self.states.get(event_id).map(|state| &**state)
    }

    pub fn has(&self, event_id: &str) -> bool {
        self.events.contains_key(event_id)
    }

    pub fn get(&self, event_id: &str) -> Option<&Object> {
        self.events.get(event_id).filter(|_| !self.withheld.contains(event_id))
    }
}

#[derive(Debug)]
pub struct Liar {
    pub(super) identity: Identity,
    pub(super) options: ByzantineOptions,
    seed: u64,
    pub(super) draw: Draw,
    /// What was asked and is not answered yet.
    asked: BTreeMap<RequestId, Request>,
    pub(super) made: Made,
    /// The last requests that others signed.
    stolen: Vec<Request>,
    /// The last transactions of its own server, with who they were for.
    sent: Vec<(u32, Request)>,
    blows: BTreeMap<u64, Pending>,
    last: u64,
    hearsay: Hearsay,
    /// Events that nobody may accept.
    pub unacceptable: BTreeSet<String>,
    pub tally: Tally,
    healed: bool,
}

/// A request of the liar's own that is under way.
#[derive(Debug)]
struct Pending {
    strategy: Strategy,
    what: String,
    expect: Expect,
}

/// A request of the liar's own.
#[derive(Debug)]
pub struct Blow {
    pub to: ServerName,
    pub request: Request,
    pub expect: Expect,
}

impl Blow {
    /// Hosts take larger bodies for no request.
    fn is_for_core(&self) -> bool {
        let send = self.request.path.starts_with("/_matrix/federation/v1/send/");
        self.request.body.len() <= if send { MAX_TRANSACTION_BODY } else { MAX_REQUEST_BODY }
    }
}

/// What an attack has to work with.
pub(super) struct Scene<'a> {
    pub by: &'a Identity,
    pub victim: ServerName,
    /// The other honest servers.
    pub others: Vec<ServerName>,
    /// The victim's disk.
    pub read: &'a SimStorage,
    pub now: Timestamp,
    pub number: u32,
    pub draw: Draw,
    pub made: &'a mut Made,
    pub stolen: &'a [Request],
    pub sent: &'a [(u32, Request)],
}

/// A room of the victim, as the victim has it.
#[derive(Clone)]
pub(super) struct Stage {
    pub room: Room,
    pub branch: Branch,
    /// A user of the liar's server; a member if there is one.
    pub speaker: UserId,
    pub inside: bool,
    /// Members of honest servers.
    pub members: Vec<UserId>,
    /// What goes before everything else that is said in the room: how the speaker came in.
    pub prelude: Vec<Object>,
}

impl Scene<'_> {
    /// A room that the victim is in; mostly one that the liar is in, too.
    pub fn stage(&mut self) -> Option<Stage> {
        let stages = self.stages().ok()?;
        let inside: Vec<&Stage> = stages.iter().filter(|stage| stage.inside).collect();
        if !inside.is_empty() && self.draw.chance(850) {
            return Some((*self.draw.pick(&inside)).clone());
        }
        if stages.is_empty() {
            return None;
        }
        let stage = self.draw.pick(&stages).clone();
        Some(if self.draw.chance(900) { self.enter(stage) } else { stage })
    }

    /// Comes into a room that lets everybody in, without asking anybody. Half of the rooms it leaves alone: those it is to hold
    /// up from outside.
    fn enter(&mut self, mut stage: Stage) -> Stage {
        let spared = stage.room.info.room_id.bytes().map(u32::from).sum::<u32>().is_multiple_of(2);
        let rules = stage.room.current_content(self.read, "m.room.join_rules", "");
        let is_public = rules.is_ok_and(|rules| rules.is_some_and(|rules| rules.str("join_rule") == Some("public")));
        if stage.inside || spared || !is_public {
            return stage;
        }
        let content = Object::new().with("membership", "join");
        let at = ("m.room.member", Some(stage.speaker.as_str()));
        if let Some(join) = stage.branch.event(self.by, self.now, &stage.speaker, at, content) {
            self.made.keep(&join);
            stage.branch.take(&join);
            stage.prelude = vec![join.to_object()];
            stage.inside = true;
        }
        stage
    }

    /// A room that the victim is in and the liar is not.
    pub fn stage_outside(&mut self) -> Option<Stage> {
        let stages = self.stages().ok()?;
        let outside: Vec<&Stage> = stages.iter().filter(|stage| !stage.inside).collect();
        if outside.is_empty() { None } else { Some((*self.draw.pick(&outside)).clone()) }
    }

    fn stages(&self) -> Result<Vec<Stage>, StorageError> {
        let mut rooms = Vec::new();
        ROOM_BY_ID.scan::<StorageError>(self.read, (), Order::Ascending, |_, num| {
            rooms.push(num);
            Ok(ControlFlow::Continue(()))
        })?;
        let mut stages = Vec::new();
        for num in rooms {
            let Some(room) = Room::get(self.read, num)?.filter(Room::is_resident) else { continue };
            let branch = Branch::of(self.read, &room)?;
            let (mut own, mut members) = (Vec::new(), Vec::new());
            for event in room.state_events(self.read, room.head.state, Some("m.room.member"))? {
                let pdu = event.pdu(room.info.version)?;
                let user = pdu.state_key.as_deref().and_then(|user| UserId::parse(user).ok());
                let Some(user) = user.filter(|_| is_joined(&pdu)) else { continue };
                if user.server_str() == self.by.name.as_str() { own.push(user) } else { members.push(user) }
            }
            let inside = !own.is_empty();
            let stranger = || UserId::parse(&format!("@mallory:{}", self.by.name)).expect("server names are short");
            let speaker = own.into_iter().next().unwrap_or_else(stranger);
            stages.push(Stage { room, branch, speaker, inside, members, prelude: Vec::new() });
        }
        Ok(stages)
    }

    /// An event of the stage's speaker that says something.
    pub fn message(&mut self, stage: &Stage) -> Option<Pdu> {
        let body = format!("lie {} {}", self.number, self.draw.u64());
        let content = Object::new().with("msgtype", "m.text").with("body", body);
        stage.branch.event(self.by, self.now, &stage.speaker, ("m.room.message", None), content)
    }

    /// A transaction for the victim.
    pub fn deliver(&mut self, stage: &Stage, forged: Vec<Forged>) -> Blow {
        let victim = self.victim.clone();
        self.deliver_to(&victim, stage, forged)
    }

    /// A transaction with events of the stage's room; of more than fit, the first.
    pub fn deliver_to(&mut self, to: &ServerName, stage: &Stage, forged: Vec<Forged>) -> Blow {
        let (mut ids, mut refused, mut pdus) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let mut size = 0;
        let prelude = stage.prelude.iter().cloned().map(Forged::judged);
        for Forged { event, is_refused } in prelude.chain(forged) {
            let event = Value::Object(event);
            size += event.to_bytes().len();
            if size > MAX_TRANSACTION_BODY - 4_096 || pdus.len() == MAX_TRANSACTION_PDUS {
                break;
            }
            // What the victim makes of it is what it makes of the bytes.
            if let Ok(Value::Object(read)) = parse(&event.to_bytes())
                && let Ok(pdu) = Pdu::parse(read, stage.branch.version)
            {
                if is_refused {
                    refused.insert(pdu.event_id.to_string());
                }
                ids.insert(pdu.event_id.to_string());
            }
            pdus.push(event);
        }
        let id = self.transaction_id();
        let request = self.by.transaction(to, &id, (pdus, Vec::new()), self.now);
        let expect = match parse(&request.body) {
            Ok(_) => Expect::Results { ids, refused },
            Err(_) => Expect::Refused(&["M_NOT_JSON", "M_BAD_JSON"]),
        };
        Blow { to: to.clone(), request, expect }
    }

    pub fn transaction_id(&mut self) -> String {
        format!("lie{}n{:x}", self.number, self.draw.u64())
    }
}

/// An event as it is sent.
pub(super) struct Forged {
    pub event: Object,
    /// Nobody may accept it.
    pub is_refused: bool,
}

impl Forged {
    pub fn refused(event: Object) -> Forged {
        Forged { event, is_refused: true }
    }

    /// What becomes of it is for the rules to say.
    pub fn judged(event: Object) -> Forged {
        Forged { event, is_refused: false }
    }
}

fn is_joined(pdu: &Pdu) -> bool {
    pdu.membership() == Some(orrery_core::event::content::Membership::Join)
}

impl Liar {
    #[must_use]
    pub fn new(options: ByzantineOptions, identity: Identity, seed: u64, hearsay: Hearsay) -> Liar {
        let draw = stream(seed, &format!("liar {}", options.server));
        Liar {
            identity,
            options,
            seed,
            draw,
            asked: BTreeMap::new(),
            made: Made::default(),
            stolen: Vec::new(),
            sent: Vec::new(),
            blows: BTreeMap::new(),
            last: 0,
            hearsay,
            unacceptable: BTreeSet::new(),
            tally: Tally::default(),
            healed: false,
        }
    }

    /// From now on it says nothing of its own accord, sends what its server sends, and gives its true keys. What it knows, it
    /// still denies, and what it tells of rooms is still lies.
    pub fn heal(&mut self) {
        self.healed = true;
    }

    /// One of its lies of these kinds, if it lies this time.
    pub(super) fn lies(&mut self, kinds: &[Strategy]) -> Option<Strategy> {
        let open: Vec<Strategy> =
            kinds.iter().copied().filter(|kind| self.options.strategies.contains(kind) && self.may(*kind)).collect();
        if open.is_empty() || !self.draw.chance(self.options.lies) {
            return None;
        }
        Some(*self.draw.pick(&open))
    }

    fn may(&self, kind: Strategy) -> bool {
        let stops = matches!(kind, Strategy::LyingKeys | Strategy::Garbage | Strategy::TwoTongues | Strategy::Silence);
        debug_assert_eq!(kind.way(), Way::Lie, "attacks are planned");
        !(self.healed && stops)
    }

    /// Whether it tells the state before events that it made.
    pub(super) fn tells_states(&self) -> bool {
        self.options.strategies.contains(&Strategy::LyingState)
    }

    /// It lies about the state of a room.
    pub(super) fn lied_about(&self, room: &str) {
        self.hearsay.borrow_mut().insert(room.to_owned());
    }

    /// Somebody asks the server something.
    pub fn heard(&mut self, id: RequestId, request: &Request) {
        if !request.path.starts_with("/_matrix/federation/") && !request.path.starts_with("/_matrix/key/") {
            return;
        }
        self.asked.insert(id, request.clone());
        if request.authorization.is_some() {
            keep_last(&mut self.stolen, request.clone());
        }
    }

    /// The server answers, or the liar in its place.
    pub fn answer(&mut self, id: RequestId, response: &mut Response, own: &SimStorage) {
        let Some(request) = self.asked.remove(&id) else { return };
        answers::change(self, &request, response, own);
    }

    /// Whoever asked is gone.
    pub fn forget(&mut self, id: RequestId) {
        self.asked.remove(&id);
    }

    /// The server crashed: nothing that was asked will be answered.
    pub fn forget_asked(&mut self) {
        self.asked.clear();
    }

    /// The server sends a request. `None`: the liar keeps it to itself.
    pub fn send(&mut self, to: u32, request: Request, own: &SimStorage) -> Option<Request> {
        if !request.path.starts_with("/_matrix/federation/v1/send/") {
            return Some(request);
        }
        let request = outgoing::change(self, to, request, own)?;
        keep_last(&mut self.sent, (to, request.clone()));
        Some(request)
    }

    /// Makes an attack, of a number of requests.
    pub fn strike(&mut self, attack: &PlannedAttack, honest: &[u32], victim: &SimStorage, now: Timestamp) -> Vec<Blow> {
        if self.healed {
            return Vec::new();
        }
        let name = |number: u32| ServerName::parse(&server_name(number)).expect("virtual servers have good names");
        let mut scene = Scene {
            by: &self.identity,
            victim: name(attack.victim),
            others: honest.iter().filter(|other| **other != attack.victim).map(|other| name(*other)).collect(),
            read: victim,
            now,
            number: attack.number,
            draw: stream(self.seed, &format!("attack {}", attack.number)),
            made: &mut self.made,
            stolen: &self.stolen,
            sent: &self.sent,
        };
        let blows = events::attack(&mut scene, attack.strategy)
            .or_else(|| graph::attack(&mut scene, attack.strategy))
            .or_else(|| transactions::attack(&mut scene, attack.strategy))
            .or_else(|| handshakes::attack(&mut scene, attack.strategy))
            .unwrap_or_default();
        let blows: Vec<Blow> = blows.into_iter().filter(Blow::is_for_core).collect();
        self.tally.attacks += u64::from(!blows.is_empty());
        blows
    }

    /// Notes that a request is under way. Its number.
    pub fn begin(&mut self, strategy: Strategy, blow: &Blow) -> u64 {
        if let Expect::Results { refused, .. } = &blow.expect {
            self.unacceptable.extend(refused.iter().cloned());
        }
        self.last += 1;
        self.tally.requests += 1;
        let what = format!("{strategy:?} of {} at {}: {}", self.identity.name, blow.to, blow.request.path);
        self.blows.insert(self.last, Pending { strategy, what, expect: blow.expect.clone() });
        self.last
    }

    /// The answer to one of its requests, or none.
    pub fn struck(&mut self, number: u64, reply: Result<Response, Lost>, excused: bool) -> Result<(), Failure> {
        let Some(Pending { strategy, what, expect }) = self.blows.remove(&number) else { return Ok(()) };
        let Ok(response) = reply else {
            self.tally.unanswered += 1;
            return Ok(());
        };
        debug_assert_eq!(strategy.way(), Way::Attack, "lies have no answer");
        refusals::check(&what, &expect, &response, excused, &mut self.tally)
    }
}

/// Keeps the last [`KEPT`].
fn keep_last<T>(kept: &mut Vec<T>, item: T) {
    if kept.len() == KEPT {
        kept.remove(0);
    }
    kept.push(item);
}

/// The server that signed a request, by its header.
pub(super) fn origin_of(request: &Request) -> Option<ServerName> {
    Some(XMatrix::parse(request.authorization.as_deref()?)?.origin)
}

/// An event of a room on somebody's disk, drawn from all that are not outliers.
pub(super) fn some_event(read: &SimStorage, room: &Room, draw: &mut Draw) -> Option<StoredEvent> {
    let at = draw.below(u64::from(room.head.next_index.max(1)));
    let index = orrery_core::room::EventIndex(u32::try_from(at).ok()?);
    StoredEvent::get(read, room.num, index).ok()?.filter(|event| !event.header.outlier)
}

/// An ID that was made here and so is one.
pub(super) fn event_id(text: &str) -> EventId {
    EventId::parse(text).expect("IDs of events are short and begin with $")
}

//! The network between virtual clients and servers, and between servers: requests and answers that take time, get lost, and arrive after
//! nobody waits for them any more.

use std::collections::BTreeMap;

use orrery_core::effect::CallId;
use orrery_core::http::{Request, Response};
use orrery_core::input::RequestId;
use serde::{Deserialize, Serialize};

use crate::clock::{Span, Time};
use crate::draw::{Draw, Latency};
use crate::links::{LinkOptions, Links};
use crate::queue::{Event, Queue};
use crate::recording::Watch;
use crate::tasks::{Lost, WaitId};

/// Changes an answer on its way out of a server. Only tests of the checkers do so.
pub type Tamper = Box<dyn FnMut(&Request, &mut Response)>;

/// One request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExchangeId(pub u64);

/// How the network of a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkOptions {
    pub latency: Latency,
    /// How many of 1000 requests never arrive.
    pub request_loss: u64,
    /// How many of 1000 answers never arrive.
    pub reply_loss: u64,
    /// How many of 1000 impatient clients close their connection; behind the others stands a proxy that keeps it open.
    pub hangup: u64,
    /// How many of 1000 answers that are under way when their server crashes arrive all the same.
    pub outlives_crash: u64,
    pub links: LinkOptions,
}

impl Default for NetworkOptions {
    fn default() -> NetworkOptions {
        let latency = Latency { low: Span::millis(1), high: Span::millis(1), slow: 0 };
        NetworkOptions {
            latency,
            request_loss: 0,
            reply_loss: 0,
            hangup: 0,
            outlives_crash: 0,
            links: LinkOptions::default(),
        }
    }
}

/// Who made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Client(WaitId),
    /// A server in one of its lives, and what it calls the request.
    Server {
        number: u32,
        life: u32,
        call: CallId,
    },
    /// The liar around a server, and what it calls the request.
    Liar {
        server: u32,
        number: u64,
    },
    /// Nobody any more: the network has made two requests of one.
    Nobody,
}

impl Caller {
    fn server(self) -> Option<u32> {
        match self {
            Caller::Client(_) | Caller::Nobody => None,
            Caller::Server { number, .. } | Caller::Liar { server: number, .. } => Some(number),
        }
    }
}

#[derive(Debug)]
struct Exchange {
    caller: Caller,
    server: u32,
    /// The life of the server that took it, and its number there.
    accepted: Option<(u32, RequestId)>,
    /// The answer has left the server.
    answered: bool,
    /// What the answer answers, for [`Tamper`].
    request: Option<Request>,
    /// The connection broke while the answer was under way.
    cut: bool,
}

/// Every exchange under way.
pub struct Network {
    options: NetworkOptions,
    draw: Draw,
    tamper: Option<Tamper>,
    last: u64,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    /// Until when nothing gets through to a server.
    outages: BTreeMap<u32, Time>,
    pub links: Links,
    healed: bool,
    watch: Watch,
}

/// How long a client takes to see that a connection is broken.
const NOTICE: Span = Span::millis(200);

impl Network {
    #[must_use]
    pub fn new(options: NetworkOptions, draw: Draw, links: Links, tamper: Option<Tamper>, watch: Watch) -> Network {
        Network {
            options,
            draw,
            tamper,
            last: 0,
            exchanges: BTreeMap::new(),
            outages: BTreeMap::new(),
            links,
            healed: false,
            watch,
        }
    }

    /// Nothing is lost any more.
    pub fn heal(&mut self) {
        self.healed = true;
        self.outages.clear();
        self.links.heal();
    }

    /// Nothing gets through to `server` until then.
    pub fn outage(&mut self, server: u32, until: Time) {
        self.outages.insert(server, until);
    }

    /// Whether what goes from one to another is lost; `None` is a client.
    fn loses(&mut self, from: Option<u32>, to: Option<u32>, now: Time, per_mille: u64) -> bool {
        let drawn = self.draw.chance(per_mille);
        let out =
            |server: Option<u32>| server.and_then(|server| self.outages.get(&server)).is_some_and(|until| now < *until);
        let cut = from.zip(to).is_some_and(|link| self.links.loses(link, now));
        !self.healed && (drawn || cut || out(from) || out(to))
    }

    /// A request is sent to a server. The answer, or its loss, comes to the caller within `patience`.
    pub fn send(
        &mut self,
        queue: &mut Queue,
        caller: Caller,
        server: u32,
        request: Request,
        patience: Span,
    ) -> ExchangeId {
        self.last += 1;
        let id = ExchangeId(self.last);
        self.watch.sent(queue.now(), id, caller, server, &request);
        let kept = self.tamper.is_some().then(|| request.clone());
        self.exchanges
            .insert(id, Exchange { caller, server, accepted: None, answered: false, request: kept, cut: false });
        let latency = self.latency(caller.server(), Some(server));
        if self.loses(caller.server(), Some(server), queue.now(), self.options.request_loss) {
            queue.after(latency + NOTICE, Event::ReplyArrives { exchange: id, reply: Err(Lost::Connection) });
        } else {
            if matches!(caller, Caller::Server { .. }) && self.links.makes_two() {
                self.send_again(queue, (caller, server), &request);
            }
            queue.after(latency, Event::RequestArrives { exchange: id, server, request });
        }
        queue.after(patience, Event::PatienceOver { exchange: id });
        id
    }

    /// The same request arrives once more, and nobody waits for the second answer.
    fn send_again(&mut self, queue: &mut Queue, (caller, server): (Caller, u32), request: &Request) {
        self.last += 1;
        let id = ExchangeId(self.last);
        let twin =
            Exchange { caller: Caller::Nobody, server, accepted: None, answered: false, request: None, cut: false };
        self.exchanges.insert(id, twin);
        let latency = self.latency(caller.server(), Some(server));
        queue.after(latency, Event::RequestArrives { exchange: id, server, request: request.clone() });
    }

    /// How long something is under way; `None` is a client.
    fn latency(&mut self, from: Option<u32>, to: Option<u32>) -> Span {
        let latency = self.options.latency.draw(&mut self.draw);
        from.zip(to).map_or(latency, |link| self.links.takes(link, latency))
    }

    /// The server took the request as number `request`.
    pub fn accepted(&mut self, id: ExchangeId, life: u32, request: RequestId) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.accepted = Some((life, request));
        }
    }

    /// Nobody listens, or the connection broke before there was an answer.
    pub fn refused(&mut self, queue: &mut Queue, id: ExchangeId) {
        self.watch.refused(queue.now(), id);
        let latency = self.options.latency.draw(&mut self.draw);
        queue.after(latency, Event::ReplyArrives { exchange: id, reply: Err(Lost::Connection) });
    }

    /// The answer leaves the server.
    pub fn reply(&mut self, queue: &mut Queue, id: ExchangeId, mut response: Response) {
        let latency = self.options.latency.draw(&mut self.draw);
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        exchange.answered = true;
        if let Some(tamper) = &mut self.tamper
            && let Some(request) = &exchange.request
        {
            tamper(request, &mut response);
        }
        self.watch.answered(queue.now(), id, &response);
        let (server, caller) = (exchange.server, exchange.caller);
        let latency = caller.server().map_or(latency, |to| self.links.takes((server, to), latency));
        let (latency, reply) = match self.loses(Some(server), caller.server(), queue.now(), self.options.reply_loss) {
            true => (latency + NOTICE, Err(Lost::Connection)),
            false => (latency, Ok(response)),
        };
        queue.after(latency, Event::ReplyArrives { exchange: id, reply });
    }

    /// The server is gone: some of the answers that are under way from it do not arrive.
    pub fn crashed(&mut self, server: u32) {
        for exchange in self.exchanges.values_mut() {
            if exchange.server == server && exchange.answered {
                exchange.cut |= !self.draw.chance(self.options.outlives_crash);
            }
        }
    }

    /// The server is gone for long: no answer that is under way from it arrives.
    pub fn cut(&mut self, server: u32) {
        self.exchanges.values_mut().filter(|exchange| exchange.server == server).for_each(|exchange| {
            exchange.cut |= exchange.answered;
        });
    }

    /// The answer arrives. Who waits for it, if anybody still does.
    pub fn arrived(
        &mut self,
        id: ExchangeId,
        reply: Result<Response, Lost>,
    ) -> Option<(Caller, Result<Response, Lost>)> {
        let exchange = self.exchanges.remove(&id)?;
        Some((exchange.caller, if exchange.cut { Err(Lost::Connection) } else { reply }))
    }

    /// The client waits no longer. Who waited.
    pub fn impatient(&mut self, queue: &mut Queue, id: ExchangeId) -> Option<Caller> {
        let exchange = self.exchanges.remove(&id)?;
        let latency = self.options.latency.draw(&mut self.draw);
        let hangs_up = self.draw.chance(self.options.hangup);
        if let Some((life, request)) = exchange.accepted
            && hangs_up
        {
            queue.after(latency, Event::HangupArrives { server: exchange.server, life, request });
        }
        Some(exchange.caller)
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("exchanges", &self.exchanges.len()).finish_non_exhaustive()
    }
}

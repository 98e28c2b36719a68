//! The homeserver: inputs in, effects out.

mod clock;
mod sizes;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;

use crate::client::account::{access_token, session};
use crate::client::keys::{announce, restored};
use crate::client::machines::Machines;
use crate::client::request::{Auth, ClientRequest, FlowFuture, Handler, QueryContext};
use crate::client::routes::Route;
use crate::client::{every_room, to_device};
use crate::config::Config;
use crate::effect::{Effect, Query};
use crate::encryption::inbox;
use crate::error::ApiError;
use crate::federation::destinations::{self, Destinations};
use crate::federation::{fill_holes, partings, policy_sign, request_auth};
use crate::flow::{Calls, Cx, Executor, Finished, Host, Outbox, Spawned, Step, WaitingFlow};
use crate::http::Request;
use crate::identifiers::InvalidIdentifier;
use crate::input::{Input, RequestId};
use crate::limits::MAX_FLOWS_FOR_SERVERS;
use crate::random::Random;
use crate::router::{Found, Router};
use crate::signing::SigningKey;
use crate::state_res::Resolutions;
use crate::store::tables::{Position, SCHEMA};
use crate::store::{Overlay, Storage, StorageError, log, meta};
use crate::time::Timestamp;

use clock::Clock;
pub use sizes::Sizes;

/// Why a homeserver does not start on a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    Storage(StorageError),
    /// The store was written by another version of Orrery.
    Schema {
        found: u32,
        supported: u32,
    },
    /// The version of the signing key is not one that a key ID can have.
    SigningKey(InvalidIdentifier),
    /// The store belongs to another server name.
    ServerName {
        found: String,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Storage(error) => write!(f, "{error}"),
            StartError::SigningKey(error) => write!(f, "the signing key's version: {error}"),
            StartError::Schema { found, supported } => write!(
                f,
                "the database has schema {found} and this version of orrery reads schema {supported}: use the version that \
                 wrote it, or a newer one"
            ),
            StartError::ServerName { found } => {
                write!(
                    f,
                    "the database belongs to the server {found}: set server_name to that, or use another data_dir"
                )
            }
        }
    }
}

impl core::error::Error for StartError {}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> StartError {
        StartError::Storage(error)
    }
}

impl From<meta::OpenError> for StartError {
    fn from(error: meta::OpenError) -> StartError {
        match error {
            meta::OpenError::Storage(error) => StartError::Storage(error),
            meta::OpenError::Schema { found } => StartError::Schema { found, supported: SCHEMA },
            meta::OpenError::ServerName { found } => StartError::ServerName { found: String::from(found) },
        }
    }
}

/// One Matrix homeserver, as a state machine: [`handle`](Homeserver::handle) an input, then
/// [`drain`](Homeserver::drain) the effects and carry them out.
pub struct Homeserver<S: Storage + 'static> {
    world: Rc<World<S>>,
    cx: Cx,
    executor: Executor,
    router: Router,
}

/// What steps work on. Each cell is borrowed for one step or less, never across a poll.
struct World<S> {
    config: Config,
    clock: Cell<Clock>,
    overlay: RefCell<Overlay<S>>,
    random: RefCell<Random>,
    position: Cell<Position>,
    /// The first one of this life.
    first_position: Position,
    resolutions: Cell<Resolutions>,
    outbox: RefCell<Outbox>,
    machines: RefCell<Machines>,
    destinations: destinations::Shared,
    calls: RefCell<Calls>,
    signing_key: SigningKey,
}

impl<S: Storage + 'static> Homeserver<S> {
    /// Starts on what `storage` holds; an empty one becomes a new server. `seed` decides every random draw.
    pub fn new(config: Config, seed: [u8; 32], storage: S, now: Timestamp) -> Result<Self, StartError> {
        let boots = meta::boot_after(meta::open(&storage, &config.server_name)?, now);
        let position = log::last_position(&storage)?;
        let key = &config.signing_key;
        let signing_key = SigningKey::from_seed(&key.version, &key.seed).map_err(StartError::SigningKey)?;
        let destinations = Destinations::new(&config, boots, position, &storage, now)?;
        let restored = config.restored.then(|| Random::new(&seed, "restored"));
        let world = Rc::new(World {
            signing_key,
            destinations: Rc::new(RefCell::new(destinations)),
            clock: Cell::new(Clock::new(now)),
            overlay: RefCell::new(Overlay::new(storage)),
            random: RefCell::new(Random::new(&seed, "homeserver")),
            position: Cell::new(position),
            first_position: log::first_position(boots, now, position, restored),
            resolutions: Cell::default(),
            outbox: RefCell::new(Outbox::default()),
            machines: RefCell::new(Machines::new(boots, &seed)),
            calls: RefCell::new(Calls::default()),
            config,
        });
        let server_name = world.config.server_name.clone();
        world
            .run_step(|step, _| {
                meta::record_boot(step, &server_name, boots);
                if step.config.restored { restored::begin_again(step) } else { Ok(()) }
            })
            .map_err(|error| StorageError(error.message))?;
        let host: Rc<dyn Host> = world.clone();
        let mut executor = Executor::default();
        let cx = Cx::new(host);
        let left = world.with_context(|context| every_room::resume(&cx, context.read))?;
        for flow in left {
            // What finds no place stays stored for the next start.
            let _ = executor.spawn(&world.calls, "go on in every room", None, flow);
        }
        world.with_context(|context| fill_holes::resume(&cx, context.read))?;
        world.with_context(|context| partings::resume(&cx, context.read))?;
        let mut homeserver = Homeserver { world, cx, executor, router: Router::new() };
        homeserver.settle();
        Ok(homeserver)
    }

    /// Takes one input. Time never runs backwards, whatever the host's clock does: see [`now`](Homeserver::now).
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        let mut clock = self.world.clock.get();
        clock.read(now);
        self.world.clock.set(clock);
        match input {
            Input::Request { id, request } => self.request(id, request),
            Input::Hangup { id } => {
                self.world.machines.borrow_mut().hangup(id);
                self.executor.cancel(&self.world.calls, id);
            }
            Input::Resolved { call, outcome } => {
                let flow = self.world.calls.borrow_mut().resolve(call, outcome);
                if let Some(flow) = flow {
                    self.executor.poll(&self.world.calls, flow);
                }
            }
            Input::Durable { commit } => {
                self.world.overlay.borrow_mut().durable(commit);
                self.world.outbox.borrow_mut().durable(commit);
            }
            Input::Wake => {
                let world = &self.world;
                let effects =
                    world.with_context(|context| world.machines.borrow_mut().wake(context, world.position.get()));
                world.emit_all(effects);
                world.calls.borrow_mut().wake(world.now());
                world.destinations.borrow_mut().wake(world.now());
            }
        }
        self.settle();
    }

    /// Lets everything happen that follows from an input.
    fn settle(&mut self) {
        self.run_flows();
        let mut can_route = true;
        while self.send_to_others(&mut can_route) {
            self.run_flows();
        }
        for call in self.world.calls.borrow_mut().take_abandoned() {
            self.world.outbox.borrow_mut().push(Effect::Abandon { call });
        }
    }

    /// Starts sending to other servers what has become due to them. `false` if there is nothing to start. `can_route` is cleared when the
    /// log cannot be read: it will not be before the next input either, and whoever was found before that would be found again.
    fn send_to_others(&mut self, can_route: &mut bool) -> bool {
        let world = &self.world;
        let destinations = &world.destinations;
        let joined = world.machines.borrow_mut().take_joined();
        for (user_id, room) in joined {
            // Servers that do not hear of it ask when their users want to know.
            let _: Result<(), ApiError> = world.run_step(|step, _| announce::joined(step, &user_id, room));
        }
        let came_in = world.machines.borrow_mut().take_came_in();
        for (server, room, joins) in came_in {
            let _: Result<(), ApiError> = world.run_step(|step, _| announce::came_in(step, &server, room, joins));
        }
        world.with_context(|context| {
            world.machines.borrow_mut().tell_servers(context, &mut destinations.borrow_mut());
        });
        let is_unrouted = destinations.borrow().is_unrouted(world.now());
        if is_unrouted && *can_route {
            let routed: Result<(), ApiError> = world.run_step(|step, _| Ok(destinations.borrow_mut().route(step)?));
            *can_route = routed.is_ok();
        }
        let mut any = false;
        loop {
            let Some(name) = destinations.borrow_mut().take_ready() else { return any };
            any = true;
            let flow = destinations::deliver(self.cx.clone(), destinations.clone(), name.clone());
            if !self.executor.spawn(&world.calls, "send to another server", None, flow) {
                destinations.borrow_mut().stumbled(&name, world.now());
            }
        }
    }

    /// Lets every flow go on that can, and starts those that were asked for.
    fn run_flows(&mut self) {
        let calls = &self.world.calls;
        loop {
            let (ready, spawned) = {
                let mut calls = calls.borrow_mut();
                (calls.take_ready(), calls.take_spawned())
            };
            if ready.is_none() && spawned.is_none() {
                break;
            }
            if let Some(flow) = ready {
                self.executor.poll(calls, flow);
            }
            if let Some(Spawned { name, future }) = spawned {
                // Beyond the bound it is dropped; whoever starts a flow that must not be lost has stored what it is about.
                let _ = self.executor.spawn(calls, name, None, future);
            }
        }
    }

    /// The effects that may be carried out now, in order. Commits leave at once; everything else leaves when every commit
    /// before it is durable.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        core::iter::from_fn(|| self.world.outbox.borrow_mut().pop())
    }

    /// Lets the host renew its snapshot, which it does before `Input::Durable`.
    pub fn with_storage<T>(&mut self, renew: impl FnOnce(&mut S) -> T) -> T {
        renew(self.world.overlay.borrow_mut().storage_mut())
    }

    /// Every waiting flow and what it waits for.
    #[must_use]
    pub fn report(&self) -> Vec<WaitingFlow> {
        self.executor.report(&self.world.calls.borrow())
    }

    /// Commits that are not durable yet.
    #[must_use]
    pub fn pending_commits(&self) -> usize {
        self.world.overlay.borrow().pending()
    }

    /// What states were resolved since the start, for steps that were committed.
    #[must_use]
    pub fn resolutions(&self) -> Resolutions {
        self.world.resolutions.get()
    }

    /// Effects that wait for commits to be durable.
    #[must_use]
    pub fn held_effects(&self) -> usize {
        self.world.outbox.borrow().held()
    }

    /// Starts a flow that belongs to no request.
    #[cfg(test)]
    pub(crate) fn start_flow<F: Future<Output = ()> + 'static>(&mut self, start: impl FnOnce(Cx) -> F) {
        let flow = start(self.cx.clone());
        assert!(self.executor.spawn(&self.world.calls, "test", None, flow), "there is a place for the flow");
        self.settle();
    }

    fn request(&mut self, id: RequestId, raw: Request) {
        if let Err(error) = self.route(id, raw) {
            self.world.emit(Effect::Reply { id, response: error.response() });
        }
    }

    fn route(&mut self, id: RequestId, raw: Request) -> Result<(), ApiError> {
        let (route, params) = match self.router.find(raw.method, &raw.path) {
            Found::Route(route, params) => (*route, params),
            Found::WrongMethod => return Err(ApiError::unrecognized(405)),
            Found::Unknown => return Err(ApiError::unrecognized(404)),
            Found::BadEncoding => return Err(ApiError::invalid_param("The path's percent-encoding is not UTF-8")),
        };
        self.require_storage_for(raw.method)?;
        let mut request = ClientRequest::new(id, raw, params);
        let world = &self.world;
        if route.path.starts_with(request_auth::API) && !world.config.federation.enabled {
            return Err(ApiError::new(403, "M_FORBIDDEN", "Federation is disabled on this server"));
        }
        let is_of_server = route.auth == Auth::Server || route.path.starts_with(request_auth::KEY_API);
        if is_of_server && self.executor.under_way() >= MAX_FLOWS_FOR_SERVERS {
            return Err(busy());
        }
        if route.auth == Auth::Server {
            return self.dispatch_server(route, request);
        }
        let first_use = world.with_context(|context| {
            let first_use = authenticate(context, &route, &mut request)?;
            world.machines.borrow_mut().limit(route.limit, &request, context)?;
            Ok::<_, ApiError>(first_use)
        })?;
        self.follow_session(&request, first_use)?;
        self.dispatch(&route, request)
    }

    /// Writes down what a request says of its session, if that is due.
    fn follow_session(&self, request: &ClientRequest, first_use: bool) -> Result<(), ApiError> {
        let world = &self.world;
        let Some(requester) = &request.requester else { return Ok(()) };
        if first_use {
            let token = request.access_token.as_deref().unwrap_or_default();
            world.run_step(|step, _| session::confirm(step, token))?;
        }
        let address = request.raw.remote;
        if world.machines.borrow_mut().last_seen.is_due(requester, address, world.now()) {
            world.run_step(|step, _| session::seen(step, requester, address))?;
        }
        Ok(())
    }

    fn dispatch(&mut self, route: &Route, request: ClientRequest) -> Result<(), ApiError> {
        let world = &self.world;
        let id = request.id;
        let response = match route.handler {
            Handler::Step(handler) => {
                let mut waits = false;
                let answer = world.run_step(|step, _| {
                    let answer = handler(step, &request);
                    waits = step.policy.question.is_some();
                    answer
                });
                if waits {
                    let cx = self.cx.clone();
                    let flow = async move {
                        // A client that is gone may ask for the answer again.
                        cx.outlive_request();
                        policy_sign::step(&cx, |step| handler(step, &request)).await
                    };
                    return self.spawn("have an event signed", id, Box::pin(flow));
                }
                answer?
            }
            Handler::Machine(handler) => world.run_step(|step, machines| handler(machines, step, &request))?,
            Handler::Query(handler) => world.with_context(|context| handler(context, &request))?,
            Handler::HeavyQuery(_) => {
                world.query(request);
                return Ok(());
            }
            Handler::AskFirst(handler) => {
                if !world.with_context(|context| (handler.needed)(context, &request))? {
                    world.query(request);
                    return Ok(());
                }
                let (world, ask) = (world.clone(), (handler.ask)(self.cx.clone(), request.clone()));
                let flow = async move {
                    match ask.await {
                        Ok(None) => world.query(request),
                        Ok(Some(response)) => world.emit(Effect::Reply { id, response }),
                        Err(error) => world.emit(Effect::Reply { id, response: error.response() }),
                    }
                };
                return self.spawn_answering(handler.name, id, flow);
            }
            Handler::Sync => {
                let acknowledged =
                    world.with_context(|context| to_device::acknowledged(context, world.position.get(), &request))?;
                if let Some(up_to) = acknowledged {
                    let requester = request.requester();
                    let device = (&requester.user_id, &requester.device_id);
                    world.run_step(|step, _| Ok(inbox::acknowledge(step, device, up_to)?))?;
                }
                let effects = world
                    .with_context(|context| world.machines.borrow_mut().sync(context, world.position.get(), request));
                world.emit_all(effects);
                return Ok(());
            }
            Handler::Flow(name, start) => {
                return self.spawn(name, id, start(self.cx.clone(), request));
            }
        };
        world.emit(Effect::Reply { id, response });
        Ok(())
    }

    /// A request of another server: who it is may have to be found out first.
    fn dispatch_server(&mut self, route: Route, mut request: ClientRequest) -> Result<(), ApiError> {
        let (cx, world, id) = (self.cx.clone(), self.world.clone(), request.id);
        let flow = async move {
            let origin = request_auth::authenticate(&cx, &request.raw).await;
            let answer = match origin {
                Ok((origin, content)) => {
                    (request.origin, request.content) = (Some(origin), content);
                    match route.handler {
                        Handler::Step(handler) => world.run_step(|step, _| handler(step, &request)),
                        Handler::Machine(handler) => world.run_step(|step, machines| handler(machines, step, &request)),
                        Handler::Query(handler) => world.with_context(|context| handler(context, &request)),
                        Handler::Flow(_, start) => start(cx, request).await,
                        Handler::HeavyQuery(_) => return world.query(request),
                        Handler::AskFirst(_) | Handler::Sync => Err(ApiError::unrecognized(404)),
                    }
                }
                Err(error) => Err(error),
            };
            let response = answer.unwrap_or_else(|error| error.response());
            world.emit(Effect::Reply { id, response });
        };
        self.spawn_answering(route.path, id, flow)
    }

    fn spawn(&mut self, name: &'static str, id: RequestId, flow: FlowFuture) -> Result<(), ApiError> {
        let flow = answer_with(self.world.clone(), id, flow);
        self.spawn_answering(name, id, flow)
    }

    /// Starts a flow that answers a request.
    fn spawn_answering(
        &mut self,
        name: &'static str,
        id: RequestId,
        flow: impl Future<Output = ()> + 'static,
    ) -> Result<(), ApiError> {
        if self.executor.spawn(&self.world.calls, name, Some(id), flow) {
            return Ok(());
        }
        Err(busy())
    }
}

fn busy() -> ApiError {
    let busy = ApiError::new(429, "M_LIMIT_EXCEEDED", "The server is busy; try again in a moment");
    busy.with("retry_after_ms", 1000u32)
}

/// Runs a flow to its end and sends its answer.
async fn answer_with<S: Storage + 'static>(world: Rc<World<S>>, id: RequestId, flow: FlowFuture) {
    let response = flow.await.unwrap_or_else(|error| error.response());
    world.emit(Effect::Reply { id, response });
}

/// Finds out who asks, if the route wants to know. `true` if that ends the tokens that theirs replaces.
fn authenticate(context: &QueryContext<'_>, route: &Route, request: &mut ClientRequest) -> Result<bool, ApiError> {
    if route.auth == Auth::None {
        return Ok(false);
    }
    let token = access_token::token_of(&request.raw);
    let known = match route.auth {
        Auth::None => None,
        Auth::Optional => match access_token::authenticate(context.read, context.now, token.as_deref()) {
            Ok(known) => Some(known),
            Err(error) if error.status == 401 => None,
            Err(error) => return Err(error),
        },
        Auth::Required | Auth::Guest => {
            let known = access_token::authenticate(context.read, context.now, token.as_deref())?;
            if known.requester.guest && route.auth == Auth::Required {
                return Err(ApiError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guests may not do this"));
            }
            Some(known)
        }
        Auth::Server => None,
        Auth::Admin => {
            access_token::authenticate_admin(context.config, token.as_deref())?;
            None
        }
    };
    request.access_token = token;
    let first_use = known.as_ref().is_some_and(|known| known.replaces);
    request.requester = known.map(|known| known.requester);
    Ok(first_use)
}

impl<S: Storage + 'static> World<S> {
    fn emit(&self, effect: Effect) {
        self.outbox.borrow_mut().push(effect);
    }

    /// Has the host answer a request that only reads.
    fn query(&self, request: ClientRequest) {
        let ClientRequest { id, raw, requester, origin, .. } = request;
        self.emit(Effect::Query { id, query: Query { request: raw, requester, origin, ephemeral: None } });
    }

    fn emit_all(&self, effects: Vec<Effect>) {
        let mut outbox = self.outbox.borrow_mut();
        for effect in effects {
            outbox.push(effect);
        }
    }

    fn with_context<T>(&self, run: impl FnOnce(&QueryContext<'_>) -> T) -> T {
        let overlay = self.overlay.borrow();
        run(&QueryContext { read: &*overlay, config: &self.config, now: self.now() })
    }

    /// Runs one step, commits it if it succeeded, and tells the machines.
    fn run_step<T>(
        &self,
        run: impl FnOnce(&mut Step<'_>, &mut Machines) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (result, finished) = {
            let overlay = self.overlay.borrow();
            let mut random = self.random.borrow_mut();
            let mut step =
                Step::new(self.now(), (&self.config, &self.signing_key), &mut random, &*overlay, self.position.get());
            step.begin_at(self.first_position);
            let result = run(&mut step, &mut self.machines.borrow_mut())?;
            (result, step.finish())
        };
        self.commit(finished);
        Ok(result)
    }

    fn commit(&self, finished: Finished) {
        let Finished { batch, position, notices, resolutions } = finished;
        let mut all = self.resolutions.get();
        all.add(resolutions);
        self.resolutions.set(all);
        if !batch.writes.is_empty() {
            let mut outbox = self.outbox.borrow_mut();
            let id = outbox.commit(batch.clone());
            self.overlay.borrow_mut().push(id, &batch, self.now());
        }
        self.position.set(position);
        if !notices.is_empty() {
            self.destinations.borrow_mut().committed(position, &notices);
            let effects =
                self.with_context(|context| self.machines.borrow_mut().committed(context, position, &notices));
            self.emit_all(effects);
        }
    }
}

impl<S: Storage + 'static> Host for World<S> {
    fn step(&self, run: &mut dyn FnMut(&mut Step<'_>) -> bool) {
        let _: Result<(), ApiError> = self.run_step(|step, _| {
            // The flow keeps the error itself; here it only decides whether to commit.
            if run(step) { Ok(()) } else { Err(ApiError::internal("the step was dropped")) }
        });
    }
    fn emit(&self, effect: Effect) {
        World::emit(self, effect);
    }
    fn calls(&self) -> &RefCell<Calls> {
        &self.calls
    }
    fn now(&self) -> Timestamp {
        World::now(self)
    }
}

impl<S: Storage + 'static> fmt::Debug for Homeserver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Homeserver").field("server_name", &self.world.config.server_name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

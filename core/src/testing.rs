//! A host for tests: one homeserver over storage in memory, with its effects carried out inline.
//!
//! ```text
//! let mut server = Server::new();
//! let alice = server.register("alice");
//! let room = server.ok(Method::Post, "/_matrix/client/v3/createRoom", &alice, json!({ "name": "Tea" }));
//! server.fails(Method::Get, "/_matrix/client/v3/account/whoami", (), (), 401, "M_MISSING_TOKEN");
//! let poll = server.start(Method::Get, "/_matrix/client/v3/sync?timeout=1000", &alice, ());
//! server.advance(1000);
//! let answer = server.take_reply(poll).expect("the poll is over");
//! ```

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::RefCell;
use core::future::Future;
use core::net::IpAddr;

use crate::Homeserver;
use crate::canonical_json::{self, Object, Value};
use crate::config::{Config, RateLimits, RegistrationConfig, SigningKeyConfig};
use crate::effect::{Batch, CallId, CommitId, Effect, Fetch, PasswordCost};
use crate::flow::Cx;
use crate::http::{Method, Request, Response};
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::input::{Input, Outcome, RequestId};
use crate::query;
use crate::router::Router;
use crate::store::memory::Memory;
use crate::time::Timestamp;

pub(crate) mod branch;
pub(crate) mod network;

/// Builds a [`Value`]: `json!({ "a": 1, "b": [true, null], "c": (expression) })`. Anything but a literal, an array or an
/// object stands in parentheses.
macro_rules! json {
    (null) => { $crate::canonical_json::Value::Null };
    ([ $($item:tt),* $(,)? ]) => {
        $crate::canonical_json::Value::Array(::alloc::vec![$($crate::testing::json!($item)),*])
    };
    ({ $($name:tt : $value:tt),* $(,)? }) => {{
        #[allow(unused_mut)]
        let mut object = $crate::canonical_json::Object::new();
        $(object.insert($name, $crate::testing::json!($value));)*
        $crate::canonical_json::Value::Object(object)
    }};
    ($other:expr) => { $crate::testing::ToValue::to_value(&$other) };
}
pub(crate) use json;

/// What `json!` takes as an expression.
pub(crate) trait ToValue {
    fn to_value(&self) -> Value;
}

impl ToValue for i32 {
    fn to_value(&self) -> Value {
        Value::from(i64::from(*self))
    }
}

macro_rules! to_value {
    ($($type:ty),*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value {
                Value::from(self.clone())
            }
        }
    )*};
}
to_value!(i64, u64, u32, bool, String, Value, Object, Vec<Value>, &UserId, &crate::identifiers::RoomId);

impl ToValue for str {
    fn to_value(&self) -> Value {
        Value::from(self)
    }
}
impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

/// Who makes a request: a [`User`], a bare token, or nobody (`()`).
pub(crate) trait Who {
    fn token(&self) -> Option<&str>;
}
impl Who for () {
    fn token(&self) -> Option<&str> {
        None
    }
}
impl Who for &str {
    fn token(&self) -> Option<&str> {
        Some(self)
    }
}
impl Who for &User {
    fn token(&self) -> Option<&str> {
        Some(&self.token)
    }
}

/// A request's body: JSON, raw text, or none (`()`).
pub(crate) trait Body {
    fn bytes(self) -> Bytes;
}
impl Body for () {
    fn bytes(self) -> Bytes {
        Bytes::new()
    }
}
impl Body for Value {
    fn bytes(self) -> Bytes {
        self.to_bytes().into()
    }
}
impl Body for &str {
    fn bytes(self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }
}
impl Body for &[u8] {
    fn bytes(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

/// A session of a user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub user_id: UserId,
    pub device_id: DeviceId,
    pub token: String,
}

/// The password of every user that [`Server::register`] makes.
pub(crate) const PASSWORD: &str = "correct horse";

/// A homeserver and its host.
pub(crate) struct Server {
    homeserver: Homeserver<Memory>,
    config: Config,
    router: Router,
    pub now: Timestamp,
    /// The address that requests come from.
    pub remote: Option<IpAddr>,
    /// While set, commits are not made durable, so nothing that waits for them leaves.
    pub hold_commits: bool,
    pending: VecDeque<(CommitId, Batch)>,
    replies: BTreeMap<RequestId, Response>,
    /// What was asked of other servers and has no answer yet. A [`network::Net`] carries it to them.
    pub fetches: VecDeque<(CallId, Fetch)>,
    /// What DNS has; it says of any other name that there is nothing.
    pub services: BTreeMap<String, Outcome>,
    /// Every name that DNS was asked for.
    pub lookups: Vec<String>,
    last_request: u64,
    starts: u8,
}

impl Server {
    /// `example.org`, with open registration and no rate limits.
    pub fn new() -> Server {
        Server::with(|_| ())
    }

    /// The same with a changed configuration.
    pub fn with(change: impl FnOnce(&mut Config)) -> Server {
        let mut config = config();
        change(&mut config);
        Server::start_on(Memory::default(), config, Timestamp(1_700_000_000_000), 1)
    }

    fn start_on(storage: Memory, config: Config, now: Timestamp, starts: u8) -> Server {
        let homeserver = Homeserver::new(config.clone(), [starts; 32], storage, now).expect("the storage is ours");
        let mut server = Server {
            homeserver,
            config,
            router: Router::new(),
            now,
            remote: Some(IpAddr::from([127, 0, 0, 1])),
            hold_commits: false,
            pending: VecDeque::new(),
            replies: BTreeMap::new(),
            fetches: VecDeque::new(),
            services: BTreeMap::new(),
            lookups: Vec::new(),
            last_request: 0,
            starts,
        };
        server.pump();
        server
    }

    /// Loses whatever is not durable, and starts again on the rest.
    pub fn crash(self) -> Server {
        self.restart_with(|_| ())
    }

    /// Makes the first `commits` of what is held durable, and loses the rest.
    pub fn crash_after(mut self, commits: usize) -> Server {
        let pending: Vec<(CommitId, Batch)> = self.pending.drain(..commits).collect();
        self.write(pending);
        self.crash()
    }

    /// [`Server::crash`], then a start with a changed configuration.
    pub fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Server {
        let storage = self.homeserver.with_storage(core::mem::take);
        change(&mut self.config);
        Server::start_on(storage, self.config, self.now, self.starts + 1)
    }

    /// What is durable.
    pub fn backup(&mut self) -> Memory {
        self.homeserver.with_storage(|storage| storage.clone())
    }

    /// Starts again on a backup, and is told so.
    pub fn restore(self, backup: Memory) -> Server {
        let config = Config { restored: true, ..self.config };
        Server::start_on(backup, config, self.now, self.starts + 1)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Makes everything durable that was held.
    pub fn release_commits(&mut self) {
        self.hold_commits = false;
        self.pump();
    }

    /// Sends a request; `target` is path and query.
    pub fn start(&mut self, method: Method, target: &str, who: impl Who, body: impl Body) -> RequestId {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method,
            path: path.to_string(),
            query: query.to_string(),
            authorization: who.token().map(|token| alloc::format!("Bearer {token}")),
            user_agent: Some("test".to_string()),
            remote: self.remote,
            body: body.bytes(),
        };
        self.start_raw(request)
    }

    /// The answer of a request, if it has one by now.
    pub fn take_reply(&mut self, id: RequestId) -> Option<(u16, Value)> {
        self.take_response(id).map(|response| (response.status, read(&response)))
    }

    pub fn take_response(&mut self, id: RequestId) -> Option<Response> {
        self.replies.remove(&id)
    }

    /// The client goes away.
    pub fn hangup(&mut self, id: RequestId) {
        self.input(Input::Hangup { id });
    }

    /// Sends a request that is answered at once.
    pub fn call(&mut self, method: Method, target: &str, who: impl Who, body: impl Body) -> (u16, Value) {
        let id = self.start(method, target, who, body);
        self.take_reply(id).unwrap_or_else(|| panic!("{method:?} {target} was not answered"))
    }

    /// [`Server::call`], which must succeed.
    #[track_caller]
    pub fn ok(&mut self, method: Method, target: &str, who: impl Who, body: impl Body) -> Value {
        let (status, answer) = self.call(method, target, who, body);
        assert_eq!(status, 200, "{method:?} {target}: {answer}");
        answer
    }

    /// [`Server::call`], which must fail so. Returns the error's body.
    #[track_caller]
    pub fn fails(
        &mut self,
        method: Method,
        target: &str,
        who: impl Who,
        body: impl Body,
        status: u16,
        errcode: &str,
    ) -> Value {
        let (found, answer) = self.call(method, target, who, body);
        assert_eq!(
            (found, answer.get("errcode")),
            (status, Some(&Value::from(errcode))),
            "{method:?} {target}: {answer}"
        );
        assert!(answer.get("error").is_some_and(|error| error.as_str().is_some()), "{answer}");
        answer
    }

    /// Registers a user with [`PASSWORD`].
    #[track_caller]
    pub fn register(&mut self, localpart: &str) -> User {
        let body = json!({ "username": localpart, "password": PASSWORD, "auth": { "type": "m.login.dummy" } });
        user(&self.ok(Method::Post, "/_matrix/client/v3/register", (), body))
    }

    /// Another session of a user that [`Server::register`] made.
    #[track_caller]
    pub fn login(&mut self, localpart: &str) -> User {
        let body = json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": localpart },
            "password": PASSWORD
        });
        user(&self.ok(Method::Post, "/_matrix/client/v3/login", (), body))
    }

    /// Lets time pass, waking the homeserver whenever it asked for it.
    pub fn advance(&mut self, millis: u64) {
        let end = Timestamp(self.now.0 + millis);
        while let Some(deadline) = self.homeserver.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.input(Input::Wake);
            let next = self.homeserver.next_deadline();
            assert!(
                next.is_none_or(|next| next > self.now),
                "woken at {:?}, it wants to be woken at {next:?}",
                self.now
            );
        }
        self.now = end;
    }

    /// What the homeserver would read: durable rows under those that are not yet.
    pub fn inspect<T>(&mut self, look: impl FnOnce(&dyn crate::store::Read) -> T) -> T {
        assert!(self.pending.is_empty(), "the storage lags behind");
        self.homeserver.with_storage(|storage| look(storage))
    }

    pub fn resolutions(&self) -> crate::state_res::Resolutions {
        self.homeserver.resolutions()
    }

    /// What a read-only endpoint of the Server-Server API answers to `origin`, past the check of its signature.
    pub fn asked_by(&mut self, origin: &str, method: Method, target: &str, body: impl Body) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method,
            path: path.to_string(),
            query: query.to_string(),
            authorization: None,
            user_agent: None,
            remote: None,
            body: body.bytes(),
        };
        let origin = Some(ServerName::parse(origin).unwrap());
        let query = crate::effect::Query { request, requester: None, origin, ephemeral: None };
        let (router, config, now) = (&self.router, &self.config, self.now);
        let run = |storage: &mut Memory| query::run(router, storage, config, now, RequestId(0), &query);
        let response = self.homeserver.with_storage(run);
        (response.status, read(&response))
    }

    pub fn report(&self) -> Vec<crate::flow::WaitingFlow> {
        self.homeserver.report()
    }

    fn input(&mut self, input: Input) {
        self.homeserver.handle(self.now, input);
        self.pump();
    }

    /// Carries out effects until there are none left.
    fn pump(&mut self) {
        loop {
            let effects: Vec<Effect> = self.homeserver.drain().collect();
            let idle = effects.is_empty();
            for effect in effects {
                self.carry_out(effect);
            }
            if !self.hold_commits
                && let Some((last, _)) = self.pending.back()
            {
                let commit = *last;
                let batches = core::mem::take(&mut self.pending);
                self.write(batches);
                self.homeserver.handle(self.now, Input::Durable { commit });
            } else if idle {
                return;
            }
        }
    }

    fn write(&mut self, batches: impl IntoIterator<Item = (CommitId, Batch)>) {
        self.homeserver.with_storage(|storage| {
            for (key, value) in batches.into_iter().flat_map(|(_, batch)| batch.writes) {
                storage.0.insert(key, value);
            }
        });
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Commit { id, batch } => self.pending.push_back((id, batch)),
            Effect::Reply { id, response } => {
                assert!(self.replies.insert(id, response).is_none(), "one answer a request");
            }
            Effect::Query { id, query } => {
                let (router, config, now) = (&self.router, &self.config, self.now);
                let response =
                    self.homeserver.with_storage(|storage| query::run(router, storage, config, now, id, &query));
                self.replies.insert(id, response);
            }
            Effect::Compute { call, job } => {
                let outcome = job.run();
                self.homeserver.handle(self.now, Input::Resolved { call, outcome });
            }
            Effect::Fetch { call, fetch } => self.fetches.push_back((call, fetch)),
            Effect::Lookup { call, name } => {
                let outcome = self.services.get(&name).cloned().unwrap_or_else(no_services);
                self.lookups.push(name);
                self.homeserver.handle(self.now, Input::Resolved { call, outcome });
            }
            Effect::Abandon { call } => self.fetches.retain(|(other, _)| *other != call),
        }
    }

    /// Answers one of [`Server::fetches`].
    pub fn resolve(&mut self, call: CallId, outcome: Outcome) {
        self.input(Input::Resolved { call, outcome });
    }

    /// Starts a flow; its result is there when it has ended.
    pub fn start_flow<T: 'static, F: Future<Output = T> + 'static>(
        &mut self,
        start: impl FnOnce(Cx) -> F,
    ) -> Rc<RefCell<Option<T>>> {
        // It is told what time it is.
        self.input(Input::Wake);
        let result = Rc::new(RefCell::new(None));
        let slot = result.clone();
        self.homeserver.start_flow(|cx| {
            let flow = start(cx);
            async move { *slot.borrow_mut() = Some(flow.await) }
        });
        self.pump();
        result
    }

    /// Sends a request of any kind.
    pub fn start_raw(&mut self, request: Request) -> RequestId {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.input(Input::Request { id, request });
        id
    }
}

fn no_services() -> Outcome {
    Outcome::Services { records: Vec::new(), ttl: 300 }
}

pub(crate) fn config() -> Config {
    let server_name = ServerName::parse("example.org").unwrap();
    let signing_key = SigningKeyConfig { version: "1".to_string(), seed: [7; 32] };
    Config {
        registration: RegistrationConfig { open: true, ..RegistrationConfig::default() },
        guests: true,
        password_cost: PasswordCost { memory_kib: 8, passes: 1, lanes: 1 },
        rate_limits: RateLimits { enabled: false, ..RateLimits::default() },
        presence: true,
        admin_secret: Some("admin secret".into()),
        ..Config::new(server_name, signing_key)
    }
}

fn read(response: &Response) -> Value {
    canonical_json::parse(&response.body).expect("answers are JSON")
}

fn user(answer: &Value) -> User {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).expect("the answer has it").to_string();
    User {
        user_id: UserId::parse(&text("user_id")).unwrap(),
        device_id: DeviceId::parse(&text("device_id")).unwrap(),
        token: text("access_token"),
    }
}

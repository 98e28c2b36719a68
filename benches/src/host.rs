//! One homeserver over an ordered map in memory, with its effects carried out at once: what a request costs without network
//! and disk, and how much it reads and writes.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use orrery_core::Homeserver;
use orrery_core::canonical_json::{self, Object, Value};
use orrery_core::config::{Config, RateLimits, RegistrationConfig, SigningKeyConfig};
use orrery_core::effect::{Batch, CallId, Effect, Fetch, PasswordCost};
use orrery_core::http::{Method, Request, RequestId, Response};
use orrery_core::identifiers::ServerName;
use orrery_core::input::{Input, Outcome};
use orrery_core::query;
use orrery_core::router::Router;
use orrery_core::store::{Order, Read, Storage, StorageError, Visit};
use orrery_core::time::Timestamp;
use orrery_sim::memo::Memo;

/// What passed between a homeserver and its storage.
struct Traffic {
    /// Keys that were read, one by one or in a scan.
    reads: usize,
    /// Keys that were written, and the bytes of keys and values.
    writes: usize,
    bytes_written: usize,
}

#[derive(Clone, Debug, Default)]
struct Memory {
    rows: BTreeMap<Bytes, Bytes>,
    reads: Cell<usize>,
}

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.reads.set(self.reads.get() + 1);
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        if from >= to {
            return Ok(());
        }
        let mut range = self.rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let mut each = |row: Option<(&Bytes, &Bytes)>| match row {
            Some((key, value)) => {
                self.reads.set(self.reads.get() + 1);
                visit(key, value)
            }
            None => ControlFlow::Break(()),
        };
        match order {
            Order::Ascending => while each(range.next()).is_continue() {},
            Order::Descending => while each(range.next_back()).is_continue() {},
        }
        Ok(())
    }
}

impl Storage for Memory {}

/// A homeserver with open registration and no rate limits, by default named `example.org`.
#[derive(Debug)]
pub struct Host {
    homeserver: Homeserver<Memory>,
    config: Config,
    router: Router,
    now: Timestamp,
    last_request: u64,
    transactions: u64,
    writes: usize,
    bytes_written: usize,
    /// Answers that nobody has taken yet.
    replies: Vec<(RequestId, Response)>,
    /// Requests to other servers.
    fetches: VecDeque<(CallId, Fetch)>,
    /// Whether somebody carries those; without others each fails at once.
    has_others: bool,
    /// The verdicts on signatures that it shares with others, if any.
    memo: Option<Memo>,
}

impl Default for Host {
    fn default() -> Host {
        Host::open("example.org", [7; 32], Memory::default(), Timestamp(1_700_000_000_000), false)
    }
}

impl Host {
    /// A server whose name has a port, among others that a [`Network`](crate::network::Network) connects.
    #[must_use]
    pub fn among_others(server_name: &str, seed: [u8; 32]) -> Host {
        Host::open(server_name, seed, Memory::default(), Timestamp(1_700_000_000_000), true)
    }

    fn open(server_name: &str, seed: [u8; 32], storage: Memory, now: Timestamp, has_others: bool) -> Host {
        let server_name = ServerName::parse(server_name).expect("it is a server name");
        let config = Config {
            registration: RegistrationConfig { open: true, ..RegistrationConfig::default() },
            password_cost: PasswordCost { memory_kib: 8, passes: 1, lanes: 1 },
            rate_limits: RateLimits { enabled: false, ..RateLimits::default() },
            ..Config::new(server_name, SigningKeyConfig { version: "1".to_string(), seed })
        };
        let homeserver = Homeserver::new(config.clone(), [1; 32], storage, now).expect("the storage is a server's");
        let router = Router::new();
        Host {
            homeserver,
            config,
            router,
            now,
            last_request: 0,
            transactions: 0,
            writes: 0,
            bytes_written: 0,
            replies: Vec::new(),
            fetches: VecDeque::new(),
            has_others,
            memo: None,
        }
    }

    /// From now on signatures are looked up among those that others have checked.
    pub fn remember_signatures(&mut self, memo: Memo) {
        self.memo = Some(memo);
    }

    /// Another server on a copy of what this one has stored, just started.
    #[must_use]
    pub fn copy(&mut self) -> Host {
        let storage = self.homeserver.with_storage(|storage| storage.clone());
        let mut copy =
            Host::open(&self.config.server_name, self.config.signing_key.seed, storage, self.now, self.has_others);
        copy.work();
        copy
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.server_name
    }

    /// Sends a request one millisecond after the last one, and carries out everything that comes of it. Answers the reply,
    /// or nothing where the server waits (a long poll).
    pub fn request(&mut self, method: Method, target: &str, token: Option<&str>, body: Bytes) -> Option<Response> {
        let id = self.submit(method, target, token.map(|token| format!("Bearer {token}")), body);
        self.work();
        self.take_reply(id)
    }

    /// Hands in a request one millisecond after the last one.
    pub fn submit(&mut self, method: Method, target: &str, authorization: Option<String>, body: Bytes) -> RequestId {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method,
            path: path.to_string(),
            query: query.to_string(),
            authorization,
            user_agent: None,
            remote: None,
            body,
        };
        self.now = Timestamp(self.now.0 + 1);
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.homeserver.handle(self.now, Input::Request { id, request });
        id
    }

    /// Hands in a request as another server has sent it.
    pub fn submit_fetch(&mut self, fetch: &Fetch) -> RequestId {
        self.submit(fetch.method, &fetch.target, fetch.authorization.clone(), fetch.body.clone())
    }

    /// Answers a request to another server.
    pub fn resolve(&mut self, call: CallId, outcome: Outcome) {
        self.homeserver.handle(self.now, Input::Resolved { call, outcome });
    }

    /// Carries out everything that the server asks for, but for requests to others.
    pub fn work(&mut self) {
        while let Some(effect) = self.next_effect() {
            match effect {
                Effect::Commit { id: commit, batch } => {
                    self.write(batch);
                    self.homeserver.handle(self.now, Input::Durable { commit });
                }
                Effect::Reply { id, response } => self.replies.push((id, response)),
                Effect::Query { id, query } => {
                    let (router, config, now) = (&self.router, &self.config, self.now);
                    let run = |storage: &mut Memory| query::run(router, storage, config, now, id, &query);
                    let response = self.homeserver.with_storage(run);
                    self.replies.push((id, response));
                }
                Effect::Compute { call, job } => {
                    let outcome = self.memo.as_ref().map_or_else(|| job.run(), |memo| memo.run(&job));
                    self.resolve(call, outcome);
                }
                Effect::Fetch { call, fetch } if self.has_others => self.fetches.push_back((call, fetch)),
                Effect::Fetch { call, .. } | Effect::Lookup { call, .. } => {
                    self.resolve(call, Outcome::Failed("nothing answers there".to_owned()));
                }
                Effect::Abandon { .. } => {}
            }
        }
    }

    /// The oldest request to another server that nobody carries yet.
    pub fn take_fetch(&mut self) -> Option<(CallId, Fetch)> {
        self.fetches.pop_front()
    }

    /// The answer to a request, if it is there.
    pub fn take_reply(&mut self, id: RequestId) -> Option<Response> {
        let at = self.replies.iter().position(|(answered, _)| *answered == id)?;
        Some(self.replies.swap_remove(at).1)
    }

    /// The answers that requests before the last one were waiting for.
    pub fn take_late(&mut self) -> Vec<(RequestId, Response)> {
        std::mem::take(&mut self.replies)
    }

    fn next_effect(&mut self) -> Option<Effect> {
        self.homeserver.drain().next()
    }

    fn write(&mut self, batch: Batch) {
        for (key, value) in &batch.writes {
            self.writes += 1;
            self.bytes_written += key.len() + value.as_ref().map_or(0, Bytes::len);
        }
        self.homeserver.with_storage(|storage| {
            for (key, value) in batch.writes {
                match value {
                    Some(value) => storage.rows.insert(key, value),
                    None => storage.rows.remove(&key),
                };
            }
        });
    }

    /// A request that must succeed, with a JSON body, and its answer.
    ///
    /// # Panics
    /// If it does not.
    pub fn ok(&mut self, method: Method, target: &str, token: &str, body: Object) -> Value {
        let token = (!token.is_empty()).then_some(token);
        let response = self.request(method, target, token, Value::Object(body).to_bytes().into());
        read(target, response)
    }

    /// Registers a user; answers the access token.
    pub fn register(&mut self, name: &str) -> String {
        let auth = Object::new().with("type", "m.login.dummy");
        let body = Object::new().with("username", name).with("password", "correct horse").with("auth", auth);
        text(&self.ok(Method::Post, "/_matrix/client/v3/register", "", body), "access_token")
    }

    /// Makes a public room; answers its ID.
    pub fn create_room(&mut self, token: &str) -> String {
        let body = Object::new().with("preset", "public_chat");
        text(&self.ok(Method::Post, "/_matrix/client/v3/createRoom", token, body), "room_id")
    }

    pub fn join(&mut self, token: &str, room: &str) {
        self.ok(Method::Post, &format!("/_matrix/client/v3/rooms/{room}/join"), token, Object::new());
    }

    /// Reads a page, sync or state; answers it as text.
    ///
    /// # Panics
    /// If it is refused, or not answered at once.
    pub fn read(&mut self, token: &str, target: &str) -> Bytes {
        let response = self.request(Method::Get, target, Some(token), Bytes::new());
        let response = response.unwrap_or_else(|| panic!("{target} was not answered"));
        assert_eq!(response.status, 200, "{target}: {:?}", response.body);
        response.body
    }

    /// Syncs, from a token or from the start; answers the token for the next time.
    pub fn sync(&mut self, token: &str, since: &str) -> String {
        let since = if since.is_empty() { String::new() } else { format!("&since={since}") };
        let filter = "%7B%22room%22%3A%7B%22state%22%3A%7B%22lazy_load_members%22%3Atrue%7D%7D%7D";
        let body = self.read(token, &format!("/_matrix/client/v3/sync?timeout=0&filter={filter}{since}"));
        // Found without parsing: an initial sync is large, and reading it is not what is measured.
        let body = str::from_utf8(&body).expect("answers are UTF-8");
        let (_, rest) = body.split_once("\"next_batch\":\"").expect("the answer has next_batch");
        rest.split('"').next().unwrap_or_default().to_string()
    }

    /// Sends a text message of some fifty bytes; answers the event's ID.
    pub fn send(&mut self, token: &str, room: &str) -> String {
        self.transactions += 1;
        let number = self.transactions;
        let target = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{number}");
        let words = format!("message number {number}, about as long as they are");
        let body = Object::new().with("msgtype", "m.text").with("body", words.as_str());
        text(&self.ok(Method::Put, &target, token, body), "event_id")
    }

    /// Prints how many keys `run` reads and writes, and how many bytes, on average over `times` runs.
    pub fn weigh(&mut self, what: &str, times: usize, mut run: impl FnMut(&mut Host, usize)) {
        let before = self.traffic();
        for number in 0..times {
            run(self, number);
        }
        let after = self.traffic();
        let each = |after: usize, before: usize| (after - before) as f64 / times as f64;
        println!(
            "{what}: {:.1} keys read, {:.1} written, {:.0} bytes",
            each(after.reads, before.reads),
            each(after.writes, before.writes),
            each(after.bytes_written, before.bytes_written),
        );
    }

    fn traffic(&mut self) -> Traffic {
        let reads = self.homeserver.with_storage(|storage| storage.reads.get());
        Traffic { reads, writes: self.writes, bytes_written: self.bytes_written }
    }
}

/// The answer to a request that must have succeeded.
pub(crate) fn read(target: &str, response: Option<Response>) -> Value {
    let response = response.unwrap_or_else(|| panic!("{target} was not answered"));
    let answer = canonical_json::parse(&response.body).expect("answers are JSON");
    assert_eq!(response.status, 200, "{target}: {answer}");
    answer
}

fn text(answer: &Value, name: &str) -> String {
    answer.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("the answer has {name}: {answer}")).to_string()
}

//! Several homeservers on a network without faults: what one fetches from another arrives at once.
//!
//! ```text
//! let mut net = Net::new(&["a.test", "b.test"]);
//! let alice = net.server("a.test").register("alice");
//! let room = net.ok("a.test", Method::Post, "/_matrix/client/v3/createRoom", &alice, json!({}));
//! net.cut("a.test", "b.test");
//! ```
//!
//! A request from one to another goes to the server whose name is the fetch's `tls_name` (ports do not matter), and there is
//! neither DNS nor `.well-known`: both answer that there is nothing.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::future::Future;

use super::{Body, Server, Who};
use crate::canonical_json::Value;
use crate::config::Config;
use crate::effect::{CallId, Fetch};
use crate::flow::Cx;
use crate::http::{Method, Request, RequestId, Response};
use crate::identifiers::ServerName;
use crate::input::Outcome;

pub(crate) struct Net {
    servers: BTreeMap<String, Server>,
    /// Pairs between which nothing passes, in either direction.
    cut: BTreeSet<(String, String)>,
    /// What has arrived at a server and is not answered.
    under_way: Vec<UnderWay>,
    /// What servers answer to others instead of the truth: by server and path.
    lies: BTreeMap<(String, String), (u16, Value)>,
    /// What answers instead of servers: by server and path.
    answerers: BTreeMap<(String, String), Answerer>,
    /// Requests that an [`Answerer`] has not answered: from, call, what.
    held: Vec<(String, CallId, Fetch)>,
    /// Every request between servers but those of discovery, in order: from, to, method and path. For tests that count.
    pub log: Vec<String>,
}

/// Answers a request's body, or lets it wait.
pub(crate) type Answerer = Box<dyn FnMut(&[u8]) -> Option<(u16, Value)>>;

struct UnderWay {
    from: String,
    call: CallId,
    to: String,
    request: RequestId,
}

impl Net {
    pub fn new(names: &[&str]) -> Net {
        let mut net = Net {
            servers: BTreeMap::new(),
            cut: BTreeSet::new(),
            under_way: Vec::new(),
            lies: BTreeMap::new(),
            answerers: BTreeMap::new(),
            held: Vec::new(),
            log: Vec::new(),
        };
        for (i, name) in names.iter().enumerate() {
            let server = Server::with(|config| {
                config.server_name = ServerName::parse(name).unwrap();
                config.signing_key.seed = [u8::try_from(i).unwrap() + 50; 32];
            });
            net.servers.insert((*name).to_string(), server);
        }
        net
    }

    pub fn server(&mut self, name: &str) -> &mut Server {
        self.servers.get_mut(name).expect("the server is on the network")
    }

    /// From now on nothing passes between the two.
    pub fn cut(&mut self, a: &str, b: &str) {
        self.cut.insert((a.to_string(), b.to_string()));
        self.cut.insert((b.to_string(), a.to_string()));
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// From now on `server` answers this to whatever other servers ask of it at `path`, which is as they send it.
    pub fn lie(&mut self, server: &str, path: &str, status: u16, answer: Value) {
        self.lies.insert((server.to_string(), path.to_string()), (status, answer));
    }

    /// From now on `answerer` answers what servers, `server` too, ask of `server` at `path`.
    pub fn serve(&mut self, server: &str, path: &str, answerer: Answerer) {
        self.answerers.insert((server.to_string(), path.to_string()), answerer);
    }

    /// Carries once more what was left to wait.
    pub fn release(&mut self) {
        for (from, call, fetch) in core::mem::take(&mut self.held) {
            self.deliver(&from, call, fetch);
        }
        self.settle();
    }

    /// What was left to wait has taken too long.
    pub fn time_out(&mut self) {
        for (from, call, _) in core::mem::take(&mut self.held) {
            self.server(&from).resolve(call, Outcome::Failed("it took too long".to_string()));
        }
        self.settle();
    }

    /// Sends a client's request and lets everything happen that follows from it; the answer, if there is one by now.
    pub fn call(&mut self, name: &str, method: Method, target: &str, who: impl Who, body: impl Body) -> (u16, Value) {
        let id = self.server(name).start(method, target, who, body);
        self.settle();
        let reply = self.server(name).take_reply(id);
        reply
            .unwrap_or_else(|| panic!("{name}: {method:?} {target} was not answered: {:?}", self.server(name).report()))
    }

    /// [`Net::call`], which must succeed.
    #[track_caller]
    pub fn ok(&mut self, name: &str, method: Method, target: &str, who: impl Who, body: impl Body) -> Value {
        let (status, answer) = self.call(name, method, target, who, body);
        assert_eq!(status, 200, "{name}: {method:?} {target}: {answer}");
        answer
    }

    /// Runs a flow on one of the servers to its end.
    #[track_caller]
    pub fn run<T: 'static, F: Future<Output = T> + 'static>(&mut self, name: &str, start: impl FnOnce(Cx) -> F) -> T {
        let result = self.server(name).start_flow(start);
        self.settle();
        let result = result.borrow_mut().take();
        result.unwrap_or_else(|| panic!("{name}: the flow has not ended: {:?}", self.server(name).report()))
    }

    /// Carries requests and answers until nothing moves.
    pub fn settle(&mut self) {
        loop {
            let asked = self.deliver_requests();
            let answered = self.deliver_answers();
            if !asked && !answered {
                return;
            }
        }
    }

    /// Carries the requests that wait, or else the answers; `false` if nothing waited.
    pub fn settle_some(&mut self) -> bool {
        self.deliver_requests() || self.deliver_answers()
    }

    /// Lets time pass on every server, in steps of at most a second, and carries what is sent meanwhile.
    pub fn advance(&mut self, millis: u64) {
        let mut left = millis;
        while left > 0 {
            let step = left.min(1000);
            self.servers.values_mut().for_each(|server| server.advance(step));
            self.settle();
            left -= step;
        }
    }

    /// The server loses what lives in memory, and starts again.
    pub fn crash(&mut self, name: &str) {
        self.restart_with(name, |_| ());
    }

    /// [`Net::crash`], with a changed configuration.
    pub fn restart_with(&mut self, name: &str, change: impl FnOnce(&mut Config)) {
        self.restart_as(name, |server| server.restart_with(change));
    }

    /// [`Net::crash`], and a start in this way.
    pub fn restart_as(&mut self, name: &str, start: impl FnOnce(Server) -> Server) {
        let server = self.servers.remove(name).expect("the server is on the network");
        self.under_way.retain(|under_way| under_way.from != name);
        self.held.retain(|(from, _, _)| from != name);
        let (lost, kept) = core::mem::take(&mut self.under_way).into_iter().partition(|under_way| under_way.to == name);
        self.under_way = kept;
        self.servers.insert(name.to_string(), start(server));
        let lost: Vec<UnderWay> = lost;
        for UnderWay { from, call, .. } in lost {
            self.server(&from).resolve(call, Outcome::Failed("the connection was closed".to_string()));
        }
        self.settle();
    }

    fn deliver_requests(&mut self) -> bool {
        let mut moved = false;
        let names: Vec<String> = self.servers.keys().cloned().collect();
        for from in names {
            while let Some((call, fetch)) = self.server(&from).fetches.pop_front() {
                moved = true;
                self.deliver(&from, call, fetch);
            }
        }
        moved
    }

    fn deliver(&mut self, from: &str, call: CallId, fetch: Fetch) {
        let to = fetch.tls_name.clone();
        let (path, query) = fetch.target.split_once('?').unwrap_or((&fetch.target, ""));
        if path == "/.well-known/matrix/server" {
            let nothing = Response::json(404, &Value::Object(crate::canonical_json::Object::new()));
            return self.server(from).resolve(call, Outcome::Fetched(nothing));
        }
        self.log.push(alloc::format!("{from} {to} {} {path}", fetch.method.as_str()));
        let is_cut = self.cut.contains(&(from.to_string(), to.clone()));
        let Some(server) = self.servers.get_mut(&to).filter(|_| !is_cut) else {
            return self.server(from).resolve(call, Outcome::Failed("nothing answers there".to_string()));
        };
        if let Some(answerer) = self.answerers.get_mut(&(to.clone(), path.to_string())) {
            return match answerer(&fetch.body) {
                Some((status, answer)) => {
                    let answer = Response::json(status, &answer);
                    self.server(from).resolve(call, Outcome::Fetched(answer));
                }
                None => self.held.push((from.to_string(), call, fetch)),
            };
        }
        if let Some((status, answer)) = self.lies.get(&(to.clone(), path.to_string())) {
            let answer = Response::json(*status, answer);
            return self.server(from).resolve(call, Outcome::Fetched(answer));
        }
        let request = server.start_raw(Request {
            method: fetch.method,
            path: path.to_string(),
            query: query.to_string(),
            authorization: fetch.authorization.clone(),
            user_agent: None,
            remote: None,
            body: fetch.body.clone(),
        });
        self.under_way.push(UnderWay { from: from.to_string(), call, to, request });
    }

    fn deliver_answers(&mut self) -> bool {
        let mut moved = false;
        for UnderWay { from, call, to, request } in core::mem::take(&mut self.under_way) {
            match self.server(&to).take_response(request) {
                Some(response) => {
                    moved = true;
                    self.server(&from).resolve(call, Outcome::Fetched(response));
                }
                None => self.under_way.push(UnderWay { from, call, to, request }),
            }
        }
        moved
    }
}

#[test]
fn servers_answer_each_other() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let answer = net.ok("a.test", Method::Get, "/_matrix/federation/v1/version", (), ());
    assert_eq!(answer.get("server").and_then(|server| server.get("name")), Some(&Value::from("Orrery")));
    net.cut("a.test", "b.test");
    net.advance(2500);
    net.heal();
    net.crash("b.test");
    assert_eq!(net.log, Vec::<String>::new());
}

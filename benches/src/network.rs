//! Several homeservers in one process: what one asks of another arrives at once.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::effect::{CallId, Fetch};
use orrery_core::http::{Method, RequestId};
use orrery_core::input::Outcome;

use crate::host::{Host, read};

/// Servers that reach each other by their names.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
    /// What has arrived at a server and is not answered: who asked, and whom.
    under_way: Vec<(usize, CallId, usize, RequestId)>,
}

impl Network {
    /// Servers called `s0.test:8448`, `s1.test:8448` and so on.
    #[must_use]
    pub fn new(count: u8) -> Network {
        let host = |number: u8| Host::among_others(&format!("s{number}.test:8448"), [number + 1; 32]);
        Network { hosts: (0..count).map(host).collect(), under_way: Vec::new() }
    }

    pub fn host(&mut self, number: usize) -> &mut Host {
        &mut self.hosts[number]
    }

    /// Copies of all, just started. Nothing may be under way.
    #[must_use]
    pub fn copy(&mut self) -> Network {
        assert!(self.under_way.is_empty(), "what is under way is not copied");
        Network { hosts: self.hosts.iter_mut().map(Host::copy).collect(), under_way: Vec::new() }
    }

    /// A client's request that must succeed, with everything that comes of it on all servers.
    ///
    /// # Panics
    /// If it fails.
    pub fn ok(&mut self, number: usize, method: Method, target: &str, token: &str, body: Object) -> Value {
        let body = Value::Object(body).to_bytes().into();
        let id = self.host(number).submit(method, target, Some(format!("Bearer {token}")), body);
        self.settle();
        read(target, self.host(number).take_reply(id))
    }

    /// Carries requests and answers until nothing moves.
    pub fn settle(&mut self) {
        while self.carry() {}
    }

    fn carry(&mut self) -> bool {
        let mut moved = false;
        for from in 0..self.hosts.len() {
            self.hosts[from].work();
            while let Some((call, fetch)) = self.hosts[from].take_fetch() {
                moved = true;
                match self.find(&fetch) {
                    Some(to) => {
                        let request = self.hosts[to].submit_fetch(&fetch);
                        self.under_way.push((from, call, to, request));
                    }
                    None => self.hosts[from].resolve(call, Outcome::Failed("nothing answers there".to_owned())),
                }
            }
        }
        for (from, call, to, request) in std::mem::take(&mut self.under_way) {
            self.hosts[to].work();
            match self.hosts[to].take_reply(request) {
                Some(response) => {
                    moved = true;
                    self.hosts[from].resolve(call, Outcome::Fetched(response));
                }
                None => self.under_way.push((from, call, to, request)),
            }
        }
        moved
    }

    fn find(&self, fetch: &Fetch) -> Option<usize> {
        self.hosts.iter().position(|host| host.name() == fetch.host_header)
    }
}

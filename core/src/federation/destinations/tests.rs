//! One server, and others of which it only sees what they answer.

mod absence;
mod sending;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::canonical_json::{self, Object, Value};
use crate::effect::{CallId, Fetch};
use crate::flow::Notice;
use crate::http::{Method, Response};
use crate::identifiers::ServerName;
use crate::input::Outcome;
use crate::room::Room;
use crate::room::tables::{SERVERS, ServerInRoom};
use crate::testing::{Server, User, json};

/// The server under test, and what the others got from it.
struct World {
    server: Server,
    /// Those that do not answer.
    down: BTreeSet<String>,
    /// Those that take their time: what was sent to them.
    slow: BTreeSet<String>,
    waiting: Vec<(CallId, Fetch)>,
    /// To whom, under which ID, what.
    got: Vec<(String, String, Value)>,
    requests: usize,
}

impl World {
    fn new() -> World {
        let (down, slow) = (BTreeSet::new(), BTreeSet::new());
        World { server: Server::new(), down, slow, waiting: Vec::new(), got: Vec::new(), requests: 0 }
    }

    /// A user and a room in which there are users of the others, as far as their servers go.
    fn room_with(&mut self, others: &[&str]) -> (User, String) {
        let alice = self.server.register(&alloc::format!("alice{}", self.server.now.0));
        self.server.now.0 += 1;
        let room = self.server.ok(Method::Post, "/_matrix/client/v3/createRoom", &alice, json!({}));
        let room_id = room.get("room_id").and_then(Value::as_str).unwrap().to_string();
        for other in others {
            self.set_member(&room_id, other, true);
        }
        (alice, room_id)
    }

    fn set_member(&mut self, room_id: &str, other: &str, is_in: bool) {
        let name = ServerName::parse(other).unwrap();
        let room_id = room_id.to_string();
        self.server.start_flow(move |cx| async move {
            let set = cx.step(|step| {
                let room = Room::find(step, &room_id)?.unwrap();
                match is_in {
                    true => {
                        let row = ServerInRoom { members: 1, since: step.position() };
                        SERVERS.put(step, room.num, &name, &row);
                    }
                    false => SERVERS.delete(step, room.num, &name),
                }
                step.notify(Notice::Servers(room.num));
                Ok(())
            });
            set.unwrap();
        });
    }

    fn say(&mut self, user: &User, room_id: &str, words: &str) {
        let path = alloc::format!("/_matrix/client/v3/rooms/{room_id}/send/m.room.message/{words}");
        self.server.ok(Method::Put, &path, user, json!({ "msgtype": "m.text", "body": words }));
    }

    /// Answers what was asked of others, until nothing more is asked.
    fn settle(&mut self) {
        while let Some((call, fetch)) = self.server.fetches.pop_front() {
            let to = fetch.tls_name.clone();
            if fetch.target == "/.well-known/matrix/server" {
                self.server.resolve(call, answer(404, json!({})));
                continue;
            }
            self.requests += 1;
            if self.slow.contains(&to) {
                self.waiting.push((call, fetch));
            } else {
                self.deliver(call, &fetch);
            }
        }
    }

    fn deliver(&mut self, call: CallId, fetch: &Fetch) {
        if self.down.contains(&fetch.tls_name) {
            return self.server.resolve(call, Outcome::Failed("nobody is there".to_string()));
        }
        let id = fetch.target.strip_prefix("/_matrix/federation/v1/send/").unwrap();
        let body = canonical_json::parse(&fetch.body).unwrap();
        assert!(body.get("pdus").and_then(Value::as_array).unwrap().len() <= 50);
        assert!(body.get("edus").and_then(Value::as_array).is_none_or(|edus| edus.len() <= 100));
        self.got.push((fetch.tls_name.clone(), id.to_string(), body));
        self.server.resolve(call, answer(200, json!({ "pdus": {} })));
    }

    /// The slow ones answer what they were asked so far.
    fn answer_slow(&mut self) {
        for (call, fetch) in core::mem::take(&mut self.waiting) {
            self.deliver(call, &fetch);
        }
        self.settle();
    }

    fn advance(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(1000) {
            self.server.advance(1000);
            self.settle();
        }
    }

    fn crash(mut self) -> World {
        self.server = self.server.crash();
        self.waiting.clear();
        self.settle();
        self
    }

    /// The messages that a server got, in order, those that came twice too.
    fn messages(&self, to: &str) -> Vec<String> {
        let transactions = self.got.iter().filter(|got| got.0 == to);
        let pdus = transactions.flat_map(|got| got.2.get("pdus").and_then(Value::as_array).unwrap());
        pdus.filter_map(|pdu| Some(pdu.get("content")?.get("body")?.as_str()?.to_string())).collect()
    }

    fn edus(&self, to: &str, kind: &str) -> Vec<Object> {
        let transactions = self.got.iter().filter(|got| got.0 == to);
        let edus = transactions.filter_map(|got| got.2.get("edus")?.as_array()).flatten();
        edus.filter(|edu| edu.get("edu_type") == Some(&Value::from(kind)))
            .map(|edu| edu.get("content").and_then(Value::as_object).unwrap().clone())
            .collect()
    }
}

fn answer(status: u16, body: Value) -> Outcome {
    Outcome::Fetched(Response::json(status, &body))
}

fn words(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|number| alloc::format!("m{number}")).collect()
}

/// How often each was said.
fn counted(messages: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(message.as_str()).or_default() += 1;
    }
    counts
}

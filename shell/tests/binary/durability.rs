//! The server is killed at random moments while several clients work. Whatever was acknowledged is there afterwards, and no
//! transaction is applied twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use orrery_core::canonical_json::Value;

use super::process::{Client, Folder, Orrery};

const KILLS: u32 = 20;
const CLIENTS: usize = 4;

/// What one client did and what it was told.
struct Worker {
    user: String,
    token: String,
    room: String,
    /// Event IDs by transaction ID.
    sent: BTreeMap<String, String>,
    /// The send that was under way when the server went.
    open_send: Option<String>,
    /// The last value that was acknowledged, and one that may have been written since, by account data type.
    data: BTreeMap<String, (Option<i64>, Option<i64>)>,
    /// The same for the event of the read receipt.
    receipt: (Option<String>, Option<String>),
    counter: i64,
}

impl Worker {
    fn send_target(&self, transaction: &str) -> String {
        format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{transaction}", self.room)
    }

    fn data_target(&self, kind: &str) -> String {
        match kind.strip_prefix("room.") {
            Some(_) => format!("/_matrix/client/v3/user/{}/rooms/{}/account_data/{kind}", self.user, self.room),
            None => format!("/_matrix/client/v3/user/{}/account_data/{kind}", self.user),
        }
    }

    /// Works until the server is gone.
    fn work(&mut self, client: &mut Client) {
        while self.act(client).is_some() {}
    }

    /// One request; `None` if it was not answered.
    fn act(&mut self, client: &mut Client) -> Option<()> {
        self.counter += 1;
        let number = self.counter;
        match number % 5 {
            0 => {
                let kind = format!("{}{}", if number % 2 == 0 { "room." } else { "test." }, number % 3);
                let target = self.data_target(&kind);
                self.data.entry(kind.clone()).or_default().1 = Some(number);
                self.put(client, &target, &format!("{{\"value\":{number}}}"))?;
                self.data.insert(kind, (Some(number), None));
            }
            1 if !self.sent.is_empty() => {
                let event = self.sent.iter().max_by_key(|(transaction, _)| number_of(transaction)).unwrap().1.clone();
                let target = format!("/_matrix/client/v3/rooms/{}/receipt/m.read/{event}", self.room);
                self.receipt.1 = Some(event.clone());
                let answer = client.try_call("POST", &target, "{}").ok()?;
                assert_eq!(answer.status, 200, "{answer:?}");
                self.receipt = (Some(event), None);
            }
            _ => {
                let transaction = format!("t{number}");
                self.open_send = Some(transaction.clone());
                self.send(client, &transaction)?;
                self.open_send = None;
            }
        }
        Some(())
    }

    fn send(&mut self, client: &mut Client, transaction: &str) -> Option<()> {
        let body = format!("{{\"msgtype\":\"m.text\",\"body\":\"{} {transaction}\"}}", self.user);
        let answer = client.try_call("PUT", &self.send_target(transaction), &body).ok()?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let event = answer.text("event_id");
        let before = self.sent.insert(transaction.to_owned(), event.clone());
        assert!(before.is_none_or(|before| before == event), "{transaction} was applied twice");
        Some(())
    }

    fn put(&self, client: &mut Client, target: &str, body: &str) -> Option<()> {
        let answer = client.try_call("PUT", target, body).ok()?;
        assert_eq!(answer.status, 200, "{answer:?}");
        Some(())
    }

    /// After a restart: the state is that of the last acknowledgement, or that of the request under way.
    fn check(&mut self, client: &mut Client) {
        for (kind, (known, open)) in self.data.clone() {
            let answer = client.get(&self.data_target(&kind));
            let found = (answer.status == 200).then(|| answer.json().get("value").unwrap().as_integer().unwrap());
            assert!(found == known || (open.is_some() && found == open), "{kind}: {found:?} for {known:?} or {open:?}");
            self.data.insert(kind, (found, None));
        }
        let found = self.receipt_in_sync(client);
        let (known, open) = &self.receipt;
        assert!(found == *known || (open.is_some() && found == *open), "receipt: {found:?} for {:?}", self.receipt);
        self.receipt = (found, None);
        // Clients send again what was not answered.
        if let Some(transaction) = self.open_send.take() {
            self.send(client, &transaction).unwrap();
        }
        let last = self.sent.iter().max_by_key(|(transaction, _)| number_of(transaction)).map(|(last, _)| last.clone());
        if let Some(last) = last {
            self.send(client, &last).unwrap();
        }
    }

    fn receipt_in_sync(&self, client: &mut Client) -> Option<String> {
        let answer = client.ok("GET", "/_matrix/client/v3/sync?timeout=0", "").json();
        let room = answer.get("rooms")?.get("join")?.get(&self.room)?;
        let events = room.get("ephemeral")?.get("events")?.as_array()?;
        let receipts = events.iter().find(|event| event.get("type") == Some(&Value::from("m.receipt")))?;
        let Value::Object(content) = receipts.get("content")? else { return None };
        let is_ours = |receipts: &Value| receipts.get("m.read").is_some_and(|users| users.get(&self.user).is_some());
        content.iter().find(|(_, receipts)| is_ours(receipts)).map(|(event, _)| event.to_string())
    }
}

fn number_of(transaction: &str) -> i64 {
    transaction[1..].parse().unwrap()
}

/// Every message of the room: event IDs by body, and the bodies that came more than once.
fn messages(client: &mut Client, room: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut found, mut twice) = (BTreeMap::new(), Vec::new());
    let mut from = String::new();
    loop {
        let target = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=100{from}");
        let page = client.ok("GET", &target, "").json();
        for event in page.get("chunk").unwrap().as_array().unwrap() {
            let text = |path: &Value| path.as_str().unwrap().to_owned();
            if event.get("type") == Some(&Value::from("m.room.message")) {
                let body = text(event.get("content").unwrap().get("body").unwrap());
                if found.insert(body.clone(), text(event.get("event_id").unwrap())).is_some() {
                    twice.push(body);
                }
            }
        }
        match page.get("end").and_then(Value::as_str) {
            Some(end) => from = format!("&from={end}"),
            None => return (found, twice),
        }
    }
}

fn client(server: &Orrery, worker: &Worker) -> Client {
    let mut client = server.client();
    client.token = Some(worker.token.clone());
    client
}

/// A draw that differs from run to run: whichever moment it hits, nothing may be lost.
fn random(below: u64) -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    (nanos.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % below
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let folder = Folder::new();
    // Small journals, so that kills hit checkpoints too.
    let start = || Orrery::start(&folder.data(), &["storage.checkpoint_mib=1", "logging.requests=none"]);
    let server = start();
    let mut workers: Vec<Worker> = Vec::new();
    for number in 0..CLIENTS {
        let mut client = server.client();
        let user = client.register(&format!("user{number}"));
        let room = match workers.first() {
            None => client.ok("POST", "/_matrix/client/v3/createRoom", r#"{"preset":"public_chat"}"#).text("room_id"),
            Some(first) => {
                let room = first.room.clone();
                client.ok("POST", &format!("/_matrix/client/v3/rooms/{room}/join"), "{}");
                room
            }
        };
        let token = client.token.unwrap();
        workers.push(Worker {
            user,
            token,
            room,
            sent: BTreeMap::new(),
            open_send: None,
            data: BTreeMap::new(),
            receipt: (None, None),
            counter: 0,
        });
    }
    let mut server = server;
    for _ in 0..KILLS {
        std::thread::scope(|scope| {
            for worker in &mut workers {
                let mut client = client(&server, worker);
                scope.spawn(move || worker.work(&mut client));
            }
            std::thread::sleep(Duration::from_millis(20 + random(300)));
            server.signal("KILL");
        });
        server.wait();
        server = start();
        for worker in &mut workers {
            let mut client = client(&server, worker);
            worker.check(&mut client);
        }
    }
    let (found, twice) = messages(&mut client(&server, &workers[0]), &workers[0].room);
    assert_eq!(twice, Vec::<String>::new(), "applied twice");
    let mut expected = BTreeSet::new();
    for worker in &workers {
        assert!(worker.sent.len() > KILLS as usize, "{} got little done: {}", worker.user, worker.sent.len());
        for (transaction, event) in &worker.sent {
            let body = format!("{} {transaction}", worker.user);
            assert_eq!(found.get(&body), Some(event), "{body} was acknowledged");
            expected.insert(body);
        }
    }
    assert_eq!(found.len(), expected.len(), "every message is one that a client knows of");
    assert!(server.stop().success());
}

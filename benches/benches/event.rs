//! What an event of 1 kB costs: from the wire, from storage, made here, shown to clients, and judged, with few and with many
//! users in the power levels.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use orrery_core::auth_rules::{AuthState, authorize, select_auth_events};
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::{ClientEvent, NewEvent, Pdu, Places, ReceivedPdu, Unsigned};
use orrery_core::identifiers::{EventId, RoomId, ServerName, UserId};
use orrery_core::room_version::RoomVersion;
use orrery_core::signing::SigningKey;
use orrery_core::time::Timestamp;

const VERSION: RoomVersion = RoomVersion::V11;

fn ids(count: usize) -> Vec<EventId> {
    let id = |n| format!("${}{n}", "abcdefghijklmnopqrstuvwxyz0123456789-_ABCD");
    (0..count).map(|n| EventId::parse(&id(n)).expect("an event ID")).collect()
}

struct Maker {
    server: ServerName,
    key: SigningKey,
    room_id: RoomId,
    sender: UserId,
    prev_events: Vec<EventId>,
    auth_events: Vec<EventId>,
}

impl Maker {
    fn new() -> Maker {
        Maker {
            server: ServerName::parse("example.org").expect("a server name"),
            key: SigningKey::from_seed("a_key", &[7; 32]).expect("a key ID"),
            room_id: RoomId::parse("!jEsUZKDJdhlrceRyVU:example.org").expect("a room ID"),
            sender: UserId::parse("@alice:example.org").expect("a user ID"),
            prev_events: ids(1),
            auth_events: ids(3),
        }
    }

    fn make(&self, kind: &str, state_key: Option<&str>, content: Object) -> Pdu {
        NewEvent {
            version: VERSION,
            room_id: Some(&self.room_id),
            sender: &self.sender,
            kind,
            state_key,
            content,
            prev_events: &self.prev_events,
            auth_events: &self.auth_events,
            depth: 12_345,
            origin_server_ts: Timestamp(1_432_735_824_653),
            redacts: None,
            reference_hash: &|_| Ok(None),
        }
        .build(&self.server, &self.key)
        .expect("a valid event")
    }
}

fn message() -> Object {
    Object::new()
        .with("msgtype", "m.text")
        .with("body", "> quoted line\n\nAn answer of a line or two, with \"quotes\" and 日本語, as people write them.")
        .with("format", "org.matrix.custom.html")
        .with("formatted_body", "<blockquote>quoted line</blockquote><p>An answer of a line or two</p>")
        .with("m.mentions", Object::new().with("user_ids", vec![Value::from("@bob:example.org")]))
}

fn formats(criterion: &mut Criterion) {
    let maker = Maker::new();
    let pdu = maker.make("m.room.message", None, message());
    let text = pdu.to_object().with("unsigned", Object::new().with("age", 4612i64)).to_bytes();
    let stored = Bytes::copy_from_slice(pdu.json());

    let mut group = criterion.benchmark_group("event");
    group.bench_function("received", |bencher| {
        bencher.iter(|| {
            let Ok(Value::Object(event)) = parse(black_box(&text)) else { panic!("it is an object") };
            ReceivedPdu::parse(event, VERSION)
        });
    });
    group.bench_function("from_stored", |bencher| {
        bencher.iter(|| Pdu::from_stored(pdu.event_id.clone(), black_box(&stored).clone(), VERSION));
    });
    group.bench_function("build", |bencher| {
        bencher.iter(|| maker.make("m.room.message", None, black_box(message())));
    });
    group.bench_function("client_event", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            let places = Places::of(black_box(&stored)).expect("it is an event");
            let event = ClientEvent::new(&pdu.event_id, &stored, &places, VERSION.rules());
            event.write(None, &Unsigned { age: Some(12), ..Unsigned::default() }, &mut out);
            out.len()
        });
    });
    group.finish();
}

fn judgement(criterion: &mut Criterion) {
    let maker = Maker::new();
    let rules = VERSION.rules();
    let create = maker.make("m.room.create", Some(""), Object::new().with("room_version", "11"));
    let joined = Object::new().with("membership", "join");
    let member = maker.make("m.room.member", Some(&maker.sender), joined);
    let message = maker.make("m.room.message", None, message());

    let mut group = criterion.benchmark_group("authorize");
    for users in [10, 100, 1000] {
        let levels: Object = (0..users).map(|n| (format!("@user{n}:example.org"), Value::from(50i64))).collect();
        let levels = levels.with(&maker.sender, 100i64);
        let content = Object::new().with("users", levels);
        let levels = maker.make("m.room.power_levels", Some(""), content.clone());
        let changed = maker.make("m.room.power_levels", Some(""), content.with("ban", 60i64));
        let state = [&create, &levels, &member];
        for (name, event) in [("message", &message), ("power_levels", &changed)] {
            group.bench_function(BenchmarkId::new(name, users), |bencher| {
                bencher.iter(|| authorize(rules, black_box(event), &create, &AuthState(&state)).allowed);
            });
        }
    }
    group.bench_function("select_auth_events", |bencher| {
        let event = &member;
        let key = event.state_key.as_deref();
        bencher.iter(|| select_auth_events(rules, &event.kind, key, &event.sender, black_box(&event.content)).len());
    });
    group.finish();
}

criterion_group!(benches, formats, judgement);
criterion_main!(benches);

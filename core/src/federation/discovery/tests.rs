use alloc::collections::BTreeMap;
use bytes::Bytes;

use super::*;
use crate::http::Response;
use crate::input::{Outcome, Service};
use crate::random::Random;
use crate::testing::Server;

fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

fn service(priority: u16, weight: u16, target: &str, port: u16) -> Service {
    Service { priority, weight, port, target: target.to_string() }
}

/// Status, headers, body.
type Answer = (u16, Vec<(&'static str, &'static str)>, &'static str);

/// The network as one server sees it.
#[derive(Default)]
struct Outside {
    /// What is answered at each URL without its scheme. Anything else is unreachable.
    https: BTreeMap<&'static str, Answer>,
    dns: Vec<(&'static str, Outcome)>,
}

impl Outside {
    fn https(mut self, url: &'static str, status: u16, body: &'static str) -> Outside {
        self.https.insert(url, (status, Vec::new(), body));
        self
    }

    fn header(mut self, url: &'static str, name: &'static str, value: &'static str) -> Outside {
        self.https.get_mut(url).unwrap().1.push((name, value));
        self
    }

    fn dns(mut self, name: &'static str, records: Vec<Service>) -> Outside {
        self.dns.push((name, Outcome::Services { records, ttl: 600 }));
        self
    }

    /// Resolves, and says which URLs were asked for.
    fn resolve(&self, server: &mut Server, sought: &str) -> (Result<Vec<Place>, String>, Vec<String>) {
        server.services = self.dns.iter().map(|(name, outcome)| (name.to_string(), outcome.clone())).collect();
        let sought = name(sought);
        let result = server.start_flow(|cx| async move { resolve(&cx, &sought).await });
        let mut asked = Vec::new();
        while let Some((call, fetch)) = server.fetches.pop_front() {
            let url = format!("{}:{}{}", fetch.host, fetch.port, fetch.target);
            assert_eq!(fetch.tls_name, fetch.host, "well-known is a regular request");
            let outcome = match self.https.get(url.as_str()) {
                Some((status, headers, body)) => Outcome::Fetched(Response {
                    status: *status,
                    headers: headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
                    body: Bytes::from(*body),
                }),
                None => Outcome::Failed("nobody there".to_string()),
            };
            asked.push(url);
            server.resolve(call, outcome);
        }
        let result = result.borrow_mut().take().expect("the flow has ended");
        (result, asked)
    }
}

const WELL_KNOWN: &str = "a.test:443/.well-known/matrix/server";

/// Where a new server finds `sought`: host, port, TLS name, Host.
#[track_caller]
fn check(outside: &Outside, sought: &str, expected: &[(&str, u16, &str, &str)]) {
    let places = outside.resolve(&mut Server::new(), sought).0.unwrap();
    let places: Vec<(&str, u16, &str, &str)> = places
        .iter()
        .map(|place| (place.host.as_str(), place.port, place.tls_name.as_str(), place.host_header.as_str()))
        .collect();
    assert_eq!(places, expected, "{sought}");
}

#[test]
fn steps_1_and_2_need_nobody() {
    let nobody = Outside::default();
    check(&nobody, "1.2.3.4", &[("1.2.3.4", 8448, "1.2.3.4", "1.2.3.4")]);
    check(&nobody, "1.2.3.4:80", &[("1.2.3.4", 80, "1.2.3.4", "1.2.3.4:80")]);
    check(&nobody, "[2001:db8::1]", &[("2001:db8::1", 8448, "2001:db8::1", "[2001:db8::1]")]);
    check(&nobody, "[2001:db8::1]:443", &[("2001:db8::1", 443, "2001:db8::1", "[2001:db8::1]:443")]);
    check(&nobody, "a.test:80", &[("a.test", 80, "a.test", "a.test:80")]);
    for impossible in ["a.test:0", "a.test:65536", "1.2.3.4:99999"] {
        let (result, asked) = nobody.resolve(&mut Server::new(), impossible);
        assert!(result.is_err() && asked.is_empty(), "{impossible}: {result:?}");
    }
}

#[test]
fn step_3_a_delegate_is_resolved_as_it_is_written() {
    for (delegate, expected) in [
        (r#"{"m.server":"1.2.3.4"}"#, ("1.2.3.4", 8448, "1.2.3.4", "1.2.3.4")),
        (r#"{"m.server":"1.2.3.4:443"}"#, ("1.2.3.4", 443, "1.2.3.4", "1.2.3.4:443")),
        (r#"{"m.server":"[::1]:443"}"#, ("::1", 443, "::1", "[::1]:443")),
        (r#"{"m.server":"m.a.test:443"}"#, ("m.a.test", 443, "m.a.test", "m.a.test:443")),
        (r#"{"m.server":"m.a.test"}"#, ("m.a.test", 8448, "m.a.test", "m.a.test")),
        // Delegation is not followed twice.
        (r#"{"m.server":"a.test"}"#, ("a.test", 8448, "a.test", "a.test")),
    ] {
        check(&Outside::default().https(WELL_KNOWN, 200, delegate), "a.test", &[expected]);
    }
}

#[test]
fn steps_3_3_and_3_4_services_of_the_delegate() {
    let delegated = || Outside::default().https(WELL_KNOWN, 200, r#"{"m.server":"m.a.test"}"#);
    let fed = vec![service(10, 0, "x.test", 1000)];
    let old = vec![service(10, 0, "y.test", 2000)];
    let both = delegated().dns("_matrix-fed._tcp.m.a.test", fed).dns("_matrix._tcp.m.a.test", old.clone());
    check(&both, "a.test", &[("x.test", 1000, "m.a.test", "m.a.test")]);
    check(&delegated().dns("_matrix._tcp.m.a.test", old), "a.test", &[("y.test", 2000, "m.a.test", "m.a.test")]);
    // Those of the name that delegates do not count.
    let other = delegated().dns("_matrix-fed._tcp.a.test", vec![service(10, 0, "x.test", 1000)]);
    check(&other, "a.test", &[("m.a.test", 8448, "m.a.test", "m.a.test")]);
}

#[test]
fn steps_4_to_6_without_a_delegate() {
    let answers: [(u16, &str); 7] = [
        (404, "{}"),
        (500, r#"{"m.server":"m.a.test"}"#),
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"m.server":7}"#),
        (200, r#"{"m.server":"not a name"}"#),
        (200, r#"["m.a.test"]"#),
    ];
    let without = answers.map(|(status, body)| Outside::default().https(WELL_KNOWN, status, body));
    for outside in without.into_iter().chain([Outside::default()]) {
        check(&outside, "a.test", &[("a.test", 8448, "a.test", "a.test")]);
        let outside = outside.dns("_matrix._tcp.a.test", vec![service(10, 0, "y.test", 2000)]);
        check(&outside, "a.test", &[("y.test", 2000, "a.test", "a.test")]);
        let outside = outside.dns("_matrix-fed._tcp.a.test", vec![service(10, 0, "x.test.", 1000)]);
        check(&outside, "a.test", &[("x.test", 1000, "a.test", "a.test")]);
    }
}

#[test]
fn dns_may_fail_or_say_no() {
    let mut outside = Outside::default();
    outside.dns.push(("_matrix-fed._tcp.a.test", Outcome::Failed("SERVFAIL".to_string())));
    check(&outside, "a.test", &[("a.test", 8448, "a.test", "a.test")]);
    let outside = Outside::default().dns("_matrix-fed._tcp.a.test", vec![service(0, 0, "", 0)]);
    assert!(outside.resolve(&mut Server::new(), "a.test").0.is_err());
}

#[test]
fn services_go_by_priority_and_weight() {
    let records = || {
        vec![
            service(20, 0, "last", 1),
            service(10, 90, "often", 1),
            service(10, 10, "seldom", 1),
            service(5, 0, "first", 1),
        ]
    };
    let mut random = Random::new(&[1; 32], "test");
    let mut often_before_seldom = 0;
    for _ in 0..1000 {
        let ordered: Vec<String> =
            services::in_order(records(), &mut random).into_iter().map(|record| record.target).collect();
        assert_eq!((ordered[0].as_str(), ordered[3].as_str()), ("first", "last"));
        often_before_seldom += u32::from(ordered[1] == "often");
    }
    assert!((850..950).contains(&often_before_seldom), "{often_before_seldom}");
}

#[test]
fn redirects_are_followed_up_to_a_bound() {
    const ELSEWHERE: &str = "www.a.test:443/server";
    let outside = Outside::default()
        .https(WELL_KNOWN, 308, "")
        .header(WELL_KNOWN, "location", "https://www.a.test/server")
        .https(ELSEWHERE, 200, r#"{"m.server":"m.a.test:443"}"#);
    check(&outside, "a.test", &[("m.a.test", 443, "m.a.test", "m.a.test:443")]);

    let circle = Outside::default().https(WELL_KNOWN, 302, "").header(WELL_KNOWN, "location", PATH_AGAIN);
    let (places, asked) = circle.resolve(&mut Server::new(), "a.test");
    assert_eq!((places.unwrap()[0].port, asked.len()), (8448, 6));
}

const PATH_AGAIN: &str = "/.well-known/matrix/server";

#[test]
fn what_was_found_is_kept_for_its_time() {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    let mut server = Server::new();
    let outside = Outside::default()
        .https(WELL_KNOWN, 200, r#"{"m.server":"m.a.test"}"#)
        .header(WELL_KNOWN, "cache-control", "max-age=7200")
        .dns("_matrix-fed._tcp.m.a.test", vec![service(10, 0, "x.test", 1000)]);
    let asked = |server: &mut Server, outside: &Outside| {
        server.lookups.clear();
        let (places, asked) = outside.resolve(server, "a.test");
        (places.unwrap()[0].host.clone(), asked.len(), server.lookups.len())
    };
    assert_eq!(asked(&mut server, &outside), ("x.test".to_string(), 1, 1));
    let mut server = server.crash();
    assert_eq!(asked(&mut server, &outside), ("x.test".to_string(), 0, 0), "also across a restart");
    server.advance(11 * MINUTE);
    assert_eq!(asked(&mut server, &outside), ("x.test".to_string(), 0, 1), "DNS gave ten minutes");
    server.advance(2 * HOUR);
    // While well-known fails, the last answer holds; it is asked for again ever more seldom.
    let down = Outside { https: BTreeMap::new(), dns: outside.dns.clone() };
    for (wait, asks) in [(0, 1), (59_000, 0), (1000, 1), (MINUTE, 0), (MINUTE, 1)] {
        server.advance(wait);
        assert_eq!(asked(&mut server, &down), ("x.test".to_string(), asks, usize::from(asks > 0)), "{wait}");
    }
    server.advance(48 * HOUR);
    assert_eq!(asked(&mut server, &down), ("a.test".to_string(), 1, 2), "but not for ever");
}

#[test]
fn a_server_that_does_not_answer_is_sought_again() {
    const HOUR: u64 = 3_600_000;
    let mut server = Server::new();
    let before = Outside::default().https(WELL_KNOWN, 200, r#"{"m.server":"old.test:1"}"#);
    let after = Outside::default().https(WELL_KNOWN, 200, r#"{"m.server":"new.test:1"}"#);
    assert_eq!(before.resolve(&mut server, "a.test").0.unwrap()[0].host, "old.test");
    server.advance(2 * HOUR);
    assert_eq!(after.resolve(&mut server, "a.test").0.unwrap()[0].host, "old.test");
    let doubted = server.start_flow(|cx| async move {
        let now = cx.now();
        cx.step(|step| Ok(remote_server::update(step, &name("a.test"), |row, _| doubt(row, now))?)).is_ok()
    });
    assert_eq!(doubted.borrow_mut().take(), Some(true));
    assert_eq!(after.resolve(&mut server, "a.test").0.unwrap()[0].host, "new.test");
}

#[test]
fn what_a_clock_that_was_ahead_has_kept_is_not_kept() {
    let hours = |hours: u64| Timestamp(hours * 3_600_000);
    let doubted = |now: Timestamp| {
        let well_known = WellKnown { fetched: hours(10), expires: hours(34), ..WellKnown::default() };
        let discovered = Discovered { places: Vec::new(), expires: hours(34), well_known };
        let mut row = RemoteServer::default();
        row.discovered = Some(discovered);
        doubt(&mut row, now);
        row.discovered.map(|discovered| (discovered.expires, discovered.well_known.expires))
    };
    assert_eq!(doubted(hours(12)), Some((hours(12), hours(11))));
    assert_eq!(doubted(hours(2)), Some((hours(2), hours(2))));
}

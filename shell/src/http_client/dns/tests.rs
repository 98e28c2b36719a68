use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinEncodable};
use tokio::net::UdpSocket;

use super::*;
use crate::time::Stopwatch;

/// A name server that knows the addresses of names of `fast.test`, says after a while that there is no `late.test`, and nothing of
/// others.
struct NameServer {
    address: SocketAddr,
    /// How often it was asked for addresses of IPv4.
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl NameServer {
    async fn start() -> NameServer {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(BTreeMap::new()));
        let counts = asked.clone();
        tokio::spawn(async move {
            let mut question = [0; 1024];
            loop {
                let (length, from) = socket.recv_from(&mut question).await.unwrap();
                let question = Message::from_bytes(&question[..length]).unwrap();
                let name = question.queries[0].name().to_ascii();
                let kind = question.queries[0].query_type();
                if kind == RecordType::A {
                    *counts.lock().unwrap().entry(name.clone()).or_default() += 1;
                }
                let Some((answer, pause)) = answer(question, &name, kind) else { continue };
                let socket = socket.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    socket.send_to(&answer.to_bytes().unwrap(), from).await.unwrap();
                });
            }
        });
        NameServer { address, asked }
    }

    fn dns(&self) -> Dns {
        let mut server = NameServerConfig::udp(self.address.ip());
        server.connections[0].port = self.address.port();
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        set_options(builder.options_mut());
        let dns = Dns::default();
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(&b"10.1.2.3 here.fast.test Here\n::5 both\n10.1.2.4 both\n"[..]).unwrap();
        let system = System { hosts: Arc::new(hosts), resolver: builder.build().unwrap() };
        *dns.system.lock().unwrap() = Some((changed(), system));
        dns
    }

    fn times_asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

fn answer(question: Message, name: &str, kind: RecordType) -> Option<(Message, Duration)> {
    let asked = question.queries[0].clone();
    let mut answer = question.into_response();
    answer.queries = vec![asked.clone()];
    let late = name == "late.test.";
    if late {
        answer.metadata.response_code = ResponseCode::NXDomain;
    } else if !name.ends_with("fast.test.") {
        return None;
    } else if kind == RecordType::A {
        let address = RData::A(Ipv4Addr::new(192, 0, 2, 1).into());
        answer.answers.push(Record::from_rdata(asked.name().clone(), 60, address));
    }
    Some((answer, Duration::from_millis(if late { 200 } else { 0 })))
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

const FOUND: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))];

#[test]
fn slow_names_hold_up_no_others() {
    run(async {
        let server = NameServer::start().await;
        let dns = Arc::new(server.dns());
        let slow: Vec<_> = (0..200)
            .map(|number| {
                let dns = dns.clone();
                tokio::spawn(async move { dns.addresses(&format!("{number}.slow.test")).await })
            })
            .collect();
        while server.times_asked("199.slow.test.") == 0 {
            tokio::task::yield_now().await;
        }
        let waited = Stopwatch::start();
        assert_eq!(dns.addresses("a.fast.test").await.unwrap(), FOUND);
        assert!(waited.elapsed() < Duration::from_secs(2), "it took {:?}", waited.elapsed());
        assert!(slow.iter().all(|slow| !slow.is_finished()));
        slow.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

#[test]
fn those_who_ask_at_the_same_time_ask_once() {
    run(async {
        let server = NameServer::start().await;
        let dns = Arc::new(server.dns());
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let dns = dns.clone();
                tokio::spawn(async move { dns.addresses("late.test").await })
            })
            .collect();
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Ok(Vec::new()));
        }
        assert_eq!(server.times_asked("late.test."), 1);
        // What is known is not asked for again.
        for _ in 0..3 {
            assert_eq!(dns.addresses("b.fast.test").await.unwrap(), FOUND);
        }
        assert_eq!(server.times_asked("b.fast.test."), 1);
    });
}

#[test]
fn what_is_never_answered_has_its_time() {
    run(async {
        let server = NameServer::start().await;
        let dns = Dns { timeout: Duration::from_millis(100), ..server.dns() };
        let why = dns.addresses("slow.test").await.unwrap_err();
        assert_eq!(why, "DNS did not answer");
        assert_eq!(dns.services("_matrix-fed._tcp.slow.test").await, Outcome::Failed(why));
    });
}

#[test]
fn what_is_in_the_file_of_hosts_is_not_asked_for() {
    run(async {
        let server = NameServer::start().await;
        let dns = server.dns();
        for (host, expected) in
            [("here.fast.test", &["10.1.2.3"][..]), ("HERE", &["10.1.2.3"]), ("both", &["10.1.2.4", "::5"])]
        {
            let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(dns.addresses(host).await, Ok(expected), "{host}");
        }
        assert!(server.asked.lock().unwrap().is_empty());
        assert!(dns.addresses(&"a".repeat(64)).await.is_err());
    });
}

#[test]
fn addresses_of_both_kinds_alternate() {
    let check = |addresses: &[&str], expected: &[&str]| {
        let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(alternating(parsed(addresses).into_iter()), parsed(expected));
    };
    check(&[], &[]);
    check(&["::1", "::2"], &["::1", "::2"]);
    check(&["::1", "::2", "1.1.1.1"], &["1.1.1.1", "::1", "::2"]);
    check(&["1.1.1.1", "1.1.1.2", "1.1.1.3", "::1"], &["1.1.1.1", "::1", "1.1.1.2", "1.1.1.3"]);
}

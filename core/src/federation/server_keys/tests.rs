use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::federation::remote_server;
use crate::signing::SigningKey;
use crate::testing::network::Net;

fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

/// Something that `server` is said to have signed, with the key that [`Net`] gives its server number `i`.
fn signed(server: &str, i: u8, valid_at: Option<Timestamp>) -> ToVerify {
    let key = SigningKey::from_seed("1", &[50 + i; 32]).unwrap();
    let bytes = Bytes::from_static(b"{\"a\":1}");
    let signature = base64::encode_unpadded(&key.sign(&bytes));
    ToVerify {
        server: name(server),
        signatures: Object::new().with("ed25519:1", signature),
        signed_bytes: bytes,
        valid_at,
    }
}

fn verdicts(net: &mut Net, at: &str, items: Vec<ToVerify>) -> Vec<bool> {
    net.run(at, |cx| async move { verify(&cx, items).await.unwrap() })
}

#[test]
fn keys_are_fetched_once_for_each_server() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let items = || {
        vec![signed("a.test", 0, None), signed("b.test", 1, None), signed("a.test", 1, None), signed("a.test", 0, None)]
    };
    assert_eq!(verdicts(&mut net, "c.test", items()), [true, true, false, true]);
    assert_eq!(
        net.log,
        ["c.test a.test GET /_matrix/key/v2/server", "c.test b.test GET /_matrix/key/v2/server"]
            .map(|line| line.to_string())
    );
    net.crash("c.test");
    assert_eq!(verdicts(&mut net, "c.test", items()), [true, true, false, true]);
    assert_eq!(net.log.len(), 2);
}

#[test]
fn own_keys_need_no_network() {
    let mut net = Net::new(&["a.test"]);
    let now = net.server("a.test").now;
    assert_eq!(
        verdicts(&mut net, "a.test", vec![signed("a.test", 0, Some(now)), signed("a.test", 1, None)]),
        [true, false]
    );
    assert_eq!(net.log.len(), 0);
}

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

#[test]
fn a_key_counts_until_its_list_ends() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let start = net.server("b.test").now;
    let at = |millis: u64| Some(Timestamp(start.0 + millis));
    let asked = |net: &Net| net.log.len();
    assert_eq!(
        verdicts(&mut net, "b.test", vec![signed("a.test", 0, at(DAY)), signed("a.test", 0, None)]),
        [true, true]
    );
    // Its server is asked for a list that goes further, and has none.
    assert_eq!(verdicts(&mut net, "b.test", vec![signed("a.test", 0, at(DAY + 1))]), [false]);
    assert_eq!(asked(&net), 2);
    assert_eq!(verdicts(&mut net, "b.test", vec![signed("a.test", 0, at(DAY + 1))]), [false]);
    assert_eq!(asked(&net), 2, "not once per event");
    net.advance(HOUR);
    assert_eq!(verdicts(&mut net, "b.test", vec![signed("a.test", 0, at(DAY + 1))]), [true]);
    assert_eq!(asked(&net), 3);
}

#[test]
fn a_long_life_is_cut_to_seven_days() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let now = net.server("b.test").now;
    let key = SigningKey::from_seed("1", &[50; 32]).unwrap();
    let config = net.server("a.test").config().clone();
    let mut list = own_keys(&config, &key, now + core::time::Duration::from_secs(30 * 86_400));
    assert!(list.remove("signatures").is_some());
    crate::signing::sign_json(&mut list, "a.test", &key).unwrap();
    net.lie("a.test", "/_matrix/key/v2/server", 200, list.into());
    let at = |days: u64, more: u64| signed("a.test", 0, Some(Timestamp(now.0 + days * DAY + more)));
    assert_eq!(verdicts(&mut net, "b.test", vec![at(7, 0), at(7, 1)]), [true, false]);
}

#[test]
fn lists_that_prove_nothing_are_not_believed() {
    let list = |net: &mut Net, i: u8| {
        let now = net.server("a.test").now;
        let config = net.server("a.test").config().clone();
        own_keys(&config, &SigningKey::from_seed("1", &[50 + i; 32]).unwrap(), now)
    };
    let check = |change: &dyn Fn(&mut Object)| {
        let mut net = Net::new(&["a.test", "b.test"]);
        let mut lie = list(&mut net, 0);
        change(&mut lie);
        net.lie("a.test", "/_matrix/key/v2/server", 200, lie.into());
        verdicts(&mut net, "b.test", vec![signed("a.test", 0, None)])[0]
    };
    let key = |i: u8| SigningKey::from_seed("1", &[50 + i; 32]).unwrap();
    let sign = |list: &mut Object, by: &str, i: u8| {
        list.remove("signatures");
        crate::signing::sign_json(list, by, &key(i)).unwrap();
    };
    assert!(check(&|_| ()));
    assert!(!check(&|list| drop(list.remove("signatures"))));
    assert!(!check(&|list| drop(list.insert("valid_until_ts", 9u32))), "altered");
    assert!(!check(&|list| sign(list, "a.test", 1)), "signed with a key that it does not have");
    assert!(!check(&|list| sign(list, "b.test", 0)), "signed in another's name");
    assert!(!check(&|list| {
        list.insert("server_name", "b.test");
        sign(list, "a.test", 0);
    }));
    assert!(!check(&|list| {
        let many: Object = (0..200).map(|i| (alloc::format!("ed25519:{i}"), Object::new())).collect();
        list.insert("old_verify_keys", many);
        sign(list, "a.test", 0);
    }));
}

#[test]
fn a_notary_knows_the_keys_of_a_server_that_is_gone() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    net.restart_with("c.test", |config| config.federation.notaries = vec![name("b.test")]);
    let now = net.server("b.test").now;
    assert_eq!(verdicts(&mut net, "b.test", vec![signed("a.test", 0, Some(now))]), [true]);
    net.cut("a.test", "b.test");
    net.cut("a.test", "c.test");
    let items = || vec![signed("a.test", 0, Some(now)), signed("a.test", 1, Some(now)), signed("z.test", 0, None)];
    assert_eq!(verdicts(&mut net, "c.test", items()), [true, false, false]);
    let asked = |net: &Net| net.log.iter().filter(|line| line.contains("c.test b.test POST")).count();
    assert_eq!(asked(&net), 1);
    assert_eq!(verdicts(&mut net, "c.test", items()), [true, false, false]);
    assert_eq!(asked(&net), 1, "it is not asked about z.test again");
}

#[test]
fn the_key_of_a_policy_server_is_not_sought() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let with_policy = |mut item: ToVerify| {
        let of_server = &mut item.signatures;
        let signature = of_server.get("ed25519:1").unwrap().clone();
        of_server.insert("ed25519:policy_server", signature);
        item
    };
    let now = net.server("b.test").now;
    assert_eq!(verdicts(&mut net, "b.test", vec![with_policy(signed("a.test", 0, Some(now)))]), [true]);
    // The server has all that was wanted of it, and may be asked for another key at once.
    let row = |net: &mut Net| net.server("b.test").inspect(|read| remote_server::get(read, &name("a.test")).unwrap());
    assert_eq!(row(&mut net).keys, remote_server::Backoff::default());
    // Alone it is no signature of the server.
    let mut alone = with_policy(signed("a.test", 0, Some(now)));
    alone.signatures.remove("ed25519:1");
    assert_eq!(verdicts(&mut net, "b.test", vec![alone]), [false]);
    assert_eq!(net.log.len(), 1);
}

#[test]
fn who_wants_a_key_that_a_notary_is_being_asked_for_waits_for_it() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    net.restart_with("c.test", |config| config.federation.notaries = vec![name("b.test")]);
    let now = net.server("b.test").now;
    assert_eq!(verdicts(&mut net, "b.test", vec![signed("a.test", 0, Some(now))]), [true]);
    net.cut("a.test", "c.test");
    let item = move || vec![signed("a.test", 0, Some(now))];
    let both = net.run("c.test", |cx| async move {
        let checks = [item(), item()].into_iter().map(|items| verify(&cx, items));
        crate::flow::join_all(checks, 2).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    });
    assert_eq!(both, [[true], [true]]);
    assert_eq!(net.log.iter().filter(|line| line.contains("c.test b.test POST")).count(), 1);
}

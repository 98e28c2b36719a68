use alloc::string::ToString;
use alloc::vec;

use super::*;
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
        object_signatures: Object::new().with(server, Object::new().with("ed25519:1", signature)),
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

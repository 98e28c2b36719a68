use super::*;
use crate::testing::json;
use crate::testing::network::Net;

fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

fn ask(net: &mut Net, target: &'static str) -> Result<Value, RemoteError> {
    net.run("a.test", move |cx| async move { call(&cx, &name("b.test"), Outgoing::get(target)).await })
}

#[test]
fn the_answer_is_json_or_a_refusal() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let version = ask(&mut net, "/_matrix/federation/v1/version").unwrap();
    assert!(version.get("server").is_some());
    let refused = ask(&mut net, "/_matrix/federation/v1/nothing").unwrap_err();
    let body = json!({ "errcode": "M_UNRECOGNIZED", "error": "Unrecognized request" });
    let (errcode, error) = ("M_UNRECOGNIZED".to_string(), "Unrecognized request".to_string());
    assert_eq!(refused, RemoteError::Refused { status: 404, errcode, error, body });
    // A refusal is an answer, and the server is asked again.
    assert!(ask(&mut net, "/_matrix/federation/v1/version").is_ok());
}

#[test]
fn a_server_that_is_down_is_left_alone_for_a_while() {
    let mut net = Net::new(&["a.test", "b.test"]);
    net.cut("a.test", "b.test");
    assert!(matches!(ask(&mut net, "/_matrix/federation/v1/version"), Err(RemoteError::Unreachable(_))));
    let asked = net.log.len();
    let waits = ask(&mut net, "/_matrix/federation/v1/version");
    let Err(RemoteError::BackingOff { until }) = waits else { panic!("{waits:?}") };
    net.crash("a.test");
    assert_eq!(ask(&mut net, "/_matrix/federation/v1/version"), Err(RemoteError::BackingOff { until }));
    assert_eq!(net.log.len(), asked, "nothing was sent meanwhile");

    let left = until.since(net.server("a.test").now);
    net.advance(left);
    assert!(matches!(ask(&mut net, "/_matrix/federation/v1/version"), Err(RemoteError::Unreachable(_))));
    net.heal();
    net.advance(2 * left + 5000);
    assert!(ask(&mut net, "/_matrix/federation/v1/version").is_ok());
}

#[test]
fn a_server_that_speaks_is_up() {
    let mut net = Net::new(&["a.test", "b.test"]);
    net.cut("a.test", "b.test");
    assert!(ask(&mut net, "/_matrix/federation/v1/version").is_err());
    net.heal();
    net.run("a.test", |cx| async move { remote_server::is_up(&cx, &name("b.test")).unwrap() });
    assert!(ask(&mut net, "/_matrix/federation/v1/version").is_ok());
}

#[test]
fn a_client_is_told_what_concerns_it() {
    let refused = |status: u16, errcode: &str| RemoteError::Refused {
        status,
        errcode: errcode.to_string(),
        error: "Because".to_string(),
        body: json!({ "room_version": "6" }),
    };
    for (error, status, errcode) in [
        (refused(403, "M_FORBIDDEN"), 403, "M_FORBIDDEN"),
        (refused(404, "M_NOT_FOUND"), 404, "M_NOT_FOUND"),
        (refused(400, "M_INCOMPATIBLE_ROOM_VERSION"), 400, "M_INCOMPATIBLE_ROOM_VERSION"),
        // A client that is told so logs out.
        (refused(401, "M_UNAUTHORIZED"), 502, "M_UNKNOWN"),
        (refused(403, "M_UNKNOWN_TOKEN"), 502, "M_UNKNOWN"),
        (refused(500, "M_FORBIDDEN"), 502, "M_UNKNOWN"),
        (RemoteError::Disabled, 403, "M_FORBIDDEN"),
        (RemoteError::BackingOff { until: Timestamp(1) }, 502, "M_UNKNOWN"),
        (RemoteError::Unreachable("no route".to_string()), 502, "M_UNKNOWN"),
        (RemoteError::BadAnswer("not JSON".to_string()), 502, "M_UNKNOWN"),
    ] {
        let told = ApiError::from(error.clone());
        assert_eq!((told.status, told.errcode), (status, errcode), "{error:?}");
    }
}

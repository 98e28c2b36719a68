//! What is wrong with the place where a server publishes its signing keys, while all the rest of it works.

use bytes::Bytes;
use orrery_core::canonical_json::Value;
use orrery_core::config::Config;
use orrery_core::federation::server_keys::own_keys;
use orrery_core::http::{Request, Response};
use orrery_core::signing::SigningKey;
use orrery_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::draw::Draw;

/// What whoever asks for the keys gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WrongKeys {
    /// No answer.
    Silence,
    /// A fault of the server.
    Fault,
    /// No JSON.
    Garbage,
    /// A list that was changed after it was signed.
    Forged,
    /// The list of when the world began, from a cache that is never filled again: keys that came since are not in it.
    Outdated,
}

impl WrongKeys {
    #[must_use]
    pub fn draw(draw: &mut Draw) -> WrongKeys {
        use WrongKeys::{Fault, Forged, Garbage, Outdated, Silence};
        *draw.pick(&[Silence, Fault, Garbage, Forged, Outdated])
    }
}

/// The place of one server.
#[derive(Clone, Debug)]
pub struct KeyServer {
    wrong: Option<(WrongKeys, Time)>,
    /// As it was when the world began.
    outdated: Bytes,
}

/// What becomes of a request for the keys.
#[derive(Debug)]
pub enum Answer {
    /// The server answers itself.
    OfServer,
    None,
    Instead(Response),
}

const PATH: &str = "/_matrix/key/v2/server";

impl KeyServer {
    #[must_use]
    pub fn new(config: &Config, key: &SigningKey, now: Timestamp) -> KeyServer {
        let outdated = Value::Object(own_keys(config, key, now)).to_bytes().into();
        KeyServer { wrong: None, outdated }
    }

    pub fn strike(&mut self, wrong: WrongKeys, until: Time) {
        self.wrong = Some((wrong, until));
    }

    pub fn heal(&mut self) {
        self.wrong = None;
    }

    /// What to do with a request that comes in.
    #[must_use]
    pub fn answer(&self, request: &Request, now: Time) -> Answer {
        let wrong = self.wrong.filter(|(_, until)| now < *until && request.path == PATH);
        let Some((wrong, _)) = wrong else { return Answer::OfServer };
        let json = |status, bytes: Bytes| Answer::Instead(Response::json_bytes(status, bytes));
        match wrong {
            WrongKeys::Silence => Answer::None,
            WrongKeys::Fault => json(502, Bytes::from_static(b"{}")),
            WrongKeys::Garbage => json(200, Bytes::from_static(b"<html>")),
            WrongKeys::Forged => {
                let text = String::from_utf8_lossy(&self.outdated);
                json(200, text.replacen("\"valid_until_ts\":", "\"valid_until_ts\":1", 1).into())
            }
            WrongKeys::Outdated => json(200, self.outdated.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use orrery_core::http::Method;
    use orrery_core::identifiers::ServerName;

    use super::*;
    use crate::keys;

    #[test]
    fn only_the_keys_are_wrong_and_only_for_a_while() {
        let config = Config::new(ServerName::parse("s0.test").unwrap(), keys::config(1, 0, 0));
        let mut server = KeyServer::new(&config, &keys::key(1, 0, 0), Timestamp(1));
        let ask = |server: &KeyServer, path: &str, now: u64| {
            let (method, path) = (Method::Get, path.to_owned());
            let (query, body) = (String::new(), Bytes::new());
            let request = Request { method, path, query, authorization: None, user_agent: None, remote: None, body };
            match server.answer(&request, Time(now)) {
                Answer::OfServer => None,
                Answer::None => Some((0, String::new())),
                Answer::Instead(response) => {
                    Some((response.status, String::from_utf8_lossy(&response.body).into_owned()))
                }
            }
        };
        assert_eq!(ask(&server, PATH, 0), None);
        for (wrong, status) in [
            (WrongKeys::Silence, 0),
            (WrongKeys::Fault, 502),
            (WrongKeys::Garbage, 200),
            (WrongKeys::Forged, 200),
            (WrongKeys::Outdated, 200),
        ] {
            server.strike(wrong, Time(5));
            assert_eq!(ask(&server, PATH, 4).map(|answer| answer.0), Some(status), "{wrong:?}");
            assert_eq!(ask(&server, PATH, 5), None, "{wrong:?}");
            assert_eq!(ask(&server, "/_matrix/key/v2/query", 4), None, "{wrong:?}");
        }
        let outdated = ask(&server, PATH, 4).unwrap().1;
        server.strike(WrongKeys::Forged, Time(5));
        assert_ne!(ask(&server, PATH, 4).unwrap().1, outdated);
        server.heal();
        assert_eq!(ask(&server, PATH, 4), None);
    }
}

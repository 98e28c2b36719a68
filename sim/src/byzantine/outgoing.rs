//! Lies in the transactions that the liar's own server sends.

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::http::{Method, Request};
use orrery_core::identifiers::ServerName;
use orrery_core::room::Room;
use orrery_core::room_version::RoomVersion;

use super::Strategy;
use super::liar::Liar;
use crate::storage::SimStorage;
use crate::world::server_name;

/// `None`: it is not sent.
pub(super) fn change(liar: &mut Liar, to: u32, request: Request, own: &SimStorage) -> Option<Request> {
    let Some(lie) = liar.lies(&[Strategy::TwoTongues, Strategy::Silence]) else { return Some(request) };
    liar.tally.lies += 1;
    if lie == Strategy::Silence {
        return None;
    }
    let (Ok(Value::Object(mut body)), Ok(to)) = (parse(&request.body), ServerName::parse(&server_name(to))) else {
        return Some(request);
    };
    if let Some(Value::Array(pdus)) = body.get_mut("pdus") {
        let events = std::mem::take(pdus);
        for event in events {
            match liar.draw.below(5) {
                0 => {}
                1 => pdus.extend([event.clone(), event]),
                2 => pdus.push(twin(liar, event, own)),
                3 => pdus.insert(0, event),
                _ => pdus.push(event),
            }
        }
        pdus.truncate(50);
    }
    Some(liar.identity.request(&to, Method::Put, &request.path, Some(body.into())))
}

/// Another event in the place of one that a user of the liar's server sent: each peer gets its own.
fn twin(liar: &mut Liar, event: Value, own: &SimStorage) -> Value {
    let Value::Object(mut object) = event else { return event };
    let sender = object.str("sender").and_then(|sender| sender.split_once(':'));
    let is_own = sender.is_some_and(|(_, server)| server == liar.identity.name.as_str());
    let version = object.str("room_id").and_then(|room| version_of(own, room));
    let (true, Some("m.room.message"), Some(version)) = (is_own, object.str("type"), version) else {
        return object.into();
    };
    // It names no operation: no client sent this.
    let body = format!("twin {}", liar.draw.u64());
    object.insert("content", Object::new().with("msgtype", "m.text").with("body", body));
    liar.identity.resign(&mut object, version.rules());
    object.into()
}

fn version_of(own: &SimStorage, room: &str) -> Option<RoomVersion> {
    Room::find_even_outside(own, room).ok()?.map(|room| room.info.version)
}

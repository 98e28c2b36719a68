//! `PUT /_matrix/federation/v1/send/{txnId}` (Server-Server API, "Transactions"): what other servers send as it happens.
//!
//! Events are checked together and received room by room, the rooms side by side: one bad event fails alone, and one room that
//! takes long holds up no other. Whatever becomes of them, the answer is `200` and says so of each.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::edus;
use crate::canonical_json::{Object, Value};
use crate::client::request::{Answer, Auth, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::event::Pdu;
use crate::federation::receive_pdu::{PduError, check_pdus_of_versions, receive_checked};
use crate::flow::{Cx, Lane, join_all};
use crate::http::{Method, Response};
use crate::identifiers::{EventId, RoomId, ServerName};
use crate::limits::{
    MAX_TRANSACTION_EDUS, MAX_TRANSACTION_PDUS, MAX_TRANSACTIONS_WAITING, POLICY_PATIENCE, ROOMS_RECEIVED_AT_ONCE,
    TRANSACTION_ANSWERS_REMEMBERED, TRANSACTIONS_REMEMBERED,
};
use crate::room::{Room, Standing, outside, server_acl};
use crate::room_version::RoomVersion;
use crate::store::state_map::StateId;
use crate::store::tables::{RoomNum, Table, tags};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Put,
    "/_matrix/federation/v1/send/{txnId}",
    Auth::Server,
    Limit::None,
    Handler::Flow("send", send),
)];

/// The last transactions of a server, the newest last: a server that did not get the answer sends the same again.
const RECEIVED: Table<ServerName, Vec<Received>> = Table::new(tags::RECEIVED_TRANSACTION);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Received {
    /// Of its ID.
    digest: [u8; 16],
    /// The body of the answer; empty if it is not known any more.
    answer: Vec<u8>,
}

fn send(cx: Cx, mut request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let transaction = Transaction::read(&mut request)?;
        let origin = request.origin();
        let lane = Lane::Origin(origin.clone());
        if cx.waiting_in(&lane) >= MAX_TRANSACTIONS_WAITING {
            return Err(ApiError::new(429, "M_LIMIT_EXCEEDED", "The transactions before this one are not done yet"));
        }
        // What was begun is finished, so that a second attempt finds it done.
        cx.outlive_request();
        let _lane = cx.lane(lane).await;
        let digest = digest_of(request.param(0));
        let before = cx.step(|step| Ok(RECEIVED.get(step, origin)?.unwrap_or_default()))?;
        if let Some(before) = before.into_iter().find(|before| before.digest == digest) {
            return Ok(match before.answer.is_empty() {
                // Its sender has gone on to others since, and so has had the answer.
                true => Response::json(200, &Object::new().with("pdus", Object::new()).into()),
                false => Response::json_bytes(200, before.answer.into()),
            });
        }
        let results = receive(&cx, origin, transaction.pdus).await?;
        // Receipts may be for the events that came with them.
        edus::handle(&cx, origin, &transaction.edus).await;
        let answer = Object::new().with("pdus", results).to_bytes();
        cx.step(|step| {
            let mut received = RECEIVED.get(step, origin)?.unwrap_or_default();
            received.push(Received { digest, answer: answer.clone() });
            let old = received.len().saturating_sub(TRANSACTIONS_REMEMBERED);
            received.drain(..old);
            let unanswered = received.len().saturating_sub(TRANSACTION_ANSWERS_REMEMBERED);
            received[..unanswered].iter_mut().for_each(|received| received.answer.clear());
            RECEIVED.put(step, origin, &received);
            Ok(())
        })?;
        Ok(Response::json_bytes(200, answer.into())) as Answer
    })
}

fn digest_of(transaction_id: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(transaction_id)[..16]);
    digest
}

struct Transaction {
    pdus: Vec<Object>,
    edus: Vec<Value>,
}

impl Transaction {
    fn read(request: &mut ClientRequest) -> Result<Transaction, ApiError> {
        let mut body = request.take_object()?;
        let origin = body.str("origin");
        if origin.is_some_and(|origin| origin != request.origin().as_str()) {
            return Err(ApiError::forbidden("origin is not the server that signed the request"));
        }
        let mut list = |name: &str, most: usize| match body.remove(name) {
            Some(Value::Array(items)) if items.len() <= most => Ok(items),
            Some(Value::Array(_)) => Err(ApiError::bad_json(alloc::format!("{name} has more than {most} entries"))),
            Some(_) => Err(ApiError::bad_json(alloc::format!("{name} is not an array"))),
            None => Ok(Vec::new()),
        };
        let pdus = list("pdus", MAX_TRANSACTION_PDUS)?;
        let edus = list("edus", MAX_TRANSACTION_EDUS)?;
        let pdus = pdus.into_iter().filter_map(|pdu| match pdu {
            Value::Object(pdu) => Some(pdu),
            _ => None,
        });
        Ok(Transaction { pdus: pdus.collect(), edus })
    }
}

/// What becomes of each event, by its ID. One without a room that is known here has none.
async fn receive(cx: &Cx, origin: &ServerName, events: Vec<Object>) -> Result<Object, ApiError> {
    let mut results = BTreeMap::new();
    let mut admitted = Vec::with_capacity(events.len());
    let mut admissions = BTreeMap::new();
    for event in events {
        let Some(room_id) = event.str("room_id").and_then(|room_id| RoomId::parse(room_id).ok()) else { continue };
        let admission = match admissions.get(&room_id) {
            Some(admission) => *admission,
            None => {
                let admission = admit(cx, origin, &room_id)?;
                admissions.insert(room_id.clone(), admission);
                admission
            }
        };
        match admission {
            Admission::Check(version) => admitted.push((version, room_id, event)),
            Admission::CheckOutside(room) => {
                let version =
                    cx.step(|step| Ok(outside::version_to_read(step, &Room::expect(step, room)?, &event)?))?;
                admitted.push((version, room_id, event));
            }
            Admission::Refuse(version, why) => {
                if let Ok(pdu) = Pdu::parse(event, version) {
                    results.insert(pdu.event_id, Some(why.to_string()));
                }
            }
            Admission::Ignore => {}
        }
    }
    let (rooms, events): (Vec<RoomId>, Vec<(RoomVersion, Object)>) =
        admitted.into_iter().map(|(version, room_id, event)| (room_id, (version, event))).unzip();
    let checked = check_pdus_of_versions(cx, events).await;
    let mut by_room: BTreeMap<RoomId, Vec<Result<Pdu, PduError>>> = BTreeMap::new();
    for (room_id, checked) in rooms.into_iter().zip(checked) {
        by_room.entry(room_id).or_default().push(checked);
    }
    let received = by_room.into_iter().map(|(room_id, events)| receive_in_room(cx, origin, room_id, events));
    for of_room in join_all(received, ROOMS_RECEIVED_AT_ONCE).await {
        results.extend(of_room);
    }
    let mut object = Object::new();
    for (event_id, error) in results {
        object.insert(event_id.as_str(), error.map_or_else(Object::new, |error| Object::new().with("error", error)));
    }
    Ok(object)
}

#[derive(Clone, Copy)]
enum Admission {
    Check(RoomVersion),
    /// This server has no state of the room, so the event says by which version it is to be read.
    CheckOutside(RoomNum),
    Refuse(RoomVersion, &'static str),
    /// Not even its ID can be told.
    Ignore,
}

/// Whether the events of a room are looked at: it is one of ours, and lets the server that sends them in.
fn admit(cx: &Cx, origin: &ServerName, room_id: &RoomId) -> Result<Admission, ApiError> {
    cx.step(|step| {
        let Some(room) = Room::find_even_outside(step, room_id)? else { return Ok(Admission::Ignore) };
        let version = room.info.version;
        Ok(match server_acl::allows(step, &room, origin)? {
            true if room.head.state == StateId::EMPTY => Admission::CheckOutside(room.num),
            true => Admission::Check(version),
            false => Admission::Refuse(version, "the room's access control list keeps the server out"),
        })
    })
}

/// Receives the events of one room in the order of the transaction.
async fn receive_in_room(
    cx: &Cx,
    origin: &ServerName,
    room_id: RoomId,
    events: Vec<Result<Pdu, PduError>>,
) -> Vec<(EventId, Option<String>)> {
    let event_id = |checked: &Result<Pdu, PduError>| match checked {
        Ok(pdu) => Some(pdu.event_id.clone()),
        Err(error) => error.event_id().cloned(),
    };
    let event_ids: Vec<Option<EventId>> = events.iter().map(event_id).collect();
    let received = receive_checked(cx, origin, &room_id, events, cx.now() + POLICY_PATIENCE).await;
    let error = |received| match received {
        Ok(Standing::Accepted | Standing::SoftFailed) => None,
        Ok(Standing::Rejected) => Some("the room's rules do not allow it".to_string()),
        Err(error) => Some(PduError::to_string(&error)),
    };
    event_ids.into_iter().zip(received).filter_map(|(event_id, received)| Some((event_id?, error(received)))).collect()
}

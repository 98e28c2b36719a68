//! Having a room's policy server sign events (Server-Server API, "Policy Servers"): those of this server before they are sent
//! ([`step`], [`sign`]), and those of other servers that lack a good signature of it ([`Consultation`]).

use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;

use super::outgoing::{Outgoing, RemoteError, call};
use crate::canonical_json::{Object, Value};
use crate::effect::Job;
use crate::error::{ApiError, ErrCode};
use crate::event::{Consulted, POLICY_KEY_ID, Pdu, PolicyServer, Question, Recommendation};
use crate::flow::{Cx, Lane, Step};
use crate::identifiers::KeyId;
use crate::input::Outcome;
use crate::limits::{
    MAX_POLICY_ANSWER, MAX_POLICY_QUESTIONS, MAX_POLICY_ROUNDS, MAX_WAITING_FOR_POLICY, POLICY_TIMEOUT,
};
use crate::room::{Room, policy_server};
use crate::room_version::RoomVersion;
use crate::signing::{SignedMessage, base64, signature};
use crate::time::Timestamp;

/// [`Cx::step`] of a step that adds events of this server to rooms. One that makes an event which the room's policy server has to
/// sign is run again once that has been asked: it finds the room as it is then, and is told of a refusal where it adds the event.
///
/// # Errors
/// What the step says; what the policy server said, if the step passes it on; `429 M_LIMIT_EXCEEDED` if too many wait for it.
pub async fn step<T>(cx: &Cx, mut run: impl FnMut(&mut Step<'_>) -> Result<T, ApiError>) -> Result<T, ApiError> {
    let mut consulted: Vec<Consulted> = Vec::new();
    let mut lane = None;
    loop {
        let mut question = None;
        let result = cx.step(|step| {
            step.policy.consulted.clone_from(&consulted);
            let result = run(step);
            question = step.policy.question.take();
            if question.is_some() { Err(ApiError::internal("the policy server is yet to be asked")) } else { result }
        });
        let Some(question) = question else { return result };
        if lane.is_none() {
            let room = Lane::PolicyServer(question.pdu.room_id);
            if cx.waiting_in(&room) >= MAX_WAITING_FOR_POLICY {
                let message = "Too many events wait for the room's policy server; try again in a moment";
                return Err(ApiError::new(429, "M_LIMIT_EXCEEDED", message).with("retry_after_ms", 1000u32));
            }
            // Those before this one have changed the room, and what is to be signed would not follow them.
            lane = Some(cx.lane(room).await);
            continue;
        }
        if consulted.len() >= MAX_POLICY_QUESTIONS {
            return Err(ApiError::new(503, "M_UNKNOWN", "The room changes its policy server; try again in a moment"));
        }
        consulted.push(consult(cx, question).await);
    }
}

async fn consult(cx: &Cx, question: Question) -> Consulted {
    let Question { pdu, version, to } = question;
    match ask(cx, &pdu, version, &to, cx.now() + POLICY_TIMEOUT).await {
        Ok(pdu) => Consulted { pdu, recommendation: Recommendation::signed(to) },
        Err(error) => Consulted { pdu, recommendation: Recommendation { by: to, result: Err(error) } },
    }
}

/// An event of this server that is about to be sent, with the signature of its room's policy server if the room has one.
///
/// # Errors
/// What the client is told whose event is not signed.
pub async fn sign(cx: &Cx, pdu: Pdu, version: RoomVersion) -> Result<Pdu, ApiError> {
    let in_force = cx.step(|step| match Room::find(step, &pdu.room_id)? {
        Some(room) => Ok(policy_server::to_sign(step, &room, &pdu.kind, pdu.state_key.as_deref())?),
        None => Ok(None),
    })?;
    match in_force {
        Some(in_force) => ask(cx, &pdu, version, &in_force.server, cx.now() + POLICY_TIMEOUT).await,
        None => Ok(pdu),
    }
}

/// A join with the policy server's signature that the server had which brought it into the room, if it is good: who joins does not
/// know the room's policy server, and has not asked it. `policy` is the content of the room's `m.room.policy`.
pub(super) async fn take(
    cx: &Cx,
    pdu: Pdu,
    version: RoomVersion,
    policy: Option<&Object>,
    returned: Option<&Object>,
) -> Pdu {
    let (Some(server), Some(returned)) = (policy.and_then(PolicyServer::of), returned) else { return pdu };
    let Ok(given) = signature(returned, &server.via, &key_id()) else { return pdu };
    match pdu.with_signature(&server.via, (&key_id(), &given), version) {
        Ok(signed) if is_signed(cx, &signed, version, &server).await => signed,
        _ => pdu,
    }
}

/// An event of another server on its way past the policy server of its room.
#[derive(Clone, Debug, Default)]
pub struct Consultation {
    rounds: u32,
    /// What the policy server said.
    pub recommendation: Option<Recommendation>,
}

impl Consultation {
    /// Finds out what `server` thinks of an event: its signature is there and good, or it is asked for one, until `until` at most.
    /// The signature is added to the event.
    pub async fn ask(&mut self, cx: &Cx, pdu: &mut Pdu, version: RoomVersion, server: PolicyServer, until: Timestamp) {
        self.rounds += 1;
        let result = if self.rounds > MAX_POLICY_ROUNDS {
            Err(ApiError::forbidden("The room changed its policy server too often"))
        } else if is_signed(cx, pdu, version, &server).await {
            Ok(())
        } else {
            let signed = ask_patiently(cx, pdu, version, &server, until).await;
            signed.map(|signed| *pdu = signed)
        };
        self.recommendation = Some(Recommendation { by: server, result });
    }
}

/// [`ask`], and again once a server that has too much to do says that it may be.
async fn ask_patiently(
    cx: &Cx,
    pdu: &Pdu,
    version: RoomVersion,
    server: &PolicyServer,
    until: Timestamp,
) -> Result<Pdu, ApiError> {
    loop {
        let error = match ask(cx, pdu, version, server, until.min(cx.now() + POLICY_TIMEOUT)).await {
            Err(error) if error.errcode == "M_LIMIT_EXCEEDED" => error,
            other => return other,
        };
        let pause = error.members.get("retry_after_ms").and_then(Value::as_integer).unwrap_or(1000);
        let again = Timestamp(cx.now().0.saturating_add(u64::try_from(pause).unwrap_or(0).max(100)));
        if again >= until {
            return Err(error);
        }
        cx.sleep_until(again).await;
    }
}

/// Asks a policy server to sign an event, until `until` at most. The event with its signature beside the others, checked.
///
/// # Errors
/// What a client is told: the server's own error, word by word if it is one of the endpoint's; `403 M_FORBIDDEN` if it answers
/// without a good signature; `502 M_UNKNOWN` if it does not answer.
async fn ask(
    cx: &Cx,
    pdu: &Pdu,
    version: RoomVersion,
    server: &PolicyServer,
    until: Timestamp,
) -> Result<Pdu, ApiError> {
    let left = core::time::Duration::from_millis(until.since(cx.now()));
    if left.is_zero() {
        return Err(unreachable("It has taken too long already"));
    }
    let request = Outgoing::post("/_matrix/policy/v1/sign", Value::Object(pdu.to_object()));
    let request = request.timeout(left).max_body(MAX_POLICY_ANSWER).even_to_this_server();
    let answer = call(cx, &server.via, request).await.map_err(refusal)?;
    let given = answer.get(&server.via).and_then(|of_server| of_server.get(POLICY_KEY_ID));
    let given = given.and_then(Value::as_str).and_then(|signature| base64::decode_array::<64>(signature).ok());
    let given = given.ok_or_else(|| ApiError::forbidden("The room's policy server did not sign the event"))?;
    let signed = pdu.with_signature(&server.via, (&key_id(), &given), version)?;
    if is_signed(cx, &signed, version, server).await {
        Ok(signed)
    } else {
        Err(ApiError::forbidden("The signature of the room's policy server does not match the key in the room"))
    }
}

fn key_id() -> KeyId {
    KeyId::parse(POLICY_KEY_ID).expect("the specification's key ID is one")
}

/// Whether an event has a good signature of the policy server.
async fn is_signed(cx: &Cx, pdu: &Pdu, version: RoomVersion, server: &PolicyServer) -> bool {
    let Some(public_key) = server.key else { return false };
    let Ok(signature) = signature(&pdu.to_object(), &server.via, &key_id()) else { return false };
    let message = Bytes::from(pdu.signed_bytes(version.rules()));
    let signature = Bytes::copy_from_slice(&signature);
    let job = Job::Verify(alloc::vec![SignedMessage { public_key, message, signature }]);
    matches!(cx.compute(job).await, Outcome::Verified(verdicts) if verdicts == [true])
}

/// The errors of the endpoint, which a client is told word by word.
const DEFINED: &[ErrCode] =
    &["M_BAD_JSON", "M_FORBIDDEN", "M_LIMIT_EXCEEDED", "M_NOT_FOUND", "M_NOT_JSON", "M_UNRECOGNIZED"];

/// What a client is told whose event is not signed. Other errors than the endpoint's could mean something else to it, such as the end
/// of its session.
fn refusal(error: RemoteError) -> ApiError {
    match error {
        RemoteError::Refused { status: status @ 400..500, errcode, error, body } => {
            match DEFINED.iter().find(|defined| **defined == errcode) {
                Some(defined) if status != 401 => {
                    let mut told = ApiError::new(status, defined, error);
                    if let Value::Object(mut members) = body {
                        members.remove("errcode");
                        members.remove("error");
                        told.members = members;
                    }
                    told
                }
                _ => ApiError::forbidden(format!("The room's policy server refused: {status} {errcode} {error}")),
            }
        }
        RemoteError::Refused { status, .. } => unreachable(&format!("It answered {status}")),
        RemoteError::BackingOff { .. } => unreachable("It did not answer a moment ago"),
        // Why may name addresses, which are the operator's business.
        RemoteError::Unreachable(_) => unreachable("It did not answer"),
        RemoteError::BadAnswer(why) => unreachable(&format!("Its answer makes no sense: {why}")),
        RemoteError::Disabled => unreachable("Federation is disabled on this server"),
        RemoteError::Internal(error) => error,
    }
}

fn unreachable(why: &str) -> ApiError {
    ApiError::new(502, "M_UNKNOWN", format!("The room's policy server cannot be asked. {why}"))
}

//! User-interactive authentication (Client-Server API, "User-Interactive Authentication API").
//!
//! A session belongs to one endpoint, one requester and one set of parameters, and remembers which stages it has behind it.
//! Sessions live in a ring of [`MAX_UIA_SESSIONS`] slots: a new one takes the place of the oldest.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{accounts, password, registration_token};
use crate::canonical_json::{Object, Value};
use crate::client::request::{BodyExt as _, ClientRequest};
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::Response;
use crate::identifiers::UserId;
use crate::limits::{MAX_UIA_SESSIONS, UIA_SESSION_LIFETIME};
use crate::store::Read;
use crate::store::ring::Ring;
use crate::store::tables::{Table, tags};
use crate::time::Timestamp;

/// An authentication type that this server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    Dummy,
    Password,
    RegistrationToken,
}

impl Stage {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Dummy => "m.login.dummy",
            Stage::Password => "m.login.password",
            Stage::RegistrationToken => "m.login.registration_token",
        }
    }
}

/// When the request's parameters become part of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// With the session's first request.
    Strict,
    /// With its first completed stage: clients look for the flows of `/register` before they know what to register.
    FirstStage,
}

/// How an endpoint is guarded.
#[derive(Clone, Debug)]
pub struct Plan {
    pub flows: Vec<Vec<Stage>>,
    /// Whose password [`Stage::Password`] asks for.
    pub user: Option<UserId>,
    pub binding: Binding,
}

/// Where an attempt leads.
#[derive(Debug)]
pub enum Attempt {
    /// Every stage of a flow is done: go on.
    Passed(Pass),
    /// Not yet: the client gets this answer.
    Challenge(Response),
}

/// A completed flow. Whoever acts on it [consumes](Pass::consume) it in the same step, so that it counts once.
#[derive(Debug)]
pub struct Pass {
    slot: Option<u32>,
    /// What [`Stage::RegistrationToken`] was passed with.
    pub registration_token: Option<String>,
}

impl Pass {
    /// Ends the session.
    pub fn consume(&self, step: &mut Step<'_>) {
        if let Some(slot) = self.slot {
            SESSIONS.delete(step, slot);
        }
    }
}

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    /// SHA-256 of the secret part of its ID.
    secret: [u8; 32],
    created: Timestamp,
    /// Digests under the secret, of what the client may not change.
    endpoint: [u8; 32],
    parameters: [u8; 32],
    completed: Vec<Stage>,
    registration_token: Option<String>,
}

const SESSIONS: Table<u32, Session> = Table::new(tags::UIA_SESSION);
/// The slots of sessions.
const RING: Ring = Ring::new(tags::UIA_NEXT_SLOT, MAX_UIA_SESSIONS);

/// A session in hand: stored, or begun by this very request.
struct Current {
    slot: Option<u32>,
    secret: String,
    session: Session,
}

/// Why an attempt on a stage failed, for the members `errcode` and `error` of the challenge.
type Complaint = (&'static str, String);

/// Takes the next step of authentication for `request`, whose body is `body`.
pub async fn attempt(cx: &Cx, request: &ClientRequest, body: &Object, plan: &Plan) -> Result<Attempt, ApiError> {
    let none = Object::new();
    let auth = body.opt_object("auth")?.unwrap_or(&none);
    let session_id = auth.opt_str("session")?;
    let stage = auth.opt_str("type")?;
    let (current, complaint) = cx.step(|step| open(step, request, body, plan, session_id))?;
    if complaint.is_some() {
        return challenge(cx, plan, current, complaint);
    }
    if is_complete(plan, &current.session.completed) {
        return Ok(passed(current));
    }
    let Some(stage) = stage else { return challenge(cx, plan, current, None) };
    if current.session.completed.iter().any(|completed| completed.name() == stage) {
        return challenge(cx, plan, current, None);
    }
    let Some(stage) = next_stage(plan, &current.session.completed, stage) else {
        let complaint = ("M_FORBIDDEN", alloc::format!("{stage} is not the next stage of any flow"));
        return challenge(cx, plan, current, Some(complaint));
    };
    let (mut current, complaint) = match check_stage(cx, plan, stage, auth).await? {
        Err(complaint) => (current, Some(complaint)),
        // The check took time: the session may have moved on or gone meanwhile.
        Ok(()) if current.slot.is_some() => cx.step(|step| open(step, request, body, plan, session_id))?,
        Ok(()) => (current, None),
    };
    if complaint.is_some() {
        return challenge(cx, plan, current, complaint);
    }
    if current.session.completed.is_empty() {
        current.session.parameters = parameters_digest(&current.secret, body);
    }
    if !current.session.completed.contains(&stage) {
        current.session.completed.push(stage);
    }
    if stage == Stage::RegistrationToken {
        current.session.registration_token = auth.opt_str("token")?.map(ToString::to_string);
    }
    if is_complete(plan, &current.session.completed) {
        return Ok(passed(current));
    }
    challenge(cx, plan, current, None)
}

/// The session that the request names, or a new one. With a complaint if it names one that is not there any more.
fn open(
    step: &mut Step<'_>,
    request: &ClientRequest,
    body: &Object,
    plan: &Plan,
    session_id: Option<&str>,
) -> Result<(Current, Option<Complaint>), ApiError> {
    let Some(session_id) = session_id else { return Ok((begin(step, request, body), None)) };
    let Some((slot, secret, session)) = find(step, step.now, session_id)? else {
        let complaint = ("M_UNKNOWN", "The session is not known, or it took too long".to_string());
        return Ok((begin(step, request, body), Some(complaint)));
    };
    let bound = plan.binding == Binding::Strict || !session.completed.is_empty();
    if session.endpoint != endpoint_digest(secret, request)
        || (bound && session.parameters != parameters_digest(secret, body))
    {
        return Err(ApiError::forbidden("The request is not the one that the session was begun for"));
    }
    Ok((Current { slot: Some(slot), secret: secret.to_string(), session }, None))
}

fn find<'i>(
    read: &(impl Read + ?Sized),
    now: Timestamp,
    session_id: &'i str,
) -> Result<Option<(u32, &'i str, Session)>, ApiError> {
    let Some((slot, secret)) = session_id.split_once('.') else { return Ok(None) };
    let Ok(slot) = slot.parse() else { return Ok(None) };
    let Some(session) = SESSIONS.get(read, slot)? else { return Ok(None) };
    let good = session.secret == digest(&[secret.as_bytes()]) && now < session.created + UIA_SESSION_LIFETIME;
    Ok(good.then_some((slot, secret, session)))
}

/// A session that is not stored yet.
fn begin(step: &mut Step<'_>, request: &ClientRequest, body: &Object) -> Current {
    let secret = step.random.token(24);
    let session = Session {
        secret: digest(&[secret.as_bytes()]),
        created: step.now,
        endpoint: endpoint_digest(&secret, request),
        parameters: parameters_digest(&secret, body),
        completed: Vec::new(),
        registration_token: None,
    };
    Current { slot: None, secret, session }
}

fn passed(current: Current) -> Attempt {
    Attempt::Passed(Pass { slot: current.slot, registration_token: current.session.registration_token })
}

fn is_complete(plan: &Plan, completed: &[Stage]) -> bool {
    plan.flows.iter().any(|flow| flow == completed)
}

/// The stage of this name, if some flow has it right after the completed ones.
fn next_stage(plan: &Plan, completed: &[Stage], name: &str) -> Option<Stage> {
    let next = |flow: &Vec<Stage>| flow.strip_prefix(completed)?.first().copied();
    plan.flows.iter().filter_map(next).find(|stage| stage.name() == name)
}

async fn check_stage(cx: &Cx, plan: &Plan, stage: Stage, auth: &Object) -> Result<Result<(), Complaint>, ApiError> {
    match stage {
        Stage::Dummy => Ok(Ok(())),
        Stage::RegistrationToken => {
            let token = auth.required_str("token")?;
            let valid = cx.step(|step| Ok(registration_token::is_valid(step.config, step, token)?))?;
            Ok(if valid { Ok(()) } else { Err(("M_FORBIDDEN", "The registration token is not valid".to_string())) })
        }
        Stage::Password => {
            let user = plan.user.as_ref().expect("a plan with a password says whose");
            let password = auth.required_str("password")?;
            let claimed = claimed_user(auth)?;
            let account = cx.step(|step| {
                let same = match claimed {
                    Some(name) => accounts::named_user(step.config, step, name)?.as_ref() == Some(user),
                    None => true,
                };
                if same { Ok(accounts::account_of(step, user)?) } else { Ok(None) }
            })?;
            let stored = account.and_then(|account| account.password);
            let matches = password::matches(cx, password, stored.as_ref()).await?;
            Ok(if matches { Ok(()) } else { Err(("M_FORBIDDEN", "The password is wrong".to_string())) })
        }
    }
}

/// The user that an auth dict names, if it names one: `identifier`, or `user` as clients wrote before.
fn claimed_user(auth: &Object) -> Result<Option<&str>, ApiError> {
    let Some(identifier) = auth.opt_object("identifier")? else { return auth.opt_str("user") };
    match identifier.required_str("type")? {
        "m.id.user" => identifier.required_str("user").map(Some),
        // No account has a third-party identifier, so this names nobody.
        _ => Ok(Some("")),
    }
}

/// Stores the session and asks for what is missing.
fn challenge(cx: &Cx, plan: &Plan, current: Current, complaint: Option<Complaint>) -> Result<Attempt, ApiError> {
    let Current { slot, secret, session } = current;
    let completed: Vec<&str> = session.completed.iter().map(|stage| stage.name()).collect();
    let slot = cx.step(|step| {
        let slot = match slot {
            Some(slot) => slot,
            None => RING.take(step)?,
        };
        SESSIONS.put(step, slot, &session);
        Ok(slot)
    })?;
    let flow = |flow: &Vec<Stage>| {
        let stages: Vec<&str> = flow.iter().map(|stage| stage.name()).collect();
        Value::from(Object::new().with("stages", stages))
    };
    let mut answer = Object::new()
        .with("flows", plan.flows.iter().map(flow).collect::<Vec<_>>())
        .with("params", Object::new())
        .with("session", alloc::format!("{slot}.{secret}"));
    if !completed.is_empty() {
        answer.insert("completed", completed);
    }
    if let Some((errcode, error)) = complaint {
        answer.insert("errcode", errcode);
        answer.insert("error", error);
    }
    Ok(Attempt::Challenge(Response::json(401, &answer.into())))
}

fn endpoint_digest(secret: &str, request: &ClientRequest) -> [u8; 32] {
    let (user, device) = match &request.requester {
        Some(requester) => (requester.user_id.as_str(), requester.device_id.as_str()),
        None => ("", ""),
    };
    let method = alloc::format!("{:?}", request.raw.method);
    digest(&[secret.as_bytes(), method.as_bytes(), request.raw.path.as_bytes(), user.as_bytes(), device.as_bytes()])
}

/// The digest of everything in the body but `auth`. The secret is not stored, so what is stored betrays no password.
fn parameters_digest(secret: &str, body: &Object) -> [u8; 32] {
    let mut body = body.clone();
    body.remove("auth");
    digest(&[secret.as_bytes(), &body.to_bytes()])
}

/// SHA-256 of the parts, each with its length before it.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod stage_tests;

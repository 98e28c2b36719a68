//! Events of other servers on their way into a room (Server-Server API, "Checks performed on receipt of a PDU"): [`check_pdus`]
//! are the checks that an event passes by itself, [`receive_pdu`] those that it passes in its room.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::Cell;
use core::fmt;

use super::fetch_events::Asked;
use super::partings;
use super::policy_sign::Consultation;
use super::server_keys::{self, ToVerify};
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::{FormatError, Pdu, ReceivedPdu};
use crate::flow::{Cx, Lane, Step};
use crate::identifiers::{EventId, RoomId, ServerName};
use crate::limits::{
    MAX_MISSING_EVENTS_SERVERS, MISSING_EVENTS_PAUSE, MISSING_EVENTS_TIMEOUT, POLICY_PATIENCE, STORAGE_RETRY,
    STORAGE_TRIES,
};
use crate::room::receive::{self, Given, KnownEvents, Outcome};
use crate::room::{Room, Standing, outside, servers};
use crate::room_version::{KeyValidity, RoomVersion, RoomVersionRules};
use crate::store::state_map::StateId;
use crate::time::Timestamp;

/// Why an event was dropped. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum PduError {
    Format(FormatError),
    /// A server that has to sign it did not.
    Signature(EventId),
    /// It lacks the signature of the server of the user who authorised a join. That is a matter of the authorization rules: the
    /// event is not dropped but rejected, where it has a place to be rejected at.
    NotAuthorised(Box<Pdu>),
    /// It is of another room than the one that was asked about.
    OtherRoom(EventId),
    /// Nobody of this server is in the room.
    NotInRoom,
    /// Events that it refers to are not known and could not be had.
    Missing(EventId),
    Internal(ApiError),
}

impl PduError {
    /// The event that it is about, as far as its ID is known.
    #[must_use]
    pub fn event_id(&self) -> Option<&EventId> {
        match self {
            PduError::Signature(event_id) | PduError::OtherRoom(event_id) => Some(event_id),
            PduError::NotAuthorised(pdu) => Some(&pdu.event_id),
            PduError::Format(_) | PduError::NotInRoom | PduError::Missing(_) | PduError::Internal(_) => None,
        }
    }
}

impl fmt::Display for PduError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PduError::Format(error) => error.fmt(f),
            PduError::Signature(event_id) => write!(f, "{event_id} is not signed by its server"),
            PduError::NotAuthorised(pdu) => {
                write!(f, "{} is not signed by the server of the user who authorised it", pdu.event_id)
            }
            PduError::OtherRoom(event_id) => write!(f, "{event_id} is of another room"),
            PduError::NotInRoom => f.write_str("nobody of this server is in the room"),
            PduError::Missing(event_id) => write!(f, "the event {event_id} is missing and could not be fetched"),
            PduError::Internal(error) => f.write_str(&error.message),
        }
    }
}

impl core::error::Error for PduError {}

impl From<ApiError> for PduError {
    fn from(error: ApiError) -> PduError {
        PduError::Internal(error)
    }
}

/// An event that has passed check 1.
struct Parsed {
    pdu: Pdu,
    rules: &'static RoomVersionRules,
    content_hash_matches: bool,
    /// How many servers must have signed it.
    required: usize,
    /// The server of a user who authorised it must have signed it too.
    authorised: bool,
}

/// Checks 1 to 3: format, signatures and hashes. An event whose content hash does not match is redacted. One that fails fails
/// alone. Signatures of all are checked in one batch, and keys that are not known are fetched.
///
/// Which room an event is of is for the caller to see: [`in_room`].
pub async fn check_pdus(cx: &Cx, version: RoomVersion, events: Vec<Object>) -> Vec<Result<Pdu, PduError>> {
    check_pdus_of_versions(cx, events.into_iter().map(|event| (version, event)).collect()).await
}

/// [`check_pdus`] of rooms of several versions.
pub async fn check_pdus_of_versions(cx: &Cx, events: Vec<(RoomVersion, Object)>) -> Vec<Result<Pdu, PduError>> {
    check(cx, events, ReceivedPdu::parse).await
}

/// [`check_pdus`] of events of the past, which may have more previous events than are allowed today.
pub async fn check_history(cx: &Cx, version: RoomVersion, events: Vec<Object>) -> Vec<Result<Pdu, PduError>> {
    check(cx, events.into_iter().map(|event| (version, event)).collect(), ReceivedPdu::parse_history).await
}

/// Check 1.
type CheckFormat = fn(Object, RoomVersion) -> Result<ReceivedPdu, FormatError>;

async fn check(cx: &Cx, events: Vec<(RoomVersion, Object)>, check_format: CheckFormat) -> Vec<Result<Pdu, PduError>> {
    let mut signatures = Vec::with_capacity(events.len());
    let mut parsed = Vec::with_capacity(events.len());
    for (version, event) in events {
        let received = check_format(event, version).map_err(PduError::Format);
        parsed.push(received.and_then(|received| parse(received, version, &mut signatures)));
    }
    let good = match server_keys::verify(cx, signatures).await {
        Ok(good) => good,
        Err(error) => {
            return parsed.into_iter().map(|parsed| parsed.and(Err(PduError::Internal(error.clone())))).collect();
        }
    };
    let mut good = good.into_iter();
    let checked = parsed.into_iter().map(|parsed| {
        let Parsed { pdu, rules, content_hash_matches, required, authorised } = parsed?;
        let mut all_signed = |count| good.by_ref().take(count).filter(|good| !good).count() == 0;
        let (signed, is_authorised) = (all_signed(required), all_signed(usize::from(authorised)));
        if !signed {
            return Err(PduError::Signature(pdu.event_id));
        }
        let pdu = if content_hash_matches { pdu } else { pdu.redacted(rules) };
        if is_authorised { Ok(pdu) } else { Err(PduError::NotAuthorised(Box::new(pdu))) }
    });
    checked.collect()
}

fn parse(received: ReceivedPdu, version: RoomVersion, signatures: &mut Vec<ToVerify>) -> Result<Parsed, PduError> {
    let rules = version.rules();
    let Some(signers) = received.required_signers(rules) else {
        return Err(PduError::Signature(received.pdu.event_id));
    };
    let authoriser = received.pdu.authorising_server(rules);
    let (required, authorised) = (signers.len(), authoriser.is_some());
    let ReceivedPdu { pdu, content_hash_matches, signatures: of_all, signed_bytes } = received;
    let signed_bytes = Bytes::from(signed_bytes);
    let valid_at = match rules.key_validity {
        KeyValidity::Enforced => Some(pdu.timestamp()),
        KeyValidity::Ignored => None,
    };
    signatures.extend(signers.into_iter().chain(authoriser).map(|server| ToVerify {
        signatures: of_all.object(&server).cloned().unwrap_or_default(),
        server,
        signed_bytes: signed_bytes.clone(),
        valid_at,
    }));
    Ok(Parsed { pdu, rules, content_hash_matches, required, authorised })
}

/// What of an answer about one room is of that room: another room's events are dropped, whoever sends them along.
pub fn in_room(checked: Result<Pdu, PduError>, room_id: &RoomId) -> Result<Pdu, PduError> {
    let pdu = match &checked {
        Ok(pdu) => pdu,
        Err(PduError::NotAuthorised(pdu)) => pdu,
        Err(_) => return checked,
    };
    if pdu.room_id == *room_id { checked } else { Err(PduError::OtherRoom(pdu.event_id.clone())) }
}

/// An event that has passed checks 1 to 3, but for what is a matter of the authorization rules.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub pdu: Pdu,
    pub authorised: bool,
    pub policy: Consultation,
}

impl Checked {
    pub fn of(checked: Result<Pdu, PduError>) -> Result<Checked, PduError> {
        match checked {
            Ok(pdu) => Ok(Checked { pdu, authorised: true, policy: Consultation::default() }),
            Err(PduError::NotAuthorised(pdu)) => {
                Ok(Checked { pdu: *pdu, authorised: false, policy: Consultation::default() })
            }
            Err(error) => Err(error),
        }
    }

    pub fn receive(&self, step: &mut Step<'_>, room: &mut Room, told: &[StateId]) -> Result<Outcome, ApiError> {
        self.receive_next(step, room, told, &mut KnownEvents::default())
    }

    fn receive_given(&self, step: &mut Step<'_>, room: &mut Room, given: Given<'_>) -> Result<Outcome, ApiError> {
        let given = self.given(room, given);
        receive::receive_given(step, room, &self.pdu, given)
    }

    /// What is known of the event, beside what is given.
    fn given<'a>(&'a self, room: &Room, given: Given<'a>) -> Given<'a> {
        Given {
            recommendation: self.policy.recommendation.as_ref(),
            rejected: (!self.authorised).then(|| receive::unauthorised(room, &self.pdu)),
            ..given
        }
    }

    fn receive_next(
        &self,
        step: &mut Step<'_>,
        room: &mut Room,
        told: &[StateId],
        known: &mut KnownEvents<'_>,
    ) -> Result<Outcome, ApiError> {
        let given = self.given(room, Given { told, ..Given::default() });
        receive::receive_next(step, room, &self.pdu, given, known)
    }
}

/// Checks 4 to 7, and adds an event that has passed the others to its room, in which a user of this server is. What it refers to
/// and is missing is asked of `origin`, then of others in the room.
///
/// An event that follows what is here is received at once. Only one for which something has to be fetched waits for others of
/// the room, so whoever answers slowly holds up nothing else.
pub async fn receive_pdu(cx: &Cx, origin: &ServerName, room_id: &RoomId, pdu: Pdu) -> Result<Standing, PduError> {
    let event = Checked::of(in_room(Ok(pdu), room_id))?;
    receive_or_keep(cx, origin, room_id, event, cx.now() + POLICY_PATIENCE).await
}

/// [`receive_pdu`] of what [`check_pdus`] found, one event after the other: a join that its authoriser's server has not signed is
/// rejected and not dropped. As many as follow what is here are received in one step. After `patience` no policy server is asked
/// any more.
pub async fn receive_checked(
    cx: &Cx,
    origin: &ServerName,
    room_id: &RoomId,
    checked: Vec<Result<Pdu, PduError>>,
    patience: Timestamp,
) -> Vec<Result<Standing, PduError>> {
    let checked = checked.into_iter().map(|checked| Checked::of(in_room(checked, room_id)));
    let events: Vec<Result<Checked, PduError>> = checked.collect();
    let mut results = Vec::with_capacity(events.len());
    let (mut tries, mut at_once) = (STORAGE_TRIES, events.len());
    while results.len() < events.len() {
        let rest = &events[results.len()..];
        let failed = match attempt_all(cx, room_id, &rest[..rest.len().min(at_once)]) {
            Ok(received) => {
                results.extend(received);
                let Some(event) = events.get(results.len()) else { break };
                let received = match event {
                    Ok(event) => receive_or_keep(cx, origin, room_id, event.clone(), patience).await,
                    Err(error) => Err(error.clone()),
                };
                match received {
                    Err(PduError::Internal(error)) if error.status >= 500 => error,
                    received => {
                        results.push(received);
                        continue;
                    }
                }
            }
            Err(error) => error,
        };
        // A fault of ours, such as a disk that cannot be read at the moment. Who sent the event will not send it again.
        tries -= 1;
        if tries > 0 {
            cx.sleep_until(cx.now() + STORAGE_RETRY).await;
        } else if at_once > 1 {
            // It may be one of them, which the others are not to suffer for.
            (tries, at_once) = (1, 1);
        } else {
            results.push(Err(PduError::Internal(failed)));
            tries = 1;
        }
    }
    results
}

/// Receives the first of `events` in one step, up to one that something is missing for.
fn attempt_all(
    cx: &Cx,
    room_id: &RoomId,
    events: &[Result<Checked, PduError>],
) -> Result<Vec<Result<Standing, PduError>>, ApiError> {
    cx.step(|step| {
        let mut results = Vec::with_capacity(events.len());
        let mut known = KnownEvents::default();
        let Some(mut room) = Room::find(step, room_id)? else { return Ok(results) };
        for event in events {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    results.push(Err(error.clone()));
                    continue;
                }
            };
            if !room.is_resident() {
                break;
            }
            match event.receive_next(step, &mut room, &[], &mut known) {
                Ok(Outcome::Stored { standing, .. }) => results.push(Ok(standing)),
                Ok(_) => break,
                // Nothing was written of it.
                Err(error) if error.status == 400 => results.push(Err(PduError::Internal(error))),
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    })
}

/// [`receive_one`]; what puts somebody out and cannot be received now is tried again later.
async fn receive_or_keep(
    cx: &Cx,
    origin: &ServerName,
    room_id: &RoomId,
    event: Checked,
    patience: Timestamp,
) -> Result<Standing, PduError> {
    let pdu = event.pdu.clone();
    let received = receive_one(cx, origin, room_id, event, patience).await;
    if let Err(PduError::Missing(_)) = received {
        partings::keep(cx, origin, room_id, &pdu)?;
    }
    received
}

/// Receives one event, after what it refers to and is missing.
pub(super) async fn receive_one(
    cx: &Cx,
    origin: &ServerName,
    room_id: &RoomId,
    mut event: Checked,
    patience: Timestamp,
) -> Result<Standing, PduError> {
    if let Ok(Some(Outcome::Stored { standing, .. })) = attempt_recommended(cx, room_id, &mut event, patience).await {
        return Ok(standing);
    }
    let _lane = cx.lane(Lane::Room(room_id.clone())).await;
    match attempt_recommended(cx, room_id, &mut event, patience).await? {
        Some(Outcome::Stored { standing, .. }) => return Ok(standing),
        None => return put_out(cx, room_id, &event.pdu),
        Some(Outcome::MissingPrevEvents(_)) => {
            // An outlier lies before something that is here: its history would be what is fetched when somebody asks for it.
            let outlier = cx.step(|step| match Room::find(step, room_id)? {
                Some(room) => Ok(room.event(step, &event.pdu.event_id)?),
                None => Ok(None),
            })?;
            if let Some(outlier) = outlier {
                return Ok(outlier.header.standing);
            }
        }
        Some(Outcome::MissingAuthEvents(_) | Outcome::MissingRecommendation(_)) => {}
    }
    let room = cx.step(|step| match Room::find(step, room_id)? {
        Some(room) => {
            let mut servers = servers::servers_in(step, &room)?;
            servers.retain(|server| server != origin && *server != step.config.server_name);
            Ok(Some((room.info.version, servers)))
        }
        None => Ok(None),
    })?;
    let (version, others) = room.ok_or(PduError::NotInRoom)?;
    let until = cx.now() + MISSING_EVENTS_TIMEOUT;
    let mut pause = MISSING_EVENTS_PAUSE;
    let received = loop {
        let (no_answer, nor_others) = (Cell::new(false), Cell::new(false));
        let asked = Asked { cx, server: origin, room_id, version, until, no_answer: &no_answer };
        let mut received = asked.receive_with_missing(event.clone()).await;
        // The origin may not have what it refers to, or refuse it to a server that it takes for one that is out of the room.
        for server in others.iter().take(MAX_MISSING_EVENTS_SERVERS - 1) {
            if !matches!(received, Err(PduError::Missing(_))) {
                break;
            }
            received = Asked { server, no_answer: &nor_others, ..asked }.receive_with_missing(event.clone()).await;
        }
        // Who has just sent the event can mostly be reached again soon, and will not send it again.
        let again = cx.now() + pause;
        if !matches!(received, Err(PduError::Missing(_))) || !no_answer.get() || again >= until {
            break received;
        }
        cx.sleep_until(again).await;
        pause *= 2;
    };
    match received {
        Err(PduError::Missing(missing)) => receive_parting(cx, room_id, &event)?.ok_or(PduError::Missing(missing)),
        received => received,
    }
}

/// An event that puts the last user of this server out of its room, and for which what came before it cannot be had, is judged on the
/// state that is known here. Nobody will send it again, nor anything that comes after it; and for whoever is out it does not matter what
/// the room was like. Where it does not put them out (state resolution may have it that they came back), it does matter: then nothing
/// of it is stored, and whoever cites it makes this server ask for it again.
fn receive_parting(cx: &Cx, room_id: &RoomId, event: &Checked) -> Result<Option<Standing>, ApiError> {
    let mut stays = false;
    let parted = cx.step(|step| {
        let Some(mut room) = Room::find(step, room_id)? else { return Ok(None) };
        if room.head.local_joined != 1 || partings::target(step, &room, &event.pdu)?.is_none() {
            return Ok(None);
        }
        let given = Given { state_before: Some(room.head.state), ..Given::default() };
        let Outcome::Stored { standing, .. } = event.receive_given(step, &mut room, given)? else { return Ok(None) };
        stays = standing == Standing::Accepted && room.is_resident();
        if stays { Err(ApiError::forbidden("The user is still in the room")) } else { Ok(Some(standing)) }
    });
    if stays { Ok(None) } else { parted }
}

fn version_of(cx: &Cx, room_id: &RoomId) -> Result<RoomVersion, PduError> {
    let version = cx.step(|step| Ok(Room::find(step, room_id)?.map(|room| room.info.version)))?;
    version.ok_or(PduError::NotInRoom)
}

/// [`attempt`], once the room's policy server has said what it thinks of the event if it has to.
async fn attempt_recommended(
    cx: &Cx,
    room_id: &RoomId,
    event: &mut Checked,
    patience: Timestamp,
) -> Result<Option<Outcome>, PduError> {
    loop {
        match attempt(cx, room_id, event)? {
            Some(Outcome::MissingRecommendation(server)) => {
                event.policy.ask(cx, &mut event.pdu, version_of(cx, room_id)?, server, patience).await;
            }
            other => return Ok(other),
        }
    }
}

/// Receives an event that follows what is here; `None` if no user of this server is in the room.
fn attempt(cx: &Cx, room_id: &RoomId, event: &Checked) -> Result<Option<Outcome>, PduError> {
    Ok(cx.step(|step| match Room::find(step, room_id)? {
        Some(mut room) if room.is_resident() => event.receive(step, &mut room, &[]).map(Some),
        _ => Ok(None),
    })?)
}

/// The end of an invite or a knock. The room's lane is the caller's: while a user joins, it is not known whether they are out.
fn put_out(cx: &Cx, room_id: &RoomId, pdu: &Pdu) -> Result<Standing, PduError> {
    let stored = cx.step(|step| match Room::find_even_outside(step, room_id)? {
        Some(mut room) => outside::put_out(step, &mut room, pdu),
        None => Ok(None),
    })?;
    stored.map(|_| Standing::Accepted).ok_or(PduError::NotInRoom)
}

//! Authorization: what servers have accepted of a room, soft-failed events too, the reference allows by its auth events and by the
//! state before it; and what they have rejected by a rule, it rejects.
//!
//! A redaction takes away what an event said when others were judged on it, so a judgement that met a redacted event counts for
//! nothing. An event that was told with a room's state, and cited, may be rejected once its history comes with another state before it.
//! Among honest servers it is not; in rooms about whose state somebody lied, it counts as what it is or as what it was.

use std::cell::Cell;
use std::collections::BTreeSet;

use orrery_core::event::Pdu;
use orrery_core::room::{JudgedOn, Reason, Room, StoredEvent};
use orrery_core::store::StorageError;

use super::forgery::{Keys, is_signed_by};
use super::stored::{Stored, rooms};
use crate::failure::Failure;
use crate::reference::auth::{Asked, Cited, Decision, StateOf, judge};
use crate::storage::SimStorage;

const CHECKER: &str = "authorization";

/// Looks at all rooms of a server. `hearsay`: the rooms about whose state somebody lied.
pub fn check(server: u32, read: &SimStorage, keys: &Keys, hearsay: &BTreeSet<String>) -> Result<(), Failure> {
    let wrong = look(read, keys, hearsay)
        .map_err(|error| Failure::safety(CHECKER, format!("server {server} cannot be read: {error}")))?;
    wrong.map_or(Ok(()), |wrong| Err(Failure::safety(CHECKER, format!("server {server} has {wrong}"))))
}

/// The first event of which the reference thinks otherwise.
fn look(read: &SimStorage, keys: &Keys, hearsay: &BTreeSet<String>) -> Result<Option<String>, StorageError> {
    for num in rooms(read)? {
        let Some(room) = Room::get(read, num)? else { continue };
        let lied_about = hearsay.contains(room.info.room_id.as_str());
        let stored = Stored::read(read, room)?;
        for (event, pdu) in stored.events.values().filter(|(event, _)| stored.is_in_room(event)) {
            let judging = Judging { stored: &stored, keys, event, pdu, lied_about, met_redacted: Cell::new(false) };
            if let Some(wrong) = judging.look(read)? {
                return Ok(Some(format!("{}: {wrong}", event.header.event_id)));
            }
        }
    }
    Ok(None)
}

/// An event that is judged again.
struct Judging<'s> {
    stored: &'s Stored<'s>,
    keys: &'s Keys,
    event: &'s StoredEvent,
    pdu: &'s Pdu,
    /// The state before events that it follows may not be what it was when others were judged.
    lied_about: bool,
    /// One was looked at of which a redaction took the content.
    met_redacted: Cell<bool>,
}

impl<'s> Judging<'s> {
    /// What is wrong with how the server judged it.
    fn look(&self, read: &SimStorage) -> Result<Option<String>, StorageError> {
        self.meet(self.event);
        let reason = Reason::of(read, &self.stored.room, self.event.index)?;
        let rejected_on = match &reason {
            _ if !self.event.is_rejected() => None,
            Some(Reason::Rule { on, .. }) => Some(*on),
            // Not by the authorization rules.
            Some(_) => return Ok(None),
            None => return Ok(Some("it is rejected, and nothing says why".to_owned())),
        };
        let rejects = rejected_on == Some(JudgedOn::AuthEvents);
        let by_auth_events = match self.on_auth_events(None)? {
            Some(decision) if self.lied_about && decision.allowed == rejects => self.on_auth_events(Some(read))?,
            decision => decision,
        };
        let Some(by_auth_events) = by_auth_events else {
            // An outlier can be left whose auth events were not to be had.
            let accepted = !self.event.header.outlier && !self.event.is_rejected();
            return Ok(accepted.then(|| "an auth event of it is not here".to_owned()));
        };
        let mut judgements = vec![(by_auth_events, "its auth events", rejects)];
        if !self.event.header.outlier && !rejects {
            let by_state = self.on_state_before()?;
            judgements.push((by_state, "the state before it", rejected_on == Some(JudgedOn::StateBefore)));
        }
        let wrong = judgements.into_iter().find(|(decision, _, rejected)| decision.allowed == *rejected);
        Ok(wrong.filter(|_| !self.met_redacted.get()).map(|(decision, on, rejected)| {
            let version = self.stored.room.info.version;
            let told = reason.filter(|_| rejected).map_or(String::new(), |reason| format!("; rejected by {reason}"));
            let how = if rejected { "rejected" } else { "accepted" };
            format!("it is {how} on {on}, where by the reference {decision} (version {version}){told}")
        }))
    }

    /// Check 4. `None` if an auth event is not known. `as_outliers`: with what was rejected on the state before it as it was without one.
    fn on_auth_events(&self, as_outliers: Option<&SimStorage>) -> Result<Option<Decision>, StorageError> {
        let cited = self.pdu.auth_events.iter().map(|id| self.cite(id));
        let Some(mut cited) = cited.collect::<Option<Vec<Cited<'_>>>>() else { return Ok(None) };
        if let Some(read) = as_outliers {
            for cited in &mut cited {
                let index = self.stored.by_id[cited.event.event_id.as_str()];
                let reason = Reason::of(read, &self.stored.room, index)?;
                cited.rejected &= !matches!(reason, Some(Reason::Rule { on: JudgedOn::StateBefore, .. }));
            }
        }
        let of_cited = |kind: &str, key: &str| {
            let found = cited.iter().find(|cited| cited.event.is_state_of(kind, key))?;
            self.cite(&found.event.event_id).map(|cited| cited.event)
        };
        Ok(Some(self.ask(Some(&cited), &of_cited)))
    }

    /// Check 5.
    fn on_state_before(&self) -> Result<Decision, StorageError> {
        let failed = Cell::new(None);
        let in_state = |kind: &str, key: &str| {
            let found = self.stored.state_event(self.event.header.state_before, kind, key);
            let (event, pdu) = found.unwrap_or_else(|error| {
                failed.set(Some(error));
                None
            })?;
            self.meet(event);
            Some(pdu)
        };
        let decision = self.ask(None, &in_state);
        failed.into_inner().map_or(Ok(decision), Err)
    }

    fn ask<'q>(&'q self, auth_events: Option<&'q [Cited<'q>]>, state: &'q StateOf<'q>) -> Decision {
        let named = self.cite(&format!("${}", &self.pdu.room_id[1..]));
        let in_state = || state("m.room.create", "").map(|event| Cited { event, rejected: false });
        judge(&Asked {
            version: self.stored.room.info.version,
            event: self.pdu,
            auth_events,
            create: named.or_else(in_state),
            state: &|kind, key| state(kind, key),
            is_signed_by: &|server| is_signed_by(self.pdu, self.stored.room.info.version, server, self.keys),
        })
    }

    /// An event of the room by its ID.
    fn cite(&self, id: &str) -> Option<Cited<'s>> {
        let (event, pdu) = self.stored.events.get(self.stored.by_id.get(id)?)?;
        self.meet(event);
        Some(Cited { event: pdu, rejected: event.is_rejected() })
    }

    fn meet(&self, event: &StoredEvent) {
        if event.header.redacted_by.is_some() {
            self.met_redacted.set(true);
        }
    }
}

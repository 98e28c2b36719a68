//! Rules that older versions have and newer ones lack: on `m.room.aliases` (1 to 5) and on `m.room.redaction` (1 and 2).

use super::levels::{PowerLevel, PowerLevels};
use super::rule::Rule;
use super::verdict::{Judge, Ruling};
use crate::event::Pdu;
use crate::identifiers::EventId;

/// "If type is `m.room.aliases`".
pub(super) fn judge_aliases(judge: &Judge<'_>) -> Ruling {
    match judge.event.state_key.as_deref() {
        None => judge.reject(Rule::AliasesNoStateKey),
        Some(server) if server != judge.event.sender.server_str() => judge.reject(Rule::AliasesDomain),
        Some(_) => judge.allow(Rule::AliasesAllowed),
    }
}

/// "If type is `m.room.redaction`".
pub(super) fn judge_redaction(judge: &Judge<'_>, levels: &PowerLevels<&Pdu>, sender: PowerLevel) -> Ruling {
    if sender >= levels.redact() {
        return judge.allow(Rule::RedactionLevel);
    }
    let of_event = domain(&judge.event.event_id);
    let of_redacted = judge.event.redacts.as_ref().and_then(domain);
    if of_event.is_some() && of_event == of_redacted {
        return judge.allow(Rule::RedactionOwnServer);
    }
    judge.reject(Rule::RedactionOtherwise)
}

fn domain(event_id: &EventId) -> Option<&str> {
    Some(event_id.split_once(':')?.1)
}

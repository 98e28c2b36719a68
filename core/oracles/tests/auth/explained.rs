//! Where Orrery and `ruma` differ, and the words of the specification that Orrery follows. Each explanation looks at the very
//! thing that makes the difference: without it the two must agree.

use orrery_core::auth_rules::{AuthState, Rule, Verdict, authorize};
use orrery_core::canonical_json::{Object, Value};
use orrery_core::event::Pdu;
use orrery_core::identifiers::UserId;
use orrery_core::room_version::RoomVersion;
use orrery_oracles::ruma_event::RumaEvent;

use crate::generate::{FIELDS, Room};
use crate::ruma;

const STATE_KEY: &str = "no rule asks that the state key of a member event be a user ID; ruma does";
const AUTHORISER: &str = "a join_authorised_via_users_server that is no user has no homeserver that could have signed the event, \
                          whatever its membership (rule on `m.room.member`, 2.1); ruma reads it in joins of restricted rooms only";
const NULL_INVITE: &str = "content has a third_party_invite property even if it is null, and then that has no signed property; \
                           ruma takes null for absent";
const LEVELS: &str = "up to version 9 the rules judge the levels that they read, and ask of first power levels that users be \
                      numbers; up to version 5 a level may be a float. ruma refuses any event that finds or makes a level that is \
                      no integer or string of one, even if no rule reads it";
const CREATE_VERSION: &str = "rule 1.3 rejects unknown room versions; ruma leaves that to its caller";
const SELECTION: &str = "a member event that does not say what to select is for the rules on `m.room.member` to reject, not for \
                         those on auth events";

pub fn on_state(room: &Room, event: &Pdu, ours: &Verdict) -> Option<&'static str> {
    let rule = ours.rule.rule();
    if event.kind == "m.room.member" && ours.allowed {
        let state_key = event.state_key.as_deref().unwrap_or_default();
        if UserId::parse(state_key).is_err() {
            return Some(STATE_KEY);
        }
    }
    if rule == Rule::MemberAuthoriserSignature {
        let user = event.content.get("join_authorised_via_users_server")?;
        return UserId::parse(user.as_str().unwrap_or_default()).is_err().then_some(AUTHORISER);
    }
    if rule == Rule::ThirdPartyInviteUnsigned && event.content.get("third_party_invite") == Some(&Value::Null) {
        return Some(NULL_INVITE);
    }
    (room.version < RoomVersion::V10 && agree_on_plain_levels(room, event, ours)).then_some(LEVELS)
}

pub fn on_auth_events(room: &Room, event: &Pdu) -> Option<&'static str> {
    let rejected = !authorize(room.version.rules(), event, &room.create, &AuthState(&room.state)).allowed;
    (rejected && event.kind == "m.room.member" && ruma::selection(&room.ruma, event).is_none()).then_some(SELECTION)
}

pub fn on_create(create: &Pdu, ours: &Verdict) -> Option<&'static str> {
    let unknown = create.content.str("room_version") == Some("99");
    (unknown && ours.rule.rule() == Rule::CreateRoomVersion).then_some(CREATE_VERSION)
}

/// Whether both say what Orrery said before, once levels that are no numbers are gone and floats are integers.
fn agree_on_plain_levels(room: &Room, event: &Pdu, ours: &Verdict) -> bool {
    let plain_event = plain(room.version, event);
    let state: Vec<Pdu> = room.state.iter().map(|event| plain(room.version, event)).collect();
    let unchanged = plain_event.content == event.content
        && state.iter().zip(&room.state).all(|(plain, event)| plain.content == event.content);
    let again = authorize(room.version.rules(), &plain_event, &room.create, &AuthState(&state));
    let state: Vec<RumaEvent> = state.iter().map(RumaEvent::of).collect();
    let theirs = ruma::on_state(&room.ruma, &state, &plain_event);
    !unchanged && again.allowed == ours.allowed && theirs.is_ok() == ours.allowed
}

fn plain(version: RoomVersion, event: &Pdu) -> Pdu {
    if event.kind != "m.room.power_levels" {
        return event.clone();
    }
    let mut content = event.content.clone();
    for field in FIELDS {
        if let Some(value) = content.get(field) {
            let value = plain_level(value);
            content.remove(field);
            content = value.map_or(content.clone(), |value| content.with(field, value));
        }
    }
    for map in ["users", "events", "notifications"] {
        let Some(value) = content.remove(map) else { continue };
        let Value::Object(entries) = value else { continue };
        let entries: Object =
            entries.into_iter().filter_map(|(key, value)| Some((key, plain_level(&value)?))).collect();
        content.insert(map, entries);
    }
    let mut object = event.to_object();
    object.insert("content", content);
    Pdu::parse(object, version).unwrap()
}

/// What a level is by the specification's words on strings and floats, by way of the standard library's numbers.
fn plain_level(value: &Value) -> Option<Value> {
    match value {
        Value::Integer(_) => Some(value.clone()),
        Value::String(text) => {
            let text = text.trim();
            let digits = text.strip_prefix('+').unwrap_or(text);
            if text.starts_with("+-") { None } else { digits.parse::<i64>().ok().map(Value::Integer) }
        }
        Value::Number(text) => {
            let float: f64 = text.parse().unwrap();
            float.is_finite().then(|| Value::Integer(float.trunc() as i64))
        }
        _ => None,
    }
}

//! The redaction algorithm of every room version ("Redactions" on each version's page).

use alloc::vec::Vec;

use super::members::{Member, write_object};
use crate::canonical_json::{Object, Value};
use crate::room_version::{RedactionRules, RoomVersionRules};

/// What redaction leaves of an event. `unsigned` goes too: who serves the event says there what redacted it.
#[must_use]
pub fn redact(event: &Object, rules: &RoomVersionRules) -> Object {
    let kind = event.str("type").unwrap_or_default();
    event
        .iter()
        .filter(|(name, _)| keeps_member(name.as_bytes(), &rules.redaction))
        .map(|(name, value)| match value {
            Value::Object(content) if name == "content" => (name, redact_content(kind, content, rules).into()),
            value => (name, value.clone()),
        })
        .collect()
}

/// What redaction leaves of the content of an event of type `kind`.
#[must_use]
pub fn redact_content(kind: &str, content: &Object, rules: &RoomVersionRules) -> Object {
    if kind == "m.room.create" && rules.redaction.keeps_all_of_create {
        return content.clone();
    }
    let mut kept: Object = content
        .iter()
        .filter(|(name, _)| kept_members(kind, &rules.redaction).contains(name))
        .map(|(name, value)| (name, value.clone()))
        .collect();
    if kind == "m.room.member"
        && rules.redaction.keeps_member_signed_invite
        && let Some(invite) = content.object("third_party_invite")
    {
        let signed: Object = invite.get("signed").map(|signed| ("signed", signed.clone())).into_iter().collect();
        kept.insert("third_party_invite", signed);
    }
    kept
}

/// The bytes that the event's reference hash is made of and that its signatures cover: its redacted form in canonical JSON
/// without `signatures` (Server-Server API, "Calculating the reference hash for an event"). `members` are those of the whole
/// event, whose type and content the others are.
pub(super) fn signed_bytes<'a>(
    members: impl Iterator<Item = Member<'a>>,
    kind: &str,
    content: &Object,
    rules: &RoomVersionRules,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let content = encode_redacted_content(kind, content, rules);
    write_object(
        members
            .filter(|member| keeps_member(member.name, &rules.redaction) && member.name != b"signatures")
            .map(|member| with_content(member, &content)),
        &mut out,
    );
    out
}

/// The redacted event in canonical JSON, signatures included. `content` is redacted already.
pub(super) fn redacted_json<'a>(
    members: impl Iterator<Item = Member<'a>>,
    content: &Object,
    rules: &RoomVersionRules,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let content = content.to_bytes();
    write_object(
        members
            .filter(|member| keeps_member(member.name, &rules.redaction))
            .map(|member| with_content(member, &content)),
        &mut out,
    );
    out
}

fn with_content<'a>(member: Member<'a>, content: &'a [u8]) -> Member<'a> {
    if member.name == b"content" { Member { value: content, ..member } } else { member }
}

fn encode_redacted_content(kind: &str, content: &Object, rules: &RoomVersionRules) -> Vec<u8> {
    if kept_members(kind, &rules.redaction).is_empty() && kind != "m.room.create" {
        return b"{}".to_vec();
    }
    redact_content(kind, content, rules).to_bytes()
}

fn keeps_member(name: &[u8], rules: &RedactionRules) -> bool {
    match name {
        b"event_id" | b"type" | b"room_id" | b"sender" | b"state_key" | b"content" | b"hashes" | b"signatures"
        | b"depth" | b"prev_events" | b"auth_events" | b"origin_server_ts" => true,
        b"prev_state" | b"origin" | b"membership" => rules.keeps_legacy_members,
        _ => false,
    }
}

/// The members of the content that stay, other than all of `m.room.create` and parts of members.
fn kept_members(kind: &str, rules: &RedactionRules) -> &'static [&'static str] {
    match kind {
        "m.room.member" if rules.keeps_member_authorising_user => &["membership", "join_authorised_via_users_server"],
        "m.room.member" => &["membership"],
        "m.room.create" => &["creator"],
        "m.room.join_rules" if rules.keeps_join_rules_allow => &["join_rule", "allow"],
        "m.room.join_rules" => &["join_rule"],
        "m.room.power_levels" if rules.keeps_power_levels_invite => {
            &["ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users", "users_default"]
        }
        "m.room.power_levels" => {
            &["ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"]
        }
        "m.room.aliases" if rules.keeps_aliases => &["aliases"],
        "m.room.history_visibility" => &["history_visibility"],
        "m.room.redaction" if rules.keeps_redacts => &["redacts"],
        _ => &[],
    }
}

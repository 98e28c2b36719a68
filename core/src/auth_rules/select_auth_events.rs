//! Which state an event is to cite (Server-Server API, "Auth events selection").

use alloc::vec::Vec;

use crate::canonical_json::Object;
use crate::event::content::Membership;
use crate::identifiers::UserId;
use crate::room_version::RoomVersionRules;

/// The types of state events that the rules look at when they judge others.
pub const AUTH_EVENT_KINDS: [&str; 5] =
    ["m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules", "m.room.third_party_invite"];

/// The types and state keys of the state events that belong into `auth_events`, as far as the room has them. An event whose
/// content does not say enough gets what can be told; the rules reject it.
#[must_use]
pub fn select_auth_events<'a>(
    rules: &RoomVersionRules,
    kind: &str,
    state_key: Option<&'a str>,
    sender: &'a UserId,
    content: &'a Object,
) -> Vec<(&'static str, &'a str)> {
    if kind == "m.room.create" {
        return Vec::new();
    }
    let mut selected = Vec::with_capacity(6);
    if rules.auth.create_is_auth_event {
        selected.push(("m.room.create", ""));
    }
    selected.push(("m.room.power_levels", ""));
    selected.push(("m.room.member", sender.as_str()));
    if kind == "m.room.member" {
        select_for_member(rules, state_key, content, &mut selected);
    }
    selected
}

fn select_for_member<'a>(
    rules: &RoomVersionRules,
    state_key: Option<&'a str>,
    content: &'a Object,
    selected: &mut Vec<(&'static str, &'a str)>,
) {
    let mut select = |kind, state_key| {
        if !selected.contains(&(kind, state_key)) {
            selected.push((kind, state_key));
        }
    };
    if let Some(target) = state_key {
        select("m.room.member", target);
    }
    let membership = Membership::of(content);
    if matches!(membership, Some(Membership::Join | Membership::Invite | Membership::Knock)) {
        select("m.room.join_rules", "");
    }
    if membership == Some(Membership::Invite)
        && let Some(token) = third_party_token(content)
    {
        select("m.room.third_party_invite", token);
    }
    if membership == Some(Membership::Join)
        && rules.auth.restricted_joins
        && let Some(authoriser) = content.str("join_authorised_via_users_server")
    {
        select("m.room.member", authoriser);
    }
}

/// `content.third_party_invite.signed.token`.
fn third_party_token(content: &Object) -> Option<&str> {
    content.object("third_party_invite")?.object("signed")?.str("token")
}

//! The rules on `m.room.member`: rule 5 in versions 1 to 5 and 12, rule 4 in those between.

use super::levels::{LevelField, PowerLevels};
use super::rule::Rule;
use super::verdict::{Judge, Ruling};
use super::{create, third_party_invite};
use crate::event::Pdu;
use crate::event::content::{JoinRule, Membership};
use crate::identifiers::UserId;

pub(super) fn judge(judge: &mut Judge<'_>) -> Ruling {
    let event = judge.event;
    let (Some(target), Some(_)) = (event.state_key.as_deref(), event.content.get("membership")) else {
        return judge.reject(Rule::MemberMalformed);
    };
    if judge.rules.auth.restricted_joins
        && let Some(authoriser) = event.content.get("join_authorised_via_users_server")
        && authoriser.as_str().is_none_or(|user| UserId::parse(user).is_err())
    {
        // Who is no user has no homeserver that could have signed.
        return judge.reject(Rule::MemberAuthoriserSignature);
    }
    match event.membership() {
        Some(Membership::Join) => join(judge, target),
        Some(Membership::Invite) if event.content.contains("third_party_invite") => {
            third_party_invite::judge(judge, target)
        }
        Some(Membership::Invite) => invite(judge, target),
        Some(Membership::Leave) => leave(judge, target),
        Some(Membership::Ban) => ban(judge, target),
        Some(Membership::Knock) if judge.rules.auth.knocking => knock(judge, target),
        Some(Membership::Knock) | None => judge.reject(Rule::MembershipUnknown),
    }
}

fn join(judge: &mut Judge<'_>, target: &str) -> Ruling {
    let (event, auth) = (judge.event, &judge.rules.auth);
    let after_create = matches!(&event.prev_events[..], [only] if *only == judge.create.event_id);
    if after_create && create::creator(judge.rules, judge.create) == Some(target) {
        return judge.allow(Rule::JoinCreator);
    }
    if event.sender.as_str() != target {
        return judge.reject(Rule::JoinOtherUser);
    }
    let membership = judge.membership(target);
    if membership == Some(Membership::Ban) {
        return judge.reject(Rule::JoinBanned);
    }
    let invited = matches!(membership, Some(Membership::Invite | Membership::Join));
    match join_rule(judge) {
        Some(JoinRule::Invite) if invited => judge.allow(Rule::JoinInvited),
        Some(JoinRule::Knock) if invited && auth.knocking => judge.allow(Rule::JoinInvited),
        Some(JoinRule::Restricted) if auth.restricted_joins => restricted_join(judge, invited),
        Some(JoinRule::KnockRestricted) if auth.knock_restricted_joins => restricted_join(judge, invited),
        Some(JoinRule::Public) => judge.allow(Rule::JoinPublic),
        _ => judge.reject(Rule::JoinOtherwise),
    }
}

fn restricted_join(judge: &mut Judge<'_>, invited: bool) -> Ruling {
    if invited {
        return judge.allow(Rule::JoinRestrictedInvited);
    }
    let authoriser = judge.event.content.str("join_authorised_via_users_server");
    let authorised = authoriser.is_some_and(|authoriser| {
        let levels = levels(judge);
        judge.is_joined(authoriser) && levels.user(authoriser) >= levels.invite()
    });
    if authorised { judge.allow(Rule::JoinRestrictedAllowed) } else { judge.reject(Rule::JoinRestrictedAuthoriser) }
}

fn invite(judge: &mut Judge<'_>, target: &str) -> Ruling {
    let sender = &judge.event.sender;
    if !judge.is_joined(sender) {
        return judge.reject(Rule::InviteSenderNotJoined);
    }
    if matches!(judge.membership(target), Some(Membership::Join | Membership::Ban)) {
        return judge.reject(Rule::InviteTarget);
    }
    let levels = levels(judge);
    if levels.user(sender) >= levels.invite() {
        judge.allow(Rule::InviteAllowed)
    } else {
        judge.reject(Rule::InviteOtherwise)
    }
}

fn leave(judge: &mut Judge<'_>, target: &str) -> Ruling {
    let sender = &judge.event.sender;
    if sender.as_str() == target {
        let allowed = match judge.membership(sender) {
            Some(Membership::Invite | Membership::Join) => true,
            Some(Membership::Knock) => judge.rules.auth.knocking,
            Some(Membership::Leave | Membership::Ban) | None => false,
        };
        return judge.decide(Rule::LeaveSelf, allowed);
    }
    if !judge.is_joined(sender) {
        return judge.reject(Rule::LeaveSenderNotJoined);
    }
    let banned = judge.membership(target) == Some(Membership::Ban);
    let levels = levels(judge);
    if banned && levels.user(sender) < levels.ban() {
        return judge.reject(Rule::LeaveUnban);
    }
    if has_power_over(&levels, sender, target, LevelField::Kick) {
        judge.allow(Rule::LeaveKick)
    } else {
        judge.reject(Rule::LeaveOtherwise)
    }
}

fn ban(judge: &mut Judge<'_>, target: &str) -> Ruling {
    let sender = &judge.event.sender;
    if !judge.is_joined(sender) {
        return judge.reject(Rule::BanSenderNotJoined);
    }
    let levels = levels(judge);
    if has_power_over(&levels, sender, target, LevelField::Ban) {
        judge.allow(Rule::BanAllowed)
    } else {
        judge.reject(Rule::BanOtherwise)
    }
}

fn knock(judge: &mut Judge<'_>, target: &str) -> Ruling {
    let sender = &judge.event.sender;
    match join_rule(judge) {
        Some(JoinRule::Knock) => {}
        Some(JoinRule::KnockRestricted) if judge.rules.auth.knock_restricted_joins => {}
        _ => return judge.reject(Rule::KnockJoinRule),
    }
    if sender.as_str() != target {
        return judge.reject(Rule::KnockOtherUser);
    }
    match judge.membership(sender) {
        Some(Membership::Ban | Membership::Invite | Membership::Join) => judge.reject(Rule::KnockOtherwise),
        Some(Membership::Knock | Membership::Leave) | None => judge.allow(Rule::KnockAllowed),
    }
}

/// The sender reaches the level of `field`, and the target has less power than the sender.
fn has_power_over(levels: &PowerLevels<&Pdu>, sender: &UserId, target: &str, field: LevelField) -> bool {
    let power = levels.user(sender);
    power >= levels.field(field) && levels.read_user(target).is_some_and(|target| target < power)
}

/// The room's join rule. `None` without an `m.room.join_rules`: then no rule lets anybody in.
fn join_rule(judge: &mut Judge<'_>) -> Option<JoinRule> {
    judge.state("m.room.join_rules", "").and_then(|event| JoinRule::of(&event.content))
}

fn levels<'a>(judge: &mut Judge<'a>) -> PowerLevels<&'a Pdu> {
    PowerLevels::new(judge.rules, judge.create, judge.state("m.room.power_levels", ""))
}

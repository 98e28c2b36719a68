//! The rules in their order.

use super::levels::PowerLevels;
use super::rule::Rule;
use super::state::{AuthState, StateView};
use super::verdict::{Judge, Ruling, Verdict};
use super::{create as create_rules, legacy, member, power_levels};
use crate::event::Pdu;
use crate::event::content::Create;
use crate::room_version::RoomVersionRules;

/// Judges `event` on `state`.
///
/// `create` is the room's create event, or the judged event itself if it is one. The event's signatures were checked before;
/// that of the server of [`Pdu::authorising_server`] too, see [`not_signed_by_authoriser`].
#[must_use]
pub fn authorize<'a>(
    rules: &'static RoomVersionRules,
    event: &'a Pdu,
    create: &'a Pdu,
    state: &'a dyn StateView,
) -> Verdict {
    let mut judge = Judge::new(rules, event, create, state);
    let ruling = rule_on(&mut judge);
    judge.verdict(ruling)
}

/// [`authorize`] for those who need no reasons.
#[must_use]
pub fn allows<'a>(rules: &'static RoomVersionRules, event: &'a Pdu, create: &'a Pdu, state: &'a dyn StateView) -> bool {
    rule_on(&mut Judge::new(rules, event, create, state)).allowed
}

fn rule_on(judge: &mut Judge<'_>) -> Ruling {
    let (rules, event, create) = (judge.rules, judge.event, judge.create);
    if event.kind == "m.room.create" {
        return create_rules::judge(judge);
    }
    judge.look_at(create);
    if !Create(&create.content).federates() && event.sender.server_str() != create.sender.server_str() {
        return judge.reject(Rule::NotFederated);
    }
    if rules.auth.special_case_aliases && event.kind == "m.room.aliases" {
        return legacy::judge_aliases(judge);
    }
    if event.kind == "m.room.member" {
        return member::judge(judge);
    }
    if !judge.is_joined(&event.sender) {
        return judge.reject(Rule::SenderNotJoined);
    }
    let current = judge.state("m.room.power_levels", "");
    let levels = PowerLevels::new(rules, create, current);
    let sender = levels.user(&event.sender);
    if event.kind == "m.room.third_party_invite" {
        return judge.decide(Rule::ThirdPartyInvite, sender >= levels.invite());
    }
    if levels.event(&event.kind, event.is_state()) > sender {
        return judge.reject(Rule::RequiredPowerLevel);
    }
    let of_user = event.state_key.as_deref().filter(|state_key| state_key.starts_with('@'));
    if of_user.is_some_and(|user| user != event.sender.as_str()) {
        return judge.reject(Rule::StateKeyOfOther);
    }
    if event.kind == "m.room.power_levels" {
        return power_levels::judge(judge, current, sender);
    }
    if rules.auth.special_case_redaction && event.kind == "m.room.redaction" {
        return legacy::judge_redaction(judge, &levels, sender);
    }
    judge.allow(Rule::Otherwise)
}

/// The verdict on a member event without the signature of the server of [`Pdu::authorising_server`]. Which keys a server has is
/// not among the inputs of [`authorize`], so whoever checks signatures says this.
///
/// # Panics
/// In versions without restricted joins, which have no such server either.
#[must_use]
pub fn not_signed_by_authoriser(rules: &'static RoomVersionRules, event: &Pdu) -> Verdict {
    let judge = Judge::new(rules, event, event, &AuthState::<Pdu>(&[]));
    judge.verdict(judge.reject(Rule::MemberAuthoriserSignature))
}

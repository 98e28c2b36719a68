//! The rules on an invite that answers an `m.room.third_party_invite`.

use super::rule::Rule;
use super::verdict::{Judge, Ruling};
use crate::canonical_json::{Object, Value};
use crate::event::content::Membership;
use crate::limits::MAX_THIRD_PARTY_INVITE_CHECKS;
use crate::signing::{base64, signed_bytes, verify};

/// Judges an invite whose content has a `third_party_invite`.
pub(super) fn judge(judge: &mut Judge<'_>, target: &str) -> Ruling {
    let event = judge.event;
    if judge.membership(target) == Some(Membership::Ban) {
        return judge.reject(Rule::ThirdPartyInviteBanned);
    }
    let invite = event.content.object("third_party_invite");
    let Some(signed) = invite.and_then(|invite| invite.get("signed")) else {
        return judge.reject(Rule::ThirdPartyInviteUnsigned);
    };
    let Some(signed) = signed.as_object() else {
        return judge.reject(Rule::ThirdPartyInviteMalformed);
    };
    let (Some(mxid), Some(token)) = (signed.str("mxid"), signed.str("token")) else {
        return judge.reject(Rule::ThirdPartyInviteMalformed);
    };
    if mxid != target {
        return judge.reject(Rule::ThirdPartyInviteOtherUser);
    }
    let Some(invitation) = judge.state("m.room.third_party_invite", token) else {
        return judge.reject(Rule::ThirdPartyInviteUnknown);
    };
    if event.sender != invitation.sender {
        return judge.reject(Rule::ThirdPartyInviteOtherSender);
    }
    if is_signed(signed, &invitation.content) {
        judge.allow(Rule::ThirdPartyInviteSignature)
    } else {
        judge.reject(Rule::ThirdPartyInviteOtherwise)
    }
}

/// Whether any signature of `signed` is by any key of `invitation`, the content of the `m.room.third_party_invite`. Of a
/// product of keys and signatures that no honest identity server makes, only the first few are tried.
fn is_signed(signed: &Object, invitation: &Object) -> bool {
    let message = signed_bytes(signed);
    let signatures = signed.object("signatures").into_iter().flat_map(Object::iter);
    let signatures = signatures
        .filter_map(|(_, of_entity)| of_entity.as_object())
        .flat_map(Object::iter)
        .filter(|(key_id, _)| key_id.starts_with("ed25519:"))
        .filter_map(|(_, signature)| base64::decode_array::<64>(signature.as_str()?).ok());
    signatures
        .flat_map(|signature| public_keys(invitation).map(move |key| (key, signature)))
        .take(MAX_THIRD_PARTY_INVITE_CHECKS)
        .any(|(key, signature)| verify(&key, &message, &signature).is_ok())
}

/// `public_key` and each `public_key` of `public_keys`.
fn public_keys(invitation: &Object) -> impl Iterator<Item = [u8; 32]> {
    let more = invitation.array("public_keys").unwrap_or_default().iter();
    let more = more.filter_map(Value::as_object).filter_map(|key| key.get("public_key"));
    invitation.get("public_key").into_iter().chain(more).filter_map(|key| base64::decode_array(key.as_str()?).ok())
}

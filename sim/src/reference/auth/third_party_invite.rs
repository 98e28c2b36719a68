//! The rules on invites that answer an `m.room.third_party_invite`.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::signing::{base64, signed_bytes, verify};

use super::Asked;
use super::list::{List, Ruling};

impl Asked<'_> {
    /// "If `content` has a `third_party_invite` property:"
    pub(super) fn third_party_invite_rules(&self) -> Ruling {
        let (target, invite) = (self.target(), self.event.content.object("third_party_invite"));
        let signed = invite.and_then(|invite| invite.get("signed"));
        let of_signed = |name: &str| signed.and_then(Value::as_object).and_then(|signed| signed.get(name));
        let mut list = List::new();
        // "If *target user* is banned, reject."
        list.reject_if(self.membership(target) == "ban")?;
        // "If `content.third_party_invite` does not have a `signed` property, reject."
        list.reject_if(signed.is_none())?;
        // "If `signed` does not have `mxid` and `token` properties, reject."
        list.reject_if(of_signed("mxid").is_none() || of_signed("token").is_none())?;
        // "If `mxid` does not match `state_key`, reject."
        list.reject_if(of_signed("mxid").and_then(Value::as_str) != Some(target))?;
        // "If there is no `m.room.third_party_invite` event in the current room state with `state_key` matching `token`, reject."
        let token = of_signed("token").and_then(Value::as_str);
        let invitation = token.and_then(|token| (self.state)("m.room.third_party_invite", token));
        list.reject_if(invitation.is_none())?;
        // "If `sender` does not match `sender` of the `m.room.third_party_invite`, reject."
        list.reject_if(invitation.is_some_and(|invitation| invitation.sender != self.event.sender))?;
        // "If any signature in `signed` matches any public key in the `m.room.third_party_invite` event, allow."
        let signed = signed.and_then(Value::as_object);
        let keys = invitation.map(|invitation| public_keys(&invitation.content)).unwrap_or_default();
        list.allow_if(signed.is_some_and(|signed| is_signed_by_any(signed, &keys)))?;
        list.otherwise_reject()
    }
}

/// "A single public key in the `public_key` property. A list of public keys in the `public_keys` property."
fn public_keys(content: &Object) -> Vec<[u8; 32]> {
    let mut keys: Vec<&Value> = content.get("public_key").into_iter().collect();
    let listed = content.array("public_keys").unwrap_or_default();
    keys.extend(listed.iter().filter_map(|key| key.as_object()?.get("public_key")));
    keys.into_iter().filter_map(|key| base64::decode_array(key.as_str()?).ok()).collect()
}

fn is_signed_by_any(signed: &Object, keys: &[[u8; 32]]) -> bool {
    let bytes = signed_bytes(signed);
    let of_entities = signed.object("signatures").into_iter().flat_map(Object::iter);
    let of_keys = of_entities.filter_map(|(_, by)| by.as_object()).flat_map(Object::iter);
    let mut signatures = of_keys
        .filter(|(key_id, _)| key_id.starts_with("ed25519:"))
        .filter_map(|(_, signature)| base64::decode_array::<64>(signature.as_str()?).ok());
    signatures.any(|signature| keys.iter().any(|key| verify(key, &bytes, &signature).is_ok()))
}

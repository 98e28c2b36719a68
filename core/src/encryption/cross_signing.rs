//! Cross-signing keys, and the signatures that users upload on keys (Client-Server API, "Cross-signing").

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::device_keys::object;
use super::device_lists;
use crate::canonical_json::{Object, Value};
use crate::flow::Step;
use crate::identifiers::{KeyId, UserId};
use crate::store::tables::{Table, tags};
use crate::store::{Order, Read, StorageError};

/// What a cross-signing key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    Master,
    SelfSigning,
    UserSigning,
}

impl Usage {
    pub const ALL: [Usage; 3] = [Usage::Master, Usage::SelfSigning, Usage::UserSigning];

    /// As in `usage`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Usage::Master => "master",
            Usage::SelfSigning => "self_signing",
            Usage::UserSigning => "user_signing",
        }
    }

    /// The member of requests and answers about one user: `master_key`.
    #[must_use]
    pub fn member(self) -> &'static str {
        match self {
            Usage::Master => "master_key",
            Usage::SelfSigning => "self_signing_key",
            Usage::UserSigning => "user_signing_key",
        }
    }

    /// The member of answers about many users: `master_keys`.
    #[must_use]
    pub fn members(self) -> &'static str {
        match self {
            Usage::Master => "master_keys",
            Usage::SelfSigning => "self_signing_keys",
            Usage::UserSigning => "user_signing_keys",
        }
    }

    /// Whether the key is everybody's to see: who verified whom is not.
    #[must_use]
    pub fn is_public(self) -> bool {
        self != Usage::UserSigning
    }
}

/// By user and usage, in canonical JSON; the keys of users of other servers too, while their devices are kept.
const KEYS: Table<(UserId, u8), Vec<u8>> = Table::new(tags::CROSS_SIGNING_KEY);
/// Signatures on keys: by the key's user and name, which is a device or a public key, then by signer and the signer's key.
const SIGNATURES: Table<(UserId, String, UserId, String), String> = Table::new(tags::KEY_SIGNATURE);

/// A user's cross-signing key as it was uploaded.
pub fn get(read: &(impl Read + ?Sized), user_id: &UserId, usage: Usage) -> Result<Option<Object>, StorageError> {
    KEYS.get(read, (user_id, usage as u8))?.map(|bytes| object(&bytes)).transpose()
}

/// The public half of a stored cross-signing key, as it names the key.
#[must_use]
pub fn public_key(key: &Object) -> Option<&str> {
    key.object("keys")?.iter().next()?.1.as_str()
}

/// Stores a key that was checked; `None` takes it away. Returns whether that is a change. Signatures on a key that is replaced go
/// with it.
pub fn put(step: &mut Step<'_>, user_id: &UserId, usage: Usage, key: Option<&Object>) -> Result<bool, StorageError> {
    let at = (user_id, usage as u8);
    let before = KEYS.get(step, at)?;
    let after = key.map(Object::to_bytes);
    if before == after {
        return Ok(false);
    }
    if let Some(before) = before {
        let before = object(&before)?;
        if let Some(public) = public_key(&before).filter(|public| key.and_then(public_key) != Some(public)) {
            forget_signatures(step, user_id, public)?;
        }
    }
    match after {
        Some(after) => KEYS.put(step, at, &after),
        None => KEYS.delete(step, at),
    }
    Ok(true)
}

/// Stores keys of a user of this server, and tells of it.
pub fn set(step: &mut Step<'_>, user_id: &UserId, keys: &[(Usage, Object)]) -> Result<bool, StorageError> {
    let mut changed = false;
    for (usage, key) in keys {
        changed |= put(step, user_id, *usage, Some(key))?;
    }
    if changed {
        device_lists::signing_keys_changed(step, user_id)?;
    }
    Ok(changed)
}

/// Stores a signature that was checked. `false` if it is there already.
pub fn add_signature(
    step: &mut Step<'_>,
    (user_id, name): (&UserId, &str),
    (signer, key_id): (&UserId, &KeyId),
    signature: &str,
) -> Result<bool, StorageError> {
    let at = (user_id, name, signer, key_id.as_str());
    if SIGNATURES.get(step, at)?.as_deref() == Some(signature) {
        return Ok(false);
    }
    SIGNATURES.put(step, at, &signature.to_string());
    Ok(true)
}

/// Forgets the signatures on a key.
pub(super) fn forget_signatures(step: &mut Step<'_>, user_id: &UserId, name: &str) -> Result<(), StorageError> {
    let mut rows = Vec::new();
    SIGNATURES.scan::<StorageError>(step, (user_id, name), Order::Ascending, |key, _| {
        rows.push(key);
        Ok(ControlFlow::Continue(()))
    })?;
    for key in rows {
        SIGNATURES.delete(step, key);
    }
    Ok(())
}

/// Adds to a key the signatures that were uploaded on it and that the viewer may see: its own user's, and the viewer's.
pub fn attach(
    read: &(impl Read + ?Sized),
    key: &mut Object,
    (user_id, name): (&UserId, &str),
    viewer: Option<&UserId>,
) -> Result<(), StorageError> {
    let signers = [Some(user_id), viewer.filter(|viewer| *viewer != user_id)];
    for signer in signers.into_iter().flatten() {
        let mut found = Vec::new();
        SIGNATURES.scan::<StorageError>(read, (user_id, name, signer), Order::Ascending, |key, signature| {
            found.push((key.3, signature));
            Ok(ControlFlow::Continue(()))
        })?;
        if found.is_empty() {
            continue;
        }
        let signatures = object_at(key, "signatures");
        let of_signer = object_at(signatures, signer);
        for (key_id, signature) in found {
            of_signer.insert(key_id, signature);
        }
    }
    Ok(())
}

/// The object at `name`, made if there is none.
fn object_at<'o>(object: &'o mut Object, name: &str) -> &'o mut Object {
    if object.object(name).is_none() {
        object.insert(name, Object::new());
    }
    object.get_mut(name).and_then(Value::as_object_mut).expect("it is there, or was just made")
}

/// A user's key with its signatures, for the viewer: who is not its user does not see a user-signing key.
pub fn visible(
    read: &(impl Read + ?Sized),
    user_id: &UserId,
    usage: Usage,
    viewer: Option<&UserId>,
) -> Result<Option<Object>, StorageError> {
    if !usage.is_public() && viewer != Some(user_id) {
        return Ok(None);
    }
    let Some(mut key) = get(read, user_id, usage)? else { return Ok(None) };
    if let Some(public) = public_key(&key).map(ToString::to_string) {
        attach(read, &mut key, (user_id, &public), viewer)?;
    }
    Ok(Some(key))
}

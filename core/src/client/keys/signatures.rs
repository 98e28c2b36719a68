//! Uploading signatures on keys (Client-Server API, `POST /keys/signatures/upload`).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::announce;
use super::cross_signing::usage_of;
use super::upload::verify;
use crate::canonical_json::{Object, Value};
use crate::client::request::{Auth, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::encryption::cross_signing::{self, Usage};
use crate::encryption::{device_keys, device_lists, key_shapes};
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::{DeviceId, KeyId, UserId};
use crate::limits::MAX_KEY_SIGNATURES;
use crate::signing::{SignedMessage, base64, signed_bytes, signing_key_ids};
use crate::store::Read;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/keys/signatures/upload",
    Auth::Required,
    Limit::Write,
    Handler::Flow("upload signatures", upload),
)];

/// One signature on one key.
struct Signature {
    user_id: UserId,
    name: String,
    key_id: KeyId,
    text: String,
    check: SignedMessage,
}

/// Why the signatures on one key were not taken: `errcode` and `error`.
type Failure = (&'static str, &'static str);

/// `POST /_matrix/client/v3/keys/signatures/upload`.
fn upload(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let signer = request.user_id();
        let malformed = || ApiError::bad_json("The body is not an object of signed objects by user and key");
        let mut objects = Vec::new();
        for (user_id, keys) in body.iter() {
            let user_id = UserId::parse(user_id).map_err(|error| ApiError::invalid_param(error.to_string()))?;
            for (name, object) in keys.as_object().ok_or_else(malformed)?.iter() {
                objects.push((user_id.clone(), name, object.as_object().ok_or_else(malformed)?));
            }
        }
        if objects.len() > MAX_KEY_SIGNATURES {
            return Err(ApiError::invalid_param(alloc::format!("More than {MAX_KEY_SIGNATURES} keys")));
        }
        let mut failures = Vec::new();
        let signatures = cx.step(|step| {
            let mut signatures = Vec::new();
            for (user_id, name, object) in objects {
                match read(step, signer, (&user_id, name), object)? {
                    Ok(found) => signatures.extend(found),
                    Err(failure) => failures.push((user_id, name.to_string(), failure)),
                }
            }
            Ok(signatures)
        })?;
        let verdicts = verify(&cx, signatures.iter().map(|signature| signature.check.clone()).collect()).await?;
        let mut good = Vec::new();
        for (signature, valid) in signatures.into_iter().zip(verdicts) {
            if valid {
                good.push(signature);
            } else {
                failures.push((signature.user_id, signature.name, ("M_INVALID_SIGNATURE", "The signature is wrong")));
            }
        }
        cx.step(|step| store(step, signer, &good))?;
        let mut answer = Object::new();
        for (user_id, name, (errcode, error)) in failures {
            let failure = Object::new().with("errcode", errcode).with("error", error);
            if answer.object(&user_id).is_none() {
                answer.insert(user_id.as_str(), Object::new());
            }
            let of_user = answer.get_mut(&user_id).and_then(Value::as_object_mut).expect("it was just made");
            of_user.insert(name, failure);
        }
        Ok(Response::json(200, &Object::new().with("failures", answer).into()))
    })
}

/// The signatures that `signer` may make on a key, which has to be the one that is stored.
fn read(
    read: &Step<'_>,
    signer: &UserId,
    (user_id, name): (&UserId, &str),
    object: &Object,
) -> Result<Result<Vec<Signature>, Failure>, ApiError> {
    let device = match DeviceId::parse(name) {
        Ok(device_id) if user_id == signer => device_keys::get(read, user_id, &device_id)?,
        _ => None,
    };
    let signed_key = match (usage_of(read, user_id, name)?, device) {
        (Some((usage, key)), _) => Some((Some(usage), key)),
        (None, Some(device)) => Some((None, device)),
        (None, None) => None,
    };
    let Some((usage, stored)) = signed_key else {
        return Ok(Err(("M_NOT_FOUND", "There is no such key")));
    };
    if user_id != signer && usage != Some(Usage::Master) {
        return Ok(Err(("M_FORBIDDEN", "Of other users, only the master key can be signed")));
    }
    if signed_bytes(object) != signed_bytes(&stored) {
        return Ok(Err(("M_INVALID_PARAM", "It is not the key that is stored")));
    }
    let mut found = Vec::new();
    for key_id in signing_key_ids(object, signer) {
        let text = object.object("signatures").and_then(|all| all.object(signer)).and_then(|own| own.str(&key_id));
        let already = stored.object("signatures").and_then(|all| all.object(signer)).and_then(|own| own.str(&key_id));
        let Some(text) = text.filter(|text| already != Some(*text)) else { continue };
        let Some(public_key) = signing_key(read, signer, (user_id, usage), &key_id)? else {
            return Ok(Err(("M_INVALID_SIGNATURE", "It is signed by a key that may not sign it")));
        };
        let Some(check) = key_shapes::to_verify(object, signer, &key_id, public_key) else {
            return Ok(Err(("M_INVALID_SIGNATURE", "The signature is not one")));
        };
        let (user_id, name, text) = (user_id.clone(), name.to_string(), text.to_string());
        found.push(Signature { user_id, name, key_id, text, check });
    }
    Ok(Ok(found))
}

/// The public half of a key of the signer's, if it may sign such a key: devices are signed by the self-signing key, the own
/// master key by devices, the master keys of others by the user-signing key.
fn signing_key(
    read: &(impl Read + ?Sized),
    signer: &UserId,
    (user_id, usage): (&UserId, Option<Usage>),
    key_id: &KeyId,
) -> Result<Option<[u8; 32]>, ApiError> {
    let by_cross_signing = usage_of(read, signer, key_id.name())?.map(|(usage, _)| usage);
    let allowed = match (usage, user_id == signer) {
        (None, true) => by_cross_signing == Some(Usage::SelfSigning),
        (Some(Usage::Master), true) => by_cross_signing.is_none(),
        (Some(Usage::Master), false) => by_cross_signing == Some(Usage::UserSigning),
        _ => false,
    };
    if !allowed {
        return Ok(None);
    }
    if by_cross_signing.is_some() {
        return Ok(base64::decode_array(key_id.name()).ok());
    }
    let Ok(device_id) = DeviceId::parse(key_id.name()) else { return Ok(None) };
    let keys = device_keys::get(read, signer, &device_id)?;
    Ok(keys.and_then(|keys| key_shapes::device_public_key(&keys, &device_id)))
}

/// Stores signatures and tells whom they concern: everybody of those on the user's own keys, the user of those on others' keys.
fn store(step: &mut Step<'_>, signer: &UserId, signatures: &[Signature]) -> Result<(), ApiError> {
    let (mut devices, mut own_master, mut of_others) = (BTreeSet::new(), false, BTreeSet::new());
    for signature in signatures {
        let Signature { user_id, name, key_id, text, .. } = signature;
        if !cross_signing::add_signature(step, (user_id, name), (signer, key_id), text)? {
            continue;
        }
        if user_id != signer {
            of_others.insert(user_id.clone());
        } else if usage_of(step, user_id, name)?.is_some() {
            own_master = true;
        } else if let Ok(device_id) = DeviceId::parse(name) {
            devices.insert(device_id);
        }
    }
    for device_id in devices {
        device_lists::changed(step, signer)?;
        announce::device_changed(step, signer, &device_id)?;
    }
    if own_master {
        device_lists::signing_keys_changed(step, signer)?;
        announce::signing_keys_changed(step, signer)?;
    }
    for user_id in of_others {
        // Only the signer sees these, and others look in vain: who signs whom is not written down where others would see it.
        device_lists::signing_keys_changed(step, &user_id)?;
    }
    Ok(())
}

//! Uploading cross-signing keys (Client-Server API, `POST /keys/device_signing/upload`).

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::announce;
use super::upload::require_valid;
use crate::canonical_json::Object;
use crate::client::account::session::DEVICES;
use crate::client::account::uia::{self, Attempt, Binding, Plan, Stage};
use crate::client::request::{Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::encryption::cross_signing::{self, Usage};
use crate::encryption::key_shapes;
use crate::error::ApiError;
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::identifiers::{DeviceId, KeyId, UserId};
use crate::signing::SignedMessage;
use crate::store::Read;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/keys/device_signing/upload",
    Auth::Required,
    Limit::Write,
    Handler::Flow("upload cross-signing keys", upload),
)];

/// The keys of an upload, with their public halves.
struct Upload {
    keys: Vec<(Usage, Object)>,
    public: Vec<String>,
    master: Option<(String, [u8; 32])>,
}

impl Upload {
    fn read(body: &Object, user_id: &UserId) -> Result<Upload, ApiError> {
        let mut upload = Upload { keys: Vec::new(), public: Vec::new(), master: None };
        for usage in Usage::ALL {
            let Some(key) = body.opt_object(usage.member())? else { continue };
            let mut key = key.clone();
            key.remove("unsigned");
            let (public, bytes) =
                key_shapes::check_cross_signing_key(&key, user_id, usage).map_err(ApiError::invalid_param)?;
            if upload.public.contains(&public) {
                return Err(ApiError::invalid_param("Two of the keys are the same"));
            }
            upload.public.push(public.clone());
            if usage == Usage::Master {
                upload.master = Some((public, bytes));
            }
            upload.keys.push((usage, key));
        }
        Ok(upload)
    }

    /// The master key's signatures on the other keys.
    fn signatures(&self, user_id: &UserId, stored: Option<&Object>) -> Result<Vec<SignedMessage>, ApiError> {
        let others: Vec<_> = self.keys.iter().filter(|(usage, _)| *usage != Usage::Master).collect();
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let stored = stored.and_then(|key| key_shapes::check_cross_signing_key(key, user_id, Usage::Master).ok());
        let Some((public, bytes)) = self.master.clone().or(stored) else {
            return Err(ApiError::missing_param("There is no master key to check the other keys with"));
        };
        let key_id = KeyId::parse(&alloc::format!("ed25519:{public}")).expect("a public key has base64 digits");
        let check = |(usage, key): &&(Usage, Object)| {
            key_shapes::to_verify(key, user_id, &key_id, bytes)
                .ok_or_else(|| key_shapes::invalid_signature(usage.member()))
        };
        others.iter().map(check).collect()
    }

    /// Whether the upload changes keys that are there, for which the user has to show that it is them.
    fn needs_authentication(&self, read: &(impl Read + ?Sized), user_id: &UserId) -> Result<bool, ApiError> {
        if cross_signing::get(read, user_id, Usage::Master)?.is_none() {
            return Ok(false);
        }
        for (usage, key) in &self.keys {
            let stored = cross_signing::get(read, user_id, *usage)?;
            let same = |stored: &Object| cross_signing::public_key(stored) == cross_signing::public_key(key);
            if !stored.as_ref().is_some_and(same) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `POST /_matrix/client/v3/keys/device_signing/upload`.
fn upload(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let user_id = request.user_id();
        let upload = Upload::read(&body, user_id)?;
        let (stored, guarded) = cx.step(|step| {
            let stored = cross_signing::get(step, user_id, Usage::Master)?;
            Ok((stored, upload.needs_authentication(step, user_id)?))
        })?;
        let mut pass = None;
        if guarded {
            let flows = alloc::vec![alloc::vec![Stage::Password]];
            let plan = Plan { flows, user: Some(user_id.clone()), binding: Binding::Strict };
            match uia::attempt(&cx, &request, &body, &plan).await? {
                Attempt::Passed(passed) => pass = Some(passed),
                Attempt::Challenge(response) => return Ok(response),
            }
        }
        require_valid(&cx, upload.signatures(user_id, stored.as_ref())?, "a key by the master key").await?;
        cx.step(|step| {
            // Another upload may have come between.
            if pass.is_none() && upload.needs_authentication(step, user_id)?
                || cross_signing::get(step, user_id, Usage::Master)? != stored
            {
                return Err(ApiError::new(409, "M_UNKNOWN", "The keys were changed at the same time"));
            }
            for public in &upload.public {
                if let Ok(device_id) = DeviceId::parse(public)
                    && DEVICES.contains(step, (user_id, &device_id))?
                {
                    return Err(ApiError::forbidden("A key has the ID of one of your devices"));
                }
            }
            if let Some(pass) = &pass {
                pass.consume(step);
            }
            // A new master key has not signed the keys that were there.
            let is_new_master = upload.master.as_ref().is_some_and(|(public, _)| {
                stored.as_ref().and_then(cross_signing::public_key).is_some_and(|stored| stored != public)
            });
            if is_new_master {
                for usage in [Usage::SelfSigning, Usage::UserSigning] {
                    if !upload.keys.iter().any(|key| key.0 == usage) {
                        cross_signing::put(step, user_id, usage, None)?;
                    }
                }
            }
            if cross_signing::set(step, user_id, &upload.keys)? {
                announce::signing_keys_changed(step, user_id)?;
            }
            Ok(Response::empty())
        })
    })
}

/// The name of a key in `/keys/signatures/upload`: a device ID or a public key.
pub(super) fn usage_of(
    read: &(impl Read + ?Sized),
    user_id: &UserId,
    name: &str,
) -> Result<Option<(Usage, Object)>, ApiError> {
    for usage in Usage::ALL {
        if let Some(key) = cross_signing::get(read, user_id, usage)?
            && cross_signing::public_key(&key).map(ToString::to_string).as_deref() == Some(name)
        {
            return Ok(Some((usage, key)));
        }
    }
    Ok(None)
}

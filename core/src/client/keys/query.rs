//! Asking for device keys (Client-Server API, `POST /keys/query`).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::canonical_json::{Object, Value};
use crate::client::account::accounts;
use crate::client::account::session::DEVICES;
use crate::client::request::{Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::encryption::cross_signing::{self, Usage};
use crate::encryption::device_keys;
use crate::encryption::remote_devices::{self, RemoteDevice};
use crate::error::ApiError;
use crate::federation::query_keys::{self, KeysOfUser, Wanted};
use crate::flow::{Cx, join_all};
use crate::http::{Method, Response};
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::limits::{KEY_QUERIES_AT_ONCE, KEYS_TIMEOUT, MAX_KEYS_ASKED, MAX_KEYS_TIMEOUT};
use crate::store::{Read, StorageError};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/keys/query",
    Auth::Guest,
    Limit::None,
    Handler::Flow("query keys", query),
)];

/// The keys of many users, as they are answered.
#[derive(Debug, Default)]
pub struct Keys {
    devices: Object,
    /// By [`Usage`].
    cross_signing: [Object; 3],
}

impl Keys {
    /// Adds a user of this server, of whom `wanted` names the devices; all of them if it is empty. `viewer` is who asks, if that
    /// is one user.
    pub fn add_local(
        &mut self,
        read: &(impl Read + ?Sized),
        user_id: &UserId,
        wanted: &[DeviceId],
        viewer: Option<&UserId>,
    ) -> Result<(), StorageError> {
        if !accounts::is_active(read, user_id)? {
            return Ok(());
        }
        let mut devices = Object::new();
        for (device_id, keys) in device_keys::of_user(read, user_id)? {
            if wanted.is_empty() || wanted.contains(&device_id) {
                let name = DEVICES.get(read, (user_id, &device_id))?.and_then(|device| device.display_name);
                devices.insert(device_id.as_str(), device(read, (user_id, &device_id), keys, name, viewer)?);
            }
        }
        self.devices.insert(user_id.as_str(), devices);
        self.add_cross_signing(read, user_id, viewer)
    }

    fn add_cross_signing(
        &mut self,
        read: &(impl Read + ?Sized),
        user_id: &UserId,
        viewer: Option<&UserId>,
    ) -> Result<(), StorageError> {
        for usage in Usage::ALL {
            if let Some(key) = cross_signing::visible(read, user_id, usage, viewer)? {
                self.cross_signing[usage as usize].insert(user_id.as_str(), key);
            }
        }
        Ok(())
    }

    /// Adds devices of a user of another server.
    fn add_remote(
        &mut self,
        read: &(impl Read + ?Sized),
        user_id: &UserId,
        devices: Vec<RemoteDevice>,
        wanted: &[DeviceId],
        viewer: &UserId,
    ) -> Result<(), StorageError> {
        let mut object = Object::new();
        for RemoteDevice { device_id, keys, display_name } in devices {
            if wanted.is_empty() || wanted.contains(&device_id) {
                let described = device(read, (user_id, &device_id), keys, display_name, Some(viewer))?;
                object.insert(device_id.as_str(), described);
            }
        }
        self.devices.insert(user_id.as_str(), object);
        Ok(())
    }

    /// What another server answered about one of its users.
    fn add_answered(
        &mut self,
        read: &(impl Read + ?Sized),
        answered: KeysOfUser,
        viewer: &UserId,
    ) -> Result<(), StorageError> {
        let KeysOfUser { user_id, devices, cross_signing } = answered;
        self.add_remote(read, &user_id, devices, &[], viewer)?;
        for (usage, mut key) in cross_signing.into_iter().filter(|key| key.0.is_public()) {
            if let Some(public) = cross_signing::public_key(&key).map(ToString::to_string) {
                cross_signing::attach(read, &mut key, (&user_id, &public), Some(viewer))?;
            }
            self.cross_signing[usage as usize].insert(user_id.as_str(), key);
        }
        Ok(())
    }

    /// The members of the answer.
    #[must_use]
    pub fn describe(self) -> Object {
        let mut answer = Object::new().with("device_keys", self.devices);
        for (usage, keys) in Usage::ALL.into_iter().zip(self.cross_signing) {
            if !keys.is_empty() {
                answer.insert(usage.members(), keys);
            }
        }
        answer
    }
}

/// A device's keys with what servers add to them.
fn device(
    read: &(impl Read + ?Sized),
    (user_id, device_id): (&UserId, &DeviceId),
    mut keys: Object,
    display_name: Option<String>,
    viewer: Option<&UserId>,
) -> Result<Object, StorageError> {
    cross_signing::attach(read, &mut keys, (user_id, device_id), viewer)?;
    let mut unsigned = Object::new();
    if let Some(name) = display_name {
        unsigned.insert("device_display_name", name);
    }
    Ok(keys.with("unsigned", unsigned))
}

/// Reads `device_keys` of a request: the devices asked for by user.
pub fn read_wanted(body: &Object) -> Result<BTreeMap<UserId, Vec<DeviceId>>, ApiError> {
    let asked = body.opt_object("device_keys")?.ok_or_else(|| ApiError::missing_param("device_keys is missing"))?;
    if asked.len() > MAX_KEYS_ASKED {
        return Err(ApiError::invalid_param(alloc::format!("More than {MAX_KEYS_ASKED} users")));
    }
    let mut wanted = BTreeMap::new();
    for (user_id, devices) in asked.iter() {
        let user_id = UserId::parse(user_id).map_err(|error| ApiError::invalid_param(error.to_string()))?;
        let malformed = || ApiError::bad_json("device_keys has something that is not a list of device IDs");
        let devices = devices.as_array().ok_or_else(malformed)?;
        let devices = devices.iter().map(|device| {
            let text = device.as_str().ok_or_else(malformed)?;
            DeviceId::parse(text).map_err(|error| ApiError::invalid_param(alloc::format!("A device {error}")))
        });
        wanted.insert(user_id, devices.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(wanted)
}

/// How long the client wants to wait for other servers.
pub(super) fn read_timeout(body: &Object) -> Result<Duration, ApiError> {
    let Some(millis) = body.opt_integer("timeout")? else { return Ok(KEYS_TIMEOUT) };
    let millis = u64::try_from(millis).map_err(|_| ApiError::invalid_param("timeout is negative"))?;
    Ok(Duration::from_millis(millis).min(MAX_KEYS_TIMEOUT))
}

/// `POST /_matrix/client/v3/keys/query`.
fn query(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let wanted = read_wanted(&body)?;
        let timeout = read_timeout(&body)?;
        let viewer = request.user_id();
        let mut keys = Keys::default();
        let elsewhere = cx.step(|step| {
            let mut elsewhere: BTreeMap<ServerName, Wanted> = BTreeMap::new();
            for (user_id, devices) in &wanted {
                if accounts::is_local(step.config, user_id) {
                    keys.add_local(step, user_id, devices, Some(viewer))?;
                } else if let Some(known) = remote_devices::of_user(step, &step.config.server_name, user_id)? {
                    keys.add_remote(step, user_id, known, devices, viewer)?;
                    keys.add_cross_signing(step, user_id, Some(viewer))?;
                } else {
                    elsewhere.entry(user_id.server_name()).or_default().push((user_id.clone(), devices.clone()));
                }
            }
            Ok(elsewhere)
        })?;
        let cx = &cx;
        let asked = elsewhere.into_iter().map(|(server, wanted)| async move {
            let answer = query_keys::query_keys(cx, &server, &wanted, timeout).await;
            (server, answer)
        });
        let answers = join_all(asked, KEY_QUERIES_AT_ONCE).await;
        let mut failures = Object::new();
        cx.step(|step| {
            for (server, answer) in answers {
                match answer {
                    Ok(users) => {
                        for answered in users {
                            keys.add_answered(step, answered, viewer)?;
                        }
                    }
                    Err(error) => {
                        failures.insert(server.as_str(), failure(error));
                    }
                }
            }
            Ok(())
        })?;
        let answer = keys.describe().with("failures", failures);
        Ok(Response::json(200, &answer.into()))
    })
}

/// Why a server gave no answer, as clients are told.
pub(super) fn failure(error: impl Into<ApiError>) -> Value {
    let error: ApiError = error.into();
    Object::new().with("status", u32::from(error.status)).with("message", error.message).into()
}

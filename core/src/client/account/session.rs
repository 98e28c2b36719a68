//! Sessions: a device with its tokens (Client-Server API, "Relationship between access tokens and devices").

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::ControlFlow;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use super::access_token::{self, ACCESS_TOKENS, AccessToken};
use crate::canonical_json::Object;
use crate::client::keys::announce;
use crate::client::request::BodyExt as _;
use crate::effect::Requester;
use crate::encryption::device_keys;
use crate::error::ApiError;
use crate::flow::{Notice, Step};
use crate::identifiers::{DeviceId, UserId};
use crate::limits::{LAST_SEEN_INTERVAL, MAX_DEVICE_DISPLAY_NAME, MAX_DEVICES};
use crate::store::tables::{Table, tags};
use crate::store::{Order, Read, StorageError};
use crate::time::Timestamp;

/// A device of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub display_name: Option<String>,
    pub created: Timestamp,
    pub last_seen: LastSeen,
    /// The tokens of the session, oldest first: at most the pair in use and the pair that replaces it.
    pub tokens: Vec<TokenPair>,
}

/// When and from where a device last came, as far as it was written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSeen {
    pub at: Timestamp,
    pub address: Option<IpAddr>,
}

/// An access token and the refresh token that came with it, as hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPair {
    pub access: [u8; 32],
    pub refresh: Option<[u8; 32]>,
}

pub const DEVICES: Table<(UserId, DeviceId), Device> = Table::new(tags::DEVICE);

/// Whose session a refresh token belongs to.
const REFRESH_TOKENS: Table<[u8; 32], (UserId, DeviceId)> = Table::new(tags::REFRESH_TOKEN);

/// What a client asks for when it logs in.
#[derive(Clone, Debug, Default)]
pub struct SessionRequest {
    pub device_id: Option<DeviceId>,
    pub display_name: Option<String>,
    /// The client can refresh its token.
    pub refresh: bool,
    pub address: Option<IpAddr>,
}

impl SessionRequest {
    /// Its texts are short enough.
    pub fn require_valid(&self) -> Result<(), ApiError> {
        self.display_name.as_deref().map_or(Ok(()), require_display_name)
    }
}

/// The tokens of a session, in clear for the only time.
pub struct NewTokens {
    pub access: String,
    pub refresh: Option<String>,
    pub lifetime: Option<Duration>,
}

impl core::fmt::Debug for NewTokens {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NewTokens").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl NewTokens {
    /// Adds the tokens to an answer.
    pub fn describe(&self, answer: &mut Object) {
        answer.insert("access_token", self.access.as_str());
        if let Some(refresh) = &self.refresh {
            answer.insert("refresh_token", refresh.as_str());
        }
        if let Some(lifetime) = self.lifetime {
            answer.insert("expires_in_ms", u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX));
        }
    }
}

/// Logs a user in: on a new device, or on one that they had, whose earlier tokens end.
pub fn start(
    step: &mut Step<'_>,
    user_id: &UserId,
    guest: bool,
    request: SessionRequest,
) -> Result<(DeviceId, NewTokens), ApiError> {
    let device_id = match request.device_id {
        Some(device_id) => device_id,
        None => DeviceId::parse(&step.random.string(10, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
            .expect("ten letters are a device ID"),
    };
    let mut device = match DEVICES.get(step, (user_id, &device_id))? {
        Some(device) => device,
        None => {
            make_room(step, user_id)?;
            Device {
                display_name: request.display_name,
                created: step.now,
                last_seen: LastSeen::default(),
                tokens: Vec::new(),
            }
        }
    };
    device.last_seen = LastSeen { at: step.now, address: request.address };
    if !device.tokens.is_empty() {
        revoke(step, &device.tokens);
        device.tokens.clear();
        step.notify(Notice::LoggedOut { user_id: user_id.clone(), device_id: Some(device_id.clone()) });
    }
    let requester = Requester { user_id: user_id.clone(), device_id: device_id.clone(), guest };
    let tokens = issue(step, requester, request.refresh, &mut device);
    DEVICES.put(step, (user_id, &device_id), &device);
    Ok((device_id, tokens))
}

/// Ends the least recently seen device of a user who has [`MAX_DEVICES`].
fn make_room(step: &mut Step<'_>, user_id: &UserId) -> Result<(), ApiError> {
    let devices = devices_of(step, user_id)?;
    if devices.len() < MAX_DEVICES {
        return Ok(());
    }
    if let Some((device_id, _)) = devices.into_iter().min_by_key(|(_, device)| device.last_seen.at) {
        end(step, user_id, &device_id)?;
    }
    Ok(())
}

/// Draws tokens for a session and adds them to its device.
fn issue(step: &mut Step<'_>, requester: Requester, refresh: bool, device: &mut Device) -> NewTokens {
    let sessions = &step.config.sessions;
    let lifetime = if refresh { sessions.refreshable_access_token_lifetime } else { sessions.access_token_lifetime };
    let access = alloc::format!("ory_{}", step.random.token(40));
    let refresh = refresh.then(|| alloc::format!("oryr_{}", step.random.token(40)));
    let pair = TokenPair { access: access_token::hash(&access), refresh: refresh.as_deref().map(access_token::hash) };
    if let Some(refresh) = pair.refresh {
        REFRESH_TOKENS.put(step, refresh, &(requester.user_id.clone(), requester.device_id.clone()));
    }
    let row = AccessToken {
        requester,
        expires: lifetime.map(|lifetime| step.now + lifetime),
        replaces: !device.tokens.is_empty(),
    };
    ACCESS_TOKENS.put(step, pair.access, &row);
    device.tokens.push(pair);
    NewTokens { access, refresh, lifetime }
}

fn revoke(step: &mut Step<'_>, tokens: &[TokenPair]) {
    for pair in tokens {
        ACCESS_TOKENS.delete(step, pair.access);
        if let Some(refresh) = pair.refresh {
            REFRESH_TOKENS.delete(step, refresh);
        }
    }
}

/// Trades a refresh token for new tokens (Client-Server API, "Refreshing access tokens"). The old ones stay good until the
/// new ones are used, so that a client that missed the answer can ask again.
pub fn refresh(step: &mut Step<'_>, refresh_token: &str) -> Result<NewTokens, ApiError> {
    let unknown = || ApiError::new(401, "M_UNKNOWN_TOKEN", "The refresh token is not known").with("soft_logout", false);
    let hash = access_token::hash(refresh_token);
    let Some((user_id, device_id)) = REFRESH_TOKENS.get(step, hash)? else { return Err(unknown()) };
    let Some(mut device) = DEVICES.get(step, (&user_id, &device_id))? else { return Err(unknown()) };
    let Some(at) = device.tokens.iter().position(|pair| pair.refresh == Some(hash)) else { return Err(unknown()) };
    let current = device.tokens[at];
    let Some(row) = ACCESS_TOKENS.get(step, current.access)? else { return Err(unknown()) };
    // Before it: what this token replaced, and which its use ends. After it: what the client never received.
    let others: Vec<TokenPair> = device.tokens.iter().filter(|pair| **pair != current).copied().collect();
    revoke(step, &others);
    device.tokens.retain(|pair| *pair == current);
    let tokens = issue(step, row.requester, true, &mut device);
    DEVICES.put(step, (&user_id, &device_id), &device);
    Ok(tokens)
}

/// The first use of a token that came from a refresh: what it replaces ends.
pub fn confirm(step: &mut Step<'_>, token: &str) -> Result<(), ApiError> {
    let hash = access_token::hash(token);
    let Some(mut row) = ACCESS_TOKENS.get(step, hash)? else { return Ok(()) };
    let key = (row.requester.user_id.clone(), row.requester.device_id.clone());
    if let Some(mut device) = DEVICES.get(step, &key)?
        && let Some(at) = device.tokens.iter().position(|pair| pair.access == hash)
    {
        let replaced: Vec<TokenPair> = device.tokens.drain(..at).collect();
        revoke(step, &replaced);
        DEVICES.put(step, &key, &device);
    }
    row.replaces = false;
    ACCESS_TOKENS.put(step, hash, &row);
    Ok(())
}

/// Writes down that a device came, unless that was done shortly before.
pub fn seen(step: &mut Step<'_>, requester: &Requester, address: Option<IpAddr>) -> Result<(), ApiError> {
    let key = (&requester.user_id, &requester.device_id);
    if let Some(mut device) = DEVICES.get(step, key)?
        && (step.now.since(device.last_seen.at) >= LAST_SEEN_INTERVAL || device.last_seen.address != address)
    {
        device.last_seen = LastSeen { at: step.now, address };
        DEVICES.put(step, key, &device);
    }
    Ok(())
}

/// Ends a session: the device is deleted and its tokens with it. `false` if there is no such device.
pub fn end(step: &mut Step<'_>, user_id: &UserId, device_id: &DeviceId) -> Result<bool, ApiError> {
    let Some(device) = DEVICES.get(step, (user_id, device_id))? else { return Ok(false) };
    revoke(step, &device.tokens);
    DEVICES.delete(step, (user_id, device_id));
    if device_keys::forget(step, user_id, device_id)? {
        announce::device_changed(step, user_id, device_id)?;
    }
    step.notify(Notice::LoggedOut { user_id: user_id.clone(), device_id: Some(device_id.clone()) });
    Ok(true)
}

/// Ends every session of a user, except that of `keep`.
pub fn end_all(step: &mut Step<'_>, user_id: &UserId, keep: Option<&DeviceId>) -> Result<(), ApiError> {
    for (device_id, _) in devices_of(step, user_id)? {
        if keep != Some(&device_id) {
            end(step, user_id, &device_id)?;
        }
    }
    Ok(())
}

/// The devices of a user, by ID: at most [`MAX_DEVICES`].
pub fn devices_of(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Vec<(DeviceId, Device)>, StorageError> {
    let mut devices = Vec::new();
    DEVICES.scan::<StorageError>(read, (user_id,), Order::Ascending, |(_, device_id), device| {
        devices.push((device_id, device));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(devices)
}

/// Reads the members of a login or registration that describe the session.
pub fn session_request(body: &Object, address: Option<IpAddr>) -> Result<SessionRequest, ApiError> {
    let device_id = match body.opt_str("device_id")? {
        None => None,
        Some(text) => Some(
            DeviceId::parse(text).map_err(|error| ApiError::invalid_param(alloc::format!("device_id is {error}")))?,
        ),
    };
    let display_name = body.opt_str("initial_device_display_name")?.map(ToString::to_string);
    let refresh = body.opt_bool("refresh_token")?.unwrap_or(false);
    let request = SessionRequest { device_id, display_name, refresh, address };
    request.require_valid()?;
    Ok(request)
}

/// A device's display name is short enough.
pub fn require_display_name(name: &str) -> Result<(), ApiError> {
    if name.len() > MAX_DEVICE_DISPLAY_NAME {
        let message = alloc::format!("A device's display name has at most {MAX_DEVICE_DISPLAY_NAME} bytes");
        return Err(ApiError::new(400, "M_TOO_LARGE", message));
    }
    Ok(())
}

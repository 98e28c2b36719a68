//! Presence (Client-Server API, "Presence"): who is there, and how long ago they did something.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use serde::{Deserialize, Serialize};

use super::account::accounts;
use super::machines::Machines;
use super::profile;
use super::request::{Answer, Auth, BodyExt as _, ClientRequest, Handler, Limit};
use super::routes::Route;
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::flow::{Notice, Step};
use crate::http::{Method, Response};
use crate::identifiers::{DeviceId, UserId};
use crate::limits::{
    MAX_PRESENCES, MAX_STATUS_MESSAGE, PRESENCE_ACTIVE, PRESENCE_GRACE, PRESENCE_IDLE, REMOTE_PRESENCE_TIMEOUT,
};
use crate::room::membership;
use crate::store::tables::{Table, tags};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

const STATUS: &str = "/_matrix/client/v3/presence/{userId}/status";

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, STATUS, Auth::Required, Limit::None, Handler::Machine(get)),
    Route::new(Method::Put, STATUS, Auth::Required, Limit::Write, Handler::Machine(put)),
];

/// The states of `presence`, from the least to the most present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PresenceState {
    Offline,
    Unavailable,
    Online,
}

impl PresenceState {
    #[must_use]
    pub fn parse(name: &str) -> Option<PresenceState> {
        [PresenceState::Offline, PresenceState::Unavailable, PresenceState::Online]
            .into_iter()
            .find(|state| state.name() == name)
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PresenceState::Offline => "offline",
            PresenceState::Unavailable => "unavailable",
            PresenceState::Online => "online",
        }
    }
}

/// What survives a restart: what the user said, not whether they are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    status_msg: Option<String>,
    last_active: Timestamp,
}

const STORED: Table<UserId, Stored> = Table::new(tags::PRESENCE);

/// The presence of everybody. Every change that others are told of takes the next serial.
#[derive(Debug, Default)]
pub struct Presence {
    serial: u64,
    /// At most [`MAX_PRESENCES`]: beyond that, the user who has not changed for longest is forgotten.
    users: BTreeMap<UserId, UserPresence>,
    by_serial: BTreeMap<u64, UserId>,
    deadlines: BTreeSet<(Timestamp, UserId)>,
}

#[derive(Debug)]
struct UserPresence {
    /// The state of each connected device, and until when it is connected.
    devices: BTreeMap<DeviceId, (PresenceState, Timestamp)>,
    last_active: Timestamp,
    status_msg: Option<String>,
    /// What the user's own server says, and until when that holds. Such a user has no devices here.
    remote: Option<(Told, Timestamp)>,
    /// What others were told last.
    told: Told,
    changed: u64,
    deadline: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    state: PresenceState,
    currently_active: bool,
    status_msg: Option<String>,
}

/// The presence of one user at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub state: PresenceState,
    /// In milliseconds; `None` if the user was never seen to do anything.
    pub last_active_ago: Option<u64>,
    pub currently_active: bool,
    pub status_msg: Option<String>,
}

impl View {
    /// The content of `m.presence`, without what the profile adds.
    #[must_use]
    pub fn content(&self) -> Object {
        let mut content = Object::new().with("presence", self.state.name());
        if let Some(millis) = self.last_active_ago {
            content.insert("last_active_ago", millis);
        }
        if self.state == PresenceState::Online {
            content.insert("currently_active", self.currently_active);
        }
        if let Some(status_msg) = &self.status_msg {
            content.insert("status_msg", status_msg.as_str());
        }
        content
    }
}

impl UserPresence {
    fn told_at(&self, now: Timestamp) -> Told {
        if let Some((told, until)) = &self.remote
            && *until > now
        {
            return told.clone();
        }
        let connected = self.devices.values().filter(|(_, until)| *until > now).map(|(state, _)| *state).max();
        let idle = now.since(self.last_active);
        let state = match connected.unwrap_or(PresenceState::Offline) {
            PresenceState::Online if idle >= PRESENCE_IDLE => PresenceState::Unavailable,
            state => state,
        };
        let currently_active = state == PresenceState::Online && idle < PRESENCE_ACTIVE;
        Told { state, currently_active, status_msg: self.status_msg.clone() }
    }

    /// When [`told_at`](UserPresence::told_at) may change by itself.
    fn deadline_after(&self, now: Timestamp) -> Option<Timestamp> {
        let remote = self.remote.iter().map(|(_, until)| *until);
        let disconnections = self.devices.values().map(|(_, until)| *until);
        let since_active = [PRESENCE_ACTIVE, PRESENCE_IDLE].map(|after| Timestamp(self.last_active.0 + after));
        remote
            .chain(disconnections)
            .chain(since_active.into_iter().filter(|_| !self.devices.is_empty()))
            .filter(|at| *at > now)
            .min()
    }
}

impl Presence {
    /// The serial of the last change.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Those who changed after `serial`, the earlier first.
    pub fn changed_since(&self, serial: u64) -> impl Iterator<Item = &UserId> {
        self.by_serial.range(serial.saturating_add(1)..).map(|(_, user_id)| user_id)
    }

    /// Those who are not offline.
    pub fn present(&self) -> impl Iterator<Item = &UserId> {
        self.users.iter().filter(|(_, user)| user.told.state != PresenceState::Offline).map(|(user_id, _)| user_id)
    }

    /// The presence of a user, as far as it is known here.
    pub fn view(&self, read: &(impl Read + ?Sized), user_id: &UserId, now: Timestamp) -> Result<View, StorageError> {
        let (told, last_active) = match self.users.get(user_id) {
            Some(user) => (user.told_at(now), user.last_active),
            None => {
                let Stored { status_msg, last_active } = STORED.get(read, user_id)?.unwrap_or_default();
                (Told { state: PresenceState::Offline, currently_active: false, status_msg }, last_active)
            }
        };
        let last_active_ago = (last_active != Timestamp::default()).then(|| now.since(last_active));
        let Told { state, currently_active, status_msg } = told;
        Ok(View { state, last_active_ago, currently_active, status_msg })
    }

    /// The content of a user's `m.presence`, with what the profile adds (Client-Server API, "Events on Change of Profile
    /// Information").
    pub fn content(
        &self,
        read: &(impl Read + ?Sized),
        user_id: &UserId,
        now: Timestamp,
    ) -> Result<Object, StorageError> {
        let mut content = self.view(read, user_id, now)?.content();
        content.extend(profile::member_content(read, user_id)?);
        Ok(content)
    }

    /// A device syncs, and stays connected until then. One that syncs as offline stays unseen.
    pub fn connected(
        &mut self,
        read: &(impl Read + ?Sized),
        (user_id, device_id): (&UserId, &DeviceId),
        now: Timestamp,
        state: PresenceState,
        until: Timestamp,
    ) -> Result<(), StorageError> {
        self.change(read, user_id, now, |user| {
            if state == PresenceState::Offline {
                user.devices.remove(device_id);
                return;
            }
            let was_online = user.devices.values().any(|device| device.0 == PresenceState::Online && device.1 > now);
            if state == PresenceState::Online && !was_online {
                user.last_active = now;
            }
            user.devices.insert(device_id.clone(), (state, Timestamp(until.0.saturating_add(PRESENCE_GRACE))));
        })
    }

    /// A device did something that shows that somebody is there.
    pub fn active(
        &mut self,
        read: &(impl Read + ?Sized),
        (user_id, device_id): (&UserId, &DeviceId),
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.change(read, user_id, now, |user| {
            user.last_active = now;
            // A device that syncs as offline is not there to be seen, whatever it does.
            if let Some((state, until)) = user.devices.get_mut(device_id) {
                *state = PresenceState::Online;
                *until = (*until).max(Timestamp(now.0 + PRESENCE_GRACE));
            }
        })
    }

    /// The user said so with `PUT /presence/{userId}/status`.
    fn set(
        &mut self,
        step: &mut Step<'_>,
        (user_id, device_id): (&UserId, &DeviceId),
        state: PresenceState,
        status_msg: Option<String>,
    ) -> Result<(), StorageError> {
        let now = step.now;
        STORED.put(step, user_id, &Stored { status_msg: status_msg.clone(), last_active: now });
        self.change(step, user_id, now, |user| {
            user.last_active = now;
            user.status_msg = status_msg;
            let until = user.devices.get(device_id).map_or(now, |(_, until)| *until);
            user.devices.insert(device_id.clone(), (state, until.max(Timestamp(now.0 + PRESENCE_GRACE))));
        })
    }

    /// The server of one of its users says so: `update` is a checked item of an `m.presence`'s `push`.
    pub fn set_remote(
        &mut self,
        read: &(impl Read + ?Sized),
        user_id: &UserId,
        now: Timestamp,
        update: &Object,
    ) -> Result<(), StorageError> {
        let state = update.str("presence").and_then(PresenceState::parse).unwrap_or(PresenceState::Offline);
        let status_msg = update.str("status_msg").map(ToString::to_string);
        let ago = update.integer("last_active_ago").and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0);
        let currently_active = state == PresenceState::Online && update.bool("currently_active").unwrap_or(false);
        self.change(read, user_id, now, |user| {
            user.last_active = Timestamp(now.0.saturating_sub(ago));
            user.status_msg.clone_from(&status_msg);
            user.remote = Some((Told { state, currently_active, status_msg }, now + REMOTE_PRESENCE_TIMEOUT));
        })
    }

    /// A device is no more.
    pub fn logged_out(&mut self, user_id: &UserId, device_id: Option<&DeviceId>, now: Timestamp) {
        if let Some(user) = self.users.get_mut(user_id) {
            user.devices.retain(|device, _| device_id.is_some_and(|gone| device != gone));
            self.settle(user_id, now);
        }
    }

    /// The profile, which presence repeats, changed.
    pub fn profile_changed(&mut self, user_id: &UserId) {
        if self.users.get(user_id).is_some_and(|user| user.told.state != PresenceState::Offline) {
            self.mark(user_id);
        }
    }

    fn change(
        &mut self,
        read: &(impl Read + ?Sized),
        user_id: &UserId,
        now: Timestamp,
        change: impl FnOnce(&mut UserPresence),
    ) -> Result<(), StorageError> {
        if !self.users.contains_key(user_id) {
            let Stored { status_msg, last_active } = STORED.get(read, user_id)?.unwrap_or_default();
            let told = Told { state: PresenceState::Offline, currently_active: false, status_msg: status_msg.clone() };
            let devices = BTreeMap::new();
            let user =
                UserPresence { devices, last_active, status_msg, remote: None, told, changed: 0, deadline: None };
            self.users.insert(user_id.clone(), user);
            self.mark(user_id);
        }
        if let Some(user) = self.users.get_mut(user_id) {
            change(user);
        }
        self.settle(user_id, now);
        Ok(())
    }

    /// Compares what is the case with what others were told, and sees to the next deadline.
    fn settle(&mut self, user_id: &UserId, now: Timestamp) {
        let Some(user) = self.users.get_mut(user_id) else { return };
        user.devices.retain(|_, (_, until)| *until > now);
        let told = user.told_at(now);
        let changed = told != user.told;
        user.told = told;
        let deadline = user.deadline_after(now);
        let before = core::mem::replace(&mut user.deadline, deadline);
        if before != deadline {
            if let Some(before) = before {
                self.deadlines.remove(&(before, user_id.clone()));
            }
            if let Some(deadline) = deadline {
                self.deadlines.insert((deadline, user_id.clone()));
            }
        }
        if changed {
            self.mark(user_id);
        }
    }

    /// Gives the user the next serial.
    fn mark(&mut self, user_id: &UserId) {
        let Some(user) = self.users.get_mut(user_id) else { return };
        self.serial += 1;
        self.by_serial.remove(&user.changed);
        user.changed = self.serial;
        self.by_serial.insert(self.serial, user_id.clone());
        if self.users.len() > MAX_PRESENCES
            && let Some((_, user_id)) = self.by_serial.pop_first()
            && let Some(forgotten) = self.users.remove(&user_id)
            && let Some(deadline) = forgotten.deadline
        {
            self.deadlines.remove(&(deadline, user_id));
        }
    }

    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|deadline| deadline.0)
    }

    /// Lets those become idle or go offline whose time has come.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some((_, user_id)) = self.deadlines.first().filter(|deadline| deadline.0 <= now).cloned() {
            self.settle(&user_id, now);
        }
    }
}

/// `GET /presence/{userId}/status`.
fn get(machines: &mut Machines, step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let user_id = UserId::parse(request.param(0)).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    let own = user_id == *request.user_id();
    if !own && !membership::share_a_room(step, request.user_id(), &user_id)? {
        return Err(ApiError::forbidden("You share no room with this user"));
    }
    let is_local = user_id.server_str() == step.config.server_name.as_str();
    if is_local && !accounts::is_active(step, &user_id)? {
        return Err(ApiError::not_found("The user has no presence"));
    }
    Ok(Response::json(200, &machines.presence.view(step, &user_id, step.now)?.content().into()))
}

/// `PUT /presence/{userId}/status`.
fn put(machines: &mut Machines, step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let requester = request.requester();
    if request.param(0) != requester.user_id.as_str() {
        return Err(ApiError::forbidden("You may not change the presence of others"));
    }
    let body = request.object()?;
    let Some(state) = PresenceState::parse(body.required_str("presence")?) else {
        return Err(ApiError::invalid_param("presence is not online, offline or unavailable"));
    };
    let status_msg = body.opt_str("status_msg")?;
    if status_msg.is_some_and(|text| text.len() > MAX_STATUS_MESSAGE) {
        return Err(ApiError::invalid_param(alloc::format!("status_msg has at most {MAX_STATUS_MESSAGE} bytes")));
    }
    // A server without presence shows everybody as offline.
    if step.config.presence {
        let status_msg = status_msg.map(ToString::to_string);
        machines.presence.set(step, (&requester.user_id, &requester.device_id), state, status_msg)?;
        step.notify(Notice::Presence);
    }
    Ok(Response::empty())
}

#[cfg(test)]
mod tests;

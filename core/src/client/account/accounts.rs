//! The accounts of this server and the names that they may have.

use serde::{Deserialize, Serialize};

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::config::Config;
use crate::error::ApiError;
use crate::flow::Step;
use crate::identifiers::UserId;
use crate::store::tables::{Position, Table, tags};
use crate::store::{Order, Read, StorageError};
use crate::time::Timestamp;

/// A user of this server. Never deleted, so that a name is never given twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub created: Timestamp,
    /// The PHC string of argon2id; without one nobody logs in by password.
    pub password: Option<PasswordHash>,
    pub guest: bool,
    /// Made by the operator with the right to administer the server.
    pub admin: bool,
    /// When it ended (Client-Server API, "Account deactivation").
    pub deactivated: Option<Timestamp>,
}

/// A stored password, which no log shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(pub String);

impl core::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("(password hash)")
    }
}

pub const ACCOUNTS: Table<UserId, Account> = Table::new(tags::ACCOUNT);

/// The users of this server, deactivated ones too.
pub fn all_users(read: &(impl Read + ?Sized)) -> Result<Vec<UserId>, StorageError> {
    let mut users = Vec::new();
    ACCOUNTS.scan::<StorageError>(read, (), Order::Ascending, |user_id, _| {
        users.push(user_id);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(users)
}

/// The deactivated users who asked to be erased, and when: few, and asked of every event that is shown.
const ERASED: Table<UserId, Position> = Table::new(tags::ERASED);

/// From now on newcomers see the user's events redacted.
pub fn erase(step: &mut Step<'_>, user_id: &UserId) {
    let position = step.position();
    ERASED.put(step, user_id, &position);
}

/// After what the user was erased, if they were.
pub fn erased_at(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Option<Position>, StorageError> {
    ERASED.get(read, user_id)
}

/// Whether anybody is erased.
pub fn any_erased(read: &(impl Read + ?Sized)) -> Result<bool, StorageError> {
    Ok(ERASED.last(read)?.is_some())
}

impl Account {
    #[must_use]
    pub fn new(created: Timestamp, password: Option<PasswordHash>) -> Account {
        Account { created, password, guest: false, admin: false, deactivated: None }
    }

    #[must_use]
    pub fn is_active(&self) -> bool {
        self.deactivated.is_none()
    }
}

/// The account of a user of this server, whatever its condition.
pub fn account_of(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Option<Account>, StorageError> {
    ACCOUNTS.get(read, user_id)
}

/// Whether the user has an account here that is not deactivated.
pub fn is_active(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<bool, StorageError> {
    Ok(account_of(read, user_id)?.is_some_and(|account| account.is_active()))
}

#[must_use]
pub fn is_local(config: &Config, user_id: &UserId) -> bool {
    user_id.server_str() == config.server_name.as_str()
}

/// The user ID for a name that somebody wishes to register. Capitals become small letters.
pub fn requested_user_id(config: &Config, name: &str) -> Result<UserId, ApiError> {
    let invalid = |why: String| ApiError::new(400, "M_INVALID_USERNAME", why);
    let localpart = name.to_ascii_lowercase();
    if localpart.starts_with('_') {
        return Err(invalid("Names that begin with _ are kept for application services".into()));
    }
    if !localpart.is_empty() && localpart.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid("Names of digits only are kept for guests".into()));
    }
    user_id_of(config, &localpart)
}

/// The user ID of a localpart in the grammar for new users.
pub fn user_id_of(config: &Config, localpart: &str) -> Result<UserId, ApiError> {
    UserId::new(localpart, &config.server_name)
        .map_err(|error| ApiError::new(400, "M_INVALID_USERNAME", alloc::format!("The name is {error}")))
}

/// The name is free, or `400 M_USER_IN_USE`.
pub fn require_available(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<(), ApiError> {
    if ACCOUNTS.contains(read, user_id)? {
        return Err(ApiError::new(400, "M_USER_IN_USE", "The user ID is already taken"));
    }
    Ok(())
}

/// A free name for somebody who did not ask for one: letters for users, digits for guests.
pub fn draw_user_id(step: &mut Step<'_>, guest: bool) -> Result<UserId, ApiError> {
    let alphabet: &[u8] = if guest { b"0123456789" } else { b"abcdefghijklmnopqrstuvwxyz" };
    for _ in 0..8 {
        let localpart = step.random.string(12, alphabet);
        let user_id = user_id_of(step.config, &localpart)?;
        if !ACCOUNTS.contains(step, &user_id)? {
            return Ok(user_id);
        }
    }
    Err(ApiError::internal("No free name was found"))
}

/// The local user that a client names by localpart or full user ID in `m.id.user`; `None` if that can be nobody here.
pub fn named_user(config: &Config, read: &(impl Read + ?Sized), name: &str) -> Result<Option<UserId>, StorageError> {
    let full = if name.starts_with('@') {
        UserId::parse(name)
    } else {
        UserId::parse(&alloc::format!("@{name}:{}", config.server_name))
    };
    let Some(full) = full.ok().filter(|user_id| is_local(config, user_id)) else { return Ok(None) };
    if ACCOUNTS.contains(read, &full)? {
        return Ok(Some(full));
    }
    // New names have small letters only, and people write theirs as they like.
    Ok(UserId::new(&full.localpart().to_ascii_lowercase(), &config.server_name).ok())
}

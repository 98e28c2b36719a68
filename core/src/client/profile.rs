//! Profiles (Client-Server API, "Profiles").

use alloc::string::String;
use alloc::vec::Vec;

use crate::canonical_json::{self, Object, Value};
use crate::identifiers::UserId;
use crate::store::tables::{Table, tags};
use crate::store::{Read, StorageError};

/// By user and field: the field's value in canonical JSON.
pub const PROFILES: Table<(UserId, String), Vec<u8>> = Table::new(tags::PROFILE);

/// One field of a profile.
pub fn field(read: &(impl Read + ?Sized), user_id: &UserId, name: &str) -> Result<Option<Value>, StorageError> {
    let Some(json) = PROFILES.get(read, (user_id, name))? else { return Ok(None) };
    let value = canonical_json::parse(&json);
    value.map(Some).map_err(|error| StorageError(alloc::format!("the profile of {user_id}: {error}")))
}

/// What member events repeat of a profile: `displayname` and `avatar_url`.
pub fn member_content(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Object, StorageError> {
    let mut content = Object::new();
    for name in ["avatar_url", "displayname"] {
        if let Some(value) = field(read, user_id, name)? {
            content.insert(name, value);
        }
    }
    Ok(content)
}

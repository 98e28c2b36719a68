//! The versions that this server offers (Client-Server API, "`m.room_versions` capability").

use super::RoomVersion;
use crate::canonical_json::Object;

/// The version of rooms that are created without one (Room Version Specification, "Complete list of room versions").
pub const DEFAULT: RoomVersion = RoomVersion::V12;

/// Every version that rooms may be created with or joined in. The specification calls all twelve stable.
pub const AVAILABLE: [RoomVersion; 12] = RoomVersion::ALL;

/// The value of the capability: `{"default": …, "available": {version: stability}}`.
#[must_use]
pub fn room_versions() -> Object {
    let available: Object = AVAILABLE.into_iter().map(|version| (version.as_str(), "stable")).collect();
    Object::new().with("default", DEFAULT.as_str()).with("available", available)
}

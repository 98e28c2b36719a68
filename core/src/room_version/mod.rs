//! Room versions 1 to 12 (Room Version Specification): their names, what each of them decides, and what this server
//! offers.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

pub mod capabilities;
mod rules;

pub use rules::{
    AuthRules, EventIdFormat, KeyValidity, Numbering, RedactionRules, RoomIdFormat, RoomVersionRules, StateResolution,
};

#[cfg(test)]
mod tests;

/// A version that this server knows. The order is the order of introduction; the specification gives versions no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum RoomVersion {
    V1,
    V2,
    V3,
    V4,
    V5,
    V6,
    V7,
    V8,
    V9,
    V10,
    V11,
    V12,
}

impl RoomVersion {
    /// Every version, oldest first.
    pub const ALL: [RoomVersion; 12] = [
        RoomVersion::V1,
        RoomVersion::V2,
        RoomVersion::V3,
        RoomVersion::V4,
        RoomVersion::V5,
        RoomVersion::V6,
        RoomVersion::V7,
        RoomVersion::V8,
        RoomVersion::V9,
        RoomVersion::V10,
        RoomVersion::V11,
        RoomVersion::V12,
    ];

    /// `None` for versions that this server does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<RoomVersion> {
        RoomVersion::ALL.into_iter().find(|version| version.as_str() == text)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            RoomVersion::V1 => "1",
            RoomVersion::V2 => "2",
            RoomVersion::V3 => "3",
            RoomVersion::V4 => "4",
            RoomVersion::V5 => "5",
            RoomVersion::V6 => "6",
            RoomVersion::V7 => "7",
            RoomVersion::V8 => "8",
            RoomVersion::V9 => "9",
            RoomVersion::V10 => "10",
            RoomVersion::V11 => "11",
            RoomVersion::V12 => "12",
        }
    }

    /// What this version decides.
    #[must_use]
    pub const fn rules(self) -> &'static RoomVersionRules {
        rules::of(self)
    }
}

impl fmt::Display for RoomVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A version that this server does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRoomVersion;

impl fmt::Display for UnknownRoomVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a room version that this server knows")
    }
}

impl core::error::Error for UnknownRoomVersion {}

impl TryFrom<String> for RoomVersion {
    type Error = UnknownRoomVersion;
    fn try_from(text: String) -> Result<RoomVersion, UnknownRoomVersion> {
        RoomVersion::parse(&text).ok_or(UnknownRoomVersion)
    }
}

impl From<RoomVersion> for &'static str {
    fn from(version: RoomVersion) -> &'static str {
        version.as_str()
    }
}

//! Stands in for the authorization rules until they land.
use crate::event::Pdu;
use alloc::{string::String, vec::Vec};
pub struct AuthState<'a>(pub &'a [Pdu]);
pub struct Verdict {
    pub allowed: bool,
}
impl core::fmt::Display for Verdict {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("x")
    }
}
pub fn select_auth_events(
    _: &crate::room_version::RoomVersionRules,
    _: &str,
    _: Option<&str>,
    _: &crate::identifiers::UserId,
    _: &crate::canonical_json::Object,
) -> Vec<(String, String)> {
    Vec::new()
}
pub fn authorize(_: &crate::room_version::RoomVersionRules, _: &Pdu, _: Option<&Pdu>, _: &AuthState<'_>) -> Verdict {
    Verdict { allowed: true }
}
pub struct PowerLevels;
impl PowerLevels {
    pub fn user(&self, _: &str) -> i64 {
        0
    }
    pub fn redact(&self) -> i64 {
        0
    }
    pub fn invite(&self) -> i64 {
        0
    }
    pub fn event(&self, _: &str, _: bool) -> i64 {
        0
    }
}

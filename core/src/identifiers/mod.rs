//! Identifiers and their grammars (Appendices, "Identifier Grammar").
//!
//! Every type here is checked when it is made: holding one is proof that its text is acceptable on the wire. What servers
//! must accept is wider than what they may create (historical user IDs, for one); the stricter grammar has functions of
//! its own.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_IDENTIFIER;

/// Why a text is not the identifier it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidIdentifier {
    /// `user ID`, `room ID`, …
    pub kind: &'static str,
    pub why: &'static str,
}

impl fmt::Display for InvalidIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: {}", self.kind, self.why)
    }
}

impl core::error::Error for InvalidIdentifier {}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path) => {
        identifier!($(#[$doc])* $name, $kind, $check, MAX_IDENTIFIER, "longer than 255 bytes");
    };
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path, $most:expr, $too_long:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the grammar that servers must accept.
            pub fn parse(text: &str) -> Result<$name, InvalidIdentifier> {
                if text.len() > $most {
                    return Err(InvalidIdentifier { kind: $kind, why: $too_long });
                }
                match $check(text) {
                    Ok(()) => Ok($name(Arc::from(text))),
                    Err(why) => Err(InvalidIdentifier { kind: $kind, why }),
                }
            }
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidIdentifier;
            fn try_from(text: String) -> Result<$name, InvalidIdentifier> {
                $name::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                String::from(&*id.0)
            }
        }
        impl From<&$name> for crate::canonical_json::Value {
            fn from(id: &$name) -> crate::canonical_json::Value {
                crate::canonical_json::Value::from(id.as_str())
            }
        }
    };
}

mod event_id;
mod grammar;
mod mxc_uri;
mod opaque;
mod room_alias;
mod room_id;
mod server_name;
mod user_id;

pub use event_id::EventId;
pub use grammar::{is_namespaced_identifier, is_opaque_identifier};
pub use mxc_uri::MxcUri;
pub use opaque::{DeviceId, KeyId};
pub use room_alias::RoomAlias;
pub use room_id::RoomId;
pub use server_name::ServerName;
pub use user_id::{UserId, is_strict_localpart};

#[cfg(test)]
mod tests;

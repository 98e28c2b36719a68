//! What the host decides about a server when it makes the core. The host reads and validates files; this is plain data.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::effect::PasswordCost;
use crate::identifiers::ServerName;
use crate::limits::OWN_KEYS_LIFETIME;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub server_name: ServerName,
    pub signing_key: SigningKeyConfig,
    pub registration: RegistrationConfig,
    pub sessions: SessionConfig,
    /// Whether anyone may register a guest.
    pub guests: bool,
    /// The room version of `createRoom` without one.
    pub default_room_version: String,
    pub password_cost: PasswordCost,
    /// The least number of characters of a new password.
    pub minimum_password_length: u32,
    pub rate_limits: RateLimits,
    /// `GET /.well-known/matrix/client`: `m.homeserver.base_url`; `404` when absent.
    pub client_base_url: Option<String>,
    /// `GET /.well-known/matrix/support`.
    pub support: SupportConfig,
    pub presence: bool,
    pub federation: FederationConfig,
    /// The store is not the one that the server ran on last, but an older one: a backup. Said once, at the first start on it.
    pub restored: bool,
    /// Opens `/_orrery/admin/`; drawn anew by the host at each start and told to nobody but its own tools.
    pub admin_secret: Option<Secret>,
}

impl Config {
    /// A server of this name on which nobody may register, and otherwise the defaults.
    #[must_use]
    pub fn new(server_name: ServerName, signing_key: SigningKeyConfig) -> Config {
        Config {
            server_name,
            signing_key,
            registration: RegistrationConfig::default(),
            sessions: SessionConfig::default(),
            guests: false,
            default_room_version: String::from("12"),
            // RFC 9106 has two recommendations; this is OWASP's smallest, for servers that share a small machine.
            password_cost: PasswordCost { memory_kib: 19_456, passes: 2, lanes: 1 },
            minimum_password_length: 8,
            rate_limits: RateLimits::default(),
            client_base_url: None,
            support: SupportConfig::default(),
            presence: false,
            federation: FederationConfig::default(),
            restored: false,
            admin_secret: None,
        }
    }
}

/// A text that never appears in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `guess` is the secret. The time that this takes says nothing about where they differ.
    #[must_use]
    pub fn is(&self, guess: &str) -> bool {
        Sha256::digest(self.0.as_bytes()) == Sha256::digest(guess.as_bytes())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(String::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The key that signs events and requests.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyConfig {
    /// The part after `ed25519:`.
    pub version: String,
    pub seed: [u8; 32],
}

/// The seed never appears in logs.
impl fmt::Debug for SigningKeyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyConfig").field("version", &self.version).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationConfig {
    /// Anyone may register (`m.login.dummy`).
    pub open: bool,
    /// Registration tokens (`m.login.registration_token`), each with the number of uses it allows.
    pub tokens: Vec<RegistrationToken>,
    /// Serves `/_synapse/admin/v1/register`.
    pub shared_secret: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationToken {
    pub token: Secret,
    /// `None` allows any number.
    pub uses: Option<u32>,
}

/// How long sessions and the tokens of sessions last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionConfig {
    /// The life of an access token whose client said that it can refresh it; `None` is for ever.
    pub refreshable_access_token_lifetime: Option<Duration>,
    /// The life of any other access token, after which the client is logged out softly; `None` is for ever.
    pub access_token_lifetime: Option<Duration>,
    /// Whether users may let another device log in by a token (`POST /login/get_token`).
    pub login_tokens: bool,
}

impl Default for SessionConfig {
    fn default() -> SessionConfig {
        SessionConfig {
            refreshable_access_token_lifetime: Some(Duration::from_secs(300)),
            access_token_lifetime: None,
            login_tokens: false,
        }
    }
}

/// A rate limit: a bucket of `burst` requests, refilled with `per_minute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub per_minute: u32,
    pub burst: u32,
}

/// The rate limits (Client-Server API, "Rate limiting"), by what they are counted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimits {
    /// `false` switches every one off.
    pub enabled: bool,
    /// Sending events and changing rooms, per user.
    pub message: Rate,
    /// Creating and joining rooms and inviting, per user.
    pub membership: Rate,
    /// Registration, per address.
    pub registration: Rate,
    /// Login and everything that checks a password, per address.
    pub login: Rate,
    /// Anything else that writes, per user.
    pub write: Rate,
}

impl Default for RateLimits {
    fn default() -> RateLimits {
        RateLimits {
            enabled: true,
            message: Rate { per_minute: 300, burst: 50 },
            membership: Rate { per_minute: 30, burst: 30 },
            registration: Rate { per_minute: 10, burst: 10 },
            login: Rate { per_minute: 10, burst: 20 },
            write: Rate { per_minute: 600, burst: 200 },
        }
    }
}

/// How the server talks with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationConfig {
    /// `false`: the Server-Server API answers `403`, and nothing is asked of other servers.
    pub enabled: bool,
    /// `GET /.well-known/matrix/server`: `m.server`; `404` when absent.
    pub delegate: Option<String>,
    /// Keys that this server signed with before, so that others can still check what they signed: key ID to public key, in
    /// unpadded base64, and when it was given up, in milliseconds since 1970.
    pub old_verify_keys: Vec<OldVerifyKey>,
    /// For how long others may use the list of this server's keys before they ask for it again.
    pub keys_lifetime: Duration,
    /// Servers that are believed about the keys of others, and asked for those that their own servers do not give.
    pub notaries: Vec<ServerName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldVerifyKey {
    pub key_id: String,
    pub key: [u8; 32],
    pub expired_ts: Timestamp,
}

impl Default for FederationConfig {
    fn default() -> FederationConfig {
        FederationConfig {
            enabled: true,
            delegate: None,
            old_verify_keys: Vec::new(),
            keys_lifetime: OWN_KEYS_LIFETIME,
            notaries: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportConfig {
    pub contacts: Vec<SupportContact>,
    pub page: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportContact {
    /// `m.role.admin`, `m.role.security` or another.
    pub role: String,
    pub email: Option<String>,
    pub matrix_id: Option<String>,
}

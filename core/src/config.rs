//! What the host decides about a server when it makes the core. The host reads and validates files; this is plain data.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::effect::PasswordCost;
use crate::identifiers::ServerName;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub server_name: ServerName,
    pub signing_key: SigningKeyConfig,
    pub registration: RegistrationConfig,
    pub guests: bool,
    /// The room version of `createRoom` without one.
    pub default_room_version: String,
    pub password_cost: PasswordCost,
    /// `false` switches every rate limit off.
    pub rate_limits: bool,
    /// `GET /.well-known/matrix/client`: `m.homeserver.base_url`; `404` when absent.
    pub client_base_url: Option<String>,
    /// `GET /.well-known/matrix/support`.
    pub support: SupportConfig,
    pub presence: bool,
    /// Opens `/_orrery/admin/`; drawn anew by the host at each start and told to nobody but its own tools.
    pub admin_secret: Option<String>,
}

/// The key that signs events and requests.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyConfig {
    /// The part after `ed25519:`.
    pub version: String,
    pub seed: [u8; 32],
}

/// The seed never appears in logs.
impl core::fmt::Debug for SigningKeyConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SigningKeyConfig").field("version", &self.version).finish_non_exhaustive()
    }
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationConfig {
    /// Anyone may register (`m.login.dummy`).
    pub open: bool,
    /// Registration tokens (`m.login.registration_token`), each with the number of uses it allows.
    pub tokens: Vec<RegistrationToken>,
    /// Serves `/_synapse/admin/v1/register`.
    pub shared_secret: Option<String>,
}

/// Secrets never appear in logs.
impl core::fmt::Debug for RegistrationConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RegistrationConfig")
            .field("open", &self.open)
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationToken {
    pub token: String,
    /// `None` allows any number.
    pub uses: Option<u32>,
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

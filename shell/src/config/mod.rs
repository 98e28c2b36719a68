//! The operator's configuration: read from a file, the environment and the command line, and validated whole at the start.

mod federation;
mod load;
mod section;
mod tree;
mod validate;

use std::net::SocketAddr;
use std::path::PathBuf;

use orrery_core::config::{
    Config, FederationConfig, RateLimits, RegistrationConfig, Secret, SessionConfig, SigningKeyConfig, SupportConfig,
};
use orrery_core::effect::PasswordCost;
use orrery_core::identifiers::ServerName;

use crate::http_client::HttpClientSettings;
use crate::http_server::{HttpLimits, Network};
use crate::logging::LogSettings;
use crate::storage;
pub use load::Sources;
pub use section::Problem;

/// Everything that an operator decides, valid and with defaults filled in.
#[derive(Clone, Debug)]
pub struct Settings {
    pub server_name: ServerName,
    pub data_dir: PathBuf,
    pub signing_key: PathBuf,
    pub listeners: Vec<Listener>,
    pub trusted_proxies: Vec<Network>,
    /// Those who may have any number of connections; the trusted proxies among them.
    pub unlimited_addresses: Vec<Network>,
    pub registration: RegistrationConfig,
    pub sessions: SessionConfig,
    pub guests: bool,
    pub presence: bool,
    pub default_room_version: String,
    pub password_cost: PasswordCost,
    pub minimum_password_length: u32,
    pub rate_limits: RateLimits,
    pub client_base_url: Option<String>,
    pub support: SupportConfig,
    pub federation: FederationConfig,
    pub http_client: HttpClientSettings,
    pub http: HttpLimits,
    pub storage: storage::Options,
    pub threads: Threads,
    pub logging: LogSettings,
    /// The data is a backup; said on the command line.
    pub restored: bool,
    /// Where everything that the core is given is written down, if it is.
    pub record: Option<PathBuf>,
    /// What was written and has no effect yet; each a sentence for the log.
    pub warnings: Vec<String>,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: Option<TlsFiles>,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How many threads do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    pub http: usize,
    pub query: usize,
    pub compute: usize,
}

impl Settings {
    /// Reads and validates everything. On failure, all that is wrong.
    pub fn load(sources: &Sources) -> Result<Settings, Vec<Problem>> {
        validate::settings(&sources.read()?)
    }

    /// What the core needs to know.
    #[must_use]
    pub fn core_config(&self, signing_key: SigningKeyConfig, admin_secret: Secret) -> Config {
        Config {
            registration: self.registration.clone(),
            sessions: self.sessions.clone(),
            guests: self.guests,
            default_room_version: self.default_room_version.clone(),
            password_cost: self.password_cost,
            minimum_password_length: self.minimum_password_length,
            rate_limits: self.rate_limits.clone(),
            client_base_url: self.client_base_url.clone(),
            support: self.support.clone(),
            presence: self.presence,
            federation: self.federation.clone(),
            restored: self.restored,
            admin_secret: Some(admin_secret),
            ..Config::new(self.server_name.clone(), signing_key)
        }
    }
}

#[cfg(test)]
mod tests;

//! The keys with which servers sign: one after the other, as they are rotated.

use orrery_core::config::SigningKeyConfig;
use orrery_core::signing::SigningKey;

use crate::draw::stream;

/// The key that a server has after so many rotations.
#[must_use]
pub fn config(seed: u64, server: u32, rotation: u32) -> SigningKeyConfig {
    let (version, component) = match rotation {
        0 => ("sim".to_owned(), format!("key {server}")),
        _ => (format!("sim{rotation}"), format!("key {server} {rotation}")),
    };
    SigningKeyConfig { version, seed: stream(seed, &component).seed() }
}

/// The same, to sign with.
#[must_use]
pub fn key(seed: u64, server: u32, rotation: u32) -> SigningKey {
    signing_key(&config(seed, server, rotation))
}

#[must_use]
pub fn signing_key(config: &SigningKeyConfig) -> SigningKey {
    SigningKey::from_seed(&config.version, &config.seed).expect("the version is a good one")
}

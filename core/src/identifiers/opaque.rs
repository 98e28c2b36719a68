//! Device IDs and key IDs.

use super::*;

identifier!(
    /// A device of one user: any text, at most 255 bytes.
    DeviceId, "device ID", check_device
);
identifier!(
    /// `algorithm:identifier` (Appendices, "Signing Details"); `ed25519:1` for one.
    KeyId, "key ID", check_key
);

fn check_device(text: &str) -> Result<(), &'static str> {
    if text.is_empty() { Err("is empty") } else { Ok(()) }
}

fn check_key(text: &str) -> Result<(), &'static str> {
    match text.split_once(':') {
        Some((algorithm, name)) if !algorithm.is_empty() && !name.is_empty() => Ok(()),
        _ => Err("is not algorithm:identifier"),
    }
}

impl KeyId {
    /// `ed25519`, `curve25519`, `signed_curve25519`, …
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.split_once(':').expect("checked when the key ID was made").0
    }
    /// What follows the colon: a server's key version, a device ID, a public key, …
    #[must_use]
    pub fn name(&self) -> &str {
        self.split_once(':').expect("checked when the key ID was made").1
    }
}

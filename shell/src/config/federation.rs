//! `[federation]`: whether and how the server talks with others.

use orrery_core::config::{FederationConfig, OldVerifyKey};
use orrery_core::identifiers::{KeyId, ServerName};
use orrery_core::signing::base64;

use super::section::Section;
use super::validate::path;
use crate::http_client::HttpClientSettings;

/// What the core needs to know, and what the client.
pub fn read(top: &mut Section<'_>) -> (FederationConfig, HttpClientSettings) {
    let default = FederationConfig::default();
    let mut section = top.section("federation");
    let config = FederationConfig {
        enabled: section.boolean("enabled").unwrap_or(default.enabled),
        delegate: section.text_as("delegate", |text| ServerName::parse(text).map(|name| name.to_string())),
        old_verify_keys: old_verify_keys(&mut section),
        keys_lifetime: default.keys_lifetime,
        notaries: section.texts("notaries", ServerName::parse),
    };
    let client = HttpClientSettings {
        extra_ca: section.texts("extra_ca", path),
        allow_private_addresses: section.boolean("allow_private_addresses").unwrap_or(false),
    };
    section.finish();
    (config, client)
}

/// Keys that the server signed with before.
fn old_verify_keys(section: &mut Section<'_>) -> Vec<OldVerifyKey> {
    let mut keys = Vec::new();
    for mut entry in section.sections("old_verify_keys") {
        let key_id = entry.text_as("key_id", |text| match KeyId::parse(text) {
            Ok(key_id) if key_id.algorithm() == "ed25519" => Ok(key_id.to_string()),
            _ => Err("expected a key ID such as ed25519:1"),
        });
        let key = entry
            .text_as("key", |text| base64::decode_array(text).map_err(|_| "expected a public key: 32 bytes in base64"));
        let expired_ts = entry.timestamp("expired_ts");
        for name in ["key_id", "key", "expired_ts"] {
            if !entry.has(name) {
                entry.problem(name, "missing");
            }
        }
        entry.finish();
        if let (Some(key_id), Some(key), Some(expired_ts)) = (key_id, key, expired_ts) {
            keys.push(OldVerifyKey { key_id, key, expired_ts });
        }
    }
    keys
}

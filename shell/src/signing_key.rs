//! The server's signing key: made on the first start, and kept in a file that only the server's user can read.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use orrery_core::config::SigningKeyConfig;
use orrery_core::random::Random;
use orrery_core::signing::{KeyFileError, SigningKey, format_key_file, parse_key_file};

use crate::entropy::{self, NoEntropy};

/// Why there is no signing key.
#[derive(Debug)]
pub enum SigningKeyError {
    Unreadable(PathBuf, io::Error),
    Malformed(PathBuf, KeyFileError),
    Uncreatable(PathBuf, io::Error),
    Entropy(NoEntropy),
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SigningKeyError::Unreadable(path, error) => {
                write!(f, "{}: the signing key cannot be read: {error}", path.display())
            }
            SigningKeyError::Malformed(path, error) => write!(f, "{}: {error}", path.display()),
            SigningKeyError::Uncreatable(path, error) => {
                write!(f, "{}: the signing key cannot be created: {error}", path.display())
            }
            SigningKeyError::Entropy(error) => write!(f, "{error}"),
        }
    }
}

/// Reads the key, or makes one if there is no file.
pub fn load_or_create(path: &Path) -> Result<SigningKeyConfig, SigningKeyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let key = parse_key_file(&text).map_err(|error| SigningKeyError::Malformed(path.to_path_buf(), error))?;
            warn_if_public(path);
            Ok(config(&key))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(SigningKeyError::Unreadable(path.to_path_buf(), error)),
    }
}

fn create(path: &Path) -> Result<SigningKeyConfig, SigningKeyError> {
    let seed = entropy::seed().map_err(SigningKeyError::Entropy)?;
    // Two keys of one server must never share a name, so it is drawn rather than counted.
    let version = format!("a_{}", Random::new(&seed, "signing key version").token(6));
    let seed = Random::new(&seed, "signing key").seed();
    let key = SigningKey::from_seed(&version, &seed).expect("the version is of letters and an underscore");
    write(path, &format_key_file(&key)).map_err(|error| SigningKeyError::Uncreatable(path.to_path_buf(), error))?;
    tracing::info!(path = %path.display(), "made a signing key; keep a copy of this file in a safe place");
    Ok(config(&key))
}

/// Writes the file whole or not at all: half a key would keep the server from starting.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn warn_if_public(path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "other users can read the signing key: chmod 600 it");
    }
}

fn config(key: &SigningKey) -> SigningKeyConfig {
    SigningKeyConfig { version: key.version().to_owned(), seed: *key.seed() }
}

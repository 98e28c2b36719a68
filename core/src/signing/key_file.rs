//! The one-line file that keeps a server's signing key: `ed25519 a_name BASE64SEED`. Servers in the field share this format,
//! so that a server can change its software and keep its key.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::base64;
use super::ed25519::SigningKey;

/// Why a text is not a signing key file. Says nothing of the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFileError {
    /// Not three words on one line.
    Shape,
    /// More than one line has a key.
    ManyKeys,
    /// The first word is not `ed25519`.
    Algorithm,
    /// The second word is not of `A-Z a-z 0-9 _`.
    Version,
    /// The third word is not the base64 of 32 bytes.
    Seed,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyFileError::Shape => "a signing key file is one line: ed25519, a name and the seed in base64",
            KeyFileError::ManyKeys => {
                "the signing key file has more than one key; keep the line of the key to sign with"
            }
            KeyFileError::Algorithm => "the only algorithm of signing keys is ed25519",
            KeyFileError::Version => "the name of a signing key has the characters A-Z, a-z, 0-9 and _ only",
            KeyFileError::Seed => "the seed of a signing key is 32 bytes in base64",
        })
    }
}

impl core::error::Error for KeyFileError {}

/// Reads the text of a key file. White space around the words and empty lines do not matter.
pub fn parse_key_file(text: &str) -> Result<SigningKey, KeyFileError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().ok_or(KeyFileError::Shape)?;
    if lines.next().is_some() {
        return Err(KeyFileError::ManyKeys);
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(algorithm), Some(version), Some(seed), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(KeyFileError::Shape);
    };
    if algorithm != "ed25519" {
        return Err(KeyFileError::Algorithm);
    }
    if !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(KeyFileError::Version);
    }
    let seed = base64::decode_array(seed).map_err(|_| KeyFileError::Seed)?;
    SigningKey::from_seed(version, &seed).map_err(|_| KeyFileError::Version)
}

/// The text of the file for a key, with a line feed at its end. Secret: the file is for the server's user alone.
#[must_use]
pub fn format_key_file(key: &SigningKey) -> String {
    format!("ed25519 {} {}\n", key.version(), base64::encode_unpadded(key.seed()))
}

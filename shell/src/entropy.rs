//! Entropy: the operating system's, drawn once for each life of the core and once for each key.

use std::fmt;

/// The operating system has no randomness to give.
#[derive(Debug)]
pub struct NoEntropy(getrandom::Error);

impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operating system gives no random numbers: {}", self.0)
    }
}

/// 32 unpredictable bytes.
pub fn seed() -> Result<[u8; 32], NoEntropy> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(NoEntropy)?;
    Ok(seed)
}

/// An unpredictable secret, as 64 hexadecimal digits.
pub fn secret() -> Result<String, NoEntropy> {
    Ok(seed()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

//! Running jobs: pure functions that the host calls on whatever thread it likes.

use alloc::string::ToString;
use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::PasswordVerifier as _;
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};

use crate::effect::{Job, PasswordCost};
use crate::input::Outcome;

impl Job {
    /// Does the work. The same job always has the same outcome.
    #[must_use]
    pub fn run(&self) -> Outcome {
        match self {
            Job::HashPassword { password, salt, cost } => match argon2id(*cost) {
                Some(hasher) => match hasher.hash_password_with_salt(password.as_bytes(), salt) {
                    Ok(hash) => Outcome::PasswordHash(hash.to_string()),
                    Err(error) => Outcome::Failed(alloc::format!("hashing a password: {error}")),
                },
                None => Outcome::Failed("the configured password cost is not one that argon2 has".to_string()),
            },
            Job::Nothing => Outcome::Nothing,
            Job::CheckPassword { password, hash } => {
                let matches = PasswordHash::new(hash)
                    .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
                Outcome::PasswordMatches(matches)
            }
        }
    }
}

fn argon2id(cost: PasswordCost) -> Option<Argon2<'static>> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl PasswordCost {
    /// Whether argon2 has this cost.
    #[must_use]
    pub fn is_valid(self) -> bool {
        argon2id(self).is_some()
    }
}

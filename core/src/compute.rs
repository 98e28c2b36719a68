//! Running jobs: pure functions that the host calls on whatever thread it likes.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use core::fmt;

use crate::effect::{Job, PasswordCost};
use crate::input::Outcome;
use crate::signing::verify_batch;

/// The bytes of a password's hash.
const HASH_BYTES: usize = Params::DEFAULT_OUTPUT_LEN;

/// Memory for jobs, which a thread keeps from one to the next: argon2id wants megabytes of it, and having the system hand them
/// out anew takes as long as the hash.
#[derive(Default)]
pub struct Scratch {
    blocks: Vec<Block>,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("blocks", &self.blocks.len()).finish()
    }
}

impl Job {
    /// Does the work. The same job always has the same outcome.
    #[must_use]
    pub fn run(&self) -> Outcome {
        self.run_with(&mut Scratch::default())
    }

    /// [`Job::run`] in memory that is there already.
    #[must_use]
    pub fn run_with(&self, scratch: &mut Scratch) -> Outcome {
        match self {
            Job::HashPassword { password, salt, cost } => match argon2id(*cost) {
                Some(hasher) => match hash(&hasher, password, salt, scratch) {
                    Ok(hash) => Outcome::PasswordHash(hash),
                    Err(error) => Outcome::Failed(alloc::format!("hashing a password: {error}")),
                },
                None => Outcome::Failed("the configured password cost is not one that argon2 has".to_string()),
            },
            Job::Verify(messages) => {
                Outcome::Verified(verify_batch(messages).into_iter().map(|verdict| verdict.is_ok()).collect())
            }
            Job::Nothing => Outcome::Nothing,
            Job::CheckPassword { password, hash } => {
                Outcome::PasswordMatches(matches(password, hash, scratch).unwrap_or(false))
            }
        }
    }
}

fn argon2id(cost: PasswordCost) -> Option<Argon2<'static>> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The PHC string of a password.
fn hash(
    hasher: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    scratch: &mut Scratch,
) -> Result<String, argon2::password_hash::Error> {
    let mut bytes = [0; HASH_BYTES];
    fill(hasher, password, salt, &mut bytes, scratch)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(hasher.params())?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(&bytes)?),
    };
    Ok(hash.to_string())
}

/// Whether a password has this PHC string; `None` if it is not one that argon2 knows.
fn matches(password: &str, hash: &str, scratch: &mut Scratch) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from).ok()?;
    let hasher = Argon2::new(algorithm, version, Params::try_from(&hash).ok()?);
    let mut bytes = alloc::vec![0; expected.len()];
    fill(&hasher, password, salt, &mut bytes, scratch).ok()?;
    // This comparison takes the same time wherever the two differ.
    Some(*expected == Output::new(&bytes).ok()?)
}

fn fill(
    hasher: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    out: &mut [u8],
    scratch: &mut Scratch,
) -> Result<(), argon2::Error> {
    // What the last job left there is overwritten before it is read.
    scratch.blocks.resize(hasher.params().block_count(), Block::default());
    hasher.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut scratch.blocks)
}

impl PasswordCost {
    /// Whether argon2 has this cost.
    #[must_use]
    pub fn is_valid(self) -> bool {
        argon2id(self).is_some()
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier as _;

    use super::*;

    #[test]
    fn hashes_do_not_depend_on_what_the_memory_held() {
        let mut scratch = Scratch::default();
        let costs = [(64, 1, 1), (8, 3, 1), (128, 2, 4), (64, 1, 1)];
        for (memory_kib, passes, lanes) in costs {
            let cost = PasswordCost { memory_kib, passes, lanes };
            let password = "correct horse".to_string();
            let job = Job::HashPassword { password: password.clone(), salt: [memory_kib as u8; 16], cost };
            let Outcome::PasswordHash(hash) = job.run_with(&mut scratch) else { panic!("{cost:?}") };
            assert_eq!(job.run(), Outcome::PasswordHash(hash.clone()), "{cost:?}");
            assert!(Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok(), "{hash}");
            for (guess, expected) in [("correct horse", true), ("battery staple", false)] {
                let check = Job::CheckPassword { password: guess.to_string(), hash: hash.clone() };
                assert_eq!(check.run_with(&mut scratch), Outcome::PasswordMatches(expected), "{hash}");
            }
        }
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        for hash in ["", "correct horse", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA", "$2b$12$abcdefgh"] {
            let check = Job::CheckPassword { password: "correct horse".to_string(), hash: hash.to_string() };
            assert_eq!(check.run(), Outcome::PasswordMatches(false), "{hash}");
        }
    }
}

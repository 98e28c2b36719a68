//! Verdicts on signatures, shared by the servers of a world: each of them checks what the others have checked, and the same key,
//! message and signature have the same verdict everywhere.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use orrery_core::effect::Job;
use orrery_core::input::Outcome;
use orrery_core::signing::{SignedMessage, verify_batch};
use sha2::{Digest, Sha256};

/// After so many new verdicts those that were not asked for meanwhile are forgotten.
const GENERATION: usize = 16_384;

/// A hold on the verdicts of a world.
#[derive(Clone, Debug, Default)]
pub struct Memo(Rc<RefCell<Verdicts>>);

#[derive(Debug, Default)]
struct Verdicts {
    new: BTreeMap<[u8; 32], bool>,
    old: BTreeMap<[u8; 32], bool>,
}

impl Memo {
    /// What the job comes to.
    #[must_use]
    pub fn run(&self, job: &Job) -> Outcome {
        let Job::Verify(messages) = job else { return job.run() };
        let mut verdicts = self.0.borrow_mut();
        Outcome::Verified(messages.iter().map(|message| verdicts.of(message)).collect())
    }
}

impl Verdicts {
    fn of(&mut self, message: &SignedMessage) -> bool {
        let digest = digest(message);
        if let Some(verdict) = self.new.get(&digest) {
            return *verdict;
        }
        let known = self.old.get(&digest).copied();
        let verdict = known.unwrap_or_else(|| verify_batch(std::slice::from_ref(message)).iter().all(Result::is_ok));
        if self.new.len() == GENERATION {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(digest, verdict);
        verdict
    }
}

/// Stands for everything that a verdict depends on.
fn digest(message: &SignedMessage) -> [u8; 32] {
    let SignedMessage { public_key, message, signature } = message;
    let mut hash = Sha256::new();
    hash.update(public_key);
    hash.update((signature.len() as u64).to_le_bytes());
    hash.update(signature);
    hash.update(message);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_core::signing::SigningKey;

    fn signed(text: &str) -> SignedMessage {
        let key = SigningKey::from_seed("a", &[1; 32]).unwrap();
        let signature = key.sign(text.as_bytes()).to_vec().into();
        SignedMessage { public_key: key.public_key(), message: text.as_bytes().to_vec().into(), signature }
    }

    #[test]
    fn a_verdict_is_that_of_the_job() {
        let memo = Memo::default();
        let good = signed("said");
        let mut messages = vec![good.clone(), signed("other")];
        messages.push(SignedMessage { message: "unsaid".as_bytes().into(), ..good.clone() });
        messages.push(SignedMessage { public_key: [2; 32], ..good.clone() });
        messages.push(SignedMessage { signature: good.signature.slice(..63), ..good.clone() });
        messages.push(SignedMessage { signature: signed("other").signature, ..good });
        let job = Job::Verify(messages);
        for _ in 0..2 {
            assert_eq!(memo.run(&job), job.run());
        }
    }

    #[test]
    fn a_memo_is_bounded() {
        let mut verdicts = Verdicts::default();
        let good = signed("said");
        for number in 0..GENERATION as u64 * 3 {
            // What is no signature by its length is judged at once.
            let signature = number.to_le_bytes().to_vec().into();
            assert!(!verdicts.of(&SignedMessage { signature, ..good.clone() }));
        }
        assert!(verdicts.new.len() <= GENERATION && verdicts.old.len() <= GENERATION);
    }
}

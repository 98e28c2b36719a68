//! Randomness: one seed from the host, split into one ChaCha stream per component, so that a draw more in one component
//! changes nothing in another.

use alloc::string::String;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use sha2::{Digest, Sha256};

/// A deterministic stream of random bytes.
#[derive(Clone, Debug)]
pub struct Random(ChaCha20Rng);

impl Random {
    /// The stream of `component` under `seed`.
    #[must_use]
    pub fn new(seed: &[u8; 32], component: &str) -> Random {
        let mut hash = Sha256::new();
        hash.update(seed);
        hash.update(component.as_bytes());
        Random(ChaCha20Rng::from_seed(hash.finalize().into()))
    }

    /// A seed for a component of its own.
    pub fn seed(&mut self) -> [u8; 32] {
        self.bytes()
    }

    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, which must not be zero. The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a draw needs at least one outcome");
        self.0.next_u64() % bound
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill_bytes(&mut out);
        out
    }

    /// `len` characters of `alphabet` (ASCII, at most 256 characters), each equally likely.
    pub fn string(&mut self, len: usize, alphabet: &[u8]) -> String {
        let bound = alphabet.len() as u64;
        (0..len).map(|_| char::from(alphabet[self.below(bound) as usize])).collect()
    }

    /// `len` characters of `[A-Za-z]`: opaque identifiers and tokens.
    pub fn token(&mut self, len: usize) -> String {
        self.string(len, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    }
}

//! A map from event indices to places, for the inner loops of a resolution: open addressing, a quarter or more of it free.

use alloc::vec;
use alloc::vec::Vec;

const FREE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct IndexMap {
    /// Key and value; a value of [`FREE`] is none.
    slots: Vec<(u32, u32)>,
    len: usize,
}

impl IndexMap {
    pub fn new() -> IndexMap {
        IndexMap { slots: vec![(0, FREE); 64], len: 0 }
    }

    fn slot(&self, key: u32) -> usize {
        // Neighbouring indices, which events of one branch have, fall far apart.
        let hash = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        hash as usize & (self.slots.len() - 1)
    }

    pub fn get(&self, key: u32) -> Option<u32> {
        let mut at = self.slot(key);
        loop {
            match self.slots[at] {
                (_, FREE) => return None,
                (found, value) if found == key => return Some(value),
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Adds a key that is not there yet.
    pub fn insert(&mut self, key: u32, value: u32) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            let larger = vec![(0, FREE); self.slots.len() * 2];
            let old = core::mem::replace(&mut self.slots, larger);
            for (key, value) in old.into_iter().filter(|(_, value)| *value != FREE) {
                self.place(key, value);
            }
        }
        self.place(key, value);
        self.len += 1;
    }

    fn place(&mut self, key: u32, value: u32) {
        let mut at = self.slot(key);
        while self.slots[at].1 != FREE {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = (key, value);
    }
}

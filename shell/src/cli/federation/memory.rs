//! Storage for a core that lives for one command.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use orrery_core::effect::Batch;
use orrery_core::store::{Order, Read, Storage, StorageError, Visit};

/// An ordered map.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<Bytes, Bytes>);

impl Memory {
    pub fn write(&mut self, batch: Batch) {
        for (key, value) in batch.writes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }
}

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        if from >= to {
            return Ok(());
        }
        let mut rows = self.0.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let next = || match order {
            Order::Ascending => rows.next(),
            Order::Descending => rows.next_back(),
        };
        for (key, value) in std::iter::from_fn(next) {
            if visit(key, value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

impl Storage for Memory {}

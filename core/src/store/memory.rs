//! An ordered map in memory as storage, for tests.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;

use super::overlay::scan_writes;
use super::read::{Order, Read, Storage, StorageError, Visit};
use super::tables::Write;

#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(pub BTreeMap<Bytes, Option<Bytes>>);

struct Nothing;
impl Read for Nothing {
    fn get(&self, _: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(None)
    }
    fn scan(&self, _: &[u8], _: &[u8], _: Order, _: Visit<'_>) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.get(key).cloned().flatten())
    }
    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        scan_writes(&self.0, &Nothing, from, to, order, visit)
    }
}
impl Write for Memory {
    fn write(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        self.0.insert(key.into(), value);
    }
}
impl Storage for Memory {}

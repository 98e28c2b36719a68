//! Reading: the only way that core sees stored data.

use alloc::string::String;
use bytes::Bytes;
use core::fmt;
use core::ops::ControlFlow;

use crate::error::ApiError;

/// The disk failed, or holds what we never wrote. A step that meets one is dropped whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageError(pub String);

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage: {}", self.0)
    }
}

impl core::error::Error for StorageError {}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> ApiError {
        // What failed is the operator's business, not the client's.
        let _ = error;
        ApiError::internal("The server could not read its storage")
    }
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Is shown one key and value at a time, and says whether to go on.
pub type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A consistent view of an ordered map from keys to values.
pub trait Read {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// Visits the keys with `from <= key < to` in order.
    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError>;
}

/// What the host implements: a view of everything that it has answered `Durable` for, at least.
///
/// It may already show later commits: the core keeps what it has committed on top until `Durable` arrives, so a key reads
/// the same either way.
pub trait Storage: Read {}

impl<R: Read + ?Sized> Read for &R {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        (**self).get(key)
    }
    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        (**self).scan(from, to, order, visit)
    }
}

//! Reading: a consistent view of everything that was durable at one moment, from any thread and without waiting for writers.

use std::cell::Cell;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use orrery_core::store::{Order, Read, Storage, StorageError, Visit};

use super::database::Rows;
use super::memtable::{Cursor, MemTable, Sequence, compare};

/// Where rows are, newest first.
#[derive(Debug)]
pub struct View {
    /// Takes what is committed now.
    pub active: Arc<MemTable>,
    /// Being taken over by the database.
    pub frozen: Option<Arc<MemTable>>,
    /// Everything up to `applied`; `None` while the store is closed.
    pub rows: Option<Arc<Rows>>,
    pub applied: Sequence,
}

impl View {
    /// The view of a store that is closed: every read fails.
    pub fn closed() -> View {
        View { active: Arc::default(), frozen: None, rows: None, applied: 0 }
    }
}

/// Shared by the writer and every reader.
#[derive(Debug)]
pub struct Shared {
    view: Mutex<Arc<View>>,
    /// The last record that is on disk and in `view`.
    durable: AtomicU64,
}

impl Shared {
    pub fn new(view: View, durable: Sequence) -> Shared {
        Shared { view: Mutex::new(Arc::new(view)), durable: AtomicU64::new(durable) }
    }

    /// Shows another view, and returns the one before.
    pub fn set_view(&self, view: View) -> Arc<View> {
        let mut current = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, Arc::new(view))
    }

    pub fn view(&self) -> Arc<View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_durable(&self, sequence: Sequence) {
        self.durable.store(sequence, Memory::Release);
    }

    /// A snapshot of what is durable now.
    pub fn snapshot(self: &Arc<Shared>) -> Snapshot {
        // First the sequence, then the view: a later view still shows the earlier moment, except for what has reached the
        // database, where only the newest version of a row is left. That was durable too, so the moment moves up to it.
        let durable = self.durable.load(Memory::Acquire);
        let view = self.view();
        Snapshot { shared: self.clone(), sequence: durable.max(view.applied), view, has_failed: Cell::new(false) }
    }
}

/// One consistent moment of the store.
#[derive(Clone, Debug)]
pub struct Snapshot {
    shared: Arc<Shared>,
    view: Arc<View>,
    sequence: Sequence,
    has_failed: Cell<bool>,
}

impl Snapshot {
    /// Moves on to what is durable now.
    pub fn renew(&mut self) {
        *self = self.shared.snapshot();
    }

    /// Whether a read has failed: what came of it is not to be believed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    fn rows(&self) -> Result<&Rows, StorageError> {
        self.view.rows.as_deref().ok_or_else(|| self.failed("the store is closed"))
    }

    fn failed(&self, error: impl Display) -> StorageError {
        self.has_failed.set(true);
        StorageError(error.to_string())
    }
}

impl Storage for Snapshot {}

impl Read for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        if let Some(known) = self.view.active.get(self.sequence, key) {
            return Ok(known);
        }
        if let Some(frozen) = &self.view.frozen
            && let Some(known) = frozen.get(self.sequence, key)
        {
            return Ok(known);
        }
        let value = self.rows()?.get(key).map_err(|error| self.failed(error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        if from >= to {
            return Ok(());
        }
        let mut active = Cursor::new(&self.view.active, self.sequence, from, to, order);
        let mut frozen = self.view.frozen.as_ref().map(|frozen| Cursor::new(frozen, self.sequence, from, to, order));
        let mut range = self.rows()?.range::<&[u8]>(from..to).map_err(|error| self.failed(error))?;
        let mut next_row = || match order {
            Order::Ascending => range.next(),
            Order::Descending => range.next_back(),
        };
        let mut row = next_row().transpose().map_err(|error| self.failed(error))?;
        loop {
            let row_key = row.as_ref().map(|(key, _)| key.value());
            let newer = next_in_memory(&mut active, frozen.as_mut(), order, row_key);
            match (newer, &row) {
                (Some((key, value)), _) => {
                    if row_key == Some(key.as_ref()) {
                        row = next_row().transpose().map_err(|error| self.failed(error))?;
                    }
                    if let Some(value) = value
                        && visit(&key, &value).is_break()
                    {
                        return Ok(());
                    }
                }
                (None, Some((key, value))) => {
                    if let ControlFlow::Break(()) = visit(key.value(), value.value()) {
                        return Ok(());
                    }
                    row = next_row().transpose().map_err(|error| self.failed(error))?;
                }
                (None, None) => return Ok(()),
            }
        }
    }
}

/// Takes the first entry of the two tables that does not come after `row`. Of equal keys `active` has the newer value.
fn next_in_memory<'t>(
    active: &mut Cursor<'t>,
    frozen: Option<&mut Cursor<'t>>,
    order: Order,
    row: Option<&[u8]>,
) -> Option<(Bytes, Option<Bytes>)> {
    let due = |key: &Bytes| row.is_none_or(|row| compare(order, key, row).is_le());
    let Some(frozen) = frozen else {
        return if active.peek().is_some_and(due) { active.pop() } else { None };
    };
    let from_active = match (active.peek(), frozen.peek()) {
        (None, None) => return None,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (Some(ours), Some(theirs)) => match compare(order, ours, theirs) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => {
                if due(ours) {
                    frozen.pop();
                }
                true
            }
        },
    };
    let first = if from_active { active } else { frozen };
    if first.peek().is_some_and(due) { first.pop() } else { None }
}

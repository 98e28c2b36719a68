//! What is durable in the journal and not yet in the database: an ordered map in memory that keeps every version of a key,
//! so that a reader goes on seeing the moment at which it began while writers add to it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use orrery_core::effect::Batch;
use orrery_core::store::Order;

/// Entries that a scan copies out under one lock.
const CHUNK: usize = 64;

/// The number of a journal record; grows by one with each, over all lives of the store.
pub type Sequence = u64;

#[derive(Debug, Default)]
pub struct MemTable {
    keys: RwLock<BTreeMap<Bytes, Versions>>,
}

/// The versions of one key; a value of `None` is a deletion.
#[derive(Debug)]
struct Versions {
    newest: (Sequence, Option<Bytes>),
    /// Oldest first. Empty for most keys, and then without an allocation.
    older: Vec<(Sequence, Option<Bytes>)>,
}

impl Versions {
    fn at(&self, sequence: Sequence) -> Option<&Option<Bytes>> {
        if self.newest.0 <= sequence {
            return Some(&self.newest.1);
        }
        self.older.iter().rev().find(|version| version.0 <= sequence).map(|version| &version.1)
    }
}

impl MemTable {
    /// Adds a batch as of `sequence`, which is at least that of every batch before.
    pub fn insert(&self, sequence: Sequence, batch: Batch) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch.writes {
            let fresh = (sequence, value);
            match keys.get_mut(&key) {
                // Two batches of one record: nobody can see the state between them.
                Some(versions) if versions.newest.0 == sequence => versions.newest = fresh,
                Some(versions) => {
                    let old = std::mem::replace(&mut versions.newest, fresh);
                    versions.older.push(old);
                }
                None => {
                    keys.insert(key, Versions { newest: fresh, older: Vec::new() });
                }
            }
        }
    }

    /// The value of `key` as of `sequence`: `None` if this table does not know, `Some(None)` if it was deleted.
    pub fn get(&self, sequence: Sequence, key: &[u8]) -> Option<Option<Bytes>> {
        self.read().get(key)?.at(sequence).cloned()
    }

    /// Shows every key's newest value in order. Used once nobody writes any more.
    pub fn visit_newest<E>(&self, mut visit: impl FnMut(&Bytes, Option<&Bytes>) -> Result<(), E>) -> Result<(), E> {
        self.read().iter().try_for_each(|(key, versions)| visit(key, versions.newest.1.as_ref()))
    }

    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Bytes, Versions>> {
        // A panic elsewhere cannot leave the map half written: each insertion is one call.
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A scan of a table as of one sequence. It copies a few entries at a time, so that no lock is held while a reader looks.
#[derive(Debug)]
pub struct Cursor<'t> {
    table: &'t MemTable,
    sequence: Sequence,
    order: Order,
    from: Bound<Bytes>,
    to: Bound<Bytes>,
    chunk: VecDeque<(Bytes, Option<Bytes>)>,
    finished: bool,
}

impl<'t> Cursor<'t> {
    /// Over `from <= key < to`, which must not be empty.
    pub fn new(table: &'t MemTable, sequence: Sequence, from: &[u8], to: &[u8], order: Order) -> Cursor<'t> {
        let mut cursor = Cursor {
            table,
            sequence,
            order,
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            chunk: VecDeque::new(),
            finished: false,
        };
        cursor.fill((Bound::Included(from), Bound::Excluded(to)));
        if !cursor.finished {
            // What is left after the first chunk needs the far end again.
            match order {
                Order::Ascending => cursor.to = Bound::Excluded(Bytes::copy_from_slice(to)),
                Order::Descending => cursor.from = Bound::Included(Bytes::copy_from_slice(from)),
            }
        }
        cursor
    }

    /// The key that [`Cursor::pop`] returns next.
    pub fn peek(&mut self) -> Option<&Bytes> {
        if self.chunk.is_empty() && !self.finished {
            let (from, to) = (self.from.clone(), self.to.clone());
            self.fill((as_slice(&from), as_slice(&to)));
        }
        self.chunk.front().map(|entry| &entry.0)
    }

    pub fn pop(&mut self) -> Option<(Bytes, Option<Bytes>)> {
        self.peek()?;
        self.chunk.pop_front()
    }

    fn fill(&mut self, range: (Bound<&[u8]>, Bound<&[u8]>)) {
        let keys = self.table.read();
        let entries = keys.range::<[u8], _>(range);
        let (sequence, chunk) = (self.sequence, &mut self.chunk);
        let mut take = |(key, versions): (&Bytes, &Versions)| {
            if let Some(value) = versions.at(sequence) {
                chunk.push_back((key.clone(), value.clone()));
            }
            chunk.len() == CHUNK
        };
        let full = match self.order {
            Order::Ascending => { entries }.any(&mut take),
            Order::Descending => { entries }.rev().any(&mut take),
        };
        drop(keys);
        self.finished = !full;
        if let Some((last, _)) = self.chunk.back() {
            let last = Bound::Excluded(last.clone());
            match self.order {
                Order::Ascending => self.from = last,
                Order::Descending => self.to = last,
            }
        }
    }
}

fn as_slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// How `a` stands to `b` in a scan's order.
pub fn compare(order: Order, a: &[u8], b: &[u8]) -> Ordering {
    match order {
        Order::Ascending => a.cmp(b),
        Order::Descending => b.cmp(a),
    }
}

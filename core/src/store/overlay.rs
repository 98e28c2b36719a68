//! Layers of writes over a view: what is committed but not yet durable, and what one step has written.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::{Bound, ControlFlow};

use super::read::{Order, Read, StorageError, Visit};
use crate::effect::{Batch, CommitId};
use crate::limits::{STORAGE_PATIENCE, UNDURABLE_COMMITS};
use crate::time::Timestamp;

/// Writes by key; `None` is a deletion.
pub type Writes = BTreeMap<Bytes, Option<Bytes>>;

/// Reads `key` from `writes`, then from `below`.
pub(crate) fn layered_get(writes: &Writes, below: &dyn Read, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
    match writes.get(key) {
        Some(value) => Ok(value.clone()),
        None => below.get(key),
    }
}

/// Scans the union of `upper` and `below`, in which `upper` wins. `upper` has the range's keys in the scan's order.
pub(crate) fn layered_scan<'w>(
    mut upper: impl Iterator<Item = (&'w Bytes, &'w Option<Bytes>)>,
    below: &dyn Read,
    (from, to): (&[u8], &[u8]),
    order: Order,
    visit: Visit<'_>,
) -> Result<(), StorageError> {
    let mut pending = upper.next();
    let mut stopped = false;
    below.scan(from, to, order, &mut |key, value| {
        // Everything of ours that comes before this key.
        while let Some((our_key, our_value)) = pending {
            let before = match order {
                Order::Ascending => our_key.as_ref() < key,
                Order::Descending => our_key.as_ref() > key,
            };
            if !before {
                break;
            }
            pending = upper.next();
            if let Some(our_value) = our_value
                && visit(our_key, our_value).is_break()
            {
                stopped = true;
                return ControlFlow::Break(());
            }
        }
        let flow = match pending {
            Some((our_key, our_value)) if our_key.as_ref() == key => {
                pending = upper.next();
                match our_value {
                    Some(our_value) => visit(our_key, our_value),
                    None => ControlFlow::Continue(()),
                }
            }
            _ => visit(key, value),
        };
        stopped = flow.is_break();
        flow
    })?;
    while !stopped && let Some((our_key, our_value)) = pending {
        pending = upper.next();
        if let Some(our_value) = our_value {
            stopped = visit(our_key, our_value).is_break();
        }
    }
    Ok(())
}

/// [`layered_scan`] over a map, in either direction.
pub(crate) fn scan_writes(
    writes: &Writes,
    below: &dyn Read,
    from: &[u8],
    to: &[u8],
    order: Order,
    visit: Visit<'_>,
) -> Result<(), StorageError> {
    if from >= to {
        return Ok(());
    }
    let range = writes.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
    match order {
        Order::Ascending => layered_scan(range, below, (from, to), order, visit),
        Order::Descending => layered_scan(range.rev(), below, (from, to), order, visit),
    }
}

#[derive(Debug)]
struct UnderWay {
    id: CommitId,
    since: Timestamp,
    keys: Vec<Bytes>,
}

/// The host's snapshot under everything that is committed but not yet durable.
#[derive(Debug)]
pub struct Overlay<S> {
    storage: S,
    writes: BTreeMap<Bytes, (CommitId, Option<Bytes>)>,
    /// The commits that are under way, oldest first.
    commits: VecDeque<UnderWay>,
    is_behind: bool,
}

impl<S: Read> Overlay<S> {
    pub fn new(storage: S) -> Overlay<S> {
        Overlay { storage, writes: BTreeMap::new(), commits: VecDeque::new(), is_behind: false }
    }

    /// The host's snapshot, for the host to renew.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Puts a batch on top.
    pub fn push(&mut self, id: CommitId, batch: &Batch, now: Timestamp) {
        debug_assert!(self.commits.back().is_none_or(|last| last.id < id), "commits are numbered upwards");
        let writes = batch.writes.iter().map(|(key, value)| (key.clone(), (id, value.clone())));
        if self.writes.is_empty() {
            // In order, which is cheaper to build a map of.
            self.writes = writes.collect();
        } else {
            self.writes.extend(writes);
        }
        let keys = batch.writes.iter().map(|(key, _)| key.clone()).collect();
        self.commits.push_back(UnderWay { id, since: now, keys });
    }

    /// Forgets what is durable: every commit up to and including `id`.
    pub fn durable(&mut self, id: CommitId) {
        if self.commits.back().is_some_and(|last| last.id <= id) {
            self.commits.clear();
            self.writes.clear();
            return;
        }
        while let Some(first) = self.commits.front()
            && first.id <= id
        {
            let Some(commit) = self.commits.pop_front() else { break };
            for key in commit.keys {
                // A later commit may have written the key again.
                if self.writes.get(&key).is_some_and(|(writer, _)| *writer == commit.id) {
                    self.writes.remove(&key);
                }
            }
        }
    }

    /// Commits that are not durable yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.commits.len()
    }

    /// Whether the host is far behind with them: more than [`UNDURABLE_COMMITS`] wait, the first for longer than [`STORAGE_PATIENCE`].
    /// It stays so until a quarter of that is left.
    pub fn is_behind(&mut self, now: Timestamp) -> bool {
        let is_late = self.commits.front().is_some_and(|first| first.since + STORAGE_PATIENCE < now);
        self.is_behind = match self.is_behind {
            true => self.commits.len() > UNDURABLE_COMMITS / 4,
            false => is_late && self.commits.len() > UNDURABLE_COMMITS,
        };
        self.is_behind
    }
}

impl<S: Read> Read for Overlay<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        match self.writes.get(key) {
            Some((_, value)) => Ok(value.clone()),
            None => self.storage.get(key),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        if from >= to {
            return Ok(());
        }
        let range = self.writes.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let range = range.map(|(key, (_, value))| (key, value));
        match order {
            Order::Ascending => layered_scan(range, &self.storage, (from, to), order, visit),
            Order::Descending => layered_scan(range.rev(), &self.storage, (from, to), order, visit),
        }
    }
}

//! A disk that can be told to fail: an ordered map whose batches become durable in groups, and which a crash throws back to
//! what was durable, plus at most a few whole batches that were on their way.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, ControlFlow};
use std::rc::Rc;

use bytes::Bytes;
use orrery_core::effect::{Batch, CommitId};
use orrery_core::store::tables::Write;
use orrery_core::store::{Order, Read, Storage, StorageError, Visit};
use serde::{Deserialize, Serialize};

/// What the keys of every room's rows begin with; nothing comes after them (ARCHITECTURE.md, "Data").
const ROOMS: u8 = 0x80;

type Rows = BTreeMap<Bytes, Bytes>;

/// What core reads: the rows of the disk that it runs on.
#[derive(Clone, Debug)]
pub struct SimStorage {
    rows: Rc<RefCell<Rows>>,
    faults: Rc<ReadFaults>,
}

/// Reads that fail.
#[derive(Debug, Default)]
struct ReadFaults {
    reads: Cell<u64>,
    /// One read in so many fails; 0 is none.
    one_in: Cell<u64>,
    /// How many there were before core was last given something to do.
    before: Cell<u64>,
}

/// Core reads for ever, within one input: what reads it is stopped by a panic with this.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

/// The reads that one input may cost, with the queries until the next. The worlds that are drawn stay far below.
const MOST_READS: u64 = 10_000_000;

impl SimStorage {
    /// Whether some room has rows here.
    #[must_use]
    pub fn has_rooms(&self) -> bool {
        self.rows.borrow().range(Bytes::from_static(&[ROOMS])..).next().is_some()
    }

    fn check(&self) -> Result<(), StorageError> {
        let reads = self.faults.reads.get() + 1;
        self.faults.reads.set(reads);
        if reads - self.faults.before.get() > MOST_READS {
            std::panic::panic_any(Endless);
        }
        match self.faults.one_in.get() {
            0 => Ok(()),
            one_in if reads.is_multiple_of(one_in) => Err(StorageError("the virtual disk cannot read".to_owned())),
            _ => Ok(()),
        }
    }
}

impl Read for SimStorage {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.check()?;
        Ok(self.rows.borrow().get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        self.check()?;
        if from >= to {
            return Ok(());
        }
        let rows = self.rows.borrow();
        let mut range = rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let mut each = |row: Option<(&Bytes, &Bytes)>| match row {
            Some((key, value)) => visit(key, value),
            None => ControlFlow::Break(()),
        };
        match order {
            Order::Ascending => while each(range.next()).is_continue() {},
            Order::Descending => while each(range.next_back()).is_continue() {},
        }
        Ok(())
    }
}

impl Storage for SimStorage {}

/// Only tests of the checkers write past the server.
impl Write for SimStorage {
    fn write(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        set(&mut self.rows.borrow_mut(), key.into(), value);
    }
}

/// What a batch overwrote: the way back.
type Undo = Vec<(Bytes, Option<Bytes>)>;

/// When core sees a batch in its storage. Both are allowed: core's overlay hides the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visibility {
    /// With `Durable`.
    #[default]
    WhenDurable,
    /// As soon as it is being written.
    Early,
}

/// What a disk does that no disk may. Only tests of the checkers ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lie {
    #[default]
    None,
    /// The last batch that was answered `Durable` is gone after a crash.
    LosesAcknowledged,
    /// A crash keeps a half of a batch.
    TearsBatches,
    /// A crash leaves the first row of all, in which a store says what it is, with nothing in it.
    SpoilsRows,
    /// The host says of every signature that it is good.
    BelievesSignatures,
    /// Whoever restores a backup does not say that it is one.
    HidesRestores,
}

/// One server's disk. It outlives the server's crashes.
#[derive(Debug)]
pub struct Disk {
    durable: Rc<RefCell<Rows>>,
    /// What core sees: ahead of `durable` by the group that is being written, or `durable` itself.
    shown: Rc<RefCell<Rows>>,
    faults: Rc<ReadFaults>,
    visibility: Visibility,
    lie: Lie,
    /// What was committed and is not durable, oldest first.
    pending: VecDeque<(CommitId, Batch)>,
    /// How many of `pending` are being written as one group.
    group: usize,
    /// The way back over the last durable batch, for [`Lie::LosesAcknowledged`].
    volatile: Undo,
    changes: u64,
}

impl Disk {
    #[must_use]
    pub fn new(visibility: Visibility, lie: Lie) -> Disk {
        let durable: Rc<RefCell<Rows>> = Rc::default();
        let shown = match visibility {
            Visibility::WhenDurable => durable.clone(),
            Visibility::Early => Rc::default(),
        };
        let faults = Rc::default();
        Disk {
            durable,
            shown,
            faults,
            visibility,
            lie,
            pending: VecDeque::new(),
            group: 0,
            volatile: Vec::new(),
            changes: 0,
        }
    }

    /// The view that core gets.
    #[must_use]
    pub fn storage(&self) -> SimStorage {
        SimStorage { rows: self.shown.clone(), faults: self.faults.clone() }
    }

    /// The view that queries get, which shows only what is durable.
    #[must_use]
    pub fn durable(&self) -> SimStorage {
        SimStorage { rows: self.durable.clone(), faults: self.faults.clone() }
    }

    /// What is durable, for those who look from outside: their reads neither fail nor count.
    #[must_use]
    pub fn look(&self) -> SimStorage {
        SimStorage { rows: self.durable.clone(), faults: Rc::default() }
    }

    /// How often what is durable may have changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Core is given something to do.
    pub fn begin(&self) {
        self.faults.before.set(self.faults.reads.get());
    }

    /// From now on one read in `one_in` fails; 0 is none.
    pub fn fail_reads(&mut self, one_in: u64) {
        self.faults.one_in.set(one_in);
    }

    #[must_use]
    pub fn reads_fail(&self) -> bool {
        self.faults.one_in.get() > 0
    }

    /// Takes a batch; it is durable only with its group.
    pub fn push(&mut self, id: CommitId, batch: Batch) {
        self.pending.push_back((id, batch));
    }

    /// Batches that are not durable.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Begins to write what is pending, at most `max` batches, as one group. `false` if there is nothing to write or a
    /// group is under way.
    pub fn start_group(&mut self, max: usize) -> bool {
        if self.group > 0 || self.pending.is_empty() {
            return false;
        }
        self.group = self.pending.len().min(max);
        if self.visibility == Visibility::Early {
            for (_, batch) in self.pending.range(..self.group) {
                apply(&mut self.shown.borrow_mut(), batch);
            }
        }
        true
    }

    /// The group is on disk; the last commit of it.
    pub fn finish_group(&mut self) -> CommitId {
        let mut last = None;
        for (id, batch) in self.pending.drain(..self.group) {
            let undo = apply(&mut self.durable.borrow_mut(), &batch);
            if self.lie == Lie::LosesAcknowledged {
                self.volatile = undo;
            }
            last = Some(id);
        }
        self.group = 0;
        self.changes += 1;
        last.expect("a group has at least one batch")
    }

    /// The power is gone: what was not durable is lost, except for the first `survivors` batches, whose writes had reached
    /// the disk though nobody was told.
    pub fn crash(&mut self, survivors: usize) {
        let mut durable = self.durable.borrow_mut();
        for (key, before) in std::mem::take(&mut self.volatile) {
            set(&mut durable, key, before);
        }
        for (_, batch) in self.pending.iter().take(survivors) {
            apply(&mut durable, batch);
        }
        if self.lie == Lie::TearsBatches
            && let Some((_, batch)) = self.pending.get_mut(survivors)
        {
            batch.writes.truncate(batch.writes.len().div_ceil(2));
            apply(&mut durable, batch);
        }
        if self.lie == Lie::SpoilsRows
            && let Some(row) = durable.values_mut().next()
        {
            row.clear();
        }
        if self.visibility == Visibility::Early {
            self.shown.borrow_mut().clone_from(&durable);
        }
        self.pending.clear();
        self.group = 0;
        self.changes += 1;
    }
}

/// All of a disk as it was once.
#[derive(Clone)]
pub struct Backup(Rows);

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Backup").field(&self.0.len()).finish()
    }
}

impl Disk {
    #[must_use]
    pub fn back_up(&self) -> Backup {
        Backup(self.durable.borrow().clone())
    }

    /// The disk is as it was when the backup was taken. The server is down.
    pub fn restore(&mut self, backup: Backup) {
        self.crash(0);
        self.shown.borrow_mut().clone_from(&backup.0);
        *self.durable.borrow_mut() = backup.0;
    }
}

fn apply(rows: &mut Rows, batch: &Batch) -> Undo {
    batch.writes.iter().map(|(key, value)| (key.clone(), set(rows, key.clone(), value.clone()))).collect()
}

fn set(rows: &mut Rows, key: Bytes, value: Option<Bytes>) -> Option<Bytes> {
    match value {
        Some(value) => rows.insert(key, value),
        None => rows.remove(&key),
    }
}

#[cfg(test)]
mod tests;

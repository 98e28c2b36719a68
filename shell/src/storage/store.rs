//! The writing side of the store: what the commit thread owns.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use orrery_core::effect::Batch;

use super::checkpoint::Checkpoint;
use super::database::{Database, DatabaseError};
use super::journal::{Journal, JournalError, Record, RecordBuilder};
use super::memtable::{MemTable, Sequence};
use super::snapshot::{Shared, View};
use crate::time::Stopwatch;

const DATABASE_FILE: &str = "orrery.redb";
const JOURNAL_FILES: [&str; 2] = ["orrery.journal-a", "orrery.journal-b"];

/// How far the journal may outgrow `checkpoint_bytes` while the database does not keep up.
const MAX_JOURNAL_FACTOR: u64 = 8;
/// A journal below this is not worth a checkpoint when the server is idle: a few rows would rewrite many pages.
const IDLE_CHECKPOINT_BYTES: u64 = 512 * 1024;
/// Free space that is always enough for a checkpoint.
const AMPLE_SPACE: u64 = 64 * 1024 * 1024;
/// Space that a start makes sure of.
const RESERVE: usize = 64 * 1024;
/// How long a closing store waits for readers to let go.
const READERS_PATIENCE: Duration = Duration::from_secs(30);

/// The operator's choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Memory for database pages.
    pub cache_bytes: usize,
    /// The size of the journal at which the database takes it over.
    pub checkpoint_bytes: u64,
}

/// Why a store does not open.
#[derive(Debug)]
pub enum OpenError {
    Database(PathBuf, DatabaseError),
    Journal(JournalError),
    /// Records between the database and the journal are missing.
    Gap {
        journal: PathBuf,
        expected: Sequence,
        found: Sequence,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Database(path, error) => write!(f, "{}: {error}", path.display()),
            OpenError::Journal(error) => write!(f, "{error}"),
            OpenError::Gap { journal, expected, found } => write!(
                f,
                "{}: record {expected} should follow what the database has, and record {found} does: they do not belong \
                 together",
                journal.display()
            ),
        }
    }
}

/// Why a commit or a checkpoint failed. The store must be closed and opened again.
#[derive(Debug)]
pub enum WriteError {
    Journal(io::Error),
    Database(DatabaseError),
    /// The system has no thread for a checkpoint.
    Thread(io::Error),
    /// Reads fail, and writes would be next.
    Unreadable,
    /// Too little space for the database to take the journal over.
    Full {
        needed: u64,
        free: u64,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Journal(error) => write!(f, "writing the journal: {error}"),
            WriteError::Thread(error) => write!(f, "starting a thread: {error}"),
            WriteError::Unreadable => f.write_str("reading the database failed"),
            WriteError::Database(error) => write!(f, "writing the database: {error}"),
            WriteError::Full { needed, free } => {
                write!(f, "the disk is full: {needed} bytes are needed and {free} are free")
            }
        }
    }
}

/// The store, open for writing. One thread owns it.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    options: Options,
    shared: Arc<Shared>,
    database: Arc<Database>,
    /// Takes new records.
    active: Journal,
    /// Free, or being taken over by the database.
    other: Journal,
    /// What `other` holds while the database lacks it, and its last record.
    frozen: Option<(Arc<MemTable>, Sequence)>,
    checkpoint: Option<Checkpoint>,
    /// The group under construction.
    record: RecordBuilder,
    group: Vec<Batch>,
    /// The last record on disk.
    durable: Sequence,
}

impl Store {
    /// Opens the store in `folder`, creating it if there is none.
    pub fn open(folder: &Path, options: Options) -> Result<Store, OpenError> {
        Store::open_for(folder, options, Arc::new(Shared::new(View::closed(), 0)))
    }

    /// [`Store::open`], and shows the store to the readers of `shared`.
    pub fn open_for(folder: &Path, options: Options, shared: Arc<Shared>) -> Result<Store, OpenError> {
        let path = folder.join(DATABASE_FILE);
        let in_database = |error| OpenError::Database(path.clone(), error);
        // The database's lock guards the journal too.
        let database = Database::open(&path, options.cache_bytes).map_err(in_database)?;
        let shown = database.show().map_err(in_database)?;

        let open_journal = |name: &str| Journal::open(&folder.join(name)).map_err(OpenError::Journal);
        let mut older = open_journal(JOURNAL_FILES[0])?;
        let mut newer = open_journal(JOURNAL_FILES[1])?;
        let first = |records: &[Record]| records.first().map_or(0, |record| record.sequence);
        if first(&older.1) > first(&newer.1) {
            std::mem::swap(&mut older, &mut newer);
        }
        let mut durable = shown.applied;
        let older_rows = replay(&older.0, older.1, &mut durable)?;
        let older_last = durable;
        let newer_rows = replay(&newer.0, newer.1, &mut durable)?;

        let mut store = Store {
            folder: folder.to_path_buf(),
            options,
            database: Arc::new(database),
            active: newer.0,
            other: older.0,
            frozen: (!older_rows.is_empty()).then(|| (Arc::new(older_rows), older_last)),
            checkpoint: None,
            record: RecordBuilder::default(),
            group: Vec::new(),
            durable,
            shared,
        };
        // Records that are all in the database make way.
        if newer_rows.is_empty() {
            store.active.reuse();
        }
        if store.frozen.is_none() {
            store.other.reuse();
        }
        let frozen = store.frozen.as_ref().map(|(rows, _)| rows.clone());
        let view =
            View { active: Arc::new(newer_rows), frozen, rows: Some(Arc::new(shown.rows)), applied: shown.applied };
        store.shared.set_view(view);
        store.shared.set_durable(durable);
        Ok(store)
    }

    /// What readers share with this store.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Makes sure that the store can be written.
    pub fn probe(&mut self) -> Result<(), WriteError> {
        self.active.reserve(RESERVE).map_err(WriteError::Journal)?;
        if self.is_checkpoint_due() { self.check_space(self.active.size()) } else { Ok(()) }
    }

    /// Adds a batch to the group under construction.
    pub fn add(&mut self, batch: Batch) {
        self.record.push(&batch);
        self.group.push(batch);
    }

    /// Bytes of the group under construction.
    pub fn group_size(&self) -> usize {
        self.record.size()
    }

    /// Makes the group durable, then readable.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if self.group.is_empty() {
            return Ok(());
        }
        let sequence = self.durable + 1;
        self.active.append(sequence, &mut self.record).map_err(WriteError::Journal)?;
        self.record.clear();
        let view = self.shared.view();
        for batch in self.group.drain(..) {
            view.active.insert(sequence, batch);
        }
        self.durable = sequence;
        self.shared.set_durable(sequence);
        Ok(())
    }

    /// Whether the journal is large enough for the database to take it over.
    pub fn is_checkpoint_due(&self) -> bool {
        self.active.size() >= self.options.checkpoint_bytes
    }

    /// Whether a checkpoint is worth it when there is nothing else to do.
    pub fn is_idle_checkpoint_due(&self) -> bool {
        self.active.size() >= IDLE_CHECKPOINT_BYTES
    }

    /// Lets the database take the journal over, on a thread of its own, which calls `done` at the end;
    /// [`Store::finish_checkpoint`] is due then. While one is under way already, or while the disk has too little space,
    /// nothing happens until the journal is far too large.
    pub fn start_checkpoint(&mut self, done: impl FnOnce() + Send + 'static) -> Result<(), WriteError> {
        let is_too_large = self.active.size() >= self.options.checkpoint_bytes.saturating_mul(MAX_JOURNAL_FACTOR);
        if self.checkpoint.is_some() {
            if !is_too_large {
                return Ok(());
            }
            self.finish_checkpoint()?;
        }
        if self.frozen.is_none() {
            match self.check_space(self.active.size()) {
                Ok(()) => self.freeze(),
                Err(error) if is_too_large => return Err(error),
                Err(_) => return Ok(()),
            }
        }
        if let Some((rows, last)) = &self.frozen {
            let checkpoint = Checkpoint::start(self.database.clone(), rows.clone(), *last, done);
            self.checkpoint = Some(checkpoint.map_err(WriteError::Thread)?);
        }
        Ok(())
    }

    /// Waits for the checkpoint under way, if any, and shows its result.
    pub fn finish_checkpoint(&mut self) -> Result<(), WriteError> {
        let Some(checkpoint) = self.checkpoint.take() else { return Ok(()) };
        let shown = checkpoint.wait().map_err(WriteError::Database)?;
        let active = self.shared.view().active.clone();
        self.shared.set_view(View { active, frozen: None, rows: Some(Arc::new(shown.rows)), applied: shown.applied });
        self.frozen = None;
        self.other.reuse();
        Ok(())
    }

    /// Gives the space of the free journal back.
    pub fn trim(&mut self) -> Result<(), WriteError> {
        if self.frozen.is_none() { self.other.empty().map_err(WriteError::Journal) } else { Ok(()) }
    }

    /// Brings everything into the database and closes it, after which it opens in no time.
    pub fn close(mut self) -> Result<(), WriteError> {
        self.flush()?;
        self.finish_checkpoint()?;
        // At most twice: what a start found frozen, and what came since.
        while self.frozen.is_some() || self.active.size() > 0 {
            self.start_checkpoint(|| ())?;
            if self.checkpoint.is_none() {
                // Too little space. The journal keeps it all.
                break;
            }
            self.finish_checkpoint()?;
            self.trim()?;
        }
        self.abandon();
        Ok(())
    }

    /// Closes the store as it is, once its readers have let go of it.
    pub fn abandon(mut self) {
        if let Some(checkpoint) = self.checkpoint.take() {
            // Whatever came of it, the journal has it too.
            let _: Result<_, _> = checkpoint.wait();
        }
        let view = Arc::downgrade(&self.shared.set_view(View::closed()));
        let waited = Stopwatch::start();
        while view.strong_count() > 0 && waited.elapsed() < READERS_PATIENCE {
            // Rare, and over in a moment; a signal from each reader would cost every query.
            #[allow(clippy::disallowed_methods)]
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Turns the active journal into the frozen one.
    fn freeze(&mut self) {
        debug_assert!(self.frozen.is_none(), "one journal is taken over at a time");
        debug_assert!(self.other.size() == 0, "the other journal is free");
        if self.active.size() == 0 {
            return;
        }
        std::mem::swap(&mut self.active, &mut self.other);
        let view = self.shared.view();
        let frozen = view.active.clone();
        self.frozen = Some((frozen.clone(), self.durable));
        let (rows, applied) = (view.rows.clone(), view.applied);
        self.shared.set_view(View { active: Arc::default(), frozen: Some(frozen), rows, applied });
    }

    fn check_space(&self, journal: u64) -> Result<(), WriteError> {
        const PAGE: u64 = 4096;
        let keys = self.shared.view().active.len() as u64;
        let needed = (2 * journal + keys * PAGE).min(AMPLE_SPACE);
        let disk = rustix::fs::statvfs(&self.folder).map_err(|error| WriteError::Journal(error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needed { Err(WriteError::Full { needed, free }) } else { Ok(()) }
    }
}

/// Puts the records after `durable` into memory, and moves `durable` up to the last one.
fn replay(journal: &Journal, records: Vec<Record>, durable: &mut Sequence) -> Result<MemTable, OpenError> {
    let rows = MemTable::default();
    for Record { sequence, batch } in records {
        if sequence <= *durable {
            continue;
        }
        let expected = *durable + 1;
        if sequence != expected {
            return Err(OpenError::Gap { journal: journal.path().to_path_buf(), expected, found: sequence });
        }
        rows.insert(sequence, batch);
        *durable = sequence;
    }
    Ok(rows)
}

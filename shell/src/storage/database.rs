//! The database file: one redb table from keys to values, and beside it what the store itself must remember.

use std::fmt;
use std::fs::OpenOptions;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::Bytes;
use redb::{ReadOnlyTable, ReadableDatabase, Table, TableDefinition};

use super::memtable::{MemTable, Sequence};

/// The core's rows.
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// The store's own: see the constants below.
const STORE: TableDefinition<'_, &str, u64> = TableDefinition::new("store");
/// The layout of database and journal together.
const FORMAT: &str = "format";
/// The last journal record whose writes are in the database.
const APPLIED: &str = "applied";

/// The layout that this code reads and writes.
const SUPPORTED_FORMAT: u64 = 1;

pub type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Why a database cannot be used.
#[derive(Debug)]
pub enum DatabaseError {
    /// Another process has it open.
    Locked,
    /// A newer version of Orrery wrote it.
    Newer {
        found: u64,
    },
    /// It is not a database, or a damaged one.
    Corrupt(String),
    Io(String),
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseError::Locked => f.write_str("another process has the database open"),
            DatabaseError::Newer { found } => write!(
                f,
                "the database has layout {found} and this version of orrery reads layout {SUPPORTED_FORMAT}: use the \
                 version that wrote it, or a newer one"
            ),
            DatabaseError::Corrupt(why) => write!(f, "the database is damaged: {why}"),
            DatabaseError::Io(why) => f.write_str(why),
        }
    }
}

impl From<redb::Error> for DatabaseError {
    fn from(error: redb::Error) -> DatabaseError {
        match error {
            redb::Error::DatabaseAlreadyOpen => DatabaseError::Locked,
            redb::Error::Corrupted(why) => DatabaseError::Corrupt(why),
            redb::Error::RepairAborted => DatabaseError::Corrupt("its repair was given up".to_owned()),
            redb::Error::UpgradeRequired(version) => {
                DatabaseError::Corrupt(format!("its file format {version} is not known"))
            }
            redb::Error::TableTypeMismatch { .. } | redb::Error::TableIsMultimap(_) => {
                DatabaseError::Corrupt("it belongs to another program".to_owned())
            }
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                DatabaseError::Corrupt(error.to_string())
            }
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                DatabaseError::Corrupt("the file is too short".to_owned())
            }
            error => DatabaseError::Io(error.to_string()),
        }
    }
}

/// The open database.
#[derive(Debug)]
pub struct Database {
    redb: redb::Database,
}

/// What the database shows at one moment.
#[derive(Debug)]
pub struct Shown {
    pub rows: Rows,
    /// The last journal record that is in `rows`.
    pub applied: Sequence,
}

impl Database {
    /// Opens the file, creating it if there is none.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Database, DatabaseError> {
        Database::open_redb(path, cache_bytes).map_err(DatabaseError::from).and_then(Database::check_format)
    }

    fn open_redb(path: &Path, cache_bytes: usize) -> Result<redb::Database, redb::Error> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let redb = redb::Builder::new().set_cache_size(cache_bytes).create_file(file)?;
        Ok(redb)
    }

    fn check_format(redb: redb::Database) -> Result<Database, DatabaseError> {
        let found = read_format(&redb)?;
        match found {
            Some(SUPPORTED_FORMAT) => {}
            Some(found) => return Err(DatabaseError::Newer { found }),
            None => initialize(&redb)?,
        }
        Ok(Database { redb })
    }

    /// A snapshot of the rows.
    pub fn show(&self) -> Result<Shown, DatabaseError> {
        let show = || -> Result<Shown, redb::Error> {
            let transaction = self.redb.begin_read()?;
            let applied = transaction.open_table(STORE)?.get(APPLIED)?.map_or(0, |applied| applied.value());
            Ok(Shown { rows: transaction.open_table(ROWS)?, applied })
        };
        show().map_err(DatabaseError::from)
    }

    /// Takes over everything in `table`, which ends with the record `applied`, in one durable transaction.
    pub fn apply(&self, table: &MemTable, applied: Sequence) -> Result<(), DatabaseError> {
        self.write(table, applied).map_err(DatabaseError::from)
    }

    fn write(&self, table: &MemTable, applied: Sequence) -> Result<(), redb::Error> {
        let mut transaction = self.redb.begin_write()?;
        // The allocator's state goes with each transaction, so that opening after a crash need not read the whole file.
        // With transactions as large as ours this is cheap.
        transaction.set_quick_repair(true);
        {
            let mut rows = transaction.open_table(ROWS)?;
            let mut writer = RunWriter { rows: &mut rows, run: Vec::new() };
            table.visit_newest(|key, value| writer.write(key, value))?;
            writer.flush()?;
            transaction.open_table(STORE)?.insert(APPLIED, applied)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn read_format(redb: &redb::Database) -> Result<Option<u64>, redb::Error> {
    let transaction = redb.begin_read()?;
    let table = match transaction.open_table(STORE) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            return if transaction.list_tables()?.next().is_some() {
                Err(redb::Error::Corrupted("it belongs to another program".to_owned()))
            } else {
                Ok(None)
            };
        }
        Err(error) => return Err(error.into()),
    };
    let format = table.get(FORMAT)?.map(|format| format.value());
    Ok(format)
}

fn initialize(redb: &redb::Database) -> Result<(), redb::Error> {
    let mut transaction = redb.begin_write()?;
    transaction.set_quick_repair(true);
    {
        transaction.open_table(ROWS)?;
        let mut store = transaction.open_table(STORE)?;
        store.insert(FORMAT, SUPPORTED_FORMAT)?;
        store.insert(APPLIED, 0)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Writes sorted rows. New rows that lie together in one gap of the table, such as a room's newest events, go in as a run:
/// redb packs a run into full pages, where one by one it would leave them half empty, and it costs less.
struct RunWriter<'r, 't> {
    rows: &'r mut Table<'t, &'static [u8], &'static [u8]>,
    /// Rows not written yet; their keys begin alike, so they probably lie in one gap.
    run: Vec<(Bytes, Bytes)>,
}

impl RunWriter<'_, '_> {
    fn write(&mut self, key: &Bytes, value: Option<&Bytes>) -> Result<(), redb::Error> {
        if self.run.last().is_some_and(|last| !begin_alike(&last.0, key)) {
            self.flush()?;
        }
        match value {
            Some(value) => self.run.push((key.clone(), value.clone())),
            None => {
                self.flush()?;
                self.rows.remove(key.as_ref())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), redb::Error> {
        let mut rest = self.run.as_slice();
        while let [(key, value), more @ ..] = rest {
            let taken = if more.is_empty() { 0 } else { insert_run(self.rows, rest)? };
            if taken == 0 {
                self.rows.insert(key.as_ref(), value.as_ref())?;
            }
            rest = &rest[taken.max(1)..];
        }
        self.run.clear();
        Ok(())
    }
}

/// Inserts as many of `run` as lie before the next row of the table, and says how many those were.
fn insert_run(
    rows: &mut Table<'_, &'static [u8], &'static [u8]>,
    run: &[(Bytes, Bytes)],
) -> Result<usize, redb::Error> {
    let mut cursor = rows.lower_bound_mut(Bound::Included(run[0].0.as_ref()))?;
    let fits = match cursor.peek_next()? {
        Some((next, _)) => run.partition_point(|(key, _)| key.as_ref() < next.value()),
        None => run.len(),
    };
    if fits < 2 {
        return Ok(0);
    }
    for (key, value) in &run[..fits] {
        cursor.insert_before(key.as_ref(), value.as_ref())?;
    }
    cursor.close()?;
    Ok(fits)
}

/// Keys of one table in sequence differ in their last few bytes.
fn begin_alike(a: &[u8], b: &[u8]) -> bool {
    const SUFFIX: usize = 3;
    a.len() == b.len() && a.len() > SUFFIX && a[..a.len() - SUFFIX] == b[..b.len() - SUFFIX]
}

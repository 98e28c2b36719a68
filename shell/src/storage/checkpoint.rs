//! The database taking a journal over, beside everything else.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::database::{Database, DatabaseError, Shown};
use super::memtable::{MemTable, Sequence};

/// One under way.
#[derive(Debug)]
pub struct Checkpoint {
    thread: JoinHandle<Result<Shown, DatabaseError>>,
}

impl Checkpoint {
    /// Starts writing `rows`, whose last record is `last`. `done` is called at the end, however it ended.
    pub fn start(
        database: Arc<Database>,
        rows: Arc<MemTable>,
        last: Sequence,
        done: impl FnOnce() + Send + 'static,
    ) -> io::Result<Checkpoint> {
        let run = move || {
            let result = database.apply(&rows, last).and_then(|()| database.show());
            done();
            result
        };
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(run)?;
        Ok(Checkpoint { thread })
    }

    /// Waits for the end, and returns what the database shows then.
    pub fn wait(self) -> Result<Shown, DatabaseError> {
        let gone = |_| Err(DatabaseError::Io("the checkpoint was cut short by a bug".to_owned()));
        self.thread.join().unwrap_or_else(gone)
    }
}

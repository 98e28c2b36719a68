//! `orrery serve --record FILE`: writes down everything that the core is given, for `orrery-sim replay` ([`orrery_core::recording`]).

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use orrery_core::config::Config;
use orrery_core::effect::Effect;
use orrery_core::input::Input;
use orrery_core::recording::{Entry, MAGIC, Start, digest, encode};
use orrery_core::store::{Order, Read};
use orrery_core::time::Timestamp;

use crate::storage::Snapshot;

/// Rows go into entries of about so many bytes.
const ROWS_AT_ONCE: usize = 1024 * 1024;

/// After every key: no table's tag is this byte.
const END_OF_KEYS: [u8; 1] = [0xff];

/// Writes a recording, until it cannot: then it says so once, and the server goes on without.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// Of what was taken from the core since it was last written down.
    drained: Vec<u64>,
}

impl Recorder {
    /// Begins a new file, which only its owner may read.
    ///
    /// # Errors
    /// The file exists, or cannot be written.
    pub fn create(path: &Path) -> io::Result<Recorder> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut file = BufWriter::new(file);
        file.write_all(MAGIC)?;
        Ok(Recorder { path: path.to_owned(), file: Some(file), drained: Vec::new() })
    }

    /// A core is about to start on what the snapshot shows.
    pub fn start(&mut self, config: &Config, seed: [u8; 32], now: Timestamp, snapshot: &Snapshot) {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let mut visit = |key: &[u8], value: &[u8]| {
            bytes += key.len() + value.len();
            rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            if bytes >= ROWS_AT_ONCE {
                bytes = 0;
                self.write(&Entry::Rows(std::mem::take(&mut rows)));
            }
            if self.file.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        if let Err(error) = snapshot.scan(&[], &END_OF_KEYS, Order::Ascending, &mut visit) {
            self.give_up(&error);
            return;
        }
        if !rows.is_empty() {
            self.write(&Entry::Rows(rows));
        }
        self.write(&Entry::Start(Box::new(Start::new(env!("CARGO_PKG_VERSION"), config, seed, now))));
    }

    /// The core is about to be given an input.
    pub fn input(&mut self, now: Timestamp, input: &Input) {
        self.write(&Entry::Input { now, input: input.clone() });
    }

    /// The core has handed out an effect.
    pub fn effect(&mut self, effect: &Effect) {
        self.drained.push(digest(effect));
    }

    /// The core has no more effects to hand out. What was written so far outlives a crash of the process.
    pub fn drained(&mut self) {
        let drained = std::mem::take(&mut self.drained);
        self.write(&Entry::Drained(drained));
        self.flush();
    }

    /// The core's life is over.
    pub fn end(&mut self, why: &str) {
        self.drained.clear();
        self.write(&Entry::End { why: why.to_owned() });
        self.flush();
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.flush()
        {
            self.give_up(&error);
        }
    }

    fn write(&mut self, entry: &Entry) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(&encode(entry))
        {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &dyn std::fmt::Display) {
        tracing::error!(file = %self.path.display(), %error, "the recording ends here: it cannot be written");
        self.file = None;
    }
}

//! The journal: an append-only file of batches that makes a commit durable with one small write and one `fdatasync`. The
//! database takes its contents over later, many at a time, in key order (see `checkpoint.rs`).
//!
//! A record is `length u32, checksum u32, sequence u64, payload`, little-endian; the checksum covers the sequence and the
//! payload. Records follow each other without gaps and their sequences count up by one. A file is used again from its
//! start once the database has its contents, so what follows the last record may be older records: their sequences are
//! lower. The payload is a list of writes: key length, value length plus one or zero for a deletion (both LEB128), key, value.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use orrery_core::effect::Batch;

use super::memtable::Sequence;

const HEADER: usize = 16;
/// A record larger than this was not written by us.
const MAX_RECORD: usize = 256 * 1024 * 1024;

/// A record under construction: the batches of one group commit.
#[derive(Debug, Default)]
pub struct RecordBuilder {
    buffer: Vec<u8>,
}

impl RecordBuilder {
    pub fn push(&mut self, batch: &Batch) {
        if self.buffer.is_empty() {
            self.buffer.resize(HEADER, 0);
        }
        for (key, value) in &batch.writes {
            write_length(&mut self.buffer, key.len() as u64);
            write_length(&mut self.buffer, value.as_ref().map_or(0, |value| value.len() as u64 + 1));
            self.buffer.extend_from_slice(key);
            self.buffer.extend_from_slice(value.as_deref().unwrap_or_default());
        }
    }

    /// Bytes so far.
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Completes the record. The builder starts again, with its memory.
    fn seal(&mut self, sequence: Sequence) -> &[u8] {
        if self.buffer.is_empty() {
            self.buffer.resize(HEADER, 0);
        }
        let length = u32::try_from(self.buffer.len() - HEADER).expect("groups are far below 4 GiB");
        self.buffer[8..16].copy_from_slice(&sequence.to_le_bytes());
        let checksum = crc32fast::hash(&self.buffer[8..]);
        self.buffer[0..4].copy_from_slice(&length.to_le_bytes());
        self.buffer[4..8].copy_from_slice(&checksum.to_le_bytes());
        &self.buffer
    }

    pub fn clear(&mut self) {
        self.buffer.clear();
    }
}

/// One of the journal's files, open for appending.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Where the next record goes; everything before is on disk.
    end: u64,
}

/// A record read back.
#[derive(Debug)]
pub struct Record {
    pub sequence: Sequence,
    pub batch: Batch,
}

/// Why a journal cannot be read.
#[derive(Debug)]
pub enum JournalError {
    Io(PathBuf, io::Error),
    /// A record in the middle is damaged: what follows it was acknowledged, so going on would lose data silently.
    Corrupt {
        path: PathBuf,
        offset: u64,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            JournalError::Corrupt { path, offset } => {
                write!(f, "{}: the record at byte {offset} is damaged", path.display())
            }
        }
    }
}

impl Journal {
    /// Opens the file, creating it if there is none, and reads its records. What a crash left half written is cut off.
    pub fn open(path: &Path) -> Result<(Journal, Vec<Record>), JournalError> {
        let io_error = |error| JournalError::Io(path.to_path_buf(), error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io_error)?;
        let mut contents = Vec::new();
        { &file }.read_to_end(&mut contents).map_err(io_error)?;
        let mut records = Vec::new();
        let mut offset = 0;
        while let Some((record, length)) = read_record(&contents[offset..], expected(&records)) {
            records.push(record);
            offset += length;
        }
        if is_damaged_in_the_middle(&contents[offset..], expected(&records)) {
            return Err(JournalError::Corrupt { path: path.to_path_buf(), offset: offset as u64 });
        }
        let mut journal = Journal { file, path: path.to_path_buf(), end: offset as u64 };
        if contents.len() > offset {
            journal.repair().map_err(io_error)?;
        }
        Ok((journal, records))
    }

    /// Appends a record; on success it is on disk. After a failure the file may hold part of the record: [`Journal::repair`]
    /// before anything else.
    pub fn append(&mut self, sequence: Sequence, record: &mut RecordBuilder) -> io::Result<()> {
        let bytes = record.seal(sequence);
        self.file.write_all_at(bytes, self.end)?;
        self.file.sync_data()?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Cuts off whatever follows the last record.
    pub fn repair(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.sync_all()
    }

    /// Has the file system set `bytes` aside for records to come.
    pub fn reserve(&mut self, bytes: usize) -> io::Result<()> {
        if self.file.metadata()?.len() < self.end + bytes as u64 {
            self.file.write_all_at(&vec![0; bytes], self.end)?;
            self.file.sync_all()?;
        }
        Ok(())
    }

    /// Starts the file again; its contents are in the database. The old records are overwritten as new ones come: blocks
    /// that the file system has already given are cheaper to write than new ones, and cannot run out.
    pub fn reuse(&mut self) {
        self.end = 0;
    }

    /// Gives the file's space back.
    pub fn empty(&mut self) -> io::Result<()> {
        self.end = 0;
        self.repair()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of records.
    pub fn size(&self) -> u64 {
        self.end
    }
}

/// The sequence that the next record must have, if there is one before it.
fn expected(records: &[Record]) -> Option<Sequence> {
    records.last().map(|record| record.sequence + 1)
}

struct Header {
    length: usize,
    checksum: u32,
    sequence: Sequence,
}

fn read_header(bytes: &[u8]) -> Option<Header> {
    let header = bytes.get(..HEADER)?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let sequence = u64::from(word(8)) | u64::from(word(12)) << 32;
    Some(Header { length: word(0) as usize, checksum: word(4), sequence })
}

/// The record at the start of `bytes`, if there is a whole one with the expected sequence, and its length.
fn read_record(bytes: &[u8], expected: Option<Sequence>) -> Option<(Record, usize)> {
    let header = read_header(bytes)?;
    if header.length > MAX_RECORD || expected.is_some_and(|expected| expected != header.sequence) {
        return None;
    }
    let end = HEADER + header.length;
    let body = bytes.get(8..end)?;
    if crc32fast::hash(body) != header.checksum {
        return None;
    }
    let batch = read_batch(&bytes[HEADER..end])?;
    Some((Record { sequence: header.sequence, batch }, end))
}

/// A record is appended only when the one before it is on disk. So a bad record that has a good successor was good once.
fn is_damaged_in_the_middle(bytes: &[u8], expected: Option<Sequence>) -> bool {
    let Some(header) = read_header(bytes) else { return false };
    if header.length > MAX_RECORD || expected.is_some_and(|expected| expected != header.sequence) {
        return false;
    }
    let Some(rest) = bytes.get(HEADER + header.length..) else { return false };
    read_record(rest, header.sequence.checked_add(1)).is_some()
}

fn read_batch(mut bytes: &[u8]) -> Option<Batch> {
    let mut batch = Batch::default();
    while !bytes.is_empty() {
        let key_length = read_length(&mut bytes)?;
        let value_length = read_length(&mut bytes)?;
        let key = Bytes::copy_from_slice(bytes.split_off(..key_length)?);
        let value = match value_length {
            0 => None,
            more => Some(Bytes::copy_from_slice(bytes.split_off(..more - 1)?)),
        };
        batch.writes.push((key, value));
    }
    Some(batch)
}

fn write_length(out: &mut Vec<u8>, mut length: u64) {
    while length >= 0x80 {
        out.push((length as u8) | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn read_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(length).ok();
        }
    }
    None
}

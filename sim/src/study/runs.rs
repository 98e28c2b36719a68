//! The runs of a study: each writes its row as it ends, so that a study that was stopped goes on where it was, and shards that write
//! into one folder make one table.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::table::{Cell, Table};
use super::{Run, Study, parameters};
use crate::measures;
use crate::plan::Plan;
use crate::runner;
use crate::trace::hex;
use crate::world::Extras;

/// What stands in a row after the parameters and the seed: how the world ended, its trace hash, and all measures.
pub type Row = Vec<String>;

/// One of the shards of a study: every so many-th run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    pub count: usize,
}

impl Shard {
    pub const ALL: Shard = Shard { index: 0, count: 1 };

    /// Reads `I/N`, with `I` from 0.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Shard, String> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let shard = parts.map(|(index, count)| Shard { index, count }).filter(|shard| shard.index < shard.count);
        shard.ok_or_else(|| "a shard is I/N, with I from 0 to N-1".to_owned())
    }
}

/// Runs one world.
#[must_use]
pub fn run(study: &Study, run: Run) -> Row {
    let options = study.options(run).expect("the parameters of each cell were checked, and seeds change none");
    let outcome = runner::run(&Plan::of(options), Extras { measure: true, ..Extras::default() });
    let end = outcome.failure.map_or("passed".to_owned(), |failure| format!("{} {}", failure.kind, failure.checker));
    let measures = outcome.measures.unwrap_or_default();
    let values = measures.list().into_iter().map(|(_, value)| Cell::of(value).to_string());
    [end, hex(&outcome.hash)].into_iter().chain(values).collect()
}

/// The folder of a study's results.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Stands for the program: rows that another one made are not taken for its own.
    build: String,
    rows: BTreeMap<String, Row>,
}

impl Folder {
    /// Opens a folder, or makes it, and reads what is there.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Folder> {
        fs::create_dir_all(path.join(ROWS))?;
        let build = hex(&Sha256::digest(fs::read(std::env::current_exe()?)?)[..8]);
        let mut folder = Folder { path: path.to_owned(), build, rows: BTreeMap::new() };
        folder.read()?;
        Ok(folder)
    }

    /// Reads the rows again, those of other shards with them.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(self.path.join(ROWS))? {
            let text = fs::read_to_string(entry?.path())?;
            // Whoever was stopped may have left a part of a line.
            for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
                let mut cells = line.split('\t').map(str::to_owned);
                let Some(key) = cells.next() else { continue };
                let row: Row = cells.collect();
                if row.len() == 2 + measures::columns().len() {
                    self.rows.insert(key, row);
                }
            }
        }
        Ok(())
    }

    fn key(&self, study: &Study, run: Run) -> String {
        hex(&Sha256::digest(format!("{} {}", self.build, study.identity(run)))[..12])
    }

    /// The runs of a shard that have no row yet.
    #[must_use]
    pub fn left(&self, study: &Study, shard: Shard) -> Vec<Run> {
        let runs = study.runs().into_iter().enumerate();
        let of_shard = runs.filter(|(at, _)| at % shard.count == shard.index).map(|(_, run)| run);
        of_shard.filter(|run| !self.rows.contains_key(&self.key(study, *run))).collect()
    }

    /// Where a shard writes its rows.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn writer(&self, shard: Shard) -> io::Result<Writer> {
        let path = self.path.join(ROWS).join(format!("{}-of-{}.tsv", shard.index, shard.count));
        let torn = fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if torn {
            file.write_all(b"\n")?;
        }
        Ok(Writer(file))
    }

    /// Takes a row down, in the file first.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, writer: &mut Writer, study: &Study, run: Run, row: Row) -> io::Result<()> {
        let key = self.key(study, run);
        writer.0.write_all(format!("{key}\t{}\n", row.join("\t")).as_bytes())?;
        self.rows.insert(key, row);
        Ok(())
    }

    /// The table of what is there, in the order of the study, whoever ran it.
    #[must_use]
    pub fn table(&self, study: &Study) -> Table {
        let mut columns = study.varied.clone();
        columns.extend(["seed", "outcome", "trace_hash"].map(str::to_owned));
        columns.extend(measures::columns().into_iter().map(|column| column.name));
        let mut rows = Vec::new();
        for run in study.runs() {
            let Some(row) = self.rows.get(&self.key(study, run)) else { continue };
            let varied = study.cells[run.cell].iter().map(parameters::cell);
            let seed = Cell::of(Some(run.seed));
            let texts = row[..2].iter().cloned().map(Cell::Text);
            let numbers = row[2..].iter().map(|value| value.parse().map_or(Cell::Empty, Cell::Number));
            rows.push(varied.chain([seed]).chain(texts).chain(numbers).collect());
        }
        Table { columns, rows }
    }

    /// Writes a file of the folder as a whole: whoever reads it meanwhile has the old one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!(".{name}.{}", std::process::id()));
        fs::write(&new, bytes)?;
        fs::rename(new, self.path.join(name))
    }
}

/// The folder of the rows, within that of the study.
const ROWS: &str = "rows";

/// A shard's file of rows.
#[derive(Debug)]
pub struct Writer(File);

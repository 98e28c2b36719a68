use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use orrery_core::effect::Batch;
use orrery_core::store::{Order, Read};

use super::journal::{Journal, JournalError, RecordBuilder};
use super::{OpenError, Options, Snapshot, Store};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("orrery-{name}-{}", std::process::id()));
        let _: Result<_, _> = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _: Result<_, _> = std::fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Path) -> Store {
    Store::open(folder, Options { cache_bytes: 1 << 20, checkpoint_bytes: 4096 }).unwrap()
}

/// xorshift, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
    fn key(&mut self) -> Vec<u8> {
        let table = self.roll(3) as u8;
        let mut key = vec![table];
        key.extend_from_slice(&(self.roll(400) as u32).to_be_bytes());
        key
    }
}

fn rows(snapshot: &Snapshot, from: &[u8], to: &[u8], order: Order, most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    snapshot.scan(from, to, order, &mut visit).unwrap();
    found
}

fn check(snapshot: &Snapshot, model: &Model, dice: &mut Dice) {
    for _ in 0..20 {
        let key = dice.key();
        assert_eq!(snapshot.get(&key).unwrap().as_deref(), model.get(&key).map(Vec::as_slice));
    }
    let (from, to, most) = (dice.key(), dice.key(), 1 + dice.roll(300) as usize);
    let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
    let (expected, reversed): (Vec<_>, Vec<_>) = if from < to {
        let range = model.range(from.clone()..to.clone());
        (range.clone().take(most).map(pair).collect(), range.rev().take(most).map(pair).collect())
    } else {
        (Vec::new(), Vec::new())
    };
    assert_eq!(rows(snapshot, &from, &to, Order::Ascending, most), expected);
    assert_eq!(rows(snapshot, &from, &to, Order::Descending, most), reversed);
}

/// Against an ordered map: commits, checkpoints, clean and unclean restarts, and snapshots that must not move.
#[test]
fn a_store_behaves_like_a_map() {
    for seed in 1..=6_u64 {
        let folder = Folder::new(&format!("map-{seed}"));
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut store = open(&folder.0);
        let mut model = Model::new();
        let mut kept = Vec::new();
        for _ in 0..400 {
            for _ in 0..dice.roll(3) {
                let mut batch = Batch::default();
                for _ in 0..1 + dice.roll(8) {
                    let key = dice.key();
                    let value = (dice.roll(4) > 0).then(|| vec![b'v'; dice.roll(60) as usize]);
                    match &value {
                        Some(value) => model.insert(key.clone(), value.clone()),
                        None => model.remove(&key),
                    };
                    batch.writes.push((key.into(), value.map(Bytes::from)));
                }
                batch.writes.sort_by(|a, b| a.0.cmp(&b.0));
                batch.writes.dedup_by(|later, first| {
                    // The model kept what was drawn last; so must the batch.
                    later.0 == first.0 && {
                        std::mem::swap(&mut later.1, &mut first.1);
                        true
                    }
                });
                store.add(batch);
            }
            store.flush().unwrap();
            match dice.roll(20) {
                0..4 => store.start_checkpoint(|| ()).unwrap(),
                4..8 => store.finish_checkpoint().unwrap(),
                8 => store.trim().unwrap(),
                9 => {
                    kept.clear();
                    store.close().unwrap();
                    store = open(&folder.0);
                }
                10 => {
                    // As after a crash: what the journal has is all there is.
                    kept.clear();
                    store.abandon();
                    store = open(&folder.0);
                }
                11 => kept.push((store.shared().snapshot(), model.clone())),
                _ => {}
            }
            check(&store.shared().snapshot(), &model, &mut dice);
            for (snapshot, then) in &kept {
                check(snapshot, then, &mut dice);
            }
        }
    }
}

fn batch(key: &str) -> Batch {
    Batch { writes: vec![(Bytes::copy_from_slice(key.as_bytes()), Some(Bytes::from_static(b"value")))] }
}

fn append(journal: &mut Journal, sequence: u64) {
    let mut record = RecordBuilder::default();
    record.push(&batch(&format!("key {sequence}")));
    journal.append(sequence, &mut record).unwrap();
}

fn sequences(path: &Path) -> Result<Vec<u64>, JournalError> {
    Journal::open(path).map(|(_, records)| records.iter().map(|record| record.sequence).collect())
}

#[test]
fn a_journal_cut_anywhere_loses_only_its_last_record() {
    let folder = Folder::new("cut");
    let path = folder.0.join("journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    append(&mut journal, 7);
    let two = journal.size() as usize;
    append(&mut journal, 8);
    let whole = std::fs::read(&path).unwrap();
    for length in two..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(sequences(&path).unwrap(), [7], "cut at {length}");
        let mut damaged = whole.clone();
        damaged[length] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(sequences(&path).unwrap(), [7], "damaged at {length}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), two as u64, "the bad tail is cut off");
    }
}

#[test]
fn damage_before_the_last_record_is_found() {
    let folder = Folder::new("damage");
    let path = folder.0.join("journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    (1..=3).for_each(|sequence| append(&mut journal, sequence));
    let whole = std::fs::read(&path).unwrap();
    let record = whole.len() / 3;
    for at in [20, record + 20] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(sequences(&path), Err(JournalError::Corrupt { .. })), "damaged at {at}");
    }
}

#[test]
fn a_reused_journal_shows_only_its_new_records() {
    let folder = Folder::new("reuse");
    let path = folder.0.join("journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    (1..=9).for_each(|sequence| append(&mut journal, sequence));
    journal.reuse();
    assert_eq!(sequences(&path).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8, 9], "nothing was written yet");
    (10..=12).for_each(|sequence| append(&mut journal, sequence));
    assert_eq!(sequences(&path).unwrap(), [10, 11, 12]);
}

#[test]
fn a_journal_that_does_not_follow_the_database_is_refused() {
    let folder = Folder::new("gap");
    open(&folder.0).close().unwrap();
    let (mut journal, _) = Journal::open(&folder.0.join("orrery.journal-a")).unwrap();
    append(&mut journal, 5);
    drop(journal);
    let result = Store::open(&folder.0, Options { cache_bytes: 1 << 20, checkpoint_bytes: 4096 });
    assert!(matches!(result, Err(OpenError::Gap { expected: 1, found: 5, .. })));
}

use super::*;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Batch `n` writes its own key, a key that all share, and deletes the key of the batch before it.
fn batch(n: u64) -> Batch {
    let own = (bytes(&format!("own{n}")), Some(bytes(&n.to_string())));
    let shared = (bytes("shared"), Some(bytes(&n.to_string())));
    let deleted = (bytes(&format!("own{}", n - 1)), None);
    let mut writes = vec![own, shared, deleted];
    writes.sort();
    Batch { writes }
}

fn rows(pairs: &[(&str, &str)]) -> Rows {
    pairs.iter().map(|(key, value)| (bytes(key), bytes(value))).collect()
}

/// The rows after the batches up to `n`.
fn after(n: u64) -> Rows {
    match n {
        0 => rows(&[]),
        n => rows(&[(&format!("own{n}"), &n.to_string()), ("shared", &n.to_string())]),
    }
}

/// What queries see, what core sees.
fn views(disk: &Disk) -> (Rows, Rows) {
    (disk.durable.borrow().clone(), disk.shown.borrow().clone())
}

/// Commits 1 to 5, of which 1 and 2 are durable and 3 and 4 are being written.
fn half_way(visibility: Visibility, lie: Lie) -> Disk {
    let mut disk = Disk::new(visibility, lie);
    disk.push(CommitId(1), batch(1));
    disk.push(CommitId(2), batch(2));
    assert!(disk.start_group(10));
    assert_eq!(disk.finish_group(), CommitId(2));
    for n in 3..=5 {
        disk.push(CommitId(n), batch(n));
    }
    assert!(disk.start_group(2));
    assert!(!disk.start_group(2), "one group at a time");
    disk
}

const BOTH: [Visibility; 2] = [Visibility::WhenDurable, Visibility::Early];

#[test]
fn a_group_shows_when_its_visibility_says() {
    assert_eq!(views(&half_way(Visibility::WhenDurable, Lie::None)), (after(2), after(2)));
    assert_eq!(views(&half_way(Visibility::Early, Lie::None)), (after(2), after(4)));
    for visibility in BOTH {
        let mut disk = half_way(visibility, Lie::None);
        assert_eq!(disk.finish_group(), CommitId(4));
        assert_eq!(views(&disk), (after(4), after(4)));
        assert_eq!(disk.pending(), 1);
    }
}

#[test]
fn a_crash_keeps_what_was_durable_and_a_prefix_of_the_rest() {
    for visibility in BOTH {
        for survivors in 0..=5 {
            let mut disk = half_way(visibility, Lie::None);
            disk.crash(survivors);
            let kept = (2 + survivors as u64).min(5);
            assert_eq!(views(&disk), (after(kept), after(kept)), "{visibility:?}, {survivors} survivors");
            assert_eq!(disk.pending(), 0);
        }
    }
}

#[test]
fn a_disk_writes_on_after_a_crash() {
    for visibility in BOTH {
        let mut disk = half_way(visibility, Lie::None);
        disk.crash(0);
        disk.push(CommitId(1), batch(3));
        assert!(disk.start_group(10));
        disk.finish_group();
        disk.crash(0);
        assert_eq!(views(&disk), (after(3), after(3)));
    }
}

#[test]
fn a_lying_disk_loses_what_it_acknowledged() {
    for visibility in BOTH {
        let mut disk = half_way(visibility, Lie::LosesAcknowledged);
        disk.crash(0);
        assert_eq!(views(&disk), (after(1), after(1)));
    }
}

#[test]
fn a_tearing_disk_keeps_a_half() {
    for visibility in BOTH {
        let mut disk = half_way(visibility, Lie::TearsBatches);
        disk.crash(0);
        let (torn, _) = views(&disk);
        assert_ne!(torn, after(2));
        assert_ne!(torn, after(3));
    }
}

#[test]
fn scans_go_both_ways_and_stop_when_told() {
    let disk = half_way(Visibility::WhenDurable, Lie::None);
    let storage = disk.storage();
    let scan = |from: &[u8], to: &[u8], order, stop_after: usize| {
        let mut keys = Vec::new();
        storage
            .scan(from, to, order, &mut |key, _| {
                keys.push(String::from_utf8_lossy(key).into_owned());
                if keys.len() == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        keys
    };
    assert_eq!(scan(b"a", b"z", Order::Ascending, 9), ["own2", "shared"]);
    assert_eq!(scan(b"a", b"z", Order::Descending, 9), ["shared", "own2"]);
    assert_eq!(scan(b"a", b"z", Order::Descending, 1), ["shared"]);
    assert_eq!(scan(b"own2", b"shared", Order::Ascending, 9), ["own2"]);
    assert_eq!(scan(b"z", b"a", Order::Ascending, 9), Vec::<String>::new());
}

#[test]
fn reads_fail_when_they_are_told_to() {
    let mut disk = half_way(Visibility::WhenDurable, Lie::None);
    disk.fail_reads(3);
    let storage = disk.storage();
    let failed: Vec<bool> = (0..6).map(|_| storage.get(b"shared").is_err()).collect();
    assert_eq!(failed, [false, false, true, false, false, true]);
    disk.fail_reads(0);
    assert!((0..6).all(|_| storage.get(b"shared").is_ok()));
}

#[test]
fn what_reads_for_ever_is_stopped() {
    let disk = Disk::new(Visibility::Early, Lie::None);
    let storage = disk.storage();
    let read =
        |times: u64| crate::runner::caught(|| (0..times).for_each(|_| assert_eq!(storage.get(b"own1"), Ok(None))));
    assert_eq!(read(MOST_READS), Ok(()));
    disk.begin();
    assert_eq!(read(MOST_READS), Ok(()), "it is another input");
    let failure = read(1).unwrap_err();
    assert_eq!((failure.kind, failure.checker), (crate::failure::Kind::Liveness, "return"));
}

//! The difference of two states.

use alloc::vec::Vec;

use super::node::{Branch, Path, Subtree, load};
use super::{Entry, Nodes, StateId, StateKeyHash, StorageError};

/// Is shown a key in which two states differ, and the event that each has there.
pub type VisitDifference<'v> = &'v mut dyn FnMut(&StateKeyHash, Option<u32>, Option<u32>);

/// Visits the keys in which `a` and `b` differ, in order. Reads the nodes in which they differ and no others.
pub fn diff(nodes: &dyn Nodes, a: StateId, b: StateId, visit: VisitDifference<'_>) -> Result<(), StorageError> {
    let root = |state: StateId| if state == StateId::EMPTY { Subtree::EMPTY } else { Subtree::Stored(state.0) };
    subtrees(nodes, root(a), root(b), &Path::ROOT, visit)
}

/// Compares two subtrees; one that is not read yet hangs at `at`.
fn subtrees(
    nodes: &dyn Nodes,
    a: Subtree,
    b: Subtree,
    at: &Path,
    visit: VisitDifference<'_>,
) -> Result<(), StorageError> {
    if let (Subtree::Stored(a), Subtree::Stored(b)) = (&a, &b)
        && a == b
    {
        return Ok(());
    }
    match (load(nodes, a, at)?, load(nodes, b, at)?) {
        (Subtree::Flat(a), Subtree::Flat(b)) => entries(&a, &b, visit),
        (Subtree::Flat(a), Subtree::Branch(b)) => {
            let [before, inside, after] = around(a, &b.path);
            entries(&before, &[], visit);
            slots(nodes, &b.path, scatter(inside, &b.path), b.slots, visit)?;
            entries(&after, &[], visit);
        }
        (Subtree::Branch(a), Subtree::Flat(b)) => {
            let [before, inside, after] = around(b, &a.path);
            entries(&[], &before, visit);
            slots(nodes, &a.path, a.slots, scatter(inside, &a.path), visit)?;
            entries(&[], &after, visit);
        }
        (Subtree::Branch(a), Subtree::Branch(b)) => {
            let fork = a.path.shared_with(&b.path);
            let path = a.path.cut(fork);
            slots(nodes, &path, open(*a, &path), open(*b, &path), visit)?;
        }
        _ => unreachable!("both were just read"),
    }
    Ok(())
}

fn slots(
    nodes: &dyn Nodes,
    path: &Path,
    a: [Subtree; 16],
    b: [Subtree; 16],
    visit: VisitDifference<'_>,
) -> Result<(), StorageError> {
    for (slot, (a, b)) in a.into_iter().zip(b).enumerate() {
        subtrees(nodes, a, b, &path.slot(slot), visit)?;
    }
    Ok(())
}

/// The slots that a branch has, or would have, at `path`, which its own path starts with.
fn open(branch: Branch, path: &Path) -> [Subtree; 16] {
    if branch.path == *path {
        return branch.slots;
    }
    let mut slots = [Subtree::EMPTY; 16];
    let slot = branch.path.slot_in(path);
    slots[slot] = Subtree::Branch(branch.into());
    slots
}

/// Sorted entries before, in and after the keys that start with `path`.
fn around(mut all: Vec<Entry>, path: &Path) -> [Vec<Entry>; 3] {
    let start = all.partition_point(|(key, _)| path.is_after(key));
    let mut inside = all.split_off(start);
    let after = inside.split_off(inside.partition_point(|(key, _)| path.is_prefix_of(key)));
    [all, inside, after]
}

/// Sorted entries that start with `path`, by the slot that each falls in.
fn scatter(mut all: Vec<Entry>, path: &Path) -> [Subtree; 16] {
    let mut slots = [Subtree::EMPTY; 16];
    for (slot, subtree) in slots.iter_mut().enumerate().rev() {
        *subtree = Subtree::Flat(all.split_off(all.partition_point(|(key, _)| path.slot_of(key) < slot)));
    }
    slots
}

fn entries(mut a: &[Entry], mut b: &[Entry], visit: VisitDifference<'_>) {
    loop {
        match (a.first(), b.first()) {
            (None, None) => return,
            (Some((key, ours)), Some((other, theirs))) if key == other => {
                if ours != theirs {
                    visit(key, Some(*ours), Some(*theirs));
                }
                (a, b) = (&a[1..], &b[1..]);
            }
            (Some((key, ours)), other) if other.is_none_or(|(other, _)| key < other) => {
                visit(key, Some(*ours), None);
                a = &a[1..];
            }
            (_, Some((key, theirs))) => {
                visit(key, None, Some(*theirs));
                b = &b[1..];
            }
            (Some(_), None) => unreachable!("the arm before took it"),
        }
    }
}

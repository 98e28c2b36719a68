//! The difference of two states.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::iter::empty as none;

use super::node::{self, Branch, NodeView, Path, Subtree, load};
use super::{Entry, NodeId, Nodes, StateId, StateKeyHash, StorageError};

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
    if let (Subtree::Stored(a), Subtree::Stored(b)) = (&a, &b) {
        return if a == b { Ok(()) } else { stored(nodes, a, b, at, visit) };
    }
    match (load(nodes, a, at)?, load(nodes, b, at)?) {
        (Subtree::Flat(a), Subtree::Flat(b)) => entries(a.into_iter(), b.into_iter(), visit),
        (Subtree::Flat(a), Subtree::Branch(b)) => {
            let [before, inside, after] = around(a, &b.path);
            entries(before.into_iter(), none(), visit);
            slots(nodes, &b.path, scatter(inside, &b.path), b.slots, visit)?;
            entries(after.into_iter(), none(), visit);
        }
        (Subtree::Branch(a), Subtree::Flat(b)) => {
            let [before, inside, after] = around(b, &a.path);
            entries(none(), before.into_iter(), visit);
            slots(nodes, &a.path, a.slots, scatter(inside, &a.path), visit)?;
            entries(none(), after.into_iter(), visit);
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

/// Compares two nodes. Most have the same path, and are compared as they are stored.
fn stored(
    nodes: &dyn Nodes,
    a: &NodeId,
    b: &NodeId,
    at: &Path,
    visit: VisitDifference<'_>,
) -> Result<(), StorageError> {
    let (a, b) = (node::read(nodes, a)?, node::read(nodes, b)?);
    let (a, b) = (NodeView::parse(&a, at)?, NodeView::parse(&b, at)?);
    if !a.is_branch() && !b.is_branch() {
        entries(a.entries(), b.entries(), visit);
        return Ok(());
    }
    if a.path != b.path || !a.is_branch() || !b.is_branch() {
        return subtrees(nodes, a.subtree()?, b.subtree()?, at, visit);
    }
    for slot in 0..16 {
        match (a.child_in(slot), b.child_in(slot)) {
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (None, None) => entries(a.inline(slot), b.inline(slot), visit),
            (ours, theirs) => {
                let subtree = |view: &NodeView<'_>, child: Option<NodeId>| match child {
                    Some(child) => Subtree::Stored(child),
                    None => Subtree::Flat(view.inline(slot).collect()),
                };
                subtrees(nodes, subtree(&a, ours), subtree(&b, theirs), &a.path.slot(slot), visit)?;
            }
        }
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

/// Compares sorted entries.
fn entries(a: impl Iterator<Item = Entry>, b: impl Iterator<Item = Entry>, visit: VisitDifference<'_>) {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((key, _)), Some((other, _))) => key.cmp(other),
        };
        let ours = a.next_if(|_| order.is_le());
        let theirs = b.next_if(|_| order.is_ge());
        match (ours, theirs) {
            (Some((key, ours)), Some((_, theirs))) if ours != theirs => visit(&key, Some(ours), Some(theirs)),
            (Some((key, ours)), None) => visit(&key, Some(ours), None),
            (None, Some((key, theirs))) => visit(&key, None, Some(theirs)),
            _ => {}
        }
    }
}

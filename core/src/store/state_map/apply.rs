//! The state after a change.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::node::{Branch, MAX_FLAT, Path, Subtree, load, malformed};
use super::{Entry, Nodes, NodesMut, StateId, StateKeyHash, StorageError};

/// A key and its new event; `None` takes it out.
pub type Change = (StateKeyHash, Option<u32>);

/// Puts the nodes of `state` with `changes` made, and answers its id. Of several changes to one key the last counts.
///
/// Reads and writes a node per level for a change, and those that changes have in common only once. Writes nothing where
/// nothing changes.
pub fn apply(nodes: &mut dyn NodesMut, state: StateId, changes: &[Change]) -> Result<StateId, StorageError> {
    let mut sorted: Vec<Change> = Vec::with_capacity(changes.len());
    sorted.extend(changes);
    sorted.sort_by_key(|(key, _)| *key);
    // Of equal keys the sort left the last change last.
    sorted.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 = later.1;
        }
        same
    });
    let before = if state == StateId::EMPTY { Subtree::EMPTY } else { Subtree::Stored(state.0) };
    let after = change(nodes, before, &Path::ROOT, &sorted)?;
    Ok(match after.subtree {
        _ if !after.changed => state,
        Subtree::Flat(entries) if entries.is_empty() => StateId::EMPTY,
        subtree => StateId(subtree.store(nodes, &Path::ROOT)),
    })
}

struct Changed {
    subtree: Subtree,
    /// By how many entries it grew.
    growth: i32,
    changed: bool,
}

/// Makes sorted `changes`, all of whose keys start with `at`, in the subtree there.
fn change(nodes: &dyn Nodes, subtree: Subtree, at: &Path, changes: &[Change]) -> Result<Changed, StorageError> {
    match subtree {
        Subtree::Stored(id) => {
            let after = change(nodes, load(nodes, subtree, at)?, at, changes)?;
            Ok(if after.changed { after } else { Changed { subtree: Subtree::Stored(id), ..after } })
        }
        Subtree::Flat(entries) => Ok(change_flat(entries, changes)),
        Subtree::Branch(branch) => change_branch(nodes, branch, changes),
    }
}

fn change_flat(entries: Vec<Entry>, changes: &[Change]) -> Changed {
    let before = entries.len();
    let mut changed = false;
    let mut merged = Vec::with_capacity(before + changes.len());
    let mut old = entries.into_iter().peekable();
    for (key, event) in changes {
        while let Some(entry) = old.next_if(|(old_key, _)| old_key < key) {
            merged.push(entry);
        }
        let replaced = old.next_if(|(old_key, _)| old_key == key).map(|(_, old_event)| old_event);
        changed |= replaced != *event;
        merged.extend(event.map(|event| (*key, event)));
    }
    merged.extend(old);
    let growth = merged.len() as i32 - before as i32;
    Changed { subtree: Subtree::of(merged), growth, changed }
}

fn change_branch(nodes: &dyn Nodes, mut branch: Box<Branch>, changes: &[Change]) -> Result<Changed, StorageError> {
    // A new key that leaves the branch's path on the way makes a branch where it leaves it.
    let inserted = changes.iter().filter(|(_, event)| event.is_some());
    let fork = inserted.map(|(key, _)| branch.path.shared(key)).min().unwrap_or(branch.path.len());
    if fork < branch.path.len() {
        let mut above = Branch::new(branch.path.cut(fork), branch.count);
        let slot = branch.path.slot_in(&above.path);
        above.slots[slot] = Subtree::Branch(branch);
        branch = Box::new(above);
    }

    let (mut growth, mut changed) = (0, false);
    let inside = changes.iter().position(|(key, _)| branch.path.is_prefix_of(key)).unwrap_or(changes.len());
    let mut rest = &changes[inside..];
    while let Some((first, _)) = rest.first()
        && branch.path.is_prefix_of(first)
    {
        let at = branch.path.of_slot(first);
        let (group, others) = rest.split_at(rest.partition_point(|(key, _)| at.is_prefix_of(key)));
        rest = others;
        let slot = &mut branch.slots[branch.path.slot_of(first)];
        let after = change(nodes, core::mem::replace(slot, Subtree::EMPTY), &at, group)?;
        *slot = after.subtree;
        growth += after.growth;
        changed |= after.changed;
    }
    branch.count = branch.count.checked_add_signed(growth).ok_or_else(|| malformed("its count is too small"))?;
    let subtree = if changed { canonical(nodes, branch)? } else { Subtree::Branch(branch) };
    Ok(Changed { subtree, growth, changed })
}

/// A branch whose slots are as they should be, in the shape that its contents have.
fn canonical(nodes: &dyn Nodes, mut branch: Box<Branch>) -> Result<Subtree, StorageError> {
    if branch.count as usize <= MAX_FLAT {
        let (count, path) = (branch.count, branch.path);
        let mut entries = Vec::with_capacity(MAX_FLAT);
        collect(nodes, Subtree::Branch(branch), &path, &mut entries)?;
        if entries.len() != count as usize {
            return Err(malformed("its count is not that of its entries"));
        }
        return Ok(Subtree::Flat(entries));
    }
    let mut occupied = (0..16).filter(|&slot| !matches!(&branch.slots[slot], Subtree::Flat(none) if none.is_empty()));
    let (Some(slot), None) = (occupied.next(), occupied.next()) else {
        return Ok(Subtree::Branch(branch));
    };
    // Everything is in one slot: its keys share a longer path.
    let only = core::mem::replace(&mut branch.slots[slot], Subtree::EMPTY);
    let only = load(nodes, only, &branch.path.slot(slot))?;
    if only.count() == branch.count { Ok(only) } else { Err(malformed("its count is not that of its entries")) }
}

/// Adds the entries of a subtree that has at most [`MAX_FLAT`].
fn collect(nodes: &dyn Nodes, subtree: Subtree, at: &Path, out: &mut Vec<Entry>) -> Result<(), StorageError> {
    match load(nodes, subtree, at)? {
        Subtree::Branch(branch) => {
            let Branch { path, slots, .. } = *branch;
            for (slot, subtree) in slots.into_iter().enumerate() {
                collect(nodes, subtree, &path.slot(slot), out)?;
            }
        }
        Subtree::Flat(entries) => out.extend(entries),
        Subtree::Stored(_) => unreachable!("it was just read"),
    }
    if out.len() > MAX_FLAT { Err(malformed("its count is too small")) } else { Ok(()) }
}

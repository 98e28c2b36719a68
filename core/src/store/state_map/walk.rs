//! The entries of a state, of all types or of one.

use core::ops::ControlFlow;

use super::node::{self, Branch, NodeView, Path, Subtree, load};
use super::{KindRange, Nodes, StateId, StateKeyHash, StorageError};

/// Is shown one entry at a time, and says whether to go on.
pub type VisitEntry<'v> = &'v mut dyn FnMut(&StateKeyHash, u32) -> ControlFlow<()>;

/// Visits the entries of `state` in the order of their keys: all, or those of one type. Reads no nodes but theirs and those
/// above.
pub fn walk(
    nodes: &dyn Nodes,
    state: StateId,
    kind: Option<KindRange>,
    visit: VisitEntry<'_>,
) -> Result<(), StorageError> {
    if state == StateId::EMPTY {
        return Ok(());
    }
    let kind = kind.unwrap_or(KindRange::ALL);
    visit_subtree(nodes, Subtree::Stored(state.0), &Path::ROOT, kind, visit).map(drop)
}

fn visit_subtree(
    nodes: &dyn Nodes,
    subtree: Subtree,
    at: &Path,
    kind: KindRange,
    visit: VisitEntry<'_>,
) -> Result<ControlFlow<()>, StorageError> {
    match load(nodes, subtree, at)? {
        Subtree::Branch(branch) => {
            for (slot, subtree) in branch.slots.into_iter().enumerate() {
                let at = branch.path.slot(slot);
                if at.meets(kind) && visit_subtree(nodes, subtree, &at, kind, visit)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        }
        Subtree::Flat(entries) => {
            let mut inside = entries.iter().filter(|(key, _)| kind.contains(key));
            Ok(inside.try_for_each(|(key, event)| visit(key, *event)))
        }
        Subtree::Stored(_) => unreachable!("it was just read"),
    }
}

/// The number of entries of `state` of one type. Reads a node per level at most.
pub fn count(nodes: &dyn Nodes, state: StateId, kind: KindRange) -> Result<u32, StorageError> {
    if state == StateId::EMPTY {
        return Ok(0);
    }
    if kind == KindRange::MEMBERS {
        // They are in many slots, and everything else is in one.
        let others = count(nodes, state, KindRange::OTHERS)?;
        return Ok(super::len(nodes, state)?.saturating_sub(others));
    }
    let path = Path::of_kind(kind);
    let (mut subtree, mut at) = (Subtree::Stored(state.0), Path::ROOT);
    loop {
        if let Subtree::Stored(id) = subtree {
            let bytes = node::read(nodes, &id)?;
            let view = NodeView::parse(&bytes, &at)?;
            if view.path.starts_with(&path) {
                return Ok(view.count);
            }
            subtree = view.subtree()?;
        }
        match subtree {
            Subtree::Branch(branch) if path.starts_with(&branch.path) => {
                let slot = path.slot_in(&branch.path);
                at = branch.path.slot(slot);
                let Branch { mut slots, .. } = *branch;
                subtree = core::mem::replace(&mut slots[slot], Subtree::EMPTY);
            }
            Subtree::Branch(_) => return Ok(0),
            Subtree::Flat(entries) => {
                return Ok(entries.iter().filter(|(key, _)| path.is_prefix_of(key)).count() as u32);
            }
            Subtree::Stored(_) => unreachable!("it was just read"),
        }
    }
}

//! Room state as a persistent map with structure sharing, in storage as in memory.
//!
//! A state is a trie over [`StateKeyHash`]es whose nodes are named by the hash of their contents. Its shape depends on what
//! is in it and on nothing else: not on the order of changes, not on what was deleted. So equal states are one state
//! ([`StateId`]s compare), a change writes one node per level (four among 100 000 members), and two states are compared by
//! walking only where their nodes differ. Nothing here costs the size of the room.
//!
//! The shape: a set of at most 48 entries is one flat node. A larger set is a branch at the longest path that its keys share,
//! with a slot per following nibble; a slot of at most two entries lies in the branch itself, a larger one is a node of its
//! own.

mod apply;
mod diff;
mod node;
mod walk;

use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Ordering;
use core::fmt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::StorageError;
use node::{NodeView, Path};

pub use apply::{Change, apply};
pub use diff::{VisitDifference, diff};
pub use walk::{VisitEntry, count, walk};

#[cfg(test)]
mod tests;

/// Names one state of one room: the id of its root node. Equal states have equal ids.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Serialize, Deserialize)]
pub struct StateId(pub NodeId);

/// The first 16 bytes of SHA-256 over a node's encoding.
pub type NodeId = [u8; 16];

impl StateId {
    /// The state before a room's first event: no entries, and no node.
    pub const EMPTY: StateId = StateId([0; 16]);
}

impl fmt::Debug for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateId({:032x})", u128::from_be_bytes(self.0))
    }
}

/// The bytes of a [`StateKeyHash`].
const KEY_LEN: usize = 16;

/// Where the entry of an event type and state key lies. The entries of one type lie together, and nobody finds two state keys
/// that fall on one entry: that takes 2^64 hashes for memberships and 2^56 for other types.
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct StateKeyHash([u8; KEY_LEN]);

/// The order of the bytes, which two numbers tell faster.
impl Ord for StateKeyHash {
    fn cmp(&self, other: &StateKeyHash) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}
impl PartialOrd for StateKeyHash {
    fn partial_cmp(&self, other: &StateKeyHash) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl StateKeyHash {
    #[must_use]
    pub fn new(kind: &str, state_key: &str) -> StateKeyHash {
        let mut hash = Sha256::new();
        // With its length before it, no type runs into a state key.
        hash.update((kind.len() as u64).to_be_bytes());
        hash.update(kind.as_bytes());
        hash.update(state_key.as_bytes());
        let hash = hash.finalize();
        let range = KindRange::of(kind);
        let spread = u64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]));
        let inside = ((u64::from(range.last - range.first) + 1) * spread) >> 32;
        let mut out = [0; KEY_LEN];
        out[..4].copy_from_slice(&(range.first + inside as u32).to_be_bytes());
        out[4..].copy_from_slice(&hash[4..KEY_LEN]);
        StateKeyHash(out)
    }

    /// For tables that keep it; [`StateKeyHash::from_bytes`] reads it again.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> StateKeyHash {
        StateKeyHash(bytes)
    }
}

/// The first four bytes of the keys of one event type, from and to.
///
/// Memberships have theirs to themselves, and a wide range of them: they fill the first level of the trie, and everything
/// else is in its last slot. Another type has 12 bits of its hash there and may share them: whoever walks it looks at the
/// events' types.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct KindRange {
    first: u32,
    last: u32,
}

impl KindRange {
    pub const MEMBERS: KindRange = KindRange { first: 0, last: 0xefff_ffff };
    /// Every type but memberships.
    pub const OTHERS: KindRange = KindRange { first: 0xf000_0000, last: 0xffff_ffff };
    const ALL: KindRange = KindRange { first: 0, last: 0xffff_ffff };

    #[must_use]
    pub fn of(kind: &str) -> KindRange {
        if kind == "m.room.member" {
            return KindRange::MEMBERS;
        }
        let hash = Sha256::digest(kind.as_bytes());
        let first = KindRange::OTHERS.first | u32::from_be_bytes([hash[0], hash[1], 0, 0]);
        KindRange { first, last: first | 0xffff }
    }

    fn contains(self, key: &StateKeyHash) -> bool {
        (self.first..=self.last).contains(&u32::from_be_bytes([key.0[0], key.0[1], key.0[2], key.0[3]]))
    }
}

impl fmt::Debug for StateKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One entry: a state key and the number, within the room, of the event that sets it.
type Entry = (StateKeyHash, u32);

/// Where nodes are read from: one room's table of them.
pub trait Nodes {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError>;
}

/// Where new nodes are written to. A node that is there already may be put again, and is the same.
pub trait NodesMut: Nodes {
    fn put_node(&mut self, id: NodeId, node: Vec<u8>);
}

/// The number of the event that `state` has under `key`. Reads a node per level.
///
/// # Errors
/// Storage failed, or a node is missing or malformed; so for every function here.
pub fn get(nodes: &dyn Nodes, state: StateId, key: &StateKeyHash) -> Result<Option<u32>, StorageError> {
    if state == StateId::EMPTY {
        return Ok(None);
    }
    let (mut id, mut at) = (state.0, Path::ROOT);
    loop {
        let bytes = node::read(nodes, &id)?;
        let view = NodeView::parse(&bytes, &at)?;
        if !view.path.is_prefix_of(key) {
            return Ok(None);
        }
        match view.child(key) {
            Some(child) => (id, at) = (child, view.path.of_slot(key)),
            None => return Ok(view.find(key)),
        }
    }
}

/// The number of entries of `state`. Reads one node.
pub fn len(nodes: &dyn Nodes, state: StateId) -> Result<u32, StorageError> {
    if state == StateId::EMPTY {
        return Ok(0);
    }
    let bytes = node::read(nodes, &state.0)?;
    Ok(NodeView::parse(&bytes, &Path::ROOT)?.count)
}

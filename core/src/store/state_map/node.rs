//! The nodes of a state: their encoding, and their shape in memory.
//!
//! A node is, in this order:
//! - the number of entries below it, in LEB128;
//! - the nibbles that all its keys share beyond the slot it hangs in: their number (one byte), then two to a byte;
//! - in a branch (more than [`MAX_FLAT`] entries) the slots that are nodes: a bit each in two bytes, then their ids;
//! - the entries that lie in the node itself, by key: the key from the byte on in which keys differ, then the event's
//!   number in four bytes. All numbers but the first are big-endian.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Entry, KEY_LEN, KindRange, NodeId, Nodes, NodesMut, StateKeyHash, StorageError};

/// The entries up to which a set is one flat node. Measured from 10 to 200 000 members together with [`MAX_INLINE`]: two
/// nodes and 0.5 to 0.8 kB for a join among up to 300, four nodes and 1 to 1.3 kB among up to 100 000. Smaller nodes
/// write somewhat less in more nodes, and a node costs the storage a page of its own.
pub(super) const MAX_FLAT: usize = 48;
/// The entries up to which a slot lies in its branch.
pub(super) const MAX_INLINE: usize = 2;
/// The nibbles of a key.
const NIBBLES: usize = 2 * KEY_LEN;
const ID_LEN: usize = size_of::<NodeId>();

/// The first `len` nibbles of a key; the rest of `key` is zero.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    key: [u8; KEY_LEN],
    len: usize,
}

fn nibble(bytes: &[u8], index: usize) -> u8 {
    let byte = bytes[index / 2];
    if index.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}

/// The number of nibbles that two keys share at their start.
fn shared(a: &[u8; KEY_LEN], b: &[u8; KEY_LEN]) -> usize {
    let bytes = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    2 * bytes + usize::from(bytes < KEY_LEN && a[bytes] >> 4 == b[bytes] >> 4)
}

impl Path {
    pub const ROOT: Path = Path { key: [0; KEY_LEN], len: 0 };

    /// The first `len` nibbles of `key`.
    pub fn of(key: &[u8; KEY_LEN], len: usize) -> Path {
        let mut out = Path { key: [0; KEY_LEN], len };
        out.key[..len / 2].copy_from_slice(&key[..len / 2]);
        if !len.is_multiple_of(2) {
            out.key[len / 2] = key[len / 2] & 0xf0;
        }
        out
    }
    /// The longest path that all entries share; they are sorted, and there is one.
    fn of_all(entries: &[Entry]) -> Path {
        let (first, last) = (&entries[0].0.0, &entries[entries.len() - 1].0.0);
        Path::of(first, shared(first, last))
    }
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_prefix_of(&self, key: &StateKeyHash) -> bool {
        self.shared(key) == self.len
    }
    /// The longest path that all keys of a type share.
    pub fn of_kind(kind: KindRange) -> Path {
        let mut key = [0; KEY_LEN];
        key[..4].copy_from_slice(&kind.first.to_be_bytes());
        Path::of(&key, (kind.first ^ kind.last).leading_zeros() as usize / 4)
    }
    /// Whether keys that start with this path may be of a type.
    pub fn meets(&self, kind: KindRange) -> bool {
        let first = u32::from_be_bytes([self.key[0], self.key[1], self.key[2], self.key[3]]);
        let last = first | u32::MAX.checked_shr(4 * self.len as u32).unwrap_or(0);
        first <= kind.last && kind.first <= last
    }
    pub fn starts_with(&self, other: &Path) -> bool {
        self.shared_with(other) == other.len
    }
    /// How much of this path `key` has.
    pub fn shared(&self, key: &StateKeyHash) -> usize {
        shared(&self.key, &key.0).min(self.len)
    }
    /// The path of the slot that `key` falls in, in a branch here. Only for paths that are not a whole key.
    pub fn of_slot(&self, key: &StateKeyHash) -> Path {
        Path::of(&key.0, self.len + 1)
    }
    /// The path of slot `slot` of a branch here.
    pub fn slot(&self, slot: usize) -> Path {
        let mut out = Path { len: self.len + 1, ..*self };
        out.key[self.len / 2] |= (slot as u8) << if self.len.is_multiple_of(2) { 4 } else { 0 };
        out
    }
    /// The slot that this path goes through in a branch at `branch`, a shorter path that it starts with.
    pub fn slot_in(&self, branch: &Path) -> usize {
        usize::from(nibble(&self.key, branch.len))
    }
    /// The slot that `key` falls in, in a branch here.
    pub fn slot_of(&self, key: &StateKeyHash) -> usize {
        usize::from(nibble(&key.0, self.len))
    }
    /// Whether all keys that start with this path come after `key`.
    pub fn is_after(&self, key: &StateKeyHash) -> bool {
        key.0 < self.key
    }
    pub fn shared_with(&self, other: &Path) -> usize {
        shared(&self.key, &other.key).min(self.len).min(other.len)
    }
    /// The first `len` nibbles of this path, which is no shorter.
    pub fn cut(&self, len: usize) -> Path {
        Path::of(&self.key, len)
    }
}

/// A set of entries: as it lies in memory while it is read or changed.
#[derive(Debug)]
pub(super) enum Subtree {
    /// At most [`MAX_FLAT`] entries, sorted; possibly none.
    Flat(Vec<Entry>),
    /// More than that.
    Branch(Box<Branch>),
    /// Somewhere in storage, and not read.
    Stored(NodeId),
}

#[derive(Debug)]
pub(super) struct Branch {
    /// What all keys below share.
    pub path: Path,
    pub count: u32,
    pub slots: [Subtree; 16],
}

impl Subtree {
    pub const EMPTY: Subtree = Subtree::Flat(Vec::new());

    /// The one shape of a sorted set.
    pub fn of(mut entries: Vec<Entry>) -> Subtree {
        if entries.len() <= MAX_FLAT {
            return Subtree::Flat(entries);
        }
        let path = Path::of_all(&entries);
        let mut branch = Branch::new(path, entries.len() as u32);
        for slot in (0..16).rev() {
            let start = entries.partition_point(|(key, _)| path.slot_of(key) < slot);
            branch.slots[slot] = Subtree::of(entries.split_off(start));
        }
        Subtree::Branch(Box::new(branch))
    }

    /// The entries in it; what is stored must have been read.
    pub fn count(&self) -> u32 {
        match self {
            Subtree::Flat(entries) => entries.len() as u32,
            Subtree::Branch(branch) => branch.count,
            Subtree::Stored(_) => unreachable!("a stored subtree is read before it is counted"),
        }
    }

    /// Puts what is not stored yet, and answers the id of the node; the subtree hangs at `at` and is not empty.
    pub fn store(&self, nodes: &mut dyn NodesMut, at: &Path) -> NodeId {
        let node = match self {
            Subtree::Stored(id) => return *id,
            Subtree::Flat(entries) => {
                let path = Path::of_all(entries);
                let mut out = header(entries.len() as u32, at, &path);
                write_entries(&mut out, &path, entries);
                out
            }
            Subtree::Branch(branch) => {
                let mut out = header(branch.count, at, &branch.path);
                let (mut children, mut ids) = (0u16, Vec::new());
                for (slot, subtree) in branch.slots.iter().enumerate() {
                    if !matches!(subtree, Subtree::Flat(entries) if entries.len() <= MAX_INLINE) {
                        children |= 1 << slot;
                        ids.extend_from_slice(&subtree.store(nodes, &branch.path.slot(slot)));
                    }
                }
                out.extend_from_slice(&children.to_be_bytes());
                out.extend_from_slice(&ids);
                for subtree in &branch.slots {
                    if let Subtree::Flat(entries) = subtree
                        && entries.len() <= MAX_INLINE
                    {
                        write_entries(&mut out, &branch.path, entries);
                    }
                }
                out
            }
        };
        let id = node_id(&node);
        nodes.put_node(id, node);
        id
    }
}

impl Branch {
    pub fn new(path: Path, count: u32) -> Branch {
        Branch { path, count, slots: [Subtree::EMPTY; 16] }
    }
}

fn node_id(node: &[u8]) -> NodeId {
    let mut id = [0; ID_LEN];
    id.copy_from_slice(&Sha256::digest(node)[..ID_LEN]);
    id
}

fn header(mut count: u32, at: &Path, path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    while count >= 0x80 {
        out.push(count as u8 | 0x80);
        count >>= 7;
    }
    out.push(count as u8);
    out.push((path.len - at.len) as u8);
    for index in (at.len..path.len).step_by(2) {
        let low = if index + 1 < path.len { nibble(&path.key, index + 1) } else { 0 };
        out.push(nibble(&path.key, index) << 4 | low);
    }
    out
}

fn write_entries(out: &mut Vec<u8>, path: &Path, entries: &[Entry]) {
    for (key, event) in entries {
        out.extend_from_slice(&key.0[path.len / 2..]);
        out.extend_from_slice(&event.to_be_bytes());
    }
}

/// A node as it is in storage, checked as far as reading one key needs.
pub(super) struct NodeView<'n> {
    pub path: Path,
    pub count: u32,
    children: u16,
    ids: &'n [u8],
    entries: &'n [u8],
}

pub(super) fn malformed(what: &str) -> StorageError {
    StorageError(format!("a state node is malformed: {what}"))
}

/// The first byte, or the first `len`, of what is left.
fn take<'n>(from: &mut &'n [u8], len: usize) -> Result<&'n [u8], StorageError> {
    let (head, rest) = from.split_at_checked(len).ok_or_else(|| malformed("it is cut short"))?;
    *from = rest;
    Ok(head)
}

impl<'n> NodeView<'n> {
    /// Reads a node that hangs at `at`.
    pub fn parse(mut node: &'n [u8], at: &Path) -> Result<NodeView<'n>, StorageError> {
        let rest = &mut node;
        let mut count = 0u32;
        for shift in (0..).step_by(7) {
            let byte = take(rest, 1)?[0];
            let bits = u32::from(byte & 0x7f);
            if shift > 28 || bits << shift >> shift != bits {
                return Err(malformed("its count is too large"));
            }
            count |= bits << shift;
            if byte < 0x80 {
                break;
            }
        }
        let more = usize::from(take(rest, 1)?[0]);
        let nibbles = take(rest, more.div_ceil(2))?;
        if at.len + more > NIBBLES {
            return Err(malformed("its path is longer than a key"));
        }
        let mut path = *at;
        for index in 0..more {
            path = path.slot(usize::from(nibble(nibbles, index)));
        }
        let (mut children, mut ids) = (0, &[][..]);
        if count as usize > MAX_FLAT {
            let bits = take(rest, 2)?;
            children = u16::from_be_bytes([bits[0], bits[1]]);
            ids = take(rest, children.count_ones() as usize * ID_LEN)?;
            if path.len == NIBBLES {
                return Err(malformed("a branch has no nibble left"));
            }
        }
        let view = NodeView { path, count, children, ids, entries: rest };
        if !view.entries.len().is_multiple_of(view.entry_len()) {
            return Err(malformed("its last entry is cut short"));
        }
        if view.children == 0 && view.entries.len() / view.entry_len() != count as usize {
            return Err(malformed("its count is not that of its entries"));
        }
        Ok(view)
    }

    fn key_len(&self) -> usize {
        KEY_LEN - self.path.len / 2
    }
    fn entry_len(&self) -> usize {
        self.key_len() + size_of::<u32>()
    }
    fn entry(&self, index: usize) -> (&'n [u8], u32) {
        let (key, event) = self.entries[index * self.entry_len()..][..self.entry_len()].split_at(self.key_len());
        (key, u32::from_be_bytes([event[0], event[1], event[2], event[3]]))
    }
    /// The node in a slot of a branch.
    pub fn child_in(&self, slot: usize) -> Option<NodeId> {
        if self.children >> slot & 1 == 0 {
            return None;
        }
        let before = (self.children & ((1 << slot) - 1)).count_ones() as usize;
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&self.ids[before * ID_LEN..][..ID_LEN]);
        Some(id)
    }

    pub fn is_branch(&self) -> bool {
        self.count as usize > MAX_FLAT
    }

    /// The entries that lie in the node itself, in order unless it is damaged.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..self.entries.len() / self.entry_len()).map(|index| {
            let (suffix, event) = self.entry(index);
            let mut key = StateKeyHash(self.path.key);
            key.0[self.path.len / 2..].copy_from_slice(suffix);
            (key, event)
        })
    }

    /// The entries that lie in a slot of a branch.
    pub fn inline(&self, slot: usize) -> impl Iterator<Item = Entry> {
        self.entries().filter(move |(key, _)| self.path.slot_of(key) == slot)
    }

    /// The node that `key`, which has this node's path, is in, if it is another one.
    pub fn child(&self, key: &StateKeyHash) -> Option<NodeId> {
        if self.children == 0 { None } else { self.child_in(self.path.slot_of(key)) }
    }

    /// The event of `key`, which has this node's path, in this node.
    pub fn find(&self, key: &StateKeyHash) -> Option<u32> {
        let key = &key.0[self.path.len / 2..];
        let (mut low, mut high) = (0, self.entries.len() / self.entry_len());
        while low < high {
            let middle = (low + high) / 2;
            let (found, event) = self.entry(middle);
            match found.cmp(key) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Equal => return Some(event),
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The whole node in memory, checked in full but for what is below it.
    pub fn subtree(&self) -> Result<Subtree, StorageError> {
        let mut entries: Vec<Entry> = Vec::with_capacity(self.entries.len() / self.entry_len());
        for (key, event) in self.entries() {
            if !self.path.is_prefix_of(&key) || entries.last().is_some_and(|(last, _)| *last >= key) {
                return Err(malformed("its entries are not in order"));
            }
            entries.push((key, event));
        }
        if !self.is_branch() {
            return if entries.is_empty() { Err(malformed("it is empty")) } else { Ok(Subtree::Flat(entries)) };
        }
        let mut branch = Branch::new(self.path, self.count);
        for slot in (0..16).rev() {
            let start = entries.partition_point(|(key, _)| self.path.slot_of(key) < slot);
            let inline = entries.split_off(start);
            branch.slots[slot] = match self.child_in(slot) {
                Some(id) if inline.is_empty() => Subtree::Stored(id),
                None if inline.len() <= MAX_INLINE => Subtree::Flat(inline),
                _ => return Err(malformed("a slot has too many entries")),
            };
        }
        Ok(Subtree::Branch(Box::new(branch)))
    }
}

pub(super) fn read(nodes: &dyn Nodes, id: &NodeId) -> Result<Bytes, StorageError> {
    let missing = || StorageError(format!("state node {:032x} is missing", u128::from_be_bytes(*id)));
    nodes.node(id)?.ok_or_else(missing)
}

/// Reads the subtree that hangs at `at`, if it is not in memory yet.
pub(super) fn load(nodes: &dyn Nodes, subtree: Subtree, at: &Path) -> Result<Subtree, StorageError> {
    match subtree {
        Subtree::Stored(id) => NodeView::parse(&read(nodes, &id)?, at)?.subtree(),
        subtree => Ok(subtree),
    }
}

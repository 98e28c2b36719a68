//! What is remembered of counts, so that each event is looked at once for each user who syncs.

use alloc::collections::BTreeMap;

use super::tally::Tally;
use crate::limits::MAX_TALLIES;
use crate::store::tables::RoomNum;

/// Tallies by who reads (a number that no two users share) and room. At most [`MAX_TALLIES`]: beyond it, the one that was not asked for
/// longest is forgotten.
#[derive(Debug, Default)]
pub struct Tallies {
    by_reader: BTreeMap<(u64, RoomNum), (u64, Tally)>,
    by_use: BTreeMap<u64, (u64, RoomNum)>,
    last: u64,
}

impl Tallies {
    /// Takes a tally out, until it is put back.
    pub fn take(&mut self, reader: u64, room: RoomNum) -> Option<Tally> {
        let (used, tally) = self.by_reader.remove(&(reader, room))?;
        self.by_use.remove(&used);
        Some(tally)
    }

    pub fn put(&mut self, reader: u64, room: RoomNum, tally: Tally) {
        self.last += 1;
        self.by_reader.insert((reader, room), (self.last, tally));
        self.by_use.insert(self.last, (reader, room));
        if self.by_reader.len() > MAX_TALLIES
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_reader.remove(&oldest);
        }
    }

    /// Forgets what is remembered of a reader.
    pub fn forget(&mut self, reader: u64) {
        let rooms = self.by_reader.range((reader, RoomNum(0))..=(reader, RoomNum(u32::MAX)));
        let rooms: alloc::vec::Vec<RoomNum> = rooms.map(|((_, room), _)| *room).collect();
        for room in rooms {
            self.take(reader, room);
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_reader.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_reader.is_empty()
    }
}

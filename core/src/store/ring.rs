//! Rings: of rows that anybody can have made, only so many are kept, and the newest takes the place of the one that came longest ago.

use super::codec::Record;
use super::read::StorageError;
use super::tables::{Table, Write};

/// The places of a ring, which are taken in turn.
#[derive(Debug)]
pub struct Ring {
    next: Table<(), u32>,
    places: u32,
}

impl Ring {
    /// `tag` is that of the table that knows the next place.
    #[must_use]
    pub const fn new(tag: u8, places: u32) -> Ring {
        Ring { next: Table::new(tag), places }
    }

    /// The place of a new row.
    pub fn take(&self, write: &mut (impl Write + ?Sized)) -> Result<u32, StorageError> {
        let place = self.next.get(write, ())?.unwrap_or(0);
        self.next.put(write, (), &((place + 1) % self.places));
        Ok(place)
    }

    /// Puts a row among `rows`, which are by place: its place, and the row that was there.
    pub fn put<R: Record>(
        &self,
        write: &mut (impl Write + ?Sized),
        rows: &Table<u32, R>,
        row: &R,
    ) -> Result<(u32, Option<R>), StorageError> {
        let place = self.take(write)?;
        let before = rows.get(write, place)?;
        rows.put(write, place, row);
        Ok((place, before))
    }
}

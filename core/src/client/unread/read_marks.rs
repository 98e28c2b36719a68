//! How far a user has read a room, by their receipts.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::identifiers::UserId;
use crate::room::Room;
use crate::room::receipts;
use crate::room::relation::MAIN;
use crate::store::tables::Position;
use crate::store::{Read, StorageError};

/// The receipts of a user in a room. Of public and private ones the one counts that is further (Client-Server API, "Private read
/// receipts").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadMarks {
    /// Up to which order everything is read, in whatever thread.
    everything: Option<i64>,
    /// The same of the events of a thread.
    threads: BTreeMap<String, i64>,
    /// When one of them moved last.
    pub moved_at: Position,
}

impl ReadMarks {
    pub fn of(read: &(impl Read + ?Sized), room: &Room, user_id: &UserId) -> Result<ReadMarks, StorageError> {
        let mut marks = ReadMarks::default();
        for (position, receipt) in receipts::of_user(read, room.num, user_id)? {
            marks.moved_at = marks.moved_at.max(position);
            match receipt.thread_id {
                None => marks.everything = marks.everything.max(Some(receipt.order)),
                Some(thread) => {
                    let mark = marks.threads.entry(thread).or_insert(receipt.order);
                    *mark = receipt.order.max(*mark);
                }
            }
        }
        Ok(marks)
    }

    /// Up to which order everything is read, in whatever thread.
    #[must_use]
    pub fn everything(&self) -> Option<i64> {
        self.everything
    }

    /// Whether an event of a thread (`None`: of the main timeline) is read.
    #[must_use]
    pub fn has_read(&self, thread: Option<&str>, order: i64) -> bool {
        let mark = self.threads.get(thread.unwrap_or(MAIN)).copied();
        mark.max(self.everything).is_some_and(|mark| order <= mark)
    }
}

//! What a user has not read in a room: how many events notify them, and how many of those are highlighted (Client-Server API,
//! "Receiving notifications").
//!
//! Nothing is written when an event comes, however many members its room has. Whoever asks counts, from the user's receipts on
//! ([`tally::Tally`]), and the sync machine keeps what it has counted ([`tallies::Tallies`]). What is kept is always what a new count
//! would find.

pub mod around;
pub mod notifications;
pub mod read_marks;
pub mod tallies;
pub mod tally;

use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::rc::Rc;

use super::account_data::ignored_users;
use super::json_writer::Members;
use super::push_rules::judge::PushRules;
use super::push_rules::ruleset::Ruleset;
use crate::identifiers::{EventId, UserId};
use crate::store::tables::Position;
use crate::store::{Read, StorageError};

/// Who reads, and what decides which events notify them.
#[derive(Clone, Debug)]
pub struct Reader {
    pub user_id: UserId,
    pub rules: Rc<PushRules>,
    pub ignored: Rc<BTreeSet<UserId>>,
}

impl Reader {
    /// A user with the rules and ignored users that are stored. `defaults` gives the rules of those who have changed none.
    pub fn load(
        read: &dyn Read,
        user_id: &UserId,
        defaults: impl FnOnce() -> Rc<PushRules>,
    ) -> Result<Reader, StorageError> {
        let ruleset = Ruleset::of(read, user_id)?;
        Ok(Reader {
            user_id: user_id.clone(),
            rules: if ruleset == Ruleset::default() { defaults() } else { Rc::new(PushRules::of(&ruleset)) },
            ignored: Rc::new(ignored_users(read, user_id)?),
        })
    }
}

/// Numbers of events that a user has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that notify the user.
    pub notifications: u32,
    /// Those of them that are highlighted.
    pub highlights: u32,
}

impl Counts {
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            notifications: self.notifications + other.notifications,
            highlights: self.highlights + other.highlights,
        }
    }

    fn write(self, out: &mut alloc::vec::Vec<u8>) {
        let mut members = Members::begin(out);
        members.integer("highlight_count", self.highlights);
        members.integer("notification_count", self.notifications);
        members.end();
    }
}

/// What is unread in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// In no thread.
    pub main: Counts,
    /// By the root of the thread, without those in which there is nothing.
    pub threads: BTreeMap<EventId, Counts>,
    /// There is something of others that is not read, whether or not it notifies.
    pub any: bool,
    /// The order of the newest event that may have changed the counts.
    pub changed_by: i64,
    /// When a receipt of the user moved last.
    pub read_at: Position,
}

impl Unread {
    /// In all threads together.
    #[must_use]
    pub fn all(&self) -> Counts {
        self.threads.values().fold(self.main, |all, thread| all.plus(*thread))
    }

    /// Whether the counts may be others than at `since`.
    #[must_use]
    pub fn changed_since(&self, since: Position) -> bool {
        self.changed_by > since.order() || self.read_at > since
    }

    /// Appends `unread_notifications`, and, if the filter wants threads apart and there are any, `unread_thread_notifications`.
    pub fn write(&self, by_thread: bool, members: &mut Members<'_>) {
        if !by_thread {
            self.all().write(members.name("unread_notifications"));
            return;
        }
        self.main.write(members.name("unread_notifications"));
        if !self.threads.is_empty() {
            let mut threads = Members::begin(members.name("unread_thread_notifications"));
            for (root, counts) in &self.threads {
                counts.write(threads.name(root));
            }
            threads.end();
        }
    }
}

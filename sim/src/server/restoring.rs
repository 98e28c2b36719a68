//! What an operator does after a disaster: puts a backup in the place of the disk, and starts the server with the word that it is one.

use super::{Server, Surroundings};
use crate::clock::{Span, Time};
use crate::storage::{Backup, Lie};

impl Server {
    /// The server crashes, and comes back with the store as it was at `taken`.
    pub fn restore(&mut self, around: &mut Surroundings<'_>, (backup, taken): (Backup, Time), down: Span) {
        self.crash(around, down, "for good");
        around.network.cut(self.number);
        self.disk.restore(backup);
        self.has_lost = true;
        self.config.restored = self.options.lie != Lie::HidesRestores;
        self.note(around, &format!("the store of {taken} is restored"));
    }
}

//! Room IDs (Appendices, "Room IDs").

use super::*;

identifier!(
    /// `!opaque:server` up to room version 11, `!` and the create event's reference hash from 12.
    RoomId, "room ID", check
);

fn check(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix('!').ok_or("does not begin with !")?;
    if rest.is_empty() {
        return Err("nothing after the !");
    }
    if rest.contains('\0') {
        return Err("has a NUL");
    }
    Ok(())
}

impl RoomId {
    /// The server in the ID, which only room versions up to 11 have.
    #[must_use]
    pub fn server_str(&self) -> Option<&str> {
        Some(self.split_once(':')?.1)
    }
}

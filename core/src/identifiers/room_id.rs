//! Room IDs (Appendices, "Room IDs").

use super::*;

identifier!(
    /// `!opaque:server` up to room version 11, `!` and the create event's reference hash from 12.
    ///
    /// Which of the two forms a room's ID must have is for its version to say ("Room IDs" of each version): until the version is
    /// known, an ID is opaque, and any text after the `!` will do.
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
    /// Whether this is the form of room versions 1 to 11, `!opaque:server`.
    #[must_use]
    pub fn has_server(&self) -> bool {
        grammar::check_delimited(&self[1..]).is_ok()
    }
    /// Whether this is the form of room version 12, `!` and a hash in URL-safe base64.
    #[must_use]
    pub fn is_hash(&self) -> bool {
        grammar::is_hash(&self[1..], true)
    }
}

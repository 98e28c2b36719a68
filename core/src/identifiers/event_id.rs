//! Event IDs of every room version (Appendices, "Event IDs").

use super::*;

identifier!(
    /// `$opaque:server` in room versions 1 and 2, `$` and the reference hash in base64 after.
    ///
    /// Which form the events of a room have is for its version to say ("Event IDs" of each version): until the version is known,
    /// an ID is opaque, and any text after the `$` will do.
    EventId, "event ID", check
);

fn check(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix('$').ok_or("does not begin with $")?;
    if rest.is_empty() {
        return Err("nothing after the $");
    }
    if rest.contains('\0') {
        return Err("has a NUL");
    }
    Ok(())
}

impl EventId {
    /// The server in the ID, if this is the form of room versions 1 and 2.
    #[must_use]
    pub fn server_name(&self) -> Option<ServerName> {
        grammar::check_delimited(&self[1..]).ok()?;
        ServerName::parse(self.split_once(':')?.1).ok()
    }
    /// Whether this is the form of room version 3, a hash in standard base64.
    #[must_use]
    pub fn is_hash(&self) -> bool {
        grammar::is_hash(&self[1..], false)
    }
    /// Whether this is the form of room version 4 and later, a hash in URL-safe base64.
    #[must_use]
    pub fn is_url_safe_hash(&self) -> bool {
        grammar::is_hash(&self[1..], true)
    }
}

//! Event IDs of every room version (Appendices, "Event IDs").

use super::*;

identifier!(
    /// `$opaque:server` in room versions 1 and 2, `$` and the reference hash in unpadded base64 after.
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

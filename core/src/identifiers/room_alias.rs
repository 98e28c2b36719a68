//! Room aliases (Appendices, "Room Aliases").

use super::*;

identifier!(
    /// `#localpart:server`.
    RoomAlias, "room alias", check
);

fn check(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix('#').ok_or("does not begin with #")?;
    let (localpart, server) = rest.split_once(':').ok_or("has no : and server name")?;
    if localpart.contains('\0') {
        return Err("the localpart has a NUL");
    }
    server_name::check(server)
}

impl RoomAlias {
    #[must_use]
    pub fn localpart(&self) -> &str {
        self[1..].split_once(':').expect("checked when the alias was made").0
    }
    #[must_use]
    pub fn server_str(&self) -> &str {
        self[1..].split_once(':').expect("checked when the alias was made").1
    }
}

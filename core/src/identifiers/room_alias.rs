//! Room aliases (Appendices, "Room Aliases").

use super::*;

identifier!(
    /// `#localpart:server`.
    RoomAlias, "room alias", check
);

fn check(text: &str) -> Result<(), &'static str> {
    grammar::check_delimited(text.strip_prefix('#').ok_or("does not begin with #")?)
}

impl RoomAlias {
    #[must_use]
    pub fn localpart(&self) -> &str {
        self[1..].split_once(':').expect("checked when the alias was made").0
    }
    #[must_use]
    pub fn server_name(&self) -> ServerName {
        ServerName::parse(self.server_str()).expect("checked when the alias was made")
    }
    #[must_use]
    pub fn server_str(&self) -> &str {
        self[1..].split_once(':').expect("checked when the alias was made").1
    }
}

//! User IDs (Appendices, "User Identifiers").

use super::*;

identifier!(
    /// `@localpart:server`, in the historical grammar too.
    UserId, "user ID", check
);

fn check(text: &str) -> Result<(), &'static str> {
    grammar::check_delimited(text.strip_prefix('@').ok_or("does not begin with @")?)
}

impl UserId {
    /// A user of `server`, with the grammar for newly created IDs: `a-z 0-9 . _ = - / +`.
    pub fn new(localpart: &str, server: &ServerName) -> Result<UserId, InvalidIdentifier> {
        if !is_strict_localpart(localpart) {
            return Err(InvalidIdentifier {
                kind: "user ID",
                why: "a localpart has the characters a-z, 0-9, ., _, =, -, / and + only",
            });
        }
        UserId::parse(&alloc::format!("@{localpart}:{server}"))
    }
    #[must_use]
    pub fn localpart(&self) -> &str {
        self.split_at_colon().0
    }
    #[must_use]
    pub fn server_name(&self) -> ServerName {
        ServerName::parse(self.server_str()).expect("checked when the user ID was made")
    }
    #[must_use]
    pub fn server_str(&self) -> &str {
        self.split_at_colon().1
    }
    /// Whether the localpart is within U+0021 to U+007E and not empty. Servers accept other user IDs in events, and should not
    /// tell clients about them anywhere else ("Historical User IDs").
    #[must_use]
    pub fn is_compliant(&self) -> bool {
        let localpart = self.localpart();
        !localpart.is_empty() && localpart.bytes().all(|byte| byte.is_ascii_graphic())
    }
    fn split_at_colon(&self) -> (&str, &str) {
        self[1..].split_once(':').expect("checked when the user ID was made")
    }
}

/// Whether a localpart may be created today.
#[must_use]
pub fn is_strict_localpart(localpart: &str) -> bool {
    !localpart.is_empty()
        && localpart
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+'))
}

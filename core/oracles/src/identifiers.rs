//! Which texts are identifiers, by Orrery and by `ruma-common`.

use orrery_core::identifiers::{EventId, MxcUri, RoomAlias, RoomId, ServerName, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Server,
    User,
    Alias,
    Room,
    Event,
    Content,
}

pub const KINDS: [Kind; 6] = [Kind::Server, Kind::User, Kind::Alias, Kind::Room, Kind::Event, Kind::Content];

pub fn ours(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Server => ServerName::parse(text).is_ok(),
        Kind::User => UserId::parse(text).is_ok(),
        Kind::Alias => RoomAlias::parse(text).is_ok(),
        Kind::Room => RoomId::parse(text).is_ok(),
        Kind::Event => EventId::parse(text).is_ok(),
        Kind::Content => MxcUri::parse(text).is_ok(),
    }
}

pub fn theirs(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Server => <&ruma_common::ServerName>::try_from(text).is_ok(),
        Kind::User => <&ruma_common::UserId>::try_from(text).is_ok(),
        Kind::Alias => <&ruma_common::RoomAliasId>::try_from(text).is_ok(),
        Kind::Room => <&ruma_common::RoomId>::try_from(text).is_ok(),
        Kind::Event => <&ruma_common::EventId>::try_from(text).is_ok(),
        Kind::Content => <&ruma_common::MxcUri>::from(text).is_valid(),
    }
}

/// Why the two differ about `text`.
pub fn explained(kind: Kind, text: &str, ours: bool) -> Option<&'static str> {
    let port = text.rsplit_once(':').map_or("", |(_, port)| port.split('/').next().unwrap_or_default());
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    match (kind, ours) {
        // The grammar is `1*5DIGIT`, whatever the number.
        (_, true) if is_port(port) && port.parse::<u16>().is_err() => Some("a port beyond 65535"),
        (_, false) if !is_port(port) && port.parse::<u16>().is_ok() => {
            Some("a port with a sign, or of more than five digits")
        }
        // The `$` or `!` stands before something.
        (Kind::Room, false) if text == "!" => Some("an empty room ID"),
        (Kind::Event, false) if text == "$" => Some("an empty event ID"),
        (Kind::Event, false) if text.contains('\0') => Some("NUL is in no identifier"),
        (Kind::Event, false) if text.len() > 255 => Some("no event ID is longer than 255 bytes"),
        // Event IDs with a colon are those of room versions 1 and 2 only once the version is known.
        (Kind::Event, true) if text.contains(':') => Some("an opaque event ID with a colon"),
        (Kind::Content, false) if text.ends_with('/') => Some("an empty media ID"),
        (Kind::Content, false) if text.len() > 255 => Some("a content URI of more than 255 bytes"),
        // 255 for the host alone.
        (Kind::Server, false) if text.len() > 255 => Some("a host of more than 255 bytes"),
        _ => None,
    }
}

//! Any text as every identifier: the same texts are accepted as by `ruma-common`, and the parts of what is accepted can be had.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orrery_core::identifiers::{EventId, KeyId, MxcUri, RoomAlias, RoomId, ServerName, UserId};
use orrery_oracles::identifiers as oracle;

fuzz_target!(|text: &str| {
    for kind in oracle::KINDS {
        let (ours, theirs) = (oracle::ours(kind, text), oracle::theirs(kind, text));
        let explained = ours == theirs || oracle::explained(kind, text, ours).is_some();
        assert!(explained, "{kind:?} {text:?}: ours {ours}, theirs {theirs}");
    }
    if let Ok(name) = ServerName::parse(text) {
        let port = name.port().map(|port| format!(":{port}")).unwrap_or_default();
        assert!(ServerName::parse(&format!("{}{port}", name.host())).is_ok());
        assert_eq!(name.ip_address().is_some_and(|address| address.is_ipv6()), text.starts_with('['));
    }
    if let Ok(user) = UserId::parse(text) {
        assert_eq!(format!("@{}:{}", user.localpart(), user.server_name()), text);
        assert_eq!(UserId::new(user.localpart(), &user.server_name()).is_ok_and(|new| new == user), {
            orrery_core::identifiers::is_strict_localpart(user.localpart())
        });
    }
    if let Ok(alias) = RoomAlias::parse(text) {
        assert_eq!(format!("#{}:{}", alias.localpart(), alias.server_str()), text);
    }
    if let Ok(room) = RoomId::parse(text) {
        assert!(!(room.has_server() && room.is_hash()));
    }
    if let Ok(event) = EventId::parse(text) {
        assert!(event.server_name().is_none() || !(event.is_hash() || event.is_url_safe_hash()));
    }
    if let Ok(uri) = MxcUri::parse(text) {
        assert_eq!(MxcUri::new(&uri.server_name(), uri.media_id()).as_ref(), Ok(&uri));
    }
    if let Ok(key) = KeyId::parse(text) {
        assert_eq!(format!("{}:{}", key.algorithm(), key.name()), text);
    }
});

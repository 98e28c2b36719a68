use alloc::format;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;

/// Checks that `accepted` are `T`s, and `refused` are not.
fn check<T: TryFrom<String> + AsRef<str>>(accepted: &[&str], refused: &[&str]) {
    for &text in accepted {
        let id = T::try_from(text.into()).ok().unwrap_or_else(|| panic!("{text:?} is acceptable"));
        assert_eq!(id.as_ref(), text);
    }
    for &text in refused {
        assert!(T::try_from(text.into()).is_err(), "{text:?} is not acceptable");
    }
}

/// Appendices, "Server Name".
#[test]
fn server_names() {
    let longest = "a".repeat(255);
    let (long_port, too_long) = (format!("{longest}:12345"), format!("{longest}a"));
    check::<ServerName>(
        &[
            "matrix.org",
            "matrix.org:8888",
            "1.2.3.4",
            "1.2.3.4:1234",
            "[1234:5678::abcd]",
            "[1234:5678::abcd]:5678",
            "localhost",
            "MATRIX.org",
            "a-b.c--d",
            "-",
            ".",
            "a..b",
            "1.2.3.400",
            "[::]",
            "[::ffff:1.2.3.4]:1",
            "a:0",
            "a:00080",
            "a:99999",
            "xn--e1afmkfd.example",
            &longest,
            &long_port,
        ],
        &[
            "",
            ":8448",
            "a:",
            "a:b",
            "a:+80",
            "a:-1",
            "a:123456",
            "a:1:2",
            "a b",
            "a_b",
            "a/b",
            "a\0",
            "é.example",
            "a%41",
            "[::1",
            "::1",
            "[::1]a",
            "[::1]]",
            "[[::1]]",
            "[]",
            "[1234]",
            "[::1%eth0]",
            "[1.2.3.4]",
            "[::g]",
            "user@host",
            "[::1]:",
            "[::1]:x",
            "[0000000000:1::]",
            &too_long,
        ],
    );
}

#[test]
fn parts_of_server_names() {
    let check = |text: &str, host: &str, port: Option<u16>, address: Option<IpAddr>| {
        let name = ServerName::parse(text).unwrap();
        assert_eq!((name.host(), name.port(), name.ip_address()), (host, port, address), "{text}");
    };
    check("a.example", "a.example", None, None);
    check("a.example:8448", "a.example", Some(8448), None);
    check("a.example:99999", "a.example", None, None);
    check("1.2.3.4:1", "1.2.3.4", Some(1), Some(Ipv4Addr::new(1, 2, 3, 4).into()));
    check("1.2.3.400", "1.2.3.400", None, None);
    check("[::1]", "[::1]", None, Some(Ipv6Addr::LOCALHOST.into()));
    check("[::1]:443", "[::1]", Some(443), Some(Ipv6Addr::LOCALHOST.into()));
}

/// Appendices, "User Identifiers" and "Historical User IDs".
#[test]
fn user_ids() {
    let longest = format!("@{}:b", "a".repeat(252));
    let too_long = format!("@{}:b", "a".repeat(253));
    // 257 bytes in 130 characters.
    let bytes_count = format!("@{}:b", "é".repeat(127));
    check::<UserId>(
        &["@a:b", "@a.b_c=d-e/f+1:example.org:8448", "@a:[::1]:80", "@A b!\u{1}日:b", "@:b", "@@:b", &longest],
        &["", "@", "a:b", "@a", "@a:", "@a:b:c", "@a\0:b", "#a:b", "@a:b_c", " @a:b", "@a:b ", &too_long, &bytes_count],
    );
}

#[test]
fn kinds_of_user_ids() {
    let check = |localpart: &str, strict: bool, compliant: bool| {
        let user = UserId::parse(&format!("@{localpart}:example.org")).unwrap();
        assert_eq!((user.localpart(), user.server_str()), (localpart, "example.org"));
        assert_eq!(user.server_name(), ServerName::parse("example.org").unwrap());
        assert_eq!(user.is_compliant(), compliant, "{localpart}");
        assert_eq!(is_strict_localpart(localpart), strict, "{localpart}");
        assert_eq!(UserId::new(localpart, &user.server_name()).is_ok(), strict, "{localpart}");
    };
    check("alice", true, true);
    check("a.b_c=d-e/f+1", true, true);
    check("Alice", false, true);
    check("a*b", false, true);
    check("", false, false);
    check("a b", false, false);
    check("a\u{7f}", false, false);
    check("é", false, false);
}

const HASH: &str = "Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg";
const STANDARD_HASH: &str = "acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk";

/// Appendices, "Room IDs": opaque, until the room's version says which form it is.
#[test]
fn room_ids() {
    let hash = format!("!{HASH}");
    check::<RoomId>(&["!a:b", "!a", "!:b", "!日\u{1}:b:80", &hash], &["", "!", "a", "@a:b", "!a\0:b"]);
    let form = |text: &str, has_server: bool, is_hash: bool| {
        let room = RoomId::parse(text).unwrap();
        assert_eq!((room.has_server(), room.is_hash()), (has_server, is_hash), "{text}");
    };
    form("!a:example.org", true, false);
    form("!日 本:example.org:80", true, false);
    form("!a", false, false);
    form("!a:b:c", false, false);
    form("!a:b_c", false, false);
    form(&hash, false, true);
    form(&format!("{hash}:example.org"), true, false);
    form(&format!("{hash}A"), false, false);
    form(&hash[..43], false, false);
    form(&format!("!{STANDARD_HASH}"), false, false);
}

/// Appendices, "Event IDs", and "Event IDs" of room versions 1, 3 and 4.
#[test]
fn event_ids() {
    check::<EventId>(&["$a:b", "$a", "$:", &format!("${HASH}")], &["", "$", "a", "!a:b", "$a\0"]);
    let form = |text: &str, server: Option<&str>, hash: bool, url_safe: bool| {
        let event = EventId::parse(text).unwrap();
        assert_eq!(event.server_name().as_deref(), server, "{text}");
        assert_eq!((event.is_hash(), event.is_url_safe_hash()), (hash, url_safe), "{text}");
    };
    form("$a:example.org", Some("example.org"), false, false);
    form("$a:b:c", None, false, false);
    form("$a", None, false, false);
    form(&format!("${STANDARD_HASH}"), None, true, false);
    form(&format!("${HASH}"), None, false, true);
    form(&format!("${}", "A".repeat(43)), None, true, true);
    form(&format!("${HASH}="), None, false, false);
}

/// Appendices, "Room Aliases".
#[test]
fn room_aliases() {
    check::<RoomAlias>(&["#a:b", "#:b", "#日 本!:b:80"], &["", "#", "a:b", "#a", "#a:", "#a:b:c", "#a\0:b", "!a:b"]);
    let alias = RoomAlias::parse("#a b:example.org:80").unwrap();
    assert_eq!((alias.localpart(), alias.server_str()), ("a b", "example.org:80"));
}

#[test]
fn devices_and_keys() {
    check::<DeviceId>(&["A", "ABCDEFGHIJ", "日 本", &"a".repeat(255)], &["", &"a".repeat(256)]);
    check::<KeyId>(&["ed25519:1", "ed25519:a:b", "signed_curve25519:AAAAHg"], &["", "ed25519", "ed25519:", ":1", ":"]);
    let key = KeyId::parse("ed25519:a:b").unwrap();
    assert_eq!((key.algorithm(), key.name()), ("ed25519", "a:b"));
}

/// Client-Server API, "Matrix Content (`mxc://`) URIs" and their security considerations.
#[test]
fn content_uris() {
    check::<MxcUri>(
        &["mxc://example.org/SEsfnsuifSDFSSEF", "mxc://a:80/_-", "mxc://[::1]:80/a"],
        &[
            "",
            "mxc://",
            "mxc://a",
            "mxc://a/",
            "mxc:///a",
            "http://a/b",
            "MXC://a/b",
            "mxc://a/b/c",
            "mxc://a/..",
            "mxc://a/%2e",
            "mxc://127.0.0.1/../../../some_service/etc/passwd",
            "mxc://a_b/c",
            "mxc://a/b?c",
            "mxc://a/b#c",
            "mxc://a/é",
        ],
    );
    let uri = MxcUri::new(&ServerName::parse("a:80").unwrap(), "b").unwrap();
    assert_eq!((uri.as_str(), uri.server_name().as_str(), uri.media_id()), ("mxc://a:80/b", "a:80", "b"));
    assert!(MxcUri::new(&uri.server_name(), "../b").is_err());
}

/// Appendices, "Opaque Identifiers" and "Common Namespaced Identifier Grammar".
#[test]
fn shared_grammars() {
    let check = |text: &str, opaque: bool, namespaced: bool| {
        assert_eq!((is_opaque_identifier(text), is_namespaced_identifier(text)), (opaque, namespaced), "{text}");
    };
    check("m.room.name", true, true);
    check("com.example.a-b_c", true, true);
    check("a", true, true);
    check("A~", true, false);
    check("aB", true, false);
    check("1a", true, false);
    check(".a", true, false);
    check("", false, false);
    check("a b", false, false);
    check("a/b", false, false);
    check("é", false, false);
    check(&"a".repeat(255), true, true);
    check(&"a".repeat(256), false, false);
}

#[test]
fn errors_say_what_and_why() {
    assert_eq!(format!("{}", UserId::parse("@a").unwrap_err()), "invalid user ID: has no : and server name");
}

use alloc::string::ToString;
use bytes::Bytes;

use super::*;

#[test]
fn dates() {
    for (text, seconds) in [
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
        ("Tue, 29 Feb 2000 23:59:59 GMT", Some(951_868_799)),
        ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800)),
        ("Fri, 31 Dec 2100 12:00:00 GMT", Some(4_133_937_600)),
        ("0", None),
        ("", None),
        ("Sunday, 06-Nov-94 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 18446744073709551615 08:49:37 GMT", None),
    ] {
        assert_eq!(parse_date(text).map(|date| date.0 / 1000), seconds, "{text}");
    }
}

#[test]
fn lifetimes() {
    const HOUR: u64 = 3600;
    // Sun, 06 Nov 1994 08:49:37 GMT.
    let now = Timestamp(784_111_777_000);
    let check = |headers: &[(&str, &str)], seconds: u64| {
        let headers_of = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let response = Response { status: 200, headers: headers_of, body: Bytes::new() };
        assert_eq!(lifetime(&response, now), Duration::from_secs(seconds), "{headers:?}");
    };
    check(&[], 24 * HOUR);
    check(&[("cache-control", "max-age=7200")], 2 * HOUR);
    check(&[("cache-control", "public, Max-Age=\"7200\"")], 2 * HOUR);
    check(&[("cache-control", "max-age=7200"), ("expires", "0")], 2 * HOUR);
    check(&[("cache-control", "max-age=31536000")], 48 * HOUR);
    check(&[("cache-control", "max-age=1")], 300);
    check(&[("cache-control", "max-age=7200, no-store")], 300);
    check(&[("cache-control", "no-cache")], 300);
    check(&[("cache-control", "max-age=soon")], 24 * HOUR);
    check(&[("cache-control", "public")], 24 * HOUR);
    check(&[("expires", "Sun, 06 Nov 1994 11:49:37 GMT")], 3 * HOUR);
    check(&[("expires", "Sun, 06 Nov 1994 11:49:37 GMT"), ("date", "Sun, 06 Nov 1994 10:49:37 GMT")], HOUR);
    check(&[("expires", "0")], 300);
    check(&[("expires", "Fri, 31 Dec 2100 12:00:00 GMT")], 48 * HOUR);
}

//! The one thing that an operator wants to know of a certificate that is good: until when.

/// The day of `notAfter` (RFC 5280, section 4.1), as `2027-01-31`; `None` if the certificate cannot be read.
pub fn valid_until(certificate: &[u8]) -> Option<String> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (SEQUENCE, mut rest, _) = element(certificate)? else { return None };
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, validity, _) = element(rest)? else { return None };
    let (_, _, not_after) = element(validity)?;
    let (kind, time, _) = element(not_after)?;
    let time = std::str::from_utf8(time).ok().filter(|time| time.is_ascii())?;
    let (year, rest) = match kind {
        // UTCTime has two digits, of which 50 and more are the last century's.
        0x17 => {
            let (year, rest) = time.split_at_checked(2)?;
            let century = if year >= "50" { "19" } else { "20" };
            (format!("{century}{year}"), rest)
        }
        0x18 => {
            let (year, rest) = time.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    Some(format!("{year}-{}-{}", rest.get(..2)?, rest.get(2..4)?))
}

/// The first element of DER: its tag, its contents, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let bytes = usize::from(first & 0x7f);
        let (length, rest) = rest.split_at_checked(bytes)?;
        if !(1..=4).contains(&bytes) {
            return None;
        }
        (length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// The day of a moment in seconds since 1970, in UTC.
pub fn day(seconds: u64) -> String {
    // Counted from the first of March of the year 0, so that a leap day is the last of its year.
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[test]
fn days() {
    for (seconds, expected) in [
        (0, "1970-01-01"),
        (951_782_400, "2000-02-29"),
        (951_868_800, "2000-03-01"),
        (1_735_689_599, "2024-12-31"),
        (4_102_444_800, "2100-01-01"),
    ] {
        assert_eq!(day(seconds), expected);
    }
}

#[test]
fn certificates_end() {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    for year in [2031, 2061] {
        params.not_after = rcgen::date_time_ymd(year, 2, 3);
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(valid_until(certificate.der()), Some(format!("{year}-02-03")));
        for end in 0..200 {
            assert_eq!(valid_until(&certificate.der()[..end]), None, "cut at {end}");
        }
    }
}

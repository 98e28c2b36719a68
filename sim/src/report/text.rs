//! Text for the page: bodies that are cut, and what the evidence of a failure names.

use std::collections::BTreeSet;

/// To how many characters the content of an event is cut.
pub const CONTENT: usize = 1_500;

/// The first `width` characters of a body, and how long it is if that is not all.
#[must_use]
pub fn cut(bytes: &[u8], width: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(width) {
        None => text.into_owned(),
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], bytes.len()),
    }
}

/// Every ID that a text names: of events, rooms and users, and their servers' names.
#[must_use]
pub fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "$!@:._-/+=".contains(c);
    let mut named = BTreeSet::new();
    for word in text.split(|c: char| !is_part(c)) {
        let word = word.trim_end_matches([':', '.', '=', '-', '/']);
        let is_id = word.starts_with(['$', '!', '@']) && word.len() > 3;
        if is_id {
            named.insert(word.to_owned());
        }
    }
    named
}

/// Percent-decodes a path, for people to read.
#[must_use]
pub fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_evidence() {
        let evidence = "!r:s0.test: (\"m.room.member\", \"@u3:s3.test\") is Some(\"$1Rk_-w\") and $bS5: accepted.";
        let expected = ["!r:s0.test", "$1Rk_-w", "$bS5", "@u3:s3.test"];
        assert_eq!(named(evidence).iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn bodies_are_cut_between_characters() {
        assert_eq!(cut("äöü".as_bytes(), 3), "äöü");
        assert_eq!(cut("äöü".as_bytes(), 2), "äö… (6 bytes)");
    }

    #[test]
    fn paths_are_decoded() {
        assert_eq!(decoded("/rooms/%21r%3As0.test/%zz%4"), "/rooms/!r:s0.test/%zz%4");
    }
}

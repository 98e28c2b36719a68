//! The members of an event as slices of its canonical JSON: what is hashed, signed, redacted or shown is put together from
//! them without encoding anything twice.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use crate::canonical_json::{Object, Value, encode_str, parse};

/// One member. Both parts are canonical JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    /// The name without its quotes.
    pub name: &'a [u8],
    pub value: &'a [u8],
}

/// Where the members of an object are in its canonical JSON.
pub(super) struct Layout(Vec<(Range<usize>, Range<usize>)>);

impl Layout {
    /// Appends the encoding of `object`, without the member `left_out`, to the empty `json`.
    pub fn encode(object: &Object, left_out: &str, json: &mut Vec<u8>) -> Layout {
        let mut layout = Vec::with_capacity(object.len());
        json.push(b'{');
        for (name, value) in object.iter().filter(|(name, _)| *name != left_out) {
            if !layout.is_empty() {
                json.push(b',');
            }
            let name_at = json.len();
            encode_str(name, json);
            let name_at = name_at + 1..json.len() - 1;
            json.push(b':');
            let value_at = json.len();
            value.encode(json);
            layout.push((name_at, value_at..json.len()));
        }
        json.push(b'}');
        Layout(layout)
    }

    /// Finds the members in the canonical JSON of an object. `None` if it is not one.
    pub fn of(json: &[u8]) -> Option<Layout> {
        let mut at = 1;
        if json.first() != Some(&b'{') {
            return None;
        }
        let mut layout = Vec::with_capacity(16);
        if json.get(at) == Some(&b'}') {
            return (json.len() == 2).then_some(Layout(layout));
        }
        loop {
            let name_end = skip_string(json, at)?;
            if json.get(name_end) != Some(&b':') {
                return None;
            }
            let value_end = skip_value(json, name_end + 1)?;
            layout.push((at + 1..name_end - 1, name_end + 1..value_end));
            match json.get(value_end)? {
                b',' => at = value_end + 1,
                b'}' => return (value_end + 1 == json.len()).then_some(Layout(layout)),
                _ => return None,
            }
        }
    }

    /// The members, in `json`, which this is the layout of.
    pub fn members<'a>(&'a self, json: &'a [u8]) -> impl Iterator<Item = Member<'a>> + Clone {
        self.0.iter().map(|(name, value)| Member { name: &json[name.clone()], value: &json[value.clone()] })
    }

    /// Where the value of the member `name` is.
    pub fn place(&self, json: &[u8], name: &str) -> Option<Range<usize>> {
        self.0.iter().find(|(at, _)| json[at.clone()] == *name.as_bytes()).map(|(_, value)| value.clone())
    }

    /// The value of the member `name`.
    pub fn value<'a>(&self, json: &'a [u8], name: &str) -> Option<&'a [u8]> {
        self.place(json, name).map(|at| &json[at])
    }
}

/// Appends an object of `members`, which must be in canonical order.
pub(super) fn write_object<'a>(members: impl Iterator<Item = Member<'a>>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, member) in members.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(member.name);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(member.value);
    }
    out.push(b'}');
}

/// Splits the canonical JSON of an array. `None` if it is not one.
pub(super) fn split_array(json: &[u8]) -> Option<Vec<&[u8]>> {
    let mut at = 1;
    if json.first() != Some(&b'[') {
        return None;
    }
    let mut items = Vec::with_capacity(4);
    if json.get(at) == Some(&b']') {
        return (json.len() == 2).then_some(items);
    }
    loop {
        let end = skip_value(json, at)?;
        items.push(&json[at..end]);
        match json.get(end)? {
            b',' => at = end + 1,
            b']' => return (end + 1 == json.len()).then_some(items),
            _ => return None,
        }
    }
}

/// The text of a canonical JSON string. `None` if it is not one.
pub(super) fn text(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return match parse(json) {
            Ok(Value::String(text)) => Some(Cow::Owned(text)),
            _ => None,
        };
    }
    core::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

fn skip_string(json: &[u8], start: usize) -> Option<usize> {
    if json.get(start) != Some(&b'"') {
        return None;
    }
    let mut at = start + 1;
    loop {
        at += quote_or_escape(json.get(at..)?)?;
        match json[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The offset of the first `"` or `\`, eight bytes at a time: most of an event lies within strings.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const ESCAPES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    // The lowest bit set is that of the first byte that is zero; bits above it may lie.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH_BITS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ QUOTES) | zeros(word ^ ESCAPES);
        if found != 0 {
            return Some(i * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(words.len() * 8 + at)
}

/// The end of the value that begins at `start`.
fn skip_value(json: &[u8], start: usize) -> Option<usize> {
    match json.get(start)? {
        b'"' => skip_string(json, start),
        b'{' | b'[' => {
            // Never negative: the first byte opens, and the loop ends when that is closed.
            let mut depth = 0usize;
            let mut at = start;
            loop {
                match json.get(at)? {
                    b'"' => at = skip_string(json, at)?,
                    b'{' | b'[' => {
                        depth += 1;
                        at += 1;
                    }
                    b'}' | b']' => {
                        depth -= 1;
                        at += 1;
                        if depth == 0 {
                            return Some(at);
                        }
                    }
                    _ => at += 1,
                }
            }
        }
        _ => {
            let len = json[start..].iter().position(|byte| matches!(byte, b',' | b'}' | b']'))?;
            (len > 0).then_some(start + len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_are_found_at_every_offset() {
        for (found, byte) in [(true, b'"'), (true, b'\\'), (false, b'#'), (false, b'!'), (false, 0xa2), (false, 0xdc)] {
            for at in 0..40 {
                let mut bytes = alloc::vec![b'x'; 40];
                bytes[at] = byte;
                assert_eq!(quote_or_escape(&bytes), found.then_some(at), "{byte:#x} at {at}");
                bytes[39] = b'"';
                assert_eq!(quote_or_escape(&bytes), Some(if found { at } else { 39 }), "{byte:#x} at {at} and a quote");
            }
        }
        assert_eq!(quote_or_escape(b""), None);
    }

    #[test]
    fn strings_end_where_they_end() {
        for (text, end) in [
            (r#""""#, Some(2)),
            (r#""a\\"x"#, Some(5)),
            (r#""a\"b"x"#, Some(6)),
            (r#""\\\"\\""#, Some(8)),
            (r#""abc"#, None),
            (r#""abc\"#, None),
            ("x", None),
        ] {
            assert_eq!(skip_string(text.as_bytes(), 0), end, "{text}");
        }
    }
}

//! Finding the end of the plain part of a string, eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes at the start of `bytes` stand for themselves in a JSON string: all but `"`, `\` and those below 0x20.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let special = specials(u64::from_le_bytes(*chunk));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    rest.map_or(bytes.len(), |more| at + more)
}

/// The high bit of each byte that is special. Borrows can mark a byte falsely only above one that is truly marked, so the lowest
/// mark is always right.
fn specials(word: u64) -> u64 {
    let quote = word ^ (ONES * u64::from(b'"'));
    let backslash = word ^ (ONES * u64::from(b'\\'));
    let zero_in = |lanes: u64| lanes.wrapping_sub(ONES) & !lanes;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (zero_in(quote) | zero_in(backslash) | control) & HIGHS
}

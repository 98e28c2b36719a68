use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::store::log::LogEntry;
use crate::store::memory::Memory;

#[test]
fn tokens_read_back() {
    for text in ["s0_1_0_0", "s72594_3_12_7", "s9223372036854775807_4294967295_1_1", "s5_1_0_0_4"] {
        assert_eq!(StreamToken::parse(text).unwrap().to_string(), text);
    }
    for text in ["t0", "t5120", "t-7", "t9223372036854775807"] {
        assert_eq!(TimelineToken::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(TimelineToken::parse("s12_3_4_5"), Some(TimelineToken(12)));
}

#[test]
fn anything_else_is_refused() {
    let cases = [
        "",
        "s",
        "t",
        "s1",
        "s1_2",
        "s1_2_3",
        "s1_2_3_4_5",
        "s5_2_3_4_5",
        "s5_2_3_4_04",
        "s5_2_3_4_3_2",
        "s1_2_3_4_",
        "s+1_2_3_4",
        "s-1_2_3_4",
        "s01_2_3_4",
        "S1_2_3_4",
        " s1_2_3_4",
        "s1_2_3_4 ",
        "s1__3_4",
        "s1_4294967296_3_4",
        "s9223372036854775808_1_1_1",
        "s99999999999999999999_1_1_1",
        "s\u{0661}_1_1_1",
        "t-",
        "t-0",
        "t--1",
        "t01",
        "t1_2",
        "t9223372036854775808",
        "1",
    ];
    for text in cases {
        assert_eq!(StreamToken::parse(text), None, "{text}");
        assert_eq!(TimelineToken::parse(text), None, "{text}");
    }
}

#[test]
fn a_token_from_the_future_or_of_what_was_lost_is_not_ours() {
    let mut read = Memory::default();
    let entry = LogEntry::ToDevice { recipients: Vec::new() };
    log::append(&mut read, Position(3), &entry);
    log::append(&mut read, Position(5), &entry);
    for (text, is_ours) in [("s0", true), ("s3", true), ("s4", false), ("s5", true), ("s6", false)] {
        let token = StreamToken::require(&read, &alloc::format!("{text}_1_0_0"), Position(5));
        assert_eq!(token.is_ok(), is_ours, "{text}");
    }
}

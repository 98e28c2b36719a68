//! What the pages say of levels, by their own examples. `core/oracles` holds the rules and those of core against each other.

use orrery_core::canonical_json::parse;
use orrery_core::room_version::RoomVersion::{self, V1, V5, V6, V9, V10, V12};

use super::levels::number;
use super::list::{List, Ruling};
use super::page::Page;

fn check(json: &str, versions: impl IntoIterator<Item = RoomVersion>, expected: Option<i64>) {
    for version in versions {
        assert_eq!(number(Page(version), &parse(json.as_bytes()).unwrap()), expected, "{json} in version {version}");
    }
}

#[test]
fn levels_as_strings() {
    for (text, level) in [
        (r#""100""#, 100),
        (r#""000100""#, 100),
        (r#""+100""#, 100),
        (r#""-100""#, -100),
        (r#"" 100 ""#, 100),
        (r#"" 00100 ""#, 100),
        (r#"" +100 ""#, 100),
        (r#"" -100 ""#, -100),
        (r#""9007199254740991""#, 9_007_199_254_740_991),
    ] {
        check(text, [V1, V5, V6, V9], Some(level));
        check(text, [V10, V12], None);
    }
    for text in [r#""""#, r#"" ""#, r#""-""#, r#""+-1""#, r#""1.0""#, r#""1e2""#, r#""- 1""#, r#""x""#, "null", "[1]"] {
        check(text, RoomVersion::ALL, None);
    }
    check(r#""9007199254740992""#, [V1, V5], Some(9_007_199_254_740_992));
    check(r#""9007199254740992""#, [V6, V9, V10], None);
    check(r#""99999999999999999999999999""#, [V1], Some(i64::MAX));
    check(r#""-99999999999999999999""#, [V1], Some(i64::MIN));
}

#[test]
fn levels_as_floats() {
    for (text, level) in [
        ("50.57", 50),
        ("-50.57", -50),
        ("5.114698E4", 51146),
        ("5.114698e+4", 51146),
        ("5e0", 5),
        ("0.05e3", 50),
        ("512e-1", 51),
        ("5e-9", 0),
        ("1e-99999999999999999999", 0),
        ("0e99999999999999999999", 0),
        ("1.7976931348623157e308", i64::MAX),
        ("-1e300", i64::MIN),
    ] {
        check(text, [V1, V5], Some(level));
    }
    check("1.8e308", [V1, V5], None);
    check("-1e999", [V1, V5], None);
    check("49", RoomVersion::ALL, Some(49));
}

#[test]
fn rules_have_the_numbers_of_their_places() {
    let outer = |met: &dyn Fn(u8) -> bool| -> Ruling {
        let mut list = List::new();
        list.reject_if(met(1))?;
        list.section(true, || {
            let mut list = List::new();
            list.allow_if(met(2))?;
            list.allow_only_if(met(3), || false)
        })?;
        list.section(false, || List::new().otherwise_reject())?;
        list.otherwise_allow()
    };
    for (met, expected) in [(1, ("1", false)), (2, ("2.1", true)), (3, ("2.2", false)), (9, ("4", true))] {
        let Ruling::Break(decision) = outer(&|rule| rule == met) else { panic!("the last rule decides") };
        assert_eq!((decision.rule().as_str(), decision.allowed), expected);
    }
}

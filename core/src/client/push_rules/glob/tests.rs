use super::*;

#[track_caller]
fn check(pattern: &str, matches: &[&str], others: &[&str], way: fn(&Glob, &Text) -> bool) {
    let glob = Glob::new(pattern);
    for text in matches {
        assert!(way(&glob, &Text::new(text)), "{pattern:?} matches {text:?}");
    }
    for text in others {
        assert!(!way(&glob, &Text::new(text)), "{pattern:?} does not match {text:?}");
    }
}

#[test]
fn all_of_a_text() {
    // The first is the specification's example of `event_match`.
    check("lunc?*", &["Lunch plans", "LUNCH"], &[" lunch", "lunc"], Glob::matches);
    check("", &[""], &["a"], Glob::matches);
    check("*", &["", "a", "\n"], &[], Glob::matches);
    check("a", &["a", "A"], &["", "aa", "b"], Glob::matches);
    check("?", &["a", "ä", "*"], &["", "ab"], Glob::matches);
    check("a*b*c", &["abc", "a-b-c", "abbcc", "abcbc"], &["ab", "acb", "abcd", "xabc"], Glob::matches);
    check("**a", &["a", "bba"], &["ab"], Glob::matches);
    check("m.room.*", &["m.room.message", "m.room."], &["m-room.message", "m.room"], Glob::matches);
    check("ÄRGER*", &["ärgerlich"], &["arger"], Glob::matches);
    check("[a-z]\\d.+", &["[a-z]\\d.+"], &["a1x"], Glob::matches);
}

#[test]
fn words_of_a_text() {
    // The specification's examples.
    check(
        "ex*ple",
        &["An example event.", "exple", "An exciting triple-whammy"],
        &["examples", "anexample"],
        Glob::matches_words,
    );
    check(
        "cake",
        &["cake", "Cake!", "a cake", "(cake)", "tea-cake", "cakes cake"],
        &["cakes", "cake_", "0cake", ""],
        Glob::matches_words,
    );
    check(
        "cake*lie",
        &["the cake is a lie", "cakelie"],
        &["the lie is a cake", "the cake is a lien"],
        Glob::matches_words,
    );
    check("a?c", &["abc", "x abc y", "a c"], &["ac", "xabc", "abcd"], Glob::matches_words);
    check("@room", &["@room", "hi @room!", "hi@room"], &["@rooms"], Glob::matches_words);
    check("é", &["é", "café"], &["e"], Glob::matches_words);
    check("*", &["", "a", "a b"], &[], Glob::matches_words);
    check("", &["", "a"], &[], Glob::matches_words);
}

#[test]
fn literals_have_no_wildcards() {
    assert!(Glob::literal("*").matches(&Text::new("*")));
    assert!(!Glob::literal("*").matches(&Text::new("a")));
    assert!(Glob::literal("Ann").matches_words(&Text::new("hello, ann!")));
}

#[test]
fn the_longest_texts_take_no_time() {
    let text = Text::new(&"a-".repeat(30_000));
    assert!(!Glob::new("*a*a*a*a*a*a*a*b").matches_words(&text));
}

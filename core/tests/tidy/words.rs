//! Words that must not be in code, or not everywhere.

use super::Violations;
use super::source::{File, comments, has_word};

/// Words, what to write instead, and why.
struct Ban {
    words: &'static [&'static str],
    instead: &'static str,
    why: &'static str,
}

const UNORDERED: Ban = Ban {
    words: &["HashMap", "HashSet", "hash_map", "hash_set", "RandomState", "DefaultHasher"],
    instead: "BTreeMap or BTreeSet",
    why: "their order differs from run to run, and a run must be a function of its seed",
};
const CLOCK: Ban = Ban {
    words: &["SystemTime", "Instant", "UNIX_EPOCH"],
    instead: "the `now` that is passed in (`Timestamp`)",
    why: "only the host reads a clock, so that a recording can be replayed",
};
const ENTROPY: Ban = Ban {
    words: &["thread_rng", "ThreadRng", "OsRng", "SysRng", "getrandom", "from_entropy", "from_os_rng"],
    instead: "a stream of `Random`, split from the seed",
    why: "the one seed decides everything",
};
const FLOATS: Ban = Ban {
    words: &["f32", "f64"],
    instead: "integers in a smaller unit (milliseconds, per mille)",
    why: "rounding may differ between machines and builds, and Matrix signs integers only",
};
const PRINTS: Ban = Ban {
    words: &["println", "eprintln", "print", "eprint"],
    instead: "an effect, or a value in `report()`",
    why: "core has no output but its effects",
};
const UNDONE: Ban = Ban {
    words: &["todo", "unimplemented"],
    instead: "the code, or an error that says what is not supported",
    why: "a server that runs must not meet them",
};

fn find(file: &File, bans: &[&Ban]) -> Violations {
    let mut out = vec![];
    for (number, line) in file.code_lines() {
        for ban in bans {
            for word in ban.words.iter().filter(|word| has_word(&line, word)) {
                out.push(format!("{}:{number}: {word}: use {}: {}", file.path, ban.instead, ban.why));
            }
        }
    }
    out
}

pub fn core_is_deterministic(file: &File) -> Violations {
    if !file.path.starts_with("core/src/") {
        return vec![];
    }
    let mut out = find(file, &[&UNORDERED, &CLOCK, &ENTROPY]);
    if !file.is_test() {
        out.extend(find(file, &[&FLOATS, &PRINTS]));
        for (number, line) in file.code_lines() {
            if has_float_literal(&line) {
                out.push(format!("{}:{number}: a float: use {}: {}", file.path, FLOATS.instead, FLOATS.why));
            }
        }
    }
    out
}

/// Where the simulator may read the clock, and why.
const SIMULATOR_CLOCKS: &[(&str, &str)] =
    &[("sim/src/cli/stopwatch.rs", "says how long a sweep took; no world sees it")];

pub fn simulator_is_deterministic(file: &File) -> Violations {
    if !file.path.starts_with("sim/src/") {
        return vec![];
    }
    let mut out = find(file, &[&UNORDERED, &ENTROPY]);
    if !SIMULATOR_CLOCKS.iter().any(|(path, _)| file.path == *path) {
        out.extend(find(file, &[&CLOCK]));
    }
    out
}

/// A number with a fraction: digits, a point, digits; not the second part of `a.0.1`.
fn has_float_literal(line: &str) -> bool {
    let bytes = line.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    (1..bytes.len()).any(|point| {
        if bytes[point] != b'.' || !digit(point - 1) || !digit(point + 1) {
            return false;
        }
        let number = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
        let start = point - bytes[..point].iter().rev().take_while(|byte| number(byte)).count();
        start == 0 || !(bytes[start - 1] == b'.' || bytes[start - 1].is_ascii_alphanumeric())
    })
}

pub fn nothing_is_left_undone(file: &File) -> Violations {
    let mut out = find(file, &[&UNDONE]);
    for (number, line) in file.code_lines() {
        if line.contains("allow(dead_code)") {
            out.push(format!("{}:{number}: allow(dead_code): take the code out: nobody uses it", file.path));
        }
    }
    // In comments: a mark with a reason stands as `TODO: what is missing, and why it may be`.
    for (index, comment) in comments(&file.text).lines().enumerate() {
        for mark in ["TODO", "FIXME", "XXX", "HACK"].into_iter().filter(|mark| has_word(comment, mark)) {
            let reason = comment.split_once(mark).map_or("", |(_, rest)| rest);
            if mark != "TODO" || !reason.starts_with(": ") || reason.split_whitespace().count() < 4 {
                let path = &file.path;
                out.push(format!("{path}:{}: {mark}: do it, or write `TODO: ` and why it is not done", index + 1));
            }
        }
    }
    out
}

pub fn every_test_runs(file: &File) -> Violations {
    let lines = file.code_lines().into_iter();
    let ignored = lines.filter(|(_, line)| line.contains("#[ignore") || line.contains("#![ignore"));
    let says = |(number, _)| format!("{}:{number}: ignore: make it pass, or take it out: all tests run", file.path);
    ignored.map(says).collect()
}

#[test]
fn planted_words_are_found() {
    let check = |rule: fn(&File) -> Violations, path: &str, text: &str, found: usize| {
        assert_eq!(rule(&File::new(path, text)).len(), found, "{path}: {text}");
    };
    for text in ["use std::collections::HashMap;", "let t = Instant::now();", "SystemTime::now()", "OsRng.fill(x)"] {
        check(core_is_deterministic, "core/src/room/state.rs", text, 1);
        check(core_is_deterministic, "core/src/room/tests.rs", text, 1);
        check(simulator_is_deterministic, "sim/src/world.rs", text, 1);
        check(core_is_deterministic, "shell/src/main.rs", text, 0);
    }
    check(simulator_is_deterministic, "sim/src/cli/stopwatch.rs", "let start = Instant::now();", 0);
    check(simulator_is_deterministic, "sim/src/cli/stopwatch.rs", "HashMap::new()", 1);
    for text in ["let x: f64 = y;", "let x = 1.5;", "x * 2_000.0", "println!(\"x\")"] {
        check(core_is_deterministic, "core/src/time.rs", text, 1);
        check(core_is_deterministic, "core/src/time/tests.rs", text, 0);
    }
    for text in ["self.0.1", "0..15", "// 1.5 and a HashMap", "\"f64 1.5\"", "x.1.to_string()"] {
        check(core_is_deterministic, "core/src/time.rs", text, 0);
    }
    for text in ["todo!()", "unimplemented!(\"x\")", "// TODO later", "// FIXME: this is wrong", "#[allow(dead_code)]"]
    {
        check(nothing_is_left_undone, "shell/src/main.rs", text, 1);
    }
    check(nothing_is_left_undone, "shell/src/main.rs", "// TODO: presence, once peers need it", 0);
    check(nothing_is_left_undone, "shell/src/main.rs", "let mastodon = 1;", 0);
    check(every_test_runs, "core/src/room/tests.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", 1);
    check(every_test_runs, "core/src/room/tests.rs", "#[test]\nfn f() {}", 0);
}

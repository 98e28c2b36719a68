//! The workspace's files, and Rust source without its comments and texts.

use std::path::{Path, PathBuf};

/// A file of the workspace.
pub struct File {
    /// From the workspace's root, with forward slashes.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> File {
        File { path: path.to_string(), text: text.to_string() }
    }

    /// Whether only tests use it.
    pub fn is_test(&self) -> bool {
        let parts: Vec<_> = self.path.split('/').collect();
        let named = |part: &&str| ["tests", "testing", "benches", "tests.rs", "testing.rs"].contains(part);
        parts.iter().any(named)
    }

    /// The lines, counted from 1, of its code: comments and texts are blank.
    pub fn code_lines(&self) -> Vec<(usize, String)> {
        code(&self.text).lines().map(str::to_string).enumerate().map(|(index, line)| (index + 1, line)).collect()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("core is in the workspace").to_path_buf()
}

pub fn read(path: &str) -> File {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    File { path: path.to_string(), text }
}

/// All files of the workspace with an extension, in the order of their paths.
pub fn workspace_files(extension: &str) -> Vec<File> {
    let mut paths = vec![];
    collect(&root(), &mut paths);
    let mut out: Vec<File> = vec![];
    for path in paths {
        if path.extension().is_some_and(|found| found == extension) {
            let relative = path.strip_prefix(root()).expect("it was found under the root");
            out.push(read(&relative.to_string_lossy().replace('\\', "/")));
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace can be read") {
        let path = entry.expect("an entry of a folder can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_string();
        if !path.is_dir() {
            out.push(path);
        } else if !["target", "node_modules", "corpora"].contains(&name.as_str()) && !name.starts_with('.') {
            collect(&path, out);
        }
    }
}

/// Source with comments, texts and characters blanked out, line by line as it was.
pub fn code(source: &str) -> String {
    keep(source, |starts_with| starts_with.is_none())
}

/// The comments of a source, line by line as they were; all else is blanked out.
pub fn comments(source: &str) -> String {
    keep(source, |starts_with| starts_with == Some('/'))
}

/// Blanks out what is not `kept`, which is shown the first character of a comment or text and `None` for code.
fn keep(source: &str, kept: impl Fn(Option<char>) -> bool) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped(&chars, at);
        let kept = kept((end > at).then_some(chars[at]));
        let end = end.max(at + 1);
        out.extend(chars[at..end].iter().map(|&char| if kept || char == '\n' { char } else { ' ' }));
        at = end;
    }
    out
}

/// Where the comment, text or character that starts at `at` ends; `at` if none does.
fn skipped(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    let after = |from: usize, what: &[char]| {
        let found = chars[from.min(chars.len())..].windows(what.len()).position(|window| window == what);
        found.map_or(chars.len(), |found| from + found + what.len())
    };
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], next(1)) {
        ('/', '/') => chars[at..].iter().position(|&char| char == '\n').map_or(chars.len(), |found| at + found),
        ('/', '*') => {
            let (mut depth, mut end) = (1, at + 2);
            while depth > 0 && end < chars.len() {
                match (chars[end], chars.get(end + 1)) {
                    ('/', Some('*')) => (depth, end) = (depth + 1, end + 2),
                    ('*', Some('/')) => (depth, end) = (depth - 1, end + 2),
                    _ => end += 1,
                }
            }
            end
        }
        ('r', '"' | '#') if !in_word || chars[at - 1] == 'b' => {
            let hashes = chars[at + 1..].iter().take_while(|&&char| char == '#').count();
            if chars.get(at + 1 + hashes) != Some(&'"') {
                return at;
            }
            let mut close = vec!['"'];
            close.resize(1 + hashes, '#');
            after(at + 2 + hashes, &close)
        }
        ('"', _) => quoted(chars, at, '"'),
        // A character, not a lifetime.
        ('\'', '\\') => quoted(chars, at, '\''),
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn quoted(chars: &[char], at: usize, close: char) -> usize {
    let mut end = at + 1;
    while end < chars.len() && chars[end] != close {
        end += if chars[end] == '\\' { 2 } else { 1 };
    }
    (end + 1).min(chars.len())
}

/// Whether `line` has `word` as a word of its own.
pub fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    line.match_indices(word).any(|(at, _)| {
        !part_of_word(line[..at].chars().next_back()) && !part_of_word(line[at + word.len()..].chars().next())
    })
}

#[test]
fn comments_and_texts_are_no_code() {
    let source = "a // b\n/* c /* d */ */ e \"f \\\" g\" h r#\"i\"j\"# k 'l' m '\\'' n<'o> br\"p\" crate::q";
    let words: Vec<String> = code(source).split_whitespace().map(str::to_string).collect();
    assert_eq!(words, ["a", "e", "h", "k", "m", "n<'o>", "b", "crate::q"]);
    assert_eq!(code(source).lines().count(), 2);
    let words: Vec<String> = comments(source).split_whitespace().map(str::to_string).collect();
    assert_eq!(words, ["//", "b", "/*", "c", "/*", "d", "*/", "*/"]);
}

#[test]
fn words_stand_alone() {
    assert!(has_word("x: HashMap<u8, u8>", "HashMap"));
    assert!(!has_word("x: MyHashMap", "HashMap"));
    assert!(!has_word("x: HashMapping", "HashMap"));
}

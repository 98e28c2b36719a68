//! The glob patterns of push rules (Appendices, "Glob-style matching"; Client-Server API, "Conditions").

use alloc::vec::Vec;

/// A pattern, in lower case: matching does not care about case, in any script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    Any,
    /// `*`
    Many,
}

/// A text that patterns are matched against, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(Vec<char>);

impl Text {
    #[must_use]
    pub fn new(text: &str) -> Text {
        Text(text.chars().flat_map(char::to_lowercase).collect())
    }

    /// Whether there is a word boundary before the character `at`: the text starts or ends there, or a character on either side
    /// is none of a word's.
    fn is_boundary(&self, at: usize) -> bool {
        let is_word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let before = at.checked_sub(1).and_then(|before| self.0.get(before));
        !before.is_some_and(is_word) || !self.0.get(at).is_some_and(is_word)
    }
}

impl Glob {
    #[must_use]
    pub fn new(pattern: &str) -> Glob {
        let tokens = pattern.chars().flat_map(char::to_lowercase).map(|c| match c {
            '*' => Token::Many,
            '?' => Token::Any,
            c => Token::Char(c),
        });
        Glob(tokens.collect())
    }

    /// A pattern that matches `text`, whatever the case of its letters, and nothing else.
    #[must_use]
    pub fn literal(text: &str) -> Glob {
        Glob(text.chars().flat_map(char::to_lowercase).map(Token::Char).collect())
    }

    /// Whether the pattern matches all of `text`.
    #[must_use]
    pub fn matches(&self, text: &Text) -> bool {
        self.run(text, |at| at == 0, |at| at == text.0.len())
    }

    /// [`Glob::matches`] of a text that is matched once.
    #[must_use]
    pub fn matches_str(&self, text: &str) -> bool {
        if self.0.iter().any(|token| !matches!(token, Token::Char(_))) {
            return self.matches(&Text::new(text));
        }
        self.0.iter().copied().eq(text.chars().flat_map(char::to_lowercase).map(Token::Char))
    }

    /// Whether it matches some part of `text` that starts and ends at a word boundary.
    #[must_use]
    pub fn matches_words(&self, text: &Text) -> bool {
        let may_start = |at: usize| match self.0.first() {
            Some(Token::Char(first)) => text.0.get(at) == Some(first),
            _ => true,
        };
        self.run(text, |at| may_start(at) && text.is_boundary(at), |at| text.is_boundary(at))
    }

    /// Follows all matches side by side, so that the time is at most the product of the lengths. A match may start before each
    /// character for which `starts` holds, and end where `ends` does.
    fn run(&self, text: &Text, starts: impl Fn(usize) -> bool, ends: impl Fn(usize) -> bool) -> bool {
        let (mut now, mut next) = (Reached::new(self), Reached::new(self));
        for at in 0..=text.0.len() {
            if starts(at) {
                now.add(self, 0);
            }
            if now.contains(self.0.len()) && ends(at) {
                return true;
            }
            let Some(c) = text.0.get(at) else { return false };
            for token in now.drain() {
                match self.0.get(token) {
                    Some(Token::Many) => next.add(self, token),
                    Some(Token::Any) => next.add(self, token + 1),
                    Some(Token::Char(wanted)) if wanted == c => next.add(self, token + 1),
                    Some(Token::Char(_)) | None => {}
                }
            }
            core::mem::swap(&mut now, &mut next);
        }
        false
    }
}

/// How many tokens of the pattern the matches under way have behind them, each number once.
struct Reached {
    numbers: Vec<usize>,
    has: Vec<bool>,
}

impl Reached {
    fn new(glob: &Glob) -> Reached {
        Reached { numbers: Vec::new(), has: alloc::vec![false; glob.0.len() + 1] }
    }

    fn contains(&self, number: usize) -> bool {
        self.has[number]
    }

    /// Adds a match, and with it those in which what follows matches nothing.
    fn add(&mut self, glob: &Glob, mut number: usize) {
        while !self.has[number] {
            self.has[number] = true;
            self.numbers.push(number);
            if glob.0.get(number) == Some(&Token::Many) {
                number += 1;
            }
        }
    }

    fn drain(&mut self) -> impl Iterator<Item = usize> + '_ {
        self.has.fill(false);
        self.numbers.drain(..)
    }
}

#[cfg(test)]
mod tests;

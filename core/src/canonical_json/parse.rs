//! Parsing of any JSON text (RFC 8259), with the bounds and decisions that a server needs.
//!
//! What arrives from the wire and has no obvious meaning:
//!
//! - **Not UTF-8, or a lone surrogate** (`"\ud800"`): refused. Neither has a canonical encoding, so neither can be signed.
//! - **Two members of one name**: the last one counts. RFC 8259 leaves it open and the specification says nothing; most of the
//!   federation (Python's `json`, serde_json) does this, and hashes and signatures are made over what is left. Refusing such
//!   a text would only let a hostile server show an event to others and not to us.
//! - **Numbers that canonical JSON does not have**: kept as written, however long, without computing their value; see
//!   [`Value::Number`].
//! - **Nesting** deeper than [`MAX_JSON_DEPTH`]: refused before it can use up the stack.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::scan::plain_prefix;
use super::value::{MAX_SAFE_INTEGER, Object, Value};
use crate::limits::MAX_JSON_DEPTH;

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The offset of the offending byte.
    pub at: usize,
    pub what: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl core::error::Error for ParseError {}

/// Parses one JSON text.
pub fn parse(text: &[u8]) -> Result<Value, ParseError> {
    let text = core::str::from_utf8(text).map_err(|error| ParseError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, members: Vec::new(), items: Vec::new() };
    parser.skip_space();
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at != text.len() {
        return Err(parser.error("more after the value"));
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    /// Of `text`.
    bytes: &'a [u8],
    at: usize,
    /// The members so far of the objects that are open, outermost first. Shared, so that each finished object is one
    /// allocation of its exact size.
    members: Vec<(String, Value)>,
    /// The items so far of the arrays that are open.
    items: Vec<Value>,
}

impl<'a> Parser<'a> {
    fn error(&self, what: &'static str) -> ParseError {
        ParseError { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Cut at ASCII bytes, hence at character boundaries.
    fn slice(&self, from: usize, to: usize) -> &'a str {
        &self.text[from..to]
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, ParseError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.error("unknown word"))
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, ParseError> {
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.error("no value begins like this")),
            None => Err(self.error("the text ends early")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, ParseError> {
        if depth >= MAX_JSON_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(Vec::new()));
        }
        let first = self.items.len();
        loop {
            self.skip_space();
            let item = self.value(depth + 1)?;
            self.items.push(item);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(self.items.drain(first..).collect()));
                }
                _ => return Err(self.error("expected , or ]")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, ParseError> {
        if depth >= MAX_JSON_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(Object::new()));
        }
        let first = self.members.len();
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a member's name"));
            }
            let name = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.error("expected :"));
            }
            self.at += 1;
            self.skip_space();
            let value = self.value(depth + 1)?;
            self.members.push((name, value));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(Object::from_members(self.members.drain(first..).collect())));
                }
                _ => return Err(self.error("expected , or }")),
            }
        }
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("expected a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = self.slice(start, self.at);
        if integer
            && let Ok(number) = text.parse::<i64>()
            && (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&number)
            && text != "-0"
        {
            return Ok(Value::Integer(number));
        }
        Ok(Value::Number(text.into()))
    }

    /// From an opening quote to after the closing one.
    fn string(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.at;
            self.at += plain_prefix(&self.bytes[plain..]);
            let text = self.slice(plain, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if out.is_empty() {
                        return Ok(String::from(text));
                    }
                    out.push_str(text);
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(text);
                    self.at += 1;
                    out.push(self.escape()?);
                }
                Some(_) => return Err(self.error("a control character inside a string")),
                None => return Err(self.error("the text ends inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let Some(byte) = self.peek() else { return Err(self.error("the text ends inside a string")) };
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.error("unknown escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// After `\u`: one escape, or the two of a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, ParseError> {
        let first = self.hex4()?;
        if !(0xd800..=0xdbff).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.error("a lone surrogate"));
        }
        if !self.bytes[self.at..].starts_with(b"\\u") {
            return Err(self.error("a lone surrogate"));
        }
        self.at += 2;
        let second = self.hex4()?;
        if !(0xdc00..=0xdfff).contains(&second) {
            return Err(self.error("a lone surrogate"));
        }
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        Ok(char::from_u32(code).expect("a surrogate pair is a character"))
    }

    fn hex4(&mut self) -> Result<u32, ParseError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.error("expected four hexadecimal digits")) };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

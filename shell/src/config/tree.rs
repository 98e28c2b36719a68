//! Configuration as it was written, before anyone asks what it means: a tree in which every value knows where it is from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, by name, and a line in it.
    File(Arc<str>, usize),
    /// An environment variable.
    Environment(Arc<str>),
    /// The text after `-o`.
    Option(Arc<str>),
    /// Nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(name, line) => write!(f, "{name}:{line}"),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            // Not the text: it may be a secret.
            Origin::Option(text) => write!(f, "-o {}", text.split('=').next().unwrap_or_default()),
            Origin::Default => f.write_str("default"),
        }
    }
}

pub type Entries = BTreeMap<String, Node>;

#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Table(Entries),
    List(Vec<Node>),
    Text(String),
    Integer(i64),
    Boolean(bool),
    /// What no key of ours can be: a float, a date, an integer beyond 64 bits; as written.
    Other(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub data: Data,
    pub origin: Origin,
    /// For variables and options, which need no quotes around a text: what was written.
    pub raw: Option<String>,
}

/// What is wrong with the text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub line: usize,
    pub message: String,
}

/// Reads a file's text.
pub fn parse_file(name: &str, text: &str) -> Result<Entries, SyntaxError> {
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().lines().collect::<Vec<_>>().join(", "),
    })?;
    let name: Arc<str> = Arc::from(name);
    let origin = |at: usize| Origin::File(name.clone(), line_of(text, at));
    Ok(entries(table.get_ref(), &origin))
}

/// Reads the value of a variable or an option: TOML, or else a text without quotes.
pub fn parse_value(raw: &str, origin: &Origin) -> Node {
    let data = match DeValue::parse(raw) {
        Ok(value) => data(value.get_ref(), &|_| origin.clone()),
        Err(_) => Data::Text(raw.to_owned()),
    };
    Node { data, origin: origin.clone(), raw: Some(raw.to_owned()) }
}

fn entries(table: &DeTable<'_>, origin: &impl Fn(usize) -> Origin) -> Entries {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), node(key.span().start, value, origin))).collect()
}

fn node(at: usize, value: &Spanned<DeValue<'_>>, origin: &impl Fn(usize) -> Origin) -> Node {
    Node { data: data(value.get_ref(), origin), origin: origin(at), raw: None }
}

fn data(value: &DeValue<'_>, origin: &impl Fn(usize) -> Origin) -> Data {
    match value {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Data::Other(number.as_str().to_owned()), Data::Integer),
        DeValue::Float(number) => Data::Other(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Data::Boolean(*flag),
        DeValue::Datetime(time) => Data::Other(time.to_string()),
        DeValue::Array(values) => {
            Data::List(values.iter().map(|value| node(value.span().start, value, origin)).collect())
        }
        DeValue::Table(table) => Data::Table(entries(table, origin)),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

impl Data {
    /// What it is, for a message; with the value if that is short and may be shown.
    #[must_use]
    pub fn describe(&self, may_show: bool) -> String {
        match self {
            Data::Table(_) => "a table".to_owned(),
            Data::List(_) => "a list".to_owned(),
            Data::Text(text) if may_show => format!("the text {text:?}"),
            Data::Integer(number) if may_show => format!("the number {number}"),
            Data::Other(text) if may_show => text.clone(),
            Data::Boolean(flag) => flag.to_string(),
            Data::Text(_) => "a text".to_owned(),
            Data::Integer(_) => "a number".to_owned(),
            Data::Other(_) => "something else".to_owned(),
        }
    }
}

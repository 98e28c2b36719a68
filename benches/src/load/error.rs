//! What can go wrong while a load runs.

use std::fmt;

#[derive(Debug)]
pub enum LoadError {
    /// The command line does not fit; the text says how.
    Usage(String),
    /// A socket, file or process failed.
    Io(std::io::Error),
    /// The server answered something other than `200`.
    Status { request: String, status: u16, body: String },
    /// The server's answer is not HTTP/1.1, or lacks what it must have.
    Answer(String),
}

pub type Result<T> = std::result::Result<T, LoadError>;

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Usage(why) => write!(f, "{why}"),
            LoadError::Io(error) => write!(f, "{error}"),
            LoadError::Status { request, status, body } => write!(f, "{request} answered {status}: {body}"),
            LoadError::Answer(why) => write!(f, "unexpected answer: {why}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<std::io::Error> for LoadError {
    fn from(error: std::io::Error) -> Self {
        LoadError::Io(error)
    }
}

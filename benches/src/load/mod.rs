//! A load generator: drives any homeserver over plain HTTP, and says what it cost the server and what it cost itself.
//!
//! It shares the machine with the server that it measures, so it is light: threads that block, one kept connection each,
//! requests written in one system call, answers searched instead of parsed.
// To measure is to read the clock, and to load at a pace is to sleep.
#![allow(clippy::disallowed_methods)]

pub mod arguments;
pub mod client;
pub mod connection;
pub mod error;
pub mod measure;
pub mod process;
pub mod report;
pub mod scenarios;
pub mod server;
pub mod statistics;

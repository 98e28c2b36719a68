//! The real binary, from outside: started, spoken to over sockets, stopped and killed.

// Another process is watched here, from the wall clock's side.
#![allow(clippy::disallowed_methods)]

mod bad_http;
mod disk;
mod process;
mod start;
mod stop;
mod user;

//! The real binary, from outside: started, spoken to over sockets, stopped and killed.

// Another process is watched here, from the wall clock's side.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod bad_http;
mod disk;
mod durability;
mod federation;
mod process;
mod record;
mod slow_clients;
mod start;
mod stop;
mod tls;
mod user;

//! The real binary, from outside: started, spoken to over sockets, stopped and killed.

mod bad_http;
mod disk;
mod process;
mod start;
mod stop;

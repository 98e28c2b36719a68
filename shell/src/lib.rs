//! Orrery's shell: network, disk, time and entropy around the deterministic core.

#![allow(clippy::disallowed_methods, reason = "the shell is where clocks are read and where threads wait")]

pub mod cli;
pub mod commit_thread;
pub mod config;
pub mod compute_pool;
pub mod core_loop;
pub mod entropy;
pub mod exit;
pub mod http_client;
pub mod http_server;
pub mod logging;
pub mod notify;
pub mod query_pool;
pub mod recorder;
pub mod server;
pub mod signing_key;
pub mod storage;
pub mod time;
pub mod tls;

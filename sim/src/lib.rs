//! The Orrery simulator: real homeservers and virtual clients on a virtual disk, network and clock, all from one seed.
//!
//! [`world::run`] runs a [`plan::Plan`], which a seed draws; `sim/README.md` says how it all works.

pub mod clock;
pub mod draw;
pub mod failure;
pub mod trace;
pub mod storage;
pub mod tasks;
pub mod queue;
pub mod recording;
pub mod fault;
pub mod key_server;
pub mod keys;
pub mod names;
pub mod links;
pub mod network;
pub mod memo;
pub mod server;
pub mod workload;
pub mod backups;
pub mod byzantine;
pub mod options;
pub mod plan;
pub mod reference;
pub mod glance;
pub mod checkers;
pub mod measures;
pub mod client;
pub mod world;
pub mod runner;
pub mod recorded;
pub mod shrink;
pub mod report;
pub mod study;
pub mod cli;

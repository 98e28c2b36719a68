//! Orrery's benchmarks: criterion benches are in `benches/`, those of requests with a homeserver in memory ([`host`]);
//! [`load`] is a load generator for any homeserver.

pub mod host;
pub mod load;
pub mod network;
pub mod transaction;

//! Orrery's benchmarks: criterion benches are in `benches/`, those of requests with a homeserver in memory ([`host`]).

pub mod host;

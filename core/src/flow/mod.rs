//! The machinery under the four kinds of code (`ARCHITECTURE.md`, "Four kinds of code"): steps that write atomically, flows
//! that wait, the calls they wait for, and the barrier that holds every effect until what it speaks of is durable.

mod call;
mod executor;
mod join;
mod lanes;
mod outbox;
mod step;

pub use call::{Calls, Cx, Host, Spawned};
pub use executor::{Executor, FlowId, WaitingFlow};
pub use join::join_all;
pub use lanes::{Lane, LaneGuard};
pub use outbox::Outbox;
pub use step::{Finished, Notice, PolicyAnswers, Step};

#[cfg(test)]
mod tests;

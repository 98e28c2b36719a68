//! How events of other servers become part of a room: judged, stored, followed (Server-Server API, "Checks performed on receipt
//! of a PDU", from 4 on; what comes before is `federation::receive_pdu`).

mod event;
mod history;
mod holes;
mod judge;
mod outliers;

#[cfg(test)]
mod tests;

pub use event::{Given, Outcome, enter, receive, receive_given, receive_next, unauthorised};
pub use history::{Gap, Told, find_gap, has_gaps, not_in_graph, store_history};
pub use holes::{Fillings, forget_holes, found, holes, is_being_filled, note_holes, rooms_with_holes};
pub use judge::KnownEvents;
pub(super) use judge::judge_on_state;
pub use outliers::{sort_by_auth_events, sort_by_prev_events, state_after_outlier, store_outliers};

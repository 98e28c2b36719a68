//! What cannot be had at the moment, and is asked for again after ever longer pauses.

use super::{fill_holes, partings};
use crate::error::ApiError;
use crate::flow::{Cx, WaitingFlow};
use crate::limits::{HOLE_PAUSE, LONGEST_HOLE_PAUSE};

/// Asks after each pause, until `ask` says that nothing is left to ask for. What this server itself could not do (read the disk, say) is
/// tried again like the rest.
pub(super) async fn ask_again(cx: &Cx, mut ask: impl AsyncFnMut() -> Result<bool, ApiError>) {
    let mut pause = HOLE_PAUSE;
    while pause <= LONGEST_HOLE_PAUSE {
        cx.sleep_until(cx.now() + pause).await;
        if let Ok(false) = ask().await {
            return;
        }
        pause *= 4;
    }
}

/// Whether all that a flow waits for is the end of a pause: it goes on for days, while nobody asks for anything.
pub fn is_pausing(flow: &WaitingFlow) -> bool {
    [fill_holes::NAME, partings::NAME].contains(&flow.name) && flow.waits_for == ["timer"]
}

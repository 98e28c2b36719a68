//! Waiting for several things at once, within one flow.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;

/// Runs `futures` side by side, at most `at_most` of them at a time, begun in their order; the results are in the same order.
/// Each answer polls all that are under way, so `at_most` is to be small.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>, at_most: usize) -> Vec<F::Output> {
    assert!(at_most > 0, "without a place nothing would ever run");
    let mut waiting = futures.into_iter().enumerate();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut results: Vec<(usize, F::Output)> = Vec::new();
    poll_fn(|context| {
        loop {
            let mut ended = false;
            running.retain_mut(|(at, future)| match future.as_mut().poll(context) {
                Poll::Ready(result) => {
                    results.push((*at, result));
                    ended = true;
                    false
                }
                Poll::Pending => true,
            });
            let before = running.len();
            let free = at_most - before;
            running.extend(waiting.by_ref().take(free).map(|(at, future)| (at, Box::pin(future))));
            if running.is_empty() {
                return Poll::Ready(());
            }
            // What has just begun has not been polled yet; what has ended may have made others ready.
            if running.len() == before && !ended {
                return Poll::Pending;
            }
        }
    })
    .await;
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

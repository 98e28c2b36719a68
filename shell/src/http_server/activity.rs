//! Whether anything happens on an HTTP/2 connection. HTTP itself sees to that on HTTP/1.1, where requests come one at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Writes up to so many bytes are no progress of an answer: whoever only answers pings gets frames that are shorter.
const CONTROL_FRAMES: usize = 64;

/// What happened last.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests without an answer.
    under_way: usize,
    /// When an answer was last ready, or went on, or else when the connection was made.
    last: Instant,
}

impl Activity {
    pub(super) fn new() -> Arc<Activity> {
        Arc::new(Activity { state: Mutex::new(State { under_way: 0, last: Instant::now() }) })
    }

    /// A request is under way for as long as what this gives is kept.
    pub(super) fn begin(self: &Arc<Activity>) -> Request {
        self.lock().under_way += 1;
        Request(self.clone())
    }

    /// So many bytes were written.
    pub(super) fn wrote(&self, bytes: usize) {
        if bytes > CONTROL_FRAMES {
            self.lock().last = Instant::now();
        }
    }

    /// Ends once nothing has happened for so long.
    pub(super) async fn none_for(&self, patience: Duration) {
        loop {
            let now = Instant::now();
            let next = {
                let state = self.lock();
                if state.under_way > 0 { now + patience } else { state.last + patience }
            };
            if next <= now {
                return;
            }
            sleep_until(next).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Request(Arc<Activity>);

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way -= 1;
        state.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    /// Whether it is over soon that nothing happens.
    async fn is_idle(activity: &Activity) -> bool {
        tokio::time::timeout(10 * SHORT, activity.none_for(SHORT)).await.is_ok()
    }

    #[test]
    fn requests_and_answers_are_activity_and_what_is_short_is_not() {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let activity = Activity::new();
            let (request, other) = (activity.begin(), activity.begin());
            assert!(!is_idle(&activity).await);
            drop(request);
            assert!(!is_idle(&activity).await);
            drop(other);
            activity.none_for(SHORT).await;
            let last = || activity.lock().last;
            let before = last();
            activity.wrote(CONTROL_FRAMES);
            assert_eq!(last(), before);
            activity.wrote(CONTROL_FRAMES + 1);
            assert!(last() > before);
        });
    }
}

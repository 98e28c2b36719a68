//! Trying many plans at once, as if it were one after the other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::failure::Failure;
use crate::plan::Plan;

/// The first plan, in their order, that `fails`, and how. Later ones may have been tried in vain.
pub fn first(plans: &[Plan], jobs: usize, fails: impl Fn(&Plan) -> Option<Failure> + Sync) -> Option<(usize, Failure)> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Option<(usize, Failure)>> = Mutex::new(None);
    let first_found = AtomicUsize::new(usize::MAX);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= plans.len() || at > first_found.load(Ordering::Relaxed) {
                return;
            }
            let Some(failure) = fails(&plans[at]) else { continue };
            let mut found = found.lock().expect("no thread panics while it holds the lock");
            if found.as_ref().is_none_or(|(other, _)| at < *other) {
                first_found.store(at, Ordering::Relaxed);
                *found = Some((at, failure));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(plans.len()) {
            scope.spawn(work);
        }
        work();
    });
    found.into_inner().expect("no thread panics while it holds the lock")
}

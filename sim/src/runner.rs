//! Running worlds: a panic of the core becomes a failure, and a run can be checked against its repeat.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::failure::{Failure, Kind};
use crate::plan::Plan;
use crate::storage::Endless;
use crate::trace::hex;
use crate::world::{self, Counts, Extras, Outcome};

thread_local! {
    /// The panic that this thread is catching, while it runs a world.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics inside worlds are failures to report, not messages to print in between.
fn catch_messages() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let caught = PANIC.with_borrow_mut(|panic| match panic {
                Some(message) => {
                    *message = info.to_string();
                    true
                }
                None => false,
            });
            if !caught {
                before(info);
            }
        }));
    });
}

/// Runs something of which a panic is a failure of the kind [`Kind::Crash`]; of the kind [`Kind::Liveness`] where it ends what would
/// never end.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_messages();
    PANIC.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(run));
    let message = PANIC.take().unwrap_or_default();
    result.map_err(|panic| match panic.downcast_ref() {
        Some(Endless) => Failure::liveness("return", "core reads its storage for ever, within one input"),
        None => Failure { kind: Kind::Crash, checker: "panic", evidence: message.replace('\n', " ") },
    })
}

/// Runs a plan; after a panic there is no hash.
#[must_use]
pub fn run(plan: &Plan, extras: Extras) -> Outcome {
    caught(|| world::run(plan, extras)).unwrap_or_else(|failure| Outcome {
        hash: [0; 32],
        failure: Some(failure),
        counts: Counts::default(),
        measures: None,
    })
}

/// Runs a plan twice: two runs that differ are a failure.
#[must_use]
pub fn run_twice(plan: &Plan, mut extras: impl FnMut() -> Extras) -> Outcome {
    let first = run(plan, extras());
    if first.failure.is_some() {
        return first;
    }
    let second = run(plan, extras());
    if first == second {
        return first;
    }
    let evidence = match second.failure {
        Some(failure) => format!("the second run failed: {failure}"),
        None => format!("the first run's hash is {}, the second's {}", hex(&first.hash), hex(&second.hash)),
    };
    Outcome { failure: Some(Failure { kind: Kind::Determinism, checker: "repeat", evidence }), ..first }
}

//! The compute pool: pure work that is too heavy for the core's thread, such as password hashes.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use orrery_core::compute::Scratch;
use orrery_core::effect::{CallId, Job};
use orrery_core::input::Outcome;

use crate::core_loop::{CoreSender, Life, Message};

/// Jobs that may wait. Each needs memory for its hash only once it runs, but a queue longer than this is minutes long.
const MAX_WAITING: usize = 1024;

/// How long a thread keeps the memory of its last job.
const IDLE: Duration = Duration::from_secs(10);

/// One job and the call that it answers.
#[derive(Debug)]
pub struct ComputeTask {
    pub life: Life,
    pub call: CallId,
    pub job: Job,
}

/// The threads. They end when the pool is dropped.
#[derive(Debug)]
pub struct ComputePool {
    shared: Arc<PoolShared>,
    core: CoreSender,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct PoolShared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    tasks: VecDeque<ComputeTask>,
    is_closed: bool,
}

impl PoolShared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ComputePool {
    pub fn start(threads: usize, core: &CoreSender) -> std::io::Result<ComputePool> {
        let shared = Arc::new(PoolShared::default());
        let mut pool = ComputePool { shared: shared.clone(), core: core.clone(), threads: Vec::new() };
        for number in 1..=threads {
            let (shared, core) = (shared.clone(), core.clone());
            let thread = std::thread::Builder::new().name(format!("compute-{number}"));
            pool.threads.push(thread.spawn(move || work(&shared, &core))?);
        }
        Ok(pool)
    }

    /// Runs a job on one of the threads; the core receives its outcome.
    pub fn run(&self, task: ComputeTask) {
        let mut queue = self.shared.queue();
        if queue.tasks.len() < MAX_WAITING {
            queue.tasks.push_back(task);
            drop(queue);
            self.shared.changed.notify_one();
        } else {
            drop(queue);
            let outcome = Outcome::Failed("too many jobs are waiting".to_owned());
            self.core.send(Message::Resolved { life: task.life, call: task.call, outcome });
        }
    }

    /// Forgets a job that has not begun.
    pub fn abandon(&self, life: Life, call: CallId) {
        self.shared.queue().tasks.retain(|task| (task.life, task.call) != (life, call));
    }
}

impl Drop for ComputePool {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // Panics are caught where they happen.
            let _: Result<_, _> = thread.join();
        }
    }
}

fn work(shared: &PoolShared, core: &CoreSender) {
    let mut scratch = Scratch::default();
    while let Some(ComputeTask { life, call, job }) = next(shared, &mut scratch) {
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run_with(&mut scratch))).unwrap_or_else(|_| {
            tracing::error!(?job, "a bug in a job");
            Outcome::Failed("the job panicked".to_owned())
        });
        core.send(Message::Resolved { life, call, outcome });
    }
}

/// Waits for a task; `None` when the pool is closed. Memory is given back when it has not been of use for a while.
fn next(shared: &PoolShared, scratch: &mut Scratch) -> Option<ComputeTask> {
    let mut queue = shared.queue();
    let mut is_idle = false;
    loop {
        if queue.is_closed {
            return None;
        }
        if let Some(task) = queue.tasks.pop_front() {
            return Some(task);
        }
        queue = if is_idle {
            shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
        } else {
            let (queue, waited) = shared.changed.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() {
                *scratch = Scratch::default();
                is_idle = true;
            }
            queue
        };
    }
}

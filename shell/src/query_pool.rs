//! The query pool: read-only requests that may take long, each on a snapshot of its own, beside the core's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use orrery_core::config::Config;
use orrery_core::effect::Query;
use orrery_core::error::ApiError;
use orrery_core::input::RequestId;
use orrery_core::query;
use orrery_core::router::Router;
use orrery_core::time::Timestamp;
use tokio::sync::oneshot;

use crate::core_loop::{Answer, Cost, STORAGE_FAILED, unavailable};
use crate::storage::Snapshot;
use crate::time::Stopwatch;

/// One query and whoever waits for it.
#[derive(Debug)]
pub struct QueryTask {
    pub id: RequestId,
    pub query: Query,
    pub snapshot: Snapshot,
    pub now: Timestamp,
    pub reply: oneshot::Sender<Answer>,
    /// So far.
    pub cost: Cost,
}

/// The threads. They end when the pool is dropped.
#[derive(Debug)]
pub struct QueryPool {
    tasks: Option<Sender<QueryTask>>,
    threads: Vec<JoinHandle<()>>,
}

impl QueryPool {
    pub fn start(threads: usize, config: &Arc<Config>) -> std::io::Result<QueryPool> {
        let (sender, tasks) = crossbeam_channel::unbounded();
        let mut pool = QueryPool { tasks: Some(sender), threads: Vec::new() };
        let router = Arc::new(Router::new());
        for number in 1..=threads {
            let (tasks, config, router) = (tasks.clone(), config.clone(), router.clone());
            let thread = std::thread::Builder::new().name(format!("query-{number}"));
            pool.threads.push(thread.spawn(move || work(&tasks, &config, &router))?);
        }
        Ok(pool)
    }

    /// Runs a query on one of the threads. Their number is bounded by that of requests under way.
    pub fn run(&self, task: QueryTask) {
        if let Some(tasks) = &self.tasks {
            // The threads end only with the pool.
            let _: Result<_, _> = tasks.send(task);
        }
    }
}

impl Drop for QueryPool {
    fn drop(&mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            // Panics are caught where they happen.
            let _: Result<_, _> = thread.join();
        }
    }
}

fn work(tasks: &Receiver<QueryTask>, config: &Config, router: &Router) {
    while let Ok(task) = tasks.recv() {
        let QueryTask { id, query, snapshot, now, reply, mut cost } = task;
        // The client may have gone away while the query waited.
        if reply.is_closed() {
            continue;
        }
        let start = Stopwatch::start();
        let run = || query::run(router, &snapshot, config, now, id, &query);
        let response = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            tracing::error!(method = ?query.request.method, path = query.request.path, "a bug in a query");
            ApiError::internal("Something went wrong in the server").response()
        });
        let response = if snapshot.has_failed() { unavailable(STORAGE_FAILED) } else { response };
        // The store may be waiting for its readers.
        drop(snapshot);
        cost.core += start.elapsed();
        let _: Result<_, _> = reply.send(Answer { response, cost });
    }
}

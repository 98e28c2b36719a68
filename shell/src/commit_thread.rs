//! The commit thread: makes commits durable, as many at a time as are waiting, so that the core never waits for the disk.
//!
//! A failure of the disk is handled as a crash would be: the core is dropped, the store is closed and opened again, and a new
//! core starts on what is durable. Nothing was acknowledged that is not.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use orrery_core::effect::{Batch, CommitId};

use crate::core_loop::{CoreSender, Life, Message};
use crate::storage::{OpenError, Options, Shared, Store, WriteError};

/// A group larger than this is written before more is added to it.
const MAX_GROUP: usize = 4 * 1024 * 1024;
/// How long nothing must have been committed before the database takes over what there is.
const IDLE: Duration = Duration::from_secs(5);
/// Between two attempts to open a store that failed.
const RETRY: Duration = Duration::from_millis(500);

/// What the core's thread tells this one.
#[derive(Debug)]
pub enum Work {
    Commit {
        life: Life,
        id: CommitId,
        batch: Batch,
    },
    /// Answer once everything before is durable.
    Flush(Sender<()>),
    /// The answer to [`Message::StorageFailed`]: the core is dropped, and no commit of its follows.
    Dropped,
    /// A read failed: the store must be opened again.
    Suspect,
    /// A checkpoint has ended.
    Checkpointed,
    /// Make everything durable, close the store and end.
    Stop,
}

/// The thread, from outside.
#[derive(Debug)]
pub struct CommitThread {
    pub work: Sender<Work>,
    thread: JoinHandle<Result<(), WriteError>>,
}

impl CommitThread {
    /// Starts it on an open store.
    pub fn start(store: Store, folder: PathBuf, options: Options, core: CoreSender) -> std::io::Result<CommitThread> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let state = State {
            shared: store.shared().clone(),
            store: Some(store),
            folder,
            options,
            core,
            work: receiver,
            own: sender.clone(),
            waiting: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(crate::exit::end_process_on_panic(|| state.run()))?;
        Ok(CommitThread { work: sender, thread })
    }

    /// Ends the thread, with everything durable and the store closed.
    pub fn stop(self) -> Result<(), WriteError> {
        // If the thread is gone already, its result says why.
        let _: Result<_, _> = self.work.send(Work::Stop);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

struct State {
    /// `None` while the store is closed after a failure.
    store: Option<Store>,
    shared: Arc<Shared>,
    folder: PathBuf,
    options: Options,
    core: CoreSender,
    work: Receiver<Work>,
    /// For checkpoints to report to.
    own: Sender<Work>,
    /// What to tell the core when the group under construction is durable.
    waiting: Vec<(Life, CommitId)>,
}

/// What the thread does after a turn.
enum Turn {
    Again,
    Stop,
}

impl State {
    fn run(mut self) -> Result<(), WriteError> {
        if let Err(error) = self.checkpoint() {
            self.fail(&error);
        }
        loop {
            match self.turn() {
                Ok(Turn::Again) => {}
                Ok(Turn::Stop) => break,
                Err(error) => {
                    if let Turn::Stop = self.fail(&error) {
                        break;
                    }
                }
            }
        }
        self.store.take().map_or(Ok(()), Store::close)
    }

    /// Waits for work, and does all that is waiting.
    fn turn(&mut self) -> Result<Turn, WriteError> {
        let patience = self.patience();
        let first = match self.work.recv_timeout(patience) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                self.start_checkpoint()?;
                return Ok(Turn::Again);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(Turn::Stop),
        };
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                Work::Commit { life, id, batch } => {
                    let store = self.store_mut();
                    store.add(batch);
                    let is_full = store.group_size() > MAX_GROUP;
                    match self.waiting.last_mut() {
                        Some(last) if last.0 == life => last.1 = id,
                        _ => self.waiting.push((life, id)),
                    }
                    if is_full {
                        self.flush()?;
                    }
                }
                Work::Flush(done) => {
                    self.flush()?;
                    // Whoever asked may have given up.
                    let _: Result<_, _> = done.send(());
                }
                // It answers a failure that is dealt with.
                Work::Dropped => {}
                Work::Suspect => return Err(WriteError::Unreadable),
                Work::Checkpointed => {
                    self.flush()?;
                    self.store_mut().finish_checkpoint()?;
                    if self.work.is_empty() && !self.store_mut().is_checkpoint_due() {
                        self.store_mut().trim()?;
                    }
                }
                Work::Stop => {
                    self.flush()?;
                    return Ok(Turn::Stop);
                }
            }
            next = self.work.try_recv().ok();
        }
        self.flush()?;
        self.checkpoint()?;
        Ok(Turn::Again)
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.store_mut().flush()?;
        for (life, commit) in self.waiting.drain(..) {
            self.core.send(Message::Durable { life, commit });
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), WriteError> {
        if self.store_mut().is_checkpoint_due() { self.start_checkpoint() } else { Ok(()) }
    }

    fn start_checkpoint(&mut self) -> Result<(), WriteError> {
        let own = self.own.clone();
        let done = move || {
            // The thread may have ended meanwhile; then it has waited for the checkpoint.
            let _: Result<_, _> = own.send(Work::Checkpointed);
        };
        self.store_mut().start_checkpoint(done)
    }

    /// How long to wait for work.
    fn patience(&mut self) -> Duration {
        if self.store_mut().is_idle_checkpoint_due() { IDLE } else { Duration::MAX }
    }

    /// The store failed: has the core dropped, and opens the store again, for as long as it takes.
    fn fail(&mut self, error: &WriteError) -> Turn {
        tracing::error!(%error, "the storage failed; requests are answered 503 until it works again");
        self.waiting.clear();
        self.core.send(Message::StorageFailed);
        let mut stop = false;
        loop {
            match self.work.recv() {
                Ok(Work::Dropped) => break,
                Ok(Work::Stop) | Err(_) => {
                    stop = true;
                    break;
                }
                // Commits of the core that is gone, and whoever waits for them learns it from the disconnection.
                Ok(_) => {}
            }
        }
        if let Some(store) = self.store.take() {
            store.abandon();
        }
        let mut last_problem = String::new();
        loop {
            match self.reopen() {
                Ok(store) => {
                    self.store = Some(store);
                    break;
                }
                Err(_) if stop => return Turn::Stop,
                Err(problem) => {
                    if problem != last_problem {
                        tracing::warn!(error = %problem, "the storage does not work yet");
                        last_problem = problem;
                    }
                }
            }
            match self.work.recv_timeout(RETRY) {
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => stop = true,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        if stop {
            return Turn::Stop;
        }
        tracing::info!("the storage works again");
        self.core.send(Message::StorageWorks);
        Turn::Again
    }

    fn reopen(&self) -> Result<Store, String> {
        let opened = Store::open_for(&self.folder, self.options, self.shared.clone());
        let mut store = opened.map_err(|error: OpenError| error.to_string())?;
        match store.probe() {
            Ok(()) => Ok(store),
            Err(error) => {
                store.abandon();
                Err(error.to_string())
            }
        }
    }

    fn store_mut(&mut self) -> &mut Store {
        self.store.as_mut().expect("the store is open outside `fail`")
    }
}

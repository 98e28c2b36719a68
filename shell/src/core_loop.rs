//! The core's thread: inputs in, effects out. It takes all inputs that are waiting before it carries out effects, so that one
//! group commit and one wake-up serve many requests.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use orrery_core::config::Config;
use orrery_core::effect::{CallId, CommitId, Effect};
use orrery_core::error::ApiError;
use orrery_core::http::{Request, Response};
use orrery_core::input::{Input, Outcome, RequestId};
use orrery_core::{Homeserver, StartError};
use tokio::sync::oneshot;

use crate::commit_thread::Work;
use crate::compute_pool::{ComputePool, ComputeTask};
use crate::entropy;
use crate::http_client::HttpClient;
use crate::query_pool::{QueryPool, QueryTask};
use crate::recorder::Recorder;
use crate::storage::{Shared, Snapshot};
use crate::time::{Stopwatch, now};

/// Inputs that one turn takes, so that answers are not held back for long under load.
const MAX_TURN: usize = 256;

/// Numbers the cores of one process: a failure of the disk, or of a core, ends one life and begins the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life(u64);

/// What reaches the core's thread.
#[derive(Debug)]
pub enum Message {
    Request {
        id: RequestId,
        request: Request,
        reply: oneshot::Sender<Answer>,
        arrived: Stopwatch,
    },
    Hangup {
        id: RequestId,
    },
    /// A call has its answer.
    Resolved {
        life: Life,
        call: CallId,
        outcome: Outcome,
    },
    Durable {
        life: Life,
        commit: CommitId,
    },
    /// The disk failed. The core must go; requests are answered 503 until `StorageWorks`.
    StorageFailed,
    StorageWorks,
    /// Answer whatever waits, and end.
    Stop,
}

/// An answer and what it cost.
#[derive(Debug)]
pub struct Answer {
    pub response: Response,
    pub cost: Cost,
}

/// Where a request's time went inside the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Waiting for the core's thread.
    pub queue: Duration,
    /// Working on it, on the core's thread or a query's.
    pub core: Duration,
}

/// Sends to the core's thread.
#[derive(Clone, Debug)]
pub struct CoreSender(Sender<Message>);

impl CoreSender {
    pub fn send(&self, message: Message) {
        // After the thread's end nobody is left to whom it would matter.
        let _: Result<_, _> = self.0.send(message);
    }
}

/// A channel to a thread that is not started yet.
#[must_use]
pub fn channel() -> (CoreSender, Receiver<Message>) {
    let (sender, receiver) = crossbeam_channel::unbounded();
    (CoreSender(sender), receiver)
}

/// What the core's thread works with.
#[derive(Debug)]
pub struct Parts {
    pub config: Arc<Config>,
    pub shared: Arc<Shared>,
    pub messages: Receiver<Message>,
    pub commits: Sender<Work>,
    pub queries: QueryPool,
    pub compute: ComputePool,
    pub http_client: HttpClient,
    pub recorder: Option<Recorder>,
}

/// Why the core's thread does not start.
#[derive(Debug)]
pub enum StartFailure {
    Thread(std::io::Error),
    Entropy(entropy::NoEntropy),
    Core(StartError),
    /// A bug of the core, and its message.
    Panicked(String),
}

/// Starts the thread, and returns once the core runs or has said why it does not.
pub fn start(parts: Parts) -> Result<JoinHandle<()>, StartFailure> {
    let (started, starts) = crossbeam_channel::bounded(1);
    let run = move || {
        let state = State::Absent;
        let (computing, asking) = (BTreeSet::new(), BTreeSet::new());
        let mut core_loop = CoreLoop { parts, state, life: Life(0), pending: BTreeMap::new(), computing, asking };
        let result = core_loop.begin_life();
        let is_running = result.is_ok();
        // The starter waits for this.
        let _: Result<_, _> = started.send(result);
        if is_running {
            core_loop.run();
        }
    };
    let thread = std::thread::Builder::new().name("core".to_owned());
    let thread = thread.spawn(crate::exit::end_process_on_panic(run)).map_err(StartFailure::Thread)?;
    match starts.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(StartFailure::Panicked(String::new())),
    }
}

enum State {
    Running(Box<Homeserver<Snapshot>>),
    /// There is none: the storage failed, or the core is being started.
    Absent,
}

/// A request that has no answer yet.
struct Pending {
    reply: oneshot::Sender<Answer>,
    cost: Cost,
}

struct CoreLoop {
    parts: Parts,
    state: State,
    life: Life,
    pending: BTreeMap<RequestId, Pending>,
    /// Calls that a thread of the compute pool answers.
    computing: BTreeSet<CallId>,
    /// Calls that other servers answer.
    asking: BTreeSet<CallId>,
}

/// What a wait for messages brought.
enum Event {
    Message(Message),
    Deadline,
}

impl CoreLoop {
    fn run(&mut self) {
        loop {
            let mut next = match self.wait() {
                Event::Message(message) => Some(message),
                Event::Deadline => {
                    self.handle(Input::Wake);
                    None
                }
            };
            let mut taken = 0;
            while let Some(message) = next {
                if matches!(message, Message::Stop) {
                    self.refuse_all("The server is stopping; try again in a moment");
                    self.drop_core("the server was stopped");
                    return;
                }
                self.take(message);
                taken += 1;
                next = if taken < MAX_TURN { self.parts.messages.try_recv().ok() } else { None };
            }
            self.check_storage();
            self.carry_out();
        }
    }

    /// Waits for a message or the core's next deadline, which comes first when both are there.
    fn wait(&self) -> Event {
        let deadline = match &self.state {
            State::Running(core) => core.next_deadline(),
            State::Absent => None,
        };
        let received = match deadline {
            None => self.parts.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => {
                let wait = Duration::from_millis(deadline.since(now()));
                if wait.is_zero() {
                    return Event::Deadline;
                }
                self.parts.messages.recv_timeout(wait)
            }
        };
        match received {
            Ok(message) => Event::Message(message),
            Err(RecvTimeoutError::Timeout) => Event::Deadline,
            // Nobody is left to serve.
            Err(RecvTimeoutError::Disconnected) => Event::Message(Message::Stop),
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Request { id, request, reply, arrived } => self.request(id, request, reply, arrived),
            Message::Hangup { id } => {
                // Requests that are answered, or on a query's thread, are none of the core's business any more.
                if self.pending.remove(&id).is_some() {
                    self.handle(Input::Hangup { id });
                }
            }
            Message::Resolved { life, call, outcome } => {
                if life == self.life && (self.computing.remove(&call) || self.asking.remove(&call)) {
                    self.handle(Input::Resolved { call, outcome });
                }
            }
            Message::Durable { life, commit } => {
                if life == self.life {
                    if let State::Running(core) = &mut self.state {
                        core.with_storage(Snapshot::renew);
                    }
                    self.handle(Input::Durable { commit });
                }
            }
            Message::StorageFailed => self.storage_failed(),
            Message::StorageWorks => self.restart("the storage failed"),
            Message::Stop => {}
        }
    }

    fn request(&mut self, id: RequestId, request: Request, reply: oneshot::Sender<Answer>, arrived: Stopwatch) {
        if let State::Absent = &self.state {
            refuse(Pending { reply, cost: Cost::default() }, STORAGE_FAILED);
            return;
        }
        let start = Stopwatch::start();
        let cost = Cost { queue: start.since(&arrived), core: Duration::ZERO };
        self.pending.insert(id, Pending { reply, cost });
        self.handle(Input::Request { id, request });
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.cost.core = start.elapsed();
        }
    }

    /// Gives the core an input. A panic in it is a broken invariant of ours: what it was doing is lost, as in a crash, and a
    /// new core starts on what is durable.
    fn handle(&mut self, input: Input) {
        let State::Running(core) = &mut self.state else { return };
        let now = now();
        if let Some(recorder) = &mut self.parts.recorder {
            recorder.input(now, &input);
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| core.handle(now, input))) {
            tracing::error!(panic = panic_message(&*panic), "a bug in the core; it starts again");
            self.refuse_all("Something went wrong in the server; try again in a moment");
            self.restart(&format!("the core panicked: {}", panic_message(&*panic)));
        }
    }

    /// Carries out what the core asks for.
    fn carry_out(&mut self) {
        let CoreLoop { parts, state: State::Running(core), life, pending, computing, asking } = self else { return };
        let life = *life;
        for effect in core.drain() {
            if let Some(recorder) = &mut parts.recorder {
                recorder.effect(&effect);
            }
            match effect {
                Effect::Commit { id, batch } => parts.commit(Work::Commit { life, id, batch }),
                Effect::Reply { id, response } => {
                    if let Some(Pending { reply, cost }) = pending.remove(&id) {
                        // The client may have gone away this very moment.
                        let _: Result<_, _> = reply.send(Answer { response, cost });
                    }
                }
                Effect::Query { id, query } => {
                    if let Some(Pending { reply, cost }) = pending.remove(&id) {
                        let (snapshot, now) = (parts.shared.snapshot(), now());
                        parts.queries.run(QueryTask { id, query, snapshot, now, reply, cost });
                    }
                }
                Effect::Compute { call, job } => {
                    computing.insert(call);
                    parts.compute.run(ComputeTask { life, call, job });
                }
                Effect::Fetch { call, fetch } => {
                    asking.insert(call);
                    parts.http_client.fetch(life, call, fetch);
                }
                Effect::Lookup { call, name } => {
                    asking.insert(call);
                    parts.http_client.look_up(life, call, name);
                }
                Effect::Abandon { call } => {
                    if computing.remove(&call) {
                        parts.compute.abandon(life, call);
                    }
                    if asking.remove(&call) {
                        parts.http_client.abandon(life, call);
                    }
                }
            }
        }
        if let Some(recorder) = &mut parts.recorder {
            recorder.drained();
        }
    }

    /// A core whose reads failed has drawn conclusions from them, which must not get out. The commit thread opens the store
    /// again.
    fn check_storage(&mut self) {
        let State::Running(core) = &mut self.state else { return };
        if core.with_storage(|snapshot| snapshot.has_failed()) {
            self.refuse_all(STORAGE_FAILED);
            self.drop_core("the storage could not be read");
            self.parts.commit(Work::Suspect);
        }
    }

    fn storage_failed(&mut self) {
        self.refuse_all(STORAGE_FAILED);
        self.drop_core("the storage failed");
        self.parts.commit(Work::Dropped);
    }

    /// Begins another life on what is durable.
    fn restart(&mut self, why: &str) {
        self.drop_core(why);
        let (done, flushed) = crossbeam_channel::bounded(1);
        self.parts.commit(Work::Flush(done));
        if flushed.recv().is_err() {
            // The storage failed meanwhile, and says so in a message of its own.
            return;
        }
        if let Err(failure) = self.begin_life() {
            tracing::error!(?failure, "the core does not start again");
            match failure {
                StartFailure::Core(StartError::Storage(_)) | StartFailure::Entropy(_) => {
                    self.parts.commit(Work::Suspect);
                }
                // It started on this very data before: going on makes no sense.
                _ => std::process::exit(crate::exit::SOFTWARE.into()),
            }
        }
    }

    fn begin_life(&mut self) -> Result<(), StartFailure> {
        self.life.0 += 1;
        self.computing.clear();
        self.asking.clear();
        self.parts.http_client.forget();
        let config = Config::clone(&self.parts.config);
        let seed = entropy::seed().map_err(StartFailure::Entropy)?;
        let (snapshot, now) = (self.parts.shared.snapshot(), now());
        if let Some(recorder) = &mut self.parts.recorder {
            recorder.start(&config, seed, now, &snapshot);
        }
        let new = catch_unwind(AssertUnwindSafe(|| Homeserver::new(config, seed, snapshot, now)));
        let core = new
            .map_err(|panic| StartFailure::Panicked(panic_message(&*panic).to_owned()))?
            .map_err(StartFailure::Core)?;
        self.state = State::Running(Box::new(core));
        self.carry_out();
        Ok(())
    }

    /// `why` is for the recording.
    fn drop_core(&mut self, why: &str) {
        let state = std::mem::replace(&mut self.state, State::Absent);
        if let (State::Running(_), Some(recorder)) = (&state, &mut self.parts.recorder) {
            recorder.end(why);
        }
        if catch_unwind(AssertUnwindSafe(|| drop(state))).is_err() {
            tracing::error!("a bug in the core as it was being dropped");
        }
    }

    fn refuse_all(&mut self, why: &str) {
        for (_, pending) in std::mem::take(&mut self.pending) {
            refuse(pending, why);
        }
    }
}

/// What a client is told while the storage fails.
pub const STORAGE_FAILED: &str = "The server's storage is full or unavailable; try again later";

fn refuse(pending: Pending, why: &str) {
    // The client may have gone away.
    let _: Result<_, _> = pending.reply.send(Answer { response: unavailable(why), cost: pending.cost });
}

/// The answer to a request that the server cannot carry out at the moment.
#[must_use]
pub fn unavailable(why: &str) -> Response {
    let mut response = ApiError::new(503, "M_UNKNOWN", why).response();
    // In seconds (RFC 9110, section 10.2.3).
    response.headers.push(("retry-after".to_owned(), "2".to_owned()));
    response
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl Parts {
    fn commit(&self, work: Work) {
        // The commit thread outlives the core's, except in a panic of its own, which ends the process.
        let _: Result<_, _> = self.commits.send(work);
    }
}

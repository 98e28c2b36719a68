//! Tasks: what virtual people do, as straight lines of code that wait for answers and for time. The world polls a task when
//! what it waits for has come, and never otherwise.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use orrery_core::http::{Request, Response};

use crate::clock::{Span, Time};
use crate::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(u64);
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitId(u64);

/// Why a request has no answer. What the server did about it, nobody here knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No connection, or one that broke.
    Connection,
    /// The client would not wait any longer.
    Patience,
}

/// What a task waited for.
#[derive(Debug)]
pub enum Come {
    Time,
    Answer(Result<Response, Lost>),
    End,
}

/// What tasks ask of the world.
pub enum Command {
    Sleep {
        wait: WaitId,
        until: Time,
    },
    /// Send a request to a server and wait for the answer, for at most `patience`.
    Exchange {
        wait: WaitId,
        server: u32,
        request: Request,
        patience: Span,
    },
    Spawn {
        task: TaskId,
        name: String,
        future: Pin<Box<dyn Future<Output = ()>>>,
    },
    /// Everybody has an account.
    SignedUp,
    /// No fault happens from now on, and what is broken gets whole.
    Heal,
    /// A server crashes now and starts again soon.
    Crash {
        server: u32,
    },
}

struct Wait {
    task: TaskId,
    what: &'static str,
    come: Option<Come>,
}

#[derive(Default)]
struct Inner {
    now: Time,
    last: u64,
    waits: BTreeMap<WaitId, Wait>,
    current: Option<TaskId>,
    commands: VecDeque<Command>,
    /// Who waits for the end of a task.
    joining: BTreeMap<TaskId, Vec<WaitId>>,
    ended: BTreeSet<TaskId>,
    failure: Option<Failure>,
    /// Until then servers may have faults.
    excused: Time,
}

/// A task's hold on the world.
#[derive(Clone, Default)]
pub struct Hub {
    inner: Rc<RefCell<Inner>>,
    /// Nothing that this hold on the world complains of counts.
    ignored: bool,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}

impl Hub {
    #[must_use]
    pub fn now(&self) -> Time {
        self.inner.borrow().now
    }

    pub fn set_now(&self, now: Time) {
        self.inner.borrow_mut().now = now;
    }

    pub async fn sleep(&self, span: Span) {
        self.sleep_until(self.now() + span).await;
    }

    pub async fn sleep_until(&self, until: Time) {
        self.wait("time", |wait| Command::Sleep { wait, until }).await;
    }

    /// Sends `request` to `server` and waits for the answer.
    pub async fn exchange(&self, server: u32, request: Request, patience: Span) -> Result<Response, Lost> {
        match self.wait("an answer", |wait| Command::Exchange { wait, server, request, patience }).await {
            Come::Answer(answer) => answer,
            other => unreachable!("an exchange ends with an answer, not {other:?}"),
        }
    }

    /// Starts a task beside this one.
    pub fn spawn(&self, name: impl Into<String>, future: impl Future<Output = ()> + 'static) -> TaskId {
        let mut inner = self.inner.borrow_mut();
        inner.last += 1;
        let task = TaskId(inner.last);
        inner.commands.push_back(Command::Spawn { task, name: name.into(), future: Box::pin(future) });
        task
    }

    /// Waits until `task` has ended.
    pub async fn join(&self, task: TaskId) {
        if self.inner.borrow().ended.contains(&task) {
            return;
        }
        let wait = self.open("the end of a task");
        self.inner.borrow_mut().joining.entry(task).or_default().push(wait);
        Waiting { hub: self.clone(), wait }.await;
    }

    pub fn command(&self, command: Command) {
        self.inner.borrow_mut().commands.push_back(command);
    }

    /// The same for people on a server that nothing is checked of.
    #[must_use]
    pub fn ignoring_failures(&self) -> Hub {
        Hub { inner: self.inner.clone(), ignored: true }
    }

    /// Something is wrong. The first failure counts, and ends the world.
    pub fn fail(&self, failure: Failure) {
        if !self.ignored {
            self.inner.borrow_mut().failure.get_or_insert(failure);
        }
    }

    /// [`Hub::fail`] if there is something.
    pub fn check(&self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.fail(failure);
        }
    }

    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.inner.borrow().failure.clone()
    }

    /// Until then servers may answer that they have a fault.
    pub fn excuse_faults_until(&self, time: Time) {
        let mut inner = self.inner.borrow_mut();
        inner.excused = inner.excused.max(time);
    }

    /// Whether servers may have faults now.
    #[must_use]
    pub fn faults_are_excused(&self) -> bool {
        let inner = self.inner.borrow();
        inner.now <= inner.excused
    }

    /// The next thing that a task asked for.
    pub fn next_command(&self) -> Option<Command> {
        self.inner.borrow_mut().commands.pop_front()
    }

    /// Gives a task what it waits for. The task to poll.
    pub fn come(&self, wait: WaitId, come: Come) -> Option<TaskId> {
        let mut inner = self.inner.borrow_mut();
        let wait = inner.waits.get_mut(&wait)?;
        wait.come.get_or_insert(come);
        Some(wait.task)
    }

    fn open(&self, what: &'static str) -> WaitId {
        let mut inner = self.inner.borrow_mut();
        inner.last += 1;
        let wait = WaitId(inner.last);
        let task = inner.current.expect("only a task waits");
        inner.waits.insert(wait, Wait { task, what, come: None });
        wait
    }

    async fn wait(&self, what: &'static str, command: impl FnOnce(WaitId) -> Command) -> Come {
        let wait = self.open(what);
        self.command(command(wait));
        Waiting { hub: self.clone(), wait }.await
    }
}

struct Waiting {
    hub: Hub,
    wait: WaitId,
}

impl Future for Waiting {
    type Output = Come;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Come> {
        let mut inner = self.hub.inner.borrow_mut();
        let wait = inner.waits.get_mut(&self.wait).expect("a wait is forgotten only when it is over");
        match wait.come.take() {
            Some(come) => {
                inner.waits.remove(&self.wait);
                Poll::Ready(come)
            }
            None => Poll::Pending,
        }
    }
}

struct Task {
    name: String,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// The tasks of a world.
#[derive(Default)]
pub struct Tasks {
    tasks: BTreeMap<TaskId, Task>,
}

impl Tasks {
    /// Takes a task and polls it once. The tasks that waited for its end, if that came at once.
    pub fn start(
        &mut self,
        hub: &Hub,
        id: TaskId,
        name: String,
        future: Pin<Box<dyn Future<Output = ()>>>,
    ) -> Vec<TaskId> {
        self.tasks.insert(id, Task { name, future });
        self.poll(hub, id)
    }

    /// Polls a task. The tasks that waited for its end, if it has ended.
    pub fn poll(&mut self, hub: &Hub, id: TaskId) -> Vec<TaskId> {
        let Some(mut task) = self.tasks.remove(&id) else { return Vec::new() };
        hub.inner.borrow_mut().current = Some(id);
        let poll = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let joining = {
            let mut inner = hub.inner.borrow_mut();
            inner.current = None;
            if poll.is_pending() {
                self.tasks.insert(id, task);
                return Vec::new();
            }
            inner.ended.insert(id);
            inner.joining.remove(&id).unwrap_or_default()
        };
        joining.into_iter().filter_map(|wait| hub.come(wait, Come::End)).collect()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The name of the task that waits for this, or nothing.
    #[must_use]
    pub fn waiter(&self, hub: &Hub, wait: WaitId) -> String {
        let inner = hub.inner.borrow();
        let task = inner.waits.get(&wait).and_then(|wait| self.tasks.get(&wait.task));
        task.map(|task| task.name.clone()).unwrap_or_default()
    }

    /// Every task and what it waits for, in lines.
    #[must_use]
    pub fn report(&self, hub: &Hub) -> String {
        let inner = hub.inner.borrow();
        let waits_for =
            |id: TaskId| inner.waits.values().find(|wait| wait.task == id).map_or("nothing", |wait| wait.what);
        self.tasks.iter().map(|(id, task)| format!("\n  {} waits for {}", task.name, waits_for(*id))).collect()
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").field("tasks", &self.tasks.len()).finish()
    }
}

//! The server without its sockets: store, commit thread, pools and core, started and stopped in order.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use orrery_core::StartError;
use orrery_core::config::Secret;

use crate::commit_thread::CommitThread;
use crate::compute_pool::ComputePool;
use crate::config::Settings;
use crate::core_loop::{self, CoreSender, Message, Parts, StartFailure};
use crate::entropy;
use crate::exit::{self, Failure};
use crate::http_client::{self, HttpClient};
use crate::query_pool::QueryPool;
use crate::recorder::Recorder;
use crate::signing_key::{self, SigningKeyError};
use crate::storage::database::DatabaseError;
use crate::storage::journal::JournalError;
use crate::storage::{OpenError, Store};

/// A running server.
#[derive(Debug)]
pub struct Server {
    core: CoreSender,
    core_thread: JoinHandle<()>,
    commits: CommitThread,
    admin_secret: String,
}

impl Server {
    /// Opens the data and starts every thread but those of the sockets.
    pub fn start(settings: &Settings) -> Result<Server, Failure> {
        let folder = &settings.data_dir;
        let recorder = settings.record.as_deref().map(start_recording).transpose()?;
        // What can fail without a trace comes first.
        let extra_ca = http_client::load_extra(&settings.http_client.extra_ca).map_err(Failure::from)?;
        create_folder(folder)?;
        let store = Store::open(folder, settings.storage).map_err(|error| open_failure(folder, &error))?;
        let signing_key = signing_key::load_or_create(&settings.signing_key).map_err(|error| key_failure(&error))?;
        let admin_secret = entropy::secret().map_err(|error| Failure::new(exit::OS, error))?;
        let config = settings.core_config(signing_key, Secret::from(admin_secret.as_str()));
        let config = Arc::new(config);

        let (core, messages) = core_loop::channel();
        let shared = store.shared().clone();
        let queries = QueryPool::start(settings.threads.query, &config).map_err(thread_failure)?;
        let compute = ComputePool::start(settings.threads.compute, &core).map_err(thread_failure)?;
        let http_client = HttpClient::start(extra_ca, settings.http_client.allow_private_addresses, &core);
        let http_client = http_client.map_err(thread_failure)?;
        let commits =
            CommitThread::start(store, folder.clone(), settings.storage, core.clone()).map_err(thread_failure)?;
        let work = commits.work.clone();
        let parts = Parts { config, shared, messages, commits: work, queries, compute, http_client, recorder };
        match core_loop::start(parts) {
            Ok(core_thread) => Ok(Server { core, core_thread, commits, admin_secret }),
            Err(failure) => {
                let failure = core_failure(failure);
                commits.stop().map_err(|error| Failure::new(exit::IO, error))?;
                Err(failure)
            }
        }
    }

    /// For sending requests.
    #[must_use]
    pub fn core(&self) -> CoreSender {
        self.core.clone()
    }

    /// What opens the core's own administration, in this process only.
    #[must_use]
    pub fn admin_secret(&self) -> &str {
        &self.admin_secret
    }

    /// Answers whatever waits, makes everything durable and closes the store.
    pub fn stop(self) -> Result<(), Failure> {
        self.core.send(Message::Stop);
        if self.core_thread.join().is_err() {
            return Err(Failure::new(exit::SOFTWARE, "a bug in the core's thread"));
        }
        let stopped = self.commits.stop();
        stopped.map_err(|error| {
            Failure::new(exit::IO, format_args!("{error}; what was acknowledged is safe in the journal"))
        })
    }
}

fn start_recording(path: &Path) -> Result<Recorder, Failure> {
    Recorder::create(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => "there is such a file already".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(exit::CANNOT_CREATE, format_args!("{}: cannot record to it: {why}", path.display()))
    })
}

fn create_folder(folder: &Path) -> Result<(), Failure> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.map_err(|error| {
        let why = format!("{}: the data directory cannot be created: {error}", folder.display());
        Failure::new(exit::CANNOT_CREATE, why)
    })
}

fn open_failure(folder: &Path, error: &OpenError) -> Failure {
    let data = |error: &OpenError| {
        let advice = "restore the data directory from a backup, or move it away to start anew";
        Failure::new(exit::DATA, format_args!("{error}; {advice}"))
    };
    match error {
        OpenError::Database(_, DatabaseError::Locked) => {
            let folder = folder.display();
            let why = format!(
                "another orrery uses {folder}: stop it first; while it runs, users are managed through its admin API"
            );
            Failure::new(exit::TEMPORARY, why)
        }
        OpenError::Database(_, DatabaseError::Newer { .. }) => Failure::new(exit::PROTOCOL, error),
        OpenError::Database(_, DatabaseError::Io(_)) => Failure::new(exit::IO, error),
        OpenError::Journal(JournalError::Io(_, io)) if io.kind() == io::ErrorKind::PermissionDenied => {
            Failure::new(exit::NO_INPUT, error)
        }
        OpenError::Journal(JournalError::Io(..)) => Failure::new(exit::IO, error),
        OpenError::Database(_, DatabaseError::Corrupt(_))
        | OpenError::Journal(JournalError::Corrupt { .. })
        | OpenError::Gap { .. } => data(error),
    }
}

fn key_failure(error: &SigningKeyError) -> Failure {
    let code = match error {
        SigningKeyError::Unreadable(..) => exit::NO_INPUT,
        SigningKeyError::Malformed(..) => exit::DATA,
        SigningKeyError::Uncreatable(..) => exit::CANNOT_CREATE,
        SigningKeyError::Entropy(_) => exit::OS,
    };
    Failure::new(code, error)
}

fn thread_failure(error: io::Error) -> Failure {
    Failure::new(exit::OS, format_args!("cannot start a thread: {error}"))
}

fn core_failure(failure: StartFailure) -> Failure {
    match failure {
        StartFailure::Thread(error) => thread_failure(error),
        StartFailure::Entropy(error) => Failure::new(exit::OS, error),
        StartFailure::Panicked(message) => Failure::new(exit::SOFTWARE, format_args!("a bug in the core: {message}")),
        StartFailure::Core(error @ StartError::Storage(_)) => Failure::new(exit::DATA, error),
        StartFailure::Core(error @ StartError::SigningKey(_)) => Failure::new(exit::DATA, error),
        StartFailure::Core(error @ (StartError::Schema { .. } | StartError::ServerName { .. })) => {
            Failure::new(exit::PROTOCOL, error)
        }
    }
}

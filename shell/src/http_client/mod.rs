//! What the core asks of other servers: `Effect::Fetch` and `Effect::Lookup`, on a thread of their own.

mod addresses;
mod connect;
mod dns;
mod exchange;
mod pool;
mod trust;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use orrery_core::effect::{CallId, Fetch};
use orrery_core::input::Outcome;
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::core_loop::{CoreSender, Life, Message};
use connect::{CONNECT_TIMEOUT, Connector};
use dns::Dns;
pub use pool::Key;
use pool::Pool;
pub use trust::load_extra;

/// Requests under way at once; others wait, at the cost of their own time.
const MAX_EXCHANGES: usize = 1024;

/// How often connections that nobody uses are looked for.
const TIDY_INTERVAL: Duration = Duration::from_secs(15);

/// What an operator decides about requests to other servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpClientSettings {
    /// PEM files of certificates to trust beside the system's.
    pub extra_ca: Vec<PathBuf>,
    /// Whether servers may be reached at addresses that are not of the public internet.
    pub allow_private_addresses: bool,
}

/// Sends requests and reads answers. Needs a tokio runtime around it.
#[derive(Debug)]
pub struct Client {
    connector: Connector,
    pool: Pool,
    places: Semaphore,
}

impl Client {
    /// `extra` is trusted beside what the system trusts.
    pub fn new(extra: Vec<CertificateDer<'static>>, allow_private_addresses: bool) -> Result<Client, rustls::Error> {
        Ok(Client {
            connector: Connector {
                tls: trust::config(extra)?,
                dns: Dns::default(),
                allow_private_addresses,
                timeout: CONNECT_TIMEOUT,
            },
            pool: Pool::default(),
            places: Semaphore::new(MAX_EXCHANGES),
        })
    }

    /// Sends one request. What goes wrong is told in the outcome.
    pub async fn fetch(&self, fetch: &Fetch) -> Outcome {
        let exchange = async {
            let _place = self.places.acquire().await.map_err(|error| error.to_string())?;
            exchange::run(self, fetch).await
        };
        match tokio::time::timeout(fetch.timeout, exchange).await {
            Ok(Ok(response)) => Outcome::Fetched(response),
            Ok(Err(why)) => Outcome::Failed(why),
            Err(_) => Outcome::Failed(format!("no answer within {} s", fetch.timeout.as_secs())),
        }
    }

    /// The addresses that requests for `key` may go to, at least one.
    pub async fn addresses(&self, key: &Key) -> Result<Vec<SocketAddr>, String> {
        self.connector.addresses(key).await
    }

    /// Connects to one address, without asking for anything.
    pub async fn look_at(&self, key: &Key, address: SocketAddr) -> Result<Seen, String> {
        let stream = self.connector.connect_in_time(address, key).await?;
        let tls = stream.get_ref().1;
        Ok(Seen {
            tls: tls.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS"),
            http: if tls.alpn_protocol() == Some(b"h2") { "HTTP/2" } else { "HTTP/1.1" },
            certificate: tls.peer_certificates().and_then(|chain| chain.first()).map(|first| first.to_vec()),
        })
    }

    /// Asks DNS for the SRV records of `name`.
    pub async fn look_up(&self, name: &str) -> Outcome {
        self.connector.dns.services(name).await
    }
}

/// What a server shows of itself before it is asked anything.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The version of TLS.
    pub tls: &'static str,
    /// The version of HTTP.
    pub http: &'static str,
    /// Its certificate, in DER.
    pub certificate: Option<Vec<u8>>,
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub struct HttpClient {
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// What the core's thread wants.
#[derive(Debug)]
enum Command {
    Fetch(Life, CallId, Fetch),
    Lookup(Life, CallId, String),
    Abandon(Life, CallId),
    /// Another life of the core has begun: nobody waits for the calls of earlier ones.
    Forget,
}

impl HttpClient {
    pub fn start(
        extra_ca: Vec<CertificateDer<'static>>,
        allow_private_addresses: bool,
        core: &CoreSender,
    ) -> io::Result<HttpClient> {
        let (commands, received) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let core = core.clone();
        let run = move || {
            let client = Client::new(extra_ca, allow_private_addresses).expect("the provider has TLS 1.2 and 1.3");
            runtime.block_on(serve(Arc::new(client), received, core));
        };
        let thread = std::thread::Builder::new().name("http-client".to_owned());
        let thread = thread.spawn(crate::exit::end_process_on_panic(run))?;
        Ok(HttpClient { commands: Some(commands), thread: Some(thread) })
    }

    pub fn fetch(&self, life: Life, call: CallId, fetch: Fetch) {
        self.send(Command::Fetch(life, call, fetch));
    }

    pub fn look_up(&self, life: Life, call: CallId, name: String) {
        self.send(Command::Lookup(life, call, name));
    }

    /// Ends what is done for a call.
    pub fn abandon(&self, life: Life, call: CallId) {
        self.send(Command::Abandon(life, call));
    }

    /// Ends everything that is under way.
    pub fn forget(&self) {
        self.send(Command::Forget);
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // The thread ends only after this.
            let _: Result<_, _> = commands.send(command);
        }
    }
}

impl Drop for HttpClient {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic has ended the process already.
            let _: Result<_, _> = thread.join();
        }
    }
}

/// Carries out commands until there can be no more.
async fn serve(client: Arc<Client>, mut commands: mpsc::UnboundedReceiver<Command>, core: CoreSender) {
    let mut under_way: BTreeMap<(Life, CallId), AbortHandle> = BTreeMap::new();
    let (done, mut ended) = mpsc::unbounded_channel();
    let mut tidy = tokio::time::interval(TIDY_INTERVAL);
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            Some(key) = ended.recv() => {
                under_way.remove(&key);
                continue;
            }
            _ = tidy.tick() => {
                client.pool.tidy();
                continue;
            }
        };
        let (key, work) = match command {
            None => return,
            Some(Command::Abandon(life, call)) => {
                if let Some(task) = under_way.remove(&(life, call)) {
                    task.abort();
                }
                continue;
            }
            Some(Command::Forget) => {
                under_way.values().for_each(AbortHandle::abort);
                under_way.clear();
                continue;
            }
            Some(Command::Fetch(life, call, fetch)) => ((life, call), Work::Fetch(fetch)),
            Some(Command::Lookup(life, call, name)) => ((life, call), Work::Lookup(name)),
        };
        let (client, core, done) = (client.clone(), core.clone(), done.clone());
        let task = tokio::spawn(async move {
            let outcome = match work {
                Work::Fetch(fetch) => client.fetch(&fetch).await,
                Work::Lookup(name) => client.look_up(&name).await,
            };
            core.send(Message::Resolved { life: key.0, call: key.1, outcome });
            // Nobody is left who counts.
            let _: Result<_, _> = done.send(key);
        });
        under_way.insert(key, task.abort_handle());
    }
}

enum Work {
    Fetch(Fetch),
    Lookup(String),
}

#[cfg(test)]
mod tests;

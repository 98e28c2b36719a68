//! `orrery serve`.

use std::io::{self, Write};
use std::net::TcpListener;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Listener, Settings};
use crate::exit::{self, Failure};
use crate::http_server::{Bound, HttpServer};
use crate::server::Server;
use crate::{logging, notify, tls};

/// How long requests that are under way get once the server has been told to stop. Those that wait for something to happen,
/// as `/sync` does, are answered after it.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until a signal says to stop.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    logging::start(settings.logging);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panic")));
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    raise_open_files();
    let signals = Signals::listen().map_err(|error| Failure::new(exit::OS, error))?;
    // What can fail without a trace comes first.
    let tls = settings.listeners.iter().map(load_tls).collect::<Result<Vec<_>, _>>()?;
    let server = Server::start(settings)?;
    let http = bind_all(settings, tls).and_then(|listeners| start_http(settings, listeners, &server));
    let (http, addresses) = match http {
        Ok(http) => http,
        Err(failure) => {
            server.stop()?;
            return Err(failure);
        }
    };
    for address in &addresses {
        tracing::info!(server_name = %settings.server_name, %address, "serving");
        // Scripts that asked for port 0 read it here. If nobody reads, nobody needs it.
        let _: io::Result<()> = writeln!(io::stdout(), "orrery serves {} on {address}", settings.server_name);
    }
    notify::ready();

    signals.wait();
    notify::stopping();
    tracing::info!("stopping");
    http.stop_accepting();
    http.wait_for_requests(GRACE);
    let stopped = server.stop();
    http.join();
    tracing::info!("stopped");
    stopped
}

fn load_tls(listener: &Listener) -> Result<Option<std::sync::Arc<rustls::ServerConfig>>, Failure> {
    let Some(files) = &listener.tls else { return Ok(None) };
    tls::load(&files.certificate, &files.key).map(Some).map_err(Failure::from)
}

type Bindings = Vec<(Bound, String)>;

fn bind_all(settings: &Settings, tls: Vec<Option<std::sync::Arc<rustls::ServerConfig>>>) -> Result<Bindings, Failure> {
    settings.listeners.iter().zip(tls).map(|(listener, tls)| bind(listener, tls)).collect()
}

fn bind(listener: &Listener, tls: Option<std::sync::Arc<rustls::ServerConfig>>) -> Result<(Bound, String), Failure> {
    let address = listener.address;
    let bound = TcpListener::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shown = format!("{scheme}://{}", socket.local_addr()?);
        Ok((Bound { socket, tls }, shown))
    });
    bound.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "this user may not listen there (ports below 1024 need a privilege)".to_owned()
            }
            _ => error.to_string(),
        };
        Failure::new(exit::UNAVAILABLE, format_args!("cannot listen on {address}: {why}"))
    })
}

fn start_http(settings: &Settings, listeners: Bindings, server: &Server) -> Result<(HttpServer, Vec<String>), Failure> {
    let (sockets, addresses) = listeners.into_iter().unzip();
    let (limits, proxies, unlimited) =
        (settings.http, settings.trusted_proxies.clone(), settings.unlimited_addresses.clone());
    let http = HttpServer::start(sockets, settings.threads.http, limits, proxies, unlimited, server.core());
    let http = http.map_err(|error| Failure::new(exit::OS, format_args!("cannot start the HTTP server: {error}")))?;
    Ok((http, addresses))
}

/// Connections need file descriptors; the usual soft limit is for programs that open few.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

/// SIGTERM and SIGINT, which are not missed from the moment that this exists.
struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let inside = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(inside);
        Ok(Signals { runtime, terminate, interrupt })
    }

    /// Waits for one of them.
    fn wait(mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        });
    }
}

//! Servers that a scenario starts itself: from any command, or Orreries that federate with each other.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::arguments::Arguments;
use super::client::{Client, Target};
use super::error::{LoadError, Result};
use super::process::Usage;

/// A server that has not answered or stopped after this time is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the server, with its log on `log`; the time until it answered.
///
/// # Errors
/// When it does not start, or another one answers already.
pub fn started(target: &Target, command: &[String], log: Stdio) -> Result<(Child, Duration)> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(LoadError::Usage("start wants a command after --".to_owned()));
    };
    if Client::anonymous(target).call("GET", "/_matrix/client/versions", None).is_ok() {
        return Err(LoadError::Usage("a server answers before one was started".to_owned()));
    }
    let began = Instant::now();
    let mut server =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
    loop {
        if Client::anonymous(target).call("GET", "/_matrix/client/versions", None).is_ok() {
            return Ok((server, began.elapsed()));
        }
        if let Some(status) = server.try_wait()? {
            return Err(LoadError::Answer(format!("the server ended with {status}")));
        }
        if began.elapsed() > PATIENCE {
            server.kill()?;
            return Err(LoadError::Answer("the server does not answer".to_owned()));
        }
        sleep(Duration::from_micros(200));
    }
}

/// Asks the server to stop (SIGTERM) and waits till it has.
///
/// # Errors
/// When it does not stop, and had to be killed.
pub fn stop(mut server: Child) -> Result<()> {
    Command::new("kill").arg(server.id().to_string()).status()?;
    let began = Instant::now();
    while server.try_wait()?.is_none() {
        if began.elapsed() > PATIENCE {
            server.kill()?;
            return Err(LoadError::Answer("the server does not stop on SIGTERM".to_owned()));
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Servers that federate with each other.
#[derive(Debug)]
pub struct Servers {
    all: Vec<Server>,
    /// Where they live, if they were started here.
    folder: Option<PathBuf>,
}

/// One of them.
#[derive(Debug)]
pub struct Server {
    pub target: Target,
    command: Vec<String>,
    log: PathBuf,
    process: Option<Child>,
}

impl Servers {
    /// Starts `count` Orreries, if there is a command after `--` (the binary); two may run already, at `--base-url` and
    /// `--other-url`.
    ///
    /// # Errors
    /// When there is neither, or a server does not start.
    pub fn take(arguments: &mut Arguments, count: usize) -> Result<Servers> {
        if let [binary] = &arguments.command[..] {
            return Servers::start(binary, count);
        }
        let running = |url: String| -> Result<Server> {
            Ok(Server { target: Target::new(&url)?, command: Vec::new(), log: PathBuf::new(), process: None })
        };
        let urls = (arguments.option("base-url")?, arguments.option("other-url")?);
        match urls {
            (Some(base), Some(other)) if count == 2 => {
                Ok(Servers { all: vec![running(base)?, running(other)?], folder: None })
            }
            _ => Err(LoadError::Usage("wants the path of orrery after --".to_owned())),
        }
    }

    fn start(binary: &str, count: usize) -> Result<Servers> {
        let folder = std::env::temp_dir().join(format!("orrery-load-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut servers = Servers { all: Vec::new(), folder: Some(folder.clone()) };
        write_certificate(&folder)?;
        for number in 0..count {
            let (client_port, federation_port) = (free_port()?, free_port()?);
            let config = folder.join(format!("{number}.toml"));
            fs::write(&config, configuration(&folder, number, client_port, federation_port))?;
            let command = vec![binary.to_owned(), "serve".to_owned(), "--config".to_owned(), text(&config)];
            let target = Target::new(&format!("http://127.0.0.1:{client_port}"))?;
            let log = folder.join(format!("{number}.log"));
            let mut server = Server { target, command, log, process: None };
            server.start()?;
            servers.all.push(server);
        }
        Ok(servers)
    }

    /// As many as were asked for.
    #[must_use]
    pub fn get(&self, number: usize) -> &Server {
        &self.all[number]
    }

    pub fn get_mut(&mut self, number: usize) -> &mut Server {
        &mut self.all[number]
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.all {
            // The run is over, and its result is known.
            let _: Result<()> = server.stop();
        }
        if let Some(folder) = &self.folder {
            let _: std::io::Result<()> = fs::remove_dir_all(folder);
        }
    }
}

impl Server {
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        self.process = Some(started(&self.target, &self.command, log.into())?.0);
        Ok(())
    }

    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), stop)
    }

    /// What it has used, if it was started here.
    ///
    /// # Errors
    /// When its process is gone.
    pub fn usage(&self) -> Result<Option<Usage>> {
        self.process.as_ref().map(|process| Usage::of(process.id())).transpose()
    }
}

/// A certificate for `localhost`, which is its own authority.
fn write_certificate(folder: &Path) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.map_err(|error| LoadError::Answer(format!("no certificate: {error}")))?;
    fs::write(folder.join("cert.pem"), made.cert.pem())?;
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

fn configuration(folder: &Path, number: usize, client_port: u16, federation_port: u16) -> String {
    let in_folder = |name: &str| text(&folder.join(name));
    let (data, certificate, key) = (in_folder(&format!("data{number}")), in_folder("cert.pem"), in_folder("key.pem"));
    format!(
        r#"server_name = "localhost:{federation_port}"
data_dir = "{data}"
[[listeners]]
address = "127.0.0.1:{client_port}"
[[listeners]]
address = "127.0.0.1:{federation_port}"
tls = {{ certificate = "{certificate}", key = "{key}" }}
[registration]
open = true
[limits]
rate_limits = false
[federation]
extra_ca = ["{certificate}"]
allow_private_addresses = true
"#
    )
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A port that nothing listens on at the moment.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

//! A running `orrery` and a client for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use orrery_core::canonical_json::{self, Value};

pub const BINARY: &str = env!("CARGO_BIN_EXE_orrery");
/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that goes away with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("orrery-binary-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _: Result<_, _> = std::fs::remove_dir_all(&self.0);
    }
}

/// Options for the cheapest password hash and no rate limits, on a free port.
pub fn options(data: &Path) -> Vec<String> {
    let data = format!("data_dir={}", data.display());
    let fixed = [
        data.as_str(),
        "listeners=[{address=\"127.0.0.1:0\"}]",
        "limits.rate_limits=false",
        "passwords.memory_kib=8",
        "passwords.passes=1",
        "threads.compute=2",
    ];
    fixed.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]).collect()
}

/// `orrery`, in a folder of its own and without this process's configuration.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    clean(&mut command, folder).args(arguments);
    command
}

/// Nothing that the tests' own environment says reaches the server.
pub fn clean<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORRERY_") || name == "NOTIFY_SOCKET" {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).stdin(Stdio::null())
}

/// Runs a command that must end by itself: its exit code, and what it wrote to standard output and standard error.
pub fn run(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A server that serves.
pub struct Orrery {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Orrery {
    pub fn start(data: &Path, more: &[&str]) -> Orrery {
        let mut command = command(data.parent().unwrap(), &["serve"]);
        command.args(options(data)).args(more.iter().flat_map(|option| ["-o", option]));
        Orrery::spawn(command)
    }

    /// Starts a command that serves in the end.
    pub fn spawn(mut command: Command) -> Orrery {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        keep(child.stderr.take().unwrap(), log.clone());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some((_, address)) = line.trim().split_once("://") else {
            let status = child.wait().unwrap();
            panic!("orrery did not start: {status}\n{}", log.lock().unwrap());
        };
        Orrery { address: address.parse().unwrap(), child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal to it.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// Tells it to stop, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "orrery does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// As a power cut would, for a process.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn client(&self) -> Client {
        Client { address: self.address, stream: None, token: None }
    }

    /// Whether it still answers.
    pub fn assert_alive(&self) {
        let answer = self.client().get("/_matrix/client/versions");
        assert_eq!(answer.status, 200, "{}", self.log());
    }
}

impl Drop for Orrery {
    fn drop(&mut self) {
        // It may have ended already.
        let _: Result<_, _> = self.child.kill();
        let _: Result<_, _> = self.child.wait();
    }
}

fn keep(stderr: ChildStderr, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    pub fn json(&self) -> Value {
        canonical_json::parse(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A string member of the body.
    pub fn text(&self, name: &str) -> String {
        let json = self.json();
        let member = json.get(name).and_then(Value::as_str);
        member.unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
    }

    pub fn errcode(&self) -> String {
        self.text("errcode")
    }
}

/// One client with one connection, which it opens again when it has to.
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    pub token: Option<String>,
}

impl Client {
    pub fn get(&mut self, target: &str) -> Answer {
        self.call("GET", target, "")
    }

    /// Sends a request and waits for the answer.
    pub fn call(&mut self, method: &str, target: &str, body: &str) -> Answer {
        self.try_call(method, target, body).unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// [`Client::call`], of a server that may go away.
    pub fn try_call(&mut self, method: &str, target: &str, body: &str) -> std::io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(connect(self.address)?),
        };
        let authorization =
            self.token.as_ref().map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes())?;
        let answer = read_answer(&mut stream, method)?;
        if answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// [`Client::call`], which must succeed.
    #[track_caller]
    pub fn ok(&mut self, method: &str, target: &str, body: &str) -> Answer {
        let answer = self.call(method, target, body);
        assert_eq!(answer.status, 200, "{method} {target}: {}", String::from_utf8_lossy(&answer.body));
        answer
    }

    /// Registers a user and becomes it.
    #[track_caller]
    pub fn register(&mut self, name: &str) -> String {
        let body = format!(r#"{{"username":"{name}","password":"correct horse","auth":{{"type":"m.login.dummy"}}}}"#);
        let answer = self.ok("POST", "/_matrix/client/v3/register", &body);
        self.token = Some(answer.text("access_token"));
        answer.text("user_id")
    }
}

pub fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one answer with a `Content-Length`.
pub fn read_answer(stream: &mut BufReader<TcpStream>, method: &str) -> std::io::Result<Answer> {
    let bad = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| bad(&line))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    let length = answer.header("content-length").and_then(|length| length.parse().ok());
    let length: usize = length.ok_or_else(|| bad("an answer without Content-Length"))?;
    if method != "HEAD" {
        answer.body.resize(length, 0);
        stream.read_exact(&mut answer.body)?;
    }
    Ok(answer)
}

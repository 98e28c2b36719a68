//! A Matrix user with one connection: the calls that scenarios make.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::connection::{Address, Connection, find};
use super::error::{LoadError, Result};

/// The password of every user.
pub const PASSWORD: &str = "load generator";

/// How many connections prepare a scenario at once.
const PREPARING: usize = 8;

/// The server under load.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: Address,
    /// Makes this run's user names new.
    pub run: String,
}

static NAMES: AtomicU64 = AtomicU64::new(0);

impl Target {
    /// # Errors
    /// When `url` is not `http://host:port`.
    pub fn new(url: &str) -> Result<Target> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Target { address: Address::parse(url)?, run: format!("{:x}", now.as_millis()) })
    }

    /// A user name that this run has not used.
    #[must_use]
    pub fn new_name(&self) -> String {
        format!("load-{}-{}", self.run, NAMES.fetch_add(1, Ordering::Relaxed))
    }

    /// Registers a new user.
    ///
    /// # Errors
    /// When the server refuses: registration must be open (`m.login.dummy`).
    pub fn register(&self) -> Result<Client> {
        let mut client = Client::anonymous(self);
        client.register(&self.new_name())?;
        Ok(client)
    }

    /// Registers `count` users, several at once.
    ///
    /// # Errors
    /// When one cannot be registered.
    pub fn register_many(&self, count: usize) -> Result<Vec<Client>> {
        let tasks = (0..count).map(|_| || self.register()).collect();
        in_parallel(tasks)
    }
}

/// Runs tasks on a few threads; their results in the order of the tasks.
///
/// # Errors
/// The first task's error.
pub fn in_parallel<T: Send, F: FnOnce() -> Result<T> + Send>(tasks: Vec<F>) -> Result<Vec<T>> {
    let mut shares: Vec<Vec<F>> = (0..PREPARING).map(|_| Vec::new()).collect();
    let count = tasks.len();
    for (index, task) in tasks.into_iter().enumerate() {
        shares[index % PREPARING].push(task);
    }
    let run = |share: Vec<F>| share.into_iter().map(|task| task()).collect::<Result<Vec<T>>>();
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = shares.into_iter().map(|share| scope.spawn(|| run(share))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<T>>>| thread.join().expect("no task panics");
        threads.into_iter().map(|thread| Ok(join(thread)?.into_iter())).collect::<Result<Vec<_>>>()
    })?;
    Ok((0..count).filter_map(|index| done[index % PREPARING].next()).collect())
}

/// A user's device, with a connection of its own.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    address: Address,
    pub user_id: String,
    token: String,
    transactions: u64,
    path: String,
}

impl Client {
    #[must_use]
    pub fn anonymous(target: &Target) -> Client {
        Client {
            connection: Connection::new(&target.address),
            address: target.address.clone(),
            user_id: String::new(),
            token: String::new(),
            transactions: 0,
            path: String::new(),
        }
    }

    /// The same device on another connection. Its transaction IDs begin at `transactions`, so that they do not collide.
    #[must_use]
    pub fn again(&self, transactions: u64) -> Client {
        Client {
            connection: Connection::new(&self.address),
            address: self.address.clone(),
            user_id: self.user_id.clone(),
            token: self.token.clone(),
            transactions,
            path: String::new(),
        }
    }

    /// Forgets the user, and keeps the connection.
    pub fn forget(&mut self) {
        self.user_id.clear();
        self.token.clear();
    }

    /// Sends a request without waiting for its answer.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn send_request(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<()> {
        let token = (!self.token.is_empty()).then_some(self.token.as_str());
        self.connection.send(method, path, token, body)
    }

    /// The body of a `200` answer.
    ///
    /// # Errors
    /// When the connection breaks or the status is not `200`.
    pub fn receive(&mut self, request: &str) -> Result<&[u8]> {
        let answer = self.connection.receive()?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let body = String::from_utf8_lossy(answer.body).chars().take(300).collect();
        Err(LoadError::Status { request: request.to_owned(), status: answer.status, body })
    }

    /// A request and the body of its `200` answer.
    ///
    /// # Errors
    /// When the connection breaks or the status is not `200`.
    pub fn call(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<&[u8]> {
        self.send_request(method, path, body)?;
        self.receive(path)
    }

    /// # Errors
    /// When the server refuses the name.
    pub fn register(&mut self, name: &str) -> Result<()> {
        let body = format!(r#"{{"username":"{name}","password":"{PASSWORD}","auth":{{"type":"m.login.dummy"}}}}"#);
        let answer = self.call("POST", "/_matrix/client/v3/register", Some(&body))?;
        let (user_id, token) = (string(answer, "user_id")?, string(answer, "access_token")?);
        (self.user_id, self.token) = (user_id, token);
        Ok(())
    }

    /// Logs in as a user that [`Client::register`] made, on a new device.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn login(&mut self, name: &str) -> Result<()> {
        let identifier = format!(r#"{{"type":"m.id.user","user":"{name}"}}"#);
        let body = format!(r#"{{"type":"m.login.password","identifier":{identifier},"password":"{PASSWORD}"}}"#);
        let answer = self.call("POST", "/_matrix/client/v3/login", Some(&body))?;
        let (user_id, token) = (string(answer, "user_id")?, string(answer, "access_token")?);
        (self.user_id, self.token) = (user_id, token);
        Ok(())
    }

    /// Creates a room that anyone may join.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn create_room(&mut self) -> Result<String> {
        let body = r#"{"preset":"public_chat","name":"A room under load"}"#;
        let answer = self.call("POST", "/_matrix/client/v3/createRoom", Some(body))?;
        string(answer, "room_id")
    }

    /// # Errors
    /// When the server refuses.
    pub fn join(&mut self, room_id: &str) -> Result<()> {
        let path = format!("/_matrix/client/v3/join/{}", encoded(room_id));
        self.call("POST", &path, Some("{}"))?;
        Ok(())
    }

    /// Joins a room of another server through that server.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn join_through(&mut self, room_id: &str, server: &str) -> Result<()> {
        // Servers of before version 1.12 of the specification read the second.
        let server = encoded(server);
        let path = format!("/_matrix/client/v3/join/{}?via={server}&server_name={server}", encoded(room_id));
        self.call("POST", &path, Some("{}"))?;
        Ok(())
    }

    /// The name of the user's server.
    #[must_use]
    pub fn server_name(&self) -> &str {
        self.user_id.split_once(':').map_or("", |(_, name)| name)
    }

    /// Sends a text message; `room` is a room ID, already [`encoded`].
    ///
    /// # Errors
    /// When the server refuses.
    pub fn send_message(&mut self, room: &str, text: &str) -> Result<()> {
        self.start_message(room, text)?;
        self.finish_message()
    }

    /// [`Client::send_message`] without waiting for the answer.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn start_message(&mut self, room: &str, text: &str) -> Result<()> {
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        let transaction = self.transactions;
        self.transactions += 1;
        write!(path, "/_matrix/client/v3/rooms/{room}/send/m.room.message/t{transaction}")
            .expect("a String takes everything");
        let body = format!(r#"{{"msgtype":"m.text","body":"{text}"}}"#);
        let sent = self.send_request("PUT", &path, Some(&body));
        self.path = path;
        sent
    }

    /// The answer to [`Client::start_message`].
    ///
    /// # Errors
    /// When the connection breaks or the server refuses.
    pub fn finish_message(&mut self) -> Result<()> {
        let path = std::mem::take(&mut self.path);
        let sent = self.receive(&path).map(|_| ());
        self.path = path;
        sent
    }

    /// Sends `/sync` without waiting for the answer. It never changes presence, which would wake others.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn send_sync(&mut self, since: Option<&str>, timeout_ms: u32, filter: &str) -> Result<()> {
        let mut path = format!("{SYNC}?set_presence=offline&timeout={timeout_ms}&filter={}", encoded(filter));
        if let Some(since) = since {
            let _ = write!(path, "&since={}", encoded(since));
        }
        self.send_request("GET", &path, None)
    }

    /// The answer to [`Client::send_sync`].
    ///
    /// # Errors
    /// When the connection breaks or the status is not `200`.
    pub fn receive_sync(&mut self) -> Result<&[u8]> {
        self.receive(SYNC)
    }

    /// Syncs once and returns `next_batch`.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn sync(&mut self, since: Option<&str>, filter: &str) -> Result<String> {
        self.send_sync(since, 0, filter)?;
        string(self.receive_sync()?, "next_batch")
    }

    /// A page of `/messages`, backwards; `room` is a room ID, already [`encoded`].
    ///
    /// # Errors
    /// When the server refuses.
    pub fn messages(&mut self, room: &str, from: Option<&str>, limit: u32) -> Result<&[u8]> {
        let mut path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit={limit}");
        if let Some(from) = from {
            let _ = write!(path, "&from={}", encoded(from));
        }
        self.call("GET", &path, None)
    }
}

const SYNC: &str = "/_matrix/client/v3/sync";

/// Percent-encodes everything but unreserved characters.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The first string with this key anywhere in a JSON text. Tokens and identifiers have no escapes, so none is undone.
#[must_use]
pub fn find_string<'a>(json: &'a [u8], key: &str) -> Option<&'a str> {
    let quoted = format!("\"{key}\"");
    let mut rest = json;
    loop {
        rest = &rest[find(rest, quoted.as_bytes())? + quoted.len()..];
        // A key is followed by a colon; the same text as a value is not.
        let Some(value) = rest.trim_ascii_start().strip_prefix(b":") else { continue };
        let value = value.trim_ascii_start().strip_prefix(b"\"")?;
        let end = value.iter().position(|&byte| byte == b'"')?;
        return std::str::from_utf8(&value[..end]).ok();
    }
}

/// As [`find_string`], owned.
///
/// # Errors
/// When there is none.
pub fn string(json: &[u8], key: &str) -> Result<String> {
    let missing = || LoadError::Answer(format!("no {key:?} in {:.200}", String::from_utf8_lossy(json)));
    find_string(json, key).map(str::to_owned).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_in_json() {
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(find_string(json.as_bytes(), "room_id"), expected, "{json}");
        };
        check(r#"{"room_id":"!a:b"}"#, Some("!a:b"));
        check("{\n  \"room_id\" : \"!a:b\"\n}", Some("!a:b"));
        check(r#"{"x":"room_id","room_id":"!a:b"}"#, Some("!a:b"));
        check(r#"{"room_id_x":"!a:b"}"#, None);
        check(r#"{"room_id":7}"#, None);
        check(r#"{"room_id":"cut"#, None);
        check("{}", None);
    }

    #[test]
    fn encodes_identifiers() {
        assert_eq!(encoded("!aZ9-_.~:b/#é"), "%21aZ9-_.~%3Ab%2F%23%C3%A9");
    }

    #[test]
    fn results_keep_the_order_of_tasks() {
        let tasks: Vec<_> = (0..21).map(|n| move || Ok(n)).collect();
        assert_eq!(in_parallel(tasks).unwrap(), (0..21).collect::<Vec<_>>());
        let failing = vec![|| -> Result<()> { Err(LoadError::Usage("no".to_owned())) }];
        assert!(in_parallel(failing).is_err());
    }
}

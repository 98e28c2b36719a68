//! One kept HTTP/1.1 connection: a request in one write, an answer by its length or its chunks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::error::{LoadError, Result};

/// Longer than any long poll that a scenario asks for.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Servers close connections that are idle for long; one that was idle for this time is opened anew.
const IDLE: Duration = Duration::from_secs(5);

const READ_SIZE: usize = 64 * 1024;

/// Where a homeserver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub socket: SocketAddr,
    /// The value of the `Host` header.
    host: String,
}

impl Address {
    /// Reads `http://host[:port]`.
    ///
    /// # Errors
    /// When the URL has another scheme or a path, or its host has no address.
    pub fn parse(url: &str) -> Result<Address> {
        let wrong = |why: &str| LoadError::Usage(format!("--base-url {url:?}: {why}"));
        let host = url.strip_prefix("http://").ok_or_else(|| wrong("only http:// is supported"))?;
        let host = host.trim_end_matches('/');
        if host.is_empty() || host.contains('/') {
            return Err(wrong("expected http://host:port"));
        }
        let with_port = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let socket = with_port.to_socket_addrs()?.next().ok_or_else(|| wrong("the host has no address"))?;
        Ok(Address { socket, host: host.to_owned() })
    }
}

/// What an answer's head says about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body: Body,
    close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
}

/// Reads a head: everything up to and with the empty line.
fn parse_head(head: &str) -> Result<Head> {
    let wrong = || LoadError::Answer(format!("the head {:?}", head.chars().take(200).collect::<String>()));
    let mut lines = head.split("\r\n");
    let status_line = lines.next().ok_or_else(wrong)?;
    let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).ok_or_else(wrong)?;
    let status = status.parse().map_err(|_| wrong())?;
    let (mut length, mut chunked, mut close) = (None, false, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse().map_err(|_| wrong())?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            close = value.eq_ignore_ascii_case("close");
        }
    }
    let body = if chunked { Body::Chunked } else { Body::Length(length.ok_or_else(wrong)?) };
    Ok(Head { status, body, close })
}

/// A status and a body, which stands in the connection until its next request.
#[derive(Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// A connection that is opened when it is first used and again when the server has closed it.
#[derive(Debug)]
pub struct Connection {
    address: Address,
    stream: Option<TcpStream>,
    last_used: Instant,
    /// What has been read and not yet consumed begins at `start`.
    input: Vec<u8>,
    start: usize,
    output: Vec<u8>,
    /// The joined chunks of a chunked answer.
    joined: Vec<u8>,
}

impl Connection {
    #[must_use]
    pub fn new(address: &Address) -> Connection {
        Connection {
            address: address.clone(),
            stream: None,
            last_used: Instant::now(),
            input: Vec::new(),
            start: 0,
            output: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Sends a request; [`Connection::receive`] reads its answer.
    ///
    /// # Errors
    /// When the server cannot be reached. The next request opens a new connection.
    pub fn send(&mut self, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Result<()> {
        if self.last_used.elapsed() > IDLE {
            self.stream = None;
        }
        self.output.clear();
        let host = &self.address.host;
        write!(self.output, "{method} {path} HTTP/1.1\r\nHost: {host}\r\n")?;
        if let Some(token) = token {
            write!(self.output, "Authorization: Bearer {token}\r\n")?;
        }
        if let Some(body) = body {
            write!(self.output, "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        } else {
            self.output.extend_from_slice(b"\r\n");
        }
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address.socket)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(READ_TIMEOUT))?;
            self.stream = Some(stream);
            self.input.clear();
            self.start = 0;
        }
        let stream = self.stream.as_mut().expect("opened above");
        if let Err(error) = stream.write_all(&self.output) {
            self.stream = None;
            return Err(error.into());
        }
        Ok(())
    }

    /// Reads the answer to the request that was sent last.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP/1.1. The next request opens a new connection.
    pub fn receive(&mut self) -> Result<Answer<'_>> {
        match self.read_answer() {
            Ok((head, from, to)) => {
                self.last_used = Instant::now();
                if head.close {
                    self.stream = None;
                }
                let body = match head.body {
                    Body::Length(_) => &self.input[from..to],
                    Body::Chunked => self.joined.as_slice(),
                };
                Ok(Answer { status: head.status, body })
            }
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    /// The head, and where in the input the body lies if it has a length.
    fn read_answer(&mut self) -> Result<(Head, usize, usize)> {
        // What was read of the answer before is no longer needed.
        self.input.drain(..self.start);
        self.start = 0;
        let head_end = self.read_until(0, b"\r\n\r\n")?;
        let text = std::str::from_utf8(&self.input[..head_end]);
        let head = parse_head(text.map_err(|_| LoadError::Answer("a head that is not text".to_owned()))?)?;
        let end = match head.body {
            Body::Length(length) => {
                self.read_at_least(head_end + length)?;
                head_end + length
            }
            Body::Chunked => self.read_chunks(head_end)?,
        };
        self.start = end;
        Ok((head, head_end, end))
    }

    /// Joins chunks that begin at `at`; the position after the last.
    fn read_chunks(&mut self, mut at: usize) -> Result<usize> {
        self.joined.clear();
        loop {
            let line_end = self.read_until(at, b"\r\n")?;
            let line = String::from_utf8_lossy(&self.input[at..line_end - 2]);
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| LoadError::Answer(format!("the chunk {line:?}")))?;
            self.read_at_least(line_end + size + 2)?;
            self.joined.extend_from_slice(&self.input[line_end..line_end + size]);
            at = line_end + size + 2;
            if size == 0 {
                return Ok(at);
            }
        }
    }

    /// Reads until `mark` stands at or after `from`; the position after it.
    fn read_until(&mut self, from: usize, mark: &[u8]) -> Result<usize> {
        let mut searched = from;
        loop {
            if let Some(found) = find(self.input.get(searched..).unwrap_or_default(), mark) {
                return Ok(searched + found + mark.len());
            }
            searched = from.max(self.input.len().saturating_sub(mark.len()));
            self.read_more()?;
        }
    }

    fn read_at_least(&mut self, length: usize) -> Result<()> {
        while self.input.len() < length {
            self.read_more()?;
        }
        Ok(())
    }

    fn read_more(&mut self) -> Result<()> {
        let stream = self.stream.as_mut().ok_or_else(|| LoadError::Answer("no request was sent".to_owned()))?;
        let length = self.input.len();
        self.input.resize(length + READ_SIZE, 0);
        let read = stream.read(&mut self.input[length..]);
        self.input.truncate(length + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(LoadError::Answer("the server closed the connection".to_owned())),
            _ => Ok(()),
        }
    }
}

/// Where `needle` first stands in `haystack`.
#[must_use]
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut at = 0;
    while let Some(found) = haystack.get(at..)?.iter().position(|byte| byte == first) {
        at += found + 1;
        if haystack[at..].starts_with(rest) {
            return Some(at - 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn heads() {
        let check = |head: &str, expected: Option<(u16, Body, bool)>| {
            let parsed = parse_head(head).ok().map(|head| (head.status, head.body, head.close));
            assert_eq!(parsed, expected, "{head:?}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Some((200, Body::Length(2), false)));
        check("HTTP/1.1 429 x\r\ncontent-length:10\r\nConnection: close\r\n\r\n", Some((429, Body::Length(10), true)));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Some((200, Body::Chunked, false)));
        check("HTTP/1.1 200 OK\r\n\r\n", None);
        check("HTTP/1.1 abc\r\nContent-Length: 2\r\n\r\n", None);
        check("SSH-2.0\r\n\r\n", None);
    }

    #[test]
    fn addresses() {
        let check = |url: &str, host: Option<&str>| {
            assert_eq!(Address::parse(url).ok().map(|address| address.host).as_deref(), host, "{url}");
        };
        check("http://127.0.0.1:8008", Some("127.0.0.1:8008"));
        check("http://127.0.0.1:8008/", Some("127.0.0.1:8008"));
        check("http://[::1]:8008", Some("[::1]:8008"));
        check("https://127.0.0.1:8448", None);
        check("http://127.0.0.1:8008/path", None);
        check("http://", None);
    }

    #[test]
    fn finds() {
        let check = |haystack: &str, needle: &str| {
            assert_eq!(find(haystack.as_bytes(), needle.as_bytes()), haystack.find(needle), "{haystack} {needle}");
        };
        check("abcabd", "abd");
        check("aaaab", "aab");
        check("abc", "d");
        check("", "a");
        check("ab", "abc");
    }

    /// Answers each request with the next of `answers`, in pieces of some size; `per_connection` of them on each.
    fn served(answers: &'static [&'static str], piece: usize, per_connection: usize) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for (number, answer) in answers.iter().enumerate() {
                if number > 0 && number % per_connection == 0 {
                    stream = listener.accept().unwrap().0;
                }
                stream.set_nodelay(true).unwrap();
                let mut request = Vec::new();
                while find(&request, b"\r\n\r\n").is_none() {
                    let mut buffer = [0; 1024];
                    let read = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..read]);
                }
                for part in answer.as_bytes().chunks(piece) {
                    stream.write_all(part).unwrap();
                }
            }
        });
        address
    }

    #[test]
    fn answers_in_any_pieces() {
        const ANSWERS: &[&str] = &[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
        ];
        for piece in [1, 3, 1000] {
            let mut connection = Connection::new(&served(ANSWERS, piece, 4));
            for (status, body) in [(200, "hello"), (403, "abcde"), (200, ""), (200, "!")] {
                connection.send("GET", "/", Some("token"), None).unwrap();
                let answer = connection.receive().unwrap();
                assert_eq!((answer.status, answer.body), (status, body.as_bytes()), "pieces of {piece}");
            }
            connection.send("GET", "/", None, None).unwrap();
            assert!(connection.receive().is_err(), "the server has closed the connection");
        }
    }

    #[test]
    fn opens_a_new_connection_when_told() {
        const ANSWERS: &[&str] = &["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"; 3];
        let mut connection = Connection::new(&served(ANSWERS, 1000, 1));
        for _ in ANSWERS {
            connection.send("GET", "/", None, None).unwrap();
            assert_eq!(connection.receive().unwrap().body, b"ok");
        }
    }
}

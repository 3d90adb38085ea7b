//! A blocking HTTPS client that says what it is told to, right or wrong.

use bellwether_live::identity::{Role, tls};
use bellwether_live::state::State;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// More than any bound of a listener.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, in small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The text of the standard's Error body; empty if there is none.
    pub(crate) fn message(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// TLS as an application of a network does it.
pub(crate) fn application(state: &State, name: &str) -> Arc<ClientConfig> {
    let layout = state.identities();
    let identity = layout.load(Role::Application, name).expect("an identity");
    let roots = layout.roots(Role::KeyManager).expect("an authority");
    Arc::new(tls::application_client(&identity, roots, None).expect("a configuration"))
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    seen: Vec<u8>,
}

impl Connection {
    /// Connects and does the handshake. A server that does not want the caller says so in its first answer only.
    pub(crate) fn open(config: &Arc<ClientConfig>, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream, seen: Vec::new() })
    }

    /// Writes bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads until the server closes: how it did, and what it said before.
    pub(crate) fn until_closed(&mut self) -> (io::Result<()>, Vec<u8>) {
        let mut rest = std::mem::take(&mut self.seen);
        let mut part = [0; 4096];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => return (Ok(()), rest),
                Ok(length) => rest.extend_from_slice(&part[..length]),
                // Without a farewell of TLS.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return (Ok(()), rest),
                Err(error) => return (Err(error), rest),
            }
        }
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let mut part = [0; 16 << 10];
        loop {
            if let Some(answer) = take(&mut self.seen) {
                return Ok(answer);
            }
            match self.stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.seen.extend_from_slice(&part[..length]),
            }
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        self.send(request(method, path, body).as_bytes())?;
        self.answer()
    }
}

/// A request in its own words.
pub(crate) fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Takes a whole answer off the front of what was read.
fn take(seen: &mut Vec<u8>) -> Option<Answer> {
    let end = seen.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length =
        head.split("content-length:").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
    let length: usize = length.unwrap_or(0);
    let body = seen.get(end..end + length)?.to_vec();
    seen.drain(..end + length);
    Some(Answer { status, head, body })
}

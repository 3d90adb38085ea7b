//! Webhooks over https: posted to whoever an authority vouches for, and to nobody else.

use crate::place::{Place, Running, network};
use bellwether_live::identity::Role;
use bellwether_live::state::State;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Answers a post with 204; the whole of it.
fn take(mut socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<String> {
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = Stream::new(&mut tls, &mut socket);
    let mut post = String::new();
    let mut part = [0; 4096];
    loop {
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        post.push_str(&String::from_utf8_lossy(&part[..length]));
        let Some((head, body)) = post.split_once("\r\n\r\n") else { continue };
        let told = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if told == Some(body.len()) {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
            stream.flush()?;
            return Ok(post);
        }
    }
}

/// A receiver on localhost with the certificate of a key manager of `state`; tells what comes of each connection.
fn receiver(state: &State, tell: Sender<io::Result<String>>) -> u16 {
    let layout = state.identities();
    let certificate = layout.certificate(Role::KeyManager, "A").expect("a path");
    let key = PrivateKeyDer::from_pem_file(layout.key(Role::KeyManager, "A").expect("a path"));
    let chain = CertificateDer::pem_file_iter(certificate).expect("a file").collect::<Result<_, _>>();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(chain.expect("certificates"), key.expect("a key"));
    let config = Arc::new(config.expect("a configuration"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            if tell.send(take(socket, Arc::clone(&config))).is_err() {
                return;
            }
        }
    });
    port
}

#[test]
fn a_webhook_over_https_goes_to_whom_an_authority_vouches_for() {
    let place = Place::new();
    place.done("pki network.toml --state known");
    place.done("pki network.toml --state stranger");
    let [known, stranger] = ["known", "stranger"].map(|name| State::at(place.path().join(name)));
    let (tell_known, at_known) = channel();
    let (tell_stranger, at_stranger) = channel();
    let ports = [receiver(&known, tell_known), receiver(&stranger, tell_stranger)];
    let webhook = |name: &str, port: u16| {
        format!("[live.webhook.{name}]\nurl = \"https://localhost:{port}/told\"\nevents = [\"started\"]\n")
    };
    let text = network(place.first_port()) + &webhook("pager", ports[0]) + &webhook("other", ports[1]);
    std::fs::write(place.path().join("network.toml"), text).expect("it can be written");
    // The secrets of the webhooks are made now.
    place.done("pki network.toml --state known");
    let mut command = place.command("node --name A --network network.toml --state known");
    command.env("SSL_CERT_FILE", known.identities().authority(Role::KeyManager));
    let mut running = Running::start(command);
    running.until("ready: ");
    let post = at_known.recv_timeout(PATIENCE).expect("a post in time").expect("a post");
    let (head, body) = post.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("POST /told HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("\r\nbellwether-signature: sha256="), "{head}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&body["event"], &body["node"]), (&"started".into(), &"A".into()));
    // The other's certificate is from an authority that nobody named.
    let refused = at_stranger.recv_timeout(PATIENCE).expect("an attempt in time");
    let error = refused.expect_err("nothing may be posted there");
    assert!(error.to_string().contains("received fatal alert"), "{error}");
    assert_eq!(running.stop("TERM"), Some(0));
}

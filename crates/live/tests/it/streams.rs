//! Key streams (ETSI GS QKD 004) at both ends of a link: frames as the known client writes them, and JSON.

use crate::operations::{BANKS, Running, network};
use crate::up::free_ports;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_live::identity::{Role, tls};
use bellwether_live::state::State;
use bellwether_live::up::Up;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client that writes frames by hand.
struct FrameClient(TlsStream<TcpStream>);

impl FrameClient {
    async fn connect(running: &Running, sae: &str, node: usize) -> Self {
        Self::to(&running.state, &running.up, sae, node).await
    }

    async fn to(state: &State, up: &Up, sae: &str, node: usize) -> Self {
        let layout = state.identities();
        let identity = layout.load(Role::Application, sae).unwrap();
        let roots = layout.roots(Role::KeyManager).unwrap();
        let config = tls::application_client(&identity, roots, None).unwrap();
        let stream = TcpStream::connect(up.nodes[node].key_streams()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Self(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
    }

    /// Sends a frame; the kind and payload of the answer.
    async fn call(&mut self, kind: u8, payload: &[u8]) -> (u8, Vec<u8>) {
        let mut frame = vec![1, 0, 1, kind];
        frame.extend((payload.len() as u32).to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
        let mut header = [0; 8];
        self.0.read_exact(&mut header).await.unwrap();
        assert_eq!(header[..3], [1, 0, 1]);
        let mut answer = vec![0; number(&header[4..]) as usize];
        self.0.read_exact(&mut answer).await.unwrap();
        (header[3], answer)
    }

    async fn open(&mut self, source: &str, destination: &str, qos: [u32; 7], stream: [u8; 16]) -> Vec<u8> {
        let mut payload = [source.as_bytes(), &[0], destination.as_bytes(), &[0]].concat();
        payload.extend(qos.iter().flat_map(|number| number.to_be_bytes()));
        let mut mime_type = b"application/json".to_vec();
        mime_type.resize(256, 0);
        payload.extend(mime_type);
        payload.extend(stream);
        let (kind, answer) = self.call(3 - 1, &payload).await;
        assert_eq!(kind, 3);
        answer
    }

    /// The status, and with 0 the chunk and the metadata.
    async fn get(&mut self, stream: [u8; 16], index: u32, metadata_size: u32) -> (u32, Vec<u8>, Value) {
        let payload = [&stream[..], &index.to_be_bytes(), &metadata_size.to_be_bytes()].concat();
        let (kind, answer) = self.call(4, &payload).await;
        assert_eq!(kind, 5);
        let status = number(&answer);
        if status != 0 {
            return (status, answer, Value::Null);
        }
        assert_eq!(number(&answer[4..]), index);
        let (chunk, rest) = answer[12..].split_at(number(&answer[8..]) as usize);
        assert_eq!(number(rest) as usize, rest.len() - 4);
        (0, chunk.to_vec(), serde_json::from_slice(&rest[4..]).unwrap_or_default())
    }

    async fn close(&mut self, stream: [u8; 16]) -> u32 {
        let (kind, answer) = self.call(8, &stream).await;
        assert_eq!((kind, answer.len()), (9, 4));
        number(&answer)
    }
}

/// The status of a stream that an application at the first node opens while the other has not; `sae` is whose
/// certificate is shown.
pub(crate) async fn open_alone(state: &State, up: &Up, sae: &str, other: &str) -> u32 {
    let open = async {
        loop {
            let mut client = FrameClient::to(state, up, sae, 0).await;
            let status = number(&client.open("bank-a", other, USUAL, [0; 16]).await);
            // The node at the other end may not be reached yet.
            if status < 2 {
                return status;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), open).await.unwrap()
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn stream_of(opened: &[u8]) -> [u8; 16] {
    opened[opened.len() - 16..].try_into().unwrap()
}

/// A call in JSON, over a connection of its own: HTTP's status and the body.
async fn http(
    running: &Running,
    (sae, node): (&str, usize),
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let mut client = FrameClient::connect(running, sae, node).await;
    let body = body.to_string();
    let request = format!(
        "{method} /api/v1/kms/etsi004/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.0.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Without a closing alert the end is an error, and all is there.
    let _ = client.0.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

const USUAL: [u32; 7] = [32, 0, 0, 10, 0, 5000, 600];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_of_a_link_take_the_same_chunks_in_either_way_to_talk() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(network(free_ports(), BANKS), folder.path()).await;
    running.keys(1).await;
    let mut a = FrameClient::connect(&running, "bank-a", 0).await;
    let mut b = FrameClient::connect(&running, "bank-b", 1).await;

    // OPEN_CONNECT: 4 for a stranger, 7 with what could be had, then 1 and the stream.
    assert_eq!(a.open("app://bank-a", "app://nobody", USUAL, [0; 16]).await, 4u32.to_be_bytes());
    let long = [1 << 20, 0, 0, 0, 0, 0, 0];
    let offered = a.open("app://bank-a", "app://bank-b", long, [0; 16]).await;
    assert_eq!((number(&offered), number(&offered[4..]), offered.len()), (7, 8192, 304));
    let opened = a.open("app://bank-a", "app://bank-b", USUAL, [0; 16]).await;
    assert_eq!((number(&opened), number(&opened[4..]), &opened[32..48]), (1, 32, &b"application/json"[..]));
    let stream = stream_of(&opened);
    assert_ne!(stream, [0; 16]);
    assert_eq!(b.get(stream, 0, 1024).await.0, 4, "it is not open there");
    let joined = b.open("bank-a", "bank-b", USUAL, stream).await;
    assert_eq!((number(&joined), stream_of(&joined)), (0, stream));
    assert_eq!(b.open("bank-a", "bank-b", USUAL, stream).await, 5u32.to_be_bytes());

    // GET_KEY: 8 without a chunk spent, then each chunk once at each end.
    let (status, answer, _) = a.get(stream, 0, 10).await;
    assert_eq!((status, number(&answer[4..])), (8, 82));
    let mut seen = Vec::new();
    for index in 0..100 {
        let (status, chunk, metadata) = a.get(stream, index, 1024).await;
        assert_eq!((status, chunk.len()), (0, 32), "chunk {index}");
        assert_eq!(metadata["protection"], "hybrid");
        let (status, same, _) = b.get(stream, index, 0).await;
        assert!(status == 0 && same == chunk, "chunk {index} at the other end");
        assert!(!seen.contains(&chunk));
        seen.push(chunk);
    }
    assert_eq!(b.get(stream, 7, 0).await.0, 2, "once");

    // The other way to talk reaches the same streams.
    let id: String = stream.iter().map(|byte| format!("{byte:02x}")).collect();
    let get = json!({ "key_stream_id": id, "index": 100, "metadata": { "size": 200 } });
    let (code, answer) = http(&running, ("bank-a", 0), "POST", "get-key", &get).await;
    assert_eq!((code, &answer["status"], &answer["index"]), (200, &json!(0), &json!(100)));
    let (status, chunk, _) = b.get(stream, 100, 0).await;
    assert_eq!((status, STANDARD.encode(chunk)), (0, answer["key_buffer"].as_str().unwrap().to_owned()));
    let (code, answer) = http(&running, ("bank-a", 0), "GET", "get-key", &get).await;
    assert_eq!((code, answer), (500, json!({ "status": 2 })));
    let open =
        json!({ "source": "bank-b", "destination": "bank-a", "qos": { "key_chunk_size": 16, "ttl": null } });
    let (code, answer) = http(&running, ("bank-b", 1), "POST", "open-connect", &open).await;
    assert_eq!((code, &answer["status"], &answer["qos"]["key_chunk_size"]), (200, &json!(1), &json!(16)));
    let close = json!({ "key_stream_id": answer["key_stream_id"] });
    let (code, answer) = http(&running, ("bank-b", 1), "PUT", "close", &close).await;
    assert_eq!((code, answer), (200, json!({ "status": 0 })));
    for (method, path, code) in
        [("PUT", "open-connect", 405), ("POST", "nothing", 404), ("POST", "close", 400)]
    {
        assert_eq!(http(&running, ("bank-b", 1), method, path, &json!({})).await.0, code, "{path}");
    }

    // CLOSE: the other end may take what is there, and nothing more comes.
    let (status, last, _) = a.get(stream, 101, 0).await;
    assert_eq!((status, a.close(stream).await, a.close(stream).await), (0, 0, 0));
    assert_eq!(a.get(stream, 102, 0).await.0, 4);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(b.get(stream, 101, 0).await.1, last);
    assert_eq!(b.get(stream, 164, 0).await.0, 3, "the other end is closed");
    assert_eq!(b.close(stream).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_frame_ends_the_connection_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(network(free_ports(), BANKS), folder.path()).await;
    for bytes in [
        &b"\x01\x00\x01\x05\x00\x00\x00\x00"[..],
        b"\x01\x00\x01\x04\xff\xff\xff\xff",
        b"\x02\x00\x01\x04\x00\x00\x00\x18",
        b"\x01\x00\x01\x08\x00\x00\x00\x01\x00",
        b"\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ] {
        let mut client = FrameClient::connect(&running, "bank-a", 0).await;
        client.0.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(5), client.0.read_to_end(&mut answer)).await.expect("an end");
        assert!(answer.is_empty(), "{bytes:?}");
    }
    let mut client = FrameClient::connect(&running, "bank-a", 0).await;
    assert_eq!(client.close([9; 16]).await, 0, "others are served");
}

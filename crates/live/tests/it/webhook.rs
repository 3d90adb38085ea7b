//! Webhooks, and policy that changes while a node runs.

use crate::operations::{BANKS, Running, network};
use crate::up::free_ports;
use bellwether_live::application::client::ClientError;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// What a webhook was sent: the head's lines and the body.
type Received = Arc<Mutex<Vec<(Vec<String>, String)>>>;

/// Takes posts; the first is answered 500, so that it comes again.
async fn receiver() -> (std::net::SocketAddr, Received) {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, received) = (socket.local_addr().unwrap(), Received::default());
    let heard = Arc::clone(&received);
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = socket.accept().await.unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            let (head, body) = loop {
                let read = stream.read(&mut buffer).await.unwrap();
                assert!(read > 0, "a post broke off");
                bytes.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let head: Vec<_> = head.lines().map(str::to_owned).collect();
                let length: usize = header(&head, "content-length").parse().unwrap();
                if body.len() == length {
                    break (head, body.to_owned());
                }
            };
            heard.lock().unwrap().push((head, body));
            let answer = if number == 0 { "500 No" } else { "204 Yes" };
            let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, received)
}

fn header(head: &[String], name: &str) -> String {
    let found = head.iter().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    found.unwrap_or_else(|| panic!("no {name} in {head:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_told_and_policy_changes_while_the_node_runs() {
    let (address, received) = receiver().await;
    let webhook = format!(
        "[live.webhook.watch]\nurl = \"http://{address}/told?by=node\"\nevents = [\"alarm\", \"policy\"]\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let port = free_ports();
    let text = |pairs: &str| network(port, &format!("{BANKS}{pairs}{webhook}"));
    let running = Running::start(text(""), folder.path()).await;
    let node = &running.up.nodes[0];
    running.keys(1).await;

    // A pair that is taken away is denied at once, and one that is given back is served.
    let without = BANKS.replace("master = \"bank-a\"", "master = \"bank-b\"\nboth_ways = false");
    let without = without.replace("slave = \"bank-b\"", "slave = \"bank-a\"");
    let without = Arc::new(network(port, &format!("{without}{webhook}")));
    let changes = node.reload(without).await.unwrap();
    assert_eq!(changes, ["pair bank-a to bank-b is gone"]);
    match running.bank("bank-a", 0).get("bank-b", 1, None).await {
        Err(ClientError::Refused { status, .. }) => assert_eq!(status.as_u16(), 401),
        other => panic!("{other:?}"),
    }
    let limited = text("keys_per_second = 1000\n");
    assert_eq!(node.reload(Arc::new(limited)).await.unwrap().len(), 2);
    running.keys(1).await;
    let mut other = text("");
    other.links[0].name = "C-D".to_owned();
    assert_eq!(node.reload(Arc::new(other)).await.unwrap_err().to_string().split(' ').next(), Some("[link]"));
    assert!(node.reload(Arc::new(text("keys_per_second = 1000\n"))).await.unwrap().is_empty());

    running.eavesdrop().await;
    let told = |what: &str| {
        let received = received.lock().unwrap();
        let nodes = received.iter().filter(|(_, body)| body.contains(what));
        nodes
            .map(|(_, body)| serde_json::from_str::<Value>(body).unwrap()["node"].clone())
            .collect::<Vec<_>>()
    };
    let both = async {
        while !(told("qber-high").contains(&"A".into()) && told("qber-high").contains(&"B".into())) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), both).await.expect("an alarm of either node within a minute");
    let secret = running.state.webhook_secret("watch").unwrap();
    let received = received.lock().unwrap().clone();
    for (head, body) in &received {
        assert_eq!(head[0], "POST /told?by=node HTTP/1.1");
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(format!("{}.{body}", header(head, "bellwether-timestamp")).as_bytes());
        let signed: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(header(head, "bellwether-signature"), format!("sha256={signed}"));
        let event: Value = serde_json::from_str(body).unwrap();
        assert_eq!(event["id"], header(head, "bellwether-delivery"));
        assert!(["alarm", "policy"].contains(&event["event"].as_str().unwrap()), "{body}");
    }
    // The first was not taken, and came again.
    let first = header(&received[0].0, "bellwether-delivery");
    let again = received.iter().filter(|(head, _)| header(head, "bellwether-delivery") == first);
    assert_eq!(again.count(), 2);
    running.up.stop().await;
}

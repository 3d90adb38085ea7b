//! What operators see of a network that runs: metrics, status, events and the audit log.

use crate::two_ends::link;
use crate::up::free_ports;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_live::application::client::{Client, ClientError, Key};
use bellwether_live::audit::check::{CheckError, Search, search, verify};
use bellwether_live::emulation::Dialler;
use bellwether_live::identity::Role;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::interface::operations::client::{OperationsClient, OperationsError};
use bellwether_live::state::{OPERATOR, State};
use bellwether_live::up::Up;
use bellwether_network::{Attack, EavesdropperBasis, LinkEvent, Network};
use http_body_util::BodyExt;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

pub(crate) const BANKS: &str = r#"
[sae.bank-a]
node = "A"
[sae.bank-b]
node = "B"
[[pair]]
master = "bank-a"
slave = "bank-b"
"#;

/// A and B, with a link of 10 MHz between them that has made key for 20 s before the start.
pub(crate) fn network(first_port: u16, more: &str) -> Network {
    let link = link(["A", "B"], "10 km");
    let text = format!(
        r#"
format = 1
[network]
name = "one link"
[run]
duration = "10 s"
window = "10 ms"
[live]
first_port = {first_port}
head_start = "20 s"
[node.A]
[node.B]
{more}{link}"#
    );
    Network::parse(&text, "one-link.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A network that runs, and clients of it.
pub(crate) struct Running {
    pub(crate) network: Arc<Network>,
    pub(crate) up: Up,
    pub(crate) state: State,
}

impl Running {
    pub(crate) async fn start(network: Network, folder: &Path) -> Self {
        let (network, state) = (Arc::new(network), State::at(folder));
        let up = Up::start(Arc::clone(&network), state.clone(), Compatibility::default()).await.unwrap();
        Self { network, up, state }
    }

    pub(crate) fn operations(&self, node: usize) -> OperationsClient {
        OperationsClient::plain(self.up.nodes[node].operations())
    }

    pub(crate) fn bank(&self, sae: &str, node: usize) -> Client {
        let layout = self.state.identities();
        let identity = layout.load(Role::Application, sae).unwrap();
        let url = format!("https://{}", self.up.nodes[node].key_manager());
        Client::new(&url, &identity, layout.roots(Role::KeyManager).unwrap(), None).unwrap()
    }

    /// Keys at both banks, which are equal.
    pub(crate) async fn keys(&self, number: u32) -> Vec<Key> {
        let (a, b) = (self.bank("bank-a", 0), self.bank("bank-b", 1));
        let begun = Instant::now();
        let issued = loop {
            match a.get("bank-b", number, None).await {
                Ok(keys) => break keys,
                Err(ClientError::Refused { status, .. }) if status.as_u16() == 503 => {
                    assert!(begun.elapsed() < Duration::from_secs(60), "no key within a minute");
                    sleep(Duration::from_millis(100)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let ids: Vec<_> = issued.iter().map(|key| key.id.to_string()).collect();
        let collected = b.get_by_id("bank-a", &ids).await.unwrap();
        assert!(issued.iter().zip(&collected).all(|(a, b)| a.id == b.id && a.key == b.key));
        issued
    }

    pub(crate) async fn eavesdrop(&self) {
        let layout = self.state.identities();
        let operator = layout.load(Role::Node, OPERATOR).unwrap();
        let dialler =
            Dialler::new(self.up.physical_layer, &operator, layout.roots(Role::Node).unwrap()).unwrap();
        let mut control = dialler.control(&self.network.links[0].name).await.unwrap();
        let attack = Attack::InterceptResend { fraction: 1.0, basis: EavesdropperBasis::Random };
        control.inject(LinkEvent::Attack(attack), None).await.unwrap();
    }
}

/// A reader of an event stream.
struct Reader {
    text: Arc<Mutex<String>>,
    _task: JoinHandle<()>,
}

impl Reader {
    async fn start(client: &OperationsClient, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut answer = client.get(path, headers).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let text = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&text);
        let task = tokio::spawn(async move {
            while let Some(Ok(frame)) = answer.body_mut().frame().await {
                let bytes = frame.into_data().unwrap_or_default();
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes));
            }
        });
        Self { text, _task: task }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// The whole events so far: their ids, kinds and data.
    fn events(&self) -> Vec<(String, String, Value)> {
        let text = self.text();
        let blocks = text.split_inclusive("\n\n").filter(|block| block.ends_with("\n\n"));
        let field = |block: &str, name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(str::to_owned)
        };
        blocks
            .filter_map(|block| {
                let data = serde_json::from_str(&field(block, "data")?).unwrap();
                Some((field(block, "id").unwrap(), field(block, "event").unwrap(), data))
            })
            .collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&[(String, String, Value)]) -> bool) {
        let wait = async {
            while !holds(&self.events()) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(Duration::from_secs(60), wait).await.is_err() {
            panic!("never: {what}; heard {}", self.text());
        }
    }
}

/// The values of a metric, with the labels as they are written.
fn samples<'a>(text: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels, value.parse().unwrap()))
        })
        .collect()
}

/// Every line is a comment or a sample of a family that was announced, and no series comes twice.
fn assert_metrics(text: &str) {
    assert!(text.ends_with("# EOF\n"));
    let (mut families, mut series) = (Vec::new(), std::collections::BTreeSet::new());
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(["gauge", "counter", "histogram"].contains(&kind), "{line}");
            assert!(!families.contains(&name), "{name} is announced twice");
            families.push(name);
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(sample), "{sample} comes twice");
            let name = sample.split('{').next().unwrap();
            let known = |suffix: &str| name.strip_suffix(suffix).is_some_and(|name| families.contains(&name));
            let known = ["", "_total", "_bucket", "_sum", "_count"].into_iter().any(known);
            assert!(known && name.starts_with("bellwether_"), "{line}");
        }
    }
}

/// Gathers what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fails if a key stands in `text`, as it is or written in one of the usual ways.
fn assert_no_key(what: &str, text: &[u8], keys: &[Key]) {
    for key in keys {
        let raw = key.key.expose().to_bytes();
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{raw:?}");
        let forms = [
            raw.clone(),
            hex.to_uppercase().into_bytes(),
            hex.into_bytes(),
            STANDARD.encode(&raw).into_bytes(),
            list.trim_matches(['[', ']']).as_bytes().to_vec(),
        ];
        for form in forms {
            assert!(!text.windows(form.len()).any(|window| window == form), "{what} holds a key");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_keys_alarms_and_figures_but_no_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(network(free_ports(), BANKS), folder.path()).await;
    let (a, b) = (running.operations(0), running.operations(1));
    let readers =
        [Reader::start(&a, "/api/v1/events", &[]).await, Reader::start(&b, "/api/v1/events", &[]).await];
    assert_eq!(&a.text("/health").await.unwrap()[..], b"alive\n");
    assert_eq!(&b.text("/ready").await.unwrap()[..], b"ready\n");
    let keys = running.keys(3).await;
    let ids: Vec<_> = keys.iter().map(|key| key.id.to_string()).collect();

    // Who got which keys, and where these have been.
    let names_all = |events: &[(String, String, Value)], kind: &str| {
        let named = events.iter().filter(|(_, event, _)| event == kind);
        let named: Vec<_> = named.flat_map(|(.., data)| data["keys"].as_array().unwrap().clone()).collect();
        ids.iter().all(|id| named.contains(&Value::from(id.as_str())))
    };
    readers[0].until("issued", |events| names_all(events, "issued")).await;
    readers[1].until("collected", |events| names_all(events, "collected")).await;
    let issued = readers[0].events().into_iter().find(|(_, event, _)| event == "issued").unwrap().2;
    assert_eq!((&issued["master"], &issued["slaves"][0]), (&"bank-a".into(), &"bank-b".into()));
    assert_eq!((&issued["protection"], &issued["node"]), (&"hybrid".into(), &"A".into()));
    assert_eq!(issued["nodes"], serde_json::json!(["A", "B"]));

    let metrics = String::from_utf8(a.text("/metrics").await.unwrap().to_vec()).unwrap();
    assert_metrics(&metrics);
    let value = |name: &str, label: &str| {
        let found = samples(&metrics, name).into_iter().find(|(labels, _)| labels.contains(label));
        found.unwrap_or_else(|| panic!("no {name} with {label} in\n{metrics}")).1
    };
    assert_eq!(value("bellwether_keys_issued_total", "hybrid"), 3.0);
    assert_eq!(value("bellwether_ready", ""), 1.0);
    assert_eq!(value("bellwether_key_requests_total", r#"method="enc_keys",result="ok""#), 1.0);
    assert!(value("bellwether_key_request_seconds_count", "enc_keys") >= 1.0);
    assert!(value("bellwether_http_answers_total", r#"class="2xx""#) >= 1.0);
    assert_eq!(value("bellwether_unknown_members_total", ""), 0.0);
    assert!(value("bellwether_link_secret_bits_total", "A-B") > 0.0);
    assert!(value("bellwether_link_blocks_total", "key") > 0.0);
    assert!(value("bellwether_transport_frames_total", "sent") > 0.0);
    assert!(
        value("bellwether_listener_connections_total", r#"interface="key-manager",event="accepted""#) >= 1.0
    );
    assert!((0.0..0.11).contains(&value("bellwether_link_qber_ratio", "key")));

    let status = a.status().await.unwrap();
    assert_eq!((status.version, status.node.as_str(), &status.not_ready), (1, "A", &None));
    assert_eq!((status.links[0].condition.as_str(), status.links[0].peer.as_str()), ("up", "B"));
    assert!(status.links[0].session.is_some() && status.peers[0].met);
    let open = status.links[0].open_block.unwrap();
    assert!(open.of_bits > 0 && open.sifted_bits <= open.of_bits, "{open:?}");
    assert_eq!(status.peers[0].drought, None);
    assert_eq!(status.requests.issued["hybrid"], 3);

    // An eavesdropper is seen at both ends, by those who listen and by those who come back.
    let last = readers[0].events().last().unwrap().0.clone();
    running.eavesdrop().await;
    let alarmed = |events: &[(String, String, Value)]| {
        events.iter().any(|(_, kind, data)| kind == "alarm" && data["kind"] == "qber-high")
    };
    for reader in &readers {
        reader.until("an alarm", alarmed).await;
        reader
            .until("the link is marked", |events| {
                events.iter().any(|(_, kind, data)| kind == "condition" && data["condition"] == "alarmed")
            })
            .await;
    }
    let back = Reader::start(&a, "/api/v1/events?events=alarm", &[("Last-Event-ID", &last)]).await;
    back.until("the alarm that was missed", alarmed).await;
    assert!(back.events().iter().all(|(_, kind, _)| kind == "alarm"));
    // A block of before the eavesdropper may still be made key of meanwhile.
    let mut status = b.status().await.unwrap();
    for _ in 0..600 {
        if status.links[0].condition == "alarmed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        status = b.status().await.unwrap();
    }
    assert_eq!(status.links[0].condition, "alarmed");
    assert!(status.alarms.iter().any(|alarm| alarm["kind"] == "qber-high"));

    for (path, code) in [("/api/v1/events?events=no", 400), ("/nothing", 404), ("/api/v1/keys", 404)] {
        match a.text(path).await {
            Err(OperationsError::Answer { status, .. }) => assert_eq!(status.as_u16(), code, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }

    let Running { up, state, .. } = running;
    up.stop().await;
    let audit = |node: &str| state.root().join("nodes").join(node).join("audit.jsonl");
    let mut everything = log.0.lock().unwrap().clone();
    assert!(!everything.is_empty());
    for node in ["A", "B"] {
        everything.extend(std::fs::read(audit(node)).unwrap());
    }
    for reader in &readers {
        everything.extend(reader.text().into_bytes());
    }
    everything.extend(metrics.into_bytes());
    assert_no_key("what operators see", &everything, &keys);

    // The audit log says the same, and that nobody changed it.
    let path = audit("A");
    let report = verify(core::slice::from_ref(&path), None).unwrap();
    assert!(report.entries > 5 && report.first == 0, "{report:?}");
    assert!(verify(core::slice::from_ref(&path), Some(report.head.hash)).unwrap().found);
    let mut found = Vec::new();
    let wanted = Search { node: Some("B".to_owned()), ..Search::default() };
    search::<CheckError>(core::slice::from_ref(&path), &wanted, |line| {
        found.push(line.to_owned());
        Ok(())
    })
    .unwrap();
    assert!(ids.iter().all(|id| found.iter().any(|line| line.contains(id))));
    let nobody = Search { node: Some("C".to_owned()), ..Search::default() };
    assert_eq!(search::<CheckError>(core::slice::from_ref(&path), &nobody, |_| Ok(())).unwrap(), 0);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(verify(&[path], None), Err(CheckError::Broken { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_other_addresses_only_the_operator_may_ask() {
    let port = free_ports();
    let addresses = format!("[live.node.A]\noperations = \"0.0.0.0:{}\"\n", port + 9);
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(network(port, &format!("{BANKS}{addresses}")), folder.path()).await;
    let address: std::net::SocketAddr = format!("127.0.0.1:{}", port + 9).parse().unwrap();
    assert!(OperationsClient::plain(address).status().await.is_err());
    let layout = running.state.identities();
    let roots = || layout.roots(Role::Node).unwrap();
    let as_caller = |name: &str, node: &str| {
        let identity = layout.load(Role::Node, name).unwrap();
        OperationsClient::with_identity(address, &identity, roots(), node).unwrap()
    };
    assert_eq!(as_caller(OPERATOR, "A").status().await.unwrap().node, "A");
    assert!(as_caller(OPERATOR, "B").status().await.is_err());
    assert!(as_caller("B", "A").status().await.is_err());
    running.up.stop().await;
    let audit = std::fs::read_to_string(running.state.root().join("nodes/A/audit.jsonl")).unwrap();
    assert!(audit.contains("unknown-caller") && audit.contains("handshake"), "{audit}");
}

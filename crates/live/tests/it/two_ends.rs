//! Two ends of one emulated link in one process, joined by channels in memory.

use bellwether_live::hardware::client::{Control, devices};
use bellwether_live::hardware::server::{Options, PhysicalLayer};
use bellwether_live::hardware::{LinkHardware, Side};
use bellwether_live::node::link::{Clock, KeepError, Keeper, LinkEnd, LinkEndError, Notice, drive};
use bellwether_live::node::transcript::Entry;
use bellwether_network::Network;
use bellwether_protocol::qkd::session::{BlockReport, Durable, LinkSettings};
use bellwether_sim::emulator::{link_settings, provisioned};
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration as Span;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A link between two nodes at 10 MHz, with small blocks: over 25 km a block takes a third of a second of light.
pub(crate) fn link(ends: [&str; 2], length: &str) -> String {
    let [a, b] = ends;
    format!(
        r#"
[link.{a}-{b}]
ends = ["{a}", "{b}"]
[link.{a}-{b}.fibre]
length = "{length}"
loss_per_length = "0.2 dB/km"
misalignment = 0.01
[link.{a}-{b}.transmitter]
clock = "10 MHz"
wavelength = "1550 nm"
source = {{ kind = "weak-coherent", intensities = [{{ mean_photons = 0.5, probability = 0.7 }}, {{ mean_photons = 0.15, probability = 0.3 }}] }}
[link.{a}-{b}.receiver]
detector = {{ technology = "snspd", efficiency = 0.8, dark_count_rate = "100 /s", dead_time = "30 ns" }}
[link.{a}-{b}.protocol]
block_size = "150 kbit"
key_basis_probability = 0.7
"#
    )
}

pub(crate) fn network() -> Network {
    let nodes = r#"
format = 1
[network]
name = "one link"
[run]
duration = "10 s"
window = "10 ms"
[node.A]
[node.B]
"#;
    let text = format!("{nodes}{}", link(["A", "B"], "25 km"));
    Network::parse(&text, "link.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A physical layer with a head start, in which `operator` may interfere.
pub(crate) fn layer(network: &Network, seed: u64, head_start: Duration) -> PhysicalLayer {
    let controllers = BTreeSet::from(["operator".to_owned()]);
    let options = Options { head_start, controllers, ..Options::new(seed, 0xfeed) };
    PhysicalLayer::start(network, &options).unwrap()
}

/// A stream to a layer that knows us as `peer`.
pub(crate) fn stream(layer: &PhysicalLayer, peer: &'static str) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let layer = layer.clone();
    tokio::spawn(async move { layer.serve(theirs, peer).await });
    ours
}

pub(crate) fn node_of(side: Side) -> &'static str {
    match side {
        Side::Transmitter => "A",
        Side::Receiver => "B",
    }
}

pub(crate) fn hardware(layer: &PhysicalLayer, side: Side) -> LinkHardware {
    let layer = layer.clone();
    devices(side, "A-B".to_owned(), move || std::future::ready(Ok(stream(&layer, node_of(side)))))
}

pub(crate) async fn control(layer: &PhysicalLayer) -> Control<DuplexStream> {
    Control::open(stream(layer, "operator"), "A-B").await.unwrap()
}

/// Keeps an end's state as a disk would.
struct Disk(Mutex<Durable>);

impl Disk {
    fn last(&self) -> Durable {
        self.0.lock().unwrap().duplicate()
    }
}

impl Keeper for Disk {
    fn keep(&self, record: Durable) -> Pin<Box<dyn Future<Output = Result<(), KeepError>> + Send + '_>> {
        Box::pin(async move {
            tokio::time::sleep(Span::from_millis(1)).await;
            *self.0.lock().unwrap() = record;
            Ok(())
        })
    }
}

/// What one end has told.
#[derive(Default)]
pub(crate) struct Told {
    /// Keys by block, as words.
    pub(crate) keys: BTreeMap<u64, Vec<u64>>,
    /// What every block gave.
    pub(crate) reports: Vec<BlockReport>,
    /// Blocks that were discarded, and why in a word.
    pub(crate) discarded: BTreeMap<u64, &'static str>,
    /// Names of alarms.
    pub(crate) alarms: Vec<&'static str>,
    /// Whether it saw light when it last said so.
    pub(crate) light: Option<bool>,
    pub(crate) lost: u64,
    pub(crate) runs: Vec<u64>,
}

type Wires = Arc<Mutex<[Option<mpsc::Sender<Vec<u8>>>; 2]>>;

/// What an end's transcript is gathered in.
pub(crate) type Entries = Arc<Mutex<Vec<Entry>>>;

/// Both ends, each of which may be crashed and started again.
pub(crate) struct TwoEnds {
    settings: LinkSettings,
    seed: u64,
    wires: Wires,
    disks: [Arc<Disk>; 2],
    told: [Arc<Mutex<Told>>; 2],
    tasks: [Option<JoinHandle<Result<(), LinkEndError>>>; 2],
    lives: u64,
    /// One for both, so that what they did can be put in order.
    clock: Clock,
}

impl TwoEnds {
    pub(crate) fn new(network: &Network, seed: u64) -> Self {
        let disk = || Arc::new(Disk(Mutex::new(provisioned(network, LinkId(0), seed).unwrap())));
        Self {
            settings: link_settings(network, LinkId(0)).unwrap(),
            seed,
            wires: Wires::default(),
            disks: [disk(), disk()],
            told: Default::default(),
            tasks: [None, None],
            lives: 0,
            clock: Clock::start(),
        }
    }

    pub(crate) fn settings(&self) -> &LinkSettings {
        &self.settings
    }

    pub(crate) fn random(&self, side: Side, life: u64) -> Stream {
        Stream::new(self.seed + 1000 * life, EntityId(side as u32), Purpose::named("an end's generator"))
    }

    pub(crate) fn start(&mut self, side: Side, hardware: LinkHardware) {
        self.start_recorded(side, hardware, None);
    }

    pub(crate) fn start_recorded(&mut self, side: Side, hardware: LinkHardware, entries: Option<Entries>) {
        let (frames_in, frames) = mpsc::channel(4096);
        self.wires.lock().unwrap()[side as usize] = Some(frames_in);
        let (wires, other) = (Arc::clone(&self.wires), 1 - side as usize);
        let send = move |frame| {
            if let Some(wire) = &wires.lock().unwrap()[other] {
                // A full or broken wire loses the frame, as a transport would.
                let _ = wire.try_send(frame);
            }
        };
        let (notices, mut heard) = mpsc::channel(64);
        let end = LinkEnd {
            side,
            settings: self.settings.clone(),
            durable: self.disks[side as usize].last(),
            hardware,
            frames,
            send: Box::new(send),
            keeper: Arc::clone(&self.disks[side as usize]) as Arc<dyn Keeper>,
            notices,
            random: Box::new(self.random(side, self.lives)),
            clock: self.clock,
            transcript: entries
                .map(|entries| Box::new(move |entry| entries.lock().unwrap().push(entry)) as Box<_>),
        };
        self.tasks[side as usize] = Some(tokio::spawn(drive(end)));
        let told = Arc::clone(&self.told[side as usize]);
        tokio::spawn(async move {
            while let Some(notice) = heard.recv().await {
                let mut told = told.lock().unwrap();
                match notice {
                    Notice::Key { block, key, .. } => {
                        let before = told.keys.insert(block.0, key.expose().words().to_vec());
                        assert!(before.is_none(), "{block} is told twice");
                    }
                    Notice::Block(report) => {
                        let why = report.discarded.as_ref().map(|why| (report.block.0, why.name()));
                        told.discarded.extend(why);
                        told.reports.push(*report);
                    }
                    Notice::Alarm(alarm) => told.alarms.push(alarm.kind.name()),
                    Notice::Light(seen) => told.light = Some(seen),
                    Notice::Lost(lost) => told.lost = lost,
                    Notice::Devices { run } => told.runs.push(run),
                    _ => {}
                }
            }
        });
    }

    /// Stops an end as a crash would: what it had in memory is gone.
    pub(crate) async fn crash(&mut self, side: Side) {
        self.wires.lock().unwrap()[side as usize] = None;
        let task = self.tasks[side as usize].take().unwrap();
        // Its frames may have ended just before.
        task.abort();
        let _ = task.await;
        self.lives += 1;
    }

    /// Lets an end finish by itself: its frames end.
    pub(crate) async fn finish(&mut self, side: Side) {
        self.wires.lock().unwrap()[side as usize] = None;
        let task = self.tasks[side as usize].take().unwrap();
        task.await.unwrap().unwrap();
    }

    pub(crate) fn look<T>(&self, side: Side, at: impl FnOnce(&mut Told) -> T) -> T {
        at(&mut self.told[side as usize].lock().unwrap())
    }

    /// How many keys the end has told that told more.
    pub(crate) fn most_keys(&self) -> usize {
        [Side::Receiver, Side::Transmitter].map(|side| self.look(side, |told| told.keys.len()))[..]
            .iter()
            .copied()
            .fold(0, usize::max)
    }

    /// Waits until `what` holds at both ends; a minute is far more than it takes.
    pub(crate) async fn until(&self, name: &str, what: impl Fn(&Told) -> bool) {
        for _ in 0..6000 {
            if [Side::Receiver, Side::Transmitter].iter().all(|side| self.look(*side, |told| what(told))) {
                return;
            }
            tokio::time::sleep(Span::from_millis(10)).await;
        }
        let seen = [Side::Receiver, Side::Transmitter].map(|side| {
            self.look(side, |told| {
                format!(
                    "{side:?}: {} keys, discarded {:?}, alarms {:?}, light {:?}, {} windows lost",
                    told.keys.len(),
                    told.discarded,
                    told.alarms,
                    told.light,
                    told.lost
                )
            })
        });
        panic!("never: {name}; {seen:?}");
    }

    /// Blocks of which both ends hold a key; their keys are equal.
    pub(crate) fn shared_keys(&self) -> BTreeSet<u64> {
        let ours = self.look(Side::Receiver, |told| told.keys.clone());
        let theirs = self.look(Side::Transmitter, |told| told.keys.clone());
        let shared: BTreeSet<u64> = ours.keys().copied().filter(|block| theirs.contains_key(block)).collect();
        for block in &shared {
            assert!(!ours[block].is_empty());
            assert_eq!(ours[block], theirs[block], "block {block}");
        }
        shared
    }
}

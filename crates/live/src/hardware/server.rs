//! The emulated physical layer: all devices of a network in one process, paced by the wall clock.
//!
//! Each link has a task that owns its [`LinkEmulator`]. A window of light is due when the wall clock has reached
//! its end, counted from the start of the layer less the head start, and it is made when the receiver takes it.
//! A receiver that takes nothing finds at most [`Options::buffer`] of light behind the clock: what is older was
//! lost, as in a detector's full buffer, and is counted. Within the head start, where nobody waits for a click,
//! windows are larger: to hand a window over costs more than to make a small one.
//!
//! A stream is served for a peer whose name was verified before (by TLS). Only the node at an end of a link is
//! given that end's devices, and only an identity named for it may make things happen to the light.

use super::wire::{ASK_LIMIT, Ask, FrameError, Role, Tell, read_frame, write_frame};
use super::{Side, columns};
use crate::memories;
use crate::memories::server::MemoryLayer;
use bellwether_network::{LinkEvent, Network};
use bellwether_protocol::hardware::PulseNumber;
use bellwether_sim::emulator::LinkEmulator;
use bellwether_sim::entanglement::{BuildError, SetupError};
use bellwether_sim::run::RunError;
use bellwether_units::{Duration, LinkId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration as Span;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

/// Windows that a receiver may ask for ahead.
const MOST_CREDIT: u32 = 64;
/// Frames that wait for one peer: more than its credit and the recalls that a node keeps in flight.
const OUTGOING: usize = 512;
/// How long windows are within the head start, if they hold few clicks.
const HEAD_START_WINDOW: Duration = Duration::from_whole_seconds(1);
/// How long a peer may take for its first frame, and to take a frame off us.
const PATIENCE: Span = Span::from_secs(10);

/// How a physical layer runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// For the light and the devices. Equal seeds give equal clicks, so a running network wants one that
    /// nobody knows.
    pub seed: u64,
    /// Names this run of the devices: no two runs of one layer may have the same.
    pub run: u64,
    /// How much light is handed out as fast as the receiver takes it before the wall clock paces.
    pub head_start: Duration,
    /// How much light a receiver's buffer holds.
    pub buffer: Duration,
    /// The names of those who may make things happen to the light.
    pub controllers: BTreeSet<String>,
}

impl Options {
    /// The defaults: no head start, a buffer of a second, nobody who may interfere.
    pub fn new(seed: u64, run: u64) -> Self {
        let buffer = Duration::from_whole_seconds(1);
        Self { seed, run, head_start: Duration::ZERO, buffer, controllers: BTreeSet::new() }
    }
}

/// Why a stream is no longer served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A frame could not be read, or was none.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer was too slow.
    #[error("the peer did not answer in time")]
    Slow,
    /// The peer asked for what is not its own.
    #[error("`{peer}` may not have this: {what}")]
    NotAllowed {
        /// Its verified name.
        peer: String,
        /// What it wanted.
        what: String,
    },
    /// The peer said something at the wrong time.
    #[error("an unexpected frame: {0}")]
    Unexpected(&'static str),
    /// Another connection has taken the devices over, or the layer stops.
    #[error("the devices were handed to another connection")]
    Replaced,
}

/// The devices of all links of a network. Dropping the last copy ends it.
#[derive(Clone)]
pub struct PhysicalLayer {
    links: Arc<BTreeMap<String, Link>>,
    controllers: Arc<BTreeSet<String>>,
    /// The devices that entangle, if the network has any.
    memories: Option<MemoryLayer>,
}

/// Why the devices of a network cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The devices of a link do not make a link.
    #[error(transparent)]
    Link(#[from] RunError),
    /// Those that entangle lack figures, or have some that cannot be.
    #[error(transparent)]
    Entangling(#[from] BuildError),
    /// There are more of those than can be numbered.
    #[error(transparent)]
    TooMany(#[from] SetupError),
}

struct Link {
    transmitter: String,
    receiver: String,
    orders: mpsc::Sender<Order>,
    welcome: Welcome,
}

#[derive(Clone, Copy)]
struct Welcome {
    run: u64,
    window_pulses: u64,
    pulse_rate: f64,
}

/// What a link's task is told.
enum Order {
    Attach { side: Side, outgoing: mpsc::Sender<Tell>, attached: oneshot::Sender<Attached> },
    Detach { side: Side, serial: u64 },
    Credit { serial: u64, windows: u32 },
    Recall { serial: u64, request: u64, pulses: Vec<PulseNumber> },
    Inject { event: LinkEvent, lasting: Option<Duration>, answer: oneshot::Sender<Tell> },
    Withdraw { number: Option<u64>, answer: oneshot::Sender<Tell> },
}

struct Attached {
    serial: u64,
    light: bool,
}

impl PhysicalLayer {
    /// Starts the devices of all links of `network` for which no recording stands in, on the current tokio runtime.
    ///
    /// # Errors
    /// If the devices of a link do not make a link, or those that entangle lack figures.
    pub fn start(network: &Network, options: &Options) -> Result<Self, LayerError> {
        let mut links = BTreeMap::new();
        for (place, link) in network.links.iter().enumerate() {
            // Its nodes play the recording themselves.
            if link.recording.is_some() {
                continue;
            }
            let emulator = LinkEmulator::new(network, LinkId(place as u32), options.seed)?;
            let welcome = Welcome {
                run: options.run,
                window_pulses: emulator.window_pulses(),
                pulse_rate: emulator.pulse_rate(),
            };
            let (orders, inbox) = mpsc::channel(256);
            let node = |id: bellwether_units::NodeId| network.nodes[id.0 as usize].name.clone();
            let entry = Link {
                transmitter: node(link.transmitter_at),
                receiver: node(link.receiver_at),
                orders,
                welcome,
            };
            links.insert(link.name.clone(), entry);
            // A block ends with a window, so a window is to be a small part of it.
            let most_clicks = link.protocol.block_size.bits() / 16;
            tokio::spawn(Light::new(link.name.clone(), emulator, options, most_clicks).run(inbox));
        }
        let memories = match network.entangling_links.is_empty() {
            true => None,
            false => Some(MemoryLayer::start(network, &memories::setup(network)?, options.seed)?),
        };
        let controllers = Arc::new(options.controllers.clone());
        Ok(Self { links: Arc::new(links), controllers, memories })
    }

    /// Serves one stream to `peer`, whose name was verified, until either side ends it.
    ///
    /// # Errors
    /// Why it ended, if not by the peer's wish.
    pub async fn serve<S>(&self, mut stream: S, peer: &str) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let hello =
            timeout(PATIENCE, read_frame(&mut stream, 1024)).await.map_err(|_| ServeError::Slow)??;
        let Ask::Hello { role, link: name } = Ask::decode(&hello).map_err(FrameError::from)? else {
            return Err(ServeError::Unexpected("something before a greeting"));
        };
        if role == Role::Memories {
            return match &self.memories {
                Some(memories) => memories.serve(stream, peer).await,
                None => {
                    let what = "memories: the network has no link that entangles".to_owned();
                    refuse(&mut stream, &what).await?;
                    Err(ServeError::NotAllowed { peer: peer.to_owned(), what })
                }
            };
        }
        let link = self.links.get(&name);
        // Whoever has no right to a link does not learn whether it is there.
        let Some(link) = link.filter(|link| self.may(peer, role, link)) else {
            let what = format!("{role:?} of link `{name}`");
            refuse(&mut stream, &format!("`{peer}` may not have {what}")).await?;
            return Err(ServeError::NotAllowed { peer: peer.to_owned(), what });
        };
        match role {
            Role::Devices(side) => serve_devices(stream, link, side).await,
            Role::Control => serve_control(stream, link, peer).await,
            Role::Memories => Err(ServeError::Unexpected("a greeting of two kinds")),
        }
    }

    fn may(&self, peer: &str, role: Role, link: &Link) -> bool {
        match role {
            Role::Devices(Side::Receiver) => link.receiver == peer,
            Role::Devices(Side::Transmitter) => link.transmitter == peer,
            Role::Control => self.controllers.contains(peer),
            Role::Memories => false,
        }
    }
}

async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, why: &str) -> Result<(), ServeError> {
    write(stream, &Tell::Refused(why.to_owned())).await
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, tell: &Tell) -> Result<(), ServeError> {
    send(stream, &tell.encode()).await
}
/// Writes a frame to a peer, which has to take it in time.
pub(crate) async fn send<S: AsyncWrite + Unpin>(stream: &mut S, frame: &[u8]) -> Result<(), ServeError> {
    let written = timeout(PATIENCE, write_frame(stream, frame)).await;
    written.map_err(|_| ServeError::Slow)?.map_err(|e| FrameError::from(e).into())
}

/// Hands the devices of one end to the node there.
async fn serve_devices<S>(stream: S, link: &Link, side: Side) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (outgoing, mut tells) = mpsc::channel(OUTGOING);
    let (attached, answer) = oneshot::channel();
    let gone = |_| ServeError::Replaced;
    link.orders.send(Order::Attach { side, outgoing, attached }).await.map_err(|_| ServeError::Replaced)?;
    let Attached { serial, light } = answer.await.map_err(gone)?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let Welcome { run, window_pulses, pulse_rate } = link.welcome;
    let writing = async {
        write(&mut writer, &Tell::Welcome { run, light, window_pulses, pulse_rate }).await?;
        while let Some(tell) = tells.recv().await {
            write(&mut writer, &tell).await?;
        }
        Err(ServeError::Replaced)
    };
    let reading = async {
        loop {
            let Some(frame) = next_frame(&mut reader, ASK_LIMIT).await? else { return Ok(()) };
            let order = match (Ask::decode(&frame).map_err(FrameError::from)?, side) {
                (Ask::Credit(windows), Side::Receiver) => Order::Credit { serial, windows },
                (Ask::Recall { request, pulses }, Side::Transmitter) => {
                    Order::Recall { serial, request, pulses }
                }
                (Ask::Hello { .. }, _) => return Err(ServeError::Unexpected("a second greeting")),
                _ => return Err(ServeError::Unexpected("something that is not this end's to ask")),
            };
            if link.orders.send(order).await.is_err() {
                return Err(ServeError::Replaced);
            }
        }
    };
    let ended = tokio::select! {
        ended = writing => ended,
        ended = reading => ended,
    };
    // The link's task may have ended; then there is nothing to detach from.
    let _ = link.orders.send(Order::Detach { side, serial }).await;
    ended
}

/// Lets a tester or an operator make things happen to the light.
async fn serve_control<S>(mut stream: S, link: &Link, peer: &str) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Welcome { run, window_pulses, pulse_rate } = link.welcome;
    write(&mut stream, &Tell::Welcome { run, light: true, window_pulses, pulse_rate }).await?;
    while let Some(frame) = next_frame(&mut stream, ASK_LIMIT).await? {
        let (answer, answered) = oneshot::channel();
        let order = match Ask::decode(&frame).map_err(FrameError::from)? {
            Ask::Inject { event, lasting } => {
                tracing::warn!(peer, ?event, ?lasting, "an event is injected");
                Order::Inject { event, lasting, answer }
            }
            Ask::Withdraw(number) => Order::Withdraw { number, answer },
            _ => return Err(ServeError::Unexpected("something that is not a controller's to ask")),
        };
        link.orders.send(order).await.map_err(|_| ServeError::Replaced)?;
        write(&mut stream, &answered.await.map_err(|_| ServeError::Replaced)?).await?;
    }
    Ok(())
}

/// The next frame, of at most `limit` bytes; nothing if the peer has closed the stream.
pub(crate) async fn next_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
    limit: usize,
) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, ServeError> {
    match read_frame(stream, limit).await {
        Ok(frame) => Ok(Some(frame)),
        Err(FrameError::Stream(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The node that has the devices of one end.
struct Holder {
    serial: u64,
    outgoing: mpsc::Sender<Tell>,
    credit: u32,
}

/// The task of one link.
struct Light {
    name: String,
    /// Taken out while a window is made on another thread.
    emulator: Option<LinkEmulator>,
    /// Pulses of a window, usually and within the head start.
    windows: [u64; 2],
    started: Instant,
    head_start: Time,
    buffer: Span,
    receiver: Option<Holder>,
    transmitter: Option<Holder>,
    serials: u64,
    lost: u64,
    light: [bool; 2],
}

impl Light {
    fn new(name: String, emulator: LinkEmulator, options: &Options, most_clicks: u64) -> Self {
        let seen = emulator.light();
        let usual = emulator.window_pulses();
        let larger = emulator.pulses_of_window(HEAD_START_WINDOW, most_clicks).max(usual);
        Self {
            name,
            emulator: Some(emulator),
            windows: [usual, larger],
            started: Instant::now(),
            head_start: Time::ZERO.saturating_add(options.head_start),
            buffer: span(options.buffer),
            receiver: None,
            transmitter: None,
            serials: 0,
            lost: 0,
            light: [seen.at_receiver, seen.at_transmitter],
        }
    }

    /// Until nobody can give orders any more.
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            self.size_window();
            let due = self.due();
            let asked =
                self.emulator.is_some() && self.receiver.as_ref().is_some_and(|receiver| receiver.credit > 0);
            let wake = if asked { due } else { due.map(|due| due + self.buffer) };
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() || asked => {
                    if asked { self.window().await } else { self.lose() }
                }
            }
            self.tell_light();
        }
    }

    /// Makes the next window a larger one if that ends within the head start.
    fn size_window(&mut self) {
        let Some(emulator) = &mut self.emulator else { return };
        emulator.set_window_pulses(self.windows[1]);
        if emulator.next_window_ends() > self.head_start {
            emulator.set_window_pulses(self.windows[0]);
        }
    }

    /// When the next window is due; nothing within the head start.
    fn due(&self) -> Option<Instant> {
        let ends = self.emulator.as_ref()?.next_window_ends();
        (ends > self.head_start).then(|| self.started + span(ends.since(self.head_start)))
    }

    fn lose(&mut self) {
        if let Some(emulator) = &mut self.emulator {
            emulator.skip_window();
            self.lost += 1;
        }
    }

    /// Makes the next window that is not lost, for the receiver.
    async fn window(&mut self) {
        while self.due().is_some_and(|due| due + self.buffer < Instant::now()) {
            self.lose();
        }
        // What was lost may have been the last window that is due.
        if self.due().is_some_and(|due| due > Instant::now()) {
            return;
        }
        let Some(mut emulator) = self.emulator.take() else { return };
        let made = tokio::task::spawn_blocking(move || {
            let window = emulator.next_window();
            (emulator, window)
        });
        let Ok((emulator, window)) = made.await else {
            tracing::error!(link = self.name, "the emulator failed; the link stays dark");
            return;
        };
        self.emulator = Some(emulator);
        match window {
            Ok(Some(detections)) => {
                let lost = self.lost;
                let Some(receiver) = &mut self.receiver else { return };
                receiver.credit -= 1;
                if !columns::is_sound(&detections)
                    || receiver.outgoing.try_send(Tell::Window { lost, detections }).is_err()
                {
                    self.receiver = None;
                }
            }
            // The file says that the node is down.
            Ok(None) => {}
            Err(error) => tracing::error!(link = self.name, %error, "a window could not be made"),
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Attach { side, outgoing, attached } => {
                self.serials += 1;
                let serial = self.serials;
                // A node that connects again has lost its last connection: its devices follow it.
                *self.holder(side) = Some(Holder { serial, outgoing, credit: 0 });
                let light = self.light[side as usize];
                if attached.send(Attached { serial, light }).is_err() {
                    *self.holder(side) = None;
                }
            }
            Order::Detach { side, serial } => {
                let holder = self.holder(side);
                if holder.as_ref().is_some_and(|holder| holder.serial == serial) {
                    *holder = None;
                }
            }
            Order::Credit { serial, windows } => {
                if let Some(receiver) = self.receiver.as_mut().filter(|holder| holder.serial == serial) {
                    receiver.credit = receiver.credit.saturating_add(windows).min(MOST_CREDIT);
                }
            }
            Order::Recall { serial, request, pulses } => {
                let holder = self.transmitter.as_ref().filter(|holder| holder.serial == serial);
                let Some(holder) = holder else { return };
                let preparations = self.emulator.as_mut().map(|emulator| emulator.recall(&pulses));
                let preparations = preparations.unwrap_or_default();
                if holder.outgoing.try_send(Tell::Prepared { request, preparations }).is_err() {
                    self.transmitter = None;
                }
            }
            Order::Inject { event, lasting, answer } => {
                let tell = match self.emulator.as_mut().map(|emulator| emulator.inject(event, lasting)) {
                    Some(Ok(number)) => Tell::Injected(number),
                    Some(Err(error)) => Tell::Refused(error.to_string()),
                    None => Tell::Refused("the emulator has failed".to_owned()),
                };
                // A controller that has gone need not know.
                let _ = answer.send(tell);
            }
            Order::Withdraw { number, answer } => {
                let withdrawn = match (&mut self.emulator, number) {
                    (None, _) => false,
                    (Some(emulator), Some(number)) => emulator.withdraw(number),
                    (Some(emulator), None) => {
                        emulator.withdraw_all();
                        true
                    }
                };
                let _ = answer.send(Tell::Withdrawn(withdrawn));
            }
        }
    }

    fn holder(&mut self, side: Side) -> &mut Option<Holder> {
        match side {
            Side::Receiver => &mut self.receiver,
            Side::Transmitter => &mut self.transmitter,
        }
    }

    /// Says to each end whether it sees light, where that has changed.
    fn tell_light(&mut self) {
        let now = match &self.emulator {
            Some(emulator) => [emulator.light().at_receiver, emulator.light().at_transmitter],
            None => [false; 2],
        };
        for side in [Side::Receiver, Side::Transmitter] {
            let light = now[side as usize];
            if self.light[side as usize] != light {
                self.light[side as usize] = light;
                let holder = self.holder(side);
                if holder.as_ref().is_some_and(|holder| holder.outgoing.try_send(Tell::Light(light)).is_err())
                {
                    *holder = None;
                }
            }
        }
    }
}

/// A span of network time as one of the wall clock.
pub(crate) fn span(duration: Duration) -> Span {
    Span::from_nanos(duration.picoseconds() / 1000)
}

//! The layer's side: one task that owns the devices of all nodes, and a stream for each node that has come for its own.
//!
//! | what | bound | what happens beyond |
//! |---|---|---|
//! | a frame of a node | 8 KiB | the node is hung up on |
//! | what waits for a node | 4096 frames | the same |
//! | a command of what is not the node's own | none | the node is told, and hung up on |
//!
//! A node that comes, comes again or goes loses what its memories held: its stack begins a new life with every connection.

use super::wire::{Ask, FRAME_LIMIT, Tell};
use crate::hardware::server::{ServeError, next_frame, send};
use crate::hardware::wire::FrameError;
use crate::node::link::Clock;
use crate::wall_clock;
use bellwether_network::Network;
use bellwether_sim::entanglement::{CommandError, MemoryEmulator, Setup, Told};
use bellwether_units::{NodeId, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// Frames that wait for one node.
const OUTGOING: usize = 4096;
/// Orders that wait for the task.
const ORDERS: usize = 1024;
/// The layer's time begins at the time of day modulo this, so that it goes on where it was when a layer is started again;
/// half of the 213 days that the clock of the machines has.
const COUNTED: u64 = 106 * 24 * 3600;

/// The devices of a network that entangle. Dropping the last copy ends them.
#[derive(Clone)]
pub struct MemoryLayer {
    nodes: Arc<BTreeMap<String, NodeId>>,
    orders: mpsc::Sender<Order>,
}

/// What the layer's task is told.
enum Order {
    Attach { node: NodeId, outgoing: mpsc::Sender<Tell>, serial: oneshot::Sender<u32> },
    Detach { node: NodeId, serial: u32 },
    Ask { node: NodeId, serial: u32, ask: Ask },
}

impl MemoryLayer {
    /// Starts the devices of a network on the current tokio runtime; what they draw is keyed by `seed`.
    ///
    /// # Errors
    /// If there is more of something than can be numbered.
    pub fn start(
        network: &Network,
        setup: &Setup,
        seed: u64,
    ) -> Result<Self, bellwether_sim::entanglement::SetupError> {
        let since_epoch = wall_clock::milliseconds() / 1000;
        // No two runs of a layer begin in one second, and few nodes come as often as once in one.
        let epoch = u32::try_from(since_epoch).unwrap_or(u32::MAX);
        let emulator = MemoryEmulator::new(setup, seed, epoch)?;
        let ends = setup.links.iter().flat_map(|link| link.ends);
        let nodes = ends.map(|node| (network.node(node).name.clone(), node)).collect();
        let (orders, inbox) = mpsc::channel(ORDERS);
        let began = Time::from_picoseconds((since_epoch % COUNTED) * 1_000_000_000_000);
        let devices =
            Devices { emulator, clock: Clock::reading(began), holders: BTreeMap::new(), last_life: epoch };
        tokio::spawn(devices.run(inbox));
        Ok(Self { nodes: Arc::new(nodes), orders })
    }

    /// Serves the devices of the node whose verified name is `peer`, after its greeting, until either side ends it.
    ///
    /// # Errors
    /// Why it ended, if not by the peer's wish.
    pub async fn serve<S>(&self, stream: S, peer: &str) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let Some(&node) = self.nodes.get(peer) else {
            let what = "memories: no link that entangles ends there".to_owned();
            let why = format!("`{peer}` has no {what}");
            send(&mut writer, &Tell::Refused(why).encode()).await?;
            return Err(ServeError::NotAllowed { peer: peer.to_owned(), what });
        };
        let (outgoing, mut tells) = mpsc::channel(OUTGOING);
        let (answer, attached) = oneshot::channel();
        let attach = Order::Attach { node, outgoing, serial: answer };
        self.orders.send(attach).await.map_err(|_| ServeError::Replaced)?;
        let serial = attached.await.map_err(|_| ServeError::Replaced)?;
        let writing = async {
            while let Some(tell) = tells.recv().await {
                send(&mut writer, &tell.encode()).await?;
            }
            Err(ServeError::Replaced)
        };
        let reading = async {
            loop {
                let Some(frame) = next_frame(&mut reader, FRAME_LIMIT).await? else { return Ok(()) };
                let ask = Ask::decode(&frame).map_err(FrameError::from)?;
                if self.orders.send(Order::Ask { node, serial, ask }).await.is_err() {
                    return Err(ServeError::Replaced);
                }
            }
        };
        let ended = tokio::select! {
            ended = writing => ended,
            ended = reading => ended,
        };
        // If the layer has ended there is nothing to detach from.
        let _ = self.orders.send(Order::Detach { node, serial }).await;
        ended
    }
}

/// A node that has its devices.
struct Holder {
    serial: u32,
    outgoing: mpsc::Sender<Tell>,
}

/// The task.
struct Devices {
    emulator: MemoryEmulator,
    clock: Clock,
    holders: BTreeMap<NodeId, Holder>,
    last_life: u32,
}

impl Devices {
    /// Until nobody can give orders any more.
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let next = self.emulator.next_time().map(|time| self.clock.instant(time));
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
            self.emulator.advance(self.clock.now());
            while let Some((node, told)) = self.emulator.told() {
                self.tell(
                    node,
                    match told {
                        Told::Stack(event) => Tell::Stack(event),
                        Told::Operated(operated) => Tell::Operated(operated),
                    },
                );
            }
        }
    }

    /// Tells a node something. Who does not listen is hung up on.
    fn tell(&mut self, node: NodeId, tell: Tell) {
        let Some(holder) = self.holders.get(&node) else { return };
        if holder.outgoing.try_send(tell).is_err() {
            self.let_go(node);
        }
    }
    fn let_go(&mut self, node: NodeId) {
        self.holders.remove(&node);
        self.reset(node);
    }
    fn reset(&mut self, node: NodeId) {
        let reset = self.emulator.reset(self.clock.now(), node);
        debug_assert!(reset.is_ok(), "nodes of the network alone are attached: {reset:?}");
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Attach { node, outgoing, serial } => {
                self.last_life += 1;
                let life = self.last_life;
                // A node that connects again has lost its last connection: its devices follow it.
                self.reset(node);
                self.holders.insert(node, Holder { serial: life, outgoing });
                let local_qubits = self.emulator.local_qubits(node).unwrap_or(0);
                self.tell(node, Tell::Welcome { life, now: self.clock.now(), local_qubits });
                if serial.send(life).is_err() {
                    self.let_go(node);
                }
            }
            Order::Detach { node, serial } => {
                if self.holders.get(&node).is_some_and(|holder| holder.serial == serial) {
                    self.let_go(node);
                }
            }
            Order::Ask { node, serial, ask } => {
                if self.holders.get(&node).is_none_or(|holder| holder.serial != serial) {
                    return;
                }
                if let Err(error) = self.carry_out(node, &ask) {
                    tracing::warn!(%node, %error, "a node asked its devices for what is not its own");
                    self.tell(node, Tell::Refused(error.to_string()));
                    self.let_go(node);
                }
            }
        }
    }
    fn carry_out(&mut self, node: NodeId, ask: &Ask) -> Result<(), CommandError> {
        let now = self.clock.now();
        match ask {
            Ask::Stack(command) => self.emulator.command(now, node, command),
            Ask::Processor(command) => self.emulator.process(now, node, command),
        }
    }
}

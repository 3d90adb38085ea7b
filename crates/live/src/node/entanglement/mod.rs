//! A node's part in entanglement: its stack, its devices, and the program that is attached to it.
//!
//! One task drives them. It gives the stack what its devices, its neighbours and its program say, and carries out what the
//! stack and the program's [`Seat`](bellwether_protocol::application::Seat) want. When the devices are away, or their
//! physical layer is started anew, all halves are lost: the stack begins a new life once they are back, and the program is
//! told that the node was down.

mod company;
mod program;
mod task;

use crate::emulation::Dialler;
use crate::memories::client::Memories;
use crate::node::link::Clock;
use crate::programs::server::{Attached, Entrance};
use crate::transport::{Channel, Transport};
use bellwether_sim::entanglement::{Setup, SetupError};
use bellwether_units::NodeId;
use std::sync::Arc;
use std::time::Duration as Span;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// The first and the longest wait before the devices are dialled again.
const BACKOFF: [Span; 2] = [Span::from_millis(50), Span::from_secs(5)];

/// What a node's entanglement needs to run.
pub struct Settings {
    /// Which node.
    pub node: NodeId,
    /// What the network has; all its nodes and its physical layer have to have the same.
    pub setup: Setup,
    /// How its devices are reached.
    pub devices: Dialler,
    /// Its way to other nodes.
    pub transport: Arc<Transport>,
    /// Where programs attach: opened once the node knows its time.
    pub entrance: Entrance,
    /// The programs that do.
    pub programs: mpsc::Receiver<Attached>,
}

/// Runs a node's entanglement until this is dropped.
///
/// # Errors
/// If the setup has more of something than can be numbered.
pub async fn run(settings: Settings) -> Result<(), SetupError> {
    let Settings { node, setup, devices, transport, entrance, mut programs } = settings;
    let mut messages = transport.register(Channel::Entanglement);
    let mut letters = transport.register(Channel::Programs);
    let (found, mut connections) = mpsc::channel(1);
    // Dropped with this future, and with it the connection that is being made.
    let mut dialling = tokio::task::JoinSet::new();
    dialling.spawn(connect(devices.clone(), found.clone()));
    let Some(first) = connections.recv().await else { return Ok(()) };
    let clock = Clock::reading(first.now);
    entrance.open(clock);
    let mut task = task::Task::new(node, setup, clock, transport);
    task.begin(first)?;
    loop {
        task.settle();
        let due = task.deadline();
        tokio::select! {
            Some(devices) = connections.recv() => task.begin(devices)?,
            told = task::told(&mut task.devices) => match told {
                Some(told) => task.hear_devices(told),
                None => {
                    task.lose_devices();
                    dialling.spawn(connect(devices.clone(), found.clone()));
                }
            },
            Some(arrived) = messages.recv() => task.hear_neighbour(&arrived),
            Some(arrived) = letters.recv() => task.hear_letter(&arrived),
            Some(program) = programs.recv(), if task.program.is_none() => task.seat(program),
            wish = program::wish(&mut task.program) => task.wish(wish),
            () = task::reached(clock, due) => task.timeout(),
        }
    }
}

/// Dials the devices until they are there.
async fn connect(devices: Dialler, found: mpsc::Sender<Memories>) {
    let mut pause = BACKOFF[0];
    loop {
        match devices.memories().await {
            Ok(memories) => {
                // Whoever wanted them has gone, or takes them.
                let _ = found.send(memories).await;
                return;
            }
            Err(error) => tracing::info!(%error, "the devices that entangle are away"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(BACKOFF[1]);
    }
}

//! The hardware of a node's links, as its daemon meets it.
//!
//! A node's own devices speak through a [`LinkHardware`]: windows of detections at a receiver, preparations on
//! request at a transmitter, loss of light at both. What is behind it is
//!
//! - a physical layer that emulates all devices of a network in one process ([`server`], met through
//!   [`client`], in frames of [`wire`]), or
//! - a detection file ([`recording`], played by [`replay`]), which anything may have written: a real device, or
//!   the emulator ([`record`]).
//!
//! Either end is given only what its own devices show: a receiver's node no preparations, a transmitter's node
//! no detections.

pub mod client;
mod columns;
pub(crate) mod memory;
pub(crate) mod played;
pub mod record;
pub mod recording;
pub mod replay;
pub mod server;
pub mod wire;

use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use tokio::sync::mpsc;

/// What a link's hardware says, but for detections.
#[derive(Debug)]
pub enum Signal {
    /// The devices run, or run again.
    Started {
        /// Which run of the devices it is. Pulse numbers of different runs have nothing to do with each other.
        run: u64,
    },
    /// What had been prepared in the pulses of a [`Recall`]; nothing if the hardware does not answer for them.
    Prepared {
        /// The recall's number.
        request: u64,
        /// The preparations, in the order of the pulses.
        preparations: Hidden<Preparations>,
    },
    /// Whether this end sees the other end's light.
    Light(bool),
    /// The devices do not answer; a [`Started`](Self::Started) follows when they do again.
    Away,
}

/// Something that is not shown.
pub struct Hidden<T>(pub T);

impl<T> std::fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// A window of detections.
pub struct Window {
    /// The run of the devices that it belongs to.
    pub run: u64,
    /// How many windows were lost so far in this run because nobody took them in time.
    pub lost: u64,
    /// The clicks.
    pub detections: Detections,
}

/// What a transmitter's hardware is asked.
#[derive(Debug)]
pub struct Recall {
    /// To be answered with.
    pub request: u64,
    /// The pulses, rising.
    pub pulses: Vec<PulseNumber>,
}

/// The devices at one end of one link.
///
/// Every [`Recall`] is answered by one [`Signal::Prepared`], with nothing in it if the hardware is away. When
/// `signals` ends, the devices are gone for good.
pub struct LinkHardware {
    /// What they say.
    pub signals: mpsc::Receiver<Signal>,
    /// What a receiver's devices saw. Not to take a window slows the devices' buffer down and then loses
    /// windows; a transmitter has none.
    pub windows: mpsc::Receiver<Window>,
    /// What a transmitter's devices are asked. How much waits here is bounded by the windows that the protocol
    /// keeps in flight.
    pub recalls: mpsc::UnboundedSender<Recall>,
    /// Whether windows wait until the node can make use of them, as those of a recording do: it has no others.
    pub waits: bool,
}

/// The other ends of a [`LinkHardware`].
pub(crate) struct Devices {
    pub(crate) signals: mpsc::Sender<Signal>,
    pub(crate) windows: mpsc::Sender<Window>,
    pub(crate) recalls: mpsc::UnboundedReceiver<Recall>,
}

/// A [`LinkHardware`], and what moves it.
pub(crate) fn connection() -> (LinkHardware, Devices) {
    /// Windows that wait for the node beyond the hardware's own buffer.
    const WINDOWS: usize = 4;
    const SIGNALS: usize = 16;
    let (signals, signals_out) = mpsc::channel(SIGNALS);
    let (windows, windows_out) = mpsc::channel(WINDOWS);
    let (recalls_in, recalls) = mpsc::unbounded_channel();
    let hardware =
        LinkHardware { signals: signals_out, windows: windows_out, recalls: recalls_in, waits: false };
    (hardware, Devices { signals, windows, recalls })
}

/// Which devices of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Those that detect.
    Receiver,
    /// Those that send.
    Transmitter,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Receiver => "receiver",
            Self::Transmitter => "transmitter",
        })
    }
}

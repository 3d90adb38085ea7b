//! One link in virtual time, at detail `bits` or `blocks`.
//!
//! A link makes key whether or not anybody uses it and is moved by nobody but its own devices and the events
//! of the network file. So each link is advanced apart from all others, on any thread, and what it says is
//! put in order afterwards.

mod account;
mod bits;
mod blocks;
mod distillation;
mod reconciliation;
mod watch;

#[cfg(test)]
mod tests;

use crate::run::RunError;
pub(crate) use account::LinkAccount;
use bellwether_network::{Detail, Link, Network};
use bellwether_protocol::keys::KeyMaterial;
use bellwether_protocol::qkd::security::{BlockStatistics, Certificate};
use bellwether_units::{BlockId, EntityId, LinkId, Purpose, Stream, Time};
use bits::BitsLink;
use blocks::BlocksLink;
pub(crate) use distillation::set_aside_bits;
pub(crate) use watch::Watch;

/// An end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Transmitter,
    Receiver,
}

/// Something that a link says, and when.
#[derive(Debug)]
pub(crate) struct LinkRecord {
    pub(crate) at: Time,
    pub(crate) what: LinkSays,
}

/// What a link says.
#[derive(Debug)]
pub(crate) enum LinkSays {
    /// A block ended, with or without key.
    Block(Box<BlockRecord>),
    /// Key is ready at one end; it will be or was ready at the other.
    Key(End, BlockId, KeyMaterial),
    /// Something is wrong.
    Alarm {
        /// Its kind, in a word.
        kind: String,
        /// What was seen and what was expected.
        text: String,
        /// Whether the link's key should not be used while this lasts.
        suspect: bool,
    },
}

/// How a block ended.
#[derive(Clone, Debug)]
pub(crate) struct BlockRecord {
    pub(crate) block: BlockId,
    /// When its first window was seen.
    pub(crate) opened: Time,
    /// Counts by basis and intensity.
    pub(crate) statistics: BlockStatistics,
    /// Whether the errors in the key basis are known.
    pub(crate) corrected: bool,
    pub(crate) leaked_bits: u64,
    pub(crate) round_trips: Option<u64>,
    /// Bits of secret that authentication used up.
    pub(crate) authentication_bits: u64,
    /// Bits of the new key that were split off to refill the stock of one-time pads.
    pub(crate) set_aside_bits: u64,
    /// What led to the key's length, if there is a key.
    pub(crate) certificate: Option<Certificate>,
    /// Why there is none, in a word and in words.
    pub(crate) discarded: Option<(String, String)>,
}

/// How much light a link has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) pulses: u64,
    pub(crate) clicks: u64,
    /// Clicks that both ends treated in the key basis.
    pub(crate) key_sifted: u64,
    /// Clicks that both ends treated in the check basis.
    pub(crate) check_sifted: u64,
}

/// One link.
pub(crate) enum LinkProcess {
    Bits(Box<BitsLink>),
    Blocks(Box<BlocksLink>),
}

impl LinkProcess {
    /// The link `id` of `network` at the start of a run that ends at `end`.
    pub(crate) fn new(network: &Network, id: LinkId, seed: u64, end: Time) -> Result<Self, RunError> {
        match network.link(id).detail {
            Detail::Bits => Ok(Self::Bits(Box::new(BitsLink::new(network, id, seed)?))),
            Detail::Blocks => Ok(Self::Blocks(Box::new(BlocksLink::new(network, id, seed, end)?))),
        }
    }

    /// Lets everything happen up to and including `until`, and appends what the link says, in order of time.
    pub(crate) fn advance(&mut self, until: Time, says: &mut Vec<LinkRecord>) -> Result<(), RunError> {
        match self {
            Self::Bits(link) => link.advance(until, says),
            Self::Blocks(link) => link.advance(until, says),
        }
    }

    /// The light seen so far.
    pub(crate) fn tally(&self) -> Tally {
        match self {
            Self::Bits(link) => link.tally(),
            Self::Blocks(link) => link.tally(),
        }
    }
}

/// The random stream of a link for `purpose`.
pub(crate) fn stream(network: &Network, link: LinkId, seed: u64, purpose: &str) -> Stream {
    Stream::new(seed, EntityId(network.nodes.len() as u32 + link.0), Purpose::named(purpose))
}

/// How many pulses pass between two looks of the receiver: the window of the network file, or less where that
/// would hold too many clicks to be kept at hand.
pub(crate) fn window_pulses(network: &Network, link: &Link, clicks_per_pulse: f64) -> u64 {
    let wanted = network.run.window.seconds() * crate::optics::pulse_rate(link);
    pulses_of_window(wanted, MOST_CLICKS, clicks_per_pulse)
}

/// How many clicks of one window can be kept at hand.
pub(crate) const MOST_CLICKS: u64 = 131_072;

/// As many pulses as wanted, or less where that would hold more clicks than these.
pub(crate) fn pulses_of_window(wanted: f64, most_clicks: u64, clicks_per_pulse: f64) -> u64 {
    let most = most_clicks as f64 / clicks_per_pulse.max(1e-12);
    libm::floor(wanted.min(most)).max(1.0) as u64
}

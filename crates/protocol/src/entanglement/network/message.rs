//! What nodes of a circuit tell each other.

use crate::entanglement::{CircuitId, PairId};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_quantum::bell::{BellDiagonal, BellIndex};
use bellwether_units::Time;

const VERSION: u8 = 1;

/// The two ends of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Where requests are made.
    Head,
    /// The other one.
    Tail,
}

impl End {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Head => Self::Tail,
            Self::Tail => Self::Head,
        }
    }
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// The number of a request, which its head gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Follows a pair from the half at one end, swap by swap, to the half at the other (Kozlowski, Dahlberg & Wehner,
/// "Designing a quantum network protocol", CoNEXT 2020). It says nothing that a node could not know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Track {
    /// Which circuit.
    pub circuit: CircuitId,
    /// Which end it came from.
    pub from: End,
    /// The link pair whose half that end holds.
    pub origin: PairId,
    /// The link pair that it follows now: of the link by which it arrives.
    pub current: PairId,
    /// The Bell state of the pair between that end and this node, by all that was reported.
    pub bell: BellIndex,
    /// What is claimed of that pair relative to `bell`, from what links promise and how long halves waited between the
    /// ends.
    pub estimate: BellDiagonal,
    /// Since when that end's half has been in its memory.
    pub made: Time,
    /// For which request; only the head says.
    pub request: Option<RequestId>,
    /// The tail is to turn its half so that the pair is |Φ⁺⟩; only the head says.
    pub correct: bool,
    /// That end has given its half up: so must whoever counts on it.
    pub withdrawn: bool,
    /// That end has not heard the other's, and wants it told again.
    pub again: bool,
    /// It was told before, or is told because it was asked for: what was told first may be lost.
    pub repeated: bool,
}

/// What nodes of a circuit tell each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NetworkMessage {
    /// Follows a pair.
    Track(Track),
    /// A pair came to nothing: travels back to the end whose half it was part of.
    Expire {
        /// Which circuit.
        circuit: CircuitId,
        /// Which end it goes to.
        to: End,
        /// That end's link pair.
        origin: PairId,
    },
    /// A track that was told again waits at a node for a pair of the next link: nothing is lost, and the half is worth
    /// keeping. Travels back to the end whose track it is.
    Waits {
        /// Which circuit.
        circuit: CircuitId,
        /// Which end it goes to.
        to: End,
        /// That end's link pair.
        origin: PairId,
    },
    /// A link pair is lost at the node that says so, which failed to swap it. Its neighbour need not wait with the other
    /// half, nor those with whose pairs it was swapped. Between neighbours, and never told again: tracks find out.
    Lost {
        /// Which circuit.
        circuit: CircuitId,
        /// Which pair, of the link by which this arrives.
        pair: PairId,
    },
    /// From head to tail: a request is under way, and links are to make pairs. Said again while it is.
    Forward {
        /// Which circuit.
        circuit: CircuitId,
        /// Which request.
        request: RequestId,
    },
    /// From head to tail: a request is over.
    Complete {
        /// Which circuit.
        circuit: CircuitId,
        /// Which request.
        request: RequestId,
    },
}

impl NetworkMessage {
    /// Which circuit it is about.
    pub const fn circuit(&self) -> CircuitId {
        match self {
            Self::Track(Track { circuit, .. })
            | Self::Expire { circuit, .. }
            | Self::Waits { circuit, .. }
            | Self::Lost { circuit, .. }
            | Self::Forward { circuit, .. }
            | Self::Complete { circuit, .. } => *circuit,
        }
    }

    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(64);
        w.u8(VERSION);
        self.write(&mut w);
        w.finish()
    }
    /// What was [encoded](Self::encode).
    ///
    /// # Errors
    /// If the bytes are no message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            VERSION => {}
            version => return Err(Malformed::Version(version)),
        }
        let message = Self::read(&mut r)?;
        r.finish()?;
        Ok(message)
    }

    fn write(&self, w: &mut Writer) {
        let kind = match self {
            Self::Track(_) => 0,
            Self::Expire { .. } => 1,
            Self::Forward { .. } => 2,
            Self::Complete { .. } => 3,
            Self::Waits { .. } => 4,
            Self::Lost { .. } => 5,
        };
        w.u8(kind);
        w.count(self.circuit().0);
        match self {
            Self::Track(track) => {
                let request = track.request.is_some();
                let flags = [request, track.withdrawn, track.correct, track.again, track.repeated];
                let flags = flags.iter().rev().fold(0, |all, flag| all << 1 | u8::from(*flag));
                w.u8(track.from as u8 | flags << 1 | track.bell.bits() << 6);
                track.origin.write(w);
                track.current.write(w);
                track.request.iter().for_each(|request| w.count(request.0));
                w.u64(track.made.picoseconds());
                track.estimate.probabilities().iter().for_each(|p| w.u64(p.to_bits()));
            }
            Self::Expire { to, origin, .. } | Self::Waits { to, origin, .. } => {
                w.u8(*to as u8);
                origin.write(w);
            }
            Self::Lost { pair, .. } => pair.write(w),
            Self::Forward { request, .. } | Self::Complete { request, .. } => w.count(request.0),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = r.u8()?;
        let circuit = CircuitId(r.count()?);
        let end = |bits| if bits & 1 == 0 { End::Head } else { End::Tail };
        Ok(match kind {
            0 => {
                let flags = r.u8()?;
                let (origin, current) = (PairId::read(r)?, PairId::read(r)?);
                let request = if flags & 2 == 0 { None } else { Some(RequestId(r.count()?)) };
                let made = Time::from_picoseconds(r.u64()?);
                let mut p = [0.0; 4];
                for p in &mut p {
                    *p = f64::from_bits(r.u64()?);
                }
                let estimate = BellDiagonal::as_told(p)
                    .map_err(|_| Malformed::Value("the probabilities of Bell states"))?;
                Self::Track(Track {
                    circuit,
                    from: end(flags),
                    origin,
                    current,
                    bell: BellIndex::from_bits(flags >> 6),
                    estimate,
                    made,
                    request,
                    correct: flags & 8 != 0,
                    withdrawn: flags & 4 != 0,
                    again: flags & 16 != 0,
                    repeated: flags & 32 != 0,
                })
            }
            1 | 4 => {
                let to = r.u8()?;
                if to > 1 {
                    return Err(Malformed::Value("the end of a circuit"));
                }
                let (to, origin) = (end(to), PairId::read(r)?);
                if kind == 1 {
                    Self::Expire { circuit, to, origin }
                } else {
                    Self::Waits { circuit, to, origin }
                }
            }
            2 => Self::Forward { circuit, request: RequestId(r.count()?) },
            3 => Self::Complete { circuit, request: RequestId(r.count()?) },
            5 => Self::Lost { circuit, pair: PairId::read(r)? },
            kind => return Err(Malformed::Kind(kind)),
        })
    }
}

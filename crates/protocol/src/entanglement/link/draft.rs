//! The messages between the link layer and what is above it, bit for bit as draft-dahlberg-ll-quantum-03 has them (sections
//! 4.1 and 4.2), for programs that speak them.
//!
//! Fields are in network order, the first bit of the draft's figures being the highest. The draft says no more of the time of
//! goodness than its width; it is passed on as it is. A maximal time of 0 is read as none.

use super::LinkUser;
use super::request::{
    BasisChoice, BasisSet, LinkError, LinkRequest, MeasuredBasis, PairDemand, PairKind, RequestId,
};
use crate::entanglement::CircuitId;
use crate::qkd::wire::Malformed;
use bellwether_units::{Duration, NodeId};

/// The highest value of a fidelity.
const FULL: f64 = 65_535.0;
/// The highest value of a maximal time.
const MAX_TIME: u64 = (1 << 14) - 1;

/// A CREATE: a request for pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create {
    /// With which neighbour.
    pub remote: NodeId,
    /// The least fidelity, in 1/65535.
    pub fidelity: u16,
    /// In what the maximal time is counted.
    pub unit: TimeUnit,
    /// The maximal time, 14 bits.
    pub max_time: u16,
    /// The purpose of the pairs.
    pub purpose: u16,
    /// How many pairs.
    pub number: u16,
    /// 0 to 7; higher is faster.
    pub priority: u8,
    /// Whether the pairs are measured at once (type M) rather than kept (type K).
    pub measure: bool,
    /// ATO.
    pub atomic: bool,
    /// CON.
    pub consecutive: bool,
    /// How the local half is measured.
    pub local: BasisChoice,
    /// How the remote half is measured.
    pub remote_basis: BasisChoice,
}

/// The unit of a maximal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// 10⁻⁶ s.
    Microsecond,
    /// 10⁻³ s.
    Millisecond,
    /// 1 s.
    Second,
}

/// Why a request has no form in the draft's CREATE.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InexpressibleRequest {
    /// The count has 16 bits.
    #[error("a CREATE asks for 1 to 65535 pairs, not {0:?}; ask again and again instead")]
    Number(Option<u32>),
    /// Maximal times have 14 bits of seconds.
    #[error("a CREATE has at most 16383 s, not {0}; shorten the time, or set none")]
    Time(Duration),
    /// There are types K and M only.
    #[error("the draft has no remote preparation; ask for measured pairs instead")]
    Preparation,
    /// Circuits have 16 bits of purpose.
    #[error("the number of {0} exceeds a purpose of 16 bits")]
    Circuit(CircuitId),
}

impl Create {
    /// How many bytes it has.
    pub const LEN: usize = 24;

    /// The six words.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let unit = match self.unit {
            TimeUnit::Microsecond => 0,
            TimeUnit::Millisecond => 1,
            TimeUnit::Second => 2,
        };
        let flags = u32::from(self.priority & 7) << 29
            | u32::from(self.measure) << 28
            | u32::from(self.atomic) << 27
            | u32::from(self.consecutive) << 26
            | set_bits(self.local.set) << 24
            | set_bits(self.remote_basis.set) << 22;
        let [pl1, pl2] = self.local.probabilities;
        let [pr1, pr2] = self.remote_basis.probabilities;
        let [x1l, yl, x2l] = self.local.rotations;
        let [x1r, yr, x2r] = self.remote_basis.rotations;
        let words = [
            self.remote.0,
            u32::from(self.fidelity) << 16 | unit << 14 | u32::from(self.max_time) & 0x3fff,
            u32::from(self.purpose) << 16 | u32::from(self.number),
            flags | u32::from(pl1) << 8 | u32::from(pl2),
            u32::from_be_bytes([pr1, pr2, x1l, yl]),
            u32::from_be_bytes([x2l, x1r, yr, x2r]),
        ];
        bytes(words)
    }

    /// From the six words.
    ///
    /// # Errors
    /// For another length, an unknown unit of time, or reserved bits that are set: what the draft calls ERR_CREATE.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let [remote, w1, w2, w3, w4, w5] = words(bytes)?;
        let unit = match w1 >> 14 & 3 {
            0 => TimeUnit::Microsecond,
            1 => TimeUnit::Millisecond,
            2 => TimeUnit::Second,
            _ => return Err(Malformed::Value("the unit of a maximal time")),
        };
        if w3 >> 16 & 0x3f != 0 {
            return Err(Malformed::Value("a reserved bit"));
        }
        let ([pr1, pr2, x1l, yl], [x2l, x1r, yr, x2r]) = (w4.to_be_bytes(), w5.to_be_bytes());
        let [_, _, pl1, pl2] = w3.to_be_bytes();
        Ok(Self {
            remote: NodeId(remote),
            fidelity: (w1 >> 16) as u16,
            unit,
            max_time: (w1 & 0x3fff) as u16,
            purpose: (w2 >> 16) as u16,
            number: w2 as u16,
            priority: (w3 >> 29) as u8,
            measure: w3 >> 28 & 1 != 0,
            atomic: w3 >> 27 & 1 != 0,
            consecutive: w3 >> 26 & 1 != 0,
            local: BasisChoice {
                set: basis_set(w3 >> 24 & 3),
                probabilities: [pl1, pl2],
                rotations: [x1l, yl, x2l],
            },
            remote_basis: BasisChoice {
                set: basis_set(w3 >> 22 & 3),
                probabilities: [pr1, pr2],
                rotations: [x1r, yr, x2r],
            },
        })
    }

    /// The request of an application that it stands for.
    pub fn request(&self, id: RequestId) -> LinkRequest {
        let kind = if self.measure {
            PairKind::Measure { here: self.local, there: self.remote_basis }
        } else {
            PairKind::Keep
        };
        let time = u64::from(self.max_time);
        let within = match self.unit {
            TimeUnit::Microsecond => Duration::from_microseconds(time),
            TimeUnit::Millisecond => Duration::from_milliseconds(time),
            TimeUnit::Second => Duration::from_whole_seconds(time),
        };
        let demand = PairDemand {
            user: LinkUser::Application(self.purpose),
            kind,
            number: Some(self.number.into()),
            fidelity: f64::from(self.fidelity) / FULL,
            priority: 7 - self.priority,
            weight: 1,
            consecutive: self.consecutive,
            atomic: self.atomic,
        };
        LinkRequest { id, demand, within: (time > 0).then_some(within) }
    }

    /// The CREATE for a request: fidelities are rounded up, times down. A weight has no place in it.
    ///
    /// # Errors
    /// If a field has no room for the request.
    pub fn of(remote: NodeId, request: &LinkRequest) -> Result<Self, InexpressibleRequest> {
        let demand = &request.demand;
        let number = demand.number.and_then(|number| u16::try_from(number).ok()).filter(|&number| number > 0);
        let number = number.ok_or(InexpressibleRequest::Number(demand.number))?;
        let purpose = match demand.user {
            LinkUser::Application(purpose) => purpose,
            LinkUser::Circuit(circuit) => {
                u16::try_from(circuit.0).map_err(|_| InexpressibleRequest::Circuit(circuit))?
            }
        };
        let (measure, local, remote_basis) = match demand.kind {
            PairKind::Keep => (false, BasisChoice::default(), BasisChoice::default()),
            PairKind::Measure { here, there } => (true, here, there),
            PairKind::Prepare { .. } => return Err(InexpressibleRequest::Preparation),
        };
        let (unit, max_time) = match request.within {
            None => (TimeUnit::Microsecond, 0),
            Some(within) => {
                let units = [
                    (TimeUnit::Microsecond, Duration::from_microseconds(1)),
                    (TimeUnit::Millisecond, Duration::from_milliseconds(1)),
                    (TimeUnit::Second, Duration::from_whole_seconds(1)),
                ];
                let fits = units.into_iter().find(|(_, unit)| within / *unit <= MAX_TIME);
                let (unit, span) = fits.ok_or(InexpressibleRequest::Time(within))?;
                // Less than a microsecond is not no limit at all.
                (unit, (within / span).max(1) as u16)
            }
        };
        Ok(Self {
            remote,
            fidelity: libm::ceil(demand.fidelity * FULL) as u16,
            unit,
            max_time,
            purpose,
            number,
            priority: 7 - demand.priority.min(7),
            measure,
            atomic: demand.atomic,
            consecutive: demand.consecutive,
            local,
            remote_basis,
        })
    }
}

/// The codes of ERR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request is not supported.
    Unsupported,
    /// The request could not be read.
    Create,
    /// An end refuses the request.
    Rejected,
    /// Something else.
    Other,
    /// Pairs that were handed over are none.
    Expire,
    /// The time is over.
    Timeout,
}

impl ErrorCode {
    const ALL: [Self; 6] =
        [Self::Unsupported, Self::Create, Self::Rejected, Self::Other, Self::Expire, Self::Timeout];
}

impl LinkError {
    /// The code under which the draft tells it.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Fidelity { .. } | Self::Time { .. } | Self::Memories { .. } => ErrorCode::Unsupported,
            Self::Malformed(_) => ErrorCode::Create,
            Self::Rejected => ErrorCode::Rejected,
            Self::PeerGone | Self::HardwareFault => ErrorCode::Other,
            Self::Timeout => ErrorCode::Timeout,
        }
    }
}

/// What every OK says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OkHead {
    /// The number that the ACK gave the request.
    pub create: u16,
    /// Whether the remote node asked (D).
    pub from_remote: bool,
    /// The low bits of the pair's number.
    pub sequence: u16,
    /// The purpose of the pair.
    pub purpose: u16,
    /// With which neighbour.
    pub remote: NodeId,
    /// The fidelity, in 1/65535.
    pub goodness: u16,
}

/// What the link layer says to what is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftReply {
    /// The request is taken in.
    Ack {
        /// The number by which it is known from now on.
        create: u16,
    },
    /// A pair to keep.
    OkKeep {
        /// What every OK says.
        head: OkHead,
        /// The logical qubit, 4 bits.
        qubit: u8,
        /// The time of goodness.
        time: u16,
    },
    /// A pair that was measured.
    OkMeasure {
        /// What every OK says.
        head: OkHead,
        /// The outcome.
        outcome: bool,
        /// The basis.
        basis: MeasuredBasis,
    },
    /// Something went wrong.
    Err {
        /// The number that the ACK gave the request.
        create: u16,
        /// What went wrong.
        code: ErrorCode,
        /// For [`ErrorCode::Expire`]: which pairs, from the first to before the second; all of the request if `None`.
        expired: Option<(u16, u16)>,
        /// Which node had asked.
        origin: NodeId,
    },
}

impl DraftReply {
    /// The words: one, three or four.
    pub fn encode(&self) -> Vec<u8> {
        let head = |kind: u32, create: u16| kind << 28 | u32::from(create) << 12;
        let ok = |head: &OkHead| (u32::from(head.sequence) << 16 | u32::from(head.purpose), head.remote.0);
        match *self {
            Self::Ack { create } => bytes::<1, 4>([head(1, create)]).to_vec(),
            Self::OkKeep { head: h, qubit, time } => {
                let first = head(2, h.create) | u32::from(qubit & 15) << 8 | u32::from(h.from_remote) << 7;
                let (second, third) = ok(&h);
                let fourth = u32::from(h.goodness) << 16 | u32::from(time);
                bytes::<4, 16>([first, second, third, fourth]).to_vec()
            }
            Self::OkMeasure { head: h, outcome, basis } => {
                let basis = match basis {
                    MeasuredBasis::Z => 0,
                    MeasuredBasis::X => 1,
                    MeasuredBasis::Y => 2,
                    MeasuredBasis::ZPlusX => 3,
                    MeasuredBasis::ZMinusX => 4,
                };
                let flags = u32::from(outcome) << 11 | u32::from(h.from_remote) << 10 | basis << 7;
                let (second, third) = ok(&h);
                bytes::<4, 16>([head(3, h.create) | flags, second, third, u32::from(h.goodness) << 16])
                    .to_vec()
            }
            Self::Err { create, code, expired, origin } => {
                let (low, high) = expired.unwrap_or((0, 0));
                let first = head(4, create) | (code as u32 + 1) << 8 | u32::from(expired.is_some()) << 7;
                bytes::<3, 12>([first, u32::from(low) << 16 | u32::from(high), origin.0]).to_vec()
            }
        }
    }

    /// From the words.
    ///
    /// # Errors
    /// For an unknown type, basis or code, another length, or unused bits that are set.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let &first = bytes.first().ok_or(Malformed::Truncated)?;
        let unused = |set: bool| if set { Err(Malformed::Value("an unused bit")) } else { Ok(()) };
        let create = |word: u32| (word >> 12) as u16;
        let head = |w0: u32, w1: u32, w2: u32, w3: u32, from_remote: bool| OkHead {
            create: create(w0),
            from_remote,
            sequence: (w1 >> 16) as u16,
            purpose: w1 as u16,
            remote: NodeId(w2),
            goodness: (w3 >> 16) as u16,
        };
        match first >> 4 {
            1 => {
                let [w0] = words(bytes)?;
                unused(w0 & 0xfff != 0)?;
                Ok(Self::Ack { create: create(w0) })
            }
            2 => {
                let [w0, w1, w2, w3] = words(bytes)?;
                unused(w0 & 0x7f != 0)?;
                let head = head(w0, w1, w2, w3, w0 >> 7 & 1 != 0);
                Ok(Self::OkKeep { head, qubit: (w0 >> 8 & 15) as u8, time: w3 as u16 })
            }
            3 => {
                let [w0, w1, w2, w3] = words(bytes)?;
                unused(w0 & 0x7f != 0 || w3 & 0xffff != 0)?;
                let basis = match w0 >> 7 & 7 {
                    0 => MeasuredBasis::Z,
                    1 => MeasuredBasis::X,
                    2 => MeasuredBasis::Y,
                    3 => MeasuredBasis::ZPlusX,
                    4 => MeasuredBasis::ZMinusX,
                    _ => return Err(Malformed::Value("a basis")),
                };
                let head = head(w0, w1, w2, w3, w0 >> 10 & 1 != 0);
                Ok(Self::OkMeasure { head, outcome: w0 >> 11 & 1 != 0, basis })
            }
            4 => {
                let [w0, w1, w2] = words(bytes)?;
                let by_sequence = w0 >> 7 & 1 != 0;
                unused(w0 & 0x7f != 0 || !by_sequence && w1 != 0)?;
                let code = (w0 >> 8 & 15).checked_sub(1).and_then(|code| ErrorCode::ALL.get(code as usize));
                let &code = code.ok_or(Malformed::Value("a code of errors"))?;
                let expired = by_sequence.then_some(((w1 >> 16) as u16, w1 as u16));
                Ok(Self::Err { create: create(w0), code, expired, origin: NodeId(w2) })
            }
            kind => Err(Malformed::Kind(kind)),
        }
    }
}

/// Whether a 16-bit number is in a range from `low` to before `high` that may pass the highest number.
pub const fn in_range(low: u16, high: u16, sequence: u16) -> bool {
    sequence.wrapping_sub(low) < high.wrapping_sub(low)
}

/// The number of which 16 bits are known and which is nearest to `near`.
pub const fn full_sequence(near: u64, low_bits: u16) -> u64 {
    let ahead = low_bits.wrapping_sub(near as u16) as i16;
    match near.checked_add_signed(ahead as i64) {
        Some(full) => full,
        // There is none before 0 or beyond the highest.
        None => near.wrapping_add_signed(ahead as i64 + if ahead < 0 { 0x1_0000 } else { -0x1_0000 }),
    }
}

const fn set_bits(set: BasisSet) -> u32 {
    match set {
        BasisSet::Rotated => 0,
        BasisSet::Xz => 1,
        BasisSet::Xyz => 2,
        BasisSet::Chsh => 3,
    }
}
const fn basis_set(bits: u32) -> BasisSet {
    match bits {
        0 => BasisSet::Rotated,
        1 => BasisSet::Xz,
        2 => BasisSet::Xyz,
        _ => BasisSet::Chsh,
    }
}

fn bytes<const WORDS: usize, const BYTES: usize>(words: [u32; WORDS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}
fn words<const WORDS: usize>(bytes: &[u8]) -> Result<[u32; WORDS], Malformed> {
    if bytes.len() < 4 * WORDS {
        return Err(Malformed::Truncated);
    }
    if bytes.len() > 4 * WORDS {
        return Err(Malformed::Trailing);
    }
    let mut words = [0; WORDS];
    for (word, four) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = four.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    Ok(words)
}

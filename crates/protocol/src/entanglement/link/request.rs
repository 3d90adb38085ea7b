//! What is asked of a link, and how that can end.

use super::LinkUser;
use super::fidelity::FidelityTable;
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_units::Duration;

/// A request of this node, by a number that its caller chose and uses once in a life of the link's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl core::fmt::Display for RequestId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "request {}", self.0)
    }
}

/// From which bases a measurement draws (the fields RL and RR of draft-dahlberg-ll-quantum-03).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BasisSet {
    /// Z, after three rotations.
    #[default]
    Rotated,
    /// X or Z.
    Xz,
    /// X, Y or Z.
    Xyz,
    /// (Z + X)/√2 or (Z - X)/√2.
    Chsh,
}

/// How a half is to be measured. The link layer passes it on to whoever measures, and draws nothing itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasisChoice {
    /// From which bases.
    pub set: BasisSet,
    /// The probabilities of the first and of the second basis of the set, in 1/255; the last basis has what is left.
    pub probabilities: [u8; 2],
    /// Rotations about X, Y and X again before a measurement in Z, in 1/256 of a turn; for [`BasisSet::Rotated`] only.
    pub rotations: [u8; 3],
}

impl BasisChoice {
    pub(in crate::entanglement) fn write(&self, w: &mut Writer) {
        w.u8(match self.set {
            BasisSet::Rotated => 0,
            BasisSet::Xz => 1,
            BasisSet::Xyz => 2,
            BasisSet::Chsh => 3,
        });
        w.bytes(&self.probabilities);
        w.bytes(&self.rotations);
    }
    pub(in crate::entanglement) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let set = match r.u8()? {
            0 => BasisSet::Rotated,
            1 => BasisSet::Xz,
            2 => BasisSet::Xyz,
            3 => BasisSet::Chsh,
            _ => return Err(Malformed::Value("a set of bases")),
        };
        Ok(Self { set, probabilities: r.array()?, rotations: r.array()? })
    }
}

/// In which basis a half was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasuredBasis {
    /// X.
    X,
    /// Y.
    Y,
    /// Z, after the rotations that were asked for.
    Z,
    /// (Z + X)/√2.
    ZPlusX,
    /// (Z - X)/√2.
    ZMinusX,
}

/// What becomes of the two halves of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairKind {
    /// Both are kept (type K).
    Keep,
    /// Both are measured at once (type M).
    Measure {
        /// At the end that asks.
        here: BasisChoice,
        /// At the other end.
        there: BasisChoice,
    },
    /// The end that asks measures its half at once, which prepares the other end's (type R).
    Prepare {
        /// At the end that asks.
        here: BasisChoice,
    },
}

/// What both ends of a link know of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairDemand {
    /// For whom.
    pub user: LinkUser,
    /// What becomes of the pairs.
    pub kind: PairKind,
    /// How many pairs; without an end if `None`.
    pub number: Option<u32>,
    /// The least fidelity that the link has to promise.
    pub fidelity: f64,
    /// 0 to 7; lower numbers come first, whatever the weights.
    pub priority: u8,
    /// The share of the link relative to other requests of the same priority, at least 1.
    pub weight: u16,
    /// Each pair is handed over as it comes (CON); otherwise all at the end, alive at the same time.
    pub consecutive: bool,
    /// Once it is the oldest request of the link, it alone is served until it is done (ATO).
    pub atomic: bool,
}

/// A request for pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkRequest {
    /// Its name at this end.
    pub id: RequestId,
    /// What is wanted.
    pub demand: PairDemand,
    /// How long it may take.
    pub within: Option<Duration>,
}

impl LinkRequest {
    /// `number` pairs to keep, each handed over as it comes, with no claim to fidelity and no limit of time.
    pub const fn keep(id: RequestId, user: LinkUser, number: u32) -> Self {
        let demand = PairDemand {
            user,
            kind: PairKind::Keep,
            number: Some(number),
            fidelity: 0.0,
            priority: 1,
            weight: 1,
            consecutive: true,
            atomic: false,
        };
        Self { id, demand, within: None }
    }
    /// Pairs of at least `fidelity` until the request is withdrawn: what a circuit asks of its links.
    pub const fn standing(id: RequestId, user: LinkUser, fidelity: f64, weight: u16) -> Self {
        let mut request = Self::keep(id, user, 0);
        request.demand.number = None;
        request.demand.fidelity = fidelity;
        request.demand.priority = 0;
        request.demand.weight = weight;
        request
    }

    /// Whether a link with so many memories can serve it at all.
    ///
    /// # Errors
    /// [`LinkError::Malformed`] for a request that nobody could serve, otherwise what the link lacks.
    pub(super) fn check(
        &self,
        table: &FidelityTable,
        memories: usize,
        cycle: Duration,
    ) -> Result<(), LinkError> {
        let PairDemand { number, fidelity, priority, weight, consecutive, .. } = self.demand;
        let wrong = match () {
            () if number == Some(0) => "no pairs are asked for",
            () if !(0.0..=1.0).contains(&fidelity) => "the least fidelity is no number from 0 to 1",
            () if priority > 7 => "the priority is above 7",
            () if weight == 0 => "the weight is 0",
            () if self.within.is_some_and(Duration::is_zero) => "no time is given",
            () if number.is_none() && !consecutive => "pairs without an end cannot be handed over at the end",
            () => "",
        };
        if !wrong.is_empty() {
            return Err(LinkError::Malformed(wrong));
        }
        self.demand.check(table, memories)?;
        let level =
            table.choose(fidelity).ok_or(LinkError::Fidelity { wanted: fidelity, best: table.best() })?;
        if let (Some(within), Some(number)) = (self.within, number) {
            let expected = level.time_per_pair(cycle) * f64::from(number) / memories.max(1) as f64;
            if expected > within.seconds() {
                return Err(LinkError::Time { expected, within });
            }
        }
        Ok(())
    }
}

impl PairDemand {
    /// The part of the check that both ends make.
    pub(super) fn check(&self, table: &FidelityTable, memories: usize) -> Result<(), LinkError> {
        if table.choose(self.fidelity).is_none() {
            return Err(LinkError::Fidelity { wanted: self.fidelity, best: table.best() });
        }
        match self.number {
            Some(number)
                if !self.consecutive && self.kind == PairKind::Keep && number as usize > memories =>
            {
                Err(LinkError::Memories { wanted: number, memories })
            }
            _ => Ok(()),
        }
    }
}

/// Why a request ended without all its pairs.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// UNSUPP: no brightness gives the fidelity.
    #[error("the link cannot give a fidelity of {wanted}; ask for at most {best}")]
    Fidelity {
        /// What was asked for.
        wanted: f64,
        /// The best that could be had.
        best: f64,
    },
    /// UNSUPP: it takes too long on average.
    #[error("the pairs take {expected} s on average, longer than {within}; allow more time or less fidelity")]
    Time {
        /// How long they take, in seconds.
        expected: f64,
        /// How long they may take.
        within: Duration,
    },
    /// UNSUPP: more pairs at the same time than memories.
    #[error("{wanted} pairs at the same time do not fit into {memories} memories")]
    Memories {
        /// How many pairs were asked for.
        wanted: u32,
        /// How many memories the end has that said so.
        memories: usize,
    },
    /// CREATE: the request makes no sense.
    #[error("{0}")]
    Malformed(&'static str),
    /// REJECTED: the other end does not serve this user, or has as many requests as it takes.
    #[error("the other end of the link refuses the request")]
    Rejected,
    /// OTHER: the other end has answered none of the attempts to tell it.
    #[error("the other end of the link does not answer")]
    PeerGone,
    /// OTHER: the hardware of an end is out of order.
    #[error("the hardware of the link is out of order")]
    HardwareFault,
    /// TIMEOUT: the time is over.
    #[error("the time for the request is over")]
    Timeout,
}

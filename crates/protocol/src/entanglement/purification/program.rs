//! Purification programs: which pairs are measured against which, and how.

use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellDiagonal, Purification, PurificationQuality};
use bellwether_units::Duration;

/// The most rounds that a program may have.
pub const MOST_ROUNDS: usize = 16;

/// One round: a pair that has been through all rounds before is kept, another is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Through how many rounds the sacrificed pair has been: at most as many as the kept one.
    pub sacrificed: u8,
    /// What is compared.
    pub how: Purification,
}

/// A list of rounds. In round `n`, counted from 0, a pair of level `n` is kept and rises to level `n + 1`; new pairs are of
/// level 0, and pairs that have been through all rounds are handed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    rounds: Vec<Round>,
}

/// Why a list of rounds is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It would sacrifice what is better than what it keeps.
    #[error(
        "round {round} sacrifices a pair that went through {sacrificed} rounds; it can be at most {round}"
    )]
    Sacrifice {
        /// Which round, from 0.
        round: usize,
        /// The level of the sacrificed pair.
        sacrificed: u8,
    },
    /// It is too long.
    #[error("{0} rounds of purification are more than {MOST_ROUNDS}")]
    TooLong(usize),
}

/// Rounds that each take two pairs of equal level, as a [`Program`] or within a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recurrence {
    /// Two bits a round, the first in the lowest.
    kinds: u32,
    rounds: u8,
}

impl Recurrence {
    /// These rounds, in this order.
    ///
    /// # Errors
    /// If there are too many.
    pub fn of(rounds: &[Purification]) -> Result<Self, ProgramError> {
        if rounds.len() > MOST_ROUNDS {
            return Err(ProgramError::TooLong(rounds.len()));
        }
        let kinds = rounds.iter().enumerate().fold(0, |kinds, (n, how)| {
            let kind = match how {
                Purification::Bbpssw => 0,
                Purification::Dejmps => 1,
                Purification::Phase => 2,
            };
            kinds | kind << (2 * n)
        });
        Ok(Self { kinds, rounds: rounds.len() as u8 })
    }
    /// So many rounds of one kind.
    ///
    /// # Errors
    /// If there are too many.
    pub fn alike(rounds: u8, how: Purification) -> Result<Self, ProgramError> {
        Self::of(&vec![how; rounds.into()])
    }
    /// How many.
    pub const fn rounds(self) -> u8 {
        self.rounds
    }
    /// The first so many of them, or all.
    pub fn first(self, rounds: u8) -> Self {
        Self { rounds: rounds.min(self.rounds), ..self }
    }
    /// How long a pair waits for its next round where nothing is cut off, of a link that takes so long for a new pair: far
    /// longer than another that has been through as many rounds takes. What the other end has lost waits so long in vain.
    pub fn hold(self, pair: Duration) -> Duration {
        pair.saturating_mul(32 << self.rounds)
    }
    /// What is compared in each.
    pub fn kinds(self) -> impl Iterator<Item = Purification> {
        (0..self.rounds).map(move |n| match self.kinds >> (2 * n) & 3 {
            0 => Purification::Bbpssw,
            1 => Purification::Dejmps,
            _ => Purification::Phase,
        })
    }
}

impl From<Recurrence> for Program {
    fn from(recurrence: Recurrence) -> Self {
        let round = |(n, how)| Round { sacrificed: n, how };
        Self { rounds: (0..).zip(recurrence.kinds()).map(round).collect() }
    }
}

/// What a program gives on the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProgramYield {
    /// The pair that is handed on.
    pub pair: BellDiagonal,
    /// How many new pairs it takes in the mean.
    pub pairs: f64,
}

impl Program {
    /// The program of these rounds.
    ///
    /// # Errors
    /// If a round sacrifices a pair of a higher level than it keeps, or there are too many.
    pub fn new(rounds: Vec<Round>) -> Result<Self, ProgramError> {
        if rounds.len() > MOST_ROUNDS {
            return Err(ProgramError::TooLong(rounds.len()));
        }
        match rounds.iter().enumerate().find(|(n, round)| usize::from(round.sacrificed) > *n) {
            Some((round, &Round { sacrificed, .. })) => Err(ProgramError::Sacrifice { round, sacrificed }),
            None => Ok(Self { rounds }),
        }
    }

    /// Rounds in which the sacrificed pair is `band` levels below the kept one, or new: 0 is symmetric recurrence, and
    /// `rounds` or more is pumping; what lies between is banded (Van Meter, Ladd, Munro & Nemoto, IEEE/ACM Trans. Netw. 17,
    /// 1002 (2009)), with a fixed distance in place of their range.
    ///
    /// # Errors
    /// If there are too many rounds.
    pub fn banded(rounds: usize, band: usize, how: Purification) -> Result<Self, ProgramError> {
        let round = |n: usize| Round { sacrificed: n.saturating_sub(band) as u8, how };
        Self::new((0..rounds.min(MOST_ROUNDS + 1)).map(round).collect())
    }
    /// Two pairs of equal level in each round (Bennett et al. 1996; Deutsch et al. 1996).
    ///
    /// # Errors
    /// If there are too many rounds.
    pub fn symmetric(rounds: usize, how: Purification) -> Result<Self, ProgramError> {
        Self::banded(rounds, 0, how)
    }
    /// One pair is purified by new ones again and again (Dür, Briegel, Cirac & Zoller, Phys. Rev. A 59, 169 (1999)).
    ///
    /// # Errors
    /// If there are too many rounds.
    pub fn pumping(rounds: usize, how: Purification) -> Result<Self, ProgramError> {
        Self::banded(rounds, rounds, how)
    }

    /// The rounds.
    pub fn rounds(&self) -> &[Round] {
        &self.rounds
    }
    /// How many memories each end needs at least.
    pub fn memories(&self) -> usize {
        let mut needed = vec![1; self.rounds.len() + 1];
        for (n, round) in self.rounds.iter().enumerate() {
            // The kept pair waits while the other one is made.
            needed[n + 1] = needed[n].max(1 + needed[usize::from(round.sacrificed)]);
        }
        needed[self.rounds.len()]
    }

    /// What comes of new pairs like `pair`, made each `period`, when both halves of what waits decay by `memory`, and no
    /// time passes otherwise.
    pub fn expected(
        &self,
        pair: BellDiagonal,
        quality: &PurificationQuality,
        (memory, period): (&MemoryNoise, Duration),
    ) -> ProgramYield {
        let mut levels = vec![ProgramYield { pair, pairs: 1.0 }];
        for (n, round) in self.rounds.iter().enumerate() {
            let (kept, other) = (levels[n], levels[usize::from(round.sacrificed)]);
            let wait = Duration::from_seconds(other.pairs * period.seconds()).unwrap_or(Duration::ZERO);
            let factors = memory.decay(Duration::ZERO, wait).factors();
            let waited = kept.pair.shrunk(factors.map(|f| f * f));
            let purified = waited.purify(&other.pair, round.how, quality);
            let pairs = (kept.pairs + other.pairs) / purified.success;
            levels.push(ProgramYield { pair: purified.kept, pairs });
        }
        levels[self.rounds.len()]
    }
}

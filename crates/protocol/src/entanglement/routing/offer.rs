//! What a link offers: pairs of some fidelity at some rate, as its emitters are set and with so many rounds of
//! purification.

use crate::entanglement::link::{FidelityLevel, FidelityTable, LinkSettings};
use crate::entanglement::purification::Recurrence;
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellDiagonal, Purification, PurificationQuality};
use bellwether_units::Duration;

/// What links of one make can do.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkKind {
    /// The ways to run it.
    pub table: FidelityTable,
    /// From one attempt to the next.
    pub cycle: Duration,
    /// How long a message takes from end to end.
    pub delay: Duration,
    /// How well its ends compare pairs.
    pub purification: PurificationQuality,
    /// How long a comparison takes at an end.
    pub comparison: Duration,
    /// What happens to the first pair while the second is made.
    pub memory: MemoryNoise,
}

impl LinkKind {
    /// A link as its layer is told to run it, with the quality of its ends, which compare in no time.
    pub fn new(settings: &LinkSettings, purification: PurificationQuality, memory: MemoryNoise) -> Self {
        let LinkSettings { table, cycle, delay, .. } = settings;
        let (table, comparison) = (table.clone(), Duration::ZERO);
        Self { table, cycle: *cycle, delay: *delay, purification, comparison, memory }
    }
    /// The same, but comparisons take so long at each end.
    pub fn comparing_in(self, comparison: Duration) -> Self {
        Self { comparison, ..self }
    }

    /// Mean seconds a pair of the brightest level of at least `fidelity` after so many rounds of purification, with one
    /// attempt at a time, and the latency besides.
    pub(in crate::entanglement) fn seconds_after(
        &self,
        fidelity: f64,
        rounds: Recurrence,
    ) -> Option<(f64, f64)> {
        let level = self.table.choose(fidelity)?;
        let offer = self.offers_of(0, level, LinkPurification::Exactly(rounds)).pop()?;
        Some((offer.seconds, offer.latency))
    }

    /// How long a new pair takes in the mean at the dimmest level, with one attempt at a time.
    pub fn slowest_pair(&self) -> Duration {
        let least = self.table.levels().iter().map(|level| level.success).fold(1.0, f64::min);
        Duration::from_seconds(self.cycle.seconds() / least).unwrap_or(Duration::MAX)
    }

    /// What a level gives: with no round of purification, with one, and so on as long as it helps, or with all that must be.
    fn offers_of(&self, place: u16, level: &FidelityLevel, purification: LinkPurification) -> Vec<Offer> {
        // In the law of waiting, a geometric number of cycles is an exponential time of this mean and half a cycle.
        let success = level.success.min(1.0 - 1e-12);
        let seconds = self.cycle.seconds() / -libm::log1p(-success);
        let latency = 0.5 * self.cycle.seconds();
        let first = BellDiagonal::werner(level.fidelity).ok();
        let first = first.map(|pair| Offer { level: place, rounds: 0, pair, seconds, latency });
        match purification {
            LinkPurification::UpTo(PurificationLimit { rounds, how }) => {
                let better = |offer: &Offer| {
                    let next = self.purified(offer, how).filter(|_| offer.rounds < rounds)?;
                    (next.fidelity() > offer.fidelity()).then_some(next)
                };
                core::iter::successors(first, better).collect()
            }
            LinkPurification::Exactly(rounds) => {
                let mut kinds = rounds.kinds();
                let last =
                    first.and_then(|first| kinds.try_fold(first, |offer, how| self.purified(&offer, how)));
                last.into_iter().collect()
            }
        }
    }

    /// One more round of purification, unless it never succeeds.
    fn purified(&self, offer: &Offer, how: Purification) -> Option<Offer> {
        let Offer { level, rounds, pair, seconds, latency } = *offer;
        let wait = Duration::from_seconds(seconds + latency).ok()?;
        // Both halves of the first pair wait for the second.
        let factors = self.memory.decay(Duration::ZERO, wait).factors();
        let waited = pair.shrunk(factors.map(|f| f * f));
        let purified = waited.purify(&pair, how, &self.purification);
        if purified.success <= 0.0 {
            return None;
        }
        let seconds = seconds * 2.0 / purified.success;
        let latency = latency + self.delay.seconds() + 2.0 * self.comparison.seconds();
        Some(Offer { level, rounds: rounds + 1, pair: purified.kept, seconds, latency })
    }
}

/// How much purification a route may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurificationLimit {
    /// At most so many rounds on each link; 0 for none.
    pub rounds: u8,
    /// Of which kind.
    pub how: Purification,
}

/// How links purify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurification {
    /// By as many rounds as are worth it.
    UpTo(PurificationLimit),
    /// By these rounds, on each link.
    Exactly(Recurrence),
}

impl LinkPurification {
    /// No purification.
    pub const NONE: Self = Self::UpTo(PurificationLimit { rounds: 0, how: Purification::Dejmps });
}

/// One way to get pairs of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Offer {
    /// Which level of the link's table.
    pub(super) level: u16,
    /// How many rounds of purification, each of two pairs of equal history.
    pub(super) rounds: u8,
    pub(super) pair: BellDiagonal,
    /// Mean seconds a pair, if one attempt is under way at a time and the link serves nobody else.
    pub(super) seconds: f64,
    /// What it takes besides, however many attempts are under way: messages of purification, half a cycle.
    pub(super) latency: f64,
}

impl Offer {
    pub(super) fn fidelity(&self) -> f64 {
        self.pair.fidelity()
    }
    /// Pairs that wait for their partners take a memory a round.
    pub(super) fn memories(&self) -> u16 {
        u16::from(self.rounds) + 1
    }
}

/// All that is worth having, in the order of fidelity.
pub(super) fn offers(kind: &LinkKind, purification: LinkPurification) -> Vec<Offer> {
    let mut all = Vec::new();
    for (level, at) in kind.table.levels().iter().enumerate().take(usize::from(u16::MAX)) {
        all.extend(kind.offers_of(level as u16, at, purification));
    }
    let worth = |offer: &Offer| {
        !all.iter().any(|other| {
            let no_worse = other.fidelity() >= offer.fidelity()
                && other.seconds <= offer.seconds
                && other.rounds <= offer.rounds;
            no_worse && (other.fidelity(), other.seconds) != (offer.fidelity(), offer.seconds)
        })
    };
    let mut kept: Vec<_> = all.iter().filter(|offer| worth(offer)).copied().collect();
    kept.sort_by(|a, b| a.fidelity().total_cmp(&b.fidelity()).then(a.seconds.total_cmp(&b.seconds)));
    kept
}

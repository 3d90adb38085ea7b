//! Test rounds: some pairs are measured by both ends to learn how good the others are.
//!
//! Which pairs, and in which bases, follows from their numbers, so that both ends choose alike and nobody has to ask. Each
//! end tells the other its outcome, once; what is lost is not counted.

use super::LinkEnd;
use super::slots::SlotState;
use crate::entanglement::MemoryId;
use crate::entanglement::link::effect::LinkEffect;
use crate::entanglement::link::estimate::{FidelityEstimate, TestBasis};
use crate::entanglement::link::message::LinkBody;
use crate::entanglement::link::pair::LinkPair;
use bellwether_quantum::bell::BellIndex;
use bellwether_units::Time;

/// So many outcomes wait for those of the other end at most.
const WAITING: usize = 32;

/// An outcome whose other half is not known yet.
#[derive(Clone, Copy)]
struct Outcome {
    epoch: u32,
    sequence: u64,
    outcome: bool,
    /// Which state it was and what it is counted for, if it is this end's.
    own: Option<(BellIndex, TestBasis, usize)>,
}

/// What test rounds have shown, by level of the table.
#[derive(Default)]
pub(super) struct Tests {
    waiting: Vec<Outcome>,
    estimates: Vec<FidelityEstimate>,
}

impl Tests {
    fn note(&mut self, new: Outcome) {
        let same = |old: &Outcome| old.epoch == new.epoch && old.sequence == new.sequence;
        let Some(at) = self.waiting.iter().position(same) else {
            if self.waiting.len() == WAITING {
                self.waiting.remove(0);
            }
            return self.waiting.push(new);
        };
        let old = self.waiting[at];
        if old.own.is_some() == new.own.is_some() {
            return;
        }
        self.waiting.remove(at);
        if let Some((bell, basis, level)) = old.own.or(new.own) {
            if self.estimates.len() <= level {
                self.estimates.resize(level + 1, FidelityEstimate::default());
            }
            self.estimates[level].note(bell, basis, old.outcome != new.outcome);
        }
    }
    /// Outcomes of the other end's earlier lives belong to nothing.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }
}

impl LinkEnd {
    /// What test rounds have shown of the pairs that were promised at this level of the table
    /// ([`FidelityTable::levels`](crate::entanglement::link::FidelityTable::levels)).
    pub fn estimate(&self, level: usize) -> FidelityEstimate {
        self.tests.estimates.get(level).copied().unwrap_or_default()
    }

    /// In which basis the ends measure a pair to test it, if they do.
    #[inline]
    pub(super) fn test_basis(&self, epoch: u32, sequence: u64) -> Option<TestBasis> {
        if self.settings.test_share == 0 {
            return None;
        }
        // The finisher of SplitMix64 (Steele, Lea & Flood 2014) over the name of the pair.
        let mut x = u64::from(self.place.link.0) << 32 ^ u64::from(epoch);
        x = (x ^ sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        let tested = (x >> 48) < u64::from(self.settings.test_share);
        tested.then(|| TestBasis::ALL[(x & 0xffff_ffff) as usize % 3])
    }

    /// A half was measured for a test.
    pub(super) fn tested(
        &mut self,
        now: Time,
        memory: MemoryId,
        at: usize,
        pair: Option<LinkPair>,
        outcome: bool,
        out: &mut Vec<LinkEffect>,
    ) {
        if let Some(pair) = pair
            && let Some(basis) = self.test_basis(pair.id.epoch, pair.id.sequence)
        {
            let (epoch, sequence) = (pair.id.epoch, pair.id.sequence);
            let level = self.settings.table.levels().iter().position(|l| l.fidelity == pair.goodness);
            let own = Some((pair.bell, basis, level.unwrap_or(0)));
            self.tests.note(Outcome { epoch, sequence, outcome, own });
            self.send(LinkBody::Outcome { epoch, sequence, outcome }, out);
        }
        self.slots[at].state = SlotState::Idle;
        self.more_available(now, out);
        self.serve(now, at, out);
        if matches!(self.slots[at].state, SlotState::Idle) {
            out.push(LinkEffect::Free { memory });
        }
    }

    pub(super) fn hear_outcome(&mut self, epoch: u32, sequence: u64, outcome: bool) {
        if self.test_basis(epoch, sequence).is_some() {
            self.tests.note(Outcome { epoch, sequence, outcome, own: None });
        }
    }
}

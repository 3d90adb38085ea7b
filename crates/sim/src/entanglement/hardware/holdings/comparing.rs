//! Two pairs that their ends compare, each at its own time, so that one is left that is better or none.
//!
//! What one end does to its halves commutes with all that happens to the others. So the end that is first only draws its
//! outcome, by which nothing of the other end can be told; from then on its halves stand still. When the other end follows,
//! both pairs are compared as they have become by then, given the first outcome, and what time has done to the kept half
//! of the first end since then is done afterwards. That is exact.

use super::super::budget::Source;
use super::{Cell, Content, Holdings, Whereabouts};
use bellwether_quantum::bell::{BellDiagonal, PauliChannel, Purification};
use bellwether_quantum::density::Readout;
use bellwether_quantum::pair::{Comparison, PairState};
use bellwether_quantum::{Ages, Half, MemoryNoise};
use bellwether_units::{Duration, Stream, Time};
use std::collections::BTreeMap;

/// How one end compares: the probability that its gate leaves both qubits random, and its readout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ComparingEnd {
    pub(crate) mixing: f64,
    pub(crate) readout: Readout,
}

/// A comparison that one end has done.
#[derive(Clone, Debug)]
pub(super) struct HalfDone {
    sacrificed: u32,
    how: Purification,
    /// Which halves, of both pairs.
    half: Half,
    device: ComparingEnd,
    told: bool,
    /// When, and what happens to the kept half from then on.
    at: Time,
    noise: MemoryNoise,
    since: Time,
    errors: Option<PauliChannel>,
}

/// Comparisons that one end has done, by the pair to keep.
pub(super) type HalvesDone = BTreeMap<u32, HalfDone>;

/// The devices of both ends, in the order of halves. Their probabilities have been checked.
fn device(half: Half, own: ComparingEnd, other: ComparingEnd) -> Comparison {
    let [first, second] = if half == Half::First { [own, other] } else { [other, own] };
    Comparison::new([first.mixing, second.mixing], [first.readout, second.readout])
        .expect("the mixing of a gate is a probability")
}

impl Holdings {
    /// A node compares the halves in two of its memories, and measures the second: whether -1 was read. The outcome is random
    /// where there are no two halves of pairs.
    pub(crate) fn compare(
        &mut self,
        [kept, sacrificed]: [Cell; 2],
        how: Purification,
        device: ComparingEnd,
        now: Time,
        stream: &mut Stream,
    ) -> bool {
        let draw = stream.uniform();
        let (Content::Half(kept, half), Content::Half(other, other_half)) =
            (&self.contents[kept as usize], &self.contents[sacrificed as usize])
        else {
            return draw < 0.5;
        };
        let (kept, half, other, other_half) = (*kept, *half, *other, *other_half);
        if kept == other {
            return draw < 0.5;
        }
        let following = self
            .comparing
            .get(&kept)
            .is_some_and(|done| (done.sacrificed, done.half.other(), done.how) == (other, half, how));
        if !following {
            self.break_off(kept);
            self.break_off(other);
        }
        let budgeted = self.budgeted;
        if half != other_half {
            self.pairs[other as usize].exchange();
            self.point(other, Half::First);
            self.point(other, Half::Second);
        }
        self.pairs[kept as usize].age(now, budgeted);
        self.pairs[other as usize].age(now, budgeted);
        // What is measured is in no memory any more.
        self.contents[sacrificed as usize] = Content::Nothing;
        self.pairs[other as usize].halves[half.index()].whereabouts = Whereabouts::Compared;
        if following && let Some(done) = self.comparing.remove(&kept) {
            self.compare_second(kept, &done, device, now, draw)
        } else {
            self.compare_first((kept, other), half, how, device, now, draw)
        }
    }

    fn compare_first(
        &mut self,
        (kept, sacrificed): (u32, u32),
        half: Half,
        how: Purification,
        own: ComparingEnd,
        now: Time,
        draw: f64,
    ) -> bool {
        let [pair, other] = [kept, sacrificed].map(|pair| &self.pairs[pair as usize]);
        let told = if pair.state.is_bell_diagonal()
            && other.state.is_bell_diagonal()
            && own.readout.is_symmetric()
        {
            // Each half by itself is random.
            draw < 0.5
        } else {
            // The other end's device does not matter for this end's outcome.
            let outcomes = pair.state.compare_outcomes(&other.state, how, &device(half, own, own));
            let zero = outcomes.iter().filter(|outcome| !outcome.told[half.index()]);
            draw >= zero.map(|outcome| outcome.probability).sum()
        };
        let held = &mut self.pairs[kept as usize].halves[half.index()];
        let (noise, since) = (held.noise, held.since);
        (held.noise, held.since) = (MemoryNoise::NONE, now);
        let measured = &mut self.pairs[sacrificed as usize].halves[half.index()];
        (measured.noise, measured.since) = (MemoryNoise::NONE, now);
        let done = HalfDone { sacrificed, how, half, device: own, told, at: now, noise, since, errors: None };
        self.comparing.insert(kept, done);
        told
    }

    fn compare_second(
        &mut self,
        kept: u32,
        done: &HalfDone,
        own: ComparingEnd,
        now: Time,
        draw: f64,
    ) -> bool {
        let HalfDone { sacrificed, how, half, told, at, noise, since, .. } = *done;
        let budgeted = self.budgeted;
        let state = {
            let [pair, other] = [kept, sacrificed].map(|pair| &self.pairs[pair as usize]);
            pair.state.compare_outcomes(&other.state, how, &device(half, done.device, own))
        };
        let agreeing = state.into_iter().filter(|outcome| outcome.told[half.index()] == told);
        let agreeing: Vec<_> = agreeing.collect();
        let total: f64 = agreeing.iter().map(|outcome| outcome.probability).sum();
        let chosen = usize::from(draw * total >= agreeing[0].probability);
        let outcome = &agreeing[chosen];
        let made = self.pairs[sacrificed as usize].made;
        let pair = &mut self.pairs[kept as usize];
        pair.disturb(Source::Purification, budgeted, |state| *state = outcome.kept.clone());
        pair.made = [pair.made[0].min(made[0]), pair.made[1].max(made[1])];
        // What has happened to the first end's half since.
        if let Some(errors) = &done.errors {
            pair.disturb(Source::Attempts, budgeted, |state| state.pauli_noise(half, errors));
        }
        let mut decays = [MemoryNoise::NONE.decay(Duration::ZERO, Duration::ZERO); 2];
        decays[half.index()] = noise.decay(at.since(since), now.since(since));
        pair.disturb(Source::Memory, budgeted, |state| state.age(decays));
        let held = &mut pair.halves[half.index()];
        (held.noise, held.since) = (noise, since);
        self.unused.push(sacrificed);
        outcome.told[half.other().index()]
    }

    /// Something else happens to a pair that one end has compared: nothing is known of it any more, and what it was compared
    /// with is lost.
    #[inline]
    pub(super) fn break_off(&mut self, pair: u32) {
        if !self.comparing.is_empty() {
            self.break_off_if_compared(pair);
        }
    }
    fn break_off_if_compared(&mut self, pair: u32) {
        let concerned =
            |(kept, done): (&u32, &HalfDone)| (*kept == pair || done.sacrificed == pair).then_some(*kept);
        while let Some(kept) = self.comparing.iter().find_map(concerned) {
            let Some(HalfDone { sacrificed, half, noise, .. }) = self.comparing.remove(&kept) else { return };
            let held = &mut self.pairs[kept as usize];
            held.state = PairState::Bell(BellDiagonal::MIXED);
            held.halves[half.index()].noise = noise;
            let other = &mut self.pairs[sacrificed as usize];
            other.halves[half.index()].whereabouts = Whereabouts::Gone;
            if matches!(other.halves[half.other().index()].whereabouts, Whereabouts::Gone) {
                self.unused.push(sacrificed);
            }
        }
    }

    /// Errors come to a half; whether they are done later, since its end has compared it.
    pub(super) fn note_errors(&mut self, pair: u32, half: Half, channel: &PauliChannel) -> bool {
        match self.comparing.get_mut(&pair).filter(|done| done.half == half) {
            Some(done) => {
                done.errors = Some(done.errors.map_or(*channel, |errors| errors.then(channel)));
                true
            }
            None => false,
        }
    }
}

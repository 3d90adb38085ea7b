//! What every memory truly holds.
//!
//! Pairs are kept by number, with the halves pointing at their memories. Noise is applied when a pair is touched. A half that
//! an application has used up ages no more, and waits for the other: what is then left is what a measurement of both
//! halves, each at its own time, would have shown.

mod comparing;
mod qubits;

pub(crate) use comparing::ComparingEnd;
pub(crate) use qubits::Spot;

use super::budget::{Budget, Source};
use bellwether_quantum::bell::{BellDiagonal, BellIndex, PauliChannel};
use bellwether_quantum::density::{Axis, DensityMatrix, Readout};
use bellwether_quantum::pair::{BellMeasurement, PairState};
use bellwether_quantum::store::QubitId;
use bellwether_quantum::{Ages, Half, MemoryNoise};
use bellwether_units::{Stream, Time};

/// A memory, by its place among all memories of the world.
pub(crate) type Cell = u32;

/// What an application was told of its half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Claim {
    /// When it was told.
    pub(crate) at: Time,
    /// In which Bell state the pair is said to be.
    pub(crate) bell: BellIndex,
    /// With what fidelity.
    pub(crate) fidelity: f64,
    /// In which basis it measured the half, if it did.
    pub(crate) axis: Option<Axis>,
    /// For which demand, and for which of its requests.
    pub(crate) whose: Option<(u32, u64)>,
}

/// A pair of which both halves were used up.
#[derive(Clone, Debug)]
pub(crate) struct UsedPair {
    /// What was told of its first half and of its second.
    pub(crate) claims: [Claim; 2],
    /// Its state, each half as it was when it was used.
    pub(crate) state: PairState,
    /// What its fidelity was lost to.
    pub(crate) budget: Budget,
    /// When the oldest and the youngest of the link pairs that it was made of was made.
    pub(crate) made: [Time; 2],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Whereabouts {
    /// In a memory.
    Stored(Cell),
    /// In a memory; an application was told of it.
    Claimed(Cell, Claim),
    /// Measured, to purify a pair of which the other end has not done so.
    Compared,
    /// Used by an application.
    Used(Claim),
    /// Lost.
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct HeldHalf {
    whereabouts: Whereabouts,
    noise: MemoryNoise,
    since: Time,
}

#[derive(Clone, Debug)]
struct Pair {
    state: PairState,
    updated: Time,
    halves: [HeldHalf; 2],
    budget: Budget,
    made: [Time; 2],
}

#[derive(Clone, Debug, Default)]
enum Content {
    #[default]
    Nothing,
    Half(u32, Half),
    /// A lone qubit whose partner was measured.
    Qubit(Box<LoneQubit>),
    /// A qubit on which gates were done: it may be entangled with any others.
    Stored(QubitId),
}

#[derive(Clone, Debug)]
struct LoneQubit {
    state: DensityMatrix,
    updated: Time,
    since: Time,
}

impl LoneQubit {
    fn age(&mut self, noise: &MemoryNoise, now: Time) {
        if now > self.updated {
            let decay = noise.decay(self.updated.since(self.since), now.since(self.since));
            self.state.bloch(0, decay.factors(), decay.equilibrium());
            self.updated = now;
        }
    }
}

/// The memories of a world.
pub(crate) struct Holdings {
    contents: Vec<Content>,
    /// Which noise each memory has.
    noise: Vec<u16>,
    noises: Vec<MemoryNoise>,
    pairs: Vec<Pair>,
    unused: Vec<u32>,
    /// Whether losses of fidelity are told apart.
    budgeted: bool,
    /// Comparisons that one end has done.
    comparing: comparing::HalvesDone,
    /// The qubits on which gates were done, if programs run.
    qubits: Option<Box<qubits::Qubits>>,
}

impl Pair {
    /// Brings the state up to date.
    fn age(&mut self, now: Time, budgeted: bool) {
        if now <= self.updated {
            return;
        }
        let decays =
            self.halves.map(|half| half.noise.decay(self.updated.since(half.since), now.since(half.since)));
        self.disturb(Source::Memory, budgeted, |state| state.age(decays));
        self.updated = now;
    }
    /// Does something to the state, and notes what that cost if losses are told apart.
    #[inline]
    fn disturb(&mut self, source: Source, budgeted: bool, act: impl FnOnce(&mut PairState)) {
        if budgeted {
            let before = self.state_quality();
            act(&mut self.state);
            self.budget.add(source, before - self.state_quality());
        } else {
            act(&mut self.state);
        }
    }
    /// The logarithm of the Werner parameter of a Werner state that is as near to its best Bell state.
    fn state_quality(&self) -> f64 {
        Budget::quality(&self.state)
    }
    fn exchange(&mut self) {
        if !self.state.is_bell_diagonal() {
            self.state = self.state.exchanged();
        }
        self.halves.swap(0, 1);
    }
}

impl Holdings {
    /// Memories that hold nothing: the noise of each, as a place in `noises`.
    pub(crate) fn new(noise: Vec<u16>, noises: Vec<MemoryNoise>, budgeted: bool) -> Self {
        let contents = noise.iter().map(|_| Content::Nothing).collect();
        let comparing = comparing::HalvesDone::new();
        Self {
            contents,
            noise,
            noises,
            pairs: Vec::new(),
            unused: Vec::new(),
            budgeted,
            comparing,
            qubits: None,
        }
    }

    fn noise_of(&self, cell: Cell) -> MemoryNoise {
        self.noises[usize::from(self.noise[cell as usize])]
    }
    fn point(&mut self, pair: u32, half: Half) {
        if let Whereabouts::Stored(cell) | Whereabouts::Claimed(cell, _) =
            self.pairs[pair as usize].halves[half.index()].whereabouts
        {
            self.contents[cell as usize] = Content::Half(pair, half);
        }
    }

    /// A pair is made; its halves have been in their memories since `now`, and what was there before is lost. A half that
    /// will move to another qubit is kept until then as told in `noise`.
    pub(crate) fn put(
        &mut self,
        cells: [Cell; 2],
        noise: [Option<MemoryNoise>; 2],
        state: PairState,
        now: Time,
    ) {
        cells.iter().for_each(|cell| _ = self.reset(*cell));
        let halves = [0, 1].map(|end| HeldHalf {
            whereabouts: Whereabouts::Stored(cells[end]),
            noise: noise[end].unwrap_or_else(|| self.noise_of(cells[end])),
            since: now,
        });
        let mut budget = Budget::default();
        if self.budgeted {
            budget.add(Source::Link, -Budget::quality(&state));
        }
        let pair = Pair { state, updated: now, halves, budget, made: [now; 2] };
        let number = match self.unused.pop() {
            Some(number) => {
                self.pairs[number as usize] = pair;
                number
            }
            None => {
                self.pairs.push(pair);
                self.pairs.len() as u32 - 1
            }
        };
        for half in [Half::First, Half::Second] {
            self.point(number, half);
        }
    }

    /// What the memory held is lost, or used up if an application was told of it. If that makes a pair of which both halves
    /// were used, it is told.
    pub(crate) fn reset(&mut self, cell: Cell) -> Option<UsedPair> {
        let (number, half) = match core::mem::take(&mut self.contents[cell as usize]) {
            Content::Half(number, half) => (number, half),
            Content::Stored(qubit) => {
                self.discard(qubit);
                return None;
            }
            Content::Nothing | Content::Qubit(_) => return None,
        };
        self.break_off(number);
        let pair = &mut self.pairs[number as usize];
        let whereabouts = &mut pair.halves[half.index()].whereabouts;
        *whereabouts = match *whereabouts {
            Whereabouts::Claimed(_, claim) => Whereabouts::Used(claim),
            _ => Whereabouts::Gone,
        };
        match pair.halves.map(|half| half.whereabouts) {
            [Whereabouts::Used(first), Whereabouts::Used(second)] => {
                self.unused.push(number);
                let Pair { budget, made, .. } = *pair;
                let state = core::mem::replace(&mut pair.state, PairState::Bell(BellDiagonal::MIXED));
                Some(UsedPair { claims: [first, second], state, budget, made })
            }
            [Whereabouts::Used(_) | Whereabouts::Gone, Whereabouts::Used(_) | Whereabouts::Gone] => {
                self.unused.push(number);
                None
            }
            _ => None,
        }
    }

    /// An application uses its half at `now`: it ages no more.
    pub(crate) fn claim(&mut self, cell: Cell, claim: Claim, now: Time) {
        let Content::Half(number, half) = self.contents[cell as usize] else { return };
        self.break_off(number);
        let budgeted = self.budgeted;
        let pair = &mut self.pairs[number as usize];
        pair.age(now, budgeted);
        let held = &mut pair.halves[half.index()];
        (held.whereabouts, held.noise, held.since) =
            (Whereabouts::Claimed(cell, claim), MemoryNoise::NONE, now);
    }

    /// Measures the halves in two memories of one node in the Bell basis. The outcome is random where nothing was.
    pub(crate) fn swap(
        &mut self,
        cells: [Cell; 2],
        device: &BellMeasurement,
        now: Time,
        stream: &mut Stream,
    ) -> BellIndex {
        let draw = stream.uniform();
        let held = cells.map(|cell| core::mem::take(&mut self.contents[cell as usize]));
        let [Content::Half(left, left_half), Content::Half(right, right_half)] = held else {
            for (cell, content) in cells.into_iter().zip(held) {
                self.contents[cell as usize] = content;
                self.reset(cell);
            }
            return BellIndex::from_bits((4.0 * draw) as u8);
        };
        if left == right {
            // Both halves of one pair: nothing is left of it.
            self.unused.push(left);
            return BellIndex::from_bits((4.0 * draw) as u8);
        }
        self.break_off(left);
        self.break_off(right);
        let budgeted = self.budgeted;
        if left_half == Half::First {
            self.pairs[left as usize].exchange();
        }
        if right_half == Half::Second {
            self.pairs[right as usize].exchange();
        }
        self.pairs[left as usize].age(now, budgeted);
        self.pairs[right as usize].age(now, budgeted);
        let [a, b] = [&self.pairs[left as usize], &self.pairs[right as usize]];
        let (outcome, state) = a.state.swap(&b.state, device, draw);
        let mut budget = a.budget.joined(&b.budget);
        if budgeted {
            budget.add(Source::Swap, a.state_quality() + b.state_quality() - Budget::quality(&state));
        }
        let joined = Pair {
            state,
            updated: now,
            halves: [a.halves[0], b.halves[1]],
            budget,
            made: [a.made[0].min(b.made[0]), a.made[1].max(b.made[1])],
        };
        let lost = joined
            .halves
            .iter()
            .all(|half| !matches!(half.whereabouts, Whereabouts::Stored(_) | Whereabouts::Claimed(..)));
        self.pairs[left as usize] = joined;
        self.unused.push(right);
        if lost {
            self.unused.push(left);
        }
        for half in [Half::First, Half::Second] {
            self.point(left, half);
        }
        outcome
    }

    /// Applies a Pauli operator to what is in a memory, after which its qubit is random with probability `mixing`.
    pub(crate) fn correct(&mut self, cell: Cell, pauli: BellIndex, mixing: f64, now: Time) {
        let Content::Half(number, half) = self.contents[cell as usize] else {
            return self.correct_single(cell, pauli, mixing, now);
        };
        self.break_off(number);
        let budgeted = self.budgeted;
        let pair = &mut self.pairs[number as usize];
        pair.age(now, budgeted);
        pair.state.correct(half, pauli);
        if mixing > 0.0 {
            pair.disturb(Source::Correction, budgeted, |state| state.depolarise(half, mixing));
        }
    }

    /// Measures what is in a memory along an axis; the outcome is whether -1 was read.
    pub(crate) fn measure(
        &mut self,
        cell: Cell,
        axis: Axis,
        readout: Readout,
        now: Time,
        stream: &mut Stream,
    ) -> bool {
        let draw = stream.uniform();
        match core::mem::take(&mut self.contents[cell as usize]) {
            Content::Nothing => draw < 0.5,
            Content::Stored(qubit) => self.measure_stored(qubit, axis, readout, now).unwrap_or(draw < 0.5),
            Content::Qubit(mut qubit) => {
                qubit.age(&self.noise_of(cell), now);
                qubit.state.apply(0, &axis.onto_z());
                let [zero, _] = qubit.state.measured(0, &readout);
                draw >= zero.probability
            }
            Content::Half(number, half) => {
                self.break_off(number);
                let budgeted = self.budgeted;
                let pair = &mut self.pairs[number as usize];
                pair.age(now, budgeted);
                let [(zero, first), (_, second)] = pair.state.steered(half, axis, readout);
                let outcome = draw >= zero;
                let other = pair.halves[half.other().index()];
                self.unused.push(number);
                if let Whereabouts::Stored(cell) = other.whereabouts {
                    let state = if outcome { second } else { first };
                    let qubit = LoneQubit { state, updated: now, since: other.since };
                    self.contents[cell as usize] = Content::Qubit(Box::new(qubit));
                }
                outcome
            }
        }
    }

    /// Errors that come to what is in a memory from outside.
    pub(crate) fn dephase(&mut self, cell: Cell, channel: &PauliChannel, now: Time) {
        let Content::Half(number, half) = self.contents[cell as usize] else {
            return self.disturb_single(cell, channel, now);
        };
        if !self.comparing.is_empty() && self.note_errors(number, half, channel) {
            return;
        }
        let budgeted = self.budgeted;
        let pair = &mut self.pairs[number as usize];
        pair.age(now, budgeted);
        pair.disturb(Source::Attempts, budgeted, |state| state.pauli_noise(half, channel));
    }

    /// A half that was handed out is part of no pair: nobody uses it.
    pub(crate) fn disclaim(&mut self, cell: Cell) {
        let Content::Half(number, half) = self.contents[cell as usize] else { return };
        self.pairs[number as usize].halves[half.index()].whereabouts = Whereabouts::Stored(cell);
    }

    /// A half is moved within its node into another kind of qubit, which leaves it random with probability `mixing`.
    pub(crate) fn relocate(&mut self, cell: Cell, mixing: f64, now: Time) {
        let noise = self.noise_of(cell);
        let Content::Half(number, half) = self.contents[cell as usize] else { return };
        let budgeted = self.budgeted;
        let pair = &mut self.pairs[number as usize];
        pair.age(now, budgeted);
        if mixing > 0.0 {
            pair.disturb(Source::Move, budgeted, |state| state.depolarise(half, mixing));
        }
        let held = &mut pair.halves[half.index()];
        (held.noise, held.since) = (noise, now);
    }

    /// Whether there is anything in a memory.
    pub(crate) fn holds(&self, cell: Cell) -> bool {
        !matches!(self.contents[cell as usize], Content::Nothing)
    }

    /// How many pairs there are.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs.len() - self.unused.len()
    }
}

//! What a node does to two pairs at once: swapping, and comparing them for purification.

use super::{PairState, choose};
use crate::StateError;
use crate::bell::{BellIndex, Purification, PurificationQuality, SwapQuality};
use crate::density::{DensityMatrix, Gate, Readout};
use crate::error::probability;
use core::f64::consts::FRAC_PI_2;

/// How a node measures two of its qubits in the Bell basis: a controlled NOT, a Hadamard gate and two readouts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BellMeasurement {
    mixing: f64,
    readouts: [Readout; 2],
}

impl BellMeasurement {
    /// Without errors.
    pub const PERFECT: Self = Self { mixing: 0.0, readouts: [Readout::PERFECT; 2] };

    /// A measurement whose two-qubit gate makes both qubits random with probability `mixing`; the readouts are that of the
    /// first qubit, which tells the phase, and of the second, which tells the bit.
    pub fn new(mixing: f64, readouts: [Readout; 2]) -> Result<Self, StateError> {
        probability("the mixing of a Bell measurement's gate", mixing)?;
        Ok(Self { mixing, readouts })
    }
    /// The probability that the two-qubit gate makes both qubits random.
    pub const fn mixing(&self) -> f64 {
        self.mixing
    }
    /// The readouts of the first qubit (phase) and the second (bit).
    pub const fn readouts(&self) -> [Readout; 2] {
        self.readouts
    }
    /// The same as a quality for Bell-diagonal rules, if the readouts err alike on 0 and 1.
    pub fn swap_quality(&self) -> Option<SwapQuality> {
        let [phase, bit] = self.readouts;
        if !(phase.is_symmetric() && bit.is_symmetric()) {
            return None;
        }
        SwapQuality::with_readouts(1.0 - self.mixing, 1.0 - phase.flips()[0], 1.0 - bit.flips()[0], 1.0).ok()
    }
}

/// How two ends compare two pairs: a controlled NOT and a readout at each end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    mixing: [f64; 2],
    readouts: [Readout; 2],
}

impl Comparison {
    /// Without errors.
    pub const PERFECT: Self = Self { mixing: [0.0; 2], readouts: [Readout::PERFECT; 2] };

    /// Ends whose two-qubit gates make both their qubits random with the probabilities `mixing`, and their readouts.
    pub fn new(mixing: [f64; 2], readouts: [Readout; 2]) -> Result<Self, StateError> {
        for mixing in mixing {
            probability("the mixing of a comparison's gate", mixing)?;
        }
        Ok(Self { mixing, readouts })
    }
    /// The same as a quality for Bell-diagonal rules, if the readouts err alike on 0 and 1.
    pub fn purification_quality(&self) -> Option<PurificationQuality> {
        if !self.readouts.iter().all(Readout::is_symmetric) {
            return None;
        }
        let gates = self.mixing.map(|mixing| 1.0 - mixing);
        PurificationQuality::unequal(gates, self.readouts.map(|readout| 1.0 - readout.flips()[0])).ok()
    }
}

/// One outcome of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What the two ends were told of the sacrificed pair. Equal bits keep.
    pub told: [bool; 2],
    /// How likely that was.
    pub probability: f64,
    /// The pair that is left, whether it is worth keeping or not.
    pub kept: PairState,
}

impl PairState {
    /// Swaps: measures the second qubit of this pair and the first of `other` in the Bell basis. Tells, for each outcome in
    /// the order of [`BellIndex::ALL`], its probability and the pair between the outer qubits, uncorrected: of two pairs
    /// in states `a` and `b` without errors, outcome `m` leaves `a ^ b ^ m`.
    ///
    /// Promotes where a pair is not Bell-diagonal or a readout errs differently on 0 and 1: outcomes are then not equally
    /// likely, and differ in fidelity.
    pub fn swap_outcomes(&self, other: &Self, device: &BellMeasurement) -> [(f64, Self); 4] {
        if let (Self::Bell(a), Self::Bell(b), Some(quality)) = (self, other, device.swap_quality()) {
            return a.swap_outcomes(b, &quality).map(|(probability, pair)| (probability, Self::Bell(pair)));
        }
        four_qubits(self, other)
            .bell_measured(1, 2, device.mixing, device.readouts)
            .map(|branch| (branch.probability, Self::Dense(branch.state.reduced(&[0, 3]))))
    }
    /// Swaps, the outcome chosen by a uniform random number from [0, 1). As [`swap_outcomes`](Self::swap_outcomes).
    pub fn swap(&self, other: &Self, device: &BellMeasurement, draw: f64) -> (BellIndex, Self) {
        if let (Self::Bell(a), Self::Bell(b), Some(quality)) = (self, other, device.swap_quality()) {
            let outcome = BellIndex::from_bits((4.0 * draw) as u8);
            return (outcome, Self::Bell(a.swap(b, &quality).reframed(outcome)));
        }
        let mut outcomes = self.swap_outcomes(other, device);
        let chosen = choose(&outcomes.each_ref().map(|(probability, _)| *probability), draw);
        (
            BellIndex::ALL[chosen],
            core::mem::replace(&mut outcomes[chosen].1, Self::Bell(crate::bell::BellDiagonal::MIXED)),
        )
    }

    /// Compares this pair with `sacrificed`, which is used up: of each outcome, told as 00, 01, 10 and 11, the probability
    /// and the pair that is left.
    ///
    /// Both pairs are told as they are, so that pairs in another frame than Φ⁺ are to be corrected beforehand. Promotes
    /// where a pair is not Bell-diagonal or a readout errs differently on 0 and 1.
    pub fn compare_outcomes(
        &self,
        sacrificed: &Self,
        how: Purification,
        device: &Comparison,
    ) -> [Compared; 4] {
        if let (Self::Bell(kept), Self::Bell(other), Some(quality)) =
            (self, sacrificed, device.purification_quality())
        {
            // The two ends' common bit is random, and tells nothing of the pair that is left.
            return TOLD.map(|told| {
                let quality = if told[0] == told[1] { quality } else { quality.odd() };
                let round = kept.purify(other, how, &quality);
                Compared { told, probability: 0.5 * round.success, kept: Self::Bell(round.kept) }
            });
        }
        let mut state = four_qubits(self, sacrificed);
        for qubit in 0..4 {
            match how {
                Purification::Bbpssw => {}
                Purification::Dejmps => {
                    state.apply(qubit, &Gate::rx(if qubit % 2 == 0 { FRAC_PI_2 } else { -FRAC_PI_2 }));
                }
                Purification::Phase => state.apply(qubit, &Gate::H),
            }
        }
        for (end, mixing) in device.mixing.into_iter().enumerate() {
            state.cnot(end, 2 + end);
            state.depolarise(&[end, 2 + end], mixing);
        }
        let firsts = state.measured(2, &device.readouts[0]);
        TOLD.map(|told| {
            let first = &firsts[usize::from(told[0])];
            let second = &first.state.measured(3, &device.readouts[1])[usize::from(told[1])];
            let mut kept = second.state.reduced(&[0, 1]);
            if how == Purification::Phase {
                kept.apply(0, &Gate::H);
                kept.apply(1, &Gate::H);
            }
            Compared { told, probability: first.probability * second.probability, kept: Self::Dense(kept) }
        })
    }
    /// Compares, the outcome chosen by a uniform random number from [0, 1). As
    /// [`compare_outcomes`](Self::compare_outcomes).
    pub fn compare(&self, sacrificed: &Self, how: Purification, device: &Comparison, draw: f64) -> Compared {
        let outcomes = self.compare_outcomes(sacrificed, how, device);
        let chosen = choose(&outcomes.each_ref().map(|outcome| outcome.probability), draw);
        let [a, b, c, d] = outcomes;
        match chosen {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        }
    }
}

/// What two ends can be told.
const TOLD: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

/// Both pairs, `first` on qubits 0 and 1.
fn four_qubits(first: &PairState, second: &PairState) -> DensityMatrix {
    first.density().tensor(&second.density()).expect("four qubits fit")
}

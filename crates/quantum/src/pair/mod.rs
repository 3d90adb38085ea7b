//! One pair in the cheapest form that is exact: four numbers while all that happens to it has exact rules for
//! Bell-diagonal pairs, a density matrix from the moment on when something has not.
//!
//! Promotion is automatic and free of approximation. The way back is a twirl, which throws knowledge away: only the caller
//! can ask for it, and it is counted in [`Demotions`].
//!
//! States are absolute: Ψ⁺ is Ψ⁺, whatever frame a protocol has in mind.

mod joint;

pub use joint::{BellMeasurement, Compared, Comparison};

use crate::aged::Ages;
use crate::bell::{BellDiagonal, BellIndex, PauliChannel};
use crate::density::{Axis, Channel, Correlations, DensityMatrix, Gate, Readout};
use crate::heralded::HeraldedState;
use crate::{Decay, Half, MemoryNoise, StateError};

/// The state of a pair, in the cheapest form that is exact.
#[derive(Clone, Debug, PartialEq)]
pub enum PairState {
    /// Bell-diagonal.
    Bell(BellDiagonal),
    /// Anything else: two qubits, the first half first. Made by `From`, which sees to it that there are two.
    Dense(DensityMatrix),
}

/// How often pairs were made Bell-diagonal that were not, and what that cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demotions {
    /// How many twirls threw something away.
    pub count: u64,
    /// The largest matrix entry that one of them took away, as an absolute value.
    pub largest: f64,
    /// The sum over all of them of the largest entry that each took away.
    pub total: f64,
}

impl From<BellDiagonal> for PairState {
    fn from(pair: BellDiagonal) -> Self {
        Self::Bell(pair)
    }
}
impl From<HeraldedState> for PairState {
    fn from(state: HeraldedState) -> Self {
        state.bell_diagonal().map_or_else(|| Self::Dense(state.into()), Self::Bell)
    }
}
impl TryFrom<DensityMatrix> for PairState {
    type Error = StateError;
    /// Fails unless there are two qubits.
    fn try_from(state: DensityMatrix) -> Result<Self, StateError> {
        if state.qubits() == 2 {
            Ok(Self::Dense(state))
        } else {
            Err(StateError::WrongSize { found: state.entries().len(), wanted: 16 })
        }
    }
}
impl From<PairState> for DensityMatrix {
    fn from(pair: PairState) -> Self {
        match pair {
            PairState::Bell(pair) => pair.into(),
            PairState::Dense(state) => state,
        }
    }
}

impl PairState {
    /// The pair's density matrix, to look at.
    pub fn density(&self) -> DensityMatrix {
        self.clone().into()
    }
    /// The pair as a density matrix, to do something to that has no rule for Bell-diagonal pairs. It stays one.
    pub fn promoted(&mut self) -> &mut DensityMatrix {
        if let Self::Bell(pair) = *self {
            *self = Self::Dense(pair.into());
        }
        match self {
            Self::Dense(state) => state,
            Self::Bell(_) => unreachable!("it was promoted"),
        }
    }
    /// Whether it is told by four numbers.
    pub const fn is_bell_diagonal(&self) -> bool {
        matches!(self, Self::Bell(_))
    }
    /// The pair with its halves exchanged.
    pub fn exchanged(&self) -> Self {
        match self {
            // Ψ⁻ changes its sign only.
            Self::Bell(pair) => Self::Bell(*pair),
            Self::Dense(state) => Self::Dense(state.reordered(&[1, 0])),
        }
    }
    /// Makes the pair Bell-diagonal as random Pauli operators on both halves would, and counts what that took away.
    pub fn twirl(&mut self, demotions: &mut Demotions) {
        if let Self::Dense(state) = self {
            let lost = state.off_bell_diagonal();
            if lost > 1e-12 {
                demotions.count += 1;
                demotions.largest = f64::max(demotions.largest, lost);
                demotions.total += lost;
            }
            *self = Self::Bell(state.pauli_twirled(0, 1));
        }
    }

    /// The fidelities to the four Bell states, in the order of [`BellIndex::ALL`].
    pub fn bell_probabilities(&self) -> [f64; 4] {
        match self {
            Self::Bell(pair) => pair.probabilities(),
            Self::Dense(state) => state.bell_probabilities(0, 1),
        }
    }
    /// The fidelity to a Bell state.
    pub fn fidelity(&self, index: BellIndex) -> f64 {
        self.bell_probabilities()[index.index()]
    }
    /// The concurrence.
    pub fn concurrence(&self) -> f64 {
        match self {
            Self::Bell(pair) => pair.concurrence(),
            Self::Dense(state) => state.concurrence(),
        }
    }
    /// The Pauli correlations of the two halves.
    pub fn correlations(&self) -> Correlations {
        match self {
            Self::Bell(pair) => pair.correlations(),
            Self::Dense(state) => state.correlations(),
        }
    }

    /// Applies the Pauli operator of a frame to one half, without error.
    pub fn correct(&mut self, half: Half, frame: BellIndex) {
        match self {
            Self::Bell(pair) => *pair = pair.reframed(frame),
            Self::Dense(state) => state.pauli(half.index(), frame),
        }
    }
    /// Applies Pauli noise to one half.
    pub fn pauli_noise(&mut self, half: Half, channel: &PauliChannel) {
        match self {
            Self::Bell(pair) => *pair = pair.after(channel),
            Self::Dense(state) => state.pauli_noise(half.index(), channel),
        }
    }
    /// Makes one half random with probability `mixing`.
    pub fn depolarise(&mut self, half: Half, mixing: f64) {
        match self {
            Self::Bell(pair) => *pair = pair.depolarised(mixing),
            Self::Dense(state) => state.depolarise(&[half.index()], mixing),
        }
    }
    /// Relaxes one half towards |0⟩; see [`DensityMatrix::relax`]. Promotes, unless nothing relaxes.
    pub fn relax(&mut self, half: Half, gamma: f64, coherence: f64) {
        self.bloch(half, [coherence, coherence, 1.0 - gamma], 1.0);
    }
    /// Applies a gate to one half. Promotes; for Pauli operators see [`correct`](Self::correct).
    pub fn apply(&mut self, half: Half, gate: &Gate) {
        self.promoted().apply(half.index(), gate);
    }
    /// Applies any channel on one qubit to one half. Promotes.
    ///
    /// Panics unless the channel acts on one qubit.
    pub fn apply_channel(&mut self, half: Half, channel: &Channel) {
        self.promoted().apply_channel(&[half.index()], channel);
    }
    fn bloch(&mut self, half: Half, factors: [f64; 3], equilibrium: f64) {
        match self {
            Self::Bell(pair) if equilibrium == 0.0 || factors[2] == 1.0 => *pair = pair.shrunk(factors),
            _ => self.promoted().bloch(half.index(), factors, equilibrium),
        }
    }

    /// The probabilities of what is told when both halves are measured along `axes` and read by `readouts`: of 00, 01, 10
    /// and 11, the first half's outcome first. Exact in both forms, for any axes and readouts.
    pub fn outcomes(&self, axes: [Axis; 2], readouts: [Readout; 2]) -> [f64; 4] {
        self.correlations().outcomes(axes, readouts)
    }
    /// Measures both halves, which uses the pair up. `draw` is a uniform random number from [0, 1), which chooses among the
    /// outcomes of [`outcomes`](Self::outcomes).
    pub fn measure(self, axes: [Axis; 2], readouts: [Readout; 2], draw: f64) -> [bool; 2] {
        let chosen = choose(&self.outcomes(axes, readouts), draw);
        [chosen & 2 != 0, chosen & 1 != 0]
    }
    /// The branches of measuring one half along `axis`: of each outcome told the probability, and the state of the other
    /// half alone. Remote state preparation is this.
    pub fn steered(&self, half: Half, axis: Axis, readout: Readout) -> [(f64, DensityMatrix); 2] {
        let mut state = self.density();
        state.apply(half.index(), &axis.onto_z());
        state
            .measured(half.index(), &readout)
            .map(|branch| (branch.probability, branch.state.reduced(&[half.other().index()])))
    }
}

impl Ages for PairState {
    fn admits(&self, _noise: &MemoryNoise) -> bool {
        true
    }
    fn age(&mut self, decays: [Decay; 2]) {
        match self {
            Self::Bell(pair) if decays.iter().all(|d| d.is_nothing() || d.equilibrium() == 0.0) => {
                pair.age(decays);
            }
            _ => self.promoted().age(decays),
        }
    }
}

/// The number of the case that a uniform random number from [0, 1) chooses; rounding falls to the last possible one.
fn choose(probabilities: &[f64], draw: f64) -> usize {
    let total: f64 = probabilities.iter().sum();
    let mut left = draw * total;
    let mut last = 0;
    for (case, p) in probabilities.iter().enumerate() {
        if *p > 0.0 {
            last = case;
            if left < *p {
                return case;
            }
            left -= p;
        }
    }
    last
}

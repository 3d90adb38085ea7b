//! Every rule for Bell-diagonal pairs against the same circuit on density matrices, over random pairs and qualities.

use super::{cases, four, pair, pauli};
use bellwether_quantum::Complex64;
use bellwether_quantum::bell::*;
use bellwether_quantum::density::*;
use core::f64::consts::FRAC_PI_2;
use proptest::prelude::*;

/// How far a rule may be from the circuit: rounding only.
const TOLERANCE: f64 = 1e-10;

#[track_caller]
fn assert_same(what: &str, exact: &DensityMatrix, rule: &BellDiagonal) {
    let wanted = DensityMatrix::from(*rule);
    for (a, b) in exact.entries().iter().zip(wanted.entries()) {
        assert!((a - b).norm_sqr() < TOLERANCE * TOLERANCE, "{what}: {exact:?} is not {rule:?}");
    }
}

/// Pairs on qubits 0 and 1, 2 and 3, and so on.
fn beside(pairs: &[BellDiagonal]) -> DensityMatrix {
    let mut all = DensityMatrix::zeros(0).unwrap();
    for pair in pairs {
        all = all.tensor(&DensityMatrix::from(*pair)).unwrap();
    }
    all
}

/// Bilateral controlled NOTs between the pairs whose first qubits are `control` and `target`, with gates at both ends that
/// work with probabilities `gates`.
fn bilateral(state: &mut DensityMatrix, control: usize, target: usize, gates: [f64; 2]) {
    for (end, gate) in gates.into_iter().enumerate() {
        state.cnot(control + end, target + end);
        state.depolarise(&[control + end, target + end], 1.0 - gate);
    }
}

/// The state when the two readouts of the pair that begins at `first` agree, weighted by the probability of that.
fn agreeing(state: &DensityMatrix, first: usize, readouts: [f64; 2]) -> Vec<Branch> {
    let [a, b] = readouts.map(|quality| Readout::symmetric(quality).unwrap());
    let mut branches = Vec::new();
    for (told, branch) in state.measured(first, &a).into_iter().enumerate() {
        let [zero, one] = branch.state.measured(first + 1, &b);
        let second = if told == 0 { zero } else { one };
        branches.push(Branch { probability: branch.probability * second.probability, state: second.state });
    }
    branches
}

/// The probability of the branches together, and the state of qubits 0 and 1 averaged over them.
fn averaged(branches: &[Branch]) -> (f64, DensityMatrix) {
    let total: f64 = branches.iter().map(|branch| branch.probability).sum();
    let mut entries = vec![Complex64::new(0.0, 0.0); 16];
    for branch in branches {
        for (sum, entry) in entries.iter_mut().zip(branch.state.reduced(&[0, 1]).entries()) {
            *sum += entry * (branch.probability / total);
        }
    }
    (total, DensityMatrix::from_entries(&entries).unwrap())
}

fn quality() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.3..1.0f64, 1 => Just(1.0)]
}

fn end_quality() -> impl Strategy<Value = ([f64; 2], [f64; 2])> {
    ([quality(), quality()], [quality(), quality()])
}

proptest! {
    #![proptest_config(cases(200, 1))]

    #[test]
    fn pauli_noise_on_either_half(pair in pair(), channel in pauli(), next in pauli()) {
        let rule = pair.after(&channel);
        for half in 0..2 {
            let mut exact = DensityMatrix::from(pair);
            exact.pauli_noise(half, &channel);
            assert_same("one half", &exact, &rule);
            exact.pauli_noise(1 - half, &next);
            assert_same("both halves", &exact, &pair.after(&channel.then(&next)));
        }
        // The same by Kraus operators.
        let kraus = BellIndex::ALL.map(|index| {
            Operator::from(Gate::pauli(index)).scaled(channel.probabilities()[index.index()].sqrt())
        });
        let mut exact = DensityMatrix::from(pair);
        exact.apply_channel(&[1], &Channel::new(kraus.to_vec()).unwrap());
        assert_same("Kraus", &exact, &rule);
    }

    #[test]
    fn dephasing_and_depolarisation(pair in pair(), coherence in 0.0..1.0f64, half in 0..2usize) {
        let mut exact = DensityMatrix::from(pair);
        exact.dephase(half, coherence);
        assert_same("dephasing", &exact, &pair.after(&PauliChannel::dephasing(coherence).unwrap()));
        let mut exact = DensityMatrix::from(pair);
        exact.depolarise(&[half], coherence);
        assert_same("depolarisation", &exact, &pair.depolarised(coherence));
        assert_same("the channel", &exact, &pair.after(&PauliChannel::depolarising(coherence).unwrap()));
    }

    /// The twirl of relaxation has the fidelity that relaxation leaves on average over the four Bell states.
    #[test]
    fn relaxation_twirls_to_its_pauli_channel(gamma in 0.0..1.0f64, share in 0.0..1.0f64, half in 0..2usize) {
        let coherence = share * (1.0 - gamma).sqrt();
        let twirl = PauliChannel::twirled_relaxation(gamma, coherence).unwrap();
        let mut mean = [0.0; 4];
        for index in BellIndex::ALL {
            let mut exact = DensityMatrix::bell(index);
            exact.relax(half, gamma, coherence);
            let p = exact.pauli_twirled(0, 1).reframed(index).probabilities();
            for (mean, p) in mean.iter_mut().zip(p) {
                *mean += 0.25 * p;
            }
        }
        let exact = DensityMatrix::from(BellDiagonal::new(mean).unwrap());
        assert_same("twirl", &exact, &BellDiagonal::PERFECT.after(&twirl));
    }

    #[test]
    fn swapping(
        a in pair(), b in pair(), frames in (0..4u8, 0..4u8),
        gate in quality(), readouts in [quality(), quality()], correction in quality(),
    ) {
        let [phase, bit] = readouts;
        let rule = a.swap(&b, &SwapQuality::with_readouts(gate, phase, bit, correction).unwrap());
        let frames = (BellIndex::from_bits(frames.0), BellIndex::from_bits(frames.1));
        let state = beside(&[a.reframed(frames.0), b.reframed(frames.1)]);
        let readouts = readouts.map(|quality| Readout::symmetric(quality).unwrap());
        let branches = state.bell_measured(1, 2, 1.0 - gate, readouts);
        for (outcome, branch) in BellIndex::ALL.into_iter().zip(branches) {
            prop_assert!((branch.probability - 0.25).abs() < TOLERANCE);
            let mut end = branch.state.reduced(&[0, 3]);
            end.apply(1, &Gate::pauli(frames.0 ^ frames.1 ^ outcome));
            end.depolarise(&[1], 1.0 - correction);
            assert_same("swap", &end, &rule);
        }
    }

    #[test]
    fn recurrence(
        kept in pair(), sacrificed in pair(),
        how in prop::sample::select(vec![Purification::Bbpssw, Purification::Dejmps, Purification::Phase]),
        (gates, readouts) in end_quality(),
    ) {
        let quality = PurificationQuality::unequal(gates, readouts).unwrap();
        let rule = kept.purify(&sacrificed, how, &quality);
        let mut state = beside(&[kept, sacrificed]);
        for qubit in 0..4 {
            match how {
                Purification::Bbpssw => {}
                Purification::Dejmps => {
                    state.apply(qubit, &Gate::rx(if qubit % 2 == 0 { FRAC_PI_2 } else { -FRAC_PI_2 }));
                }
                Purification::Phase => state.apply(qubit, &Gate::H),
            }
        }
        bilateral(&mut state, 0, 2, gates);
        let (success, mut exact) = averaged(&agreeing(&state, 2, readouts));
        if how == Purification::Phase {
            exact.apply(0, &Gate::H);
            exact.apply(1, &Gate::H);
        }
        prop_assert!((success - rule.success).abs() < TOLERANCE);
        assert_same("purified", &exact, &rule.kept);
    }
}

proptest! {
    #![proptest_config(cases(40, 2))]

    #[test]
    fn double_selection(
        pairs in [pair(), pair(), pair()],
        inner in end_quality(),
        outer in end_quality(),
    ) {
        let [kept, first, second] = pairs;
        let quality = DoubleSelection {
            inner: PurificationQuality::unequal(inner.0, inner.1).unwrap(),
            outer: PurificationQuality::unequal(outer.0, outer.1).unwrap(),
        };
        let rule = kept.double_selection(&first, &second, &quality);
        let mut state = beside(&[kept, first, second]);
        bilateral(&mut state, 0, 2, inner.0);
        bilateral(&mut state, 4, 2, outer.0);
        state.apply(4, &Gate::H);
        state.apply(5, &Gate::H);
        let mut branches = Vec::new();
        for branch in agreeing(&state, 2, inner.1) {
            for last in agreeing(&branch.state, 4, outer.1) {
                branches.push(Branch { probability: branch.probability * last.probability, state: last.state });
            }
        }
        let (success, exact) = averaged(&branches);
        prop_assert!((success - rule.success).abs() < TOLERANCE);
        assert_same("double selection", &exact, &rule.kept);
    }

    #[test]
    fn twirls_and_conversions(p in four()) {
        let pair = BellDiagonal::new(p).unwrap();
        let exact = DensityMatrix::from(pair);
        assert_same("conversion", &DensityMatrix::from(exact.pauli_twirled(0, 1)), &pair);
        prop_assert!((pair.twirled().fidelity() - pair.fidelity()).abs() < TOLERANCE);
        prop_assert!((pair.concurrence() - exact.concurrence()).abs() < TOLERANCE);
        prop_assert!((pair.entropy() - exact.entropy()).abs() < 1e-9);
    }
}

//! What quantum mechanics forbids: messages by entanglement alone, and entanglement by messages alone.

use super::{assert_near, stream};
use bellwether_quantum::Complex64;
use bellwether_quantum::bell::*;
use bellwether_quantum::density::*;
use bellwether_quantum::pair::*;
use bellwether_quantum::tableau::*;
use bellwether_units::Stream;

fn gate(stream: &mut Stream) -> Gate {
    match stream.below(4) {
        0 => Gate::rx(7.0 * stream.uniform()),
        1 => Gate::ry(7.0 * stream.uniform()),
        2 => Gate::rz(7.0 * stream.uniform()),
        _ => Gate::H,
    }
}

/// A random state: gates everywhere, some noise.
fn random_state(stream: &mut Stream, qubits: usize) -> DensityMatrix {
    let mut state = DensityMatrix::zeros(qubits).unwrap();
    for _ in 0..4 * qubits {
        let first = stream.below(qubits as u64) as usize;
        let second = stream.below(qubits as u64) as usize;
        state.apply(first, &gate(stream));
        if first != second {
            state.cnot(first, second);
        }
    }
    for qubit in 0..qubits {
        state.depolarise(&[qubit], 0.2 * stream.uniform());
    }
    state
}

/// A measurement of one qubit that is neither projective nor symmetric: two Kraus operators along a random axis.
fn weak_measurement(stream: &mut Stream) -> Instrument {
    let turn = gate(stream);
    let [p, q] = [stream.uniform(), stream.uniform()];
    let diagonal = |a: f64, b: f64| {
        // diag(a, b) after the turn.
        let m = turn.matrix();
        let entries: Vec<Complex64> = (0..2)
            .flat_map(|row| (0..2).map(move |column| m[row][column] * if row == 0 { a } else { b }))
            .collect();
        Operator::new(&entries).unwrap()
    };
    Instrument::new(vec![
        vec![diagonal(p.sqrt(), q.sqrt())],
        vec![diagonal((1.0 - p).sqrt(), (1.0 - q).sqrt())],
    ])
    .unwrap()
}

/// The mean of branches: what is there when nobody tells the outcome.
fn mean(branches: &[Branch], keep: &[usize]) -> Vec<Complex64> {
    let mut sum = vec![Complex64::new(0.0, 0.0); 1 << (2 * keep.len())];
    for branch in branches {
        for (sum, entry) in sum.iter_mut().zip(branch.state.reduced(keep).entries()) {
            *sum += entry * branch.probability;
        }
    }
    sum
}

#[test]
fn nothing_done_far_away_changes_a_local_state() {
    for number in 0..300 {
        let mut stream = stream(30_000 + number);
        let qubits = 2 + stream.below(3) as usize;
        let near: Vec<usize> = (0..1 + stream.below(qubits as u64 - 1) as usize).collect();
        let mut state = random_state(&mut stream, qubits);
        let before = state.reduced(&near);
        let mut far = || near.len() + stream.below((qubits - near.len()) as u64) as usize;
        let (q, r) = (far(), far());
        let p = stream.uniform();
        let branches = match stream.below(8) {
            0 => state.measured(q, &Readout::new(p, 0.5 * p).unwrap()).to_vec(),
            1 => state.instrument(&[q], &weak_measurement(&mut stream)),
            2 if q != r => {
                let readouts = [Readout::new(0.1 * p, 0.2).unwrap(), Readout::PERFECT];
                state.bell_measured(q, r, 0.3 * p, readouts).to_vec()
            }
            choice => {
                match choice {
                    3 => state.relax(q, p, (1.0 - p).sqrt()),
                    4 => state.apply(q, &gate(&mut stream)),
                    5 => state.dephase(q, p),
                    6 => state.reset(q),
                    _ if q != r => state.cnot(q, r),
                    _ => state.discard(q),
                }
                vec![Branch { probability: 1.0, state }]
            }
        };
        for (a, b) in mean(&branches, &near).iter().zip(before.entries()) {
            assert!((a - b).norm_sqr() < 1e-24, "case {number}: a far operation is seen here");
        }
    }
}

/// A local qubit of a pair, and of a GHZ state, is 1 as often whatever is measured far away: 10^6 samples each, 3 standard
/// deviations.
#[test]
fn a_far_setting_does_not_change_local_outcomes() {
    const SAMPLES: u32 = 1_000_000;
    let mut stream = stream(31);
    let mut ghz = Tableau::zeros(3);
    ghz.apply(0, Clifford::H);
    ghz.cnot(0, 1);
    ghz.cnot(1, 2);
    for setting in [None, Some(None), Some(Some(Clifford::H)), Some(Some(Clifford::SqrtX))] {
        let mut ones = 0;
        let mut bits = 0;
        for sample in 0..SAMPLES {
            if sample % 16 == 0 {
                bits = stream.bits();
            }
            let mut state = ghz.clone();
            if let Some(turn) = setting {
                if let Some(turn) = turn {
                    state.apply(2, turn);
                }
                state.measure(2, bits & 1 == 1);
            }
            state.apply(0, if sample % 2 == 0 { Clifford::H } else { Clifford::X });
            ones += u32::from(state.measure(0, bits & 2 == 2).outcome);
            bits >>= 4;
        }
        let deviation = 0.5 * f64::from(SAMPLES).sqrt();
        let off = f64::from(ones) - 0.5 * f64::from(SAMPLES);
        assert!(off.abs() < 3.0 * deviation, "{setting:?}: {ones} of {SAMPLES}");
    }
}

/// Qubits 0 and 1 are at one end, 2 and 3 at the other. Random local operations and messages never raise the mean
/// logarithmic negativity, nor the mean negativity.
#[test]
fn local_operations_and_messages_make_no_entanglement() {
    for number in 0..60 {
        let mut stream = stream(32_000 + number);
        let mut all = vec![(1.0, random_state(&mut stream, 4))];
        let means = |all: &[(f64, DensityMatrix)]| {
            let mean = |of: &dyn Fn(&DensityMatrix) -> f64| all.iter().map(|(p, s)| p * of(s)).sum::<f64>();
            [mean(&|s| s.log_negativity(&[0, 1])), mean(&|s| s.negativity(&[0, 1]))]
        };
        let mut before = means(&all);
        for _ in 0..6 {
            let end = 2 * stream.below(2) as usize;
            let qubit = end + stream.below(2) as usize;
            let p = 0.5 * stream.uniform();
            match stream.below(6) {
                0 => {
                    let turn = gate(&mut stream);
                    all.iter_mut().for_each(|(_, s)| {
                        s.apply(qubit, &turn);
                        s.cnot(end, end + 1);
                    });
                }
                1 => all.iter_mut().for_each(|(_, s)| s.relax(qubit, p, (1.0 - p).sqrt())),
                2 => all.iter_mut().for_each(|(_, s)| s.dephase(qubit, p)),
                3 => all.iter_mut().for_each(|(_, s)| s.depolarise(&[end, end + 1], p)),
                _ if all.len() <= 4 => {
                    // A measurement, of which the other end is told and does something else for each outcome.
                    let instrument = weak_measurement(&mut stream);
                    let answers = [gate(&mut stream), gate(&mut stream)];
                    let mut next = Vec::new();
                    for (p, state) in &all {
                        for (branch, answer) in
                            state.instrument(&[qubit], &instrument).into_iter().zip(&answers)
                        {
                            let mut state = branch.state;
                            state.apply(2 - end, answer);
                            next.push((p * branch.probability, state));
                        }
                    }
                    all = next;
                }
                _ => {}
            }
            let after = means(&all);
            for (after, before) in after.into_iter().zip(before) {
                assert!(after <= before + 1e-9, "program {number}: from {before} to {after}");
            }
            before = after;
        }
    }
}

/// For two qubits the entanglement of formation never rises either, on average over a local filter's outcomes.
#[test]
fn filters_do_not_raise_the_mean_entanglement_of_formation() {
    for number in 0..300 {
        let mut stream = stream(33_000 + number);
        let state = random_state(&mut stream, 2);
        let qubit = stream.below(2) as usize;
        let branches = state.instrument(&[qubit], &weak_measurement(&mut stream));
        let formation: f64 =
            branches.iter().map(|b| b.probability * b.state.entanglement_of_formation()).sum();
        let concurrence: f64 = branches.iter().map(|b| b.probability * b.state.concurrence()).sum();
        assert!(formation <= state.entanglement_of_formation() + 1e-9, "case {number}");
        assert!(concurrence <= state.concurrence() + 1e-9, "case {number}");
    }
}

/// What nodes do to pairs, in whatever form: a swap leaves at most what the worse pair had, a comparison at most what both
/// had together.
#[test]
fn swaps_and_purification_make_no_entanglement() {
    let entanglement = |pair: &PairState| pair.density().log_negativity(&[0]);
    for number in 0..500 {
        let mut stream = stream(34_000 + number);
        let mut pair = || {
            let w = [4.0 * stream.uniform(), stream.uniform(), stream.uniform(), stream.uniform()];
            let sum: f64 = w.iter().sum();
            let mut pair = PairState::from(BellDiagonal::new(w.map(|w| w / sum)).unwrap());
            if stream.below(3) == 0 {
                pair.relax(bellwether_quantum::Half::Second, 0.3 * stream.uniform(), 0.8);
            }
            pair
        };
        let (a, b) = (pair(), pair());
        let readouts = [Readout::symmetric(0.9 + 0.1 * stream.uniform()).unwrap(); 2];
        let device = BellMeasurement::new(0.1 * stream.uniform(), readouts).unwrap();
        let swapped = a.swap_outcomes(&b, &device);
        let mean: f64 = swapped.iter().map(|(p, pair)| p * entanglement(pair)).sum();
        let worse = f64::min(entanglement(&a), entanglement(&b));
        assert!(mean <= worse + 1e-9, "case {number}: a swap made {mean} of {worse}");
        let how = [Purification::Bbpssw, Purification::Dejmps, Purification::Phase][stream.below(3) as usize];
        let device = Comparison::new([0.1 * stream.uniform(), 0.0], readouts).unwrap();
        let mean: f64 = a
            .compare_outcomes(&b, how, &device)
            .iter()
            .map(|outcome| outcome.probability * entanglement(&outcome.kept))
            .sum();
        let both = entanglement(&a) + entanglement(&b);
        assert!(mean <= both + 1e-9, "case {number}: a comparison made {mean} of {both}");
    }
}

/// Measures of entanglement where they are known.
#[test]
fn measures_have_their_known_values() {
    for fidelity in [0.3, 0.5, 0.75, 1.0] {
        let werner = DensityMatrix::from(BellDiagonal::werner(fidelity).unwrap());
        assert_near("concurrence", werner.concurrence(), f64::max(0.0, 2.0 * fidelity - 1.0), 1e-10);
        assert_near("negativity", werner.negativity(&[1]), f64::max(0.0, fidelity - 0.5), 1e-10);
    }
    // cos θ|00⟩ + sin θ|11⟩ has concurrence sin 2θ, and the entropy of one qubit as its entanglement.
    for theta in [0.0f64, 0.1, 0.5, core::f64::consts::FRAC_PI_4] {
        let zero = Complex64::new(0.0, 0.0);
        let pure = DensityMatrix::pure(&[theta.cos().into(), zero, zero, theta.sin().into()]).unwrap();
        assert_near("concurrence", pure.concurrence(), (2.0 * theta).sin(), 1e-7);
        assert_near("formation", pure.entanglement_of_formation(), pure.reduced(&[0]).entropy(), 1e-6);
        assert_near("entropy", pure.entropy(), 0.0, 1e-9);
        assert_near("purity", pure.purity(), 1.0, 1e-12);
    }
    let teleport = DensityMatrix::from(BellDiagonal::werner(0.9).unwrap());
    assert_near(
        "teleportation",
        teleport.teleportation_fidelity(0, 1, BellIndex::PHI_PLUS),
        2.8 / 3.0,
        1e-12,
    );
}

//! Ten thousand random noisy circuits each: tableaux against density matrices, density matrices against another author's
//! crate, and pairs in all three tiers. A failure names the circuit's number, which is its seed.

use super::ensemble::Ensemble;
use super::stream;
use bellwether_quantum::Complex64;
use bellwether_quantum::bell::*;
use bellwether_quantum::density::*;
use bellwether_quantum::tableau::*;
use bellwether_units::Stream;

const CIRCUITS: u64 = 10_000;

/// Exact comparison: rounding only.
const TOLERANCE: f64 = 1e-10;

fn pick<T: Copy>(stream: &mut Stream, from: &[T]) -> T {
    from[stream.below(from.len() as u64) as usize]
}

/// Two qubits that differ.
fn two(stream: &mut Stream, qubits: usize) -> (usize, usize) {
    let first = stream.below(qubits as u64) as usize;
    let second = stream.below(qubits as u64 - 1) as usize;
    (first, second + usize::from(second >= first))
}

fn channel(stream: &mut Stream) -> PauliChannel {
    let weights = [stream.uniform() * 3.0, stream.uniform(), stream.uniform(), stream.uniform()];
    let sum: f64 = weights.iter().sum();
    PauliChannel::new(weights.map(|w| w / sum)).unwrap()
}

#[track_caller]
fn assert_equal(circuit: u64, found: &[Complex64], wanted: &[Complex64]) {
    assert_eq!(found.len(), wanted.len());
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        let off = (a - b).norm_sqr().sqrt();
        assert!(off < TOLERANCE, "circuit {circuit}: entry {i} is {a} instead of {b}");
    }
}

#[test]
fn tableaux_agree_with_density_matrices() {
    for circuit in 0..CIRCUITS {
        let mut stream = stream(1_000_000 + circuit);
        let qubits = 2 + stream.below(3) as usize;
        let mut exact = DensityMatrix::zeros(qubits).unwrap();
        let mut all = Ensemble::zeros(qubits);
        let mut noises = 0;
        for _ in 0..6 + stream.below(12) {
            let qubit = stream.below(qubits as u64) as usize;
            let (a, b) = two(&mut stream, qubits);
            match stream.below(9) {
                0..3 => {
                    let gate = pick(&mut stream, &Clifford::ALL);
                    exact.apply(qubit, &gate.into());
                    all.each(|tableau| tableau.apply(qubit, gate));
                }
                3 | 4 => {
                    exact.cnot(a, b);
                    all.each(|tableau| tableau.cnot(a, b));
                }
                5 => {
                    exact.apply_two(a, b, &TwoQubitGate::CZ);
                    all.each(|tableau| tableau.cz(a, b));
                }
                6 => {
                    exact.apply_two(a, b, &TwoQubitGate::SWAP);
                    all.each(|tableau| tableau.swap(a, b));
                }
                7 if noises < 2 => {
                    noises += 1;
                    let channel = channel(&mut stream);
                    exact.pauli_noise(qubit, &channel);
                    all.noise(qubit, &channel);
                }
                _ => {
                    // A measurement that is told wrong at times, of which one result is followed.
                    let readout = Readout::new(0.1 * stream.uniform(), 0.1 * stream.uniform()).unwrap();
                    let told = stream.bits() & 1 == 1;
                    let [zero, one] = exact.measured(qubit, &readout);
                    let branch = if told { one } else { zero };
                    let before = all.weight();
                    let mut next = all.clone();
                    next.measured(qubit, told, &readout);
                    let probability = next.weight() / before;
                    assert!(
                        (branch.probability - probability).abs() < TOLERANCE,
                        "circuit {circuit}: {} or {probability}",
                        branch.probability
                    );
                    if branch.probability > 1e-3 && next.0.len() <= 64 {
                        (exact, all) = (branch.state, next);
                    }
                }
            }
        }
        assert_equal(circuit, &all.density(), exact.entries());
    }
}

/// The same operations in `qsimulator`, whose qubit 0 is the lowest bit: our qubit q is its qubit n - 1 - q.
#[test]
fn density_matrices_agree_with_another_crate() {
    use qsimulator::{gates, noise};
    for circuit in 0..CIRCUITS {
        let mut stream = stream(2_000_000 + circuit);
        let qubits = 2 + stream.below(3) as usize;
        let mut ours = DensityMatrix::zeros(qubits).unwrap();
        let mut theirs = qsimulator::density::DensityMatrix::new(qubits);
        for _ in 0..6 + stream.below(12) {
            let qubit = stream.below(qubits as u64) as usize;
            let (a, b) = two(&mut stream, qubits);
            let [q, c, t] = [qubit, a, b].map(|q| qubits - 1 - q);
            let angle = 7.0 * stream.uniform();
            let p = stream.uniform();
            match stream.below(14) {
                0 | 1 => {
                    let gates = [
                        (Gate::X, gates::x()),
                        (Gate::Y, gates::y()),
                        (Gate::Z, gates::z()),
                        (Gate::H, gates::h()),
                        (Gate::S, gates::s()),
                        (Gate::S_INVERSE, gates::sdg()),
                        (Gate::T, gates::t()),
                    ];
                    let (our, their) = pick(&mut stream, &gates);
                    ours.apply(qubit, &our);
                    theirs.apply_1q(&their, q);
                }
                2 if p < 0.3 => {
                    let index = BellIndex::from_bits((angle * 100.0) as u8);
                    ours.pauli(qubit, index);
                    let operators = [gates::id(), gates::z(), gates::x(), gates::y()];
                    theirs.apply_1q(&operators[index.index()], q);
                }
                2 | 3 => {
                    let (our, their) = match stream.below(3) {
                        0 => (Gate::rx(angle), gates::rx(angle)),
                        1 => (Gate::ry(angle), gates::ry(angle)),
                        _ => (Gate::rz(angle), gates::rz(angle)),
                    };
                    ours.apply(qubit, &our);
                    theirs.apply_1q(&their, q);
                }
                4 | 5 => {
                    // Once by exchanging entries, once as a matrix.
                    if p < 0.5 {
                        ours.cnot(a, b)
                    } else {
                        ours.apply_two(a, b, &TwoQubitGate::CNOT)
                    }
                    theirs.apply_controlled_1q(&gates::x(), c, t);
                }
                6 => {
                    if p < 0.5 {
                        ours.cz(a, b)
                    } else {
                        ours.apply_two(a, b, &TwoQubitGate::CZ)
                    }
                    theirs.apply_controlled_1q(&gates::z(), c, t);
                }
                7 => {
                    // An arbitrary controlled rotation, ours as a matrix on the two qubits.
                    let gate = gates::ry(angle);
                    let mut matrix = [Complex64::new(0.0, 0.0); 16];
                    matrix[0].re = 1.0;
                    matrix[5].re = 1.0;
                    for row in 0..2 {
                        for column in 0..2 {
                            matrix[4 * (2 + row) + 2 + column] = gate[row][column];
                        }
                    }
                    ours.apply_operator(&[a, b], &Operator::new(&matrix).unwrap().unitary().unwrap());
                    theirs.apply_controlled_1q(&gate, c, t);
                }
                8 => {
                    ours.relax(qubit, p, (1.0 - p).sqrt());
                    theirs.apply_kraus(&noise::amplitude_damping(p), q);
                }
                9 => {
                    ours.dephase(qubit, (1.0 - p).sqrt());
                    theirs.apply_kraus(&noise::phase_damping(p), q);
                }
                10 => {
                    let mixing = DepolarisingParameter::Error(0.75 * p).mixing(1).unwrap();
                    ours.depolarise(&[qubit], mixing);
                    theirs.apply_kraus(&noise::depolarizing(0.75 * p), q);
                }
                11 => {
                    ours.pauli_noise(qubit, &PauliChannel::bit_flip(p).unwrap());
                    theirs.apply_kraus(&noise::bit_flip(p), q);
                }
                12 => {
                    ours.reset(qubit);
                    theirs.reset(q);
                }
                _ => {
                    let told = stream.bits() & 1 == 1;
                    let branch = &ours.measured(qubit, &Readout::PERFECT)[usize::from(told)];
                    if branch.probability < 1e-3 {
                        continue;
                    }
                    let mut projected = theirs.clone();
                    projected.project(q, told);
                    let probability = projected.trace() / theirs.trace();
                    assert!((branch.probability - probability).abs() < TOLERANCE, "circuit {circuit}");
                    ours = branch.state.clone();
                    theirs = projected;
                }
            }
        }
        let trace = theirs.trace();
        let theirs: Vec<Complex64> = theirs.entries().iter().map(|entry| entry / trace).collect();
        assert_equal(circuit, ours.entries(), &theirs);
    }
}

/// Programs on two pairs (noise, then a swap or a round of purification, then noise) give the same probability and the
/// same pair as four numbers, as trajectories and as a density matrix.
#[test]
fn pairs_are_the_same_in_three_tiers() {
    for program in 0..CIRCUITS {
        let mut stream = stream(3_000_000 + program);
        let mut cheap = [BellDiagonal::PERFECT; 2];
        let mut all = Ensemble::pairs(2);
        let phi = DensityMatrix::bell(BellIndex::PHI_PLUS);
        let mut exact = phi.tensor(&phi).unwrap();
        // One kind of error at a time keeps the trajectories few.
        let error = |stream: &mut Stream| {
            let p = 0.4 * stream.uniform();
            let mut probabilities = [1.0 - p, 0.0, 0.0, 0.0];
            probabilities[1 + stream.below(3) as usize] = p;
            PauliChannel::new(probabilities).unwrap()
        };
        for _ in 0..3 {
            let qubit = stream.below(4) as usize;
            let channel = error(&mut stream);
            cheap[qubit / 2] = cheap[qubit / 2].after(&channel);
            all.noise(qubit, &channel);
            exact.pauli_noise(qubit, &channel);
        }
        let mixing = if stream.below(64) == 0 { 0.2 * stream.uniform() } else { 0.0 };
        let right = 1.0 - 0.2 * stream.uniform();
        let readout = Readout::symmetric(right).unwrap();
        let mut gate = |all: &mut Ensemble, a: usize, b: usize| {
            all.each(|tableau| tableau.cnot(a, b));
            all.depolarise(a, b, mixing);
            exact.cnot(a, b);
            exact.depolarise(&[a, b], mixing);
        };
        let (probability, mut kept, reduced, mut trajectories);
        if stream.below(2) == 0 {
            let outcome = BellIndex::from_bits(stream.bits() as u8);
            kept = cheap[0]
                .swap(&cheap[1], &SwapQuality::new(1.0 - mixing, right, 1.0).unwrap())
                .reframed(outcome);
            probability = 0.25;
            gate(&mut all, 1, 2);
            all.each(|tableau| tableau.apply(1, Clifford::H));
            all.measured(1, outcome.phase(), &readout);
            all.measured(2, outcome.bit(), &readout);
            exact.apply(1, &Gate::H);
            let phase = exact.measured(1, &readout)[usize::from(outcome.phase())].clone();
            let bit = phase.state.measured(2, &readout)[usize::from(outcome.bit())].clone();
            assert!((phase.probability * bit.probability - probability).abs() < TOLERANCE);
            reduced = bit.state.reduced(&[0, 3]);
            trajectories = (all, [0, 3]);
        } else {
            let quality = PurificationQuality::new(1.0 - mixing, right).unwrap();
            let round = cheap[0].purify(&cheap[1], Purification::Bbpssw, &quality);
            (probability, kept) = (round.success, round.kept);
            gate(&mut all, 0, 2);
            gate(&mut all, 1, 3);
            // Both tell 0, which is half of what is kept.
            for qubit in [2, 3] {
                all.measured(qubit, false, &readout);
            }
            let first = exact.measured(2, &readout)[0].clone();
            let second = first.state.measured(3, &readout)[0].clone();
            assert!((2.0 * first.probability * second.probability - probability).abs() < TOLERANCE);
            all.0.iter_mut().for_each(|(weight, _)| *weight *= 2.0);
            reduced = second.state.reduced(&[0, 1]);
            trajectories = (all, [0, 1]);
        }
        assert!((trajectories.0.weight() - probability).abs() < TOLERANCE, "program {program}");
        // Noise after it, on the pair alone.
        let mut reduced = reduced;
        let late = error(&mut stream);
        kept = kept.after(&late);
        reduced.pauli_noise(1, &late);
        trajectories.0.noise(trajectories.1[1], &late);
        assert_equal(program, DensityMatrix::from(kept).entries(), reduced.entries());
        let [a, b] = trajectories.1;
        let tableau = Ensemble(
            trajectories
                .0
                .0
                .iter()
                .map(|(weight, tableau)| {
                    let mut pair = tableau.clone();
                    for qubit in (0..4).rev().filter(|q| *q != a && *q != b) {
                        assert!(pair.measure_out(qubit, false).determined);
                    }
                    (*weight, pair)
                })
                .collect(),
        );
        assert_equal(program, &tableau.density(), reduced.entries());
    }
}

//! Tableaux beyond what density matrices hold: words that are crossed, qubits that come and go, sampled noise.

use super::stream;
use bellwether_quantum::bell::*;
use bellwether_quantum::density::*;
use bellwether_quantum::tableau::*;
use bellwether_units::Stream;

/// A random circuit of gates on one and two qubits, to be undone.
fn random_gates(stream: &mut Stream, qubits: usize, gates: usize) -> Vec<(Option<Clifford>, usize, usize)> {
    (0..gates)
        .map(|_| {
            let first = stream.below(qubits as u64) as usize;
            let second = stream.below(qubits as u64) as usize;
            let gate = Clifford::ALL[stream.below(8) as usize];
            (if first == second || stream.below(2) == 0 { Some(gate) } else { None }, first, second)
        })
        .collect()
}

fn scrambled(stream: &mut Stream, qubits: usize) -> Tableau {
    let mut tableau = Tableau::zeros(qubits);
    for (gate, first, second) in random_gates(stream, qubits, 20 * qubits) {
        match gate {
            Some(gate) => tableau.apply(first, gate),
            None => tableau.cnot(first, second),
        }
    }
    tableau
}

#[test]
fn a_ghz_state_of_many_words_collapses_as_one() {
    for qubits in [2, 63, 64, 65, 128, 200] {
        let mut ghz = Tableau::zeros(qubits);
        ghz.apply(0, Clifford::H);
        for qubit in 1..qubits {
            ghz.cnot(qubit - 1, qubit);
        }
        let all_x = PauliString::parse(&"X".repeat(qubits)).unwrap();
        assert_eq!(ghz.expectation(&all_x), 1);
        ghz.apply(qubits / 2, Clifford::Z);
        assert_eq!(ghz.expectation(&all_x), -1);
        let mut ends = PauliString::identity(qubits);
        ends.set(0, BellIndex::PHI_MINUS);
        ends.set(qubits - 1, BellIndex::PHI_MINUS);
        assert_eq!(ghz.expectation(&ends), 1);
        for outcome in [false, true] {
            let mut measured = ghz.clone();
            let first = measured.measure(qubits / 3, outcome);
            assert_eq!(first, Measured { outcome, determined: false });
            for qubit in 0..qubits {
                assert_eq!(measured.measure(qubit, !outcome), Measured { outcome, determined: true });
            }
        }
        // A qubit read in X leaves a smaller such state, its sign moved on.
        ghz.apply(1, Clifford::H);
        assert!(!ghz.measure_out(1, true).determined);
        let rest = PauliString::parse(&"X".repeat(qubits - 1)).unwrap();
        assert_eq!(ghz.expectation(&rest), 1);
    }
}

#[test]
fn a_circuit_and_its_inverse_are_nothing() {
    let mut stream = stream(10);
    for qubits in [1, 5, 64, 130] {
        let gates = random_gates(&mut stream, qubits, 30 * qubits);
        let mut tableau = Tableau::zeros(qubits);
        for (gate, first, second) in &gates {
            match gate {
                Some(gate) => tableau.apply(*first, *gate),
                None => tableau.cnot(*first, *second),
            }
        }
        assert!(qubits == 1 || tableau != Tableau::zeros(qubits));
        for (gate, first, second) in gates.iter().rev() {
            let Some(gate) = gate else {
                tableau.cnot(*first, *second);
                continue;
            };
            tableau.apply(
                *first,
                match gate {
                    Clifford::S => Clifford::SInverse,
                    Clifford::SInverse => Clifford::S,
                    Clifford::SqrtX => Clifford::SqrtXInverse,
                    Clifford::SqrtXInverse => Clifford::SqrtX,
                    itself => *itself,
                },
            );
        }
        assert_eq!(tableau, Tableau::zeros(qubits));
    }
}

/// After measurements, removals and joins the rows still commute as they must, and a state is told by its stabilizers.
#[test]
fn rows_keep_their_relations_and_signs() {
    let mut stream = stream(11);
    for _ in 0..30 {
        let qubits = 60 + stream.below(10) as usize;
        let mut tableau = scrambled(&mut stream, qubits);
        for _ in 0..qubits - 3 {
            let qubit = stream.below(tableau.qubits() as u64) as usize;
            tableau.measure_out(qubit, stream.bits() & 1 == 1);
            let row = stream.below(tableau.qubits() as u64) as usize;
            let mut string = tableau.stabilizer(row);
            assert_eq!(tableau.expectation(&string), 1, "{string}");
            string.negative = !string.negative;
            assert_eq!(tableau.expectation(&string), -1, "{string}");
        }
    }
}

/// The product of strings, letter by letter. They commute, so that it is real.
fn product(strings: &[PauliString]) -> PauliString {
    // What the second of two letters (I, Z, X, Y) does after the first: powers of i.
    const POWERS: [[u32; 4]; 4] = [[0, 0, 0, 0], [0, 0, 1, 3], [0, 3, 0, 1], [0, 1, 3, 0]];
    let mut all = PauliString::identity(strings[0].qubits());
    let mut power = 0;
    for string in strings {
        power += if string.negative { 2 } else { 0 };
        for qubit in 0..all.qubits() {
            let (first, second) = (all.at(qubit), string.at(qubit));
            power += POWERS[first.index()][second.index()];
            all.set(qubit, first ^ second);
        }
    }
    assert_eq!(power % 2, 0, "commuting strings have a real product");
    all.negative = power % 4 == 2;
    all
}

#[test]
fn products_of_many_stabilizers_have_their_sign() {
    let mut stream = stream(15);
    for round in 0..60 {
        let qubits = [50, 64, 100][round % 3];
        let tableau = scrambled(&mut stream, qubits);
        let rows = (0..qubits).filter(|_| stream.bits() & 1 == 1);
        let strings: Vec<PauliString> = rows.map(|row| tableau.stabilizer(row)).collect();
        let mut all = product(&strings);
        assert_eq!(tableau.expectation(&all), 1, "{all}");
        all.negative = !all.negative;
        assert_eq!(tableau.expectation(&all), -1, "{all}");
    }
}

#[test]
fn joining_and_ordering_are_those_of_density_matrices() {
    let mut stream = stream(12);
    for _ in 0..200 {
        let (a, b) = (1 + stream.below(3) as usize, 1 + stream.below(3) as usize);
        let (left, right) = (scrambled(&mut stream, a), scrambled(&mut stream, b));
        let joint = left.tensor(&right);
        let dense = |tableau: &Tableau| DensityMatrix::try_from(tableau).unwrap();
        let exact = dense(&left).tensor(&dense(&right)).unwrap();
        let order: Vec<usize> = (0..a + b).map(|i| (i + 1) % (a + b)).collect();
        for (found, wanted) in
            [(joint.clone(), exact.clone()), (joint.reordered(&order), exact.reordered(&order))]
        {
            for (x, y) in dense(&found).entries().iter().zip(wanted.entries()) {
                assert!((x - y).norm_sqr() < 1e-24);
            }
        }
        // Taking a qubit out, averaged over what it could have told, is the partial trace.
        let qubit = stream.below((a + b) as u64) as usize;
        let mut mean = vec![bellwether_quantum::Complex64::new(0.0, 0.0); 1 << (2 * (a + b - 1))];
        for random in [false, true] {
            let mut rest = joint.clone();
            rest.measure_out(qubit, random);
            for (sum, entry) in mean.iter_mut().zip(dense(&rest).entries()) {
                *sum += entry * 0.5;
            }
        }
        let mut traced = exact;
        traced.discard(qubit);
        for (x, y) in mean.iter().zip(traced.entries()) {
            assert!((x - y).norm_sqr() < 1e-24);
        }
    }
}

/// Joining across a word's boundary: 40 qubits beside 50.
#[test]
fn joining_crosses_words() {
    let mut stream = stream(13);
    let (left, right) = (scrambled(&mut stream, 40), scrambled(&mut stream, 50));
    let joint = left.tensor(&right);
    for (state, before, after) in [(&left, 0, 50), (&right, 40, 0)] {
        for row in 0..state.qubits() {
            let string = state.stabilizer(row);
            let mut wide = PauliString::identity(90);
            for qubit in 0..state.qubits() {
                wide.set(before + qubit, string.at(qubit));
            }
            wide.negative = string.negative;
            assert_eq!(joint.expectation(&wide), 1);
            assert_eq!(before + state.qubits() + after, 90);
        }
    }
}

/// Sampled noise has the fidelity that the rule for Bell-diagonal pairs tells: a chain of 8 links, within 4 standard errors.
#[test]
fn a_sampled_chain_has_the_fidelity_of_the_rule() {
    const RUNS: u32 = 20_000;
    let mut stream = stream(14);
    let channel = PauliChannel::new([0.95, 0.03, 0.015, 0.005]).unwrap();
    let link = BellDiagonal::PERFECT.after(&channel);
    let quality = SwapQuality::new(0.97, 0.98, 1.0).unwrap();
    let rule = (1..8).fold(link, |far, _| far.swap(&link, &quality));
    let readout = Readout::symmetric(0.98).unwrap();
    let mut counts = [0u32; 4];
    for _ in 0..RUNS {
        let mut chain = Tableau::zeros(16);
        for pair in 0..8 {
            chain.apply(2 * pair, Clifford::H);
            chain.cnot(2 * pair, 2 * pair + 1);
            chain.pauli_noise(2 * pair, &channel, &mut stream);
        }
        let mut frame = BellIndex::PHI_PLUS;
        for node in 0..7 {
            let (a, b) = (2 * node + 1, 2 * node + 2);
            chain.cnot(a, b);
            chain.depolarise(&[a, b], 0.03, &mut stream);
            chain.apply(a, Clifford::H);
            let [phase, bit] = [a, b].map(|qubit| {
                let outcome = chain.measure(qubit, stream.bits() & 1 == 1).outcome;
                readout.tell(outcome, stream.uniform())
            });
            frame ^= BellIndex::new(bit, phase);
        }
        chain.pauli(15, frame);
        // A Bell measurement of the ends tells which Bell state they are in.
        counts[chain.bell_measure(0, 15, [false; 2]).index()] += 1;
    }
    for (count, p) in counts.into_iter().zip(rule.probabilities()) {
        let deviation = (p * (1.0 - p) / f64::from(RUNS)).sqrt();
        let found = f64::from(count) / f64::from(RUNS);
        assert!((found - p).abs() < 4.0 * deviation, "{found} instead of {p} ± {deviation}: {counts:?}");
    }
}

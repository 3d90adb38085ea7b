//! Qubits by handle: teleportation, chains and clusters, exactly and sampled.

use super::{assert_near, stream};
use bellwether_quantum::bell::*;
use bellwether_quantum::density::*;
use bellwether_quantum::pair::*;
use bellwether_quantum::store::*;
use bellwether_quantum::tableau::Clifford;
use bellwether_quantum::*;
use bellwether_units::{Duration, Stream, Time};

const NOW: Time = Time::ZERO;

fn milliseconds(n: u64) -> Time {
    Time::ZERO + Duration::from_milliseconds(n)
}

fn dephasing(t2: u64) -> MemoryNoise {
    MemoryNoise::new(None, Dephasing::Exponential(Duration::from_milliseconds(t2))).unwrap()
}

/// A random pure state of one qubit.
fn random_qubit(stream: &mut Stream) -> [Complex64; 2] {
    // Uniform on the sphere: cos of the polar angle is uniform.
    let cos = 2.0 * stream.uniform() - 1.0;
    let (sin_phase, cos_phase) = (core::f64::consts::TAU * stream.uniform()).sin_cos();
    let (a, b) = ((0.5 * (1.0 + cos)).sqrt(), (0.5 * (1.0 - cos)).sqrt());
    [Complex64::new(a, 0.0), Complex64::new(b * cos_phase, b * sin_phase)]
}

/// Teleports through a pair, noise and all; tells the fidelity of what arrives.
fn teleport(pair: BellDiagonal, device: &BellMeasurement, stream: &mut Stream) -> f64 {
    let mut store = Store::new(Detail::Exact);
    let message = random_qubit(stream);
    let state = DensityMatrix::pure(&message).unwrap();
    let sent = store.add_state(state, &[MemoryNoise::NONE], NOW).unwrap()[0];
    let [near, far] = store.add_pair(pair.into(), [MemoryNoise::NONE; 2], NOW);
    let outcome = store.bell_measure(sent, near, device, NOW, stream).unwrap();
    store.correct(far, outcome, NOW, stream).unwrap();
    assert!(!store.contains(sent) && !store.contains(near) && store.len() == 1);
    store.look(&[far], NOW, stream).unwrap().pure_fidelity(&message)
}

#[test]
fn teleportation_has_the_fidelity_of_its_pair() {
    let mut stream = stream(40);
    for _ in 0..100 {
        let perfect = teleport(BellDiagonal::PERFECT, &BellMeasurement::PERFECT, &mut stream);
        assert_near("without noise", perfect, 1.0, 1e-12);
    }
    // With a Werner pair every state arrives equally well, at (2F + 1)/3.
    let werner = BellDiagonal::werner(0.85).unwrap();
    for _ in 0..100 {
        let fidelity = teleport(werner, &BellMeasurement::PERFECT, &mut stream);
        assert_near("Werner pair", fidelity, 2.7 / 3.0, 1e-12);
    }
    // Any errors: on average over states, within 4 standard errors.
    let pair = BellDiagonal::new([0.8, 0.15, 0.04, 0.01]).unwrap();
    let device = BellMeasurement::new(0.05, [Readout::symmetric(0.97).unwrap(); 2]).unwrap();
    let quality = device.swap_quality().unwrap();
    let effective = BellDiagonal::PERFECT.swap(&pair, &quality).fidelity();
    const STATES: usize = 4000;
    let samples: Vec<f64> = (0..STATES).map(|_| teleport(pair, &device, &mut stream)).collect();
    let mean = samples.iter().sum::<f64>() / STATES as f64;
    let variance = samples.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / STATES as f64;
    let error = (variance / STATES as f64).sqrt();
    assert_near("mean over states", mean, (2.0 * effective + 1.0) / 3.0, 4.0 * error);
}

/// A chain of pairs in memories, swapped from the middle with all orientations: the store keeps four numbers and agrees with
/// the rules.
#[test]
fn a_chain_of_lone_pairs_stays_a_lone_pair() {
    let mut stream = stream(41);
    let device = BellMeasurement::new(0.01, [Readout::symmetric(0.99).unwrap(); 2]).unwrap();
    let quality = device.swap_quality().unwrap();
    let memory = dephasing(50);
    for _ in 0..50 {
        let mut store = Store::new(Detail::Exact);
        let link = BellDiagonal::new([0.9, 0.05, 0.03, 0.02]).unwrap();
        let pairs: Vec<[QubitId; 2]> = (0..4)
            .map(|_| {
                let [a, b] = store.add_pair(link.into(), [memory; 2], NOW);
                if stream.below(2) == 0 { [a, b] } else { [b, a] }
            })
            .collect();
        let mut frame = BellIndex::PHI_PLUS;
        for (at, node) in [(5, 1), (10, 0), (20, 2)] {
            let (first, second) = (pairs[node][1], pairs[node + 1][0]);
            frame ^= store.bell_measure(first, second, &device, milliseconds(at), &mut stream).unwrap();
        }
        let (left, right) = (pairs[0][0], pairs[3][1]);
        store.correct(right, frame, milliseconds(20), &mut stream).unwrap();
        let found = store.look(&[left, right], milliseconds(30), &mut stream).unwrap();
        assert_eq!(store.len(), 2);
        // The rules: each qubit dephases until it is measured, the outer ones until they are looked at.
        let until = |ms: f64| PauliChannel::dephasing((-ms / 50.0).exp()).unwrap();
        let middle = link.after(&until(5.0)).swap(&link.after(&until(5.0)), &quality);
        let left_part = link.after(&until(10.0)).swap(&middle.after(&until(10.0)), &quality);
        let whole = left_part.after(&until(20.0)).swap(&link.after(&until(20.0)), &quality);
        let rule = whole.after(&until(30.0)).after(&until(30.0));
        let wanted = DensityMatrix::from(rule);
        for (a, b) in found.entries().iter().zip(wanted.entries()) {
            assert!((a - b).norm_sqr() < 1e-20, "{found:?} is not {rule:?}");
        }
    }
}

/// A star of pairs is merged to a GHZ state by controlled NOTs and measurements at the hub.
fn ghz(
    store: &mut Store,
    ends: usize,
    link: BellDiagonal,
    stream: &mut Stream,
) -> Result<Vec<QubitId>, StateError> {
    let pairs: Vec<[QubitId; 2]> =
        (0..ends).map(|_| store.add_pair(link.into(), [MemoryNoise::NONE; 2], NOW)).collect();
    for pair in &pairs[1..] {
        store.cnot(pairs[0][0], pair[0], 0.0, NOW, stream)?;
        if store.measure(pair[0], &Readout::PERFECT, NOW, stream)? {
            store.clifford(pair[1], Clifford::X, NOW, stream)?;
        }
    }
    store.clifford(pairs[0][0], Clifford::H, NOW, stream)?;
    if store.measure(pairs[0][0], &Readout::PERFECT, NOW, stream)? {
        store.clifford(pairs[0][1], Clifford::Z, NOW, stream)?;
    }
    Ok(pairs.iter().map(|pair| pair[1]).collect())
}

#[test]
fn clusters_are_the_same_exactly_and_on_average_over_samples() {
    let mut stream = stream(42);
    let link = BellDiagonal::new([0.85, 0.08, 0.05, 0.02]).unwrap();
    let half = Complex64::new(core::f64::consts::FRAC_1_SQRT_2, 0.0);
    let mut target = [Complex64::new(0.0, 0.0); 8];
    (target[0], target[7]) = (half, half);
    let mut fidelity = |detail| {
        let mut store = Store::new(detail);
        let ends = ghz(&mut store, 3, link, &mut stream).unwrap();
        store.look(&ends, NOW, &mut stream).unwrap().pure_fidelity(&target)
    };
    let exact = fidelity(Detail::Exact);
    assert_near("whatever the outcomes", fidelity(Detail::Exact), exact, 1e-12);
    assert!(exact > 0.6 && exact < 0.7, "{exact}");
    const RUNS: u32 = 20_000;
    let mean = (0..RUNS).map(|_| fidelity(Detail::Sampled)).sum::<f64>() / f64::from(RUNS);
    let error = (exact * (1.0 - exact) / f64::from(RUNS)).sqrt();
    assert_near("mean over trajectories", mean, exact, 4.0 * error);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_lost() {
    let mut stream = stream(43);
    // 40 ends need a tableau.
    let mut sampled = Store::new(Detail::Sampled);
    let ends = ghz(&mut sampled, 40, BellDiagonal::PERFECT, &mut stream).unwrap();
    assert_eq!(sampled.len(), 40);
    let two = sampled.gate(ends[0], &Gate::T, NOW, &mut stream);
    assert_eq!(two, Err(StateError::TooManyQubits(40)), "a T gate wants a density matrix");
    let first = sampled.measure(ends[0], &Readout::PERFECT, NOW, &mut stream).unwrap();
    for end in &ends[1..] {
        assert_eq!(sampled.measure(*end, &Readout::PERFECT, NOW, &mut stream), Ok(first));
    }
    assert!(sampled.is_empty());
    assert_eq!(sampled.measure(ends[0], &Readout::PERFECT, NOW, &mut stream), Err(StateError::NoSuchQubit));

    let mut exact = Store::new(Detail::Exact);
    let pairs: Vec<_> =
        (0..6).map(|_| exact.add_pair(BellDiagonal::PERFECT.into(), [MemoryNoise::NONE; 2], NOW)).collect();
    for pair in pairs.windows(2).take(4) {
        exact.cnot(pair[0][1], pair[1][0], 0.0, NOW, &mut stream).unwrap();
    }
    let refused = exact.cnot(pairs[4][1], pairs[5][0], 0.0, NOW, &mut stream);
    assert_eq!(refused, Err(StateError::TooManyQubits(12)));
    let untouched = exact.look(&pairs[5], NOW, &mut stream).unwrap();
    assert_near("the pair left out", untouched.bell_fidelity(0, 1, BellIndex::PHI_PLUS), 1.0, 1e-12);
    exact.discard(pairs[0][0], NOW, &mut stream).unwrap();
    exact.discard(pairs[0][1], NOW, &mut stream).unwrap();
    assert!(exact.cnot(pairs[4][1], pairs[5][0], 0.0, NOW, &mut stream).is_ok());
}

/// Relaxation has no sampled form: a tableau becomes a density matrix by itself, with the exact state.
#[test]
fn relaxation_promotes_a_trajectory() {
    let mut stream = stream(44);
    let memory = MemoryNoise::new(Some(Duration::from_milliseconds(100)), Dephasing::None).unwrap();
    for detail in [Detail::Exact, Detail::Sampled] {
        let mut store = Store::new(detail);
        let qubit = store.add_zero(MemoryNoise::NONE, NOW);
        store.clifford(qubit, Clifford::H, NOW, &mut stream).unwrap();
        store.clifford(qubit, Clifford::S, NOW, &mut stream).unwrap();
        store.clifford(qubit, Clifford::SqrtX, NOW, &mut stream).unwrap();
        store.clifford(qubit, Clifford::X, NOW, &mut stream).unwrap();
        let before = store.look(&[qubit], NOW, &mut stream).unwrap();
        store.move_to(qubit, memory, NOW, &mut stream).unwrap();
        let found = store.look(&[qubit], milliseconds(70), &mut stream).unwrap();
        let mut wanted = before;
        let gamma = 1.0 - (-0.7f64).exp();
        wanted.relax(0, gamma, (1.0 - gamma).sqrt());
        for (a, b) in found.entries().iter().zip(wanted.entries()) {
            assert!((a - b).norm_sqr() < 1e-24);
        }
    }
}

/// Two ends purify by their own gates at their own times: the store's result is that of the rule, exactly and sampled.
#[test]
fn purification_by_two_ends_is_the_rule() {
    let mut stream = stream(45);
    let link = BellDiagonal::werner(0.85).unwrap();
    let quality = PurificationQuality::new(0.97, 0.98).unwrap();
    let rule = link.purify(&link, Purification::Bbpssw, &quality);
    let readout = Readout::symmetric(0.98).unwrap();
    let mut run = |detail| {
        let mut store = Store::new(detail);
        let [kept, other] = [0, 1].map(|_| store.add_pair(link.into(), [MemoryNoise::NONE; 2], NOW));
        let told = [0, 1].map(|end| {
            store.cnot(kept[end], other[end], 0.03, milliseconds(end as u64), &mut stream).unwrap();
            store.measure(other[end], &readout, milliseconds(end as u64), &mut stream).unwrap()
        });
        let state = store.look(&kept, milliseconds(2), &mut stream).unwrap();
        (told[0] == told[1]).then(|| state.bell_fidelity(0, 1, BellIndex::PHI_PLUS))
    };
    while run(Detail::Exact).is_none() {}
    for detail in [Detail::Exact, Detail::Sampled] {
        const RUNS: u32 = 4000;
        let kept: Vec<f64> = (0..RUNS).filter_map(|_| run(detail)).collect();
        let success = kept.len() as f64 / f64::from(RUNS);
        let deviation = (rule.success * (1.0 - rule.success) / f64::from(RUNS)).sqrt();
        assert_near("success", success, rule.success, 4.0 * deviation);
        let mean = kept.iter().sum::<f64>() / kept.len() as f64;
        let f = rule.kept.fidelity();
        let tolerance = match detail {
            Detail::Exact => 1e-10,
            Detail::Sampled => 4.0 * (f * (1.0 - f) / kept.len() as f64).sqrt(),
        };
        assert_near("fidelity", mean, f, tolerance);
    }
}

/// Pairs whose halves differ, swapped in every orientation: as the circuit on four qubits says.
#[test]
fn swaps_know_which_half_is_which() {
    let mut stream = stream(46);
    let device = BellMeasurement::new(0.02, [Readout::new(0.01, 0.05).unwrap(); 2]).unwrap();
    let t1 = Some(Duration::from_milliseconds(30));
    let memories = [MemoryNoise::new(t1, Dephasing::None).unwrap(), MemoryNoise::NONE];
    let link = HeraldedState::new([0.2, 0.5, 0.28, 0.02], Complex64::new(0.3, 0.1)).unwrap();
    for (left, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut store = Store::new(Detail::Exact);
        let [a, b] = [0, 1].map(|_| store.add_pair(link.into(), memories, NOW));
        let now = milliseconds(10);
        let outcome = store.bell_measure(a[left], b[right], &device, now, &mut stream).unwrap();
        let found = store.look(&[a[1 - left], b[1 - right]], milliseconds(25), &mut stream).unwrap();

        let mut exact = DensityMatrix::from(link).tensor(&link.into()).unwrap();
        // The first half of each relaxes: until it is measured, or until the end.
        for (qubit, measured) in [(0, left == 0), (2, right == 0)] {
            let gamma = 1.0 - (-(if measured { 10.0 } else { 25.0f64 }) / 30.0).exp();
            exact.relax(qubit, gamma, (1.0 - gamma).sqrt());
        }
        let branches = exact.bell_measured(left, 2 + right, device.mixing(), device.readouts());
        let wanted = branches[outcome.index()].state.reduced(&[1 - left, 3 - right]);
        for (x, y) in found.entries().iter().zip(wanted.entries()) {
            assert!((x - y).norm_sqr() < 1e-20, "halves {left} and {right}");
        }
    }
}

//! Pairs that choose their own form: whatever happens, the density matrix of the same history is the truth.

use super::{assert_near, cases, pair, pauli, stream};
use bellwether_quantum::bell::*;
use bellwether_quantum::density::*;
use bellwether_quantum::pair::*;
use bellwether_quantum::*;
use bellwether_units::{Duration, Stream, Time};
use proptest::prelude::*;

fn assert_same(what: &str, found: &PairState, exact: &DensityMatrix) {
    for (a, b) in found.density().entries().iter().zip(exact.entries()) {
        assert!((a - b).norm_sqr() < 1e-20, "{what}: {found:?} is not {exact:?}");
    }
}

/// A pair as a link may herald it.
fn heralded(stream: &mut Stream) -> HeraldedState {
    let weights = [(); 4].map(|()| stream.uniform() + 0.01);
    let coherence = stream.uniform() * (weights[1] * weights[2]).sqrt();
    HeraldedState::from_weights(weights.map(|w| w / 5.0), coherence / 5.0).unwrap().1.turned(stream.uniform())
}

fn readout(stream: &mut Stream, symmetric: bool) -> Readout {
    let zero = 0.2 * stream.uniform();
    Readout::new(zero, if symmetric { zero } else { 0.2 * stream.uniform() }).unwrap()
}

/// What the circuits give for two pairs in density matrices, outcome by outcome.
fn promoted(pair: &PairState) -> PairState {
    PairState::try_from(pair.density()).unwrap()
}

#[test]
fn every_form_of_two_pairs_swaps_and_compares_alike() {
    for number in 0..400 {
        let mut stream = stream(20_000 + number);
        let mut pair = || {
            if stream.below(2) == 0 {
                let w = [(); 4].map(|()| stream.uniform());
                let sum: f64 = w.iter().sum();
                PairState::from(BellDiagonal::new(w.map(|w| w / sum)).unwrap())
            } else {
                PairState::from(heralded(&mut stream))
            }
        };
        let (a, b) = (pair(), pair());
        let even = [stream.below(3) > 0, stream.below(3) > 0];
        let readouts = even.map(|even| readout(&mut stream, even));
        let cheap = a.is_bell_diagonal() && b.is_bell_diagonal() && even == [true; 2];

        let device = BellMeasurement::new(0.1 * stream.uniform(), readouts).unwrap();
        let swapped = a.swap_outcomes(&b, &device);
        let exact = promoted(&a).swap_outcomes(&promoted(&b), &device);
        for ((p, found), (q, wanted)) in swapped.iter().zip(&exact) {
            assert_near("probability of a swap's outcome", *p, *q, 1e-12);
            assert_same("swap", found, &wanted.density());
            assert_eq!(found.is_bell_diagonal(), cheap, "pair {number}");
        }
        let draw = stream.uniform();
        let (outcome, drawn) = a.swap(&b, &device, draw);
        assert_eq!(drawn, swapped[outcome.index()].1);
        let below: f64 = swapped[..outcome.index()].iter().map(|(p, _)| p).sum();
        assert!(below - 1e-12 <= draw && draw <= below + swapped[outcome.index()].0 + 1e-12);

        let how = [Purification::Bbpssw, Purification::Dejmps, Purification::Phase][stream.below(3) as usize];
        let device = Comparison::new([0.1 * stream.uniform(), 0.1 * stream.uniform()], readouts).unwrap();
        let compared = a.compare_outcomes(&b, how, &device);
        let exact = promoted(&a).compare_outcomes(&promoted(&b), how, &device);
        for (found, wanted) in compared.iter().zip(&exact) {
            assert_eq!(found.told, wanted.told);
            assert_near(
                "probability of a comparison's outcome",
                found.probability,
                wanted.probability,
                1e-12,
            );
            assert_same("comparison", &found.kept, &wanted.kept.density());
            assert_eq!(found.kept.is_bell_diagonal(), cheap, "pair {number}");
        }
        let total: f64 = compared.iter().map(|outcome| outcome.probability).sum();
        assert_near("all outcomes", total, 1.0, 1e-12);
        assert!(compared.contains(&a.compare(&b, how, &device, stream.uniform())));
    }
}

proptest! {
    #![proptest_config(cases(200, 5))]

    /// A random history of one pair, in its own form and as a density matrix.
    #[test]
    fn a_history_is_exact_and_promotes_only_when_it_must(
        start in pair(),
        steps in prop::collection::vec((0..6u8, any::<bool>(), 0..4u8, 0.0..1.0f64, pauli()), 1..12),
    ) {
        let mut own = PairState::from(start);
        let mut exact = DensityMatrix::from(start);
        let mut must = false;
        for (step, second, frame, p, channel) in steps {
            let half = if second { Half::Second } else { Half::First };
            let qubit = half.index();
            match step {
                0 | 1 => {
                    own.pauli_noise(half, &channel);
                    exact.pauli_noise(qubit, &channel);
                }
                2 => {
                    own.depolarise(half, p);
                    exact.depolarise(&[qubit], p);
                }
                3 | 4 => {
                    let frame = BellIndex::from_bits(frame);
                    own.correct(half, frame);
                    exact.apply(qubit, &Gate::pauli(frame));
                }
                _ if frame == 0 => {
                    own.apply(half, &Gate::T);
                    exact.apply(qubit, &Gate::T);
                    must = true;
                }
                _ if frame == 1 => {
                    own.relax(half, 0.5 * p, (1.0 - 0.5 * p).sqrt());
                    exact.relax(qubit, 0.5 * p, (1.0 - 0.5 * p).sqrt());
                    must = true;
                }
                _ => {
                    // Memories: dephasing for either form, relaxation only for a density matrix.
                    let relaxes = frame == 2;
                    let t2 = Dephasing::Exponential(Duration::from_seconds(0.1 + p).unwrap());
                    let t1 = relaxes.then(|| Duration::from_seconds(1.0 + p).unwrap());
                    let noise = MemoryNoise::new(t1, t2).unwrap();
                    let now = Time::from_picoseconds(300_000_000_000);
                    own = Aged::new(own, [noise, MemoryNoise::NONE], Time::ZERO).unwrap().taken(now);
                    exact = Aged::new(exact, [noise, MemoryNoise::NONE], Time::ZERO).unwrap().taken(now);
                    must |= relaxes;
                }
            }
        }
        assert_same("history", &own, &exact);
        prop_assert_eq!(own.is_bell_diagonal(), !must);
        prop_assert!((own.concurrence() - exact.concurrence()).abs() < 1e-9);
    }

    /// Outcomes from correlations are those of turning the qubits and reading them in Z.
    #[test]
    fn outcomes_along_any_axes(
        start in pair(),
        turns in prop::array::uniform4(0.0..6.3f64),
        dense in any::<bool>(),
        flips in prop::array::uniform4(0.0..0.3f64),
    ) {
        let mut own = PairState::from(start);
        if dense {
            own.apply(Half::First, &Gate::ry(0.7));
            own.apply(Half::Second, &Gate::rx(turns[0]));
            own.relax(Half::Second, 0.2, 0.8);
        }
        let axis = |polar: f64, azimuth: f64| {
            Axis::new([polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(), polar.cos()]).unwrap()
        };
        let axes = [axis(turns[0], turns[1]), axis(turns[2], turns[3])];
        let readouts = [Readout::new(flips[0], flips[1]).unwrap(), Readout::new(flips[2], flips[3]).unwrap()];
        let found = own.outcomes(axes, readouts);
        let mut turned = own.density();
        turned.apply(0, &axes[0].onto_z());
        turned.apply(1, &axes[1].onto_z());
        for (first, branch) in turned.measured(0, &readouts[0]).iter().enumerate() {
            for (second, last) in branch.state.measured(1, &readouts[1]).iter().enumerate() {
                let wanted = branch.probability * last.probability;
                prop_assert!((found[2 * first + second] - wanted).abs() < 1e-12);
            }
        }
        // Steering: what one half is told decides what the other is, with the same probabilities.
        for (first, (p, other)) in own.steered(Half::First, axes[0], readouts[0]).into_iter().enumerate() {
            let mut other = other;
            other.apply(0, &axes[1].onto_z());
            let [zero, _] = other.measured(0, &readouts[1]);
            prop_assert!((p * zero.probability - found[2 * first]).abs() < 1e-12);
        }
    }
}

/// The four settings of CHSH on a Werner pair: S = 2√2 w.
#[test]
fn chsh_is_as_large_as_quantum_mechanics_allows() {
    use core::f64::consts::{FRAC_PI_2, FRAC_PI_4, SQRT_2};
    for fidelity in [1.0, 0.9, 0.25] {
        let pair = PairState::from(BellDiagonal::werner(fidelity).unwrap());
        let mean = |a: f64, b: f64| {
            let axes = [Axis::between_z_and_x(a), Axis::between_z_and_x(b)];
            let [zero_zero, zero_one, one_zero, one_one] = pair.outcomes(axes, [Readout::PERFECT; 2]);
            zero_zero + one_one - zero_one - one_zero
        };
        let s = mean(0.0, FRAC_PI_4) + mean(0.0, -FRAC_PI_4) + mean(FRAC_PI_2, FRAC_PI_4)
            - mean(FRAC_PI_2, -FRAC_PI_4);
        assert_near("S", s, 2.0 * SQRT_2 * (4.0 * fidelity - 1.0) / 3.0, 1e-12);
    }
}

/// Readouts that err differently on 0 and 1 make some outcomes of a swap likelier and better than others.
#[test]
fn an_uneven_readout_tells_outcomes_apart() {
    let link = PairState::from(BellDiagonal::werner(0.9).unwrap());
    let uneven = Readout::new(0.005, 0.07).unwrap();
    let device = BellMeasurement::new(0.02, [uneven; 2]).unwrap();
    let outcomes = link.swap_outcomes(&link, &device);
    let fidelity = |index: BellIndex| outcomes[index.index()].1.fidelity(index);
    // "One" is rarely told of 0, so that telling it means more.
    assert!(outcomes[3].0 < 0.22 && outcomes[0].0 > 0.28, "{outcomes:?}");
    assert!(fidelity(BellIndex::PSI_MINUS) > fidelity(BellIndex::PHI_PLUS) + 0.05);
    // On average it is a symmetric readout that errs as often.
    let mean: f64 = BellIndex::ALL.iter().map(|index| outcomes[index.index()].0 * fidelity(*index)).sum();
    let symmetric = BellMeasurement::new(0.02, [Readout::symmetric(1.0 - 0.0375).unwrap(); 2]).unwrap();
    let (_, even) = &link.swap_outcomes(&link, &symmetric)[0];
    assert_near("mean fidelity", mean, even.fidelity(BellIndex::PHI_PLUS), 1e-12);
}

/// Extreme photon loss: pairs keep their density matrix by themselves; twirls are the caller's, and counted.
#[test]
fn twirls_are_counted_and_cost_what_is_known() {
    let bright = 0.3;
    let single = bright * (1.0 - bright);
    let weights = [2.0 * bright * bright, single, single, 0.0].map(|w| w * 0.01);
    let (_, link) = HeraldedState::from_weights(weights, 0.01 * single).unwrap();
    let mut pair = PairState::from(link);
    assert!(!pair.is_bell_diagonal());
    let [_, _, _, ones] = pair.compare_outcomes(&pair, Purification::Bbpssw, &Comparison::PERFECT);
    assert_near("success", ones.probability, 0.245, 1e-12);
    assert_near("fidelity", ones.kept.fidelity(BellIndex::PSI_PLUS), 1.0, 1e-12);

    let mut demotions = Demotions::default();
    pair.twirl(&mut demotions);
    pair.correct(Half::Second, BellIndex::PSI_PLUS);
    assert_eq!(demotions.count, 1);
    // uu had 0.3 and dd nothing; now both have half of it.
    assert_near("taken away", demotions.largest, 0.15, 1e-12);
    let [zeros, _, _, ones] = pair.compare_outcomes(&pair, Purification::Bbpssw, &Comparison::PERFECT);
    assert_near("twirled success", zeros.probability + ones.probability, 0.58, 1e-12);
    assert_near("twirled fidelity", ones.kept.fidelity(BellIndex::PHI_PLUS), 0.845, 5e-4);
    // A twirl that takes nothing is not counted.
    let mut exact = PairState::try_from(DensityMatrix::from(BellDiagonal::werner(0.8).unwrap())).unwrap();
    exact.twirl(&mut demotions);
    assert!(exact.is_bell_diagonal() && demotions.count == 1);
}

#[test]
fn a_double_click_state_needs_no_density_matrix() {
    let weights = [0.001, 0.01, 0.01, 0.001];
    let (_, link) = HeraldedState::from_weights(weights, 0.0096).unwrap();
    assert!(PairState::from(link).is_bell_diagonal());
    assert!(!PairState::from(link.turned(0.3)).is_bell_diagonal());
    assert!(PairState::from(link.other_detector()).is_bell_diagonal());
}

//! What time does: closed forms, lazy ageing, and the examples for which Bell-diagonal rules are not enough.

use super::{assert_near, cases, pair};
use bellwether_quantum::bell::*;
use bellwether_quantum::density::*;
use bellwether_quantum::*;
use bellwether_units::{Duration, Time};
use proptest::prelude::*;

fn seconds(s: f64) -> Duration {
    Duration::from_seconds(s).unwrap()
}

/// Two-sided damping: F(Φ⁺) = 1 - γ + γ²/2, F(Ψ⁺) = 1 - γ; the twirl gives one number between.
#[test]
fn relaxation_treats_phi_and_psi_differently() {
    for gamma in [0.0, 0.01, 0.2, 0.5, 0.99, 1.0] {
        let coherence = f64::sqrt(1.0 - gamma);
        let after = |index| {
            let mut exact = DensityMatrix::bell(index);
            exact.relax(0, gamma, coherence);
            exact.relax(1, gamma, coherence);
            exact.bell_fidelity(0, 1, index)
        };
        let (phi, psi) = (after(BellIndex::PHI_PLUS), after(BellIndex::PSI_PLUS));
        assert_near("Φ⁺", phi, 1.0 - gamma + 0.5 * gamma * gamma, 1e-12);
        assert_near("Ψ⁺", psi, 1.0 - gamma, 1e-12);
        let twirl = PauliChannel::twirled_relaxation(gamma, coherence).unwrap();
        let between = BellDiagonal::PERFECT.after(&twirl).after(&twirl).fidelity();
        assert!(psi - 1e-12 <= between && between <= phi + 1e-12, "{psi} {between} {phi}");
    }
}

#[test]
fn amplitude_damping_by_kraus_operators_is_relaxation() {
    let mut closed = DensityMatrix::bell(BellIndex::PSI_MINUS);
    closed.apply(0, &Gate::ry(0.3));
    let mut kraus = closed.clone();
    closed.relax(1, 0.3, f64::sqrt(0.7));
    kraus.apply_channel(&[1], &Channel::amplitude_damping(0.3).unwrap());
    for (a, b) in closed.entries().iter().zip(kraus.entries()) {
        assert!((a - b).norm_sqr() < 1e-24);
    }
}

/// Dephasing by one field for both qubits spares Ψ and hits Φ with four times the variance.
#[test]
fn a_common_field_spares_psi() {
    let coherence = 0.8;
    let after = |index| {
        let mut exact = DensityMatrix::bell(index);
        exact.dephase_together(&[0, 1], coherence);
        exact.bell_fidelity(0, 1, index)
    };
    assert_near("Ψ⁻", after(BellIndex::PSI_MINUS), 1.0, 1e-12);
    assert_near("Φ⁺", after(BellIndex::PHI_PLUS), 0.5 * (1.0 + coherence.powi(4)), 1e-12);
    // The same by integrating over the field: the phase of each qubit is normal with variance -2 ln(coherence).
    let deviation = (-2.0 * coherence.ln()).sqrt();
    let (mut mean, mut weight) = (0.0, 0.0);
    for step in -800..=800 {
        let x = f64::from(step) * 0.01;
        let density = (-0.5 * x * x).exp();
        let mut exact = DensityMatrix::bell(BellIndex::PHI_PLUS);
        exact.apply(0, &Gate::rz(deviation * x));
        exact.apply(1, &Gate::rz(deviation * x));
        mean += density * exact.bell_fidelity(0, 1, BellIndex::PHI_PLUS);
        weight += density;
    }
    assert_near("mean over fields", mean / weight, after(BellIndex::PHI_PLUS), 1e-9);
}

#[test]
fn what_is_not_exact_is_refused_for_bell_diagonal_pairs() {
    let relaxing = MemoryNoise::new(Some(seconds(1.0)), Dephasing::None).unwrap();
    let noise = [MemoryNoise::NONE, relaxing];
    assert!(matches!(Aged::new(BellDiagonal::PERFECT, noise, Time::ZERO), Err(StateError::NotExact { .. })));
    let mut aged = Aged::new(BellDiagonal::PERFECT, [MemoryNoise::NONE; 2], Time::ZERO).unwrap();
    assert!(aged.move_to(Half::Second, relaxing, Time::ZERO).is_err());
    assert!(Aged::new(DensityMatrix::bell(BellIndex::PHI_PLUS), noise, Time::ZERO).is_ok());
    // Twirling is an approximation that the caller asks for; it keeps all factors of the Bloch vector.
    let mut twirled = Aged::new(BellDiagonal::PERFECT, noise.map(|n| n.twirled()), Time::ZERO).unwrap();
    let gamma = 1.0 - (-0.5f64).exp();
    let channel = PauliChannel::twirled_relaxation(gamma, (-0.25f64).exp()).unwrap();
    let wanted = BellDiagonal::PERFECT.after(&channel);
    let found = *twirled.at(Time::ZERO + seconds(0.5));
    for (a, b) in found.probabilities().into_iter().zip(wanted.probabilities()) {
        assert_near("twirled memory", a, b, 1e-12);
    }
}

/// A swap in between keeps the outer qubits' ages: slow fields go on from where they were.
#[test]
fn joined_pairs_keep_the_ages_of_their_outer_qubits() {
    let slow = |t2| MemoryNoise::new(None, Dephasing::Gaussian(seconds(t2))).unwrap();
    let link = BellDiagonal::werner(0.9).unwrap();
    let at = |s| Time::ZERO + seconds(s);
    let coherence = |age: f64, t2: f64| PauliChannel::dephasing((-(age / t2).powi(2)).exp()).unwrap();
    // The left pair is born at 0, the right one at 1 s; they are joined at 2 s, and looked at at 3 s.
    let left = Aged::new(link, [slow(5.0), slow(7.0)], at(0.0)).unwrap();
    let mut right = Aged::new(link, [slow(4.0), slow(6.0)], at(1.0)).unwrap();
    right.at(at(2.0));
    // Told too early, the joint is where the later of the two is.
    let joined = left.join(right, at(1.5), |a, b| a.swap(&b, &SwapQuality::PERFECT));
    assert_eq!(joined.updated(), at(2.0));
    let found = joined.map(at(2.5), |pair| pair.reframed(BellIndex::PSI_PLUS)).taken(at(3.0));
    let wanted = link
        .after(&coherence(3.0, 5.0))
        .after(&coherence(2.0, 7.0))
        .swap(&link.after(&coherence(1.0, 4.0)).after(&coherence(2.0, 6.0)), &SwapQuality::PERFECT)
        .reframed(BellIndex::PSI_PLUS);
    for (a, b) in found.probabilities().into_iter().zip(wanted.probabilities()) {
        assert_near("joined", a, b, 1e-12);
    }
}

fn noise() -> impl Strategy<Value = MemoryNoise> {
    let rate = || prop_oneof![2 => Just(0.0), 3 => 0.0..2.0f64];
    let law = (any::<bool>(), 0.2..3.0f64).prop_map(|(gaussian, t2)| {
        if gaussian { Dephasing::Gaussian(seconds(t2)) } else { Dephasing::Exponential(seconds(t2)) }
    });
    (law, rate(), rate(), rate()).prop_map(|(law, x, y, z)| {
        MemoryNoise::new(None, law).unwrap().and(&MemoryNoise::pauli_rates(x, y, z).unwrap())
    })
}

proptest! {
    #![proptest_config(cases(200, 3))]

    /// Looking in between changes nothing, both tiers agree, and a pair never gets better.
    #[test]
    fn ageing_does_not_depend_on_who_looks(
        pair in pair(),
        noises in [noise(), noise()],
        relaxes in any::<bool>(),
        mut looks in prop::collection::vec(0.0..2.0f64, 0..5),
    ) {
        let relaxing = MemoryNoise::new(Some(seconds(0.7)), Dephasing::None).unwrap();
        let noises = noises.map(|noise| if relaxes { noise.and(&relaxing) } else { noise });
        let end = Time::ZERO + seconds(2.0);
        let mut once = Aged::new(DensityMatrix::from(pair), noises, Time::ZERO).unwrap();
        let mut often = once.clone();
        looks.sort_by(f64::total_cmp);
        for look in &looks {
            often.at(Time::ZERO + seconds(*look));
        }
        let once = once.at(end);
        for (a, b) in once.entries().iter().zip(often.at(end).entries()) {
            prop_assert!((a - b).norm_sqr() < 1e-20, "looks at {looks:?}");
        }
        // Still a state.
        prop_assert!(DensityMatrix::from_entries(once.entries()).is_ok());
        if !relaxes {
            let mut cheap = Aged::new(pair, noises, Time::ZERO).unwrap();
            for look in &looks {
                cheap.at(Time::ZERO + seconds(*look));
            }
            let cheap = *cheap.at(end);
            let exact = DensityMatrix::from(cheap);
            for (a, b) in once.entries().iter().zip(exact.entries()) {
                prop_assert!((a - b).norm_sqr() < 1e-20, "tiers");
            }
            prop_assert!(cheap.concurrence() <= pair.concurrence() + 1e-12);
        }
    }

    /// A heralded state is the same in all its forms, and Bell-diagonal just when nothing is lost by saying so.
    #[test]
    fn heralded_states_convert(
        weights in prop::array::uniform4(0.0..1.0f64),
        share in 0.0..1.0f64,
        phase in prop_oneof![Just(0.0), 0.0..6.0f64],
        balanced in any::<bool>(),
    ) {
        let [uu, mut ud, du, mut dd] = weights.map(|w| w / 4.0 + 1e-3);
        if balanced {
            (ud, dd) = (du, uu);
        }
        let (p, state) = HeraldedState::from_weights([uu, ud, du, dd], share * (ud * du).sqrt()).unwrap();
        prop_assert!((p - (uu + ud + du + dd)).abs() < 1e-12);
        let state = state.turned(phase);
        let exact = DensityMatrix::from(state);
        prop_assert!(DensityMatrix::from_entries(exact.entries()).is_ok());
        for index in BellIndex::ALL {
            prop_assert!((exact.bell_fidelity(0, 1, index) - state.fidelity(index)).abs() < 1e-12);
            prop_assert!((state.pauli_twirled().probability(index) - state.fidelity(index)).abs() < 1e-12);
        }
        prop_assert!((exact.concurrence() - state.concurrence()).abs() < 1e-10);
        prop_assert_eq!(state.bell_diagonal().is_some(), exact.off_bell_diagonal() < 1e-12);
        prop_assert!((state.other_detector().fidelity(BellIndex::PSI_MINUS) - state.fidelity(BellIndex::PSI_PLUS)).abs() < 1e-15);
    }
}

/// Two single-click pairs distil to perfection (extreme photon loss), which their twirls cannot tell.
#[test]
fn single_click_pairs_distil_as_their_twirls_do_not() {
    let bright = 0.3;
    // The limit of long lines: one photon got through, and where both memories are up the other was lost.
    let single = bright * (1.0 - bright);
    let weights = [2.0 * bright * bright, single, single, 0.0].map(|weight| weight * 1e-3);
    let (_, link) = HeraldedState::from_weights(weights, 1e-3 * single).unwrap();
    assert_near("both up", link.populations()[0], bright, 1e-12);
    for phase in [0.0, 1.234] {
        let state = link.turned(phase);
        let pair = DensityMatrix::from(state);
        let mut both = pair.tensor(&pair).unwrap();
        both.cnot(0, 2);
        both.cnot(1, 3);
        // Two "ones" come only of one pair in ud and the other in du: pairs that are both up give zeros.
        let [_, one] = both.measured(2, &Readout::PERFECT);
        let [_, both_ones] = one.state.measured(3, &Readout::PERFECT);
        assert_near("success", one.probability * both_ones.probability, 0.245, 1e-12);
        let kept = both_ones.state.reduced(&[0, 1]);
        assert_near("fidelity", kept.bell_fidelity(0, 1, BellIndex::PSI_PLUS), 1.0, 1e-12);

        if phase == 0.0 {
            let twirled = state.pauli_twirled().reframed(BellIndex::PSI_PLUS);
            let round = twirled.purify(&twirled, Purification::Bbpssw, &PurificationQuality::PERFECT);
            assert_near("twirled success", round.success, 0.58, 1e-12);
            assert_near("twirled fidelity", round.kept.fidelity(), 0.845, 5e-4);
        }
    }
}

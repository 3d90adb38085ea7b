//! Attacks: what they do to the statistics, sampled and in closed form.

use super::*;
use bellwether_physics::Basis::{Check, Key};
use bellwether_units::{Current, binary_entropy};

const FAIR: BasisChoice = BasisChoice::Random { key_probability: 0.5 };

fn qber(clicks: &Clicks, basis: Basis) -> (u64, u64) {
    let sifted = clicks.iter().filter(|c| c.sifted() && c.measured() == basis).count();
    let errors = clicks.iter().filter(|c| c.error() && c.measured() == basis).count();
    (errors as u64, sifted as u64)
}

/// Error rate e + f/4 (1 - 2e) within 3 standard deviations, and no gain moves.
#[test]
fn intercept_resend_costs_a_quarter_of_its_fraction() {
    let honest = link(decoy_source(), 15.0, noisy(1e-8, 20));
    for (seed, fraction) in [0.0, 0.1, 0.3, 1.0].into_iter().enumerate() {
        for (other, basis) in [FAIR, BasisChoice::Breidbart].into_iter().enumerate() {
            let attack = Attack::InterceptResend(InterceptResend { fraction, basis });
            let model = attack.on(&honest).unwrap();
            let clicks = clicks_of(&model, 100_000_000, &mut stream(70 + 10 * other as u64 + seed as u64));
            for basis in Basis::BOTH {
                let (errors, sifted) = qber(&clicks, basis);
                let expected = 0.02 + fraction / 4.0 * 0.96;
                assert_binomial(&format!("{attack:?} in {basis:?}"), errors, sifted as f64, expected, 3.0);
                for k in 0..3 {
                    assert!((model.gain(k, basis) / honest.gain(k, basis) - 1.0).abs() < 1e-12);
                }
            }
        }
    }
}

#[test]
fn intercept_resend_in_one_basis_shows_in_the_other() {
    let honest = link(decoy_source(), 15.0, noisy(0.0, 0));
    for (basis, key, check) in [(BasisChoice::AlwaysKey, 0.02, 0.5), (BasisChoice::AlwaysCheck, 0.5, 0.02)] {
        let model = Attack::InterceptResend(InterceptResend { fraction: 1.0, basis }).on(&honest).unwrap();
        // Beside double clicks, of order eta mu e.
        assert!((model.error_rate(0, Key) - key).abs() < 2e-4);
        assert!((model.error_rate(0, Check) - check).abs() < 2e-4);
    }
}

/// Half a bit at equal bases, 0.399 in Breidbart's (qkd.md section 3), for every pulse with light.
#[test]
fn intercept_resend_knows_what_it_must() {
    let honest = link(decoy_source(), 10.0, noisy(0.0, 0));
    let knows = |fraction, basis| {
        Attack::InterceptResend(InterceptResend { fraction, basis }).knowledge(&honest).unwrap()
    };
    assert!((knows(1.0, FAIR).information - 0.5).abs() < 1e-12);
    assert!((knows(0.2, BasisChoice::AlwaysKey).known_fraction - 0.2).abs() < 1e-12);
    let breidbart = knows(1.0, BasisChoice::Breidbart);
    assert_eq!(breidbart.known_fraction, 0.0);
    assert!((breidbart.information - 0.399).abs() < 5e-4);
    assert!(
        (breidbart.information - (1.0 - binary_entropy((std::f64::consts::PI / 8.0).sin().powi(2)))).abs()
            < 1e-12
    );
    // Dark counts of empty pulses are known to nobody.
    let dark = link(decoy_source(), 60.0, noisy(1e-3, 0));
    let attack = Attack::InterceptResend(InterceptResend { fraction: 1.0, basis: FAIR });
    assert!(attack.knowledge(&dark).unwrap().known_fraction < 0.25);
}

/// The reference value: mu 0.5, nu 0.1, eta 0.01 gives Q_nu 2.59e-4 instead of 1.00e-3.
#[test]
fn photon_number_splitting_keeps_the_signal_and_starves_the_decoys() {
    let source = Source::weak_coherent(&[
        Intensity { mean_photons: 0.5, probability: 0.7 },
        Intensity { mean_photons: 0.1, probability: 0.3 },
    ])
    .unwrap();
    let honest = link(source, 20.0, DetectorParameters::ideal(DetectorKind::Snspd, 1.0));
    let attack = Attack::PhotonNumberSplitting { fraction: 1.0 };
    let model = attack.on(&honest).unwrap();
    for basis in Basis::BOTH {
        assert!((model.gain(0, basis) / honest.gain(0, basis) - 1.0).abs() < 1e-9);
        assert!((honest.gain(1, basis) - 1.00e-3).abs() < 1e-6);
        assert!((model.gain(1, basis) - 2.59e-4).abs() < 5e-7, "{}", model.gain(1, basis));
        assert!((model.error_rate(0, basis) - honest.error_rate(0, basis)).abs() < 1e-4);
    }
    let known = attack.knowledge(&honest).unwrap();
    assert!((known.known_fraction - 1.0).abs() < 1e-9);

    let pulses = 200_000_000;
    let clicks = clicks_of(&model, pulses, &mut stream(90));
    for (k, weight) in [(0, 0.7), (1, 0.3)] {
        let here = |c: &Click| c.sifted() && c.measured() == Key && usize::from(c.intensity) == k;
        let seen = clicks.iter().filter(here).count() as u64;
        assert_binomial(&format!("class {k}"), seen, pulses as f64, weight * 0.42 * model.gain(k, Key), 4.0);
    }
    let (errors, sifted) = qber(&clicks, Key);
    assert_binomial("errors", errors, sifted as f64, 0.02, 4.0);
}

/// A fraction of pulses is an exact mixture of both channels.
#[test]
fn photon_number_splitting_of_a_fraction_lies_between() {
    let honest = link(decoy_source(), 20.0, noisy(1e-6, 0));
    let on = |fraction| Attack::PhotonNumberSplitting { fraction }.on(&honest).unwrap();
    let known = |fraction| Attack::PhotonNumberSplitting { fraction }.knowledge(&honest).unwrap();
    let (whole, part) = (on(1.0), on(0.3));
    for k in 0..honest.intensities() {
        let mixed = 0.7 * honest.gain(k, Key) + 0.3 * whole.gain(k, Key);
        assert!((part.gain(k, Key) / mixed - 1.0).abs() < 1e-9);
        assert!((on(0.0).gain(k, Key) / honest.gain(k, Key) - 1.0).abs() < 1e-12);
    }
    assert!(known(0.0).known_fraction == 0.0 && known(0.3).known_fraction < known(1.0).known_fraction);
    assert!(Attack::PhotonNumberSplitting { fraction: 1.5 }.on(&honest).is_err());
}

/// Where multi-photon pulses are too few, some single photons pass, and their share is not known.
#[test]
fn photon_number_splitting_lets_single_photons_pass_at_low_loss() {
    let honest = link(decoy_source(), 2.0, noisy(0.0, 0));
    let attack = Attack::PhotonNumberSplitting { fraction: 1.0 };
    let model = attack.on(&honest).unwrap();
    assert!((model.gain(0, Key) / honest.gain(0, Key) - 1.0).abs() < 1e-9);
    let known = attack.knowledge(&honest).unwrap().known_fraction;
    assert!(known > 0.1 && known < 0.5, "{known}");
}

#[test]
fn beam_splitting_changes_nothing_and_knows_what_it_must() {
    let honest = link(decoy_source(), 10.0, noisy(0.0, 0));
    let attack = Attack::BeamSplitting;
    assert_eq!(attack.on(&honest).unwrap(), honest);
    // For coherent light the arms are independent: 1 - e^(-mu (1 - T)), mean over the clicks.
    let (mut part, mut whole) = (0.0, 0.0);
    for (k, (mean, p)) in [(0.5f64, 0.5), (0.1, 0.3)].into_iter().enumerate() {
        whole += p * honest.gain(k, Key);
        part += p * honest.gain(k, Key) * (1.0 - (-mean * 0.9).exp());
    }
    let known = attack.knowledge(&honest).unwrap().known_fraction;
    assert!((known / (part / whole) - 1.0).abs() < 1e-9, "{known}");
    // A single photon goes one way or the other.
    let single = link(Source::single_photon(0.5, 0.0).unwrap(), 10.0, noisy(0.0, 0));
    assert!(attack.knowledge(&single).unwrap().known_fraction.abs() < 1e-12);
}

fn blinding(compensate_gain: bool) -> Attack {
    let photocurrent = Current::from_amperes(5e-4);
    Attack::Blinding(Blinding { basis: FAIR, compensate_gain, photocurrent })
}

#[test]
fn blinding_has_no_double_clicks_and_half_the_counts() {
    let detector = DetectorParameters {
        afterpulses: vec![Afterpulse {
            probability: 0.05,
            decay: Duration::from_microseconds(1),
            hold_off: Duration::ZERO,
        }],
        ..noisy(1e-3, 0)
    };
    let honest = link(decoy_source(), 3.0, detector);
    let pulses = 10_000_000;
    let before = clicks_of(&honest, pulses, &mut stream(91));
    assert!(before.iter().any(|c| c.double()));
    for (seed, compensate, factor) in [(92, false, 0.5), (93, true, 1.0)] {
        let model = blinding(compensate).on(&honest).unwrap();
        let clicks = clicks_of(&model, pulses, &mut stream(seed));
        assert!(clicks.iter().all(|c| !c.double()));
        for k in 0..3 {
            for basis in Basis::BOTH {
                assert!((model.gain(k, basis) / honest.gain(k, basis) - factor).abs() < 1e-12);
                let (a, b) = (model.error_rate(k, basis), honest.error_rate(k, basis));
                assert!((a - b).abs() < 1e-12, "QBER {a} instead of {b}");
            }
        }
        let expected = model.click_probability() * pulses as f64;
        assert!((clicks.len() as f64 - expected).abs() < 4.0 * expected.sqrt());
        assert_eq!(model.bias_current(), Current::from_amperes(5e-4));
    }
    assert_eq!(blinding(true).knowledge(&honest).unwrap().information, 1.0);
    assert!(honest.bias_current() < Current::from_amperes(5e-4));
}

#[test]
fn impossible_attacks_are_refused() {
    let honest = link(decoy_source(), 3.0, noisy(0.0, 0));
    let refused = |attack: Attack| attack.on(&honest).is_err() && attack.knowledge(&honest).is_err();
    assert!(refused(Attack::InterceptResend(InterceptResend { fraction: 1.5, basis: FAIR })));
    let basis = BasisChoice::Random { key_probability: -0.1 };
    assert!(refused(Attack::InterceptResend(InterceptResend { fraction: 0.5, basis })));
    let photocurrent = Current::from_amperes(1e-3);
    let basis = BasisChoice::Breidbart;
    assert!(refused(Attack::Blinding(Blinding { basis, compensate_gain: true, photocurrent })));
    let photocurrent = Current::from_amperes(f64::NAN);
    assert!(refused(Attack::Blinding(Blinding { basis: FAIR, compensate_gain: true, photocurrent })));
}

//! After-pulses: their number, when they come, and what they are.

use super::*;

fn trapped(dark: f64, dead: u64, traps: &[(f64, u64)]) -> LinkModel {
    let afterpulses = traps
        .iter()
        .map(|&(probability, decay)| Afterpulse {
            probability,
            decay: Duration::from_nanoseconds(decay),
            hold_off: Duration::from_nanoseconds(dead),
        })
        .collect();
    let source = Source::weak_coherent(&[Intensity { mean_photons: 0.0, probability: 1.0 }]).unwrap();
    link(source, 0.0, DetectorParameters { afterpulses, ..noisy(dark, dead) })
}

/// Clicks are dark ones and their after-pulses: r = p / (1 + p D - q s). With q from 2 % to 40 %, one trap or two, far
/// from dead time and within it. The count of a cluster process varies by (1 + q)/(1 - q)^2 more; 5 of the standard
/// deviations are allowed, and 0.3 % for taking the mean of losses.
#[test]
fn the_total_of_afterpulses_follows_the_closed_form() {
    type Case = (f64, u64, &'static [(f64, u64)]);
    let cases: [Case; 6] = [
        (1e-5, 10, &[(0.02, 500)]),
        (1e-5, 10, &[(0.4, 500)]),
        (1e-5, 0, &[(0.1, 30), (0.2, 3000)]),
        (1e-4, 1000, &[(0.05, 1000)]),
        (1e-3, 1000, &[(0.05, 5000)]),
        (1e-4, 10_000, &[(0.05, 2000)]),
    ];
    for (seed, (dark, dead, traps)) in cases.into_iter().enumerate() {
        let model = trapped(dark, dead, traps);
        let pulses = 400_000_000;
        let clicks = clicks_of(&model, pulses, &mut stream(50 + seed as u64)).len() as f64;
        let expected = model.click_rate().per_second() / 1e9 * pulses as f64;
        let q: f64 = traps.iter().map(|t| t.0).sum();
        let allowed = 5.0 * (expected * (1.0 + q)).sqrt() / (1.0 - q) + 0.003 * expected;
        assert!((clicks - expected).abs() < allowed, "case {seed}: {clicks} against {expected} +- {allowed}");
        if p_times(dark, dead) < 0.05 {
            let additive = 2.0 * dark * pulses as f64 / (1.0 - q);
            assert!((expected / additive - 1.0).abs() < 0.06, "case {seed}: {expected} against {additive}");
        }
    }
}

fn p_times(dark: f64, dead: u64) -> f64 {
    2.0 * dark * dead as f64
}

/// Waits after a click beyond the dead time: a share q s of exponential ones, so Kolmogorov-Smirnov against
/// 1 - P(no light) P(no release), 0.1 % point.
#[test]
fn afterpulses_come_exponentially_after_the_dead_time() {
    let (dark, dead, q, decay) = (2e-6, 200u64, 0.2, 800.0);
    let model = trapped(dark, dead, &[(q, 800)]);
    let clicks = clicks_of(&model, 20_000_000_000, &mut stream(60));
    let mut waits: Vec<f64> = clicks.pulse.windows(2).map(|w| (w[1] - w[0] - dead - 1) as f64).collect();
    waits.sort_by(f64::total_cmp);
    let n = waits.len() as f64;
    let p = model.click_probability();
    let distance = waits
        .iter()
        .enumerate()
        .map(|(i, g)| {
            // No light in g + 1 pulses, and the carrier, if there is one, not released in them. Carriers of earlier clicks
            // are neglected: a share 2e-3 of waits begins with one.
            let none = (1.0 - p).powf(g + 1.0) * (1.0 - q + q * (-(g + 1.0) / decay).exp());
            let before = (1.0 - p).powf(*g) * (1.0 - q + q * (-g / decay).exp());
            let (low, high) = (i as f64 / n, (i + 1) as f64 / n);
            // The law is discrete: at a value, the sample's steps lie between its two limits.
            f64::max(1.0 - before - high, low - (1.0 - none))
        })
        .fold(0.0, f64::max);
    assert!(n > 50_000.0);
    assert!(distance < 1.95 / n.sqrt() + 2e-3, "{distance} at {n} waits");
}

/// An after-pulse has the settings of the pulse in which it falls and a random outcome: error rates rise towards a half
/// as the closed form says (5 standard deviations and 1 % of the after-pulses).
#[test]
fn afterpulses_are_random_in_outcome_and_setting() {
    let detector = DetectorParameters {
        afterpulses: vec![Afterpulse {
            probability: 0.1,
            decay: Duration::from_nanoseconds(500),
            hold_off: Duration::from_nanoseconds(100),
        }],
        ..noisy(1e-6, 100)
    };
    let model = link(decoy_source(), 20.0, detector);
    let pulses = 400_000_000u64;
    let clicks = clicks_of(&model, pulses, &mut stream(61));
    for k in 0..3 {
        for basis in Basis::BOTH {
            let of = |f: fn(&Click) -> bool| {
                clicks
                    .iter()
                    .filter(|c| c.sifted() && c.measured() == basis && usize::from(c.intensity) == k && f(c))
                    .count() as f64
            };
            let weight = model.intensity_probability(k)
                * model.prepared_probability(basis)
                * model.measured_probability(basis)
                * pulses as f64;
            for (seen, expected) in [
                (of(|_| true), weight * model.detected_gain(k, basis)),
                (
                    of(|c| c.error()),
                    weight * model.detected_gain(k, basis) * model.detected_error_rate(k, basis),
                ),
            ] {
                let afterpulses = weight * (model.detected_gain(2, basis) - model.gain(2, basis));
                let allowed = 5.0 * expected.sqrt() + 0.01 * afterpulses;
                assert!((seen - expected).abs() < allowed, "class {k} {basis:?}: {seen} against {expected}");
            }
        }
    }
}

/// A probability given for another hold-off is that of the carriers which are left.
#[test]
fn hold_off_truncates() {
    let with = |dead: u64, hold_off| {
        let afterpulses = vec![Afterpulse {
            probability: 0.1,
            decay: Duration::from_microseconds(1),
            hold_off: Duration::from_microseconds(hold_off),
        }];
        let source = Source::weak_coherent(&[Intensity { mean_photons: 0.0, probability: 1.0 }]).unwrap();
        let rate = |d| link(source.clone(), 0.0, d).click_rate().per_second();
        let detector = DetectorParameters { dead_time: Duration::from_microseconds(dead), ..noisy(1e-9, 0) };
        rate(DetectorParameters { afterpulses, ..detector.clone() }) / rate(detector) - 1.0
    };
    let all = with(0, 0);
    assert!((all - 0.1 / 0.9).abs() < 1e-4, "{all}");
    let later = with(3, 0);
    let q = 0.1 * (-3f64).exp();
    assert!((later - q / (1.0 - q)).abs() < 1e-4, "{later} against {q}");
    assert!((with(3, 3) - 0.1 / 0.9).abs() < 2e-3);
}

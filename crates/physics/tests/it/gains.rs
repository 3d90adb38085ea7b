//! Gains and error rates by class and basis: sampler against closed form, closed form against pulse by pulse.

use super::*;
use bellwether_physics::Basis::{Check, Key};

/// Counts of a class by prepared and measured basis: right, wrong, double.
type Cells = [[[u64; 3]; 2]; 2];

fn tabulate(clicks: &Clicks, classes: usize) -> Vec<Cells> {
    let mut table = vec![[[[0; 3]; 2]; 2]; classes];
    for click in clicks.iter() {
        let cell =
            &mut table[usize::from(click.intensity)][click.prepared().index()][click.measured().index()];
        cell[if click.double() { 2 } else { usize::from(click.outcome() != click.bit()) }] += 1;
    }
    table
}

/// Every cell within 4.5 standard deviations (36 cells, so 2.5e-4 false alarms).
fn compare(model: &LinkModel, pulses: u64, table: &[Cells]) {
    for (k, cells) in table.iter().enumerate() {
        for prepared in Basis::BOTH {
            for measured in Basis::BOTH {
                let expected = model.detected_outcome(k, prepared, measured);
                let weight = model.intensity_probability(k)
                    * model.prepared_probability(prepared)
                    * model.measured_probability(measured);
                let seen = cells[prepared.index()][measured.index()];
                for (count, p) in seen.into_iter().zip([expected.right, expected.wrong, expected.both]) {
                    let what = format!("class {k}, {prepared:?} to {measured:?}");
                    assert_binomial(&what, count, pulses as f64, weight * p, 4.5);
                }
            }
        }
    }
}

#[test]
fn sampled_outcomes_follow_the_closed_form() {
    let heralded = Source::heralded(PairStatistics::Thermal, 0.1, 0.6, 1e-3).unwrap();
    for (seed, source) in
        [decoy_source(), Source::single_photon(0.4, 0.1).unwrap(), heralded].into_iter().enumerate()
    {
        let model = link(source, 3.0, noisy(1e-3, 0));
        let clicks = clicks_of(&model, 4_000_000, &mut stream(seed as u64));
        compare(&model, 4_000_000, &tabulate(&clicks, model.intensities()));
    }
}

#[test]
fn outcomes_follow_the_closed_form_behind_a_common_dead_time() {
    let model = link(decoy_source(), 3.0, noisy(1e-3, 20));
    assert!((0.15..0.5).contains(&model.live_fraction()));
    let clicks = clicks_of(&model, 20_000_000, &mut stream(10));
    compare(&model, 20_000_000, &tabulate(&clicks, 3));
}

#[test]
fn random_outcomes_of_double_clicks_are_fair() {
    let model = link(decoy_source(), 0.0, noisy(0.05, 0));
    let clicks = clicks_of(&model, 3_000_000, &mut stream(11));
    let (mut doubles, mut ones) = (0, 0);
    for click in clicks.iter().filter(|c| c.double()) {
        doubles += 1;
        ones += u64::from(click.outcome() == click.bit());
    }
    assert!(doubles > 50_000);
    assert_binomial("right outcomes", ones, f64::from(doubles), 0.5, 4.0);
}

/// The second way: each pulse by itself, with a photon number, a detector for every photon, and dark counts.
#[test]
fn the_closed_form_agrees_with_photons_one_by_one() {
    let model = link(decoy_source(), 3.0, noisy(0.01, 0));
    let mut s = stream(12);
    let eta = model.transmittance();
    for (k, mean) in [(0, 0.5f64), (1, 0.1)] {
        let photons = model.parameters().source.photons(k).clone();
        for (measured, wrong) in [(Key, 0.02), (Check, 0.5)] {
            let n = 1_000_000;
            let mut counts = [0u64; 3];
            for _ in 0..n {
                let mut fired = [s.chance(0.01), s.chance(0.01)];
                let (mut u, mut number) = (s.uniform(), 0);
                while u > photons.probability(number) && number < 50 {
                    u -= photons.probability(number);
                    number += 1;
                }
                for _ in 0..number {
                    if s.chance(eta) {
                        fired[usize::from(s.chance(wrong))] = true;
                    }
                }
                match fired {
                    [true, false] => counts[0] += 1,
                    [false, true] => counts[1] += 1,
                    [true, true] => counts[2] += 1,
                    [false, false] => {}
                }
            }
            let o = model.outcome(k, Key, measured);
            for (count, p) in counts.into_iter().zip([o.right, o.wrong, o.both]) {
                assert_binomial(&format!("mean {mean} in {measured:?}"), count, f64::from(n), p, 4.0);
            }
        }
    }
}

/// With a dead time of each detector by itself the closed form takes them as independent; gains agree to 1 % and 4
/// standard deviations.
#[test]
fn gains_behind_dead_times_of_each_detector_are_close() {
    let detector = DetectorParameters { dead_time_scope: DeadTimeScope::Each, ..noisy(1e-3, 20) };
    let model = link(decoy_source(), 6.0, detector);
    let pulses = 30_000_000;
    let table = tabulate(&clicks_of(&model, pulses, &mut stream(13)), 3);
    for (k, cells) in table.iter().enumerate() {
        for basis in Basis::BOTH {
            let weight = model.intensity_probability(k)
                * model.prepared_probability(basis)
                * model.measured_probability(basis);
            let [right, wrong, both] = cells[basis.index()][basis.index()];
            let gain = (right + wrong + both) as f64 / (pulses as f64 * weight);
            let expected = model.detected_gain(k, basis);
            let allowed = 0.01 + 4.0 / ((right + wrong + both) as f64).sqrt();
            assert!((gain / expected - 1.0).abs() < allowed, "class {k}: {gain} against {expected}");
        }
    }
    let rate = table.iter().flatten().flatten().flatten().sum::<u64>() as f64 / pulses as f64 * 1e9;
    assert!((rate / model.click_rate().per_second() - 1.0).abs() < 2e-3);
}

#[test]
fn detection_does_not_depend_on_the_basis() {
    let model = link(decoy_source(), 7.0, noisy(1e-4, 0));
    for k in 0..3 {
        let gains = Basis::BOTH.map(|p| Basis::BOTH.map(|m| model.outcome(k, p, m).click()));
        for gain in gains.as_flattened() {
            assert!((gain / gains[0][0] - 1.0).abs() < 1e-12);
        }
    }
}

/// The attenuated source is the same as the source behind loss, for every kind of source.
#[test]
fn loss_may_be_in_the_channel_the_receiver_or_the_detector() {
    for source in [decoy_source(), Source::heralded(PairStatistics::Poisson, 0.2, 0.5, 0.0).unwrap()] {
        let channel = link(source.clone(), 10.0, noisy(1e-6, 0));
        let mut parameters = channel.parameters().clone();
        parameters.channel_loss = Loss::from_decibels(4.0);
        parameters.receiver_loss = Loss::from_decibels(6.0);
        let receiver = LinkModel::new(parameters).unwrap();
        for k in 0..channel.intensities() {
            let (a, b) = (channel.outcome(k, Key, Key), receiver.outcome(k, Key, Key));
            assert!((a.right - b.right).abs() < 1e-15 && (a.wrong - b.wrong).abs() < 1e-15);
        }
    }
}

#[test]
fn impossible_links_are_refused() {
    let good = link(decoy_source(), 3.0, noisy(0.0, 0)).parameters().clone();
    let with = |change: fn(&mut LinkParameters)| {
        let mut parameters = good.clone();
        change(&mut parameters);
        LinkModel::new(parameters)
    };
    assert!(matches!(
        with(|p| p.transmitter_key_probability = 1.1),
        Err(LinkError::NotAProbability { value: 1.1, .. })
    ));
    assert!(matches!(
        with(|p| p.receiver_key_probability = f64::NAN),
        Err(LinkError::NotAProbability { .. })
    ));
    assert!(matches!(with(|p| p.channel_loss = Loss::from_decibels(-1.0)), Err(LinkError::Loss(_))));
    assert!(matches!(with(|p| p.receiver_loss = Loss::from_decibels(f64::NAN)), Err(LinkError::Loss(_))));
    assert!(matches!(with(|p| p.clock = Frequency::from_hertz(0.0)), Err(LinkError::Clock(_))));
    assert!(matches!(with(|p| p.background_photons = -1.0), Err(LinkError::Background(_))));
    let slow = DetectorParameters { gate: Some(Duration::from_nanoseconds(2)), ..noisy(0.0, 0) };
    let mut parameters = good.clone();
    parameters.detector = Detector::new(slow).unwrap();
    assert!(matches!(LinkModel::new(parameters), Err(LinkError::GateTooLong { .. })));
}

/// A cut fibre is a loss like any other: 1000 dB leave the dark counts.
#[test]
fn a_cut_fibre_leaves_dark_counts() {
    let model = link(decoy_source(), 1000.0, noisy(1e-5, 0));
    assert!((model.gain(0, Key) - (1.0 - (1.0f64 - 1e-5).powi(2))).abs() < 1e-15);
    assert!((model.error_rate(0, Key) - 0.5).abs() < 1e-9);
}

/// Behind a beam splitter that sends a tenth of the light to the check basis, the check basis' detectors count in
/// the dark as often as the others: ten times as often for each click of light.
#[test]
fn a_passive_receiver_counts_in_the_dark_in_both_bases() {
    let dark = 1e-5;
    let parameters = LinkParameters {
        receiver_key_probability: 0.9,
        transmitter_key_probability: 0.9,
        passive: true,
        ..LinkParameters::new(
            Frequency::from_hertz(1e9),
            Source::weak_coherent(&[Intensity { mean_photons: 0.5, probability: 1.0 }]).unwrap(),
            Loss::from_decibels(1000.0),
            Detector::new(DetectorParameters {
                dark_counts: DarkCounts::PerGate(dark),
                ..DetectorParameters::ideal(DetectorKind::Snspd, 0.5)
            })
            .unwrap(),
        )
    };
    let passive = LinkModel::new(parameters.clone()).unwrap();
    for basis in Basis::BOTH {
        let seen = passive.measured_probability(basis) * passive.gain(0, basis);
        assert!((seen / (2.0 * dark) - 1.0).abs() < 1e-3, "{basis:?}: {seen}");
    }
    let active = LinkModel::new(LinkParameters { passive: false, ..parameters }).unwrap();
    assert!((passive.click_probability() / active.click_probability() - 2.0).abs() < 1e-3);
}

//! When clicks come: the law of the waits, dead time, jitter.

use super::*;

/// Chi-square of waits beyond the dead time against the geometric law: 60 cells and the rest, 99.9 % point 102.2 with
/// 61 - 1 degrees of freedom.
#[test]
fn waits_are_geometric_beyond_the_dead_time() {
    for (seed, dead) in [(20, 0u64), (21, 17)] {
        let model = link(decoy_source(), 6.0, noisy(1e-3, dead));
        let p = model.click_probability();
        let clicks = clicks_of(&model, 6_000_000, &mut stream(seed));
        let mut counts = [0f64; 61];
        for pair in clicks.pulse.windows(2) {
            let wait = pair[1] - pair[0];
            assert!(wait > dead, "a click {wait} pulses after another");
            counts[usize::min((wait - dead - 1) as usize, 60)] += 1.0;
        }
        let n = (clicks.len() - 1) as f64;
        let chi2: f64 = counts
            .iter()
            .enumerate()
            .map(|(g, count)| {
                let tail = (1.0 - p).powi(g as i32);
                let expected = n * if g < 60 { p * tail } else { tail };
                (count - expected).powi(2) / expected
            })
            .sum();
        assert!(chi2 < 102.2, "dead for {dead}: chi-square {chi2}");
    }
}

/// R / (1 + R tau) up to deep saturation; the count of a renewal process has the variance N (1 - r D)^2 (1 - p), of which
/// 4 standard deviations are allowed.
#[test]
fn dead_time_saturates() {
    for (seed, (decibels, dead)) in
        [(0.0, 10u64), (0.0, 1000), (10.0, 100), (20.0, 1000)].into_iter().enumerate()
    {
        let model = link(decoy_source(), decibels, noisy(1e-4, dead));
        let p = model.click_probability();
        let expected = p / (1.0 + p * dead as f64);
        assert!((model.click_rate().per_second() / 1e9 / expected - 1.0).abs() < 1e-12);
        let pulses = 20_000_000;
        let clicks = clicks_of(&model, pulses, &mut stream(30 + seed as u64));
        let mean = pulses as f64 * expected;
        let deviation = mean.sqrt() * (1.0 - expected * dead as f64);
        let off = (clicks.len() as f64 - mean) / deviation;
        assert!(off.abs() < 4.0, "{decibels} dB, dead for {dead}: off by {off} standard deviations");
    }
}

/// A dead time that is no whole number of periods ends at the next pulse; one that is, loses the pulse at its end.
#[test]
fn dead_times_are_counted_in_pulses() {
    let dead = |picoseconds| {
        let detector =
            DetectorParameters { dead_time: Duration::from_picoseconds(picoseconds), ..noisy(0.0, 0) };
        link(decoy_source(), 0.0, detector).dead_pulses()
    };
    assert_eq!([0, 1, 999, 1000, 1001, 2000].map(dead), [0, 1, 1, 1, 2, 2]);
}

/// However a run is cut into calls, no click comes within the dead time of one in the call before.
#[test]
fn dead_time_carries_over_from_call_to_call() {
    let model = link(decoy_source(), 0.0, noisy(1e-2, 50));
    let mut sampler = ClickSampler::new(&model);
    let (mut s, mut clicks) = (stream(40), Clicks::default());
    for i in 0..20_000u64 {
        sampler.sample(i * 7..(i + 1) * 7, &mut s, &mut clicks);
    }
    assert!(clicks.pulse.windows(2).all(|w| w[1] - w[0] > 50));
    let p = model.click_probability();
    let expected = 140_000.0 * p / (1.0 + 50.0 * p);
    assert!((clicks.len() as f64 - expected).abs() < 4.0 * expected.sqrt() / (1.0 + 50.0 * p) + 1.0);
}

/// With its own dead time for each detector, a click of the other may follow at once, one of its own may not.
#[test]
fn dead_time_of_each_detector_leaves_the_other_alive() {
    let detector = DetectorParameters { dead_time_scope: DeadTimeScope::Each, ..noisy(1e-3, 30) };
    let clicks = clicks_of(&link(decoy_source(), 0.0, detector), 1_000_000, &mut stream(41));
    let mut last = [None::<u64>; 2];
    let mut close = 0;
    let mut previous = None::<u64>;
    for click in clicks.iter() {
        for (detector, last) in last.iter_mut().enumerate() {
            if click.double() || usize::from(click.outcome()) == detector {
                assert!(last.is_none_or(|l| click.pulse - l > 30));
                *last = Some(click.pulse);
            }
        }
        close += u32::from(previous.is_some_and(|l| click.pulse - l <= 30));
        previous = Some(click.pulse);
    }
    assert!(close > 1000, "only {close} clicks of the other detector");
}

/// Jitter as wide as the period: the own window keeps erf(sqrt(ln 2) w / FWHM), and what leaks into neighbours comes
/// with their own preparation, so it is right half the time. In windows that touch no light is lost.
#[test]
fn jitter_leaks_into_neighbouring_pulses() {
    let detector = DetectorParameters { jitter: Duration::from_picoseconds(800), ..noisy(0.0, 0) };
    let bright = || Source::weak_coherent(&[Intensity { mean_photons: 0.1, probability: 1.0 }]).unwrap();
    let model = link(bright(), 3.0, detector);
    let still = link(bright(), 3.0, noisy(0.0, 0));
    let own = libm::erf(2f64.ln().sqrt() / 0.8);
    // To first order in the mean photon number, of which the second is 4 %.
    let error = model.error_rate(0, Basis::Key);
    let expected = own * 0.02 + (1.0 - own) * 0.5;
    assert!((error / expected - 1.0).abs() < 0.04, "{error} against {expected}");
    assert!((model.gain(0, Basis::Key) / still.gain(0, Basis::Key) - 1.0).abs() < 0.04);

    let pulses = 10_000_000u64;
    let clicks = clicks_of(&model, pulses, &mut stream(42));
    let sifted = clicks.iter().filter(|c| c.sifted() && c.measured() == Basis::Key).count() as f64;
    let errors = clicks.iter().filter(|c| c.error() && c.measured() == Basis::Key).count();
    assert_binomial("errors", errors as u64, sifted, error, 4.0);
    assert_binomial("sifted", sifted as u64, pulses as f64, 0.42 * model.gain(0, Basis::Key), 4.0);
}

/// The second way for jitter: photons of a train of pulses with Gaussian delays, put into windows one by one.
#[test]
fn jitter_agrees_with_photons_one_by_one() {
    let detector = DetectorParameters {
        jitter: Duration::from_picoseconds(600),
        gate: Some(Duration::from_picoseconds(500)),
        ..noisy(0.0, 0)
    };
    let source = Source::weak_coherent(&[Intensity { mean_photons: 0.05, probability: 1.0 }]).unwrap();
    let model = link(source, 0.0, detector);
    let sigma = 600.0 / (8.0 * 2f64.ln()).sqrt();
    let mut s = stream(43);
    let (n, mut own, mut other) = (2_000_000u32, 0u64, 0u64);
    for _ in 0..n {
        // Box and Muller.
        let (u, v) = (1.0 - s.uniform(), s.uniform());
        let delay = sigma * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let slot = (delay / 1000.0).round();
        if (delay - slot * 1000.0).abs() <= 250.0 {
            if slot == 0.0 { own += 1 } else { other += 1 }
        }
    }
    let (own, other) = (own as f64 / f64::from(n), other as f64 / f64::from(n));
    // To first order in the mean photon number 0.04.
    let gain = model.gain(0, Basis::Key) / 0.04;
    assert!((gain / (own + other) - 1.0).abs() < 0.03, "{gain} against {}", own + other);
    let error = model.error_rate(0, Basis::Key);
    let expected = (own * 0.02 + other / 2.0) / (own + other);
    assert!((error / expected - 1.0).abs() < 0.03, "{error} against {expected}");
}

/// A free-running detector is dead after what it sees outside its window, too.
#[test]
fn a_free_running_detector_is_dead_after_unrecorded_clicks() {
    let with = |kind| {
        let detector = DetectorParameters {
            kind,
            gate: Some(Duration::from_picoseconds(500)),
            dark_counts: DarkCounts::Rate(bellwether_units::Rate::from_per_second(1e7)),
            dead_time: Duration::from_nanoseconds(40),
            ..DetectorParameters::ideal(DetectorKind::Snspd, 0.8)
        };
        link(decoy_source(), 10.0, detector)
    };
    let (gated, free) = (with(DetectorKind::InGaAs), with(DetectorKind::Snspd));
    assert_eq!(gated.click_probability(), free.click_probability());
    assert!(free.live_fraction() < gated.live_fraction() - 0.05);
    for (seed, model) in [(44, gated), (45, free)] {
        let pulses = 10_000_000;
        let clicks = clicks_of(&model, pulses, &mut stream(seed));
        let expected = model.click_rate().per_second() / 1e9 * pulses as f64;
        assert!((clicks.len() as f64 - expected).abs() < 4.0 * expected.sqrt());
    }
}

/// The model may change between calls; the counts of both parts follow their own law.
#[test]
fn the_model_may_change_on_the_way() {
    let (near, far) =
        (link(decoy_source(), 3.0, noisy(1e-4, 10)), link(decoy_source(), 13.0, noisy(1e-4, 10)));
    let mut sampler = ClickSampler::new(&near);
    let (mut s, mut first, mut second) = (stream(46), Clicks::default(), Clicks::default());
    sampler.sample(0..4_000_000, &mut s, &mut first);
    sampler.set_model(&far);
    sampler.sample(4_000_000..8_000_000, &mut s, &mut second);
    for (model, clicks) in [(near, first), (far, second)] {
        let expected = model.click_rate().per_second() / 1e9 * 4e6;
        assert!((clicks.len() as f64 - expected).abs() < 4.0 * expected.sqrt());
    }
}

//! Blocks drawn in bulk against the same blocks counted click by click.

use super::*;
use bellwether_physics::Basis::Key;

/// Counts the clicks of `pulses` pulses, going on where `sampler` stands.
fn count(
    sampler: &mut ClickSampler,
    at: u64,
    pulses: u64,
    stream: &mut Stream,
    clicks: &mut Clicks,
    classes: usize,
) -> BlockCounts {
    clicks.clear();
    sampler.sample(at..at + pulses, stream, clicks);
    let mut counts = BlockCounts { pulses, ..Default::default() };
    counts.sifted = [vec![0; classes], vec![0; classes]];
    counts.errors = counts.sifted.clone();
    for click in clicks.iter() {
        counts.clicks += 1;
        counts.double_clicks += u64::from(click.double());
        if click.sifted() {
            counts.sifted[click.measured().index()][usize::from(click.intensity)] += 1;
            counts.errors[click.measured().index()][usize::from(click.intensity)] += u64::from(click.error());
        }
    }
    counts
}

/// The numbers of a block that are compared.
fn numbers(counts: &BlockCounts) -> Vec<f64> {
    let mut all = vec![counts.pulses as f64, counts.clicks as f64, counts.double_clicks as f64];
    for column in counts.sifted.iter().chain(&counts.errors) {
        all.extend(column.iter().map(|&n| n as f64));
    }
    all
}

fn mean_and_variance(xs: &[f64]) -> (f64, f64) {
    let n = xs.len() as f64;
    let mean = xs.iter().sum::<f64>() / n;
    (mean, xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

/// Two samples of numbers of blocks: means within 5 standard errors (and `bias` of the mean), variances within 6 (and
/// `spread`), and Kolmogorov-Smirnov of two samples at the 0.01 % point, 2.23 sqrt(2/n), where there is no bias.
fn compare(name: &str, clicks: &[Vec<f64>], blocks: &[Vec<f64>], bias: f64, spread: f64) {
    let n = clicks.len() as f64;
    for i in 0..clicks[0].len() {
        let mut a: Vec<f64> = clicks.iter().map(|b| b[i]).collect();
        let mut b: Vec<f64> = blocks.iter().map(|b| b[i]).collect();
        let ((mean_a, var_a), (mean_b, var_b)) = (mean_and_variance(&a), mean_and_variance(&b));
        let error = ((var_a + var_b) / n).sqrt();
        assert!(
            (mean_a - mean_b).abs() <= 5.0 * error + bias * mean_a,
            "{name}, number {i}: mean {mean_a} click by click, {mean_b} in bulk, standard error {error}"
        );
        if mean_a > 20.0 && var_a > 0.0 {
            let ratio = var_b / var_a;
            assert!(
                (ratio - 1.0).abs() < 6.0 * (4.0 / n).sqrt() + spread,
                "{name}, number {i}: variance {var_a} click by click, {var_b} in bulk"
            );
            a.sort_by(f64::total_cmp);
            b.sort_by(f64::total_cmp);
            let (mut j, mut distance) = (0, 0f64);
            for (i, x) in a.iter().enumerate() {
                while j < b.len() && b[j] <= *x {
                    j += 1;
                }
                if a.get(i + 1) != Some(x) {
                    distance = distance.max(((i + 1) as f64 - j as f64).abs() / n);
                }
            }
            let allowed = 2.23 * (2.0 / n).sqrt() + 0.4 * (bias * mean_a / var_a.sqrt() + spread);
            assert!(
                distance < allowed,
                "{name}, number {i}: Kolmogorov-Smirnov distance {distance} of {allowed}"
            );
        }
    }
}

const BLOCKS: u64 = 3000;

/// Blocks of a given number of pulses.
fn by_pulses(name: &str, model: &LinkModel, pulses: u64, bias: f64, spread: f64) {
    let (mut s, mut t) = (stream(name.len() as u64), stream(1000 + name.len() as u64));
    let (mut single, mut bulk) = (ClickSampler::new(model), BlockSampler::new(model));
    let (mut clicks, mut counts) = (Clicks::default(), BlockCounts::default());
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for i in 0..BLOCKS {
        let one = count(&mut single, i * pulses, pulses, &mut s, &mut clicks, model.intensities());
        a.push(numbers(&one));
        bulk.sample_pulses(pulses, &mut t, &mut counts);
        assert_eq!(counts.pulses, pulses);
        b.push(numbers(&counts));
    }
    compare(name, &a, &b, bias, spread);
}

#[test]
fn blocks_of_pulses_agree_click_by_click() {
    by_pulses("no dead time", &link(decoy_source(), 10.0, noisy(1e-4, 0)), 50_000, 0.0, 0.0);
    by_pulses("dead time", &link(decoy_source(), 10.0, noisy(1e-4, 100)), 100_000, 0.0, 0.0);
    by_pulses("deep saturation", &link(decoy_source(), 0.0, noisy(1e-3, 1000)), 1_000_000, 0.0, 0.0);
    by_pulses("few clicks", &link(decoy_source(), 40.0, noisy(1e-6, 10)), 100_000, 0.0, 0.0);
    let free_running = DetectorParameters {
        kind: DetectorKind::Snspd,
        gate: Some(Duration::from_picoseconds(400)),
        jitter: Duration::from_picoseconds(300),
        dark_counts: DarkCounts::Rate(bellwether_units::Rate::from_per_second(1e6)),
        ..noisy(0.0, 50)
    };
    by_pulses(
        "jitter in a free-running detector",
        &link(decoy_source(), 10.0, free_running),
        100_000,
        0.0,
        0.0,
    );
}

/// After-pulses follow their clicks at once in bulk: mean within 0.5 %, variance within 5 % more.
#[test]
fn blocks_with_afterpulses_agree_click_by_click() {
    let trapped = |dead, probability, decay| DetectorParameters {
        afterpulses: vec![Afterpulse {
            probability,
            decay: Duration::from_nanoseconds(decay),
            hold_off: Duration::from_nanoseconds(dead),
        }],
        ..noisy(1e-5, dead)
    };
    by_pulses("5 % after-pulses", &link(decoy_source(), 15.0, trapped(100, 0.05, 200)), 200_000, 0.005, 0.05);
    by_pulses(
        "saturated, 5 % after-pulses",
        &link(decoy_source(), 15.0, trapped(1000, 0.05, 1000)),
        800_000,
        0.005,
        0.05,
    );
}

/// Dead times of each detector by itself are replaced by common ones in bulk: mean within 0.5 %, variance within 30 %.
#[test]
fn blocks_with_dead_times_of_each_detector_are_close() {
    let each = DetectorParameters { dead_time_scope: DeadTimeScope::Each, ..noisy(1e-4, 40) };
    by_pulses("each", &link(decoy_source(), 10.0, each), 100_000, 0.005, 0.3);
}

/// Blocks of a given number of sifted key clicks: their length and all other counts.
#[test]
fn blocks_of_key_clicks_agree_click_by_click() {
    for (name, wanted, model) in [
        ("key clicks", 400, link(decoy_source(), 10.0, noisy(1e-4, 30))),
        ("key clicks, no dead time", 50, link(decoy_source(), 20.0, noisy(1e-6, 0))),
    ] {
        let (mut s, mut t) = (stream(7), stream(8));
        let (mut single, mut bulk) = (ClickSampler::new(&model), BlockSampler::new(&model));
        let (mut clicks, mut counts) = (Clicks::default(), BlockCounts::default());
        let (mut a, mut b) = (Vec::new(), Vec::new());
        // Click by click: a long run, cut after every `wanted`-th key click.
        let (mut at, mut from) = (0, 0u64);
        let mut block = BlockCounts::default();
        let fresh = BlockCounts {
            sifted: [vec![0; 3], vec![0; 3]],
            errors: [vec![0; 3], vec![0; 3]],
            ..block.clone()
        };
        block.clone_from(&fresh);
        while a.len() < BLOCKS as usize {
            clicks.clear();
            single.sample(at..at + 1_000_000, &mut s, &mut clicks);
            at += 1_000_000;
            for click in clicks.iter() {
                block.clicks += 1;
                block.double_clicks += u64::from(click.double());
                if click.sifted() {
                    block.sifted[click.measured().index()][usize::from(click.intensity)] += 1;
                    block.errors[click.measured().index()][usize::from(click.intensity)] +=
                        u64::from(click.error());
                }
                if block.sifted_in(Key) == wanted {
                    block.pulses = click.pulse + 1 - from;
                    from = click.pulse + 1;
                    a.push(numbers(&block));
                    block.clone_from(&fresh);
                }
            }
        }
        a.truncate(BLOCKS as usize);
        for _ in 0..BLOCKS {
            bulk.sample_until(wanted, u64::MAX, &mut t, &mut counts);
            assert_eq!(counts.sifted_in(Key), wanted);
            b.push(numbers(&counts));
        }
        compare(name, &a, &b, 0.0, 0.0);
    }
}

#[test]
fn a_block_ends_at_its_last_pulse_even_without_clicks() {
    let dark = link(decoy_source(), 1000.0, noisy(0.0, 100));
    let mut bulk = BlockSampler::new(&dark);
    let mut counts = BlockCounts::default();
    for pulses in [0, 1, u64::MAX] {
        bulk.sample_until(10, pulses, &mut stream(9), &mut counts);
        assert_eq!((counts.pulses, counts.clicks), (pulses, 0));
    }
}

/// A year of a bright link: hours of pulses at once, the mean within 5 standard deviations.
#[test]
fn long_blocks_are_drawn_at_once() {
    let model = link(decoy_source(), 10.0, noisy(1e-6, 100));
    let mut bulk = BlockSampler::new(&model);
    let mut counts = BlockCounts::default();
    let pulses = 31_557_600_000_000_000;
    bulk.sample_pulses(pulses, &mut stream(10), &mut counts);
    let rate = model.click_rate().per_second() / 1e9;
    let mean = pulses as f64 * rate;
    let off = (counts.clicks as f64 - mean) / (mean.sqrt() * (1.0 - 100.0 * rate));
    // The closed form itself is a double: 1e-15 of 1e14 clicks is below one.
    assert!(off.abs() < 5.0, "off by {off} standard deviations");
}

/// After-pulses that almost always bring forth another: a few live pulses hold a whole lot of clicks, and the block
/// must end all the same.
#[test]
fn a_block_of_endless_after_pulses_ends() {
    let detector = Detector::new(DetectorParameters {
        dark_counts: DarkCounts::PerGate(0.01),
        dead_time: Duration::ZERO,
        afterpulses: vec![Afterpulse {
            probability: 0.995,
            decay: Duration::from_nanoseconds(1),
            hold_off: Duration::ZERO,
        }],
        ..DetectorParameters::ideal(DetectorKind::Snspd, 0.5)
    })
    .unwrap();
    let source = Source::weak_coherent(&[Intensity { mean_photons: 5.0, probability: 1.0 }]).unwrap();
    let model = LinkModel::new(LinkParameters::new(
        Frequency::from_hertz(1e9),
        source,
        Loss::from_decibels(0.0),
        detector,
    ))
    .unwrap();
    let mut sampler = BlockSampler::new(&model);
    let mut counts = BlockCounts::default();
    let mut random = stream(3);
    for _ in 0..1_000 {
        sampler.sample_until(1_000, 1_000, &mut random, &mut counts);
        assert!(counts.pulses <= 1_000);
    }
}

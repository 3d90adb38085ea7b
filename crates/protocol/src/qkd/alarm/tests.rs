use super::*;
use crate::qkd::security::tests::binomial;
use crate::qkd::security::{BlockStatistics, ClassCounts, ExpectedClass, SourceClass};
use bellwether_units::{EntityId, Purpose, Stream};
use proptest::prelude::*;

const EMPTY: f64 = 1e-7;
const ETA: f64 = 0.01;

/// A link of transmittance `eta` with misalignment `error`, 10 % of pulses in the check basis.
fn classes(eta: f64, error: f64) -> Vec<ExpectedClass> {
    source()
        .iter()
        .map(|class| {
            let light = -(-eta * class.mean_photons).exp_m1();
            let gain = EMPTY + light;
            ExpectedClass { gain, error_rate: (EMPTY / 2.0 + error * light) / gain }
        })
        .collect()
}

fn source() -> [SourceClass; 3] {
    [SourceClass::new(0.5, 0.6), SourceClass::new(0.1, 0.3), SourceClass::new(2e-4, 0.1)]
}

fn baseline() -> Baseline {
    let classes = classes(ETA, 0.01);
    let gain: f64 = source().iter().zip(&classes).map(|(s, c)| s.probability * c.gain).sum();
    Baseline {
        source: source().to_vec(),
        key: classes.clone(),
        check: classes,
        background_per_pulse: EMPTY,
        clicks_per_pulse: gain,
        double_clicks_per_click: Some(1e-4),
        bias_current_limit: Some(Current::from_amperes(1e-6)),
    }
}

struct Block {
    statistics: BlockStatistics,
    pulses: u64,
    clicks: u64,
    double_clicks: u64,
}

impl Block {
    /// A block of about `bits` sifted key bits from a link with these true figures.
    fn sample(bits: f64, link: &[ExpectedClass], doubles: f64, rng: &mut Stream) -> Self {
        let gain: f64 = source().iter().zip(link).map(|(s, c)| s.probability * c.gain).sum();
        let honest = baseline().clicks_per_pulse;
        let pulses = (bits / (0.81 * honest)) as u64;
        let basis = |sifting: f64, rng: &mut Stream| {
            source()
                .iter()
                .zip(link)
                .map(|(s, c)| {
                    let sifted = binomial(pulses, sifting * s.probability * c.gain, rng);
                    ClassCounts { sifted, errors: binomial(sifted, c.error_rate, rng) }
                })
                .collect::<Vec<_>>()
        };
        let statistics = BlockStatistics { key: basis(0.81, rng), check: basis(0.01, rng), pulses };
        let matched = statistics.total(Basis::Key).sifted + statistics.total(Basis::Check).sifted;
        let clicks = matched + binomial(pulses, 0.18 * gain, rng);
        let double_clicks = binomial(clicks, doubles, rng);
        Self { statistics, pulses, clicks, double_clicks }
    }
    fn observed(&self) -> BlockObservation<'_> {
        BlockObservation {
            block: BlockId(7),
            at: Time::from_picoseconds(3_000_000_000_000),
            statistics: &self.statistics,
            pulses: self.pulses,
            clicks: self.clicks,
            double_clicks: self.double_clicks,
            bias_current: Some(Current::from_amperes(1e-7)),
        }
    }
    fn alarms(&self) -> Vec<AlarmKind> {
        let alarms = assess_block(&baseline(), &Thresholds::default(), &self.observed());
        alarms.iter().map(|alarm| alarm.kind).collect()
    }
}

fn stream(purpose: &str) -> Stream {
    Stream::new(1, EntityId(0), Purpose::named(purpose))
}

#[test]
fn ten_thousand_honest_blocks_raise_nothing() {
    let mut rng = stream("honest");
    let mut drift = Drift::default();
    for i in 0..10_000 {
        let bits = if i % 2 == 0 { 1e5 } else { 1e6 };
        let block = Block::sample(bits, &classes(ETA, 0.01), 1e-4, &mut rng);
        assert_eq!(block.alarms(), [], "block {i}");
        assert_eq!(drift.enter(&baseline(), &Thresholds::default(), &block.observed()), [], "block {i}");
    }
}

#[test]
fn honest_drift_within_the_tolerance_raises_nothing() {
    let mut rng = stream("drift");
    for eta in [0.8 * ETA, ETA, 1.2 * ETA] {
        for error in [0.008, 0.012] {
            for _ in 0..200 {
                assert_eq!(Block::sample(1e6, &classes(eta, error), 0.8e-4, &mut rng).alarms(), []);
            }
        }
    }
}

#[test]
fn intercept_and_resend_of_any_tested_fraction_is_seen_in_one_block() {
    let mut rng = stream("intercept");
    for fraction in [1.0, 0.3, 0.1] {
        for bits in [1e5, 1e6] {
            let error = 0.01 + fraction / 4.0 * 0.98;
            let alarms = Block::sample(bits, &classes(ETA, error), 1e-4, &mut rng).alarms();
            assert!(alarms.contains(&AlarmKind::QberHigh(Basis::Key)), "{fraction} of {bits}: {alarms:?}");
            if bits > 5e5 {
                assert_eq!(alarms, [AlarmKind::QberHigh(Basis::Key), AlarmKind::QberHigh(Basis::Check)]);
            }
        }
    }
}

/// Single photons are blocked, one photon of each larger pulse is kept and the rest sent without loss, as
/// often as keeps the signal's gain. The error rate stays.
#[test]
fn photon_number_splitting_is_seen_in_the_shares_of_one_block() {
    let mut rng = stream("split");
    let honest = classes(ETA, 0.01);
    let multi = |mu: f64| 1.0 - (-mu).exp() * (1.0 + mu);
    let kept = (honest[0].gain - EMPTY) / multi(0.5);
    let split: Vec<_> = source()
        .iter()
        .map(|class| ExpectedClass { gain: EMPTY + kept * multi(class.mean_photons), error_rate: 0.01 })
        .collect();
    // The decoy's gain is 2.59e-4 instead of 1.00e-3.
    assert!((split[1].gain / 2.59e-4 - 1.0).abs() < 0.01);
    let block = Block::sample(1e5, &split, 1e-4, &mut rng);
    let alarms = assess_block(&baseline(), &Thresholds::default(), &block.observed());
    let of = |basis| {
        alarms
            .iter()
            .find(|a| matches!(a.kind, AlarmKind::DecoyStatistics { basis: b, .. } if b == basis))
            .unwrap()
    };
    for basis in [Basis::Key, Basis::Check] {
        assert!(matches!(of(basis).kind, AlarmKind::DecoyStatistics { intensity: 1, .. }));
    }
    assert!(alarms.iter().all(|a| !matches!(a.kind, AlarmKind::QberHigh(_))));
}

#[test]
fn blinded_detectors_lack_double_clicks_and_draw_current() {
    let mut rng = stream("blinding");
    let block = Block::sample(1e6, &classes(ETA, 0.01), 0.0, &mut rng);
    assert_eq!(block.alarms(), [AlarmKind::DoubleClicksMissing]);
    let bright = BlockObservation { bias_current: Some(Current::from_amperes(2e-5)), ..block.observed() };
    let alarms = assess_block(&baseline(), &Thresholds::default(), &bright);
    assert_eq!(alarms[1].kind, AlarmKind::BiasCurrent);
    assert_eq!(
        alarms[1].to_string(),
        "3 s, block 7: bias current of the detectors too high: 20 uA seen, at most 1 uA expected"
    );
}

#[test]
fn a_cut_and_a_jammed_fibre_show_in_their_counts() {
    let thresholds = Thresholds::default();
    let alarm = |clicks| assess_counts(&baseline(), &thresholds, Time::ZERO, 100_000, clicks);
    let expected = (baseline().clicks_per_pulse * 1e5) as u64;
    assert_eq!(alarm(expected), None);
    assert_eq!(alarm(0).unwrap().kind, AlarmKind::CountsLow);
    assert_eq!(alarm(2 * expected).unwrap().kind, AlarmKind::CountsHigh);
    assert_eq!(
        alarm(0).unwrap().to_string(),
        "0 s: too few detections: none seen, 3.293e-3 a pulse expected (p = 4.2e-108)"
    );
    // On a fibre that is cut, what is left are dark counts: half of them err, and that is no surprise.
    let mut rng = stream("cut");
    let block = Block::sample(1e6, &classes(0.0, 0.01), 0.0, &mut rng);
    assert_eq!(block.alarms(), [AlarmKind::CountsLow]);
}

#[test]
fn a_rate_that_creeps_up_is_seen_over_blocks() {
    let mut rng = stream("creep");
    let mut drift = Drift::default();
    let mut rate = 0.01;
    let found = (0..100).find(|_| {
        rate += 2.5e-5;
        let block = Block::sample(1e6, &classes(ETA, rate), 1e-4, &mut rng);
        assert_eq!(block.alarms(), []);
        drift
            .enter(&baseline(), &Thresholds::default(), &block.observed())
            .iter()
            .any(|alarm| alarm.kind == AlarmKind::QberDrift(Basis::Key))
    });
    assert!(found.is_some() && rate < 0.0125, "{rate}");
}

#[test]
fn alarms_tell_what_was_seen_and_expected() {
    let reason = NoKey::Empty { basis: Basis::Check };
    assert_eq!(
        Alarm::no_key(BlockId(2), Time::ZERO, &reason).to_string(),
        "0 s, block 2: the block gives no key: there are no sifted bits in the check basis seen, a key expected"
    );
}

proptest! {
    #[test]
    fn no_counts_panic_or_give_an_improper_probability(
        counts in proptest::collection::vec(any::<(u64, u64)>(), 6),
        pulses: u64, clicks: u64, double_clicks: u64, shift in 0u32..64,
    ) {
        let class = |&(sifted, errors): &(u64, u64)| ClassCounts { sifted: sifted >> shift, errors: errors >> shift };
        let statistics = BlockStatistics {
            key: counts[..3].iter().map(class).collect(),
            check: counts[3..].iter().map(class).collect(),
            pulses,
        };
        let seen = BlockObservation {
            block: BlockId(0),
            at: Time::ZERO,
            statistics: &statistics,
            pulses: pulses >> shift,
            clicks: clicks >> shift,
            double_clicks: double_clicks >> shift,
            bias_current: None,
        };
        for alarm in assess_block(&baseline(), &Thresholds::default(), &seen) {
            prop_assert!(alarm.p_value.is_some_and(|p| (0.0..1e-9).contains(&p)), "{alarm}");
        }
        let _ = Drift::default().enter(&baseline(), &Thresholds::default(), &seen);
    }
}

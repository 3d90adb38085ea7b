//! Whatever is a valid link gives probabilities, and its samplers end; results repeat to the bit.

use super::*;
use bellwether_units::{Current, Rate};
use proptest::prelude::*;

fn source() -> impl Strategy<Value = Source> {
    let coherent = prop::collection::vec((0.0..2.0f64, 0.01..1.0f64), 1..5).prop_map(|raw| {
        let total: f64 = raw.iter().map(|i| i.1).sum();
        let list: Vec<_> =
            raw.iter().map(|i| Intensity { mean_photons: i.0, probability: i.1 / total }).collect();
        Source::weak_coherent(&list).unwrap()
    });
    let single = (0.0..1.0f64, 0.0..0.5f64)
        .prop_filter_map("no such distribution", |(b, g2)| Source::single_photon(b, g2).ok());
    let heralded =
        (0.0..1.0f64, 0.0..=1.0f64, 0.0..0.1f64, any::<bool>()).prop_map(|(pairs, eta, dark, thermal)| {
            let statistics = if thermal { PairStatistics::Thermal } else { PairStatistics::Poisson };
            Source::heralded(statistics, pairs, eta, dark).unwrap()
        });
    prop_oneof![coherent, single, heralded]
}

fn detector() -> impl Strategy<Value = Detector> {
    let traps = prop::collection::vec((0.0..0.3f64, 1u64..100_000), 0..3);
    (any::<bool>(), 0.0..=1.0f64, 0.0..1e7f64, 100u64..=1000, 0u64..200_000, any::<bool>(), traps, 0u64..2000)
        .prop_map(|(snspd, efficiency, dark, gate, dead, each, traps, jitter)| {
            Detector::new(DetectorParameters {
                kind: if snspd { DetectorKind::Snspd } else { DetectorKind::InGaAs },
                efficiency,
                dark_counts: DarkCounts::Rate(Rate::from_per_second(dark)),
                gate: Some(Duration::from_picoseconds(gate)),
                dead_time: Duration::from_picoseconds(dead),
                dead_time_scope: if each { DeadTimeScope::Each } else { DeadTimeScope::Common },
                afterpulses: traps
                    .into_iter()
                    .map(|(probability, decay)| Afterpulse {
                        probability,
                        decay: Duration::from_picoseconds(decay * 100),
                        hold_off: Duration::from_picoseconds(dead),
                    })
                    .collect(),
                jitter: Duration::from_picoseconds(jitter),
            })
            .unwrap()
        })
}

fn model() -> impl Strategy<Value = LinkModel> {
    let bases = (0.0..=1.0f64, 0.0..=1.0f64);
    (source(), detector(), bases, 0.0..60.0f64, 0.0..=0.5f64, 0.0..0.1f64).prop_map(
        |(source, detector, bases, loss, error, background_photons)| {
            LinkModel::new(LinkParameters {
                transmitter_key_probability: bases.0,
                receiver_key_probability: bases.1,
                receiver_loss: Loss::from_decibels(1.0),
                misalignment: Misalignment::from_error(error).unwrap(),
                background_photons,
                ..LinkParameters::new(Frequency::from_hertz(1e9), source, Loss::from_decibels(loss), detector)
            })
            .unwrap()
        },
    )
}

fn attack() -> impl Strategy<Value = Attack> {
    let basis = prop_oneof![
        (0.0..=1.0f64).prop_map(|key_probability| BasisChoice::Random { key_probability }),
        Just(BasisChoice::AlwaysKey),
        Just(BasisChoice::AlwaysCheck),
    ];
    let resend = prop_oneof![basis.clone(), Just(BasisChoice::Breidbart)];
    prop_oneof![
        (0.0..=1.0f64, resend)
            .prop_map(|(fraction, basis)| Attack::InterceptResend(InterceptResend { fraction, basis })),
        (0.0..=1.0f64).prop_map(|fraction| Attack::PhotonNumberSplitting { fraction }),
        Just(Attack::BeamSplitting),
        (basis, any::<bool>()).prop_map(|(basis, compensate_gain)| Attack::Blinding(Blinding {
            basis,
            compensate_gain,
            photocurrent: Current::from_amperes(1e-3)
        })),
    ]
}

proptest! {
    #[test]
    fn every_link_has_probabilities_and_its_samplers_end(honest in model(), attack in attack(), seed in any::<u64>()) {
        let attacked = attack.on(&honest).unwrap();
        let knowledge = attack.knowledge(&honest).unwrap();
        for p in [knowledge.known_fraction, knowledge.information] {
            prop_assert!((0.0..=1.0).contains(&p), "{p}");
        }
        let mut sampler = ClickSampler::new(&honest);
        let mut blocks = BlockSampler::new(&honest);
        let (mut s, mut clicks, mut counts) = (stream(seed), Clicks::default(), BlockCounts::default());
        for (i, model) in [&honest, &attacked, &honest].into_iter().enumerate() {
            for k in 0..model.intensities() {
                for prepared in Basis::BOTH {
                    for measured in Basis::BOTH {
                        for o in [model.outcome(k, prepared, measured), model.detected_outcome(k, prepared, measured)] {
                            prop_assert!(o.right >= 0.0 && o.wrong >= 0.0 && o.both >= 0.0 && o.click() <= 1.0 + 1e-9, "{o:?}");
                        }
                    }
                }
            }
            let live = model.live_fraction();
            prop_assert!((0.0..=1.0).contains(&live), "{live}");
            sampler.set_model(model);
            let from = i as u64 * 5000;
            let before = clicks.len();
            sampler.sample(from..from + 5000, &mut s, &mut clicks);
            prop_assert!(clicks.pulse[before..].iter().all(|p| (from..from + 5000).contains(p)));
            blocks.set_model(model);
            blocks.sample_until(1000, 100_000, &mut s, &mut counts);
            prop_assert!(counts.pulses <= 100_000);
            prop_assert!(counts.sifted_in(Basis::Key) >= 1000 || counts.pulses == 100_000);
            for (sifted, errors) in counts.sifted.iter().flatten().zip(counts.errors.iter().flatten()) {
                prop_assert!(errors <= sifted);
            }
        }
        prop_assert!(clicks.pulse.is_sorted_by(|a, b| a < b));
        prop_assert!(clicks.len() == clicks.flags.len() && clicks.len() == clicks.intensity.len());
        prop_assert!(clicks.intensity.iter().all(|&k| usize::from(k) < honest.intensities()));
    }
}

/// Equal seeds give equal clicks, today and after a change: a hash of columns and counts. It may only change along with
/// the law or the order of draws, which the changelog must tell.
#[test]
fn clicks_and_blocks_repeat_to_the_bit() {
    let detector = DetectorParameters {
        afterpulses: vec![Afterpulse {
            probability: 0.05,
            decay: Duration::from_nanoseconds(100),
            hold_off: Duration::ZERO,
        }],
        ..noisy(1e-4, 20)
    };
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut eat = |x: u64| hash = (hash ^ x).wrapping_mul(0x0100_0000_01b3);
    for model in [link(decoy_source(), 10.0, noisy(1e-4, 20)), link(decoy_source(), 10.0, detector)] {
        let mut s = stream(99);
        for click in clicks_of(&model, 200_000, &mut s).iter() {
            [click.pulse, u64::from(click.flags), u64::from(click.intensity)].into_iter().for_each(&mut eat);
        }
        let mut counts = BlockCounts::default();
        BlockSampler::new(&model).sample_until(100_000, u64::MAX, &mut s, &mut counts);
        [counts.pulses, counts.clicks, counts.double_clicks].into_iter().for_each(&mut eat);
        counts.sifted.iter().chain(&counts.errors).flatten().for_each(|&n| eat(n));
    }
    assert_eq!(hash, 12_485_086_983_428_037_592);
}

//! What must hold for any counts, and why a block has no key.

use super::super::length::certify;
use super::super::*;
use super::models::{lim, rusca};
use crate::hardware::Basis;
use proptest::prelude::*;

const PARAMETERS: SecurityParameters = SecurityParameters { secrecy: 1e-10, correctness: 1e-15 };

const BOUNDS: [Bound; 7] = [
    Bound::OneDecoyRusca,
    Bound::OneDecoyTight,
    Bound::OneDecoyWiesemann,
    Bound::TwoDecoyLim,
    Bound::TwoDecoyLimPrinted,
    Bound::TwoDecoyTight,
    Bound::SinglePhotonTomamichel,
];

fn source(bound: Bound) -> Vec<SourceClass> {
    match bound.intensities() {
        1 => vec![SourceClass::new(1.0, 1.0)],
        2 => vec![SourceClass::new(0.5, 0.7), SourceClass::new(0.15, 0.3)],
        _ => vec![SourceClass::new(0.5, 0.6), SourceClass::new(0.2, 0.3), SourceClass::new(2e-4, 0.1)],
    }
}

/// The counts of an honest link of transmittance `eta`, yield of empty pulses `empty` and misalignment `error`.
fn honest(source: &[SourceClass], eta: f64, empty: f64, error: f64, bits: f64) -> ExpectedStatistics {
    let classes: Vec<ExpectedCounts> = source
        .iter()
        .map(|class| {
            let light = -(-eta * class.mean_photons).exp_m1();
            let sifted = class.probability * (empty + light);
            ExpectedCounts { sifted, errors: class.probability * (empty / 2.0 + error * light) }
        })
        .collect();
    let total: f64 = classes.iter().map(|c| c.sifted).sum();
    let scaled = |bits: f64| {
        classes
            .iter()
            .map(|c| ExpectedCounts { sifted: c.sifted * bits / total, errors: c.errors * bits / total })
            .collect()
    };
    ExpectedStatistics { key: scaled(bits), check: scaled(bits / 20.0), pulses: 100.0 * bits }
}

fn with_errors_times(statistics: &ExpectedStatistics, factor: f64) -> ExpectedStatistics {
    let mut more = statistics.clone();
    for counts in more.key.iter_mut().chain(&mut more.check) {
        counts.errors = (counts.errors * factor).min(counts.sifted);
    }
    more
}

prop_compose! {
    fn links()(bound in prop::sample::select(&BOUNDS[..]), loss in 0.3..4.5f64, empty in 5.0..8.0f64,
               error in 0.0..0.12f64, bits in 3.0..11.0f64) -> (Bound, ExpectedStatistics) {
        let ten = |x: f64| 10f64.powf(x);
        (bound, honest(&source(bound), ten(-loss), ten(-empty), error, ten(bits)))
    }
}

proptest! {
    #[test]
    fn more_errors_never_give_more_key((bound, statistics) in links(), factor in 1.0..3.0f64) {
        let length = |s: ExpectedStatistics| certify(bound, &source(bound), s, 0.0, &PARAMETERS).unwrap().length;
        let (clean, noisy) = (length(statistics.clone()), length(with_errors_times(&statistics, factor)));
        prop_assert!(noisy <= clean + 1e-9 * clean.abs(), "{bound}: {noisy} after {clean}");
    }

    #[test]
    fn more_leak_never_gives_more_key((bound, statistics) in links(), leak in 0u64..1 << 40, more in 0u64..1 << 40) {
        let key = |leak| key_length(bound, &source(bound), &statistics.rounded(), leak, &PARAMETERS)
            .map_or(0, |certificate| certificate.key_bits);
        prop_assert!(key(leak + more) <= key(leak).saturating_sub(more.saturating_sub(1)));
    }

    #[test]
    fn bounds_never_exceed_what_was_counted((bound, statistics) in links()) {
        let c = certify(bound, &source(bound), statistics.clone(), 0.0, &PARAMETERS).unwrap();
        let (key, check) = (statistics.total(Basis::Key).sifted, statistics.total(Basis::Check));
        prop_assert!(c.vacuum >= 0.0 && c.single_photons >= 0.0 && c.check_single_photons >= 0.0);
        prop_assert!(c.vacuum + c.single_photons <= key * (1.0 + 1e-12));
        prop_assert!(c.check_single_photons <= check.sifted);
        prop_assert!((0.0..=0.5).contains(&c.phase_error));
        prop_assert!(c.length <= key);
        if matches!(bound, Bound::OneDecoyTight | Bound::TwoDecoyTight) {
            prop_assert!(c.check_single_photon_errors <= check.errors);
        }
        prop_assert!((c.epsilons.total() / (1e-10 + 1e-15) - 1.0).abs() < 1e-12);
    }

    /// A tight bound never gives less than the one it tightens.
    #[test]
    fn tight_bounds_are_tighter((bound, statistics) in links()) {
        let tight = match bound {
            Bound::OneDecoyRusca => Bound::OneDecoyTight,
            Bound::TwoDecoyLim => Bound::TwoDecoyTight,
            _ => return Ok(()),
        };
        let length = |b| certify(b, &source(b), statistics.clone(), 0.0, &PARAMETERS).unwrap().length;
        prop_assert!(length(tight) >= length(bound) - 1e-6 * length(bound).abs());
    }

    #[test]
    fn any_counts_and_any_source_give_an_answer(
        bound in prop::sample::select(&BOUNDS[..]),
        counts in prop::collection::vec((any::<u64>(), any::<u64>(), 0u32..64), 6),
        photons in prop::collection::vec(0.0..2.0f64, 3),
        weights in prop::collection::vec(0.0..1.0f64, 3),
        own_source: bool, leak: u64, secrecy in -30.0..0.0f64, correctness in -30.0..0.0f64,
    ) {
        let n = bound.intensities();
        let class = |&(sifted, errors, shift): &(u64, u64, u32)| {
            let sifted = sifted >> shift;
            ClassCounts { sifted, errors: if sifted < u64::MAX { errors % (sifted + 1) } else { errors } }
        };
        let statistics = BlockStatistics {
            key: counts[..n].iter().map(class).collect(),
            check: counts[3..3 + n].iter().map(class).collect(),
            pulses: counts[0].0,
        };
        let total: f64 = weights[..n].iter().sum();
        let mut mean = photons[..n].to_vec();
        mean.sort_by(|a, b| b.total_cmp(a));
        let own: Vec<_> =
            mean.iter().zip(&weights).map(|(&m, w)| SourceClass::new(m, w / total)).collect();
        let chosen = if own_source { source(bound) } else { own };
        let parameters =
            SecurityParameters { secrecy: 10f64.powf(secrecy), correctness: 10f64.powf(correctness) };
        match key_length(bound, &chosen, &statistics, leak, &parameters) {
            Ok(certificate) => {
                prop_assert!(certificate.length.is_finite() && certificate.key_bits > 0);
                // Not `total`, which stops at 2^64 - 1.
                let sifted: f64 = statistics.key.iter().map(|class| class.sifted as f64).sum();
                prop_assert!(certificate.length <= sifted * 1.000001);
                prop_assert!(!certificate.to_string().contains("NaN"));
            }
            Err(reason) => prop_assert!(!reason.to_string().contains("NaN"), "{reason}"),
        }
    }
}

fn outcome(statistics: &ExpectedStatistics, leak: u64) -> Result<Certificate, NoKey> {
    key_length(Bound::TwoDecoyLim, &source(Bound::TwoDecoyLim), &statistics.rounded(), leak, &PARAMETERS)
}

#[test]
fn a_block_without_key_names_the_cause() {
    let source = source(Bound::TwoDecoyLim);
    let good = honest(&source, 0.01, 1e-7, 0.01, 1e7);
    let leak = reconciliation_leak(1e7, 0.0101, 1.1) as u64;
    assert!(outcome(&good, leak).unwrap().key_bits > 3_000_000);

    // Everything intercepted and resent.
    let noisy = honest(&source, 0.01, 1e-7, 0.255, 1e7);
    let leak_noisy = reconciliation_leak(1e7, 0.255, 1.1) as u64;
    match outcome(&noisy, leak_noisy).unwrap_err() {
        NoKey::ErrorRate { key, check, .. } => {
            assert!((key.unwrap() - 0.255).abs() < 1e-3 && (check - 0.255).abs() < 1e-3)
        }
        other => panic!("{other}"),
    }
    // Photon-number splitting: gains follow the multi-photon pulses, errors stay.
    let multi = |mu: f64| 1.0 - (-mu).exp() * (1.0 + mu);
    let mut split = good.clone();
    for counts in [&mut split.key, &mut split.check] {
        let signal = counts[0].sifted / (source[0].probability * multi(source[0].mean_photons));
        for (class, c) in source.iter().zip(counts) {
            c.sifted = signal * class.probability * multi(class.mean_photons);
            c.errors = 0.01 * c.sifted;
        }
    }
    assert!(matches!(
        outcome(&split, leak).unwrap_err(),
        NoKey::DecoyStatistics { basis: Basis::Key, ref seen, .. } if seen[1] < 0.15
    ));
    // Fibre cut: dark counts alone, all of which reconciliation has to disclose.
    let dark = honest(&source, 0.0, 1e-7, 0.01, 1e6);
    assert!(matches!(outcome(&dark, 1_000_000).unwrap_err(), NoKey::ErrorRate { .. }));
    // As good as the first, and short.
    assert!(matches!(
        outcome(&honest(&source, 0.01, 1e-7, 0.01, 2e3), 200).unwrap_err(),
        NoKey::BlockTooSmall { length, .. } if length < 1.0
    ));
    assert!(matches!(outcome(&good, 9_000_000).unwrap_err(), NoKey::Leak { .. }));
    let nothing = ExpectedStatistics::from(&BlockStatistics::empty(3));
    assert_eq!(outcome(&nothing, 0).unwrap_err(), NoKey::Empty { basis: Basis::Key });
    let mut contradictory = good.rounded();
    contradictory.check[1].errors = contradictory.check[1].sifted + 1;
    assert!(matches!(
        key_length(Bound::TwoDecoyLim, &source, &contradictory, 0, &PARAMETERS).unwrap_err(),
        NoKey::ImpossibleCounts { basis: Basis::Check, .. }
    ));
    assert!(matches!(
        key_length(Bound::OneDecoyRusca, &source, &good.rounded(), 0, &PARAMETERS).unwrap_err(),
        NoKey::UnsuitableSource { .. }
    ));
    let none = SecurityParameters { secrecy: 0.0, correctness: f64::NAN };
    assert!(matches!(
        key_length(Bound::TwoDecoyLim, &source, &good.rounded(), 0, &none).unwrap_err(),
        NoKey::ImpossibleParameters { .. }
    ));
}

#[test]
fn before_reconciliation_the_check_basis_names_the_cause() {
    let source = source(Bound::TwoDecoyLim);
    let outcome = |statistics: &ExpectedStatistics| {
        let mut counts = statistics.rounded();
        counts.key.iter_mut().for_each(|class| class.errors = 0);
        may_yield_key(Bound::TwoDecoyLim, &source, &counts, &PARAMETERS)
    };
    assert_eq!(outcome(&honest(&source, 0.01, 1e-7, 0.01, 1e7)), Ok(()));
    // A third of the pulses intercepted: an endless block with errors in the check basis alone would have key.
    let attacked = outcome(&honest(&source, 0.01, 1e-7, 0.09, 2e4)).unwrap_err();
    assert!(
        matches!(attacked, NoKey::ErrorRate { key: None, check, .. } if (check - 0.09).abs() < 1e-2),
        "{attacked}"
    );
    assert!(attacked.to_string().contains("unknown in the key basis"), "{attacked}");
    let short = outcome(&honest(&source, 0.01, 1e-7, 0.01, 2e3)).unwrap_err();
    assert!(matches!(short, NoKey::BlockTooSmall { .. }), "{short}");
}

/// No planned rate may pass what any protocol could give over the same loss.
#[test]
fn planned_rates_stay_below_the_repeaterless_bound() {
    for decibels in [1.0, 10.0, 20.0, 40.0, 60.0] {
        let limit = repeaterless_bound(10f64.powf(-decibels / 10.0));
        for bound in [Bound::OneDecoyTight, Bound::TwoDecoyTight] {
            let (_, plan) =
                optimise_settings(bound, 2e-4, 1e9, 1.05, &PARAMETERS, |s| rusca(decibels, s)).unwrap();
            assert!(plan.secret_bits_per_pulse < limit);
        }
    }
    let settings = Settings { source: source(Bound::TwoDecoyLim), key_probability: 0.9 };
    let far = expected_rate(Bound::TwoDecoyLim, &lim(300.0, &settings), 1e7, 1.16, &PARAMETERS).unwrap_err();
    assert!(matches!(far, NoKey::ErrorRate { .. }), "{far}");
}

/// A source of single photons that is not perfect gives less key the more often it emits several, none once
/// all detections may be such, and what the perfect one's bound gives when it never does, but for the finer
/// division of the secrecy.
#[test]
fn several_photons_cost_key() {
    let class = |sifted, errors| ClassCounts { sifted, errors };
    let statistics = BlockStatistics {
        key: vec![class(1_000_000, 10_000)],
        check: vec![class(100_000, 1_000)],
        pulses: 100_000_000,
    };
    let parameters = SecurityParameters { secrecy: 1e-9, correctness: 1e-15 };
    let length = |bound, tagged: f64| {
        let source = [SourceClass::single_photons(0.3, [0.8 * tagged, 0.01 * tagged])];
        key_length(bound, &source, &statistics, 90_000, &parameters).map(|c| c.key_bits)
    };
    let perfect = length(Bound::SinglePhotonTomamichel, 0.0).unwrap();
    let lengths: Vec<u64> =
        [0.0, 1e-6, 1e-5, 1e-4, 1e-3].map(|p| length(Bound::SinglePhotonTagged, p).unwrap()).to_vec();
    assert!(lengths.windows(2).all(|pair| pair[1] < pair[0]), "{lengths:?}");
    assert!(lengths[0] < perfect && perfect - lengths[0] < perfect / 500, "{perfect} {lengths:?}");
    // 1e-4 of 1e8 pulses: 8,000 key bits are known, and a little more by the margin; each would have given
    // some 0.85 secret bits.
    assert!((6_800..8_000).contains(&(lengths[0] - lengths[3])), "{lengths:?}");
    assert!(length(Bound::SinglePhotonTagged, 2e-2).is_err());
    assert!(matches!(length(Bound::SinglePhotonTomamichel, 1e-9), Err(NoKey::UnsuitableSource { .. })));
}

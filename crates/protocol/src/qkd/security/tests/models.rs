//! The channel models of the two papers, as they print them (with the corrections that reproduce them).

use super::super::*;
use bellwether_units::{Duration, Frequency, Stream};

/// Lim et al. 2014, section IV: fibre of 0.2 dB/km, detectors of 10 %.
pub(super) fn lim(km: f64, settings: &Settings) -> ExpectedLink {
    let (dark, afterpulse, misalignment) = (6e-7, 0.04, 0.005);
    let eta = 0.1 * 10f64.powf(-0.2 * km / 10.0);
    let class = |source: &SourceClass| {
        let light = -(-eta * source.mean_photons).exp_m1();
        let detected = 1.0 - (1.0 - 2.0 * dark) * (-eta * source.mean_photons).exp();
        let gain = detected * (1.0 + afterpulse);
        let errors = dark + misalignment * light + afterpulse * detected / 2.0;
        ExpectedClass { gain, error_rate: errors / gain }
    };
    let classes: Vec<_> = settings.source.iter().map(class).collect();
    ExpectedLink {
        source: settings.source.clone(),
        key: classes.clone(),
        check: classes,
        key_sifting: settings.key_probability.powi(2),
        check_sifting: (1.0 - settings.key_probability).powi(2),
        clock: Frequency::from_hertz(1e9),
        saturation: 1.0,
    }
}

/// Rusca et al. 2018, appendix B: 1 GHz, dark counts 1e-8, errors 1 %, dead time 100 ns.
pub(super) fn rusca(decibels: f64, settings: &Settings) -> ExpectedLink {
    let (dark, error) = (1e-8, 0.01);
    let eta = 10f64.powf(-decibels / 10.0);
    let class = |source: &SourceClass| {
        let light = -(-eta * source.mean_photons).exp_m1();
        let gain = light + dark;
        ExpectedClass { gain, error_rate: (light * error + dark / 2.0) / gain }
    };
    let classes: Vec<_> = settings.source.iter().map(class).collect();
    let clock = Frequency::from_hertz(1e9);
    let gain = settings.source.iter().zip(&classes).map(|(s, c)| s.probability * c.gain).sum();
    ExpectedLink {
        source: settings.source.clone(),
        key: classes.clone(),
        check: classes,
        key_sifting: settings.key_probability.powi(2),
        check_sifting: (1.0 - settings.key_probability).powi(2),
        clock,
        saturation: dead_time_factor(clock, gain, Duration::from_nanoseconds(100)),
    }
}

/// A binomial count: by inversion up to a mean of 50, beyond that normal with the exact mean and variance.
pub(crate) fn binomial(n: u64, p: f64, rng: &mut Stream) -> u64 {
    if p > 0.5 {
        return n - binomial(n, 1.0 - p, rng);
    }
    let mean = n as f64 * p;
    if mean < 50.0 {
        let (odds, mut left) = (p / (1.0 - p), rng.uniform());
        let mut term = (n as f64 * (-p).ln_1p()).exp();
        let mut k = 0;
        while left > term && k < n {
            left -= term;
            term *= (n - k) as f64 / (k + 1) as f64 * odds;
            k += 1;
            // What rounding left over belongs to no count.
            if term < 1e-18 && k as f64 > mean {
                break;
            }
        }
        return k;
    }
    let (u, v) = (1.0 - rng.uniform(), rng.uniform());
    let normal = (-2.0 * u.ln()).sqrt() * (core::f64::consts::TAU * v).cos();
    (mean + normal * (mean * (1.0 - p)).sqrt()).round().clamp(0.0, n as f64) as u64
}

//! Rates in the limit of infinitely many pulses, and the bound that no repeaterless link can pass.

use bellwether_units::binary_entropy;
use libm::{exp, log1p};

/// Secret bits a sifted bit: `1 - h(phase_error) - f h(bit_error)`, negative where there is no key (Shor &
/// Preskill, Phys. Rev. Lett. 85, 441 (2000); `f`, at least 1, is the inefficiency of reconciliation).
pub fn shor_preskill_rate(bit_error: f64, phase_error: f64, f: f64) -> f64 {
    1.0 - binary_entropy(phase_error) - f * binary_entropy(bit_error)
}

/// The error rate at which [`shor_preskill_rate`] with equal errors in both bases reaches 0: 11.0028 % at f = 1.
pub fn one_way_threshold(f: f64) -> f64 {
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if shor_preskill_rate(middle, middle, f) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The most secret bits a use of a link of this transmittance can give, by any protocol without a repeater:
/// `-log2(1 - transmittance)` (Pirandola et al., Nat. Commun. 8, 15043 (2017), equation (19)). The loss of the
/// detectors may be counted in or left out; say which. Infinite without loss.
pub fn repeaterless_bound(transmittance: f64) -> f64 {
    if transmittance >= 1.0 {
        return f64::INFINITY;
    }
    -log1p(-transmittance.max(0.0)) / core::f64::consts::LN_2
}

/// The bits that reconciling `bits` sifted bits discloses, `f n h(error_rate)`: a model for planning. A real
/// block counts what it really disclosed.
pub fn reconciliation_leak(bits: f64, error_rate: f64, f: f64) -> f64 {
    f * bits * binary_entropy(error_rate.min(0.5))
}

/// Secret bits a pulse, before sifting, of a single-photon source without decoys of which the fraction
/// `tagged` of detections may have come from several photons:
/// `gain {(1-tagged) [1 - h(E/(1-tagged))] - f h(E)}` (Gottesman, Lo, Lütkenhaus & Preskill, Quantum Inf.
/// Comput. 4, 325 (2004)); negative where there is no key.
pub fn gllp_tagged_rate(gain: f64, error_rate: f64, tagged: f64, f: f64) -> f64 {
    let untagged = (1.0 - tagged).max(0.0);
    let phase_error = if untagged > 0.0 { (error_rate / untagged).min(0.5) } else { 0.5 };
    gain * (untagged * (1.0 - binary_entropy(phase_error)) - f * binary_entropy(error_rate))
}

/// What pulses of one intensity showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecoyObservation {
    /// Mean photon number.
    pub mean_photons: f64,
    /// Detections a pulse.
    pub gain: f64,
    /// Error rate of the detections.
    pub error_rate: f64,
}

/// Yield and error rate of single photons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SinglePhotonBounds {
    /// Detections a pulse that holds one photon, at least.
    pub single_yield: f64,
    /// Error rate of those, at most.
    pub error_rate: f64,
}

/// Secret bits a pulse with the single photons' figures known, as with infinitely many decoys:
/// `sifting {Q1 [1 - h(e1)] - f Q h(E)}` with `Q1 = mu e^-mu Y1`, without credit for empty pulses (Lo, Ma &
/// Chen, Phys. Rev. Lett. 94, 230504 (2005)); negative where there is no key.
pub fn infinite_decoy_rate(
    signal: DecoyObservation,
    single: SinglePhotonBounds,
    sifting: f64,
    f: f64,
) -> f64 {
    let mu = signal.mean_photons;
    let single_gain = mu * exp(-mu) * single.single_yield;
    sifting
        * (single_gain * (1.0 - binary_entropy(single.error_rate.min(0.5)))
            - f * signal.gain * binary_entropy(signal.error_rate))
}

/// Bounds on single photons from a signal, a weak decoy and the yield of empty pulses: Ma, Qi, Zhao & Lo,
/// Phys. Rev. A 72, 012326 (2005), equations (34) and (37).
pub fn vacuum_weak_bounds(
    signal: DecoyObservation,
    decoy: DecoyObservation,
    empty_yield: f64,
) -> SinglePhotonBounds {
    let (mu, nu) = (signal.mean_photons, decoy.mean_photons);
    let ratio = nu * nu / (mu * mu);
    let single_yield = mu / (mu * nu - nu * nu)
        * (decoy.gain * exp(nu) - signal.gain * exp(mu) * ratio - (1.0 - ratio) * empty_yield);
    if single_yield.is_nan() || single_yield <= 0.0 {
        return SinglePhotonBounds { single_yield: 0.0, error_rate: 0.5 };
    }
    let errors = decoy.error_rate * decoy.gain * exp(nu) - empty_yield / 2.0;
    let error_rate = (errors / (single_yield * nu)).clamp(0.0, 0.5);
    SinglePhotonBounds { single_yield: single_yield.min(1.0), error_rate }
}

/// Secret bits a signal pulse with vacuum and weak decoys: [`infinite_decoy_rate`] with
/// [`vacuum_weak_bounds`]; negative where there is no key.
pub fn vacuum_weak_rate(
    signal: DecoyObservation,
    decoy: DecoyObservation,
    empty_yield: f64,
    sifting: f64,
    f: f64,
) -> f64 {
    infinite_decoy_rate(signal, vacuum_weak_bounds(signal, decoy, empty_yield), sifting, f)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ma et al. 2005, equations (7) to (11), with the device of Gobby, Yuan & Shields (GYS) at `km`.
    struct Gys {
        transmittance: f64,
    }

    const EMPTY: f64 = 1.7e-6;
    const MISALIGNMENT: f64 = 0.033;
    const F: f64 = 1.22;

    impl Gys {
        fn at(km: f64) -> Self {
            Self { transmittance: 0.045 * 10f64.powf(-0.21 * km / 10.0) }
        }
        fn observed(&self, mean_photons: f64) -> DecoyObservation {
            let clicks = -(-self.transmittance * mean_photons).exp_m1();
            let gain = EMPTY + clicks;
            let error_rate = (EMPTY / 2.0 + MISALIGNMENT * clicks) / gain;
            DecoyObservation { mean_photons, gain, error_rate }
        }
        fn single(&self) -> SinglePhotonBounds {
            let single_yield = EMPTY + self.transmittance - EMPTY * self.transmittance;
            let error_rate = (EMPTY / 2.0 + MISALIGNMENT * self.transmittance) / single_yield;
            SinglePhotonBounds { single_yield, error_rate }
        }
        fn infinite(&self) -> f64 {
            infinite_decoy_rate(self.observed(0.48), self.single(), 0.5, F)
        }
        fn vacuum_weak(&self) -> f64 {
            vacuum_weak_rate(self.observed(0.48), self.observed(0.05), EMPTY, 0.5, F)
        }
    }

    fn reach(rate: impl Fn(&Gys) -> f64) -> f64 {
        let (mut low, mut high) = (0.0, 300.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if rate(&Gys::at(middle)) > 0.0 { low = middle } else { high = middle }
        }
        low
    }

    fn digits(value: f64, published: f64, half_of_last_digit: f64) {
        assert!((value - published).abs() <= half_of_last_digit, "{value} against {published}");
    }

    #[test]
    fn ideal_rates_and_thresholds() {
        digits(shor_preskill_rate(0.03, 0.03, 1.16), 0.580114, 5e-7);
        digits(one_way_threshold(1.0), 0.110028, 5e-7);
        digits(repeaterless_bound(0.01), 0.0144996, 5e-8);
        digits(gllp_tagged_rate(1.0, 0.03, 0.0, 1.16), 0.580114, 5e-7);
        assert!(gllp_tagged_rate(1.0, 0.03, 1.0, 1.16) < 0.0);
        assert_eq!(repeaterless_bound(1.0), f64::INFINITY);
        assert_eq!(repeaterless_bound(0.0), 0.0);
    }

    #[test]
    fn decoy_rates_at_50_km_of_the_gys_link() {
        digits(Gys::at(50.0).infinite(), 2.22595e-4, 5e-10);
        digits(Gys::at(50.0).vacuum_weak(), 2.09625e-4, 5e-10);
    }

    /// Ma et al. 2005 print 142.05 and 140.55 km.
    #[test]
    fn reach_of_the_gys_link() {
        digits(reach(Gys::infinite), 142.01, 0.02);
        digits(reach(Gys::vacuum_weak), 140.62, 0.02);
        digits(reach(Gys::infinite), 142.05, 0.1);
        digits(reach(Gys::vacuum_weak), 140.55, 0.1);
    }

    #[test]
    fn splitting_photon_numbers_leaves_no_single_photons() {
        // The signal's gain kept, the decoy's what two-photon pulses alone give (mu 0.5, nu 0.1, eta 0.01).
        let signal = DecoyObservation { mean_photons: 0.5, gain: 5.0e-3, error_rate: 0.01 };
        let honest = DecoyObservation { mean_photons: 0.1, gain: 1.0e-3, error_rate: 0.01 };
        let split = DecoyObservation { mean_photons: 0.1, gain: 2.59e-4, error_rate: 0.01 };
        assert!(vacuum_weak_bounds(signal, honest, 1e-7).single_yield > 0.009);
        assert_eq!(vacuum_weak_bounds(signal, split, 1e-7).single_yield, 0.0);
    }
}

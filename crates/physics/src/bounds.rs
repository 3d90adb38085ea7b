//! What no protocol can exceed: capacities of lossy channels, with and without repeaters.
//!
//! In bits of secret key, or entangled pairs, a use of the channel: one optical mode sent.

use bellwether_units::Loss;
use libm::{log1p, pow};

/// Bits a use that two ends can get at most over a channel of this loss without a repeater: `-log2(1 - eta)`
/// (Pirandola, Laurenza, Ottaviani & Banchi, Nature Communications 8, 15043 (2017)). Infinite without loss.
pub fn repeaterless(loss: Loss) -> f64 {
    with_repeaters(loss, 0)
}

/// Bits a use with so many repeaters at equal distances: `-log2(1 - eta^(1/(N+1)))` (Pirandola, Communications Physics
/// 2, 51 (2019)). Any scheme with N stations must stay below, and may exceed [`repeaterless`].
pub fn with_repeaters(loss: Loss, repeaters: u32) -> f64 {
    let hop = pow(loss.transmittance(), 1.0 / (f64::from(repeaters) + 1.0));
    -log1p(-hop) / core::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_at_the_ends_of_the_scale() {
        // -ln(1 - eta) is eta for small eta.
        let far = repeaterless(Loss::from_decibels(150.0));
        assert!((far * core::f64::consts::LN_2 / 1e-15 - 1.0).abs() < 1e-12);
        assert_eq!(repeaterless(Loss::NONE), f64::INFINITY);
    }
}

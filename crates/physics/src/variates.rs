//! Random variates over a [`Stream`], by pure-Rust arithmetic: equal on every machine.

use bellwether_units::Stream;

/// A standard normal variate, by Marsaglia's polar method (Marsaglia & Bray, SIAM Review 6, 260 (1964)).
pub(crate) fn standard_normal(stream: &mut Stream) -> f64 {
    loop {
        let x = 2.0 * stream.uniform() - 1.0;
        let y = 2.0 * stream.uniform() - 1.0;
        let s = x * x + y * y;
        if s > 0.0 && s < 1.0 {
            return x * libm::sqrt(-2.0 * libm::log(s) / s);
        }
    }
}

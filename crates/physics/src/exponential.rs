//! Exponential variates by the ziggurat (Marsaglia & Tsang, J. Stat. Softw. 5, 8 (2000)), and from them waits.
//!
//! If E is exponential with mean 1, then floor(E / -ln(1 - p)) is exactly the number of failures before the
//! first success of trials with probability p.

use rand_core::Rng;
use std::sync::LazyLock;

/// How many layers the ziggurat has.
pub(crate) const LAYERS: usize = 256;
/// Where the lowest layer ends, and the area of each of the 256 layers.
const R: f64 = 7.697_117_470_131_05;
const AREA: f64 = 3.949_659_822_581_557e-3;

/// The ziggurat of the exponential density: `x` falls from layer to layer, `f` is e^-x.
#[derive(Debug)]
pub(crate) struct Exponential {
    x: [f64; 257],
    f: [f64; 257],
    layers: [Layer; LAYERS],
}

/// What the first 32 bits of a variate tell in a layer.
#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    /// What one of their units is worth.
    step: f64,
    /// Below this many units, a variate lies inside the density whatever its further bits are.
    inside: u32,
}

const TWO_32: f64 = 4_294_967_296.0;

static TABLES: LazyLock<Exponential> = LazyLock::new(|| {
    let mut x = [0.0; 257];
    x[0] = AREA * libm::exp(R);
    x[1] = R;
    for i in 1..255 {
        x[i + 1] = -libm::log(libm::exp(-x[i]) + AREA / x[i]);
    }
    let mut layers = [Layer::default(); 256];
    for (i, layer) in layers.iter_mut().enumerate() {
        layer.step = x[i] * (1.0 / TWO_32);
        layer.inside = (libm::floor(x[i + 1] / x[i] * TWO_32) as u32).saturating_sub(1);
    }
    Exponential { x, f: x.map(|x| libm::exp(-x)), layers }
});

impl Exponential {
    /// The tables, made on first use.
    pub(crate) fn tables() -> &'static Self {
        &TABLES
    }

    /// How wide a layer is, exactly 2^32 of the units of a wait's first bits.
    pub(crate) fn width(&self, layer: usize) -> f64 {
        self.layers[layer].step * TWO_32
    }

    /// Below so many of these units a variate lies inside the density.
    pub(crate) fn inside(&self, layer: usize) -> u32 {
        self.layers[layer].inside
    }

    /// The number of failures before the first success, with the [`wait_scale`] of its probability, and 24 random
    /// bits left over.
    ///
    /// One random word gives layer, 32 bits of the variate and the bits left over. Where 32 bits leave open what the
    /// wait is, further bits decide, so that it is as exact as one drawn from a whole word.
    #[inline]
    pub(crate) fn wait(&self, scale: f64, random: &mut impl Rng) -> (u64, u32) {
        let word = random.next_u64();
        (self.wait_by(word, scale, random), left_over(word))
    }

    /// The wait that begins with the random number `word`.
    #[inline]
    pub(crate) fn wait_by(&self, word: u64, scale: f64, random: &mut impl Rng) -> u64 {
        let layer = usize::from(word as u8);
        let mantissa = (word >> 8) as u32;
        let Layer { step, inside } = self.layers[layer];
        let unit = step * scale;
        let low = f64::from(mantissa) * unit;
        let gap = whole(low);
        if mantissa < inside && low + unit < (gap as i64 as f64) + 1.0 {
            gap
        } else {
            self.refined(layer, f64::from(mantissa), scale, random)
        }
    }

    #[cold]
    fn refined(&self, layer: usize, mantissa: f64, scale: f64, random: &mut impl Rng) -> u64 {
        let x = (mantissa + uniform(random)) * self.layers[layer].step;
        whole(scale * if x < self.x[layer + 1] { x } else { self.edge(layer, x, random) })
    }

    #[cold]
    fn edge(&self, mut layer: usize, mut x: f64, random: &mut impl Rng) -> f64 {
        loop {
            if layer == 0 {
                // Beyond R the density is that of R plus a fresh variate.
                return R - libm::log(1.0 - uniform(random));
            }
            let height = self.f[layer] + uniform(random) * (self.f[layer + 1] - self.f[layer]);
            if self.is_below(height, layer, x) {
                return x;
            }
            let bits = random.next_u64();
            layer = usize::from(bits as u8);
            x = (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64) * self.x[layer];
            if x < self.x[layer + 1] {
                return x;
            }
        }
    }

    /// Whether `height` is below e^-x, for an `x` in a layer above the lowest: by a squeeze that settles nearly all
    /// (Marsaglia & Tsang 2000 leave it at the exponential).
    fn is_below(&self, height: f64, layer: usize, x: f64) -> bool {
        // e^-x is e^d times the density at the layer's end, and e^d lies above its first four terms, by less than
        // d^4 / 24 x e^d, where d is below 0.76. Rounding is far within the margin.
        const MARGIN: f64 = 1e-12;
        let d = self.x[layer] - x;
        let four = self.f[layer] * (1.0 + d * (1.0 + d * (0.5 + d * (1.0 / 6.0))));
        let more = self.f[layer] * (d * d) * (d * d) * 0.1;
        if height < four * (1.0 - MARGIN) {
            true
        } else if height > (four + more) * (1.0 + MARGIN) {
            false
        } else {
            height < libm::exp(-x)
        }
    }

    /// A variate of mean 1.
    #[inline]
    pub(crate) fn draw(&self, random: &mut impl Rng) -> f64 {
        let bits = random.next_u64();
        let layer = usize::from(bits as u8);
        let x = (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64) * self.x[layer];
        if x < self.x[layer + 1] { x } else { self.edge(layer, x, random) }
    }
}

/// The 24 bits of a random number that a wait does not use.
#[inline]
fn left_over(word: u64) -> u32 {
    (word >> 40) as u32
}

/// A number from [0, 1), uniform on multiples of 2^-53.
#[inline]
fn uniform(random: &mut impl Rng) -> f64 {
    (random.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// The factor that makes an exponential variate the wait for an event of probability `p` a trial: 1 / -ln(1-p),
/// a huge number for p = 0 (finite, so that no product with it is undefined).
pub(crate) fn wait_scale(p: f64) -> f64 {
    if p <= 0.0 { 1e300 } else { -1.0 / libm::log1p(-f64::min(p, 1.0)) }
}

/// The whole part, held at its end. By way of i64, to which one machine instruction converts.
#[inline]
pub(crate) fn whole(x: f64) -> u64 {
    x as i64 as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    fn stream(n: u64) -> Stream {
        Stream::new(n, EntityId(0), Purpose::named("exponential"))
    }

    #[test]
    fn the_layers_close_and_have_equal_areas() {
        let t = Exponential::tables();
        assert_eq!((t.x[256], t.f[256]), (0.0, 1.0));
        for i in 1..256 {
            assert!(((t.f[i + 1] - t.f[i]) * t.x[i] - AREA).abs() < 1e-13, "layer {i}");
        }
        // The lowest: a rectangle and the tail beyond R.
        assert!((R * (-R).exp() + (-R).exp() - AREA).abs() < 1e-13);
    }

    #[test]
    fn the_squeeze_decides_as_the_density_does() {
        let (t, mut s) = (Exponential::tables(), stream(6));
        for layer in 1..LAYERS {
            for turn in 0..400 {
                let x = t.x[layer + 1] + s.uniform() * (t.x[layer] - t.x[layer + 1]);
                // Heights all over the layer, and close to the density.
                let height = if turn % 2 == 0 {
                    t.f[layer] + s.uniform() * (t.f[layer + 1] - t.f[layer])
                } else {
                    libm::exp(-x) * (1.0 + (s.uniform() - 0.5) * libm::exp(-30.0 * s.uniform()))
                };
                assert_eq!(t.is_below(height, layer, x), height < libm::exp(-x), "layer {layer}, x {x}");
            }
        }
    }

    /// Kolmogorov-Smirnov at the 0.1 % point, 1.95 / sqrt(n).
    #[test]
    fn variates_are_exponential() {
        let mut s = stream(1);
        let mut xs: Vec<f64> = (0..200_000).map(|_| Exponential::tables().draw(&mut s)).collect();
        xs.sort_by(f64::total_cmp);
        let n = xs.len() as f64;
        let distance = xs
            .iter()
            .enumerate()
            .map(|(i, x)| {
                let cdf = 1.0 - (-x).exp();
                (cdf - i as f64 / n).abs().max((cdf - (i + 1) as f64 / n).abs())
            })
            .fold(0.0, f64::max);
        assert!(distance < 1.95 / n.sqrt(), "{distance}");
        // The tail: e^-9 of 200 000 is 24.7; between 5 and 50 is beyond four standard deviations.
        let far = xs.iter().filter(|x| **x > 9.0).count();
        assert!((5..50).contains(&far), "{far} beyond 9");
    }

    /// Chi-square of the first 30 values of a geometric law of p = 0.1; 59.7 is the 0.1 % point at 30 degrees.
    #[test]
    fn waits_are_geometric() {
        let (mut s, scale, n) = (stream(3), wait_scale(0.1), 300_000);
        let mut counts = [0f64; 31];
        for _ in 0..n {
            counts[usize::min(Exponential::tables().wait(scale, &mut s).0 as usize, 30)] += 1.0;
        }
        let chi2: f64 = (0..=30)
            .map(|g| {
                let p = 0.9f64.powi(g) * if g < 30 { 0.1 } else { 1.0 };
                let expected = p * f64::from(n);
                (counts[g as usize] - expected).powi(2) / expected
            })
            .sum();
        assert!(chi2 < 59.7, "{chi2}");
    }

    /// At p = 1e-11 a wait spans many units of the 32 bits that are drawn first: its last digit must be uniform.
    #[test]
    fn long_waits_have_all_their_digits() {
        let (mut s, scale) = (stream(4), wait_scale(1e-11));
        let mut counts = [0f64; 16];
        for _ in 0..32_000 {
            counts[(Exponential::tables().wait(scale, &mut s).0 % 16) as usize] += 1.0;
        }
        let chi2: f64 = counts.iter().map(|c| (c - 2000.0).powi(2) / 2000.0).sum();
        assert!(chi2 < 37.7, "{chi2} at 15 degrees; 37.7 is the 0.1 % point");
    }

    #[test]
    fn waits_hold_at_the_ends_of_probability() {
        let t = Exponential::tables();
        let mut s = stream(2);
        for _ in 0..1000 {
            assert_eq!(t.wait(wait_scale(1.0), &mut s).0, 0);
            assert!(t.wait(wait_scale(0.0), &mut s).0 > 1 << 60);
        }
    }
}

//! Waits for events of one probability, in whole numbers.

use crate::exponential::{Exponential, LAYERS};
use rand_core::Rng;

/// Draws waits for events of one probability: the same that [`Exponential::wait`] draws, with its scale worked into
/// the layers of the ziggurat as numbers of fixed point, so that nearly every wait is one product of whole numbers.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    scale: f64,
    layers: Box<[Layer; LAYERS]>,
    /// A product holds so many bits of fraction.
    shift: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    /// What one unit of the 32 bits that are drawn is worth, rounded down.
    step: u32,
    /// Below this many units, a variate lies inside the density.
    inside: u32,
}

/// What a product may be short of the exact one: `step` lacks less than 1 of each of up to 2^32 units. As much again
/// is many times what the comparison of [`Exponential`], in numbers of 53 bits, is rounded by.
const SLACK: u64 = 1 << 33;
/// With fewer bits of fraction, slack would leave too many waits open.
const LEAST_FRACTION: i32 = 4;

impl Waits {
    /// Waits with this [`wait_scale`](crate::exponential::wait_scale).
    pub(crate) fn new(scale: f64) -> Self {
        let exponential = Exponential::tables();
        let mut layers = Box::new([Layer::default(); LAYERS]);
        // The widest layer is the lowest; 2^(1 + ilogb) is above its width, so that every step is below 2^31.
        let fraction = 30i32.saturating_sub(libm::ilogb(exponential.width(0) * scale)).min(31);
        if fraction >= LEAST_FRACTION {
            for (number, layer) in layers.iter_mut().enumerate() {
                let step = exponential.width(number) * scale * f64::from(1u32 << fraction);
                *layer = Layer { step: step as u32, inside: exponential.inside(number) };
            }
        }
        Self { scale, layers, shift: 32 + fraction.max(0) as u32 }
    }

    /// As [`Exponential::wait`].
    #[inline]
    pub(crate) fn draw(&self, random: &mut impl Rng) -> (u64, u32) {
        let word = random.next_u64();
        let mantissa = (word >> 8) as u32;
        let Layer { step, inside } = self.layers[usize::from(word as u8)];
        let low = u64::from(mantissa) * u64::from(step);
        let gap = low >> self.shift;
        // Whatever the further bits are, the wait is the same whole number.
        let gap = if mantissa < inside && (low + u64::from(step) + SLACK) >> self.shift == gap {
            gap
        } else {
            self.open(word, random)
        };
        (gap, (word >> 40) as u32)
    }

    #[cold]
    #[inline(never)]
    fn open(&self, word: u64, random: &mut impl Rng) -> u64 {
        Exponential::tables().wait_by(word, self.scale, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exponential::wait_scale;
    use bellwether_units::{EntityId, Purpose, Stream};

    #[test]
    fn waits_are_those_of_floating_point() {
        for p in [1.0, 0.999, 0.7, 0.1, 1e-2, 1.35e-3, 1e-4, 1e-6, 3e-8, 1e-9, 1e-11, 1e-17, 0.0] {
            let scale = wait_scale(p);
            let waits = Waits::new(scale);
            let mut stream = Stream::new(5, EntityId(0), Purpose::named("waits"));
            let mut other = stream.clone();
            for _ in 0..200_000 {
                assert_eq!(waits.draw(&mut stream), Exponential::tables().wait(scale, &mut other), "p = {p}");
            }
        }
    }
}

//! Truncated power series: products and reciprocals in O(n log n), by the fast Fourier transform.
//!
//! The transform runs without vector instructions, so that it sums in one order on every machine.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Below this length, a product is taken term by term.
const SHORT: usize = 64;

/// The first `length` terms of the product of two series.
pub(crate) fn product(a: &[f64], b: &[f64], length: usize) -> Vec<f64> {
    let (a, b) = (&a[..a.len().min(length)], &b[..b.len().min(length)]);
    if a.len().min(b.len()) < SHORT {
        let mut out = vec![0.0; length];
        for (i, x) in a.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            for (term, y) in out[i..].iter_mut().zip(b) {
                *term += x * y;
            }
        }
        return out;
    }
    let size = (a.len() + b.len()).next_power_of_two();
    let mut planner = FftPlanner::new();
    let forward = planner.plan_fft_forward(size);
    // Each series has a transform of its own: what a joint one would save, the smaller series would lose in digits.
    let transform = |series: &[f64]| {
        let mut values: Vec<Complex<f64>> = series.iter().map(|x| Complex::new(*x, 0.0)).collect();
        values.resize(size, Complex::default());
        forward.process(&mut values);
        values
    };
    let mut z = transform(a);
    for (value, other) in z.iter_mut().zip(transform(b)) {
        *value *= other;
    }
    planner.plan_fft_inverse(size).process(&mut z);
    let scale = 1.0 / size as f64;
    z.iter().map(|value| value.re * scale).chain(core::iter::repeat(0.0)).take(length).collect()
}

/// The first `length` terms of `1 / (1 - f)` for a series whose constant term is 0: Newton's iteration, which doubles
/// the number of right terms in each step.
pub(crate) fn geometric_sum(f: &[f64], length: usize) -> Vec<f64> {
    debug_assert!(f.first().is_none_or(|constant| *constant == 0.0));
    let mut sum = vec![1.0];
    while sum.len() < length {
        let known = (2 * sum.len()).min(length);
        // g (2 - (1 - f) g) = g + g (1 - (1 - f) g)
        let mut rest = product(&f[..f.len().min(known)], &sum, known);
        for (i, value) in rest.iter_mut().enumerate() {
            *value -= sum.get(i).copied().unwrap_or(0.0);
        }
        rest[0] += 1.0;
        let mut next = product(&rest, &sum, known);
        for (value, old) in next.iter_mut().zip(&sum) {
            *value += old;
        }
        sum = next;
    }
    sum.truncate(length);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_term_by_term() {
        let a: Vec<f64> = (0..300).map(|i| libm::sin(f64::from(i))).collect();
        let b: Vec<f64> = (0..220).map(|i| libm::cos(2.0 * f64::from(i))).collect();
        for length in [1, 250, 400, 700] {
            let fast = product(&a, &b, length);
            for (n, value) in fast.iter().enumerate() {
                let slow: f64 =
                    (0..=n).filter_map(|i| Some(a.get(i)? * b.get(n - i)?)).filter(|_| n < 519).sum();
                assert!((value - slow).abs() < 1e-12, "term {n} of {length}: {value} against {slow}");
            }
        }
    }

    /// 1 / (1 - z - z^2) counts Fibonacci's rabbits; scaled by z = x / 2 they stay small.
    #[test]
    fn reciprocals_are_right_to_the_last_term() {
        let sum = geometric_sum(&[0.0, 0.5, 0.25], 1000);
        let (mut a, mut b) = (1.0, 0.5);
        for value in sum {
            assert!((value - a).abs() < 1e-13);
            (a, b) = (b, 0.5 * b + 0.25 * a);
        }
        assert_eq!(geometric_sum(&[], 3), [1.0, 0.0, 0.0]);
    }
}

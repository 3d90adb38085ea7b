//! Means over independent runs with their confidence intervals.

use crate::summary::Interval;

/// The mean of `values` and its 95 % confidence interval by Student's t; an interval of no width for one value.
pub(crate) fn confidence_interval(values: &[f64]) -> Interval {
    let n = values.len() as f64;
    if values.is_empty() {
        return Interval::default();
    }
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return Interval { mean, low: mean, high: mean };
    }
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    let half = student_t_975(values.len() - 1) * libm::sqrt(variance / n);
    Interval { mean, low: mean - half, high: mean + half }
}

/// The 97.5 % point of Student's t by the expansion of Abramowitz & Stegun 26.7.5, exact values below 5.
fn student_t_975(degrees: usize) -> f64 {
    const SMALL: [f64; 4] = [12.706_205, 4.302_653, 3.182_446, 2.776_445];
    if let Some(&exact) = degrees.checked_sub(1).and_then(|i| SMALL.get(i)) {
        return exact;
    }
    let (x, v) = (1.959_963_985_f64, degrees as f64);
    let x2 = x * x;
    let g1 = x * (x2 + 1.0) / 4.0;
    let g2 = x * ((5.0 * x2 + 16.0) * x2 + 3.0) / 96.0;
    let g3 = x * (((3.0 * x2 + 19.0) * x2 + 17.0) * x2 - 15.0) / 384.0;
    let g4 = x * ((((79.0 * x2 + 776.0) * x2 + 1482.0) * x2 - 1920.0) * x2 - 945.0) / 92160.0;
    x + (g1 + (g2 + (g3 + g4 / v) / v) / v) / v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_student_t_agree_with_the_tables() {
        for (degrees, point) in [(1, 12.706), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042), (1000, 1.962)]
        {
            assert!((student_t_975(degrees) - point).abs() < 2e-3, "{degrees} degrees of freedom");
        }
    }

    #[test]
    fn the_interval_of_a_known_sample() {
        let interval = confidence_interval(&[9.0, 10.0, 11.0]);
        assert!((interval.mean - 10.0).abs() < 1e-12);
        assert!((interval.high - 10.0 - 4.302_653 / 3f64.sqrt()).abs() < 1e-6);
        assert_eq!(confidence_interval(&[3.0]).low, 3.0);
    }
}

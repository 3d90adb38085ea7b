//! Maximising a smooth function of a few bounded parameters, without derivatives and without chance.

/// Where a function is greatest, as far as the search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Maximum {
    /// The parameters.
    pub at: Vec<f64>,
    /// The function there.
    pub value: f64,
}

/// The simplex method of Nelder & Mead (Comput. J. 7, 308 (1965)) inside a box, restarted around its best
/// point until that no longer helps. `bounds` are the least and greatest value of each parameter, `start` a
/// point inside. A value that is not a number counts as minus infinity. Deterministic; the objective is
/// called at most a few thousand times.
///
/// ```
/// use bellwether_protocol::qkd::security::maximise;
/// let peak = maximise(|x| -(x[0] - 0.3).powi(2) - (x[1] - 0.7).powi(2), &[(0.0, 1.0), (0.0, 1.0)], &[0.5, 0.5]);
/// assert!((peak.at[0] - 0.3).abs() < 1e-4 && (peak.at[1] - 0.7).abs() < 1e-4);
/// ```
pub fn maximise(mut objective: impl FnMut(&[f64]) -> f64, bounds: &[(f64, f64)], start: &[f64]) -> Maximum {
    let mut measure = |mut at: Vec<f64>| {
        for (x, &(low, high)) in at.iter_mut().zip(bounds) {
            *x = x.max(low).min(high);
        }
        let value = objective(&at);
        Maximum { at, value: if value.is_nan() { f64::NEG_INFINITY } else { value } }
    };
    let mut best = measure(start.to_vec());
    for round in 0..8 {
        let before = best.value;
        // Rounds take turns in direction and shrink, so that a collapsed simplex is opened again.
        let sign = if round % 2 == 0 { 1.0 } else { -1.0 };
        let reach = sign * 0.2 / f64::from(1 + round / 2);
        best = climb(&mut measure, bounds, best, reach);
        if round >= 3 && best.value - before <= 1e-9 * libm::fabs(before) {
            break;
        }
    }
    best
}

/// One descent of the simplex that is spanned by `best` and steps of `reach` of each parameter's range.
fn climb(
    measure: &mut impl FnMut(Vec<f64>) -> Maximum,
    bounds: &[(f64, f64)],
    best: Maximum,
    reach: f64,
) -> Maximum {
    let n = bounds.len();
    let mut simplex = vec![best.clone()];
    for (i, &(low, high)) in bounds.iter().enumerate() {
        let mut at = best.at.clone();
        let step = reach * (high - low);
        // A step that would leave the box goes the other way.
        at[i] = if (low..=high).contains(&(at[i] + step)) { at[i] + step } else { at[i] - step };
        simplex.push(measure(at));
    }
    for _ in 0..200 * n {
        simplex.sort_by(|a, b| b.value.total_cmp(&a.value));
        let (top, bottom) = (simplex[0].value, simplex[n].value);
        if top - bottom <= 1e-12 * libm::fabs(top) {
            break;
        }
        let centre: Vec<f64> =
            (0..n).map(|i| simplex[..n].iter().map(|p| p.at[i]).sum::<f64>() / n as f64).collect();
        let worst = simplex[n].clone();
        let mut along =
            |t: f64| measure(centre.iter().zip(&worst.at).map(|(c, w)| c + t * (c - w)).collect());
        let reflected = along(1.0);
        if reflected.value > top {
            let expanded = along(2.0);
            simplex[n] = if expanded.value > reflected.value { expanded } else { reflected };
            continue;
        }
        if reflected.value > simplex[n - 1].value {
            simplex[n] = reflected;
            continue;
        }
        let contracted = if reflected.value > worst.value { along(0.5) } else { along(-0.5) };
        if contracted.value > worst.value.max(reflected.value) {
            simplex[n] = contracted;
            continue;
        }
        let anchor = simplex[0].at.clone();
        for point in &mut simplex[1..] {
            let at = anchor.iter().zip(&point.at).map(|(a, x)| (a + x) / 2.0).collect();
            *point = measure(at);
        }
    }
    simplex.sort_by(|a, b| b.value.total_cmp(&a.value));
    simplex.swap_remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_of_a_curved_valley() {
        // Rosenbrock's function, greatest (0) at (1, 1).
        let peak = maximise(
            |x| -(100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)),
            &[(-2.0, 2.0), (-2.0, 2.0)],
            &[-1.2, 1.0],
        );
        assert!((peak.at[0] - 1.0).abs() < 1e-3 && (peak.at[1] - 1.0).abs() < 1e-3, "{peak:?}");
    }

    #[test]
    fn stays_inside_the_box_and_survives_what_is_not_a_number() {
        let peak = maximise(
            |x| if x[0] < 0.1 { f64::NAN } else { x[0] + x[1] },
            &[(0.0, 0.5), (0.0, 0.5)],
            &[0.2, 0.2],
        );
        assert!((peak.value - 1.0).abs() < 1e-6 && peak.at.iter().all(|x| *x <= 0.5));
        assert_eq!(maximise(|_| f64::NAN, &[(0.0, 1.0)], &[0.5]).value, f64::NEG_INFINITY);
    }
}

//! Axes: where ticks go and what they say.

/// Steps of 1, 2 or 5 times a power of ten that give at most `most` intervals up to `max`, and the axis's end.
pub(super) fn linear_ticks(max: f64, most: u32) -> Vec<f64> {
    if !(max > 0.0 && max.is_finite()) {
        return vec![0.0, 1.0];
    }
    let rough = max / f64::from(most.max(1));
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= rough * 0.9999);
    let step = step.unwrap_or(10.0 * power);
    let count = (max / step - 1e-9).ceil().clamp(1.0, 1000.0) as u32;
    (0..=count).map(|tick| f64::from(tick) * step).collect()
}

/// Powers of ten from `low` to `high`, at most `most` of them, evenly skipped.
pub(super) fn log_ticks(low: i32, high: i32, most: i32) -> impl Iterator<Item = i32> {
    let step = ((high - low) / most.max(1) + 1).max(1);
    (low..=high).filter(move |tick| (high - tick) % step == 0)
}

/// Instants at round times of day up to `end`, with their names.
pub(super) fn time_ticks(end: f64) -> Vec<(f64, String)> {
    const STEPS: [f64; 21] = [
        1.0,
        2.0,
        5.0,
        10.0,
        15.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        900.0,
        1800.0,
        3600.0,
        7200.0,
        10_800.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        604_800.0,
        2_592_000.0,
    ];
    if !(end > 0.0 && end.is_finite()) {
        return vec![(0.0, "0".to_owned())];
    }
    let step = if end < 10.0 {
        linear_ticks(end, 8)[1]
    } else {
        STEPS.into_iter().find(|step| end / step <= 10.0).unwrap_or(2_592_000.0)
    };
    let (unit, name) = match step {
        s if s >= 86_400.0 => (86_400.0, "d"),
        s if s >= 3600.0 => (3600.0, "h"),
        s if s >= 60.0 => (60.0, "min"),
        s if s >= 1.0 || end >= 1.0 => (1.0, "s"),
        _ if end >= 1e-3 => (1e-3, "ms"),
        _ => (1e-6, "µs"),
    };
    let count = (end / step + 1e-9).floor().min(100.0) as u32;
    (0..=count)
        .map(|tick| {
            let at = f64::from(tick) * step;
            // Ten significant digits hide the double's tail: 0.30000000000000004.
            let value: f64 = format!("{:.9e}", at / unit).parse().unwrap_or(at / unit);
            (at, if tick == 0 { "0".to_owned() } else { format!("{value} {name}") })
        })
        .collect()
}

/// The factor and the prefix by which numbers up to `max` are best shown.
pub(super) fn prefix(max: f64) -> (f64, &'static str) {
    match max {
        m if m >= 2e12 => (1e12, "T"),
        m if m >= 2e9 => (1e9, "G"),
        m if m >= 2e6 => (1e6, "M"),
        m if m >= 2e3 => (1e3, "k"),
        _ => (1.0, ""),
    }
}

/// An integer as superscript, for powers of ten.
pub(super) fn superscript(value: i32) -> String {
    value
        .to_string()
        .chars()
        .map(|digit| match digit {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            other => char::from_u32(other as u32 - '0' as u32 + 0x2070).unwrap_or(other),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(linear_ticks(3.1, 4), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(linear_ticks(0.0, 4), [0.0, 1.0]);
        assert_eq!(linear_ticks(f64::NAN, 4), [0.0, 1.0]);
        for max in [1e-9, 0.3, 7.0, 1e12] {
            let ticks = linear_ticks(max, 4);
            assert!(ticks.len() <= 6 && ticks.last().is_some_and(|last| *last >= max * 0.999), "{ticks:?}");
        }
    }

    #[test]
    fn hours_and_days_have_their_names() {
        let day = time_ticks(86_400.0);
        assert_eq!((day[1].1.as_str(), day.last().unwrap().1.as_str()), ("3 h", "24 h"));
        assert_eq!(time_ticks(0.5).last().unwrap().1, "500 ms");
        assert_eq!(time_ticks(3.0 * 3600.0).last().unwrap().1, "180 min");
        assert!(time_ticks(213.0 * 86_400.0).len() < 12);
    }

    #[test]
    fn powers_of_ten_are_skipped_evenly() {
        assert_eq!(log_ticks(-10, 0, 5).collect::<Vec<_>>(), [-9, -6, -3, 0]);
        assert_eq!(superscript(-12), "⁻¹²");
        assert_eq!(superscript(45), "⁴⁵");
    }
}

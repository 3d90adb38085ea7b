//! Numbers in words: three significant digits and a unit that fits.

/// `value` with three significant digits, without an exponent from 0.001 to a million.
pub fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rounded first: 9.996 has two digits before the point, not one.
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if !size.is_finite() {
        return "∞".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.1e}").replace('-', "−");
    }
    let decimals = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        (2.0 - size.log10().floor()) as usize
    };
    format!("{rounded:.decimals$}").replace('-', "−")
}

/// `value` with at most three significant digits and without zeros that say nothing: `24`, `3.2`.
pub fn plain(value: f64) -> String {
    let text = digits(value);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `value` with the prefix that leaves one to three digits before the point: `12.3 kbit/s`.
pub fn scaled(value: f64, unit: &str) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    let (factor, prefix) = match rounded.abs() {
        size if size >= 1e12 => (1e12, "T"),
        size if size >= 1e9 => (1e9, "G"),
        size if size >= 1e6 => (1e6, "M"),
        size if size >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    format!("{} {prefix}{unit}", digits(value / factor))
}

/// A rate of bits: `12.3 kbit/s`; a dash for none.
pub fn rate(bits_per_second: f64) -> String {
    if bits_per_second == 0.0 { "–".to_owned() } else { scaled(bits_per_second, "bit/s") }
}

/// A number of bits: `12.3 Mbit`.
pub fn bits(bits: u64) -> String {
    if bits < 1000 { format!("{bits} bit") } else { scaled(bits as f64, "bit") }
}

/// A fraction in per cent: `2.45 %`.
pub fn percent(fraction: f64) -> String {
    // Something is not nothing, however small.
    if fraction > 0.0 && fraction < 5e-5 {
        "≈ 0 %".to_owned()
    } else {
        format!("{:.2} %", fraction * 100.0)
    }
}

/// An optional fraction in per cent; a dash for none.
pub fn percent_or_dash(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "–".to_owned(), percent)
}

/// A loss: `7.5 dB`.
pub fn decibels(loss: f64) -> String {
    format!("{loss:.1} dB")
}

/// A length: `82 km`, `80 m`.
pub fn kilometres(length: f64) -> String {
    if length > 0.0 && length < 1.0 {
        format!("{} m", plain(length * 1e3))
    } else {
        format!("{} km", plain(length))
    }
}

/// A count with its thousands apart: `12 345`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A span of time in the unit that a person would use: `24 h`, `1.5 min`, `250 ms`.
pub fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        s if s >= 2.0 * 86_400.0 => (seconds / 86_400.0, "d"),
        s if s >= 3_600.0 => (seconds / 3_600.0, "h"),
        s if s >= 120.0 => (seconds / 60.0, "min"),
        s if s >= 1.0 || s == 0.0 => (seconds, "s"),
        s if s >= 1e-3 => (seconds * 1e3, "ms"),
        s if s >= 1e-6 => (seconds * 1e6, "µs"),
        _ => (seconds * 1e9, "ns"),
    };
    format!("{} {unit}", plain(value))
}

/// An instant of a run: `01:30:00`, `2 d 01:30:00`, with thousandths if it has any.
pub fn clock(seconds: f64) -> String {
    let milliseconds = (seconds * 1e3).round().max(0.0) as u64;
    let (whole, rest) = (milliseconds / 1000, milliseconds % 1000);
    let mut text = match whole / 86_400 {
        0 => String::new(),
        days => format!("{days} d "),
    };
    text.push_str(&format!("{:02}:{:02}:{:02}", whole / 3600 % 24, whole / 60 % 60, whole % 60));
    if rest > 0 {
        text.push_str(&format!(".{rest:03}"));
    }
    text
}

/// A name cut to `width` characters, the cut marked.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_kept_across_the_powers_of_ten() {
        let cases = [
            (0.0, "0"),
            (9.996, "10.0"),
            (0.99951, "1.00"),
            (0.0012345, "0.00123"),
            (0.00012345, "1.2e−4"),
            (123.4, "123"),
            (-2.5, "−2.50"),
            (999_999.0, "1.0e6"),
        ];
        for (value, text) in cases {
            assert_eq!(digits(value), text, "{value}");
        }
    }

    #[test]
    fn units_fit_their_values() {
        assert_eq!(rate(3100.0), "3.10 kbit/s");
        assert_eq!(rate(999_999.0), "1.00 Mbit/s");
        assert_eq!(rate(0.0), "–");
        assert_eq!(bits(12), "12 bit");
        assert_eq!(bits(12_345_678), "12.3 Mbit");
        assert_eq!(percent(0.02452), "2.45 %");
        assert_eq!((percent(0.0).as_str(), percent(1e-6).as_str()), ("0.00 %", "≈ 0 %"));
        assert_eq!(kilometres(0.08), "80 m");
        assert_eq!(seconds(86_400.0), "24 h");
        assert_eq!(seconds(0.25), "250 ms");
        assert_eq!(clock(5400.0), "01:30:00");
        assert_eq!(clock(2.0 * 86_400.0 + 0.25), "2 d 00:00:00.250");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(cut("a long name", 6), "a lon…");
    }
}

//! Expected key per pulse over a swept value, on a logarithmic axis.

use super::axis::{linear_ticks, log_ticks, superscript};
use super::{STYLE, escape};
use crate::words;
use bellwether_sim::expect::Expectation;
use std::fmt::Write as _;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 62.0;
/// Decades shown below the highest curve at most.
const DECADES: i32 = 12;

/// One curve: its name, its class, and one value a point, zero for none.
struct Curve {
    name: &'static str,
    class: &'static str,
    values: Vec<f64>,
}

/// A plot that stands alone: key per pulse in finite and in endless blocks, under the repeaterless bound.
///
/// `values` and `unit` are the swept values, in rising or falling order; `pulse_rate` turns rates into bits
/// per pulse.
pub fn sweep(
    link: &str,
    path: &str,
    values: &[f64],
    unit: &str,
    rows: &[Expectation],
    pulse_rate: f64,
) -> String {
    let per_pulse = |rate: f64| if pulse_rate > 0.0 { rate / pulse_rate } else { 0.0 };
    let column = |value: &dyn Fn(&Expectation) -> f64| rows.iter().map(value).collect();
    let curves = [
        Curve {
            name: "repeaterless bound −log₂(1 − η)",
            class: "muted dashed",
            values: column(&|row| row.repeaterless_bound_per_pulse),
        },
        Curve { name: "sifted key", class: "teal", values: column(&|row| per_pulse(row.sifted_rate_per_s)) },
        Curve {
            name: "secret key, endless block",
            class: "blue dashed",
            values: column(&|row| per_pulse(row.asymptotic_rate_per_s)),
        },
        Curve { name: "secret key", class: "blue", values: column(&|row| row.secret_bits_per_pulse) },
    ];
    let (low, high) = decades(&curves);
    let first = values.iter().copied().fold(f64::INFINITY, f64::min);
    let last = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = if last > first { last - first } else { 1.0 };
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * (value - first) / span;
    let y = |value: f64| {
        let part = (value.log10() - f64::from(low)) / f64::from(high - low);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part.clamp(-0.2, 1.0)
    };
    let (foot, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>Expected key per pulse of {}</title>\n<style>\n{STYLE}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" style=\"fill:var(--card)\"/>\n\
         <clipPath id=\"inside\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/></clipPath>\n",
        escape(link),
        right - LEFT,
        foot - TOP
    );
    let _ = writeln!(
        svg,
        "<text class=\"name\" style=\"font-size:17px\" x=\"20\" y=\"28\">{}</text>\n\
         <text x=\"20\" y=\"47\">Expected key, bits per pulse</text>",
        escape(link)
    );
    for power in log_ticks(low, high, 8) {
        let at = y(10f64.powi(power));
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>");
        let name = if power == 0 { "1".to_owned() } else { format!("10{}", superscript(power)) };
        let _ = writeln!(svg, "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{name}</text>", LEFT - 9.0, at + 4.0);
    }
    for tick in
        linear_ticks(span, 8).into_iter().map(|tick| tick + first).filter(|tick| *tick <= last + span * 1e-9)
    {
        let at = x(tick);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{foot}\"/>");
        let _ = writeln!(
            svg,
            "<text class=\"middle\" x=\"{at:.1}\" y=\"{}\">{}</text>",
            foot + 18.0,
            words::plain(tick)
        );
    }
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{foot}H{right}\"/>");
    let unit = if unit.is_empty() { String::new() } else { format!(", {unit}") };
    let _ = writeln!(
        svg,
        "<text class=\"middle strong\" x=\"{:.1}\" y=\"{}\">{}{}</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 18.0,
        escape(path),
        escape(&unit)
    );
    for curve in &curves {
        let line = path_of(values, &curve.values, &x, &y);
        let _ = writeln!(
            svg,
            "<path class=\"line {}\" style=\"stroke-width:2.2\" clip-path=\"url(#inside)\" d=\"{line}\"/>",
            curve.class
        );
    }
    draw_legend(&mut svg, &curves, right);
    svg.push_str("</svg>\n");
    svg
}

fn draw_legend(svg: &mut String, curves: &[Curve], right: f64) {
    let top = TOP + 12.0;
    let left = right - 252.0;
    let _ = writeln!(
        svg,
        "<rect x=\"{}\" y=\"{top}\" width=\"246\" height=\"{}\" rx=\"6\" style=\"fill:var(--card);opacity:.88\"/>",
        left - 4.0,
        curves.len() * 20 + 8
    );
    for (curve, place) in curves.iter().zip(0u32..) {
        let at = top + 17.0 + 20.0 * f64::from(place);
        let _ = writeln!(
            svg,
            "<path class=\"line {}\" style=\"stroke-width:2.2\" d=\"M{} {at}h26\"/>\
             <text class=\"strong\" x=\"{}\" y=\"{}\">{}</text>",
            curve.class,
            left + 4.0,
            left + 38.0,
            at + 4.0,
            escape(curve.name)
        );
    }
}

/// The powers of ten between which the curves lie.
fn decades(curves: &[Curve]) -> (i32, i32) {
    let positive = || {
        let secret = curves.iter().filter(|curve| curve.class.contains("blue"));
        secret.flat_map(|curve| &curve.values).copied().filter(|value| *value > 0.0 && value.is_finite())
    };
    let all = curves.iter().flat_map(|curve| &curve.values).copied();
    let high = all.filter(|value| value.is_finite()).fold(1e-12, f64::max).min(10.0);
    let high = high.log10().ceil() as i32;
    let lowest = positive().fold(f64::INFINITY, f64::min);
    let low =
        if lowest.is_finite() { (lowest.log10().floor() as i32).max(high - DECADES) } else { high - DECADES };
    (low.min(high - 1), high)
}

/// A path through the points with values, broken where there are none.
fn path_of(values: &[f64], curve: &[f64], x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) -> String {
    let mut line = String::new();
    let mut pen = 'M';
    for (&value, &amount) in values.iter().zip(curve) {
        if amount > 0.0 && amount.is_finite() {
            let _ = write!(line, "{pen}{:.1} {:.1}", x(value), y(amount));
            pen = 'L';
        } else {
            pen = 'M';
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_without_key_is_still_a_plot() {
        let rows = vec![Expectation { repeaterless_bound_per_pulse: 0.01, ..Expectation::default() }; 3];
        let svg = sweep("A<B", "fibre.length", &[0.0, 1.0, 2.0], "km", &rows, 1e9);
        assert!(svg.contains("A&lt;B") && !svg.contains("NaN") && !svg.contains("inf "));
    }

    #[test]
    fn the_plot_loads_nothing() {
        let svg = sweep("A", "b", &[], "", &[], 0.0);
        let namespace = "xmlns=\"http://www.w3.org/2000/svg\"";
        assert!(!svg.replace(namespace, "").contains("http"), "only the namespace, which is never fetched");
    }
}

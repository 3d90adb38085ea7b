//! Stated and simulated rates side by side on a logarithmic axis.

use super::axis::superscript;
use super::escape;
use crate::words;
use std::fmt::Write as _;

/// One link's two rates.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// The link.
    pub name: String,
    /// What is stated, in bits per second.
    pub stated: f64,
    /// Whether it is a published figure, rather than one from memory or made up.
    pub is_published: bool,
    /// Whether a parameter of the link was chosen to meet a stated figure.
    pub is_fitted: bool,
    /// What was simulated; may be zero.
    pub simulated: f64,
}

const WIDTH: f64 = 920.0;
const LEFT: f64 = 170.0;
const RIGHT: f64 = 130.0;
const ROW: f64 = 28.0;
const TOP: f64 = 10.0;

/// The plot as an SVG element: a ring for what is stated, a disc for what was simulated, a row a link.
pub fn comparison(rows: &[Comparison]) -> String {
    let positive =
        || rows.iter().flat_map(|row| [row.stated, row.simulated]).filter(|v| *v > 0.0 && v.is_finite());
    let low = positive().fold(f64::INFINITY, f64::min);
    let high = positive().fold(0.0, f64::max);
    if high == 0.0 {
        return String::new();
    }
    let low = (low / 1.3).log10().floor() as i32;
    let high = ((high * 1.3).log10().ceil() as i32).max(low + 1);
    let x = |value: f64| {
        let part = (value.log10() - f64::from(low)) / f64::from(high - low);
        LEFT + (WIDTH - LEFT - RIGHT) * part.clamp(0.0, 1.0)
    };
    let foot = TOP + ROW * rows.len() as f64;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"stated and simulated key rates\">\n",
        foot + 24.0
    );
    for power in low..=high {
        for minor in 1..10 {
            let value = f64::from(minor) * 10f64.powi(power);
            if minor > 1 && (power == high || high - low > 3) {
                break;
            }
            let opacity = if minor == 1 { 1.0 } else { 0.45 };
            let _ = writeln!(
                svg,
                "<path class=\"grid\" opacity=\"{opacity}\" d=\"M{:.1} {TOP}V{foot:.1}\"/>",
                x(value)
            );
        }
        let name = match power {
            0..6 => words::scaled(10f64.powi(power), "bit/s").replace(".00", "").replace(".0", ""),
            _ => format!("10{} bit/s", superscript(power)),
        };
        let _ = writeln!(
            svg,
            "<text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
            x(10f64.powi(power)),
            foot + 17.0
        );
    }
    for (row, place) in rows.iter().zip(0u32..) {
        let y = TOP + ROW * (f64::from(place) + 0.5);
        let stated = x(row.stated);
        let colour = if row.is_published { "teal" } else { "amber" };
        let _ = writeln!(
            svg,
            "<text class=\"end strong\" x=\"{}\" y=\"{:.1}\">{}</text>",
            LEFT - 14.0,
            y + 4.0,
            { escape(&words::cut(&row.name, 22)) }
        );
        let (simulated, ratio) = if row.simulated > 0.0 && row.stated > 0.0 {
            (Some(x(row.simulated)), format!("× {}", words::digits(row.simulated / row.stated)))
        } else {
            (None, "no key".to_owned())
        };
        if let Some(simulated) = simulated {
            let _ = writeln!(svg, "<path class=\"axis\" d=\"M{stated:.1} {y:.1}H{simulated:.1}\"/>");
        }
        let _ = writeln!(
            svg,
            "<circle class=\"ring {colour}\" cx=\"{stated:.1}\" cy=\"{y:.1}\" r=\"6\"><title>stated: {}</title></circle>",
            words::rate(row.stated)
        );
        if let Some(simulated) = simulated {
            let _ = writeln!(
                svg,
                "<circle class=\"fill-blue\" cx=\"{simulated:.1}\" cy=\"{y:.1}\" r=\"4.5\"><title>simulated: {}</title></circle>",
                words::rate(row.simulated)
            );
        }
        let ratio = if row.is_fitted { format!("{ratio} · fitted") } else { ratio };
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\">{ratio}</text>", WIDTH - RIGHT + 18.0, y + 4.0);
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_without_key_is_told_as_such() {
        let row = Comparison {
            name: "A".to_owned(),
            stated: 100.0,
            is_published: true,
            is_fitted: true,
            simulated: 0.0,
        };
        let svg = comparison(&[row]);
        assert!(svg.contains("no key") && !svg.contains("NaN"));
        assert!(comparison(&[]).is_empty());
    }
}

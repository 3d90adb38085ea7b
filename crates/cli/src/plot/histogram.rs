//! How often something took how long, on a logarithmic axis of time.

use super::axis::linear_ticks;
use crate::words;
use std::fmt::Write as _;

/// Counts between bounds, drawn as what a doubling of the time holds: bins differ in width.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// What is counted, for those who cannot see the plot.
    pub title: String,
    /// Where each bin begins and ends, in seconds, and how many it holds.
    pub bins: Vec<Bin>,
    /// Instants worth a line, and their names.
    pub marks: Vec<(f64, String)>,
}

/// A bin of a [`Histogram`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Bin {
    /// Where it begins, in seconds.
    pub begin_s: f64,
    /// Where it ends, in seconds.
    pub end_s: f64,
    /// How many it holds.
    pub count: u64,
}

impl Bin {
    /// What a doubling of the time would hold at this rate; a bin from zero on counts as one doubling.
    fn per_doubling(&self) -> f64 {
        let doublings = if self.begin_s > 0.0 { (self.end_s / self.begin_s).log2() } else { 1.0 };
        self.count as f64 / doublings
    }
}

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 24.0;
/// Decades below the longest time that are shown; what is shorter is in the first bar.
const DECADES: i32 = 8;

impl Histogram {
    /// The plot as an SVG element; nothing if nothing was counted.
    pub fn svg(&self) -> String {
        let is_drawn = |bin: &&Bin| bin.count > 0 && bin.end_s.is_finite() && bin.end_s > bin.begin_s;
        let bars: Vec<&Bin> = self.bins.iter().filter(is_drawn).collect();
        let longest = bars.iter().map(|bin| bin.end_s).fold(0.0, f64::max);
        if longest <= 0.0 {
            return String::new();
        }
        let shortest = bars.iter().map(|bin| bin.begin_s.max(bin.end_s / 2.0)).fold(f64::INFINITY, f64::min);
        let high = longest.log10().ceil() as i32;
        let low = (shortest.log10().floor() as i32).clamp(high - DECADES, high - 1);
        let x = |at: f64| {
            let part = (at.log10() - f64::from(low)) / f64::from(high - low);
            LEFT + (WIDTH - LEFT - RIGHT) * part.clamp(0.0, 1.0)
        };
        let most = bars.iter().map(|bin| bin.per_doubling()).fold(0.0, f64::max);
        let ticks = linear_ticks(most, 4);
        let top = ticks.last().copied().unwrap_or(1.0).max(1.0);
        let foot = HEIGHT - BOTTOM;
        let y = |count: f64| foot - (foot - TOP) * count / top;
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            super::escape(&self.title)
        );
        for tick in ticks {
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {0:.1}H{1}\"/><text class=\"end\" x=\"{2}\" y=\"{3:.1}\">{4}</text>",
                y(tick),
                WIDTH - RIGHT,
                LEFT - 8.0,
                y(tick) + 4.0,
                words::plain(tick)
            );
        }
        for power in low..=high {
            let at = x(10f64.powi(power));
            let anchor = if power == high { "end" } else { "middle" };
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{foot}\"/>\
                 <text class=\"{anchor}\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                foot + 16.0,
                words::seconds(10f64.powi(power))
            );
        }
        for bin in bars {
            let (from, to) = (x(bin.begin_s.max(bin.end_s / 2.0)), x(bin.end_s));
            let height = y(bin.per_doubling());
            let _ = writeln!(
                svg,
                "<rect class=\"fill-blue\" x=\"{from:.1}\" y=\"{height:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
                 <title>{} took {} to {}</title></rect>",
                (to - from - 0.8).max(1.0),
                foot - height,
                words::count(bin.count),
                words::seconds(bin.begin_s),
                words::seconds(bin.end_s)
            );
        }
        let mut last = f64::NEG_INFINITY;
        for (at, name) in self.marks.iter().filter(|(at, _)| *at > 0.0 && at.is_finite()) {
            let line = x(*at);
            // Names that would cover each other stand beside each other.
            let text = (line + 4.0).max(last + 7.0);
            last = text + 6.6 * name.chars().count() as f64;
            let _ = writeln!(
                svg,
                "<path class=\"line amber dashed\" d=\"M{line:.1} {:.1}V{foot}\"/>\
                 <text class=\"strong halo\" x=\"{text:.1}\" y=\"{:.1}\">{}</text>",
                TOP - 6.0,
                TOP - 9.0,
                super::escape(name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_of_unequal_width_and_equal_density_are_equally_high() {
        let bins = vec![
            Bin { begin_s: 1e-3, end_s: 2e-3, count: 100 },
            Bin { begin_s: 2e-3, end_s: 8e-3, count: 200 },
        ];
        let svg = Histogram { bins, ..Histogram::default() }.svg();
        let heights: Vec<_> = svg
            .lines()
            .filter(|line| line.contains("took"))
            .map(|line| &line[line.find("y=").unwrap()..][..8])
            .collect();
        assert_eq!(heights.len(), 2, "{svg}");
        assert_eq!(heights[0], heights[1]);
    }

    #[test]
    fn nothing_counted_is_nothing_drawn() {
        assert!(Histogram::default().svg().is_empty());
        let empty = Bin { begin_s: 0.5, end_s: 1.0, count: 0 };
        assert!(Histogram { bins: vec![empty], ..Histogram::default() }.svg().is_empty());
        let marks = vec![(0.0, "<".to_owned()), (0.7, "median".to_owned())];
        let one = Histogram { bins: vec![Bin { count: 3, ..empty }], marks, ..Histogram::default() }.svg();
        assert!(
            one.contains("<rect") && one.contains("median") && !one.contains("NaN") && !one.contains("inf")
        );
    }
}

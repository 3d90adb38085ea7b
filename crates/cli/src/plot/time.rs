//! Curves over time, one above the other on a common axis, with what happened marked on them.

use super::axis::{linear_ticks, prefix, time_ticks};
use super::escape;
use crate::words;
use std::fmt::Write as _;

/// Curves over time with events and alarms.
#[derive(Clone, Debug, Default)]
pub struct TimeChart {
    /// The end of the axis in seconds.
    pub end_s: f64,
    /// The curves, from top to bottom.
    pub panels: Vec<Panel>,
    /// What the network file made happen.
    pub bands: Vec<Band>,
    /// Alarms.
    pub marks: Vec<Mark>,
    /// What to say of each bin under the pointer; bins are `bin_s` wide.
    pub tips: Vec<String>,
    /// The width of a bin.
    pub bin_s: f64,
}

/// One curve.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// Its unit; `%` shows fractions in per cent, other units get prefixes.
    pub unit: String,
    /// Which colour class.
    pub colour: &'static str,
    /// One value a bin, if there is one.
    pub values: Vec<Option<f64>>,
    /// Whether the area below is filled.
    pub filled: bool,
    /// A value to compare with, and its name.
    pub reference: Option<(f64, String)>,
}

/// Something that lasted from one time to another, or happened at an instant.
#[derive(Clone, Debug, Default)]
pub struct Band {
    /// From when, in seconds.
    pub from_s: f64,
    /// Until when; none if it stayed to the end or was over at once.
    pub until_s: Option<f64>,
    /// The number in its badge.
    pub number: usize,
    /// What it was.
    pub text: String,
}

/// Something to be seen at an instant.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// When, in seconds.
    pub at_s: f64,
    /// What it was.
    pub text: String,
}

const WIDTH: f64 = 920.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const PANEL: f64 = 98.0;
const GAP: f64 = 24.0;
const BOTTOM: f64 = 24.0;
/// Marks nearer to one another than this are shown as one.
const MARK_WIDTH: f64 = 9.0;

impl TimeChart {
    /// The chart as an SVG element that fills the width of what holds it.
    pub fn svg(&self) -> String {
        let end = if self.end_s > 0.0 { self.end_s } else { 1.0 };
        let x = |at: f64| LEFT + (WIDTH - LEFT - RIGHT) * (at / end).clamp(0.0, 1.0);
        let panels = self.panels.len().max(1) as f64;
        let foot = TOP + panels * PANEL + (panels - 1.0) * GAP + 12.0;
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">\n",
            foot + BOTTOM,
            escape(&self.panels.iter().map(|panel| panel.title.as_str()).collect::<Vec<_>>().join(", "))
        );
        for band in &self.bands {
            let (from, until) = (x(band.from_s), band.until_s.map(x));
            let title = format!("<title>{}: {}</title>", words::clock(band.from_s), escape(&band.text));
            if let Some(until) = until {
                let _ = writeln!(
                    svg,
                    "<rect class=\"band\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\">{title}</rect>",
                    (until - from).max(1.0),
                    foot - TOP
                );
            }
            let _ = writeln!(svg, "<path class=\"instant\" d=\"M{from:.1} {TOP}V{foot:.1}\">{title}</path>");
        }
        for (tick, name) in time_ticks(end) {
            let at = x(tick);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{foot:.1}\"/>");
            let anchor = if at > WIDTH - RIGHT - 12.0 { "end" } else { "middle" };
            let _ = writeln!(
                svg,
                "<text class=\"{anchor}\" x=\"{at:.1}\" y=\"{:.1}\">{name}</text>",
                foot + 16.0
            );
        }
        for (panel, place) in self.panels.iter().zip(0u32..) {
            panel.draw(&mut svg, TOP + f64::from(place) * (PANEL + GAP), self.bin_s, end, &x);
        }
        self.draw_badges(&mut svg, &x);
        self.draw_tips(&mut svg, foot, &x);
        self.draw_marks(&mut svg, &x);
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_badges(&self, svg: &mut String, x: &dyn Fn(f64) -> f64) {
        let mut last = f64::NEG_INFINITY;
        for band in &self.bands {
            // Badges of events at nearly one time stand side by side.
            let at = (x(band.from_s) + 8.0).max(last + 17.0).min(WIDTH - RIGHT - 8.0);
            last = at;
            let _ = writeln!(
                svg,
                "<g><title>{}: {}</title><circle class=\"badge\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"8\"/>\
                 <text class=\"badge-text\" x=\"{at:.1}\" y=\"{:.1}\">{}</text></g>",
                words::clock(band.from_s),
                escape(&band.text),
                TOP + 10.0,
                TOP + 13.5,
                band.number
            );
        }
    }

    fn draw_tips(&self, svg: &mut String, foot: f64, x: &dyn Fn(f64) -> f64) {
        for (tip, bin) in self.tips.iter().zip(0u32..) {
            let from = x(f64::from(bin) * self.bin_s);
            let width = x(f64::from(bin + 1) * self.bin_s) - from;
            let _ = writeln!(
                svg,
                "<rect class=\"hover\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.2}\" height=\"{:.1}\">\
                 <title>{}</title></rect>",
                TOP + 20.0,
                foot - TOP - 20.0,
                escape(tip)
            );
        }
    }

    fn draw_marks(&self, svg: &mut String, x: &dyn Fn(f64) -> f64) {
        let mut marks = self.marks.iter().peekable();
        while let Some(mark) = marks.next() {
            let at = x(mark.at_s);
            let mut more = 0;
            while marks.next_if(|next| x(next.at_s) < at + MARK_WIDTH).is_some() {
                more += 1;
            }
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            let (low, high) = (TOP - 3.0, TOP - 14.0);
            let _ = writeln!(
                svg,
                "<path class=\"alarm\" d=\"M{:.1} {low}L{at:.1} {high}L{:.1} {low}Z\"><title>{}: {}{more}</title></path>",
                at - 6.0,
                at + 6.0,
                words::clock(mark.at_s),
                escape(&mark.text)
            );
        }
    }
}

impl Panel {
    fn draw(&self, svg: &mut String, top: f64, bin_s: f64, end: f64, x: &dyn Fn(f64) -> f64) {
        let bottom = top + PANEL;
        let reference = self.reference.as_ref().map_or(0.0, |(value, _)| *value);
        let max =
            self.values.iter().flatten().copied().filter(|value| value.is_finite()).fold(reference, f64::max);
        let (factor, unit) = match self.unit.as_str() {
            "%" => (0.01, "%".to_owned()),
            unit => {
                let (factor, prefix) = prefix(max);
                (factor, format!("{prefix}{unit}"))
            }
        };
        let ticks = linear_ticks(max / factor * 1.08, 4);
        let highest = ticks.last().copied().unwrap_or(1.0) * factor;
        let y = |value: f64| bottom - (PANEL - 22.0) * (value / highest).clamp(0.0, 1.0);
        for tick in &ticks {
            let at = y(tick * factor);
            let class = if *tick == 0.0 { "axis" } else { "grid" };
            let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{LEFT} {at:.1}H{}\"/>", WIDTH - RIGHT);
            let _ = writeln!(
                svg,
                "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>",
                LEFT - 7.0,
                at + 4.0,
                words::plain(*tick)
            );
        }
        // From the right, where no badge is likely: events begin where something has run well before.
        let _ = writeln!(
            svg,
            "<text class=\"halo end\" x=\"{}\" y=\"{:.1}\"><tspan class=\"strong\">{}</tspan>{}</text>",
            WIDTH - RIGHT - 2.0,
            top + 12.0,
            escape(&self.title),
            if unit.is_empty() { String::new() } else { format!(", {}", escape(&unit)) }
        );
        for run in runs(&self.values) {
            let mut line = String::new();
            let mut from = 0.0;
            for (bin, value) in run {
                let left = x(f64::from(bin) * bin_s);
                let until = x((f64::from(bin + 1) * bin_s).min(end));
                if line.is_empty() {
                    from = left;
                    let _ = write!(line, "M{left:.1} {:.1}", y(value));
                } else {
                    let _ = write!(line, "V{:.1}", y(value));
                }
                let _ = write!(line, "H{until:.1}");
            }
            if self.filled {
                let _ = writeln!(
                    svg,
                    "<path class=\"area fill-{}\" d=\"{line}V{bottom:.1}H{from:.1}Z\"/>",
                    self.colour
                );
            }
            let _ = writeln!(svg, "<path class=\"line {}\" d=\"{line}\"/>", self.colour);
        }
        if let Some((value, name)) = &self.reference {
            let at = y(*value);
            let _ = writeln!(
                svg,
                "<path class=\"line muted dashed\" d=\"M{LEFT} {at:.1}H{}\"><title>{}</title></path>",
                WIDTH - RIGHT,
                escape(name)
            );
        }
    }
}

/// The stretches of bins that have values.
fn runs(values: &[Option<f64>]) -> Vec<Vec<(u32, f64)>> {
    let mut runs: Vec<Vec<(u32, f64)>> = Vec::new();
    let mut open = false;
    for (value, bin) in values.iter().zip(0u32..) {
        match value.filter(|value| value.is_finite()) {
            Some(value) => {
                if !open {
                    runs.push(Vec::new());
                }
                open = true;
                if let Some(run) = runs.last_mut() {
                    run.push((bin, value));
                }
            }
            None => open = false,
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_break_the_curve() {
        let values = [None, Some(1.0), Some(2.0), None, Some(f64::NAN), Some(3.0)];
        assert_eq!(runs(&values), [vec![(1, 1.0), (2, 2.0)], vec![(5, 3.0)]]);
    }

    #[test]
    fn nothing_at_all_is_still_a_chart() {
        let svg = TimeChart::default().svg();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn near_marks_are_one() {
        let mark = |at_s| Mark { at_s, text: "a < b".to_owned() };
        let chart =
            TimeChart { end_s: 100.0, marks: vec![mark(1.0), mark(1.1), mark(50.0)], ..TimeChart::default() };
        let svg = chart.svg();
        assert_eq!(svg.matches("class=\"alarm\"").count(), 2);
        assert!(svg.contains("a &lt; b (and 1 more)"));
    }
}

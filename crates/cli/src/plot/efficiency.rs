//! The efficiency of reconciliation over the error rate, one curve a family.

use super::{STYLE, escape};
use crate::command::bench::Efficiency;
use bellwether_units::binary_entropy;
use std::fmt::Write as _;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 62.0;
/// What is shown of the efficiency.
const RANGE: (f64, f64) = (1.0, 1.25);
/// Colours of the curves, in the order of the families.
const COLOURS: [&str; 8] =
    ["#8a8f98", "#b08948", "#5b8bd0", "#2f6bb3", "#2a9d8f", "#17685f", "#c8553d", "#7a4fa3"];

/// Published codes of infinite length, as the rate of the code and the error rate up to which it works: Elkouss, Leverrier,
/// Alleaume & Boutros, ISIT 2009, arXiv:0901.2140, Table I.
const PUBLISHED_CODES: [(f64, f64); 9] = [
    (0.90, 0.0109),
    (0.85, 0.0199),
    (0.80, 0.0298),
    (0.75, 0.0392),
    (0.70, 0.0504),
    (0.65, 0.0633),
    (0.60, 0.0766),
    (0.55, 0.0904),
    (0.50, 0.1071),
];

/// A plot that stands alone: disclosed bits over the Shannon limit.
pub(crate) fn efficiencies(rows: &[Efficiency]) -> String {
    let (low, high) = rows.iter().fold((f64::INFINITY, 0.0f64), |range, row| {
        (range.0.min(row.error_rate), range.1.max(row.error_rate))
    });
    let span = (high / low).log10().max(1e-9);
    let x = |rate: f64| LEFT + (WIDTH - LEFT - RIGHT) * (rate / low).log10() / span;
    let y = |f: f64| {
        let part = ((f - RANGE.0) / (RANGE.1 - RANGE.0)).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <rect class=\"sheet\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"34\" font-size=\"17\">What reconciliation discloses, over the Shannon limit</text>\n"
    );
    for step in 0..=5 {
        let f = RANGE.0 + 0.05 * f64::from(step);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/><text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\" font-size=\"12\">{f:.2}</text>",
            WIDTH - RIGHT,
            y(f),
            LEFT - 8.0,
            y(f) + 4.0
        );
    }
    let mut rates: Vec<f64> = rows.iter().map(|row| row.error_rate).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates.dedup();
    for &rate in &rates {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"12\">{} %</text>",
            x(rate),
            HEIGHT - BOTTOM + 20.0,
            100.0 * rate
        );
    }
    let mut families: Vec<&str> = Vec::new();
    rows.iter().for_each(|row| {
        if !families.contains(&row.family) {
            families.push(row.family);
        }
    });
    for (number, family) in families.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<String> = rows
            .iter()
            .filter(|row| row.family == *family)
            .map(|row| format!("{:.1},{:.1}", x(row.error_rate), y(row.efficiency)))
            .collect();
        let place = TOP + 20.0 * number as f64;
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{:.1}\" y=\"{place:.1}\" font-size=\"13\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            WIDTH - RIGHT + 14.0,
            escape(family)
        );
    }
    let points: Vec<String> = PUBLISHED_CODES
        .iter()
        .filter(|(_, error_rate)| (low..=high).contains(error_rate))
        .map(|&(code_rate, error_rate)| {
            let f = (1.0 - code_rate) / binary_entropy(error_rate);
            format!("{:.1},{:.1}", x(error_rate), y(f))
        })
        .collect();
    let place = TOP + 20.0 * families.len() as f64;
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#555\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"/><text x=\"{1:.1}\" y=\"{place:.1}\" font-size=\"12\" fill=\"#555\">published codes,</text><text x=\"{1:.1}\" y=\"{2:.1}\" font-size=\"12\" fill=\"#555\">infinitely long (2009)</text>",
        points.join(" "),
        WIDTH - RIGHT + 14.0,
        place + 15.0
    );
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"13\">error rate</text>\n</svg>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 16.0
    );
    svg
}

//! One link in the report: curves over time and where errors and key come from and go.

use super::series::Curves;
use super::{alarm_text, evidence};
use crate::plot::{Band, Mark, Panel, TimeChart, escape};
use crate::words;
use bellwether_sim::summary::{Contribution, LinkSummary, Summary};
use std::fmt::Write as _;

/// An error rate beyond the expected one that is worth a row.
const LEAST_BEYOND: f64 = 0.0005;

/// The link's section, folded unless `unfolded`.
pub(super) fn section(summary: &Summary, link: &LinkSummary, unfolded: bool) -> String {
    let alarms: u64 =
        summary.alarms.iter().filter(|alarm| alarm.link == link.name).map(|alarm| alarm.count).sum();
    let mut html = format!(
        "<details{}>\n<summary><b>{}</b><span class=\"figures\">{} → {} · {} · {} · {} · QBER {}</span>{}</summary>\n",
        if unfolded { " open" } else { "" },
        escape(&link.name),
        escape(&link.transmitter),
        escape(&link.receiver),
        words::kilometres(link.length_km),
        words::decibels(link.loss_db),
        words::rate(link.secret_rate_per_s),
        words::percent_or_dash(link.qber_key),
        match alarms {
            0 => String::new(),
            1 => "<span class=\"tag red\">1 alarm</span>".to_owned(),
            many => format!("<span class=\"tag red\">{} alarms</span>", words::count(many)),
        }
    );
    if let Some(note) = &link.note {
        let _ = writeln!(html, "<p class=\"quiet\">{}</p>", escape(note));
    }
    curves(&mut html, summary, link);
    html.push_str("<div class=\"two\">\n<div>\n");
    error_budget(&mut html, link);
    html.push_str("</div>\n<div>\n");
    key_budget(&mut html, link);
    html.push_str("</div>\n</div>\n");
    figures(&mut html, link);
    html.push_str("</details>\n");
    html
}

fn curves(html: &mut String, summary: &Summary, link: &LinkSummary) {
    if link.series.secret_bits.is_empty() {
        return;
    }
    let curves = Curves::of(link);
    let bin_s = link.series.bin_s;
    let tips = (0..curves.secret_rate.len())
        .map(|bin| {
            let at = |values: &[Option<f64>]| values.get(bin).copied().flatten();
            format!(
                "{}: {}, QBER {}, pool {}",
                words::clock(bin as f64 * bin_s),
                words::rate(at(&curves.secret_rate).unwrap_or(0.0)),
                words::percent_or_dash(at(&curves.qber)),
                words::bits(link.series.pool_bits.get(bin).copied().unwrap_or(0))
            )
        })
        .collect();
    let expected = link.expected.as_ref();
    let bands: Vec<_> = summary
        .events
        .iter()
        .filter(|event| [&link.name, &link.transmitter, &link.receiver].contains(&&event.target))
        .zip(1..)
        .map(|(event, number)| Band {
            from_s: event.at_s,
            until_s: event.until_s.map(|until| until.min(summary.run.simulated_s)),
            number,
            text: format!("{}: {}", event.target, event.text),
        })
        .collect();
    let marks = summary.alarms.iter().filter(|alarm| alarm.link == link.name);
    let chart = TimeChart {
        end_s: summary.run.simulated_s,
        bin_s,
        panels: vec![
            Panel {
                title: "Secret key rate".to_owned(),
                unit: "bit/s".to_owned(),
                colour: "blue",
                values: curves.secret_rate,
                filled: true,
                reference: expected
                    .map(|e| (e.secret_rate_per_s, expectation(words::rate(e.secret_rate_per_s)))),
            },
            Panel {
                title: "Error rate (QBER)".to_owned(),
                unit: "%".to_owned(),
                colour: "violet",
                values: curves.qber,
                filled: false,
                reference: expected.map(|e| (e.qber_key, expectation(words::percent(e.qber_key)))),
            },
            Panel {
                title: "Key in the pool".to_owned(),
                unit: "bit".to_owned(),
                colour: "teal",
                values: curves.pool,
                filled: true,
                reference: None,
            },
        ],
        bands,
        marks: marks.map(|alarm| Mark { at_s: alarm.at_s, text: alarm_text(alarm) }).collect(),
        tips,
    };
    html.push_str(&chart.svg());
    if !chart.bands.is_empty() {
        html.push_str("<ol class=\"events\">");
        for band in &chart.bands {
            let until = band.until_s.map(|at| format!(" to {}", words::clock(at))).unwrap_or_default();
            let _ = write!(
                html,
                "<li><span class=\"badge\">{}</span>{}{until} – {}</li>",
                band.number,
                words::clock(band.from_s),
                escape(&band.text)
            );
        }
        html.push_str("</ol>\n");
    }
}

fn expectation(value: String) -> String {
    format!("expected when nothing happens to the link: {value}")
}

/// A row of a budget with its bar from `from` to `to`, as parts of the whole.
fn bar(html: &mut String, cause: &str, amount: &str, share: &str, from: f64, to: f64, class: &str) {
    let (from, to) = (from.clamp(0.0, 1.0) * 100.0, to.clamp(0.0, 1.0) * 100.0);
    // A bar has a least width, so that a small part can be seen; nothing has none.
    let class = if to > from { class } else { "nothing" };
    let _ = writeln!(
        html,
        "<tr><td>{}</td><td class=\"n\">{amount}</td><td class=\"n\">{share}</td><td class=\"bar\"><div class=\"track\">\
         <i class=\"{class}\" style=\"left:{from:.2}%;width:{:.2}%\"></i></div></td></tr>",
        escape(cause),
        (to - from).max(0.0)
    );
}

fn error_budget(html: &mut String, link: &LinkSummary) {
    html.push_str("<h3>Where errors come from</h3>\n");
    let whole: f64 = link.error_budget.iter().map(|part| part.amount).sum();
    if link.error_budget.is_empty() || whole <= 0.0 {
        html.push_str("<p class=\"quiet\">No errors are expected.</p>\n");
        return;
    }
    html.push_str(
        "<table>\n<tr><th>Cause</th><th class=\"n\">QBER</th><th class=\"n\">Share</th><th></th></tr>\n",
    );
    let mut so_far = 0.0;
    for part in &link.error_budget {
        let next = so_far + part.amount / whole;
        let (amount, share) = (words::percent(part.amount), percent_of(part.amount, whole));
        bar(html, &part.cause, &amount, &share, so_far, next, "err");
        so_far = next;
    }
    let _ = writeln!(
        html,
        "<tr class=\"sum\"><td>Expected</td><td class=\"n\">{}</td><td></td><td></td></tr>",
        words::percent(whole)
    );
    // What no device explains: an eavesdropper, a drift, or chance.
    if let Some(beyond) = link.qber_key.map(|qber| qber - whole).filter(|beyond| *beyond > LEAST_BEYOND) {
        bar(
            html,
            "beyond it: eavesdropper or drift",
            &words::percent(beyond),
            "",
            0.0,
            beyond / whole,
            "eve",
        );
    }
    let _ = writeln!(
        html,
        "<tr class=\"sum\"><td>Simulated</td><td class=\"n\">{}</td><td></td><td></td></tr>\n</table>",
        words::percent_or_dash(link.qber_key)
    );
}

fn percent_of(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1} %", 100.0 * part / whole) } else { String::new() }
}

/// Clicks at the top, secret key at the bottom, and in between what each step took.
fn key_budget(html: &mut String, link: &LinkSummary) {
    html.push_str("<h3>Where the clicks went</h3>\n");
    let whole: f64 = link.key_budget.iter().map(|part| part.amount).sum();
    if link.key_budget.is_empty() || whole <= 0.0 {
        html.push_str("<p class=\"quiet\">There were no clicks.</p>\n");
        return;
    }
    html.push_str(
        "<table>\n<tr><th>Step</th><th class=\"n\">Bits</th><th class=\"n\">Share</th><th></th></tr>\n",
    );
    let mut so_far = 0.0;
    for Contribution { cause, amount } in &link.key_budget {
        let next = so_far + amount / whole;
        let class = if cause.contains("secret") { "kept" } else { "lost" };
        bar(html, cause, &words::scaled(*amount, "bit"), &percent_of(*amount, whole), so_far, next, class);
        so_far = next;
    }
    html.push_str("</table>\n");
}

fn figures(html: &mut String, link: &LinkSummary) {
    html.push_str("<h3>Figures</h3>\n<dl>\n");
    let mut entry = |term: &str, text: String| {
        let _ = writeln!(html, "<dt>{term}</dt><dd>{text}</dd>");
    };
    let discarded: u64 = link.discarded.iter().map(|reason| reason.count).sum();
    let reasons: Vec<_> = link
        .discarded
        .iter()
        .map(|reason| format!("{} × {}", words::count(reason.count), escape(&reason.what)))
        .collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
    entry(
        "Blocks",
        format!("{} gave key, {} discarded{reasons}", words::count(link.blocks), words::count(discarded)),
    );
    entry(
        "Per pulse",
        format!(
            "{} secret bits of at most {} without a repeater",
            words::digits(link.secret_bits_per_pulse),
            words::digits(link.repeaterless_bound_per_pulse)
        ),
    );
    let efficiency = link
        .reconciliation_efficiency
        .map(|f| format!(", {f:.3} times the least possible"))
        .unwrap_or_default();
    let trips =
        link.round_trips_per_block.map(|trips| format!(", {} round trips a block", words::digits(trips)));
    entry(
        "Reconciliation",
        format!("disclosed {}{efficiency}{}", words::bits(link.leaked_bits), trips.unwrap_or_default()),
    );
    entry("Authentication", format!("used up {}", words::bits(link.authentication_bits)));
    entry(
        "Security",
        format!("all keys together are ε-secure with ε = {}", words::digits(link.epsilon_total)),
    );
    entry("QBER, check basis", words::percent_or_dash(link.qber_check));
    if let Some(published) = &link.published {
        let rate = published.secret_rate_per_s.map(words::rate);
        let qber = published.qber.map(|qber| format!("QBER {}", words::percent(qber)));
        let stated: Vec<_> = rate.into_iter().chain(qber).collect();
        entry(
            "Stated",
            format!("{} {} {}", stated.join(", "), evidence(published), escape(&published.source)),
        );
    }
    entry("Detail", escape(&link.detail));
    html.push_str("</dl>\n");
}

//! Entangled pairs in the report: links, demands, waiting, what fidelity was lost to, and what is published.

use super::ROWS;
use crate::plot::{Band, Bin, Histogram, Panel, TimeChart, escape};
use crate::words;
use bellwether_sim::entanglement::summary::{
    DemandPairs, EntanglementSummary, LatencySummary, LinkLevel, LinkPairs, Measured, PublishedPairs,
};
use bellwether_sim::summary::Summary;
use std::fmt::Write as _;

/// Demands with a section of their own.
const DETAILED: usize = 40;
/// Demands whose section is unfolded from the start.
const UNFOLDED: usize = 8;
/// Half the width of an interval of 95 %, in standard errors.
const HALF_INTERVAL: f64 = 1.96;

/// The table of entangling links, below the map.
pub(super) fn links(html: &mut String, links: &[LinkPairs]) {
    if links.is_empty() {
        return;
    }
    html.push_str(
        "<div class=\"scroll\"><table>\n<tr><th>Entangling link</th><th>Ends</th><th class=\"n\">Length</th>\
         <th class=\"n\">Memories</th><th class=\"n\">Cycle</th><th class=\"n\">Success</th>\
         <th class=\"n\">Fidelity</th><th class=\"n\">At most</th><th class=\"n\">Pairs</th><th class=\"n\">Rate</th></tr>\n",
    );
    for link in links.iter().take(ROWS) {
        let [first, second] = link.memories;
        let _ = writeln!(
            html,
            "<tr><td><b>{}</b></td><td>{} – {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\"><b>{}</b></td></tr>",
            escape(&link.name),
            escape(&link.ends[0]),
            escape(&link.ends[1]),
            words::kilometres(link.length_km),
            if first == second { first.to_string() } else { format!("{first}, {second}") },
            words::seconds(link.cycle_s),
            range(&link.levels, &|level| words::digits(level.success)),
            range(&link.levels, &|level| format!("{:.3}", level.fidelity)),
            range(&link.levels, &|level| per_second(level.rate_per_s)),
            words::count(link.pairs),
            per_second(link.rate_per_s)
        );
    }
    html.push_str("</table></div>\n");
    if links.len() > ROWS {
        let _ =
            writeln!(html, "<p class=\"quiet\">The first {ROWS} of {} entangling links.</p>", links.len());
    }
    html.push_str(
        "<p class=\"quiet\">Success and fidelity are of one attempt, over the brightnesses on offer; at most is what all \
         memories could make if they did nothing else. Links attempt only while somebody asks.</p>\n",
    );
}

/// The sections of demands, of what is published, and of memories.
pub(super) fn sections(html: &mut String, summary: &Summary) {
    let Some(found) = &summary.entanglement else { return };
    demands(html, &found.demands);
    published(html, found);
    memories(html, summary, found);
}

fn demands(html: &mut String, demands: &[DemandPairs]) {
    if demands.is_empty() {
        return;
    }
    html.push_str(
        "<section>\n<h2>Entangled pairs for applications</h2>\n<div class=\"scroll\"><table>\n\
         <tr><th>Demand</th><th>Between</th><th class=\"n\">Wanted</th><th class=\"n\">Pairs</th><th class=\"n\">Rate</th>\
         <th class=\"n\">True fidelity</th><th class=\"n\">Claimed</th><th class=\"n\">Median wait</th>\
         <th class=\"n\">Late</th><th>Route, refusal</th></tr>\n",
    );
    for demand in demands.iter().take(ROWS) {
        let remark = match (&demand.refused, &demand.planned) {
            (Some(why), _) => format!("<span class=\"tag red\">refused</span> {}", escape(why)),
            (None, Some(planned)) => escape(&planned.path.join("-")),
            (None, None) => String::new(),
        };
        let _ = writeln!(
            html,
            "<tr><td><b>{}</b></td><td>{} → {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\"><b>{}</b></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{remark}</td></tr>",
            escape(&demand.name),
            escape(&demand.from),
            escape(&demand.to),
            words::plain(demand.wanted_fidelity),
            words::count(demand.pairs),
            demand.rate_per_s.map_or_else(dash, per_second),
            demand.fidelity.as_ref().map_or_else(dash, measured),
            demand.claimed_fidelity.as_ref().map_or_else(dash, |claimed| format!("{:.4}", claimed.mean)),
            demand.latency.as_ref().map_or_else(dash, |latency| words::seconds(latency.median_s)),
            words::count(demand.timed_out)
        );
    }
    html.push_str("</table></div>\n");
    if demands.len() > ROWS {
        let _ = writeln!(html, "<p class=\"quiet\">The first {ROWS} of {} demands.</p>", demands.len());
    }
    html.push_str(
        "<p class=\"quiet\">Fidelities are to the Bell state that both ends were told, with intervals of 95 %. The true one \
         is known to the simulator alone; the claimed one is what the protocol promised of each pair.</p>\n",
    );
    let served: Vec<_> = demands.iter().filter(|demand| demand.pairs > 0).collect();
    if served.len() > DETAILED {
        let _ = writeln!(
            html,
            "<p class=\"quiet\">The first {DETAILED} of {} demands that got pairs; summary.json has all.</p>",
            served.len()
        );
    }
    let unfolded = served.len() <= UNFOLDED;
    for demand in served.into_iter().take(DETAILED) {
        section(html, demand, unfolded);
    }
    html.push_str("</section>\n");
}

/// One demand: its waiting times, its fidelities, and what they were lost to.
fn section(html: &mut String, demand: &DemandPairs, unfolded: bool) {
    let _ = writeln!(
        html,
        "<details{}>\n<summary><b>{}</b><span class=\"figures\">{} → {} · {} pairs{}{}</span></summary>",
        if unfolded { " open" } else { "" },
        escape(&demand.name),
        escape(&demand.from),
        escape(&demand.to),
        words::count(demand.pairs),
        demand.rate_per_s.map_or_else(String::new, |rate| format!(" · {}", per_second(rate))),
        demand.fidelity.as_ref().map_or_else(String::new, |value| format!(" · fidelity {:.4}", value.mean))
    );
    if let Some(latency) = &demand.latency {
        waiting(html, latency);
    }
    html.push_str("<div class=\"two\">\n<div>\n");
    fidelities(html, demand);
    html.push_str("</div>\n<div>\n");
    losses(html, demand);
    html.push_str("</div>\n</div>\n");
    if let Some(planned) = &demand.planned {
        let cutoff = planned.cutoff_s.map_or_else(
            || "halves wait as long as it takes".to_owned(),
            |cutoff| format!("halves older than {} are given up at repeaters", words::seconds(cutoff)),
        );
        let _ = writeln!(
            html,
            "<p class=\"quiet\">Planned: by {}, {} a pair with a fidelity of {:.4}, by estimate; {cutoff}.</p>",
            escape(&planned.path.join("-")),
            words::seconds(planned.seconds_per_pair),
            planned.fidelity
        );
    }
    if demand.disagreements > 0 {
        let _ = writeln!(
            html,
            "<p><span class=\"tag red\">disagreement</span> The ends of {} pairs were told different Bell states.</p>",
            words::count(demand.disagreements)
        );
    }
    html.push_str("</details>\n");
}

fn waiting(html: &mut String, latency: &LatencySummary) {
    let bin = |&(end_s, count): &(f64, u64)| Bin { begin_s: begin_of(end_s), end_s, count };
    let plot = Histogram {
        title: "waiting times of pairs".to_owned(),
        bins: latency.bins.iter().map(bin).collect(),
        marks: vec![
            (latency.median_s, format!("median {}", words::seconds(latency.median_s))),
            (latency.p99_s, format!("99 % {}", words::seconds(latency.p99_s))),
        ],
    };
    let svg = plot.svg();
    if svg.is_empty() {
        return;
    }
    let _ = writeln!(
        html,
        "<h3>Waiting times</h3>\n<figure>\n{svg}<figcaption>From a request, or the pair before, to a pair: pairs for each \
         doubling of the time. Mean {}, longest {}.</figcaption></figure>",
        words::seconds(latency.mean_s),
        words::seconds(latency.longest_s)
    );
}

/// Where a bin begins that ends here: four equal bins make a doubling, from a microsecond on.
fn begin_of(end_s: f64) -> f64 {
    let ratio = end_s / 1e-6;
    if ratio <= 1.0 + 1e-9 {
        return 0.0;
    }
    // The end of the last bin of a doubling belongs to that doubling, not to the next.
    let doubling = (ratio * (1.0 - 1e-9)).log2().floor();
    end_s - 1e-6 * doubling.exp2() / 4.0
}

/// What was true, claimed, measured, planned and published, each with its interval where it has one.
fn fidelities(html: &mut String, demand: &DemandPairs) {
    html.push_str(
        "<h3>Fidelity</h3>\n<table>\n<tr><th></th><th class=\"n\">Mean</th><th class=\"n\">± 95 %</th><th></th></tr>\n",
    );
    let of = |value: &Measured| (value.mean, value.standard_error.map(|error| HALF_INTERVAL * error));
    let published = demand.published.as_ref();
    let stated = published.and_then(|told| {
        let deviation = told.fidelity_deviation.map(|deviation| HALF_INTERVAL * deviation);
        Some((told.fidelity?, deviation))
    });
    let rows = [
        ("true", demand.fidelity.as_ref().map(of), "kept"),
        ("claimed", demand.claimed_fidelity.as_ref().map(of), ""),
        ("measured", demand.measured_fidelity.as_ref().map(of), ""),
        ("wanted", Some((demand.wanted_fidelity, None)), "lost"),
        ("stated", stated, "err"),
    ];
    for (name, value, class) in rows {
        let Some((mean, half)) = value.filter(|(mean, _)| mean.is_finite()) else { continue };
        let _ = writeln!(
            html,
            "<tr><td>{name}</td><td class=\"n\">{mean:.4}</td><td class=\"n\">{}</td><td class=\"bar\">\
             <div class=\"track\"><i class=\"{class}\" style=\"left:0%;width:{:.2}%\"></i></div></td></tr>",
            half.map_or_else(String::new, |half| format!("{half:.4}")),
            100.0 * mean.clamp(0.0, 1.0)
        );
    }
    html.push_str("</table>\n");
}

/// Bars that follow one another, as the parts of the whole.
fn losses(html: &mut String, demand: &DemandPairs) {
    html.push_str("<h3>What fidelity was lost to</h3>\n");
    if demand.losses.is_empty() {
        html.push_str("<p class=\"quiet\">Nothing was lost.</p>\n");
        return;
    }
    html.push_str(
        "<table>\n<tr><th></th><th class=\"n\">ln w</th><th class=\"n\">Share</th><th></th></tr>\n",
    );
    let mut from = 0.0;
    for share in &demand.losses {
        let part = if share.share.is_finite() { share.share.clamp(0.0, 1.0) } else { 0.0 };
        let to = f64::min(from + part, 1.0);
        let class = if to > from { "err" } else { "nothing" };
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td class=\"n\">{:.4}</td><td class=\"n\">{}</td><td class=\"bar\"><div class=\"track\">\
             <i class=\"{class}\" style=\"left:{:.2}%;width:{:.2}%\"></i></div></td></tr>",
            escape(&share.source),
            share.loss_per_pair,
            words::percent(part),
            100.0 * from,
            100.0 * (to - from)
        );
        from = to;
    }
    html.push_str("</table>\n<p class=\"quiet\">Mean falls of ln w of a pair, w = (4F − 1)/3.</p>\n");
}

fn published(html: &mut String, found: &EntanglementSummary) {
    let links = found.links.iter().filter_map(|link| {
        // What is published of a link is what it can do, not what it was asked for: at its brightest.
        let level = link.levels.first()?;
        Some((&link.name, link.published.as_ref()?, Some(level.rate_per_s), Some(level.fidelity)))
    });
    let demands = found.demands.iter().filter_map(|demand| {
        let fidelity = demand.fidelity.as_ref().map(|fidelity| fidelity.mean);
        Some((&demand.name, demand.published.as_ref()?, demand.rate_per_s, fidelity))
    });
    let rows: Vec<_> = links.chain(demands).take(ROWS).collect();
    if rows.is_empty() {
        return;
    }
    html.push_str(
        "<section>\n<h2>Published pairs, and simulated ones</h2>\n<div class=\"scroll\"><table>\n\
         <tr><th></th><th>Evidence</th><th class=\"n\">Rate, simulated</th><th class=\"n\">Stated</th>\
         <th class=\"n\">Fidelity, simulated</th><th class=\"n\">Stated</th><th>Source</th></tr>\n",
    );
    for (name, told, rate, fidelity) in rows {
        let fitted = told.fitted.as_ref().map_or_else(String::new, |fitted| {
            format!("<br><span class=\"tag red\">fitted</span> {}", escape(fitted))
        });
        let _ = writeln!(
            html,
            "<tr><td><b>{}</b></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td>{}{fitted}</td></tr>",
            escape(name),
            super::evidence_tag(&told.evidence),
            rate.map_or_else(dash, per_second),
            told.rate_per_s.map_or_else(dash, per_second),
            fidelity.map_or_else(dash, |fidelity| format!("{fidelity:.3}")),
            stated_fidelity(told),
            escape(&told.source)
        );
    }
    html.push_str(
        "</table></div>\n<p class=\"quiet\">Of a link, what it can do at its brightest; of a demand, what it got. A figure \
         to which a parameter was fitted is no check.</p>\n</section>\n",
    );
}

fn stated_fidelity(told: &PublishedPairs) -> String {
    told.fidelity.map_or_else(dash, |fidelity| match told.fidelity_deviation {
        Some(deviation) => format!("{fidelity:.3} ± {deviation:.3}"),
        None => format!("{fidelity:.3}"),
    })
}

/// Memories that held something, over time.
fn memories(html: &mut String, summary: &Summary, found: &EntanglementSummary) {
    let Some(&(last_s, _)) = found.occupied.last() else { return };
    let bin_s = last_s / found.occupied.len() as f64;
    if bin_s <= 0.0 || !bin_s.is_finite() {
        return;
    }
    let all: u64 = found.nodes.iter().map(|node| u64::from(node.memories)).sum();
    let targets: Vec<&str> = found.links.iter().map(|link| link.name.as_str()).collect();
    let bands = summary.events.iter().filter(|event| {
        targets.contains(&event.target.as_str()) || found.nodes.iter().any(|node| node.name == event.target)
    });
    let chart = TimeChart {
        end_s: summary.run.simulated_s,
        bin_s,
        panels: vec![Panel {
            title: "Memories that hold something".to_owned(),
            unit: String::new(),
            colour: "violet",
            values: found.occupied.iter().map(|(_, held)| Some(*held as f64)).collect(),
            filled: true,
            reference: (all > 0).then(|| (all as f64, format!("all {} memories", words::count(all)))),
        }],
        bands: bands
            .zip(1..)
            .map(|(event, number)| Band {
                from_s: event.at_s,
                until_s: event.until_s.map(|until| until.min(summary.run.simulated_s)),
                number,
                text: format!("{}: {}", event.target, event.text),
            })
            .collect(),
        marks: Vec::new(),
        tips: Vec::new(),
    };
    html.push_str("<section>\n<h2>Memories</h2>\n<figure class=\"card\">\n");
    html.push_str(&chart.svg());
    html.push_str(
        "<figcaption>Memories of all nodes that held half a pair, or were busy with one, when they were counted. Dashed: \
         all there are.</figcaption></figure>\n</section>\n",
    );
}

/// One figure of the only level, or of the brightest and the dimmest.
fn range(levels: &[LinkLevel], figure: &dyn Fn(&LinkLevel) -> String) -> String {
    match levels {
        [] => String::new(),
        [only] => figure(only),
        [first, .., last] => format!("{} … {}", figure(first), figure(last)),
    }
}

fn measured(value: &Measured) -> String {
    match value.standard_error {
        Some(error) => format!("{:.4} ± {:.4}", value.mean, HALF_INTERVAL * error),
        None => format!("{:.4}", value.mean),
    }
}

/// A rate of pairs.
pub(super) fn per_second(rate: f64) -> String {
    format!("{} /s", words::plain(rate))
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_begin_where_those_before_them_end() {
        assert_eq!(begin_of(1e-6), 0.0);
        for (begin, end) in [(1.0, 1.25), (1.75, 2.0), (2.0, 2.5), (3.5, 4.0), (1024.0, 1280.0)] {
            let found = begin_of(1e-6 * end) / 1e-6;
            assert!((found - begin).abs() < 1e-6, "{end} begins at {found}");
        }
    }
}

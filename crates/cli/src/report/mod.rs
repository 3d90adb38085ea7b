//! The report: one HTML file that needs nothing else, neither script nor font nor network.
//!
//! It holds nothing that depends on the machine or the wall clock: equal summaries give equal reports.

mod entanglement;
mod link;
mod map;
mod series;

use crate::plot::{self, Comparison, escape};
use crate::words;
use bellwether_sim::summary::{AlarmSummary, DemandSummary, LinkSummary, PublishedSummary, Summary};
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");
/// Links with curves of their own; those with alarms or events go first.
const DETAILED_LINKS: usize = 60;
/// Links whose curves are unfolded from the start.
const UNFOLDED_LINKS: usize = 12;
/// Rows of long tables.
const ROWS: usize = 500;

/// The report of a run.
pub fn html(summary: &Summary) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} – Bellwether</title>\n<style>\n{}{STYLE}</style>\n</head>\n<body>\n",
        escape(&summary.run.network),
        plot::STYLE
    );
    header(&mut html, summary);
    html.push_str("<section>\n<h2>The network</h2>\n");
    html.push_str(&map::map(summary));
    if makes_key(summary) {
        links(&mut html, &summary.links);
    }
    if let Some(found) = &summary.entanglement {
        entanglement::links(&mut html, &found.links);
    }
    html.push_str("</section>\n");
    comparison(&mut html, &summary.links);
    happenings(&mut html, summary);
    demands(&mut html, &summary.demands);
    entanglement::sections(&mut html, summary);
    details(&mut html, summary);
    footer(&mut html, summary);
    html.push_str("</body>\n</html>\n");
    html
}

/// Whether there is anything to tell of keys.
fn makes_key(summary: &Summary) -> bool {
    !summary.links.is_empty() || summary.entanglement.is_none()
}

fn header(html: &mut String, summary: &Summary) {
    let run = &summary.run;
    let _ = write!(
        html,
        "<header>\n<div class=\"word\">Bellwether · simulation report</div>\n<h1>{}</h1>\n\
         <div class=\"quiet\">{} of network time · seed {} · version {} · <code>{}</code></div>\n</header>\n",
        escape(&run.network),
        words::seconds(run.simulated_s),
        run.seed,
        escape(&run.version),
        escape(&run.file)
    );
    if run.partial {
        let _ = writeln!(
            html,
            "<div class=\"banner\">Partial: the run was stopped after {} of {}.</div>",
            words::clock(run.simulated_s),
            words::clock(run.duration_s)
        );
    }
    html.push_str(&tiles(summary));
}

fn tiles(summary: &Summary) -> String {
    let totals = &summary.totals;
    let mut html = String::from("<div class=\"tiles\">\n");
    let mut tile = |figure: String, words: &str, bad: bool| {
        let class = if bad { "tile bad" } else { "tile" };
        let _ = writeln!(html, "<div class=\"{class}\"><b>{figure}</b><span>{words}</span></div>");
    };
    if let Some(found) = &summary.entanglement {
        let pairs = found.demands.iter().map(|demand| demand.pairs).sum();
        tile(words::count(pairs), "entangled pairs for applications", false);
        let (all, refused) =
            (found.demands.len(), found.demands.iter().filter(|demand| demand.refused.is_some()).count());
        tile(format!("{} of {all}", all - refused), "demands for pairs are served", refused > 0);
        let wrong = found.demands.iter().map(|demand| demand.disagreements).sum();
        if wrong > 0 {
            tile(words::count(wrong), "pairs whose ends were told different Bell states", true);
        }
    }
    if !makes_key(summary) {
        html.push_str("</div>\n");
        return html;
    }
    let seconds = summary.run.simulated_s;
    let rate = if seconds > 0.0 { totals.secret_bits as f64 / seconds } else { 0.0 };
    tile(words::bits(totals.secret_bits), &format!("secret key made, {} in all", words::rate(rate)), false);
    let (all, giving) =
        (summary.links.len(), summary.links.iter().filter(|link| link.secret_bits > 0).count());
    tile(format!("{giving} of {all}"), "links gave key", giving < all);
    if totals.keys_requested > 0 {
        let share = totals.keys_delivered as f64 / totals.keys_requested as f64;
        let of = format!("of {} keys asked for were delivered", words::count(totals.keys_requested));
        tile(words::percent(share), &of, share < 0.9);
    }
    if totals.keys_mismatched > 0 {
        tile(words::count(totals.keys_mismatched), "keys differ between their ends", true);
    }
    let alarms = if totals.alarms == 1 { "alarm raised" } else { "alarms raised" };
    tile(words::count(totals.alarms), alarms, totals.alarms > 0);
    html.push_str("</div>\n");
    html
}

fn links(html: &mut String, links: &[LinkSummary]) {
    let has_stated = links.iter().any(|link| link.published.is_some());
    let _ = writeln!(
        html,
        "<div class=\"scroll\"><table>\n<tr><th>Link</th><th>From → to</th><th class=\"n\">Length</th>\
         <th class=\"n\">Loss</th><th class=\"n\">Sifted key</th><th class=\"n\">QBER</th><th class=\"n\">Secret key</th>\
         <th class=\"n\">Expected</th>{}<th class=\"n\">Pool at the end</th></tr>",
        if has_stated { "<th class=\"n\">Stated</th>" } else { "" }
    );
    for link in links.iter().take(ROWS) {
        let stated =
            link.published.as_ref().and_then(|stated| Some((stated.secret_rate_per_s?, mark(stated))));
        let stated = stated.map(|(rate, mark)| format!("{}{mark}", words::rate(rate))).unwrap_or_default();
        let _ = writeln!(
            html,
            "<tr><td><b>{}</b></td><td>{} → {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\"><b>{}</b></td><td class=\"n\">{}</td>{}<td class=\"n\">{}</td></tr>",
            escape(&link.name),
            escape(&link.transmitter),
            escape(&link.receiver),
            words::kilometres(link.length_km),
            words::decibels(link.loss_db),
            words::rate(link.sifted_rate_per_s),
            words::percent_or_dash(link.qber_key),
            words::rate(link.secret_rate_per_s),
            link.expected
                .as_ref()
                .map_or_else(String::new, |expected| words::rate(expected.secret_rate_per_s)),
            if has_stated { format!("<td class=\"n\">{stated}</td>") } else { String::new() },
            words::bits(link.pool_bits)
        );
    }
    html.push_str("</table></div>\n");
    if links.len() > ROWS {
        let _ = writeln!(html, "<p class=\"quiet\">The first {ROWS} of {} links.</p>", links.len());
    }
    html.push_str(
        "<p class=\"quiet\">Rates are means over the whole run, cuts and attacks included; expected is what the \
         formulas give when nothing happens to the link.",
    );
    let stated = || links.iter().filter_map(|link| link.published.as_ref());
    if stated().any(|stated| mark(stated).starts_with('*')) {
        html.push_str(" * From memory: not looked up again, and no published figure.");
    }
    if stated().any(|stated| mark(stated).starts_with('†')) {
        html.push_str(" † Reconstructed to complete the picture: no published figure.");
    }
    html.push_str("</p>\n");
}

/// The mark beside a stated figure that is not a published one.
fn mark(published: &PublishedSummary) -> &'static str {
    match published.evidence.as_str() {
        "published" => "",
        "reconstructed" => "†",
        _ => "*",
    }
}

/// How sure a stated figure is, as a tag.
fn evidence(published: &PublishedSummary) -> &'static str {
    evidence_tag(&published.evidence)
}

fn evidence_tag(evidence: &str) -> &'static str {
    match evidence {
        "published" => "<span class=\"tag teal\">published</span>",
        "reconstructed" => "<span class=\"tag amber\">reconstructed</span>",
        _ => "<span class=\"tag amber\">from memory</span>",
    }
}

fn comparison(html: &mut String, links: &[LinkSummary]) {
    let rows: Vec<_> = links
        .iter()
        .filter_map(|link| {
            let published = link.published.as_ref()?;
            Some(Comparison {
                name: link.name.clone(),
                stated: published.secret_rate_per_s.filter(|rate| *rate > 0.0)?,
                is_published: published.evidence == "published",
                is_fitted: published.fitted.is_some(),
                simulated: link.secret_rate_per_s,
            })
        })
        .take(ROWS)
        .collect();
    if rows.is_empty() {
        return;
    }
    html.push_str("<section>\n<h2>Stated and simulated</h2>\n<figure class=\"card\">\n");
    html.push_str(&plot::comparison(&rows));
    html.push_str(
        "<figcaption>Secret key rates. Disc: simulated. Ring: as the network file states it; green where it is a \
         published figure, amber where it is from memory or reconstructed. On the right: simulated as a multiple of \
         stated, and whether a parameter of the link was fitted.</figcaption></figure>\n",
    );
    let has_sources = links.iter().filter_map(|link| Some((link, link.published.as_ref()?)));
    html.push_str(
        "<div class=\"scroll\"><table>\n<tr><th>Link</th><th>Evidence</th><th class=\"n\">Stated QBER</th>\
                   <th class=\"n\">Simulated</th><th>Source</th></tr>\n",
    );
    for (link, published) in has_sources.take(ROWS) {
        let fitted = published.fitted.as_ref().map_or_else(String::new, |fitted| {
            format!("<br><span class=\"tag red\">fitted</span> {}", escape(fitted))
        });
        let _ = writeln!(
            html,
            "<tr><td><b>{}</b></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}{fitted}</td></tr>",
            escape(&link.name),
            evidence(published),
            words::percent_or_dash(published.qber),
            words::percent_or_dash(link.qber_key),
            escape(&published.source)
        );
    }
    html.push_str("</table></div>\n</section>\n");
}

fn happenings(html: &mut String, summary: &Summary) {
    if summary.alarms.is_empty() && summary.events.is_empty() {
        return;
    }
    let _ = writeln!(
        html,
        "<section>\n<h2>{}</h2>\n<div class=\"scroll\"><table>\n\
         <tr><th class=\"n\">Time</th><th></th><th>Where</th><th>What</th></tr>",
        if makes_key(summary) { "Events and alarms" } else { "Events" }
    );
    let events = summary.events.iter().map(|event| {
        let until = event.until_s.map(|at| format!(", until {}", words::clock(at))).unwrap_or_default();
        let row = format!(
            "<td><span class=\"tag amber\">event</span></td><td class=\"w\">{}</td><td>{}{until}</td>",
            escape(&event.target),
            escape(&event.text)
        );
        (event.at_s, 0, row)
    });
    let alarms = summary.alarms.iter().map(|alarm| {
        let row = format!(
            "<td><span class=\"tag red\">alarm</span></td><td class=\"w\">{}</td><td>{}</td>",
            escape(&alarm.link),
            escape(&alarm_text(alarm))
        );
        (alarm.at_s, 1, row)
    });
    let mut rows: Vec<_> = events.chain(alarms).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for (at, _, row) in rows.iter().take(ROWS) {
        let _ = writeln!(html, "<tr><td class=\"n\">{}</td>{row}</tr>", words::clock(*at));
    }
    html.push_str("</table></div>\n");
    if rows.len() > ROWS {
        let _ = writeln!(
            html,
            "<p class=\"quiet\">The first {ROWS} of {}; all are in the trace.</p>",
            rows.len()
        );
    }
    html.push_str("</section>\n");
}

/// An alarm in words, with how often it was raised if it was more than once.
fn alarm_text(alarm: &AlarmSummary) -> String {
    let again = match alarm.count {
        0 | 1 => String::new(),
        count => format!(" (raised {} times until {})", words::count(count), words::clock(alarm.last_s)),
    };
    format!("{}: {}{again}", alarm.kind, alarm.text)
}

fn demands(html: &mut String, demands: &[DemandSummary]) {
    if demands.is_empty() {
        return;
    }
    html.push_str(
        "<section>\n<h2>Keys for applications</h2>\n<div class=\"scroll\"><table>\n\
         <tr><th>Demand</th><th>Between</th><th class=\"n\">Key</th><th class=\"n\">Asked</th><th class=\"n\">Delivered</th>\
         <th class=\"n\">Refused</th><th class=\"n\">Pending</th><th class=\"n\">Mean latency</th><th class=\"n\">Longest</th>\
         <th>Routes, refusals</th></tr>\n",
    );
    for demand in demands.iter().take(ROWS) {
        let refused: u64 = demand.refused.iter().map(|refusal| refusal.count).sum();
        let latency = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), words::seconds);
        let mut remarks: Vec<_> = demand
            .routes
            .iter()
            .take(6)
            .map(|route| format!("{} × {}", words::count(route.count), escape(&route.what)))
            .collect();
        remarks.extend(demand.refused.iter().map(|refusal| {
            format!(
                "<span class=\"tag red\">refused</span> {} × {}",
                words::count(refusal.count),
                escape(&refusal.what)
            )
        }));
        let _ = writeln!(
            html,
            "<tr><td><b>{}</b></td><td>{} → {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(&demand.name),
            escape(&demand.from),
            escape(&demand.to),
            words::bits(demand.key_bits),
            words::count(demand.requested),
            words::count(demand.delivered),
            words::count(refused),
            words::count(demand.pending),
            latency(demand.mean_latency_s),
            latency(demand.max_latency_s),
            remarks.join("<br>")
        );
    }
    html.push_str("</table></div>\n</section>\n");
}

fn details(html: &mut String, summary: &Summary) {
    if !makes_key(summary) {
        return;
    }
    html.push_str("<section>\n<h2>Link by link</h2>\n");
    let happened = |link: &LinkSummary| {
        summary.alarms.iter().any(|alarm| alarm.link == link.name)
            || summary.events.iter().any(|event| event.target == link.name)
    };
    let mut chosen: Vec<_> = summary.links.iter().collect();
    if chosen.len() > DETAILED_LINKS {
        chosen.sort_by_cached_key(|link| !happened(link));
        chosen.truncate(DETAILED_LINKS);
        let _ = writeln!(
            html,
            "<p class=\"quiet\">{DETAILED_LINKS} of {} links, those to which something happened first; \
             summary.json has all.</p>",
            summary.links.len()
        );
    }
    let unfolded = chosen.len() <= UNFOLDED_LINKS;
    for link in chosen {
        html.push_str(&link::section(summary, link, unfolded));
    }
    html.push_str("</section>\n");
}

fn footer(html: &mut String, summary: &Summary) {
    let run = &summary.run;
    html.push_str("<section>\n<h2>This run</h2>\n<dl>\n");
    let mut entry = |term: &str, text: String| {
        let _ = writeln!(html, "<dt>{term}</dt><dd>{text}</dd>");
    };
    entry("Bellwether", escape(&run.version));
    entry("Network file", format!("<code>{}</code>", escape(&run.file)));
    entry("SHA-256", format!("<code>{}</code>", escape(&run.sha256)));
    if !run.overrides.is_empty() {
        entry("Overrides", format!("<code>{}</code>", escape(&run.overrides.join("  "))));
    }
    entry("Seed", run.seed.to_string());
    entry("Simulated", format!("{} of {}", words::clock(run.simulated_s), words::clock(run.duration_s)));
    if makes_key(summary) {
        entry("Pulses sent", words::scaled(summary.totals.pulses as f64, ""));
        entry("Clicks", words::scaled(summary.totals.clicks as f64, ""));
    }
    if let Some(found) = &summary.entanglement {
        entry("Swaps", words::count(found.swaps));
        entry("Messages between nodes", words::count(found.messages));
        for assumption in &found.assumptions {
            entry("Assumed for want of figures", escape(assumption));
        }
    }
    for assumption in &run.assumptions {
        entry("Assumed", escape(assumption));
    }
    html.push_str(
        "</dl>\n<p class=\"quiet\">The same file, overrides, seed and version give the same results, bit for bit, on \
         any machine. Keys and pairs of emulated channels are for test and development.</p>\n</section>\n",
    );
}

//! Results on the terminal: readable at 100 columns.

mod entanglement;
mod expected_pairs;

pub use expected_pairs::pair_expectations;

use crate::table::{Align, Table, wrap};
use crate::words;
use bellwether_sim::expect::Expectation;
use bellwether_sim::summary::{
    AlarmSummary, Count, DemandSummary, Interval, LinkSummary, PublishedSummary, Replications, RunIdentity,
    Summary,
};

const WIDTH: usize = 100;
/// Alarms shown; the rest are counted.
const ALARMS: usize = 20;
/// Links or demands shown; the rest are counted.
const ROWS: usize = 200;

use Align::{Left, Right};

/// What a run found: links, demands, alarms and the run's identity.
pub fn summary(summary: &Summary, styled: bool) -> String {
    let mut text = String::new();
    let run = &summary.run;
    text.push_str(&heading(&run.network, styled));
    text.push_str(&if run.partial {
        let (done, all) = (words::clock(run.simulated_s), words::clock(run.duration_s));
        format!("  partial: interrupted after {done} of {all}\n")
    } else {
        format!("  {} of network time\n", words::seconds(run.simulated_s))
    });
    if !summary.links.is_empty() || summary.entanglement.is_none() {
        text.push_str(&heading("Links", styled));
        text.push_str(&links(&summary.links, styled));
    }
    if let Some(found) = &summary.entanglement {
        text.push_str(&entanglement::tables(found, styled));
    }
    if !summary.demands.is_empty() {
        text.push_str(&heading("Demands", styled));
        text.push_str(&demands(&summary.demands, styled));
    }
    if summary.totals.keys_mismatched > 0 {
        text.push_str(&format!(
            "  {} keys differ between their ends\n",
            words::count(summary.totals.keys_mismatched)
        ));
    }
    if !summary.events.is_empty() {
        text.push_str(&heading("Events", styled));
        for event in summary.events.iter().take(ALARMS) {
            let until = event.until_s.map(|at| format!(", until {}", words::clock(at))).unwrap_or_default();
            text.push_str(&happening(event.at_s, &event.target, &format!("{}{until}", event.text)));
        }
        text.push_str(&more(summary.events.len(), ALARMS, "events"));
    }
    // Only links that make key raise alarms.
    if !summary.links.is_empty() || summary.totals.alarms > 0 || summary.entanglement.is_none() {
        text.push_str(&heading(&format!("Alarms: {}", summary.totals.alarms), styled));
    }
    for alarm in summary.alarms.iter().take(ALARMS) {
        text.push_str(&happening(alarm.at_s, &alarm.link, &alarm_text(alarm)));
    }
    text.push_str(&more(summary.alarms.len(), ALARMS, "alarms"));
    text.push_str(&heading("Run", styled));
    text.push_str(&identity(run));
    text
}

/// Means over independent runs with their 95 % intervals.
pub fn replications(replications: &Replications, styled: bool) -> String {
    let run = &replications.run;
    let mut text =
        heading(&format!("{}: means of {} runs, 95 % intervals", run.network, replications.runs), styled);
    let mut table = Table::new([
        ("link", Left),
        ("sifted", Right),
        ("QBER", Right),
        ("secret", Right),
        ("alarms", Right),
    ]);
    let has_keys = !replications.links.is_empty() || replications.pair_demands.is_empty();
    for link in replications.links.iter().take(ROWS) {
        table.row([
            words::cut(&link.name, 18),
            rate_interval(&link.sifted_rate_per_s),
            link.qber_key.as_ref().map_or_else(|| "–".to_owned(), |qber| interval(qber, &words::percent)),
            rate_interval(&link.secret_rate_per_s),
            interval(&link.alarms, &words::plain),
        ]);
    }
    if has_keys {
        text.push_str(&table.render(styled));
        text.push_str(&more(replications.links.len(), ROWS, "links"));
    }
    text.push_str(&entanglement::replications(&replications.pair_demands, styled));
    if !replications.demands.is_empty() {
        let mut table = Table::new([("demand", Left), ("keys delivered", Right), ("keys refused", Right)]);
        for demand in replications.demands.iter().take(ROWS) {
            table.row([
                words::cut(&demand.name, 30),
                interval(&demand.delivered, &words::plain),
                interval(&demand.refused, &words::plain),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render(styled));
        text.push_str(&more(replications.demands.len(), ROWS, "demands"));
    }
    text.push_str(&heading("Runs", styled));
    text.push_str(&identity(run));
    text.push_str(&format!(
        "  seeds      {} to {}\n",
        run.seed,
        run.seed.saturating_add(replications.runs - 1)
    ));
    text
}

/// Expected rates, one row a setting.
pub fn expectations(link: &str, rows: &[Expectation], swept: Option<&str>, styled: bool) -> String {
    let mut text = heading(&format!("{link}: expected, not sampled"), styled);
    let mut table = Table::new([
        (swept.unwrap_or(""), Right),
        ("length", Right),
        ("loss", Right),
        ("sifted", Right),
        ("QBER", Right),
        ("block", Right),
        ("secret", Right),
        ("per pulse", Right),
        ("bound/pulse", Right),
    ]);
    for row in rows {
        let per_pulse = |value: f64| {
            if value.is_infinite() {
                "∞".to_owned()
            } else if value > 0.0 {
                format!("{value:.2e}").replace('-', "−")
            } else {
                "–".to_owned()
            }
        };
        // A sweep of the length itself needs no second column for it.
        let length =
            if swept == Some("fibre.length") { String::new() } else { words::kilometres(row.length_km) };
        table.row([
            row.setting.clone().unwrap_or_default(),
            length,
            words::decibels(row.loss_db),
            words::rate(row.sifted_rate_per_s),
            words::percent(row.qber_key),
            if row.block_s.is_finite() { words::seconds(row.block_s) } else { "–".to_owned() },
            words::rate(row.secret_rate_per_s),
            per_pulse(row.secret_bits_per_pulse),
            per_pulse(row.repeaterless_bound_per_pulse),
        ]);
    }
    text.push_str(&table.render(styled));
    if let [row] = rows {
        text.push_str(&format!(
            "  Of an endless block: {}. Secret bits of one block: {}.\n",
            words::rate(row.asymptotic_rate_per_s),
            words::count(row.secret_bits_per_block)
        ));
    }
    if let Some((row, reason)) = rows.iter().find_map(|row| row.no_key.as_ref().map(|reason| (row, reason))) {
        let line = format!(
            "No key from {} ({}) on: {reason}",
            words::kilometres(row.length_km),
            words::decibels(row.loss_db)
        );
        text.push_str(&format!("  {}\n", wrap(&line, WIDTH - 4, 2)));
    }
    text.push_str("  bound: −log2(1 − η) secret bits per pulse, the most that any protocol without a repeater can give\n");
    text.push_str("  over this loss (Pirandola et al. 2017); η without the receiver's own loss.\n");
    text
}

fn alarm_text(alarm: &AlarmSummary) -> String {
    match alarm.count {
        0 | 1 => format!("{}: {}", alarm.kind, alarm.text),
        count => format!(
            "{}: {} ({} times until {})",
            alarm.kind,
            alarm.text,
            words::count(count),
            words::clock(alarm.last_s)
        ),
    }
}

/// A time, a place and what happened there, in aligned columns.
fn happening(at_s: f64, place: &str, text: &str) -> String {
    const PLACE: usize = 14;
    let at = words::clock(at_s);
    let left = format!("  {at:>12}  {:<PLACE$}  ", words::cut(place, PLACE));
    let indent = left.chars().count();
    format!("{left}{}\n", wrap(text, WIDTH - indent, indent))
}

fn heading(text: &str, styled: bool) -> String {
    if styled { format!("\n\x1b[1;36m{text}\x1b[0m\n") } else { format!("\n{text}\n") }
}

fn more(all: usize, shown: usize, what: &str) -> String {
    if all > shown { format!("  … and {} more {what}\n", all - shown) } else { String::new() }
}

fn interval(interval: &Interval, show: &dyn Fn(f64) -> String) -> String {
    let half = (interval.high - interval.low) / 2.0;
    format!("{} ± {}", show(interval.mean), show(half))
}

/// A rate with its interval in per cent of it.
fn rate_interval(interval: &Interval) -> String {
    let half = (interval.high - interval.low) / 2.0;
    let part = if interval.mean > 0.0 {
        format!(" ± {:.1} %", 100.0 * half / interval.mean)
    } else {
        String::new()
    };
    format!("{}{part}", words::rate(interval.mean))
}

fn links(links: &[LinkSummary], styled: bool) -> String {
    let mut table = Table::new([
        ("link", Left),
        ("length", Right),
        ("loss", Right),
        ("sifted", Right),
        ("QBER", Right),
        ("secret", Right),
        ("stated", Right),
        ("", Left),
        ("pool", Right),
    ]);
    for link in links.iter().take(ROWS) {
        let stated = link.published.as_ref();
        table.row([
            words::cut(&link.name, 20),
            words::kilometres(link.length_km),
            words::decibels(link.loss_db),
            words::rate(link.sifted_rate_per_s),
            words::percent_or_dash(link.qber_key),
            words::rate(link.secret_rate_per_s),
            stated.and_then(|stated| stated.secret_rate_per_s).map(words::rate).unwrap_or_default(),
            stated.map(mark).unwrap_or_default().to_owned(),
            words::bits(link.pool_bits),
        ]);
    }
    let mut text = table.render(styled);
    text.push_str(&more(links.len(), ROWS, "links"));
    text.push_str(&legend(links));
    for link in links.iter().take(ROWS) {
        let refused: Vec<_> = link.discarded.iter().map(count).collect();
        if !refused.is_empty() {
            let line =
                format!("{}: {} blocks gave key; discarded: {}", link.name, link.blocks, refused.join("; "));
            text.push_str(&format!("  {}\n", wrap(&line, WIDTH - 4, 4)));
        } else if link.blocks == 0 {
            text.push_str(&format!("  {}: no block was complete at the end\n", link.name));
        }
    }
    text
}

/// The mark beside a stated figure that is not a published one.
fn mark(published: &PublishedSummary) -> &'static str {
    match published.evidence.as_str() {
        "published" => "",
        "reconstructed" => "†",
        _ => "*",
    }
}

fn legend(links: &[LinkSummary]) -> String {
    let stated = || links.iter().filter_map(|link| link.published.as_ref());
    let mut text = String::new();
    if stated().any(|published| published.evidence == "published") {
        text.push_str("  stated: the published secret key rate, as the network file gives it\n");
    }
    if stated().any(|published| mark(published) == "*") {
        text.push_str(
            "  * from memory: the network file's author has not looked it up; not a published figure\n",
        );
    }
    if stated().any(|published| mark(published) == "†") {
        text.push_str("  † reconstructed: made up to complete the picture; not a published figure\n");
    }
    for link in links {
        if let Some(fitted) = link.published.as_ref().and_then(|published| published.fitted.as_ref()) {
            let line = format!("{}, fitted: {fitted}", link.name);
            text.push_str(&format!("  {}\n", wrap(&line, WIDTH - 6, 4)));
        }
    }
    text
}

fn demands(demands: &[DemandSummary], styled: bool) -> String {
    let mut table = Table::new([
        ("demand", Left),
        ("between", Left),
        ("key", Right),
        ("asked", Right),
        ("served", Right),
        ("refused", Right),
        ("pending", Right),
        ("latency", Right),
        ("longest", Right),
    ]);
    for demand in demands.iter().take(ROWS) {
        let refused: u64 = demand.refused.iter().map(|refusal| refusal.count).sum();
        let latency = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), words::seconds);
        table.row([
            words::cut(&demand.name, 16),
            words::cut(&format!("{} → {}", demand.from, demand.to), 20),
            words::bits(demand.key_bits),
            words::count(demand.requested),
            words::count(demand.delivered),
            words::count(refused),
            words::count(demand.pending),
            latency(demand.mean_latency_s),
            latency(demand.max_latency_s),
        ]);
    }
    let mut text = table.render(styled);
    text.push_str(&more(demands.len(), ROWS, "demands"));
    for demand in demands.iter().take(ROWS).filter(|demand| !demand.refused.is_empty()) {
        let reasons: Vec<_> = demand.refused.iter().map(count).collect();
        let line = format!("{}: refused {}", demand.name, reasons.join("; "));
        text.push_str(&format!("  {}\n", wrap(&line, WIDTH - 4, 4)));
    }
    text
}

fn count(count: &Count) -> String {
    format!("{} × {}", words::count(count.count), count.what)
}

fn identity(run: &RunIdentity) -> String {
    let mut text =
        format!("  bellwether {}\n  file       {}\n  sha256     {}\n", run.version, run.file, run.sha256);
    if !run.overrides.is_empty() {
        text.push_str(&format!("  overrides  {}\n", wrap(&run.overrides.join("  "), WIDTH - 13, 13)));
    }
    text.push_str(&format!("  seed       {}\n", run.seed));
    for assumption in &run.assumptions {
        text.push_str(&format!("  assumed    {}\n", wrap(assumption, WIDTH - 13, 13)));
    }
    text
}

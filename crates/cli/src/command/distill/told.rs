//! What is seen of a distillation while it goes on, and its account in words.

use crate::progress::{StopFlag, Stopwatch};
use crate::{output, words};
use bellwether_live::distill::{self, ClickSummary, LinkSummary, SiftingSummary, Summary};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write;

/// Runs shorter than this show no bar.
const PATIENCE_S: f64 = 2.0;
/// A beam splitter may be off by so much of the light before somebody is warned.
const UNEVEN: f64 = 0.05;
/// So many alarms are told as they come.
const ALARMS: usize = 20;

/// What to do where clocks cannot be related.
pub(super) const CLOCKS: &str = "\
The offset is looked for within 2 s (--offset-within) of what makes both records begin together, and of 0; the drift within
20 ppm (--drift-within). If the records began further apart, say about what Alice's clock shows when Bob's shows 0, with
--clock-offset at Alice's end. If the other end's record is of another run, or no pairs were seen, there is nothing to find.";

/// Watches a run.
pub(super) struct Watch {
    stop: StopFlag,
    clock: Stopwatch,
    bar: Option<ProgressBar>,
    alarms: usize,
}

impl Watch {
    pub(super) fn new(stop: StopFlag) -> Self {
        Self { stop, clock: Stopwatch::start(), bar: None, alarms: 0 }
    }
}

impl distill::Watch for Watch {
    fn progress(&mut self, done: u64, of: u64, bits: u64) {
        let elapsed = self.clock.seconds();
        if self.bar.is_none() && elapsed > PATIENCE_S && of > 0 {
            let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr());
            // Without a template that can be read the bar keeps its default.
            if let Ok(style) = ProgressStyle::with_template("[{wide_bar}] {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
            let speed = words::rate(bits as f64 / elapsed.max(1e-9));
            bar.set_message(format!("{}, {speed}", words::bits(bits)));
        }
    }

    fn sifting(&mut self, bytes: u64, of: u64) {
        if self.clock.seconds() > PATIENCE_S {
            let share = 100.0 * bytes as f64 / of.max(1) as f64;
            let bar = self.bar.get_or_insert_with(|| {
                let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr());
                if let Ok(style) = ProgressStyle::with_template("[{wide_bar}] {msg}") {
                    bar.set_style(style.progress_chars("=> "));
                }
                bar
            });
            bar.set_position(bytes);
            bar.set_message(format!("{share:.0} % of the record sifted"));
        }
    }

    fn alarm(&mut self, alarm: &dyn std::fmt::Display) {
        self.alarms += 1;
        if self.alarms <= ALARMS {
            let line = format!("ALARM: {alarm}");
            match &self.bar {
                Some(bar) => bar.suspend(|| output::tell(&line)),
                None => output::tell(&line),
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The account of a run in words.
pub(super) fn account(summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<16} {value}");
    };
    match summary.key_bits {
        0 => line("key", "none".to_owned()),
        bits => line("key", format!("{} in {}", words::bits(bits), summary.key_file)),
    }
    if let Some(sifting) = &summary.sifting {
        for (name, value) in sifted(sifting) {
            line(name, value);
        }
    }
    let [from, to] = summary.used_bits;
    line("raw bits", format!("{} ({from} to {to} of {})", words::bits(to - from), summary.raw_bits));
    let mut blocks = format!("{} with key", summary.key_blocks);
    for (reason, count) in &summary.discarded_blocks {
        let _ = write!(blocks, ", {count} {reason}");
    }
    line("blocks", blocks);
    if summary.key_blocks > 0 {
        line("error rate", words::percent_or_dash(summary.error_rate));
        let efficiency = summary.efficiency.map_or(String::new(), |f| format!(", f = {f:.3}"));
        let leak = summary.reconciliation_leak;
        line("disclosed", format!("{} in reconciliation{efficiency}", words::bits(leak)));
        if summary.sample_bits > 0 {
            line("sample", format!("{} disclosed and thrown away", words::bits(summary.sample_bits)));
        }
        let authentication =
            summary.epsilon_authentication.map_or(String::new(), |e| format!(", authentication {e:.1e}"));
        line(
            "epsilon",
            format!(
                "secrecy {:.1e}, correctness {:.1e}{authentication}, of all keys together",
                summary.epsilon_secrecy, summary.epsilon_correctness
            ),
        );
    }
    line("rests on", summary.claim.clone());
    line("authentication", summary.authentication.clone());
    if summary.seconds > 0.0 {
        let rate = words::rate(summary.distilled_bits as f64 / summary.seconds);
        line("took", format!("{}, {rate} of raw bits", words::seconds(summary.seconds)));
    }
    if !summary.alarms.is_empty() {
        line("alarms", format!("{}, first: {}", summary.alarms.len(), summary.alarms[0]));
    }
    text
}

/// What is told of sifting.
fn sifted(sifting: &SiftingSummary) -> Vec<(&'static str, String)> {
    let SiftingSummary { alice, bob, .. } = sifting;
    let clicks = |end: &ClickSummary| {
        let (double, cross) = (end.double_clicks, end.cross_clicks);
        format!("{} in {} events, {double} double and {cross} cross clicks", end.clicks, end.events)
    };
    let mut lines = vec![
        ("clicks of Alice", clicks(alice)),
        ("clicks of Bob", clicks(bob)),
        (
            "clocks",
            format!(
                "Alice's is {:.9} s ahead of Bob's, and gains {:.6} ppm",
                sifting.clock_offset_ps as f64 * 1e-12,
                sifting.clock_drift_ppm
            ),
        ),
        (
            "coincidences",
            format!(
                "{} within {} ps ({:.0} ps of jitter), about {:.0} of them accidental, {} ambiguous left out",
                sifting.coincidences,
                sifting.window_ps,
                sifting.jitter_ps,
                sifting.accidental_coincidences,
                sifting.ambiguous_events
            ),
        ),
    ];
    if sifting.unfollowed_events > 0 {
        lines.push(("not followed", format!("{} of Bob's events", sifting.unfollowed_events)));
    }
    for (name, basis) in ["basis Z", "basis X"].into_iter().zip(&sifting.bases) {
        let mut text = format!("{} sifted", basis.sifted);
        if let (Some(rate), Some(visibility)) = (basis.error_rate, basis.visibility) {
            let of = if basis.compared == basis.sifted {
                String::new()
            } else {
                format!(" of {}", basis.compared)
            };
            let _ = write!(text, ", {} wrong{of}, visibility {visibility:.4}", words::percent(rate));
        }
        lines.push((name, text));
    }
    let [z, x] = sifting.bases.map(|basis| basis.sifted as f64);
    let share = z / (z + x).max(1.0);
    if z + x > 0.0 && (share - 0.5).abs() > UNEVEN {
        let text = format!(
            "{} of the bits are of basis Z: a bound for an even choice does not hold",
            words::percent(share)
        );
        lines.push(("WARNING", text));
    }
    lines
}

/// The account of a run over recordings of a link, in words.
pub(super) fn link_account(summary: &LinkSummary) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<16} {value}");
    };
    match summary.key_bits {
        0 => line("key", "none".to_owned()),
        bits => line("key", format!("{} in {}", words::bits(bits), summary.key_file)),
    }
    let [from, to] = summary.used_pulses;
    line(
        "light",
        format!("{} of link {} (pulses {from} to {to})", words::seconds(summary.light_seconds), summary.link),
    );
    line("clicks", words::count(summary.clicks));
    let mut blocks = format!("{} with key", summary.key_blocks);
    for (reason, count) in &summary.discarded_blocks {
        let _ = write!(blocks, ", {count} {reason}");
    }
    line("blocks", blocks);
    if summary.unfinished_bits > 0 {
        let (had, of) = (words::bits(summary.unfinished_bits), words::bits(summary.block_bits));
        line("left over", format!("{had} of a block of {of}, which gave no key (`block_size` of the link)"));
    }
    if summary.key_blocks > 0 {
        line(
            "error rate",
            format!(
                "{} in the key basis, {} in the check basis",
                words::percent_or_dash(summary.error_rate),
                words::percent_or_dash(summary.check_error_rate)
            ),
        );
        let efficiency = summary.efficiency.map_or(String::new(), |f| format!(", f = {f:.3}"));
        let leak = summary.reconciliation_leak;
        line("disclosed", format!("{} in reconciliation{efficiency}", words::bits(leak)));
        let authentication =
            summary.epsilon_authentication.map_or(String::new(), |e| format!(", authentication {e:.1e}"));
        line(
            "epsilon",
            format!(
                "secrecy {:.1e}, correctness {:.1e}{authentication}, of all keys together",
                summary.epsilon_secrecy, summary.epsilon_correctness
            ),
        );
    }
    line("rests on", summary.claim.clone());
    line("authentication", summary.authentication.clone());
    if summary.seconds > 0.0 {
        let rate = words::rate(summary.sifted_bits as f64 / summary.seconds);
        line("took", format!("{}, {rate} of sifted bits", words::seconds(summary.seconds)));
    }
    if !summary.alarms.is_empty() {
        line("alarms", format!("{}, first: {}", summary.alarms.len(), summary.alarms[0]));
    }
    text
}

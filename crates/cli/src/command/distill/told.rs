//! What is seen of a distillation while it goes on, and its account in words.

use crate::progress::{StopFlag, Stopwatch};
use crate::{output, words};
use bellwether_live::distill::{self, Summary};
use bellwether_protocol::qkd::raw::RawAlarm;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write;

/// Runs shorter than this show no bar.
const PATIENCE_S: f64 = 2.0;
/// So many alarms are told as they come.
const ALARMS: usize = 20;

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
    fn progress(&mut self, bits: u64, of: u64) {
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
            bar.set_position(bits);
            let speed = words::rate(bits as f64 / elapsed.max(1e-9));
            bar.set_message(format!("{} of {}, {speed}", words::bits(bits), words::bits(of)));
        }
    }

    fn alarm(&mut self, alarm: &RawAlarm) {
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

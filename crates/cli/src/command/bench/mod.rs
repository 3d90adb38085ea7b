//! `bellwether bench`: how quick distillation is on this machine, and how little it discloses.

mod chain;
mod hashing;
mod reconciliation;
mod workers;

use crate::args::Bench;
use crate::progress::Stopwatch;
use crate::table::{Align, Table};
use crate::{Failure, output, plot};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    /// What was measured.
    what: &'static str,
    /// On which blocks.
    on: String,
    /// What came out.
    value: f64,
    /// Its unit.
    unit: &'static str,
    /// What it was measured with.
    by: String,
}

/// The efficiency of one family at one error rate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Efficiency {
    /// The family's name.
    pub(crate) family: &'static str,
    /// The error rate that was expected.
    pub(crate) error_rate: f64,
    /// Disclosed bits over the Shannon limit of the errors that there were.
    pub(crate) efficiency: f64,
    /// Dependent round trips.
    pub(crate) round_trips: u64,
    /// Raw bits a second at the correcting end.
    pub(crate) corrector_bits_per_s: f64,
    /// Raw bits a second at the other end.
    pub(crate) reference_bits_per_s: f64,
    /// Blocks that kept an error.
    pub(crate) wrong_blocks: u32,
    /// Blocks that were measured.
    pub(crate) blocks: u32,
}

#[derive(Serialize)]
struct Report<'a> {
    threads: u8,
    figures: &'a [Figure],
    efficiencies: &'a [Efficiency],
}

pub(super) fn run(args: &Bench) -> Result<(), Failure> {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let say = |what: &str| bar.set_message(what.to_owned());
    let mut figures = Vec::new();
    say("hashing");
    hashing::measure(args, &mut figures);
    say("the whole chain");
    chain::measure(args, &mut figures).map_err(Failure::live)?;
    let mut efficiencies = Vec::new();
    for &rate in &reconciliation::RATES {
        say(&format!("reconciliation at an error rate of {} %", 100.0 * rate));
        reconciliation::measure(args, rate, &mut efficiencies).map_err(Failure::live)?;
    }
    bar.finish_and_clear();
    if let Some(path) = &args.svg {
        output::write_file(path, plot::efficiencies(&efficiencies).as_bytes())?;
    }
    if args.json {
        return output::print_json(&Report {
            threads: args.threads,
            figures: &figures,
            efficiencies: &efficiencies,
        });
    }
    output::print(&text(&figures, &efficiencies, output::is_styled()))
}

fn text(figures: &[Figure], efficiencies: &[Efficiency], styled: bool) -> String {
    let mut table = Table::new([
        ("what", Align::Left),
        ("on", Align::Left),
        ("here", Align::Right),
        ("", Align::Left),
        ("by", Align::Left),
    ]);
    for figure in figures {
        table.row([
            figure.what.to_owned(),
            figure.on.clone(),
            format!("{:.1}", figure.value),
            figure.unit.to_owned(),
            figure.by.clone(),
        ]);
    }
    let mut speeds = Table::new([
        ("reconciliation", Align::Left),
        ("errors", Align::Right),
        ("f", Align::Right),
        ("round trips", Align::Right),
        ("corrector Mbit/s", Align::Right),
        ("other end Mbit/s", Align::Right),
        ("kept errors", Align::Right),
    ]);
    for row in efficiencies {
        speeds.row([
            row.family.to_owned(),
            format!("{} %", 100.0 * row.error_rate),
            format!("{:.3}", row.efficiency),
            row.round_trips.to_string(),
            format!("{:.0}", row.corrector_bits_per_s / 1e6),
            format!("{:.0}", row.reference_bits_per_s / 1e6),
            format!("{} of {}", row.wrong_blocks, row.blocks),
        ]);
    }
    format!(
        "{}\n{}\n  f is what was disclosed over the Shannon limit. Each end on one core; one that waits is not counted.\n",
        table.render(styled),
        speeds.render(styled)
    )
}

/// Seconds that `work` takes, and what it gives.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let from = Stopwatch::start();
    let result = work();
    (from.seconds(), result)
}

/// The median of some times.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

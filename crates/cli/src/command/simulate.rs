//! `bellwether simulate`: run a network in virtual time.

use super::{cannot_run, load_with_bytes, recorded_links};
use crate::args::{Detail, Simulate};
use crate::progress::{StopFlag, Stopwatch, Watch};
use crate::{Failure, output, report, text, words};
use bellwether_network::Network;
use bellwether_sim::run::{Options, replicate, simulate};
use bellwether_sim::summary::RunIdentity;
use serde::Serialize;
use std::fs;
use std::path::Path;

/// The version of `manifest.json`.
const MANIFEST_SCHEMA: &str = "bellwether-manifest/1";
/// The copy of the network file beside the results.
const NETWORK_COPY: &str = "network.toml";

pub(super) fn run(args: &Simulate) -> Result<(), Failure> {
    // As an override, so that the file's hash and the way to run it again take it in.
    let detail = args.detail.map(|detail| match detail {
        Detail::Bits => "link.*.detail=bits".to_owned(),
        Detail::Blocks => "link.*.detail=blocks".to_owned(),
    });
    let (network, file) = load_with_bytes(&args.input, detail.as_slice())?;
    if let Some(links) = recorded_links(&network) {
        output::tell(&format!(
            "note: the file names recordings (`hardware`) for {links}; a simulation takes no notice of them and makes \
             the clicks itself"
        ));
    }
    if let Some(directory) = &args.out {
        fs::create_dir_all(directory).map_err(Failure::write(directory))?;
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        duration: args.duration,
        seed: args.seed,
        threads: args.threads.map_or_else(cores, usize::from),
    };
    let run = Run { args, file: &file, network: &network, options: &options };
    if args.runs > 1 { many(&run) } else { one(&run) }
}

/// What is to be run.
struct Run<'a> {
    args: &'a Simulate,
    /// The network file, byte for byte.
    file: &'a [u8],
    network: &'a Network,
    options: &'a Options,
}

fn one(run: &Run<'_>) -> Result<(), Failure> {
    let args = run.args;
    let clock = Stopwatch::start();
    let mut watch = Watch::new(StopFlag::on_interrupt());
    if let Some(directory) = &args.out {
        watch.write_trace(&directory.join("trace.jsonl"))?;
    }
    let outcome = simulate(run.network, run.options, &mut watch).map_err(cannot_run(run.network))?;
    watch.finish()?;
    let summary = outcome.summary;
    if let Some(directory) = &args.out {
        write_results(directory, run, &summary.run, 1, &summary)?;
        output::write_file(&directory.join("report.html"), report::html(&summary).as_bytes())?;
    }
    if args.json {
        output::print_json(&summary)?;
    } else {
        output::print(&text::summary(&summary, output::is_styled()))?;
        tell_speed(summary.run.simulated_s, clock.seconds(), args.out.as_deref());
    }
    if summary.run.partial { Err(Failure::Interrupted) } else { Ok(()) }
}

fn many(run: &Run<'_>) -> Result<(), Failure> {
    let args = run.args;
    let clock = Stopwatch::start();
    let mut watch = Watch::new(StopFlag::on_interrupt()).counting_runs();
    let (means, summaries) =
        replicate(run.network, run.options, args.runs, &mut watch).map_err(cannot_run(run.network))?;
    watch.finish()?;
    if let Some(directory) = &args.out {
        write_results(directory, run, &means.run, means.runs, &means)?;
        let lines = summaries.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        let lines = lines.map_err(|error| Failure::Print(error.into()))?;
        output::write_file(&directory.join("runs.jsonl"), (lines.join("\n") + "\n").as_bytes())?;
        if let Some(first) = summaries.first() {
            output::write_file(&directory.join("report.html"), report::html(first).as_bytes())?;
        }
    }
    if args.json {
        output::print_json(&means)?;
    } else {
        output::print(&text::replications(&means, output::is_styled()))?;
        let simulated = summaries.iter().map(|summary| summary.run.simulated_s).sum();
        tell_speed(simulated, clock.seconds(), args.out.as_deref());
    }
    if means.runs < args.runs { Err(Failure::Interrupted) } else { Ok(()) }
}

/// How fast it was, on standard error: it differs from run to run, and results do not.
fn tell_speed(simulated_s: f64, elapsed_s: f64, directory: Option<&Path>) {
    let mut line = format!(
        "\n{} simulated in {}: {} times real time",
        words::seconds(simulated_s),
        words::seconds(elapsed_s),
        words::plain(simulated_s / elapsed_s.max(1e-9)),
    );
    if let Some(directory) = directory {
        line.push_str(&format!("\nresults in {}", directory.display()));
    }
    output::tell(&line);
}

/// What is needed to do a run again.
#[derive(Debug, Serialize)]
struct Manifest<'a> {
    schema: &'static str,
    /// Which results these are.
    run: &'a RunIdentity,
    /// How many runs, with seeds counting up.
    runs: u64,
    /// A copy of the network file, byte for byte, beside the manifest.
    network_file: &'static str,
    /// The command that gives the same results in the manifest's directory.
    replay: Vec<String>,
    /// The files beside the manifest.
    files: Vec<&'static str>,
}

/// Writes `summary.json`, the copy of the network file and `manifest.json`.
fn write_results(
    directory: &Path,
    run: &Run<'_>,
    identity: &RunIdentity,
    runs: u64,
    summary: &impl Serialize,
) -> Result<(), Failure> {
    output::write_file(&directory.join("summary.json"), output::json(summary)?.as_bytes())?;
    output::write_file(&directory.join(NETWORK_COPY), run.file)?;
    let log = if runs > 1 { "runs.jsonl" } else { "trace.jsonl" };
    let manifest = Manifest {
        schema: MANIFEST_SCHEMA,
        run: identity,
        runs,
        network_file: NETWORK_COPY,
        replay: replay(run.args, identity, run.args.runs),
        files: vec!["report.html", "summary.json", log, NETWORK_COPY],
    };
    output::write_file(&directory.join("manifest.json"), output::json(&manifest)?.as_bytes())
}

/// The words of the command that does the run again, to its end if it was interrupted.
fn replay(args: &Simulate, run: &RunIdentity, runs: u64) -> Vec<String> {
    let mut words: Vec<String> = ["bellwether", "simulate", NETWORK_COPY].map(str::to_owned).into();
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    if let Some(duration) = args.duration {
        option("--for", format!("{} ps", duration.picoseconds()));
    }
    option("--seed", run.seed.to_string());
    if runs > 1 {
        option("--runs", runs.to_string());
    }
    // The detail is among the overrides.
    for set in &run.overrides {
        option("--set", set.clone());
    }
    words
}

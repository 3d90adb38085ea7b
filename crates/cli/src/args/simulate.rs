//! What can be typed after `bellwether simulate`.

use super::Input;
use bellwether_units::{Duration, Quantity};
use clap::{Args as Arguments, ValueEnum};
use std::path::PathBuf;

/// Run a network in virtual time.
#[derive(Debug, Default, Arguments)]
pub struct Simulate {
    /// The network.
    #[command(flatten)]
    pub input: Input,
    /// How much network time to run, instead of the file's duration
    #[arg(long = "for", value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub duration: Option<Duration>,
    /// How closely to simulate every link, instead of what the file says
    #[arg(long, value_enum)]
    pub detail: Option<Detail>,
    /// The seed of all random streams, instead of the file's
    #[arg(long, value_parser = seed, allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// Run so many times, with seeds counting up, and tell means with 95 % intervals
    #[arg(long, default_value_t = 1, value_parser = runs, allow_hyphen_values = true)]
    pub runs: u64,
    /// How many threads to use; changes the speed, never the results [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), allow_hyphen_values = true)]
    pub threads: Option<u16>,
    /// Write report.html, summary.json, trace.jsonl and manifest.json into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the summary as JSON instead of tables
    #[arg(long)]
    pub json: bool,
}

/// How closely links are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Detail {
    /// Every click is made and the real key is distilled
    Bits,
    /// A block's statistics are drawn and the same security bound is applied
    Blocks,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = Duration::parse(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("a run takes some time".to_owned()) } else { Ok(duration) }
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number, 0 to {}", u64::MAX))
}

fn runs(text: &str) -> Result<u64, String> {
    const MOST: u64 = 1_000_000;
    let runs = text.parse().ok().filter(|runs| (1..=MOST).contains(runs));
    runs.ok_or_else(|| format!("the number of runs is 1 to {MOST}"))
}

pub(super) const EXAMPLES: &str = "\
Examples:
  bellwether simulate networks/secoqc-2008.toml
  bellwether simulate networks/secoqc-2008.toml --for 24h --out results
  bellwether simulate networks/single-link.toml --detail bits --for 10s --json
  bellwether simulate networks/single-link.toml --runs 20 --set 'link.A-B.fibre.length=\"80 km\"'

Files in DIR:
  report.html    map, curves and budgets, in one file that needs nothing else (of the first of many runs)
  summary.json   the results; equal for equal files and seeds, whatever the machine or the threads
  trace.jsonl    what happened, one event a line
  runs.jsonl     with --runs, instead of the trace: the summary of every run, one a line
  manifest.json  what is needed to do the run again
  network.toml   a copy of the network file, for that

Ctrl-C ends the run, keeps the results so far, marks them as partial, and exits with
130; a second Ctrl-C gives them up.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, tests::parse};

    #[test]
    fn what_is_wrong_with_a_negative_value_is_told() {
        for (option, told) in [
            ("--seed -1", "a seed is a whole number, 0 to 18446744073709551615"),
            ("--seed 1.5", "a seed is a whole number"),
            ("--for -1s", "outside the range of a duration"),
            ("--for -1", "unit"),
            ("--runs -1", "the number of runs is 1 to 1000000"),
            ("--threads -2", "-2 is not in 1..=65535"),
        ] {
            let error = parse(&format!("bellwether simulate a.toml {option}")).expect_err(option);
            let text = error.to_string();
            assert!(text.contains(told) && !text.contains("unexpected argument"), "{option}: {text}");
            assert_eq!(error.exit_code(), 2, "{option}");
        }
    }

    #[test]
    fn a_run_is_read_as_it_was_typed() {
        let line = "bellwether simulate a.toml --for 1h --detail bits --seed 9 --runs 3 --threads 2 \
                    --set link.A-B.fibre.length=80km --set run.seed=4 --out results --json";
        let line: Vec<_> = line.split_whitespace().collect();
        let Ok(Command::Simulate(run)) = parse(&line.join(" ")) else { panic!("{line:?} is a run") };
        assert_eq!(run.duration, Some(Duration::from_whole_seconds(3600)));
        assert_eq!((run.detail, run.seed, run.runs, run.threads), (Some(Detail::Bits), Some(9), 3, Some(2)));
        assert_eq!(run.input.set, ["link.A-B.fibre.length=80km", "run.seed=4"]);
        assert!(run.json && run.out.is_some_and(|out| out.ends_with("results")));
    }
}

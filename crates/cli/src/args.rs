//! What can be typed.

use bellwether_units::{Duration, Quantity};
use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Plan and simulate quantum key distribution networks, from photon to key.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a network in virtual time and tell what keys it makes
    #[command(after_help = SIMULATE_EXAMPLES)]
    Simulate(Simulate),
    /// Check a network file and show what it describes
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Tell the expected key rate of a link from formulas, without sampling
    #[command(after_help = RATE_EXAMPLES)]
    Rate(Rate),
    /// List the device profiles that network files can name
    #[command(after_help = PROFILES_EXAMPLES)]
    Profiles(Profiles),
    /// Print the JSON Schema of network files, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// A network file and what is to differ from it.
#[derive(Clone, Debug, Default, Arguments)]
pub struct Input {
    /// The network file (TOML)
    pub file: PathBuf,
    /// Override a value of the file; may be given many times
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    pub set: Vec<String>,
}

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

/// Check a network file.
#[derive(Debug, Arguments)]
pub struct Check {
    /// The network.
    #[command(flatten)]
    pub input: Input,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// Tell the expected rate of a link.
#[derive(Debug, Arguments)]
pub struct Rate {
    /// The network.
    #[command(flatten)]
    pub input: Input,
    /// Which link; may be left out if there is only one
    #[arg(long)]
    pub link: Option<String>,
    /// Sweep a value of the link from one end of a range to the other in even steps
    #[arg(long, value_name = "PATH=FROM..TO[:POINTS]", value_parser = Sweep::parse)]
    pub sweep: Option<Sweep>,
    /// Print the rates as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write a plot of the sweep to this file
    #[arg(long, value_name = "FILE", requires = "sweep")]
    pub svg: Option<PathBuf>,
}

/// List device profiles.
#[derive(Debug, Default, Arguments)]
pub struct Profiles {
    /// Print the profiles as JSON
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

/// A value of a link that goes from one end of a range to the other in even steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Which value, by its path within the link: `fibre.length`.
    pub path: String,
    /// Where it begins, in `unit`.
    pub from: f64,
    /// Where it ends, in `unit`.
    pub to: f64,
    /// The unit, which may be empty.
    pub unit: String,
    /// How many points, both ends included: 2 to [`Sweep::MAX_POINTS`].
    pub points: u32,
}

impl Sweep {
    /// The most points of a sweep.
    pub const MAX_POINTS: u32 = 10_000;
    const DEFAULT_POINTS: u32 = 41;
    const FORM: &str = "write a sweep like fibre.length=0km..400km or fibre.length=0km..400km:81";

    /// Reads `fibre.length=0km..400km:81`.
    ///
    /// # Errors
    /// In words, for whoever typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, range) = text.split_once('=').ok_or(Self::FORM)?;
        let (range, points) = match range.rsplit_once(':') {
            Some((range, points)) => {
                (range, points.trim().parse().map_err(|_| format!("`{points}` is no number of points"))?)
            }
            None => (range, Self::DEFAULT_POINTS),
        };
        if !(2..=Self::MAX_POINTS).contains(&points) {
            return Err(format!("a sweep has 2 to {} points, not {points}", Self::MAX_POINTS));
        }
        let (from, to) = range.split_once("..").ok_or(Self::FORM)?;
        let ((from, from_unit), (to, to_unit)) = (number_and_unit(from)?, number_and_unit(to)?);
        let unit = if from_unit.is_empty() { to_unit } else { from_unit };
        if unit != to_unit {
            return Err(format!("the ends of a sweep have one unit, not `{from_unit}` and `{to_unit}`"));
        }
        if path.trim().is_empty() || from == to {
            return Err(Self::FORM.to_owned());
        }
        Ok(Self { path: path.trim().to_owned(), from, to, unit: unit.to_owned(), points })
    }

    /// The values in [`unit`](Self::unit).
    pub fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.points).map(|point| {
            let part = f64::from(point) / f64::from(self.points - 1);
            let value = self.from + (self.to - self.from) * part;
            // Twelve significant digits, so that 0.1 + 0.2 does not show its double's tail.
            format!("{value:.11e}").parse().unwrap_or(value)
        })
    }

    /// The values as they would stand in the file, without quotes.
    pub fn values(&self) -> impl Iterator<Item = String> + '_ {
        self.numbers().map(|value| format!("{value} {}", self.unit).trim_end().to_owned())
    }
}

fn number_and_unit(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    // The longest prefix that is a number: `1e-3 km` has an exponent, `1 eV` has none.
    let split = (1..=text.len())
        .rev()
        .filter(|&end| text.is_char_boundary(end))
        .find(|&end| text[..end].trim_end().parse::<f64>().is_ok_and(f64::is_finite));
    let split = split.ok_or_else(|| format!("`{text}` does not begin with a number"))?;
    let number = text[..split].trim_end().parse().map_err(|_| format!("`{text}` is not a number"))?;
    Ok((number, text[split..].trim()))
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

fn assignment(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((path, _)) if !path.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("write an override like link.A-B.fibre.length=\"80 km\"".to_owned()),
    }
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed while running; 2 bad usage or bad network file;
130 interrupted (partial results are kept and marked).";

const SIMULATE_EXAMPLES: &str = "\
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

const CHECK_EXAMPLES: &str = "\
Examples:
  bellwether check networks/secoqc-2008.toml
  bellwether check networks/single-link.toml --set 'link.A-B.fibre.length=\"80 km\"' --json";

const RATE_EXAMPLES: &str = "\
Examples:
  bellwether rate networks/single-link.toml
  bellwether rate networks/secoqc-2008.toml --link BREIT-STP --sweep fibre.length=0km..150km
  bellwether rate networks/single-link.toml --sweep fibre.length=0km..400km:81 --svg rate.svg --json";

const PROFILES_EXAMPLES: &str = "\
Examples:
  bellwether profiles
  bellwether profiles --json";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  bellwether schema > network.schema.json";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  bellwether completions bash > /etc/bash_completion.d/bellwether
  bellwether completions zsh > ~/.zfunc/_bellwether";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Args::try_parse_from(line.split(' ')).map(|args| args.command)
    }

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_examples() {
        for subcommand in Args::command().get_subcommands() {
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("bellwether "), "{} has no example", subcommand.get_name());
        }
    }

    #[test]
    fn what_stands_below_the_options_fits_a_terminal() {
        let root = Args::command();
        for command in root.get_subcommands().chain([&root]) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines() {
                assert!(line.chars().count() <= 112, "{}: {line}", command.get_name());
            }
            let words = help.lines().filter(|line| !line.starts_with("  "));
            assert!(words.clone().all(|line| line.chars().count() <= 88), "{help}");
        }
    }

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

    #[test]
    fn bad_usage_is_refused_with_code_2() {
        for line in [
            "bellwether simulate",
            "bellwether simulate a.toml --for 1",
            "bellwether simulate a.toml --for 0s",
            "bellwether simulate a.toml --for -1h",
            "bellwether simulate a.toml --runs 0",
            "bellwether simulate a.toml --threads 0",
            "bellwether simulate a.toml --detail photons",
            "bellwether simulate a.toml --set nothing",
            "bellwether rate a.toml --svg plot.svg",
            "bellwether rate a.toml --sweep fibre.length=0km",
            "bellwether fly",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_sweep_has_a_path_a_range_and_points() {
        let sweep = Sweep::parse("fibre.length=0km..400km:5").unwrap();
        let values: Vec<_> = sweep.values().collect();
        assert_eq!((sweep.path.as_str(), sweep.unit.as_str()), ("fibre.length", "km"));
        assert_eq!(values, ["0 km", "100 km", "200 km", "300 km", "400 km"]);
        assert_eq!(Sweep::parse("a=0.1..0.3:3").unwrap().values().last().unwrap(), "0.3");
        assert_eq!(Sweep::parse("a=0..1e-3 dB/km").unwrap().unit, "dB/km");
        assert_eq!(Sweep::parse("a=100 km..0 km").unwrap().points, 41);
    }

    #[test]
    fn a_sweep_that_is_none_is_refused() {
        for text in ["", "a", "a=1", "a=1..1", "=0..1", "a=0km..1m", "a=..", "a=0..1:1", "a=0..1:x", "a=x..y"]
        {
            assert!(Sweep::parse(text).is_err(), "{text}");
        }
        assert!(Sweep::parse("a=0..1:4000000000").is_err(), "too many points");
        assert!(Sweep::parse("a=0..inf").is_err(), "an endless range");
    }
}

//! What can be typed.

mod bench;
mod distill;
mod inject;
mod key;
mod live;
mod operations;
mod partners;
mod rate;
mod simulate;
mod time_tags;
mod tunnel;
mod wireguard;

pub use bench::Bench;
pub use distill::{Bound, Claim, Distill, Material, Protection};
pub use inject::{Basis, Inject, Links, What};
pub use key::{Format, Get, Key, Server, Status};
pub use live::{Described, Keeping, Log, LogFormat, LogLevel, Node, Part, PhysicalLayer, Pki, Record, Up};
pub use operations::{Audit, NodeStatus, Search, Verify};
pub use partners::Partners;
pub use rate::{Rate, Sweep};
pub use simulate::{Detail, Simulate};
pub use time_tags::TimeTags;
pub use tunnel::{Connect, End, Listen, Tunnel};
pub use wireguard::{WireGuard, WireGuardConnect, WireGuardEnd, WireGuardListen};

use bellwether_units::{Duration, Quantity};
use clap::{Args as Arguments, Parser, Subcommand};
use std::path::PathBuf;

/// Plan, simulate and run quantum key distribution networks, from photon to key.
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
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(Simulate),
    /// Check a network file and show what it describes
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Tell the expected key rate of a link from formulas, without sampling
    #[command(after_help = rate::EXAMPLES)]
    Rate(Rate),
    /// Run a whole network live on this machine, one process a node
    #[command(after_help = live::UP_EXAMPLES)]
    Up(Up),
    /// Run one node of a network live
    #[command(after_help = live::NODE_EXAMPLES)]
    Node(Node),
    /// Run the emulated light of a network live
    #[command(after_help = live::LAYER_EXAMPLES)]
    PhysicalLayer(PhysicalLayer),
    /// Record emulated links as detection files, to be played later in the place of devices
    #[command(after_help = live::RECORD_EXAMPLES)]
    Record(Record),
    /// Make keys of recorded material, together with another process or host
    #[command(after_help = distill::EXAMPLES)]
    Distill(Box<Distill>),
    /// Make test identities for a network that runs live, or copy those of one host
    #[command(after_help = live::PKI_EXAMPLES)]
    Pki(Pki),
    /// Ask a key manager for keys, or for their number
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(Key),
    /// Show how the nodes of a network that runs live do
    #[command(after_help = operations::STATUS_EXAMPLES)]
    Status(NodeStatus),
    /// Check and search the audit logs of nodes
    #[command(subcommand, after_help = operations::AUDIT_EXAMPLES)]
    Audit(Audit),
    /// Forward TCP connections between two sites, under keys of their key managers
    #[command(subcommand, after_help = tunnel::EXAMPLES)]
    Tunnel(Tunnel),
    /// Change the pre-shared keys of WireGuard at two sites, by keys of their key managers
    #[command(name = "wireguard", subcommand, after_help = wireguard::EXAMPLES)]
    WireGuard(WireGuard),
    /// Make things happen to the emulated light of a network that runs live
    #[command(after_help = inject::EXAMPLES)]
    Inject(Inject),
    /// Measure on this machine how quick distillation is and how little it discloses
    #[command(after_help = bench::EXAMPLES)]
    Bench(Bench),
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

/// List device profiles.
#[derive(Debug, Default, Arguments)]
pub struct Profiles {
    /// Print the profiles as JSON
    #[arg(long)]
    pub json: bool,
}

fn assignment(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((path, _)) if !path.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("write an override like link.A-B.fibre.length=\"80 km\"".to_owned()),
    }
}

fn lasting(text: &str) -> Result<Duration, String> {
    let duration = Duration::parse(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("it must be above 0 s".to_owned()) } else { Ok(duration) }
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed while running; 2 bad usage or bad network file; 3 not now,
later perhaps; 130 interrupted (partial results are kept and marked).";

const CHECK_EXAMPLES: &str = "\
Examples:
  bellwether check networks/secoqc-2008.toml
  bellwether check networks/single-link.toml --set 'link.A-B.fibre.length=\"80 km\"' --json";

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

    pub(super) fn parse(line: &str) -> Result<Command, clap::Error> {
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
            "bellwether up",
            "bellwether node --network a.toml",
            "bellwether key get --slave b",
            "bellwether key get --kme https://a --slave b",
            "bellwether key get --network a.toml --slave b",
            "bellwether key get --network a.toml --as a --slave b --master c --id d",
            "bellwether key get --network a.toml --as a --master c",
            "bellwether key get --network a.toml --as a --slave b --number 0",
            "bellwether tunnel connect --network a.toml --as a --from 1:1 --through 2:2",
            "bellwether tunnel connect --network a.toml --as a --peer b --from 1:1",
            "bellwether tunnel listen --kme https://a --cert c --key d --ca e --peer b --at 1:1 --to 2:2",
            "bellwether wireguard connect --network a.toml --as a --peer b --interface wg0 --public-key k",
            "bellwether wireguard listen --network a.toml --as a --peer b --at 1:1 --public-key k",
            "bellwether inject --network a.toml cut",
            "bellwether inject --network a.toml loss A-B 3",
            "bellwether inject --network a.toml jam A-B",
            "bellwether pki a.toml --export A",
            "bellwether distill --alice a --listen 1:1 --out b --bound single-photon",
            "bellwether distill --alice a --bob a --listen 1:1 --out b --bound single-photon --unauthenticated",
            "bellwether distill --alice a --listen 1:1 --out b --unauthenticated",
            "bellwether distill --alice a --out b --bound single-photon --unauthenticated",
            "bellwether distill --alice a --listen 1:1 --out b --bound single-photon --unauthenticated --key k",
            "bellwether distill --alice a --listen 1:1 --out b --bound single-photon --unauthenticated --link A-B",
            "bellwether distill --alice a --listen 1:1 --out b --bound single-photon --network n --unauthenticated",
            "bellwether distill --alice a --listen 1:1 --out b --network n --unauthenticated --block 5",
            "bellwether distill --alice a --listen 1:1 --out b --network n --unauthenticated --set x",
            "bellwether fly",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}

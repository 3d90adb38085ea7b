//! What can be typed to run a network live.

use super::{Input, assignment, lasting};
use bellwether_live::process::log;
use bellwether_units::Duration;
use clap::{Args as Arguments, ValueEnum};
use std::path::PathBuf;

/// Run a whole network on this machine.
#[derive(Debug, Arguments)]
pub struct Up {
    /// The network.
    #[command(flatten)]
    pub input: Input,
    /// The state directory [default: bellwether-state/NETWORK]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Run everything in this process instead of one process a node
    #[arg(long)]
    pub in_process: bool,
    /// How records are kept.
    #[command(flatten)]
    pub keeping: Keeping,
    /// What is logged.
    #[command(flatten)]
    pub log: Log,
}

/// Run one node of a network.
#[derive(Debug, Arguments)]
pub struct Node {
    /// The network.
    #[command(flatten)]
    pub network: Described,
    /// Which node
    #[arg(long, value_name = "NODE")]
    pub name: String,
    /// How records are kept.
    #[command(flatten)]
    pub keeping: Keeping,
    /// Open a store that was put back to an older state, or whose witness is gone; the keys in it are burned
    #[arg(long)]
    pub accept_rollback: bool,
    /// How it runs.
    #[command(flatten)]
    pub part: Part,
    /// From where to find files that the network file names, instead of its own folder
    #[arg(long, value_name = "DIR", hide = true)]
    pub folder: Option<PathBuf>,
}

/// Record emulated links.
#[derive(Debug, Arguments)]
pub struct Record {
    /// The network.
    #[command(flatten)]
    pub input: Input,
    /// Which link; may be given many times [default: all]
    #[arg(long = "link", value_name = "LINK")]
    pub links: Vec<String>,
    /// How much light, in the network's time
    #[arg(long = "for", value_name = "TIME", value_parser = lasting, default_value = "1 min")]
    pub light: Duration,
    /// The folder of the files
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Record the light of this seed, for a test: whoever knows it knows the keys [default: unknown to anybody]
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
}

/// Run the emulated physical layer of a network.
#[derive(Debug, Arguments)]
pub struct PhysicalLayer {
    /// The network.
    #[command(flatten)]
    pub network: Described,
    /// How it runs.
    #[command(flatten)]
    pub part: Part,
}

/// Make test identities, or copy what one host needs of them.
#[derive(Debug, Arguments)]
pub struct Pki {
    /// The network.
    #[command(flatten)]
    pub input: Input,
    /// The state directory [default: bellwether-state/NETWORK]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// A DNS name or address under which a node's key manager can be reached; may be given many times
    #[arg(long = "host", value_name = "NODE=HOST", value_parser = host)]
    pub hosts: Vec<(String, String)>,
    /// Copy what this node needs, or `_physical-layer`, or `_operator` (who may inject)
    #[arg(long, value_name = "NODE", requires = "to", conflicts_with = "export_application")]
    pub export: Option<String>,
    /// Copy what this application needs
    #[arg(long, value_name = "SAE", requires = "to")]
    pub export_application: Option<String>,
    /// Where to: it becomes a state directory for that host
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// A network file that is named by an option.
#[derive(Clone, Debug, Default, Arguments)]
pub struct Described {
    /// The network file (TOML)
    #[arg(long, value_name = "FILE")]
    pub network: PathBuf,
    /// Override a value of the file; may be given many times
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    pub set: Vec<String>,
}

impl Described {
    /// The same as the subcommands have it that take the file by itself.
    pub fn input(&self) -> Input {
        Input { file: self.network.clone(), set: self.set.clone() }
    }
}

/// How a node's records are kept.
#[derive(Clone, Debug, Default, Arguments)]
pub struct Keeping {
    /// Keep records in a PostgreSQL database, which replicas of a node can share, instead of a file in the state
    /// directory; the password comes from PGPASSFILE or PGPASSWORD
    #[arg(long, value_name = "postgres://USER@HOST/DATABASE")]
    pub store: Option<String>,
    /// Where the key is that opens the store: file:PATH, env:NAME or pkcs11:MODULE?token=LABEL&object=LABEL
    /// [default: master.key in the node's folder]
    #[arg(long, value_name = "PLACE")]
    pub master_key: Option<String>,
    /// The folder of the store's witness, NODE.witness, which notices that an old copy of the store was put back: better
    /// on another disk [default: witness in the node's folder]
    #[arg(long, value_name = "DIR")]
    pub witness: Option<PathBuf>,
}

/// How a part of a network runs.
#[derive(Debug, Arguments)]
pub struct Part {
    /// The state directory [default: bellwether-state/NETWORK]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// What is logged.
    #[command(flatten)]
    pub log: Log,
    /// Stop when standard input ends, and leave Ctrl-C to whoever holds its other end
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// What is logged on standard error.
#[derive(Clone, Copy, Debug, Default, Arguments)]
pub struct Log {
    /// How a line of the log looks
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// How much is logged
    #[arg(long, value_enum, default_value_t)]
    pub log_level: LogLevel,
}

/// How a line of a log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What went wrong for good
    Error,
    /// Alarms, and what went wrong and is tried again
    Warn,
    /// What starts, stops and changes
    #[default]
    Info,
    /// What helps to find a fault
    Debug,
}

impl Log {
    /// Logs so from now on.
    pub fn start(self) {
        let format = match self.log_format {
            LogFormat::Text => log::Format::Text,
            LogFormat::Json => log::Format::Json,
        };
        let level = match self.log_level {
            LogLevel::Error => log::Level::Error,
            LogLevel::Warn => log::Level::Warn,
            LogLevel::Info => log::Level::Info,
            LogLevel::Debug => log::Level::Debug,
        };
        log::start(format, level);
    }

    /// The same as it would be typed.
    pub fn arguments(self) -> [String; 2] {
        let word = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
            value().map(|value| value.get_name().to_owned()).unwrap_or_default()
        };
        [
            format!("--log-format={}", word(&|| self.log_format.to_possible_value())),
            format!("--log-level={}", word(&|| self.log_level.to_possible_value())),
        ]
    }
}

fn host(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((node, host)) if !node.is_empty() && !host.is_empty() => Ok((node.to_owned(), host.to_owned())),
        _ => Err("write a host like SIE=sie.example.org".to_owned()),
    }
}

pub(super) const UP_EXAMPLES: &str = "\
Examples:
  bellwether up networks/secoqc-2008.toml
  bellwether up networks/secoqc-2008.toml --state /var/lib/bellwether --log-level warn
  bellwether up networks/single-link.toml --in-process

One process for each node and one for the emulated light. Each writes its log to
DIR/nodes/NODE/log or DIR/physical-layer/log; one that dies is started again. Ctrl-C
stops all in order; a second Ctrl-C at once.";

pub(super) const NODE_EXAMPLES: &str = "\
Examples:
  bellwether node --network networks/secoqc-2008.toml --name SIE
  bellwether node --network secoqc.toml --name SIE --store postgres://bellwether@db.example.org/keys
  bellwether node --network secoqc.toml --name SIE --state /var/lib/bellwether --log-format json";

pub(super) const RECORD_EXAMPLES: &str = "\
Examples:
  bellwether record networks/single-link.toml --to recording
  bellwether record networks/secoqc-2008.toml --link ERD-SIE --for '2 min' --to recording

Each link gets two files, LINK.transmitter.bin and LINK.receiver.bin, and may then be
played from them: hardware = { replay = \"..\" } in its transmitter and its receiver. Both
hold raw key.";

pub(super) const LAYER_EXAMPLES: &str = "\
Examples:
  bellwether physical-layer --network networks/secoqc-2008.toml";

pub(super) const PKI_EXAMPLES: &str = "\
Examples:
  bellwether pki networks/secoqc-2008.toml
  bellwether pki networks/secoqc-2008.toml --host SIE=sie.example.org
  bellwether pki networks/secoqc-2008.toml --export SIE --to for-sie
  bellwether pki networks/secoqc-2008.toml --export-application bank-a --to for-bank-a

What is there already stays as it is. An export never holds an authority's private key.";

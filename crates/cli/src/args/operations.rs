//! What can be typed to see how a network that runs live does, and what its audit logs say.

use super::assignment;
use bellwether_units::{Duration, Quantity};
use clap::{Args as Arguments, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Show how nodes do.
#[derive(Debug, Arguments)]
pub struct NodeStatus {
    /// The network file (TOML): all its nodes are asked
    #[arg(long, value_name = "FILE", required_unless_present = "at", conflicts_with = "at")]
    pub network: Option<PathBuf>,
    /// Override a value of the file; may be given many times
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment, requires = "network")]
    pub set: Vec<String>,
    /// The state directory, for nodes on other machines [default: bellwether-state/NETWORK]
    #[arg(long, value_name = "DIR", requires = "network")]
    pub state: Option<PathBuf>,
    /// One node's operations address on this machine; may be given many times
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub at: Vec<SocketAddr>,
    /// Print what the nodes tell as JSON, once
    #[arg(long)]
    pub json: bool,
    /// Print once, also on a terminal
    #[arg(long)]
    pub once: bool,
    /// How often to ask
    #[arg(long, value_name = "TIME", value_parser = every, default_value = "1 s")]
    pub every: Duration,
}

/// Read audit logs.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check that nothing in logs was changed, added, moved or taken out
    Verify(Verify),
    /// Find what a log says of a node, a key or a time
    Search(Search),
}

/// Check logs.
#[derive(Debug, Arguments)]
pub struct Verify {
    /// The files, of each log the oldest first; files of different nodes or folders are different logs
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The hash of an entry that was noted before: it must be in the log
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub head: Option<[u8; 32]>,
}

/// Find entries.
#[derive(Debug, Arguments)]
pub struct Search {
    /// The log's files, the oldest first
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A node that has seen a key or a share of it, or with which something happened
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
    /// The name of a key
    #[arg(long, value_name = "KEY_ID")]
    pub key: Option<String>,
    /// Not before this time (UTC): 2026-11-21, or 2026-11-21T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

fn every(text: &str) -> Result<Duration, String> {
    let every = Duration::parse(text).map_err(|error| error.to_string())?;
    if every.seconds() < 0.1 { Err("ask every 100 ms or less often".to_owned()) } else { Ok(every) }
}

fn hash(text: &str) -> Result<[u8; 32], String> {
    let wrong = || "a hash has 64 hexadecimal digits".to_owned();
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    let mut hash = [0; 32];
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  bellwether status --network networks/secoqc-2008.toml
  bellwether status --network networks/secoqc-2008.toml --json
  bellwether status --at 127.0.0.1:4432 --once

On a terminal the tables are refreshed in place until Ctrl-C.";

pub(super) const AUDIT_EXAMPLES: &str = "\
Examples:
  bellwether audit verify bellwether-state/secoqc-2008/nodes/SIE/audit.jsonl
  bellwether audit verify bellwether-state/secoqc-2008/nodes/*/audit.jsonl
  bellwether audit search bellwether-state/secoqc-2008/nodes/SIE/audit.jsonl --node ERD --from 2026-11-21";

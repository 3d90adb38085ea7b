//! What can be typed to forward TCP connections under keys of key managers.

use super::{Log, Partners};
use bellwether_units::{Duration, Quantity};
use clap::{Args as Arguments, Subcommand};

/// Forward TCP connections.
#[derive(Debug, Subcommand)]
pub enum Tunnel {
    /// Take connections of local programs and send them through the tunnel
    #[command(after_help = EXAMPLES)]
    Connect(Connect),
    /// Take what comes through the tunnel and hand it on to a program
    #[command(after_help = EXAMPLES)]
    Listen(Listen),
}

/// The end that fetches fresh keys.
#[derive(Debug, Arguments)]
pub struct Connect {
    /// Where local programs connect to
    #[arg(long, value_name = "HOST:PORT")]
    pub from: String,
    /// Where the other end listens
    #[arg(long, value_name = "HOST:PORT")]
    pub through: String,
    /// What both ends have in common.
    #[command(flatten)]
    pub end: End,
}

/// The end that collects keys by their names.
#[derive(Debug, Arguments)]
pub struct Listen {
    /// Where to listen for the other end
    #[arg(long, value_name = "HOST:PORT")]
    pub at: String,
    /// The program that the connections are for
    #[arg(long, value_name = "HOST:PORT")]
    pub to: String,
    /// What both ends have in common.
    #[command(flatten)]
    pub end: End,
}

/// What both ends of a tunnel have in common.
#[derive(Debug, Arguments)]
pub struct End {
    /// Whose keys.
    #[command(flatten)]
    pub partners: Partners,
    /// How long a key is used: half way a fresh one is fetched, and without it the connection ends then
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "2 min")]
    pub key_life: Duration,
    /// For how many bytes in each direction: half way a fresh one is fetched, and without it more waits
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub key_volume: u64,
    /// How many connections go through at once; further ones wait
    #[arg(long, value_name = "NUMBER", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// How long to try while there is too little key, or nobody answers
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "30 s")]
    pub wait: Duration,
    /// What is logged.
    #[command(flatten)]
    pub log: Log,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  bellwether tunnel listen --network networks/secoqc-2008.toml --as bank-b --peer bank-a \\
      --at 127.0.0.1:7000 --to 127.0.0.1:5432
  bellwether tunnel connect --network networks/secoqc-2008.toml --as bank-a --peer bank-b \\
      --from 127.0.0.1:5000 --through 127.0.0.1:7000

What a program sends to port 5000 arrives at port 5432, and back.";

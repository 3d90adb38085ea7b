//! What can be typed to change WireGuard's pre-shared keys.

use super::{Log, Partners};
use bellwether_units::{Duration, Quantity};
use clap::{Args as Arguments, Subcommand};
use std::path::PathBuf;

/// Change the pre-shared keys of WireGuard.
#[derive(Debug, Subcommand)]
pub enum WireGuard {
    /// Fetch fresh keys, and name them to the other end
    #[command(after_help = EXAMPLES)]
    Connect(WireGuardConnect),
    /// Collect the keys that the other end names
    #[command(after_help = EXAMPLES)]
    Listen(WireGuardListen),
}

/// The end that fetches fresh keys.
#[derive(Debug, Arguments)]
pub struct WireGuardConnect {
    /// Where the other end listens; not an address inside this WireGuard tunnel
    #[arg(long, value_name = "HOST:PORT")]
    pub through: String,
    /// How often the key changes
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "2 min")]
    pub interval: Duration,
    /// What both ends have in common.
    #[command(flatten)]
    pub end: WireGuardEnd,
}

/// The end that collects keys by their names.
#[derive(Debug, Arguments)]
pub struct WireGuardListen {
    /// Where to listen for the other end; not an address inside this WireGuard tunnel
    #[arg(long, value_name = "HOST:PORT")]
    pub at: String,
    /// What both ends have in common.
    #[command(flatten)]
    pub end: WireGuardEnd,
}

/// What both ends have in common.
#[derive(Debug, Arguments)]
pub struct WireGuardEnd {
    /// Whose keys.
    #[command(flatten)]
    pub partners: Partners,
    /// The WireGuard interface, which is there with its peer
    #[arg(long, value_name = "NAME")]
    pub interface: String,
    /// The peer's public key, in base64
    #[arg(long, value_name = "KEY")]
    pub public_key: String,
    /// How old a pre-shared key may become: then a random one takes its place, and no handshake succeeds
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "6 min")]
    pub max_age: Duration,
    /// The program that sets the key
    #[arg(long, value_name = "PROGRAM", default_value = "wg")]
    pub wg: PathBuf,
    /// How long one attempt waits while there is too little key
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "10 s")]
    pub wait: Duration,
    /// What is logged.
    #[command(flatten)]
    pub log: Log,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  bellwether wireguard listen --network networks/secoqc-2008.toml --as bank-b --peer bank-a \\
      --at 192.0.2.2:7100 --interface wg0 --public-key KEY_OF_A
  bellwether wireguard connect --network networks/secoqc-2008.toml --as bank-a --peer bank-b \\
      --through 192.0.2.2:7100 --interface wg0 --public-key KEY_OF_B

At the start, without a fresh key in time and at the end, the pre-shared key is
replaced by a random one. Nothing else of the interface is changed.";

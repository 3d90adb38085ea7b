//! The network file, from outside.

#![allow(clippy::unwrap_used, reason = "a test that unwraps what is not there fails, as it should")]

mod applications;
mod entanglement;
mod everything;
mod generated;
mod limits;
mod messages;
mod mutations;
mod overridden;
mod published;
mod schema;

use bellwether_network::{Errors, Network, Override};

/// A small file in which all is well.
const SMALL: &str = r#"
format = 1
[network]
name = "small"
[node.A]
[node.B]
[link.A-B]
ends = ["A", "B"]
fibre = { length = "50 km", loss_per_length = "0.2 dB/km" }
transmitter = "generic-decoy-1ghz"
receiver = "generic-snspd"
[demand.d]
from = "A"
to = "B"
rate = "1 /s"
"#;

fn parse(text: &str) -> Result<Network, Errors> {
    Network::parse(text, "net.toml", &[])
}

fn with(text: &str, overrides: &[&str]) -> Result<Network, Errors> {
    let overrides: Vec<_> = overrides.iter().map(|text| Override::parse(text).unwrap()).collect();
    Network::parse(text, "net.toml", &overrides)
}

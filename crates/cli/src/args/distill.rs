//! What can be typed to make keys of recorded material.

use bellwether_protocol::qkd::reconcile::Family;
use clap::{Args as Arguments, ValueEnum};
use std::path::PathBuf;

/// Make keys of recorded material, with another process or host.
#[derive(Debug, Arguments)]
pub struct Distill {
    /// This end's material, whose bits count
    #[arg(long, value_name = "FILE", required_unless_present = "bob", conflicts_with = "bob")]
    pub alice: Option<PathBuf>,
    /// This end's material, which is corrected to the other's
    #[arg(long, value_name = "FILE")]
    pub bob: Option<PathBuf>,
    /// Wait for the other end here
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "connect", conflicts_with = "connect")]
    pub listen: Option<String>,
    /// Connect to the other end there
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// Where the keys go: a new file that only its owner may read
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How the material is written [default: what its first bytes show]
    #[arg(long, value_enum)]
    pub format: Option<Material>,
    /// How many bits packed material without a header has
    #[arg(long, value_name = "NUMBER", conflicts_with = "network")]
    pub bits: Option<u64>,
    /// The link whose devices recorded detections [default: the only one of the network]
    #[arg(long, value_name = "LINK", conflicts_with_all = ["bound", "min_entropy_rate"])]
    pub link: Option<String>,
    /// Override a value of the network file: link.A-B.protocol.block_size="1 Mbit"; may be given many times
    #[arg(long, value_name = "PATH=VALUE", value_parser = super::assignment, conflicts_with_all = ["bound", "min_entropy_rate"])]
    pub set: Vec<String>,
    /// What bounds an eavesdropper's knowledge.
    #[command(flatten)]
    pub claim: Claim,
    /// How far a block's key may be from a secret one (trace distance)
    #[arg(long, value_name = "EPSILON", default_value_t = 1e-10, conflicts_with = "network")]
    pub secrecy: f64,
    /// With which probability a block's keys may differ at the ends
    #[arg(long, value_name = "EPSILON", default_value_t = 1e-15, conflicts_with = "network")]
    pub correctness: f64,
    /// About how many raw bits become one key
    #[arg(long, value_name = "BITS", default_value_t = 4_000_000, conflicts_with = "network")]
    pub block: u64,
    /// The share of the raw bits that is disclosed to count errors [default: 0.1, or 0 with --min-entropy-rate and
    /// --error-rate]
    #[arg(long, value_name = "SHARE", conflicts_with = "network")]
    pub sample: Option<f64>,
    /// The error rate to expect, as a guess: it costs bits if it is wrong and never secrecy
    #[arg(long, value_name = "RATE", conflicts_with = "network")]
    pub error_rate: Option<f64>,
    /// How to reconcile: cascade-original, cascade-yan, cascade-option-7, cascade-option-8, grouped-quick or
    /// grouped-thorough [default: what makes most key a second over this line; with --network, what it says]
    #[arg(long, value_name = "FAMILY", value_parser = family)]
    pub reconciliation: Option<Family>,
    /// How many blocks may be under way at once
    #[arg(long, value_name = "NUMBER", default_value_t = 64, conflicts_with = "network")]
    pub in_flight: u32,
    /// How the talk is protected.
    #[command(flatten)]
    pub protection: Protection,
    /// How long to try to connect
    #[arg(long, value_name = "TIME", value_parser = super::lasting, default_value = "30 s")]
    pub wait: bellwether_units::Duration,
    /// Print the account as JSON
    #[arg(long)]
    pub json: bool,
    /// How a record of time tags is read and sifted.
    #[command(flatten)]
    pub time_tags: super::TimeTags,
}

/// What bounds an eavesdropper's knowledge: one of these must be chosen.
#[derive(Clone, Debug, Arguments)]
#[group(required = true, multiple = false)]
pub struct Claim {
    /// A proven bound on what an eavesdropper knows of the raw key
    #[arg(long, value_enum)]
    pub bound: Option<Bound>,
    /// Your own: so many bits of (smooth) min-entropy a raw bit, before anything is said
    #[arg(long, value_name = "BITS")]
    pub min_entropy_rate: Option<f64>,
    /// Decoy states: the material is detections, and what was prepared, of a link of this network file, whose protocol and
    /// bound are used
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<PathBuf>,
}

/// How the talk is protected.
#[derive(Clone, Debug, Arguments)]
pub struct Protection {
    /// A file with a secret that both ends share: 64 bytes or more, mode 0600
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "unauthenticated",
        conflicts_with = "unauthenticated"
    )]
    pub auth_key: Option<PathBuf>,
    /// Go without a shared secret: with certificates the keys are only as good as those, without them whoever can
    /// change the talk can have the keys
    #[arg(long)]
    pub unauthenticated: bool,
    /// This end's certificate of a node (PEM): the talk goes through TLS
    #[arg(long, value_name = "FILE", requires_all = ["key", "ca", "peer"])]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM, mode 0600)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// The certificate of the authority for nodes (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub ca: Option<PathBuf>,
    /// The node that the other end must be
    #[arg(long, value_name = "NODE", requires = "certificate")]
    pub peer: Option<String>,
}

/// How material is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Material {
    /// A sifted raw key with a header
    RawKey,
    /// A sifted raw key, its bits packed, the lowest of each byte first
    Bits,
    /// A sifted raw key as characters 0 and 1
    Text,
    /// Time tags with a header
    TimeTags,
    /// Time tags, records of nine bytes alone
    BareTimeTags,
    /// Time tags as comma-separated values: time_ps,channel
    ClickCsv,
    /// A detection file
    Detections,
    /// Detections, or what was prepared, as rows of text
    Csv,
}

/// A proven bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bound {
    /// Single photons or pairs, in two bases chosen evenly and at random; errors by a random sample
    SinglePhoton,
}

fn family(text: &str) -> Result<Family, String> {
    let known = Family::ALL.into_iter().find(|family| family.name() == text);
    known.ok_or_else(|| format!("one of {}", Family::ALL.map(Family::name).join(", ")))
}

pub(super) const EXAMPLES: &str = "\
Examples:
  bellwether distill --alice alice.raw --listen 0.0.0.0:7100 --out alice.key \\
      --bound single-photon --auth-key auth.key
  bellwether distill --bob bob.raw --connect alice.example:7100 --out bob.key \\
      --bound single-photon --auth-key auth.key
  bellwether distill --alice alice.tags --listen 0.0.0.0:7100 --out alice.key \\
      --bound single-photon --auth-key auth.key --channels 1=Z0,2=Z1,3=X0,4=X1
  bellwether distill --alice A-B.transmitter.bin --listen 0.0.0.0:7100 --out alice.key \\
      --network network.toml --link A-B --auth-key auth.key";

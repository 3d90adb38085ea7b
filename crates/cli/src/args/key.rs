//! What can be typed to ask a key manager.

use super::assignment;
use bellwether_units::{Duration, Quantity};
use clap::{Args as Arguments, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Ask a key manager.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Tell how much key there is for a pair of applications
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Status),
    /// Get fresh keys to share, or those that another application got
    #[command(after_help = GET_EXAMPLES)]
    Get(Get),
}

/// Tell how much key there is.
#[derive(Debug, Arguments)]
pub struct Status {
    /// Whom to ask.
    #[command(flatten)]
    pub server: Server,
    /// With which application
    #[arg(long, value_name = "SAE")]
    pub slave: String,
    /// Print the answer as the standard has it
    #[arg(long)]
    pub json: bool,
}

/// Get keys.
#[derive(Debug, Arguments)]
pub struct Get {
    /// Whom to ask.
    #[command(flatten)]
    pub server: Server,
    /// Get fresh keys to share with this application
    #[arg(long, value_name = "SAE", required_unless_present = "master", conflicts_with_all = ["master", "id"])]
    pub slave: Option<String>,
    /// How many
    #[arg(long, default_value_t = 1, conflicts_with = "master", value_parser = clap::value_parser!(u32).range(1..))]
    pub number: u32,
    /// How long each is, in bits [default: what the key manager says]
    #[arg(long, value_name = "BITS", conflicts_with = "master")]
    pub size: Option<u32>,
    /// Get the keys that this application got before
    #[arg(long, value_name = "SAE", requires = "id")]
    pub master: Option<String>,
    /// Their names; may be given many times
    #[arg(long, value_name = "UUID", num_args = 1.., requires = "master")]
    pub id: Vec<String>,
    /// Ask again for so long while there is too little key, or nobody answers
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "0 s")]
    pub wait: Duration,
    /// How the key is printed, behind its name
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Print the key container as the standard has it
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// A key manager and who asks it.
#[derive(Debug, Arguments)]
pub struct Server {
    /// The key manager: https://HOST:PORT
    #[arg(long, value_name = "URL", required_unless_present = "network", requires_all = ["cert", "key", "ca"])]
    pub kme: Option<String>,
    /// The application's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "kme")]
    pub cert: Option<PathBuf>,
    /// Its private key (PEM, mode 0600)
    #[arg(long, value_name = "FILE", requires = "kme")]
    pub key: Option<PathBuf>,
    /// The certificate of the authority that signed the key manager's (PEM)
    #[arg(long, value_name = "FILE", requires = "kme")]
    pub ca: Option<PathBuf>,
    /// Instead: find address and certificates by this network file
    #[arg(long, value_name = "FILE", conflicts_with = "kme", requires = "asking")]
    pub network: Option<PathBuf>,
    /// Ask as this application of the network
    #[arg(long = "as", id = "asking", value_name = "SAE", requires = "network")]
    pub asking: Option<String>,
    /// The state directory [default: bellwether-state/NETWORK]
    #[arg(long, value_name = "DIR", requires = "network")]
    pub state: Option<PathBuf>,
    /// Override a value of the network file; may be given many times
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment, requires = "network")]
    pub set: Vec<String>,
}

/// How a key is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Hexadecimal digits
    #[default]
    Hex,
    /// Base64
    Base64,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  bellwether key status --network networks/secoqc-2008.toml --as bank-a --slave bank-b
  bellwether key get --network networks/secoqc-2008.toml --as bank-a --slave bank-b --number 2
  bellwether key get --kme https://kme.example.org --cert me.pem --key me.key.pem --ca kme-ca.pem --slave other

Any key manager that speaks ETSI GS QKD 014 V1.1.1 can be asked.";

const STATUS_EXAMPLES: &str = "\
Examples:
  bellwether key status --network networks/secoqc-2008.toml --as bank-a --slave bank-b";

const GET_EXAMPLES: &str = "\
Examples:
  bellwether key get --network networks/secoqc-2008.toml --as bank-a --slave bank-b --wait 30s
  bellwether key get --network networks/secoqc-2008.toml --as bank-b --master bank-a --id UUID

Each key is handed out once to each side. A line is the key's name, a space, and the key.";

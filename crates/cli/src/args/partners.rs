//! Two applications that use each other's keys, as seen from one of them.

use super::Server;
use clap::Args as Arguments;

/// Whose keys are used, with whom, and which.
#[derive(Debug, Arguments)]
pub struct Partners {
    /// Who is asked for keys.
    #[command(flatten)]
    pub server: Server,
    /// With --kme: the name of this application, as in its certificate
    #[arg(long, value_name = "SAE", required_unless_present = "network", conflicts_with = "network")]
    pub name: Option<String>,
    /// The application at the other end
    #[arg(long, value_name = "SAE")]
    pub peer: String,
    /// Use keys without a quantum part as well, which the key manager gives while links are down
    #[arg(long)]
    pub allow_post_quantum_only: bool,
}

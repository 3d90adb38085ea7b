//! Secret key from entangled pairs (Bennett, Brassard and Mermin, Phys. Rev. Lett. 68, 557).

use bellwether_protocol::application::{Basis, Node, PairKey, ProgramError, key_from_pairs};
use bellwether_protocol::qkd::security::SecurityParameters;
use bellwether_units::{Duration, NodeId};

const WITHIN: Duration = Duration::from_whole_seconds(100_000);

/// The program of either end. Both measure Z or X, as each draws it: Z for the key, X to see what an eavesdropper may know.
pub async fn end(node: Node, peer: NodeId, pairs: u64) -> Result<PairKey, ProgramError> {
    let measured = node.measured_pairs(peer, pairs, &[Basis::Z, Basis::X], 0.5, WITHIN).await?;
    let key = key_from_pairs(&node, peer, &measured, &SecurityParameters::default()).await;
    key.map_err(|error| ProgramError::Other(error.to_string()))
}

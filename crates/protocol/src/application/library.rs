//! Teleportation and gates between nodes, in terms of pairs, local gates and messages.

use super::{Basis, Node, ProgramError, Qubit};
use bellwether_units::NodeId;

/// Teleports a qubit to `peer` over this end's half of a pair in |Φ⁺⟩: both are measured in the Bell basis, and the two
/// outcomes are sent (Bennett et al., Phys. Rev. Lett. 70, 1895). The peer calls [`teleport_receive`] with its half.
///
/// # Errors
/// If a qubit was lost, or the message cannot be sent.
pub async fn teleport_send(node: &Node, peer: NodeId, qubit: Qubit, half: Qubit) -> Result<(), ProgramError> {
    let found = node.bell_measure(qubit, half).await?;
    node.send(peer, &(found.bit(), found.phase())).await?;
    Ok(())
}

/// Receives a qubit that `peer` teleports with [`teleport_send`]: this end's half becomes it.
///
/// # Errors
/// If the half was lost, or the outcomes did not come.
pub async fn teleport_receive(node: &Node, peer: NodeId, mut half: Qubit) -> Result<Qubit, ProgramError> {
    let (bit, phase): (bool, bool) = node.receive(peer).await?;
    if bit {
        node.x(&mut half).await?;
    }
    if phase {
        node.z(&mut half).await?;
    }
    Ok(half)
}

/// This end's part of a controlled NOT between nodes: its qubit controls one of `peer`, which calls
/// [`remote_cnot_target`]. A pair in |Φ⁺⟩ is used up (Eisert et al., Phys. Rev. A 62, 052317).
///
/// # Errors
/// If a qubit was lost, or a message did not come.
pub async fn remote_cnot_control(
    node: &Node,
    peer: NodeId,
    control: &mut Qubit,
    mut half: Qubit,
) -> Result<(), ProgramError> {
    node.cnot(control, &mut half).await?;
    let flip = half.measure(Basis::Z).await?;
    node.send(peer, &flip).await?;
    if node.receive(peer).await? {
        node.z(control).await?;
    }
    Ok(())
}

/// This end's part of a controlled NOT between nodes: its qubit is the target of one of `peer`, which calls
/// [`remote_cnot_control`].
///
/// # Errors
/// If a qubit was lost, or a message did not come.
pub async fn remote_cnot_target(
    node: &Node,
    peer: NodeId,
    target: &mut Qubit,
    mut half: Qubit,
) -> Result<(), ProgramError> {
    if node.receive(peer).await? {
        node.x(&mut half).await?;
    }
    node.cnot(&mut half, target).await?;
    let turn = half.measure(Basis::X).await?;
    node.send(peer, &turn).await?;
    Ok(())
}

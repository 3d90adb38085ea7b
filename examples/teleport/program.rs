//! Teleportation: Alice sends qubits in random states to Bob, who checks each.

use bellwether_protocol::application::{Basis, Node, ProgramError, teleport_receive, teleport_send};
use bellwether_units::{Duration, NodeId};
use core::f64::consts::TAU;

/// Any pair will do: what it was worth shows in the end.
const MIN_FIDELITY: f64 = 0.25;
const WITHIN: Duration = Duration::from_whole_seconds(10);

/// Sends `states` qubits to `bob`, and tells him afterwards which state each was in.
pub async fn alice(node: Node, bob: NodeId, states: u32) -> Result<(), ProgramError> {
    for _ in 0..states {
        let half = node.epr(bob, MIN_FIDELITY, WITHIN).await?;
        // Any state of a qubit is a direction; all are to be equally likely.
        let polar = (1.0 - 2.0 * node.random_uniform()).acos();
        let azimuth = TAU * node.random_uniform();
        let mut qubit = node.qubit().await?;
        node.ry(&mut qubit, polar).await?;
        node.rz(&mut qubit, azimuth).await?;
        teleport_send(&node, bob, qubit, half).await?;
        node.send(bob, &(polar, azimuth)).await?;
    }
    Ok(())
}

/// Receives them, turns each back by what Alice tells, and measures: how many were found in the state that she sent.
pub async fn bob(node: Node, alice: NodeId, states: u32) -> Result<u32, ProgramError> {
    let mut right = 0;
    for _ in 0..states {
        let half = node.epr(alice, MIN_FIDELITY, WITHIN).await?;
        let mut qubit = teleport_receive(&node, alice, half).await?;
        let (polar, azimuth): (f64, f64) = node.receive(alice).await?;
        node.rz(&mut qubit, -azimuth).await?;
        node.ry(&mut qubit, -polar).await?;
        right += u32::from(!qubit.measure(Basis::Z).await?);
    }
    Ok(right)
}

//! A test of Bell's inequality, as Clauser, Horne, Shimony and Holt put it (Phys. Rev. Lett. 23, 880).
//!
//! Alice measures Z or X, Bob between them. Whatever was agreed before, S is at most 2; pairs in |Φ⁺⟩ give 2√2.

use bellwether_protocol::application::{Basis, MeasuredPair, Node, ProgramError};
use bellwether_units::{Duration, NodeId};
use core::f64::consts::FRAC_PI_4;
use std::collections::BTreeMap;

const ALICE: [Basis; 2] = [Basis::Z, Basis::X];
const BOB: [Basis; 2] = [Basis::Turned(FRAC_PI_4), Basis::Turned(-FRAC_PI_4)];
const WITHIN: Duration = Duration::from_whole_seconds(100);

/// By name, each pair's setting and outcome.
type Record = BTreeMap<String, (usize, bool)>;

fn record(pairs: &[MeasuredPair], settings: &[Basis]) -> Record {
    let setting = |pair: &MeasuredPair| settings.iter().position(|basis| *basis == pair.basis).unwrap_or(0);
    pairs.iter().map(|pair| (pair.facts.id.to_string(), (setting(pair), pair.outcome))).collect()
}

/// Measures and tells Bob.
pub async fn alice(node: Node, bob: NodeId, pairs: u64) -> Result<(), ProgramError> {
    let measured = node.measured_pairs(bob, pairs, &ALICE, 0.5, WITHIN).await?;
    node.send(bob, &record(&measured, &ALICE)).await?;
    Ok(())
}

/// Measures, and computes S and its standard error.
pub async fn bob(node: Node, alice: NodeId, pairs: u64) -> Result<(f64, f64), ProgramError> {
    let measured = node.measured_pairs(alice, pairs, &BOB, 0.5, WITHIN).await?;
    let hers: Record = node.receive(alice).await?;
    // For each pair of settings, how many pairs there were and the sum of the products of outcomes.
    let mut sums = [[(0.0, 0.0); 2]; 2];
    for (name, (b, outcome)) in record(&measured, &BOB) {
        if let Some((a, other)) = hers.get(&name) {
            let (count, sum) = &mut sums[*a][b];
            *count += 1.0;
            *sum += if *other == outcome { 1.0 } else { -1.0 };
        }
    }
    let (mut s, mut variance) = (0.0, 0.0);
    for (a, row) in sums.iter().enumerate() {
        for (b, (count, sum)) in row.iter().enumerate() {
            let correlation = sum / count;
            s += if (a, b) == (1, 1) { -correlation } else { correlation };
            variance += (1.0 - correlation * correlation) / count;
        }
    }
    Ok((s, variance.sqrt()))
}

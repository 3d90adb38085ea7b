//! Raw key from entangled pairs (Bennett, Brassard and Mermin, Phys. Rev. Lett. 68, 557).
//!
//! Both ends measure Z or X. Pairs that both measured in Z give key, but for every tenth, which is compared in the open for
//! the rate of bit errors; those that both measured in X are all compared, for that of phase errors. What comes out is raw:
//! the ends' keys still differ in some bits, and an eavesdropper may know some.

use bellwether_protocol::application::{Basis, MeasuredPair, Node, ProgramError};
use bellwether_units::{Duration, NodeId};
use std::collections::BTreeMap;

const BASES: [Basis; 2] = [Basis::Z, Basis::X];
const WITHIN: Duration = Duration::from_whole_seconds(1000);

/// What an end has after sifting.
#[derive(Clone, Debug, PartialEq)]
pub struct RawKey {
    /// The bits that were told to nobody.
    pub bits: Vec<bool>,
    /// How many bits were compared in Z, and how many differed.
    pub compared: (u64, u64),
    /// The same in X.
    pub compared_in_x: (u64, u64),
}

fn by_name(pairs: &[MeasuredPair]) -> BTreeMap<String, (bool, bool)> {
    let entry = |pair: &MeasuredPair| (pair.facts.id.to_string(), (pair.basis == Basis::X, pair.outcome));
    pairs.iter().map(entry).collect()
}

/// The program of either end.
pub async fn end(node: Node, peer: NodeId, pairs: u64) -> Result<RawKey, ProgramError> {
    let measured = by_name(&node.measured_pairs(peer, pairs, &BASES, 0.5, WITHIN).await?);
    // Bases are told when all is measured.
    let bases: BTreeMap<&String, bool> = measured.iter().map(|(name, (in_x, _))| (name, *in_x)).collect();
    node.send(peer, &bases).await?;
    let theirs: BTreeMap<String, bool> = node.receive(peer).await?;
    let sifted = measured.iter().filter(|(name, (in_x, _))| theirs.get(*name) == Some(in_x));
    let (in_x, in_z): (Vec<_>, Vec<_>) = sifted.partition(|(_, (in_x, _))| *in_x);
    let (told, kept): (Vec<_>, Vec<_>) = in_z.iter().enumerate().partition(|(n, _)| n % 10 == 0);

    let open = |pairs: &mut dyn Iterator<Item = bool>| pairs.collect::<Vec<_>>();
    let own = (
        open(&mut told.iter().map(|(_, (_, (_, outcome)))| *outcome)),
        open(&mut in_x.iter().map(|(_, (_, outcome))| *outcome)),
    );
    node.send(peer, &own).await?;
    let other: (Vec<bool>, Vec<bool>) = node.receive(peer).await?;
    let differ =
        |a: &[bool], b: &[bool]| (a.len() as u64, a.iter().zip(b).filter(|(a, b)| a != b).count() as u64);
    Ok(RawKey {
        bits: kept.iter().map(|(_, (_, (_, outcome)))| *outcome).collect(),
        compared: differ(&own.0, &other.0),
        compared_in_x: differ(&own.1, &other.1),
    })
}

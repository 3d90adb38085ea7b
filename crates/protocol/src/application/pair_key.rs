//! Secret key from measured pairs: what Bennett, Brassard and Mermin proposed (Phys. Rev. Lett. 68, 557), with the same
//! reconciliation, verification, amplification and bound as links that prepare and measure.

use super::{Basis, MeasuredPair, MessageError, Node};
use crate::entanglement::{EndToEndId, PairId};
use crate::qkd::amplify::{Amplification, AmplificationError, seed_len};
use crate::qkd::reconcile::{CascadeSettings, CascadeVariant, Corrector, ParityServer, ReconcileError, Step};
use crate::qkd::security::{
    BlockStatistics, Bound, Certificate, ClassCounts, NoKey, SecurityParameters, SourceClass, key_length,
};
use crate::qkd::verify;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::NodeId;
use std::collections::BTreeMap;

/// The expected error rates for which Cascade is run: what is outside costs more, and no correctness.
const ERROR_RATES: [f64; 2] = [0.005, 0.25];

/// Key that both ends of a circuit have.
#[derive(Debug)]
pub struct PairKey {
    /// The key.
    pub key: SecretBits,
    /// How its length came about.
    pub certificate: Certificate,
    /// How many sifted bits there were in Z, and how many of them differed.
    pub in_z: ClassCounts,
    /// How many pairs were compared in X, and how many differed.
    pub in_x: ClassCounts,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PairKeyError {
    /// A message did not come or was not understood.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Both ends never measured the same pair in a basis that is needed.
    #[error("no pair was measured in {0} by both ends: there is nothing to make key of, or to judge it by")]
    Nothing(&'static str),
    /// The keys were not made equal.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// The keys were still different.
    #[error("the ends' bits differ after reconciliation")]
    Differ,
    /// An eavesdropper may know too much.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// What the other end says of hashing does not fit.
    #[error(transparent)]
    Amplification(#[from] AmplificationError),
}

/// A pair's name as numbers.
fn name(id: EndToEndId) -> [u64; 6] {
    let numbers = |PairId { link, epoch, sequence }: PairId| [link.0.into(), epoch.into(), sequence];
    let ([a, b, c], [d, e, f]) = (numbers(id.head), numbers(id.tail));
    [a, b, c, d, e, f]
}

const fn halves(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}
const fn joined([high, low]: [u64; 2]) -> u128 {
    (high as u128) << 64 | low as u128
}

/// Makes key with `peer`, which calls this as well, of pairs in |Φ⁺⟩ that both have measured in Z or X as each drew it:
/// Z gives the key, X shows what an eavesdropper may know. Pairs in other bases are left out.
///
/// The length is that of Tomamichel, Lim, Gisin and Renner (Nat. Commun. 3, 634), whose proof is of pairs that anybody may
/// have made and of measurements in Z and X that are as they should be. It takes the messages for authentic: a driver whose
/// messages are not has no such key. The caller's list of outcomes stays the caller's to forget.
///
/// # Errors
/// If a message fails, nothing is left to make key of, the bits cannot be made equal, or too few of them are secret.
pub async fn key_from_pairs(
    node: &Node,
    peer: NodeId,
    pairs: &[MeasuredPair],
    parameters: &SecurityParameters,
) -> Result<PairKey, PairKeyError> {
    // Bases are told when everything is measured, outcomes of X when the bases are known.
    let own: BTreeMap<[u64; 6], (bool, bool)> = pairs
        .iter()
        .filter(|pair| matches!(pair.basis, Basis::Z | Basis::X))
        .map(|pair| (name(pair.facts.id), (pair.basis == Basis::X, pair.outcome)))
        .collect();
    let told: Vec<([u64; 6], bool)> = own.iter().map(|(name, (in_x, _))| (*name, *in_x)).collect();
    node.send(peer, &told).await?;
    let theirs: BTreeMap<[u64; 6], bool> =
        node.receive::<Vec<([u64; 6], bool)>>(peer).await?.into_iter().collect();
    let sifted = own.iter().filter(|(name, (in_x, _))| theirs.get(*name) == Some(in_x));
    let (mut key, mut check) = (BitString::with_capacity(own.len()), Vec::new());
    for (_, (in_x, outcome)) in sifted {
        if *in_x {
            check.push(*outcome);
        } else {
            key.push(*outcome);
        }
    }
    node.send(peer, &check).await?;
    let other: Vec<bool> = node.receive(peer).await?;
    if other.len() != check.len() {
        return Err(unexpected(peer, "as many outcomes in X as both ends have").into());
    }
    let errors = check.iter().zip(&other).filter(|(a, b)| a != b).count() as u64;
    let in_x = ClassCounts { sifted: check.len() as u64, errors };
    let rate = in_x.error_rate().ok_or(PairKeyError::Nothing("X"))?;
    if key.is_empty() {
        return Err(PairKeyError::Nothing("Z"));
    }

    // The node with the lesser number has the reference, and draws what has to be drawn.
    let key = SecretBits::new(key);
    let rate = rate.clamp(ERROR_RATES[0], ERROR_RATES[1]);
    let reference = node.id() < peer;
    let (key, errors, disclosed) =
        if reference { serve(node, peer, key, rate).await? } else { correct(node, peer, key, rate).await? };
    let in_z = ClassCounts { sifted: key.len() as u64, errors };
    let tag_bits = verify::tag_bits(parameters.correctness, key.len()).unwrap_or(verify::MAX_TAG_BITS);
    if !equal(node, peer, &key, tag_bits, reference).await? {
        return Err(PairKeyError::Differ);
    }
    let statistics = BlockStatistics { key: vec![in_z], check: vec![in_x], pulses: own.len() as u64 };
    let beyond = tag_bits.saturating_sub(parameters.verification_allowance());
    let source = [SourceClass::single_photons(1.0, [0.0; 2])];
    let leak = disclosed + u64::from(beyond);
    let certificate = key_length(Bound::SinglePhotonTomamichel, &source, &statistics, leak, parameters)?;

    let bits = usize::try_from(certificate.key_bits).unwrap_or(usize::MAX).min(key.len());
    let wanted = seed_len(key.len(), bits);
    let words: Vec<u64> = if reference {
        let words: Vec<u64> = (0..wanted.div_ceil(64)).map(|_| node.random()).collect();
        node.send(peer, &words).await?;
        words
    } else {
        node.receive(peer).await?
    };
    if words.len() != wanted.div_ceil(64) {
        return Err(unexpected(peer, "a seed of the key's length").into());
    }
    let key = Amplification::new(key, BitString::from_words(words, wanted), bits)?.run();
    Ok(PairKey { key, certificate, in_z, in_x })
}

fn unexpected(peer: NodeId, wanted: &str) -> MessageError {
    MessageError::Malformed(format!("from {peer}: expected {wanted}"))
}

/// The reference's part of reconciliation: its bits, how many errors the other end found, and how much was disclosed.
async fn serve(
    node: &Node,
    peer: NodeId,
    key: SecretBits,
    rate: f64,
) -> Result<(SecretBits, u64, u64), PairKeyError> {
    let seed = node.random();
    node.send(peer, &seed).await?;
    let mut server = ParityServer::new(&CascadeSettings::new(CascadeVariant::Option7, rate, seed), key)?;
    loop {
        // A request, or how many errors there were.
        match node.receive::<Result<u64, Vec<u8>>>(peer).await? {
            Err(request) => node.send(peer, &server.answer(&request)?).await?,
            Ok(errors) => {
                let disclosed = server.disclosed();
                return Ok((server.into_bits(), errors, disclosed));
            }
        }
    }
}
/// The other end's part.
async fn correct(
    node: &Node,
    peer: NodeId,
    key: SecretBits,
    rate: f64,
) -> Result<(SecretBits, u64, u64), PairKeyError> {
    let seed: u64 = node.receive(peer).await?;
    let mut corrector = Corrector::new(&CascadeSettings::new(CascadeVariant::Option7, rate, seed), key)?;
    let mut step = corrector.start();
    while let Step::Ask(request) = step {
        node.send(peer, &Err::<u64, _>(request)).await?;
        let reply: Vec<u8> = node.receive(peer).await?;
        step = corrector.reply(&reply)?;
    }
    let errors = corrector.corrections().count_ones() as u64;
    node.send(peer, &Ok::<_, Vec<u8>>(errors)).await?;
    Ok((corrector.corrected(), errors, corrector.disclosed()))
}

/// Whether both ends have the same bits, as far as a tag shows.
async fn equal(
    node: &Node,
    peer: NodeId,
    key: &SecretBits,
    tag_bits: u32,
    reference: bool,
) -> Result<bool, PairKeyError> {
    if reference {
        let seed = joined([node.random(), node.random()]);
        let tag = verify::tag(seed, key.expose(), tag_bits);
        node.send(peer, &(halves(seed), halves(tag))).await?;
        Ok(node.receive(peer).await?)
    } else {
        let (seed, tag) = node.receive(peer).await?;
        let agrees = verify::agrees(joined(seed), key.expose(), tag_bits, joined(tag));
        node.send(peer, &agrees).await?;
        Ok(agrees)
    }
}

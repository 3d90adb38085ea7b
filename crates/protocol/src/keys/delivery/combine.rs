//! How a key is made of quantum key and post-quantum secret.
//!
//! The combiner is the concatenation KDF of ETSI TS 103 744 (CatKDF) with HKDF-SHA-384 (RFC 5869, NIST SP
//! 800-56C r2): every part carries its length, the salt is a hash of where the parts come from (for each block the
//! transcript of its ML-KEM exchange, as SP 800-227 asks of a combiner), and the output is bound to identifier,
//! applications, size, protection and role. Longer outputs than HKDF gives (255 hashes) come in chunks, each with
//! its number in the input.

use super::api::Protection;
use super::name::SaeName;
use crate::keys::KeyId;
use bellwether_bits::gf128::PolynomialHasher;
use bellwether_units::NodeId;
use hkdf::Hkdf;
use sha2::{Digest, Sha384};
use zeroize::Zeroizing;

/// How many bytes HKDF-SHA-384 gives at most.
const CHUNK: usize = 255 * 48;
/// How much of a block's quantum key goes into the proof that both ends hold the same: a hash key and a pad.
pub(super) const PROOF_BYTES: usize = 32;

/// The hash of what two nodes said to agree on a block.
pub(super) type Transcript = [u8; 48];

/// What the output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A key for applications.
    Key,
    /// A pad under which a key for several nodes is sent to one of them.
    Pad,
}

/// One part of what a key comes from.
pub(super) struct Part<'a> {
    pub(super) transcript: &'a Transcript,
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) secret: &'a [u8; 32],
}

/// What a key is bound to.
pub(super) struct Context<'a> {
    pub(super) protection: Protection,
    pub(super) role: Role,
    pub(super) id: KeyId,
    pub(super) bits: u32,
    pub(super) master: &'a SaeName,
    pub(super) slaves: &'a [SaeName],
}

fn part(hash: &mut Sha384, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// The transcript of a block: who offered it to whom, its kind and length, and both halves of the ML-KEM exchange.
pub(super) fn transcript(
    (owner, holder): (NodeId, NodeId),
    block: KeyId,
    quantum_bits: u32,
    encapsulation_key: &[u8],
    ciphertext: &[u8],
) -> Transcript {
    let mut hash = Sha384::new();
    part(&mut hash, b"bellwether delivery block v1");
    hash.update(owner.0.to_be_bytes());
    hash.update(holder.0.to_be_bytes());
    hash.update(block.0.to_be_bytes());
    hash.update(quantum_bits.to_be_bytes());
    part(&mut hash, encapsulation_key);
    part(&mut hash, ciphertext);
    hash.finalize().into()
}

/// The holder's proof that it holds the same quantum key and the same secret.
///
/// Only the first [`PROOF_BYTES`] of the quantum key, which are used for nothing else, enter the derivation: they
/// key a polynomial hash of the rest and pad it (Wegman & Carter 1981), so that the proof tells nothing about the
/// rest even to who breaks ML-KEM.
pub(super) fn proof(transcript: &Transcript, quantum: &[u8], secret: &[u8; 32]) -> [u8; 32] {
    let check = Zeroizing::new(quantum.split_first_chunk::<PROOF_BYTES>().map_or([0; 16], |(keys, rest)| {
        let (key, pad) = keys.split_at(16);
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u128, |sum, &b| sum << 8 | u128::from(b));
        let mut hasher = PolynomialHasher::new(word(key));
        hasher.update(rest);
        (hasher.finish() ^ word(pad)).to_be_bytes()
    }));
    let mut tag = [0; 32];
    expand(transcript, [&check[..], secret], b"bellwether delivery proof v1", &mut tag);
    tag
}

/// The output for `context` of the parts, whose stretches of quantum key in order are `quantum`.
///
/// The length of the output is that of the key in whole bytes; for [`Protection::QuantumOnly`] the output is
/// `quantum` itself, and must be as long.
pub(super) fn derive(context: &Context<'_>, quantum: &[u8], parts: &[Part<'_>]) -> Zeroizing<Vec<u8>> {
    let mut output = Zeroizing::new(vec![0; (context.bits / 8) as usize]);
    if context.protection == Protection::QuantumOnly {
        output.copy_from_slice(quantum);
        return output;
    }
    let mut salt = Sha384::new();
    part(&mut salt, b"bellwether delivery parts v1");
    let mut secrets = Zeroizing::new(Vec::with_capacity(32 * parts.len()));
    for p in parts {
        salt.update(p.transcript);
        salt.update(p.offset.to_be_bytes());
        salt.update(p.length.to_be_bytes());
        secrets.extend_from_slice(p.secret);
    }
    let mut info = Vec::with_capacity(256);
    info.extend_from_slice(b"bellwether delivery key v1");
    info.push(match context.protection {
        Protection::Hybrid => 1,
        Protection::PostQuantumOnly => 2,
        Protection::QuantumOnly | Protection::Local => 0,
    });
    info.push(match context.role {
        Role::Key => 1,
        Role::Pad => 2,
    });
    info.extend_from_slice(&context.id.0.to_be_bytes());
    info.extend_from_slice(&context.bits.to_be_bytes());
    info.extend_from_slice(&(context.slaves.len() as u32).to_be_bytes());
    for name in core::iter::once(context.master).chain(context.slaves) {
        info.extend_from_slice(&(name.as_str().len() as u32).to_be_bytes());
        info.extend_from_slice(name.as_str().as_bytes());
    }
    let salt: Transcript = salt.finalize().into();
    let length = info.len();
    for (n, chunk) in output.chunks_mut(CHUNK).enumerate() {
        info.truncate(length);
        info.extend_from_slice(&(n as u32).to_be_bytes());
        expand(&salt, [quantum, &secrets], &info, chunk);
    }
    output
}

/// HKDF over the parts, each after its length.
fn expand(salt: &Transcript, parts: [&[u8]; 2], info: &[u8], output: &mut [u8]) {
    let mut input = Zeroizing::new(Vec::with_capacity(8 + parts[0].len() + parts[1].len()));
    for p in parts {
        input.extend_from_slice(&(p.len() as u32).to_be_bytes());
        input.extend_from_slice(p);
    }
    Hkdf::<Sha384>::new(Some(salt), &input)
        .expand(info, output)
        .expect("no output is asked for that is longer than a chunk");
}

#[cfg(test)]
mod tests;

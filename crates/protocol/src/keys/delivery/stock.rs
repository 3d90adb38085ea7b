//! Blocks of stock: quantum key and a post-quantum secret that two nodes hold alike.
//!
//! A block has one owner, who alone takes from it, from the front, and one holder, who follows the owner's
//! announcements. What was taken is wiped from memory.

use super::combine::{Context, PROOF_BYTES, Part, Transcript, derive};
use super::wire::Piece;
use crate::keys::KeyId;
use bellwether_units::{LinkId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Where quantum key has been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Provenance {
    pub(super) routes: Vec<Vec<LinkId>>,
    pub(super) nodes: Vec<NodeId>,
}

impl Provenance {
    /// That of keys from several blocks.
    pub(super) fn merge(&mut self, other: &Self) {
        for route in &other.routes {
            if !self.routes.contains(route) {
                self.routes.push(route.clone());
            }
        }
        self.add_nodes(&other.nodes);
    }
    pub(super) fn add_nodes(&mut self, nodes: &[NodeId]) {
        for node in nodes {
            if !self.nodes.contains(node) {
                self.nodes.push(*node);
            }
        }
    }
}

/// One block.
pub(super) struct Block {
    pub(super) id: KeyId,
    /// Empty, if the block is a post-quantum secret alone.
    pub(super) quantum: Zeroizing<Vec<u8>>,
    pub(super) secret: Zeroizing<[u8; 32]>,
    pub(super) transcript: Transcript,
    pub(super) provenance: Arc<Provenance>,
    /// Of quantum key, how many bytes at the front are spent; else, how many keys were made of the secret.
    pub(super) used: u32,
}

impl Block {
    pub(super) fn is_quantum(&self) -> bool {
        !self.quantum.is_empty()
    }
    /// A new one, of which the proof took its part.
    pub(super) fn new(
        id: KeyId,
        quantum: Zeroizing<Vec<u8>>,
        secret: Zeroizing<[u8; 32]>,
        transcript: Transcript,
        provenance: Arc<Provenance>,
    ) -> Self {
        let mut block = Self { id, quantum, secret, transcript, provenance, used: 0 };
        if block.is_quantum() {
            block.spend_to(PROOF_BYTES as u32);
        }
        block
    }
    /// How many bytes of quantum key are left.
    pub(super) fn left(&self) -> usize {
        self.quantum.len().saturating_sub(self.used as usize)
    }
    /// Wipes what lies before `end`.
    pub(super) fn spend_to(&mut self, end: u32) {
        let end = end.max(self.used);
        if self.is_quantum() {
            let range = self.used as usize..(end as usize).min(self.quantum.len());
            if let Some(spent) = self.quantum.get_mut(range) {
                spent.zeroize();
            }
        }
        self.used = end;
    }
    fn part(&self, piece: Piece) -> TakenPart {
        TakenPart {
            piece,
            transcript: self.transcript,
            secret: self.secret.clone(),
            provenance: Arc::clone(&self.provenance),
        }
    }
}

struct TakenPart {
    piece: Piece,
    transcript: Transcript,
    secret: Zeroizing<[u8; 32]>,
    provenance: Arc<Provenance>,
}

/// What one key, or one pad, is made of.
pub(super) struct Taken {
    parts: Vec<TakenPart>,
    quantum: Zeroizing<Vec<u8>>,
}

impl Taken {
    pub(super) fn derive(&self, context: &Context<'_>) -> Zeroizing<Vec<u8>> {
        let part = |p: &'_ TakenPart| (p.transcript, p.piece, p.secret.clone());
        let parts: Vec<_> = self.parts.iter().map(part).collect();
        let parts: Vec<_> = parts
            .iter()
            .map(|(transcript, piece, secret)| Part {
                transcript,
                offset: piece.offset,
                length: piece.length,
                secret,
            })
            .collect();
        derive(context, &self.quantum, &parts)
    }
    pub(super) fn pieces(&self) -> Vec<Piece> {
        self.parts.iter().map(|p| p.piece).collect()
    }
    pub(super) fn add_provenance(&self, to: &mut Provenance) {
        for part in &self.parts {
            to.merge(&part.provenance);
        }
    }
}

/// The blocks that this node owns with one peer, the oldest first.
#[derive(Default)]
pub(super) struct Owned {
    blocks: BTreeMap<u64, Block>,
    secrets: BTreeMap<u64, Block>,
    ids: BTreeSet<KeyId>,
    next: u64,
    left: usize,
    /// What was taken from since the last [`touched`](Self::touched), and how far; `None`: all of it.
    touched: BTreeMap<KeyId, Option<u32>>,
}

impl Owned {
    pub(super) fn insert(&mut self, block: Block) {
        self.ids.insert(block.id);
        self.left += block.left();
        let serial = self.next;
        self.next += 1;
        if block.is_quantum() { &mut self.blocks } else { &mut self.secrets }.insert(serial, block);
    }
    pub(super) fn contains(&self, id: KeyId) -> bool {
        self.ids.contains(&id)
    }
    /// How many bytes of quantum key are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
    /// How many keys the secrets may still give.
    pub(super) fn uses_left(&self, most: u32) -> u64 {
        self.secrets.values().map(|b| u64::from(most.saturating_sub(b.used))).sum()
    }
    /// Takes `bytes` bytes of quantum key, or `None`, and nothing is taken, if there are fewer.
    pub(super) fn take(&mut self, bytes: usize) -> Option<Taken> {
        if bytes > self.left || bytes == 0 {
            return None;
        }
        let mut taken =
            Taken { parts: Vec::with_capacity(1), quantum: Zeroizing::new(Vec::with_capacity(bytes)) };
        while taken.quantum.len() < bytes {
            let mut entry = self.blocks.first_entry()?;
            let block = entry.get_mut();
            let length = block.left().min(bytes - taken.quantum.len());
            let start = block.used as usize;
            taken.quantum.extend_from_slice(block.quantum.get(start..start + length)?);
            let piece = Piece { block: block.id, offset: block.used, length: length as u32 };
            taken.parts.push(block.part(piece));
            block.spend_to(block.used + length as u32);
            self.left -= length;
            let rest = block.left() > 0;
            self.touched.insert(block.id, rest.then_some(block.used));
            if !rest {
                self.ids.remove(&entry.remove().id);
            }
        }
        Some(taken)
    }
    /// One key's worth of a post-quantum secret.
    pub(super) fn take_secret(&mut self, most: u32) -> Option<Taken> {
        let mut entry = self.secrets.first_entry()?;
        let block = entry.get_mut();
        let piece = Piece { block: block.id, offset: block.used, length: 0 };
        let parts = vec![block.part(piece)];
        block.used += 1;
        let rest = block.used < most;
        self.touched.insert(block.id, rest.then_some(block.used));
        if !rest {
            self.ids.remove(&entry.remove().id);
        }
        Some(Taken { parts, quantum: Zeroizing::default() })
    }
    /// The blocks taken from since this was last asked, and how far; `None`: nothing is left of it.
    pub(super) fn touched(&mut self) -> BTreeMap<KeyId, Option<u32>> {
        core::mem::take(&mut self.touched)
    }
    /// Removes the blocks that `keep` does not want: their names, and how many bits they still had in all.
    pub(super) fn burn(&mut self, keep: impl Fn(KeyId) -> bool) -> (Vec<KeyId>, u64) {
        let (mut burned, mut bytes) = (Vec::new(), 0);
        for blocks in [&mut self.blocks, &mut self.secrets] {
            blocks.retain(|_, block| {
                let kept = keep(block.id);
                if !kept {
                    burned.push(block.id);
                    bytes += block.left();
                }
                kept
            });
        }
        for id in &burned {
            self.ids.remove(id);
        }
        self.left -= bytes;
        (burned, 8 * bytes as u64)
    }
}

/// A block that a peer owns and this node holds.
pub(super) struct HeldBlock {
    pub(super) block: Block,
    pub(super) durable: bool,
    /// The owner is known to own it.
    pub(super) confirmed: bool,
    /// The answer to the offer, to be repeated.
    pub(super) accept: Option<super::wire::Body>,
    pub(super) repeats: u32,
}

/// The blocks of one peer that this node holds.
#[derive(Default)]
pub(super) struct Held {
    pub(super) blocks: BTreeMap<KeyId, HeldBlock>,
}

impl Held {
    /// What the owner took: `None`, and nothing is spent, if this node does not hold it or it was taken before.
    pub(super) fn take(&mut self, pieces: &[Piece], bytes: usize) -> Option<Taken> {
        let mut ends: BTreeMap<KeyId, u32> = BTreeMap::new();
        let mut sum = 0_usize;
        for piece in pieces {
            let block = &self.blocks.get(&piece.block)?.block;
            let used = ends.get(&piece.block).copied().unwrap_or(block.used);
            let end = piece.offset.checked_add(if block.is_quantum() { piece.length } else { 1 })?;
            let fits = if block.is_quantum() {
                piece.length > 0 && end as usize <= block.quantum.len()
            } else {
                piece.length == 0
            };
            if !fits || piece.offset < used {
                return None;
            }
            ends.insert(piece.block, end);
            sum += piece.length as usize;
        }
        let quantum = pieces.iter().all(|p| p.length > 0);
        if pieces.is_empty() || (quantum && sum != bytes) || (!quantum && pieces.len() != 1) {
            return None;
        }
        let mut taken = Taken {
            parts: Vec::with_capacity(pieces.len()),
            quantum: Zeroizing::new(Vec::with_capacity(bytes)),
        };
        for piece in pieces {
            let held = self.blocks.get_mut(&piece.block)?;
            held.confirmed = true;
            held.accept = None;
            let range = piece.offset as usize..(piece.offset + piece.length) as usize;
            if piece.length > 0 {
                taken.quantum.extend_from_slice(held.block.quantum.get(range)?);
            }
            taken.parts.push(held.block.part(*piece));
        }
        for (id, end) in ends {
            self.blocks.get_mut(&id)?.block.spend_to(end);
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests;

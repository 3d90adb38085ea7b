//! What of a pool is to survive, as one piece.

use super::seen::Gaps;
use super::{Block, Free, Pool};
use crate::keys::material::{KeyMaterial, Store};
use crate::keys::statistics::PoolAccount;
use bellwether_units::BlockId;

/// A pool as it is after a restart: what is left of its blocks and which numbers have come.
///
/// It is bounded as the pool is: by its capacity, and by the window of block numbers that are told apart.
#[derive(Debug)]
pub(in crate::keys) struct PoolImage {
    blocks: Vec<BlockImage>,
    gaps: Gaps,
    account: PoolAccount,
}

#[derive(Debug)]
struct BlockImage {
    block: BlockId,
    /// Zero where it was used.
    key: KeyMaterial,
    proved: bool,
    outgoing: Free,
    incoming: Free,
}

impl PoolImage {
    /// Which blocks it holds.
    pub(in crate::keys) fn blocks(&self) -> impl Iterator<Item = BlockId> + '_ {
        self.blocks.iter().map(|held| held.block)
    }
    /// About how many bytes of memory it takes.
    pub(in crate::keys) fn size(&self) -> usize {
        let block = |held: &BlockImage| {
            let stretches = held.outgoing.0.len() + held.incoming.0.len();
            size_of::<BlockImage>() + held.key.size() + stretches * size_of::<(u32, u32)>()
        };
        size_of::<Self>() + self.gaps.size() + self.blocks.iter().map(block).sum::<usize>()
    }
}

impl Pool {
    pub(in crate::keys) fn image(&self) -> PoolImage {
        let blocks = self.blocks.iter().map(|(&block, held)| BlockImage {
            block,
            key: held.store.material(held.length),
            proved: held.proved,
            outgoing: held.outgoing.clone(),
            incoming: held.incoming.clone(),
        });
        PoolImage { blocks: blocks.collect(), gaps: self.seen.gaps(), account: self.account }
    }

    /// Becomes what the image shows. As after a replay of single steps, a block waits for the peer's word unless
    /// the peer has used key of it.
    pub(in crate::keys) fn load(&mut self, image: &PoolImage) {
        *self = Self::new(self.side, self.capacity);
        self.seen.load(&image.gaps);
        let held = PoolAccount { outgoing: 0, incoming: 0, unconfirmed: 0, ..image.account };
        self.account = held;
        for held in &image.blocks {
            let (outgoing, incoming) = (held.outgoing.clone(), held.incoming.clone());
            self.account.unconfirmed += outgoing.bits() + incoming.bits();
            self.unconfirmed.insert(held.block);
            let (store, length) = (Store::new(&held.key), held.key.len() as u32);
            let block = Block { store, length, confirmed: false, proved: held.proved, outgoing, incoming };
            self.blocks.insert(held.block, block);
            if held.proved {
                self.confirm(held.block);
            }
        }
    }
}

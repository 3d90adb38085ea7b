//! What of a pool is to survive, as one piece.

use super::seen::Gaps;
use super::{Block, Free, Pool};
use crate::keys::journal::{flag, list, material, write_list, write_material};
use crate::keys::material::{KeyMaterial, Store};
use crate::keys::statistics::PoolAccount;
use crate::qkd::wire::{Malformed, Reader, Writer};
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
    /// See [`journal`](crate::keys::journal).
    pub(in crate::keys) fn write(&self, w: &mut Writer) {
        self.gaps.write(w);
        let a = &self.account;
        for bits in [a.stored, a.overflow, a.hashing, a.taken, a.received, a.burned] {
            w.count(bits);
        }
        for bits in [a.outgoing, a.incoming, a.unconfirmed] {
            w.count(bits);
        }
        write_list(w, &self.blocks, |w, held| {
            w.count(held.block.0);
            w.u8(held.proved.into());
            held.outgoing.write(w);
            held.incoming.write(w);
            write_material(w, &held.key);
        });
    }

    /// What was [written](Self::write), if a pool can be so.
    pub(in crate::keys) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let gaps = Gaps::read(r)?;
        // So bounded, no sum of them goes beyond 64 bits.
        let mut bits = || r.count_up_to(1 << 58, "an account");
        let account = PoolAccount {
            stored: bits()?,
            overflow: bits()?,
            hashing: bits()?,
            taken: bits()?,
            received: bits()?,
            burned: bits()?,
            outgoing: bits()?,
            incoming: bits()?,
            unconfirmed: bits()?,
        };
        let blocks = list(r, |r| {
            let (block, proved) = (BlockId(r.count()?), flag(r)?);
            let (outgoing, incoming, key) = (Free::read(r)?, Free::read(r)?, material(r)?);
            let length = u32::try_from(key.len()).map_err(|_| Malformed::TooLong)?;
            if outgoing.end().max(incoming.end()) > length {
                return Err(Malformed::Value("a stretch beyond its block"));
            }
            Ok(BlockImage { block, key, proved, outgoing, incoming })
        })?;
        Ok(Self { blocks, gaps, account })
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

    /// Burns all that is left and forgets no number; gives how many bits.
    pub(in crate::keys) fn forget(&mut self) -> u64 {
        let burned = self.account.outgoing + self.account.incoming + self.account.unconfirmed;
        let account = PoolAccount { burned: self.account.burned + burned, ..self.account };
        self.load(&PoolImage { blocks: Vec::new(), gaps: self.seen.gaps(), account });
        burned
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

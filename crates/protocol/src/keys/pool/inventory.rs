//! Two ends compare what is left of their pools.

use super::{Pool, Stretch};
use bellwether_units::BlockId;
use std::collections::BTreeSet;

/// Of the blocks `from..to`, an end may still use only what is in `free`, and the peer may only use what is in
/// `held`; of the blocks in `kept` nothing is said.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::keys) struct Inventory {
    pub(in crate::keys) from: BlockId,
    pub(in crate::keys) to: BlockId,
    pub(in crate::keys) free: Vec<Stretch>,
    pub(in crate::keys) held: Vec<Stretch>,
    pub(in crate::keys) kept: Vec<BlockId>,
}

impl Pool {
    /// What either end may still use as this end sees it, in pieces of at most `most` stretches of each kind.
    /// Nothing is said of blocks of which key is on its way, and of such as may still come.
    pub(in crate::keys) fn inventory(&self, lent: &[Stretch], most: usize) -> Vec<Inventory> {
        let end = BlockId(self.seen.next);
        let new = |from| Inventory { from, to: end, free: Vec::new(), held: Vec::new(), kept: Vec::new() };
        let (mut pieces, mut piece) = (Vec::new(), new(BlockId(0)));
        let flying = self.in_flight.keys().copied();
        let kept: BTreeSet<_> = flying.chain(lent.iter().map(|s| s.block)).chain(self.seen.open()).collect();
        let blocks: BTreeSet<_> = self.blocks.keys().chain(&kept).copied().collect();
        for block in blocks {
            let parts = self.blocks.get(&block).filter(|_| !kept.contains(&block));
            let parts =
                parts.map(|b| (&b.outgoing.0, &b.incoming.0)).filter(|p| p.0.len().max(p.1.len()) <= most);
            let (free, held) = parts.map_or((0, 0), |p| (p.0.len(), p.1.len()));
            let room = piece.free.len() + free <= most && piece.held.len() + held <= most;
            if !room || piece.kept.len() == most {
                piece.to = block;
                pieces.push(core::mem::replace(&mut piece, new(block)));
            }
            let stretch = |&(offset, end): &(u32, u32)| Stretch { block, offset, length: end - offset };
            match parts {
                Some((free, held)) => {
                    piece.free.extend(free.iter().map(stretch));
                    piece.held.extend(held.iter().map(stretch));
                }
                None => piece.kept.push(block),
            }
        }
        pieces.push(piece);
        pieces
    }
    /// Burns what the peer says is not to be used, but nothing of the blocks in `kept`; gives how many bits.
    pub(in crate::keys) fn reconcile(&mut self, theirs: &Inventory, kept: &BTreeSet<BlockId>) -> u64 {
        if theirs.to <= theirs.from {
            return 0;
        }
        let mut burned = 0;
        let range: Vec<_> = self.blocks.range(theirs.from..theirs.to).map(|(&id, _)| id).collect();
        for id in range {
            let Some(block) =
                self.blocks.get_mut(&id).filter(|_| !theirs.kept.contains(&id) && !kept.contains(&id))
            else {
                continue;
            };
            let incoming = block.incoming.outside(theirs.free.iter().filter(|s| s.block == id));
            let outgoing = block.outgoing.outside(theirs.held.iter().filter(|s| s.block == id));
            for &(start, end) in incoming.0.iter().chain(&outgoing.0) {
                block.store.wipe(start as usize, (end - start) as usize);
            }
            incoming.0.iter().for_each(|&(start, end)| _ = block.incoming.remove(start, end));
            outgoing.0.iter().for_each(|&(start, end)| _ = block.outgoing.remove(start, end));
            let (incoming, outgoing) = (incoming.bits(), outgoing.bits());
            if block.confirmed {
                self.account.incoming -= incoming;
                self.account.outgoing -= outgoing;
            } else {
                self.account.unconfirmed -= incoming + outgoing;
            }
            if block.outgoing.0.is_empty() {
                self.usable.remove(&id);
            }
            burned += incoming + outgoing;
            self.drop_if_empty(id);
        }
        self.account.burned += burned;
        burned
    }
}

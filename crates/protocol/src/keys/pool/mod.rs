//! The key that a node holds in common with one neighbour.
//!
//! Both ends fill their pools with the same blocks. Of every block the first [`HASH_BITS`] bits are set apart
//! as the hash key of the tags whose pads come from that block; the rest is cut in two halves. Each end *owns*
//! one half: it alone may take from it, so the two never pick the same bits, and no round trip is needed to
//! take. Owned stretches can be lent to the other end when the halves are spent unevenly. A block is used only
//! when the peer has said that it holds it too. A bit is taken once; what is taken is erased at once.

mod free;
mod image;
mod inventory;
mod seen;

pub(in crate::keys) use image::PoolImage;
pub(in crate::keys) use inventory::Inventory;

use crate::keys::material::{KeyMaterial, Store};
use crate::keys::statistics::PoolAccount;
use bellwether_bits::BitString;
use bellwether_units::BlockId;
use free::Free;
use seen::Seen;
use std::collections::{BTreeMap, BTreeSet};

/// How many bits of each block are its hash key.
pub(in crate::keys) const HASH_BITS: u32 = 128;
/// Into how many stretches one taking may fall at most.
pub(in crate::keys) const MAX_STRETCHES: usize = 256;
/// A stretch of a block: bits `offset..offset + length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::keys) struct Stretch {
    pub(in crate::keys) block: BlockId,
    pub(in crate::keys) offset: u32,
    pub(in crate::keys) length: u32,
}

/// What was taken from a pool.
pub(in crate::keys) struct Taken {
    pub(in crate::keys) stretches: Vec<Stretch>,
    /// The bits, which are no longer in the pool.
    pub(in crate::keys) bits: zeroize::Zeroizing<BitString>,
    /// The hash key of the first stretch's block.
    pub(in crate::keys) hash_key: u128,
}

/// What became of a block that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) enum Offered {
    Kept,
    /// Its number had come before.
    Known,
    /// The pool is full, or the block is too short, too long or too late to be used.
    Dropped,
}

struct Block {
    store: Store,
    length: u32,
    confirmed: bool,
    /// The peer has used key of it: that it holds the block is certain even after a restart.
    proved: bool,
    outgoing: Free,
    incoming: Free,
}

impl Block {
    fn hash_key(&self) -> u128 {
        let mut bits = zeroize::Zeroizing::new(BitString::with_capacity(HASH_BITS as usize));
        self.store.read(0, HASH_BITS as usize, &mut bits);
        u128::from(bits.words()[0]) | u128::from(bits.words()[1]) << 64
    }
}

/// One end of a link's common key.
pub(in crate::keys) struct Pool {
    /// 0 owns the first half of every block, 1 the second.
    side: usize,
    capacity: u64,
    blocks: BTreeMap<BlockId, Block>,
    /// Confirmed blocks with something to take.
    usable: BTreeSet<BlockId>,
    unconfirmed: BTreeSet<BlockId>,
    /// How many unsettled takings refer to a block.
    in_flight: BTreeMap<BlockId, u32>,
    seen: Seen,
    /// The floor last told to the peer: blocks below it are never used by this end.
    told_floor: BlockId,
    /// Below this block, nothing of the peer's is left.
    passed: BlockId,
    account: PoolAccount,
}

impl Pool {
    pub(in crate::keys) fn new(side: usize, capacity: u64) -> Self {
        Self {
            side,
            capacity,
            blocks: BTreeMap::new(),
            usable: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            seen: Seen::default(),
            told_floor: BlockId(0),
            passed: BlockId(0),
            account: PoolAccount::default(),
        }
    }

    pub(in crate::keys) fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
    }
    pub(in crate::keys) fn account(&self) -> PoolAccount {
        self.account
    }
    /// What this end may take now, in bits.
    pub(in crate::keys) fn outgoing(&self) -> u64 {
        self.account.outgoing
    }

    /// Offers a block; it is not used before it is [confirmed](Self::confirm).
    pub(in crate::keys) fn store(&mut self, block: BlockId, key: &KeyMaterial) -> Offered {
        if self.seen.contains(block) || block.0 == u64::MAX {
            return Offered::Known;
        }
        self.seen.insert(block);
        let account = &mut self.account;
        let held = account.outgoing + account.incoming + account.unconfirmed;
        let bits = key.len() as u64;
        let fits = held.saturating_add(bits) <= self.capacity;
        let usable = bits > u64::from(HASH_BITS) + 1 && bits < 1 << 31;
        if !fits || !usable || block < self.told_floor {
            account.overflow += bits;
            return Offered::Dropped;
        }
        let length = bits as u32;
        let middle = HASH_BITS + (length - HASH_BITS) / 2;
        let halves = [Free(vec![(HASH_BITS, middle)]), Free(vec![(middle, length)])];
        let [first, second] = halves;
        let (outgoing, incoming) = if self.side == 0 { (first, second) } else { (second, first) };
        account.stored += bits;
        account.hashing += u64::from(HASH_BITS);
        account.unconfirmed += bits - u64::from(HASH_BITS);
        let store = Store::new(key);
        self.unconfirmed.insert(block);
        self.passed = self.passed.min(block);
        self.blocks
            .insert(block, Block { store, length, confirmed: false, proved: false, outgoing, incoming });
        Offered::Kept
    }

    /// Whether the block's number has come: it is held, used up, burned or dropped.
    pub(in crate::keys) fn has_seen(&self, block: BlockId) -> bool {
        self.seen.contains(block)
    }
    /// The length of a block that is held, in bits.
    pub(in crate::keys) fn length(&self, block: BlockId) -> Option<u32> {
        self.blocks.get(&block).map(|b| b.length)
    }
    /// Whether a block is held and waits for the peer's word.
    pub(in crate::keys) fn is_unconfirmed(&self, block: BlockId) -> bool {
        self.blocks.get(&block).is_some_and(|b| !b.confirmed)
    }

    /// The peer holds the block. `true` if that was news.
    pub(in crate::keys) fn confirm(&mut self, block: BlockId) -> bool {
        let Some(held) = self.blocks.get_mut(&block) else { return false };
        if held.confirmed {
            return false;
        }
        held.confirmed = true;
        self.unconfirmed.remove(&block);
        let (outgoing, incoming) = (held.outgoing.bits(), held.incoming.bits());
        self.account.unconfirmed -= outgoing + incoming;
        self.account.outgoing += outgoing;
        self.account.incoming += incoming;
        if outgoing > 0 {
            self.usable.insert(block);
        }
        true
    }

    /// Erases what is left of a block; gives how many bits were burned.
    pub(in crate::keys) fn burn(&mut self, block: BlockId) -> u64 {
        let Some(held) = self.blocks.remove(&block) else { return 0 };
        self.usable.remove(&block);
        self.unconfirmed.remove(&block);
        let (outgoing, incoming) = (held.outgoing.bits(), held.incoming.bits());
        if held.confirmed {
            self.account.outgoing -= outgoing;
            self.account.incoming -= incoming;
        } else {
            self.account.unconfirmed -= outgoing + incoming;
        }
        self.account.burned += outgoing + incoming;
        outgoing + incoming
    }

    /// Takes `bits` bits from the oldest confirmed blocks of this end's own, or nothing.
    pub(in crate::keys) fn take(&mut self, bits: u32) -> Option<Taken> {
        let stretches = self.pick(bits)?;
        let first = stretches.first()?.block;
        let hash_key = self.blocks.get(&first)?.hash_key();
        let mut text = zeroize::Zeroizing::new(BitString::with_capacity(bits as usize));
        for stretch in &stretches {
            if let Some(block) = self.blocks.get_mut(&stretch.block) {
                block.store.read(stretch.offset as usize, stretch.length as usize, &mut text);
            }
            self.spend(stretch);
            *self.in_flight.entry(stretch.block).or_default() += 1;
        }
        Some(Taken { stretches, bits: text, hash_key })
    }

    /// Whether [`take`](Self::take) would give so much.
    pub(in crate::keys) fn can_take(&self, bits: u32) -> bool {
        self.pick(bits).is_some()
    }
    /// What was taken here served nothing: it counts as burned.
    pub(in crate::keys) fn write_off(&mut self, stretches: &[Stretch]) -> u64 {
        let bits = stretches.iter().map(|s| u64::from(s.length)).sum();
        self.account.taken -= bits;
        self.account.burned += bits;
        bits
    }

    /// The stretches that would be taken.
    fn pick(&self, bits: u32) -> Option<Vec<Stretch>> {
        if u64::from(bits) > self.account.outgoing || bits == 0 {
            return None;
        }
        let mut wanted = bits;
        let mut stretches = Vec::new();
        for &block in &self.usable {
            for &(start, end) in &self.blocks.get(&block)?.outgoing.0 {
                let length = wanted.min(end - start);
                stretches.push(Stretch { block, offset: start, length });
                wanted -= length;
                if wanted == 0 {
                    return Some(stretches);
                }
                if stretches.len() == MAX_STRETCHES {
                    return None;
                }
            }
        }
        None
    }

    /// Takes a stretch of this end's own out of the books and out of memory; `false` if it was not free.
    pub(in crate::keys) fn spend(&mut self, stretch: &Stretch) -> bool {
        let Some(block) = self.blocks.get_mut(&stretch.block) else { return false };
        let Some(end) = stretch.offset.checked_add(stretch.length) else { return false };
        if !block.outgoing.remove(stretch.offset, end) {
            return false;
        }
        block.store.wipe(stretch.offset as usize, stretch.length as usize);
        self.leave_outgoing(stretch);
        self.account.taken += u64::from(stretch.length);
        self.drop_if_empty(stretch.block);
        true
    }

    fn leave_outgoing(&mut self, stretch: &Stretch) {
        let Some(block) = self.blocks.get(&stretch.block) else { return };
        if block.confirmed {
            self.account.outgoing -= u64::from(stretch.length);
            if block.outgoing.0.is_empty() {
                self.usable.remove(&stretch.block);
            }
        } else {
            self.account.unconfirmed -= u64::from(stretch.length);
        }
    }

    fn drop_if_empty(&mut self, block: BlockId) {
        if self.blocks.get(&block).is_some_and(|b| b.outgoing.0.is_empty() && b.incoming.0.is_empty()) {
            self.blocks.remove(&block);
            self.unconfirmed.remove(&block);
        }
    }

    /// The bits of stretches that the peer says it has taken, and the hash key of the first one's block; `None`
    /// if any of them is not here, used, burned, or this end's own. They
    /// stay in the pool until [received](Self::receive): the peer's word is still to be proved by its tag.
    pub(in crate::keys) fn look(
        &self,
        stretches: &[Stretch],
    ) -> Option<(zeroize::Zeroizing<BitString>, u128)> {
        let total: usize = stretches.iter().map(|s| s.length as usize).sum();
        let mut text = zeroize::Zeroizing::new(BitString::with_capacity(total));
        let mut hash_key = None;
        for (i, stretch) in stretches.iter().enumerate() {
            let block = self.blocks.get(&stretch.block)?;
            let end = stretch.offset.checked_add(stretch.length)?;
            let free = block.incoming.0.iter().any(|&(s, e)| s <= stretch.offset && end <= e);
            let twice = stretches[..i].iter().any(|other| {
                other.block == stretch.block
                    && other.offset < end
                    && stretch.offset < other.offset + other.length
            });
            if !free || twice || stretch.length == 0 {
                return None;
            }
            block.store.read(stretch.offset as usize, stretch.length as usize, &mut text);
            hash_key.get_or_insert_with(|| block.hash_key());
        }
        Some((text, hash_key?))
    }

    /// Takes a stretch of the peer's out of the books and out of memory; the peer has used it. `false` if it
    /// was not free.
    pub(in crate::keys) fn receive(&mut self, stretch: &Stretch) -> bool {
        self.confirm(stretch.block);
        let Some(block) = self.blocks.get_mut(&stretch.block) else { return false };
        let Some(end) = stretch.offset.checked_add(stretch.length) else { return false };
        if !block.incoming.remove(stretch.offset, end) {
            return false;
        }
        block.proved = true;
        block.store.wipe(stretch.offset as usize, stretch.length as usize);
        self.account.incoming -= u64::from(stretch.length);
        self.account.received += u64::from(stretch.length);
        self.drop_if_empty(stretch.block);
        true
    }

    /// The takings of these stretches are over: the peer has them, or they are given up.
    pub(in crate::keys) fn settle(&mut self, stretches: &[Stretch]) {
        for stretch in stretches {
            if let Some(count) = self.in_flight.get_mut(&stretch.block) {
                *count -= 1;
                if *count == 0 {
                    self.in_flight.remove(&stretch.block);
                }
            }
        }
    }

    /// Picks up to `bits` bits of this end's own from the newest blocks, to be [given](Self::give).
    pub(in crate::keys) fn pick_to_lend(&self, bits: u64) -> Vec<Stretch> {
        let mut wanted = bits;
        let mut stretches = Vec::new();
        for &block in self.usable.iter().rev() {
            for &(start, end) in self.blocks.get(&block).map_or(&[][..], |b| &b.outgoing.0).iter().rev() {
                if wanted == 0 || stretches.len() == MAX_STRETCHES {
                    return stretches;
                }
                let length = wanted.min(u64::from(end - start)) as u32;
                stretches.push(Stretch { block, offset: end - length, length });
                wanted -= u64::from(length);
            }
        }
        stretches
    }
    /// A stretch of this end's own becomes the peer's.
    pub(in crate::keys) fn give(&mut self, stretch: &Stretch) -> bool {
        let Some(block) = self.blocks.get_mut(&stretch.block) else { return false };
        let Some(end) = stretch.offset.checked_add(stretch.length) else { return false };
        if !block.outgoing.remove(stretch.offset, end) {
            return false;
        }
        block.incoming.insert(stretch.offset, end);
        self.passed = self.passed.min(stretch.block);
        let confirmed = block.confirmed;
        self.leave_outgoing(stretch);
        let length = u64::from(stretch.length);
        *(if confirmed { &mut self.account.incoming } else { &mut self.account.unconfirmed }) += length;
        true
    }
    /// A stretch of the peer's becomes this end's own. `false` if it is not here or not free.
    pub(in crate::keys) fn gain(&mut self, stretch: &Stretch) -> bool {
        self.confirm(stretch.block);
        let Some(block) = self.blocks.get_mut(&stretch.block) else { return false };
        let Some(end) = stretch.offset.checked_add(stretch.length) else { return false };
        if !block.incoming.remove(stretch.offset, end) {
            return false;
        }
        block.proved = true;
        block.outgoing.insert(stretch.offset, end);
        self.usable.insert(stretch.block);
        self.account.incoming -= u64::from(stretch.length);
        self.account.outgoing += u64::from(stretch.length);
        true
    }

    /// The block below which this end has nothing left to use. It falls only when the peer lends older key.
    pub(in crate::keys) fn floor(&mut self, lent: &[Stretch]) -> BlockId {
        let flying = self.in_flight.keys().next();
        let lent = lent.iter().map(|s| &s.block).min();
        let open = self.seen.open().next().unwrap_or(BlockId(self.seen.next));
        let held = [self.usable.first(), self.unconfirmed.first(), flying, lent];
        let floor = held.into_iter().flatten().copied().fold(open, BlockId::min);
        self.told_floor = self.told_floor.max(floor);
        floor
    }
    /// The peer will never use its stretches below `floor` again: they are burned. Gives how many bits.
    pub(in crate::keys) fn pass(&mut self, floor: BlockId) -> u64 {
        let mut burned = 0;
        let passed: Vec<BlockId> =
            self.blocks.range(self.passed.min(floor)..floor).map(|(&id, _)| id).collect();
        self.passed = self.passed.max(floor);
        for id in passed {
            let Some(block) = self.blocks.get_mut(&id) else { continue };
            let gone = core::mem::take(&mut block.incoming);
            for &(start, end) in &gone.0 {
                block.store.wipe(start as usize, (end - start) as usize);
            }
            let bits = gone.bits();
            *(if block.confirmed { &mut self.account.incoming } else { &mut self.account.unconfirmed }) -=
                bits;
            burned += bits;
            self.drop_if_empty(id);
        }
        self.account.burned += burned;
        burned
    }
}

//! The key that a node holds in common with one neighbour.
//!
//! Both ends fill their pools with the same blocks. Of every block the first [`HASH_BITS`] bits are set apart
//! as the hash key of the tags whose pads come from that block; the rest is cut in two halves. Each end *owns*
//! one half: it alone may take from it, so the two never pick the same bits, and no round trip is needed to
//! take. Owned stretches can be lent to the other end when the halves are spent unevenly. A block is used only
//! when the peer has said that it holds it too. A bit is taken once; what is taken is erased at once.

use super::material::{KeyMaterial, Store};
use super::statistics::PoolAccount;
use bellwether_bits::BitString;
use bellwether_units::BlockId;
use std::collections::{BTreeMap, BTreeSet};

/// How many bits of each block are its hash key.
pub(super) const HASH_BITS: u32 = 128;
/// Into how many stretches one taking may fall at most.
pub(super) const MAX_STRETCHES: usize = 256;
/// How far behind the newest block a block may arrive.
const WINDOW: u64 = 1024;
/// How far behind the newest block a block may arrive and still find its peer's half unburned.
const LATE: u64 = 32;

/// A stretch of a block: bits `offset..offset + length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    pub(super) block: BlockId,
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// What was taken from a pool.
pub(super) struct Taken {
    pub(super) stretches: Vec<Stretch>,
    /// The bits, which are no longer in the pool.
    pub(super) bits: zeroize::Zeroizing<BitString>,
    /// The hash key of the first stretch's block.
    pub(super) hash_key: u128,
}

/// Of the blocks `from..to`, an end may still use only what is in `free`, and the peer may only use what is in
/// `held`; of the blocks in `kept` nothing is said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inventory {
    pub(super) from: BlockId,
    pub(super) to: BlockId,
    pub(super) free: Vec<Stretch>,
    pub(super) held: Vec<Stretch>,
    pub(super) kept: Vec<BlockId>,
}

/// The part of `start..end` outside a cut.
fn without((start, end): (u32, u32), cut: (u32, u32)) -> impl Iterator<Item = (u32, u32)> {
    [(start, end.min(cut.0)), (start.max(cut.1), end)].into_iter().filter(|&(s, e)| s < e)
}

/// What became of a block that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Kept,
    /// Its number had come before.
    Known,
    /// The pool is full, or the block is too short, too long or too late to be used.
    Dropped,
}

/// Disjoint stretches `start..end` in rising order.
#[derive(Clone, Debug, Default)]
struct Free(Vec<(u32, u32)>);

impl Free {
    fn bits(&self) -> u64 {
        self.0.iter().map(|&(start, end)| u64::from(end - start)).sum()
    }
    /// Takes `start..end` out; `false` (and no change) unless all of it was in.
    fn remove(&mut self, start: u32, end: u32) -> bool {
        let Some(i) = self.0.iter().position(|&(s, e)| s <= start && end <= e) else { return false };
        let (s, e) = self.0[i];
        match (s < start, end < e) {
            (false, false) => drop(self.0.remove(i)),
            (true, false) => self.0[i].1 = start,
            (false, true) => self.0[i].0 = end,
            (true, true) => {
                self.0[i].1 = start;
                self.0.insert(i + 1, (end, e));
            }
        }
        true
    }
    /// The parts that none of these stretches covers.
    fn outside<'s>(&self, stretches: impl Iterator<Item = &'s Stretch>) -> Self {
        let mut rest = self.clone();
        for stretch in stretches {
            let cut = (stretch.offset, stretch.offset.saturating_add(stretch.length));
            rest.0 = rest.0.iter().flat_map(|&part| without(part, cut)).collect();
        }
        rest
    }
    fn insert(&mut self, start: u32, end: u32) {
        let i = self.0.partition_point(|&(s, _)| s < start);
        self.0.insert(i, (start, end));
        if i + 1 < self.0.len() && self.0[i].1 == self.0[i + 1].0 {
            self.0[i].1 = self.0.remove(i + 1).1;
        }
        if i > 0 && self.0[i - 1].1 == self.0[i].0 {
            self.0[i - 1].1 = self.0.remove(i).1;
        }
    }
}

struct Block {
    store: Store,
    length: u32,
    confirmed: bool,
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
pub(super) struct Pool {
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

/// The numbers of the blocks that have come, exact within [`WINDOW`] of the highest.
#[derive(Default)]
struct Seen {
    /// One above the highest.
    next: u64,
    recent: BTreeSet<u64>,
}

impl Seen {
    /// The numbers below the highest that may still come, as far as is waited for them.
    fn open(&self) -> impl Iterator<Item = BlockId> + '_ {
        (self.next.saturating_sub(LATE)..self.next).filter(|n| !self.recent.contains(n)).map(BlockId)
    }
    fn contains(&self, block: BlockId) -> bool {
        block.0 + WINDOW < self.next || self.recent.contains(&block.0)
    }
    fn insert(&mut self, block: BlockId) {
        self.next = self.next.max(block.0.saturating_add(1));
        self.recent.insert(block.0);
        while self.recent.first().is_some_and(|&first| first + WINDOW < self.next) {
            self.recent.pop_first();
        }
    }
}

impl Pool {
    pub(super) fn new(side: usize, capacity: u64) -> Self {
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

    pub(super) fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
    }
    pub(super) fn account(&self) -> PoolAccount {
        self.account
    }
    /// What this end may take now, in bits.
    pub(super) fn outgoing(&self) -> u64 {
        self.account.outgoing
    }

    /// Offers a block; it is not used before it is [confirmed](Self::confirm).
    pub(super) fn store(&mut self, block: BlockId, key: &KeyMaterial) -> Offered {
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
        self.blocks.insert(block, Block { store, length, confirmed: false, outgoing, incoming });
        Offered::Kept
    }

    /// Whether the block's number has come: it is held, used up, burned or dropped.
    pub(super) fn has_seen(&self, block: BlockId) -> bool {
        self.seen.contains(block)
    }
    /// The length of a block that is held, in bits.
    pub(super) fn length(&self, block: BlockId) -> Option<u32> {
        self.blocks.get(&block).map(|b| b.length)
    }
    /// Whether a block is held and waits for the peer's word.
    pub(super) fn is_unconfirmed(&self, block: BlockId) -> bool {
        self.blocks.get(&block).is_some_and(|b| !b.confirmed)
    }

    /// The peer holds the block. `true` if that was news.
    pub(super) fn confirm(&mut self, block: BlockId) -> bool {
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
    pub(super) fn burn(&mut self, block: BlockId) -> u64 {
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
    pub(super) fn take(&mut self, bits: u32) -> Option<Taken> {
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
    pub(super) fn can_take(&self, bits: u32) -> bool {
        self.pick(bits).is_some()
    }
    /// What was taken here served nothing: it counts as burned.
    pub(super) fn write_off(&mut self, stretches: &[Stretch]) -> u64 {
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
    pub(super) fn spend(&mut self, stretch: &Stretch) -> bool {
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
    pub(super) fn look(&self, stretches: &[Stretch]) -> Option<(zeroize::Zeroizing<BitString>, u128)> {
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
    pub(super) fn receive(&mut self, stretch: &Stretch) -> bool {
        self.confirm(stretch.block);
        let Some(block) = self.blocks.get_mut(&stretch.block) else { return false };
        let Some(end) = stretch.offset.checked_add(stretch.length) else { return false };
        if !block.incoming.remove(stretch.offset, end) {
            return false;
        }
        block.store.wipe(stretch.offset as usize, stretch.length as usize);
        self.account.incoming -= u64::from(stretch.length);
        self.account.received += u64::from(stretch.length);
        self.drop_if_empty(stretch.block);
        true
    }

    /// The takings of these stretches are over: the peer has them, or they are given up.
    pub(super) fn settle(&mut self, stretches: &[Stretch]) {
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
    pub(super) fn pick_to_lend(&self, bits: u64) -> Vec<Stretch> {
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
    pub(super) fn give(&mut self, stretch: &Stretch) -> bool {
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
    pub(super) fn gain(&mut self, stretch: &Stretch) -> bool {
        self.confirm(stretch.block);
        let Some(block) = self.blocks.get_mut(&stretch.block) else { return false };
        let Some(end) = stretch.offset.checked_add(stretch.length) else { return false };
        if !block.incoming.remove(stretch.offset, end) {
            return false;
        }
        block.outgoing.insert(stretch.offset, end);
        self.usable.insert(stretch.block);
        self.account.incoming -= u64::from(stretch.length);
        self.account.outgoing += u64::from(stretch.length);
        true
    }

    /// What either end may still use as this end sees it, in pieces of at most `most` stretches of each kind.
    /// Nothing is said of blocks of which key is on its way, and of such as may still come.
    pub(super) fn inventory(&self, lent: &[Stretch], most: usize) -> Vec<Inventory> {
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
    /// Burns what the peer says is not to be used; gives how many bits.
    pub(super) fn reconcile(&mut self, theirs: &Inventory) -> u64 {
        if theirs.to <= theirs.from {
            return 0;
        }
        let mut burned = 0;
        let range: Vec<_> = self.blocks.range(theirs.from..theirs.to).map(|(&id, _)| id).collect();
        for id in range {
            let Some(block) = self.blocks.get_mut(&id).filter(|_| !theirs.kept.contains(&id)) else {
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

    /// The block below which this end has nothing left to use. It falls only when the peer lends older key.
    pub(super) fn floor(&mut self, lent: &[Stretch]) -> BlockId {
        let flying = self.in_flight.keys().next();
        let lent = lent.iter().map(|s| &s.block).min();
        let open = self.seen.open().next().unwrap_or(BlockId(self.seen.next));
        let held = [self.usable.first(), self.unconfirmed.first(), flying, lent];
        let floor = held.into_iter().flatten().copied().fold(open, BlockId::min);
        self.told_floor = self.told_floor.max(floor);
        floor
    }
    /// The peer will never use its stretches below `floor` again: they are burned. Gives how many bits.
    pub(super) fn pass(&mut self, floor: BlockId) -> u64 {
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

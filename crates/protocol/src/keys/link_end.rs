//! One end of a link: its pool, and what the two ends tell each other of it.
//!
//! A block is announced once it is durable, and used once the peer has announced it too; announcements are
//! repeated, and a block that the peer never confirms is burned. When one half of the pool runs dry while the
//! other is full, the dry end borrows: the lender makes the loan durable and sends it with a tag, again and
//! again until the borrower names its number as the last that arrived.
//!
//! What is lost with a message (a stretch whose transfer never arrived, a block burned at one end) comes to light
//! when a pool runs dry or full, or after a restart: the ends then tell each other what they may still use.
//!
//! Announcements and inventories carry no tag. A forged one can make key be burned, which cutting the line does as well; it
//! cannot make a bit be used twice, nor by the wrong end.

use super::api::{BurnCause, Event, LinkCondition, PoolLevel};
use super::material::KeyMaterial;
use super::node::{KeyNode, Then, Timer, Turn};
use super::pool::{Inventory, Offered, Pool, Stretch};
use super::record::Step;
use super::tag::{TAG_BITS, tag};
use super::wire::{Frame, MAX_ENTRIES, Word, append_tag, split_tag};
use bellwether_units::{BlockId, LinkId, NodeId, Time};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// The least loan, in bits.
const MIN_LOAN: u64 = 512;

pub(super) struct LinkEnd {
    pub(super) link: LinkId,
    pub(super) peer: NodeId,
    pub(super) side: usize,
    pub(super) pool: Pool,
    pub(super) condition: LinkCondition,
    /// The level class last told to others, and when.
    pub(super) told: Option<(u8, Time)>,
    /// The number of the last state told to others.
    pub(super) sequence: u64,
    /// Durable blocks that wait for the peer's word: how often announced, and when next.
    offers: BTreeMap<BlockId, (u32, Time)>,
    /// The number of the last loan that came.
    borrowed: u64,
    asked: Option<Time>,
    /// When inventories were last exchanged.
    compared: Option<Time>,
    lent: Loan,
}

/// The last loan that this end gave.
#[derive(Default)]
struct Loan {
    number: u64,
    /// Its frame, while it is not known to have arrived.
    frame: Option<Vec<u8>>,
    /// It is durable, so that the frame may leave.
    durable: bool,
    /// All its key, while it is not known to have arrived.
    stretches: Vec<Stretch>,
}

impl Loan {
    fn arrived(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// The blocks of its key, while it is not known to have arrived.
    fn blocks(&self) -> impl Iterator<Item = BlockId> {
        self.stretches.iter().map(|stretch| stretch.block)
    }
}

impl LinkEnd {
    pub(super) fn new(link: LinkId, peer: NodeId, side: usize, capacity: u64) -> Self {
        Self {
            link,
            peer,
            side,
            pool: Pool::new(side, capacity),
            condition: LinkCondition::Up,
            told: None,
            sequence: 0,
            offers: BTreeMap::new(),
            borrowed: 0,
            asked: None,
            compared: None,
            lent: Loan::default(),
        }
    }

    pub(super) fn replay(&mut self, step: &Step) {
        match step {
            Step::Stored { block, key, .. } if self.pool.store(*block, key) == Offered::Kept => {
                self.offers.insert(*block, (0, Time::ZERO));
            }
            Step::Taken { stretches, .. } => stretches.iter().for_each(|s| _ = self.pool.spend(s)),
            Step::Received { stretches, .. } => stretches.iter().for_each(|s| _ = self.pool.receive(s)),
            Step::Given { number, stretches, .. } => {
                stretches.iter().for_each(|s| _ = self.pool.give(s));
                self.lent = Loan::arrived(*number);
            }
            Step::Gained { number, stretches, .. } => {
                stretches.iter().for_each(|s| _ = self.pool.gain(s));
                self.borrowed = *number;
            }
            Step::Link { pool, borrowed, lent, .. } => {
                self.pool.load(pool);
                self.offers = pool.blocks().map(|block| (block, (0, Time::ZERO))).collect();
                self.borrowed = *borrowed;
                self.lent = Loan::arrived(*lent);
            }
            _ => {}
        }
    }

    /// Burns the key of the pool, but keeps the numbers of blocks and loans.
    pub(super) fn forget_key(&mut self) -> u64 {
        self.offers.clear();
        self.pool.forget()
    }

    /// The step that stands for all that was replayed.
    pub(super) fn snapshot(&self) -> Step {
        let (pool, borrowed, lent) = (self.pool.image(), self.borrowed, self.lent.number);
        Step::Link { link: self.link, pool, borrowed, lent }
    }

    pub(super) fn level(&self) -> PoolLevel {
        let account = self.pool.account();
        PoolLevel { outgoing: account.outgoing, incoming: account.incoming, unconfirmed: account.unconfirmed }
    }

    /// The last piece alone asks for an answer.
    fn tell_inventory(&self, turn: &mut Turn<'_>, answer: bool) {
        let pieces = self.pool.inventory(&self.lent.stretches, MAX_ENTRIES);
        let last = pieces.len() - 1;
        for (i, inventory) in pieces.into_iter().enumerate() {
            let (link, answer, loan) = (self.link, answer && i == last, self.borrowed);
            turn.send(self.peer, &Frame::Inventory { link, answer, loan, inventory });
        }
    }

    fn announcement(&mut self, word: Word, blocks: Vec<(BlockId, u32)>) -> Frame {
        Frame::Announce { link: self.link, word, floor: self.pool.floor(&self.lent.stretches), blocks }
    }
}

impl KeyNode {
    /// The link, if it joins this node to `peer`.
    fn link_to(&mut self, peer: NodeId, link: LinkId) -> Option<&mut LinkEnd> {
        self.link_mut(link).filter(|end| end.peer == peer)
    }

    pub(super) fn store(&mut self, turn: &mut Turn<'_>, link: LinkId, block: BlockId, key: &KeyMaterial) {
        let Some(end) = self.link_mut(link) else { return };
        match end.pool.store(block, key) {
            Offered::Kept => {
                let step = Step::Stored { link, block, key: key.duplicate() };
                self.persist(turn, vec![step], Then::Announce(link, block));
            }
            Offered::Known => {}
            Offered::Dropped => {
                let peer = end.peer;
                let frame = end.announcement(Word::Missing, vec![(block, 0)]);
                turn.send(peer, &frame);
                self.compare(turn, link, false);
            }
        }
    }

    /// A block is durable: say so.
    pub(super) fn announce(&mut self, turn: &mut Turn<'_>, link: LinkId, block: BlockId) {
        let next = turn.now.saturating_add(self.settings.announce);
        let Some(end) = self.link_mut(link) else { return };
        let Some(length) = end.pool.length(block).filter(|_| end.pool.is_unconfirmed(block)) else { return };
        end.offers.insert(block, (1, next));
        let peer = end.peer;
        let frame = end.announcement(Word::Offer, vec![(block, length)]);
        turn.send(peer, &frame);
        self.timers.set_by(Timer::Announce(link), next);
    }

    pub(super) fn announce_due(&mut self, turn: &mut Turn<'_>, link: LinkId) {
        let (wait, most) = (self.settings.announce, self.settings.announcements);
        let Some(end) = self.link_mut(link) else { return };
        let due: Vec<_> =
            end.offers.iter().filter(|(_, o)| o.1 <= turn.now).map(|(&b, o)| (b, o.0)).collect();
        let (mut burned, mut again) = (0, Vec::new());
        for (block, tries) in due {
            if tries >= most {
                end.offers.remove(&block);
                burned += end.pool.burn(block);
            } else if let Some(length) = end.pool.length(block) {
                let next = turn.now.saturating_add(wait.saturating_mul(1 << tries.min(20)));
                end.offers.insert(block, (tries + 1, next));
                again.push((block, length));
            } else {
                end.offers.remove(&block);
            }
        }
        let next = end.offers.values().map(|o| o.1).min();
        let peer = end.peer;
        for blocks in again.chunks(MAX_ENTRIES) {
            let frame = end.announcement(Word::Offer, blocks.to_vec());
            turn.send(peer, &frame);
        }
        if let Some(next) = next {
            self.timers.set(Timer::Announce(link), next);
        }
        self.tell_burned(turn, link, burned, BurnCause::PeerMissing);
    }

    pub(super) fn tell_burned(&mut self, turn: &mut Turn<'_>, link: LinkId, bits: u64, cause: BurnCause) {
        if bits > 0 {
            turn.event(Event::Burned { link, bits, cause });
            self.note_level(turn, link);
        }
    }

    pub(super) fn hear_announcement(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        link: LinkId,
        word: Word,
        floor: BlockId,
        blocks: &[(BlockId, u32)],
    ) {
        let Some(end) = self.link_to(from, link) else { return };
        let (mut known, mut missing) = (Vec::new(), Vec::new());
        let (mut gone, mut mismatch, mut news) = (0, 0, false);
        for &(block, length) in blocks {
            let ours = end.pool.length(block);
            // A block that is not durable yet is as good as not here: it will be announced when it is.
            let durable = !end.pool.is_unconfirmed(block) || end.offers.contains_key(&block);
            match (word, ours) {
                (Word::Missing, Some(_)) => {
                    end.offers.remove(&block);
                    gone += end.pool.burn(block);
                }
                (_, Some(_)) if !durable => {}
                (_, Some(ours)) if ours != length => {
                    end.offers.remove(&block);
                    mismatch += end.pool.burn(block);
                    missing.push((block, 0));
                }
                (Word::Offer | Word::Known, Some(_)) => {
                    end.offers.remove(&block);
                    news |= end.pool.confirm(block);
                    if word == Word::Offer {
                        known.push((block, length));
                    }
                }
                (Word::Offer | Word::Known, None) if end.pool.has_seen(block) => missing.push((block, 0)),
                _ => {}
            }
        }
        // A floor that was told before a loan arrived knows nothing of it.
        let passed = end.pool.pass(end.lent.blocks().fold(floor, BlockId::min));
        for (word, blocks) in [(Word::Known, known), (Word::Missing, missing)] {
            if !blocks.is_empty() {
                let frame = end.announcement(word, blocks);
                turn.send(from, &frame);
            }
        }
        if end.offers.is_empty() {
            self.timers.cancel(Timer::Announce(link));
        }
        self.tell_burned(turn, link, gone, BurnCause::PeerMissing);
        self.tell_burned(turn, link, mismatch, BurnCause::Mismatch);
        self.tell_burned(turn, link, passed, BurnCause::PeerPassed);
        if news {
            self.note_level(turn, link);
            self.borrow(turn, link);
            turn.serve = true;
        }
    }

    /// Asks the peer for a loan if this end's half runs dry while the peer's is full, but not too often.
    pub(super) fn borrow(&mut self, turn: &mut Turn<'_>, link: LinkId) {
        let retry = self.settings.retry;
        let Some(end) = self.link_mut(link) else { return };
        let PoolLevel { outgoing, incoming, .. } = end.level();
        let lopsided = outgoing.saturating_mul(2) < incoming && incoming - outgoing >= 2 * MIN_LOAN;
        let asked = end.asked.is_some_and(|at| turn.now < at.saturating_add(retry));
        if lopsided && !asked && end.condition == LinkCondition::Up {
            end.asked = Some(turn.now);
            let wanted = (incoming - outgoing) / 2;
            let frame = Frame::Borrow { link, last: end.borrowed, wanted };
            turn.send(end.peer, &frame);
        }
    }

    pub(super) fn lend(&mut self, turn: &mut Turn<'_>, from: NodeId, link: LinkId, last: u64, wanted: u64) {
        let Some(end) = self.link_to(from, link) else { return };
        let number = end.lent.number;
        if last.checked_add(1) == Some(number)
            && let Some(frame) = &end.lent.frame
        {
            if end.lent.durable {
                turn.send_bytes(from, frame.clone());
            }
            return;
        }
        // What was lent before has arrived, or is lost with a crash and will be missed by both ends.
        // A borrower that could not read a loan counts it as arrived, and may be ahead.
        let number = number.max(last);
        end.lent = Loan::arrived(number);
        // What the borrower has taken of its own may still be on its way, so its word is taken for what it has left.
        let bits = wanted.min(end.level().outgoing / 2);
        if bits < MIN_LOAN {
            return;
        }
        let Some(pad) = end.pool.take(TAG_BITS) else { return };
        end.pool.settle(&pad.stretches);
        let lent = end.pool.pick_to_lend(bits);
        lent.iter().for_each(|s| _ = end.pool.give(s));
        let number = number.saturating_add(1);
        let frame = Frame::Lend { link, number, lent: lent.clone(), pad: pad.stretches.clone() };
        let mut bytes = frame.encode();
        let tag = tag(pad.hash_key, pad.bits.words().first().copied().unwrap_or(0), &bytes);
        append_tag(&mut bytes, tag);
        let all = lent.iter().chain(&pad.stretches).copied().collect();
        end.lent = Loan { number, frame: Some(bytes), durable: false, stretches: all };
        let steps = vec![
            Step::Taken { link, stretches: pad.stretches },
            Step::Given { link, number, stretches: lent },
        ];
        self.persist(turn, steps, Then::SendLoan(link, number));
        self.note_level(turn, link);
    }

    pub(super) fn send_loan(&mut self, turn: &mut Turn<'_>, link: LinkId, number: u64) {
        if let Some(end) = self.link_mut(link)
            && end.lent.number == number
            && let Some(frame) = &end.lent.frame
        {
            end.lent.durable = true;
            turn.send_bytes(end.peer, frame.clone());
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one frame")]
    pub(super) fn gain(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        link: LinkId,
        number: u64,
        lent: &[Stretch],
        pad: &[Stretch],
        bytes: &[u8],
    ) {
        let Some(end) = self.link_to(from, link) else { return };
        if number <= end.borrowed
            || pad.iter().map(|s| u64::from(s.length)).sum::<u64>() != u64::from(TAG_BITS)
        {
            return;
        }
        let Some((bits, hash_key)) = end.pool.look(pad) else {
            // Its pad is burned at this end: the loan is lost, and the next one is to have another number.
            end.borrowed = number.min(end.borrowed.saturating_add(1));
            let last = end.borrowed;
            return turn.send(from, &Frame::Borrow { link, last, wanted: 0 });
        };
        let (message, claimed) = split_tag(bytes);
        let right = tag(hash_key, bits.words().first().copied().unwrap_or(0), message);
        if !bool::from(right.to_le_bytes().ct_eq(&claimed.to_le_bytes())) {
            return turn.event(Event::Forged { link });
        }
        pad.iter().for_each(|s| _ = end.pool.receive(s));
        let stretches: Vec<_> = lent.iter().filter(|s| end.pool.gain(s)).copied().collect();
        end.borrowed = number;
        end.asked = None;
        turn.send(from, &Frame::Borrow { link, last: number, wanted: 0 });
        let steps =
            vec![Step::Received { link, stretches: pad.to_vec() }, Step::Gained { link, number, stretches }];
        self.persist(turn, steps, Then::Nothing);
        self.note_level(turn, link);
        turn.serve = true;
    }

    /// Tells the peer what this end may still use, and asks for the same, so that what was lost on the way does
    /// not fill the pool for ever. Not too often, unless the ends are known to differ.
    pub(super) fn compare(&mut self, turn: &mut Turn<'_>, link: LinkId, differ: bool) {
        let interval =
            if differ { self.settings.retransmit } else { self.settings.announce.saturating_mul(8) };
        let Some(end) = self.link_mut(link) else { return };
        if end.condition == LinkCondition::Cut
            || end.compared.is_some_and(|at| turn.now < at.saturating_add(interval))
        {
            return;
        }
        end.compared = Some(turn.now);
        end.tell_inventory(turn, true);
    }

    pub(super) fn hear_inventory(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        link: LinkId,
        (answer, loan): (bool, u64),
        inventory: &Inventory,
    ) {
        let Some(end) = self.link_to(from, link) else { return };
        if loan >= end.lent.number {
            end.lent = Loan::arrived(end.lent.number);
        } else if let Some(frame) = end.lent.frame.as_ref().filter(|_| end.lent.durable) {
            // A borrower whose key is gone asks for no loan again, and would never say what became of this one.
            turn.send_bytes(from, frame.clone());
        }
        // An inventory that was made before a loan arrived knows nothing of it either.
        let burned = end.pool.reconcile(inventory, &end.lent.blocks().collect());
        if answer {
            end.compared = Some(turn.now);
            end.tell_inventory(turn, false);
        }
        self.tell_burned(turn, link, burned, BurnCause::PeerPassed);
    }

    pub(super) fn restart_links(&mut self, turn: &mut Turn<'_>) {
        for i in 0..self.links.len() {
            let link = self.links[i].link;
            self.announce_due(turn, link);
            self.compare(turn, link, false);
            self.tell_own(turn, link, self.settings.condition_radius, true);
            self.note_level(turn, link);
        }
    }
}

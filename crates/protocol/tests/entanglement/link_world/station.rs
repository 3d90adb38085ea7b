//! What happens between the ends: attempts, heralds, outcomes, and the fate of whatever is sent.

use super::{Happening, LINK, World, us};
use bellwether_protocol::entanglement::PairId;
use bellwether_protocol::entanglement::link::{Arrival, BasisChoice, MidpointReply, TestBasis};
use bellwether_quantum::bell::BellIndex;

impl World {
    pub(crate) fn slots(&self) -> usize {
        self.sides[0].devices.len().min(self.sides[1].devices.len())
    }

    /// Plans the success of a slot that both ends attempt with.
    pub(super) fn attempt(&mut self, slot: usize) {
        if slot >= self.slots() || self.midpoint.is_none() {
            return;
        }
        let devices = [0, 1].map(|side| self.sides[side].devices[slot]);
        if devices.iter().all(|device| device.armed.is_some() && device.qubit.is_none()) {
            let wait = -libm::log(1.0 - self.fate.uniform()) * self.success_us as f64;
            let orders = devices.map(|device| device.order);
            self.at(self.now + us(1 + wait as u64), Happening::Success { slot, orders });
        }
    }

    pub(super) fn succeed(&mut self, slot: usize, orders: [u32; 2]) {
        let devices = [0, 1].map(|side| self.sides[side].devices[slot]);
        let same = [0, 1].into_iter().all(|side| devices[side].order == orders[side]);
        let (true, Some(midpoint)) = (same, &mut self.midpoint) else { return };
        let (cycle, heralded) =
            (self.now.picoseconds() / self.settings.cycle.picoseconds(), midpoint.heralded());
        let arrivals = devices.map(|device| match device.armed {
            Some(tag) if device.qubit.is_none() => Arrival::Announced { tag, cycle },
            _ => Arrival::Nothing,
        });
        if self.fate.chance(self.strays) {
            self.stray(slot, arrivals, cycle);
        }
        let Some(midpoint) = &mut self.midpoint else { return };
        let bell = BellIndex::from_bits(self.fate.below(4) as u8);
        let replies = midpoint.attempt(arrivals, Some(bell));
        if midpoint.heralded() > heralded {
            let id = PairId { link: LINK, epoch: self.epoch, sequence: heralded };
            self.truth.insert(id, bell);
            for (side, order) in [0, 1].into_iter().zip(orders) {
                self.sides[side].devices[slot].qubit = Some(id);
                self.at(self.now + us(3000), Happening::Unanswered { side, slot, order });
            }
        } else {
            // The ends do not agree yet; they try on.
            self.attempt(slot);
        }
        self.send_replies(replies);
    }

    pub(super) fn send_replies(&mut self, replies: [Option<MidpointReply>; 2]) {
        for (to, reply) in replies.into_iter().enumerate() {
            let Some(reply) = reply else { continue };
            if self.lose_reply_to == Some(to) {
                self.lose_reply_to = None;
            } else if self.delay_reply_to == Some(to) {
                self.delay_reply_to = None;
                let bytes = reply.encode();
                self.at(self.now + us(2000), Happening::Reply { to, bytes });
            } else {
                self.transmit(|bytes| Happening::Reply { to, bytes }, reply.encode());
            }
        }
    }

    /// An attempt that comes to nothing, in one of the ways in which it can.
    pub(super) fn stray(&mut self, slot: usize, mut arrivals: [Arrival; 2], cycle: u64) {
        let Some(midpoint) = &mut self.midpoint else { return };
        let (which, side) = (self.fate.below(4) as usize, self.fate.below(2) as usize);
        let mut click = None;
        match which {
            0 => {}
            1 => arrivals[side] = Arrival::Nothing,
            2 => arrivals[side] = Arrival::Photon,
            _ => {
                // An announcement for another request.
                if let Some(mut tag) = self.sides[side].devices[slot].armed {
                    tag.item.count ^= 1 << 30;
                    arrivals[side] = Arrival::Announced { tag, cycle };
                    click = Some(BellIndex::PSI_PLUS);
                }
            }
        }
        let heralded = midpoint.heralded();
        let replies = midpoint.attempt(arrivals, click);
        assert_eq!(midpoint.heralded(), heralded);
        self.stray_replies[which] += replies.iter().flatten().count() as u32;
        self.send_replies(replies);
    }

    pub(super) fn transmit(&mut self, happening: impl Fn(Vec<u8>) -> Happening, bytes: Vec<u8>) {
        self.messages += 1;
        let copies = if self.fate.chance(self.weather.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.fate.chance(self.weather.loss) {
                let at = self.now + us(50 + self.fate.below(self.weather.longest_delay_us - 49));
                self.at(at, happening(bytes.clone()));
            }
        }
    }

    /// One end's outcomes are random; the other's are as the Bell state has them, but for errors.
    pub(super) fn outcome(&mut self, side: usize, pair: PairId, basis: BasisChoice) -> bool {
        let first = pair.sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 != 0;
        let basis = TestBasis::ALL.into_iter().find(|test| test.choice() == basis).unwrap_or(TestBasis::Z);
        let error = self.fate.chance(self.error);
        first ^ (side == 1 && basis.differs(self.truth[&pair]) ^ error)
    }
}

//! Who has which pair, and what must hold of it.

use super::{Happening, InUse, World};
use bellwether_protocol::entanglement::PairId;
use bellwether_protocol::entanglement::link::{LinkPair, LinkUser};

impl World {
    pub(super) fn pair(&mut self, side: usize, pair: LinkPair) {
        let slot = Self::slot(side, pair.memory);
        assert_eq!(self.truth[&pair.id], pair.bell, "the Bell state is another");
        let here = &mut self.sides[side];
        assert_eq!(here.devices[slot].qubit, Some(pair.id), "the half is not there");
        assert!(here.in_use[slot].is_none(), "{} holds two pairs", pair.memory);
        assert!(here.delivered.iter().all(|old| old.id != pair.id), "{} comes twice", pair.id);
        assert!(pair.made <= self.now);
        here.delivered.push(pair);
        self.holds += 1;
        here.in_use[slot] = Some(InUse::Pair { pair, expired: false, hold: self.holds });
        if let Some(longest) = self.hold_us {
            let (at, life, hold) = (self.later(longest), self.sides[side].life, self.holds);
            self.at(at, Happening::Release { side, slot, life, hold });
        }
        let other = self.live(1 - side).into_iter().find(|other| other.id == pair.id);
        self.compare(&pair, other);
    }

    pub(super) fn compare(&self, ours: &LinkPair, theirs: Option<LinkPair>) {
        if let Some(theirs) = theirs {
            assert_eq!((ours.bell, ours.user, ours.made), (theirs.bell, theirs.user, theirs.made));
        }
    }

    /// The pairs that the users of an end hold, and that were not revoked.
    pub(crate) fn live(&self, side: usize) -> Vec<LinkPair> {
        let live = |in_use: &Option<InUse>| match in_use {
            Some(InUse::Pair { pair, expired: false, .. }) => Some(*pair),
            _ => None,
        };
        let mut live: Vec<_> = self.sides[side].in_use.iter().filter_map(live).collect();
        live.sort_unstable_by_key(|pair| pair.id);
        live
    }
    /// Whether the users of an end have or had a part in a pair, and do not know better.
    pub(crate) fn had(&self, side: usize, pair: &LinkPair) -> bool {
        let here = &self.sides[side];
        let delivered = || here.delivered.iter().any(|other| other.id == pair.id);
        !here.expired.contains(&pair.id)
            && !here.lost.contains(&pair.id)
            && (here.measured.contains_key(&pair.id) || delivered())
    }
    pub(crate) fn armed(&self, side: usize) -> usize {
        self.sides[side].devices.iter().filter(|device| device.armed.is_some()).count()
    }
    pub(crate) fn delivered_to(&self, side: usize, user: LinkUser) -> Vec<PairId> {
        let here = &self.sides[side];
        let valid = |pair: &&LinkPair| pair.user == user && !here.expired.contains(&pair.id);
        here.delivered.iter().filter(valid).map(|pair| pair.id).collect()
    }
}

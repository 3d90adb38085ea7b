//! What is true of halves in memories, which no protocol may know.

use bellwether_quantum::bell::{BellIndex, Purification};
use std::collections::BTreeMap;

/// A node and one of its memories.
pub(crate) type Place = (usize, u16);

#[derive(Clone, Copy, Debug)]
struct Pair {
    places: [Place; 2],
    /// The Bell state that it truly is in.
    label: BellIndex,
    /// How that differs from what was ever reported.
    error: BellIndex,
}

/// All memories of the network and the pairs whose halves they hold.
#[derive(Default)]
pub(crate) struct Light {
    pairs: BTreeMap<u64, Pair>,
    by_place: BTreeMap<Place, u64>,
    /// By the pairs that one end has compared, and the other has not: what that end saw.
    compared: BTreeMap<(u64, u64), bool>,
    next: u64,
}

impl Light {
    pub(crate) fn make(&mut self, places: [Place; 2], label: BellIndex, error: BellIndex) {
        for place in places {
            let old = self.by_place.insert(place, self.next);
            assert!(old.is_none(), "{place:?} holds a half already");
        }
        self.pairs.insert(self.next, Pair { places, label: label ^ error, error });
        self.next += 1;
    }

    /// The half is gone; the other one is worth nothing from then on.
    pub(crate) fn lose(&mut self, place: Place) {
        if let Some(pair) = self.by_place.remove(&place)
            && let Some(Pair { places, .. }) = self.pairs.remove(&pair)
        {
            places.iter().for_each(|place| _ = self.by_place.remove(place));
        }
    }

    /// A Bell measurement at one node; the outcome is told, and both memories hold nothing of use afterwards.
    pub(crate) fn swap(&mut self, left: Place, right: Place, outcome: BellIndex, error: BellIndex) {
        let halves = [left, right].map(|place| self.by_place.get(&place).copied());
        let [Some(a), Some(b)] = halves else {
            self.lose(left);
            self.lose(right);
            return;
        };
        assert!(a != b, "both halves of one pair at one node");
        let [Some(a), Some(b)] = [a, b].map(|pair| self.pairs.remove(&pair)) else { return };
        for place in a.places.iter().chain(&b.places) {
            self.by_place.remove(place);
        }
        let other = |pair: Pair, place| if pair.places[0] == place { pair.places[1] } else { pair.places[0] };
        let places = [other(a, left), other(b, right)];
        places.iter().for_each(|place| _ = self.by_place.insert(*place, self.next));
        let label = a.label ^ b.label ^ outcome ^ error;
        self.pairs.insert(self.next, Pair { places, label, error: a.error ^ b.error ^ error });
        self.next += 1;
    }

    /// One end compares two halves and measures the second; what it sees is a coin, and what the other end sees then tells
    /// the parity of what both pairs truly are.
    pub(crate) fn compare(&mut self, [kept, sacrificed]: [Place; 2], how: Purification, coin: bool) -> bool {
        let pair = |place| self.by_place.get(&place).copied();
        let (Some(k), Some(s)) = (pair(kept), pair(sacrificed)) else {
            self.lose(sacrificed);
            return coin;
        };
        self.by_place.remove(&sacrificed);
        let Some(first) = self.compared.remove(&(k, s)) else {
            self.compared.insert((k, s), coin);
            return coin;
        };
        let Some(other) = self.pairs.remove(&s) else { return coin };
        let Some(pair) = self.pairs.get_mut(&k) else { return coin };
        let (differ, label) = after_comparison(pair.label, other.label, how);
        pair.label = label;
        pair.error = after_comparison(pair.error, other.error, how).1;
        first ^ differ
    }

    /// How the pair differs from what a node would claim which knows all that was reported.
    pub(crate) fn error(&self, place: Place) -> Option<BellIndex> {
        Some(self.pairs.get(self.by_place.get(&place)?)?.error)
    }

    pub(crate) fn correct(&mut self, place: Place, pauli: BellIndex) {
        if let Some(pair) = self.by_place.get(&place).and_then(|pair| self.pairs.get_mut(pair)) {
            pair.label ^= pauli;
        }
    }

    /// Where the other half is, and the Bell state that a node would claim which knows all that was reported.
    pub(crate) fn truth(&self, place: Place) -> Option<(Place, BellIndex)> {
        let pair = self.pairs.get(self.by_place.get(&place)?)?;
        let other = if pair.places[0] == place { pair.places[1] } else { pair.places[0] };
        Some((other, pair.label ^ pair.error))
    }
}

/// Whether outcomes differ, and what the kept pair becomes: controlled-NOTs add the bit of the kept pair to that of the other
/// one, and the phase of that to its own.
fn after_comparison(kept: BellIndex, other: BellIndex, how: Purification) -> (bool, BellIndex) {
    let rotated = |index: BellIndex| match how {
        Purification::Bbpssw => index,
        Purification::Dejmps => BellIndex::new(index.bit() ^ index.phase(), index.phase()),
        Purification::Phase => BellIndex::new(index.phase(), index.bit()),
    };
    let (kept, other) = (rotated(kept), rotated(other));
    let after = BellIndex::new(kept.bit(), kept.phase() ^ other.phase());
    let undone = if how == Purification::Phase { rotated(after) } else { after };
    (kept.bit() ^ other.bit(), undone)
}

//! What is true of halves in memories, which no protocol may know.

use bellwether_quantum::bell::BellIndex;
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

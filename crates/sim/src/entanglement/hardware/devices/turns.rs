//! Who has a node's communication qubit.

use super::{Cell, Devices, Place, QubitRole, Surroundings};
use crate::entanglement::hardware::link::{CommunicationQubit, Exchange, Turn};
use bellwether_units::Time;

impl Devices {
    /// A communication qubit that kept a half is free again.
    #[inline]
    pub(super) fn vacated(&mut self, now: Time, cell: Cell, around: &mut impl Surroundings) {
        let Place { link, end, .. } = self.places[cell as usize];
        if self.wires[link as usize].roles[usize::from(end)] == QubitRole::Communication {
            self.end_turn(now, cell, around);
        }
    }

    fn turn(&self, cell: Cell) -> Option<(usize, Turn)> {
        let Place { link, end, slot } = self.places[cell as usize];
        let wire = &self.wires[link as usize];
        let role = wire.roles[usize::from(end)];
        let node = wire.ends[usize::from(end)].index();
        (role != QubitRole::Own).then_some((node, Turn { link, end, slot, role }))
    }
    /// A slot wants the node's communication qubit.
    pub(super) fn take_turn(&mut self, now: Time, cell: Cell, around: &mut impl Surroundings) {
        let Some((node, turn)) = self.turn(cell) else { return };
        let owner = self.stations[node].communication.as_ref().and_then(CommunicationQubit::owner);
        // An owner has no pair while it attempts.
        let attempts = owner.is_some_and(|Turn { link, end, slot, .. }| {
            let place = Place { link, end, slot };
            self.let_begin(now, place, around);
            !self.holdings.holds(self.cell_at(place))
        });
        let Some(qubit) = &mut self.stations[node].communication else { return };
        let exchange = qubit.ask(turn, attempts);
        self.exchange(now, exchange, around);
    }
    pub(super) fn end_turn(&mut self, now: Time, cell: Cell, around: &mut impl Surroundings) {
        let Some((node, turn)) = self.turn(cell) else { return };
        let Some(qubit) = &mut self.stations[node].communication else { return };
        let exchange = qubit.done(turn);
        self.exchange(now, exchange, around);
    }
    fn exchange(&mut self, now: Time, exchange: Exchange, around: &mut impl Surroundings) {
        for (turn, withheld) in [(exchange.withheld, true), (exchange.granted, false)] {
            let Some(Turn { link, end, slot, .. }) = turn else { continue };
            self.let_begin(now, Place { link, end, slot }, around);
            if withheld {
                self.wear_of(now, self.cell_at(Place { link, end, slot }));
            }
            let pending = self.wires[link as usize].hardware.withhold(end.into(), slot, withheld, now);
            Self::pending(link, pending, around);
        }
    }
}

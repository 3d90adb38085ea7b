//! A circuit at one of its nodes.

use super::terms::CircuitTerms;
use bellwether_units::Time;
use std::sync::Arc;

/// Towards which end, as an index.
pub(super) const HEAD: usize = 0;
pub(super) const TAIL: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Set aside, or only looked at because a node before has refused; the tail has not answered.
    Installing {
        promised: bool,
    },
    Up,
    /// At the head: tracks run out.
    Draining,
}

#[derive(Debug)]
pub(super) struct Passing {
    pub(super) terms: Arc<CircuitTerms>,
    pub(super) place: usize,
    pub(super) phase: Phase,
    /// Until when it is believed that the head wants it and that the tail has it.
    pub(super) alive: [Time; 2],
}

impl Passing {
    pub(super) fn is_head(&self) -> bool {
        self.place == 0
    }
    pub(super) fn is_tail(&self) -> bool {
        self.place == self.terms.hops.len()
    }
    /// When it lapses, unless something is heard.
    pub(super) fn lapses(&self) -> Time {
        match (self.is_head(), self.is_tail()) {
            (true, _) => self.alive[TAIL],
            (_, true) => self.alive[HEAD],
            _ => self.alive[HEAD].min(self.alive[TAIL]),
        }
    }
}

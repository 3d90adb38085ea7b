//! Programs that cannot go on: who waits for what.

use super::Programs;
use super::place::Place;
use bellwether_protocol::application::{Awaited, CallId};
use bellwether_units::{NodeId, Time};
use core::fmt;

/// Why programs have not ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// All programs wait for what will not come.
    #[error("all programs wait and nothing is pending, {0}")]
    Deadlock(Waiting),
    /// The run was to end.
    #[error("the time of the run is up, {0}")]
    TimeUp(Waiting),
}

/// Who waits, and since when there is nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// At what time.
    pub at: Time,
    /// By node, each program that has not ended.
    pub waits: Vec<(NodeId, Vec<Wait>)>,
}

/// What a program waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A message.
    Message {
        /// Whose.
        from: NodeId,
    },
    /// A half of a pair.
    Pair {
        /// With whom.
        with: NodeId,
        /// The how manieth call, from 0.
        call: u64,
        /// Whether the other end has made the call that this one meets.
        met: bool,
    },
    /// Pairs that are measured as they come.
    MeasuredPairs {
        /// With whom.
        with: NodeId,
        /// The how manieth call, from 0.
        call: u64,
        /// How many came.
        got: u64,
        /// How many were wanted.
        wanted: u64,
    },
    /// Gates or measurements.
    Operation,
    /// A later time.
    Sleep,
    /// Nothing that its node could answer.
    Nothing,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { from } => write!(f, "a message from {from}"),
            Self::Pair { with, call, met } => {
                write!(f, "a pair with {with} (its call {call}")?;
                f.write_str(if *met { ")" } else { ", which the other has not met)" })
            }
            Self::MeasuredPairs { with, call, got, wanted } => {
                write!(f, "measured pairs with {with} (its call {call}, {got} of {wanted} came)")
            }
            Self::Operation => f.write_str("its processor"),
            Self::Sleep => f.write_str("a later time"),
            Self::Nothing => f.write_str("something that is not its node's to give"),
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} s:", self.at.seconds())?;
        for (n, (node, waits)) in self.waits.iter().enumerate() {
            f.write_str(if n == 0 { " " } else { "; " })?;
            write!(f, "{node} waits for ")?;
            for (n, wait) in waits.iter().enumerate() {
                f.write_str(if n == 0 { "" } else { " and " })?;
                write!(f, "{wait}")?;
            }
        }
        Ok(())
    }
}

impl Programs {
    /// Whether the program at the other end has made the call that meets one, and whether a pair may come of it.
    fn meets(&self, with: NodeId, call: CallId) -> (bool, bool) {
        let seat = self.places.get(&with).map(|place| &place.seat);
        let met = seat.is_some_and(|seat| seat.has_called(call));
        (met, met && !seat.is_some_and(|seat| seat.has_failed(call)))
    }
    fn waits(&self, place: &Place) -> Vec<Wait> {
        let told = |awaited| match awaited {
            Awaited::Message { from } => Wait::Message { from },
            Awaited::Pair { with, call } => {
                Wait::Pair { with, call: call.number, met: self.meets(with, call).0 }
            }
            Awaited::MeasuredPairs { with, call, got, wanted } => {
                Wait::MeasuredPairs { with, call: call.number, got, wanted }
            }
            Awaited::Operation => Wait::Operation,
            Awaited::Sleep => Wait::Sleep,
        };
        let waits: Vec<_> = place.seat.waits().into_iter().map(told).collect();
        if waits.is_empty() { vec![Wait::Nothing] } else { waits }
    }
    pub(super) fn report(&self) -> Waiting {
        let open = self.places.iter().filter(|(_, place)| place.task.is_some());
        let waits = open.map(|(node, place)| (*node, self.waits(place))).collect();
        Waiting { at: self.world.now(), waits }
    }

    /// Whether anything that some program waits for may come, if all the others only wait.
    pub(super) fn can_go_on(&self) -> bool {
        let mut open = self.places.iter().filter(|(_, place)| place.task.is_some());
        open.any(|(node, place)| self.may_be_answered(*node, place))
    }
    fn may_be_answered(&self, node: NodeId, place: &Place) -> bool {
        let told = |from| self.ways.get(&(from, node)).is_some_and(|(_, under_way)| *under_way > 0);
        let desk = place.seat.desk();
        place.seat.waits().into_iter().any(|awaited| match awaited {
            Awaited::Operation | Awaited::Sleep => true,
            Awaited::Message { from } => told(from),
            // A call that has a limit ends by itself. Another ends when the network gives it a pair: the head's is served,
            // the tail's once the head has made its own and has not failed.
            Awaited::Pair { with, call } | Awaited::MeasuredPairs { with, call, .. } => {
                desk.until(call).is_some()
                    || told(with)
                    || desk.is_head(call.circuit)
                    || self.meets(with, call).1
            }
        })
    }
}

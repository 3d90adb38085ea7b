//! Programs that cannot go on: who waits for what.

use super::Programs;
use super::seat::{Answer, Seat};
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
    fn waits(&self, node: NodeId, seat: &Seat) -> Vec<Wait> {
        let mut waits = Vec::new();
        for (from, answers) in &seat.receiving {
            let awaited = answers.iter().filter(|answer| answer.is_awaited());
            waits.extend(awaited.map(|_| Wait::Message { from: *from }));
        }
        for (id, call) in &seat.calls {
            let (with, number) = (call.peer, id.number);
            match &call.answer {
                Answer::Pair(answer) if answer.is_awaited() => {
                    let met = self.seats.get(&with).is_some_and(|peer| has_called(peer, id.circuit, number));
                    waits.push(Wait::Pair { with, call: number, met });
                }
                Answer::Measured { got, wanted, answer, .. } if answer.is_awaited() => {
                    let (got, wanted) = (got.len() as u64, *wanted);
                    waits.push(Wait::MeasuredPairs { with, call: number, got, wanted });
                }
                _ => {}
            }
        }
        waits.extend((!seat.jobs.is_empty()).then_some(Wait::Operation));
        waits.extend((seat.sleeping > 0).then_some(Wait::Sleep));
        if waits.is_empty() {
            waits.push(Wait::Nothing);
        }
        debug_assert!(self.seats.contains_key(&node));
        waits
    }
    pub(super) fn report(&self) -> Waiting {
        let open = self.seats.iter().filter(|(_, seat)| seat.task.is_some());
        let waits = open.map(|(node, seat)| (*node, self.waits(*node, seat))).collect();
        Waiting { at: self.world.now(), waits }
    }

    /// Whether anything that some program waits for may come, if all the others only wait.
    pub(super) fn can_go_on(&self) -> bool {
        let open = self.seats.iter().filter(|(_, seat)| seat.task.is_some());
        open.into_iter().any(|(node, seat)| self.may_be_answered(*node, seat))
    }
    fn may_be_answered(&self, node: NodeId, seat: &Seat) -> bool {
        if !seat.jobs.is_empty() || seat.sleeping > 0 {
            return true;
        }
        let message = |(from, _): (&NodeId, _)| {
            self.ways.get(&(*from, node)).is_some_and(|(_, under_way)| *under_way > 0)
        };
        if seat.receiving.iter().any(message) {
            return true;
        }
        // A call that has a limit ends by itself. Another ends when the network gives it a pair: the head's is served, the
        // tail's once the head has made its own and has not failed.
        seat.calls.iter().any(|(id, call)| {
            let peer = self.seats.get(&call.peer);
            let told = self.ways.get(&(call.peer, node)).is_some_and(|(_, under_way)| *under_way > 0);
            let met =
                peer.is_some_and(|peer| has_called(peer, id.circuit, id.number) && !peer.failed.contains(id));
            seat.desk.until(*id).is_some() || told || seat.desk.is_head(id.circuit) || met
        })
    }
}

/// Whether a program has made a call of a number.
fn has_called(seat: &Seat, circuit: bellwether_protocol::entanglement::CircuitId, number: u64) -> bool {
    seat.desk.calls().iter().any(|(known, calls)| *known == circuit && *calls > number)
}

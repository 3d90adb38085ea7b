//! What a program waits for.

use super::{Answer, Seat};
use crate::application::CallId;
use bellwether_units::NodeId;

/// What a program waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A message.
    Message {
        /// Whose.
        from: NodeId,
    },
    /// A half of a pair.
    Pair {
        /// With whom.
        with: NodeId,
        /// For which call.
        call: CallId,
    },
    /// Pairs that are measured as they come.
    MeasuredPairs {
        /// With whom.
        with: NodeId,
        /// For which call.
        call: CallId,
        /// How many were measured.
        got: u64,
        /// How many were wanted.
        wanted: u64,
    },
    /// Gates or measurements.
    Operation,
    /// A later time.
    Sleep,
}

impl Seat {
    /// What the program waits for, as far as its node can give it: messages by their senders, calls by their numbers, and
    /// whether there are operations or sleep. Of what the program has given up waiting for there is nothing.
    pub fn waits(&self) -> Vec<Awaited> {
        let mut waits = Vec::new();
        for (from, answers) in &self.receiving {
            let awaited = answers.iter().filter(|answer| answer.is_awaited());
            waits.extend(awaited.map(|_| Awaited::Message { from: *from }));
        }
        let mut operates = self.jobs.iter().any(|job| job.answer.is_awaited());
        for (call, waiting) in &self.calls {
            let (with, call) = (waiting.peer, *call);
            match &waiting.answer {
                Answer::Pair(answer) if answer.is_awaited() => waits.push(Awaited::Pair { with, call }),
                Answer::Measured(measured) if measured.answer.is_awaited() => {
                    let (got, wanted) = (measured.got.len() as u64, measured.wanted);
                    waits.push(Awaited::MeasuredPairs { with, call, got, wanted });
                    operates |= measured.reading > 0;
                }
                Answer::Pair(_) | Answer::Measured(_) => {}
            }
        }
        waits.extend(operates.then_some(Awaited::Operation));
        waits.extend(self.sleepers.values().any(|answer| answer.is_awaited()).then_some(Awaited::Sleep));
        waits
    }
    /// Whether a call has failed here, so that no pair comes for the other end's.
    pub fn has_failed(&self, call: CallId) -> bool {
        self.failed.contains(&call)
    }
    /// Whether the program has made a call, that of the same number at the other end's meets it.
    pub fn has_called(&self, call: CallId) -> bool {
        self.desk.calls().iter().any(|(circuit, calls)| *circuit == call.circuit && *calls > call.number)
    }
}

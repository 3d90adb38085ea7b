//! The boundary between a protocol machine and what drives it.

use bellwether_units::Time;
use rand_core::Rng;

/// What can happen to a machine.
#[derive(Debug)]
pub enum Input<'a, P, C, R> {
    /// The node's own software or hardware wants or reports something.
    Command(C),
    /// Bytes arrived from a peer. They may be lost, doubled, late, reordered or forged.
    Frame {
        /// Who is said to have sent them.
        from: P,
        /// The frame as it arrived.
        bytes: &'a [u8],
    },
    /// The record with this number, which the machine had asked to [`Output::Persist`], is durable.
    Persisted(u64),
    /// A job that the machine had asked to [`Output::Compute`] is done.
    Computed(R),
    /// The time of [`Protocol::deadline`] has come. A superseded timeout must do no harm.
    Timeout,
}

/// What a machine wants done, in this order.
#[derive(Debug)]
pub enum Output<P, E, D, J> {
    /// Something that the node's software wants to know.
    Event(E),
    /// Send these bytes to a peer; they may get lost.
    Send {
        /// To whom.
        to: P,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// Make this record durable, then say [`Input::Persisted`] with this number.
    Persist(u64, D),
    /// Run this job, on any thread, then say [`Input::Computed`].
    Compute(J),
}

/// A state machine without I/O.
pub trait Protocol {
    /// How a peer is named.
    type Peer;
    /// What the node's software may ask or report.
    type Command;
    /// What the node's software is told.
    type Event;
    /// What must survive a crash.
    type Record;
    /// What may be computed off the reactor.
    type Job;
    /// What a job gives.
    type JobResult;

    /// The only way to move the machine. Effects are appended to `out` in the order in which they must be
    /// carried out. `rng` must be cryptographically strong wherever keys matter.
    #[expect(clippy::type_complexity, reason = "an alias would hide what a machine may want done")]
    fn handle(
        &mut self,
        now: Time,
        rng: &mut dyn Rng,
        input: Input<'_, Self::Peer, Self::Command, Self::JobResult>,
        out: &mut Vec<Output<Self::Peer, Self::Event, Self::Record, Self::Job>>,
    );

    /// When [`Input::Timeout`] is wanted next; ask again after every [`handle`](Self::handle).
    fn deadline(&self) -> Option<Time>;
}

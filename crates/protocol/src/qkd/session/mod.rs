//! One link's distillation as two state machines that only exchange frames.
//!
//! The [`Receiver`] is told what was detected, the [`Transmitter`] what it had prepared; each tells secret keys,
//! and the key of a block is the same at both ends. This is decoy-state BB84 with biased bases:
//!
//! 1. The receiver announces the clicks of a window; the transmitter answers which to keep
//!    ([`sift`](super::sift)). Windows are appended to the open block until it has its bits in the key basis.
//! 2. The receiver corrects its bits to the transmitter's ([`reconcile`](super::reconcile)), several blocks at
//!    once, while windows of the next block go on.
//! 3. It tells how many errors there were in each intensity class, under a tag that covers all it has sent.
//! 4. The transmitter computes the certificate ([`security`](super::security)), draws the seeds of verification
//!    and privacy amplification, and sends them under a tag that covers all *it* has sent. The receiver computes
//!    the same certificate by itself, verifies, and amplifies.
//! 5. The receiver makes the pads that were split off for authentication durable, confirms under a last tag and
//!    tells its key; the transmitter does the same when the confirmation has come.
//!
//! So a key is told only after every frame that led to it is covered by verified tags of both directions. A
//! block that yields no key, in which a monitor of side channels raised an alarm, that fails verification, or
//! that belongs to a session in which a tag failed is discarded whole. Either end may discard, and a message about
//! that needs no tag of its own: the end that discards seals nothing more of the block, and without its seal the
//! other has no key either. Frames may be lost, doubled, delayed and reordered; either end may crash and be made
//! anew from its [`Durable`] state.

mod block;
mod end;
mod event;
mod job;
mod message;
mod receiver;
mod settings;
mod transmitter;

pub use super::channel::Durable;
pub use event::{
    BlockReport, DiscardReason, LinkEvent, OtherEnd, ReceiverCommand, SkipReason, TransmitterCommand,
};
pub use job::{Job, JobResult};
pub use receiver::Receiver;
pub use settings::{AuthenticationBudget, Limits, LinkSettings, SettingsError, TagPolicy, Timing};
pub use transmitter::Transmitter;

use crate::machine::Output;
use crate::qkd::channel::Effects;

/// Where a machine puts what it wants done.
struct Sink<'a> {
    out: &'a mut Vec<Output<OtherEnd, LinkEvent, Durable, Job>>,
    effects: Effects,
}

impl<'a> Sink<'a> {
    fn new(out: &'a mut Vec<Output<OtherEnd, LinkEvent, Durable, Job>>) -> Self {
        Self { out, effects: Effects::default() }
    }
    fn event(&mut self, event: LinkEvent) {
        self.out.push(Output::Event(event));
    }
    /// Appends what the channel wants done. Nothing that is sent waits on a record of the same call.
    fn finish(self) {
        let Effects { frames, records, alarms } = self.effects;
        self.out.extend(alarms.into_iter().map(|alarm| Output::Event(LinkEvent::Alarm(alarm))));
        self.out.extend(records.into_iter().map(|(number, record)| Output::Persist(number, record)));
        self.out.extend(frames.into_iter().map(|bytes| Output::Send { to: OtherEnd, bytes }));
    }
}

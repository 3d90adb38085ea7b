//! Work that may be done on any thread.

use crate::qkd::amplify::Amplification;
use crate::qkd::reconcile::{CorrectingEnd, ReconcileError, ReferenceEnd, Step};
use bellwether_bits::SecretBits;
use bellwether_units::BlockId;
use core::fmt;

/// Messages of reconciliation with fewer bytes are worked through in less time than a thread is found for them.
const BRIEF_BYTES: usize = 256;

/// Work that a machine hands out: to be [`run`](Self::run) on any thread, its result to be given back as
/// [`Input::Computed`](crate::machine::Input::Computed).
pub struct Job {
    pub(super) session: u64,
    pub(super) block: BlockId,
    pub(super) work: Work,
}

/// What is to be done for a block.
pub(super) enum Work {
    /// To work through an answer.
    Correct { corrector: Box<CorrectingEnd>, answer: Vec<u8> },
    /// To answer a question.
    Answer { server: Box<ReferenceEnd>, question: Vec<u8> },
    /// To make its key.
    Amplify(Amplification),
}

/// What a [`Job`] gives.
pub struct JobResult {
    pub(super) session: u64,
    pub(super) block: BlockId,
    pub(super) done: Done,
}

/// What came out for a block.
pub(super) enum Done {
    Corrected { corrector: Box<CorrectingEnd>, step: Result<Step, ReconcileError> },
    Answered { server: Box<ReferenceEnd>, answer: Result<Vec<u8>, ReconcileError> },
    Amplified(SecretBits),
}

impl Job {
    /// Does the work.
    pub fn run(self) -> JobResult {
        let done = match self.work {
            Work::Correct { mut corrector, answer } => {
                let step = corrector.reply(&answer);
                Done::Corrected { corrector, step }
            }
            Work::Answer { mut server, question } => {
                let answer = server.answer(&question);
                Done::Answered { server, answer }
            }
            Work::Amplify(amplification) => Done::Amplified(amplification.run()),
        };
        JobResult { session: self.session, block: self.block, done }
    }

    /// Whether it makes the key of a block: what is not is one step of reconciliation.
    pub fn makes_key(&self) -> bool {
        matches!(self.work, Work::Amplify(_))
    }

    /// Whether it takes microseconds, so that another thread is not worth the way there and back.
    pub fn is_brief(&self) -> bool {
        match &self.work {
            Work::Correct { answer, .. } => answer.len() < BRIEF_BYTES,
            Work::Answer { question, .. } => question.len() < BRIEF_BYTES,
            Work::Amplify(_) => false,
        }
    }
}

impl fmt::Debug for Job {
    /// Shows what is done for which block, and never bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work: &dyn fmt::Debug = match &self.work {
            Work::Correct { corrector, .. } => corrector,
            Work::Answer { server, .. } => server,
            Work::Amplify(amplification) => amplification,
        };
        f.debug_struct("Job")
            .field("session", &self.session)
            .field("block", &self.block)
            .field("work", work)
            .finish()
    }
}

impl fmt::Debug for JobResult {
    /// Shows which block it is of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobResult")
            .field("session", &self.session)
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}

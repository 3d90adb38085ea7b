//! Work that may be done on any thread.

use crate::qkd::amplify::Amplification;
use bellwether_bits::SecretBits;
use bellwether_units::BlockId;

/// Work that a machine hands out: to be [`run`](Self::run) on any thread, its result to be given back as
/// [`Input::Computed`](crate::machine::Input::Computed).
#[derive(Debug)]
pub struct Job {
    pub(super) session: u64,
    pub(super) block: BlockId,
    pub(super) amplification: Amplification,
}

/// What a [`Job`] gives.
#[derive(Debug)]
pub struct JobResult {
    pub(super) session: u64,
    pub(super) block: BlockId,
    pub(super) key: SecretBits,
}

impl Job {
    /// Amplifies the block.
    pub fn run(self) -> JobResult {
        JobResult { session: self.session, block: self.block, key: self.amplification.run() }
    }
}

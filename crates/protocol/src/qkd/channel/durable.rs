//! What one end of a link must not forget in a crash.

use crate::qkd::authenticate::{AuthenticationError, AuthenticationKeys, Direction};
use bellwether_bits::SecretBits;
use core::fmt;

/// What survives a crash of one end: the secret for authentication, which of its one-time pads may be used
/// up, the last session and the first block number that was never used.
///
/// A machine asks to make one durable by [`Output::Persist`](crate::machine::Output::Persist); it replaces the
/// one before. A machine that is made anew is given the last durable one. It runs ahead of the machine: the
/// pads and block numbers between are lost in a crash, so that none is ever used twice.
pub struct Durable {
    /// The last session.
    pub(super) session: u64,
    /// The first block number that was never used.
    pub(super) next_block: u64,
    /// Two hash keys and the pads from number `first` on, as [`AuthenticationKeys`] lays them out.
    pub(super) secret: SecretBits,
    pub(super) first: u64,
    /// The first pad of each direction that was never used.
    pub(super) next: [u64; 2],
}

impl Durable {
    /// The state of an end that has never run, with a secret that only the two ends know. Both ends must be
    /// given the same secret: 256 bits for hash keys, and 256 bits for every pair of pads, one a direction.
    ///
    /// # Errors
    /// If the secret does not hold at least the hash keys and one pair.
    pub fn provisioned(secret: SecretBits) -> Result<Self, AuthenticationError> {
        if secret.len() < 512 {
            return Err(AuthenticationError::SecretTooShort { bits: secret.len() });
        }
        AuthenticationKeys::new(secret.duplicate(), Direction::TransmitterToReceiver)?;
        Ok(Self { session: 0, next_block: 0, secret, first: 0, next: [0, 0] })
    }

    /// A second copy, which is wiped as well.
    pub fn duplicate(&self) -> Self {
        Self { secret: self.secret.duplicate(), ..*self }
    }

    /// The last session that was begun.
    pub fn session(&self) -> u64 {
        self.session
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("session", &self.session)
            .field("next_block", &self.next_block)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

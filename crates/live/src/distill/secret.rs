//! The shared secret that authenticates, in a file, and which of its pads were used.

use super::FileError;
use super::progress::Progress;
use super::run::Role;
use crate::identity::files::read_private;
use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::authenticate::{AuthenticationError, AuthenticationKeys, Direction};
use bellwether_protocol::qkd::session::Durable;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The least secret: two hash keys, and a pad for each direction.
const LEAST_BYTES: usize = 64;

/// A shared secret in a file: any bytes that both ends have and nobody else, 64 or more. 32 are the keys of the
/// hashes, and each further 32 pay for one seal.
pub struct AuthenticationFile {
    keys: Option<AuthenticationKeys>,
    secret: SecretBits,
    next_pads: [u64; 2],
    progress: Progress,
}

#[derive(Serialize, Deserialize)]
struct Used {
    /// The numbers of the next pads, by direction.
    next_pads: [u64; 2],
}

impl AuthenticationFile {
    /// Opens the secret in a file for one end of a distillation. What was used of it is kept in
    /// `FILE.alice.progress` or `FILE.bob.progress`, so that both ends may use one file on one machine.
    ///
    /// # Errors
    /// If the file or its record cannot be read, others may read it, or too little is left of it.
    pub fn open(path: &Path, role: Role) -> Result<Self, FileError> {
        let content = |problem: String| FileError::Content { path: path.to_owned(), problem };
        let bytes = read_private(path)?;
        if bytes.len() < LEAST_BYTES {
            return Err(content(format!(
                "has {} bytes, and a secret for authentication has at least {LEAST_BYTES}; make one for both ends \
                 with: head -c 4096 /dev/urandom > FILE",
                bytes.len()
            )));
        }
        let (progress, used) = Progress::open::<Used>(path, &format!(".{role}.progress"))?;
        let next = used.map_or([0; 2], |used| used.next_pads);
        let secret = SecretBits::new(BitString::from_bytes(&bytes, bytes.len() * 8));
        let direction = match role {
            Role::Alice => Direction::TransmitterToReceiver,
            Role::Bob => Direction::ReceiverToTransmitter,
        };
        let keys = AuthenticationKeys::resume(secret.duplicate(), direction, 0, next);
        let keys = keys.map_err(|error| content(error.to_string()))?;
        if keys.remaining(direction) == 0 || keys.remaining(direction.reverse()) == 0 {
            return Err(content(format!(
                "all of it is used up, {} says: agree on a new one",
                progress.path().display()
            )));
        }
        Ok(Self { keys: Some(keys), secret, next_pads: next, progress })
    }

    pub(super) fn take_keys(&mut self) -> Option<AuthenticationKeys> {
        self.keys.take()
    }

    /// The secret as an end of a link session takes it.
    pub(super) fn durable(&self) -> Result<Durable, AuthenticationError> {
        Ok(Durable::provisioned(self.secret.duplicate())?.with_next_pads(self.next_pads))
    }

    pub(super) fn used(&self, next_pads: [u64; 2]) -> Result<(), FileError> {
        // What is set down ahead of its use may lie beyond the last.
        let pads = (self.secret.len() / 256).saturating_sub(1) as u64;
        self.progress.keep(&Used { next_pads: next_pads.map(|next| next.min(pads)) })
    }
}

//! Tags over all that was said since the last, or none where there is no shared secret.

use super::event::RawFailure;
use crate::qkd::authenticate::{
    AuthenticationError, AuthenticationKeys, Direction, Tag, TranscriptHash, forgery_probability,
};

/// What was said on a connection since the last tag, in both directions, and the secret that tags are made of, if there is
/// one. Whoever speaks on the connection before the machines of raw keys do hands it on to them, so that the first tags
/// cover that as well.
pub struct Seals {
    keys: Option<AuthenticationKeys>,
    sent: Option<TranscriptHash>,
    received: Option<TranscriptHash>,
    received_bytes: u64,
    /// The probability that a forgery passed, since it was last asked for.
    forgery: f64,
}

impl Seals {
    /// Nothing was said yet.
    pub fn new(keys: Option<AuthenticationKeys>) -> Self {
        let sent = keys.as_ref().map(AuthenticationKeys::sending_transcript);
        let received = keys.as_ref().map(AuthenticationKeys::receiving_transcript);
        Self { keys, sent, received, received_bytes: 0, forgery: 0.0 }
    }

    /// Whether there are tags.
    pub fn are_wanted(&self) -> bool {
        self.keys.is_some()
    }

    /// A frame leaves, in this order.
    pub(in crate::qkd) fn sending(&mut self, frame: &[u8]) {
        if let Some(sent) = &mut self.sent {
            sent.absorb(frame);
        }
    }

    /// A frame, without the tag that it may carry, has arrived, in this order.
    pub(in crate::qkd) fn receiving(&mut self, frame: &[u8]) {
        if let Some(received) = &mut self.received {
            received.absorb(frame);
            self.received_bytes = self.received_bytes.saturating_add(frame.len() as u64 + 8);
        }
    }

    /// The tag of all that was sent since the last. It uses up a pad, which must be durable before it leaves.
    pub(super) fn seal(&mut self) -> Result<Tag, RawFailure> {
        let (Some(keys), Some(sent)) = (&mut self.keys, &mut self.sent) else {
            return Ok(Tag { pad_index: 0, tag: 0 });
        };
        let tag = keys.seal(sent).map_err(RawFailure::Exhausted)?;
        *sent = keys.sending_transcript();
        Ok(tag)
    }

    /// Whether the other end sent just what was received since its last tag.
    pub(super) fn verify(&mut self, tag: Tag) -> Result<(), RawFailure> {
        let (Some(keys), Some(received)) = (&mut self.keys, &mut self.received) else {
            let none = tag == Tag { pad_index: 0, tag: 0 };
            return if none { Ok(()) } else { Err(RawFailure::Forged(AuthenticationError::Forged)) };
        };
        keys.verify(received, tag).map_err(RawFailure::Forged)?;
        *received = keys.receiving_transcript();
        self.forgery += forgery_probability(core::mem::take(&mut self.received_bytes));
        Ok(())
    }

    /// The number of the next pad of each direction, if there are any.
    pub(super) fn pads(&self) -> Option<[u64; 2]> {
        let keys = self.keys.as_ref()?;
        let mut pads = [0; 2];
        for direction in [Direction::TransmitterToReceiver, Direction::ReceiverToTransmitter] {
            pads[direction as usize] = keys.consumed(direction);
        }
        Some(pads)
    }

    /// With which probability a forgery passed since this was last asked.
    pub(super) fn take_forgery(&mut self) -> f64 {
        core::mem::take(&mut self.forgery)
    }
}

//! The pre-shared secret as a ledger of one-time pads.

use super::{AuthenticationError, Direction, Tag, TranscriptHash};
use bellwether_bits::SecretBits;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Bits of a hash key, of a pad, of a tag.
const UNIT: usize = 128;
/// Bits of the two hash keys at the front of a secret.
pub(super) const HASH_KEYS: usize = 2 * UNIT;
/// Bits of one pad for each direction.
pub(super) const PAD_PAIR: usize = 2 * UNIT;

/// One direction's share of the secret.
pub(super) struct Side {
    pub(super) hash_key: u128,
    pads: SecretBits,
    /// The number of the first pad in `pads`.
    next: u64,
}

impl Side {
    fn held(&self) -> u64 {
        (self.pads.len() / UNIT) as u64
    }

    fn end(&self) -> u64 {
        self.next + self.held()
    }

    /// Pad `index`, which must be held.
    fn pad(&self, index: u64) -> u128 {
        let start = (index - self.next) as usize * UNIT;
        unit(&self.pads.slice(start..start + UNIT))
    }

    /// Wipes all pads before `next`, which must be held.
    fn advance(&mut self, next: u64) {
        let spent = (next - self.next) as usize * UNIT;
        let taken = self.pads.take(spent);
        debug_assert!(taken.is_some());
        self.next = next;
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.hash_key.zeroize();
    }
}

/// The first 128 bits.
fn unit(bits: &SecretBits) -> u128 {
    let words = bits.expose().words();
    u128::from(words[0]) | u128::from(words[1]) << 64
}

/// The pre-shared secret of one end, as a ledger: which pads are left, and which come next.
///
/// The secret is laid out as hash key and hash key, then pad and pad, and so on, the direction
/// [`TransmitterToReceiver`](Direction::TransmitterToReceiver) first each time; both ends divide it alike. A
/// secret with replenishments appended is laid out as one secret.
///
/// ```
/// use bellwether_bits::SecretBits;
/// use bellwether_protocol::qkd::authenticate::{AuthenticationKeys, Direction};
/// use bellwether_units::{EntityId, Purpose, Stream};
///
/// let secret = SecretBits::random(1024, &mut Stream::new(1, EntityId(0), Purpose::named("example")));
/// let mut alice = AuthenticationKeys::new(secret.duplicate(), Direction::TransmitterToReceiver)?;
/// let mut bob = AuthenticationKeys::new(secret, Direction::ReceiverToTransmitter)?;
///
/// let mut sent = alice.sending_transcript();
/// sent.absorb(b"bases");
/// let tag = alice.seal(&sent)?;
///
/// let mut received = bob.receiving_transcript();
/// received.absorb(b"bases");
/// bob.verify(&received, tag)?;
/// assert!(bob.verify(&received, tag).is_err(), "a replay");
/// assert_eq!(alice.remaining(Direction::TransmitterToReceiver), 2);
/// # Ok::<(), bellwether_protocol::qkd::authenticate::AuthenticationError>(())
/// ```
pub struct AuthenticationKeys {
    sending: Direction,
    /// In the order of [`Direction`].
    pub(super) sides: [Side; 2],
}

impl AuthenticationKeys {
    /// The keys of the end that sends in direction `sending`, from a secret of which nothing was used.
    ///
    /// # Errors
    /// If the secret has fewer than 256 bits. What is left beyond a multiple of 256 is wiped.
    pub fn new(secret: SecretBits, sending: Direction) -> Result<Self, AuthenticationError> {
        Self::resume(secret, sending, 0, [0, 0])
    }

    /// The keys after a restart. `secret` holds the hash keys and the pads from number `first` on;
    /// `next[direction as usize]` is the first pad that was not used, at least [`consumed`](Self::consumed) as
    /// it was when the last tag left or was accepted. It must have been made durable before that tag left; to
    /// save writes, a higher number may be made durable ahead, and the pads between are lost at a restart.
    ///
    /// # Errors
    /// If the secret is too short, or does not reach from `first` to `next`.
    pub fn resume(
        mut secret: SecretBits,
        sending: Direction,
        first: u64,
        next: [u64; 2],
    ) -> Result<Self, AuthenticationError> {
        let bits = secret.len();
        let Some(hash_keys) = secret.take(HASH_KEYS) else {
            return Err(AuthenticationError::SecretTooShort { bits });
        };
        let side = |at: usize| Side {
            hash_key: unit(&hash_keys.slice(at * UNIT..(at + 1) * UNIT)),
            pads: SecretBits::default(),
            next: first,
        };
        let mut keys = Self { sending, sides: [side(0), side(1)] };
        keys.replenish(secret);
        for (side, next) in keys.sides.iter_mut().zip(next) {
            if next < first || next > side.end() {
                return Err(AuthenticationError::Unresumable { next, first, end: side.end() });
            }
            side.advance(next);
        }
        Ok(keys)
    }

    /// Appends fresh pads for both directions and tells how many for each. Both ends must do it with the same
    /// bits in the same order. What is left beyond a multiple of 256 bits is wiped.
    pub fn replenish(&mut self, mut fresh: SecretBits) -> u64 {
        let pairs = fresh.len() / PAD_PAIR;
        for _ in 0..pairs {
            for side in &mut self.sides {
                if let Some(pad) = fresh.take(UNIT) {
                    side.pads.append(pad);
                }
            }
        }
        pairs as u64
    }

    /// In which direction this end sends.
    pub fn sending(&self) -> Direction {
        self.sending
    }

    /// How many pads are left for a direction.
    pub fn remaining(&self, direction: Direction) -> u64 {
        self.side(direction).held()
    }

    /// How many pads of a direction are used or given up: the number of its next pad.
    pub fn consumed(&self, direction: Direction) -> u64 {
        self.side(direction).next
    }

    /// An empty transcript of what this end sends.
    pub fn sending_transcript(&self) -> TranscriptHash {
        self.transcript(self.sending)
    }

    /// An empty transcript of what this end receives.
    pub fn receiving_transcript(&self) -> TranscriptHash {
        self.transcript(self.sending.reverse())
    }

    /// The tag of what was sent. It uses up a pad; the new [`consumed`](Self::consumed) must be durable before
    /// the tag leaves.
    ///
    /// # Errors
    /// [`Exhausted`](AuthenticationError::Exhausted) if no pad is left, and
    /// [`Forged`](AuthenticationError::Forged) if the transcript is not one of what this end sends.
    pub fn seal(&mut self, sent: &TranscriptHash) -> Result<Tag, AuthenticationError> {
        if sent.direction() != self.sending {
            return Err(AuthenticationError::Forged);
        }
        let side = &mut self.sides[self.sending as usize];
        if side.held() == 0 {
            return Err(AuthenticationError::Exhausted { consumed: side.next });
        }
        let pad_index = side.next;
        let tag = sent.hash() ^ side.pad(pad_index);
        side.advance(pad_index + 1);
        Ok(Tag { pad_index, tag })
    }

    /// Accepts what was received if the tag belongs to it. That uses up the pad and all before it, whose tags
    /// must have been lost; a refusal uses up none, so that forgeries cannot drain the keys.
    ///
    /// # Errors
    /// [`SpentPad`](AuthenticationError::SpentPad) for a replay,
    /// [`UnknownPad`](AuthenticationError::UnknownPad) for a pad that is not held, else
    /// [`Forged`](AuthenticationError::Forged).
    pub fn verify(&mut self, received: &TranscriptHash, tag: Tag) -> Result<(), AuthenticationError> {
        let direction = self.sending.reverse();
        let side = &mut self.sides[direction as usize];
        let index = tag.pad_index;
        if index < side.next {
            return Err(AuthenticationError::SpentPad { index, next: side.next });
        }
        if index >= side.end() {
            return Err(AuthenticationError::UnknownPad { index, end: side.end() });
        }
        let expected = received.hash() ^ side.pad(index);
        let equal: bool = expected.to_le_bytes().ct_eq(&tag.tag.to_le_bytes()).into();
        if !equal || received.direction() != direction {
            return Err(AuthenticationError::Forged);
        }
        side.advance(index + 1);
        Ok(())
    }

    fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction as usize]
    }

    fn transcript(&self, direction: Direction) -> TranscriptHash {
        TranscriptHash::new(direction, self.side(direction).hash_key)
    }
}

impl core::fmt::Debug for AuthenticationKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AuthenticationKeys")
            .field("sending", &self.sending)
            .field("remaining", &self.sides.each_ref().map(Side::held))
            .field("consumed", &self.sides.each_ref().map(|side| side.next))
            .finish_non_exhaustive()
    }
}

//! Authentication: Wegman-Carter tags from pre-shared secret, with its budget.
//!
//! The tag of a message is its polynomial hash over GF(2^128) plus a one-time pad of 128 bits. The hash key
//! is used again and again; each pad is used once. A message of L bits that the peer did not send passes with
//! probability at most (ceil(L/128) + 1) / 2^128, whatever was sent and tagged before, and each further
//! attempt adds as much (Wegman & Carter, J. Comput. Syst. Sci. 22, 265 (1981), section 4; Stinson, Des.
//! Codes Cryptogr. 4, 369 (1994), for almost universal families; Portmann, IEEE Trans. Inf. Theory 60, 4383
//! (2014), for composable security with the hash key recycled).
//!
//! Each direction has its own hash key and its own pads, so that no message can be sent back to its author.
//! Pads are numbered from 0 without end; a number is never used twice by the sealing end and never accepted
//! twice by the verifying end.

use bellwether_bits::SecretBits;
use bellwether_bits::gf128::PolynomialHasher;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroize;

/// Bits of a hash key, of a pad, of a tag.
const UNIT: usize = 128;
/// Bits of the two hash keys at the front of a secret.
const HASH_KEYS: usize = 2 * UNIT;
/// Bits of one pad for each direction.
const PAD_PAIR: usize = 2 * UNIT;

/// From which end a message comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the end that sends the pulses.
    TransmitterToReceiver,
    /// From the end that detects them.
    ReceiverToTransmitter,
}

impl Direction {
    /// The other direction.
    pub const fn reverse(self) -> Self {
        match self {
            Self::TransmitterToReceiver => Self::ReceiverToTransmitter,
            Self::ReceiverToTransmitter => Self::TransmitterToReceiver,
        }
    }
}

/// Why a message was not sealed or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthenticationError {
    /// The pre-shared secret is too short to hold the hash keys.
    #[error(
        "a pre-shared secret of {bits} bits is too short: two hash keys take 256 and every pair of pads as many more"
    )]
    SecretTooShort {
        /// Bits of the secret.
        bits: usize,
    },
    /// The position to resume at lies outside the secret.
    #[error("pad {next} cannot be the next: the secret holds the pads from {first} to before {end}")]
    Unresumable {
        /// The next pad asked for.
        next: u64,
        /// The first pad that the secret holds.
        first: u64,
        /// One after the last.
        end: u64,
    },
    /// No pad is left to seal with.
    #[error("all {consumed} pads are consumed: the authentication keys must be replenished")]
    Exhausted {
        /// How many pads were consumed.
        consumed: u64,
    },
    /// The tag names a pad that was used before: a replay, or a peer that has lost its place.
    #[error("pad {index} is spent: the next is {next}")]
    SpentPad {
        /// The pad named.
        index: u64,
        /// The first that may be.
        next: u64,
    },
    /// The tag names a pad that this end does not hold (yet).
    #[error("pad {index} is not held: the pads held end before {end}")]
    UnknownPad {
        /// The pad named.
        index: u64,
        /// One after the last pad held.
        end: u64,
    },
    /// The tag is not that of the transcript.
    #[error("the tag does not belong to what was received")]
    Forged,
}

/// The tag of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The number of the pad that hides the hash.
    pub pad_index: u64,
    /// The hash plus the pad.
    pub tag: u128,
}

impl Tag {
    /// Bytes of an encoded tag.
    pub const ENCODED_LEN: usize = 24;

    /// The pad's number (8 bytes) and the tag (16 bytes), little-endian.
    pub fn to_bytes(self) -> [u8; Self::ENCODED_LEN] {
        let mut bytes = [0; Self::ENCODED_LEN];
        bytes[..8].copy_from_slice(&self.pad_index.to_le_bytes());
        bytes[8..].copy_from_slice(&self.tag.to_le_bytes());
        bytes
    }

    /// The reverse of [`to_bytes`](Self::to_bytes). Any bytes are some tag.
    pub fn from_bytes(bytes: [u8; Self::ENCODED_LEN]) -> Self {
        let (mut pad_index, mut tag) = ([0; 8], [0; 16]);
        pad_index.copy_from_slice(&bytes[..8]);
        tag.copy_from_slice(&bytes[8..]);
        Self { pad_index: u64::from_le_bytes(pad_index), tag: u128::from_le_bytes(tag) }
    }
}

/// The hash of all frames of one direction that one tag is to cover.
///
/// Each frame is absorbed with its length before it, so that frames cannot be moved, split or joined.
pub struct TranscriptHash {
    direction: Direction,
    hasher: PolynomialHasher,
    bytes: u64,
}

impl TranscriptHash {
    /// Appends a frame.
    pub fn absorb(&mut self, frame: &[u8]) {
        self.hasher.update(&(frame.len() as u64).to_le_bytes());
        self.hasher.update(frame);
        self.bytes = self.bytes.saturating_add(8).saturating_add(frame.len() as u64);
    }

    /// Which direction's frames it absorbs.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The most with which another transcript, no longer than this one, passes under a given tag.
    pub fn forgery_probability(&self) -> f64 {
        forgery_probability(self.bytes)
    }
}

impl core::fmt::Debug for TranscriptHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TranscriptHash({:?}, {} bytes)", self.direction, self.bytes)
    }
}

/// The most with which one attempt at forging a transcript of `bytes` bytes (8 more for every frame) passes:
/// (ceil(L/128) + 1) / 2^128.
///
/// ```
/// use bellwether_protocol::qkd::authenticate::forgery_probability;
///
/// assert!(forgery_probability(125_000) < 2.4e-35); // 1 Mbit
/// ```
pub fn forgery_probability(bytes: u64) -> f64 {
    libm::ldexp(bytes.div_ceil(16) as f64 + 1.0, -128)
}

/// One direction's share of the secret.
struct Side {
    hash_key: u128,
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
    sides: [Side; 2],
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
        if sent.direction != self.sending {
            return Err(AuthenticationError::Forged);
        }
        let side = &mut self.sides[self.sending as usize];
        if side.held() == 0 {
            return Err(AuthenticationError::Exhausted { consumed: side.next });
        }
        let pad_index = side.next;
        let tag = sent.hasher.finish() ^ side.pad(pad_index);
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
        let expected = received.hasher.finish() ^ side.pad(index);
        let equal: bool = expected.to_le_bytes().ct_eq(&tag.tag.to_le_bytes()).into();
        if !equal || received.direction != direction {
            return Err(AuthenticationError::Forged);
        }
        side.advance(index + 1);
        Ok(())
    }

    fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction as usize]
    }

    fn transcript(&self, direction: Direction) -> TranscriptHash {
        let hasher = PolynomialHasher::new(self.side(direction).hash_key);
        TranscriptHash { direction, hasher, bytes: 0 }
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

#[cfg(test)]
mod tests {
    use super::Direction::{ReceiverToTransmitter, TransmitterToReceiver};
    use super::*;
    use bellwether_bits::BitString;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn random(bits: usize, run: u64) -> SecretBits {
        SecretBits::random(bits, &mut Stream::new(run, EntityId(0), Purpose::named("authenticate")))
    }

    fn ends(pads: usize, run: u64) -> (AuthenticationKeys, AuthenticationKeys) {
        let secret = random(HASH_KEYS + pads * PAD_PAIR, run);
        let alice = AuthenticationKeys::new(secret.duplicate(), TransmitterToReceiver).unwrap();
        (alice, AuthenticationKeys::new(secret, ReceiverToTransmitter).unwrap())
    }

    fn absorb<'a>(mut hash: TranscriptHash, frames: impl IntoIterator<Item = &'a Vec<u8>>) -> TranscriptHash {
        frames.into_iter().for_each(|frame| hash.absorb(frame));
        hash
    }

    fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..8)
    }

    #[derive(Clone, Debug)]
    enum Tampering {
        FlipBit(prop::sample::Index, prop::sample::Index, u8),
        Truncate(prop::sample::Index),
        Extend(prop::sample::Index, u8),
        Drop(prop::sample::Index),
        Repeat(prop::sample::Index),
        Swap(prop::sample::Index, prop::sample::Index),
        Join(prop::sample::Index),
        FlipTag(u32),
        MovePad(u64),
    }

    fn tampering() -> impl Strategy<Value = Tampering> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            (index(), index(), 0u8..8).prop_map(|(frame, byte, bit)| Tampering::FlipBit(frame, byte, bit)),
            index().prop_map(Tampering::Truncate),
            (index(), any::<u8>()).prop_map(|(frame, byte)| Tampering::Extend(frame, byte)),
            index().prop_map(Tampering::Drop),
            index().prop_map(Tampering::Repeat),
            (index(), index()).prop_map(|(a, b)| Tampering::Swap(a, b)),
            index().prop_map(Tampering::Join),
            (0u32..128).prop_map(Tampering::FlipTag),
            any::<u64>().prop_map(Tampering::MovePad),
        ]
    }

    fn tamper(frames: &mut Vec<Vec<u8>>, tag: &mut Tag, how: Tampering) {
        let count = frames.len();
        match how {
            Tampering::FlipBit(frame, byte, bit) => {
                let frame = &mut frames[frame.index(count)];
                if !frame.is_empty() {
                    let byte = byte.index(frame.len());
                    frame[byte] ^= 1 << bit;
                }
            }
            Tampering::Truncate(frame) => drop(frames[frame.index(count)].pop()),
            Tampering::Extend(frame, byte) => frames[frame.index(count)].push(byte),
            Tampering::Drop(frame) => drop(frames.remove(frame.index(count))),
            Tampering::Repeat(frame) => frames.push(frames[frame.index(count)].clone()),
            Tampering::Swap(a, b) => frames.swap(a.index(count), b.index(count)),
            Tampering::Join(frame) => {
                let frame = frame.index(count);
                if frame + 1 < count {
                    let next = frames.remove(frame + 1);
                    frames[frame].extend(next);
                }
            }
            Tampering::FlipTag(bit) => tag.tag ^= 1 << bit,
            Tampering::MovePad(by) => tag.pad_index = tag.pad_index.wrapping_add(by),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn tampering_is_always_refused_and_costs_no_pad(frames in frames(), how in tampering(), run: u64) {
            let (mut alice, mut bob) = ends(4, run);
            let sent = absorb(alice.sending_transcript(), &frames);
            let tag = alice.seal(&sent).unwrap();

            let (mut received, mut received_tag) = (frames.clone(), tag);
            tamper(&mut received, &mut received_tag, how);
            prop_assume!((&received, received_tag) != (&frames, tag));
            let transcript = absorb(bob.receiving_transcript(), &received);
            prop_assert!(bob.verify(&transcript, received_tag).is_err());
            prop_assert_eq!(bob.consumed(TransmitterToReceiver), 0);

            let transcript = absorb(bob.receiving_transcript(), &frames);
            prop_assert_eq!(bob.verify(&transcript, tag), Ok(()));
            prop_assert_eq!(
                bob.verify(&transcript, tag),
                Err(AuthenticationError::SpentPad { index: 0, next: 1 }),
            );
        }

        /// Whatever is sealed, lost, replenished or restarted, no pad is used twice in one direction, and no
        /// accepted number is accepted again.
        #[test]
        fn pads_are_never_reused(steps in prop::collection::vec(0u8..6, 1..60), run: u64) {
            let mut log = random(HASH_KEYS + 3 * PAD_PAIR, run);
            let (mut alice, mut bob) = (
                AuthenticationKeys::new(log.duplicate(), TransmitterToReceiver).unwrap(),
                AuthenticationKeys::new(log.duplicate(), ReceiverToTransmitter).unwrap(),
            );
            let (mut sealed, mut accepted) = (BTreeSet::new(), BTreeSet::new());
            let mut pads = BTreeSet::new();
            let mut last = None;
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    0..=2 => {
                        let frame = vec![at as u8; at];
                        let sent = absorb(alice.sending_transcript(), [&frame]);
                        match alice.seal(&sent) {
                            Ok(tag) => {
                                prop_assert!(sealed.insert(tag.pad_index), "sealed twice with one number");
                                prop_assert!(pads.insert(tag.tag ^ sent.hasher.finish()), "one pad twice");
                                last = Some((frame, tag));
                            }
                            Err(error) => {
                                let exhausted = matches!(error, AuthenticationError::Exhausted { .. });
                                prop_assert!(exhausted);
                                prop_assert_eq!(alice.remaining(TransmitterToReceiver), 0);
                            }
                        }
                    }
                    3 => {
                        if let Some((frame, tag)) = &last {
                            let received = absorb(bob.receiving_transcript(), [frame]);
                            let new = bob.verify(&received, *tag).is_ok();
                            prop_assert_eq!(new, accepted.insert(tag.pad_index));
                        }
                    }
                    4 => {
                        let fresh = random(PAD_PAIR * (at % 3), run ^ at as u64 ^ 0x5555);
                        log.append(fresh.duplicate());
                        alice.replenish(fresh.duplicate());
                        bob.replenish(fresh);
                    }
                    _ => {
                        let next = [
                            alice.consumed(TransmitterToReceiver),
                            alice.consumed(ReceiverToTransmitter),
                        ];
                        alice = AuthenticationKeys::resume(log.duplicate(), TransmitterToReceiver, 0, next).unwrap();
                        let next = [bob.consumed(TransmitterToReceiver), bob.consumed(ReceiverToTransmitter)];
                        bob = AuthenticationKeys::resume(log.duplicate(), ReceiverToTransmitter, 0, next).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn a_message_sent_back_to_its_author_is_refused() {
        let (mut alice, mut bob) = ends(2, 1);
        let frame = b"detected slots".to_vec();
        let tag = alice.seal(&absorb(alice.sending_transcript(), [&frame])).unwrap();
        let reflected = absorb(alice.receiving_transcript(), [&frame]);
        assert_eq!(alice.verify(&reflected, tag), Err(AuthenticationError::Forged));
        let own = absorb(bob.sending_transcript(), [&frame]);
        assert_eq!(bob.verify(&own, tag), Err(AuthenticationError::Forged));
        assert_eq!(alice.seal(&reflected), Err(AuthenticationError::Forged));
    }

    #[test]
    fn lost_tags_are_skipped_and_then_refused() {
        let (mut alice, mut bob) = ends(3, 2);
        let frames: Vec<Vec<u8>> = (0..3).map(|i| vec![i]).collect();
        let tags: Vec<Tag> = frames
            .iter()
            .map(|frame| alice.seal(&absorb(alice.sending_transcript(), [frame])).unwrap())
            .collect();
        let received = |bob: &AuthenticationKeys, i: usize| absorb(bob.receiving_transcript(), [&frames[i]]);
        assert_eq!(bob.verify(&received(&bob, 1), tags[1]), Ok(()));
        let late = AuthenticationError::SpentPad { index: 0, next: 2 };
        assert_eq!(bob.verify(&received(&bob, 0), tags[0]), Err(late));
        assert_eq!(bob.verify(&received(&bob, 2), tags[2]), Ok(()));
        let beyond = Tag { pad_index: u64::MAX, tag: 0 };
        let unknown = AuthenticationError::UnknownPad { index: u64::MAX, end: 3 };
        assert_eq!(bob.verify(&received(&bob, 0), beyond), Err(unknown));
        let exhausted = AuthenticationError::Exhausted { consumed: 3 };
        assert_eq!(alice.seal(&alice.sending_transcript()), Err(exhausted));
    }

    #[test]
    fn a_restart_cannot_rewind_or_overrun() {
        let secret = random(HASH_KEYS + 4 * PAD_PAIR + 200, 3);
        let resume = |first, next| {
            AuthenticationKeys::resume(secret.duplicate(), TransmitterToReceiver, first, next).map(|_| ())
        };
        assert_eq!(resume(10, [10, 14]), Ok(()));
        let before = AuthenticationError::Unresumable { next: 9, first: 10, end: 14 };
        assert_eq!(resume(10, [9, 10]), Err(before));
        let after = AuthenticationError::Unresumable { next: 15, first: 10, end: 14 };
        assert_eq!(resume(10, [10, 15]), Err(after));
        let short = AuthenticationKeys::new(random(255, 0), TransmitterToReceiver).map(|_| ());
        assert_eq!(short, Err(AuthenticationError::SecretTooShort { bits: 255 }));
    }

    #[test]
    fn a_tag_is_the_hash_plus_the_pad() {
        let secret = BitString::from_words(vec![1, 2, 3, 4, 5, 6, 7, 8], 512);
        let mut keys = AuthenticationKeys::new(SecretBits::new(secret), ReceiverToTransmitter).unwrap();
        let sent = absorb(keys.sending_transcript(), [&b"abc".to_vec()]);
        let mut hasher = PolynomialHasher::new(3 | 4 << 64);
        hasher.update(&[3, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', b'c']);
        let tag = keys.seal(&sent).unwrap();
        assert_eq!(tag, Tag { pad_index: 0, tag: hasher.finish() ^ (7 | 8 << 64) });
        assert_eq!(Tag::from_bytes(tag.to_bytes()), tag);
    }

    #[test]
    fn debug_shows_no_secret() {
        let (alice, _) = ends(2, 4);
        let shown = format!("{alice:?} {:?}", alice.sending_transcript());
        assert!(shown.contains("remaining: [2, 2]"), "{shown}");
        assert!(!shown.contains(&format!("{}", alice.sides[0].hash_key)));
    }
}

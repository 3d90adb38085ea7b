//! Tags against tampering, replay and restarts.

use super::Direction::{ReceiverToTransmitter, TransmitterToReceiver};
use super::keys::{HASH_KEYS, PAD_PAIR};
use super::*;
use bellwether_bits::gf128::PolynomialHasher;
use bellwether_bits::{BitString, SecretBits};
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
                            prop_assert!(pads.insert(tag.tag ^ sent.hash()), "one pad twice");
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

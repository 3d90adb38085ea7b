//! Forged transcripts never verify.
//!
//! The sender seals what it has sent; the attacker changes, adds, drops, splits, joins and swaps frames, and
//! changes the tag. The receiver accepts nothing but what was sent under the tag it was sent with, and that
//! once; a refusal uses up no pad.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_bits::SecretBits;
use bellwether_fuzz::mutation::{Mutation, Payload, Rest};
use bellwether_protocol::qkd::authenticate::{AuthenticationKeys, Direction, Tag};
use bellwether_units::{EntityId, Purpose, Stream};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Attack {
    seed: u8,
    rounds: Rest<Round, 12>,
}

#[derive(Arbitrary, Debug)]
struct Round {
    sent: Vec<Payload>,
    lost: bool,
    forgeries: Vec<Forgery>,
}

#[derive(Arbitrary, Debug)]
enum Forgery {
    Frame { which: u8, mutation: Mutation },
    Tag(Mutation),
    Swap(u8, u8),
    Drop(u8),
    Repeat(u8),
    Split { which: u8, at: u16 },
    Join(u8),
    Reflect,
    Anything { frames: Vec<Payload>, tag: [u8; Tag::ENCODED_LEN] },
}

fuzz_target!(|attack: Attack| {
    let mut stream = Stream::new(u64::from(attack.seed), EntityId(0), Purpose::named("fuzz"));
    let secret = SecretBits::random(256 * 9, &mut stream);
    let Ok(mut sender) = AuthenticationKeys::new(secret.duplicate(), Direction::TransmitterToReceiver) else {
        return;
    };
    let Ok(mut receiver) = AuthenticationKeys::new(secret, Direction::ReceiverToTransmitter) else { return };
    for round in attack.rounds.iter() {
        let mut sent = sender.sending_transcript();
        round.sent.iter().for_each(|frame| sent.absorb(frame));
        let sent_frames: Vec<Vec<u8>> = round.sent.iter().map(|frame| frame.0.clone()).collect();
        let Ok(tag) = sender.seal(&sent) else { return };
        for forgery in round.forgeries.iter().take(16) {
            let (mut frames, mut bytes, mut reflected) =
                (sent_frames.clone(), tag.to_bytes().to_vec(), false);
            forge(forgery, &mut frames, &mut bytes, &mut reflected);
            bytes.resize(Tag::ENCODED_LEN, 0);
            let Some(&forged) = bytes.first_chunk() else { return };
            if !reflected && frames == sent_frames && forged == tag.to_bytes() {
                continue;
            }
            let left = receiver.remaining(Direction::TransmitterToReceiver);
            let mut transcript =
                if reflected { receiver.sending_transcript() } else { receiver.receiving_transcript() };
            frames.iter().for_each(|frame| transcript.absorb(frame));
            assert!(receiver.verify(&transcript, Tag::from_bytes(forged)).is_err(), "a forgery is accepted");
            assert_eq!(receiver.remaining(Direction::TransmitterToReceiver), left, "a forgery used up a pad");
        }
        if round.lost {
            continue;
        }
        let mut received = receiver.receiving_transcript();
        round.sent.iter().for_each(|frame| received.absorb(frame));
        assert_eq!(receiver.verify(&received, tag), Ok(()), "what was sent is refused");
        assert!(receiver.verify(&received, tag).is_err(), "a replay is accepted");
    }
});

fn forge(forgery: &Forgery, frames: &mut Vec<Vec<u8>>, tag: &mut Vec<u8>, reflected: &mut bool) {
    let count = frames.len();
    let place = |which: u8| usize::from(which) % count.max(1);
    match forgery {
        Forgery::Tag(mutation) => mutation.apply(tag, 0, |_| None),
        Forgery::Reflect => *reflected = true,
        Forgery::Anything { frames: others, tag: other } => {
            *frames = others.iter().map(|frame| frame.0.clone()).collect();
            *tag = other.to_vec();
        }
        _ if count == 0 => frames.push(Vec::new()),
        Forgery::Frame { which, mutation } => {
            let others = frames.clone();
            mutation
                .apply(&mut frames[place(*which)], 0, |other| others.get(other % count).map(Vec::as_slice));
        }
        Forgery::Swap(a, b) => frames.swap(place(*a), place(*b)),
        Forgery::Drop(which) => drop(frames.remove(place(*which))),
        Forgery::Repeat(which) => frames.insert(place(*which), frames[place(*which)].clone()),
        Forgery::Split { which, at } => {
            let which = place(*which);
            let at = usize::from(*at) % (frames[which].len() + 1);
            let rest = frames[which].split_off(at);
            frames.insert(which + 1, rest);
        }
        Forgery::Join(which) => {
            let which = place(*which);
            if which + 1 < count {
                let next = frames.remove(which + 1);
                frames[which].extend(next);
            }
        }
    }
}

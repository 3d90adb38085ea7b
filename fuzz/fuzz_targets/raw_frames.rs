//! Frames changed, replayed and forged between the two ends that distil a recorded raw key.
//!
//! With tags, no attack makes keys differ that both told, and the reference end tells none before the other; without
//! them nothing is promised but bounded effects. What decodes as a message encodes to the same bytes.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_bits::{BitString, SecretBits};
use bellwether_fuzz::mutation::{Mutation, Payload, Rest};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::authenticate::{AuthenticationKeys, Direction};
use bellwether_protocol::qkd::raw::{
    CorrectingEnd, Message, RawCommand, RawEvent, RawJob, RawJobResult, RawRecord, RawSettings, ReferenceEnd,
    SecrecyClaim,
};
use bellwether_protocol::qkd::session::OtherEnd;
use bellwether_units::{BlockId, EntityId, Purpose, Stream, Time};
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;

#[derive(Arbitrary, Debug)]
struct Attack {
    seed: u16,
    tags: bool,
    /// Frames out of nothing: to which end, before which of its frames.
    forged: Vec<(bool, u8, Payload)>,
    /// Changes to frames in their order, after so many that pass.
    passed: u8,
    changes: Rest<Vec<Mutation>, 64>,
}

const BITS: usize = 6000;

struct End<M> {
    machine: M,
    raw: BitString,
    random: Stream,
    inbox: VecDeque<Vec<u8>>,
    keys: Vec<(BlockId, SecretBits)>,
    ended: bool,
}

impl<M> End<M>
where
    M: Protocol<
            Peer = OtherEnd,
            Command = RawCommand,
            Event = RawEvent,
            Record = RawRecord,
            Job = RawJob,
            JobResult = RawJobResult,
        >,
{
    fn tell(&mut self, input: Input<'_, OtherEnd, RawCommand, RawJobResult>) -> Vec<Vec<u8>> {
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        self.machine.handle(Time::ZERO, &mut self.random, input, &mut out);
        let mut effects = VecDeque::from(out);
        while let Some(effect) = effects.pop_front() {
            let mut more = Vec::new();
            let mut then = |input| self.machine.handle(Time::ZERO, &mut self.random, input, &mut more);
            match effect {
                Output::Send { bytes, .. } => {
                    assert!(bytes.len() < 8 * BITS, "a frame of {} bytes", bytes.len());
                    sent.push(bytes);
                }
                Output::Persist(number, _) => then(Input::Persisted(number)),
                Output::Compute(job) => then(Input::Computed(job.run())),
                Output::Event(RawEvent::Wanted { block, bits }) => {
                    let bits = SecretBits::new(self.raw.slice(bits.start as usize..bits.end as usize));
                    then(Input::Command(RawCommand::Bits { block, bits }));
                }
                Output::Event(RawEvent::Key { block, key, .. }) => self.keys.push((block, key)),
                Output::Event(RawEvent::Ended { .. }) => self.ended = true,
                Output::Event(_) => assert!(!self.ended, "something is told after the end"),
            }
            effects.extend(more);
        }
        sent
    }
}

fuzz_target!(|attack: Attack| {
    let mut random = Stream::new(u64::from(attack.seed), EntityId(0), Purpose::named("raw"));
    let here = BitString::random(BITS, &mut random);
    let mut there = here.clone();
    (0..BITS).filter(|_| random.chance(0.02)).for_each(|bit| there.flip(bit));
    let settings = RawSettings {
        block_bits: 1500,
        seal_after: 2,
        blocks_in_flight: 2,
        error_rate: Some(0.02),
        ..RawSettings::new(BITS as u64, SecrecyClaim::MinEntropy(0.95))
    };
    let secret = SecretBits::random(256 * 20, &mut random);
    let keys = |direction| {
        let keys = AuthenticationKeys::new(secret.duplicate(), direction).expect("the secret is long enough");
        attack.tags.then_some(keys)
    };
    let Ok(alice) = ReferenceEnd::new(settings.clone(), keys(Direction::TransmitterToReceiver)) else { return };
    let Ok(bob) = CorrectingEnd::new(settings, keys(Direction::ReceiverToTransmitter)) else { return };
    let stream = |number| Stream::new(u64::from(attack.seed), EntityId(number), Purpose::named("end"));
    let (random, inbox, keys, ended) = (stream(1), VecDeque::new(), Vec::new(), false);
    let mut alice = End { machine: alice, raw: here, random, inbox, keys, ended };
    let (random, inbox, keys) = (stream(2), VecDeque::new(), Vec::new());
    let mut bob = End { machine: bob, raw: there, random, inbox, keys, ended };

    let passed = core::iter::repeat_n(&[][..], usize::from(attack.passed));
    let mut changes = passed.chain(attack.changes.iter().map(Vec::as_slice));
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut change = |mut frame: Vec<u8>| {
        seen.push(frame.clone());
        for mutation in changes.next().into_iter().flatten().take(8) {
            mutation.apply(&mut frame, 0, |other| seen.get(other % seen.len()).map(Vec::as_slice));
        }
        if let Ok((message, covered, _)) = Message::decode(&frame) {
            assert_eq!(message.encode(), covered);
        }
        frame
    };
    bob.inbox.extend(alice.tell(Input::Command(RawCommand::Connect)).into_iter().map(&mut change));
    alice.inbox.extend(bob.tell(Input::Command(RawCommand::Connect)).into_iter().map(&mut change));
    let mut forged = attack.forged.iter();
    for round in 0u32..20_000 {
        let mut moved = false;
        if round % 16 == 0
            && let Some((to_alice, _, bytes)) = forged.next()
        {
            let inbox = if *to_alice { &mut alice.inbox } else { &mut bob.inbox };
            inbox.push_front(bytes.iter().copied().collect());
        }
        let mut sent = bob.tell(Input::Command(RawCommand::Proceed));
        if let Some(frame) = bob.inbox.pop_front() {
            sent.extend(bob.tell(Input::Frame { from: OtherEnd, bytes: &frame }));
            moved = true;
        }
        moved |= !sent.is_empty();
        alice.inbox.extend(sent.into_iter().map(&mut change));
        if let Some(frame) = alice.inbox.pop_front() {
            let sent = alice.tell(Input::Frame { from: OtherEnd, bytes: &frame });
            bob.inbox.extend(sent.into_iter().map(&mut change));
            moved = true;
        }
        if !moved {
            break;
        }
    }
    assert!(alice.keys.len() <= 4 && bob.keys.len() <= 4, "a block gives key once");
    if attack.tags {
        assert!(bob.keys.len() <= alice.keys.len(), "the reference end tells first");
        for (a, b) in alice.keys.iter().zip(&bob.keys) {
            assert!(a.0 == b.0 && a.1 == b.1, "{} has different keys", a.0);
        }
    }
});

//! Two ends in one thread, over carriers that are honest or not.

mod attacks;
mod honest;

use super::*;
use crate::machine::{Input, Output, Protocol};
use crate::qkd::authenticate::{AuthenticationKeys, Direction};
use crate::qkd::session::OtherEnd;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{BlockId, EntityId, Purpose, Stream, Time};
use std::collections::VecDeque;

/// One end and what it told.
struct Driven<M> {
    machine: M,
    raw: BitString,
    random: Stream,
    inbox: VecDeque<Vec<u8>>,
    told: Told,
}

#[derive(Default)]
struct Told {
    keys: Vec<(BlockId, SecretBits, Box<Account>)>,
    blocks: Vec<RawBlock>,
    alarms: Vec<RawAlarm>,
    ended: Option<Option<RawFailure>>,
    /// The record of used bits, as a file would hold it, and the least that any record forbade to use.
    used: u64,
    wanted: Vec<core::ops::Range<u64>>,
    most_in_flight: usize,
}

impl<M> Driven<M>
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
    fn new(machine: M, raw: BitString, seed: u64) -> Self {
        let random = Stream::new(seed, EntityId(9), Purpose::named("end"));
        Self { machine, raw, random, inbox: VecDeque::new(), told: Told::default() }
    }

    /// Tells the machine something, and returns what it sends, in the order in which it asked for it.
    fn tell(&mut self, input: Input<'_, OtherEnd, RawCommand, RawJobResult>) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        let mut out = Vec::new();
        self.machine.handle(Time::ZERO, &mut self.random, input, &mut out);
        let mut effects = VecDeque::from(out);
        while let Some(effect) = effects.pop_front() {
            let mut more = Vec::new();
            let mut then = |input| self.machine.handle(Time::ZERO, &mut self.random, input, &mut more);
            match effect {
                Output::Send { bytes, .. } => sent.push(bytes),
                Output::Persist(number, record) => {
                    if let RawRecord::Used(bit) = record {
                        self.told.used = bit;
                    }
                    then(Input::Persisted(number));
                }
                Output::Compute(job) => then(Input::Computed(job.run())),
                Output::Event(RawEvent::Wanted { block, bits }) => {
                    assert!(
                        bits.end <= self.told.used,
                        "{bits:?} are wanted, {} are recorded",
                        self.told.used
                    );
                    let slice = SecretBits::new(self.raw.slice(bits.start as usize..bits.end as usize));
                    self.told.wanted.push(bits);
                    then(Input::Command(RawCommand::Bits { block, bits: slice }));
                }
                Output::Event(event) => self.told.event(event),
            }
            effects.extend(more);
        }
        sent
    }
}

impl Told {
    fn event(&mut self, event: RawEvent) {
        assert!(self.ended.is_none(), "{event:?} after the end");
        match event {
            RawEvent::Agreed { .. } | RawEvent::Wanted { .. } | RawEvent::Compared { .. } => {}
            RawEvent::Block(block) => self.blocks.push(block),
            RawEvent::Key { block, key, account } => self.keys.push((block, key, account)),
            RawEvent::Alarm(alarm) => self.alarms.push(alarm),
            RawEvent::Ended { failure } => self.ended = Some(failure),
        }
    }
}

/// Two ends with noisy copies of one raw key.
struct Pair {
    alice: Driven<ReferenceEnd>,
    bob: Driven<CorrectingEnd>,
}

/// From which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Alice,
    Bob,
}

fn noisy(bits: usize, error_rate: f64, seed: u64) -> [BitString; 2] {
    let mut random = Stream::new(seed, EntityId(0), Purpose::named("raw"));
    let here = BitString::random(bits, &mut random);
    let mut there = here.clone();
    for bit in 0..bits {
        if random.chance(error_rate) {
            there.flip(bit);
        }
    }
    [here, there]
}

impl Pair {
    fn new(settings: &RawSettings, error_rate: f64, secret_bits: Option<usize>, seed: u64) -> Self {
        let [here, there] = noisy(settings.bits as usize, error_rate, seed);
        let mut random = Stream::new(seed, EntityId(1), Purpose::named("secret"));
        let secret = secret_bits.map(|bits| SecretBits::random(bits, &mut random));
        let keys = |direction| {
            secret.as_ref().map(|secret| AuthenticationKeys::new(secret.duplicate(), direction).unwrap())
        };
        let alice = ReferenceEnd::new(settings.clone(), keys(Direction::TransmitterToReceiver)).unwrap();
        let bob = CorrectingEnd::new(settings.clone(), keys(Direction::ReceiverToTransmitter)).unwrap();
        Self { alice: Driven::new(alice, here, seed + 1), bob: Driven::new(bob, there, seed + 2) }
    }

    fn connect(&mut self) {
        let sent = self.alice.tell(Input::Command(RawCommand::Connect));
        self.bob.inbox.extend(sent);
        let sent = self.bob.tell(Input::Command(RawCommand::Connect));
        self.alice.inbox.extend(sent);
    }

    /// Carries frames until nothing moves any more. `change` sees each frame and may change, drop or double it.
    fn run(&mut self, mut change: impl FnMut(From, Vec<u8>) -> Vec<Vec<u8>>) {
        let mut idle = 0;
        while idle < 2 {
            idle += 1;
            // The correcting end begins as much as it may: as over a long way.
            let proceed = self.bob.machine.can_proceed();
            let mut sent =
                if proceed { self.bob.tell(Input::Command(RawCommand::Proceed)) } else { Vec::new() };
            self.bob.told.most_in_flight =
                self.bob.told.most_in_flight.max(self.bob.machine.blocks_in_flight());
            if let Some(frame) = self.bob.inbox.pop_front() {
                sent.extend(self.bob.tell(Input::Frame { from: OtherEnd, bytes: &frame }));
                idle = 0;
            }
            idle = if proceed { 0 } else { idle };
            self.alice.inbox.extend(sent.into_iter().flat_map(|frame| change(From::Bob, frame)));
            if let Some(frame) = self.alice.inbox.pop_front() {
                let sent = self.alice.tell(Input::Frame { from: OtherEnd, bytes: &frame });
                self.bob.inbox.extend(sent.into_iter().flat_map(|frame| change(From::Alice, frame)));
                idle = 0;
            }
        }
    }

    fn run_honestly(&mut self) {
        self.connect();
        self.run(|_, frame| vec![frame]);
    }

    /// Whatever happened: keys that both told are equal and in the same order.
    fn assert_equal_keys(&self) {
        for (a, b) in self.alice.told.keys.iter().zip(&self.bob.told.keys) {
            assert_eq!(a.0, b.0);
            assert!(a.1 == b.1, "{} has different keys", a.0);
            assert_eq!(a.1.len() as u64, a.2.key_bits);
        }
    }
}

//! Two ends with emulated records, and what carries their frames.

mod attacks;
mod honest;

use super::emulate::{PairSource, Tag};
use super::*;
use crate::machine::{Input, Output, Protocol};
use crate::qkd::authenticate::{AuthenticationKeys, Direction};
use crate::qkd::raw::Seals;
use crate::qkd::session::OtherEnd;
use bellwether_bits::SecretBits;
use bellwether_units::{EntityId, Purpose, Stream, Time};
use core::convert::Infallible;
use std::collections::VecDeque;

/// A machine, its record, and what it told.
struct Driven<M> {
    machine: M,
    record: Vec<Tag>,
    read: usize,
    random: Stream,
    inbox: VecDeque<Vec<u8>>,
    /// The most clicks that are handed over at a time.
    piece: usize,
    now: Time,
    result: Option<Result<Box<Sifted>, TagFailure>>,
}

impl<M> Driven<M>
where
    M: Protocol<
            Peer = OtherEnd,
            Command = TagCommand,
            Event = TagEvent,
            Record = Infallible,
            Job = TagJob,
            JobResult = TagJobResult,
        >,
{
    fn new(machine: M, record: Vec<Tag>, seed: u64) -> Self {
        Self {
            machine,
            record,
            read: 0,
            random: Stream::new(seed, EntityId(0), Purpose::named("end")),
            inbox: VecDeque::new(),
            piece: 10_000,
            now: Time::ZERO,
            result: None,
        }
    }

    /// Tells the machine something, and what follows from it: frames that leave.
    fn tell(&mut self, input: Input<'_, OtherEnd, TagCommand, TagJobResult>) -> Vec<Vec<u8>> {
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        self.machine.handle(self.now, &mut self.random, input, &mut out);
        let mut effects = VecDeque::from(out);
        while let Some(effect) = effects.pop_front() {
            assert!(self.result.is_none(), "{effect:?} after the end");
            let mut more = Vec::new();
            match effect {
                Output::Send { bytes, .. } => {
                    assert!(bytes.len() <= LONGEST_FRAME);
                    sent.push(bytes);
                }
                Output::Compute(job) => {
                    let input = Input::Computed(job.run());
                    self.machine.handle(self.now, &mut self.random, input, &mut more);
                }
                Output::Event(TagEvent::Wanted) => {
                    let until = (self.read + self.piece).min(self.record.len());
                    let mut clicks = Clicks::default();
                    for tag in &self.record[self.read..until] {
                        clicks.push(tag.time, Outcome::of_code(tag.channel));
                    }
                    self.read = until;
                    let last = until == self.record.len();
                    let input = Input::Command(TagCommand::Clicks { clicks, last });
                    self.machine.handle(self.now, &mut self.random, input, &mut more);
                }
                Output::Event(TagEvent::Agreed) => {}
                Output::Event(TagEvent::Sifted(sifted)) => self.result = Some(Ok(sifted)),
                Output::Event(TagEvent::Failed(failure)) => self.result = Some(Err(failure)),
                Output::Persist(_, never) => match never {},
            }
            effects.extend(more);
        }
        sent
    }

    fn sifted(&self) -> &Sifted {
        match &self.result {
            Some(Ok(sifted)) => sifted,
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self) -> &TagFailure {
        match &self.result {
            Some(Err(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }
}

struct Pair {
    alice: Driven<MatchingEnd>,
    bob: Driven<TellingEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Alice,
    Bob,
}

/// Near clocks, so that a search is quick.
fn quick() -> TagSettings {
    TagSettings { search: clock::Search { offset: 0.02e12, drift: 6e-6 }, ..TagSettings::default() }
}

fn near() -> PairSource {
    PairSource { offset: 0.01e12, ..PairSource::default() }
}

fn seals(direction: Direction) -> Seals {
    let secret = SecretBits::random(1 << 14, &mut Stream::new(5, EntityId(0), Purpose::named("secret")));
    Seals::new(Some(AuthenticationKeys::new(secret, direction).unwrap()))
}

impl Pair {
    fn new(settings: TagSettings, alice: Vec<Tag>, bob: Vec<Tag>) -> Self {
        let a = MatchingEnd::new(settings, seals(Direction::TransmitterToReceiver)).unwrap();
        let b = TellingEnd::new(settings, seals(Direction::ReceiverToTransmitter)).unwrap();
        Self { alice: Driven::new(a, alice, 1), bob: Driven::new(b, bob, 2) }
    }

    fn of(settings: TagSettings, source: &PairSource, seed: u64) -> Self {
        let emulated = source.run(seed);
        Self::new(settings, emulated.reference, emulated.other)
    }

    fn run(&mut self, mut change: impl FnMut(From, Vec<u8>) -> Vec<Vec<u8>>) {
        let sent = self.alice.tell(Input::Command(TagCommand::Connect));
        self.bob.inbox.extend(sent.into_iter().flat_map(|frame| change(From::Alice, frame)));
        let sent = self.bob.tell(Input::Command(TagCommand::Connect));
        self.alice.inbox.extend(sent.into_iter().flat_map(|frame| change(From::Bob, frame)));
        loop {
            let mut moved = false;
            if let Some(frame) = self.bob.inbox.pop_front() {
                let sent = self.bob.tell(Input::Frame { from: OtherEnd, bytes: &frame });
                self.alice.inbox.extend(sent.into_iter().flat_map(|frame| change(From::Bob, frame)));
                moved = true;
            }
            if let Some(frame) = self.alice.inbox.pop_front() {
                let sent = self.alice.tell(Input::Frame { from: OtherEnd, bytes: &frame });
                self.bob.inbox.extend(sent.into_iter().flat_map(|frame| change(From::Alice, frame)));
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    fn run_honestly(&mut self) {
        self.run(|_, frame| vec![frame]);
    }

    /// Bits and bases of both ends are as many; how many differ.
    fn errors(&self) -> (u64, u64) {
        let (a, b) = (&self.alice.sifted().key, &self.bob.sifted().key);
        assert_eq!(a.len(), b.len());
        let all = 0..a.len();
        assert!(a.bases(all.clone()) == b.bases(all.clone()));
        (a.bits(all.clone()).expose().hamming_distance(b.bits(all).expose()) as u64, a.len())
    }
}

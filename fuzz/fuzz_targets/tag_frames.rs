//! Frames changed, replayed and forged between the two ends that sift records of time tags.
//!
//! Effects are bounded, the ends ask for no more clicks than there are, and neither end has more sifted bits than events.
//! What decodes as a message encodes to the same bytes.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_fuzz::mutation::{Mutation, Payload, Rest};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::raw::Seals;
use bellwether_protocol::qkd::session::OtherEnd;
use bellwether_protocol::qkd::tags::clock::Search;
use bellwether_protocol::qkd::tags::{
    Basis, Clicks, LONGEST_FRAME, MatchingEnd, Outcome, TagCommand, TagEvent, TagJob, TagJobResult, TagMessage,
    TagSettings, TellingEnd,
};
use bellwether_units::{EntityId, Purpose, Stream, Time};
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::convert::Infallible;

#[derive(Arbitrary, Debug)]
struct Attack {
    seed: u16,
    /// Frames out of nothing: to which end.
    forged: Vec<(bool, Payload)>,
    /// Changes to frames in their order, after so many that pass.
    passed: u8,
    changes: Rest<Vec<Mutation>, 64>,
}

struct End<M> {
    machine: M,
    record: Vec<(u64, Outcome)>,
    read: usize,
    random: Stream,
    inbox: VecDeque<Vec<u8>>,
    sifted: Option<u64>,
    ended: bool,
}

impl<M> End<M>
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
    fn tell(&mut self, input: Input<'_, OtherEnd, TagCommand, TagJobResult>) -> Vec<Vec<u8>> {
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        self.machine.handle(Time::ZERO, &mut self.random, input, &mut out);
        let mut effects = VecDeque::from(out);
        while let Some(effect) = effects.pop_front() {
            assert!(!self.ended, "something is told after the end");
            let mut more = Vec::new();
            let mut then = |input| self.machine.handle(Time::ZERO, &mut self.random, input, &mut more);
            match effect {
                Output::Send { bytes, .. } => {
                    assert!(bytes.len() <= LONGEST_FRAME);
                    sent.push(bytes);
                }
                Output::Compute(job) => then(Input::Computed(job.run())),
                Output::Event(TagEvent::Wanted) => {
                    assert!(self.read <= self.record.len(), "more is wanted after the last");
                    let until = (self.read + 100).min(self.record.len());
                    let mut clicks = Clicks::default();
                    self.record[self.read..until].iter().for_each(|&(time, what)| clicks.push(time, what));
                    let last = until == self.record.len();
                    self.read = if last { until + 1 } else { until };
                    then(Input::Command(TagCommand::Clicks { clicks, last }));
                }
                Output::Event(TagEvent::Agreed) => {}
                Output::Event(TagEvent::Sifted(sifted)) => {
                    self.sifted = Some(sifted.key.len());
                    self.ended = true;
                }
                Output::Event(TagEvent::Failed(_)) => self.ended = true,
                Output::Persist(_, never) => match never {},
            }
            effects.extend(more);
        }
        sent
    }
}

fuzz_target!(|attack: Attack| {
    let stream = |number| Stream::new(u64::from(attack.seed), EntityId(number), Purpose::named("tags"));
    let mut random = stream(0);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let mut time = 1_000_000_000;
    for _ in 0..600 {
        time += 50_000 + random.below(1_000_000);
        let bases = [Basis::Z, Basis::X];
        let bit = random.chance(0.5);
        let (a, b) = (bases[random.below(2) as usize], bases[random.below(2) as usize]);
        here.push((time + random.below(300), Outcome::new(a, bit)));
        there.push((time + random.below(300), Outcome::new(b, bit)));
    }
    // The clocks are related quickly.
    let settings = TagSettings { search: Search { offset: 1e7, drift: 0.0 }, ..TagSettings::default() };
    let Ok(alice) = MatchingEnd::new(settings, Seals::new(None)) else { return };
    let Ok(bob) = TellingEnd::new(settings, Seals::new(None)) else { return };
    let (inbox, read, sifted, ended) = (VecDeque::new(), 0, None, false);
    let mut alice = End { machine: alice, record: here, read, random: stream(1), inbox, sifted, ended };
    let inbox = VecDeque::new();
    let mut bob = End { machine: bob, record: there, read, random: stream(2), inbox, sifted, ended };

    let passed = core::iter::repeat_n(&[][..], usize::from(attack.passed % 16));
    let mut changes = passed.chain(attack.changes.iter().map(Vec::as_slice));
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut change = |mut frame: Vec<u8>| {
        seen.push(frame.clone());
        for mutation in changes.next().into_iter().flatten().take(8) {
            mutation.apply(&mut frame, 0, |other| seen.get(other % seen.len()).map(Vec::as_slice));
        }
        if let Ok(message) = TagMessage::decode(&frame) {
            assert_eq!(message.encode(), frame);
        }
        frame
    };
    bob.inbox.extend(alice.tell(Input::Command(TagCommand::Connect)).into_iter().map(&mut change));
    alice.inbox.extend(bob.tell(Input::Command(TagCommand::Connect)).into_iter().map(&mut change));
    let mut forged = attack.forged.iter();
    for round in 0u32..2000 {
        if round % 4 == 1
            && let Some((to_alice, bytes)) = forged.next()
        {
            let inbox = if *to_alice { &mut alice.inbox } else { &mut bob.inbox };
            inbox.push_front(bytes.iter().copied().collect());
        }
        let (a, b) = (alice.inbox.pop_front(), bob.inbox.pop_front());
        if a.is_none() && b.is_none() {
            break;
        }
        for bytes in a.iter() {
            let sent = alice.tell(Input::Frame { from: OtherEnd, bytes });
            bob.inbox.extend(sent.into_iter().map(&mut change));
        }
        for bytes in b.iter() {
            let sent = bob.tell(Input::Frame { from: OtherEnd, bytes });
            alice.inbox.extend(sent.into_iter().map(&mut change));
        }
    }
    // Without tags somebody between may take bits away, which those who go on with them find out; none can be added.
    for sifted in [alice.sifted, bob.sifted].into_iter().flatten() {
        assert!((1..=600).contains(&sifted));
    }
});

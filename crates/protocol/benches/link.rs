//! Both ends of a link in one thread.
//!
//! Goals on one core: sifting of a window at both ends, with its encoding and decoding, under 15 ns a click;
//! the whole of distillation at both ends, from clicks to key and authentication included, under 60 ns a click,
//! so that 10^7 clicks a second take less than a second. Of distillation, pulses, clicks and secret bits a second are
//! told; a pulse costs nothing by itself here, for a window holds a click in a hundred pulses. The whole link, light
//! included, is measured by the benchmark `link` of `bellwether-sim`.

use bellwether_bits::SecretBits;
use bellwether_protocol::hardware::{Detections, Preparations};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::reconcile::{Family, grouped::Effort};
use bellwether_protocol::qkd::security::{Bound, SourceClass};
use bellwether_protocol::qkd::session::{
    Durable, LinkEvent, LinkSettings, OtherEnd, Receiver, ReceiverCommand, Transmitter, TransmitterCommand,
};
use bellwether_protocol::qkd::sift::{Announcement, Reply, sift_received, sift_sent};
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream, Time};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Clicks in a window.
const CLICKS: usize = 1 << 20;

/// A window of clicks with probability about 1 % a pulse and 1 % of errors, and what had been prepared.
fn window(stream: &mut Stream, first_pulse: u64) -> (Detections, Preparations) {
    let mut detections = Detections { first_pulse, ..Detections::default() };
    let mut prepared = Preparations::default();
    let mut pulse = first_pulse;
    for _ in 0..CLICKS {
        pulse += 1 + stream.below(200);
        let (check, matched) = (stream.chance(0.1), stream.chance(0.9));
        let bit = stream.chance(0.5);
        detections.pulses.push(pulse);
        detections.bases.push(check);
        detections.outcomes.push(bit ^ stream.chance(0.01));
        prepared.bases.push(check ^ !matched);
        prepared.bits.push(bit);
        prepared.intensities.push(u8::from(stream.chance(0.2)));
    }
    detections.pulse_count = pulse + 1 - first_pulse;
    (detections, prepared)
}

fn sifting(c: &mut Criterion) {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("bench"));
    let (detections, prepared) = window(&mut stream, 0);
    let mut group = c.benchmark_group("sift");
    group.throughput(Throughput::Elements(CLICKS as u64)).sample_size(10);
    group.bench_function("both ends", |b| {
        b.iter(|| {
            let (_, announcement) =
                Announcement::pieces(&detections, CLICKS).and_then(|mut p| p.pop()).expect("one");
            let bytes = announcement.encode().expect("sound");
            let heard = Announcement::decode(&bytes, CLICKS).expect("as encoded");
            let (sent, reply) = sift_sent(&heard, &prepared, 2).expect("sound");
            let reply = Reply::decode(&reply.encode(), &detections.bases, 2).expect("as encoded");
            let received = sift_received(&detections.bases, &detections.outcomes, &reply, 2).expect("sound");
            black_box((sent, received))
        });
    });
    group.finish();
}

/// Both machines, with frames, records and jobs carried from one to the other at once.
struct Link {
    now: Time,
    transmitter: Transmitter,
    receiver: Receiver,
    stream: Stream,
    prepared: Option<Preparations>,
    key_bits: usize,
}

enum Due {
    ToTransmitter(Vec<u8>),
    ToReceiver(Vec<u8>),
}

impl Link {
    fn new() -> Self {
        let source = vec![SourceClass::new(0.5, 0.8), SourceClass::new(0.15, 0.2)];
        let mut settings = LinkSettings::new(LinkId(0), source, Bound::OneDecoyRusca);
        settings.block_bits = 800_000; // every window closes a block
        settings.reconciliation = Family::Grouped(Effort::Quick);
        let mut stream = Stream::new(2, EntityId(0), Purpose::named("bench"));
        let secret = SecretBits::random(256 * 257, &mut stream);
        let durable = || Durable::provisioned(secret.duplicate()).expect("long enough");
        let mut link = Self {
            now: Time::ZERO,
            transmitter: Transmitter::new(settings.clone(), durable()).expect("sound"),
            receiver: Receiver::new(settings.clone(), durable()).expect("sound"),
            stream,
            prepared: None,
            key_bits: 0,
        };
        let mut due = Vec::new();
        link.receiver(Input::Command(ReceiverCommand::Connect), &mut due);
        link.transmitter(Input::Command(TransmitterCommand::Connect), &mut due);
        link.settle(due);
        link
    }

    fn receiver(
        &mut self,
        input: Input<'_, OtherEnd, ReceiverCommand, <Receiver as Protocol>::JobResult>,
        due: &mut Vec<Due>,
    ) {
        let mut out = Vec::new();
        self.receiver.handle(self.now, &mut self.stream, input, &mut out);
        for effect in out {
            match effect {
                Output::Send { bytes, .. } => due.push(Due::ToTransmitter(bytes)),
                Output::Persist(number, _) => self.receiver(Input::Persisted(number), due),
                Output::Compute(job) => self.receiver(Input::Computed(job.run()), due),
                Output::Event(LinkEvent::Key { key, .. }) => self.key_bits += key.len(),
                Output::Event(_) => {}
            }
        }
    }

    fn transmitter(
        &mut self,
        input: Input<'_, OtherEnd, TransmitterCommand, <Transmitter as Protocol>::JobResult>,
        due: &mut Vec<Due>,
    ) {
        let mut out = Vec::new();
        self.transmitter.handle(self.now, &mut self.stream, input, &mut out);
        for effect in out {
            match effect {
                Output::Send { bytes, .. } => due.push(Due::ToReceiver(bytes)),
                Output::Persist(number, _) => self.transmitter(Input::Persisted(number), due),
                Output::Compute(job) => self.transmitter(Input::Computed(job.run()), due),
                Output::Event(LinkEvent::Recall { request, .. }) => {
                    let preparations = self.prepared.take().expect("one window at a time");
                    let recalled = TransmitterCommand::Recalled { request, preparations };
                    self.transmitter(Input::Command(recalled), due);
                }
                Output::Event(_) => {}
            }
        }
    }

    fn settle(&mut self, mut due: Vec<Due>) {
        while !due.is_empty() {
            self.now += Duration::from_microseconds(1);
            for frame in core::mem::take(&mut due) {
                match frame {
                    Due::ToTransmitter(bytes) => {
                        self.transmitter(Input::Frame { from: OtherEnd, bytes: &bytes }, &mut due)
                    }
                    Due::ToReceiver(bytes) => {
                        self.receiver(Input::Frame { from: OtherEnd, bytes: &bytes }, &mut due)
                    }
                }
            }
        }
    }

    fn window(&mut self, detections: Detections, prepared: Preparations) {
        self.prepared = Some(prepared);
        let mut due = Vec::new();
        self.receiver(Input::Command(ReceiverCommand::Detected(detections)), &mut due);
        self.settle(due);
    }
}

/// The same measurement three times, once for each rate: criterion knows one rate a measurement.
fn distillation(c: &mut Criterion) {
    let mut group = c.benchmark_group("distil");
    group.sample_size(10).measurement_time(std::time::Duration::from_secs(3));
    let made = made_by_a_window();
    for (rate, count) in
        [("pulses", made.pulses), ("clicks", CLICKS as u64), ("secret bits", made.secret_bits)]
    {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("both ends, {rate} a second"), |b| {
            let mut stream = Stream::new(3, EntityId(0), Purpose::named("bench"));
            let mut link = Link::new();
            let mut first = 0;
            b.iter_batched(
                || {
                    let (detections, prepared) = window(&mut stream, first);
                    first = detections.first_pulse + detections.pulse_count;
                    (detections, prepared)
                },
                |(detections, prepared)| link.window(detections, prepared),
                criterion::BatchSize::PerIteration,
            );
            assert!(link.key_bits > 0, "no key was made");
        });
    }
    group.finish();
}

/// What a window of [`CLICKS`] clicks comes to.
struct Made {
    pulses: u64,
    secret_bits: u64,
}

/// The mean over the windows after the first, which begins without an expected error rate.
fn made_by_a_window() -> Made {
    const WINDOWS: u64 = 4;
    let mut stream = Stream::new(3, EntityId(0), Purpose::named("bench"));
    let mut link = Link::new();
    let (mut pulses, mut first) = (0, 0);
    for number in 0..=WINDOWS {
        let (detections, prepared) = window(&mut stream, first);
        first += detections.pulse_count;
        if number == 0 {
            link.window(detections, prepared);
            link.key_bits = 0;
        } else {
            pulses += detections.pulse_count;
            link.window(detections, prepared);
        }
    }
    Made { pulses: pulses / WINDOWS, secret_bits: link.key_bits as u64 / WINDOWS }
}

criterion_group!(benches, sifting, distillation);
criterion_main!(benches);

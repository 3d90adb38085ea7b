//! The whole chain: from clicks to key, at both ends, without the light.

use super::{Figure, median};
use crate::args::Bench;
use crate::progress::Stopwatch;
use bellwether_bits::SecretBits;
use bellwether_protocol::hardware::{Detections, Preparations};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::reconcile::Family;
use bellwether_protocol::qkd::reconcile::grouped::Effort;
use bellwether_protocol::qkd::security::{Bound, SourceClass};
use bellwether_protocol::qkd::session::{
    Durable, LinkEvent, LinkSettings, OtherEnd, Receiver, ReceiverCommand, SettingsError, Transmitter,
    TransmitterCommand,
};
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream, Time};

/// Errors in the clicks.
const ERROR_RATE: f64 = 0.02;

/// Mean pulses from click to click, so that a source of 1 GHz gives 10^7 clicks a second.
const PULSES_A_CLICK: u64 = 100;

/// Both machines, with frames, records and jobs carried from one to the other at once, and the time each takes.
struct Link {
    now: Time,
    transmitter: Transmitter,
    receiver: Receiver,
    stream: Stream,
    prepared: Option<Preparations>,
    due: Vec<Due>,
    sifted_bits: u64,
    key_bits: u64,
    /// Seconds.
    transmitting: f64,
    /// Seconds.
    receiving: f64,
}

enum Due {
    ToTransmitter(Vec<u8>),
    ToReceiver(Vec<u8>),
}

impl Link {
    fn new(block_bits: u64) -> Result<Self, SettingsError> {
        let source = vec![SourceClass::new(0.5, 0.8), SourceClass::new(0.15, 0.2)];
        let mut settings = LinkSettings::new(LinkId(0), source, Bound::OneDecoyRusca);
        settings.block_bits = block_bits;
        settings.reconciliation = Family::Grouped(Effort::Quick);
        let mut stream = Stream::new(2, EntityId(0), Purpose::named("bench"));
        let secret = SecretBits::random(256 * 257, &mut stream);
        let durable =
            || Durable::provisioned(secret.duplicate()).expect("the secret is long enough for all pads");
        let mut link = Self {
            now: Time::ZERO,
            transmitter: Transmitter::new(settings.clone(), durable())?,
            receiver: Receiver::new(settings, durable())?,
            stream,
            prepared: None,
            due: Vec::new(),
            sifted_bits: 0,
            key_bits: 0,
            transmitting: 0.0,
            receiving: 0.0,
        };
        link.receiver(Input::Command(ReceiverCommand::Connect));
        link.transmitter(Input::Command(TransmitterCommand::Connect));
        link.settle();
        Ok(link)
    }

    fn receiver(&mut self, input: Input<'_, OtherEnd, ReceiverCommand, <Receiver as Protocol>::JobResult>) {
        let from = Stopwatch::start();
        let mut out = Vec::new();
        self.receiver.handle(self.now, &mut self.stream, input, &mut out);
        self.receiving += from.seconds();
        for effect in out {
            match effect {
                Output::Send { bytes, .. } => self.due.push(Due::ToTransmitter(bytes)),
                Output::Persist(number, _) => self.receiver(Input::Persisted(number)),
                Output::Compute(job) => {
                    let from = Stopwatch::start();
                    let result = job.run();
                    self.receiving += from.seconds();
                    self.receiver(Input::Computed(result));
                }
                Output::Event(LinkEvent::Key { key, .. }) => self.key_bits += key.len() as u64,
                Output::Event(LinkEvent::Block(report)) => {
                    self.sifted_bits +=
                        report.statistics.total(bellwether_protocol::hardware::Basis::Key).sifted;
                }
                Output::Event(_) => {}
            }
        }
    }

    fn transmitter(
        &mut self,
        input: Input<'_, OtherEnd, TransmitterCommand, <Transmitter as Protocol>::JobResult>,
    ) {
        let from = Stopwatch::start();
        let mut out = Vec::new();
        self.transmitter.handle(self.now, &mut self.stream, input, &mut out);
        self.transmitting += from.seconds();
        for effect in out {
            match effect {
                Output::Send { bytes, .. } => self.due.push(Due::ToReceiver(bytes)),
                Output::Persist(number, _) => self.transmitter(Input::Persisted(number)),
                Output::Compute(job) => {
                    let from = Stopwatch::start();
                    let result = job.run();
                    self.transmitting += from.seconds();
                    self.transmitter(Input::Computed(result));
                }
                Output::Event(LinkEvent::Recall { request, .. }) => {
                    let Some(preparations) = self.prepared.take() else { continue };
                    let recalled = TransmitterCommand::Recalled { request, preparations };
                    self.transmitter(Input::Command(recalled));
                }
                Output::Event(_) => {}
            }
        }
    }

    fn settle(&mut self) {
        while !self.due.is_empty() {
            self.now += Duration::from_microseconds(1);
            for frame in core::mem::take(&mut self.due) {
                match frame {
                    Due::ToTransmitter(bytes) => {
                        self.transmitter(Input::Frame { from: OtherEnd, bytes: &bytes });
                    }
                    Due::ToReceiver(bytes) => self.receiver(Input::Frame { from: OtherEnd, bytes: &bytes }),
                }
            }
        }
    }
}

/// A window of clicks, and what had been prepared.
fn window(stream: &mut Stream, clicks: usize, first_pulse: u64) -> (Detections, Preparations) {
    let mut detections = Detections { first_pulse, ..Detections::default() };
    let mut prepared = Preparations::default();
    let mut pulse = first_pulse;
    for _ in 0..clicks {
        pulse += 1 + stream.below(2 * PULSES_A_CLICK - 1);
        let (check, matched) = (stream.chance(0.1), stream.chance(0.9));
        let bit = stream.chance(0.5);
        detections.pulses.push(pulse);
        detections.bases.push(check);
        detections.outcomes.push(bit ^ stream.chance(ERROR_RATE));
        prepared.bases.push(check ^ !matched);
        prepared.bits.push(bit);
        prepared.intensities.push(u8::from(stream.chance(0.2)));
    }
    detections.pulse_count = pulse + 1 - first_pulse;
    (detections, prepared)
}

pub(super) fn measure(args: &Bench, figures: &mut Vec<Figure>) -> Result<(), SettingsError> {
    let (clicks, windows) = if args.quick { (1 << 18, 4) } else { (1 << 20, 12) };
    let mut link = Link::new(clicks as u64 * 3 / 4)?;
    let mut first = 0;
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut sifted_in_window = 0.0;
    for number in 0..windows {
        let (detections, prepared) = window(&mut link.stream, clicks, first);
        first = detections.first_pulse + detections.pulse_count;
        link.prepared = Some(prepared);
        let before = (link.sifted_bits, link.receiving, link.transmitting);
        link.receiver(Input::Command(ReceiverCommand::Detected(detections)));
        link.settle();
        // The first window begins without an expected error rate, and fills caches.
        if number > 0 {
            let (receiving, transmitting) = (link.receiving - before.1, link.transmitting - before.2);
            sifted_in_window = (link.sifted_bits - before.0) as f64;
            for (times, took) in times.iter_mut().zip([receiving + transmitting, receiving, transmitting]) {
                times.push(took / sifted_in_window);
            }
        }
    }
    let on = format!("clicks at {} %, 1 in {PULSES_A_CLICK} pulses", 100.0 * ERROR_RATE);
    for (times, by) in
        times.into_iter().zip(["both ends in one thread", "the receiver alone", "the transmitter alone"])
    {
        figures.push(Figure {
            what: "whole chain",
            on: on.clone(),
            value: 1e-6 / median(times),
            unit: "Mbit/s of sifted key",
            by: by.to_owned(),
        });
    }
    figures.push(Figure {
        what: "whole chain, key",
        on,
        value: 100.0 * link.key_bits as f64 / (link.sifted_bits as f64).max(1.0),
        unit: "% of sifted key",
        by: format!("blocks of {sifted_in_window:.0} bits"),
    });
    Ok(())
}

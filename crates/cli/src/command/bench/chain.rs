//! The whole chain: from clicks to key, at both ends, without the light.

use super::workers::Workers;
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
    Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, Receiver, ReceiverCommand, SettingsError,
    Transmitter, TransmitterCommand,
};
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream, Time};
use std::collections::VecDeque;

/// Errors in the clicks.
const ERROR_RATE: f64 = 0.02;

/// Mean pulses from click to click, so that a source of 1 GHz gives 10^7 clicks a second.
const PULSES_A_CLICK: u64 = 100;

/// Both machines, with frames, records and jobs carried from one to the other at once, and the time each takes. Only one of
/// the two is at work at any time, so that each has all threads.
struct Link<'a> {
    workers: &'a Workers,
    now: Time,
    transmitter: Transmitter,
    receiver: Receiver,
    stream: Stream,
    prepared: VecDeque<Preparations>,
    to_transmitter: Vec<Vec<u8>>,
    to_receiver: Vec<Vec<u8>>,
    sifted_bits: u64,
    key_bits: u64,
    /// Seconds.
    transmitting: f64,
    /// Seconds.
    receiving: f64,
}

impl<'a> Link<'a> {
    fn new(block_bits: u64, workers: &'a Workers) -> Result<Self, SettingsError> {
        let source = vec![SourceClass::new(0.5, 0.8), SourceClass::new(0.15, 0.2)];
        let mut settings = LinkSettings::new(LinkId(0), source, Bound::OneDecoyRusca);
        settings.block_bits = block_bits;
        settings.reconciliation = Family::Grouped(Effort::Quick);
        let mut stream = Stream::new(2, EntityId(0), Purpose::named("bench"));
        let secret = SecretBits::random(256 * 257, &mut stream);
        let durable =
            || Durable::provisioned(secret.duplicate()).expect("the secret is long enough for all pads");
        let mut link = Self {
            workers,
            now: Time::ZERO,
            transmitter: Transmitter::new(settings.clone(), durable())?,
            receiver: Receiver::new(settings, durable())?,
            stream,
            prepared: VecDeque::new(),
            to_transmitter: Vec::new(),
            to_receiver: Vec::new(),
            sifted_bits: 0,
            key_bits: 0,
            transmitting: 0.0,
            receiving: 0.0,
        };
        link.receive(|link, jobs| link.receiver(Input::Command(ReceiverCommand::Connect), jobs));
        link.transmit(|link, jobs| link.transmitter(Input::Command(TransmitterCommand::Connect), jobs));
        link.settle();
        Ok(link)
    }

    /// The receiver's turn: what `begin` tells it, and the jobs that come of it.
    fn receive(&mut self, begin: impl FnOnce(&mut Self, &mut Vec<Job>)) {
        let from = Stopwatch::start();
        let mut jobs = Vec::new();
        begin(self, &mut jobs);
        while !jobs.is_empty() {
            for result in self.workers.run(core::mem::take(&mut jobs)) {
                self.receiver(Input::Computed(result), &mut jobs);
            }
        }
        self.receiving += from.seconds();
    }

    /// The transmitter's turn.
    fn transmit(&mut self, begin: impl FnOnce(&mut Self, &mut Vec<Job>)) {
        let from = Stopwatch::start();
        let mut jobs = Vec::new();
        begin(self, &mut jobs);
        while !jobs.is_empty() {
            for result in self.workers.run(core::mem::take(&mut jobs)) {
                self.transmitter(Input::Computed(result), &mut jobs);
            }
        }
        self.transmitting += from.seconds();
    }

    fn receiver(&mut self, input: Input<'_, OtherEnd, ReceiverCommand, JobResult>, jobs: &mut Vec<Job>) {
        let mut out = Vec::new();
        self.receiver.handle(self.now, &mut self.stream, input, &mut out);
        for effect in out {
            match effect {
                Output::Send { bytes, .. } => self.to_transmitter.push(bytes),
                Output::Persist(number, _) => self.receiver(Input::Persisted(number), jobs),
                Output::Compute(job) => jobs.push(job),
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
        input: Input<'_, OtherEnd, TransmitterCommand, JobResult>,
        jobs: &mut Vec<Job>,
    ) {
        let mut out = Vec::new();
        self.transmitter.handle(self.now, &mut self.stream, input, &mut out);
        for effect in out {
            match effect {
                Output::Send { bytes, .. } => self.to_receiver.push(bytes),
                Output::Persist(number, _) => self.transmitter(Input::Persisted(number), jobs),
                Output::Compute(job) => jobs.push(job),
                Output::Event(LinkEvent::Recall { request, .. }) => {
                    let Some(preparations) = self.prepared.pop_front() else { continue };
                    let recalled = TransmitterCommand::Recalled { request, preparations };
                    self.transmitter(Input::Command(recalled), jobs);
                }
                Output::Event(_) => {}
            }
        }
    }

    fn settle(&mut self) {
        while !(self.to_transmitter.is_empty() && self.to_receiver.is_empty()) {
            self.now += Duration::from_microseconds(1);
            let frames = core::mem::take(&mut self.to_transmitter);
            if !frames.is_empty() {
                self.transmit(|link, jobs| {
                    frames.iter().for_each(|bytes| {
                        link.transmitter(Input::Frame { from: OtherEnd, bytes }, jobs);
                    });
                });
            }
            let frames = core::mem::take(&mut self.to_receiver);
            if !frames.is_empty() {
                self.receive(|link, jobs| {
                    frames.iter().for_each(|bytes| {
                        link.receiver(Input::Frame { from: OtherEnd, bytes }, jobs);
                    });
                });
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

/// Blocks under way at the same time: enough for all threads, and no more, for they drive each other out of the caches.
fn blocks_at_once(threads: usize) -> usize {
    if threads == 1 { 1 } else { 2 * threads }
}

pub(super) fn measure(args: &Bench, figures: &mut Vec<Figure>) -> Result<(), SettingsError> {
    for threads in [1, usize::from(args.threads)].into_iter().take(1 + usize::from(args.threads > 1)) {
        Workers::with(threads, |workers| on_threads(args, threads, workers, figures))?;
    }
    Ok(())
}

fn on_threads(
    args: &Bench,
    threads: usize,
    workers: &Workers,
    figures: &mut Vec<Figure>,
) -> Result<(), SettingsError> {
    let (clicks, turns) = if args.quick { (1 << 18, 3) } else { (1 << 20, 6) };
    let mut link = Link::new(clicks as u64 * 3 / 4, workers)?;
    let mut first = 0;
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut sifted_in_turn = 0.0;
    for number in 0..turns {
        let mut windows = Vec::new();
        for _ in 0..blocks_at_once(threads) {
            let (detections, prepared) = window(&mut link.stream, clicks, first);
            first = detections.first_pulse + detections.pulse_count;
            link.prepared.push_back(prepared);
            windows.push(detections);
        }
        let before = (link.sifted_bits, link.receiving, link.transmitting);
        link.receive(|link, jobs| {
            for detections in windows {
                link.receiver(Input::Command(ReceiverCommand::Detected(detections)), jobs);
            }
        });
        link.settle();
        // The first turn begins without an expected error rate, and fills caches.
        if number > 0 {
            let (receiving, transmitting) = (link.receiving - before.1, link.transmitting - before.2);
            sifted_in_turn = (link.sifted_bits - before.0) as f64;
            for (times, took) in times.iter_mut().zip([receiving + transmitting, receiving, transmitting]) {
                times.push(took / sifted_in_turn);
            }
        }
    }
    let on = format!("clicks at {} %, 1 in {PULSES_A_CLICK} pulses", 100.0 * ERROR_RATE);
    let by = match threads {
        1 => "one thread".to_owned(),
        more => format!("{more} threads"),
    };
    for (times, what) in times.into_iter().zip(["both ends in turn", "the receiver", "the transmitter"]) {
        figures.push(Figure {
            what: "whole chain",
            on: on.clone(),
            value: 1e-6 / median(times),
            unit: "Mbit/s of sifted key",
            by: format!("{what}, {by}"),
        });
    }
    if threads == 1 {
        figures.push(Figure {
            what: "whole chain, key",
            on,
            value: 100.0 * link.key_bits as f64 / (link.sifted_bits as f64).max(1.0),
            unit: "% of sifted key",
            by: format!("blocks of {:.0} bits", sifted_in_turn / blocks_at_once(threads) as f64),
        });
    }
    Ok(())
}

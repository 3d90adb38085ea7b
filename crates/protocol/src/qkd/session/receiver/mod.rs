//! The machine of the end that detects the pulses.

mod windows;

use super::block::{WindowCounts, verification_bits};
use super::end::{End, InFlight, Role};
use super::job::{Done, Work};
use super::message::{DiscardCode, Distil, Message};
use super::{
    DiscardReason, Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, ReceiverCommand,
    SettingsError, Sink, TagPolicy,
};
use crate::hardware::{Basis, PulseNumber};
use crate::machine::{Input, Output, Protocol};
use crate::qkd::alarm::Alarm;
use crate::qkd::amplify::{Amplification, seed_len};
use crate::qkd::authenticate::Direction;
use crate::qkd::reconcile::{CorrectingEnd, Method, ReconcileError, Step};
use crate::qkd::security::Certificate;
use crate::qkd::verify;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{BlockId, Time};
use rand_core::Rng;
use std::collections::VecDeque;
use zeroize::Zeroize;

/// The end of a link that detects the pulses. It announces what it detected, corrects its sifted bits to the
/// transmitter's, and makes key of them.
pub struct Receiver {
    end: End<Stage>,
    /// The first pulse that was in no window.
    next_pulse: PulseNumber,
    next_window: u64,
    /// Announced and not yet answered.
    windows: VecDeque<Window>,
    /// Error rates of key and check basis in the last corrected block.
    last_rates: Option<(f64, f64)>,
}

/// A window that was announced.
struct Window {
    number: u64,
    counts: WindowCounts,
    bases: BitString,
    outcomes: SecretBits,
    announced: Time,
}

pub(super) enum Stage {
    /// Questions and answers go back and forth.
    Reconciling(Box<CorrectingEnd>),
    /// An answer is being worked through.
    Correcting,
    /// Waits to be told how to distil.
    Corrected(Certificate),
    /// Its key is being computed.
    Amplifying { certificate: Certificate, pad_pairs: u64 },
    /// Its key waits for those before.
    Amplified { certificate: Certificate, pad_pairs: u64, key: SecretBits },
    /// Its pads are being made durable.
    Storing { certificate: Certificate, key: SecretBits, record: u64 },
}

impl Receiver {
    /// A machine with these settings and what was last made durable (or
    /// [`Durable::provisioned`] at the very beginning).
    ///
    /// # Errors
    /// If the settings cannot be worked with.
    pub fn new(settings: LinkSettings, durable: Durable) -> Result<Self, SettingsError> {
        Ok(Self {
            end: End::new(settings, &durable, Direction::ReceiverToTransmitter)?,
            next_pulse: 0,
            next_window: 0,
            windows: VecDeque::new(),
            last_rates: None,
        })
    }

    /// Authentication pads left in the direction that has fewer.
    pub fn pads_left(&self) -> u64 {
        self.end.channel.pads_left()
    }

    /// How many sifted key bits the open block has, and how many it is closed with.
    pub fn progress(&self) -> (u64, u64) {
        self.end.open.progress(&self.end.settings)
    }

    /// Blocks closed and not yet released or discarded.
    pub fn blocks_in_flight(&self) -> usize {
        self.end.blocks.len()
    }

    /// Whether the next window would be made use of: a session is open, and not too much is in flight. A driver
    /// that can leave windows in the hardware's buffer may wait for this.
    pub fn takes_windows(&self) -> bool {
        self.not_taking().is_none()
    }

    /// Whether nothing waits for the other end: all windows are answered, and all blocks that were closed have ended.
    pub fn is_idle(&self) -> bool {
        self.windows.is_empty() && self.end.blocks.is_empty()
    }

    fn answered(
        &mut self,
        now: Time,
        id: BlockId,
        answer: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let session = self.end.channel.session();
        let Some(index) = self.end.find(id)? else { return Ok(()) };
        let in_flight = &mut self.end.blocks[index];
        if !matches!(in_flight.stage, Stage::Reconciling(_)) {
            return Err("an answer that was not asked for");
        }
        in_flight.moved = now;
        if let Stage::Reconciling(corrector) = core::mem::replace(&mut in_flight.stage, Stage::Correcting) {
            let work = Work::Correct { corrector, answer: answer.to_vec() };
            sink.out.push(Output::Compute(Job { session, block: id, work }));
        }
        Ok(())
    }

    /// An answer was worked through.
    fn stepped(
        &mut self,
        now: Time,
        id: BlockId,
        step: Result<Step, ReconcileError>,
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        match step {
            Ok(Step::Ask(request)) => {
                self.end.channel.send(Message::Ask { block: id, request: &request }.encode(), false);
            }
            Ok(Step::Done) => self.corrected(now, id, sink),
            Err(ReconcileError::TooManyErrors { .. }) => {
                self.end.give_up(now, id, DiscardCode::Reconciliation, DiscardReason::Reconciliation, sink)
            }
            Err(_) => return Err("an answer that answers nothing"),
        }
        Ok(())
    }

    /// Reconciliation of a block is done.
    fn corrected(&mut self, now: Time, id: BlockId, sink: &mut Sink<'_>) {
        let Ok(Some(index)) = self.end.find(id) else { return };
        let InFlight { block, stage, .. } = &mut self.end.blocks[index];
        let Stage::Reconciling(corrector) = stage else { return };
        let corrections = corrector.corrections();
        for (counts, class) in block.statistics.key.iter_mut().zip(&block.classes) {
            counts.errors = corrections.and(class).count_ones() as u64;
        }
        block.corrected = true;
        block.leaked_bits = corrector.disclosed();
        block.round_trips = corrector.round_trips();
        block.key = corrector.corrected();
        block.classes = Vec::new();
        let rate = |basis| block.statistics.error_rate(basis);
        self.last_rates = rate(Basis::Key).zip(rate(Basis::Check));
        let errors = block.statistics.key.iter().map(|class| class.errors).collect();
        let told = Message::Corrected { block: id, disclosed: block.leaked_bits, errors }.encode();
        match block.certify(&self.end.settings, block.leaked_bits) {
            Ok(certificate) => {
                *stage = Stage::Corrected(certificate);
                self.end.channel.send(told, true);
            }
            // The transmitter finds the same from the counts; no pad is spent on a block without key.
            Err(reason) => {
                self.end.channel.send(told, false);
                self.end.discard_at(now, index, reason.into(), sink);
            }
        }
    }

    fn distil(&mut self, now: Time, distil: Distil, sink: &mut Sink<'_>) -> Result<(), &'static str> {
        let id = distil.block;
        let Some(index) = self.end.find(id)? else { return Ok(()) };
        let in_flight = &mut self.end.blocks[index];
        let Stage::Corrected(certificate) = &in_flight.stage else {
            return Err("distillation of a block that is not corrected");
        };
        let block = &mut in_flight.block;
        let tag_bits = verification_bits(&self.end.settings, block.len);
        if !verify::agrees(distil.verification_key, block.key.expose(), tag_bits, distil.verification) {
            sink.event(LinkEvent::Alarm(Alarm::keys_differ(id, now)));
            self.end.give_up(now, id, DiscardCode::Verification, DiscardReason::Verification, sink);
            return Ok(());
        }
        if distil.key_bits != certificate.key_bits {
            self.end.give_up(now, id, DiscardCode::Certificate, DiscardReason::Certificate, sink);
            return Ok(());
        }
        let pads = distil.pad_pairs.checked_mul(256).filter(|&bits| bits <= distil.key_bits);
        let (Some(pads), true) = (pads, distil.seed.len() == seed_len(block.len, distil.key_bits as usize))
        else {
            return Err("distillation with impossible lengths");
        };
        let key = core::mem::take(&mut block.key);
        let Ok(amplification) = Amplification::new(key, distil.seed, distil.key_bits as usize) else {
            return Err("distillation with impossible lengths");
        };
        block.set_aside_bits = pads;
        block.key_bits = distil.key_bits - pads;
        in_flight.moved = now;
        in_flight.stage = Stage::Amplifying { certificate: certificate.clone(), pad_pairs: distil.pad_pairs };
        self.end.releases.push_back(id);
        let work = Work::Amplify(amplification);
        sink.out.push(Output::Compute(Job { session: self.end.channel.session(), block: id, work }));
        Ok(())
    }

    fn computed(&mut self, now: Time, result: JobResult, sink: &mut Sink<'_>) {
        let Some(in_flight) = self.end.computed(&result) else { return };
        match (result.done, &in_flight.stage) {
            (Done::Corrected { corrector, step }, Stage::Correcting) => {
                in_flight.stage = Stage::Reconciling(corrector);
                in_flight.moved = now;
                if let Err(what) = self.stepped(now, result.block, step, sink) {
                    let sealed = self.end.settings.tags == TagPolicy::EveryMessage;
                    self.end.channel.refuse(now, what, sealed, &mut sink.effects);
                }
            }
            (Done::Amplified(key), Stage::Amplifying { certificate, pad_pairs }) => {
                let (certificate, pad_pairs) = (certificate.clone(), *pad_pairs);
                in_flight.stage = Stage::Amplified { certificate, pad_pairs, key };
                in_flight.moved = now;
            }
            _ => {}
        }
    }

    fn told_to_discard(
        &mut self,
        now: Time,
        id: BlockId,
        code: DiscardCode,
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let Some(index) = self.end.find(id)? else { return Ok(()) };
        self.end.discard_at(now, index, code.reason(), sink);
        Ok(())
    }

    /// Where the block is that is to be confirmed next: of those whose pads are durable, the one released first,
    /// which need not have the lowest number.
    fn first_durable(&self) -> Option<usize> {
        let storing = self.end.blocks.iter().enumerate().filter_map(|(index, in_flight)| {
            let Stage::Storing { record, .. } = in_flight.stage else { return None };
            self.end.channel.is_durable(record).then_some((record, index))
        });
        storing.min().map(|(_, index)| index)
    }

    /// The block or window that has waited longest, and since when.
    fn oldest(&self) -> Option<(Option<BlockId>, Time)> {
        if self.end.channel.is_silent() {
            return None;
        }
        let window = self.windows.front().map(|window| (None, window.announced));
        let blocks = self.end.blocks.iter().filter(|in_flight| {
            // What this end computes or stores is not the other end's to move.
            matches!(in_flight.stage, Stage::Reconciling(_) | Stage::Corrected(_))
        });
        let blocks = blocks.map(|in_flight| (Some(in_flight.block.id), in_flight.moved));
        window.into_iter().chain(blocks).min_by_key(|&(_, since)| since)
    }

    fn check_stall(&mut self, now: Time, sink: &mut Sink<'_>) {
        if self.end.is_back(now) {
            self.windows.iter_mut().for_each(|window| window.announced = now);
        }
        self.end.check_stall(now, self.oldest(), sink);
    }
}

/// How a block is reconciled, as the message about it tells.
pub(super) fn method(settings: &LinkSettings, error_rate: u32, shuffles: u64) -> Method {
    // Whatever was sent, the rate is in range: a rate above a half says no more than a half.
    let error_rate = (f64::from(error_rate) / 4_294_967_296.0).min(0.5);
    settings.reconciliation.method(error_rate, shuffles).in_frames(settings.frame_bits)
}

impl Role for Receiver {
    type Stage = Stage;

    fn end(&mut self) -> &mut End<Stage> {
        &mut self.end
    }

    fn message(&mut self, now: Time, rng: &mut dyn Rng, payload: &[u8], sealed: bool, sink: &mut Sink<'_>) {
        let refused = match Message::decode(payload, self.end.settings.source.len()) {
            Ok(message) if message.is_sealed() && !sealed => Err("a message without its tag"),
            Ok(Message::Sifted { window, reply }) => self.sifted(now, rng, window, reply, sink),
            Ok(Message::Answer { block, answer }) => self.answered(now, block, answer, sink),
            Ok(Message::Distil(distil)) => self.distil(now, distil, sink),
            Ok(Message::Discard { block, reason }) => self.told_to_discard(now, block, reason, sink),
            Ok(_) => Err("a message that only the receiver sends"),
            Err(_) => Err("bytes that are no message"),
        };
        if let Err(what) = refused {
            self.end.channel.refuse(now, what, sealed, &mut sink.effects);
        }
    }

    fn begin(&mut self) {
        self.next_window = 0;
    }

    fn forget_windows(&mut self) {
        self.windows.clear();
    }

    /// Moves keys that are made towards their release, in the order that both ends keep.
    fn release(&mut self, now: Time, sink: &mut Sink<'_>) {
        while let Some(&id) = self.end.releases.front() {
            let Some(in_flight) = self.end.blocks.iter_mut().find(|in_flight| in_flight.block.id == id)
            else {
                self.end.releases.pop_front();
                continue;
            };
            let Stage::Amplified { certificate, pad_pairs, key } = &mut in_flight.stage else { break };
            let pads = key.take(*pad_pairs as usize * 256).unwrap_or_default();
            let record = self.end.channel.replenish(pads, &mut sink.effects);
            let (certificate, key) = (certificate.clone(), core::mem::take(key));
            in_flight.stage = Stage::Storing { certificate, key, record };
            self.end.releases.pop_front();
        }
        while let Some(index) = self.first_durable() {
            let Some(InFlight { block, stage: Stage::Storing { certificate, key, .. }, .. }) =
                self.end.blocks.remove(index)
            else {
                return;
            };
            self.end.channel.send(Message::Confirm { block: block.id }.encode(), true);
            self.end.hand_out(now, &block, certificate, key, sink);
        }
    }
}

impl Protocol for Receiver {
    type Peer = OtherEnd;
    type Command = ReceiverCommand;
    type Event = LinkEvent;
    type Record = Durable;
    type Job = Job;
    type JobResult = JobResult;

    fn handle(
        &mut self,
        now: Time,
        rng: &mut dyn Rng,
        input: Input<'_, OtherEnd, ReceiverCommand, JobResult>,
        out: &mut Vec<Output<OtherEnd, LinkEvent, Durable, Job>>,
    ) {
        let mut sink = Sink::new(out);
        match input {
            Input::Command(ReceiverCommand::Connect) => self.end.channel.connect(now),
            Input::Command(ReceiverCommand::Detected(mut detections)) => {
                self.detected(now, &detections, &mut sink);
                detections.outcomes.zeroize();
            }
            Input::Frame { bytes, .. } => self.end.channel.receive(now, bytes, &mut sink.effects),
            Input::Persisted(record) => self.end.channel.persisted(now, record, &mut sink.effects),
            Input::Computed(result) => self.computed(now, result, &mut sink),
            Input::Timeout => self.end.channel.timeout(now, &mut sink.effects),
        }
        self.check_stall(now, &mut sink);
        self.settle(now, rng, &mut sink);
        sink.finish();
    }

    fn deadline(&self) -> Option<Time> {
        self.end.deadline(self.oldest().map(|(_, since)| since))
    }
}

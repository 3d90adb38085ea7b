//! The machine of the end that sends the pulses.

mod windows;

use super::block::{Block, verification_bits};
use super::end::{End, InFlight, Role};
use super::job::{Done, Work};
use super::message::{DiscardCode, Distil, Message};
use super::receiver::method;
use super::{
    DiscardReason, Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, SettingsError, Sink,
    TagPolicy, TransmitterCommand,
};
use crate::hardware::{Preparations, PulseNumber};
use crate::machine::{Input, Output, Protocol};
use crate::qkd::alarm::Alarm;
use crate::qkd::amplify::{Amplification, seed_len};
use crate::qkd::authenticate::Direction;
use crate::qkd::reconcile::{ReconcileError, ReferenceEnd};
use crate::qkd::security::Certificate;
use crate::qkd::sift::Announcement;
use crate::qkd::verify;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{BlockId, Time};
use rand_core::Rng;
use std::collections::VecDeque;

/// The end of a link that sends the pulses. It opens sessions, says which clicks to keep, answers the
/// receiver's questions about its bits, and decides how each block is distilled.
pub struct Transmitter {
    end: End<Stage>,
    /// The first pulse that was in no window.
    next_pulse: PulseNumber,
    /// The same as far as it is authentic: a forged window must not use up the pulses to come.
    authentic_pulse: PulseNumber,
    /// The first pulse after all of which anything was ever told: none before it is taken again, in no session.
    disclosed_until: PulseNumber,
    next_window: u64,
    next_request: u64,
    /// Announced and not yet answered.
    windows: VecDeque<Window>,
    /// Blocks that the receiver has confirmed: their keys are released even if the session ends.
    confirmed: VecDeque<Confirmed>,
}

/// A window that was announced.
struct Window {
    number: u64,
    request: u64,
    /// Without its pulses, which the hardware was asked for.
    announcement: Announcement<'static>,
    preparations: Option<Preparations>,
    /// The last pulse in which the receiver is said to have clicked.
    last_click: Option<PulseNumber>,
}

struct Confirmed {
    block: Block,
    certificate: Certificate,
    key: SecretBits,
    record: u64,
}

pub(super) enum Stage {
    /// Waits for the first question.
    Sifted,
    /// Questions and answers go back and forth.
    Serving(Box<ReferenceEnd>),
    /// An answer is being made.
    Answering,
    /// Its key is being computed; the receiver is to be told how.
    Amplifying { certificate: Certificate, distil: Distil },
    /// Its key is made, the receiver's not yet.
    Amplified { certificate: Certificate, pad_pairs: u64, key: SecretBits },
}

impl Transmitter {
    /// A machine with these settings and what was last made durable (or
    /// [`Durable::provisioned`] at the very beginning).
    ///
    /// # Errors
    /// If the settings cannot be worked with.
    pub fn new(settings: LinkSettings, durable: Durable) -> Result<Self, SettingsError> {
        Ok(Self {
            end: End::new(settings, &durable, Direction::TransmitterToReceiver)?,
            next_pulse: 0,
            authentic_pulse: 0,
            disclosed_until: 0,
            next_window: 0,
            // Requests of a machine that is made anew are not taken for those of the one before.
            next_request: durable.session() << 32,
            windows: VecDeque::new(),
            confirmed: VecDeque::new(),
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
        self.end.blocks.len() + self.confirmed.len()
    }

    fn reconcile(
        &mut self,
        now: Time,
        id: BlockId,
        error_rate: u32,
        shuffles: u64,
        request: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let Some(index) = self.end.find(id)? else { return self.gone(id) };
        let in_flight = &mut self.end.blocks[index];
        if !matches!(in_flight.stage, Stage::Sifted) {
            return Err("reconciliation that had begun");
        }
        let method = method(&self.end.settings, error_rate, shuffles);
        let key = in_flight.block.key.duplicate();
        match ReferenceEnd::new(&method, key) {
            Ok(server) => in_flight.stage = Stage::Serving(Box::new(server)),
            Err(_) => {
                self.end.give_up(now, id, DiscardCode::Reconciliation, DiscardReason::Reconciliation, sink);
                return Ok(());
            }
        }
        if request.is_empty() { Ok(()) } else { self.asked(now, id, request, sink) }
    }

    fn asked(
        &mut self,
        now: Time,
        id: BlockId,
        question: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let Some(index) = self.end.find(id)? else { return self.gone(id) };
        let session = self.end.channel.session();
        let in_flight = &mut self.end.blocks[index];
        if !matches!(in_flight.stage, Stage::Serving(_)) {
            return Err("a question out of turn");
        }
        in_flight.moved = now;
        if let Stage::Serving(server) = core::mem::replace(&mut in_flight.stage, Stage::Answering) {
            let work = Work::Answer { server, question: question.to_vec() };
            sink.out.push(Output::Compute(Job { session, block: id, work }));
        }
        Ok(())
    }

    /// An answer was made.
    fn answered(
        &mut self,
        now: Time,
        id: BlockId,
        answer: Result<Vec<u8>, ReconcileError>,
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        match answer {
            Ok(answer) => {
                self.end.channel.send(Message::Answer { block: id, answer: &answer }.encode(), false);
            }
            Err(ReconcileError::TooManyErrors { .. }) => {
                self.end.give_up(now, id, DiscardCode::Reconciliation, DiscardReason::Reconciliation, sink)
            }
            Err(_) => return Err("a question that no honest end asks"),
        }
        Ok(())
    }

    /// The receiver speaks of a block that this end has discarded and says so once more.
    fn gone(&mut self, id: BlockId) -> Result<(), &'static str> {
        self.end.channel.send(Message::Discard { block: id, reason: DiscardCode::NoKey }.encode(), false);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn corrected(
        &mut self,
        now: Time,
        rng: &mut dyn Rng,
        id: BlockId,
        disclosed: u64,
        errors: &[u64],
        sealed: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let Some(index) = self.end.find(id)? else { return Ok(()) };
        let left = self.end.channel.pads_left();
        let promised: u64 = self.end.blocks.iter().map(|in_flight| in_flight.stage.pad_pairs()).sum();
        let InFlight { block, stage, moved } = &mut self.end.blocks[index];
        let (known, round_trips) = match stage {
            Stage::Sifted => (0, 0),
            Stage::Serving(server) => (server.disclosed(), server.round_trips()),
            _ => return Err("a correction out of turn"),
        };
        if block.statistics.key.iter().zip(errors).any(|(class, &errors)| errors > class.sifted) {
            return Err("more errors than bits");
        }
        for (class, &errors) in block.statistics.key.iter_mut().zip(errors) {
            class.errors = errors;
        }
        block.corrected = true;
        block.leaked_bits = known;
        block.round_trips = round_trips;
        *moved = now;
        let certificate = match block.certify(&self.end.settings, known) {
            Ok(certificate) if disclosed == known => certificate,
            Ok(_) => {
                self.end.give_up(now, id, DiscardCode::Certificate, DiscardReason::Certificate, sink);
                return Ok(());
            }
            Err(reason) => {
                if sealed {
                    self.end.give_up(now, id, DiscardCode::NoKey, reason.into(), sink);
                } else {
                    self.end.discard_at(now, index, reason.into(), sink);
                }
                return Ok(());
            }
        };
        if !sealed {
            // The receiver found no key where this end does.
            self.end.discard_at(now, index, DiscardReason::NoKeyThere, sink);
            return Ok(());
        }
        // From here on the receiver's bits are fixed, and seeds may be drawn.
        let key_bits = certificate.key_bits;
        let budget = &self.end.settings.authentication;
        let wanted = budget.target_pads.saturating_sub(left.saturating_add(promised));
        let affordable = (u128::from(key_bits) * u128::from(budget.greatest_share) / 256 / 256) as u64;
        let pad_pairs = wanted.min(affordable);
        let verification_key = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        let tag_bits = verification_bits(&self.end.settings, block.len);
        let verification = verify::tag(verification_key, block.key.expose(), tag_bits);
        let seed = BitString::random(seed_len(block.len, key_bits as usize), rng);
        let key = core::mem::take(&mut block.key);
        let Ok(amplification) = Amplification::new(key, seed.clone(), key_bits as usize) else {
            return Err("a key longer than its block");
        };
        block.set_aside_bits = pad_pairs * 256;
        block.key_bits = key_bits - pad_pairs * 256;
        let distil = Distil { block: id, verification_key, verification, key_bits, pad_pairs, seed };
        *stage = Stage::Amplifying { certificate, distil };
        let work = Work::Amplify(amplification);
        sink.out.push(Output::Compute(Job { session: self.end.channel.session(), block: id, work }));
        Ok(())
    }

    fn computed(&mut self, now: Time, result: JobResult, sink: &mut Sink<'_>) {
        let Some(in_flight) = self.end.computed(&result) else { return };
        match (result.done, &in_flight.stage) {
            (Done::Answered { server, answer }, Stage::Answering) => {
                in_flight.stage = Stage::Serving(server);
                in_flight.moved = now;
                if let Err(what) = self.answered(now, result.block, answer, sink) {
                    let sealed = self.end.settings.tags == TagPolicy::EveryMessage;
                    self.end.channel.refuse(now, what, sealed, &mut sink.effects);
                }
            }
            (Done::Amplified(key), Stage::Amplifying { certificate, distil }) => {
                let (certificate, pad_pairs) = (certificate.clone(), distil.pad_pairs);
                let told = Message::Distil(distil.clone()).encode();
                in_flight.stage = Stage::Amplified { certificate, pad_pairs, key };
                in_flight.moved = now;
                self.end.releases.push_back(result.block);
                self.end.channel.send(told, true);
            }
            _ => {}
        }
    }

    fn confirmed(&mut self, id: BlockId, sink: &mut Sink<'_>) -> Result<(), &'static str> {
        let Some(index) = self.end.find(id)? else { return Ok(()) };
        if self.end.releases.front() != Some(&id) {
            return Err("a confirmation out of turn");
        }
        self.end.releases.pop_front();
        let Some(InFlight { block, stage: Stage::Amplified { certificate, pad_pairs, mut key }, .. }) =
            self.end.blocks.remove(index)
        else {
            return Err("a confirmation out of turn");
        };
        let pads = key.take(pad_pairs as usize * 256).unwrap_or_default();
        let record = self.end.channel.replenish(pads, &mut sink.effects);
        self.confirmed.push_back(Confirmed { block, certificate, key, record });
        Ok(())
    }

    fn told_to_discard(
        &mut self,
        now: Time,
        id: BlockId,
        code: DiscardCode,
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let Some(index) = self.end.find(id)? else { return Ok(()) };
        self.end.releases.retain(|&release| release != id);
        if code == DiscardCode::Verification {
            sink.event(LinkEvent::Alarm(Alarm::keys_differ(id, now)));
        }
        self.end.discard_at(now, index, code.reason(), sink);
        Ok(())
    }

    /// The block that has waited longest for the receiver, and since when.
    fn oldest(&self) -> Option<(Option<BlockId>, Time)> {
        if self.end.channel.is_silent() {
            return None;
        }
        let blocks = self.end.blocks.iter().filter(|in_flight| {
            // What this end computes is not the other end's to move.
            !matches!(in_flight.stage, Stage::Answering | Stage::Amplifying { .. })
        });
        blocks.map(|in_flight| (Some(in_flight.block.id), in_flight.moved)).min_by_key(|&(_, since)| since)
    }
}

impl Stage {
    /// Pairs of pads that its key will give.
    fn pad_pairs(&self) -> u64 {
        match self {
            Stage::Sifted | Stage::Serving(_) | Stage::Answering => 0,
            Stage::Amplifying { distil, .. } => distil.pad_pairs,
            Stage::Amplified { pad_pairs, .. } => *pad_pairs,
        }
    }
}

impl Role for Transmitter {
    type Stage = Stage;

    fn end(&mut self) -> &mut End<Stage> {
        &mut self.end
    }

    fn message(&mut self, now: Time, rng: &mut dyn Rng, payload: &[u8], sealed: bool, sink: &mut Sink<'_>) {
        if sealed {
            self.authentic_pulse = self.next_pulse;
        }
        let refused = match Message::decode(payload, self.end.settings.source.len()) {
            Ok(Message::Announce { window, announcement }) => self.announced(now, window, announcement, sink),
            Ok(Message::Reconcile { block, error_rate, shuffles, request }) => {
                self.reconcile(now, block, error_rate, shuffles, request, sink)
            }
            Ok(Message::Ask { block, request }) => self.asked(now, block, request, sink),
            Ok(Message::Corrected { block, disclosed, errors }) => {
                self.corrected(now, rng, block, disclosed, &errors, sealed, sink)
            }
            Ok(Message::Confirm { .. }) if !sealed => Err("a message without its tag"),
            Ok(Message::Confirm { block }) => self.confirmed(block, sink),
            Ok(Message::Discard { block, reason }) => self.told_to_discard(now, block, reason, sink),
            Ok(_) => Err("a message that only the transmitter sends"),
            Err(_) => Err("bytes that are no message"),
        };
        if let Err(what) = refused {
            self.end.channel.refuse(now, what, sealed, &mut sink.effects);
        }
    }

    fn begin(&mut self) {
        self.next_window = 0;
        // Whoever forged an announcement has been told the bases of its pulses, and may still hold their light.
        self.next_pulse = self.authentic_pulse.max(self.disclosed_until);
    }

    fn forget_windows(&mut self) {
        self.windows.clear();
    }

    /// Hands out the keys whose taking is durable.
    fn release(&mut self, now: Time, sink: &mut Sink<'_>) {
        while self.confirmed.front().is_some_and(|confirmed| self.end.channel.is_durable(confirmed.record)) {
            let Some(Confirmed { block, certificate, key, .. }) = self.confirmed.pop_front() else {
                return;
            };
            self.end.hand_out(now, &block, certificate, key, sink);
        }
    }
}

impl Protocol for Transmitter {
    type Peer = OtherEnd;
    type Command = TransmitterCommand;
    type Event = LinkEvent;
    type Record = Durable;
    type Job = Job;
    type JobResult = JobResult;

    fn handle(
        &mut self,
        now: Time,
        rng: &mut dyn Rng,
        input: Input<'_, OtherEnd, TransmitterCommand, JobResult>,
        out: &mut Vec<Output<OtherEnd, LinkEvent, Durable, Job>>,
    ) {
        let mut sink = Sink::new(out);
        match input {
            Input::Command(TransmitterCommand::Connect) => self.end.channel.connect(now),
            Input::Command(TransmitterCommand::Recalled { request, preparations }) => {
                self.recalled(now, request, preparations, &mut sink);
            }
            Input::Frame { bytes, .. } => self.end.channel.receive(now, bytes, &mut sink.effects),
            Input::Persisted(record) => self.end.channel.persisted(now, record, &mut sink.effects),
            Input::Computed(result) => self.computed(now, result, &mut sink),
            Input::Timeout => self.end.channel.timeout(now, &mut sink.effects),
        }
        self.end.is_back(now);
        self.end.check_stall(now, self.oldest(), &mut sink);
        self.settle(now, rng, &mut sink);
        sink.finish();
    }

    fn deadline(&self) -> Option<Time> {
        self.end.deadline(self.oldest().map(|(_, since)| since))
    }
}

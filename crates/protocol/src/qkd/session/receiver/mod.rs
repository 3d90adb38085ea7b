//! The machine of the end that detects the pulses.

mod windows;

use super::block::{Block, WindowCounts, verification_bits};
use super::message::{DiscardCode, Distil, Message};
use super::{
    DiscardReason, Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, ReceiverCommand,
    SettingsError, Sink,
};
use crate::hardware::{Basis, PulseNumber};
use crate::machine::{Input, Output, Protocol};
use crate::qkd::alarm::{Alarm, AlarmKind, Reading, Watch};
use crate::qkd::amplify::{Amplification, seed_len};
use crate::qkd::authenticate::Direction;
use crate::qkd::channel::{Channel, Delivery};
use crate::qkd::reconcile::{CascadeSettings, Corrector, Step};
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
    settings: LinkSettings,
    channel: Channel,
    watch: Watch,
    /// The first pulse that was in no window.
    next_pulse: PulseNumber,
    next_window: u64,
    /// Announced and not yet answered.
    windows: VecDeque<Window>,
    open: Block,
    /// Closed, by rising number.
    blocks: VecDeque<InFlight>,
    /// Blocks whose keys are being made, in the order in which the transmitter told how.
    releases: VecDeque<BlockId>,
    /// Error rates of key and check basis in the last corrected block.
    last_rates: Option<(f64, f64)>,
    was_silent: bool,
}

/// A window that was announced.
struct Window {
    number: u64,
    counts: WindowCounts,
    bases: BitString,
    outcomes: SecretBits,
    announced: Time,
}

struct InFlight {
    block: Block,
    stage: Stage,
    /// When it last moved on.
    moved: Time,
}

enum Stage {
    /// Questions and answers go back and forth.
    Reconciling(Box<Corrector>),
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
        settings.validate()?;
        let channel = Channel::new(&settings, &durable, Direction::ReceiverToTransmitter)
            .map_err(SettingsError::Secret)?;
        Ok(Self {
            open: Block::new(BlockId(0), settings.source.len()),
            channel,
            watch: Watch::default(),
            next_pulse: 0,
            next_window: 0,
            windows: VecDeque::new(),
            blocks: VecDeque::new(),
            releases: VecDeque::new(),
            last_rates: None,
            was_silent: false,
            settings,
        })
    }

    /// Authentication pads left in the direction that has fewer.
    pub fn pads_left(&self) -> u64 {
        self.channel.pads_left()
    }

    /// Blocks closed and not yet released or discarded.
    pub fn blocks_in_flight(&self) -> usize {
        self.blocks.len()
    }

    fn message(&mut self, now: Time, rng: &mut dyn Rng, payload: &[u8], sealed: bool, sink: &mut Sink<'_>) {
        let refused = match Message::decode(payload, self.settings.source.len()) {
            Ok(message) if message.is_sealed() && !sealed => Err("a message without its tag"),
            Ok(Message::Sifted { window, reply }) => self.sifted(now, rng, window, reply, sink),
            Ok(Message::Answer { block, answer }) => self.answered(now, block, answer, sink),
            Ok(Message::Distil(distil)) => self.distil(now, distil, sink),
            Ok(Message::Discard { block, reason }) => self.told_to_discard(now, block, reason, sink),
            Ok(_) => Err("a message that only the receiver sends"),
            Err(_) => Err("bytes that are no message"),
        };
        if let Err(what) = refused {
            self.channel.refuse(now, what, &mut sink.effects);
        }
    }

    fn answered(
        &mut self,
        now: Time,
        id: BlockId,
        answer: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let Some(index) = self.find(id)? else { return Ok(()) };
        let in_flight = &mut self.blocks[index];
        let Stage::Reconciling(corrector) = &mut in_flight.stage else {
            return Err("an answer that was not asked for");
        };
        in_flight.moved = now;
        match corrector.reply(answer) {
            Ok(Step::Ask(request)) => {
                self.channel.send(Message::Ask { block: id, request: &request }.encode(), false);
            }
            Ok(Step::Done) => self.corrected(now, id, sink),
            Err(_) => self.give_up(now, id, DiscardCode::Reconciliation, DiscardReason::Reconciliation, sink),
        }
        Ok(())
    }

    /// Reconciliation of a block is done.
    fn corrected(&mut self, now: Time, id: BlockId, sink: &mut Sink<'_>) {
        let Ok(Some(index)) = self.find(id) else { return };
        let InFlight { block, stage, .. } = &mut self.blocks[index];
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
        match block.certify(&self.settings, block.leaked_bits) {
            Ok(certificate) => {
                *stage = Stage::Corrected(certificate);
                self.channel.send(told, true);
            }
            // The transmitter finds the same from the counts; no pad is spent on a block without key.
            Err(reason) => {
                self.channel.send(told, false);
                if let Some(in_flight) = self.blocks.remove(index) {
                    self.discard(now, in_flight.block, reason.into(), sink);
                }
            }
        }
    }

    fn distil(&mut self, now: Time, distil: Distil, sink: &mut Sink<'_>) -> Result<(), &'static str> {
        let id = distil.block;
        let Some(index) = self.find(id)? else { return Ok(()) };
        let in_flight = &mut self.blocks[index];
        let Stage::Corrected(certificate) = &in_flight.stage else {
            return Err("distillation of a block that is not corrected");
        };
        let block = &mut in_flight.block;
        let tag_bits = verification_bits(&self.settings, block.len);
        if !verify::agrees(distil.verification_key, block.key.expose(), tag_bits, distil.verification) {
            let seen = Reading::Text("keys that differ after reconciliation".to_owned());
            let expected = Reading::Text("equal keys".to_owned());
            let alarm = Alarm::new(AlarmKind::VerificationFailed, Some(id), now, seen, expected);
            sink.event(LinkEvent::Alarm(alarm));
            self.give_up(now, id, DiscardCode::Verification, DiscardReason::Verification, sink);
            return Ok(());
        }
        if distil.key_bits != certificate.key_bits {
            self.give_up(now, id, DiscardCode::Certificate, DiscardReason::Certificate, sink);
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
        self.releases.push_back(id);
        sink.out.push(Output::Compute(Job { session: self.channel.session(), block: id, amplification }));
        Ok(())
    }

    fn computed(&mut self, now: Time, result: JobResult) {
        if result.session != self.channel.session() {
            return;
        }
        let Some(in_flight) = self.blocks.iter_mut().find(|in_flight| in_flight.block.id == result.block)
        else {
            return;
        };
        if let Stage::Amplifying { certificate, pad_pairs } = &in_flight.stage {
            let (certificate, pad_pairs) = (certificate.clone(), *pad_pairs);
            in_flight.stage = Stage::Amplified { certificate, pad_pairs, key: result.key };
            in_flight.moved = now;
        }
    }

    /// Moves keys that are made towards their release, in the order that both ends keep.
    fn release(&mut self, now: Time, sink: &mut Sink<'_>) {
        while let Some(&id) = self.releases.front() {
            let Some(in_flight) = self.blocks.iter_mut().find(|in_flight| in_flight.block.id == id) else {
                self.releases.pop_front();
                continue;
            };
            let Stage::Amplified { certificate, pad_pairs, key } = &mut in_flight.stage else { break };
            let pads = key.take(*pad_pairs as usize * 256).unwrap_or_default();
            let record = self.channel.replenish(pads, &mut sink.effects);
            let (certificate, key) = (certificate.clone(), core::mem::take(key));
            in_flight.stage = Stage::Storing { certificate, key, record };
            self.releases.pop_front();
        }
        while let Some(index) = self.blocks.iter().position(|in_flight| match in_flight.stage {
            Stage::Storing { record, .. } => self.channel.is_durable(record),
            _ => false,
        }) {
            let Some(InFlight { block, stage: Stage::Storing { mut certificate, key, .. }, .. }) =
                self.blocks.remove(index)
            else {
                return;
            };
            self.channel.send(Message::Confirm { block: block.id }.encode(), true);
            certificate.epsilons.authentication = self.channel.take_forgery_probability();
            self.told(now, &block, sink);
            sink.event(LinkEvent::Block(block.report(now, self.channel.take_pads_used(), None)));
            sink.event(LinkEvent::Key { block: block.id, key, certificate });
        }
    }

    fn told_to_discard(
        &mut self,
        now: Time,
        id: BlockId,
        code: DiscardCode,
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let Some(index) = self.find(id)? else { return Ok(()) };
        if let Some(in_flight) = self.blocks.remove(index) {
            self.discard(now, in_flight.block, code.reason(), sink);
        }
        Ok(())
    }

    /// Discards a block in flight and says so to the transmitter.
    fn give_up(
        &mut self,
        now: Time,
        id: BlockId,
        code: DiscardCode,
        reason: DiscardReason,
        sink: &mut Sink<'_>,
    ) {
        self.channel.send(Message::Discard { block: id, reason: code }.encode(), false);
        if let Ok(Some(index)) = self.find(id)
            && let Some(in_flight) = self.blocks.remove(index)
        {
            self.discard(now, in_flight.block, reason, sink);
        }
    }

    fn discard(&mut self, now: Time, block: Block, reason: DiscardReason, sink: &mut Sink<'_>) {
        match &reason {
            DiscardReason::NoKey(reason) => {
                sink.event(LinkEvent::Alarm(Alarm::no_key(block.id, now, reason)));
            }
            DiscardReason::Reconciliation | DiscardReason::Certificate => {
                let [seen, expected] = [reason.to_string(), "a key".to_owned()].map(Reading::Text);
                sink.event(LinkEvent::Alarm(Alarm::new(
                    AlarmKind::NoKey,
                    Some(block.id),
                    now,
                    seen,
                    expected,
                )));
            }
            _ => {}
        }
        if !reason.is_session() {
            self.told(now, &block, sink);
        }
        sink.event(LinkEvent::Block(block.report(now, self.channel.take_pads_used(), Some(reason))));
    }

    /// Raises the alarms of a block whose light is fully known.
    fn told(&mut self, now: Time, block: &Block, sink: &mut Sink<'_>) {
        if let Some(baseline) = &self.settings.baseline {
            let alarms = self.watch.block(baseline, &self.settings.thresholds, &block.observation(now));
            alarms.into_iter().for_each(|alarm| sink.event(LinkEvent::Alarm(alarm)));
        }
    }

    /// Where a block in flight is; `None` if it has ended. An error if it has not begun.
    fn find(&self, id: BlockId) -> Result<Option<usize>, &'static str> {
        if id >= self.open.id {
            return Err("a message about a block that is not closed");
        }
        Ok(self.blocks.iter().position(|in_flight| in_flight.block.id == id))
    }

    fn lost(&mut self, now: Time, session: u64, forged: bool, sink: &mut Sink<'_>) {
        let reason = if forged { DiscardReason::Authentication } else { DiscardReason::SessionLost };
        self.windows.clear();
        self.releases.clear();
        for in_flight in core::mem::take(&mut self.blocks) {
            self.discard(now, in_flight.block, reason.clone(), sink);
        }
        let next = BlockId(self.open.id.0 + 1);
        let open = core::mem::replace(&mut self.open, Block::new(next, self.settings.source.len()));
        if open.clicks > 0 {
            self.channel.use_blocks(next.0);
            self.discard(now, open, reason, sink);
        }
        sink.event(LinkEvent::Disconnected { session });
    }

    fn opened(&mut self, session: u64, first_block: u64, sink: &mut Sink<'_>) {
        self.open = Block::new(BlockId(first_block), self.settings.source.len());
        self.next_window = 0;
        sink.event(LinkEvent::Connected { session });
    }

    /// The block or window that has waited longest, and since when.
    fn oldest(&self) -> Option<(Option<BlockId>, Time)> {
        if self.channel.is_silent() {
            return None;
        }
        let window = self.windows.front().map(|window| (None, window.announced));
        let blocks = self.blocks.iter().filter(|in_flight| {
            // What this end computes or stores is not the other end's to move.
            matches!(in_flight.stage, Stage::Reconciling(_) | Stage::Corrected(_))
        });
        let blocks = blocks.map(|in_flight| (Some(in_flight.block.id), in_flight.moved));
        window.into_iter().chain(blocks).min_by_key(|&(_, since)| since)
    }

    fn check_stall(&mut self, now: Time, sink: &mut Sink<'_>) {
        let silent = self.channel.is_silent();
        if core::mem::replace(&mut self.was_silent, silent) && !silent {
            // The other end is back: what waited for it may go on waiting.
            self.blocks.iter_mut().for_each(|in_flight| in_flight.moved = now);
            self.windows.iter_mut().for_each(|window| window.announced = now);
        }
        if let Some((block, since)) = self.oldest()
            && now >= since.saturating_add(self.settings.timing.stalled_after)
        {
            sink.event(LinkEvent::Alarm(super::stalled(block, now, since, &self.settings)));
            self.channel.fail(now, false);
        }
    }
}

/// The settings of reconciliation as the message about a block tells them.
pub(super) fn cascade(settings: &LinkSettings, error_rate: u32, shuffles: u64) -> CascadeSettings {
    CascadeSettings {
        variant: settings.cascade,
        frame_length: settings.cascade_frame_bits,
        // Whatever was sent, the rate is in range: a rate above a half says no more than a half.
        error_rate: (f64::from(error_rate) / 4_294_967_296.0).min(0.5),
        seed: shuffles,
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
            Input::Command(ReceiverCommand::Connect) => self.channel.connect(now),
            Input::Command(ReceiverCommand::Detected(mut detections)) => {
                self.detected(now, &detections, &mut sink);
                detections.outcomes.zeroize();
            }
            Input::Frame { bytes, .. } => self.channel.receive(now, bytes, &mut sink.effects),
            Input::Persisted(record) => self.channel.persisted(now, record, &mut sink.effects),
            Input::Computed(result) => self.computed(now, result),
            Input::Timeout => self.channel.timeout(now, &mut sink.effects),
        }
        self.check_stall(now, &mut sink);
        loop {
            while let Some(delivery) = self.channel.next(now, &mut sink.effects) {
                match delivery {
                    Delivery::Opened { session, first_block } => self.opened(session, first_block, &mut sink),
                    Delivery::Lost { session, forged } => self.lost(now, session, forged, &mut sink),
                    Delivery::Message { payload, sealed } => {
                        self.message(now, rng, &payload, sealed, &mut sink)
                    }
                }
            }
            self.release(now, &mut sink);
            self.channel.flush(now, &mut sink.effects);
            if !self.channel.has_news() {
                break;
            }
        }
        sink.finish();
    }

    fn deadline(&self) -> Option<Time> {
        let stall = self.oldest().map(|(_, since)| since.saturating_add(self.settings.timing.stalled_after));
        self.channel.deadline().into_iter().chain(stall).min()
    }
}

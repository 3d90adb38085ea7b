//! The machine of the end that sends the pulses.

mod windows;

use super::block::{Block, verification_bits};
use super::message::{DiscardCode, Distil, Message};
use super::receiver::cascade;
use super::{
    DiscardReason, Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, SettingsError, Sink,
    TransmitterCommand,
};
use crate::hardware::{Preparations, PulseNumber};
use crate::machine::{Input, Output, Protocol};
use crate::qkd::alarm::{Alarm, AlarmKind, Reading, Watch};
use crate::qkd::amplify::{Amplification, seed_len};
use crate::qkd::authenticate::Direction;
use crate::qkd::channel::{Channel, Delivery};
use crate::qkd::reconcile::ParityServer;
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
    settings: LinkSettings,
    channel: Channel,
    watch: Watch,
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
    open: Block,
    /// Closed, by rising number.
    blocks: VecDeque<InFlight>,
    /// Blocks that the receiver was told how to distil, in that order.
    releases: VecDeque<BlockId>,
    /// Blocks that the receiver has confirmed: their keys are released even if the session ends.
    confirmed: VecDeque<Confirmed>,
    was_silent: bool,
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

struct InFlight {
    block: Block,
    stage: Stage,
    /// When it last moved on.
    moved: Time,
}

struct Confirmed {
    block: Block,
    certificate: Certificate,
    key: SecretBits,
    record: u64,
}

enum Stage {
    /// Waits for the first question.
    Sifted,
    /// Questions and answers go back and forth.
    Serving(Box<ParityServer>),
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
        settings.validate()?;
        let channel = Channel::new(&settings, &durable, Direction::TransmitterToReceiver)
            .map_err(SettingsError::Secret)?;
        Ok(Self {
            open: Block::new(BlockId(0), settings.source.len()),
            channel,
            watch: Watch::default(),
            next_pulse: 0,
            authentic_pulse: 0,
            disclosed_until: 0,
            next_window: 0,
            // Requests of a machine that is made anew are not taken for those of the one before.
            next_request: durable.session() << 32,
            windows: VecDeque::new(),
            blocks: VecDeque::new(),
            releases: VecDeque::new(),
            confirmed: VecDeque::new(),
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
        self.blocks.len() + self.confirmed.len()
    }

    fn message(&mut self, now: Time, rng: &mut dyn Rng, payload: &[u8], sealed: bool, sink: &mut Sink<'_>) {
        if sealed {
            self.authentic_pulse = self.next_pulse;
        }
        let refused = match Message::decode(payload, self.settings.source.len()) {
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
            self.channel.refuse(now, what, &mut sink.effects);
        }
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
        let Some(index) = self.find(id)? else { return self.gone(id) };
        let in_flight = &mut self.blocks[index];
        if !matches!(in_flight.stage, Stage::Sifted) {
            return Err("reconciliation that had begun");
        }
        let settings = cascade(&self.settings, error_rate, shuffles);
        let key = in_flight.block.key.duplicate();
        match ParityServer::new(&settings, key) {
            Ok(server) => in_flight.stage = Stage::Serving(Box::new(server)),
            Err(_) => {
                self.give_up(now, id, DiscardCode::Reconciliation, DiscardReason::Reconciliation, sink);
                return Ok(());
            }
        }
        if request.is_empty() { Ok(()) } else { self.asked(now, id, request, sink) }
    }

    fn asked(
        &mut self,
        now: Time,
        id: BlockId,
        request: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let Some(index) = self.find(id)? else { return self.gone(id) };
        let in_flight = &mut self.blocks[index];
        let Stage::Serving(server) = &mut in_flight.stage else {
            return Err("a question out of turn");
        };
        in_flight.moved = now;
        match server.answer(request) {
            Ok(answer) => {
                self.channel.send(Message::Answer { block: id, answer: &answer }.encode(), false);
            }
            Err(_) => self.give_up(now, id, DiscardCode::Reconciliation, DiscardReason::Reconciliation, sink),
        }
        Ok(())
    }

    /// The receiver speaks of a block that this end has discarded and says so once more.
    fn gone(&mut self, id: BlockId) -> Result<(), &'static str> {
        self.channel.send(Message::Discard { block: id, reason: DiscardCode::NoKey }.encode(), false);
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
        let Some(index) = self.find(id)? else { return Ok(()) };
        let left = self.channel.pads_left();
        let promised: u64 = self.blocks.iter().map(|in_flight| in_flight.stage.pad_pairs()).sum();
        let InFlight { block, stage, moved } = &mut self.blocks[index];
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
        let certificate = match block.certify(&self.settings, known) {
            Ok(certificate) if disclosed == known => certificate,
            Ok(_) => {
                self.give_up(now, id, DiscardCode::Certificate, DiscardReason::Certificate, sink);
                return Ok(());
            }
            Err(reason) => {
                if sealed {
                    self.give_up(now, id, DiscardCode::NoKey, reason.into(), sink);
                } else if let Some(in_flight) = self.blocks.remove(index) {
                    self.discard(now, in_flight.block, reason.into(), sink);
                }
                return Ok(());
            }
        };
        if !sealed {
            // The receiver found no key where this end does.
            if let Some(in_flight) = self.blocks.remove(index) {
                self.discard(now, in_flight.block, DiscardReason::NoKeyThere, sink);
            }
            return Ok(());
        }
        // From here on the receiver's bits are fixed, and seeds may be drawn.
        let key_bits = certificate.key_bits;
        let budget = &self.settings.authentication;
        let wanted = budget.target_pads.saturating_sub(left.saturating_add(promised));
        let affordable = (u128::from(key_bits) * u128::from(budget.greatest_share) / 256 / 256) as u64;
        let pad_pairs = wanted.min(affordable);
        let verification_key = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        let tag_bits = verification_bits(&self.settings, block.len);
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
        if let Stage::Amplifying { certificate, distil } = &in_flight.stage {
            let (certificate, pad_pairs) = (certificate.clone(), distil.pad_pairs);
            self.channel.send(Message::Distil(distil.clone()).encode(), true);
            in_flight.stage = Stage::Amplified { certificate, pad_pairs, key: result.key };
            in_flight.moved = now;
            self.releases.push_back(result.block);
        }
    }

    fn confirmed(&mut self, id: BlockId, sink: &mut Sink<'_>) -> Result<(), &'static str> {
        let Some(index) = self.find(id)? else { return Ok(()) };
        if self.releases.front() != Some(&id) {
            return Err("a confirmation out of turn");
        }
        self.releases.pop_front();
        let Some(InFlight { block, stage: Stage::Amplified { certificate, pad_pairs, mut key }, .. }) =
            self.blocks.remove(index)
        else {
            return Err("a confirmation out of turn");
        };
        let pads = key.take(pad_pairs as usize * 256).unwrap_or_default();
        let record = self.channel.replenish(pads, &mut sink.effects);
        self.confirmed.push_back(Confirmed { block, certificate, key, record });
        Ok(())
    }

    /// Hands out the keys whose taking is durable.
    fn release(&mut self, now: Time, sink: &mut Sink<'_>) {
        while self.confirmed.front().is_some_and(|confirmed| self.channel.is_durable(confirmed.record)) {
            let Some(Confirmed { block, mut certificate, key, .. }) = self.confirmed.pop_front() else {
                return;
            };
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
        self.releases.retain(|&release| release != id);
        if code == DiscardCode::Verification {
            let seen = Reading::Text("keys that differ after reconciliation".to_owned());
            let expected = Reading::Text("equal keys".to_owned());
            let alarm = Alarm::new(AlarmKind::VerificationFailed, Some(id), now, seen, expected);
            sink.event(LinkEvent::Alarm(alarm));
        }
        if let Some(in_flight) = self.blocks.remove(index) {
            self.discard(now, in_flight.block, code.reason(), sink);
        }
        Ok(())
    }

    /// Discards a block in flight and says so to the receiver.
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
        // Whoever forged an announcement has been told the bases of its pulses, and may still hold their light.
        self.next_pulse = self.authentic_pulse.max(self.disclosed_until);
        sink.event(LinkEvent::Connected { session });
    }

    /// The block that has waited longest for the receiver, and since when.
    fn oldest(&self) -> Option<(Option<BlockId>, Time)> {
        if self.channel.is_silent() {
            return None;
        }
        let blocks =
            self.blocks.iter().filter(|in_flight| !matches!(in_flight.stage, Stage::Amplifying { .. }));
        blocks.map(|in_flight| (Some(in_flight.block.id), in_flight.moved)).min_by_key(|&(_, since)| since)
    }

    fn check_stall(&mut self, now: Time, sink: &mut Sink<'_>) {
        let silent = self.channel.is_silent();
        if core::mem::replace(&mut self.was_silent, silent) && !silent {
            // The other end is back: what waited for it may go on waiting.
            self.blocks.iter_mut().for_each(|in_flight| in_flight.moved = now);
        }
        if let Some((block, since)) = self.oldest()
            && now >= since.saturating_add(self.settings.timing.stalled_after)
        {
            sink.event(LinkEvent::Alarm(super::stalled(block, now, since, &self.settings)));
            self.channel.fail(now, false);
        }
    }
}

impl Stage {
    /// Pairs of pads that its key will give.
    fn pad_pairs(&self) -> u64 {
        match self {
            Stage::Sifted | Stage::Serving(_) => 0,
            Stage::Amplifying { distil, .. } => distil.pad_pairs,
            Stage::Amplified { pad_pairs, .. } => *pad_pairs,
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
            Input::Command(TransmitterCommand::Connect) => self.channel.connect(now),
            Input::Command(TransmitterCommand::Recalled { request, preparations }) => {
                self.recalled(now, request, preparations, &mut sink);
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

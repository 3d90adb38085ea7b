//! The end that corrects its bits.

use super::account::{Account, BlockCounts};
use super::event::{
    RawAlarm, RawBlock, RawCommand, RawDiscard, RawEvent, RawFailure, RawJob, RawJobResult, RawRecord,
};
use super::message::{Kind, Message};
use super::reconciling::{self, MILLION, Method};
use super::sample;
use super::seal::Seals;
use super::session::{Allowed, Finished, Out, Session};
use super::settings::{RawSettings, RawSettingsError};
use crate::machine::{Input, Output, Protocol};
use crate::qkd::amplify::Amplification;
use crate::qkd::authenticate::{AuthenticationKeys, Tag};
use crate::qkd::reconcile::{self, Family, ReconcileError, Step};
use crate::qkd::security::ClassCounts;
use crate::qkd::session::OtherEnd;
use crate::qkd::tags::TagMessage;
use crate::qkd::verify;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{BlockId, Duration, Time};
use rand_core::Rng;
use std::collections::{BTreeMap, VecDeque};

/// The end that corrects its bits: it begins blocks and asks.
pub struct CorrectingEnd {
    session: Session,
    next: u64,
    blocks: BTreeMap<u64, InFlight>,
    /// In the order in which the other end was told.
    made: VecDeque<Finished>,
    /// Keys that are told once the record of the pads is durable, and whether these are the last.
    confirming: Option<(Vec<Finished>, bool)>,
    /// The same, once the other end has sealed it.
    sealed: Option<(Vec<Finished>, bool)>,
    /// The shortest wait for an answer that was seen; no block begins before there is one.
    round_trip: Option<Duration>,
    pinged: Time,
    /// Errors and bits of the block that was corrected last.
    last_seen: Option<ClassCounts>,
}

struct InFlight {
    bits: u64,
    counts: BlockCounts,
    family: Option<Family>,
    round_trips: u64,
    /// Which bits are no sample, if errors are to be told.
    rest: Option<BitString>,
    stage: Stage,
}

enum Stage {
    /// Waits for its bits.
    Wanted,
    /// Waits to hear how many of the sample are wrong.
    Sampling { bits: SecretBits, since: Time },
    /// Waits for an answer.
    Asking(reconcile::CorrectingEnd),
    /// Waits for how it becomes key.
    Corrected { bits: SecretBits, account: Box<Account> },
    /// Its key is computed.
    Amplifying { account: Box<Account> },
}

impl CorrectingEnd {
    /// A machine with these settings, and what is left of the shared secret if there is one: its sending direction must
    /// be [`ReceiverToTransmitter`](crate::qkd::authenticate::Direction::ReceiverToTransmitter).
    ///
    /// # Errors
    /// If the settings cannot be worked with.
    pub fn new(settings: RawSettings, keys: Option<AuthenticationKeys>) -> Result<Self, RawSettingsError> {
        Self::after(settings, Seals::new(keys))
    }

    /// The same on a connection on which something was said before, which the first tags cover as well.
    ///
    /// # Errors
    /// If the settings cannot be worked with.
    pub fn after(settings: RawSettings, seals: Seals) -> Result<Self, RawSettingsError> {
        settings.validate()?;
        Ok(Self {
            session: Session::new(settings, seals),
            next: 0,
            blocks: BTreeMap::new(),
            made: VecDeque::new(),
            confirming: None,
            sealed: None,
            round_trip: None,
            pinged: Time::ZERO,
            last_seen: None,
        })
    }

    /// How many blocks are under way.
    pub fn blocks_in_flight(&self) -> usize {
        self.blocks.len()
    }

    /// Whether [`RawCommand::Proceed`] would begin a block.
    pub fn can_proceed(&self) -> bool {
        !self.session.stopping
            && !self.session.is_over()
            && self.round_trip.is_some()
            && self.session.plan.is_some_and(|plan| {
                self.next < plan.blocks
                    && self.blocks.len() < plan.in_flight as usize
                    && self.session.is_usable(self.next)
            })
    }

    fn proceed(&mut self, out: &mut Out) {
        if !self.can_proceed() {
            return;
        }
        let block = BlockId(self.next);
        let range = self.session.range(block.0);
        self.next += 1;
        self.session.allow_blocks(self.next, out);
        let in_flight = InFlight {
            bits: range.end - range.start,
            counts: BlockCounts::default(),
            family: None,
            round_trips: 0,
            rest: None,
            stage: Stage::Wanted,
        };
        self.blocks.insert(block.0, in_flight);
        out.push(Output::Event(RawEvent::Wanted { block, bits: range }));
    }

    fn bits(&mut self, now: Time, block: BlockId, bits: SecretBits, rng: &mut dyn Rng, out: &mut Out) {
        let Some(in_flight) = self.blocks.get_mut(&block.0) else { return };
        if !matches!(in_flight.stage, Stage::Wanted) || bits.len() as u64 != in_flight.bits {
            return;
        }
        let size = sample::size(in_flight.bits, self.session.settings.sample_millionths);
        let mask = sample::draw(bits.len(), size, rng);
        let sample = bits.expose().select(&mask);
        if self.session.settings.tell_errors {
            in_flight.rest = Some(mask.not());
        }
        let rest = if size == 0 { bits } else { SecretBits::new(bits.expose().select(&mask.not())) };
        in_flight.counts.key.sifted = rest.len() as u64;
        in_flight.counts.sample.sifted = size as u64;
        in_flight.stage = Stage::Sampling { bits: rest, since: now };
        self.session.send(Kind::Begin { block, mask, sample }, out);
    }

    fn frame(&mut self, now: Time, rng: &mut dyn Rng, bytes: &[u8], out: &mut Out) -> Result<(), RawFailure> {
        if bytes.len() > self.session.settings.longest_frame() {
            return Err(crate::qkd::Malformed::TooLong.into());
        }
        if self.session.plan.is_none() && TagMessage::is_one(bytes) {
            return Err(RawFailure::Misbehaved("it has a record of time tags, and this end a raw key"));
        }
        let (Message(message), covered, tag) = Message::decode(bytes)?;
        self.session.seals.receiving(covered);
        if let Kind::Hello(there) = message {
            self.session.hello(&there, out)?;
            self.pinged = now;
            self.session.send(Kind::Ping, out);
            return Ok(());
        }
        if self.session.plan.is_none() {
            return Err(RawFailure::Misbehaved("a message before the greeting"));
        }
        match message {
            Kind::Sampled { block, errors } => self.sampled(now, block, errors, rng, out),
            Kind::Answer { block, answer } => self.about(block, out, |end, in_flight, out| {
                let Stage::Asking(correcting) = &mut in_flight.stage else {
                    return Err(RawDiscard::Misbehaved("an answer to nothing"));
                };
                let step = correcting.reply(answer).map_err(|error| match error {
                    ReconcileError::TooManyErrors { .. } => RawDiscard::Reconciliation(error),
                    ReconcileError::Contradiction => {
                        RawDiscard::Misbehaved("its parities contradict one another")
                    }
                    _ => RawDiscard::Misbehaved("an answer that answers nothing"),
                })?;
                in_flight.step(end.session, end.last_seen, block, step, out)
            }),
            Kind::Distil { block, verification_key, verification, key_bits, seed } => {
                self.about(block, out, |_, in_flight, out| {
                    in_flight.distil(block, verification_key, verification, key_bits, seed, out)
                })
            }
            Kind::Discard { block, .. } => {
                if block.0 >= self.next {
                    return Err(RawFailure::Misbehaved("a message about a block that did not begin"));
                }
                self.discard(block, RawDiscard::There, out);
                Ok(())
            }
            Kind::Pong => {
                self.waited(now.since(self.pinged));
                Ok(())
            }
            Kind::Close { made, last } => self.close(made, last, out),
            Kind::Seal => self.sealed(tag, out),
            _ => Err(RawFailure::Misbehaved("a message that only the correcting end sends")),
        }
    }

    fn about(
        &mut self,
        block: BlockId,
        out: &mut Out,
        act: impl FnOnce(&mut Parts<'_>, &mut InFlight, &mut Out) -> Result<(), RawDiscard>,
    ) -> Result<(), RawFailure> {
        if block.0 >= self.next {
            return Err(RawFailure::Misbehaved("a message about a block that did not begin"));
        }
        let mut parts = Parts { session: &mut self.session, last_seen: &mut self.last_seen };
        if let Some(in_flight) = self.blocks.get_mut(&block.0)
            && let Err(reason) = act(&mut parts, in_flight, out)
        {
            self.spoil(block, reason, out);
        }
        Ok(())
    }

    /// An answer took so long.
    fn waited(&mut self, span: Duration) {
        self.round_trip = Some(self.round_trip.map_or(span, |least| least.min(span)));
    }

    fn sampled(
        &mut self,
        now: Time,
        block: BlockId,
        errors: u64,
        rng: &mut dyn Rng,
        out: &mut Out,
    ) -> Result<(), RawFailure> {
        if let Some(InFlight { stage: Stage::Sampling { since, .. }, .. }) = self.blocks.get(&block.0) {
            let waited = now.since(*since);
            self.waited(waited);
        }
        let round_trip = self.round_trip.unwrap_or_default();
        let in_flight_bits = self.session.plan.map_or(0, |plan| {
            let range = plan.range(0);
            u64::from(plan.in_flight) * (range.end - range.start)
        });
        let shuffles = rng.next_u64();
        self.about(block, out, |end, in_flight, out| {
            let Stage::Sampling { bits, .. } = &mut in_flight.stage else {
                return Err(RawDiscard::Misbehaved("a count of errors out of turn"));
            };
            if errors > in_flight.counts.sample.sifted {
                return Err(RawDiscard::Misbehaved("more errors than bits in the sample"));
            }
            in_flight.counts.sample.errors = errors;
            let settings = &end.session.settings;
            // With no errors left and nothing disclosed there must be key, or the work can be spared.
            let without_leak = Account::new(settings.claim, in_flight.counts, &settings.security)?;
            let error_rate = match (in_flight.counts.sample, *end.last_seen, settings.error_rate) {
                (sample, _, _) if sample.sifted >= 1000 => {
                    reconciling::expected_rate(sample.errors, sample.sifted)
                }
                (_, Some(last), _) => reconciling::expected_rate(last.errors, last.sifted),
                (_, None, Some(rate)) => reconciling::expected_rate((rate * MILLION) as u64, MILLION as u64),
                (sample, None, None) => reconciling::expected_rate(sample.errors + 1, sample.sifted + 1),
            };
            let family = settings.family.unwrap_or_else(|| {
                reconciling::choose(error_rate, &without_leak, round_trip, in_flight_bits)
            });
            let method = Method { family, error_rate, shuffles };
            let mut correcting =
                method.corrector(core::mem::take(bits)).map_err(RawDiscard::Reconciliation)?;
            let first = correcting.start();
            in_flight.family = Some(family);
            in_flight.stage = Stage::Asking(correcting);
            let request = if let Step::Ask(request) = &first { request.as_slice() } else { &[] };
            end.session.send(Kind::Reconcile { block, method, request }, out);
            match first {
                Step::Ask(_) => Ok(()),
                Step::Done => in_flight.step(end.session, end.last_seen, block, first, out),
            }
        })
    }

    /// Confirms, with a tag over all that this end has said: the other end seals nothing that rests on forged words.
    fn close(&mut self, made: u64, last: bool, out: &mut Out) -> Result<(), RawFailure> {
        if made > self.made.len() as u64 || self.confirming.is_some() || self.sealed.is_some() {
            return Err(RawFailure::Misbehaved("a seal of keys that were not made"));
        }
        let keys = self.made.drain(..made as usize).collect();
        self.confirming = Some((keys, last));
        self.session.send_sealed(Kind::Confirm, out)
    }

    /// Both ends have found what the other said authentic.
    fn sealed(&mut self, tag: Option<Tag>, out: &mut Out) -> Result<(), RawFailure> {
        let Some(confirmed) = self.confirming.take() else {
            return Err(RawFailure::Misbehaved("a seal of nothing"));
        };
        self.session.verify(tag)?;
        self.sealed = Some(confirmed);
        self.session.use_pads(out);
        Ok(())
    }

    /// The pads are durably used: tells the keys that are sealed.
    fn release(&mut self, out: &mut Out) {
        let Some((keys, last)) = self.sealed.take() else { return };
        self.session.tell(keys.into_iter(), out);
        if last {
            self.end(None, out);
        }
    }

    fn spoil(&mut self, block: BlockId, reason: RawDiscard, out: &mut Out) {
        let verification = reason == RawDiscard::Verification;
        self.session.send(Kind::Discard { block, verification }, out);
        self.discard(block, reason, out);
    }

    fn discard(&mut self, block: BlockId, reason: RawDiscard, out: &mut Out) {
        let Some(in_flight) = self.blocks.remove(&block.0) else { return };
        if !matches!(reason, RawDiscard::NoKey(_) | RawDiscard::Unfinished | RawDiscard::There) {
            let alarm = RawAlarm::Block { block, reason: reason.clone() };
            out.push(Output::Event(RawEvent::Alarm(alarm)));
        }
        out.push(Output::Event(RawEvent::Block(in_flight.report(block, Some(reason)))));
    }

    fn computed(&mut self, result: RawJobResult, out: &mut Out) {
        let Some(in_flight) = self.blocks.remove(&result.block.0) else { return };
        let block = result.block;
        out.push(Output::Event(RawEvent::Block(in_flight.report(block, None))));
        if let Stage::Amplifying { account } = in_flight.stage {
            self.made.push_back(Finished { block, key: result.key, account });
            self.session.send(Kind::Made { block }, out);
        }
    }

    fn stop(&mut self, out: &mut Out) {
        if self.session.stopping {
            return;
        }
        self.session.stopping = true;
        self.give_up(out);
        if self.session.plan.is_some() {
            self.session.send(Kind::Stop, out);
        } else {
            self.end(None, out);
        }
    }

    fn give_up(&mut self, out: &mut Out) {
        let left: Vec<u64> = self.blocks.keys().copied().collect();
        for block in left {
            self.discard(BlockId(block), RawDiscard::Unfinished, out);
        }
    }

    fn end(&mut self, failure: Option<RawFailure>, out: &mut Out) {
        self.give_up(out);
        self.session.end(self.next, failure, out);
    }
}

/// What a block may touch besides itself.
struct Parts<'a> {
    session: &'a mut Session,
    last_seen: &'a mut Option<ClassCounts>,
}

impl InFlight {
    /// Goes on with reconciliation.
    fn step(
        &mut self,
        session: &mut Session,
        last_seen: &mut Option<ClassCounts>,
        block: BlockId,
        step: Step,
        out: &mut Out,
    ) -> Result<(), RawDiscard> {
        if let Step::Ask(request) = step {
            session.send(Kind::Ask { block, request: &request }, out);
            return Ok(());
        }
        let Stage::Asking(correcting) = core::mem::replace(&mut self.stage, Stage::Wanted) else {
            return Err(RawDiscard::Misbehaved("an answer to nothing"));
        };
        let disclosed = correcting.disclosed();
        let errors = correcting.corrections().count_ones() as u64;
        self.counts.key.errors = errors;
        self.counts.disclosed = disclosed;
        self.round_trips = correcting.round_trips();
        *last_seen = Some(self.counts.key);
        session.send(Kind::Corrected { block, disclosed, errors }, out);
        if let Some(compared) = self.rest.take() {
            let (bits, wrong) = (session.range(block.0), correcting.corrections());
            out.push(Output::Event(RawEvent::Compared { block, bits, compared, wrong }));
        }
        let account = Account::new(session.settings.claim, self.counts, &session.settings.security)?;
        self.stage = Stage::Corrected { bits: correcting.corrected(), account: Box::new(account) };
        Ok(())
    }

    fn distil(
        &mut self,
        block: BlockId,
        verification_key: u128,
        verification: u128,
        key_bits: u64,
        seed: BitString,
        out: &mut Out,
    ) -> Result<(), RawDiscard> {
        if !matches!(self.stage, Stage::Corrected { .. }) {
            return Err(RawDiscard::Misbehaved("a seed out of turn"));
        }
        let Stage::Corrected { bits, account } = core::mem::replace(&mut self.stage, Stage::Wanted) else {
            return Err(RawDiscard::Misbehaved("a seed out of turn"));
        };
        if key_bits != account.key_bits {
            return Err(RawDiscard::Account);
        }
        if !verify::agrees(verification_key, bits.expose(), account.verification_bits, verification) {
            return Err(RawDiscard::Verification);
        }
        let amplification = Amplification::new(bits, seed, key_bits as usize)
            .map_err(|_| RawDiscard::Misbehaved("a seed that does not fit its block"))?;
        self.stage = Stage::Amplifying { account };
        out.push(Output::Compute(RawJob { block, amplification }));
        Ok(())
    }

    fn report(&self, block: BlockId, discarded: Option<RawDiscard>) -> RawBlock {
        RawBlock {
            block,
            bits: self.bits,
            counts: self.counts,
            family: self.family,
            round_trips: self.round_trips,
            discarded,
        }
    }
}

impl Protocol for CorrectingEnd {
    type Peer = OtherEnd;
    type Command = RawCommand;
    type Event = RawEvent;
    type Record = RawRecord;
    type Job = RawJob;
    type JobResult = RawJobResult;

    fn handle(
        &mut self,
        now: Time,
        rng: &mut dyn Rng,
        input: Input<'_, OtherEnd, RawCommand, RawJobResult>,
        out: &mut Out,
    ) {
        if self.session.is_over() {
            return;
        }
        let done = match input {
            Input::Command(RawCommand::Connect) => {
                self.session.connect(out);
                Ok(())
            }
            Input::Command(RawCommand::Proceed) => {
                self.proceed(out);
                Ok(())
            }
            Input::Command(RawCommand::Bits { block, bits }) => {
                self.bits(now, block, bits, rng, out);
                Ok(())
            }
            Input::Command(RawCommand::Stop) => {
                self.stop(out);
                Ok(())
            }
            Input::Command(RawCommand::Lost) => {
                self.end(None, out);
                Ok(())
            }
            Input::Timeout => Ok(()),
            Input::Frame { bytes, .. } => self.frame(now, rng, bytes, out),
            Input::Persisted(record) => {
                if self.session.persisted(record, out) == Some(Allowed::Pads) {
                    self.release(out);
                }
                Ok(())
            }
            Input::Computed(result) => {
                self.computed(result, out);
                Ok(())
            }
        };
        if let Err(failure) = done {
            self.end(Some(failure), out);
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

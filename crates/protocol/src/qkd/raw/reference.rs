//! The end whose bits count.

use super::account::{Account, BlockCounts};
use super::event::{
    RawAlarm, RawBlock, RawCommand, RawDiscard, RawEvent, RawFailure, RawJob, RawJobResult, RawRecord,
};
use super::message::{Kind, Message};
use super::reconciling::Method;
use super::sample;
use super::seal::Seals;
use super::session::{Allowed, Finished, Out, Session};
use super::settings::{RawSettings, RawSettingsError};
use crate::machine::{Input, Output, Protocol};
use crate::qkd::amplify::{Amplification, seed_len};
use crate::qkd::authenticate::{AuthenticationKeys, Tag};
use crate::qkd::reconcile::{self, Family, ReconcileError};
use crate::qkd::security::ClassCounts;
use crate::qkd::session::OtherEnd;
use crate::qkd::tags::TagMessage;
use crate::qkd::verify;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{BlockId, Time};
use rand_core::Rng;
use std::collections::{BTreeMap, VecDeque};

/// The end whose bits count: it answers, decides how each block becomes key, and seals.
pub struct ReferenceEnd {
    session: Session,
    /// The next block that may begin.
    next: u64,
    blocks: BTreeMap<u64, InFlight>,
    /// Blocks whose key the other end has made, in the order in which it said so, and not sealed yet.
    made: VecDeque<BlockId>,
    keys: BTreeMap<u64, Finished>,
    /// The seal that waits for its confirmation: how many blocks, and whether it is the last.
    sealing: Option<(u64, bool)>,
    /// The round trip was asked for.
    pinged: bool,
    /// The confirmed seal that waits for its record.
    confirmed: Option<(u64, bool)>,
}

struct InFlight {
    bits: u64,
    counts: BlockCounts,
    family: Option<Family>,
    round_trips: u64,
    stage: Stage,
}

enum Stage {
    /// Began, and waits for its bits.
    Begun { mask: BitString, sample: BitString, wanted: bool },
    /// The sample is taken off.
    Sampled(SecretBits),
    /// Questions are answered.
    Serving(reconcile::ReferenceEnd),
    /// Its key is computed, here and there: whether the other end has it, and this one.
    Amplifying { account: Box<Account>, made: bool, key: Option<SecretBits> },
}

impl ReferenceEnd {
    /// A machine with these settings, and what is left of the shared secret if there is one: its sending direction must
    /// be [`TransmitterToReceiver`](crate::qkd::authenticate::Direction::TransmitterToReceiver).
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
            keys: BTreeMap::new(),
            sealing: None,
            pinged: false,
            confirmed: None,
        })
    }

    /// How many blocks are under way.
    pub fn blocks_in_flight(&self) -> usize {
        self.blocks.len()
    }

    fn frame(&mut self, rng: &mut dyn Rng, bytes: &[u8], out: &mut Out) -> Result<(), RawFailure> {
        if bytes.len() > self.session.settings.longest_frame() {
            return Err(crate::qkd::Malformed::TooLong.into());
        }
        if self.session.plan.is_none() && TagMessage::is_one(bytes) {
            return Err(RawFailure::Misbehaved("it has a record of time tags, and this end a raw key"));
        }
        let (Message(message), covered, tag) = Message::decode(bytes)?;
        self.session.seals.receiving(covered);
        if let Kind::Hello(there) = message {
            return self.session.hello(&there, out);
        }
        if self.session.plan.is_none() {
            return Err(RawFailure::Misbehaved("a message before the greeting"));
        }
        match message {
            Kind::Begin { block, mask, sample } => self.begin(block, mask, sample, out),
            Kind::Reconcile { block, method, request } => self.about(block, out, |end, in_flight, out| {
                in_flight.reconcile(end, block, method, request, out)
            }),
            Kind::Ask { block, request } => {
                self.about(block, out, |end, in_flight, out| in_flight.asked(end, block, request, out))
            }
            Kind::Corrected { block, disclosed, errors } => self.about(block, out, |end, in_flight, out| {
                in_flight.corrected(end, rng, block, disclosed, errors, out)
            }),
            Kind::Made { block } => self.made(block, out),
            Kind::Discard { block, verification } => self.told_to_discard(block, verification, out),
            Kind::Stop => {
                self.stop(out);
                Ok(())
            }
            Kind::Confirm => self.confirm(tag, out),
            Kind::Ping => {
                if core::mem::replace(&mut self.pinged, true) {
                    return Err(RawFailure::Misbehaved("a second ping"));
                }
                self.session.send(Kind::Pong, out);
                Ok(())
            }
            _ => Err(RawFailure::Misbehaved("a message that only the reference end sends")),
        }
    }

    fn begin(
        &mut self,
        block: BlockId,
        mask: BitString,
        sample: BitString,
        out: &mut Out,
    ) -> Result<(), RawFailure> {
        let Some(plan) = self.session.plan else { return Ok(()) };
        if block.0 != self.next || block.0 >= plan.blocks {
            return Err(RawFailure::Misbehaved("a block out of turn"));
        }
        if self.session.stopping {
            return Ok(());
        }
        if self.blocks.len() >= plan.in_flight as usize {
            return Err(RawFailure::Misbehaved("more blocks at once than were agreed"));
        }
        let range = plan.range(block.0);
        let bits = range.end - range.start;
        self.next += 1;
        let size = sample::size(bits, self.session.settings.sample_millionths);
        let stage = Stage::Begun { mask, sample, wanted: false };
        let in_flight =
            InFlight { bits, counts: BlockCounts::default(), family: None, round_trips: 0, stage };
        let Stage::Begun { mask, .. } = &in_flight.stage else { return Ok(()) };
        let sound = mask.len() as u64 == bits && mask.count_ones() == size;
        self.blocks.insert(block.0, in_flight);
        self.session.allow_blocks(self.next, out);
        if !sound {
            self.spoil(block, RawDiscard::Misbehaved("a sample of another size than was agreed"), out);
            return Ok(());
        }
        self.want(out);
        Ok(())
    }

    /// Asks for the bits of blocks that wait for them and may be used.
    fn want(&mut self, out: &mut Out) {
        for (&block, in_flight) in &mut self.blocks {
            if let Stage::Begun { wanted, .. } = &mut in_flight.stage
                && !*wanted
                && self.session.is_usable(block)
            {
                *wanted = true;
                let bits = self.session.range(block);
                out.push(Output::Event(RawEvent::Wanted { block: BlockId(block), bits }));
            }
        }
    }

    fn bits(&mut self, block: BlockId, bits: SecretBits, out: &mut Out) {
        let Some(in_flight) = self.blocks.get_mut(&block.0) else { return };
        let Stage::Begun { mask, sample, wanted: true } = &in_flight.stage else { return };
        if bits.len() as u64 != in_flight.bits {
            return;
        }
        let mut here = bits.expose().select(mask);
        let errors = here.hamming_distance(sample) as u64;
        if self.session.settings.tell_errors {
            here.xor_with(sample);
            let (compared, bits) = (mask.clone(), self.session.range(block.0));
            out.push(Output::Event(RawEvent::Compared { block, bits, compared, wrong: here }));
        }
        in_flight.counts.sample = ClassCounts { sifted: sample.len() as u64, errors };
        let rest = SecretBits::new(bits.expose().select(&mask.not()));
        in_flight.counts.key.sifted = rest.len() as u64;
        in_flight.stage = Stage::Sampled(rest);
        self.session.send(Kind::Sampled { block, errors }, out);
    }

    /// Does something about a block under way; what ends it there discards it. Messages about blocks that ended are
    /// late, and pass.
    fn about(
        &mut self,
        block: BlockId,
        out: &mut Out,
        act: impl FnOnce(&mut Session, &mut InFlight, &mut Out) -> Result<(), RawDiscard>,
    ) -> Result<(), RawFailure> {
        if block.0 >= self.next && !self.session.stopping {
            return Err(RawFailure::Misbehaved("a message about a block that did not begin"));
        }
        if let Some(in_flight) = self.blocks.get_mut(&block.0)
            && let Err(reason) = act(&mut self.session, in_flight, out)
        {
            self.spoil(block, reason, out);
        }
        Ok(())
    }

    fn made(&mut self, block: BlockId, out: &mut Out) -> Result<(), RawFailure> {
        let mut done = false;
        self.about(block, out, |_, in_flight, _| match &mut in_flight.stage {
            Stage::Amplifying { made, .. } if !*made => {
                *made = true;
                done = true;
                Ok(())
            }
            _ => Err(RawDiscard::Misbehaved("a key out of turn")),
        })?;
        if done {
            self.made.push_back(block);
            self.settle(block, out);
        }
        self.seal(out)
    }

    /// A block whose key both ends have is finished.
    fn settle(&mut self, block: BlockId, out: &mut Out) {
        let both = self.blocks.get(&block.0).is_some_and(|in_flight| {
            matches!(&in_flight.stage, Stage::Amplifying { made: true, key: Some(_), .. })
        });
        if !both {
            return;
        }
        let Some(in_flight) = self.blocks.remove(&block.0) else { return };
        out.push(Output::Event(RawEvent::Block(in_flight.report(block, None))));
        if let Stage::Amplifying { account, key: Some(key), .. } = in_flight.stage {
            self.keys.insert(block.0, Finished { block, key, account });
        }
    }

    /// Asks for the confirmation of what is made if it is enough, or all.
    fn seal(&mut self, out: &mut Out) -> Result<(), RawFailure> {
        let Some(plan) = self.session.plan else { return Ok(()) };
        if self.sealing.is_some() || self.confirmed.is_some() || self.session.is_over() {
            return Ok(());
        }
        let last = self.blocks.is_empty() && (self.session.stopping || self.next == plan.blocks);
        let made = self.made.iter().take_while(|block| self.keys.contains_key(&block.0)).count() as u64;
        if !last && made < u64::from(self.session.settings.seal_after) {
            return Ok(());
        }
        self.session.send(Kind::Close { made, last }, out);
        self.sealing = Some((made, last));
        Ok(())
    }

    /// All that the other end said is authentic: what this end said is sealed.
    fn confirm(&mut self, tag: Option<Tag>, out: &mut Out) -> Result<(), RawFailure> {
        let Some(sealed) = self.sealing.take() else {
            return Err(RawFailure::Misbehaved("a confirmation of nothing"));
        };
        self.session.verify(tag)?;
        self.confirmed = Some(sealed);
        self.session.send_sealed(Kind::Seal, out)
    }

    /// The pads are durably used, and the seal is on its way: tells the keys.
    fn release(&mut self, out: &mut Out) -> Result<(), RawFailure> {
        let Some((made, last)) = self.confirmed.take() else { return Ok(()) };
        let blocks: Vec<BlockId> = self.made.drain(..made as usize).collect();
        let keys: Vec<Finished> = blocks.iter().filter_map(|block| self.keys.remove(&block.0)).collect();
        self.session.tell(keys.into_iter(), out);
        if last {
            self.end(None, out);
            return Ok(());
        }
        self.seal(out)
    }

    fn told_to_discard(
        &mut self,
        block: BlockId,
        verification: bool,
        out: &mut Out,
    ) -> Result<(), RawFailure> {
        if block.0 >= self.next && !self.session.stopping {
            return Err(RawFailure::Misbehaved("a message about a block that did not begin"));
        }
        let finished = self
            .blocks
            .get(&block.0)
            .is_some_and(|in_flight| matches!(&in_flight.stage, Stage::Amplifying { made: true, .. }));
        // A key that was made is not unmade: the seal counts it.
        if !finished {
            let reason = if verification { RawDiscard::Verification } else { RawDiscard::There };
            self.discard(block, reason, out);
        }
        self.seal(out)
    }

    /// Discards a block, says so to the other end, and raises the alarm if its counts alone are no reason.
    fn spoil(&mut self, block: BlockId, reason: RawDiscard, out: &mut Out) {
        // Both ends find by themselves that counts leave no key.
        if !matches!(reason, RawDiscard::NoKey(_)) {
            self.session.send(Kind::Discard { block, verification: false }, out);
        }
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

    /// Gives up what is not finished.
    fn stop(&mut self, out: &mut Out) {
        self.session.stopping = true;
        let unfinished: Vec<u64> = self
            .blocks
            .iter()
            .filter(|(_, in_flight)| !matches!(in_flight.stage, Stage::Amplifying { made: true, .. }))
            .map(|(&block, _)| block)
            .collect();
        for block in unfinished {
            self.discard(BlockId(block), RawDiscard::Unfinished, out);
        }
    }

    fn end(&mut self, failure: Option<RawFailure>, out: &mut Out) {
        let left: Vec<u64> = self.blocks.keys().copied().collect();
        for block in left {
            self.discard(BlockId(block), RawDiscard::Unfinished, out);
        }
        self.session.end(self.next, failure, out);
    }
}

impl InFlight {
    fn reconcile(
        &mut self,
        end: &mut Session,
        block: BlockId,
        method: Method,
        request: &[u8],
        out: &mut Out,
    ) -> Result<(), RawDiscard> {
        let Stage::Sampled(bits) = &mut self.stage else {
            return Err(RawDiscard::Misbehaved("reconciliation out of turn"));
        };
        let server = method.server(core::mem::take(bits)).map_err(RawDiscard::Reconciliation)?;
        self.stage = Stage::Serving(server);
        self.family = Some(method.family);
        if request.is_empty() { Ok(()) } else { self.asked(end, block, request, out) }
    }

    fn asked(
        &mut self,
        end: &mut Session,
        block: BlockId,
        request: &[u8],
        out: &mut Out,
    ) -> Result<(), RawDiscard> {
        let Stage::Serving(server) = &mut self.stage else {
            return Err(RawDiscard::Misbehaved("a question out of turn"));
        };
        let answer = server.answer(request).map_err(|error| match error {
            ReconcileError::TooManyErrors { .. } => RawDiscard::Reconciliation(error),
            _ => RawDiscard::Misbehaved("a question that no honest end asks"),
        })?;
        end.send(Kind::Answer { block, answer: &answer }, out);
        Ok(())
    }

    fn corrected(
        &mut self,
        end: &mut Session,
        rng: &mut dyn Rng,
        block: BlockId,
        disclosed: u64,
        errors: u64,
        out: &mut Out,
    ) -> Result<(), RawDiscard> {
        let Stage::Serving(server) = &self.stage else {
            return Err(RawDiscard::Misbehaved("a correction out of turn"));
        };
        if errors > self.counts.key.sifted {
            return Err(RawDiscard::Misbehaved("more errors than bits"));
        }
        self.counts.key.errors = errors;
        self.counts.disclosed = server.disclosed();
        self.round_trips = server.round_trips();
        if disclosed != self.counts.disclosed {
            return Err(RawDiscard::Account);
        }
        let account = Account::new(end.settings.claim, self.counts, &end.settings.security)?;
        let Stage::Serving(server) =
            core::mem::replace(&mut self.stage, Stage::Sampled(SecretBits::default()))
        else {
            return Err(RawDiscard::Misbehaved("a correction out of turn"));
        };
        let bits = server.into_bits();
        // From here on the other end's bits are fixed, and seeds may be drawn.
        let mut seed = [0; 16];
        rng.fill_bytes(&mut seed);
        let verification_key = u128::from_le_bytes(seed);
        let verification = verify::tag(verification_key, bits.expose(), account.verification_bits);
        let seed = random_bits(seed_len(bits.len(), account.key_bits as usize), rng);
        let key_bits = account.key_bits;
        let amplification =
            Amplification::new(bits, seed.clone(), key_bits as usize).map_err(|_| RawDiscard::Account)?;
        end.send(Kind::Distil { block, verification_key, verification, key_bits, seed }, out);
        self.stage = Stage::Amplifying { account: Box::new(account), made: false, key: None };
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

/// Random bits, fetched all at once.
fn random_bits(len: usize, rng: &mut dyn Rng) -> BitString {
    let mut bytes = vec![0; len.div_ceil(8)];
    rng.fill_bytes(&mut bytes);
    BitString::from_bytes(&bytes, len)
}

impl Protocol for ReferenceEnd {
    type Peer = OtherEnd;
    type Command = RawCommand;
    type Event = RawEvent;
    type Record = RawRecord;
    type Job = RawJob;
    type JobResult = RawJobResult;

    fn handle(
        &mut self,
        _: Time,
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
            Input::Command(RawCommand::Bits { block, bits }) => {
                self.bits(block, bits, out);
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
            Input::Command(RawCommand::Proceed) | Input::Timeout => Ok(()),
            Input::Frame { bytes, .. } => self.frame(rng, bytes, out),
            Input::Persisted(record) => match self.session.persisted(record, out) {
                Some(Allowed::Blocks(_)) => {
                    self.want(out);
                    Ok(())
                }
                Some(Allowed::Pads) => self.release(out),
                None => Ok(()),
            },
            Input::Computed(result) => {
                if let Some(InFlight { stage: Stage::Amplifying { key, .. }, .. }) =
                    self.blocks.get_mut(&result.block.0)
                {
                    *key = Some(result.key);
                    self.settle(result.block, out);
                }
                Ok(())
            }
        };
        let done = done.and_then(|()| self.seal(out));
        if let Err(failure) = done {
            self.end(Some(failure), out);
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

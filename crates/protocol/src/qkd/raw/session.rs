//! What both ends do alike: agreeing, sending in order, tags, records, and the end.

use super::account::Account;
use super::event::{RawAlarm, RawEvent, RawFailure, RawJob, RawRecord};
use super::message::{Kind, Message};
use super::seal::Seals;
use super::settings::{Plan, RawSettings};
use crate::machine::Output;
use crate::qkd::authenticate::Tag;
use crate::qkd::session::OtherEnd;
use bellwether_bits::SecretBits;
use bellwether_units::BlockId;
use core::ops::Range;
use std::collections::VecDeque;

/// For so many blocks ahead the use of their bits is made durable.
const AHEAD: u64 = 16;

/// Where effects are put.
pub(super) type Out = Vec<Output<OtherEnd, RawEvent, RawRecord, RawJob>>;

/// A key that is made and not told yet.
pub(super) struct Finished {
    pub(super) block: BlockId,
    pub(super) key: SecretBits,
    pub(super) account: Box<Account>,
}

/// What a durable record allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Blocks before this one may begin.
    Blocks(u64),
    /// The tag may leave, or what a tag covers may be believed.
    Pads,
}

/// The part of a machine that does not depend on its role.
pub(super) struct Session {
    pub(super) settings: RawSettings,
    pub(super) seals: Seals,
    pub(super) plan: Option<Plan>,
    pub(super) stopping: bool,
    over: bool,
    record: u64,
    waiting: VecDeque<(u64, Allowed)>,
    /// Blocks before this one may begin.
    usable: u64,
    /// The same once all records are durable.
    asked: u64,
    /// Frames that must not leave before the tag that waits for its record.
    held: Option<VecDeque<Vec<u8>>>,
}

impl Session {
    pub(super) fn new(settings: RawSettings, seals: Seals) -> Self {
        let settings = RawSettings { authenticated: seals.are_wanted(), ..settings };
        Self {
            settings,
            seals,
            plan: None,
            stopping: false,
            over: false,
            record: 0,
            waiting: VecDeque::new(),
            usable: 0,
            asked: 0,
            held: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn connect(&mut self, out: &mut Out) {
        let hello = Kind::Hello(Box::new(self.settings.clone()));
        self.send(hello, out);
    }

    /// Compares what the other end was given.
    pub(super) fn hello(&mut self, there: &RawSettings, out: &mut Out) -> Result<(), RawFailure> {
        if self.plan.is_some() {
            return Err(RawFailure::Misbehaved("a second greeting"));
        }
        let plan = self.settings.agree(there)?;
        self.plan = Some(plan);
        let last = plan.range(plan.blocks - 1).end;
        out.push(Output::Event(RawEvent::Agreed { bits: plan.first_bit..last, blocks: plan.blocks }));
        self.allow_blocks(0, out);
        Ok(())
    }

    /// Sends a message.
    pub(super) fn send(&mut self, message: Kind<'_>, out: &mut Out) {
        let frame = Message(message).encode();
        self.seals.sending(&frame);
        self.dispatch(frame, out);
    }

    fn dispatch(&mut self, bytes: Vec<u8>, out: &mut Out) {
        match &mut self.held {
            Some(held) => held.push_back(bytes),
            None => out.push(Output::Send { to: OtherEnd, bytes }),
        }
    }

    /// Sends a message with a tag over all that was sent; it leaves when its pad is durably used.
    pub(super) fn send_sealed(&mut self, message: Kind<'_>, out: &mut Out) -> Result<(), RawFailure> {
        let mut frame = Message(message).encode();
        self.seals.sending(&frame);
        let tag = self.seals.seal()?;
        frame.extend_from_slice(&tag.to_bytes());
        self.held.get_or_insert_default();
        self.dispatch(frame, out);
        self.use_pads(out);
        Ok(())
    }

    /// Believes a tag if it is right.
    pub(super) fn verify(&mut self, tag: Option<Tag>) -> Result<(), RawFailure> {
        self.seals.verify(tag.ok_or(RawFailure::Misbehaved("a seal without a tag"))?)
    }

    /// Asks for a record of the pads; [`persisted`](Self::persisted) says when what waits for it may go on.
    pub(super) fn use_pads(&mut self, out: &mut Out) {
        self.record += 1;
        self.waiting.push_back((self.record, Allowed::Pads));
        // Without a secret there is nothing to record, and what is recorded already is there at once.
        let record = self.seals.pads().map_or(RawRecord::Pads([0; 2]), RawRecord::Pads);
        out.push(Output::Persist(self.record, record));
    }

    /// A record is durable: what it allows.
    pub(super) fn persisted(&mut self, record: u64, out: &mut Out) -> Option<Allowed> {
        let at = self.waiting.iter().position(|&(number, _)| number == record)?;
        let (_, allowed) = self.waiting.remove(at)?;
        match allowed {
            Allowed::Blocks(blocks) => self.usable = self.usable.max(blocks),
            Allowed::Pads => {
                if !self.waiting.iter().any(|&(_, other)| other == Allowed::Pads) {
                    for bytes in self.held.take().into_iter().flatten() {
                        out.push(Output::Send { to: OtherEnd, bytes });
                    }
                }
            }
        }
        Some(allowed)
    }

    /// Whether the bits of a block may be used.
    pub(super) fn is_usable(&self, block: u64) -> bool {
        block < self.usable
    }

    /// Asks for the record of more blocks if `next` comes near to what was asked for.
    pub(super) fn allow_blocks(&mut self, next: u64, out: &mut Out) {
        let Some(plan) = self.plan else { return };
        if next + AHEAD / 2 < self.asked || self.asked == plan.blocks {
            return;
        }
        self.asked = (next + AHEAD).min(plan.blocks);
        self.record += 1;
        self.waiting.push_back((self.record, Allowed::Blocks(self.asked)));
        out.push(Output::Persist(self.record, RawRecord::Used(plan.range(self.asked - 1).end)));
    }

    /// The bits of a block.
    pub(super) fn range(&self, block: u64) -> Range<u64> {
        self.plan.map_or(0..0, |plan| plan.range(block))
    }

    /// Tells keys.
    pub(super) fn tell(&mut self, keys: impl Iterator<Item = Finished>, out: &mut Out) {
        for Finished { block, key, mut account } in keys {
            account.epsilons.authentication = self.seals.take_forgery();
            out.push(Output::Event(RawEvent::Key { block, key, account }));
        }
    }

    /// It is over; `next` is the first block that never began.
    pub(super) fn end(&mut self, next: u64, failure: Option<RawFailure>, out: &mut Out) {
        if self.over {
            return;
        }
        self.over = true;
        if let Some(plan) = self.plan {
            let used = if next == 0 { plan.first_bit } else { plan.range(next - 1).end };
            self.record += 1;
            out.push(Output::Persist(self.record, RawRecord::Used(used)));
        }
        match &failure {
            None | Some(RawFailure::Settings(_)) => {}
            Some(failure) => {
                out.push(Output::Event(RawEvent::Alarm(RawAlarm::Session(failure.clone()))));
            }
        }
        out.push(Output::Event(RawEvent::Ended { failure }));
    }
}

//! What both ends of a session do alike: blocks in flight, their end, and what the channel hands up.

use super::block::Block;
use super::message::{DiscardCode, Message};
use super::{DiscardReason, Durable, JobResult, LinkEvent, LinkSettings, SettingsError, Sink};
use crate::qkd::alarm::{Alarm, AlarmKind, Reading, Watch, assess_monitors};
use crate::qkd::authenticate::Direction;
use crate::qkd::channel::{Channel, Delivery};
use crate::qkd::security::Certificate;
use bellwether_bits::SecretBits;
use bellwether_units::{BlockId, Time};
use rand_core::Rng;
use std::collections::VecDeque;

/// The part of a machine that does not depend on its role. `S` are the stages through which a closed block goes.
pub(super) struct End<S> {
    pub(super) settings: LinkSettings,
    pub(super) channel: Channel,
    watch: Watch,
    pub(super) open: Block,
    /// Closed, by rising number.
    pub(super) blocks: VecDeque<InFlight<S>>,
    /// Blocks of which it is settled how they become key, in the order in which both ends release them.
    pub(super) releases: VecDeque<BlockId>,
    was_silent: bool,
}

/// A closed block on its way to key.
pub(super) struct InFlight<S> {
    pub(super) block: Block,
    pub(super) stage: S,
    /// When it last moved on.
    pub(super) moved: Time,
}

impl<S> End<S> {
    pub(super) fn new(
        settings: LinkSettings,
        durable: &Durable,
        sending: Direction,
    ) -> Result<Self, SettingsError> {
        settings.validate()?;
        let channel = Channel::new(&settings, durable, sending).map_err(SettingsError::Secret)?;
        Ok(Self {
            open: Block::new(BlockId(0), settings.source.len()),
            channel,
            watch: Watch::default(),
            blocks: VecDeque::new(),
            releases: VecDeque::new(),
            was_silent: false,
            settings,
        })
    }

    /// Where a block in flight is; `None` if it has ended. An error if it has not begun.
    pub(super) fn find(&self, id: BlockId) -> Result<Option<usize>, &'static str> {
        if id >= self.open.id {
            return Err("a message about a block that is not closed");
        }
        Ok(self.blocks.iter().position(|in_flight| in_flight.block.id == id))
    }

    /// The block that a finished computation belongs to, if it is still of this session and in flight.
    pub(super) fn computed(&mut self, result: &JobResult) -> Option<&mut InFlight<S>> {
        if result.session != self.channel.session() {
            return None;
        }
        self.blocks.iter_mut().find(|in_flight| in_flight.block.id == result.block)
    }

    /// The open block has its bits: takes it out and opens the next.
    pub(super) fn close(&mut self, now: Time) -> Block {
        let mut block = self.next_block();
        self.channel.use_blocks(self.open.id.0);
        block.closed = Some(now);
        block
    }

    fn next_block(&mut self) -> Block {
        let next = BlockId(self.open.id.0 + 1);
        core::mem::replace(&mut self.open, Block::new(next, self.settings.source.len()))
    }

    /// Whether a block that has its bits may go on to reconciliation: its counts leave room for key, and no
    /// monitor of this end raises an alarm in it.
    pub(super) fn may_become_key(&self, now: Time, block: &Block) -> Result<(), DiscardReason> {
        block.may_yield_key(&self.settings)?;
        match &self.settings.baseline {
            Some(baseline)
                if !assess_monitors(baseline, &self.settings.thresholds, &block.observation(now))
                    .is_empty() =>
            {
                Err(DiscardReason::Monitor)
            }
            _ => Ok(()),
        }
    }

    /// Raises the alarm of a window, if its clicks are too few or too many.
    pub(super) fn watch_window(&mut self, now: Time, pulses: u64, clicks: u64, sink: &mut Sink<'_>) {
        if let Some(baseline) = &self.settings.baseline {
            let alarm = self.watch.window(baseline, &self.settings.thresholds, now, pulses, clicks);
            alarm.into_iter().for_each(|alarm| sink.event(LinkEvent::Alarm(alarm)));
        }
    }

    /// Raises the alarms of a block whose light is fully known.
    fn watch_block(&mut self, now: Time, block: &Block, sink: &mut Sink<'_>) {
        if let Some(baseline) = &self.settings.baseline {
            let alarms = self.watch.block(baseline, &self.settings.thresholds, &block.observation(now));
            alarms.into_iter().for_each(|alarm| sink.event(LinkEvent::Alarm(alarm)));
        }
    }

    /// Hands out the key of a block.
    pub(super) fn hand_out(
        &mut self,
        now: Time,
        block: &Block,
        mut certificate: Certificate,
        key: SecretBits,
        sink: &mut Sink<'_>,
    ) {
        certificate.epsilons.authentication = self.channel.take_forgery_probability();
        self.watch_block(now, block, sink);
        sink.event(LinkEvent::Block(block.report(now, self.channel.take_pads_used(), None)));
        sink.event(LinkEvent::Key { block: block.id, key, certificate });
    }

    /// Discards a block in flight and says so to the other end.
    pub(super) fn give_up(
        &mut self,
        now: Time,
        id: BlockId,
        code: DiscardCode,
        reason: DiscardReason,
        sink: &mut Sink<'_>,
    ) {
        self.channel.send(Message::Discard { block: id, reason: code }.encode(), false);
        if let Ok(Some(index)) = self.find(id) {
            self.discard_at(now, index, reason, sink);
        }
    }

    /// Discards the block in flight at `index`.
    pub(super) fn discard_at(&mut self, now: Time, index: usize, reason: DiscardReason, sink: &mut Sink<'_>) {
        if let Some(in_flight) = self.blocks.remove(index) {
            self.discard(now, &in_flight.block, reason, sink);
        }
    }

    /// Tells the end of a block without key.
    pub(super) fn discard(&mut self, now: Time, block: &Block, reason: DiscardReason, sink: &mut Sink<'_>) {
        match &reason {
            DiscardReason::NoKey(reason) => {
                sink.event(LinkEvent::Alarm(Alarm::no_key(block.id, now, reason)));
            }
            DiscardReason::Reconciliation | DiscardReason::MonitorThere => {
                sink.event(LinkEvent::Alarm(Alarm::spoilt(block.id, now, &reason)));
            }
            // Honest ends have equal counts, and find the same.
            DiscardReason::Certificate | DiscardReason::NoKeyThere => {
                sink.event(LinkEvent::Alarm(Alarm::disagreement(block.id, now, &reason)));
            }
            _ => {}
        }
        if !reason.is_session() {
            self.watch_block(now, block, sink);
        }
        sink.event(LinkEvent::Block(block.report(now, self.channel.take_pads_used(), Some(reason))));
    }

    /// The session is over: nothing of it is kept.
    fn lost(&mut self, now: Time, session: u64, forged: bool, sink: &mut Sink<'_>) {
        let reason = if forged { DiscardReason::Authentication } else { DiscardReason::SessionLost };
        self.releases.clear();
        for in_flight in core::mem::take(&mut self.blocks) {
            self.discard(now, &in_flight.block, reason.clone(), sink);
        }
        let open = self.next_block();
        if open.clicks > 0 {
            self.channel.use_blocks(self.open.id.0);
            self.discard(now, &open, reason, sink);
        }
        sink.event(LinkEvent::Disconnected { session });
    }

    /// Whether the other end speaks again after a silence. What waited for it may then go on waiting.
    pub(super) fn is_back(&mut self, now: Time) -> bool {
        let silent = self.channel.is_silent();
        let back = core::mem::replace(&mut self.was_silent, silent) && !silent;
        if back {
            self.blocks.iter_mut().for_each(|in_flight| in_flight.moved = now);
        }
        back
    }

    /// Ends the session if what has waited longest for the other end, of `block` and since `since`, has waited
    /// too long.
    pub(super) fn check_stall(
        &mut self,
        now: Time,
        oldest: Option<(Option<BlockId>, Time)>,
        sink: &mut Sink<'_>,
    ) {
        let patience = self.settings.timing.stalled_after;
        if let Some((block, since)) = oldest
            && now >= since.saturating_add(patience)
        {
            let (seen, expected) = (Reading::Span(now.since(since)), Reading::Span(patience));
            let alarm = Alarm::new(AlarmKind::PeerSilent, block, now, seen, expected);
            sink.event(LinkEvent::Alarm(alarm));
            self.channel.fail(now, false);
        }
    }

    /// When a timeout is wanted, with something that has waited for the other end since `oldest`.
    pub(super) fn deadline(&self, oldest: Option<Time>) -> Option<Time> {
        let stall = oldest.map(|since| since.saturating_add(self.settings.timing.stalled_after));
        self.channel.deadline().into_iter().chain(stall).min()
    }
}

/// What is particular to one end of the two.
pub(super) trait Role {
    /// The stages of a closed block.
    type Stage;
    fn end(&mut self) -> &mut End<Self::Stage>;
    /// A message came; `sealed`: all of the session up to it is authentic.
    fn message(&mut self, now: Time, rng: &mut dyn Rng, payload: &[u8], sealed: bool, sink: &mut Sink<'_>);
    /// A session is open; blocks and windows are counted anew.
    fn begin(&mut self);
    /// A session is over: its unanswered windows are forgotten.
    fn forget_windows(&mut self);
    /// Moves keys that are made towards their release.
    fn release(&mut self, now: Time, sink: &mut Sink<'_>);

    /// Does all that follows from what the channel hands up, until it hands up nothing more.
    fn settle(&mut self, now: Time, rng: &mut dyn Rng, sink: &mut Sink<'_>) {
        loop {
            while let Some(delivery) = self.end().channel.next(now, &mut sink.effects) {
                match delivery {
                    Delivery::Opened { session, first_block } => {
                        let end = self.end();
                        end.open = Block::new(BlockId(first_block), end.settings.source.len());
                        self.begin();
                        sink.event(LinkEvent::Connected { session });
                    }
                    Delivery::Lost { session, forged } => {
                        self.forget_windows();
                        self.end().lost(now, session, forged, sink);
                    }
                    Delivery::Message { payload, sealed } => {
                        self.message(now, rng, &payload, sealed, sink);
                    }
                }
            }
            self.release(now, sink);
            self.end().channel.flush(now, &mut sink.effects);
            if !self.end().channel.has_news() {
                break;
            }
        }
    }
}

//! One end of the channel.

mod opening;
mod receiving;
mod sending;

use super::durable::Durable;
use super::frame::Seal;
use super::handshake::digest;
use super::ledger::Ledger;
use super::reliable::{Inbox, Outbox};
use crate::qkd::alarm::{Alarm, AlarmKind, Reading};
use crate::qkd::authenticate::{AuthenticationError, Direction, Tag, TranscriptHash};
use crate::qkd::session::{LinkSettings, TagPolicy};
use bellwether_bits::SecretBits;
use bellwether_units::{Duration, Time};
use std::collections::VecDeque;

/// Block numbers that are durably set down as used ahead of their use.
const BLOCKS_AHEAD: u64 = 64;

/// What the channel wants done.
#[derive(Default)]
pub(in crate::qkd) struct Effects {
    pub(in crate::qkd) frames: Vec<Vec<u8>>,
    pub(in crate::qkd) records: Vec<(u64, Durable)>,
    pub(in crate::qkd) alarms: Vec<Alarm>,
}

/// What the channel hands up.
pub(in crate::qkd) enum Delivery {
    /// A session is open; the first block has this number.
    Opened { session: u64, first_block: u64 },
    /// The session is over; whether because a message was not authentic.
    Lost { session: u64, forged: bool },
    /// The next message; whether all messages up to this one are authentic.
    Message { payload: Vec<u8>, sealed: bool },
}

enum Phase {
    /// Not connected yet.
    Idle,
    /// Transmitter: waits before it opens a session.
    Resting { until: Time },
    /// Waits for a record to be durable before it opens or accepts a session.
    Storing { record: u64 },
    /// Transmitter: has opened a session and waits for its acceptance.
    Opening { frame: Vec<u8>, due: Time, timeout: Duration },
    /// Receiver: asks for a session.
    Seeking { due: Time, timeout: Duration },
    /// A session is open. The receiver keeps the frame that accepted it.
    Up { accept: Option<Vec<u8>> },
    /// No pads are left.
    Stopped,
}

/// Frames in order and not yet behind them, for one session.
struct Traffic {
    outbox: Outbox,
    inbox: Inbox<(Vec<u8>, Option<Seal>)>,
    waiting: VecDeque<(Vec<u8>, bool)>,
    waiting_bytes: usize,
    sent: TranscriptHash,
    received: TranscriptHash,
    /// Frames received since the last tag.
    uncovered: u64,
    /// Sum over the tags verified of the probability that a forgery passes.
    forgery: f64,
    ack_due: bool,
}

/// One end of the channel. See the [module](super).
pub(in crate::qkd) struct Channel {
    settings: LinkSettings,
    digest: u128,
    sending: Direction,
    session: u64,
    phase: Phase,
    ledger: Ledger,
    traffic: Traffic,
    /// What is to be handed up before any message.
    news: VecDeque<Delivery>,
    /// The number of the last record.
    records: u64,
    durable: u64,
    /// Records under way, with the first pad and block that they do not set down.
    reservations: VecDeque<(u64, u64, u64)>,
    next_block: u64,
    blocks_reserved: u64,
    /// Since when an answer has been awaited with nothing heard.
    quiet_since: Option<Time>,
    silent: bool,
    last_opened: Option<Time>,
    /// Sessions opened since there was key.
    fruitless: u32,
    low: bool,
    pads_used: u64,
}

impl Channel {
    pub(in crate::qkd) fn new(
        settings: &LinkSettings,
        durable: &Durable,
        sending: Direction,
    ) -> Result<Self, AuthenticationError> {
        let ledger = Ledger::new(durable, sending)?;
        Ok(Self {
            digest: digest(settings),
            sending,
            session: durable.session,
            phase: Phase::Idle,
            traffic: Traffic::new(settings, &ledger),
            ledger,
            news: VecDeque::new(),
            records: 0,
            durable: 0,
            reservations: VecDeque::new(),
            next_block: durable.next_block,
            blocks_reserved: durable.next_block,
            quiet_since: None,
            silent: false,
            last_opened: None,
            fruitless: 0,
            low: false,
            pads_used: 0,
            settings: settings.clone(),
        })
    }

    fn is_transmitter(&self) -> bool {
        self.sending == Direction::TransmitterToReceiver
    }

    /// Begins to seek a session.
    pub(in crate::qkd) fn connect(&mut self, now: Time) {
        if matches!(self.phase, Phase::Idle) {
            self.seek(now);
        }
    }

    pub(in crate::qkd) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }
    pub(in crate::qkd) fn session(&self) -> u64 {
        self.session
    }
    /// Whether the other end owes an answer for too long.
    pub(in crate::qkd) fn is_silent(&self) -> bool {
        self.silent
    }
    /// Bytes that wait to be sent for the first time.
    pub(in crate::qkd) fn backlog(&self) -> usize {
        self.traffic.waiting_bytes
    }
    /// Pads left in the direction that has fewer.
    pub(in crate::qkd) fn pads_left(&self) -> u64 {
        self.ledger.left()
    }
    /// Pads used in both directions since this was asked last.
    pub(in crate::qkd) fn take_pads_used(&mut self) -> u64 {
        core::mem::take(&mut self.pads_used)
    }
    /// The probability that any of the tags verified in this session was forged, since this was asked last.
    pub(in crate::qkd) fn take_forgery_probability(&mut self) -> f64 {
        core::mem::take(&mut self.traffic.forgery)
    }
    /// Whether block `number` is durably set down as used, so that it may be filled.
    pub(in crate::qkd) fn may_use_block(&self, number: u64) -> bool {
        number < self.blocks_reserved
    }
    /// All block numbers before `number` are used.
    pub(in crate::qkd) fn use_blocks(&mut self, number: u64) {
        self.next_block = self.next_block.max(number);
    }

    /// Queues a message; `sealed` asks for a tag of its own under any policy.
    pub(in crate::qkd) fn send(&mut self, payload: Vec<u8>, sealed: bool) {
        let sealed = sealed || self.settings.tags == TagPolicy::EveryMessage;
        self.traffic.waiting_bytes += payload.len();
        self.traffic.waiting.push_back((payload, sealed));
    }

    /// Adds pads from a new key, which both ends do in the same order, and asks to make them durable. Returns
    /// the record to wait for.
    pub(in crate::qkd) fn replenish(&mut self, pads: SecretBits, effects: &mut Effects) -> u64 {
        self.ledger.replenish(pads);
        // The ledger was built from the same secret before, so that it can be built again.
        if self.ledger.level().is_err() {
            self.phase = Phase::Stopped;
        }
        self.fruitless = 0;
        self.low &= self.ledger.left() <= self.settings.authentication.low_water_pads;
        self.persist(effects)
    }

    /// Whether a record is durable.
    pub(in crate::qkd) fn is_durable(&self, record: u64) -> bool {
        record <= self.durable
    }

    fn pads_ahead(&self) -> u64 {
        match self.settings.tags {
            TagPolicy::EveryMessage => 64,
            TagPolicy::EveryBlock => 8,
        }
    }

    fn persist(&mut self, effects: &mut Effects) -> u64 {
        self.records += 1;
        let blocks = self.blocks_reserved.max(self.next_block.saturating_add(BLOCKS_AHEAD));
        let record = self.ledger.durable(self.pads_ahead(), self.session, blocks);
        self.reservations.push_back((self.records, record.next[self.sending as usize], blocks));
        effects.records.push((self.records, record));
        self.records
    }

    /// A record, and all before it, are durable.
    pub(in crate::qkd) fn persisted(&mut self, now: Time, record: u64, effects: &mut Effects) {
        self.durable = self.durable.max(record.min(self.records));
        while let Some(&(number, pads, blocks)) = self.reservations.front()
            && number <= self.durable
        {
            self.reservations.pop_front();
            self.ledger.reserve(pads);
            self.blocks_reserved = self.blocks_reserved.max(blocks);
        }
        if let Phase::Storing { record } = self.phase
            && self.is_durable(record)
        {
            let frame = self.hello(now, effects);
            let Some(frame) = frame else { return };
            effects.frames.push(frame.clone());
            if self.is_transmitter() {
                let timeout = self.settings.timing.retransmit_after;
                self.phase = Phase::Opening { frame, due: now.saturating_add(timeout), timeout };
            } else {
                self.phase = Phase::Up { accept: Some(frame) };
                let first_block = self.next_block;
                self.news.push_back(Delivery::Opened { session: self.session, first_block });
            }
        }
    }

    fn exhaust(&mut self, now: Time, effects: &mut Effects) {
        self.end(false);
        self.phase = Phase::Stopped;
        effects.alarms.push(Alarm::new(
            AlarmKind::AuthenticationKeysExhausted,
            None,
            now,
            Reading::Count(0.0),
            Reading::Count(self.settings.authentication.target_pads as f64),
        ));
    }

    fn check_stock(&mut self, now: Time, effects: &mut Effects) {
        let left = self.ledger.left();
        if left <= self.settings.authentication.low_water_pads && !self.low {
            self.low = true;
            effects.alarms.push(Alarm::new(
                AlarmKind::AuthenticationKeysLow,
                None,
                now,
                Reading::Count(left as f64),
                Reading::Count(self.settings.authentication.target_pads as f64),
            ));
        }
    }

    /// Ends the session, if one is open, and seeks another. `forged`: because a message was not authentic.
    pub(in crate::qkd) fn fail(&mut self, now: Time, forged: bool) {
        self.end(forged);
        if !matches!(self.phase, Phase::Stopped | Phase::Idle) {
            self.seek(now);
        }
    }

    fn end(&mut self, forged: bool) {
        if self.is_up() {
            self.news.push_back(Delivery::Lost { session: self.session, forged });
        }
        self.traffic = Traffic::new(&self.settings, &self.ledger);
    }

    /// Ends the session on a message that no honest end would have sent, and says so. If the message is
    /// `authentic`, the other end is at fault; else somebody between the ends is to be taken for its author.
    pub(in crate::qkd) fn refuse(&mut self, now: Time, what: &str, authentic: bool, effects: &mut Effects) {
        let (kind, expected) = if authentic {
            (AlarmKind::MalformedMessage, "messages that follow the protocol")
        } else {
            (AlarmKind::AuthenticationFailed, "only messages that the other end sends")
        };
        let [seen, expected] = [what, expected].map(|text| Reading::Text(text.to_owned()));
        effects.alarms.push(Alarm::new(kind, None, now, seen, expected));
        self.fail(now, true);
    }

    fn seek(&mut self, now: Time) {
        let timing = &self.settings.timing;
        self.phase = if self.is_transmitter() {
            let mut pause = timing.reopen_after;
            for _ in 1..self.fruitless.min(64) {
                pause = pause.saturating_mul(2).min(timing.reopen_at_most);
            }
            let until = self.last_opened.map_or(now, |opened| opened.saturating_add(pause).max(now));
            Phase::Resting { until }
        } else {
            Phase::Seeking { due: now, timeout: timing.retransmit_after }
        };
    }

    /// Whether [`next`](Self::next) has something that did not come from the other end.
    pub(in crate::qkd) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }
}

impl Traffic {
    fn new(settings: &LinkSettings, ledger: &Ledger) -> Self {
        let (limits, timing) = (&settings.limits, &settings.timing);
        Self {
            outbox: Outbox::new(timing.retransmit_after, timing.retransmit_at_most),
            inbox: Inbox::new(limits.frames_in_flight, limits.bytes_in_flight),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sent: ledger.sending_transcript(),
            received: ledger.receiving_transcript(),
            uncovered: 0,
            forgery: 0.0,
            ack_due: false,
        }
    }
}

impl From<Tag> for Seal {
    fn from(tag: Tag) -> Self {
        Self { pad: tag.pad_index, tag: tag.tag.to_le_bytes() }
    }
}

impl From<Seal> for Tag {
    fn from(seal: Seal) -> Self {
        Self { pad_index: seal.pad, tag: u128::from_le_bytes(seal.tag) }
    }
}

//! One end of the channel.

mod opening;

use super::durable::Durable;
use super::frame::{Frame, Kind, OVERHEAD, Seal, covered_header};
use super::handshake::digest;
use super::ledger::{Ledger, Readiness};
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

    /// Ends the session on a message that no honest end would have sent, and says so.
    pub(in crate::qkd) fn refuse(&mut self, now: Time, what: &str, effects: &mut Effects) {
        let seen = Reading::Text(what.to_owned());
        let expected = Reading::Text("messages that follow the protocol".to_owned());
        effects.alarms.push(Alarm::new(AlarmKind::MalformedMessage, None, now, seen, expected));
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

    /// Takes a frame in.
    pub(in crate::qkd) fn receive(&mut self, now: Time, bytes: &[u8], effects: &mut Effects) {
        let Ok(frame) = Frame::decode(bytes, self.settings.limits.frame_bytes + OVERHEAD) else { return };
        match frame {
            Frame::Open { session, payload, seal } if !self.is_transmitter() => {
                self.open(now, session, payload, seal, effects);
            }
            Frame::Accept { session, payload, seal } if session == self.session => {
                self.accepted(now, session, payload, seal, effects);
            }
            Frame::Reset { session } if session == self.session && self.is_transmitter() => {
                if matches!(self.phase, Phase::Up { .. } | Phase::Opening { .. }) {
                    self.heard();
                    self.fail(now, false);
                }
            }
            Frame::Data { session, ack, sequence, payload, seal }
                if session == self.session && self.is_up() =>
            {
                self.heard();
                if !self.acknowledged(now, ack, effects) {
                    return;
                }
                self.traffic.ack_due = true;
                self.traffic.inbox.insert(sequence, payload.len(), || (payload.to_vec(), seal));
            }
            Frame::Ack { session, ack } if session == self.session && self.is_up() => {
                self.heard();
                self.acknowledged(now, ack, effects);
            }
            _ => {}
        }
    }

    /// Takes an acknowledgement; whether the session goes on. What was never sent can be acknowledged by a forger,
    /// or by an end that took a forged frame for the next one: the two ends then differ on what was said, and
    /// would wait for each other for ever.
    fn acknowledged(&mut self, now: Time, ack: u64, effects: &mut Effects) -> bool {
        let possible = self.traffic.outbox.acknowledge(now, ack);
        if !possible {
            self.refuse(now, "an acknowledgement of what was never sent", effects);
        }
        possible
    }

    fn heard(&mut self) {
        self.quiet_since = None;
        self.silent = false;
    }

    fn forged(&mut self, now: Time, frames: u64, effects: &mut Effects) {
        let seen = Reading::Text(format!("a tag over {frames} frames that does not verify"));
        let expected = Reading::Text("none".to_owned());
        effects.alarms.push(Alarm::new(AlarmKind::AuthenticationFailed, None, now, seen, expected));
    }

    /// What is to be handed up next. To be asked until there is nothing more.
    pub(in crate::qkd) fn next(&mut self, now: Time, effects: &mut Effects) -> Option<Delivery> {
        if let Some(news) = self.news.pop_front() {
            return Some(news);
        }
        if !self.is_up() {
            return None;
        }
        let (sequence, (payload, seal)) = self.traffic.inbox.pop()?;
        let (kind, pad) = match &seal {
            Some(seal) => (Kind::Sealed, seal.pad),
            None => (Kind::Data, 0),
        };
        self.traffic.received.absorb(&covered_header(kind, self.session, sequence, payload.len(), pad));
        self.traffic.received.absorb(&payload);
        self.traffic.uncovered += 1;
        let authentic = match seal {
            Some(seal) => self.ledger.verify(&self.traffic.received, seal.into()).is_ok(),
            None => self.settings.tags == TagPolicy::EveryBlock,
        };
        if !authentic {
            self.forged(now, self.traffic.uncovered, effects);
            self.fail(now, true);
            return self.news.pop_front();
        }
        if seal.is_some() {
            self.pads_used += 1;
            self.traffic.forgery += self.traffic.received.forgery_probability();
            self.traffic.received = self.ledger.receiving_transcript();
            self.traffic.uncovered = 0;
        }
        Some(Delivery::Message { payload, sealed: seal.is_some() })
    }

    /// Whether [`next`](Self::next) has something that did not come from the other end.
    pub(in crate::qkd) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Sends what can be sent, acknowledges what came, and looks after durability. To be called last.
    pub(in crate::qkd) fn flush(&mut self, now: Time, effects: &mut Effects) {
        if self.is_up() {
            self.pump(now, effects);
        }
        if self.is_up() {
            if self.traffic.outbox.deadline().is_some_and(|due| due <= now) {
                // Frames were found missing.
                self.act(now, effects);
                self.traffic.ack_due = false;
            }
            if self.traffic.ack_due {
                self.traffic.ack_due = false;
                let ack = self.traffic.inbox.next();
                effects.frames.push(Frame::Ack { session: self.session, ack }.encode());
            }
            let runs_low = self.ledger.reserve_left() < self.pads_ahead() / 2
                || self.blocks_reserved < self.next_block + BLOCKS_AHEAD / 2;
            if runs_low && self.reservations.is_empty() {
                self.persist(effects);
            }
        }
        if matches!(self.phase, Phase::Resting { .. } | Phase::Seeking { .. }) {
            // A session that has just failed, or a machine that was just told to connect, need not wait for
            // a timeout that is due at once.
            self.act(now, effects);
        }
        if self.is_awaiting() {
            self.quiet_since.get_or_insert(now);
        } else {
            self.quiet_since = None;
        }
    }

    fn pump(&mut self, now: Time, effects: &mut Effects) {
        let limits = self.settings.limits;
        while let Some((payload, sealed)) = self.traffic.waiting.front() {
            let (len, sealed) = (payload.len(), *sealed);
            let outbox = &self.traffic.outbox;
            let room = outbox.len() < limits.frames_in_flight
                && (outbox.bytes() + len + OVERHEAD <= limits.bytes_in_flight || outbox.len() == 0);
            if !room {
                return;
            }
            if sealed {
                match self.ledger.readiness() {
                    Readiness::Ready => {}
                    Readiness::Unreserved => return,
                    Readiness::Exhausted => return self.exhaust(now, effects),
                }
            }
            let Some((payload, _)) = self.traffic.waiting.pop_front() else { return };
            self.traffic.waiting_bytes -= len;
            let sequence = self.traffic.outbox.next_sequence();
            let (kind, pad) = if sealed {
                match self.ledger.next_pad() {
                    Ok(pad) => (Kind::Sealed, pad),
                    Err(_) => return self.exhaust(now, effects),
                }
            } else {
                (Kind::Data, 0)
            };
            self.traffic.sent.absorb(&covered_header(kind, self.session, sequence, len, pad));
            self.traffic.sent.absorb(&payload);
            let seal = if sealed {
                let Ok(tag) = self.ledger.seal(&self.traffic.sent) else { return self.exhaust(now, effects) };
                self.traffic.sent = self.ledger.sending_transcript();
                self.pads_used += 1;
                self.check_stock(now, effects);
                Some(tag.into())
            } else {
                None
            };
            let ack = self.traffic.inbox.next();
            self.traffic.ack_due = false;
            let frame =
                Frame::Data { session: self.session, ack, sequence, payload: &payload, seal }.encode();
            self.traffic.outbox.push(now, frame.clone());
            effects.frames.push(frame);
        }
    }

    fn is_awaiting(&self) -> bool {
        match self.phase {
            Phase::Opening { .. } | Phase::Seeking { .. } => true,
            Phase::Up { .. } => self.traffic.outbox.is_waiting(),
            _ => false,
        }
    }

    /// When [`timeout`](Self::timeout) is wanted.
    pub(in crate::qkd) fn deadline(&self) -> Option<Time> {
        let own = match &self.phase {
            Phase::Resting { until } => Some(*until),
            Phase::Opening { due, .. } | Phase::Seeking { due, .. } => Some(*due),
            Phase::Up { .. } => self.traffic.outbox.deadline(),
            Phase::Idle | Phase::Storing { .. } | Phase::Stopped => None,
        };
        let silence = match self.quiet_since {
            Some(since) if !self.silent => Some(since.saturating_add(self.settings.timing.silent_after)),
            _ => None,
        };
        own.into_iter().chain(silence).min()
    }

    /// Seeks a session, or keeps one going: whatever is due now.
    fn act(&mut self, now: Time, effects: &mut Effects) {
        let longest = self.settings.timing.retransmit_at_most;
        match &mut self.phase {
            Phase::Resting { until } if *until <= now => {
                self.session += 1;
                self.last_opened = Some(now);
                self.fruitless = self.fruitless.saturating_add(1);
                self.phase = Phase::Storing { record: self.persist(effects) };
            }
            Phase::Opening { frame, due, timeout } if *due <= now => {
                effects.frames.push(frame.clone());
                *timeout = timeout.saturating_mul(2).min(longest);
                *due = now.saturating_add(*timeout);
            }
            Phase::Seeking { due, timeout } if *due <= now => {
                effects.frames.push(Frame::Reset { session: self.session }.encode());
                *due = now.saturating_add(*timeout);
                *timeout = timeout.saturating_mul(2).min(longest);
            }
            Phase::Up { .. } => {
                let ack = self.traffic.inbox.next();
                self.traffic.outbox.resend(now, ack, |frame| effects.frames.push(frame));
            }
            _ => {}
        }
    }

    /// Does what is due.
    pub(in crate::qkd) fn timeout(&mut self, now: Time, effects: &mut Effects) {
        self.act(now, effects);
        if let Some(since) = self.quiet_since
            && !self.silent
            && now >= since.saturating_add(self.settings.timing.silent_after)
        {
            self.silent = true;
            effects.alarms.push(Alarm::new(
                AlarmKind::PeerSilent,
                None,
                now,
                Reading::Span(now.since(since)),
                Reading::Span(self.settings.timing.silent_after),
            ));
        }
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

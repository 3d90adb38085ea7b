//! What goes out, and when: messages, acknowledgements, repetitions.

use super::{BLOCKS_AHEAD, Channel, Effects, Phase};
use crate::qkd::alarm::{Alarm, AlarmKind, Reading};
use crate::qkd::channel::frame::{Frame, Kind, OVERHEAD, covered_header};
use crate::qkd::channel::ledger::Readiness;
use bellwether_units::Time;

impl Channel {
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

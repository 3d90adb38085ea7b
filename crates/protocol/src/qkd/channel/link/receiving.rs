//! What comes in: frames, in order, and whether they are authentic.

use super::{Channel, Delivery, Effects, Phase};
use crate::qkd::alarm::{Alarm, AlarmKind, Reading};
use crate::qkd::channel::frame::{Frame, Kind, OVERHEAD, covered_header};
use crate::qkd::session::TagPolicy;
use bellwether_units::Time;

impl Channel {
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
            self.refuse(now, "an acknowledgement of what was never sent", false, effects);
        }
        possible
    }

    pub(super) fn heard(&mut self) {
        self.quiet_since = None;
        self.silent = false;
    }

    pub(super) fn forged(&mut self, now: Time, frames: u64, effects: &mut Effects) {
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
}

//! From clicks to closed blocks, at the receiver.

use super::{Receiver, Stage, Window, method};
use crate::hardware::{Basis, Detections};
use crate::qkd::reconcile::{CorrectingEnd, Step};
use crate::qkd::session::block::{Block, WindowCounts};
use crate::qkd::session::end::InFlight;
use crate::qkd::session::message::{DiscardCode, Message};
use crate::qkd::session::{DiscardReason, LinkEvent, Sink, SkipReason};
use crate::qkd::sift::{Announcement, Reply, sift_received};
use bellwether_bits::SecretBits;
use bellwether_units::Time;
use rand_core::Rng;

impl Receiver {
    pub(super) fn detected(&mut self, now: Time, detections: &Detections, sink: &mut Sink<'_>) {
        let clicks = detections.pulses.len() as u64;
        self.end.watch_window(now, detections.pulse_count, clicks, sink);
        let unsound = detections.first_pulse < self.next_pulse
            || detections.bases.len() as u64 != clicks
            || detections.outcomes.len() as u64 != clicks;
        let reason = self.not_taking().or(unsound.then_some(SkipReason::Unsound));
        if let Some(reason) = reason {
            sink.event(LinkEvent::Skipped { clicks, reason });
            return;
        }
        let most = self.end.settings.limits.window_clicks;
        let announced = Announcement::pieces(detections, most).and_then(|pieces| {
            pieces.into_iter().map(|(range, piece)| Some((range, piece.encode()?, piece))).collect()
        });
        let Some(pieces): Option<Vec<_>> = announced else {
            sink.event(LinkEvent::Skipped { clicks, reason: SkipReason::Unsound });
            return;
        };
        self.next_pulse = detections.first_pulse.saturating_add(detections.pulse_count);
        for (range, encoded, piece) in pieces {
            let number = self.next_window;
            self.next_window += 1;
            self.end
                .channel
                .send(Message::Announce { window: number, announcement: &encoded }.encode(), false);
            self.windows.push_back(Window {
                number,
                counts: WindowCounts {
                    pulses: piece.pulse_count,
                    clicks: range.len() as u64,
                    double_clicks: piece.double_clicks,
                    bias_current: detections.bias_current,
                },
                bases: piece.bases,
                outcomes: SecretBits::new(detections.outcomes.slice(range)),
                announced: now,
            });
        }
    }

    /// Why no window would be made use of, if none would.
    pub(super) fn not_taking(&self) -> Option<SkipReason> {
        let limits = &self.end.settings.limits;
        if !self.end.channel.is_up() {
            Some(SkipReason::NotConnected)
        } else if self.windows.len() >= limits.windows_in_flight
            || self.end.blocks.len() >= limits.blocks_in_flight
            || self.end.channel.backlog() > limits.backlog_bytes
        {
            Some(SkipReason::Busy)
        } else {
            None
        }
    }

    pub(super) fn sifted(
        &mut self,
        now: Time,
        rng: &mut dyn Rng,
        number: u64,
        reply: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let window = self.windows.pop_front().filter(|window| window.number == number);
        let window = window.ok_or("sifting of a window that is not the next")?;
        let classes = self.end.settings.source.len();
        let reply = Reply::decode(reply, &window.bases, classes).map_err(|_| "bytes that sift no window")?;
        let sifted = sift_received(&window.bases, window.outcomes.expose(), &reply, classes)
            .map_err(|_| "an intensity that the source lacks")?;
        self.end.open.append(now, window.counts, sifted);
        if self.end.open.is_full(&self.end.settings) {
            self.close(now, rng, sink);
        }
        Ok(())
    }

    /// The open block has its bits.
    pub(super) fn close(&mut self, now: Time, rng: &mut dyn Rng, sink: &mut Sink<'_>) {
        let mut block = self.end.close(now);
        // Without a leak and without errors in the key basis there is most key: if there is none even then,
        // reconciliation would be wasted. The transmitter finds the same, but may have other monitors.
        if let Err(reason) = self.end.may_become_key(now, &block) {
            let code = match reason {
                DiscardReason::Monitor => DiscardCode::Monitor,
                _ => DiscardCode::NoKey,
            };
            self.end.channel.send(Message::Discard { block: block.id, reason: code }.encode(), false);
            self.end.discard(now, &block, reason, sink);
            return;
        }
        let error_rate = (self.expected_error_rate(&block) * 4_294_967_296.0) as u32;
        let shuffles = rng.next_u64();
        let method = method(&self.end.settings, error_rate, shuffles);
        let id = block.id;
        let key = core::mem::take(&mut block.key);
        let mut in_flight = match CorrectingEnd::new(&method, key) {
            Ok(corrector) => InFlight { block, stage: Stage::Reconciling(Box::new(corrector)), moved: now },
            Err(_) => {
                let reason = DiscardCode::Reconciliation;
                self.end.channel.send(Message::Discard { block: id, reason }.encode(), false);
                self.end.discard(now, &block, DiscardReason::Reconciliation, sink);
                return;
            }
        };
        let Stage::Reconciling(corrector) = &mut in_flight.stage else { return };
        let step = corrector.start();
        let request = if let Step::Ask(request) = &step { &request[..] } else { &[] };
        self.end
            .channel
            .send(Message::Reconcile { block: id, error_rate, shuffles, request }.encode(), false);
        self.end.blocks.push_back(in_flight);
        if matches!(step, Step::Done) {
            self.corrected(now, id, sink);
        }
    }

    /// The error rate to be expected in the key basis: that of the last block if this one's check basis is
    /// like that one's, else what the check basis shows.
    pub(super) fn expected_error_rate(&self, block: &Block) -> f64 {
        let check = block.statistics.total(Basis::Check);
        let seen = check.error_rate().unwrap_or(0.03);
        let expected = match self.last_rates {
            Some((key, last)) => {
                let deviation = libm::sqrt(last.max(1e-3) / check.sifted.max(1) as f64);
                if libm::fabs(seen - last) < 5.0 * deviation { key } else { seen }
            }
            None => seen,
        };
        expected.clamp(1e-4, 0.25)
    }
}

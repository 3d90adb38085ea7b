//! From clicks to closed blocks, at the receiver.

use super::{InFlight, Receiver, Stage, Window, cascade};
use crate::hardware::{Basis, Detections};
use crate::qkd::reconcile::{Corrector, Step};
use crate::qkd::session::block::{Block, WindowCounts};
use crate::qkd::session::message::{DiscardCode, Message};
use crate::qkd::session::{DiscardReason, LinkEvent, Sink, SkipReason};
use crate::qkd::sift::{Announcement, Reply, sift_received};
use bellwether_bits::SecretBits;
use bellwether_units::{BlockId, Time};
use rand_core::Rng;

impl Receiver {
    pub(super) fn detected(&mut self, now: Time, detections: &Detections, sink: &mut Sink<'_>) {
        let clicks = detections.pulses.len() as u64;
        if let Some(baseline) = &self.settings.baseline {
            let pulses = detections.pulse_count;
            let alarm = self.watch.window(baseline, &self.settings.thresholds, now, pulses, clicks);
            alarm.into_iter().for_each(|alarm| sink.event(LinkEvent::Alarm(alarm)));
        }
        let limits = &self.settings.limits;
        let reason = if !self.channel.is_up() {
            Some(SkipReason::NotConnected)
        } else if self.windows.len() >= limits.windows_in_flight
            || self.blocks.len() >= limits.blocks_in_flight
            || self.channel.backlog() > limits.backlog_bytes
        {
            Some(SkipReason::Busy)
        } else if detections.first_pulse < self.next_pulse
            || detections.bases.len() as u64 != clicks
            || detections.outcomes.len() as u64 != clicks
        {
            Some(SkipReason::Unsound)
        } else {
            None
        };
        if let Some(reason) = reason {
            sink.event(LinkEvent::Skipped { clicks, reason });
            return;
        }
        let announced = Announcement::pieces(detections, limits.window_clicks).and_then(|pieces| {
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
            self.channel.send(Message::Announce { window: number, announcement: &encoded }.encode(), false);
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
        let classes = self.settings.source.len();
        let reply = Reply::decode(reply, &window.bases, classes).map_err(|_| "bytes that sift no window")?;
        let sifted = sift_received(&window.bases, window.outcomes.expose(), &reply, classes)
            .map_err(|_| "an intensity that the source lacks")?;
        self.open.append(now, window.counts, sifted);
        if self.open.is_full(&self.settings) {
            self.close(now, rng, sink);
        }
        Ok(())
    }

    /// The open block has its bits.
    pub(super) fn close(&mut self, now: Time, rng: &mut dyn Rng, sink: &mut Sink<'_>) {
        let next = BlockId(self.open.id.0 + 1);
        self.channel.use_blocks(next.0);
        let mut block = core::mem::replace(&mut self.open, Block::new(next, self.settings.source.len()));
        block.closed = Some(now);
        // Without a leak and without errors in the key basis there is most key: if there is none even then,
        // reconciliation would be wasted. The transmitter finds the same.
        if let Err(reason) = block.may_yield_key(&self.settings) {
            let code = DiscardCode::NoKey;
            self.channel.send(Message::Discard { block: block.id, reason: code }.encode(), false);
            self.discard(now, block, reason.into(), sink);
            return;
        }
        let error_rate = (self.expected_error_rate(&block) * 4_294_967_296.0) as u32;
        let shuffles = rng.next_u64();
        let settings = cascade(&self.settings, error_rate, shuffles);
        let id = block.id;
        let key = core::mem::take(&mut block.key);
        let mut in_flight = match Corrector::new(&settings, key) {
            Ok(corrector) => InFlight { block, stage: Stage::Reconciling(Box::new(corrector)), moved: now },
            Err(_) => {
                let reason = DiscardCode::Reconciliation;
                self.channel.send(Message::Discard { block: id, reason }.encode(), false);
                self.discard(now, block, DiscardReason::Reconciliation, sink);
                return;
            }
        };
        let Stage::Reconciling(corrector) = &mut in_flight.stage else { return };
        let step = corrector.start();
        let request = if let Step::Ask(request) = &step { &request[..] } else { &[] };
        self.channel.send(Message::Reconcile { block: id, error_rate, shuffles, request }.encode(), false);
        self.blocks.push_back(in_flight);
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

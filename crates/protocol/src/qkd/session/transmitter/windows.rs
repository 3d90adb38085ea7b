//! From announced clicks to closed blocks, at the transmitter.

use super::{Stage, Transmitter, Window};
use crate::hardware::Preparations;
use crate::qkd::session::block::WindowCounts;
use crate::qkd::session::end::InFlight;
use crate::qkd::session::message::{DiscardCode, Message};
use crate::qkd::session::{DiscardReason, LinkEvent, Sink};
use crate::qkd::sift::{Announcement, Reply, SiftedWindow, sift_sent};
use bellwether_units::Time;
use zeroize::Zeroize;

impl Transmitter {
    pub(super) fn announced(
        &mut self,
        now: Time,
        number: u64,
        bytes: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let limits = &self.end.settings.limits;
        let mut announcement =
            Announcement::decode(bytes, limits.window_clicks).map_err(|_| "bytes that announce nothing")?;
        if number != self.next_window {
            return Err("a window that is not the next");
        }
        if announcement.first_pulse < self.next_pulse {
            return Err("pulses that were announced before");
        }
        // An honest receiver stops announcing at its limits; what it had announced by then may still close
        // as many blocks. A window of the receiver may come in pieces.
        let pieces = 2 * limits.windows_in_flight + 64;
        if self.windows.len() > pieces || self.end.blocks.len() > limits.blocks_in_flight + pieces {
            return Err("more windows than both ends had agreed on");
        }
        self.next_window += 1;
        self.next_pulse = announcement.first_pulse + announcement.pulse_count;
        let clicks = announcement.pulses.len() as u64;
        self.end.watch_window(now, announcement.pulse_count, clicks, sink);
        let request = self.next_request;
        self.next_request += 1;
        let last_click = announcement.pulses.last().copied();
        let preparations = if clicks == 0 {
            Some(Preparations::default())
        } else {
            let pulses = core::mem::take(&mut announcement.pulses).into_owned();
            sink.event(LinkEvent::Recall { request, pulses });
            None
        };
        self.windows.push_back(Window { number, request, announcement, preparations, last_click });
        self.answer_windows(now, sink);
        Ok(())
    }

    pub(super) fn recalled(
        &mut self,
        now: Time,
        request: u64,
        preparations: Preparations,
        sink: &mut Sink<'_>,
    ) {
        let waiting = self.windows.iter_mut().find(|window| window.request == request);
        if let Some(window) = waiting.filter(|window| window.preparations.is_none()) {
            window.preparations = Some(preparations);
            self.answer_windows(now, sink);
        }
    }

    /// Answers the windows, in order, of which the preparations are known.
    pub(super) fn answer_windows(&mut self, now: Time, sink: &mut Sink<'_>) {
        let classes = self.end.settings.source.len();
        while self.windows.front().is_some_and(|window| window.preparations.is_some()) {
            let Some(Window {
                number, announcement, preparations: Some(mut preparations), last_click, ..
            }) = self.windows.pop_front()
            else {
                return;
            };
            let sifted = if self.end.channel.may_use_block(self.end.open.id.0) {
                sift_sent(&announcement, &preparations, classes)
            } else {
                None
            };
            preparations.bits.zeroize();
            if let (Some(_), Some(last)) = (&sifted, last_click) {
                self.disclosed_until = self.disclosed_until.max(last.saturating_add(1));
            }
            let (sifted, reply) = sifted.unwrap_or_else(|| {
                // Nothing is known of these pulses: both ends keep none.
                let none = SiftedWindow::empty(classes);
                let clicks = announcement.bases.len();
                (none, Reply::nothing(clicks, classes))
            });
            let reply = reply.encode();
            self.end.channel.send(Message::Sifted { window: number, reply: &reply }.encode(), false);
            let counts = WindowCounts {
                pulses: announcement.pulse_count,
                clicks: announcement.bases.len() as u64,
                double_clicks: announcement.double_clicks,
                bias_current: None,
            };
            self.end.open.append(now, counts, sifted);
            if self.end.open.is_full(&self.end.settings) {
                self.close(now, sink);
            }
        }
    }

    /// The open block has its bits.
    pub(super) fn close(&mut self, now: Time, sink: &mut Sink<'_>) {
        let mut block = self.end.close(now);
        // Only the receiver needs to know which error was in which class.
        block.classes = Vec::new();
        match self.end.may_become_key(now, &block) {
            Ok(()) => self.end.blocks.push_back(InFlight { block, stage: Stage::Sifted, moved: now }),
            Err(reason) => {
                // The receiver finds the same from equal counts, but may have been calibrated differently.
                if reason == DiscardReason::Monitor {
                    let told = Message::Discard { block: block.id, reason: DiscardCode::Monitor };
                    self.end.channel.send(told.encode(), false);
                }
                self.end.discard(now, &block, reason, sink);
            }
        }
    }
}

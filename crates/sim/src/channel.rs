//! The classical channel: what becomes of a frame between two ends.
//!
//! Without faults a frame arrives once, unchanged, after the channel's delay and in order. Faults lose it,
//! double it, hold it back behind later ones, or let a man in the middle change it.

use bellwether_network::Tampering;
use bellwether_units::{Duration, Stream, Time};
use rand_core::Rng;

/// What goes wrong on a classical channel; each frame is drawn for anew.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ChannelFaults {
    /// No frame passes.
    pub(crate) down: bool,
    /// The probability that a frame is lost.
    pub(crate) loss: f64,
    /// The probability that a frame arrives twice.
    pub(crate) duplication: f64,
    /// The probability that a frame is held back behind later ones, by up to ten times the channel's delay.
    pub(crate) reordering: f64,
    /// A delay on top of the channel's own, for every frame.
    pub(crate) extra_delay: Duration,
    /// A further delay of up to so much, each frame by chance.
    pub(crate) jitter: Duration,
    /// The probability that a man in the middle does something to a frame.
    pub(crate) tampering: f64,
    /// What she does.
    pub(crate) how: Option<Tampering>,
}

/// One classical channel, both directions.
#[derive(Clone, Debug)]
pub(crate) struct ClassicalChannel {
    delay: Duration,
    faults: ChannelFaults,
    stream: Stream,
    /// What the man in the middle has kept to send again.
    kept: Vec<Vec<u8>>,
}

/// Bytes of a frame of a link before its message: version, kind, session, acknowledgement and number.
const HEADER: usize = 26;
/// How many frames a man in the middle keeps for replay.
const KEPT: usize = 16;

impl ClassicalChannel {
    pub(crate) fn new(delay: Duration, stream: Stream) -> Self {
        Self { delay, faults: ChannelFaults::default(), stream, kept: Vec::new() }
    }

    pub(crate) fn set_faults(&mut self, faults: ChannelFaults) {
        self.faults = faults;
    }

    /// Sends `frame` at `now`: `deliver` is called for each copy that will arrive, with its time.
    pub(crate) fn transmit(&mut self, now: Time, mut frame: Vec<u8>, mut deliver: impl FnMut(Time, Vec<u8>)) {
        let faults = self.faults;
        if faults.down || self.happens(faults.loss) {
            return;
        }
        self.keep(&frame);
        if self.happens(faults.tampering) {
            self.tamper(&mut frame);
        }
        if self.happens(faults.duplication) {
            let arrival = self.arrival(now);
            deliver(arrival, frame.clone());
        }
        let arrival = self.arrival(now);
        deliver(arrival, frame);
    }

    fn arrival(&mut self, now: Time) -> Time {
        let mut arrival = now.saturating_add(self.delay).saturating_add(self.faults.extra_delay);
        if !self.faults.jitter.is_zero() {
            arrival = arrival.saturating_add(self.part_of(self.faults.jitter));
        }
        if self.happens(self.faults.reordering) {
            let hold = self.delay.saturating_mul(10).max(Duration::from_milliseconds(1));
            arrival = arrival.saturating_add(self.part_of(hold));
        }
        arrival
    }

    fn part_of(&mut self, span: Duration) -> Duration {
        Duration::from_picoseconds(self.stream.below(span.picoseconds().max(1)))
    }

    /// What a man in the middle does to a frame: what a tag must notice.
    fn tamper(&mut self, frame: &mut Vec<u8>) {
        match self.faults.how.unwrap_or(Tampering::Modify) {
            Tampering::Modify => self.change(frame),
            Tampering::Replay if !self.kept.is_empty() => {
                let which = self.stream.below(self.kept.len() as u64) as usize;
                *frame = self.kept[which].clone();
            }
            Tampering::Replay => {}
            Tampering::Forge => {
                // A header that looks right, with a body of her own.
                let body = frame.len().min(HEADER);
                self.stream.fill_bytes(&mut frame[body..]);
                if frame.len() <= HEADER {
                    self.change(frame);
                }
            }
        }
    }

    /// Changes one bit anywhere, or cuts the frame's end off.
    fn change(&mut self, frame: &mut Vec<u8>) {
        if frame.is_empty() {
            return;
        }
        let at = self.stream.below(frame.len() as u64) as usize;
        if self.stream.chance(0.1) {
            frame.truncate(at);
        } else {
            frame[at] ^= 1 << self.stream.below(8);
        }
    }

    /// A man in the middle who replays keeps some of what passes.
    fn keep(&mut self, frame: &[u8]) {
        if self.faults.how == Some(Tampering::Replay) {
            if self.kept.len() < KEPT {
                self.kept.push(frame.to_vec());
            } else {
                let which = self.stream.below(KEPT as u64) as usize;
                self.kept[which] = frame.to_vec();
            }
        }
    }

    /// Draws only for what can happen, so that a fault added elsewhere leaves the other draws alone.
    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.stream.chance(probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose};

    fn arrivals(faults: ChannelFaults, frames: u32) -> Vec<(Time, Vec<u8>)> {
        let stream = Stream::new(5, EntityId(0), Purpose::named("channel test"));
        let mut channel = ClassicalChannel::new(Duration::from_microseconds(50), stream);
        channel.set_faults(faults);
        let mut out = Vec::new();
        for n in 0..frames {
            let sent = Time::ZERO + Duration::from_microseconds(u64::from(n));
            channel.transmit(sent, n.to_le_bytes().to_vec(), |at, frame| out.push((at, frame)));
        }
        out
    }

    #[test]
    fn without_faults_every_frame_arrives_once_in_order() {
        let out = arrivals(ChannelFaults::default(), 100);
        assert_eq!(out.len(), 100);
        for (n, (at, frame)) in out.iter().enumerate() {
            assert_eq!(at.since(Time::ZERO), Duration::from_microseconds(n as u64 + 50));
            assert_eq!(frame, &(n as u32).to_le_bytes());
        }
    }

    #[test]
    fn faults_come_as_often_as_they_say() {
        // 10^4 frames; 4 standard errors of a count with p = 0.2 are 160.
        let lost = arrivals(ChannelFaults { loss: 0.2, ..Default::default() }, 10_000);
        assert!(lost.len().abs_diff(8_000) < 160);
        let doubled = arrivals(ChannelFaults { duplication: 0.2, ..Default::default() }, 10_000);
        assert!(doubled.len().abs_diff(12_000) < 160);
        let changed = arrivals(ChannelFaults { tampering: 0.2, ..Default::default() }, 10_000);
        let count = changed.iter().enumerate().filter(|(n, (_, f))| f != &(*n as u32).to_le_bytes()).count();
        assert!(count.abs_diff(2_000) < 160);
        assert!(arrivals(ChannelFaults { down: true, ..Default::default() }, 10).is_empty());
        let held = arrivals(ChannelFaults { reordering: 0.2, ..Default::default() }, 1_000);
        assert!(held.windows(2).any(|pair| pair[0].0 > pair[1].0), "some frame overtakes another");
    }
}

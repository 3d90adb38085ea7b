//! In order and once, over frames that are lost, doubled, late and out of order.
//!
//! Cumulative acknowledgements, retransmission of each frame on its own timer, and a timeout adapted as in
//! RFC 6298 (without a sample from frames that were sent more than once). Nothing here is trusted: an
//! acknowledgement beyond what was sent is refused and what arrives ahead is bounded.

use super::frame::renew_ack;
use bellwether_units::{Duration, Time};
use std::collections::{BTreeMap, VecDeque};

/// Frames sent and not yet acknowledged.
pub(super) struct Outbox {
    frames: VecDeque<Sent>,
    /// The sequence number of the first of `frames`.
    first: u64,
    bytes: usize,
    timeout: Timeout,
}

struct Sent {
    bytes: Vec<u8>,
    sent: Time,
    again: bool,
}

/// The retransmission timeout of RFC 6298, in picoseconds.
struct Timeout {
    least: Duration,
    most: Duration,
    smoothed: Option<(u64, u64)>,
    current: Duration,
}

impl Timeout {
    fn sample(&mut self, round_trip: Duration) {
        let r = round_trip.picoseconds();
        let (mean, deviation) = match self.smoothed {
            None => (r, r / 2),
            Some((mean, deviation)) => {
                (mean - mean / 8 + r / 8, deviation - deviation / 4 + mean.abs_diff(r) / 4)
            }
        };
        self.smoothed = Some((mean, deviation));
        let wanted = mean.saturating_add(deviation.saturating_mul(4));
        self.current = Duration::from_picoseconds(wanted).clamp(self.least, self.most);
    }
    fn expire(&mut self) {
        self.current = self.current.saturating_mul(2).min(self.most);
    }
}

impl Outbox {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        let timeout = Timeout { least, most, smoothed: None, current: least };
        Self { frames: VecDeque::new(), first: 0, bytes: 0, timeout }
    }
    /// The sequence number that the next frame is to have.
    pub(super) fn next_sequence(&self) -> u64 {
        self.first + self.frames.len() as u64
    }
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
    /// Keeps a frame that is sent now.
    pub(super) fn push(&mut self, now: Time, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.frames.push_back(Sent { bytes, sent: now, again: false });
    }
    /// Takes an acknowledgement: all before `ack` have arrived. False if it cannot be.
    pub(super) fn acknowledge(&mut self, now: Time, ack: u64) -> bool {
        if ack > self.next_sequence() {
            return false;
        }
        let mut sample = None;
        let mut again = false;
        while self.first < ack {
            let Some(frame) = self.frames.pop_front() else { break };
            self.first += 1;
            self.bytes -= frame.bytes.len();
            again |= frame.again;
            sample = Some(now.since(frame.sent));
        }
        // After a retransmission it is not known which copy was acknowledged, nor how long a later frame
        // waited behind a missing one.
        if let Some(sample) = sample
            && !again
        {
            self.timeout.sample(sample);
        }
        true
    }
    /// When the next frame is due again.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.frames.iter().map(|frame| frame.sent).min().map(|sent| sent.saturating_add(self.timeout.current))
    }
    /// Since when the oldest frame has been without an answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.frames.is_empty()
    }
    /// Calls `send` with the frames that are due again, with `ack` brought up to date.
    pub(super) fn resend(&mut self, now: Time, ack: u64, mut send: impl FnMut(Vec<u8>)) {
        let timeout = self.timeout.current;
        let mut expired = false;
        for frame in self.frames.iter_mut().filter(|frame| frame.sent.saturating_add(timeout) <= now) {
            renew_ack(&mut frame.bytes, ack);
            frame.sent = now;
            frame.again = true;
            send(frame.bytes.clone());
            expired = true;
        }
        if expired {
            self.timeout.expire();
        }
    }
}

/// Frames that arrived ahead of a missing one.
pub(super) struct Inbox<T> {
    next: u64,
    ahead: BTreeMap<u64, (usize, T)>,
    bytes: usize,
    most_frames: u64,
    most_bytes: usize,
}

impl<T> Inbox<T> {
    pub(super) fn new(most_frames: usize, most_bytes: usize) -> Self {
        Self { next: 0, ahead: BTreeMap::new(), bytes: 0, most_frames: most_frames as u64, most_bytes }
    }
    /// The sequence number that is wanted next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }
    /// Takes in a frame of `len` bytes. What came before, or is too far ahead, is dropped; of two with one
    /// number the first counts.
    pub(super) fn insert(&mut self, sequence: u64, len: usize, frame: impl FnOnce() -> T) {
        if sequence < self.next || sequence - self.next >= self.most_frames {
            return;
        }
        // The frame that is wanted next is always taken, or nothing would ever move.
        if sequence != self.next && self.bytes.saturating_add(len) > self.most_bytes {
            return;
        }
        self.ahead.entry(sequence).or_insert_with(|| {
            self.bytes += len;
            (len, frame())
        });
    }
    /// The next frame in order, if it is there.
    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        let (len, frame) = self.ahead.remove(&self.next)?;
        self.bytes -= len;
        self.next += 1;
        Some((self.next - 1, frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    #[test]
    fn everything_arrives_once_and_in_order_through_a_bad_channel() {
        let least = Duration::from_milliseconds(10);
        for seed in 0..50 {
            let mut stream = Stream::new(seed, EntityId(0), Purpose::named("reliable"));
            let mut outbox = Outbox::new(least, Duration::from_whole_seconds(1));
            let mut inbox = Inbox::new(16, 1000);
            let mut flying: Vec<(Time, u64)> = Vec::new();
            let mut acks: Vec<(Time, u64)> = Vec::new();
            let (mut now, mut received) = (Time::ZERO, Vec::new());
            let total = 200u64;
            while received.len() < total as usize {
                now += Duration::from_milliseconds(1);
                assert!(now < Time::ZERO + Duration::from_whole_seconds(4000), "no progress");
                let mut sends = Vec::new();
                if outbox.next_sequence() < total && outbox.len() < 24 {
                    let sequence = outbox.next_sequence();
                    let mut frame = vec![0u8; 18];
                    frame.extend_from_slice(&sequence.to_le_bytes());
                    outbox.push(now, frame.clone());
                    sends.push(frame);
                }
                outbox.resend(now, 0, |frame| sends.push(frame));
                for frame in sends {
                    let sequence = u64::from_le_bytes(frame[18..].try_into().unwrap());
                    for _ in 0..stream.below(3) {
                        flying.push((now + Duration::from_milliseconds(stream.below(30)), sequence));
                    }
                }
                flying.retain(|&(at, sequence)| {
                    if at <= now {
                        inbox.insert(sequence, 100, || sequence);
                    }
                    at > now
                });
                while let Some((sequence, content)) = inbox.pop() {
                    assert_eq!(sequence, content);
                    received.push(content);
                }
                if stream.chance(0.5) {
                    acks.push((now + Duration::from_milliseconds(stream.below(30)), inbox.next()));
                }
                acks.retain(|&(at, ack)| {
                    if at <= now {
                        assert!(outbox.acknowledge(now, ack));
                    }
                    at > now
                });
            }
            assert_eq!(received, (0..total).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_is_refused() {
        let mut outbox = Outbox::new(Duration::from_milliseconds(1), Duration::from_milliseconds(2));
        outbox.push(Time::ZERO, vec![0; 26]);
        assert!(!outbox.acknowledge(Time::ZERO, 2));
        assert!(outbox.acknowledge(Time::ZERO, 1));
        assert!(!outbox.is_waiting() && outbox.bytes() == 0);
    }

    #[test]
    fn what_is_held_ahead_is_bounded() {
        let mut inbox = Inbox::new(4, 250);
        for sequence in [1, 2, 3, 4, u64::MAX] {
            inbox.insert(sequence, 100, || sequence);
        }
        assert_eq!(inbox.ahead.len(), 2, "two of 100 bytes fit in 250, and 4 is too far ahead");
        inbox.insert(0, 100, || 0);
        assert_eq!(core::iter::from_fn(|| inbox.pop()).map(|(s, _)| s).collect::<Vec<_>>(), [0, 1, 2]);
    }
}

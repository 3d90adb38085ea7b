//! In order and once, over frames that are lost, doubled, late and out of order.
//!
//! Cumulative acknowledgements, retransmission of each frame on its own timer, and a timeout adapted as in
//! RFC 6298 (without a sample from frames that were sent more than once). While nothing is acknowledged the
//! timeout doubles and only the oldest frame is repeated, as a probe. As soon as something is, the timeout is
//! back where it was, unless frames keep arriving only after they were repeated: then it stays until a round
//! trip can be measured, as Karn's algorithm wants. A frame found missing by the acknowledgement of a repeated one is sent again at once, as
//! in RFC 6582, so that a gap of many frames closes at the speed of round trips. Nothing here is trusted: an acknowledgement beyond what
//! was sent is refused and what arrives ahead is bounded.

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
    /// Whether the last acknowledgement was of repeated frames.
    repeated: bool,
}

struct Sent {
    bytes: Vec<u8>,
    sent: Time,
    again: bool,
    /// Known to be missing: due at once.
    missing: bool,
}

/// The retransmission timeout of RFC 6298, in picoseconds.
struct Timeout {
    least: Duration,
    most: Duration,
    smoothed: Option<(u64, u64)>,
    /// Without doubling.
    adapted: Duration,
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
        self.adapted = Duration::from_picoseconds(wanted).clamp(self.least, self.most);
    }
    fn expire(&mut self) {
        self.current = self.current.saturating_mul(2).min(self.most);
    }
    /// The channel carries frames again.
    fn restore(&mut self) {
        self.current = self.adapted;
    }
    fn is_doubled(&self) -> bool {
        self.current > self.adapted
    }
}

impl Outbox {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        let timeout = Timeout { least, most, smoothed: None, adapted: least, current: least };
        Self { frames: VecDeque::new(), first: 0, bytes: 0, timeout, repeated: false }
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
        self.frames.push_back(Sent { bytes, sent: now, again: false, missing: false });
    }
    /// Takes an acknowledgement: all before `ack` have arrived. False if it cannot be.
    #[must_use]
    pub(super) fn acknowledge(&mut self, now: Time, ack: u64) -> bool {
        if ack > self.next_sequence() {
            return false;
        }
        let mut last = None;
        let mut again = false;
        while self.first < ack {
            let Some(frame) = self.frames.pop_front() else { break };
            self.first += 1;
            self.bytes -= frame.bytes.len();
            again |= frame.again;
            last = Some(frame.sent);
        }
        let Some(last) = last else { return true };
        if again {
            // After a retransmission it is not known which copy was acknowledged, nor how long a later frame
            // waited behind a missing one.
            if let Some(next) = self.frames.front_mut().filter(|next| next.sent <= last) {
                next.missing = true;
            }
        } else {
            self.timeout.sample(now.since(last));
        }
        let before = core::mem::replace(&mut self.repeated, again);
        if !(again && before) {
            self.timeout.restore();
        }
        true
    }
    /// When the next frame is due again.
    pub(super) fn deadline(&self) -> Option<Time> {
        let due = |frame: &Sent| match frame.missing {
            true => Time::ZERO,
            false => frame.sent.saturating_add(self.timeout.current),
        };
        self.frames.iter().take(self.watched()).map(due).min()
    }
    /// How many frames are repeated when their time has come.
    fn watched(&self) -> usize {
        if self.timeout.is_doubled() { 1 } else { self.frames.len() }
    }
    /// Since when the oldest frame has been without an answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.frames.is_empty()
    }
    /// Calls `send` with the frames that are due again, with `ack` brought up to date.
    pub(super) fn resend(&mut self, now: Time, ack: u64, mut send: impl FnMut(Vec<u8>)) {
        let timeout = self.timeout.current;
        let mut expired = false;
        let watched = self.watched();
        for frame in self.frames.iter_mut().take(watched) {
            let due = frame.sent.saturating_add(timeout) <= now;
            if !(due || frame.missing) {
                continue;
            }
            renew_ack(&mut frame.bytes, ack);
            frame.sent = now;
            frame.again = true;
            frame.missing = false;
            send(frame.bytes.clone());
            expired |= due;
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
    fn a_gap_of_many_frames_closes_soon_after_a_cut_ends() {
        // A frame every 10 ms over a channel with a round trip of 2 ms, cut from 0.5 s to 2.5 s.
        let ms = |n| Time::ZERO + Duration::from_milliseconds(n);
        let mut outbox = Outbox::new(Duration::from_milliseconds(50), Duration::from_whole_seconds(10));
        let mut inbox = Inbox::new(256, 1 << 20);
        let mut caught_up = None;
        let mut acks: VecDeque<u64> = VecDeque::from([0, 0]);
        for n in 0..6_000 {
            let mut arrived = Vec::new();
            if n % 10 == 0 && outbox.len() < 100 {
                arrived.push(outbox.next_sequence());
                let mut frame = vec![0u8; 18];
                frame.extend_from_slice(&outbox.next_sequence().to_le_bytes());
                outbox.push(ms(n), frame);
            }
            outbox.resend(ms(n), 0, |frame| {
                arrived.push(u64::from_le_bytes(frame[18..].try_into().unwrap()));
            });
            let cut = (500..2_500).contains(&n);
            for sequence in arrived.into_iter().filter(|_| !cut) {
                inbox.insert(sequence, 100, || ());
            }
            while inbox.pop().is_some() {}
            acks.push_back(inbox.next());
            let ack = acks.pop_front().unwrap();
            assert!(cut || outbox.acknowledge(ms(n), ack));
            if n >= 2_500 && outbox.len() <= 1 {
                caught_up.get_or_insert(n);
            }
        }
        // The timeout has doubled to 3.2 s at most; then each of 100 frames takes a round trip.
        let caught_up = caught_up.expect("the gap closes");
        assert!(caught_up < 2_500 + 3_200 + 300, "{caught_up} ms");
    }

    #[test]
    fn a_channel_that_becomes_slow_is_learnt() {
        let ms = |n| Time::ZERO + Duration::from_milliseconds(n);
        let mut outbox = Outbox::new(Duration::from_milliseconds(50), Duration::from_whole_seconds(10));
        let (mut frames, mut sent, mut ack_at) = (0, 0, 0);
        for n in 0..60_000 {
            // One frame at a time; the round trip is 1 ms at first and 300 ms from 10 s on.
            if outbox.len() == 0 {
                outbox.push(ms(n), vec![0; 26]);
                (frames, sent) = (frames + 1, sent + 1);
                ack_at = n + if n < 10_000 { 1 } else { 300 };
            }
            outbox.resend(ms(n), 0, |_| sent += 1);
            if n == ack_at {
                assert!(outbox.acknowledge(ms(n), frames));
            }
        }
        assert!(frames > 5_000 && sent < frames + 20, "{sent} sent for {frames} frames");
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

//! The third step: the line is followed from stretch to stretch.

use super::fine::{MOST_PAIRS, differences};
use super::{Clock, Line, STRETCH};
use std::collections::VecDeque;

/// The drift is that of so many stretches.
const RECENT: usize = 4;
/// Bins of the histogram that a stretch's peak is looked for in, a reach.
const SLOTS: usize = 8;
/// Where the peak was lost it is looked for ever further away, up to so many times as far.
const FURTHEST: u32 = 40;

/// The line is followed through the whole record.
pub(super) fn track(reference: &[u64], other: &[u64], line: Line, jitter: f64) -> Clock {
    let middle = other.partition_point(|&time| (time as f64) < line.at);
    // How many times of the other record hold about so many coincidences as a stretch needs.
    let near = &other[middle.saturating_sub(1_500)..(middle + 1_500).min(other.len())];
    let reach = 4.0 * jitter;
    let pairs = differences(reference, near, 0, line, 2.0 * reach);
    let inside = pairs.iter().filter(|pair| pair.1.abs() < reach).count() as f64;
    let share = ((2.0 * inside - pairs.len() as f64) / near.len() as f64).clamp(1e-4, 1.0);
    let stretch = ((STRETCH / share) as usize).clamp(100, other.len().max(101));
    let (after, forwards) = follow(reference, other[middle..].chunks(stretch), line, jitter);
    let (before, backwards) = follow(reference, other[..middle].rchunks(stretch), line, jitter);
    let mut knots: Vec<(f64, f64)> = before.into_iter().rev().chain(after).collect();
    knots.dedup_by(|a, b| a.0 <= b.0);
    if knots.is_empty() {
        knots.push((line.at, line.offset));
    }
    Clock {
        knots,
        drift: [backwards.drift, forwards.drift],
        jitter,
        coincidences: (inside * 2.0 - pairs.len() as f64).max(0.0) as u64,
        share,
    }
}

/// Follows a line through stretches, one after the other: a knot at each, and the line at the end.
fn follow<'a>(
    reference: &[u64],
    stretches: impl Iterator<Item = &'a [u64]>,
    line: Line,
    jitter: f64,
) -> (Vec<(f64, f64)>, Line) {
    let mut follower = Follower::new(0, line, jitter);
    let mut knots = Vec::new();
    for stretch in stretches {
        if follower.step(reference, stretch) {
            knots.push((follower.line.at, follower.line.offset));
        }
    }
    (knots, follower.line)
}

/// Follows the relation of two clocks from stretch to stretch of a record.
///
/// Offsets are a whole number of picoseconds, which is kept exactly, and a small rest.
#[derive(Clone, Debug)]
pub(in crate::qkd::tags) struct Follower {
    base: i64,
    line: Line,
    /// How far from the peak a difference may be.
    reach: f64,
    /// The last knots: time, offset, coincidences.
    recent: VecDeque<(f64, f64, f64)>,
    /// In so many stretches, to the last, no peak was seen.
    lost: u32,
}

impl Follower {
    pub(super) fn new(base: i64, line: Line, jitter: f64) -> Self {
        Self { base, line, reach: 4.0 * jitter, recent: VecDeque::new(), lost: 0 }
    }

    /// From a recovered clock, at the time `at` of the other clock, with the recovery's times counted from others: the
    /// offset there is `base` and what the recovered clock shows at `recovered_at`.
    pub(in crate::qkd::tags) fn from_clock(clock: &Clock, recovered_at: u64, at: u64, base: i64) -> Self {
        let offset = clock.offset(recovered_at);
        let whole = offset as i64;
        let line = Line { at: at as f64, offset: offset - whole as f64, drift: clock.first_drift() };
        Self::new(base.saturating_add(whole), line, clock.jitter)
    }

    /// What to add to the other clock's time, to a picosecond.
    pub(in crate::qkd::tags) fn offset(&self, time: u64) -> i64 {
        self.base.saturating_add(self.line.offset(time as f64) as i64)
    }

    /// The drift now.
    pub(in crate::qkd::tags) fn drift(&self) -> f64 {
        self.line.drift
    }

    /// How far around the line the next stretch's peak is looked for, in picoseconds.
    pub(in crate::qkd::tags) fn search(&self) -> f64 {
        3.0 * self.reach * f64::from(1 + self.lost)
    }

    /// Whether the last stretch showed no peak.
    pub(in crate::qkd::tags) fn is_lost(&self) -> bool {
        self.lost > 0
    }

    /// Looks for the peak of a stretch, all of whose partners are in `reference`, and moves the line there; whether there
    /// is one.
    pub(in crate::qkd::tags) fn step(&mut self, reference: &[u64], stretch: &[u64]) -> bool {
        let (Some(&first), Some(&last)) = (stretch.first(), stretch.last()) else { return false };
        let search = self.search();
        let pairs = differences(reference, stretch, self.base, self.line, search);
        // Of a crowded stretch only the beginning was looked at.
        let last = if pairs.len() == MOST_PAIRS { pairs[pairs.len() - 1].0 } else { last as f64 };
        let at = (first as f64 + last) / 2.0;
        // The densest strip first, for the peak may have moved; then its mean.
        let wide = 3 * (1 + self.lost) as usize;
        let slots = 2 * wide * SLOTS;
        let slot_width = self.reach / SLOTS as f64;
        let mut counts = vec![0u32; slots];
        for &(_, difference) in &pairs {
            counts[(((difference + search) / slot_width) as usize).min(slots - 1)] += 1;
        }
        let strip = 2 * SLOTS;
        let mut sum = counts[..strip].iter().sum::<u32>();
        let (mut best, middle) = ((sum, 0usize), (slots - strip) / 2);
        for from in 1..=slots - strip {
            sum = sum + counts[from + strip - 1] - counts[from - 1];
            if sum > best.0 || sum == best.0 && from.abs_diff(middle) < best.1.abs_diff(middle) {
                best = (sum, from);
            }
        }
        let centre = (best.1 + strip / 2) as f64 * slot_width - search;
        let inside: Vec<f64> = pairs
            .iter()
            .map(|pair| pair.1 - centre)
            .filter(|difference| difference.abs() < self.reach)
            .collect();
        let chance = (pairs.len() - inside.len()) as f64 / (wide - 1) as f64;
        let seen = inside.len() as f64 - chance;
        // A stretch in which too few belong together tells nothing: the line goes on as it was.
        if seen < STRETCH / 4.0 || seen < 5.0 * chance.max(1.0).sqrt() {
            self.lost = (self.lost + 1).min(FURTHEST);
            return false;
        }
        if self.lost > 0 {
            // What it was before the gap says little of the drift now.
            self.recent.clear();
        }
        self.lost = 0;
        let knot = self.line.offset(at) + centre + inside.iter().sum::<f64>() / seen;
        // The drift by a line through the last knots, which averages what each is off by chance.
        self.recent.push_back((at, knot, seen));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let drift = if self.recent.len() >= 3 { slope(&self.recent) } else { self.line.drift };
        self.line = Line { at, offset: knot, drift };
        true
    }
}

/// The slope of the straight line through knots.
fn slope(knots: &VecDeque<(f64, f64, f64)>) -> f64 {
    let count = knots.len() as f64;
    let mean_at = knots.iter().map(|knot| knot.0).sum::<f64>() / count;
    let mean = knots.iter().map(|knot| knot.1).sum::<f64>() / count;
    let (mut cross, mut square) = (0.0, 0.0);
    for &(at, offset, _) in knots {
        cross += (at - mean_at) * (offset - mean);
        square += (at - mean_at) * (at - mean_at);
    }
    if square > 0.0 { cross / square } else { 0.0 }
}

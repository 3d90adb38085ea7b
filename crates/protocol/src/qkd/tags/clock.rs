//! The clock of one end in terms of the other's, found from nothing but the times of what both saw.
//!
//! Light that reaches both ends, be it a pair or a photon whose emission was tagged, makes times that belong together,
//! among many more that do not. The number of pairs of times by their difference has a peak where the difference is the
//! offset of the clocks. It is looked for in three steps, after Ho, Lamas-Linares & Kurtsiefer, New J. Phys. 11, 045011
//! (2009), with the drift searched for as well:
//!
//! 1. *Coarse*: a piece of one record is correlated with the other record, by Fourier transforms of the counts in bins of
//!    a microsecond or so, once for each drift that would move the peak by a bin over the piece. The peak counts if chance
//!    would make one like it anywhere once in [`CHANCE`] times.
//! 2. *Fine*: around the peak differences are kept one by one, and offset and drift are searched for on a grid that gets
//!    finer as the piece gets longer, until the peak is as narrow as the detectors' jitter.
//! 3. *Tracking*: from there on, forwards and backwards, the peak of each stretch of some hundred coincidences corrects
//!    offset and drift for the next.

use bellwether_units::poisson_tail_below;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// With which probability a recovery may rest on a peak that is chance.
pub const CHANCE: f64 = 1e-6;
/// Bins of the coarse correlation, at most: some 100 MB while it lasts.
const MOST_BINS: usize = 1 << 21;
/// The narrowest coarse bin, in picoseconds.
const NARROWEST: f64 = 1e6;
/// Lengths of the pieces that are correlated one after the other until a peak stands out, in picoseconds.
const PIECES: [f64; 4] = [0.1e12, 0.4e12, 1.6e12, 6.4e12];
/// Differences that are kept one by one at a time, at most.
const DIFFERENCES: usize = 400_000;
/// The finest bin of the fine search, in picoseconds.
const FINEST: f64 = 64.0;
/// The drift is that of so many stretches.
const RECENT: usize = 4;
/// Coincidences wanted in a stretch of tracking.
const STRETCH: f64 = 300.0;

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// The greatest offset, either way, in picoseconds.
    pub offset: f64,
    /// The greatest drift, either way: 10⁻⁵ is 10 ppm.
    pub drift: f64,
}

impl Default for Search {
    /// Offsets to 2 s, drifts to 20 ppm.
    fn default() -> Self {
        Self { offset: 2e12, drift: 2e-5 }
    }
}

/// Why the clocks could not be related.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ClockError {
    /// A record has next to nothing in it.
    #[error("too few times: {here} and {there}, and some hundreds are needed")]
    TooFew {
        /// Times in the reference record.
        here: usize,
        /// Times in the other.
        there: usize,
    },
    /// No peak stands out.
    #[error(
        "no offset stands out: the best of {tried} has {best} coincidences where chance makes {expected:.1}; are these \
         records of one run, and is the offset within the search?"
    )]
    NoPeak {
        /// Offsets and drifts that were compared.
        tried: u64,
        /// Coincidences of the best.
        best: u64,
        /// Coincidences that are expected of any by chance.
        expected: f64,
    },
    /// Several offsets are as good.
    #[error(
        "the offset is not unique: another, {apart:.3e} ps away, has {second} coincidences and the best {best}; times of \
         a regular train of pulses do not tell which pulse is which"
    )]
    Ambiguous {
        /// Coincidences of the best.
        best: u64,
        /// Coincidences of the other.
        second: u64,
        /// How far apart they are.
        apart: f64,
    },
}

/// A relation of two clocks: piecewise linear, from knot to knot.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// Times of the other clock, rising, and the offsets to add there.
    knots: Vec<(f64, f64)>,
    /// The drift before the first knot and after the last.
    drift: [f64; 2],
    /// The standard deviation of differences in the peak, in picoseconds.
    pub jitter: f64,
    /// Coincidences that the tracking saw beyond chance.
    pub coincidences: u64,
}

impl Clock {
    /// The reference clock's time when the other shows `time`, both in picoseconds.
    pub fn reference(&self, time: u64) -> f64 {
        time as f64 + self.offset(time)
    }

    /// What to add to the other clock's time.
    pub fn offset(&self, time: u64) -> f64 {
        let time = time as f64;
        let at = self.knots.partition_point(|knot| knot.0 <= time);
        let (first, last) = (self.knots[0], self.knots[self.knots.len() - 1]);
        match at {
            0 => first.1 + (time - first.0) * self.drift[0],
            _ if at == self.knots.len() => last.1 + (time - last.0) * self.drift[1],
            _ => {
                let ((from, a), (to, b)) = (self.knots[at - 1], self.knots[at]);
                a + (b - a) * (time - from) / (to - from)
            }
        }
    }

    /// The mean drift from the first knot to the last.
    pub fn mean_drift(&self) -> f64 {
        let (first, last) = (self.knots[0], self.knots[self.knots.len() - 1]);
        if last.0 > first.0 { (last.1 - first.1) / (last.0 - first.0) } else { self.drift[0] }
    }
}

/// A hypothesis: the offset at a time of the other clock, and its drift.
#[derive(Clone, Copy, Debug)]
struct Line {
    at: f64,
    offset: f64,
    drift: f64,
}

impl Line {
    fn offset(self, time: f64) -> f64 {
        self.offset + (time - self.at) * self.drift
    }
}

/// Finds how the clock of `other` relates to that of `reference`. Both are times in picoseconds, in rising order.
///
/// # Errors
/// See [`ClockError`].
pub fn recover(reference: &[u64], other: &[u64], search: &Search) -> Result<Clock, ClockError> {
    if reference.len() < 50 || other.len() < 50 {
        return Err(ClockError::TooFew { here: reference.len(), there: other.len() });
    }
    let (line, width, span) = coarse(reference, other, search)?;
    let (line, jitter) = refine(reference, other, line, width, span);
    Ok(track(reference, other, line, jitter))
}

/// The part of `times` from `from` to before `to`.
fn between(times: &[u64], from: f64, to: f64) -> &[u64] {
    let first = times.partition_point(|&time| (time as f64) < from);
    let last = times.partition_point(|&time| (time as f64) < to);
    &times[first..last.max(first)]
}

/// Step 1: the line, how far off it may be, and how long the piece is that it was found on. Pieces are short at first,
/// which leaves few drifts to try, and longer where too few coincidences fall into those.
fn coarse(reference: &[u64], other: &[u64], search: &Search) -> Result<(Line, f64, f64), ClockError> {
    let whole = (other[other.len() - 1] - other[0]) as f64;
    let mut failure = ClockError::TooFew { here: reference.len(), there: other.len() };
    for span in PIECES {
        match coarse_on(reference, other, search, span.min(whole)) {
            Err(error) if span < whole => failure = error,
            found => return found,
        }
    }
    Err(failure)
}

/// The coarse step on a piece of `span` picoseconds.
fn coarse_on(
    reference: &[u64],
    other: &[u64],
    search: &Search,
    span: f64,
) -> Result<(Line, f64, f64), ClockError> {
    // From the middle, where both records are most sure to overlap.
    let middle = other[other.len() / 2] as f64;
    let start = (middle - span / 2.0).max(other[0] as f64);
    let piece = between(other, start, start + span);
    let reach = 2.0 * search.offset + span;
    let width = (reach / MOST_BINS as f64 * 1.01).max(NARROWEST);
    let bins = ((reach / width) as usize + 2).next_power_of_two();
    // The times of the reference that any offset could relate to the piece; bin 0 is the least of them.
    let origin = start - search.offset;
    let there = between(reference, origin, start + span + search.offset);
    if piece.len() < 20 || there.len() < 20 {
        return Err(ClockError::TooFew { here: there.len(), there: piece.len() });
    }
    let mut planner = FftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(bins), planner.plan_fft_inverse(bins));
    let longest = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
    let mut scratch = vec![Complex::default(); longest];
    let mut spectrum = vec![Complex::new(0.0f32, 0.0); bins];
    for &time in there {
        spectrum[((time as f64 - origin) / width) as usize].re += 1.0;
    }
    // How many coincidences chance makes at each offset: as many as the reference has times in the piece's length there.
    let mut sums = Vec::with_capacity(bins + 1);
    let mut sum = 0.0f64;
    sums.push(sum);
    for count in &spectrum {
        sum += f64::from(count.re);
        sums.push(sum);
    }
    let long = ((span / width) as usize).max(1);
    let by_chance = |bin: usize| {
        let to = (bin + long).min(bins);
        ((sums[to] - sums[bin]) * piece.len() as f64 / long as f64).max(1.0)
    };
    forward.process_with_scratch(&mut spectrum, &mut scratch);
    // One drift for each bin by which the ends of the piece move against one another.
    let drifts = (2.0 * search.drift * span / width).ceil() as usize + 1;
    let centre = start + span / 2.0;
    let useful = ((2.0 * search.offset / width) as usize + 1).min(bins);
    let apart = 4 + (2.0 * search.drift * span / width).ceil() as usize;
    let (mut best, mut second) = (Peak::default(), Peak::default());
    for number in 0..drifts {
        let part = if drifts == 1 { 0.0 } else { 2.0 * number as f64 / (drifts - 1) as f64 - 1.0 };
        let drift = search.drift * part;
        let counts =
            correlate(piece, &spectrum, start, centre, drift, width, &*forward, &*inverse, &mut scratch);
        for (bin, &count) in counts.iter().enumerate().take(useful) {
            let (count, expected) = (f64::from(count), by_chance(bin));
            let deviations = (count - expected) / expected.sqrt();
            let peak = Peak { deviations, count, expected, bin, drift };
            if deviations > best.deviations {
                if bin.abs_diff(best.bin) > apart {
                    second = best;
                }
                best = peak;
            } else if deviations > second.deviations && bin.abs_diff(best.bin) > apart {
                second = peak;
            }
        }
    }
    let tried = useful as u64 * drifts as u64;
    let coincidences = best.count.round() as u64;
    let chance = tried as f64 * (1.0 - poisson_tail_below(best.expected, coincidences));
    // The tail is lost in rounding where it is below 10^-16; there deviations tell.
    if !(chance < CHANCE && best.deviations > 7.0) {
        return Err(ClockError::NoPeak { tried, best: coincidences, expected: best.expected });
    }
    if second.count - second.expected > 0.8 * (best.count - best.expected) {
        let apart = best.bin.abs_diff(second.bin) as f64 * width;
        return Err(ClockError::Ambiguous { best: coincidences, second: second.count.round() as u64, apart });
    }
    let offset = (best.bin as f64 + 0.5) * width - search.offset;
    Ok((Line { at: centre, offset, drift: best.drift }, 2.0 * width, span))
}

/// A peak of the coarse correlation.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    deviations: f64,
    count: f64,
    expected: f64,
    bin: usize,
    drift: f64,
}

#[expect(clippy::too_many_arguments, reason = "the buffers of one transform after the other")]
fn correlate(
    piece: &[u64],
    reference: &[Complex<f32>],
    start: f64,
    middle: f64,
    drift: f64,
    width: f64,
    forward: &dyn Fft<f32>,
    inverse: &dyn Fft<f32>,
    scratch: &mut [Complex<f32>],
) -> Vec<f32> {
    let bins = reference.len();
    let mut counts = vec![Complex::new(0.0f32, 0.0); bins];
    for &time in piece {
        let time = time as f64;
        let corrected = time - start + (time - middle) * drift;
        let bin = (corrected / width).floor() as i64;
        counts[bin.rem_euclid(bins as i64) as usize].re += 1.0;
    }
    forward.process_with_scratch(&mut counts, scratch);
    for (count, &reference) in counts.iter_mut().zip(reference) {
        *count = reference * count.conj();
    }
    inverse.process_with_scratch(&mut counts, scratch);
    counts.into_iter().map(|count| count.re / bins as f32).collect()
}

/// The differences of times around a line, as (time of the other clock, how far the difference is from the line), for
/// all pairs closer to it than `reach`.
fn differences(reference: &[u64], other: &[u64], line: Line, reach: f64) -> Vec<(f64, f64)> {
    let mut found = Vec::new();
    let Some(&first) = other.first() else { return found };
    let mut next = {
        let from = first as f64 + line.offset(first as f64) - reach;
        reference.partition_point(|&time| (time as f64) < from)
    };
    for &time in other {
        let expected = time as f64 + line.offset(time as f64);
        while next < reference.len() && (reference[next] as f64) < expected - reach {
            next += 1;
        }
        for &seen in &reference[next..] {
            let difference = seen as f64 - expected;
            if difference > reach {
                break;
            }
            found.push((time as f64, difference));
        }
    }
    found
}

/// Step 2: a line as good as the jitter allows, and the jitter.
fn refine(reference: &[u64], other: &[u64], mut line: Line, mut width: f64, mut span: f64) -> (Line, f64) {
    let rate =
        reference.len() as f64 / (reference[reference.len() - 1] as f64 - reference[0] as f64).max(1.0);
    let whole = other[other.len() - 1] as f64 - other[0] as f64;
    loop {
        let from = (line.at - span / 2.0).max(other[0] as f64);
        let mut piece = between(other, from, from + span);
        // Of a dense record a part will do, taken from the middle.
        let most = (DIFFERENCES as f64 / (rate * 4.0 * width + 1.0)) as usize;
        if piece.len() > most {
            let skip = (piece.len() - most) / 2;
            piece = &piece[skip..skip + most];
        }
        let pairs = differences(reference, piece, line, 2.0 * width);
        let piece_span = piece.last().map_or(1.0, |&last| (last - piece[0]) as f64).max(1.0);
        // A grid of drifts and offsets, 16 times as fine as the width.
        let fine = (width / 16.0).max(FINEST);
        let steps = (2.0 * width / fine).ceil() as i64;
        let slots = (4.0 * width / fine).ceil() as usize + 2;
        let mut best = (0.0f64, 0.0f64, 0.0f64);
        let mut counts = vec![0u32; slots];
        for step in -steps..=steps {
            let drift = step as f64 * fine / piece_span;
            counts.fill(0);
            for &(time, difference) in &pairs {
                let moved = difference - (time - line.at) * drift + 2.0 * width;
                if moved >= 0.0 {
                    let slot = (moved / fine) as usize;
                    if slot < slots {
                        counts[slot] += 1;
                    }
                }
            }
            // Two neighbouring slots, for a peak may lie on their border.
            for (slot, pair) in counts.windows(2).enumerate() {
                let height = f64::from(pair[0] + pair[1]);
                if height > best.0 {
                    best = (height, (slot as f64 + 1.0) * fine - 2.0 * width, drift);
                }
            }
        }
        line = Line { offset: line.offset + best.1, drift: line.drift + best.2, ..line };
        let settled = fine <= FINEST || peak_is_wide(&pairs, line, best, fine);
        let width_before = width;
        width = fine * 2.0;
        if settled {
            let (mean, jitter) = moments(reference, piece, line, width);
            line.offset += mean;
            return (line, jitter);
        }
        // The drift is known to `fine` over the piece: a longer one moves by no more than the new reach. No longer than it
        // takes, for a drift that changes bends the line.
        let seen = best.0 - pairs.len() as f64 * fine / (2.0 * width_before);
        let longer = if seen < STRETCH { 2.0 } else { 1.0 };
        span = (piece_span * longer).min(whole).max(piece_span);
        let moved = fine * span / piece_span;
        width = width.max(moved);
    }
}

/// Whether a peak that was found in bins of `fine` is wider than these, so that finer ones would find nothing more.
fn peak_is_wide(pairs: &[(f64, f64)], line: Line, best: (f64, f64, f64), fine: f64) -> bool {
    let near = |reach: f64| {
        pairs
            .iter()
            .filter(|&&(time, difference)| {
                (difference - best.1 - (time - line.at) * best.2).abs() < reach * fine
            })
            .count() as f64
    };
    // Chance is alike everywhere: the outer strips, twice as wide as the narrow one together, tell how much there is.
    let (narrow, wide, broad) = (near(1.0), near(2.0), near(4.0));
    let chance = (broad - wide) / 2.0;
    let inside = narrow - chance;
    let beyond = wide - narrow - chance;
    beyond > 0.25 * inside.max(1.0) + 3.0 * (chance + 1.0).sqrt()
}

/// Mean and standard deviation of the differences in the peak at a line, chance taken off.
fn moments(reference: &[u64], other: &[u64], line: Line, width: f64) -> (f64, f64) {
    let mut reach = 4.0 * width.max(4.0 * FINEST);
    let (mut mean, mut deviation) = (0.0, width.max(FINEST));
    for _ in 0..6 {
        let shifted = Line { offset: line.offset + mean, ..line };
        let pairs = differences(reference, other, shifted, 2.0 * reach);
        let inside: Vec<f64> = pairs.iter().map(|pair| pair.1).filter(|d| d.abs() < reach).collect();
        let chance = (pairs.len() - inside.len()) as f64;
        let seen = inside.len() as f64 - chance;
        if seen < 5.0 {
            break;
        }
        mean += inside.iter().sum::<f64>() / seen;
        // A uniform background of so many adds reach^2 / 3 each.
        let square = (inside.iter().map(|d| d * d).sum::<f64>() - chance * reach * reach / 3.0) / seen;
        deviation = square.max(1.0).sqrt();
        reach = (4.0 * deviation).clamp(2.0 * FINEST, reach.max(4.0 * deviation));
    }
    (mean, deviation)
}

/// Step 3: the line is followed through the whole record.
fn track(reference: &[u64], other: &[u64], line: Line, jitter: f64) -> Clock {
    let middle = other.partition_point(|&time| (time as f64) < line.at);
    // How many times of the other record hold about so many coincidences as a stretch needs.
    let near = &other[middle.saturating_sub(1_500)..(middle + 1_500).min(other.len())];
    let reach = 4.0 * jitter;
    let pairs = differences(reference, near, line, 2.0 * reach);
    let inside = pairs.iter().filter(|pair| pair.1.abs() < reach).count() as f64;
    let share = ((2.0 * inside - pairs.len() as f64) / near.len() as f64).clamp(1e-4, 1.0);
    let stretch = ((STRETCH / share) as usize).clamp(100, other.len().max(101));
    let (after, forwards) = follow(reference, other[middle..].chunks(stretch), line, reach);
    let (before, backwards) = follow(reference, other[..middle].rchunks(stretch), line, reach);
    let mut knots: Vec<(f64, f64)> =
        before.into_iter().rev().chain(after).map(|(at, o, _)| (at, o)).collect();
    knots.dedup_by(|a, b| a.0 <= b.0);
    if knots.is_empty() {
        knots.push((line.at, line.offset));
    }
    Clock {
        knots,
        drift: [backwards.drift, forwards.drift],
        jitter,
        coincidences: (inside * 2.0 - pairs.len() as f64).max(0.0) as u64,
    }
}

/// Follows a line through stretches, one after the other: a knot at each, and the line at the end.
fn follow<'a>(
    reference: &[u64],
    stretches: impl Iterator<Item = &'a [u64]>,
    mut line: Line,
    reach: f64,
) -> (Vec<(f64, f64, f64)>, Line) {
    let mut knots: Vec<(f64, f64, f64)> = Vec::new();
    for stretch in stretches {
        let (Some(&first), Some(&last)) = (stretch.first(), stretch.last()) else { break };
        let at = (first as f64 + last as f64) / 2.0;
        let pairs = differences(reference, stretch, line, 3.0 * reach);
        // The densest strip first, for the peak may have moved; then its mean.
        let slots = 48;
        let slot_width = 6.0 * reach / slots as f64;
        let mut counts = vec![0u32; slots];
        for &(_, difference) in &pairs {
            counts[(((difference + 3.0 * reach) / slot_width) as usize).min(slots - 1)] += 1;
        }
        let strip = 16;
        let sum = |from: usize| counts[from..from + strip].iter().sum::<u32>();
        let densest = (0..=slots - strip).max_by_key(|&from| (sum(from), from == (slots - strip) / 2));
        let centre = densest.map_or(0.0, |from| (from + strip / 2) as f64 * slot_width - 3.0 * reach);
        let inside: Vec<f64> =
            pairs.iter().map(|pair| pair.1 - centre).filter(|difference| difference.abs() < reach).collect();
        let chance = (pairs.len() - inside.len()) as f64 / 2.0;
        let seen = inside.len() as f64 - chance;
        // A stretch in which too few belong together tells nothing: the line goes on as it was.
        if seen < STRETCH / 4.0 || seen < 5.0 * chance.max(1.0).sqrt() {
            continue;
        }
        let knot = line.offset(at) + centre + inside.iter().sum::<f64>() / seen;
        // The drift by a line through the last knots, which averages what each is off by chance.
        knots.push((at, knot, seen));
        let recent = &knots[knots.len().saturating_sub(RECENT)..];
        let drift = if recent.len() >= 3 { slope(recent) } else { line.drift };
        line = Line { at, offset: knot, drift };
    }
    (knots, line)
}

/// The slope of the straight line through knots.
fn slope(knots: &[(f64, f64, f64)]) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qkd::tags::emulate::{Emulated, PairSource, Tag};

    fn recovered(source: &PairSource, search: &Search) -> (Emulated, Result<Clock, ClockError>) {
        let emulated = source.run(7);
        let times = |tags: &[Tag]| tags.iter().map(|tag| tag.time).collect::<Vec<u64>>();
        let clock = recover(&times(&emulated.reference), &times(&emulated.other), search);
        (emulated, clock)
    }

    /// Offsets of seconds, drifts of ppm, jitter, loss of 99 % and background, alone and together: the time of the other
    /// clock is told to within a third of the jitter.
    #[test]
    fn known_offsets_and_drifts_are_found() {
        let plain = PairSource { pair_rate: 2e5, seconds: 2.0, ..PairSource::default() };
        let cases = [
            ("no offset", PairSource { offset: 0.0, drift: 0.0, ..plain }),
            ("ahead by 1.7 s, 12 ppm", PairSource { offset: 1.7e12, drift: 12e-6, ..plain }),
            ("behind by 0.9 s, -19 ppm", PairSource { offset: -0.9e12, drift: -19e-6, ..plain }),
            ("loss 99 %", PairSource { pair_rate: 1e6, transmission: [0.3, 0.01], seconds: 4.0, ..plain }),
            ("background", PairSource { background: [2e5, 2e4], ..plain }),
            ("jitter 500 ps", PairSource { jitter: 500.0, ..plain }),
            ("jitter 30 ps", PairSource { jitter: 30.0, ..plain }),
            ("drift that drifts by 5 ppb/s", PairSource { drift_rate: 5e-9, seconds: 4.0, ..plain }),
        ];
        for (name, source) in cases {
            let (emulated, clock) = recovered(&source, &Search::default());
            let clock = clock.unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut worst = 0.0f64;
            for tag in emulated.other.iter().step_by(97) {
                let true_time = source.reference_of(tag.time as f64);
                worst = worst.max((clock.reference(tag.time) - true_time).abs());
            }
            let allowed = (source.jitter * 1.414 / 3.0).max(40.0);
            assert!(worst < allowed, "{name}: off by up to {worst:.0} ps, {clock:?}");
            let jitter = clock.jitter / (source.jitter * core::f64::consts::SQRT_2);
            assert!((0.6..1.8).contains(&jitter), "{name}: jitter {jitter} of what it is");
        }
    }

    #[test]
    fn records_that_do_not_belong_together_are_refused() {
        let source = PairSource { pair_rate: 2e5, seconds: 1.0, ..PairSource::default() };
        let (a, b) = (source.run(1), source.run(2));
        let search = Search { offset: 0.3e12, drift: 4e-6 };
        let times = |tags: &[Tag]| tags.iter().map(|tag| tag.time).collect::<Vec<u64>>();
        let error = recover(&times(&a.reference), &times(&b.other), &search).unwrap_err();
        assert!(matches!(error, ClockError::NoPeak { .. }), "{error}");
        let few = recover(&[1, 2, 3], &times(&b.other), &search).unwrap_err();
        assert!(matches!(few, ClockError::TooFew { here: 3, .. }), "{few}");
    }

    #[test]
    fn a_regular_train_of_pulses_is_refused() {
        // 1 MHz, every pulse tagged, one in ten seen.
        let train: Vec<u64> = (0..1_000_000u64).map(|pulse| 3_000_000_000 + pulse * 1_000_000).collect();
        let seen: Vec<u64> =
            train.iter().copied().filter(|time| (time / 1_000_000 * 7919) % 10 == 3).collect();
        let error = recover(&train, &seen, &Search { offset: 1e9, drift: 1e-6 }).unwrap_err();
        assert!(matches!(error, ClockError::Ambiguous { .. } | ClockError::NoPeak { .. }), "{error}");
    }
}

//! The first step: the offset to a microsecond or so, by Fourier transforms of the counts.

use super::{CHANCE, ClockError, Line, Search, between};
use bellwether_units::poisson_tail_below;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// Bins of the coarse correlation, at most: some 100 MB while it lasts.
const MOST_BINS: usize = 1 << 21;
/// The narrowest coarse bin, in picoseconds.
const NARROWEST: f64 = 1e6;
/// Lengths of the pieces that are correlated one after the other until a peak stands out, in picoseconds.
const PIECES: [f64; 4] = [0.1e12, 0.4e12, 1.6e12, 6.4e12];

/// The line, how far off it may be, and how long the piece is that it was found on. Pieces are short at first,
/// which leaves few drifts to try, and longer where too few coincidences fall into those.
pub(super) fn coarse(
    reference: &[u64],
    other: &[u64],
    search: &Search,
) -> Result<(Line, f64, f64), ClockError> {
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

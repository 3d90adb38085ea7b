//! The second step: offset and drift as well as the detectors' jitter allows.

use super::{Line, STRETCH, between};

/// Differences that are kept one by one at a time, at most.
const DIFFERENCES: usize = 400_000;
/// Pairs of times that are looked at together, at most: more only where times crowd, and no honest end's do.
pub(super) const MOST_PAIRS: usize = 1 << 22;
/// The finest bin of the fine search, in picoseconds.
const FINEST: f64 = 64.0;

/// The differences of times around a line, `base` picoseconds above it, as (time of the other clock, how far the difference
/// is from that), for all pairs closer to it than `reach`; but for no more than [`MOST_PAIRS`], the first.
pub(super) fn differences(
    reference: &[u64],
    other: &[u64],
    base: i64,
    line: Line,
    reach: f64,
) -> Vec<(f64, f64)> {
    let mut found = Vec::new();
    let Some(&first) = other.first() else { return found };
    // Whole numbers, which are exact however long a record is.
    let from = |time: u64| {
        let line = line.offset(time as f64);
        let low = (line - reach).floor() as i64;
        ((time as i64).saturating_add(base).saturating_add(low).max(0) as u64, line)
    };
    let mut next = reference.partition_point(|&time| time < from(first).0);
    for &time in other {
        let (low, line) = from(time);
        while next < reference.len() && reference[next] < low {
            next += 1;
        }
        let expected = (time as i64).saturating_add(base);
        for &seen in &reference[next..] {
            let difference = (seen as i64).saturating_sub(expected) as f64 - line;
            if difference > reach {
                break;
            }
            if difference >= -reach {
                if found.len() == MOST_PAIRS {
                    return found;
                }
                found.push((time as f64, difference));
            }
        }
    }
    found
}

/// A line as good as the jitter allows, and the jitter.
pub(super) fn refine(
    reference: &[u64],
    other: &[u64],
    mut line: Line,
    mut width: f64,
    mut span: f64,
) -> (Line, f64) {
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
        let pairs = differences(reference, piece, 0, line, 2.0 * width);
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
        let pairs = differences(reference, other, 0, shifted, 2.0 * reach);
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

//! Which parts of a frame the corrector searches next.
//!
//! Cascade as published searches one odd part after the other, the smallest first. Searching all odd parts of
//! the lowest pass at the same time costs no more, because parts of one pass share no bit; then come the parts
//! of other passes that the errors found turned odd, again those of the lowest pass. This is
//! [`Pace::Thrifty`]. Its round trips are many: towards the end a few searches follow one another through the
//! errors that are left, each starting where another one ended.
//!
//! [`Pace::Prompt`] keeps more searches going, for a few parities more. When few are left while many errors are,
//! it splits even parts of the second pass that are expected to hold one error or more: the parity of
//! such a half is nearly as uncertain as that of a half of an odd part, so that little is wasted, and one in four
//! turns up two odd parts. When few searches are left, it also begins those in different passes at the same time,
//! at the risk that two of them look for the same error, of which the slower one is then given up.

use super::frame::{Frame, PassState};
use super::plan::Layout;

/// How the corrector trades disclosed parities for round trips. The server need not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pace {
    /// Disclose as little as the variant can.
    Thrifty,
    /// Less than half the round trips, for about half a per cent more disclosed.
    #[default]
    Prompt,
}

/// What a frame does next.
#[derive(Default)]
pub(super) struct Due {
    /// Searches to begin, as pass and start, in rising order.
    pub(super) begin: Vec<(u32, u32)>,
    /// Whether to open the next passes.
    pub(super) open: bool,
}

/// How many times a frame's even parts may be split on suspicion.
pub(super) const SUSPICIONS: usize = 4;

/// The second pass, whose even parts are split on suspicion: they are the largest of which there are many.
const SUSPECTED_PASS: usize = 1;

impl Pace {
    /// Decides what `frame` does next, if `rate` is its error rate as far as is known. `words` are its bits as
    /// corrected so far.
    pub(super) fn due(
        self,
        frame: &mut Frame,
        layout: &Layout,
        rate: f64,
        words: &[u64],
        scratch: &mut Vec<u64>,
    ) -> Due {
        let mut due = Due::default();
        if frame.searching > 0 && (self == Self::Thrifty || frame.searching > layout.bits / 1365) {
            // Nothing below would come of it.
            return due;
        }
        let is_half = |pass: u32| layout.passes[pass as usize].half.is_some();
        let mut suspects = core::mem::take(&mut frame.suspects);
        suspects.retain(|&(pass, start)| frame.is_free(pass, start));
        suspects.sort_unstable();
        suspects.dedup();
        // Passes of two blocks come last, so these are the others.
        let small = suspects.partition_point(|&(pass, _)| !is_half(pass));
        let going = frame.searching + small;
        let beginning = frame.groups < 2;

        let few = |one_in: usize| self == Self::Prompt && !beginning && going <= layout.bits / one_in;
        let count = if few(8192) {
            small
        } else if frame.searching == 0 && small > 0 {
            let lowest = suspects[0].0;
            suspects[..small].partition_point(|&(pass, _)| pass == lowest)
        } else {
            0
        };
        due.begin.extend(suspects.drain(..count));
        frame.suspects = suspects;

        if few(1365) && frame.suspicions > 0 && layout.passes.len() > SUSPECTED_PASS {
            let left = rate * layout.bits as f64 - frame.found as f64;
            // Below this the estimate is mostly noise.
            if left > libm::sqrt(layout.bits as f64 / 18.0) {
                suspect_even_parts(frame, layout, left / layout.bits as f64, &mut due);
            }
        }
        if going == 0 && due.begin.is_empty() && !frame.opening {
            if frame.groups < layout.groups.len() {
                frame.opening = true;
                due.open = true;
            } else {
                let most = if self == Self::Prompt { 2 } else { 1 };
                begin_in_halves(frame, layout, most, words, scratch, &mut due);
            }
        }
        due.begin.sort_unstable();
        due
    }
}

/// Splits the even parts of the second pass that should hold an error or more.
fn suspect_even_parts(frame: &mut Frame, layout: &Layout, density: f64, due: &mut Due) {
    let Some(parts) = frame.parts(SUSPECTED_PASS) else { return };
    if layout.passes[SUSPECTED_PASS].half.is_some() {
        return;
    }
    let before = due.begin.len();
    let mut start = 0;
    while start < parts.view.span() {
        let end = parts.view.part_end(start);
        if (end - start) as f64 * density >= 1.0 && !parts.is_odd(start) && !parts.is_searched(start) {
            due.begin.push((SUSPECTED_PASS as u32, start as u32));
        }
        start = end;
    }
    // Parts only get smaller and errors fewer: where nothing is suspect now, next to nothing will be.
    frame.suspicions = if due.begin.len() > before { frame.suspicions - 1 } else { 0 };
}

/// Begins to search up to `most` odd parts of passes of two blocks, one of each pass: other parts of the same pass
/// will mostly come out even once the errors near the one found are found.
fn begin_in_halves(
    frame: &mut Frame,
    layout: &Layout,
    most: usize,
    words: &[u64],
    scratch: &mut Vec<u64>,
    due: &mut Due,
) {
    for number in (0..layout.passes.len()).filter(|&number| layout.passes[number].half.is_some()) {
        if due.begin.len() == most {
            return;
        }
        if matches!(frame.passes[number], PassState::Halves(odd) if odd[0] || odd[1]) {
            frame.view(layout, number, words, scratch);
        }
        if let Some(index) = frame.suspects.iter().position(|&(pass, _)| pass as usize == number) {
            due.begin.push(frame.suspects.remove(index));
        }
    }
}

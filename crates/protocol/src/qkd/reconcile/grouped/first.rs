//! The searches of the first pass, all in step.
//!
//! The blocks of the first pass have two to a power bits, so that all its searches halve parts of one length at the same
//! time. Parts of 64 bits and less are words that are shifted and masked, with nothing to look up: most parities of a
//! block are asked here.

use super::packed::{Packed, Unpacked};
use super::pass::PassView;
use core::ops::Range;
use zeroize::Zeroize;

/// The searches that are open. Each is in a part of the same length.
pub(super) struct FirstSearches {
    /// Positions in a part.
    length: usize,
    /// Where each part begins.
    starts: Vec<u32>,
    /// The bits of each part, once it is no longer than a word.
    values: Vec<u64>,
}

impl FirstSearches {
    /// The searches of parts of `length` positions, which is a power of two and at least 2, that begin at `starts`.
    pub(super) fn new(length: usize, starts: Vec<u32>) -> Self {
        Self { length, starts, values: Vec::new() }
    }

    /// Where the parts begin.
    pub(super) fn starts(&self) -> &[u32] {
        &self.starts
    }

    fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let count = self.starts.len();
        (0..count).step_by(64).map(move |start| start..count.min(start + 64))
    }

    /// Tells the parities of the first halves of all parts.
    pub(super) fn ask(&mut self, view: &PassView, parities: &mut Packed) {
        let half = self.length / 2;
        if self.length > 64 {
            for &start in &self.starts {
                parities.push(view.parity(start as usize, start as usize + half));
            }
            return;
        }
        if self.values.len() < self.starts.len() {
            self.values.extend(self.starts.iter().map(|&start| view.load(start as usize, self.length)));
        }
        let low = (1u64 << half) - 1;
        for chunk in self.chunks() {
            let mut packed = 0;
            for (place, value) in self.values[chunk.clone()].iter().enumerate() {
                packed |= u64::from((value & low).count_ones() & 1) << place;
            }
            parities.push_many(packed, chunk.len());
        }
    }

    /// Goes on in the odd half of each part. True once these are single bits.
    pub(super) fn take(&mut self, odd: &mut Unpacked<'_>) -> bool {
        let half = self.length / 2;
        for chunk in self.chunks() {
            let second = !odd.many(chunk.len());
            for (place, start) in self.starts[chunk.clone()].iter_mut().enumerate() {
                *start += (second >> place & 1) as u32 * half as u32;
            }
            if self.length <= 64 {
                let low = (1u64 << half) - 1;
                for (place, value) in self.values[chunk].iter_mut().enumerate() {
                    *value = *value >> (half as u64 * (second >> place & 1)) & low;
                }
            }
        }
        self.length = half;
        half == 1
    }
}

impl Drop for FirstSearches {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

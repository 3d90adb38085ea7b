//! What the transmitter remembers of the pulses that clicked, until it has been asked for it.

use bellwether_bits::BitString;
use bellwether_physics::Clicks;
use bellwether_protocol::hardware::{Preparations, PulseNumber};
use bellwether_units::Stream;
use std::collections::VecDeque;

/// How many clicks the transmitter's memory reaches back.
const MEMORY: usize = 8 << 20;

/// What a transmitter chooses from for each pulse.
pub(super) struct Choice {
    /// The probability of the key basis.
    pub(super) key_probability: f64,
    /// The probability of each intensity.
    pub(super) intensities: Vec<f64>,
}

impl Choice {
    fn draw(&self, stream: &mut Stream) -> (u8, u8) {
        let basis = if stream.chance(self.key_probability) { 0 } else { Clicks::PREPARED_CHECK };
        let bit = if stream.chance(0.5) { Clicks::PREPARED_BIT } else { 0 };
        let mut left = stream.uniform();
        let mut class = 0;
        for (k, p) in self.intensities.iter().enumerate() {
            class = k as u8;
            left -= p;
            if left < 0.0 {
                break;
            }
        }
        (basis | bit, class)
    }
}

/// What was prepared in the pulses that clicked.
pub(super) struct Memory {
    windows: VecDeque<Clicks>,
    remembered: usize,
    choice: Choice,
    /// For preparations of pulses that did not click.
    invented: Stream,
    /// The first pulse that was never asked for, nor any after it.
    unasked: PulseNumber,
    /// Columns of a window that is forgotten, to be filled again.
    spare: Clicks,
}

impl Memory {
    pub(super) fn new(choice: Choice, invented: Stream) -> Self {
        Self {
            windows: VecDeque::new(),
            remembered: 0,
            choice,
            invented,
            unasked: 0,
            spare: Clicks::default(),
        }
    }

    /// What had been prepared in `pulses`, all of them sent; nothing unless they rise from the first that was
    /// never asked for.
    pub(super) fn recall(&mut self, pulses: &[PulseNumber]) -> Preparations {
        let rising = pulses.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || pulses.first().is_some_and(|&first| first < self.unasked) {
            return Preparations::default();
        }
        let (flags, intensities) =
            self.remembered_run(pulses).unwrap_or_else(|| self.remembered_one_by_one(pulses));
        if let Some(&last) = pulses.last() {
            self.forget_before(last);
            self.unasked = last.saturating_add(1);
        }
        Preparations {
            bases: column(&flags, Clicks::PREPARED_CHECK),
            bits: column(&flags, Clicks::PREPARED_BIT),
            intensities,
        }
    }

    /// The flags and intensities of `pulses` where they are clicks of one window that follow each other, as
    /// they are unless a frame was lost or forged.
    fn remembered_run(&self, pulses: &[PulseNumber]) -> Option<(Vec<u8>, Vec<u8>)> {
        let first = *pulses.first()?;
        let window =
            self.windows.iter().find(|window| window.pulse.last().is_some_and(|&last| last >= first))?;
        let at = window.pulse.partition_point(|&pulse| pulse < first);
        let run = at..at + pulses.len();
        (window.pulse.get(run.clone())? == pulses)
            .then(|| (window.flags[run.clone()].to_vec(), window.intensity[run].to_vec()))
    }

    fn remembered_one_by_one(&mut self, pulses: &[PulseNumber]) -> (Vec<u8>, Vec<u8>) {
        let mut flags = Vec::with_capacity(pulses.len());
        let mut intensities = Vec::with_capacity(pulses.len());
        let mut windows = self.windows.iter();
        let mut current = windows.next();
        for &pulse in pulses {
            while current.is_some_and(|window| window.pulse.last().is_none_or(|&last| last < pulse)) {
                current = windows.next();
            }
            let found = current.and_then(|window| {
                let at = window.pulse.binary_search(&pulse).ok()?;
                Some((window.flags[at], window.intensity[at]))
            });
            let (flag, intensity) = found.unwrap_or_else(|| self.choice.draw(&mut self.invented));
            flags.push(flag);
            intensities.push(intensity);
        }
        (flags, intensities)
    }

    /// The transmitter's node crashed: what it remembered is gone.
    pub(super) fn forget(&mut self) {
        self.windows.clear();
        self.remembered = 0;
    }

    pub(super) fn remember(&mut self, clicks: Clicks) {
        self.remembered += clicks.len();
        self.windows.push_back(clicks);
        while self.remembered > MEMORY {
            let Some(oldest) = self.windows.pop_front() else { break };
            self.remembered -= oldest.len();
            self.spare = oldest;
        }
    }

    fn forget_before(&mut self, pulse: PulseNumber) {
        while self.windows.front().is_some_and(|window| window.pulse.last().is_none_or(|&last| last <= pulse))
        {
            if let Some(oldest) = self.windows.pop_front() {
                self.remembered -= oldest.len();
                self.spare = oldest;
            }
        }
    }

    /// Columns to fill, with the memory of a window that is forgotten.
    pub(super) fn fresh(&mut self) -> Clicks {
        let mut clicks = core::mem::take(&mut self.spare);
        clicks.clear();
        clicks
    }
}

/// How many clicks have, among the flags of `mask`, just those of `value`.
pub(super) fn count_with(flags: &[u8], mask: u8, value: u8) -> u64 {
    // As many as a byte can count at a time, so that sixteen are counted in one step.
    let runs = flags.chunks(usize::from(u8::MAX));
    runs.map(|run| u64::from(run.iter().map(|flag| u8::from(flag & mask == value)).sum::<u8>())).sum()
}

/// One flag of each click as a bit.
pub(super) fn column(flags: &[u8], flag: u8) -> BitString {
    /// Gathers the lowest bits of eight bytes into one byte: bit i of the product's highest byte is that of
    /// byte i, and no two terms of the product meet.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    let shift = flag.trailing_zeros();
    let mut words = Vec::with_capacity(flags.len().div_ceil(64));
    for chunk in flags.chunks(64) {
        let mut word = 0u64;
        let eights = chunk.chunks_exact(8);
        let rest = eights.remainder();
        let done = chunk.len() - rest.len();
        for (i, eight) in eights.enumerate() {
            let bytes = u64::from_le_bytes(eight.try_into().expect("chunks_exact gives eight bytes"));
            word |= ((bytes >> shift & LOWEST).wrapping_mul(GATHER) >> 56) << (8 * i);
        }
        for (i, &f) in rest.iter().enumerate() {
            word |= u64::from(f >> shift & 1) << (done + i);
        }
        words.push(word);
    }
    BitString::from_words(words, flags.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn clicks_are_counted_by_their_flags(
            flags in prop::collection::vec(0u8..8, 0..1200),
            mask in 0u8..8,
            value in 0u8..8,
        ) {
            let expected = flags.iter().filter(|&&f| f & mask == value).count() as u64;
            prop_assert_eq!(count_with(&flags, mask, value), expected);
        }

        #[test]
        fn a_column_holds_the_flag_of_each_click(
            flags in prop::collection::vec(any::<u8>(), 0..200),
            bit in 0u32..8,
        ) {
            let packed = column(&flags, 1 << bit);
            prop_assert_eq!(packed.len(), flags.len());
            for (i, f) in flags.iter().enumerate() {
                prop_assert_eq!(packed.get(i), f >> bit & 1 == 1);
            }
        }
    }
}

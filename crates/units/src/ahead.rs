//! Random numbers made ahead of their use, many at a time.

use crate::Stream;
use core::convert::Infallible;
use rand_core::TryRng;

/// How many numbers are made at a time.
const AHEAD: usize = 64;

/// The numbers of a [`Stream`], made many at a time, which the machine does side by side.
///
/// It gives the very numbers that the stream would have given. When it is dropped, the stream goes on behind the
/// last that was taken.
#[derive(Debug)]
pub struct Ahead<'a> {
    stream: &'a mut Stream,
    words: [u64; AHEAD],
    /// Of these words, the first that was not taken.
    next: usize,
}

impl<'a> Ahead<'a> {
    pub(crate) fn new(stream: &'a mut Stream) -> Self {
        let mut words = [0; AHEAD];
        let mut next = AHEAD;
        if let Some(spare) = stream.take_spare() {
            next -= 1;
            words[next] = spare;
        }
        Self { stream, words, next }
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        if self.next >= AHEAD {
            self.stream.blocks(&mut self.words);
            self.next = 0;
        }
        let word = self.words[self.next];
        self.next += 1;
        word
    }
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        self.stream.give_back(&self.words[self.next..]);
    }
}

impl TryRng for Ahead<'_> {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.bits() as u32)
    }
    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EntityId, Purpose};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_made_ahead_are_those_of_the_stream(
            seed: u64,
            runs in proptest::collection::vec((0usize..300, 0usize..4), 0..8),
        ) {
            let mut plain = Stream::new(seed, EntityId(1), Purpose::named("ahead"));
            let mut other = plain.clone();
            for (taken_ahead, taken_plainly) in runs {
                let mut ahead = other.ahead();
                for _ in 0..taken_ahead {
                    prop_assert_eq!(ahead.bits(), plain.bits());
                }
                drop(ahead);
                for _ in 0..taken_plainly {
                    prop_assert_eq!(other.bits(), plain.bits());
                }
            }
        }
    }
}

//! The operating system's generator, as the machines take it.

use core::convert::Infallible;
use rand_core::{Rng, TryRng};
use zeroize::{Zeroize, Zeroizing};

/// How many bytes are asked of the system at a time.
const AHEAD: usize = 256;

/// Randomness from the operating system, fetched a little ahead. What was given is wiped here.
pub struct SystemRandom {
    ahead: Zeroizing<[u8; AHEAD]>,
    used: usize,
}

impl SystemRandom {
    /// A generator that has fetched nothing yet.
    pub fn new() -> Self {
        Self { ahead: Zeroizing::new([0; AHEAD]), used: AHEAD }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > AHEAD {
            fill(&mut *self.ahead);
            self.used = 0;
        }
        let mut taken = [0; N];
        let from = &mut self.ahead[self.used..self.used + N];
        taken.copy_from_slice(from);
        from.zeroize();
        self.used += N;
        taken
    }
}

/// A number that nobody can foresee.
pub fn unpredictable() -> u64 {
    SystemRandom::new().next_u64()
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.take()))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.take()))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill(bytes);
        Ok(())
    }
}

/// Bytes that nobody can foretell.
pub(crate) fn fill(bytes: &mut [u8]) {
    // Nothing that needs a key may go on without.
    getrandom::fill(bytes).expect("an operating system that started this process gives randomness");
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_differ_also_beyond_what_is_fetched_ahead() {
        let mut random = SystemRandom::new();
        // Two of a thousand numbers of 64 bits are equal once in 10^13 runs.
        let numbers: BTreeSet<_> = (0..1000).map(|_| random.next_u64()).collect();
        assert_eq!(numbers.len(), 1000);
        let mut bytes = [0; 600];
        random.fill_bytes(&mut bytes);
        assert!(bytes.chunks(16).all(|chunk| chunk.iter().any(|&byte| byte != 0)));
    }
}

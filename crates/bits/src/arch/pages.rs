//! Memory for long vectors.

use core::any::Any;
use std::sync::Mutex;

/// So many bytes are kept for the next time at most.
const KEPT: usize = 128 << 20;

/// What was given back, oldest first, with its size in bytes.
static SPARE: Mutex<Vec<(usize, Box<dyn Any + Send>)>> = Mutex::new(Vec::new());

/// A vector of `len` elements with any content, where the first touch of fresh memory would take longer than what is
/// computed there: if it can be had, it is one that was [given back](give_back), and else it lies in large pages of
/// memory where the system gives them on request (Linux).
pub(crate) fn long_vector<T: Copy + Send + 'static>(len: usize, fill: T) -> Vec<T> {
    let mut vector = spare(len).unwrap_or_else(|| {
        let mut fresh = Vec::with_capacity(len);
        advise(fresh.spare_capacity_mut());
        fresh
    });
    vector.resize(len, fill);
    vector
}

/// Keeps a vector, whose content must be wiped if it is secret, for the next that asks for as much.
pub(crate) fn give_back<T: Send + 'static>(vector: Vec<T>) {
    let bytes = vector.capacity() * size_of::<T>();
    if let Ok(mut spare) = SPARE.lock() {
        spare.push((bytes, Box::new(vector)));
        while spare.iter().map(|(bytes, _)| bytes).sum::<usize>() > KEPT {
            spare.remove(0);
        }
    }
}

/// A vector that was given back, with room for `len` elements and not much more.
fn spare<T: 'static>(len: usize) -> Option<Vec<T>> {
    let mut spare = SPARE.lock().ok()?;
    let at = spare.iter().position(|(_, vector)| {
        let room = vector.downcast_ref::<Vec<T>>().map_or(0, Vec::capacity);
        len <= room && room / 2 <= len
    })?;
    spare.remove(at).1.downcast().ok().map(|vector| *vector)
}

#[cfg(all(target_os = "linux", not(miri)))]
fn advise<T>(memory: &mut [core::mem::MaybeUninit<T>]) {
    const PAGE: usize = 1 << 21;
    let range = memory.as_mut_ptr_range();
    let (start, end) = (range.start.addr().next_multiple_of(PAGE), range.end.addr() / PAGE * PAGE);
    if start >= end {
        return;
    }
    let first = range.start.cast::<libc::c_void>().with_addr(start);
    // SAFETY: the range lies within memory that is ours alone, and the advice does not change what it holds. Whether
    // it is followed does not matter.
    unsafe { libc::madvise(first, end - start, libc::MADV_HUGEPAGE) };
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn advise<T>(_: &mut [core::mem::MaybeUninit<T>]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_there_whatever_its_size_and_comes_back() {
        // A type of this test's own, so that no other takes what it gives back.
        #[derive(Clone, Copy, PartialEq)]
        struct Mine(u8);
        for len in [0, 1, 4096, 5 << 20] {
            let memory = long_vector(len, Mine(7));
            assert!(memory.len() == len && memory.iter().all(|&byte| byte == Mine(7)));
        }
        let mut memory = long_vector(10_000, Mine(7));
        memory[9_999] = Mine(8);
        give_back(memory);
        assert!(long_vector(30_000, Mine(0))[9_999] == Mine(0), "too short to be used again");
        assert!(long_vector(9_000, Mine(0))[8_999] == Mine(7));
        assert!(long_vector(9_000, Mine(0))[8_999] == Mine(0), "taken once");
        // Miri would take minutes for so much memory.
        if !cfg!(miri) {
            give_back(vec![Mine(1); KEPT + 1]);
            assert!(long_vector(KEPT + 1, Mine(0))[0] == Mine(0), "too long to be kept");
        }
    }
}

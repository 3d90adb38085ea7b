//! The product with a Toeplitz matrix, cut into square tiles, as the seed comes in.
//!
//! Along a diagonal all tiles of the matrix are equal, so that each piece of the seed is transformed once and met by
//! every piece of the input that it meets anywhere. Input piece j, counted from the end of the input, and rows
//! of tile i meet in window i + j of the seed. Products are added up as values of transforms; one transform back
//! for every tile of rows ends it.
//!
//! What is held: the values of the totals, those of the windows that a group of input pieces meets, and those of
//! that group. It does not grow with the length of the input.

use super::engine::Engine;
use super::store::Store;
use std::sync::Mutex;
use zeroize::Zeroize;

/// How many pieces of the input are multiplied at a time: the more, the fewer times are windows and totals read.
const GROUP: usize = 128;

/// A product that is being computed.
pub(super) struct Tiles<E: Engine> {
    engine: E,
    threads: usize,
    /// How many pieces the input has.
    pieces: usize,
    /// How many of them are multiplied at a time.
    group: usize,
    /// How many of them are done.
    done: usize,
    /// How many tiles the rows make.
    rows: usize,
    /// How many windows were transformed.
    transformed: usize,
    /// Window number d is in slot d modulo the number of slots, which is that of the windows that a group meets.
    windows: Store<E>,
    kernels: Store<E>,
    totals: Store<E>,
}

impl<E: Engine> Tiles<E> {
    /// For an input and a product of so many words, neither of them 0, on so many threads.
    pub(super) fn new(engine: E, input_words: usize, product_words: usize, threads: usize) -> Self {
        let side = engine.words();
        let (pieces, rows) = (input_words.div_ceil(side), product_words.div_ceil(side));
        let group = pieces.min(GROUP);
        Self {
            windows: Store::new(&engine, rows + group - 1),
            kernels: Store::new(&engine, group),
            totals: Store::zeros(&engine, rows),
            engine,
            threads: threads.max(1),
            pieces,
            group,
            done: 0,
            rows,
            transformed: 0,
        }
    }

    /// The first word of the seed that is still wanted.
    pub(super) fn wanted_from(&self) -> usize {
        // A word of zeros is thought before the seed.
        (self.transformed * self.engine.words()).saturating_sub(1)
    }

    /// Takes what can be used of `seed`, which begins with the word [`wanted_from`](Self::wanted_from); `complete`
    /// if nothing follows. The input must be whole.
    pub(super) fn take(&mut self, input: &[u64], seed: &[u64], complete: bool) {
        let (side, from) = (self.engine.words(), self.wanted_from());
        let there = if complete { usize::MAX } else { ((from + seed.len() + 1) / side).saturating_sub(1) };
        while self.done < self.pieces {
            let group = (self.pieces - self.done).min(self.group);
            let wanted = self.done + group + self.rows - 1;
            self.transform_windows(from, seed, wanted.min(there));
            if self.transformed < wanted {
                return;
            }
            self.transform_kernels(input, group);
            self.multiply(group);
            self.done += group;
        }
    }

    /// Transforms the windows below number `to`. The seed is given from its word `from` on.
    fn transform_windows(&mut self, from: usize, seed: &[u64], to: usize) {
        let side = self.engine.words();
        let slots = self.rows + self.group - 1;
        let mut places: Vec<_> = self.windows.by_slot_mut().into_iter().map(Some).collect();
        let tasks: Vec<_> = (self.transformed..to)
            .filter_map(|number| Some((number, places[number % slots].take()?)))
            .collect();
        self.transformed = self.transformed.max(to);
        let engine = &self.engine;
        in_parallel(self.threads, tasks, |tasks| {
            let (mut buffer, mut values) = (Vec::new(), vec![engine.zero(); engine.elements()]);
            for (number, place) in tasks {
                let part = |from: usize, to: usize| &seed[from.min(seed.len())..to.min(seed.len())];
                if number == 0 {
                    let first: Vec<u64> =
                        core::iter::once(0).chain(part(0, 2 * side - 1).iter().copied()).collect();
                    engine.window(&first, &mut buffer, &mut values);
                } else {
                    let start = number * side - 1 - from;
                    engine.window(part(start, start + 2 * side), &mut buffer, &mut values);
                }
                for (piece, values) in place.into_iter().zip(values.as_chunks().0) {
                    *piece = *values;
                }
            }
        });
    }

    /// Transforms the next `group` pieces of the input.
    fn transform_kernels(&mut self, input: &[u64], group: usize) {
        let side = self.engine.words();
        let tasks: Vec<_> = (self.done..self.done + group).zip(self.kernels.by_slot_mut()).collect();
        let engine = &self.engine;
        in_parallel(self.threads, tasks, |tasks| {
            let (mut buffer, mut values) = (Vec::new(), vec![engine.zero(); engine.elements()]);
            for (number, place) in tasks {
                let end = input.len() - number * side;
                engine.kernel(&input[end.saturating_sub(side)..end], &mut buffer, &mut values);
                for (piece, values) in place.into_iter().zip(values.as_chunks().0) {
                    *piece = *values;
                }
            }
            engine.wipe(&mut values);
            buffer.zeroize();
        });
    }

    /// Multiplies the next `group` pieces of the input by their windows.
    fn multiply(&mut self, group: usize) {
        let first = self.done % (self.rows + self.group - 1);
        let met = self.rows + group - 1;
        let engine = &self.engine;
        let tasks: Vec<_> =
            self.windows.by_piece().zip(self.kernels.by_piece()).zip(self.totals.by_piece_mut()).collect();
        in_parallel(self.threads, tasks, |tasks| {
            let mut scratch = engine.scratch(met, group);
            for ((windows, kernels), totals) in tasks {
                let windows = windows[first..].iter().chain(&windows[..first]).take(met);
                engine.accumulate(windows, &kernels[..group], totals, &mut scratch);
            }
        });
    }

    /// The words of the product, of which there may be more than were asked for.
    pub(super) fn finish(&mut self) -> Vec<u64> {
        let side = self.engine.words();
        let mut product = vec![0; self.rows * side];
        let engine = &self.engine;
        let tasks = self.totals.by_slot_mut().into_iter().zip(product.chunks_exact_mut(side)).collect();
        in_parallel(self.threads, tasks, |tasks| {
            let (mut buffer, mut values) = (Vec::new(), vec![engine.zero(); engine.elements()]);
            for (total, words) in tasks {
                for (values, piece) in values.as_chunks_mut().0.iter_mut().zip(total) {
                    *values = *piece;
                }
                engine.product(&mut values, &mut buffer, words);
            }
            engine.wipe(&mut values);
            buffer.zeroize();
        });
        product
    }
}

impl<E: Engine> Drop for Tiles<E> {
    fn drop(&mut self) {
        self.kernels.wipe(&self.engine);
        self.totals.wipe(&self.engine);
    }
}

/// Tasks that several threads take one by one, so that none waits for another that was held up.
struct Tasks<'a, T>(&'a Mutex<std::vec::IntoIter<T>>);

impl<T> Iterator for Tasks<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        // Taking a task cannot panic, so that the lock is never poisoned.
        self.0.lock().ok()?.next()
    }
}

/// Does all tasks on so many threads, one of which is the caller's.
fn in_parallel<T: Send>(threads: usize, tasks: Vec<T>, work: impl Fn(Tasks<'_, T>) + Sync) {
    let threads = threads.min(tasks.len());
    let tasks = Mutex::new(tasks.into_iter());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| work(Tasks(&tasks)));
        }
        work(Tasks(&tasks));
    });
}

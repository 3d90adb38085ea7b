//! Where the values of many transforms are kept.

use super::engine::{Engine, PIECE, Piece};
use crate::arch::{give_back, long_vector};

/// The values of so many transforms, cut into pieces: piece after piece, and of each piece transform after transform,
/// because that is how they are multiplied.
pub(super) struct Store<E: Engine> {
    pieces: Vec<Piece<E>>,
    slots: usize,
}

impl<E: Engine> Store<E> {
    /// For `slots` transforms, with any values.
    pub(super) fn new(engine: &E, slots: usize) -> Self {
        let len = engine.elements() / PIECE * slots;
        Self { pieces: long_vector(len, [engine.zero(); PIECE]), slots }
    }

    /// For `slots` transforms, with zeros.
    pub(super) fn zeros(engine: &E, slots: usize) -> Self {
        let mut store = Self::new(engine, slots);
        store.pieces.fill([engine.zero(); PIECE]);
        store
    }

    /// For every piece, those of all transforms.
    pub(super) fn by_piece(&self) -> impl Iterator<Item = &[Piece<E>]> {
        self.pieces.chunks_exact(self.slots)
    }

    /// The same, to be changed.
    pub(super) fn by_piece_mut(&mut self) -> impl Iterator<Item = &mut [Piece<E>]> {
        self.pieces.chunks_exact_mut(self.slots)
    }

    /// For every transform, its pieces.
    pub(super) fn by_slot_mut(&mut self) -> Vec<Vec<&mut Piece<E>>> {
        let mut slots: Vec<Vec<_>> =
            (0..self.slots).map(|_| Vec::with_capacity(self.pieces.len() / self.slots)).collect();
        for pieces in self.pieces.chunks_exact_mut(self.slots) {
            for (slot, piece) in slots.iter_mut().zip(pieces) {
                slot.push(piece);
            }
        }
        slots
    }

    /// Overwrites with zeros.
    pub(super) fn wipe(&mut self, engine: &E) {
        engine.wipe(self.pieces.as_flattened_mut());
    }
}

impl<E: Engine> Drop for Store<E> {
    fn drop(&mut self) {
        give_back(core::mem::take(&mut self.pieces));
    }
}

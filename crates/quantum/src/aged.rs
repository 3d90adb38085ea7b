//! Lazy ageing: a stored pair carries when it was last looked at, and what happened since is applied on access.

use crate::bell::BellDiagonal;
use crate::density::DensityMatrix;
use crate::{Decay, Half, MemoryNoise, StateError};
use bellwether_units::Time;

/// A state of two qubits that memories can age.
pub trait Ages {
    /// Whether what `noise` does has an exact rule for this form of state.
    fn admits(&self, noise: &MemoryNoise) -> bool;
    /// Applies what happened to the first and the second qubit. Only with noise that is admitted.
    fn age(&mut self, decays: [Decay; 2]);
}

impl Ages for BellDiagonal {
    fn admits(&self, noise: &MemoryNoise) -> bool {
        noise.is_pauli()
    }
    #[inline]
    fn age(&mut self, [first, second]: [Decay; 2]) {
        debug_assert!(first.equilibrium == 0.0 && second.equilibrium == 0.0, "this noise is not admitted");
        // Factors of both halves multiply, so their logarithms add: one exponential instead of two.
        let exponents = [0, 1, 2].map(|i| first.exponents[i] + second.exponents[i]);
        *self = self.shrunk(Decay { exponents, equilibrium: 0.0 }.factors());
    }
}

impl Ages for DensityMatrix {
    fn admits(&self, _noise: &MemoryNoise) -> bool {
        true
    }
    fn age(&mut self, decays: [Decay; 2]) {
        for (qubit, decay) in decays.iter().enumerate() {
            if !decay.is_nothing() {
                self.bloch(qubit, decay.factors(), decay.equilibrium());
            }
        }
    }
}

/// One qubit's memory, and since when the qubit has been in it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stored {
    noise: MemoryNoise,
    since: Time,
}

/// A pair in two memories, whose state is brought up to date when it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Aged<S> {
    state: S,
    updated: Time,
    halves: [Stored; 2],
}

impl<S: Ages> Aged<S> {
    /// The pair `state`, which enters memories with these kinds of noise at `now`. Fails when a kind of noise has no exact
    /// rule for this form of state; [`MemoryNoise::twirled`] approximates it.
    pub fn new(state: S, noise: [MemoryNoise; 2], now: Time) -> Result<Self, StateError> {
        if noise.iter().all(|noise| state.admits(noise)) {
            Ok(Self { state, updated: now, halves: noise.map(|noise| Stored { noise, since: now }) })
        } else {
            Err(StateError::NotExact { what: "relaxation towards |0⟩" })
        }
    }
    /// The state at `now`, to look at or to change. An instant before the last access changes nothing.
    #[inline]
    pub fn at(&mut self, now: Time) -> &mut S {
        if now > self.updated {
            let decays = self
                .halves
                .map(|half| half.noise.decay(self.updated.since(half.since), now.since(half.since)));
            self.state.age(decays);
            self.updated = now;
        }
        &mut self.state
    }
    /// The state at `now`, taken out of its memories.
    pub fn taken(mut self, now: Time) -> S {
        self.at(now);
        self.state
    }
    /// When the state was last brought up to date.
    pub const fn updated(&self) -> Time {
        self.updated
    }
    /// Moves one half into another memory at `now`: what the old one did is applied, and its age there begins. Fails as
    /// [`new`](Self::new) does.
    pub fn move_to(&mut self, half: Half, noise: MemoryNoise, now: Time) -> Result<(), StateError> {
        self.at(now);
        if !self.state.admits(&noise) {
            return Err(StateError::NotExact { what: "relaxation towards |0⟩" });
        }
        self.halves[half.index()] = Stored { noise, since: now };
        Ok(())
    }
    /// This pair with its state replaced by what `rule` makes of it at `now`; memories and the qubits' ages stay.
    pub fn map(mut self, now: Time, rule: impl FnOnce(S) -> S) -> Self {
        self.at(now);
        Self { state: rule(self.state), ..self }
    }
    /// The pair that joining this one with `other` leaves between its first and the other's second qubit at `now`, or when
    /// the later of both was last looked at: the outer qubits stay in their memories, at their ages.
    pub fn join(mut self, mut other: Self, now: Time, rule: impl FnOnce(S, S) -> S) -> Self {
        let now = now.max(self.updated).max(other.updated);
        self.at(now);
        other.at(now);
        Self { state: rule(self.state, other.state), updated: now, halves: [self.halves[0], other.halves[1]] }
    }
}

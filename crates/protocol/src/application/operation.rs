//! Gates and measurements, as values that a driver carries out.

use super::QubitName;
use bellwether_quantum::density::{self, Axis};
use core::f64::consts::FRAC_PI_4;

/// A gate on one qubit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    /// The bit flip.
    X,
    /// iXZ.
    Y,
    /// The phase flip.
    Z,
    /// The Hadamard gate.
    H,
    /// diag(1, i).
    S,
    /// diag(1, -i).
    SInverse,
    /// diag(1, e^{iπ/4}).
    T,
    /// diag(1, e^{-iπ/4}).
    TInverse,
    /// exp(-i angle X/2), the angle in radians.
    Rx(f64),
    /// exp(-i angle Y/2).
    Ry(f64),
    /// exp(-i angle Z/2).
    Rz(f64),
}

impl Gate {
    /// Its matrix, up to a phase that nothing can show.
    pub fn matrix(self) -> density::Gate {
        match self {
            Self::X => density::Gate::X,
            Self::Y => density::Gate::Y,
            Self::Z => density::Gate::Z,
            Self::H => density::Gate::H,
            Self::S => density::Gate::S,
            Self::SInverse => density::Gate::S_INVERSE,
            Self::T => density::Gate::T,
            Self::TInverse => density::Gate::rz(-FRAC_PI_4),
            Self::Rx(angle) => density::Gate::rx(angle),
            Self::Ry(angle) => density::Gate::ry(angle),
            Self::Rz(angle) => density::Gate::rz(angle),
        }
    }
}

/// A gate on two qubits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoQubitGate {
    /// The first controls whether the second is flipped.
    Cnot,
    /// The phase of |11⟩ is flipped.
    Cz,
    /// The qubits change places.
    Swap,
}

/// Along which axis a qubit is measured. The outcome is `false` for +1, which is |0⟩ in Z, and `true` for -1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Basis {
    /// X.
    X,
    /// Y.
    Y,
    /// Z.
    #[default]
    Z,
    /// In the plane of Z and X, so many radians from Z towards X.
    Turned(f64),
}

impl Basis {
    /// The axis of the Bloch sphere.
    pub fn axis(self) -> Axis {
        match self {
            Self::X => Axis::X,
            Self::Y => Axis::Y,
            Self::Z => Axis::Z,
            Self::Turned(angle) => Axis::between_z_and_x(angle),
        }
    }
}

/// Something to be done to qubits of one node: those of a program by their names, those of a device by their
/// [places](super::QubitPlace).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation<Q = QubitName> {
    /// A gate on one qubit.
    One(Gate, Q),
    /// A gate on two.
    Two(TwoQubitGate, [Q; 2]),
    /// A measurement, which uses the qubit up: one outcome.
    Measure(Q, Basis),
    /// A measurement of two qubits in the Bell basis, which uses them up: two outcomes, the bit (outcomes in Z differ) and
    /// the phase (outcomes in X differ).
    Bell([Q; 2]),
}

impl<Q: Copy> Operation<Q> {
    /// How many outcomes it has, which is how many qubits it uses up.
    pub const fn outcomes(&self) -> usize {
        match self {
            Self::One(..) | Self::Two(..) => 0,
            Self::Measure(..) => 1,
            Self::Bell(_) => 2,
        }
    }
    /// The qubits that it is done to.
    pub fn qubits(&self) -> impl Iterator<Item = Q> {
        let (first, second) = match *self {
            Self::One(_, qubit) | Self::Measure(qubit, _) => (qubit, None),
            Self::Two(_, [first, second]) | Self::Bell([first, second]) => (first, Some(second)),
        };
        core::iter::once(first).chain(second)
    }
    /// The qubits that it uses up.
    pub fn used_up(&self) -> impl Iterator<Item = Q> {
        self.qubits().take(self.outcomes())
    }
    /// The same, of qubits that are called otherwise.
    ///
    /// # Errors
    /// Those of `name`, if it does not know a qubit.
    pub fn renamed<R, E>(&self, name: impl Fn(Q) -> Result<R, E>) -> Result<Operation<R>, E> {
        Ok(match *self {
            Self::One(gate, qubit) => Operation::One(gate, name(qubit)?),
            Self::Two(gate, [a, b]) => Operation::Two(gate, [name(a)?, name(b)?]),
            Self::Measure(qubit, basis) => Operation::Measure(name(qubit)?, basis),
            Self::Bell([a, b]) => Operation::Bell([name(a)?, name(b)?]),
        })
    }
}

//! Clifford gates and sampled Pauli noise on tableaux.

use super::Tableau;
use crate::bell::{BellIndex, PauliChannel};
use crate::density::Gate;
use bellwether_units::Stream;

/// A Clifford gate on one qubit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clifford {
    /// The bit flip.
    X,
    /// iXZ.
    Y,
    /// The phase flip.
    Z,
    /// The Hadamard gate: X to Z, Z to X.
    H,
    /// diag(1, i): X to Y.
    S,
    /// diag(1, -i): X to -Y.
    SInverse,
    /// A rotation about X by 90°: Z to -Y.
    SqrtX,
    /// A rotation about X by -90°: Z to Y.
    SqrtXInverse,
}

impl Clifford {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::X, Self::Y, Self::Z, Self::H, Self::S, Self::SInverse, Self::SqrtX, Self::SqrtXInverse];
}

impl From<Clifford> for Gate {
    fn from(gate: Clifford) -> Self {
        use core::f64::consts::FRAC_PI_2;
        match gate {
            Clifford::X => Self::X,
            Clifford::Y => Self::Y,
            Clifford::Z => Self::Z,
            Clifford::H => Self::H,
            Clifford::S => Self::S,
            Clifford::SInverse => Self::S_INVERSE,
            Clifford::SqrtX => Self::rx(FRAC_PI_2),
            Clifford::SqrtXInverse => Self::rx(-FRAC_PI_2),
        }
    }
}

impl Tableau {
    /// Applies a gate to `qubit`.
    #[inline]
    pub fn apply(&mut self, qubit: usize, gate: Clifford) {
        self.check(qubit);
        let (x, z, signs) = self.columns(qubit);
        let rows = signs.iter_mut().zip(x).zip(z);
        match gate {
            Clifford::X => rows.for_each(|((sign, _), z)| *sign ^= *z),
            Clifford::Y => rows.for_each(|((sign, x), z)| *sign ^= *x ^ *z),
            Clifford::Z => rows.for_each(|((sign, x), _)| *sign ^= *x),
            Clifford::H => rows.for_each(|((sign, x), z)| {
                *sign ^= *x & *z;
                core::mem::swap(x, z);
            }),
            Clifford::S => rows.for_each(|((sign, x), z)| {
                *sign ^= *x & *z;
                *z ^= *x;
            }),
            Clifford::SInverse => rows.for_each(|((sign, x), z)| {
                *sign ^= *x & !*z;
                *z ^= *x;
            }),
            Clifford::SqrtX => rows.for_each(|((sign, x), z)| {
                *sign ^= *z & !*x;
                *x ^= *z;
            }),
            Clifford::SqrtXInverse => rows.for_each(|((sign, x), z)| {
                *sign ^= *z & *x;
                *x ^= *z;
            }),
        }
    }
    /// Applies the Pauli operator of a frame to `qubit`.
    #[inline]
    pub fn pauli(&mut self, qubit: usize, index: BellIndex) {
        match (index.bit(), index.phase()) {
            (false, false) => self.check(qubit),
            (false, true) => self.apply(qubit, Clifford::Z),
            (true, false) => self.apply(qubit, Clifford::X),
            (true, true) => self.apply(qubit, Clifford::Y),
        }
    }
    /// The controlled NOT.
    #[inline]
    pub fn cnot(&mut self, control: usize, target: usize) {
        self.two(control, target, |sign, (xc, zc), (xt, zt)| {
            *sign ^= *xc & *zt & !(*xt ^ *zc);
            *xt ^= *xc;
            *zc ^= *zt;
        });
    }
    /// The controlled Z.
    #[inline]
    pub fn cz(&mut self, first: usize, second: usize) {
        self.two(first, second, |sign, (xa, za), (xb, zb)| {
            *sign ^= *xa & *xb & (*za ^ *zb);
            *za ^= *xb;
            *zb ^= *xa;
        });
    }
    /// Exchanges two qubits.
    pub fn swap(&mut self, first: usize, second: usize) {
        self.two(first, second, |_, (xa, za), (xb, zb)| {
            core::mem::swap(xa, xb);
            core::mem::swap(za, zb);
        });
    }
    /// Applies a rule to the words of two qubits.
    #[inline]
    #[track_caller]
    fn two(
        &mut self,
        first: usize,
        second: usize,
        rule: impl Fn(&mut u64, (&mut u64, &mut u64), (&mut u64, &mut u64)),
    ) {
        self.check(first);
        self.check(second);
        assert_ne!(first, second, "a gate on two qubits needs two");
        let column = 2 * self.words;
        let (low, high) = (first.min(second), first.max(second));
        let (x_low, x_high) = self.x.split_at_mut(high * column);
        let (z_low, z_high) = self.z.split_at_mut(high * column);
        let low_range = low * column..(low + 1) * column;
        let (x_low, z_low) = (&mut x_low[low_range.clone()], &mut z_low[low_range]);
        let (x_high, z_high) = (&mut x_high[..column], &mut z_high[..column]);
        let (xa, za, xb, zb) =
            if first < second { (x_low, z_low, x_high, z_high) } else { (x_high, z_high, x_low, z_low) };
        for (i, sign) in self.signs.iter_mut().enumerate() {
            rule(sign, (&mut xa[i], &mut za[i]), (&mut xb[i], &mut zb[i]));
        }
    }

    /// Samples Pauli noise on `qubit`, and tells which operator it was.
    #[inline]
    pub fn pauli_noise(&mut self, qubit: usize, channel: &PauliChannel, stream: &mut Stream) -> BellIndex {
        let error = channel.sample(stream.uniform());
        self.pauli(qubit, error);
        error
    }
    /// Makes `qubits` random, jointly, with probability `mixing`: a random Pauli operator on each.
    pub fn depolarise(&mut self, qubits: &[usize], mixing: f64, stream: &mut Stream) {
        if stream.chance(mixing) {
            for qubit in qubits {
                self.pauli(*qubit, BellIndex::from_bits(stream.bits() as u8));
            }
        }
    }
}

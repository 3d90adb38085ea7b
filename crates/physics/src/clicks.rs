//! Clicks in columns.

use crate::Basis;
use core::fmt;

/// The clicks of a run of pulses, in the order of their pulses: column `i` is click `i`.
///
/// It holds both what the receiver sees and what the transmitter had prepared, and is filled by
/// [`ClickSampler::sample`](crate::ClickSampler::sample).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Clicks {
    /// The pulse of each click, strictly rising.
    pub pulse: Vec<u64>,
    /// Bases, bits and double clicks: see the constants of this type.
    pub flags: Vec<u8>,
    /// The class of each pulse: an index into the source's intensities.
    pub intensity: Vec<u8>,
}

impl Clicks {
    /// Flag: measured in the check basis.
    pub const MEASURED_CHECK: u8 = 1;
    /// Flag: the outcome is 1. Random if both detectors fired.
    pub const OUTCOME: u8 = 2;
    /// Flag: both detectors fired.
    pub const DOUBLE: u8 = 4;
    /// Flag: prepared in the check basis.
    pub const PREPARED_CHECK: u8 = 8;
    /// Flag: the bit 1 was prepared.
    pub const PREPARED_BIT: u8 = 16;

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pulse.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pulse.is_empty()
    }
    /// Forgets all clicks and keeps the memory.
    pub fn clear(&mut self) {
        self.pulse.clear();
        self.flags.clear();
        self.intensity.clear();
    }
    /// Click `i`, which must be below [`len`](Self::len).
    pub fn get(&self, i: usize) -> Click {
        Click { pulse: self.pulse[i], flags: self.flags[i], intensity: self.intensity[i] }
    }
    /// All clicks in order.
    pub fn iter(&self) -> impl Iterator<Item = Click> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }
    #[inline]
    pub(crate) fn push(&mut self, pulse: u64, flags: u8, intensity: u8) {
        self.pulse.push(pulse);
        self.flags.push(flags);
        self.intensity.push(intensity);
    }
}

/// Says how many and no more: outcomes are secret until disclosed.
impl fmt::Debug for Clicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clicks({})", self.len())
    }
}

/// One click.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Click {
    /// The number of its pulse.
    pub pulse: u64,
    /// As in [`Clicks::flags`].
    pub flags: u8,
    /// The class of its pulse.
    pub intensity: u8,
}

impl Click {
    /// The basis in which it was measured.
    pub fn measured(self) -> Basis {
        if self.flags & Clicks::MEASURED_CHECK == 0 { Basis::Key } else { Basis::Check }
    }
    /// The basis in which its pulse was prepared.
    pub fn prepared(self) -> Basis {
        if self.flags & Clicks::PREPARED_CHECK == 0 { Basis::Key } else { Basis::Check }
    }
    /// What was measured.
    pub fn outcome(self) -> bool {
        self.flags & Clicks::OUTCOME != 0
    }
    /// What was prepared.
    pub fn bit(self) -> bool {
        self.flags & Clicks::PREPARED_BIT != 0
    }
    /// Whether both detectors fired.
    pub fn double(self) -> bool {
        self.flags & Clicks::DOUBLE != 0
    }
    /// Whether both bases agree.
    pub fn sifted(self) -> bool {
        self.measured() == self.prepared()
    }
    /// Whether it is sifted and wrong.
    pub fn error(self) -> bool {
        self.sifted() && self.outcome() != self.bit()
    }
}

impl fmt::Debug for Click {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Click({}, intensity {})", self.pulse, self.intensity)
    }
}

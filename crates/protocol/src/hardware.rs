//! The hardware interface: what a node can see of its transmitter or receiver.
//!
//! A receiver reports [`Detections`]; a transmitter can be asked after the fact what it had prepared in given
//! pulses and answers with [`Preparations`]. Neither says anything of what happened to the light between. An
//! emulator, a recorded file and a real device all speak in these types.

use bellwether_bits::BitString;
use bellwether_units::{Current, Time};

/// The number of a pulse since the transmitter was started; both ends count alike.
pub type PulseNumber = u64;

/// One of the two preparation and measurement bases of BB84.
///
/// Key is made in the [`Key`](Basis::Key) basis (Z in Rusca et al. 2018, X in Lim et al. 2014) and the
/// eavesdropper's information is bounded in the [`Check`](Basis::Check) basis. As a bit, `Key` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// The basis whose bits become key.
    Key,
    /// The basis whose bits are disclosed.
    Check,
}

/// The clicks of one window of pulses, in the order of their pulses: column `i` is click `i`.
///
/// A pulse in which both detectors of the measured basis clicked is one detection with a random outcome (the
/// squashing that security proofs assume) and is counted in [`double_clicks`](Self::double_clicks).
#[derive(Clone, Default)]
pub struct Detections {
    /// The first pulse of the window.
    pub first_pulse: PulseNumber,
    /// How many pulses the window spans.
    pub pulse_count: u64,
    /// When the window ended at the receiver.
    pub ended: Time,
    /// The pulse of each click, strictly rising, all within the window.
    pub pulses: Vec<PulseNumber>,
    /// The basis in which each click was measured: 0 [`Basis::Key`], 1 [`Basis::Check`].
    pub bases: BitString,
    /// The outcome of each click. Secret until disclosed.
    pub outcomes: BitString,
    /// How many of the clicks had both detectors of the basis fire.
    pub double_clicks: u64,
    /// The greatest current that the detectors' bias monitor showed, where the receiver has one.
    pub bias_current: Option<Current>,
}

/// What the transmitter had prepared in given pulses: column `i` belongs to the `i`-th pulse asked for.
///
/// The hardware must answer for each pulse at most once, also across restarts, and never for one that it has not
/// sent: the request may be forged, and what is answered may be told to whoever forged it and still holds the
/// light. An answer of another length than the request means that nothing is told.
#[derive(Clone, Default)]
pub struct Preparations {
    /// The basis of each pulse: 0 [`Basis::Key`], 1 [`Basis::Check`].
    pub bases: BitString,
    /// The bit of each pulse. Secret until disclosed.
    pub bits: BitString,
    /// The intensity class of each pulse: an index into the source's intensities.
    pub intensities: Vec<u8>,
}

//! The devices at a link's ends: transmitter, source, receiver, detectors.

use bellwether_units::{Duration, Frequency, Loss, Rate, Wavelength};

/// A transmitter of BB84 states.
#[derive(Clone, Debug, PartialEq)]
pub struct Transmitter {
    /// The profile it was taken from, if any; single values may have been changed.
    pub profile: Option<String>,
    /// How many pulses it sends in a second while it sends.
    pub clock: Frequency,
    /// The fraction of time in which it sends: below 1 for systems that work in bursts. Above 0.
    pub duty_cycle: f64,
    /// The wavelength of its light.
    pub wavelength: Wavelength,
    /// What makes its light.
    pub source: Source,
}

/// What makes a transmitter's light.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A laser attenuated to a few photons a pulse, with random phase: Poissonian photon number.
    WeakCoherent {
        /// The intensities it chooses from, in falling order; the class of a pulse is an index into these.
        /// Their probabilities sum to one.
        intensities: Vec<Intensity>,
    },
    /// An emitter of single photons.
    SinglePhoton {
        /// The probability that a pulse leaves the transmitter with a photon: above 0, at most 1.
        brightness: f64,
        /// The second-order correlation g2(0): two photons leave with probability at most
        /// `g2 * brightness^2 / 2`. From 0 to below 1.
        g2: f64,
    },
    /// Photon pairs, one photon of which announces the other.
    Heralded {
        /// The mean number of pairs in a pulse. Above 0.
        mean_pairs: f64,
        /// The number of equally strong modes: the pair number is thermal with one, Poissonian with many.
        modes: u32,
        /// The probability that a herald photon is detected: above 0, at most 1.
        herald_efficiency: f64,
        /// The probability that the herald detector clicks in a pulse without light.
        herald_dark_probability: f64,
        /// The probability that a heralded photon reaches the transmitter's output: above 0, at most 1.
        coupling: f64,
    },
}

/// One intensity of a weak coherent source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intensity {
    /// The mean photon number at the transmitter's output.
    pub mean_photons: f64,
    /// How often it is chosen: above 0, at most 1.
    pub probability: f64,
}

/// A receiver of BB84 states.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// The profile it was taken from, if any; single values may have been changed.
    pub profile: Option<String>,
    /// What is lost between its input and its detectors.
    pub internal_loss: Loss,
    /// How it chooses the basis, and with that how many detectors it has.
    pub basis_choice: BasisChoice,
    /// The width of its optical filter, which lets background light through.
    pub filter: Wavelength,
    /// What each of its detectors is.
    pub detector: Detector,
}

/// How a receiver chooses the basis of a measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BasisChoice {
    /// A beam splitter chooses: two detectors for each basis.
    #[default]
    Passive,
    /// A modulator is set: two detectors serve both bases.
    Active,
}

/// A threshold detector of single photons.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    /// What it is made of.
    pub technology: DetectorTechnology,
    /// The probability that it clicks for a photon: above 0, at most 1.
    pub efficiency: f64,
    /// How often each detector clicks in the dark, while its gate is open.
    pub dark_count_rate: Rate,
    /// How long it is blind after a click.
    pub dead_time: Duration,
    /// Which detectors a click blinds.
    pub dead_time_scope: DeadTimeScope,
    /// The clicks that clicks cause.
    pub afterpulsing: Option<Afterpulsing>,
    /// The spread of the click's time, full width at half maximum.
    pub jitter: Duration,
    /// How long it listens at each pulse. `None`: for the whole period of the clock.
    pub gate: Option<Duration>,
    /// Whether the receiver watches the current of the detectors' bias, which gives blinding away.
    pub bias_current_monitor: bool,
}

/// What a detector is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorTechnology {
    /// An indium gallium arsenide avalanche diode.
    InGaAs,
    /// A superconducting nanowire.
    Snspd,
    /// A silicon avalanche diode.
    Silicon,
}

/// Which detectors a click blinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadTimeScope {
    /// All detectors of the receiver, so that security proofs' detection is independent of the basis.
    Common,
    /// Only the one that clicked.
    Each,
}

/// The clicks that clicks cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Afterpulsing {
    /// The probability that a click is followed by one it caused, once the dead time is over: 0 to below 1.
    pub probability: f64,
    /// The time in which that chance falls by e.
    pub decay: Duration,
}

impl Source {
    /// The intensity classes of the source: one for sources that have no choice.
    pub fn intensity_count(&self) -> usize {
        match self {
            Self::WeakCoherent { intensities } => intensities.len(),
            Self::SinglePhoton { .. } | Self::Heralded { .. } => 1,
        }
    }

    /// The mean photon number of a pulse at the transmitter's output, over all intensities.
    pub fn mean_photons(&self) -> f64 {
        match self {
            Self::WeakCoherent { intensities } => {
                intensities.iter().map(|i| i.mean_photons * i.probability).sum()
            }
            Self::SinglePhoton { brightness, .. } => *brightness,
            Self::Heralded { mean_pairs, coupling, .. } => mean_pairs * coupling,
        }
    }
}

impl Receiver {
    /// The probability that a photon at the receiver's input makes a detector click.
    pub fn efficiency(&self) -> f64 {
        self.internal_loss.transmittance() * self.detector.efficiency
    }

    /// How many detectors the receiver has.
    pub fn detector_count(&self) -> usize {
        match self.basis_choice {
            BasisChoice::Passive => 4,
            BasisChoice::Active => 2,
        }
    }
}

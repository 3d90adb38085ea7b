//! Platforms: the matter that entangles itself with light and keeps what it got.

use bellwether_units::{Angle, Duration, Frequency, LossPerLength, Rate, Wavelength};

/// A platform of memories: what one node of it can do. What is not told of it is not known, which is not the same as
/// perfect.
#[derive(Clone, Debug, PartialEq)]
pub struct Platform {
    /// The profile it was taken from, if any; single values may have been changed.
    pub profile: Option<String>,
    /// How it makes or takes photons.
    pub kind: PlatformKind,
    /// The wavelength of its own light.
    pub wavelength: Wavelength,
    /// How it meets light.
    pub interface: Interface,
    /// The qubit that entangles with light.
    pub communication: Option<Qubit>,
    /// The qubits beside it that only store.
    pub storage: Option<Qubit>,
    /// The gate between two qubits.
    pub gate: Option<Gate>,
    /// How light that was stored comes back.
    pub retrieval: Option<Retrieval>,
}

/// How a platform makes or takes photons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformKind {
    /// A single emitter with a qubit in it.
    Emitter,
    /// A single qubit in a cavity that photons are reflected from.
    Reflector,
    /// An ensemble that writes a photon and a spin wave together.
    Ensemble,
    /// A memory that absorbs photons of another source.
    Absorber,
}

/// How a platform meets light.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interface {
    /// The wavelength in the fibre, after conversion.
    pub fibre_wavelength: Option<Wavelength>,
    /// The efficiency of conversion.
    pub conversion_efficiency: Option<f64>,
    /// The attenuation of the fibre at that wavelength.
    pub attenuation: Option<LossPerLength>,
    /// How long the excited state lives.
    pub lifetime: Option<Duration>,
    /// The probability that an attempt of one end makes a detector click, without the fibre between the nodes.
    pub click_probability: Option<f64>,
    /// From one attempt to the next, without waiting for a herald.
    pub attempt_time: Option<Duration>,
    /// The visibility of interference of its photons.
    pub visibility: Option<f64>,
    /// How often a detector clicks in the dark.
    pub dark_count_rate: Option<Rate>,
    /// The probability that a detector clicks in the dark within the window of an attempt.
    pub dark_probability: Option<f64>,
    /// How long detectors listen in an attempt.
    pub window: Option<Duration>,
    /// The standard deviation of the optical phase between two ends.
    pub phase: Option<Angle>,
    /// The probability that an attempt excites the emitter twice.
    pub double_excitation: Option<f64>,
    /// The fidelity of photon and qubit to a Bell state.
    pub photon_fidelity: Option<f64>,
    /// The probability that a write pulse makes an excitation in a mode.
    pub write_probability: Option<f64>,
    /// How many modes an attempt has.
    pub modes: u32,
    /// How often heralds come.
    pub herald_rate: Option<Rate>,
    /// The cooperativity of emitter and cavity: at least this.
    pub cooperativity: Option<f64>,
}

/// A qubit of a platform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Qubit {
    /// In which its excitation decays to 1/e.
    pub t1: Option<Duration>,
    /// In which its coherence decays to 1/e, with all that is done to prolong it.
    pub t2: Option<Duration>,
    /// The same without what prolongs it: decoupling, an encoding that fields do not move.
    pub native_t2: Option<Duration>,
    /// By which law coherence decays.
    pub dephasing: DephasingLaw,
    /// Whether all such qubits of a node dephase by one field.
    pub collective: bool,
    /// How long its initialisation takes.
    pub initialisation_time: Option<Duration>,
    /// How well it is initialised.
    pub initialisation: Option<Noise>,
    /// How long a gate on it takes.
    pub gate_time: Option<Duration>,
    /// How well a gate on it works.
    pub gate: Option<Noise>,
    /// How long its readout takes.
    pub readout_time: Option<Duration>,
    /// The probability that its bright state is read as dark.
    pub bright_as_dark: Option<f64>,
    /// The probability that its dark state is read as bright.
    pub dark_as_bright: Option<f64>,
    /// Its coupling to the qubit that entangles with light, by which attempts dephase it.
    pub attempt_coupling: Option<Frequency>,
    /// The time constant with which that qubit decays in an attempt.
    pub attempt_decay: Option<Duration>,
}

/// By which law coherence decays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DephasingLaw {
    /// `exp(-t/T2)`.
    #[default]
    Exponential,
    /// `exp(-(t/T2)^2)`.
    Gaussian,
}

/// How well something works, in the convention of the source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// The probability with which each qubit becomes random: `(1 - 3p/4) rho + p/4 (X rho X + Y rho Y + Z rho Z)`.
    Depolarising(f64),
    /// The fidelity, averaged over states.
    Fidelity(f64),
}

/// A gate between two qubits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// How long it takes.
    pub time: Option<Duration>,
    /// How well it works.
    pub noise: Option<Noise>,
}

/// How light that was stored comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retrieval {
    /// The probability that it does, at first or after the time of storage.
    pub efficiency: Option<f64>,
    /// In which that probability falls to 1/e.
    pub decay: Option<Duration>,
    /// The one time of storage of a memory that cannot be asked at will.
    pub storage_time: Option<Duration>,
    /// What comes back of the signal over the noise.
    pub signal_to_noise: Option<f64>,
}

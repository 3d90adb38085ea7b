//! Records of platforms of memories, as the library's profiles have them.

use super::devices::PROFILE;
use super::quantities::{ANGLE, DURATION, FREQUENCY, LOSS_PER_LENGTH, RATE, WAVELENGTH};
use super::{Field, Kind, Range, Record, words};
use crate::record::Choice;
use crate::{Basis, DephasingLaw, PlatformKind};

words! { pub PlatformKind {
    "emitter" => Emitter: "a single emitter with a qubit in it",
    "reflector" => Reflector: "a single qubit in a cavity that photons are reflected from",
    "ensemble" => Ensemble: "an ensemble that writes a photon and a spin wave together",
    "absorber" => Absorber: "a memory that absorbs photons of another source",
} }

words! { pub DephasingLaw {
    "exponential" => Exponential: "`exp(-t/T2)`",
    "gaussian" => Gaussian: "`exp(-(t/T2)^2)`",
} }

words! { pub Basis {
    "measured" => Measured: "an experiment measured it",
    "fitted" => Fitted: "chosen so that a model meets an experiment",
    "assumed" => Assumed: "assumed by the source, or here",
} }

/// A probability that may be left out.
const fn probability(key: &'static str, doc: &'static str) -> Field {
    Field::optional(key, Kind::Number(Range::PROBABILITY), doc)
}

/// A duration that may be left out.
const fn duration(key: &'static str, doc: &'static str) -> Field {
    Field::optional(key, Kind::Quantity(&DURATION), doc)
}

const POSITIVE: Range = Range {
    least: 0.0,
    most: 1e6,
    least_allowed: false,
    most_allowed: true,
    what: "a number above 0",
    example: "10",
};

/// A platform of memories.
pub(crate) static PLATFORM: Record = Record {
    name: "platform",
    doc: "A platform of memories that entangle with light. What is not told of it is not known.",
    layered: true,
    fields: &[
        PROFILE,
        Field::required("kind", Kind::Choice(PlatformKind::WORDS), "How it makes or takes photons."),
        Field::required("wavelength", Kind::Quantity(&WAVELENGTH), "The wavelength of its own light."),
        Field::required("interface", Kind::Table(&INTERFACE), "How it meets light."),
        Field::optional("communication", Kind::Table(&QUBIT), "The qubit that entangles with light."),
        Field::optional("storage", Kind::Table(&QUBIT), "The qubits beside it that only store."),
        Field::optional("gate", Kind::Table(&GATE), "The gate between two qubits."),
        Field::optional("retrieval", Kind::Table(&RETRIEVAL), "How light that was stored comes back."),
    ],
};

static INTERFACE: Record = Record {
    name: "interface",
    doc: "How a platform meets light.",
    layered: true,
    fields: &[
        Field::optional(
            "fibre_wavelength",
            Kind::Quantity(&WAVELENGTH),
            "The wavelength in the fibre, after conversion.",
        ),
        probability("conversion_efficiency", "The efficiency of conversion."),
        Field::optional(
            "attenuation",
            Kind::Quantity(&LOSS_PER_LENGTH),
            "The attenuation of the fibre at that wavelength.",
        ),
        duration("lifetime", "How long the excited state lives."),
        probability(
            "click_probability",
            "The probability that an attempt of one end makes a detector click, without the fibre between the nodes.",
        ),
        duration("attempt_time", "From one attempt to the next, without waiting for a herald."),
        probability("visibility", "The visibility of interference of its photons."),
        Field::optional("dark_count_rate", Kind::Quantity(&RATE), "How often a detector clicks in the dark."),
        probability(
            "dark_probability",
            "The probability that a detector clicks in the dark within the window of an attempt.",
        ),
        duration("window", "How long detectors listen in an attempt."),
        Field::optional(
            "phase",
            Kind::Quantity(&ANGLE),
            "The standard deviation of the optical phase between two ends.",
        ),
        probability("double_excitation", "The probability that an attempt excites the emitter twice."),
        probability("photon_fidelity", "The fidelity of photon and qubit to a Bell state."),
        probability("write_probability", "The probability that a write pulse makes an excitation in a mode."),
        Field::default(
            "modes",
            Kind::Integer { least: 1, most: 1_000_000 },
            "1",
            "How many modes an attempt has.",
        ),
        Field::optional("herald_rate", Kind::Quantity(&RATE), "How often heralds come."),
        Field::optional(
            "cooperativity",
            Kind::Number(POSITIVE),
            "The cooperativity of emitter and cavity: at least this.",
        ),
    ],
};

static QUBIT: Record = Record {
    name: "qubit",
    doc: "A qubit of a platform. Of `_depolarising` and `_fidelity`, the one in whose convention the source tells it.",
    layered: true,
    fields: &[
        duration("t1", "In which its excitation decays to 1/e."),
        duration("t2", "In which its coherence decays to 1/e, with all that is done to prolong it."),
        duration(
            "native_t2",
            "The same without what prolongs it: decoupling, an encoding that fields do not move.",
        ),
        Field::default(
            "dephasing",
            Kind::Choice(DephasingLaw::WORDS),
            "exponential",
            "By which law coherence decays.",
        ),
        Field::default(
            "collective",
            Kind::Flag,
            "false",
            "Whether all such qubits of a node dephase by one field.",
        ),
        duration("initialisation_time", "How long its initialisation takes."),
        probability(
            "initialisation_depolarising",
            "The probability with which initialisation leaves it random.",
        ),
        probability("initialisation_fidelity", "The fidelity of its initialisation."),
        duration("gate_time", "How long a gate on it takes."),
        probability("gate_depolarising", "The probability with which a gate leaves it random."),
        probability("gate_fidelity", "The average fidelity of a gate on it."),
        duration("readout_time", "How long its readout takes."),
        probability("bright_as_dark", "The probability that its bright state is read as dark."),
        probability("dark_as_bright", "The probability that its dark state is read as bright."),
        Field::optional(
            "attempt_coupling",
            Kind::Quantity(&FREQUENCY),
            "Its coupling to the qubit that entangles with light, by which attempts dephase it.",
        ),
        duration("attempt_decay", "The time constant with which that qubit decays in an attempt."),
    ],
};

static GATE: Record = Record {
    name: "gate",
    doc: "A gate between two qubits.",
    layered: true,
    fields: &[
        duration("time", "How long it takes."),
        probability("depolarising", "The probability with which it leaves each qubit random."),
        probability("fidelity", "Its fidelity."),
    ],
};

static RETRIEVAL: Record = Record {
    name: "retrieval",
    doc: "How light that was stored comes back.",
    layered: true,
    fields: &[
        probability("efficiency", "The probability that it does, at first or after the time of storage."),
        duration("decay", "In which that probability falls to 1/e."),
        duration("storage_time", "The one time of storage of a memory that cannot be asked at will."),
        Field::optional(
            "signal_to_noise",
            Kind::Number(POSITIVE),
            "What comes back of the signal over the noise.",
        ),
    ],
};

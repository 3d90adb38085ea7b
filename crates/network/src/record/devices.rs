//! Records of transmitters and receivers.

use super::quantities::{DURATION, FREQUENCY, LOSS, RATE, WAVELENGTH};
use super::{Field, Kind, Only, Range, Record, words};
use crate::record::Choice;
use crate::{BasisChoice, DeadTimeScope, DetectorTechnology};

words! { pub BasisChoice {
    "passive" => Passive: "a beam splitter chooses: two detectors for each basis",
    "active" => Active: "a modulator is set: two detectors serve both bases",
} }

words! { pub DetectorTechnology {
    "ingaas" => InGaAs: "an indium gallium arsenide avalanche diode",
    "snspd" => Snspd: "a superconducting nanowire",
    "silicon" => Silicon: "a silicon avalanche diode",
} }

words! { pub DeadTimeScope {
    "common" => Common: "all detectors of the receiver",
    "each" => Each: "only the one that clicked",
} }

/// The kinds of [`Source`](crate::Source).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceKind {
    WeakCoherent,
    SinglePhoton,
    Heralded,
}

words! { pub(crate) SourceKind {
    "weak-coherent" => WeakCoherent: "a laser attenuated to a few photons a pulse, with random phase",
    "single-photon" => SinglePhoton: "an emitter of single photons",
    "heralded" => Heralded: "photon pairs, one photon of which announces the other",
} }

/// Whose values hold where a table gives none.
pub(crate) const PROFILE: Field = Field::optional(
    "profile",
    Kind::Name,
    "Whose values hold where this table gives none: a device of the library (`bellwether profiles`) or of \
     this file.",
);

const HARDWARE_OF_DEVICE: Field = Field::optional(
    "hardware",
    Kind::Table(&HARDWARE),
    "What stands in for it when the network runs live, instead of emulated light. A link has it at both ends or at \
     neither, each in its own table: a profile, `[defaults]` and `[generate]` cannot name it. A simulation takes no \
     notice of it.",
);

/// What stands in for a device.
pub(crate) static HARDWARE: Record = Record {
    name: "hardware",
    doc: "What stands in for a device when the network runs live.",
    layered: false,
    fields: &[Field::required(
        "replay",
        Kind::Text,
        "The detection file of this end, which its node plays; a path that is not absolute is found from the network \
         file's folder.",
    )],
};

/// A transmitter.
pub(crate) static TRANSMITTER: Record = Record {
    name: "transmitter",
    doc: "A transmitter of BB84 states.",
    layered: true,
    fields: &[
        PROFILE,
        Field::required(
            "clock",
            Kind::Quantity(&FREQUENCY),
            "How many pulses it sends in a second while it sends.",
        ),
        Field::default(
            "duty_cycle",
            Kind::Number(Range { what: "a fraction of time", example: "0.5", ..Range::POSITIVE_PROBABILITY }),
            "1",
            "The fraction of time in which it sends: below 1 for systems that work in bursts.",
        ),
        Field::default("wavelength", Kind::Quantity(&WAVELENGTH), "1550 nm", "The wavelength of its light."),
        Field::required("source", Kind::Table(&SOURCE), "What makes its light."),
        HARDWARE_OF_DEVICE,
    ],
};

const WEAK_COHERENT: &[Only] = &[Only { key: "kind", values: &["weak-coherent"] }];
const SINGLE_PHOTON: &[Only] = &[Only { key: "kind", values: &["single-photon"] }];
const HERALDED: &[Only] = &[Only { key: "kind", values: &["heralded"] }];

static SOURCE: Record = Record {
    name: "source",
    doc: "What makes a transmitter's light.",
    layered: true,
    fields: &[
        Field::required("kind", Kind::Choice(SourceKind::WORDS), "What it is."),
        Field::required(
            "intensities",
            Kind::List(&INTENSITY),
            "The intensities it chooses from, the strongest first: one decoy makes two of them, two decoys \
             three. Their probabilities sum to one.",
        )
        .only(WEAK_COHERENT),
        Field::required(
            "brightness",
            Kind::Number(Range { example: "0.5", ..Range::POSITIVE_PROBABILITY }),
            "The probability that a pulse leaves the transmitter with a photon.",
        )
        .only(SINGLE_PHOTON),
        Field::default(
            "g2",
            Kind::Number(Range {
                most_allowed: false,
                what: "a second-order correlation",
                example: "0.01",
                ..Range::PROBABILITY
            }),
            "0",
            "The second-order correlation g2(0), which bounds the pulses of two photons.",
        )
        .only(SINGLE_PHOTON),
        Field::required(
            "mean_pairs",
            Kind::Number(Range {
                least: 0.0,
                most: 10.0,
                least_allowed: false,
                most_allowed: true,
                what: "a mean number of pairs",
                example: "0.05",
            }),
            "The mean number of pairs in a pulse.",
        )
        .only(HERALDED),
        Field::default(
            "modes",
            Kind::Integer { least: 1, most: 1_000_000 },
            "1",
            "The number of equally strong modes: the pair number is thermal with one, Poissonian with many.",
        )
        .only(HERALDED),
        Field::required(
            "herald_efficiency",
            Kind::Number(Range { example: "0.6", ..Range::POSITIVE_PROBABILITY }),
            "The probability that a herald photon is detected.",
        )
        .only(HERALDED),
        Field::default(
            "herald_dark_probability",
            Kind::Number(Range { example: "1e-6", most_allowed: false, ..Range::PROBABILITY }),
            "0",
            "The probability that the herald detector clicks in a pulse without light.",
        )
        .only(HERALDED),
        Field::default(
            "coupling",
            Kind::Number(Range { example: "0.8", ..Range::POSITIVE_PROBABILITY }),
            "1",
            "The probability that a heralded photon reaches the transmitter's output.",
        )
        .only(HERALDED),
    ],
};

static INTENSITY: Record = Record {
    name: "intensity",
    doc: "One intensity of a weak coherent source.",
    layered: false,
    fields: &[
        Field::required(
            "mean_photons",
            Kind::Number(Range {
                least: 0.0,
                most: 100.0,
                least_allowed: true,
                most_allowed: true,
                what: "a mean photon number",
                example: "0.5",
            }),
            "The mean photon number of a pulse at the transmitter's output.",
        ),
        Field::required(
            "probability",
            Kind::Number(Range { example: "0.7", ..Range::POSITIVE_PROBABILITY }),
            "How often it is chosen.",
        ),
    ],
};

/// A receiver.
pub(crate) static RECEIVER: Record = Record {
    name: "receiver",
    doc: "A receiver of BB84 states.",
    layered: true,
    fields: &[
        PROFILE,
        Field::default(
            "internal_loss",
            Kind::Quantity(&LOSS),
            "0 dB",
            "What is lost between its input and its detectors.",
        ),
        Field::default(
            "basis_choice",
            Kind::Choice(BasisChoice::WORDS),
            "passive",
            "How it chooses the basis, and with that how many detectors it has.",
        ),
        Field::default(
            "filter",
            Kind::Quantity(&WAVELENGTH),
            "1 nm",
            "The width of its optical filter, which lets background light through.",
        ),
        Field::required("detector", Kind::Table(&DETECTOR), "What each of its detectors is."),
        HARDWARE_OF_DEVICE,
    ],
};

static DETECTOR: Record = Record {
    name: "detector",
    doc: "A threshold detector of single photons.",
    layered: true,
    fields: &[
        Field::required("technology", Kind::Choice(DetectorTechnology::WORDS), "What it is made of."),
        Field::required(
            "efficiency",
            Kind::Number(Range { example: "0.8", ..Range::POSITIVE_PROBABILITY }),
            "The probability that it clicks for a photon.",
        ),
        Field::required(
            "dark_count_rate",
            Kind::Quantity(&RATE),
            "How often each detector clicks in the dark, while its gate is open.",
        ),
        Field::required("dead_time", Kind::Quantity(&DURATION), "How long it is blind after a click."),
        Field::default(
            "dead_time_scope",
            Kind::Choice(DeadTimeScope::WORDS),
            "common",
            "Which detectors a click blinds.",
        ),
        Field::optional("afterpulsing", Kind::Table(&AFTERPULSING), "The clicks that clicks cause."),
        Field::default(
            "jitter",
            Kind::Quantity(&DURATION),
            "0 s",
            "The spread of the click's time, full width at half maximum.",
        ),
        Field::optional(
            "gate",
            Kind::Quantity(&DURATION),
            "How long it listens at each pulse. Without it, for the whole period of the clock.",
        ),
        Field::default(
            "bias_current_monitor",
            Kind::Flag,
            "false",
            "Whether the receiver watches the current of the detectors' bias, which gives blinding away.",
        ),
    ],
};

static AFTERPULSING: Record = Record {
    name: "afterpulsing",
    doc: "The clicks that clicks cause.",
    layered: true,
    fields: &[
        Field::required(
            "probability",
            Kind::Number(Range { example: "0.02", most_allowed: false, ..Range::PROBABILITY }),
            "The probability that a click is followed by one it caused, once the dead time is over.",
        ),
        Field::required("decay", Kind::Quantity(&DURATION), "The time in which that chance falls by e."),
    ],
};

//! Records of links that entangle memories.

use super::link::{FIBRE, FITTED};
use super::quantities::{ANGLE, DURATION, FREQUENCY, LENGTH, RATE};
use super::{Field, Kind, Only, Range, Record, words};
use crate::record::Choice;
use crate::record::link::MESSAGE_DELAY;
use crate::{Evidence, QubitUse};

words! { pub QubitUse {
    "own" => Own: "communication qubits of the link's own, as many as it has memories",
    "communication" => Communication:
        "the node's one communication qubit, which keeps the pair: other links that use it wait meanwhile",
    "storage" => Storage:
        "the node's one communication qubit makes the pair, which is moved to a storage qubit at the herald",
} }

/// The kinds of [`Scheme`](crate::Scheme).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemeKind {
    SingleClick,
    DoubleClick,
    PairSource,
    Reflection,
    Ensemble,
    Stated,
}

words! { pub(crate) SchemeKind {
    "single-click" => SingleClick: "one photon, of either end, is seen",
    "double-click" => DoubleClick: "two photons, one of each end, are seen",
    "pair-source" => PairSource: "a source at the station gives photon pairs, and each half is caught by a memory",
    "reflection" => Reflection: "a pulse is reflected from the first end and then from the second, and seen there",
    "ensemble" => Ensemble: "ensembles write photon and spin wave together, and one photon is seen",
    "stated" => Stated: "what a herald comes to is stated, without hardware",
} }

impl crate::Scheme {
    /// The `kind` as it stands in network files and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SingleClick { .. } => SchemeKind::SingleClick.name(),
            Self::DoubleClick => SchemeKind::DoubleClick.name(),
            Self::PairSource { .. } => SchemeKind::PairSource.name(),
            Self::Reflection { .. } => SchemeKind::Reflection.name(),
            Self::Ensemble => SchemeKind::Ensemble.name(),
            Self::Stated { .. } => SchemeKind::Stated.name(),
        }
    }
}

/// A link that entangles.
pub(crate) static ENTANGLING: Record = Record {
    name: "entangling",
    doc: "A link that entangles a memory at one end with one at the other. Its name is no other link's, of either kind.",
    layered: false,
    fields: &[
        Field::required(
            "ends",
            Kind::TwoNodes,
            "The two nodes: `[\"A\", \"B\"]`. The first numbers requests.",
        ),
        SCHEME_OF_LINK,
        FIBRE_OF_LINK,
        STATION_OF_LINK,
        MEMORIES,
        QUBITS,
        CYCLE,
        PREPARATION,
        PROCESSING,
        MESSAGE_DELAY,
        AVAILABILITY_OF_LINK,
        TEST_SHARE,
        Field::optional("published", Kind::Table(&PUBLISHED_PAIRS), "What is published of the link."),
        Field::default("note", Kind::Text, "", "Anything worth saying."),
    ],
};

/// An entangling link without its ends: what `[defaults]` say of all of them.
pub(crate) static DEFAULT_ENTANGLING: Record = Record {
    name: "defaults.entangling",
    doc: "What holds for every entangling link that does not say otherwise, value by value.",
    layered: true,
    fields: LINK_FIELDS,
};

/// An entangling link without its ends: what all generated ones have in common.
pub(crate) static TEMPLATE: Record = Record {
    name: "generate.entangling",
    doc: "What all generated links have in common if they entangle. Without `fibre.length` each is as long as its nodes \
          lie apart.",
    layered: true,
    fields: LINK_FIELDS,
};

const LINK_FIELDS: &[Field] = &[
    SCHEME_OF_LINK,
    FIBRE_OF_LINK,
    STATION_OF_LINK,
    MEMORIES,
    QUBITS,
    CYCLE,
    PREPARATION,
    PROCESSING,
    MESSAGE_DELAY,
    AVAILABILITY_OF_LINK,
    TEST_SHARE,
];

const SCHEME_OF_LINK: Field = Field::optional(
    "scheme",
    Kind::Table(&SCHEME),
    "How an attempt entangles. This or `defaults.entangling.scheme` must be there.",
);
const FIBRE_OF_LINK: Field = Field::optional(
    "fibre",
    Kind::Table(&FIBRE),
    "The whole way from one end to the other. Its losses are shared among the arms as its length is. A misalignment, a drift \
     and classical channels have no meaning here: the `station` tells what they do.",
);
const STATION_OF_LINK: Field = Field::optional(
    "station",
    Kind::Table(&STATION),
    "Where the photons meet, and what they meet there. Without it, half way.",
);
const MEMORIES: Field = Field::default(
    "memories",
    Kind::PerEnd(&Kind::Integer { least: 1, most: 4096 }),
    "1",
    "How many qubits each end gives to the link.",
);
const QUBITS: Field = Field::default(
    "qubits",
    Kind::PerEnd(&Kind::Choice(QubitUse::WORDS)),
    "own",
    "Which qubits of each end make the link's pairs and keep them.",
);
const CYCLE: Field = Field::optional(
    "cycle",
    Kind::Quantity(&DURATION),
    "From one attempt of a qubit to its next. Without it, `max(preparation, light to the farther end of the station and \
     back + processing)`, or one period of a pair source's clock.",
);
const PREPARATION: Field = Field::optional(
    "preparation",
    Kind::Quantity(&DURATION),
    "What an attempt needs before its photons leave. Without it, the longer attempt time of the ends' platforms.",
);
const PROCESSING: Field = Field::default(
    "processing",
    Kind::Quantity(&DURATION),
    "0 s",
    "What an attempt needs after its last photon has come.",
);
const AVAILABILITY_OF_LINK: Field =
    Field::optional("availability", Kind::Table(&AVAILABILITY), "When the ends can attempt at all.");
const TEST_SHARE: Field = Field::default(
    "test_share",
    Kind::Number(Range {
        most_allowed: false,
        what: "a share of pairs",
        example: "0.05",
        ..Range::PROBABILITY
    }),
    "0",
    "The share of pairs that is measured to estimate the rest.",
);

/// How an attempt entangles.
pub(crate) static SCHEME: Record = Record {
    name: "scheme",
    doc: "How an attempt entangles. Of the platforms at the ends, clicks need the click probability and the visibility, \
          ensembles the write probability; all but `stated` need dark clicks, of the platforms or of the `station`.",
    layered: true,
    fields: &[
        Field::required("kind", Kind::Choice(SchemeKind::WORDS), "The scheme."),
        Field::required(
            "brightness",
            Kind::Several {
                item: &Kind::Number(Range { example: "0.05", ..Range::OPEN_PROBABILITY }),
                least: 1,
                most: 64,
            },
            "The probabilities of the bright state on offer, of the brighter end; the other's balances the arms. Bright \
             states give more pairs of less fidelity.",
        )
        .only(&[Only { key: "kind", values: &["single-click"] }]),
        Field::default(
            "counts_photons",
            Kind::Flag,
            "false",
            "Whether the detectors see two photons as such, and do not herald then.",
        )
        .only(&[Only { key: "kind", values: &["single-click"] }]),
        Field::required(
            "mean_pairs",
            Kind::Number(Range { most: 10.0, what: "a mean number of pairs", ..Range::POSITIVE_PROBABILITY }),
            "The mean number of pairs in a pulse.",
        )
        .only(&[Only { key: "kind", values: &["pair-source"] }]),
        Field::required("clock", Kind::Quantity(&FREQUENCY), "How many pulses the source gives in a second.")
            .only(&[Only { key: "kind", values: &["pair-source"] }]),
        Field::default(
            "absorption",
            Kind::PerEnd(&Kind::Number(Range::POSITIVE_PROBABILITY)),
            "1",
            "The probability that each end's memory catches a photon that reaches it, and says so.",
        )
        .only(&[Only { key: "kind", values: &["pair-source"] }]),
        Field::required(
            "mean_photons",
            Kind::Number(Range {
                most: 10.0,
                what: "a mean number of photons",
                ..Range::POSITIVE_PROBABILITY
            }),
            "The mean number of photons in the pulse that meets the first end.",
        )
        .only(&[Only { key: "kind", values: &["reflection"] }]),
        Field::required(
            "reflectance",
            Kind::PerEnd(&Kind::Number(Range::POSITIVE_PROBABILITY)),
            "What each end passes on of a photon that meets it, converters and the second's detectors included.",
        )
        .only(&[Only { key: "kind", values: &["reflection"] }]),
        Field::default(
            "contrast",
            Kind::Number(Range::PROBABILITY),
            "1",
            "What imperfect reflection leaves of the pair's coherence.",
        )
        .only(&[Only { key: "kind", values: &["reflection"] }]),
        Field::required(
            "success",
            Kind::Number(Range::POSITIVE_PROBABILITY),
            "The probability that an attempt is heralded.",
        )
        .only(&[Only { key: "kind", values: &["stated"] }]),
        Field::optional(
            "fidelity",
            Kind::Number(Range { least: 0.25, what: "a fidelity", example: "0.95", ..Range::PROBABILITY }),
            "The fidelity of the Werner state that the memories hold then. Either this or `bell_diagonal` must be there.",
        )
        .only(&[Only { key: "kind", values: &["stated"] }]),
        Field::optional(
            "bell_diagonal",
            Kind::Several { item: &Kind::Number(Range::PROBABILITY), least: 4, most: 4 },
            "The probabilities of Φ⁺, Φ⁻, Ψ⁺ and Ψ⁻, which sum to one.",
        )
        .only(&[Only { key: "kind", values: &["stated"] }]),
    ],
};

/// Where photons meet.
pub(crate) static STATION: Record = Record {
    name: "station",
    doc: "Where the photons of an entangling link meet, and what they meet there. What is left out, the platforms at the \
          ends tell: the lower visibility, the more of each noise.",
    layered: true,
    fields: &[
        Field::optional(
            "at",
            Kind::Number(Range { what: "a share of the way", example: "0.5", ..Range::PROBABILITY }),
            "Where it stands, as a share of the fibre's length: 0 is in the first end, 1 in the second. Without it and \
             `arms`, half way.",
        ),
        Field::optional(
            "arms",
            Kind::Several { item: &Kind::Quantity(&LENGTH), least: 2, most: 2 },
            "The lengths of the fibres from the first and the second end, in the place of `at` and `fibre.length`.",
        ),
        Field::optional(
            "dark_count_rate",
            Kind::Quantity(&RATE),
            "How often a detector clicks in the dark; it needs a `window`, here or of the platforms.",
        ),
        Field::optional("window", Kind::Quantity(&DURATION), "How long detectors listen in an attempt."),
        Field::optional(
            "dark_probability",
            Kind::Number(Range::PROBABILITY),
            "The probability that a detector clicks in the dark within the window of an attempt.",
        ),
        Field::optional(
            "visibility",
            Kind::Number(Range { what: "a visibility", example: "0.9", ..Range::PROBABILITY }),
            "The visibility of two-photon interference; of a pair source, that of its pairs, perfect if it is left out.",
        ),
        Field::optional(
            "phase",
            Kind::Quantity(&ANGLE),
            "The standard deviation of the optical phase between the ends. Matters to single clicks alone.",
        ),
        Field::optional(
            "double_excitation",
            Kind::Number(Range::PROBABILITY),
            "The probability that an attempt excites an emitter twice. Matters to single clicks alone.",
        ),
        Field::default(
            "unmodelled_coherence",
            Kind::Number(Range { what: "a share of coherence", ..Range::PROBABILITY }),
            "1",
            "What is left of the coherence after everything that is not modelled, such as spectral diffusion.",
        ),
        Field::default(
            "detector_efficiency",
            Kind::Number(Range::POSITIVE_PROBABILITY),
            "1",
            "What the probability of a click is multiplied by, beside what the platforms tell.",
        ),
    ],
};

static AVAILABILITY: Record = Record {
    name: "availability",
    doc: "When the ends of an entangling link can attempt at all.",
    layered: true,
    fields: &[
        Field::optional(
            "charge_check",
            Kind::Table(&CHARGE_CHECK),
            "A check before each block of attempts, that emitters are in the right charge state and on resonance, \
             repeated until it passes.",
        ),
        Field::optional("calibration", Kind::Table(&CALIBRATION), "Times at which nothing else is done."),
    ],
};

static CHARGE_CHECK: Record = Record {
    name: "charge check",
    doc: "A check before each block of attempts.",
    layered: true,
    fields: &[
        Field::required("pass", Kind::Number(Range::POSITIVE_PROBABILITY), "The probability that it passes."),
        Field::required("time", Kind::Quantity(&DURATION), "How long one takes."),
        Field::required("every", Kind::Quantity(&DURATION), "How long a block of attempts is."),
    ],
};

static CALIBRATION: Record = Record {
    name: "calibration",
    doc: "Calibration, at the beginning of every period but the first.",
    layered: true,
    fields: &[
        Field::required("period", Kind::Quantity(&DURATION), "From one to the next."),
        Field::required("length", Kind::Quantity(&DURATION), "How long one takes: less than the period."),
    ],
};

/// What is published of pairs.
pub(crate) static PUBLISHED_PAIRS: Record = Record {
    name: "published pairs",
    doc: "What is published of an entangling link or of a demand for pairs, to be set beside what is simulated.",
    layered: false,
    fields: &[
        Field::optional("rate", Kind::Quantity(&RATE), "How many pairs a second."),
        Field::optional("rate_deviation", Kind::Quantity(&RATE), "The rate's standard deviation."),
        Field::optional("fidelity", Kind::Number(FIDELITY), "Their fidelity."),
        Field::optional(
            "fidelity_deviation",
            Kind::Number(Range { what: "a standard deviation", example: "0.01", ..Range::PROBABILITY }),
            "The fidelity's standard deviation.",
        ),
        Field::required("source", Kind::Text, "Where that stands."),
        Field::required("evidence", Kind::Choice(Evidence::WORDS), "How sure the figures are."),
        Field::optional(
            "fitted",
            Kind::Table(&FITTED),
            "The one parameter of the link that was chosen to meet a published figure; of a demand, none.",
        ),
    ],
};

const FIDELITY: Range = Range { what: "a fidelity", example: "0.9", ..Range::PROBABILITY };

//! Records of a link, its fibre, its protocol and what is published of it.

use super::quantities::{ANGLE, DURATION, LENGTH, LOSS, LOSS_PER_LENGTH, POWER, RAMAN, RATE, SIZE};
use super::{Field, Kind, Range, Record, devices, words};
use crate::record::Choice;
use crate::{Bound, Detail, Direction, Evidence, ReconciliationFamily, TagPolicy};

words! { pub Direction {
    "forward" => Forward: "with the quantum signal",
    "backward" => Backward: "against the quantum signal",
} }

words! { pub Bound {
    "rusca-2018" => Rusca2018:
        "one decoy, two intensities: Rusca et al., Appl. Phys. Lett. 112, 171104 (2018)",
    "rusca-2018-tight" => Rusca2018Tight:
        "the same proof, with no more errors of single photons than were seen, and the exact tail of random sampling \
         for the phase error rate wherever it is the narrower: more key under the same assumptions",
    "lim-2014" => Lim2014: "two decoys, three intensities: Lim et al., PRA 89, 022307 (2014)",
    "lim-2014-tight" => Lim2014Tight: "as `rusca-2018-tight`, for two decoys",
    "tomamichel-2012" => Tomamichel2012:
        "single photons: Tomamichel et al., Nat. Commun. 3, 634 (2012)",
} }

words! { pub ReconciliationFamily {
    "cascade-original" => CascadeOriginal: "Brassard & Salvail, Eurocrypt '93: four passes",
    "cascade-yan" => CascadeYan: "Yan et al. 2008: ten passes",
    "cascade-option-7" => CascadeOption7: "option 7 of Martinez-Mateo et al., QIC 15, 453 (2015)",
    "cascade-option-8" => CascadeOption8: "option 8 of Martinez-Mateo et al., QIC 15, 453 (2015)",
    "grouped-quick" => GroupedQuick:
        "Cascade in step, grouped by suspicion: 2 to 4 % beyond the Shannon limit, and the least to compute",
    "grouped-thorough" => GroupedThorough:
        "the same with longer blocks and a closer look: the least disclosed, for up to twice the round trips",
    "ldpc" => Ldpc:
        "a low-density parity-check code: one message where nothing fails, for 11 to 20 % beyond the Shannon limit. \
         Blocks shorter than 2^19 bits disclose more",
} }

words! { pub TagPolicy {
    "every-message" => EveryMessage: "one message: tampering is caught at once",
    "every-block" => EveryBlock: "all messages of a block in one direction: less key is used",
} }

words! { pub Evidence {
    "published" => Published: "it stands in the source",
    "from-memory" => FromMemory: "told from memory of the source and not looked up again",
    "reconstructed" => Reconstructed: "made up to complete the picture",
} }

/// A link.
pub(crate) static LINK: Record = Record {
    name: "link",
    doc: "A quantum channel from a transmitter to a receiver with the classical channel beside it.",
    layered: false,
    fields: &[
        Field::optional(
            "ends",
            Kind::TwoNodes,
            "The two nodes, the transmitter's first: `[\"A\", \"B\"]`. This, or `transmitter_at` and \
             `receiver_at`.",
        ),
        Field::optional("transmitter_at", Kind::Name, "The node that has the transmitter."),
        Field::optional("receiver_at", Kind::Name, "The node that has the receiver."),
        FIBRE_OF_LINK,
        TRANSMITTER_OF_LINK,
        RECEIVER_OF_LINK,
        PROTOCOL_OF_LINK,
        DETAIL_OF_LINK,
        MESSAGE_DELAY,
        Field::optional("published", Kind::Table(&PUBLISHED), "What is published of the link."),
        Field::default("note", Kind::Text, "", "Anything worth saying, such as what the link stands in for."),
    ],
};

/// A link without its ends: what all generated links have in common.
pub(crate) static TEMPLATE: Record = Record {
    name: "generate.link",
    doc: "What all generated links have in common. Without `fibre.length` each is as long as its nodes lie apart.",
    layered: true,
    fields: &[
        FIBRE_OF_LINK,
        TRANSMITTER_OF_LINK,
        RECEIVER_OF_LINK,
        PROTOCOL_OF_LINK,
        DETAIL_OF_LINK,
        MESSAGE_DELAY,
    ],
};

const FIBRE_OF_LINK: Field = Field::optional("fibre", Kind::Table(&FIBRE), "The fibre between them.");
const TRANSMITTER_OF_LINK: Field = Field::optional(
    "transmitter",
    Kind::TableOrProfile(&devices::TRANSMITTER),
    "What sends. This or `defaults.transmitter` must be there.",
);
const RECEIVER_OF_LINK: Field = Field::optional(
    "receiver",
    Kind::TableOrProfile(&devices::RECEIVER),
    "What receives. This or `defaults.receiver` must be there.",
);
const PROTOCOL_OF_LINK: Field =
    Field::optional("protocol", Kind::Table(&PROTOCOL), "How key is made of the clicks.");
const DETAIL_OF_LINK: Field = Field::optional(
    "detail",
    Kind::Choice(Detail::WORDS),
    "How closely the link is simulated. Without it, as `run.detail` says.",
);
/// How long messages take.
pub(crate) const MESSAGE_DELAY: Field = Field::optional(
    "message_delay",
    Kind::Quantity(&DURATION),
    "How long a classical message takes from one end to the other. Without it, as long as light in the fibre.",
);

/// A fibre.
pub(crate) static FIBRE: Record = Record {
    name: "fibre",
    doc: "The fibre between a transmitter and a receiver, and what else travels in it.",
    layered: true,
    fields: &[
        Field::required("length", Kind::Quantity(&LENGTH), "How long it is."),
        Field::optional(
            "loss_per_length",
            Kind::Quantity(&LOSS_PER_LENGTH),
            "What the fibre loses by its length. Either this or `total_loss` must be there.",
        ),
        Field::optional(
            "total_loss",
            Kind::Quantity(&LOSS),
            "What the fibre loses in all, as measured; it then does not follow the length.",
        ),
        Field::default(
            "extra_loss",
            Kind::Quantity(&LOSS),
            "0 dB",
            "What connectors, splices, switches and filters on the way lose beside it.",
        ),
        Field::default(
            "misalignment",
            Kind::Number(Range::ERROR),
            "0.01",
            "The probability that an untouched photon is measured as the orthogonal state: the misalignment \
             of transmitter, fibre and receiver together.",
        ),
        Field::optional("drift", Kind::Table(&DRIFT), "How the alignment wanders."),
        Field::default(
            "group_index",
            Kind::Number(Range {
                least: 1.0,
                most: 3.0,
                least_allowed: true,
                most_allowed: true,
                what: "a group index",
                example: "1.468",
            }),
            "1.468",
            "By which light is slower in it than in vacuum.",
        ),
        Field::optional(
            "classical_channels",
            Kind::List(&CLASSICAL_CHANNEL),
            "Classical channels in the same fibre, which scatter light into the quantum channel.",
        ),
    ],
};

static DRIFT: Record = Record {
    name: "drift",
    doc: "A random walk of the angle between the two ends' frames. An angle `a` adds sin²(a) to the misalignment.",
    layered: true,
    fields: &[
        Field::required(
            "angle",
            Kind::Quantity(&ANGLE),
            "The standard deviation of the angle after the time `over`.",
        ),
        Field::required("over", Kind::Quantity(&DURATION), "The time in which the angle wanders so far."),
        Field::optional(
            "realigned_every",
            Kind::Quantity(&DURATION),
            "How often the frames are aligned again. Without it, never.",
        ),
    ],
};

static CLASSICAL_CHANNEL: Record = Record {
    name: "classical channel",
    doc: "A classical channel in the quantum channel's fibre; Raman noise after Eraerds et al., New J. Phys. 12, \
          063027 (2010).",
    layered: false,
    fields: &[
        Field::required("power", Kind::Quantity(&POWER), "The power launched into the fibre."),
        Field::default("direction", Kind::Choice(Direction::WORDS), "forward", "Which way it travels."),
        Field::default(
            "loss_per_length",
            Kind::Quantity(&LOSS_PER_LENGTH),
            "0.2 dB/km",
            "What the fibre loses at its wavelength.",
        ),
        Field::default(
            "raman",
            Kind::Quantity(&RAMAN),
            "2.6e-9 /km/nm",
            "How strongly it scatters into the quantum channel.",
        ),
    ],
};

/// How a link makes key.
pub(crate) static PROTOCOL: Record = Record {
    name: "protocol",
    doc: "How a link makes key of its clicks: decoy-state BB84 with biased bases.",
    layered: true,
    fields: &[
        Field::default(
            "block_size",
            Kind::Quantity(&SIZE),
            "10 Mbit",
            "How many sifted bits of the key basis make a block: 1 kbit to 1 Gbit.",
        ),
        Field::default(
            "eps_secrecy",
            Kind::Number(Range { example: "1e-9", ..Range::OPEN_PROBABILITY }),
            "1e-9",
            "How far a block's key may be from one that nobody else knows.",
        ),
        Field::default(
            "eps_correctness",
            Kind::Number(Range { example: "1e-15", ..Range::OPEN_PROBABILITY }),
            "1e-15",
            "How likely both ends' keys of a block may differ.",
        ),
        Field::optional(
            "bound",
            Kind::Choice(Bound::WORDS),
            "Which security bound gives the length of a block's key. It must fit the source; without it, the \
             one that does.",
        ),
        Field::default(
            "reconciliation",
            Kind::Choice(ReconciliationFamily::WORDS),
            "cascade-option-8",
            "How errors are corrected.",
        ),
        Field::default(
            "planning_efficiency",
            Kind::Number(Range {
                least: 1.0,
                most: 10.0,
                least_allowed: true,
                most_allowed: true,
                what: "a leakage over the Shannon limit",
                example: "1.05",
            }),
            "1.05",
            "The leakage that plans reckon with, over the Shannon limit: 1.05 suits Cascade, 1.03 what is grouped, \
             1.11 to 1.2 codes. A block that is simulated counts what it has disclosed.",
        ),
        Field::default(
            "authentication",
            Kind::Choice(TagPolicy::WORDS),
            "every-block",
            "What an authentication tag covers.",
        ),
        Field::default(
            "authentication_key",
            Kind::Quantity(&SIZE),
            "128 kbit",
            "How much key both ends share before the first block, and to which they refill what \
             authentication has used.",
        ),
        Field::default(
            "key_basis_probability",
            Kind::Number(Range { example: "0.9", ..Range::OPEN_PROBABILITY }),
            "0.9",
            "The probability of the key basis, at the transmitter as at the receiver.",
        ),
        Field::default(
            "false_alarm_probability",
            Kind::Number(Range { example: "1e-9", ..Range::OPEN_PROBABILITY }),
            "1e-9",
            "How likely an honest block may raise any alarm; divided among its tests.",
        ),
    ],
};

static PUBLISHED: Record = Record {
    name: "published",
    doc: "What is published of a link, to be set beside what is simulated.",
    layered: false,
    fields: &[
        Field::optional("secret_rate", Kind::Quantity(&RATE), "The secret key rate."),
        Field::optional("sifted_rate", Kind::Quantity(&RATE), "The sifted key rate."),
        Field::optional("qber", Kind::Number(Range::ERROR), "The quantum bit error rate."),
        Field::required("source", Kind::Text, "Where that stands."),
        Field::required("evidence", Kind::Choice(Evidence::WORDS), "How sure the figures are."),
        Field::optional(
            "fitted",
            Kind::Table(&FITTED),
            "The one parameter of the link that was chosen to meet a published figure.",
        ),
    ],
};

/// A fitted parameter.
pub(crate) static FITTED: Record = Record {
    name: "fitted",
    doc: "A parameter that was chosen to meet a published figure, which is then no check of the simulation.",
    layered: false,
    fields: &[
        Field::required(
            "parameter",
            Kind::Text,
            "Which one, by its path within the link: `fibre.misalignment`.",
        ),
        Field::required("reason", Kind::Text, "To meet what, and why."),
    ],
};

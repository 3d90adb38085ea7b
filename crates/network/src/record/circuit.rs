//! Records of circuits and of demands for pairs.

use super::entangling::PUBLISHED_PAIRS;
use super::quantities::{DURATION, RATE};
use super::{Field, Kind, Range, Record, Word, words};
use crate::record::Choice;
use crate::{PairUse, PurificationRound, WaitingPair};

words! { pub WaitingPair {
    "oldest" => Oldest: "the oldest: none is wasted",
    "youngest" => Youngest: "the youngest: of the best fidelity",
} }

words! { pub PurificationRound {
    "bbpssw" => Bbpssw: "nothing is done before pairs are compared: bit errors show",
    "dejmps" => Dejmps: "rotations, so that the next round finds the kept pair's phase errors",
    "phase" => Phase: "Hadamards before and after: phase errors show",
} }

words! { pub PairUse {
    "keep" => Keep: "it is kept until both ends know of it",
    "measure" => Measure: "each half is measured as soon as it is there",
    "early" => Early: "the first node's half is handed out before it is confirmed, and may be taken back",
} }

/// The fidelities that pairs may be asked for with: at one half they are of no use.
const FIDELITY: Range = Range {
    least: 0.5,
    most: 1.0,
    least_allowed: true,
    most_allowed: true,
    what: "a fidelity",
    example: "0.8",
};

/// A circuit.
pub(crate) static CIRCUIT: Record = Record {
    name: "circuit",
    doc: "A way over entangling links along which pairs are swapped together, with its settings.",
    layered: false,
    fields: &[
        Field::required("from", Kind::Name, "Its head, where pairs are asked for."),
        Field::required("to", Kind::Name, "Its tail."),
        Field::optional(
            "path",
            Kind::Several { item: &Kind::Name, least: 2, most: MOST_HOPS + 1 },
            "The nodes from head to tail, both included. Without it and `links`, it is routed.",
        ),
        Field::optional(
            "links",
            Kind::Several { item: &Kind::Name, least: 1, most: MOST_HOPS },
            "The entangling links from head to tail, in the place of `path`: where two nodes have several.",
        ),
        CUTOFF,
        LINK_FIDELITY,
        WEIGHT,
        CHOICE,
        PURIFICATION,
        Field::default("note", Kind::Text, "", "Anything worth saying."),
    ],
};

/// How many links a circuit may have.
const MOST_HOPS: usize = 4096;

/// A circuit without its way: what all generated ones have in common.
pub(crate) static CIRCUITS: Record = Record {
    name: "generate.circuit",
    doc: "Circuits `c0`, `c1`, .., one for each generated demand for pairs, routed.",
    layered: false,
    fields: &[CUTOFF, LINK_FIDELITY, WEIGHT, CHOICE, PURIFICATION],
};

/// What takes the place of a cutoff.
pub(crate) const NO_CUTOFF: Word = Word { word: "none", doc: "none is given up for its age" };

const CUTOFF: Field = Field::optional(
    "cutoff",
    Kind::QuantityOr(&DURATION, &NO_CUTOFF),
    "How old a half may become between the ends before it is given up. Without it, as is planned from the links and \
     memories.",
);
const LINK_FIDELITY: Field = Field::optional(
    "link_fidelity",
    Kind::Number(FIDELITY),
    "The least fidelity that its links are to promise. Without it, as is planned.",
);
const WEIGHT: Field = Field::default(
    "weight",
    Kind::Integer { least: 1, most: 65_535 },
    "1",
    "Its share of each link, relative to other circuits.",
);
const CHOICE: Field = Field::default(
    "choice",
    Kind::Choice(WaitingPair::WORDS),
    "oldest",
    "Which of several waiting pairs is swapped first.",
);
const PURIFICATION: Field = Field::optional(
    "purification",
    Kind::Several { item: &Kind::Choice(PurificationRound::WORDS), least: 0, most: 16 },
    "By which rounds the pairs of each link are purified before they are swapped, in this order. Each end of such a link \
     needs two `memories` or more.",
);

/// A demand for pairs.
pub(crate) static PAIR_DEMAND: Record = Record {
    name: "pair_demand",
    doc: "A wish for entangled pairs that two nodes share.",
    layered: false,
    fields: &[
        Field::required("from", Kind::Name, "The node that asks."),
        Field::required("to", Kind::Name, "The node it wants to share pairs with."),
        LEAST_FIDELITY,
        PAIRS,
        PAIR_RATE,
        USE,
        Field::default(
            "start",
            Kind::Quantity(&DURATION),
            "0 s",
            "When the first pair is asked for, since the start of the run.",
        ),
        WITHIN,
        Field::optional(
            "circuit",
            Kind::Name,
            "The circuit that serves it, of the same ends. Without it, one is made.",
        ),
        HOLD,
        Field::optional("published", Kind::Table(&PUBLISHED_PAIRS), "What is published of it."),
        Field::default("note", Kind::Text, "", "Anything worth saying."),
    ],
};

/// The least fidelity of use.
pub(crate) const LEAST_FIDELITY: Field =
    Field::default("fidelity", Kind::Number(FIDELITY), "0.5", "The least fidelity of use.");
/// How many pairs.
pub(crate) const PAIRS: Field = Field::optional(
    "pairs",
    Kind::Integer { least: 1, most: u64::MAX },
    "How many pairs are asked for in all. Without it, no end of them.",
);
/// How often a demand for pairs asks.
pub(crate) const PAIR_RATE: Field = Field::optional(
    "rate",
    Kind::Quantity(&RATE),
    "How many pairs are asked for in a second, at regular times. Without it, all at once.",
);
/// What becomes of a pair.
pub(crate) const USE: Field =
    Field::default("kind", Kind::Choice(PairUse::WORDS), "keep", "What becomes of a pair.");
/// How long a pair is of use after asking.
pub(crate) const WITHIN: Field = Field::optional(
    "within",
    Kind::Quantity(&DURATION),
    "How long after asking a pair is still of use. Without it, always.",
);
/// How long an application keeps a pair.
pub(crate) const HOLD: Field = Field::default(
    "hold",
    Kind::Quantity(&DURATION),
    "0 s",
    "How long an application keeps a pair before it gives the memory back.",
);

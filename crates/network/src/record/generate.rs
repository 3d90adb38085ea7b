//! Records of generated networks.

use super::circuit::{HOLD, LEAST_FIDELITY, PAIR_RATE, PAIRS, USE, WITHIN};
use super::network::{KEY_RATE, KEY_SIZE, PATHS, PRIORITY};
use super::quantities::LENGTH;
use super::{Field, Kind, Only, Range, Record, circuit, entangling, link, platform, words};
use crate::record::Choice;

/// The graphs that can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GraphKind {
    Line,
    Ring,
    Star,
    Grid,
    Tree,
    Waxman,
    ScaleFree,
}

words! { pub(crate) GraphKind {
    "line" => Line: "each node is linked to the next",
    "ring" => Ring: "a line whose ends are linked",
    "star" => Star: "every node is linked to the first",
    "grid" => Grid: "rows of `columns` nodes, linked to their neighbours",
    "tree" => Tree: "every node has `branching` nodes below it",
    "waxman" => Waxman: "scattered nodes, linked with a chance that falls with distance",
    "scale-free" => ScaleFree: "each new node is linked to `links_per_node` others, the well-linked first",
} }

/// How many nodes may be generated.
pub(crate) const MOST_NODES: u64 = 1_000_000;
/// How many links may be generated.
pub(crate) const MOST_LINKS: u64 = 2_000_000;

/// A generated network.
pub(crate) static GENERATE: Record = Record {
    name: "generate",
    doc: "Nodes `n0`, `n1`, .. and links `n0-n1`, .. made from a seed. The node with the lower number has the \
          transmitter.",
    layered: false,
    fields: &[
        Field::required("kind", Kind::Choice(GraphKind::WORDS), "The shape of the graph."),
        Field::required(
            "nodes",
            Kind::Integer { least: 2, most: MOST_NODES },
            "How many nodes are made.",
        ),
        Field::required(
            "spacing",
            Kind::Quantity(&LENGTH),
            "How far apart neighbours lie: the length of each link or, with `waxman`, the mean distance that \
             an even layout would have.",
        ),
        Field::default(
            "seed",
            Kind::Integer { least: 0, most: u64::MAX },
            "1",
            "What the graph and its demands are drawn from; independent of `run.seed`.",
        ),
        Field::optional(
            "columns",
            Kind::Integer { least: 1, most: MOST_NODES },
            "The nodes of a row. Without it, as many as make a square.",
        )
        .only(&[Only { key: "kind", values: &["grid"] }]),
        Field::default(
            "branching",
            Kind::Integer { least: 1, most: MOST_NODES },
            "2",
            "How many nodes lie below each.",
        )
        .only(&[Only { key: "kind", values: &["tree"] }]),
        Field::default(
            "mean_degree",
            Kind::Number(Range {
                least: 0.0,
                most: 100.0,
                least_allowed: false,
                most_allowed: true,
                what: "a mean number of links",
                example: "4",
            }),
            "4",
            "How many links a node away from the border has on average.",
        )
        .only(&[Only { key: "kind", values: &["waxman"] }]),
        Field::optional(
            "reach",
            Kind::Quantity(&LENGTH),
            "The distance over which the chance of a link falls by e: two nodes at distance d are linked with \
             a probability in proportion to exp(-d / reach) (Waxman, IEEE JSAC 6, 1617 (1988)). Without it, \
             the spacing.",
        )
        .only(&[Only { key: "kind", values: &["waxman"] }]),
        Field::default(
            "links_per_node",
            Kind::Integer { least: 1, most: 100 },
            "2",
            "To how many earlier nodes each new one is linked (Barabási & Albert, Science 286, 509 (1999)).",
        )
        .only(&[Only { key: "kind", values: &["scale-free"] }]),
        Field::optional(
            "link",
            Kind::Table(&link::TEMPLATE),
            "What the links are. Without it, as `defaults` say.",
        ),
        Field::optional(
            "entangling",
            Kind::Table(&entangling::TEMPLATE),
            "What the links are if they entangle, in the place of `link`.",
        ),
        Field::optional(
            "platform",
            Kind::TableOrProfile(&platform::PLATFORM),
            "What the memories of the nodes are. Without it, as `defaults.platform` says.",
        ),
        Field::optional("demand", Kind::Table(&DEMANDS), "Demands between nodes drawn at random."),
        Field::optional(
            "pair_demand",
            Kind::Table(&PAIR_DEMANDS),
            "Demands for pairs between nodes drawn at random, over links that entangle.",
        ),
        Field::optional(
            "circuit",
            Kind::Table(&circuit::CIRCUITS),
            "A circuit for each of these demands. Without it, they name none.",
        ),
    ],
};

static DEMANDS: Record = Record {
    name: "generate.demand",
    doc: "Demands `d0`, `d1`, .. between pairs of generated nodes, drawn at random.",
    layered: false,
    fields: &[
        Field::required("count", Kind::Integer { least: 1, most: MOST_NODES }, "How many demands are made."),
        KEY_SIZE,
        KEY_RATE,
        PRIORITY,
        PATHS,
    ],
};

static PAIR_DEMANDS: Record = Record {
    name: "generate.pair_demand",
    doc: "Demands for pairs `p0`, `p1`, .. between generated nodes, drawn at random.",
    layered: false,
    fields: &[
        Field::required("count", Kind::Integer { least: 1, most: MOST_NODES }, "How many demands are made."),
        Field::optional(
            "reach",
            Kind::Integer { least: 1, most: 100 },
            "How many links the nodes of a demand lie apart at most: the second is where a random walk of 1 to so many \
             steps ends, each number as likely, which passes no node twice. Without it, any two nodes, each pair as likely.",
        ),
        LEAST_FIDELITY,
        PAIRS,
        PAIR_RATE,
        USE,
        WITHIN,
        HOLD,
    ],
};

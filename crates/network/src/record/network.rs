//! Records of the file itself, the run, the nodes and the demands.

use super::quantities::{DURATION, RATE, SIZE};
use super::{
    Field, Kind, Record, circuit, devices, entangling, events, generate, link, live, platform, words,
};
use crate::record::Choice;
use crate::{Detail, Role};

words! { pub Detail {
    "bits" => Bits: "every click is made and the real key is distilled",
    "blocks" => Blocks: "a block's statistics are drawn and the same security bound is applied to them",
} }

words! { pub Role {
    "trusted-node" => TrustedNode: "relays other nodes' keys and is trusted with them; swaps pairs",
    "repeater" => Repeater: "swaps pairs for others and relays no keys: nobody has to trust it",
    "end-node" => EndNode: "uses keys and pairs and passes none on",
} }

/// The whole file.
pub(crate) static FILE: Record = Record {
    name: "network file",
    doc: "A network file. Every physical value is a text with its unit: `\"50 km\"`, `\"0.2 dB/km\"`.",
    layered: false,
    fields: &[
        Field::required(
            "format",
            Kind::Integer { least: 1, most: 1 },
            "The version of the format, 1. It rises when a file could change its meaning.",
        ),
        Field::required("network", Kind::Table(&NETWORK), "What the network is."),
        Field::optional(
            "run",
            Kind::Table(&RUN),
            "How the network is run unless the command says otherwise.",
        ),
        Field::optional(
            "defaults",
            Kind::Table(&DEFAULTS),
            "What holds for every link and node that does not say otherwise, value by value.",
        ),
        Field::optional("node", Kind::Named(&NODE), "The nodes, by name."),
        Field::optional("link", Kind::Named(&link::LINK), "The links that make key, by name."),
        Field::optional(
            "transmitter",
            Kind::Named(&devices::TRANSMITTER),
            "Transmitters that links name as their `profile`; they come before the library's.",
        ),
        Field::optional(
            "receiver",
            Kind::Named(&devices::RECEIVER),
            "Receivers that links name as their `profile`; they come before the library's.",
        ),
        Field::optional(
            "platform",
            Kind::Named(&platform::PLATFORM),
            "Platforms of memories that nodes name as their `profile`; they come before the library's.",
        ),
        Field::optional(
            "entangling",
            Kind::Named(&entangling::ENTANGLING),
            "The links that entangle memories, by name.",
        ),
        Field::optional("circuit", Kind::Named(&circuit::CIRCUIT), "Ways over these, by name."),
        Field::optional("demand", Kind::Named(&DEMAND), "Who wants keys from whom, by name."),
        Field::optional(
            "pair_demand",
            Kind::Named(&circuit::PAIR_DEMAND),
            "Who wants entangled pairs from whom, by name.",
        ),
        Field::optional("sae", Kind::NamedSaes(&live::SAE), "The applications (SAEs), by name."),
        Field::optional(
            "pair",
            Kind::List(&live::PAIR),
            "Which applications may share keys, one `[[pair]]` each.",
        ),
        Field::optional("live", Kind::Table(&live::LIVE), "How the network runs as daemons."),
        Field::optional("event", Kind::List(&events::EVENT), "What happens and when, one `[[event]]` each."),
        Field::optional(
            "generate",
            Kind::Table(&generate::GENERATE),
            "Nodes and links made from a seed, beside those that are written out.",
        ),
    ],
};

static NETWORK: Record = Record {
    name: "network",
    doc: "What the network is.",
    layered: false,
    fields: &[
        Field::required("name", Kind::Text, "The network's name."),
        Field::default("description", Kind::Text, "", "What the network is, in a few sentences."),
        Field::optional("sources", Kind::Texts, "Where the figures of the file come from."),
    ],
};

static RUN: Record = Record {
    name: "run",
    doc: "How the network is run unless the command says otherwise.",
    layered: false,
    fields: &[
        Field::default(
            "duration",
            Kind::Quantity(&DURATION),
            "1 h",
            "How much network time to run: above zero, at most 213 days.",
        ),
        Field::default("detail", Kind::Choice(Detail::WORDS), "blocks", "How closely links are simulated."),
        Field::default(
            "seed",
            Kind::Integer { least: 0, most: u64::MAX },
            "1",
            "What all chance is drawn from. Equal files and seeds give equal results.",
        ),
        Field::default(
            "window",
            Kind::Quantity(&DURATION),
            "100 ms",
            "How often a receiver hands its clicks over at detail `bits`: 10 us or more.",
        ),
        Field::optional(
            "report_interval",
            Kind::Quantity(&DURATION),
            "The time between points of the report's curves. Without it, a two-hundredth of the duration.",
        ),
    ],
};

static DEFAULTS: Record = Record {
    name: "defaults",
    doc: "What holds for every link and node that does not say otherwise, value by value.",
    layered: true,
    fields: &[
        Field::optional("fibre", Kind::Table(&link::FIBRE), "Values for every link's fibre."),
        Field::optional(
            "transmitter",
            Kind::TableOrProfile(&devices::TRANSMITTER),
            "The transmitter of links that name no other.",
        ),
        Field::optional(
            "receiver",
            Kind::TableOrProfile(&devices::RECEIVER),
            "The receiver of links that name no other.",
        ),
        Field::optional("protocol", Kind::Table(&link::PROTOCOL), "Values for every link's protocol."),
        Field::optional(
            "platform",
            Kind::TableOrProfile(&platform::PLATFORM),
            "The platform of nodes that name no other.",
        ),
        Field::optional(
            "entangling",
            Kind::Table(&entangling::DEFAULT_ENTANGLING),
            "Values for every entangling link.",
        ),
    ],
};

/// A node.
pub(crate) static NODE: Record = Record {
    name: "node",
    doc: "A place where keys or pairs are made, kept, passed on or used.",
    layered: false,
    fields: &[
        Field::optional(
            "position",
            Kind::Position,
            "Latitude and longitude, for the map: `[\"48.27 deg\", \"16.42 deg\"]`, north and east positive.",
        ),
        Field::default("role", Kind::Choice(Role::WORDS), "trusted-node", "What the node does for others."),
        Field::optional(
            "pool_capacity",
            Kind::Quantity(&SIZE),
            "How much key the node keeps in each of its pools; more is dropped. Without it, 2^24 bits.",
        ),
        Field::optional(
            "platform",
            Kind::TableOrProfile(&platform::PLATFORM),
            "What its memories are. Without it and `defaults.platform` nothing is told of them, and only `stated` links \
             may end here, with memories and gates taken as perfect.",
        ),
        Field::default("note", Kind::Text, "", "Anything worth saying."),
    ],
};

/// A demand.
pub(crate) static DEMAND: Record = Record {
    name: "demand",
    doc: "A wish for keys that two nodes share.",
    layered: false,
    fields: &[
        Field::required("from", Kind::Name, "The node that asks."),
        Field::required("to", Kind::Name, "The node it wants to share keys with."),
        KEY_SIZE,
        KEY_RATE,
        PRIORITY,
        Field::default(
            "start",
            Kind::Quantity(&DURATION),
            "0 s",
            "When the first key is asked for, since the start of the run.",
        ),
        Field::optional(
            "stop",
            Kind::Quantity(&DURATION),
            "When no more is asked for. Without it, at the end of the run.",
        ),
        Field::optional(
            "total",
            Kind::Integer { least: 1, most: u64::MAX },
            "How many keys are asked for in all. Without it, as many as the time gives.",
        ),
        PATHS,
    ],
};

/// How long a demand's keys are.
pub(crate) const KEY_SIZE: Field =
    Field::default("key_size", Kind::Quantity(&SIZE), "256 bit", "How long each key is.");
/// How often a demand asks.
pub(crate) const KEY_RATE: Field = Field::required(
    "rate",
    Kind::Quantity(&RATE),
    "How many keys are asked for in a second, at regular times.",
);
/// Which demand is served first.
pub(crate) const PRIORITY: Field = Field::default(
    "priority",
    Kind::Integer { least: 0, most: 255 },
    "0",
    "Of two demands for the same pool, the one with the greater number is served first.",
);
/// Over how many routes a demand's keys are split.
pub(crate) const PATHS: Field = Field::default(
    "paths",
    Kind::Integer { least: 1, most: 8 },
    "1",
    "Over how many routes with no relay in common each key is sent in shares, so that no single relay knows \
     it. 1 is plain relay.",
);

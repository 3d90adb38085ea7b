//! Records of the applications, of the pairs of them that may share keys, and of how the network runs live.

use super::quantities::{DURATION, SIZE};
use super::{Field, Kind, Record, words};
use crate::record::Choice;
use crate::{CertificateName, Requirement, WebhookEvent};

words! { pub Requirement {
    "both" => Both: "quantum key and a post-quantum secret, combined: whoever wants the key must break both",
    "quantum-only" => QuantumOnly: "quantum key alone, handed out as it is",
    "post-quantum-while-down" => PostQuantumWhileDown:
        "as `both`; while no quantum key can be had, the post-quantum secret alone, marked as such",
    "refuse" => Refuse: "no key at all",
} }

/// An application.
pub(crate) static SAE: Record = Record {
    name: "sae",
    doc: "An application (SAE) that may ask its node's key manager for keys. Its name has 1 to 64 characters that \
          a URI may hold and stands in its certificate: `[sae.bank-a]`, `[sae.\"urn:example:sae:7\"]`. A file without \
          any is given one application a node when it runs live, called `sae-NODE`, and every pair of them.",
    layered: false,
    fields: &[
        Field::required("node", Kind::Name, "The node whose key manager serves it."),
        Field::optional(
            "keys_per_second",
            MOST_KEYS,
            "The most keys a second that it may ask for in all. Without it, no limit.",
        ),
        Field::optional(
            "public_keys",
            Kind::Texts,
            "Certificates that are this application's whatever name they carry, each by the SHA-256 of its public key \
             (SubjectPublicKeyInfo): 64 hexadecimal digits, colons allowed. The authority must have signed them all \
             the same.",
        ),
    ],
};

/// A pair of applications.
pub(crate) static PAIR: Record = Record {
    name: "pair",
    doc: "Two applications that may share keys. Pairs that are not listed are denied.",
    layered: false,
    fields: &[
        Field::required("master", Kind::SaeName, "The application that asks for new keys (the master SAE)."),
        Field::required(
            "slave",
            Kind::SaeName,
            "The application that collects the same keys by their IDs (the slave SAE).",
        ),
        Field::default(
            "requirement",
            Kind::Choice(Requirement::WORDS),
            "both",
            "What the keys must rest on.",
        ),
        Field::optional(
            "keys_per_second",
            MOST_KEYS,
            "The most keys a second, for each direction. Without it, no limit.",
        ),
        Field::optional(
            "bits_per_day",
            Kind::Integer { least: 1, most: u64::MAX },
            "The most bits a day, for each direction. Without it, no limit.",
        ),
        Field::default(
            "both_ways",
            Kind::Flag,
            "true",
            "Whether the slave may also ask for keys that the master collects.",
        ),
    ],
};

const MOST_KEYS: Kind = Kind::Integer { least: 1, most: u32::MAX as u64 };

/// How the network runs live.
pub(crate) static LIVE: Record = Record {
    name: "live",
    doc: "How the network runs as daemons. A simulation takes no notice of it.",
    layered: false,
    fields: &[
        Field::default(
            "first_port",
            Kind::Integer { least: LEAST_FIRST_PORT as u64, most: 65_000 },
            "4430",
            "Where listeners without an address are found: on 127.0.0.1, three ports for each node from this one on, in \
             the order of the nodes (to other nodes, key manager, operations), then one for the emulated light, then \
             one for the key streams of each node, and in a network with entangling links one for its programs.",
        ),
        Field::optional(
            "physical_layer",
            Kind::Address,
            "Where the emulated light is served to the nodes. Without it, after the last node's ports.",
        ),
        Field::default(
            "head_start",
            Kind::Quantity(&DURATION),
            "10 min",
            "How much network time of light the emulated links have behind them at the start: at most 30 days.",
        ),
        Field::default(
            "key_size",
            Kind::Quantity(&SIZE),
            "256 bit",
            "How long a key is if an application does not say: 64 to 65 536 bits, a multiple of 8.",
        ),
        Field::default(
            "paths",
            Kind::Integer { least: 1, most: 8 },
            "1",
            "Over how many routes with no relay in common a key manager's quantum key is sent in shares, so that fewer \
             relays than that learn nothing. Between nodes that have fewer routes there is no quantum key. 1 is plain \
             relay.",
        ),
        Field::default(
            "starved_after",
            Kind::Quantity(&DURATION),
            "30 s",
            "How long the pools on every way between two nodes must have given nothing for the quantum channel between \
             them to count as down, as it does at once when every way is cut or alarmed: then keys follow the policy of \
             their pair.",
        ),
        Field::default(
            "unknown_key_is_404",
            Kind::Flag,
            "false",
            "Whether applications are answered 404 for a `key_ID` that is not there, as some clients expect, and not \
             400 as ETSI GS QKD 014 says.",
        ),
        Field::default(
            "absent_peer_is_success",
            Kind::Flag,
            "false",
            "Whether OPEN_CONNECT of a key stream (ETSI GS QKD 004) answers 0 although the other application has not \
             opened it, and chunks are given at once, as some clients expect, and not 1 as the standard says.",
        ),
        Field::optional(
            "certificate_names",
            Kind::Choices(CertificateName::WORDS),
            "In which fields of an application's certificate its name is looked for, in this order; the first that \
             holds anything decides. Without it, `[\"uri\", \"dns\", \"common-name\"]`.",
        ),
        Field::default(
            "tls_1_2",
            Kind::Flag,
            "false",
            "Whether applications may speak TLS 1.2 (ECDHE with AEAD), for encryptors that know nothing newer. It is not \
             post-quantum: whoever records it can read it once elliptic curves fall.",
        ),
        Field::optional("node", Kind::Named(&LIVE_NODE), "Where nodes listen, by their names."),
        Field::optional(
            "webhook",
            Kind::Named(&WEBHOOK),
            "Whom the nodes tell what happens, by names of your choice.",
        ),
    ],
};

words! { pub CertificateName {
    "uri" => Uri: "a URI among the alternative names: `urn:bellwether:sae:NAME`, else any other as a whole",
    "dns" => Dns: "a DNS name among the alternative names",
    "common-name" => CommonName: "the subject's common name",
} }

words! { pub WebhookEvent {
    "alarm" => Alarm: "something needs attention",
    "condition" => Condition: "whether a link's key may be used has changed",
    "block" => Block: "a block of a link ended",
    "lost" => Lost: "keys must not be used",
    "burned" => Burned: "key in stock was erased",
    "downgraded" => Downgraded: "keys with a node have no quantum part, or have one again",
    "denied" => Denied: "questions of applications were denied",
    "refused" => Refused: "callers were not let in",
    "policy" => Policy: "a node read its policy anew",
    "started" => Started: "a node runs",
    "stopped" => Stopped: "a node stops",
} }

/// Somebody who is told what happens.
pub(crate) static WEBHOOK: Record = Record {
    name: "live.webhook",
    doc: "An address to which every node posts what happens to it, as JSON, signed with the secret in \
          `STATE/webhooks/NAME.secret`.",
    layered: false,
    fields: &[
        Field::required(
            "url",
            Kind::Text,
            "Where to: `https://HOST/PATH`; `http://` only on this machine (`127.0.0.1`, `[::1]`, `localhost`).",
        ),
        Field::optional(
            "events",
            Kind::Choices(WebhookEvent::WORDS),
            "Of what. Without it, of alarms alone.",
        ),
    ],
};

/// The least of all first ports: those below are for the system.
pub(crate) const LEAST_FIRST_PORT: u16 = 1024;

/// Where a node listens.
pub(crate) static LIVE_NODE: Record = Record {
    name: "live.node",
    doc: "Where a node listens: an IP address and a port, such as `\"192.0.2.7:4430\"` or `\"[2001:db8::7]:4430\"`.",
    layered: false,
    fields: &[
        Field::optional(
            "node_to_node",
            Kind::Address,
            "For other nodes, which connect to this very address. Without it, as `first_port` says.",
        ),
        Field::optional(
            "key_manager",
            Kind::Address,
            "For applications, which ask for keys here. Without it, as `first_port` says.",
        ),
        Field::optional(
            "operations",
            Kind::Address,
            "For metrics, health, events and status. Without it, as `first_port` says.",
        ),
        Field::optional(
            "key_streams",
            Kind::Address,
            "For applications, which take key streams (ETSI GS QKD 004) here. Without it, as `first_port` says.",
        ),
        Field::optional(
            "programs",
            Kind::Address,
            "For programs of applications that use entangled pairs, which attach here; only a node at the end of an \
             entangling link listens. Without it, as `first_port` says.",
        ),
    ],
};

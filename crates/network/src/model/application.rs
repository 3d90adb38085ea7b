//! The applications and which of them may share keys.

use bellwether_units::NodeId;

/// The place of an application in [`Network::saes`](crate::Network::saes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaeId(pub u32);

/// An application (secure application entity, SAE, of ETSI GS QKD 014) that asks for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sae {
    /// The application's name, unique in the network: 1 to 64 characters that a URI may hold.
    pub name: String,
    /// The node whose key manager serves it.
    pub node: NodeId,
    /// The most keys a second that it may ask for in all; `None` is without limit.
    pub keys_per_second: Option<u32>,
    /// SHA-256 digests of public keys (SubjectPublicKeyInfo, DER): whoever has a certificate for one of them is this
    /// application, whatever name the certificate carries.
    pub public_keys: Vec<[u8; 32]>,
}

/// What an ordered pair of applications may have. Pairs that are not listed are denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The application that asks for new keys.
    pub master: SaeId,
    /// The application that collects them by their IDs; it may be the master itself.
    pub slave: SaeId,
    /// What the keys must rest on.
    pub requirement: Requirement,
    /// The most keys a second; `None` is without limit.
    pub keys_per_second: Option<u32>,
    /// The most bits a day; `None` is without limit.
    pub bits_per_day: Option<u64>,
}

/// What the keys of a pair of applications must rest on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requirement {
    /// Quantum key and a post-quantum secret, combined.
    #[default]
    Both,
    /// Quantum key alone.
    QuantumOnly,
    /// As `Both`; while no quantum key can be had, the post-quantum secret alone.
    PostQuantumWhileDown,
    /// No key at all.
    Refuse,
}

impl Requirement {
    /// Whether keys may be had without any quantum key, or not at all.
    pub(crate) fn goes_without_a_route(self) -> bool {
        matches!(self, Self::PostQuantumWhileDown | Self::Refuse)
    }
}

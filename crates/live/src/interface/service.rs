//! What an interface for applications asks of the node's key manager.

use bellwether_protocol::keys::KeyId;
use bellwether_protocol::keys::delivery::{ApplicationKey, DeliveryError, PairStatus, SaeName};
use bellwether_units::NodeId;
use core::future::Future;

/// Keys that a master asks for. All of them are given, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncKeysWanted {
    /// Who asks, as its certificate says.
    pub caller: SaeName,
    /// With whom the keys are to be shared.
    pub slave: SaeName,
    /// With whom else.
    pub additional: Vec<SaeName>,
    /// How many keys.
    pub number: u32,
    /// How long each is, in bits; `None` for the default length.
    pub bits: Option<u32>,
}

/// Keys that a slave fetches by their names. All of them are given, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecKeysWanted {
    /// Who asks, as its certificate says.
    pub caller: SaeName,
    /// Who was given the keys first.
    pub master: SaeName,
    /// Which keys.
    pub ids: Vec<KeyId>,
}

/// A key manager as its interfaces see it: the same for all of them.
pub trait KeyService: Send + Sync + 'static {
    /// Takes fresh keys. A key is given only after its taking is durable.
    fn enc_keys(
        &self,
        wanted: EncKeysWanted,
    ) -> impl Future<Output = Result<Vec<ApplicationKey>, DeliveryError>> + Send;
    /// Fetches keys by their names, each once.
    fn dec_keys(
        &self,
        wanted: DecKeysWanted,
    ) -> impl Future<Output = Result<Vec<ApplicationKey>, DeliveryError>> + Send;
    /// How a pair does.
    fn status(
        &self,
        caller: &SaeName,
        slave: &SaeName,
    ) -> impl Future<Output = Result<PairStatus, DeliveryError>> + Send;
    /// The name of a node, which is that of its key manager.
    fn node_name(&self, node: NodeId) -> String;
}

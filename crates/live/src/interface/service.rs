//! What an interface for applications asks of the node's key manager.

use bellwether_protocol::keys::KeyId;
use bellwether_protocol::keys::delivery::{
    ApplicationKey, DeliveryError, KeyStreamId, PairStatus, SaeName, StreamError, StreamQos, StreamReply,
};
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

/// A key stream that an application opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenStreamWanted {
    /// Who asks, as its certificate says.
    pub caller: SaeName,
    /// The one application.
    pub source: SaeName,
    /// The other.
    pub destination: SaeName,
    /// The stream, if it has a name.
    pub stream: Option<KeyStreamId>,
    /// How it is to be served.
    pub qos: StreamQos,
    /// Chunks are given only once the other application has opened it, too.
    pub waits_for_peer: bool,
}

/// A key manager that serves key streams.
pub trait StreamService: Send + Sync + 'static {
    /// Opens a stream, or joins one; answered by [`StreamReply::Opened`].
    fn open_stream(
        &self,
        wanted: OpenStreamWanted,
    ) -> impl Future<Output = Result<StreamReply, StreamError>> + Send;
    /// Takes a chunk, once; answered by [`StreamReply::Chunk`].
    fn get_chunk(
        &self,
        caller: SaeName,
        stream: KeyStreamId,
        index: u32,
    ) -> impl Future<Output = Result<StreamReply, StreamError>> + Send;
    /// Closes the caller's end; answered by [`StreamReply::Closed`].
    fn close_stream(
        &self,
        caller: SaeName,
        stream: KeyStreamId,
    ) -> impl Future<Output = Result<StreamReply, StreamError>> + Send;
}

//! ETSI GS QKD 004 V2.1.1 (2020-08): key streams.
//!
//! [`Etsi004`] does the three calls for a caller whose certificate was verified; two ways to talk lead to it at one
//! address, told apart by the first byte: the binary [frames](frame) of existing clients, and JSON over HTTPS (the
//! `json` module). What the standard leaves open is settled thus:
//!
//! - source and destination are names of applications: as they stand, behind `urn:bellwether:sae:`, or in a URI
//!   with an authority (`app://bank-a`, `app://bank-a@site-b`) before the `@`, or else the host. One of them must be
//!   the caller;
//! - a chunk is given to each application once, and to none before the other's key manager holds it;
//! - metadata are `{"key_ID": "…", "protection": "…"}`; whoever leaves no room for any (size 0) gets none, and with
//!   too little room the status is 8 and no chunk is spent;
//! - a MIME type other than `application/json` cannot be met (7);
//! - no connection (4) is also the answer to whoever may not call, and for a stream that is not open to the caller;
//!   CLOSE of such a stream is a success;
//! - the number 9 is not used.

pub mod frame;
mod frames;
mod json;
mod status;

pub use frames::KeyStreams;

use super::service::{OpenStreamWanted, StreamService};
use bellwether_protocol::keys::delivery::{
    ApplicationKey, KeyStreamId, Protection, SaeName, StreamError, StreamQos, StreamReply,
};
use core::time::Duration;
use status::{Call, Status};
use std::sync::Arc;

/// The only kind of metadata.
const METADATA_TYPE: &str = "application/json";
/// How long metadata are at most, in bytes.
const METADATA_BYTES: u32 = 82;

/// How the interface differs from the letter of the standard, for clients in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCompatibility {
    /// OPEN_CONNECT answers 0 instead of 1 while the other application has not opened the stream, and chunks are given
    /// without waiting for it: for clients that take 1 for a failure.
    pub absent_peer_is_success: bool,
    /// How long a connection may be silent between two calls.
    pub idle_timeout: Duration,
}

impl Default for StreamCompatibility {
    fn default() -> Self {
        Self { absent_peer_is_success: false, idle_timeout: Duration::from_secs(600) }
    }
}

/// The interface, over any key manager.
pub struct Etsi004<S> {
    service: Arc<S>,
    compatibility: StreamCompatibility,
}

/// The answer to OPEN_CONNECT.
struct Opened {
    status: Status,
    qos: StreamQos,
    stream: Option<KeyStreamId>,
}

/// What OPEN_CONNECT asks for.
struct OpenAsked<'a> {
    source: &'a str,
    destination: &'a str,
    qos: StreamQos,
    mime_type: &'a str,
    stream: Option<KeyStreamId>,
}

impl<S: StreamService> Etsi004<S> {
    /// The interface of a key manager.
    pub fn new(service: Arc<S>, compatibility: StreamCompatibility) -> Self {
        Self { service, compatibility }
    }

    async fn open(&self, caller: &SaeName, asked: OpenAsked<'_>) -> Opened {
        let refused = |status| Opened { status, qos: asked.qos, stream: asked.stream };
        if !["", METADATA_TYPE].contains(&asked.mime_type) {
            return refused(Status::QosNotMet);
        }
        let name = |uri| application_of(uri, caller);
        let (Some(source), Some(destination)) = (name(asked.source), name(asked.destination)) else {
            return refused(Status::NoConnection);
        };
        let compatible = self.compatibility.absent_peer_is_success;
        let wanted = OpenStreamWanted {
            caller: caller.clone(),
            source,
            destination,
            stream: asked.stream,
            qos: asked.qos,
            waits_for_peer: !compatible,
        };
        match self.service.open_stream(wanted).await {
            Ok(StreamReply::Opened { stream, qos, peer_connected }) => {
                let success = peer_connected || compatible;
                let status = if success { Status::Success } else { Status::PeerAbsent };
                Opened { status, qos, stream: Some(stream) }
            }
            Ok(_) => refused(Status::NoConnection),
            Err(StreamError::Quality(qos)) => Opened { status: Status::QosNotMet, qos, stream: asked.stream },
            Err(error) => refused(Status::of(error, Call::Open)),
        }
    }

    /// A chunk and its metadata.
    async fn get(
        &self,
        caller: &SaeName,
        stream: KeyStreamId,
        index: u32,
        metadata_size: u32,
    ) -> Result<(ApplicationKey, String), Status> {
        if (1..METADATA_BYTES).contains(&metadata_size) {
            return Err(Status::MetadataSize);
        }
        match self.service.get_chunk(caller.clone(), stream, index).await {
            Ok(StreamReply::Chunk { key, .. }) => {
                let metadata = if metadata_size == 0 { String::new() } else { metadata(&key) };
                Ok((key, metadata))
            }
            Ok(_) => Err(Status::NoConnection),
            Err(error) => Err(Status::of(error, Call::Get)),
        }
    }

    async fn close(&self, caller: &SaeName, stream: KeyStreamId) -> Status {
        match self.service.close_stream(caller.clone(), stream).await {
            Ok(_) => Status::Success,
            Err(error) => Status::of(error, Call::Close),
        }
    }
}

fn metadata(key: &ApplicationKey) -> String {
    let protection = match key.protection {
        Protection::Hybrid => "hybrid",
        Protection::QuantumOnly => "quantum-only",
        Protection::PostQuantumOnly => "post-quantum-only",
        Protection::Local => "local",
    };
    format!("{{\"key_ID\":\"{}\",\"protection\":\"{protection}\"}}", key.id)
}

/// The application that a source or destination names; see the [module](self).
fn application_of(uri: &str, caller: &SaeName) -> Option<SaeName> {
    if uri == caller.as_str() {
        return Some(caller.clone());
    }
    let name = if let Some(name) = uri.strip_prefix("urn:bellwether:sae:") {
        name
    } else if let Some((_, rest)) = uri.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority.split_once('@') {
            Some((user, _)) => user,
            None => authority.split(':').next().unwrap_or_default(),
        }
    } else {
        uri
    };
    SaeName::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_an_application() {
        let caller: SaeName = "app://x@y".parse().unwrap();
        for (uri, name) in [
            ("bank-a", Some("bank-a")),
            ("urn:bellwether:sae:bank-a", Some("bank-a")),
            ("client://bank-a", Some("bank-a")),
            ("client://bank-a:25575/path?query", Some("bank-a")),
            ("hybrid://bank-a@0b2e7a4c?x=1", Some("bank-a")),
            ("app://x@y", Some("app://x@y")),
            ("app://", None),
            ("", None),
        ] {
            assert_eq!(application_of(uri, &caller).as_ref().map(SaeName::as_str), name, "{uri}");
        }
    }
}

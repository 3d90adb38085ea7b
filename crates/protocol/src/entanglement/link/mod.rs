//! The link layer: pairs between two neighbours.
//!
//! Each end of a link runs a [`LinkEnd`], the heralding station between them a [`Midpoint`]. The ends agree on a queue of
//! requests, arm the same slots for the same requests, and name every pair as the station counted it. After Dahlberg et al.,
//! "A link layer protocol for quantum networks" (SIGCOMM 2019), and draft-dahlberg-ll-quantum-03, with three differences.
//! Attempts that fail are not told one by one. Sequence numbers have 64 bits and an epoch, and never begin anew. Messages of
//! the queue have no sequence numbers of their own: each names what it is about, and does no harm when it comes twice or late.
//!
//! How to drive an end: make it, say [`LinkEnd::start`], and [`LinkEnd::memory_free`] for each memory that it may use. Pass
//! on what the other end sends to [`LinkEnd::hear`] and the station's replies to [`LinkEnd::heard_midpoint`]; carry out the
//! effects in their order; call [`LinkEnd::timeout`] when the time of [`LinkEnd::deadline`] has come, which may change
//! with every call. After a crash make a new end with a higher life; nothing has to be kept.

pub mod draft;
mod effect;
mod end;
mod estimate;
mod fidelity;
mod message;
mod midpoint;
mod pair;
mod request;
mod schedule;
mod sequence;
mod settings;

pub use effect::{AttemptTag, LinkEffect, QueueNumber};
pub use end::LinkEnd;
pub use estimate::{FidelityEstimate, TestBasis};
pub use fidelity::{FidelityLevel, FidelityTable, FidelityTableError};
pub use message::{LinkBody, LinkMessage, Refusal, SequenceRange};
pub use midpoint::{Arrival, Midpoint, MidpointOutcome, MidpointReply};
pub use pair::{LinkPair, LinkUser};
pub use request::{
    BasisChoice, BasisSet, LinkError, LinkRequest, MeasuredBasis, PairDemand, PairKind, RequestId,
};
pub use schedule::{Candidate, LinkPolicy};
pub use settings::{LinkPlace, LinkSettings};

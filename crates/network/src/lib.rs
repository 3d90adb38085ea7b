//! The network file: one TOML file that describes a quantum network, read into a form that cannot be wrong.
//!
//! [`Network::read`] and [`Network::parse`] give a [`Network`] in which every value has its unit, every name
//! is resolved to an identifier and every condition holds that the models and bounds rely on; or [`Errors`],
//! which name the file, the line, the text at fault and the remedy, for all mistakes of the file at once.

mod model;

pub use model::demand::Demand;
pub use model::device::{
    Afterpulsing, BasisChoice, DeadTimeScope, Detector, DetectorTechnology, Intensity, Receiver, Source,
    Transmitter,
};
pub use model::event::{Attack, EavesdropperBasis, Event, EventKind, LinkEvent, NodeEvent, Tampering};
pub use model::fibre::{Attenuation, ClassicalChannel, Direction, Drift, Fibre};
pub use model::link::{Evidence, Fitted, Link, Published};
pub use model::protocol::{Bound, CascadeVariant, ProtocolSettings, Reconciliation, TagPolicy};
pub use model::size::Size;
pub use model::{Detail, Identity, Network, Node, Position, Role, Run};

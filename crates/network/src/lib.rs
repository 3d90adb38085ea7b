//! The network file: one TOML file that describes a quantum network, read into a form that cannot be wrong.
//!
//! [`Network::read`] and [`Network::parse`] give a [`Network`] in which every value has its unit, every name
//! is resolved to an identifier and every condition holds that the models and bounds rely on; or [`Errors`],
//! which name the file, the line, the text at fault and the remedy, for all mistakes of the file at once.

mod check;
mod cost;
mod error;
mod generate;
mod lower;
mod model;
mod overrides;
mod profile;
mod read;
mod reader;
mod record;
mod reference;
mod schema;
mod sink;
mod text;
mod wording;

pub use error::{Errors, Mistake, Place, Problem};
pub use model::application::{Pair, Requirement, Sae, SaeId};
pub use model::demand::Demand;
pub use model::device::{
    Afterpulsing, BasisChoice, DeadTimeScope, Detector, DetectorTechnology, Intensity, Receiver, Source,
    Transmitter,
};
pub use model::entanglement::{
    Availability, Calibration, ChargeCheck, Circuit, Cutoff, EntanglingLink, PairDemand, PairUse,
    PublishedPairs, PurificationRound, QubitUse, Scheme, StatedPair, Station, WaitingPair,
};
pub use model::event::{Attack, EavesdropperBasis, Event, EventKind, LinkEvent, NodeEvent, Tampering};
pub use model::fibre::{Attenuation, ClassicalChannel, Direction, Drift, Fibre};
pub use model::link::{Evidence, Fitted, Link, Published, Recording};
pub use model::live::{CertificateName, Listener, Listeners, Live, Webhook, WebhookEvent};
pub use model::platform::{DephasingLaw, Gate, Interface, Noise, Platform, PlatformKind, Qubit, Retrieval};
pub use model::protocol::{Bound, ProtocolSettings, Reconciliation, ReconciliationFamily, TagPolicy};
pub use model::size::Size;
pub use model::{Detail, Identity, Network, Node, Position, Role, Run};
pub use overrides::{Override, OverrideError};
pub use profile::{Basis, Device, Figures, Profile, profiles};
pub use reference::reference_markdown;
pub use schema::schema;

/// The candidate most like `word`, if it is like enough to have been meant.
fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let (distance, near) = closest(word, candidates)?;
    let begun = word.len() >= 3 && near.starts_with(word);
    (begun || distance <= 2.max(near.chars().count() / 3)).then_some(near)
}

/// The candidate most like `word`.
fn nearest_of_all<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    closest(word, candidates).map(|(_, near)| near)
}

fn closest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<(usize, &'c str)> {
    // A network may have a million names; what is far down the list is not looked at.
    const MOST: usize = 20_000;
    let word: String = word.chars().take(64).collect::<String>().to_lowercase();
    candidates
        .take(MOST)
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .min()
}

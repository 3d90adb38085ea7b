//! Keys for applications: stock, allocation, collection, between the key managers of two nodes.
//!
//! The types of this interface, the directory of who may share keys, the frames between key managers and the
//! combination of quantum key with a post-quantum secret (ML-KEM-768).

mod api;
#[allow(dead_code, reason = "the machine on top comes next")]
mod codec;
#[allow(dead_code, reason = "the machine on top comes next")]
mod combine;
#[allow(dead_code, reason = "the machine on top comes next")]
mod directory;
mod name;
#[allow(dead_code, reason = "the machine on top comes next")]
mod settings;
#[allow(dead_code, reason = "the machine on top comes next")]
mod wire;

pub use api::{
    Alarm, ApplicationKey, Audit, BurnedCause, Command, DecKeys, DeliveryError, EncKeys, Event, LostCause,
    PairStatus, Protection, Ticket,
};
pub use codec::DecodeError;
pub use directory::{Directory, DirectoryError, PairPolicy, Requirement};
pub use name::{MAX_SAE_NAME, NameError, SaeName};
pub use settings::Settings;
pub use wire::check_frame;

//! Keys for applications: stock, allocation, collection, between the key managers of two nodes.
//!
//! The types of this interface, the directory of who may share keys, the frames between key managers and the
//! combination of quantum key with a post-quantum secret (ML-KEM-768).

mod allocate;
mod announce;
mod api;
mod codec;
mod collect;
mod combine;
mod directory;
mod exchange;
mod hello;
mod kem;
mod manager;
mod name;
mod peer;
mod rate;
mod record;
mod restock;
mod settings;
mod stock;
mod wire;

pub use api::{
    Alarm, ApplicationKey, Audit, BurnedCause, Command, DecKeys, DeliveryError, EncKeys, Event, LostCause,
    PairStatus, Protection, Ticket,
};
pub use codec::DecodeError;
pub use directory::{Directory, DirectoryError, PairPolicy, Requirement};
pub use manager::{KeyManager, Memory};
pub use name::{MAX_SAE_NAME, NameError, SaeName};
pub use record::{Change, Record};
pub use settings::Settings;
pub use wire::check_frame;

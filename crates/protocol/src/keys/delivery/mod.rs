//! Keys for applications: stock, allocation and collection, between the key managers of two nodes.
//!
//! A [`KeyManager`] sits above a [`KeyNode`](super::KeyNode) and turns its keys into keys for pairs of applications
//! (SAEs), as ETSI GS QKD 014 has them asked for. It is a state machine without I/O like the others. Life of a key:
//!
//! 1. Stock for a peer is low: [`Event::WantQuantum`] asks the key node for a block. Both ends get it
//!    ([`Command::QuantumKey`]); whoever asked owns it.
//! 2. The owner offers the block with an ML-KEM-768 encapsulation key (FIPS 203); the holder encapsulates, makes the
//!    block durable and answers with ciphertext and a proof that it has the same quantum key and secret. The
//!    owner checks it and makes the block durable. A wrong proof burns the block at both ends.
//! 3. A master asks ([`Command::EncKeys`]). The owner takes stretches from the front of its blocks, without asking
//!    anyone; the key is derived from them and the blocks' secrets (ETSI TS 103 744, CatKDF), bound to its
//!    identifier and its applications. How far the blocks are used, and what is to be announced, becomes durable in
//!    one record; then the answer leaves and the announcement is sent until it is acknowledged.
//! 4. The holder applies announcements in order and once, makes the same keys, and acknowledges once that is durable.
//! 5. A slave collects ([`Command::DecKeys`]): that becomes durable, then the answer leaves. Who has collected a key
//!    never gets it again; when all have, it is erased.
//!
//! A continuous stream of key between two applications (ETSI GS QKD 004) is made of the same stock in the same way:
//! see [`OpenStream`], [`GetChunk`] and [`CloseStream`].
//!
//! A key for applications at several nodes comes from the stock of the first, and goes to each other under a pad
//! from that node's stock. Keys for applications of one node are made there from the generator.
//!
//! What is promised, whatever frames are lost, doubled, late or reordered, and wherever a machine stops: no bit of
//! quantum key is in two keys; a key is handed to its master once and to each slave once, with equal bits; and one
//! that stands at one end alone is reported by [`Event::Lost`]. If the driver does not vouch for its store
//! ([`Memory::Doubtful`]), or a peer remembers more than the store, whatever may have been used is burned, and
//! [`Alarm::RolledBack`] covers the keys of the time that is forgotten, whose names nobody there knows any more. A
//! store that is rolled back while the driver vouches for it and no peer had heard of what was done since cannot be
//! told from a current one: hence the driver must keep a counter outside of the store.
//!
//! The driver's side of the bargain: records become durable in the order of their numbers, each as a whole (after a
//! crash, a prefix of them is in the store); a restored machine is given all entries; `rng` is cryptographically
//! strong; frames go over a channel that authenticates both nodes; what an application asks is attributed to the
//! name in its certificate.

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
mod restore;
mod settings;
mod stock;
mod streams;
mod wire;

pub use api::{
    Alarm, ApplicationKey, Audit, BurnedCause, Command, DecKeys, DeliveryError, Drought, EncKeys, Event,
    LostCause, PairStatus, Protection, Ticket,
};
pub use codec::DecodeError;
pub use directory::{Directory, DirectoryError, PairPolicy, Requirement};
pub use manager::{KeyManager, Memory};
pub use name::{MAX_SAE_NAME, NameError, SaeName};
pub use record::{Change, Record};
pub use settings::Settings;
pub use streams::{
    CloseStream, GetChunk, KeyStreamId, MAX_CHUNKS_AHEAD, OpenStream, StreamError, StreamQos, StreamReply,
};
pub use wire::check_frame;

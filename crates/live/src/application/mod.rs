//! What stands on the other side of a key manager: software that uses its keys.
//!
//! - [`client`]: a client of any ETSI GS QKD 014 server.
//! - [`printed`]: keys as text.
//! - [`supply`]: keys for an application that shares them with one other.
//! - [`tunnel`]: connections of programs, under such keys.
//! - [`wireguard`]: pre-shared keys of WireGuard, from such keys.

pub mod client;
pub mod printed;
pub mod supply;
pub mod tunnel;
pub mod wireguard;

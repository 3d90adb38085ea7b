//! What stands on the other side of a key manager: software that uses its keys.
//!
//! - [`client`]: a client of any ETSI GS QKD 014 server.

pub mod client;

//! What stands on the other side of a key manager: software that uses its keys.
//!
//! - [`client`]: a client of any ETSI GS QKD 014 server.
//! - [`printed`]: keys as text.

pub mod client;
pub mod printed;
pub mod supply;
pub mod tunnel;

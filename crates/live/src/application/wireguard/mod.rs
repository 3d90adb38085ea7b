//! Pre-shared keys of WireGuard from key managers, changed at both ends in step.
//!
//! WireGuard mixes a pre-shared key into its handshake (Donenfeld, NDSS 2017, section 5.2), about every two minutes while
//! something is sent; what it agrees on then protects the session until the next. Against whoever breaks its elliptic
//! curve one day, the pre-shared key is what remains.
//!
//! The *initiator* gets a key from its key manager (ETSI GS QKD 014 V1.1.1, enc_keys) and names it to the *responder* on a
//! channel of their own, a connection like one of the [`tunnel`](super::tunnel) with keys of another purpose; the responder
//! collects it (dec_keys). Once each has proven that it holds the key, both derive the pre-shared key from it.
//!
//! - [`rotation`]: one end as a state machine without I/O.
//! - [`interface`]: the program `wg`.
//! - [`run`]: sockets, key managers and `wg` around it.

pub mod interface;
pub mod rotation;
pub mod run;
#[cfg(test)]
mod tests;

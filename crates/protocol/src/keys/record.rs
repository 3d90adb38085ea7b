//! What must survive a crash.

/// One durable step of a key node. It holds secrets: a driver that writes it must encrypt it.
#[derive(Clone, Debug)]
pub struct Record {}

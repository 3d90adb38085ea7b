//! Interfaces for applications and operators: what a node's key manager offers over the network.
//!
//! Those for applications stand on one [`KeyService`](service::KeyService) and one [`listener`](listener::Listener), which
//! does TLS, tells who calls and bounds what a caller can take up.

pub mod etsi004;
pub mod etsi014;
pub mod http;
pub mod listener;
pub mod operations;
pub mod service;

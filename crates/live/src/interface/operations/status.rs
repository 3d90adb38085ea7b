//! How a node does, as `GET /api/v1/status` tells it in JSON.
//!
//! Members may be added within a version; none changes its meaning or goes. [`Status::version`] counts the rest.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of what is told.
pub const VERSION: u32 = 1;

/// How a node does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`VERSION`].
    pub version: u32,
    /// The network's name.
    pub network: String,
    /// The node's name.
    pub node: String,
    /// The version of the program.
    pub software: String,
    /// The time of day, UTC, RFC 3339.
    pub time: String,
    /// How long the node has been running, in seconds.
    pub uptime_seconds: f64,
    /// Why the node cannot serve; none if it can.
    pub not_ready: Option<String>,
    /// Where applications ask for keys.
    pub key_manager: String,
    /// The node's own links.
    pub links: Vec<LinkStatus>,
    /// The nodes with which applications here may share keys.
    pub peers: Vec<PeerStatus>,
    /// The last alarms, the newest last, as they were told as events.
    pub alarms: Vec<Value>,
    /// Questions of applications.
    pub requests: Requests,
    /// Connections to the other nodes.
    pub transport: Vec<TransportStatus>,
    /// The audit log.
    pub audit: AuditStatus,
}

/// How a link does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The link's name.
    pub link: String,
    /// The node at its other end.
    pub peer: String,
    /// `up`, `cut` or `alarmed`.
    pub condition: String,
    /// The number of the open session; none if none is open.
    pub session: Option<u64>,
    /// Whether the other end's light is seen; none before it is known.
    pub light: Option<bool>,
    /// Whether the devices answer.
    pub devices: bool,
    /// Windows of detections that were lost since the start because they were not taken in time.
    pub lost_windows: u64,
    /// Blocks since the start.
    pub blocks: Blocks,
    /// The block that is being gathered; none before it is known.
    pub open_block: Option<OpenBlock>,
    /// The last block; none before the first.
    pub last_block: Option<LastBlock>,
    /// Secret bits since the start.
    pub secret_bits: u64,
    /// Secret bits a second, over the last minute.
    pub secret_bits_per_second: f64,
    /// Alarms since the start, by kind.
    pub alarms: BTreeMap<String, u64>,
    /// The key held in common with the other end.
    pub pool: Pool,
}

/// What became of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// With key.
    pub distilled: u64,
    /// Without, by why.
    pub discarded: BTreeMap<String, u64>,
}

/// A block that is being gathered: the key comes once it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBlock {
    /// Sifted key bits that it has.
    pub sifted_bits: u64,
    /// With how many it is closed.
    pub of_bits: u64,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastBlock {
    /// Its number.
    pub block: u64,
    /// The error rate of the key basis, as a fraction, if it is known.
    pub qber_key: Option<f64>,
    /// The error rate of the check basis, as a fraction, if it is known.
    pub qber_check: Option<f64>,
    /// Bits of key handed out.
    pub key_bits: u64,
}

/// Where the key of a pool went since the pool is kept, in bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// At this end's disposal now.
    pub outgoing: u64,
    /// At the other end's disposal now.
    pub incoming: u64,
    /// Waiting for the other end's confirmation now.
    pub unconfirmed: u64,
    /// Accepted so far.
    pub stored: u64,
    /// Dropped because the pool was full.
    pub overflow: u64,
    /// Set apart for tags.
    pub hashing: u64,
    /// Taken by this end.
    pub taken: u64,
    /// Taken by the other end.
    pub received: u64,
    /// Burned.
    pub burned: u64,
}

/// The stock of key for applications at another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The node.
    pub peer: String,
    /// Whether the two key managers have heard each other since they started.
    pub met: bool,
    /// Bits of quantum key that this node may take for keys with it.
    pub stock_bits: u64,
    /// Why the network gives no quantum key for keys with it now; none while it gives some, or was not asked.
    pub drought: Option<String>,
    /// Why keys with it have no quantum part now; none if they have, or if nobody may go without.
    pub downgraded: Option<String>,
}

/// Questions of applications and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Answers since the start, by method and result.
    pub answers: BTreeMap<String, BTreeMap<String, u64>>,
    /// Questions under way.
    pub open: usize,
    /// Keys given to masters since the start, by what they rest on.
    pub issued: BTreeMap<String, u64>,
    /// Keys given to slaves since the start.
    pub collected: u64,
    /// Keys that wait to be collected here.
    pub pending: usize,
    /// Keys that were lost since the start, by why.
    pub lost: BTreeMap<String, u64>,
    /// Bits of stock burned since the start, by why.
    pub stock_burned: BTreeMap<String, u64>,
    /// Questions denied since the start.
    pub denied: u64,
}

/// The connections to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportStatus {
    /// The node.
    pub peer: String,
    /// Whether the sending direction is connected.
    pub connected: bool,
    /// Connections made so far.
    pub connections: u64,
    /// Attempts that failed and connections that broke.
    pub failures: u64,
    /// Frames written.
    pub frames_sent: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Frames that came.
    pub frames_received: u64,
    /// Bytes that came.
    pub bytes_received: u64,
    /// Frames dropped.
    pub frames_dropped: u64,
}

/// The audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditStatus {
    /// How many entries the chain has.
    pub entries: u64,
    /// The hash of the last entry on the disk, hexadecimal. Kept elsewhere, it shows later that the log's end was
    /// not cut off.
    pub hash: String,
    /// Entries that wait to be written.
    pub waiting: usize,
}

//! What a key node may be told to do differently.

use bellwether_units::Duration;

/// The limits and times of a [`KeyNode`](super::KeyNode); all nodes of a network should have the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The most key a pool holds, both halves together, in bits; what comes beyond is counted as overflow.
    pub pool_capacity: u64,
    /// The shortest key that may be asked for, in bits; at least 64.
    pub min_key_bits: u32,
    /// The longest key that may be asked for, in bits; at most 2^20.
    pub max_key_bits: u32,
    /// How many requests may wait or be in flight at one source.
    pub queue_limit: usize,
    /// How many transfers a node may relay at a time, and how many keys it may hold as a destination.
    pub transfer_limit: usize,
    /// How many routes are tried for one request.
    pub max_attempts: u32,
    /// The longest route, in links; at most 1024.
    pub max_hops: usize,
    /// How long a source waits for an acknowledgement before it sends again, for one hop; each further hop adds
    /// an eighth. The wait doubles with each sending.
    pub retransmit: Duration,
    /// How often a transfer is sent before its route is given up.
    pub sendings: u32,
    /// How long waiting requests sleep before the pools are looked at again; up to 16 times as long when it was in
    /// vain. News of the node's own pools wakes them at once.
    pub retry: Duration,
    /// How long a link that failed a transfer is avoided by the source that saw it.
    pub penalty: Duration,
    /// After how long a destination asks about a key that it holds and that the source has not decided.
    pub query: Duration,
    /// How long a destination holds an undecided key, and a source remembers a decision, before the key is
    /// reported as lost.
    pub doubt_limit: Duration,
    /// How long a block waits for the peer's confirmation before it is announced again; the wait doubles.
    pub announce: Duration,
    /// How often a block is announced before it is burned as missing at the peer.
    pub announcements: u32,
    /// The unit of the levels told to other nodes, in bits: they are told in powers of two of it.
    pub level_quantum: u64,
    /// How far changes of pool level are flooded, in hops; 0 leaves it to a controller
    /// ([`Command::View`](super::Command::View)).
    pub level_radius: u8,
    /// How far cuts and alarms are flooded, in hops.
    pub condition_radius: u8,
    /// How long it is believed that a distant pool holds too little; after that it is worth a try again.
    pub level_lifetime: Duration,
    /// The least time between two floods about the level of one link from one end.
    pub level_interval: Duration,
    /// How many links' states a node remembers besides its own.
    pub view_limit: usize,
    /// How long a note for the journal that nothing waits for may wait for company.
    pub note_interval: Duration,
    /// How long a computed route is used again without looking for a better one.
    pub route_lifetime: Duration,
}

impl Settings {
    /// The settings with every wait at least a millisecond, so that no machine spins.
    pub(super) fn made_sound(mut self) -> Self {
        let least = Duration::from_milliseconds(1);
        for wait in [
            &mut self.retransmit,
            &mut self.retry,
            &mut self.penalty,
            &mut self.query,
            &mut self.doubt_limit,
            &mut self.announce,
            &mut self.level_interval,
            &mut self.note_interval,
        ] {
            *wait = (*wait).max(least);
        }
        self.sendings = self.sendings.clamp(1, 16);
        self.max_attempts = self.max_attempts.max(1);
        self.max_hops = self.max_hops.min(super::wire::MAX_ROUTE);
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pool_capacity: 1 << 24,
            min_key_bits: 64,
            max_key_bits: 1 << 20,
            queue_limit: 4096,
            transfer_limit: 4096,
            max_attempts: 6,
            max_hops: 256,
            retransmit: Duration::from_milliseconds(200),
            sendings: 3,
            retry: Duration::from_milliseconds(250),
            penalty: Duration::from_whole_seconds(2),
            query: Duration::from_whole_seconds(2),
            doubt_limit: Duration::from_whole_seconds(600),
            announce: Duration::from_whole_seconds(1),
            announcements: 6,
            level_quantum: 1024,
            level_radius: 16,
            condition_radius: 255,
            level_lifetime: Duration::from_whole_seconds(60),
            level_interval: Duration::from_whole_seconds(1),
            view_limit: 1 << 16,
            note_interval: Duration::from_whole_seconds(1),
            route_lifetime: Duration::from_whole_seconds(1),
        }
    }
}

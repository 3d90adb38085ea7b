//! What a key manager may be told to do differently.

use bellwether_units::Duration;

/// The limits and times of a [`KeyManager`](super::KeyManager).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long a key is if nobody says, in bits (`key_size` of ETSI GS QKD 014).
    pub key_bits: u32,
    /// The shortest key that may be asked for, in bits; a multiple of 8.
    pub min_key_bits: u32,
    /// The longest key that may be asked for, in bits; at most 2^20.
    pub max_key_bits: u32,
    /// The most keys of one request (`max_key_per_request`); at most 1024.
    pub max_keys_per_request: u32,
    /// The most bits of one request in all; at most 2^21.
    pub max_request_bits: u64,
    /// The most applications besides the slave that one key may go to (`max_SAE_ID_count`); at most 64.
    pub max_additional_slaves: u32,
    /// How long a request waits for key while some may come.
    pub patience: Duration,
    /// How long a collection waits for the news of its keys.
    pub collect_patience: Duration,
    /// How many requests and collections may wait or be written at a time.
    pub waiting_limit: usize,
    /// How long a key waits to be collected; a restart begins anew.
    pub lifetime: Duration,
    /// How many keys of one peer, and of this node's own masters, may wait to be collected.
    pub pending_limit: usize,
    /// How many key streams an application may have at a time.
    pub streams_per_application: usize,
    /// After how long without a call a stream is closed at an application's end.
    pub stream_idle: Duration,
    /// The longest time that an application may let a call about a stream wait.
    pub longest_call: Duration,
    /// How much stock is kept for a peer that nobody asks keys for, in bits.
    pub idle_stock_bits: u64,
    /// The most stock for one peer, in bits.
    pub max_stock_bits: u64,
    /// The smallest stretch asked of the network at a time, in bits; a multiple of 8, at least 512.
    pub min_block_bits: u32,
    /// The largest, in bits; at most 2^20, and not above what the key nodes give at a time.
    pub max_block_bits: u32,
    /// How many stretches may be asked of the network for one peer at a time.
    pub requests_in_flight: usize,
    /// How long the network may try to serve one.
    pub quantum_patience: Duration,
    /// The priority of these requests.
    pub priority: u8,
    /// Over how many disjoint routes they are to go: see [`Request::paths`](crate::keys::Request::paths).
    pub paths: u8,
    /// The first wait after a refusal before more is asked for; it doubles up to `longest_wait`.
    pub first_wait: Duration,
    /// The longest wait between two tries of anything.
    pub longest_wait: Duration,
    /// When the pools on every way have given nothing for so long, the quantum channel counts as down.
    pub starved_after: Duration,
    /// How many keys one post-quantum secret may give while there is no quantum key.
    pub post_quantum_uses: u32,
    /// How long the other end's word is waited for before something is sent again; it doubles.
    pub resend: Duration,
    /// How often a block is offered before it is burned.
    pub offers: u32,
    /// How long an announcement may wait for company.
    pub batch: Duration,
    /// How many announcements may wait to be acknowledged by one peer.
    pub announcement_limit: usize,
    /// How many blocks of one peer are held.
    pub block_limit: usize,
    /// How long a note for the store that nothing waits for may wait for company.
    pub note_interval: Duration,
}

impl Settings {
    /// The settings within the limits of the wire, and with no wait so short that the machine would spin.
    pub(super) fn made_sound(mut self) -> Self {
        let least = Duration::from_milliseconds(1);
        for wait in [
            &mut self.patience,
            &mut self.collect_patience,
            &mut self.lifetime,
            &mut self.quantum_patience,
            &mut self.first_wait,
            &mut self.longest_wait,
            &mut self.resend,
            &mut self.batch,
            &mut self.note_interval,
            &mut self.stream_idle,
            &mut self.longest_call,
        ] {
            *wait = (*wait).max(least);
        }
        let whole_bytes = |bits: u32| bits / 8 * 8;
        self.min_key_bits = whole_bytes(self.min_key_bits).max(8);
        self.max_key_bits = whole_bytes(self.max_key_bits).clamp(self.min_key_bits, 1 << 20);
        self.key_bits = whole_bytes(self.key_bits).clamp(self.min_key_bits, self.max_key_bits);
        self.max_keys_per_request = self.max_keys_per_request.clamp(1, 1024);
        self.max_request_bits = self.max_request_bits.min(1 << 21);
        self.max_additional_slaves = self.max_additional_slaves.min(64);
        self.min_block_bits = whole_bytes(self.min_block_bits).clamp(512, 1 << 20);
        self.max_block_bits = whole_bytes(self.max_block_bits).clamp(self.min_block_bits, 1 << 20);
        self.block_limit = self.block_limit.clamp(1, 1 << 15);
        self.offers = self.offers.clamp(1, 32);
        self.post_quantum_uses = self.post_quantum_uses.max(1);
        self.requests_in_flight = self.requests_in_flight.max(1);
        self
    }

    /// The wait before the `n`-th repetition of something, counted from 0.
    pub(super) fn backoff(&self, first: Duration, n: u32) -> Duration {
        let doubled = first.picoseconds().saturating_mul(1 << n.min(20));
        Duration::from_picoseconds(doubled.min(self.longest_wait.picoseconds()))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key_bits: 256,
            min_key_bits: 64,
            max_key_bits: 1 << 16,
            max_keys_per_request: 128,
            max_request_bits: 1 << 21,
            max_additional_slaves: 16,
            patience: Duration::from_whole_seconds(2),
            collect_patience: Duration::from_whole_seconds(2),
            waiting_limit: 4096,
            lifetime: Duration::from_whole_seconds(3600),
            pending_limit: 1 << 20,
            streams_per_application: 64,
            stream_idle: Duration::from_whole_seconds(3600),
            longest_call: Duration::from_whole_seconds(60),
            idle_stock_bits: 64 * 256,
            max_stock_bits: 1 << 24,
            min_block_bits: 1 << 10,
            max_block_bits: 1 << 16,
            requests_in_flight: 8,
            quantum_patience: Duration::from_whole_seconds(1),
            priority: 0,
            paths: 1,
            first_wait: Duration::from_milliseconds(100),
            longest_wait: Duration::from_whole_seconds(5),
            starved_after: Duration::from_whole_seconds(30),
            post_quantum_uses: 1024,
            resend: Duration::from_milliseconds(200),
            offers: 8,
            batch: Duration::from_milliseconds(2),
            announcement_limit: 1 << 16,
            block_limit: 4096,
            note_interval: Duration::from_whole_seconds(1),
        }
    }
}

//! What a key manager knows of another one.

use super::directory::Neighbourhood;
use super::kem::Opener;
use super::stock::{Held, Owned, Provenance};
use super::wire::{ENCAPSULATION_KEY, Life, Word};
use crate::keys::{KeyId, Refusal};
use bellwether_units::{Duration, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Quantum key as a key node handed it out.
pub(super) struct Fresh {
    pub(super) id: KeyId,
    pub(super) quantum: Zeroizing<Vec<u8>>,
    pub(super) provenance: Arc<Provenance>,
}

/// A block that this node offered.
pub(super) struct Offer {
    pub(super) fresh: Fresh,
    pub(super) opener: Opener,
    pub(super) public: Box<[u8; ENCAPSULATION_KEY]>,
    pub(super) sendings: u32,
}

/// An offer of the peer whose quantum key is not here yet.
pub(super) struct Offered {
    pub(super) quantum_bits: u32,
    pub(super) public: Box<[u8; ENCAPSULATION_KEY]>,
}

#[derive(Default)]
pub(super) struct Peer {
    pub(super) neighbourhood: Neighbourhood,

    // Meeting.
    /// Both have heard each other since they started.
    pub(super) met: bool,
    /// The peer's life, if met.
    pub(super) life: Life,
    /// Of the hello last heard.
    pub(super) seen_life: Life,
    pub(super) seen_challenge: u64,
    pub(super) challenge: u64,
    pub(super) hellos: u32,
    /// The store was found to be old, and this peer is not known to have heard that yet. Durable.
    pub(super) doubtful: bool,

    // As owner.
    pub(super) owned: Owned,
    pub(super) fresh: VecDeque<Fresh>,
    pub(super) offers: BTreeMap<KeyId, Offer>,
    /// Accepted, and not durable yet.
    pub(super) accepting: BTreeSet<KeyId>,
    /// Announcements that the peer has not acknowledged.
    pub(super) words: BTreeMap<u64, Word>,
    /// The number of the last announcement made.
    pub(super) said: u64,
    /// Of the last one that is durable.
    pub(super) durable: u64,
    /// Of the last one sent since they met.
    pub(super) sent: u64,
    pub(super) resends: u32,

    // As holder.
    pub(super) held: Held,
    pub(super) arrived: BTreeMap<KeyId, Fresh>,
    pub(super) arrivals: VecDeque<KeyId>,
    pub(super) offered: BTreeMap<KeyId, Offered>,
    /// The number of the last announcement applied, and of the last one applied durably.
    pub(super) applied: u64,
    pub(super) heard: u64,
    pub(super) missing: BTreeMap<u64, Vec<KeyId>>,

    // Stock.
    pub(super) block_bits: u32,
    pub(super) requested_bits: u64,
    pub(super) requested: usize,
    pub(super) refusals: u32,
    pub(super) wait_until: Time,
    pub(super) down: Option<Refusal>,
    /// Since when the pools on every way have given nothing.
    pub(super) starved: Option<Time>,
    pub(super) recent: Recent,
    /// How many bits the waiting requests want.
    pub(super) wanted: u64,
}

impl Peer {
    /// The number of the first announcement that is not acknowledged.
    pub(super) fn base(&self) -> u64 {
        self.words.first_key_value().map_or(self.said + 1, |(number, _)| *number)
    }
    /// Why keys may have no quantum part now.
    pub(super) fn downgraded(&self) -> Option<Refusal> {
        self.down.filter(|_| self.neighbourhood.may_downgrade)
    }
    /// How many bits of quantum key are in stock or on their way into it.
    pub(super) fn coming(&self) -> u64 {
        let bytes = |fresh: &Fresh| fresh.quantum.len();
        let offered: usize = self.offers.values().map(|o| bytes(&o.fresh)).sum();
        let fresh: usize = self.fresh.iter().map(bytes).sum();
        8 * (self.owned.left() + offered + fresh) as u64 + self.requested_bits
    }
}

/// How much was used lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    since: Time,
    now: u64,
    before: u64,
}

impl Recent {
    const SPAN: Duration = Duration::from_whole_seconds(5);

    fn roll(&mut self, now: Time) {
        let elapsed = now.since(self.since);
        if elapsed >= Self::SPAN {
            self.before = if elapsed < Self::SPAN * 2 { self.now } else { 0 };
            self.now = 0;
            self.since = now;
        }
    }
    pub(super) fn add(&mut self, now: Time, bits: u64) {
        self.roll(now);
        self.now += bits;
    }
    /// The bits used in the last five to ten seconds.
    pub(super) fn bits(&mut self, now: Time) -> u64 {
        self.roll(now);
        self.now + self.before
    }
}

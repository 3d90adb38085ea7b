//! Admission: what a node's links have promised to circuits, and what they can promise yet.

use super::terms::{BestTerms, CircuitRefusal, CircuitTerms, HopTerms};
use crate::entanglement::CircuitId;
use crate::entanglement::network::Hop;
use crate::entanglement::purification::Recurrence;
use crate::entanglement::routing::LinkKind;
use bellwether_units::{LinkId, NodeId};
use std::collections::BTreeMap;

/// A link of this node, for admission.
#[derive(Clone, Debug)]
pub struct SignallingLink {
    /// Which.
    pub link: LinkId,
    /// Who is at the other end.
    pub peer: NodeId,
    /// What it can do.
    pub kind: LinkKind,
    /// How many memories this end has for it.
    pub memories: u16,
}

/// What a circuit has of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Promise {
    /// Which share of the link's time.
    share: f64,
    memories: u16,
}

#[derive(Debug)]
struct Account {
    link: SignallingLink,
    promises: BTreeMap<CircuitId, Promise>,
}

/// Rounding must not refuse what was told to be possible.
const ROUNDING: f64 = 1e-9;

impl Account {
    fn promised(&self) -> Promise {
        let add = |sum: Promise, p: &Promise| Promise {
            share: sum.share + p.share,
            memories: sum.memories.saturating_add(p.memories),
        };
        self.promises.values().fold(Promise::default(), add)
    }

    /// What this link can do for a circuit, and what that takes of it.
    fn offer(&self, terms: &CircuitTerms, hop: &HopTerms) -> (BestTerms, Promise) {
        let SignallingLink { kind, memories, .. } = &self.link;
        let promised = self.promised();
        let free = memories.saturating_sub(promised.memories);
        // Each round keeps a pair in a memory while another is made.
        let needed = terms.memories.saturating_add(if terms.memories > 0 { hop.rounds.into() } else { 0 });
        let spare = if terms.memories > 0 { free.saturating_sub(hop.rounds.into()) } else { 0 };
        let fidelity = hop.fidelity.min(kind.table.best());
        let seconds = kind.seconds_per_pair(fidelity, terms.how.first(hop.rounds), *memories);
        let left = f64::max(0.0, 1.0 - promised.share);
        let (rate, share) = match seconds {
            Some(seconds) => (left / seconds, terms.rate * seconds),
            None => (0.0, 0.0),
        };
        let best = BestTerms { fidelity, rate: rate.min(terms.rate), memories: spare.min(terms.memories) };
        (best, Promise { share, memories: needed })
    }
}

/// What a node's links have promised.
#[derive(Debug)]
pub(super) struct Accounts {
    node: NodeId,
    accounts: BTreeMap<LinkId, Account>,
}

impl Accounts {
    pub(super) fn new(node: NodeId, links: Vec<SignallingLink>) -> Self {
        let account = |link: SignallingLink| (link.link, Account { link, promises: BTreeMap::new() });
        Self { node, accounts: links.into_iter().map(account).collect() }
    }

    /// What is missing at this node for a circuit, if anything; `best` is lowered to what it can give.
    pub(super) fn examine(
        &self,
        terms: &CircuitTerms,
        place: usize,
        best: &mut BestTerms,
    ) -> Result<(), CircuitRefusal> {
        let node = self.node;
        let mut missing = None;
        for (account, hop) in self.around(terms, place) {
            let account = account.ok_or(CircuitRefusal::NoLink { node, link: hop.link })?;
            let (can, _) = account.offer(terms, hop);
            let link = hop.link;
            let refusal = if can.fidelity < hop.fidelity {
                Some(CircuitRefusal::Fidelity { node, link, best: can })
            } else if can.memories < terms.memories {
                Some(CircuitRefusal::Memories { node, link, best: can })
            } else if can.rate < terms.rate * (1.0 - ROUNDING) {
                Some(CircuitRefusal::Rate { node, link, best: can })
            } else {
                None
            };
            best.fidelity = best.fidelity.min(can.fidelity);
            best.rate = best.rate.min(can.rate);
            best.memories = best.memories.min(can.memories);
            missing = missing.or(refusal);
        }
        missing.map_or(Ok(()), Err)
    }

    /// The accounts of the links of a circuit at this node, as far as they lead where the circuit does.
    fn around<'a>(
        &'a self,
        terms: &'a CircuitTerms,
        place: usize,
    ) -> impl Iterator<Item = (Option<&'a Account>, &'a HopTerms)> {
        let hops = terms.around(place).into_iter().zip([place.wrapping_sub(1), place]);
        hops.filter_map(move |(hop, at)| {
            let Hop { link, peer } = hop?;
            let account = self.accounts.get(&link).filter(|account| account.link.peer == peer);
            Some((account, terms.hops.get(at)?))
        })
    }

    /// Sets aside what a circuit takes.
    pub(super) fn promise(&mut self, circuit: CircuitId, terms: &CircuitTerms, place: usize) {
        let promises: Vec<_> = self
            .around(terms, place)
            .filter_map(|(account, hop)| Some((hop.link, account?.offer(terms, hop).1)))
            .collect();
        for (link, promise) in promises {
            if let Some(account) = self.accounts.get_mut(&link) {
                account.promises.insert(circuit, promise);
            }
        }
    }
    /// Gives it back.
    pub(super) fn release(&mut self, circuit: CircuitId) {
        self.accounts.values_mut().for_each(|account| _ = account.promises.remove(&circuit));
    }
    pub(super) fn peer(&self, link: LinkId) -> Option<NodeId> {
        self.accounts.get(&link).map(|account| account.link.peer)
    }
    pub(super) fn kind(&self, link: LinkId) -> Option<&LinkKind> {
        self.accounts.get(&link).map(|account| &account.link.kind)
    }
    /// Which share of a link, from 0 to 1, and how many of its memories at this end are promised.
    pub(super) fn load(&self, link: LinkId) -> Option<(f64, u16)> {
        let Promise { share, memories } = self.accounts.get(&link)?.promised();
        Some((share, memories))
    }
}

impl LinkKind {
    /// Mean seconds a pair of at least `fidelity` when new, after so many rounds of purification, with so many memories at
    /// each end; none if that cannot be.
    pub fn seconds_per_pair(&self, fidelity: f64, rounds: Recurrence, memories: u16) -> Option<f64> {
        let attempts = memories.checked_sub(rounds.rounds().into()).filter(|attempts| *attempts > 0)?;
        let (seconds, latency) = self.seconds_after(fidelity, rounds)?;
        Some(seconds / f64::from(attempts) + latency)
    }
}

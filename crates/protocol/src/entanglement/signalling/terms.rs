//! What a circuit asks of its nodes, and why one says no.

use super::message::WireError;
use crate::entanglement::CircuitId;
use crate::entanglement::network::{Circuit, Hop, PairChoice};
use crate::entanglement::purification::Recurrence;
use crate::entanglement::routing::Plan;
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{Purification, PurificationQuality};
use bellwether_units::{Duration, LinkId, NodeId};

/// The longest route that is signalled, in links.
pub const MOST_HOPS: usize = 255;

/// What is asked of one link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HopTerms {
    /// Which.
    pub link: LinkId,
    /// The least fidelity of its new pairs.
    pub fidelity: f64,
    /// How many rounds of purification, each of two pairs of equal history.
    pub rounds: u8,
}

/// A circuit as its head wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct CircuitTerms {
    /// The nodes, from head to tail.
    pub nodes: Vec<NodeId>,
    /// The links between them.
    pub hops: Vec<HopTerms>,
    /// The rounds of links that purify, as far as a link has them.
    pub how: Recurrence,
    /// How many pairs a second each link is to promise; 0 promises nothing.
    pub rate: f64,
    /// How many memories each end of each link is to set aside; 0 shares them with others.
    pub memories: u16,
    /// Its share of each link, relative to other circuits, at least 1.
    pub weight: u16,
    /// How long a half may wait between the ends.
    pub cutoff: Option<Duration>,
    /// Which of several pairs is swapped first.
    pub choice: PairChoice,
    /// How long a message takes there and back.
    pub round_trip: Duration,
    /// What the memories of head and tail do to their halves, by which each end tells how the other's has aged.
    pub end_memories: [MemoryNoise; 2],
    /// How often the head says that the circuit is still wanted.
    pub refresh: Duration,
}

impl CircuitTerms {
    /// The circuit of a plan, with a memory of its own on each link besides those of purification, and a refresh each second or
    /// each hundred round trips.
    pub fn of(plan: &Plan, how: Recurrence, rate: f64) -> Self {
        let hop = |hop: &crate::entanglement::routing::PlannedHop| HopTerms {
            link: hop.link,
            fidelity: hop.link_fidelity,
            rounds: hop.rounds,
        };
        Self {
            nodes: plan.nodes.clone(),
            hops: plan.hops.iter().map(hop).collect(),
            how,
            rate,
            memories: 1,
            weight: 1,
            cutoff: plan.cutoff,
            choice: PairChoice::Oldest,
            round_trip: plan.round_trip,
            end_memories: plan.end_memories,
            refresh: plan.round_trip.saturating_mul(100).max(Duration::from_whole_seconds(1)),
        }
    }

    /// Whether the route is one, and the numbers make sense.
    pub(super) fn sound(&self) -> bool {
        let mut nodes = self.nodes.clone();
        nodes.sort_unstable();
        nodes.dedup();
        let good = |hop: &HopTerms| (0.0..=1.0).contains(&hop.fidelity) && hop.rounds <= self.how.rounds();
        (1..=MOST_HOPS).contains(&self.hops.len())
            && self.nodes.len() == self.hops.len() + 1
            && nodes.len() == self.nodes.len()
            && self.hops.iter().all(good)
            && self.rate >= 0.0
            && self.rate.is_finite()
            && self.weight >= 1
            && !self.refresh.is_zero()
    }

    /// The hops at the node at `place`: towards the head and towards the tail.
    pub(super) fn around(&self, place: usize) -> [Option<Hop>; 2] {
        let before = place.checked_sub(1).map(|b| Hop { link: self.hops[b].link, peer: self.nodes[b] });
        let after = self.hops.get(place).map(|hop| Hop { link: hop.link, peer: self.nodes[place + 1] });
        [before, after]
    }

    /// The circuit as the network layer of the node at `place` knows it.
    pub(super) fn circuit(&self, id: CircuitId, place: usize) -> Circuit {
        let [towards_head, towards_tail] = self.around(place);
        // The node nearer the head asks the link; the tail asks none.
        let asked = self.hops.get(place).or(self.hops.last());
        Circuit {
            id,
            towards_head,
            towards_tail,
            link_fidelity: asked.map_or(0.0, |hop| hop.fidelity),
            weight: self.weight,
            cutoff: self.cutoff.filter(|_| towards_head.is_some() && towards_tail.is_some()),
            choice: self.choice,
            far_memory: self.end_memories[usize::from(place == 0)],
            round_trip: self.round_trip,
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.count(self.hops.len() as u64);
        self.nodes.iter().for_each(|node| w.count(node.0.into()));
        for hop in &self.hops {
            w.count(hop.link.0.into());
            w.u64(hop.fidelity.to_bits());
            w.u8(hop.rounds);
        }
        w.u8(self.how.rounds());
        for how in self.how.kinds() {
            w.u8(match how {
                Purification::Bbpssw => 0,
                Purification::Dejmps => 1,
                Purification::Phase => 2,
            });
        }
        w.u64(self.rate.to_bits());
        w.count(self.memories.into());
        w.count(self.weight.into());
        w.count(self.cutoff.map_or(0, |cutoff| cutoff.picoseconds().saturating_add(1)));
        w.u8(u8::from(self.choice == PairChoice::Youngest));
        w.count(self.round_trip.picoseconds());
        w.count(self.refresh.picoseconds());
        for memory in self.end_memories {
            memory.figures().iter().for_each(|figure| w.u64(figure.to_bits()));
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let hops = r.count_up_to(MOST_HOPS as u64, "the links of a route")? as usize;
        let small = |r: &mut Reader<'_>, what| Ok(r.count_up_to(u32::MAX.into(), what)? as u32);
        let nodes =
            (0..=hops).map(|_| Ok(NodeId(small(r, "a node of a route")?))).collect::<WireError<_>>()?;
        let hop = |r: &mut Reader<'_>| {
            let link = LinkId(small(r, "a link of a route")?);
            Ok(HopTerms { link, fidelity: f64::from_bits(r.u64()?), rounds: r.u8()? })
        };
        let hops = (0..hops).map(|_| hop(r)).collect::<WireError<_>>()?;
        let kind = |r: &mut Reader<'_>| match r.u8()? {
            0 => Ok(Purification::Bbpssw),
            1 => Ok(Purification::Dejmps),
            2 => Ok(Purification::Phase),
            _ => Err(Malformed::Value("the kind of purification")),
        };
        let kinds = (0..r.u8()?).map(|_| kind(r)).collect::<WireError<Vec<_>>>()?;
        let how = Recurrence::of(&kinds).map_err(|_| Malformed::Value("the rounds of purification"))?;
        let rate = f64::from_bits(r.u64()?);
        let memories = r.count_up_to(u16::MAX.into(), "the memories of a circuit")? as u16;
        let weight = r.count_up_to(u16::MAX.into(), "the weight of a circuit")? as u16;
        let cutoff = r.count()?.checked_sub(1).map(Duration::from_picoseconds);
        let choice = match r.u8()? {
            0 => PairChoice::Oldest,
            1 => PairChoice::Youngest,
            _ => return Err(Malformed::Value("the choice of pairs")),
        };
        let round_trip = Duration::from_picoseconds(r.count()?);
        let refresh = Duration::from_picoseconds(r.count()?);
        let mut end_memories = [MemoryNoise::NONE; 2];
        for memory in &mut end_memories {
            let mut figures = [0.0; 5];
            for figure in &mut figures {
                *figure = f64::from_bits(r.u64()?);
            }
            *memory =
                MemoryNoise::from_figures(figures).map_err(|_| Malformed::Value("the noise of a memory"))?;
        }
        let terms = Self {
            nodes,
            hops,
            how,
            rate,
            memories,
            weight,
            cutoff,
            choice,
            round_trip,
            end_memories,
            refresh,
        };
        if terms.sound() { Ok(terms) } else { Err(Malformed::Value("the terms of a circuit")) }
    }
}

/// How the links of a circuit at a node purify. Of each pair, the first is that of the link towards the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CircuitPurification {
    /// The rounds.
    pub rounds: [Recurrence; 2],
    /// How well the ends of the link compare, as far as is known.
    pub quality: [PurificationQuality; 2],
    /// How long a verdict is waited for.
    pub patience: [Duration; 2],
    /// How long a pair waits for its next round.
    pub hold: [Duration; 2],
}

/// The best that all nodes of a route could give, each of the three with the others as they were asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestTerms {
    /// The highest fidelity that can be asked of every link; at most what was asked.
    pub fidelity: f64,
    /// The highest rate, in pairs a second, at that fidelity; at most what was asked.
    pub rate: f64,
    /// How many memories can be set aside; at most what was asked.
    pub memories: u16,
}

/// Why a circuit is refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CircuitRefusal {
    /// A link gives no such fidelity.
    #[error("{link} cannot promise the fidelity at {node}; all links of the route can promise {:.6}", .best.fidelity)]
    Fidelity {
        /// Who says so.
        node: NodeId,
        /// Of which link.
        link: LinkId,
        /// What could be had.
        best: BestTerms,
    },
    /// A link has promised too much to others.
    #[error("{link} cannot promise the rate at {node}; all links of the route can promise {:.6} pairs a second", .best.rate)]
    Rate {
        /// Who says so.
        node: NodeId,
        /// Of which link.
        link: LinkId,
        /// What could be had.
        best: BestTerms,
    },
    /// Too few memories are free.
    #[error("{node} has too few memories for {link}; all nodes of the route can set aside {}", .best.memories)]
    Memories {
        /// Who says so.
        node: NodeId,
        /// For which link.
        link: LinkId,
        /// What could be had.
        best: BestTerms,
    },
    /// A node does not have a link, or the link leads elsewhere.
    #[error("{node} has no {link} to where the route leads")]
    NoLink {
        /// Who says so.
        node: NodeId,
        /// Which link.
        link: LinkId,
    },
    /// A node has as many circuits as it takes.
    #[error("{node} takes no more circuits")]
    Full {
        /// Who says so.
        node: NodeId,
    },
    /// No word came back in time.
    #[error("no answer came from the route: a node is down, or messages are lost")]
    Silent,
}

impl CircuitRefusal {
    /// The same, with what the rest of the route can give.
    pub(super) fn with(mut self, told: BestTerms) -> Self {
        if let Self::Fidelity { best, .. } | Self::Rate { best, .. } | Self::Memories { best, .. } = &mut self
        {
            *best = told;
        }
        self
    }

    pub(super) fn write(&self, w: &mut Writer) {
        let (kind, node, link, best) = match *self {
            Self::Fidelity { node, link, best } => (0, node, link, Some(best)),
            Self::Rate { node, link, best } => (1, node, link, Some(best)),
            Self::Memories { node, link, best } => (2, node, link, Some(best)),
            Self::NoLink { node, link } => (3, node, link, None),
            Self::Full { node } => (4, node, LinkId(0), None),
            Self::Silent => (5, NodeId(0), LinkId(0), None),
        };
        w.u8(kind);
        w.count(node.0.into());
        w.count(link.0.into());
        best.iter().for_each(|best| best.write(w));
    }
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = r.u8()?;
        let node = NodeId(r.count_up_to(u32::MAX.into(), "the node that refuses")? as u32);
        let link = LinkId(r.count_up_to(u32::MAX.into(), "the link that is refused")? as u32);
        Ok(match kind {
            0 => Self::Fidelity { node, link, best: BestTerms::read(r)? },
            1 => Self::Rate { node, link, best: BestTerms::read(r)? },
            2 => Self::Memories { node, link, best: BestTerms::read(r)? },
            3 => Self::NoLink { node, link },
            4 => Self::Full { node },
            5 => Self::Silent,
            kind => return Err(Malformed::Kind(kind)),
        })
    }
}

impl BestTerms {
    pub(super) fn write(&self, w: &mut Writer) {
        w.u64(self.fidelity.to_bits());
        w.u64(self.rate.to_bits());
        w.count(self.memories.into());
    }
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (fidelity, rate) = (f64::from_bits(r.u64()?), f64::from_bits(r.u64()?));
        let memories = r.count_up_to(u16::MAX.into(), "the memories that are free")? as u16;
        if !((0.0..=1.0).contains(&fidelity) && rate >= 0.0 && rate.is_finite()) {
            return Err(Malformed::Value("the best that a route can give"));
        }
        Ok(Self { fidelity, rate, memories })
    }
}

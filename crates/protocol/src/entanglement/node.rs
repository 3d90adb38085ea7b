//! The whole stack of one node: its ends of links, and the circuits that pass it.
//!
//! The layers are machines of their own; here each is given what the others want of it, until nothing is left to do.
//! Memories belong to links, which lend them out with every pair and get them back when nothing needs the half any more.

use super::link::{
    LinkEffect, LinkEnd, LinkError, LinkMessage, LinkPair, LinkPlace, LinkRequest, LinkSettings, LinkUser,
    MeasuredBasis, MidpointReply, RequestId as LinkRequestId,
};
use super::network::{
    Circuit, Network, NetworkEffect, NetworkError, NetworkEvent, NetworkMessage, NodeQuality, PairRequest,
    RequestId,
};
use super::{CircuitId, MemoryId, PairId};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, LinkId, NodeId, Time};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How long after a link has given up a circuit's request it is asked again.
const RETRY: Duration = Duration::from_milliseconds(100);

/// What neighbours tell each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NodeMessage {
    /// Between the ends of a link.
    Link(LinkMessage),
    /// Between the nodes of a circuit, about it.
    Network(NetworkMessage),
}

impl NodeMessage {
    /// The message as bytes. Both kinds begin with their version.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Link(message) => (0, message.encode()),
            Self::Network(message) => (1, message.encode()),
        };
        let mut w = Writer::with_capacity(1 + body.len());
        w.u8(kind);
        w.bytes(&body);
        w.finish()
    }
    /// What was [encoded](Self::encode).
    ///
    /// # Errors
    /// If the bytes are no message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            0 => LinkMessage::decode(r.rest()).map(Self::Link),
            1 => NetworkMessage::decode(r.rest()).map(Self::Network),
            kind => Err(Malformed::Kind(kind)),
        }
    }
}

/// What a node wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NodeEffect {
    /// Tell a neighbour, over a link; it may get lost.
    Send {
        /// Whom.
        to: NodeId,
        /// Over which link.
        link: LinkId,
        /// What.
        message: NodeMessage,
    },
    /// To the hardware of a link: attempts and measurements ([`LinkEffect::Arm`], [`Disarm`](LinkEffect::Disarm),
    /// [`Free`](LinkEffect::Free), [`Measure`](LinkEffect::Measure)), and to its users: pairs for applications and what
    /// became of their requests.
    Link(LinkId, LinkEffect),
    /// Measure two halves in the Bell basis, and say [`EntanglementNode::swapped`] with the token.
    Swap {
        /// Names this swap.
        token: u64,
        /// The half of the pair towards the head.
        left: MemoryId,
        /// The half of the pair towards the tail.
        right: MemoryId,
    },
    /// Apply a Pauli operator to a half.
    Correct {
        /// Which half.
        memory: MemoryId,
        /// Which operator.
        pauli: BellIndex,
    },
    /// Tell the applications and the operator.
    Event(NetworkEvent),
    /// A link cannot make pairs for a circuit.
    CircuitStarved {
        /// Which circuit.
        circuit: CircuitId,
        /// Which link.
        link: LinkId,
        /// Why.
        why: LinkError,
    },
}

/// An end of a link at a node.
pub struct NodeLink {
    /// Which end, and its memories.
    pub place: LinkPlace,
    /// Who is at the other end.
    pub peer: NodeId,
    /// How the link is run.
    pub settings: Arc<LinkSettings>,
}

struct End {
    peer: NodeId,
    end: LinkEnd,
    next_request: u64,
    /// The standing requests of circuits.
    standing: BTreeMap<LinkRequestId, CircuitId>,
}

/// The entanglement stack of one node.
pub struct EntanglementNode {
    links: BTreeMap<LinkId, End>,
    /// To which link a memory belongs.
    owner: BTreeMap<MemoryId, LinkId>,
    network: Network,
    /// Which links are to be asked again for which circuits, in the order of time.
    again: VecDeque<(Time, LinkId, CircuitId)>,
    /// What one layer wants of another, within one call.
    from_links: VecDeque<(LinkId, LinkEffect)>,
    from_network: VecDeque<NetworkEffect>,
    scratch_links: Vec<LinkEffect>,
    scratch_network: Vec<NetworkEffect>,
}

impl EntanglementNode {
    /// A node with these ends of links. A memory serves one link.
    pub fn new(quality: NodeQuality, links: Vec<NodeLink>) -> Self {
        let mut owner = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for NodeLink { place, peer, settings } in links {
            let link = place.link;
            place.memories.iter().for_each(|memory| _ = owner.insert(*memory, link));
            let end = LinkEnd::new(place, settings);
            ends.insert(link, End { peer, end, next_request: 0, standing: BTreeMap::new() });
        }
        Self {
            links: ends,
            owner,
            network: Network::new(quality),
            again: VecDeque::new(),
            from_links: VecDeque::new(),
            from_network: VecDeque::new(),
            scratch_links: Vec::new(),
            scratch_network: Vec::new(),
        }
    }

    /// The node runs: its links greet their other ends, and all memories are free.
    pub fn start(&mut self, now: Time, out: &mut Vec<NodeEffect>) {
        let links: Vec<_> = self.links.keys().copied().collect();
        for link in links {
            self.on_link(link, |end, out| end.start(now, out));
        }
        let memories: Vec<_> = self.owner.iter().map(|(memory, link)| (*memory, *link)).collect();
        for (memory, link) in memories {
            self.on_link(link, |end, out| end.memory_free(now, memory, out));
        }
        self.settle(now, out);
    }

    fn on_link(&mut self, link: LinkId, act: impl FnOnce(&mut LinkEnd, &mut Vec<LinkEffect>)) {
        if let Some(End { end, .. }) = self.links.get_mut(&link) {
            act(end, &mut self.scratch_links);
            self.from_links.extend(self.scratch_links.drain(..).map(|effect| (link, effect)));
        }
    }
    fn on_network<R>(&mut self, act: impl FnOnce(&mut Network, &mut Vec<NetworkEffect>) -> R) -> R {
        let result = act(&mut self.network, &mut self.scratch_network);
        self.from_network.extend(self.scratch_network.drain(..));
        result
    }

    /// Gives each layer what the others want of it, until nothing is left.
    fn settle(&mut self, now: Time, out: &mut Vec<NodeEffect>) {
        loop {
            if let Some((link, effect)) = self.from_links.pop_front() {
                self.carry_out_for_link(now, link, effect, out);
            } else if let Some(effect) = self.from_network.pop_front() {
                self.carry_out_for_network(now, effect, out);
            } else {
                break;
            }
        }
    }

    fn carry_out_for_link(&mut self, now: Time, link: LinkId, effect: LinkEffect, out: &mut Vec<NodeEffect>) {
        match effect {
            LinkEffect::Send(message) => {
                if let Some(End { peer: to, .. }) = self.links.get(&link) {
                    out.push(NodeEffect::Send { to: *to, link, message: NodeMessage::Link(message) });
                }
            }
            LinkEffect::Pair(pair @ LinkPair { user: LinkUser::Circuit(_), .. }) => {
                self.on_network(|network, effects| network.pair(now, pair, effects));
            }
            LinkEffect::Expired { pair } => {
                self.on_network(|network, effects| network.revoked(now, pair, effects));
                out.push(NodeEffect::Link(link, effect));
            }
            LinkEffect::Finished { request, result } => {
                let standing = self.links.get_mut(&link).and_then(|end| end.standing.remove(&request));
                match (standing, result) {
                    (Some(circuit), Err(why)) => {
                        // What the link cannot promise it will not promise later.
                        if matches!(why, LinkError::PeerGone | LinkError::HardwareFault | LinkError::Rejected)
                        {
                            self.again.push_back((now.saturating_add(RETRY), link, circuit));
                        }
                        out.push(NodeEffect::CircuitStarved { circuit, link, why });
                    }
                    (Some(_), Ok(())) => {}
                    (None, _) => out.push(NodeEffect::Link(link, effect)),
                }
            }
            _ => out.push(NodeEffect::Link(link, effect)),
        }
    }

    fn carry_out_for_network(&mut self, now: Time, effect: NetworkEffect, out: &mut Vec<NodeEffect>) {
        match effect {
            NetworkEffect::Send { to, link, message } => {
                out.push(NodeEffect::Send { to, link, message: NodeMessage::Network(message) });
            }
            NetworkEffect::Swap { token, left, right } => out.push(NodeEffect::Swap { token, left, right }),
            NetworkEffect::Correct { memory, pauli } => out.push(NodeEffect::Correct { memory, pauli }),
            NetworkEffect::Event(event) => out.push(NodeEffect::Event(event)),
            NetworkEffect::Free(memory) => self.free(now, memory),
            NetworkEffect::Want { link, circuit, wanted: true } => self.want(now, link, circuit),
            NetworkEffect::Want { link, circuit, wanted: false } => {
                let Some(End { standing, .. }) = self.links.get_mut(&link) else { return };
                let of = standing.iter().filter(|(_, of)| **of == circuit).map(|(request, _)| *request);
                for request in of.collect::<Vec<_>>() {
                    self.links.get_mut(&link).map(|end| end.standing.remove(&request));
                    self.on_link(link, |end, out| end.withdraw(now, request, out));
                }
            }
        }
    }

    /// Asks a link for pairs for a circuit, unless it is asked already or nobody wants them any more.
    fn want(&mut self, now: Time, link: LinkId, circuit: CircuitId) {
        let Some((fidelity, weight)) = self.network.link_terms(circuit) else { return };
        let Some(end) = self.links.get_mut(&link) else { return };
        if end.standing.values().any(|of| *of == circuit) {
            return;
        }
        let id = LinkRequestId(end.next_request);
        end.next_request += 1;
        end.standing.insert(id, circuit);
        let request = LinkRequest::standing(id, LinkUser::Circuit(circuit), fidelity, weight);
        self.on_link(link, |end, out| end.create(now, request, out));
    }

    fn free(&mut self, now: Time, memory: MemoryId) {
        if let Some(&link) = self.owner.get(&memory) {
            self.on_link(link, |end, out| end.memory_free(now, memory, out));
        }
    }

    /// A neighbour said something over a link. What it is not entitled to say is ignored.
    pub fn hear(
        &mut self,
        now: Time,
        from: NodeId,
        link: LinkId,
        message: &NodeMessage,
        out: &mut Vec<NodeEffect>,
    ) {
        if self.links.get(&link).is_none_or(|end| end.peer != from) {
            return;
        }
        match message {
            NodeMessage::Link(message) => self.on_link(link, |end, out| end.hear(now, message, out)),
            NodeMessage::Network(message) => {
                self.on_network(|network, out| network.hear(now, from, link, message, out));
            }
        }
        self.settle(now, out);
    }

    /// The heralding station of a link replied.
    pub fn heard_midpoint(&mut self, now: Time, reply: &MidpointReply, out: &mut Vec<NodeEffect>) {
        self.on_link(reply.link, |end, out| end.heard_midpoint(now, reply, out));
        self.settle(now, out);
    }
    /// The hardware of a link failed to attempt with a memory.
    pub fn failed(&mut self, now: Time, memory: MemoryId, out: &mut Vec<NodeEffect>) {
        if let Some(&link) = self.owner.get(&memory) {
            self.on_link(link, |end, out| end.failed(now, memory, out));
        }
        self.settle(now, out);
    }
    /// The station's reply to an attempt with a memory did not come in time.
    pub fn unanswered(&mut self, now: Time, memory: MemoryId, out: &mut Vec<NodeEffect>) {
        if let Some(&link) = self.owner.get(&memory) {
            self.on_link(link, |end, out| end.unanswered(now, memory, out));
        }
        self.settle(now, out);
    }
    /// The hardware has measured a half for a link, as [`LinkEffect::Measure`] asked.
    pub fn measured(
        &mut self,
        now: Time,
        memory: MemoryId,
        basis: MeasuredBasis,
        outcome: bool,
        out: &mut Vec<NodeEffect>,
    ) {
        if let Some(&link) = self.owner.get(&memory) {
            self.on_link(link, |end, out| end.measured(now, memory, basis, outcome, out));
        }
        self.settle(now, out);
    }
    /// The hardware has measured two halves in the Bell basis; without an outcome, both are lost.
    pub fn swapped(&mut self, now: Time, token: u64, outcome: Option<BellIndex>, out: &mut Vec<NodeEffect>) {
        self.on_network(|network, out| network.swapped(now, token, outcome, out));
        self.settle(now, out);
    }

    /// A circuit passes this node from now on.
    ///
    /// # Errors
    /// See [`Network::install`].
    pub fn install(&mut self, circuit: Circuit) -> Result<(), NetworkError> {
        self.network.install(circuit)
    }
    /// A circuit is torn down.
    pub fn remove(&mut self, now: Time, circuit: CircuitId, out: &mut Vec<NodeEffect>) {
        self.on_network(|network, out| network.remove(now, circuit, out));
        self.settle(now, out);
    }
    /// An application at the head of a circuit asks for pairs.
    ///
    /// # Errors
    /// See [`Network::request`].
    pub fn request(
        &mut self,
        now: Time,
        circuit: CircuitId,
        request: PairRequest,
        out: &mut Vec<NodeEffect>,
    ) -> Result<(), NetworkError> {
        let result = self.on_network(|network, out| network.request(now, circuit, request, out));
        self.settle(now, out);
        result
    }
    /// An application wants no more pairs.
    pub fn withdraw(&mut self, now: Time, circuit: CircuitId, request: RequestId, out: &mut Vec<NodeEffect>) {
        self.on_network(|network, out| network.withdraw(now, circuit, request, out));
        self.settle(now, out);
    }
    /// An application gives back the memory of a half that it was handed; `pair` is this end's link pair.
    pub fn released(
        &mut self,
        now: Time,
        circuit: CircuitId,
        pair: PairId,
        memory: MemoryId,
        out: &mut Vec<NodeEffect>,
    ) {
        self.on_network(|network, out| network.released(circuit, pair, memory, out));
        self.settle(now, out);
    }

    /// When [`timeout`](Self::timeout) is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        let links = self.links.values().filter_map(|end| end.end.deadline());
        let again = self.again.front().map(|(at, ..)| *at);
        links.chain(self.network.deadline()).chain(again).min()
    }
    /// Does what is due.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<NodeEffect>) {
        let due = |end: &End| end.end.deadline().is_some_and(|at| at <= now);
        let links: Vec<_> = self.links.iter().filter(|(_, end)| due(end)).map(|(link, _)| *link).collect();
        for link in links {
            self.on_link(link, |end, out| end.timeout(now, out));
        }
        self.on_network(|network, out| network.timeout(now, out));
        while let Some(&(_, link, circuit)) = self.again.front().filter(|(at, ..)| *at <= now) {
            self.again.pop_front();
            if self.network.is_wanted(circuit) {
                self.want(now, link, circuit);
            }
        }
        self.settle(now, out);
    }

    /// How many halves the network layer holds that nobody was handed, and how many records it keeps.
    pub fn held(&mut self) -> (usize, usize) {
        self.network.held()
    }
}

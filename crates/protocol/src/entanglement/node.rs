//! The whole stack of one node: its ends of links, and the circuits that pass it.
//!
//! The layers are machines of their own; here each is given what the others want of it, until nothing is left to do.
//! Memories belong to links, which lend them out with every pair and get them back when nothing needs the half any more.

mod control;

use super::hardware::HardwareCommand;
use super::link::{
    LinkEffect, LinkEnd, LinkError, LinkMessage, LinkPair, LinkPlace, LinkRequest, LinkSettings, LinkUser,
    MeasuredBasis, MidpointReply, RequestId as LinkRequestId,
};
use super::network::{
    Circuit, Network, NetworkEffect, NetworkError, NetworkEvent, NetworkMessage, NodeQuality, PairRequest,
    RequestId,
};
use super::purification::PurificationMessage;
use super::signalling::{SignallingEvent, SignallingMessage};
use super::{CircuitId, MemoryId, PairId};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, LinkId, NodeId, Time};
use control::Control;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long after a link has given up a circuit's request it is asked again.
const RETRY: Duration = Duration::from_milliseconds(100);

/// What neighbours tell each other.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeMessage {
    /// Between the ends of a link.
    Link(LinkMessage),
    /// Between the nodes of a circuit, about it.
    Network(NetworkMessage),
    /// Between the nodes of a circuit, about its being there.
    Signalling(Box<SignallingMessage>),
    /// Between the ends of a link, about pairs that are purified for a circuit.
    Purification(CircuitId, PurificationMessage<PairId>),
}

impl NodeMessage {
    /// The message as bytes. All kinds begin with their version.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Link(message) => (0, message.encode()),
            Self::Network(message) => (1, message.encode()),
            Self::Signalling(message) => (2, message.encode()),
            Self::Purification(_, message) => (3, message.encode()),
        };
        let mut w = Writer::with_capacity(10 + body.len());
        w.u8(kind);
        if let Self::Purification(circuit, _) = self {
            w.count(circuit.0);
        }
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
            2 => SignallingMessage::decode(r.rest()).map(|message| Self::Signalling(Box::new(message))),
            3 => {
                let circuit = CircuitId(r.count()?);
                PurificationMessage::decode(r.rest()).map(|message| Self::Purification(circuit, message))
            }
            kind => Err(Malformed::Kind(kind)),
        }
    }
}

/// What a node wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
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
    /// To this node's devices.
    Hardware(HardwareCommand),
    /// To users of a link: pairs for applications, and what became of their requests.
    Link(LinkId, LinkEffect),
    /// Tell the applications and the operator.
    Event(NetworkEvent),
    /// Tell who opened a circuit, or is its tail, what became of it.
    Circuit(SignallingEvent),
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

/// Where nodes put what they want. One serves any number of nodes, in turn.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What is wanted, in this order. Whoever does it takes it out.
    pub effects: Vec<NodeEffect>,
    /// What links and the network layer want of their node, within one call: not kept by each node, since the room for it
    /// would be a tenth of what a node holds.
    from_link: Vec<LinkEffect>,
    from_network: Vec<NetworkEffect>,
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

/// A link by its name, and when its end is to be called.
#[derive(Clone, Copy)]
struct Port {
    link: LinkId,
    peer: NodeId,
    due: Time,
}

struct End {
    end: LinkEnd,
    next_request: u64,
    /// The standing requests of circuits, in the order of their numbers.
    standing: Vec<(LinkRequestId, CircuitId)>,
}

/// The entanglement stack of one node.
pub struct EntanglementNode {
    /// In the order of names; ends have the same places.
    ports: Vec<Port>,
    ends: Vec<End>,
    /// The least of when ends are to be called; the latest of all times if none is.
    links_due: Time,
    /// To the link at which place a memory belongs, in the order of memories.
    owner: Vec<(MemoryId, u16)>,
    network: Network,
    quality: NodeQuality,
    /// Signalling and purification, if circuits of this node have them.
    control: Option<Box<Control>>,
    /// Which links are to be asked again for which circuits, in the order of time.
    again: VecDeque<(Time, LinkId, CircuitId)>,
}

impl EntanglementNode {
    /// A node with these ends of links. A memory serves one link.
    pub fn new(quality: NodeQuality, mut links: Vec<NodeLink>) -> Self {
        links.sort_by_key(|link| link.place.link);
        let mut owner = Vec::with_capacity(links.iter().map(|link| link.place.memories.len()).sum());
        let mut ports = Vec::with_capacity(links.len());
        let mut ends = Vec::with_capacity(links.len());
        for (at, NodeLink { place, peer, settings }) in (0..).zip(links) {
            owner.extend(place.memories.iter().map(|memory| (*memory, at)));
            ports.push(Port { link: place.link, peer, due: Time::MAX });
            ends.push(End { end: LinkEnd::new(place, settings), next_request: 0, standing: Vec::new() });
        }
        owner.sort_unstable();
        Self {
            ports,
            ends,
            links_due: Time::MAX,
            owner,
            network: Network::new(quality),
            quality,
            control: None,
            again: VecDeque::new(),
        }
    }

    /// The node runs: its links greet their other ends, and all memories are free.
    pub fn start(&mut self, now: Time, out: &mut Outbox) {
        for at in 0..self.ports.len() {
            self.on_link(now, at, out, |end, out| end.start(now, out));
        }
        for place in 0..self.owner.len() {
            let (memory, at) = self.owner[place];
            self.on_link(now, at.into(), out, |end, out| end.memory_free(now, memory, out));
        }
        self.settle(now, out);
    }

    /// Where a link is.
    fn place(&self, link: LinkId) -> Option<usize> {
        self.ports.binary_search_by_key(&link, |port| port.link).ok()
    }
    /// Where the link is that a memory serves.
    fn owner(&self, memory: MemoryId) -> Option<usize> {
        // Most nodes number their memories without gaps.
        let first = self.owner.first()?.0;
        let guess = usize::from(memory.0.checked_sub(first.0)?);
        let place = match self.owner.get(guess) {
            Some(entry) if entry.0 == memory => guess,
            _ => self.owner.binary_search_by_key(&memory, |entry| entry.0).ok()?,
        };
        Some(self.owner[place].1.into())
    }

    /// Calls the end of a link, and gives what it wants to whom it concerns.
    #[inline]
    fn on_link(
        &mut self,
        now: Time,
        at: usize,
        out: &mut Outbox,
        act: impl FnOnce(&mut LinkEnd, &mut Vec<LinkEffect>),
    ) {
        act(&mut self.ends[at].end, &mut out.from_link);
        self.note_due(at);
        for which in 0..out.from_link.len() {
            self.carry_out_for_link(now, at, which, out);
        }
        out.from_link.clear();
    }
    fn note_due(&mut self, at: usize) {
        let due = self.ends[at].end.deadline().unwrap_or(Time::MAX);
        let before = core::mem::replace(&mut self.ports[at].due, due);
        if due <= self.links_due {
            self.links_due = due;
        } else if before == self.links_due {
            self.links_due = self.ports.iter().map(|port| port.due).fold(Time::MAX, Time::min);
        }
    }

    /// Gives the links what the network layer wants of them, and the other way round, until nothing is left.
    fn settle(&mut self, now: Time, out: &mut Outbox) {
        let mut which = 0;
        while which < out.from_network.len() {
            self.carry_out_for_network(now, which, out);
            which += 1;
        }
        out.from_network.clear();
    }

    #[inline]
    fn carry_out_for_link(&mut self, now: Time, at: usize, which: usize, out: &mut Outbox) {
        let Port { link, peer, .. } = self.ports[at];
        match out.from_link[which] {
            LinkEffect::Send(message) => {
                out.effects.push(NodeEffect::Send { to: peer, link, message: NodeMessage::Link(message) });
            }
            LinkEffect::Pair(pair @ LinkPair { user: LinkUser::Circuit(circuit), .. }) => {
                match &self.control {
                    Some(control) if control.purifies(circuit, link) => {
                        self.purify_pair(now, circuit, &pair, out);
                    }
                    _ => self.network.pair(now, pair, &mut out.from_network),
                }
            }
            LinkEffect::Expired { pair } => {
                self.network.revoked(now, pair, &mut out.from_network);
                self.purified_pair_revoked(now, pair, out);
                out.effects.push(NodeEffect::Link(link, out.from_link[which]));
            }
            LinkEffect::Finished { request, result } => {
                let standing = &mut self.ends[at].standing;
                let known = standing.iter().position(|(id, _)| *id == request);
                match (known.map(|known| standing.remove(known).1), result) {
                    (Some(circuit), Err(why)) => {
                        // What the link cannot promise it will not promise later.
                        if matches!(why, LinkError::PeerGone | LinkError::HardwareFault | LinkError::Rejected)
                        {
                            self.again.push_back((now.saturating_add(RETRY), link, circuit));
                        }
                        out.effects.push(NodeEffect::CircuitStarved { circuit, link, why });
                    }
                    (Some(_), Ok(())) => {}
                    (None, _) => out.effects.push(NodeEffect::Link(link, out.from_link[which])),
                }
            }
            LinkEffect::Arm { memory, tag, brightness } => {
                out.effects.push(NodeEffect::Hardware(HardwareCommand::Arm { memory, tag, brightness }));
            }
            LinkEffect::Disarm { memory } => {
                out.effects.push(NodeEffect::Hardware(HardwareCommand::Disarm { memory }));
            }
            LinkEffect::Free { memory } => {
                out.effects.push(NodeEffect::Hardware(HardwareCommand::Free { memory }))
            }
            LinkEffect::Measure { memory, basis, .. } => {
                out.effects.push(NodeEffect::Hardware(HardwareCommand::Measure { memory, basis }));
            }
            LinkEffect::Pair(_) | LinkEffect::Measured { .. } => {
                out.effects.push(NodeEffect::Link(link, out.from_link[which]))
            }
        }
    }

    #[inline]
    fn carry_out_for_network(&mut self, now: Time, which: usize, out: &mut Outbox) {
        match out.from_network[which] {
            NetworkEffect::Send { to, link, message } => {
                out.effects.push(NodeEffect::Send { to, link, message: NodeMessage::Network(message) });
            }
            NetworkEffect::Swap { token, left, right } => {
                out.effects.push(NodeEffect::Hardware(HardwareCommand::Swap { token, left, right }));
            }
            NetworkEffect::Correct { memory, pauli } => {
                out.effects.push(NodeEffect::Hardware(HardwareCommand::Correct { memory, pauli }));
            }
            NetworkEffect::Event(event) => out.effects.push(NodeEffect::Event(event)),
            NetworkEffect::Free(memory) => {
                if let Some(at) = self.owner(memory) {
                    self.on_link(now, at, out, |end, out| end.memory_free(now, memory, out));
                }
            }
            NetworkEffect::Want { link, circuit, wanted: true } => self.want(now, link, circuit, out),
            NetworkEffect::Want { link, circuit, wanted: false } => {
                let Some(at) = self.place(link) else { return };
                while let Some(known) = self.ends[at].standing.iter().position(|(_, of)| *of == circuit) {
                    let (request, _) = self.ends[at].standing.remove(known);
                    self.on_link(now, at, out, |end, out| end.withdraw(now, request, out));
                }
            }
        }
    }

    /// Asks a link for pairs for a circuit, unless it is asked already or nobody wants them any more.
    fn want(&mut self, now: Time, link: LinkId, circuit: CircuitId, out: &mut Outbox) {
        let Some((fidelity, weight)) = self.network.link_terms(circuit) else { return };
        let Some(at) = self.place(link) else { return };
        let End { next_request, standing, .. } = &mut self.ends[at];
        if standing.iter().any(|(_, of)| *of == circuit) {
            return;
        }
        let id = LinkRequestId(*next_request);
        *next_request += 1;
        standing.push((id, circuit));
        let request = LinkRequest::standing(id, LinkUser::Circuit(circuit), fidelity, weight);
        self.on_link(now, at, out, |end, out| end.create(now, request, out));
    }

    /// A neighbour said something over a link. What it is not entitled to say is ignored.
    pub fn hear(&mut self, now: Time, from: NodeId, link: LinkId, message: &NodeMessage, out: &mut Outbox) {
        let Some(at) = self.place(link).filter(|at| self.ports[*at].peer == from) else { return };
        match message {
            NodeMessage::Link(message) => {
                self.on_link(now, at, out, |end, out| end.hear(now, message, out));
            }
            NodeMessage::Network(message) => {
                self.network.hear(now, from, link, message, &mut out.from_network);
            }
            NodeMessage::Signalling(message) => self.hear_signalling(now, from, link, message, out),
            NodeMessage::Purification(circuit, message) => {
                self.hear_purification(now, (*circuit, link), message, out);
            }
        }
        self.settle(now, out);
    }

    /// The heralding station of a link replied.
    pub fn heard_midpoint(&mut self, now: Time, reply: &MidpointReply, out: &mut Outbox) {
        if let Some(at) = self.place(reply.link) {
            self.on_link(now, at, out, |end, out| end.heard_midpoint(now, reply, out));
        }
        self.settle(now, out);
    }
    /// The hardware of a link failed to attempt with a memory.
    pub fn failed(&mut self, now: Time, memory: MemoryId, out: &mut Outbox) {
        if let Some(at) = self.owner(memory) {
            self.on_link(now, at, out, |end, out| end.failed(now, memory, out));
        }
        self.settle(now, out);
    }
    /// The station's reply to an attempt with a memory did not come in time.
    pub fn unanswered(&mut self, now: Time, memory: MemoryId, out: &mut Outbox) {
        if let Some(at) = self.owner(memory) {
            self.on_link(now, at, out, |end, out| end.unanswered(now, memory, out));
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
        out: &mut Outbox,
    ) {
        if let Some(at) = self.owner(memory) {
            self.on_link(now, at, out, |end, out| end.measured(now, memory, basis, outcome, out));
        }
        self.settle(now, out);
    }
    /// The hardware has measured two halves in the Bell basis; without an outcome, both are lost.
    pub fn swapped(&mut self, now: Time, token: u64, outcome: Option<BellIndex>, out: &mut Outbox) {
        self.network.swapped(now, token, outcome, &mut out.from_network);
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
    pub fn remove(&mut self, now: Time, circuit: CircuitId, out: &mut Outbox) {
        self.remove_circuit(now, circuit, out);
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
        out: &mut Outbox,
    ) -> Result<(), NetworkError> {
        self.control.as_ref().map_or(Ok(()), |control| control.accepts_requests(circuit))?;
        let result = self.network.request(now, circuit, request, &mut out.from_network);
        self.settle(now, out);
        result
    }
    /// An application wants no more pairs.
    pub fn withdraw(&mut self, now: Time, circuit: CircuitId, request: RequestId, out: &mut Outbox) {
        self.network.withdraw(now, circuit, request, &mut out.from_network);
        self.settle(now, out);
    }
    /// An application gives back the memory of a half that it was handed; `pair` is this end's link pair.
    pub fn released(
        &mut self,
        now: Time,
        circuit: CircuitId,
        pair: PairId,
        memory: MemoryId,
        out: &mut Outbox,
    ) {
        self.network.released(circuit, pair, memory, &mut out.from_network);
        self.settle(now, out);
    }

    /// When [`timeout`](Self::timeout) is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        let again = self.again.front().map_or(Time::MAX, |(at, ..)| *at);
        let network = self.network.deadline().unwrap_or(Time::MAX);
        let control = self.control.as_ref().and_then(|control| control.deadline()).unwrap_or(Time::MAX);
        Some(self.links_due.min(network).min(again).min(control)).filter(|next| *next < Time::MAX)
    }
    /// Does what is due.
    pub fn timeout(&mut self, now: Time, out: &mut Outbox) {
        if self.links_due <= now {
            for at in 0..self.ports.len() {
                if self.ports[at].due <= now {
                    self.on_link(now, at, out, |end, out| end.timeout(now, out));
                }
            }
        }
        self.network.timeout(now, &mut out.from_network);
        self.control_timeout(now, out);
        while let Some(&(_, link, circuit)) = self.again.front().filter(|(at, ..)| *at <= now) {
            self.again.pop_front();
            if self.network.is_wanted(circuit) {
                self.want(now, link, circuit, out);
            }
        }
        self.settle(now, out);
    }

    /// How many halves the network layer holds that nobody was handed, and how many records it keeps.
    pub fn held(&mut self) -> (usize, usize) {
        self.network.held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages and effects are moved several times: they stay within two lines of the cache.
    #[test]
    fn messages_and_effects_are_small() {
        assert!(size_of::<NodeMessage>() <= 104, "{}", size_of::<NodeMessage>());
        assert!(size_of::<NodeEffect>() <= 112, "{}", size_of::<NodeEffect>());
    }
}

//! The control of a node's circuits: signalling sets them up, and purifiers stand between their links and the network layer.

use super::{EntanglementNode, NodeEffect, NodeMessage, Outbox};
use crate::entanglement::hardware::HardwareCommand;
use crate::entanglement::link::{LinkPair, LinkUser};
use crate::entanglement::network::{NetworkEffect, NetworkError};
use crate::entanglement::purification::{
    Program, PurificationEffect, PurificationMessage, Purifier, PurifierSettings, PurifyingPair,
};
use crate::entanglement::signalling::{
    CircuitPurification, CircuitTerms, Signalling, SignallingEffect, SignallingError, SignallingMessage,
};
use crate::entanglement::{CircuitId, PairId};
use crate::timers::Timers;
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::BellDiagonal;
use bellwether_units::{LinkId, NodeId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A link of a circuit.
type Place = (CircuitId, LinkId);

/// What a node needs for circuits that are signalled or purified; others go without.
pub(super) struct Control {
    signalling: Option<Signalling>,
    memory: MemoryNoise,
    purifiers: BTreeMap<Place, Purifier<PairId>>,
    /// Purifiers of circuits that are gone, whose pairs the hardware still has in hand.
    ended: BTreeSet<Place>,
    /// By the node's token: whose comparison it is.
    comparing: BTreeMap<u64, (Place, u64)>,
    next_token: u64,
    /// When purifiers are to be called.
    timers: Timers<Place>,
    draining: BTreeSet<CircuitId>,
}

impl Control {
    pub(super) fn new(memory: MemoryNoise) -> Self {
        Self {
            signalling: None,
            memory,
            purifiers: BTreeMap::new(),
            ended: BTreeSet::new(),
            comparing: BTreeMap::new(),
            next_token: 0,
            timers: Timers::new(),
            draining: BTreeSet::new(),
        }
    }
    pub(super) fn deadline(&self) -> Option<Time> {
        let signalling = self.signalling.as_ref().and_then(Signalling::deadline);
        signalling.into_iter().chain(self.timers.next()).min()
    }
    pub(super) fn purifies(&self, circuit: CircuitId, link: LinkId) -> bool {
        self.purifiers.contains_key(&(circuit, link))
    }
    pub(super) fn accepts_requests(&self, circuit: CircuitId) -> Result<(), NetworkError> {
        if self.draining.contains(&circuit) { Err(NetworkError::Draining(circuit)) } else { Ok(()) }
    }
}

impl EntanglementNode {
    /// The node signals circuits from now on, and purifies where they ask for it.
    pub fn signal(&mut self, signalling: Signalling) {
        let memory = self.quality.memory;
        let control = self.control.get_or_insert_with(|| Box::new(Control::new(memory)));
        control.signalling = Some(signalling);
    }

    /// Opens a circuit that begins here. [`NodeEffect::Circuit`] tells what becomes of it.
    ///
    /// # Errors
    /// See [`Signalling::open`]; also if this node does not [`signal`](Self::signal).
    pub fn open(
        &mut self,
        now: Time,
        circuit: CircuitId,
        terms: CircuitTerms,
        out: &mut Outbox,
    ) -> Result<(), SignallingError> {
        self.on_signalling(now, out, |signalling, out| signalling.open(now, circuit, terms, out))
            .unwrap_or(Err(SignallingError::Terms(circuit)))
    }
    /// Closes a circuit that begins here: it drains first.
    ///
    /// # Errors
    /// If no circuit of this number begins here.
    pub fn close(&mut self, now: Time, circuit: CircuitId, out: &mut Outbox) -> Result<(), SignallingError> {
        self.on_signalling(now, out, |signalling, out| signalling.close(now, circuit, out))
            .unwrap_or(Err(SignallingError::NotHead(circuit)))
    }
    /// The signalling of this node, if it signals.
    pub fn signalling(&self) -> Option<&Signalling> {
        self.control.as_ref()?.signalling.as_ref()
    }

    fn on_signalling<R>(
        &mut self,
        now: Time,
        out: &mut Outbox,
        act: impl FnOnce(&mut Signalling, &mut Vec<SignallingEffect>) -> R,
    ) -> Option<R> {
        let mut effects = Vec::new();
        let result = act(self.control.as_mut()?.signalling.as_mut()?, &mut effects);
        for effect in effects {
            self.carry_out_for_signalling(now, effect, out);
        }
        self.settle(now, out);
        Some(result)
    }

    fn carry_out_for_signalling(&mut self, now: Time, effect: SignallingEffect, out: &mut Outbox) {
        match effect {
            SignallingEffect::Send { to, link, message } => {
                let message = NodeMessage::Signalling(Box::new(message));
                out.effects.push(NodeEffect::Send { to, link, message });
            }
            SignallingEffect::Install { circuit, purification } => {
                let id = circuit.id;
                let hops = [circuit.towards_head, circuit.towards_tail];
                if self.network.install(circuit).is_err() {
                    // Somebody has installed another one of this number by hand.
                    _ = self.on_signalling(now, out, |signalling, out| signalling.abandon(now, id, out));
                    return;
                }
                for (side, hop) in hops.into_iter().enumerate() {
                    if let Some((hop, purification)) = hop.zip(purification) {
                        self.purify_as_signalled(id, hop.link, side, &purification);
                    }
                }
            }
            SignallingEffect::Drain(circuit) => {
                if let Some(control) = &mut self.control {
                    control.draining.insert(circuit);
                }
                self.network.drain(now, circuit, &mut out.from_network);
            }
            SignallingEffect::Remove(circuit) => self.remove_circuit(now, circuit, out),
            SignallingEffect::Event(event) => out.effects.push(NodeEffect::Circuit(event)),
        }
    }

    fn purify_as_signalled(
        &mut self,
        circuit: CircuitId,
        link: LinkId,
        side: usize,
        purification: &CircuitPurification,
    ) {
        let Some(control) = &self.control else { return };
        let program = Program::from(purification.rounds[side]);
        if program.rounds().is_empty() {
            return;
        }
        let settings = PurifierSettings {
            program: Arc::new(program),
            // The end nearer the head, for which the link leads to the tail.
            leads: side == 1,
            quality: purification.quality[side],
            memory: control.memory,
            patience: purification.patience[side],
            tries: 5,
            hold: purification.hold[side],
        };
        self.purify(circuit, link, settings);
    }

    /// What a link makes for a circuit is purified first, from now on. Both ends of the link must be told, and one leads.
    pub fn purify(&mut self, circuit: CircuitId, link: LinkId, settings: PurifierSettings) {
        let memory = self.quality.memory;
        let control = self.control.get_or_insert_with(|| Box::new(Control::new(memory)));
        control.purifiers.insert((circuit, link), Purifier::new(settings));
    }

    /// A circuit passes no more, and nothing is purified for it.
    pub(super) fn remove_circuit(&mut self, now: Time, circuit: CircuitId, out: &mut Outbox) {
        if let Some(control) = &mut self.control {
            control.draining.remove(&circuit);
            let all = control.purifiers.range((circuit, LinkId(0))..=(circuit, LinkId(u32::MAX)));
            let places: Vec<_> = all.map(|(place, _)| *place).collect();
            for place in places {
                if let Some(control) = &mut self.control {
                    control.ended.insert(place);
                }
                self.on_purifier(now, place, out, |purifier, out| purifier.flush(now, out));
            }
        }
        self.network.remove(now, circuit, &mut out.from_network);
    }

    /// Calls a purifier, and gives what it wants to whom it concerns.
    fn on_purifier(
        &mut self,
        now: Time,
        place: Place,
        out: &mut Outbox,
        act: impl FnOnce(&mut Purifier<PairId>, &mut Vec<PurificationEffect<PairId>>),
    ) {
        let (circuit, link) = place;
        let peer = self.place(link).map(|at| self.ports[at].peer);
        let Some(control) = &mut self.control else { return };
        let Some(purifier) = control.purifiers.get_mut(&place) else { return };
        let mut effects = Vec::new();
        act(purifier, &mut effects);
        match purifier.deadline() {
            Some(at) => control.timers.set(place, at),
            None => control.timers.cancel(place),
        }
        if purifier.held().0 == 0 && control.ended.remove(&place) {
            control.purifiers.remove(&place);
            control.timers.cancel(place);
        }
        for effect in effects {
            match effect {
                PurificationEffect::Send(message) => {
                    let Some(to) = peer else { continue };
                    let message = NodeMessage::Purification(circuit, message);
                    out.effects.push(NodeEffect::Send { to, link, message });
                }
                PurificationEffect::Compare { token: theirs, kept, sacrificed, how } => {
                    let token = control.next_token;
                    control.next_token += 1;
                    control.comparing.insert(token, (place, theirs));
                    let command = HardwareCommand::Compare { token, kept, sacrificed, how };
                    out.effects.push(NodeEffect::Hardware(command));
                }
                PurificationEffect::Free(memory) => out.from_network.push(NetworkEffect::Free(memory)),
                PurificationEffect::Ready(pair) => {
                    let PurifyingPair { id, memory, bell, estimate, made } = pair;
                    let (goodness, user) = (estimate.fidelity(), LinkUser::Circuit(circuit));
                    let pair = LinkPair { id, memory, bell, made, goodness, user };
                    self.network.pair(now, pair, &mut out.from_network);
                }
                PurificationEffect::Revoked(pair) => {
                    self.network.revoked(now, pair, &mut out.from_network);
                }
            }
        }
    }

    /// A link has made a pair for a circuit that purifies.
    pub(super) fn purify_pair(&mut self, now: Time, circuit: CircuitId, pair: &LinkPair, out: &mut Outbox) {
        let place = (circuit, pair.id.link);
        if self.control.as_ref().is_some_and(|control| control.ended.contains(&place)) {
            return out.from_network.push(NetworkEffect::Free(pair.memory));
        }
        let &LinkPair { id, memory, bell, made, goodness, .. } = pair;
        let estimate = BellDiagonal::werner(goodness).unwrap_or(BellDiagonal::MIXED);
        let pair = PurifyingPair { id, memory, bell, estimate, made };
        self.on_purifier(now, place, out, |purifier, out| purifier.pair(now, pair, out));
    }

    /// A link has taken a pair back: what was made with it is worthless.
    pub(super) fn purified_pair_revoked(&mut self, now: Time, pair: PairId, out: &mut Outbox) {
        let Some(control) = &self.control else { return };
        let of_link = control.purifiers.keys().filter(|(_, link)| *link == pair.link);
        let places: Vec<_> = of_link.copied().collect();
        for place in places {
            self.on_purifier(now, place, out, |purifier, out| purifier.link_revoked(now, pair, out));
        }
    }

    /// The hardware has compared two halves as [`HardwareCommand::Compare`] asked: whether -1 was measured. Without an outcome,
    /// both are lost.
    pub fn compared(&mut self, now: Time, token: u64, outcome: Option<bool>, out: &mut Outbox) {
        let known = self.control.as_mut().and_then(|control| control.comparing.remove(&token));
        if let Some((place, theirs)) = known {
            self.on_purifier(now, place, out, |purifier, out| purifier.compared(now, theirs, outcome, out));
        }
        self.settle(now, out);
    }

    pub(super) fn hear_signalling(
        &mut self,
        now: Time,
        from: NodeId,
        link: LinkId,
        message: &SignallingMessage,
        out: &mut Outbox,
    ) {
        _ = self.on_signalling(now, out, |signalling, out| signalling.hear(now, from, link, message, out));
    }
    pub(super) fn hear_purification(
        &mut self,
        now: Time,
        place: (CircuitId, LinkId),
        message: &PurificationMessage<PairId>,
        out: &mut Outbox,
    ) {
        self.on_purifier(now, place, out, |purifier, out| purifier.hear(now, message, out));
    }
    pub(super) fn control_timeout(&mut self, now: Time, out: &mut Outbox) {
        while let Some(place) = self.control.as_mut().and_then(|control| control.timers.pop(now)) {
            self.on_purifier(now, place, out, |purifier, out| purifier.timeout(now, out));
        }
        if self.signalling().and_then(Signalling::deadline).is_some_and(|at| at <= now) {
            _ = self.on_signalling(now, out, |signalling, out| signalling.timeout(now, out));
        }
    }
}

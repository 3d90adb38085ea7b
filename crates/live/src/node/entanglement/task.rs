//! The stack of a node, between its devices and its neighbours.

use super::company::Company;
use super::program::Program;
use crate::memories::client::Memories;
use crate::memories::wire::{Ask, Tell};
use crate::node::link::Clock;
use crate::programs::server::Attached;
use crate::transport::{Arrived, Channel, Transport};
use bellwether_protocol::application::PairDesk;
use bellwether_protocol::entanglement::hardware::HardwareCommand;
use bellwether_protocol::entanglement::network::{Delivered, NetworkEvent};
use bellwether_protocol::entanglement::{
    CircuitId, EntanglementNode, MemoryId, NodeEffect, NodeMessage, Outbox, PairId,
};
use bellwether_protocol::qkd::wire::{Malformed, Reader, Writer};
use bellwether_sim::entanglement::{Setup, SetupError, booths, stack};
use bellwether_units::{LinkId, NodeId, Time};
use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use tokio::time::sleep_until;

/// The node's devices, or nothing ever while there are none.
pub(super) async fn told(devices: &mut Option<Memories>) -> Option<Tell> {
    match devices {
        Some(devices) => devices.tells.recv().await,
        None => pending().await,
    }
}

/// Waits until it is `due`, if ever.
pub(super) async fn reached(clock: Clock, due: Option<Time>) {
    match due {
        Some(at) => sleep_until(clock.instant(at)).await,
        None => pending().await,
    }
}

/// Something that concerns the program.
pub(super) enum News {
    Delivered(Delivered),
    Revoked { circuit: CircuitId, pair: PairId, memory: MemoryId },
}

pub(super) struct Task {
    pub(super) node: NodeId,
    pub(super) setup: Setup,
    pub(super) clock: Clock,
    pub(super) transport: Arc<Transport>,
    pub(super) devices: Option<Memories>,
    /// None while the devices are away.
    pub(super) stack: Option<EntanglementNode>,
    pub(super) program: Option<Program>,
    /// Of the program, or of one that has ended and still has letters to send.
    pub(super) company: Option<Company>,
    /// Which memories the program has, with this end's link pair of what is in them.
    lent: BTreeMap<MemoryId, (CircuitId, PairId)>,
    effects: VecDeque<NodeEffect>,
    news: VecDeque<News>,
}

impl Task {
    pub(super) fn new(node: NodeId, setup: Setup, clock: Clock, transport: Arc<Transport>) -> Self {
        Self {
            node,
            setup,
            clock,
            transport,
            devices: None,
            stack: None,
            program: None,
            company: None,
            lent: BTreeMap::new(),
            effects: VecDeque::new(),
            news: VecDeque::new(),
        }
    }
    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// The devices are there: the stack begins a new life.
    pub(super) fn begin(&mut self, devices: Memories) -> Result<(), SetupError> {
        self.stack = Some(stack(&self.setup, self.node, devices.life)?);
        tracing::info!(node = %self.node, life = devices.life, "entanglement runs");
        if let Some(program) = &mut self.program {
            program.seat.set_local_qubits(devices.local_qubits);
        }
        self.devices = Some(devices);
        self.on_stack(EntanglementNode::start);
        Ok(())
    }
    /// The devices are away, and with them what their memories held.
    pub(super) fn lose_devices(&mut self) {
        tracing::warn!(node = %self.node, "the devices that entangle are away: all halves are lost");
        (self.devices, self.stack) = (None, None);
        self.lent.clear();
        self.effects.clear();
        self.news.clear();
        self.tell_seat(|seat, now, out| seat.crashed(now, out));
    }

    pub(super) fn on_stack(&mut self, act: impl FnOnce(&mut EntanglementNode, Time, &mut Outbox)) {
        let now = self.now();
        let Some(stack) = &mut self.stack else { return };
        let mut out = Outbox::default();
        act(stack, now, &mut out);
        self.effects.extend(out.effects);
    }
    pub(super) fn ask_devices(&mut self, ask: Ask) {
        if let Some(devices) = &self.devices {
            // If they are away, that is told next.
            let _ = devices.asks.send(ask);
        }
    }

    pub(super) fn hear_devices(&mut self, tell: Tell) {
        match tell {
            Tell::Stack(event) => self.on_stack(|stack, now, out| stack.hear_hardware(now, &event, out)),
            Tell::Operated(operated) => {
                self.tell_seat(|seat, now, out| seat.operated(now, operated.request, operated.result, out));
            }
            // The connection has dealt with these.
            Tell::Welcome { .. } | Tell::Refused(_) => {}
        }
    }
    pub(super) fn hear_neighbour(&mut self, arrived: &Arrived) {
        match read(&arrived.bytes) {
            Ok((link, message)) => {
                let from = arrived.from;
                self.on_stack(|stack, now, out| stack.hear(now, from, link, &message, out));
            }
            Err(error) => {
                tracing::warn!(node = %self.node, from = %arrived.from, %error, "a neighbour is not understood");
            }
        }
    }

    /// Does what stack and program want until nobody wants anything.
    pub(super) fn settle(&mut self) {
        loop {
            if let Some(effect) = self.effects.pop_front() {
                self.carry_out(effect);
            } else if let Some(news) = self.news.pop_front() {
                self.tell_program(&news);
            } else if !self.settle_program() {
                return;
            }
        }
    }
    fn carry_out(&mut self, effect: NodeEffect) {
        match effect {
            NodeEffect::Send { to, link, message } => {
                // Whoever is away is told again: the machines send until they are heard.
                let _ = self.transport.send(to, Channel::Entanglement, write(link, &message));
            }
            NodeEffect::Hardware(command) => self.ask_devices(Ask::Stack(command)),
            NodeEffect::Event(event) => self.event(event),
            NodeEffect::CircuitStarved { circuit, link, why } => {
                tracing::debug!(node = %self.node, %circuit, %link, %why, "a link makes no pairs for a circuit");
            }
            NodeEffect::Link(..) | NodeEffect::Circuit(_) => {}
        }
    }
    fn event(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Delivered(delivered) => {
                let own = delivered.own_pair();
                self.lent.insert(delivered.memory, (delivered.circuit, own));
                if self.program.is_some() && PairDesk::is_for_programs(delivered.request) {
                    self.news.push_back(News::Delivered(delivered));
                } else {
                    self.release(delivered.circuit, own, delivered.memory);
                }
            }
            NetworkEvent::Revoked { circuit, origin, memory, .. } => {
                let lent = self.lent.get(&memory) == Some(&(circuit, origin));
                if lent && self.program.is_some() {
                    self.news.push_back(News::Revoked { circuit, pair: origin, memory });
                } else {
                    self.lent.insert(memory, (circuit, origin));
                    self.release(circuit, origin, memory);
                }
            }
            NetworkEvent::Early { .. } | NetworkEvent::RequestOver { .. } => {}
        }
    }
    /// The memory of a half is given back, unless it has been.
    pub(super) fn release(&mut self, circuit: CircuitId, pair: PairId, memory: MemoryId) {
        if self.lent.get(&memory) != Some(&(circuit, pair)) {
            return;
        }
        self.lent.remove(&memory);
        self.ask_devices(Ask::Stack(HardwareCommand::Free { memory }));
        self.on_stack(|stack, now, out| stack.released(now, circuit, pair, memory, out));
    }
    /// The program has ended: nobody else uses what it was lent.
    pub(super) fn release_all(&mut self) {
        for (memory, (circuit, pair)) in self.lent.clone() {
            self.release(circuit, pair, memory);
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        let stack = self.stack.as_ref().and_then(EntanglementNode::deadline);
        let program = self.program.as_ref().and_then(Program::deadline);
        let company = self.company.as_ref().and_then(Company::deadline);
        stack.into_iter().chain(program).chain(company).min()
    }
    pub(super) fn timeout(&mut self) {
        self.on_stack(|stack, now, out| {
            if stack.deadline().is_some_and(|at| at <= now) {
                stack.timeout(now, out);
            }
        });
        self.timeout_program();
    }
    /// A program has attached.
    pub(super) fn seat(&mut self, attached: Attached) {
        let local_qubits = self.devices.as_ref().map_or(0, |devices| devices.local_qubits);
        let booths = booths(&self.setup, self.node);
        self.admit(attached, booths, local_qubits);
    }
}

fn write(link: LinkId, message: &NodeMessage) -> Vec<u8> {
    let body = message.encode();
    let mut w = Writer::with_capacity(5 + body.len());
    w.count(link.0.into());
    w.bytes(&body);
    w.finish()
}
fn read(bytes: &[u8]) -> Result<(LinkId, NodeMessage), Malformed> {
    let mut r = Reader::new(bytes);
    let link = LinkId(r.count_up_to(u32::MAX.into(), "a link")? as u32);
    Ok((link, NodeMessage::decode(r.rest())?))
}

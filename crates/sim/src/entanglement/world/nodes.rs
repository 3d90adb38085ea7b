//! The stacks of all nodes, and what is on its way to them.

use super::Happening;
use super::for_programs::{ProgramEvent, Told};
use super::parcels::{Parcel, Parcels};
use crate::entanglement::account::{DemandTally, Work};
use crate::entanglement::hardware::{Device, DeviceHappening, Surroundings, UsedPair};
use crate::entanglement::setup::DemandSetup;
use crate::kernel::Schedule;
use bellwether_protocol::application::Operated;
use bellwether_protocol::entanglement::hardware::HardwareEvent;
use bellwether_protocol::entanglement::{EntanglementNode, Outbox};
use bellwether_quantum::density::Readout;
use bellwether_units::{EntityId, NodeId, Stream, Time};
use std::collections::BTreeMap;

/// A node's stack, while it runs.
pub(super) struct Node {
    pub(super) machine: Option<EntanglementNode>,
    /// How often it was started.
    pub(super) life: u32,
    /// When it will be woken; the end of time if not at all.
    woken: Time,
}

impl Node {
    pub(super) const fn stopped() -> Self {
        Self { machine: None, life: 0, woken: Time::MAX }
    }
    pub(super) fn stop(&mut self) {
        (self.machine, self.woken) = (None, Time::MAX);
    }
}

/// Who wants pairs, and what came of it.
pub(super) struct Asked {
    pub(super) setup: DemandSetup,
    pub(super) tally: DemandTally,
    /// Since when a pair has been waited for: by request.
    pub(super) open: BTreeMap<u64, Time>,
    pub(super) made: u64,
    /// Draws bases, and outcomes of measured pairs.
    pub(super) fate: Stream,
    /// How both ends read.
    pub(super) readouts: [Readout; 2],
}

/// What nodes want done, in order, and how much of it each in turn.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) out: Outbox,
    pub(super) turns: Vec<(u32, usize)>,
}

/// By what the kernel tells apart who does something.
pub(super) struct Sources {
    pub(super) nodes: Vec<EntityId>,
    pub(super) links: Vec<EntityId>,
    pub(super) outside: EntityId,
}

/// The stacks, and what is on its way to them.
pub(super) struct Nodes {
    pub(super) schedule: Schedule<Happening>,
    pub(super) sources: Sources,
    pub(super) nodes: Vec<Node>,
    pub(super) parcels: Parcels,
    pub(super) wanted: Wanted,
    pub(super) demands: Vec<Asked>,
    pub(super) work: Work,
    /// What has happened to programs, if any run.
    pub(super) programs: Option<Told>,
}

impl Nodes {
    /// Lets a node do something, and notes what it wants.
    #[inline]
    pub(super) fn on(&mut self, node: u32, now: Time, act: impl FnOnce(&mut EntanglementNode, &mut Outbox)) {
        let Some(machine) = &mut self.nodes[node as usize].machine else { return };
        self.work.inputs += 1;
        let before = self.wanted.out.effects.len();
        act(machine, &mut self.wanted.out);
        self.wanted.turns.push((node, self.wanted.out.effects.len() - before));
        self.wake(node, now);
    }
    /// Sees to it that a node is woken when it wants to be. Whoever wants it later is woken too early and says so.
    #[inline]
    fn wake(&mut self, node: u32, now: Time) {
        let state = &mut self.nodes[node as usize];
        let Some(at) = state.machine.as_ref().and_then(EntanglementNode::deadline) else { return };
        let at = at.max(now);
        if at < state.woken {
            state.woken = at;
            self.at(self.sources.nodes[node as usize], at, Happening::Timeout(node));
        }
    }
    /// A node may be due.
    pub(super) fn timeout(&mut self, node: u32, now: Time) {
        let state = &mut self.nodes[node as usize];
        if state.woken != now {
            return;
        }
        state.woken = Time::MAX;
        let due = state.machine.as_ref().and_then(EntanglementNode::deadline);
        if due.is_some_and(|at| at <= now) {
            self.on(node, now, |machine, out| machine.timeout(now, out));
        } else {
            self.wake(node, now);
        }
    }

    #[inline]
    pub(super) fn at(&mut self, source: EntityId, at: Time, happening: Happening) {
        // Beyond the clock nothing happens any more.
        _ = self.schedule.at(source, at, happening);
    }
    #[inline]
    pub(super) fn post(&mut self, source: EntityId, at: Time, parcel: Parcel) {
        let number = self.parcels.put(parcel);
        self.at(source, at, Happening::Parcel(number));
    }
    /// Something will come to a node by what it did itself.
    pub(super) fn post_from(&mut self, node: NodeId, at: Time, parcel: Parcel) {
        self.post(self.sources.nodes[node.index()], at, parcel);
    }
}

impl Surroundings for Nodes {
    #[inline]
    fn later(&mut self, device: Device, at: Time, happening: DeviceHappening) {
        let source = match device {
            Device::Node(node) => self.sources.nodes[node.index()],
            Device::Link(link) => self.sources.links[link.index()],
        };
        match happening {
            DeviceHappening::Attempt { link, slot, generation } => {
                self.at(source, at, Happening::Attempt { link, slot, generation });
            }
            happening => self.post(source, at, Parcel::Device(happening)),
        }
    }
    #[inline]
    fn tell(&mut self, now: Time, node: NodeId, event: &HardwareEvent) {
        self.work.swaps += u64::from(matches!(event, HardwareEvent::Swapped { .. }));
        self.on(node.0, now, |machine, out| machine.hear_hardware(now, event, out));
    }
    fn operated(&mut self, node: NodeId, operated: Operated) {
        if let Some(told) = &mut self.programs {
            told.push(ProgramEvent::Operated(node, operated));
        }
    }
    /// A pair of which both halves were used is told to whom it belongs.
    fn used(&mut self, pair: &UsedPair) {
        let Some((demand, request)) = pair.claims[0].whose else { return };
        let asked = &mut self.demands[demand as usize];
        let at = pair.claims[0].at.max(pair.claims[1].at);
        let since = asked.open.get_mut(&request);
        let asked_at = since.as_ref().map_or(at, |since| **since);
        if let Some(since) = since {
            *since = at;
        }
        asked.tally.note(pair, asked_at.min(at), asked.readouts, &mut asked.fate);
    }
}

//! Circuits that their heads open by signalling, and requests that wait until they are up.
//!
//! A circuit that is closed because a node of it has forgotten it, or because nothing was heard of it for too long, is
//! opened again under a new number; what was asked of it is asked again.

use super::World;
use super::parcels::Parcel;
use crate::entanglement::stack;
use bellwether_protocol::entanglement::network::{PairRequest, RequestEnd, RequestId};
use bellwether_protocol::entanglement::signalling::{CircuitRefusal, SignallingEvent};
use bellwether_protocol::entanglement::{CircuitId, EntanglementNode, Outbox};
use bellwether_units::{NodeId, Time};

/// After how many round trips a circuit is opened again.
const AGAIN: u64 = 10;

/// A circuit as whoever opens it knows it.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// How often it was opened before.
    life: u32,
    up: bool,
    /// What its head was asked for, and what waits until it is up.
    asked: Vec<PairRequest>,
    waiting: Vec<PairRequest>,
    /// Why it will not be.
    refused: Option<CircuitRefusal>,
}

/// Which circuit of the setup has a number.
pub(super) const fn place_of(circuit: CircuitId) -> usize {
    (circuit.0 & u32::MAX as u64) as usize
}

impl World {
    /// The number of a circuit at present.
    pub(super) fn number(&self, place: usize) -> CircuitId {
        CircuitId(place as u64 | u64::from(self.lines[place].life) << 32)
    }
    fn head(&self, place: usize) -> NodeId {
        self.setup.circuits[place].nodes[0]
    }
    /// Why the circuit of a demand was refused by a node, if it was.
    pub fn refused(&self, demand: usize) -> Option<CircuitRefusal> {
        let asked = self.nodes.demands.get(demand)?;
        self.lines[asked.setup.circuit].refused
    }

    /// The heads of circuits that are signalled open them.
    pub(super) fn open_all(&mut self, now: Time) {
        for place in 0..self.setup.circuits.len() {
            self.open(now, place);
        }
    }
    fn open(&mut self, now: Time, place: usize) {
        if !self.setup.circuits[place].signalled {
            return;
        }
        let (circuit, terms) = (self.number(place), stack::terms(&self.setup, place));
        // The setup was checked to be a path, and numbers are given once. A head that is down opens it when it is up.
        let opened = |machine: &mut EntanglementNode, out: &mut Outbox| {
            let result = machine.open(now, circuit, terms, out);
            debug_assert!(result.is_ok(), "{result:?}");
        };
        self.nodes.on(self.head(place).0, now, opened);
    }
    /// A circuit is to be opened again, if nobody has done so since.
    pub(super) fn open_again(&mut self, now: Time, circuit: CircuitId) {
        let place = place_of(circuit);
        if self.number(place) == circuit && !self.lines[place].up {
            self.open(now, place);
        }
    }
    fn open_later(&mut self, now: Time, place: usize) {
        let line = &mut self.lines[place];
        line.up = false;
        line.life += 1;
        let round_trip = stack::round_trip(&self.setup, place);
        let at = now.saturating_add(round_trip.saturating_mul(AGAIN));
        let circuit = self.number(place);
        self.nodes.post_from(self.head(place), at, Parcel::Open(circuit));
    }
    /// A node has stopped, and with it whoever asked it for pairs.
    pub(super) fn forget_requests(&mut self, node: NodeId) {
        for place in 0..self.lines.len() {
            if self.head(place) == node {
                let line = &mut self.lines[place];
                line.up = false;
                line.asked.clear();
                line.waiting.clear();
            }
        }
    }
    /// A node has started again: it opens its circuits anew.
    pub(super) fn open_from(&mut self, now: Time, node: NodeId) {
        for place in 0..self.lines.len() {
            if self.head(place) == node && self.setup.circuits[place].signalled {
                self.lines[place].up = false;
                self.lines[place].life += 1;
                self.open(now, place);
            }
        }
    }

    /// A node was told what became of a circuit.
    pub(super) fn signalled(&mut self, now: Time, node: u32, event: SignallingEvent) {
        let (SignallingEvent::Opened { circuit }
        | SignallingEvent::Refused { circuit, .. }
        | SignallingEvent::Closed { circuit, .. }) = event;
        let place = place_of(circuit);
        if self.head(place).0 != node || self.number(place) != circuit {
            return;
        }
        match event {
            SignallingEvent::Opened { .. } => {
                self.lines[place].up = true;
                for request in core::mem::take(&mut self.lines[place].waiting) {
                    self.ask(now, place, request);
                }
            }
            // No answer may mean that a node is down, and promises may be those of the circuit's former number.
            SignallingEvent::Refused { why, .. } => match why {
                CircuitRefusal::Silent => self.open_later(now, place),
                _ if self.lines[place].life > 0 => self.open_later(now, place),
                why => {
                    self.lines[place].refused = Some(why);
                    self.lines[place].waiting.clear();
                }
            },
            SignallingEvent::Closed { .. } => self.open_later(now, place),
        }
    }

    /// Somebody at the head of a circuit asks for pairs.
    pub(super) fn ask(&mut self, now: Time, place: usize, request: PairRequest) {
        let (circuit, head) = (self.number(place), self.head(place));
        if self.setup.circuits[place].signalled {
            let line = &mut self.lines[place];
            if line.refused.is_some() {
                return;
            }
            if !line.up {
                return line.waiting.push(request);
            }
            line.asked.push(request);
        }
        // A node that is down serves nobody: the request just waits.
        self.nodes.on(head.0, now, |machine, out| _ = machine.request(now, circuit, request, out));
    }
    /// Somebody wants no more pairs.
    pub(super) fn take_back(&mut self, now: Time, place: usize, request: RequestId) {
        let line = &mut self.lines[place];
        line.waiting.retain(|waiting| waiting.id != request);
        let (circuit, head) = (self.number(place), self.head(place));
        self.nodes.on(head.0, now, |machine, out| machine.withdraw(now, circuit, request, out));
    }
    /// A request is over at the head; whether it is asked again of the circuit that will be there instead.
    pub(super) fn asks_again(
        &mut self,
        now: Time,
        circuit: CircuitId,
        (request, delivered): (RequestId, u64),
        end: RequestEnd,
    ) -> bool {
        let place = place_of(circuit);
        let asked = &mut self.lines[place].asked;
        let Some(known) = asked.iter().position(|asked| asked.id == request) else { return false };
        let mut request = asked.swap_remove(known);
        request.pairs = request.pairs.map(|pairs| pairs.saturating_sub(delivered));
        let again = end == RequestEnd::CircuitGone
            && request.pairs != Some(0)
            && request.until.is_none_or(|until| until > now);
        if again && self.number(place) == circuit {
            // It has gone, and whoever opens it anew is told after this.
            self.lines[place].waiting.push(request);
        } else if again {
            self.ask(now, place, request);
        }
        again
    }
}

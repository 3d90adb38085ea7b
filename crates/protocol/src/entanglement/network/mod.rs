//! The network layer: pairs from end to end of virtual circuits.
//!
//! Life of a pair. At the head of a circuit an application makes a [`PairRequest`]; a [`NetworkMessage::Forward`] runs
//! down the circuit, and each link begins to make pairs for it. A node that holds a pair on both sides measures
//! the two halves in the Bell basis at once. Each end tells the other of every half that it holds with a [`Track`],
//! which each node on the way turns by what it did, gathering the Bell state and an estimate of the fidelity. When an end
//! holds the other's track of its half, the pair is handed out.
//!
//! What is promised, whatever is lost, doubled, reordered, or crashes: no memory belongs to two pairs; ends that hand out
//! the same pair agree on its name, its Bell state and its request; every half is handed out or given up in bounded
//! time. What is not promised, because no protocol can over a channel that loses messages, is that both ends hand a
//! pair out: one may give it up while the other's word is lost. Then the other is told, and its application hears
//! [`NetworkEvent::Revoked`].
//!
//! The protocol follows Kozlowski, Dahlberg & Wehner, "Designing a quantum network protocol" (CoNEXT 2020): swap on
//! availability, lazy tracking, cutoffs between the ends only. It differs where that leaves room: pairs have names
//! that are never used again, the head alone gives pairs to requests (so that there are no epochs to agree on), tracks
//! are repeated until they are answered, and what was said of requests fades unless it is said again.

mod api;
mod by_pair;
mod end;
mod message;
mod middle;
mod requests;

pub use api::{
    Circuit, Delivered, Hop, NetworkEffect, NetworkEvent, NodeQuality, PairChoice, PairRequest, RequestEnd,
};
pub use message::{End, NetworkMessage, RequestId, Track};

use crate::entanglement::link::{LinkPair, LinkUser};
use crate::entanglement::{CircuitId, MemoryId, PairId};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, LinkId, NodeId, Time};
use end::CircuitEnd;
use middle::Middle;

/// How long an end waits for the other's track before it tells its own again, in round trips: at least and at most.
/// A half may be looked at a quarter later than it is due.
const TELL_AGAIN: [u64; 2] = [2, 16];
/// How often a track is told, at most.
const SENDINGS: u32 = 12;
/// For how many round trips what became of a pair is remembered after a track of it has passed: an end repeats it some
/// five times meanwhile, and far more often once it has learned of losses.
const KEPT: u64 = TELL_AGAIN[1] * 6;
/// After how many round trips a request is told again, at first; then after twice as many each time, up to the second.
const REFRESH: [u64; 2] = [2, 32];
/// After how many round trips in which it was not told again a request is taken for over.
const FADE: u64 = 128;
/// For how many round trips a removed circuit is remembered.
const REMEMBERED: u64 = 64;

enum Role {
    End(CircuitEnd),
    Middle(Middle),
}

struct Passage {
    circuit: Circuit,
    role: Role,
    /// The requests of which this node has heard, and until when it believes in them.
    active: Vec<(RequestId, Time)>,
    wanted: bool,
    /// At the head: when the requests are told again, and after how many round trips the next time.
    refresh: Option<Time>,
    spacing: u64,
    /// The circuit was removed; when it is forgotten.
    forgotten: Option<Time>,
}

impl Passage {
    fn believe(&mut self, request: RequestId, until: Time) {
        match self.active.iter_mut().find(|(known, _)| *known == request) {
            Some(known) => known.1 = until,
            None => self.active.push((request, until)),
        }
    }
    fn disbelieve(&mut self, request: RequestId) {
        self.active.retain(|(known, _)| *known != request);
    }
}

/// Why a circuit or a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It passes no link at this node, or the same one twice.
    #[error("{0} does not lead anywhere from this node")]
    NoWay(CircuitId),
    /// It is installed otherwise, or was removed.
    #[error("{0} is installed already, or was, and is not the same")]
    Known(CircuitId),
    /// This node is not its head.
    #[error("{0} has no head at this node: requests are made at the head")]
    NotHead(CircuitId),
    /// It is about to be removed.
    #[error("{0} is being closed, and takes no requests any more")]
    Draining(CircuitId),
    /// The number of the request is in use.
    #[error("request {} is under way already", .0.0)]
    RequestKnown(RequestId),
}

/// A circuit by its number, and when something is to be done for it.
#[derive(Clone, Copy)]
struct Due {
    circuit: CircuitId,
    at: Time,
}

/// The network layer of one node.
pub struct Network {
    quality: NodeQuality,
    /// In the order of numbers; passages have the same places.
    due: Vec<Due>,
    #[expect(clippy::vec_box, reason = "many circuits may pass a node, and come and go")]
    passages: Vec<Box<Passage>>,
    /// When the first thing is to be done; the latest of all times for never.
    next: Time,
    /// Which circuit a swap serves that is under way, in the order of tokens.
    swaps: Vec<(u64, CircuitId)>,
    next_token: u64,
}

impl Network {
    /// A node without circuits.
    pub fn new(quality: NodeQuality) -> Self {
        let (due, passages, swaps) = (Vec::new(), Vec::new(), Vec::new());
        Self { quality, due, passages, next: Time::MAX, swaps, next_token: 0 }
    }

    /// At which place a circuit is, or would be.
    fn place(&self, circuit: CircuitId) -> Result<usize, usize> {
        match self.due[..] {
            // What most nodes have.
            [Due { circuit: only, .. }] if only == circuit => Ok(0),
            _ => self.due.binary_search_by_key(&circuit, |due| due.circuit),
        }
    }
    fn passage(&self, circuit: CircuitId) -> Option<&Passage> {
        self.place(circuit).ok().map(|place| &*self.passages[place])
    }

    /// A circuit passes this node from now on. The same one again changes nothing.
    ///
    /// # Errors
    /// If it leads nowhere, or differs from one of the same number.
    pub fn install(&mut self, circuit: Circuit) -> Result<(), NetworkError> {
        let place = match self.place(circuit.id) {
            Ok(place) => {
                let known = &self.passages[place];
                let same = known.circuit == circuit && known.forgotten.is_none();
                return if same { Ok(()) } else { Err(NetworkError::Known(circuit.id)) };
            }
            Err(place) => place,
        };
        let role = match (circuit.towards_head, circuit.towards_tail) {
            (None, Some(hop)) => Role::End(CircuitEnd::new(End::Head, hop)),
            (Some(hop), None) => Role::End(CircuitEnd::new(End::Tail, hop)),
            (Some(before), Some(after)) if before.link != after.link => Role::Middle(Middle::default()),
            _ => return Err(NetworkError::NoWay(circuit.id)),
        };
        self.due.insert(place, Due { circuit: circuit.id, at: Time::MAX });
        let active = Vec::new();
        let spacing = REFRESH[0];
        let passage =
            Passage { circuit, role, active, wanted: false, refresh: None, spacing, forgotten: None };
        self.passages.insert(place, Box::new(passage));
        Ok(())
    }

    /// A circuit is torn down: its links stop, what is not confirmed is given up, and late messages are answered for a
    /// while.
    pub fn remove(&mut self, now: Time, circuit: CircuitId, out: &mut Vec<NetworkEffect>) {
        let Ok(place) = self.place(circuit) else { return };
        let passage = &mut *self.passages[place];
        if passage.forgotten.is_some() {
            return;
        }
        let span = passage.circuit.round_trip.saturating_mul(REMEMBERED);
        passage.forgotten = Some(now.saturating_add(span));
        passage.active.clear();
        passage.refresh = None;
        match &mut passage.role {
            Role::Middle(middle) => middle.drain(&passage.circuit, now, out),
            Role::End(end) => {
                for request in end.requests.all() {
                    end.requests.close(request, RequestEnd::CircuitGone);
                }
                end.drain(&passage.circuit, now, out);
            }
        }
        self.after(now, place, out);
    }

    /// At the head: all requests are over, since the circuit is about to be removed. Pairs under way are still handed out.
    pub fn drain(&mut self, now: Time, circuit: CircuitId, out: &mut Vec<NetworkEffect>) {
        if let Some((place, head)) = self.head(circuit) {
            for request in head.requests.all() {
                head.requests.close(request, RequestEnd::CircuitGone);
            }
            self.after(now, place, out);
        }
    }

    /// An application at the head asks for pairs.
    ///
    /// # Errors
    /// If this is not the head, or the number of the request is in use.
    pub fn request(
        &mut self,
        now: Time,
        circuit: CircuitId,
        request: PairRequest,
        out: &mut Vec<NetworkEffect>,
    ) -> Result<(), NetworkError> {
        let (place, head) = self.head(circuit).ok_or(NetworkError::NotHead(circuit))?;
        if !head.requests.add(request) {
            return Err(NetworkError::RequestKnown(request.id));
        }
        self.passages[place].spacing = REFRESH[0];
        self.refresh(now, place, out);
        self.after(now, place, out);
        Ok(())
    }

    /// An application wants no more pairs; those under way are still handed out.
    pub fn withdraw(
        &mut self,
        now: Time,
        circuit: CircuitId,
        request: RequestId,
        out: &mut Vec<NetworkEffect>,
    ) {
        if let Some((place, head)) = self.head(circuit) {
            head.requests.close(request, RequestEnd::Withdrawn);
            self.after(now, place, out);
        }
    }

    fn head(&mut self, circuit: CircuitId) -> Option<(usize, &mut CircuitEnd)> {
        let place = self.place(circuit).ok()?;
        let passage = &mut *self.passages[place];
        match &mut passage.role {
            Role::End(end) if passage.circuit.towards_head.is_none() && passage.forgotten.is_none() => {
                Some((place, end))
            }
            _ => None,
        }
    }

    /// The head tells all that it is asked for.
    fn refresh(&mut self, now: Time, place: usize, out: &mut Vec<NetworkEffect>) {
        let passage = &mut *self.passages[place];
        let Role::End(end) = &passage.role else { return };
        let (round_trip, circuit) = (passage.circuit.round_trip, passage.circuit.id);
        let Some(hop) = passage.circuit.towards_tail else { return };
        let wanting: Vec<_> = end.requests.wanting().collect();
        let again = now.saturating_add(round_trip.saturating_mul(passage.spacing));
        passage.spacing = (2 * passage.spacing).min(REFRESH[1]);
        passage.refresh = (!wanting.is_empty()).then_some(again);
        for request in wanting {
            passage.believe(request, now.saturating_add(round_trip.saturating_mul(FADE)));
            let message = NetworkMessage::Forward { circuit, request };
            out.push(NetworkEffect::Send { to: hop.peer, link: hop.link, message });
        }
    }

    /// A link has made a pair for a circuit.
    pub fn pair(&mut self, now: Time, pair: LinkPair, out: &mut Vec<NetworkEffect>) {
        let LinkUser::Circuit(id) = pair.user else { return };
        let Ok(place) = self.place(id) else {
            return out.push(NetworkEffect::Free(pair.memory));
        };
        let Passage { circuit, role, wanted, .. } = &mut *self.passages[place];
        match role {
            Role::End(end) => end.pair(circuit, &self.quality, now, pair, out),
            Role::Middle(middle) => {
                let before = circuit.towards_head.is_some_and(|hop| hop.link == pair.id.link);
                let side = if before { End::Head } else { End::Tail };
                if middle.pair(circuit, (side, pair), (now, *wanted), self.next_token, out) {
                    self.swaps.push((self.next_token, id));
                    self.next_token += 1;
                }
            }
        }
        self.after(now, place, out);
    }

    /// A link takes a pair back that it had made.
    pub fn revoked(&mut self, now: Time, pair: PairId, out: &mut Vec<NetworkEffect>) {
        let passes = |hop: Option<Hop>| hop.is_some_and(|hop| hop.link == pair.link);
        for place in 0..self.passages.len() {
            let Passage { circuit, role, .. } = &mut *self.passages[place];
            let before = passes(circuit.towards_head);
            if !before && !passes(circuit.towards_tail) {
                continue;
            }
            match role {
                Role::End(end) => end.revoked(circuit, now, pair, out),
                Role::Middle(middle) => {
                    let side = if before { End::Head } else { End::Tail };
                    middle.revoked(circuit, side, pair, now, out);
                }
            }
            self.after(now, place, out);
        }
    }

    /// The hardware has measured two halves in the Bell basis; without an outcome, both are lost.
    pub fn swapped(
        &mut self,
        now: Time,
        token: u64,
        outcome: Option<BellIndex>,
        out: &mut Vec<NetworkEffect>,
    ) {
        let Ok(known) = self.swaps.binary_search_by_key(&token, |swap| swap.0) else { return };
        let (_, circuit) = self.swaps.remove(known);
        let Ok(place) = self.place(circuit) else { return };
        if let Passage { circuit, role: Role::Middle(middle), .. } = &mut *self.passages[place] {
            middle.swapped(circuit, &self.quality, now, token, outcome, out);
            self.after(now, place, out);
        }
    }

    /// The application gives back the memory of a half that it was handed; `pair` is this end's link pair.
    pub fn released(
        &mut self,
        circuit: CircuitId,
        pair: PairId,
        memory: MemoryId,
        out: &mut Vec<NetworkEffect>,
    ) {
        if let Ok(place) = self.place(circuit)
            && let Role::End(end) = &mut self.passages[place].role
        {
            end.released(pair, memory, out);
        } else {
            out.push(NetworkEffect::Free(memory));
        }
    }

    /// A neighbour said something, over `link`. What it is not entitled to say is ignored.
    pub fn hear(
        &mut self,
        now: Time,
        from: NodeId,
        link: LinkId,
        message: &NetworkMessage,
        out: &mut Vec<NetworkEffect>,
    ) {
        let id = message.circuit();
        let Ok(place) = self.place(id) else {
            // This node was away and has forgotten, or the circuit is long gone.
            if let NetworkMessage::Track(track) = message {
                let message = NetworkMessage::Expire { circuit: id, to: track.from, origin: track.origin };
                out.push(NetworkEffect::Send { to: from, link, message });
            }
            return;
        };
        let passage = &mut *self.passages[place];
        let Passage { circuit, role, forgotten, .. } = passage;
        let came_from = |hop: Option<Hop>| hop == Some(Hop { link, peer: from });
        let (from_head, from_tail) = (came_from(circuit.towards_head), came_from(circuit.towards_tail));
        let onward = if from_head { circuit.towards_tail } else { circuit.towards_head };
        let mut hand_on = |message: &NetworkMessage| {
            if let Some(hop) = onward {
                out.push(NetworkEffect::Send { to: hop.peer, link: hop.link, message: *message });
            }
        };
        match (message, role) {
            (NetworkMessage::Track(track), role)
                if from_head && track.from == End::Head || from_tail && track.from == End::Tail =>
            {
                match role {
                    Role::End(end) => end.hear(circuit, &self.quality, now, track, out),
                    Role::Middle(middle) => middle.track(circuit, now, track, out),
                }
            }
            (NetworkMessage::Expire { to, origin, .. }, role)
                if from_head && *to == End::Tail || from_tail && *to == End::Head =>
            {
                match role {
                    Role::End(end) => end.give_up(circuit, now, *origin, out),
                    Role::Middle(_) => hand_on(message),
                }
            }
            (NetworkMessage::Lost { pair, .. }, role) if pair.link == link && (from_head || from_tail) => {
                match role {
                    Role::End(end) => end.give_up(circuit, now, *pair, out),
                    Role::Middle(middle) => {
                        let side = if from_head { End::Head } else { End::Tail };
                        middle.lost(circuit, side, *pair, now, out);
                    }
                }
            }
            (NetworkMessage::Waits { to, origin, .. }, role)
                if from_head && *to == End::Tail || from_tail && *to == End::Head =>
            {
                match role {
                    Role::End(end) => end.waits(circuit, *origin),
                    Role::Middle(_) => hand_on(message),
                }
            }
            (NetworkMessage::Forward { request, .. }, _) if from_head && forgotten.is_none() => {
                hand_on(message);
                let until = now.saturating_add(circuit.round_trip.saturating_mul(FADE));
                passage.believe(*request, until);
            }
            (NetworkMessage::Complete { request, .. }, _) if from_head => {
                hand_on(message);
                passage.disbelieve(*request);
            }
            _ => return,
        }
        self.after(now, place, out);
    }

    /// Tells what is over, starts and stops links, and sets the clock of a circuit, after anything has happened to it.
    #[inline]
    fn after(&mut self, now: Time, place: usize, out: &mut Vec<NetworkEffect>) {
        let Passage { circuit, role, active, wanted, refresh, forgotten, .. } = &mut *self.passages[place];
        let id = circuit.id;
        if let (Role::End(end), Some(hop)) = (&mut *role, circuit.towards_tail) {
            while let Some((request, delivered, why)) = end.requests.take_over() {
                active.retain(|(known, _)| *known != request);
                let message = NetworkMessage::Complete { circuit: id, request };
                out.push(NetworkEffect::Send { to: hop.peer, link: hop.link, message });
                let over = NetworkEvent::RequestOver { circuit: id, request, delivered, end: why };
                out.push(NetworkEffect::Event(over));
            }
        }
        if *wanted == active.is_empty() {
            *wanted = !active.is_empty();
            if let Some(hop) = circuit.towards_tail {
                out.push(NetworkEffect::Want { link: hop.link, circuit: id, wanted: *wanted });
            }
            if let (Role::Middle(middle), false) = (&mut *role, *wanted) {
                middle.flush(circuit, now, out);
            }
        }
        let own = match role {
            Role::End(end) => end.deadline().min(end.requests.deadline()),
            Role::Middle(middle) => middle.deadline(circuit),
        };
        // The head's own are told again, and fade nowhere sooner.
        let mut next = own.min(refresh.unwrap_or(Time::MAX)).min(forgotten.unwrap_or(Time::MAX));
        if circuit.towards_head.is_some() {
            next = active.iter().fold(next, |next, (_, until)| next.min(*until));
        }
        if next < Time::MAX {
            // One that was set earlier stays; what moved later is found out when it comes.
            let at = &mut self.due[place].at;
            *at = next.max(now.saturating_add(Duration::from_picoseconds(1))).min(*at);
            self.next = self.next.min(*at);
        }
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<NetworkEffect>) {
        if self.next > now {
            return;
        }
        let mut place = 0;
        while let Some(due) = self.due.get_mut(place) {
            if due.at > now {
                place += 1;
                continue;
            }
            due.at = Time::MAX;
            let Passage { circuit, role, active, refresh, forgotten, .. } = &mut *self.passages[place];
            if forgotten.is_some_and(|at| at <= now) {
                self.due.remove(place);
                self.passages.remove(place);
                continue;
            }
            match role {
                Role::Middle(middle) => middle.timeout(circuit, now, out),
                Role::End(end) => {
                    end.timeout(circuit, now, out);
                    end.requests.close_due(now);
                }
            }
            if circuit.towards_head.is_some() {
                active.retain(|(_, until)| *until > now);
            }
            if refresh.is_some_and(|at| at <= now) {
                self.refresh(now, place, out);
            }
            self.after(now, place, out);
            place += 1;
        }
        self.next = self.due.iter().map(|due| due.at).fold(Time::MAX, Time::min);
    }

    /// When [`timeout`](Self::timeout) is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        Some(self.next).filter(|next| *next < Time::MAX)
    }

    /// Whether somebody wants pairs of a circuit, as far as this node knows.
    pub fn is_wanted(&self, circuit: CircuitId) -> bool {
        self.passage(circuit).is_some_and(|passage| passage.wanted)
    }
    /// The least fidelity that a circuit asks of its links, and its share of them.
    pub fn link_terms(&self, circuit: CircuitId) -> Option<(f64, u16)> {
        self.passage(circuit).map(|passage| (passage.circuit.link_fidelity, passage.circuit.weight))
    }

    /// How many halves are held that nobody was handed, and how many records and tombstones are kept: for reports and
    /// tests.
    pub fn held(&mut self) -> (usize, usize) {
        let held = self.passages.iter_mut().map(|passage| match &mut passage.role {
            Role::End(end) => end.held(),
            Role::Middle(middle) => middle.held(),
        });
        held.fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1))
    }
}

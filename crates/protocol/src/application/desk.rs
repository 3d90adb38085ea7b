//! Which pair is for which call: what both ends of a circuit have to agree on, and a driver need not know.
//!
//! Both ends number their calls from 0, circuit by circuit. The head makes a request of the network layer for each call,
//! under the number of the call, and the network layer tells both ends for which request a pair is. So the n-th call of one
//! end meets the n-th of the other, whoever calls first, and a call that failed at one end shifts nothing. Where several
//! circuits join two nodes, the first that this end knows of is taken: both ends have to list them in one order.

use super::EprError;
use crate::entanglement::network::{Delivered, End, PairRequest, RequestId};
use crate::entanglement::{CircuitId, MemoryId, PairId};
use bellwether_units::{Duration, NodeId, Time};
use std::collections::BTreeMap;

/// Requests of programs bear numbers from here on; others stay below. The session and the number of the call follow.
const PROGRAMS: u64 = 1 << 63;
const SESSION_BITS: u32 = 31;
const CALL_BITS: u32 = 32;

/// The request for a call.
const fn request_of(session: u32, number: u64) -> RequestId {
    let session = session as u64 & ((1 << SESSION_BITS) - 1);
    RequestId(PROGRAMS | session << CALL_BITS | number & ((1 << CALL_BITS) - 1))
}
/// In which session a request was made, and for which call.
const fn call_of(request: RequestId) -> (u32, u64) {
    let session = (request.0 & !PROGRAMS) >> CALL_BITS;
    (session as u32, request.0 & ((1 << CALL_BITS) - 1))
}

/// By how much a claimed fidelity may fall short for being rounded.
const ROUNDING: f64 = 1e-9;

/// What pairs a call is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairTerms {
    /// How many.
    pub pairs: u64,
    /// The least fidelity that is to be claimed of them.
    pub min_fidelity: f64,
    /// How long it may take; [`Duration::MAX`] for as long as it takes.
    pub within: Duration,
    /// Whether the tail turns its half so that pairs are |Φ⁺⟩. That of the head's call holds.
    pub correct: bool,
}

/// An end of a circuit whose pairs programs may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Booth {
    /// Which circuit.
    pub circuit: CircuitId,
    /// Which end this is.
    pub end: End,
    /// Who is at the other end.
    pub peer: NodeId,
    /// The best fidelity that can be had, as far as this node knows.
    pub best: f64,
}

/// A call, by its circuit and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId {
    /// The circuit.
    pub circuit: CircuitId,
    /// The number, the same at both ends.
    pub number: u64,
}

/// What is to be done about calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DeskEffect {
    /// Ask the network layer.
    Request(CircuitId, PairRequest),
    /// Take that back.
    Withdraw(CircuitId, RequestId),
    /// A half for a call.
    Pair {
        /// Which call.
        call: CallId,
        /// The half.
        pair: Delivered,
        /// Whether the call has all that it wanted.
        last: bool,
    },
    /// A call is over without all that it wanted.
    Failed {
        /// Which call.
        call: CallId,
        /// Why.
        why: EprError,
    },
    /// Nobody wants the half: give its memory back.
    Release {
        /// Of which circuit.
        circuit: CircuitId,
        /// This end's link pair.
        pair: PairId,
        /// Where the half is.
        memory: MemoryId,
    },
}

#[derive(Clone, Copy, Debug)]
struct Open {
    terms: PairTerms,
    handed: u64,
    until: Option<Time>,
}

#[derive(Clone, Debug)]
struct Counter {
    booth: Booth,
    /// In which session the head makes its requests.
    session: u32,
    /// How many calls there were.
    called: u64,
    open: BTreeMap<u64, Open>,
    /// Halves for calls that will come.
    early: BTreeMap<u64, Vec<Delivered>>,
    /// How many calls the other end made before its program ended.
    peer_calls: Option<u64>,
    /// The program of this end has ended.
    over: bool,
}

/// Matches calls of one node with pairs of the circuits that end there.
#[derive(Clone, Debug, Default)]
pub struct PairDesk {
    counters: Vec<Counter>,
}

impl PairDesk {
    /// A desk for these ends of circuits.
    pub fn new(booths: impl IntoIterator<Item = Booth>) -> Self {
        let counter = |booth| Counter {
            booth,
            session: 0,
            called: 0,
            open: BTreeMap::new(),
            early: BTreeMap::new(),
            peer_calls: None,
            over: false,
        };
        Self { counters: booths.into_iter().map(counter).collect() }
    }
    /// Heads of circuits to `peer`, or their tails, number calls in this session from now on; in session 0 until this is said.
    /// A session of 31 bits tells the requests of a program from those of one that ran at its node before: both ends have to
    /// have the head's.
    pub fn set_session(&mut self, peer: NodeId, end: End, session: u32) {
        let session = session & ((1 << SESSION_BITS) - 1);
        let meant = |counter: &&mut Counter| counter.booth.peer == peer && counter.booth.end == end;
        self.counters.iter_mut().filter(meant).for_each(|counter| counter.session = session);
    }
    /// Whether a request was made for a call of a program.
    pub const fn is_for_programs(request: RequestId) -> bool {
        request.0 >= PROGRAMS
    }
    fn counter(&mut self, circuit: CircuitId) -> Option<&mut Counter> {
        self.counters.iter_mut().find(|counter| counter.booth.circuit == circuit)
    }

    /// A program calls for pairs; `barred` is why this node cannot serve it at present.
    ///
    /// # Errors
    /// If there is no circuit, or nothing can come of it. But for a missing circuit, such a call counts.
    pub fn call(
        &mut self,
        now: Time,
        peer: NodeId,
        terms: PairTerms,
        barred: Option<EprError>,
        out: &mut Vec<DeskEffect>,
    ) -> Result<CallId, EprError> {
        let counter = self.counters.iter_mut().find(|counter| counter.booth.peer == peer);
        let counter = counter.ok_or(EprError::NoCircuit(peer))?;
        let Booth { circuit, end, best, .. } = counter.booth;
        let number = counter.called;
        let call = CallId { circuit, number };
        counter.called += 1;
        let early = counter.early.remove(&number).unwrap_or_default();
        let refused = if barred.is_some() {
            barred
        } else if terms.min_fidelity.is_nan() || terms.min_fidelity > best + ROUNDING {
            Some(EprError::TooNoisy { wanted: terms.min_fidelity, best })
        } else if counter.peer_calls.is_some_and(|calls| calls <= number) {
            Some(EprError::PeerGone(peer))
        } else {
            None
        };
        if let Some(refused) = refused {
            out.extend(early.iter().map(release));
            return Err(refused);
        }
        let terms = PairTerms { pairs: terms.pairs.max(1), ..terms };
        let until = (terms.within < Duration::MAX).then(|| now.saturating_add(terms.within));
        counter.open.insert(number, Open { terms, handed: 0, until });
        if end == End::Head {
            let request = PairRequest {
                id: request_of(counter.session, number),
                pairs: Some(terms.pairs),
                until,
                correct: terms.correct,
                early: false,
            };
            out.push(DeskEffect::Request(circuit, request));
        }
        for pair in early {
            self.delivered(&pair, out);
        }
        Ok(call)
    }

    /// The network layer has delivered a half for a request of a program.
    pub fn delivered(&mut self, pair: &Delivered, out: &mut Vec<DeskEffect>) {
        let (session, number) = call_of(pair.request);
        let counter = self.counter(pair.circuit).filter(|counter| counter.session == session);
        let Some(counter) = counter else { return out.push(release(pair)) };
        let call = CallId { circuit: pair.circuit, number };
        let Some(open) = counter.open.get_mut(&number) else {
            if number >= counter.called && !counter.over {
                counter.early.entry(number).or_default().push(*pair);
            } else {
                out.push(release(pair));
            }
            return;
        };
        let fidelity = pair.estimate.probabilities()[0];
        let PairTerms { pairs, min_fidelity, .. } = open.terms;
        if pairs == 1 && fidelity < min_fidelity - ROUNDING {
            counter.open.remove(&number);
            out.push(release(pair));
            let why = EprError::TooNoisy { wanted: min_fidelity, best: fidelity };
            return out.push(DeskEffect::Failed { call, why });
        }
        open.handed += 1;
        let last = open.handed == pairs;
        if last {
            counter.open.remove(&number);
        }
        out.push(DeskEffect::Pair { call, pair: *pair, last });
    }
    /// A half came to nothing. If it waits here for a call, it is given back, and this says so.
    pub fn revoked(&mut self, circuit: CircuitId, memory: MemoryId, out: &mut Vec<DeskEffect>) -> bool {
        let Some(counter) = self.counter(circuit) else { return false };
        for halves in counter.early.values_mut() {
            if let Some(place) = halves.iter().position(|pair| pair.memory == memory) {
                out.push(release(&halves.remove(place)));
                return true;
            }
        }
        false
    }

    /// The program of another node has ended, after so many calls on circuits.
    pub fn peer_over(&mut self, peer: NodeId, calls: &[(CircuitId, u64)], out: &mut Vec<DeskEffect>) {
        for counter in self.counters.iter_mut().filter(|counter| counter.booth.peer == peer) {
            let circuit = counter.booth.circuit;
            let calls = calls.iter().find(|(known, _)| *known == circuit).map_or(0, |(_, calls)| *calls);
            counter.peer_calls = Some(calls);
            for number in counter.open.split_off(&calls).into_keys() {
                withdraw(counter.booth, counter.session, number, out);
                let call = CallId { circuit, number };
                out.push(DeskEffect::Failed { call, why: EprError::PeerGone(peer) });
            }
        }
    }
    /// The program of this node has ended: what comes for it is given back.
    pub fn over(&mut self, out: &mut Vec<DeskEffect>) {
        for counter in &mut self.counters {
            counter.over = true;
            for number in core::mem::take(&mut counter.open).into_keys() {
                withdraw(counter.booth, counter.session, number, out);
            }
            out.extend(core::mem::take(&mut counter.early).values().flatten().map(release));
        }
    }
    /// The node was down and has lost everything: all calls have failed.
    pub fn crashed(&mut self, out: &mut Vec<DeskEffect>) {
        for counter in &mut self.counters {
            counter.early.clear();
            let circuit = counter.booth.circuit;
            for number in core::mem::take(&mut counter.open).into_keys() {
                out.push(DeskEffect::Failed { call: CallId { circuit, number }, why: EprError::NodeDown });
            }
        }
    }
    /// How often the program called for pairs of each circuit.
    pub fn calls(&self) -> Vec<(CircuitId, u64)> {
        self.counters.iter().map(|counter| (counter.booth.circuit, counter.called)).collect()
    }
    /// Whether this is the head of a circuit.
    pub fn is_head(&self, circuit: CircuitId) -> bool {
        let booths = self.counters.iter().map(|counter| counter.booth);
        booths.into_iter().any(|booth| booth.circuit == circuit && booth.end == End::Head)
    }
    /// The latest call for pairs with a node, whether it is open or not.
    pub fn last_call(&self, peer: NodeId) -> Option<CallId> {
        let counter = self.counters.iter().find(|counter| counter.booth.peer == peer)?;
        let number = counter.called.checked_sub(1)?;
        Some(CallId { circuit: counter.booth.circuit, number })
    }
    /// Until when a call may take; none for as long as it takes.
    pub fn until(&self, call: CallId) -> Option<Time> {
        self.open(call)?.until
    }
    fn open(&self, call: CallId) -> Option<&Open> {
        let counter = self.counters.iter().find(|counter| counter.booth.circuit == call.circuit)?;
        counter.open.get(&call.number)
    }

    /// Ends calls whose time is up.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<DeskEffect>) {
        for counter in &mut self.counters {
            let Booth { circuit, peer, .. } = counter.booth;
            counter.open.retain(|number, open| {
                let over = open.until.is_some_and(|until| until <= now);
                if over {
                    let why = EprError::TimedOut { peer, within: open.terms.within };
                    out.push(DeskEffect::Failed { call: CallId { circuit, number: *number }, why });
                }
                !over
            });
        }
    }
    /// When [`timeout`](Self::timeout) is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        self.counters.iter().flat_map(|counter| counter.open.values()).filter_map(|open| open.until).min()
    }
}

const fn release(pair: &Delivered) -> DeskEffect {
    DeskEffect::Release { circuit: pair.circuit, pair: pair.own_pair(), memory: pair.memory }
}
fn withdraw(booth: Booth, session: u32, number: u64, out: &mut Vec<DeskEffect>) {
    if booth.end == End::Head {
        out.push(DeskEffect::Withdraw(booth.circuit, request_of(session, number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_quantum::bell::{BellDiagonal, BellIndex};
    use bellwether_units::LinkId;

    const CIRCUIT: CircuitId = CircuitId(3);
    const PEER: NodeId = NodeId(9);

    fn desk(end: End) -> PairDesk {
        PairDesk::new([Booth { circuit: CIRCUIT, end, peer: PEER, best: 0.9 }])
    }
    fn terms(min_fidelity: f64) -> PairTerms {
        PairTerms { pairs: 1, min_fidelity, within: Duration::from_whole_seconds(1), correct: true }
    }
    fn pair(end: End, number: u64, fidelity: f64) -> Delivered {
        let id = PairId { link: LinkId(0), epoch: 0, sequence: number };
        Delivered {
            circuit: CIRCUIT,
            end,
            request: RequestId(PROGRAMS | number),
            id: crate::entanglement::EndToEndId { head: id, tail: id },
            memory: MemoryId(number as u16),
            bell: BellIndex::PHI_PLUS,
            estimate: BellDiagonal::werner(fidelity).unwrap(),
            made: Time::ZERO,
        }
    }
    fn number(effect: &DeskEffect) -> Option<u64> {
        match effect {
            DeskEffect::Pair { call, last: true, .. } => Some(call.number),
            _ => None,
        }
    }

    #[test]
    fn pairs_of_another_session_are_given_back() {
        let mut tail = desk(End::Tail);
        let mut out = Vec::new();
        tail.set_session(PEER, End::Tail, 0x8000_0007);
        tail.call(Time::ZERO, PEER, terms(0.5), None, &mut out).unwrap();
        tail.delivered(&pair(End::Tail, 0, 0.8), &mut out);
        assert!(matches!(out[..], [DeskEffect::Release { .. }]), "{out:?}");
        let request = request_of(7, 0);
        assert!(PairDesk::is_for_programs(request));
        tail.delivered(&Delivered { request, ..pair(End::Tail, 0, 0.8) }, &mut out);
        assert_eq!(number(&out[1]), Some(0));
        let mut head = desk(End::Head);
        head.set_session(PEER, End::Head, 7);
        out.clear();
        head.call(Time::ZERO, PEER, terms(0.5), None, &mut out).unwrap();
        assert!(matches!(out[..], [DeskEffect::Request(CIRCUIT, PairRequest { id, .. })] if id == request));
    }

    #[test]
    fn the_head_asks_and_the_tail_takes_by_number() {
        let (mut head, mut tail) = (desk(End::Head), desk(End::Tail));
        let mut out = Vec::new();
        head.call(Time::ZERO, PEER, terms(0.5), None, &mut out).unwrap();
        assert!(matches!(out[..], [DeskEffect::Request(CIRCUIT, PairRequest { pairs: Some(1), .. })]));
        out.clear();
        // The second pair comes before the first, and before either call.
        tail.delivered(&pair(End::Tail, 1, 0.8), &mut out);
        assert!(out.is_empty());
        tail.call(Time::ZERO, PEER, terms(0.5), None, &mut out).unwrap();
        assert!(out.is_empty());
        tail.call(Time::ZERO, PEER, terms(0.5), None, &mut out).unwrap();
        assert_eq!(number(&out[0]), Some(1));
        out.clear();
        tail.delivered(&pair(End::Tail, 0, 0.8), &mut out);
        assert_eq!(number(&out[0]), Some(0));
    }

    #[test]
    fn calls_that_fail_count() {
        let mut tail = desk(End::Tail);
        let mut out = Vec::new();
        let refused = tail.call(Time::ZERO, PEER, terms(0.95), None, &mut out);
        assert_eq!(refused, Err(EprError::TooNoisy { wanted: 0.95, best: 0.9 }));
        let call = tail.call(Time::ZERO, PEER, terms(0.5), None, &mut out).unwrap();
        assert_eq!(call.number, 1);
        tail.delivered(&pair(End::Tail, 0, 0.9), &mut out);
        assert!(matches!(out[..], [DeskEffect::Release { .. }]));
        out.clear();
        tail.timeout(Time::ZERO + Duration::from_whole_seconds(1), &mut out);
        assert!(matches!(out[..], [DeskEffect::Failed { why: EprError::TimedOut { .. }, .. }]));
        assert_eq!(tail.deadline(), None);
    }

    #[test]
    fn a_pair_that_is_worse_than_wanted_is_given_back() {
        let mut head = desk(End::Head);
        let mut out = Vec::new();
        let call = head.call(Time::ZERO, PEER, terms(0.85), None, &mut out).unwrap();
        out.clear();
        head.delivered(&pair(End::Head, 0, 0.8), &mut out);
        assert!(matches!(out[0], DeskEffect::Release { .. }));
        let DeskEffect::Failed { call: failed, why: EprError::TooNoisy { best, .. } } = out[1] else {
            panic!("{out:?}")
        };
        assert_eq!(failed, call);
        assert!((best - 0.8).abs() < 1e-12);
    }

    #[test]
    fn what_a_program_that_has_ended_does_not_ask_for_does_not_come() {
        let mut head = desk(End::Head);
        let mut out = Vec::new();
        for _ in 0..2 {
            head.call(Time::ZERO, PEER, terms(0.5), None, &mut out).unwrap();
        }
        out.clear();
        head.peer_over(PEER, &[(CIRCUIT, 1)], &mut out);
        assert!(matches!(out[0], DeskEffect::Withdraw(CIRCUIT, RequestId(n)) if n == PROGRAMS | 1));
        assert!(matches!(out[1], DeskEffect::Failed { why: EprError::PeerGone(PEER), .. }));
        assert_eq!(out.len(), 2);
        let refused = head.call(Time::ZERO, PEER, terms(0.5), None, &mut out);
        assert_eq!(refused, Err(EprError::PeerGone(PEER)));
    }
}

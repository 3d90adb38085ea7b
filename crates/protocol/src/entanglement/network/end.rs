//! The end of a circuit: gives its pairs to requests, tells the other end of them, and hands out what both know.
//!
//! An end tells the other of each half with a [`Track`], again and again until it hears of the other's. A pair is
//! handed out when the other's track has arrived: then both ends know its name, its Bell state and its request, which
//! the head alone chooses, so that no two ends can choose differently. Whatever else happens (an expiry, too long a
//! silence), the half is given up, and a pair that was handed out is revoked.

use super::api::{Circuit, Delivered, Hop, NetworkEffect, NetworkEvent, NodeQuality};
use super::by_pair::ByPair;
use super::message::{End, NetworkMessage, RequestId, Track};
use super::requests::Requests;
use super::{KEPT, SENDINGS, TELL_AGAIN};
use crate::entanglement::link::LinkPair;
use crate::entanglement::{EndToEndId, MemoryId, PairId};
use bellwether_quantum::Decay;
use bellwether_quantum::bell::{BellDiagonal, BellIndex};
use bellwether_units::{Duration, Time};
use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

#[derive(Clone, Copy, Debug)]
enum State {
    /// The other end's track has not come. How often ours was told.
    Tracking { sendings: u32 },
    /// Handed out.
    Confirmed { memory_released: bool },
    /// Given up.
    Gone,
}

/// How a track is meant.
#[derive(Clone, Copy, PartialEq)]
enum Telling {
    /// For the first time.
    Once,
    /// As an answer.
    Answer,
    /// Because the other's did not come.
    Again,
    /// The half is given up.
    Withdrawn,
}

#[derive(Clone, Copy, Debug)]
struct Half {
    pair: LinkPair,
    state: State,
    request: Option<RequestId>,
    handed_out_early: bool,
    /// The tail turns its half.
    correct: bool,
    /// When it came, or when its state last changed.
    at: Time,
}

/// The end of a circuit.
#[derive(Debug)]
pub(super) struct CircuitEnd {
    end: End,
    hop: Hop,
    halves: ByPair<Half>,
    /// When to look at which half again.
    again: BinaryHeap<Reverse<(Time, PairId)>>,
    /// How long the other end's track is waited for before this end's is told again.
    patience: Duration,
    /// Tracks whose pair has not come yet.
    unknown: VecDeque<(Time, Track)>,
    pub(super) requests: Requests,
    draining: bool,
}

impl CircuitEnd {
    pub(super) fn new(end: End, hop: Hop) -> Self {
        Self {
            end,
            hop,
            halves: ByPair::default(),
            again: BinaryHeap::new(),
            patience: Duration::ZERO,
            unknown: VecDeque::new(),
            requests: Requests::default(),
            draining: false,
        }
    }

    fn send(&self, message: NetworkMessage, out: &mut Vec<NetworkEffect>) {
        out.push(NetworkEffect::Send { to: self.hop.peer, link: self.hop.link, message });
    }

    /// Tells the other end of a half: `how` it is to be taken.
    fn track(&self, circuit: &Circuit, half: &Half, how: Telling, out: &mut Vec<NetworkEffect>) {
        let track = Track {
            circuit: circuit.id,
            from: self.end,
            origin: half.pair.id,
            current: half.pair.id,
            bell: half.pair.bell,
            estimate: BellDiagonal::werner(half.pair.goodness).unwrap_or(BellDiagonal::MIXED),
            made: half.pair.made,
            request: half.request,
            correct: half.correct,
            withdrawn: how == Telling::Withdrawn,
            again: how == Telling::Again,
            repeated: how != Telling::Once,
        };
        self.send(NetworkMessage::Track(track), out);
    }

    /// How long the other end's track is waited for before this end's is told again.
    fn patience(&self, circuit: &Circuit) -> Duration {
        let [least, most] = TELL_AGAIN.map(|trips| circuit.round_trip.saturating_mul(trips));
        self.patience.clamp(least, most)
    }
    /// What was told is lost at times: it is told again sooner from now on.
    fn be_quicker(&mut self, circuit: &Circuit) {
        self.patience = self.patience(circuit) / 2;
    }
    /// To tell it again was of no use, since other links are waited for: it is told again later from now on.
    fn be_slower(&mut self, circuit: &Circuit) {
        let patience = self.patience(circuit);
        self.patience = patience + patience / 8;
    }
    /// Looks at a half again after so long, or up to a quarter later, so that one look serves several.
    fn look_after(&mut self, now: Time, patience: Duration, pair: PairId) {
        let grain = (patience.picoseconds() / 4).max(1);
        let at = now.saturating_add(patience).picoseconds().div_ceil(grain).saturating_mul(grain);
        self.again.push(Reverse((Time::from_picoseconds(at), pair)));
    }

    /// The link has made a pair.
    pub(super) fn pair(
        &mut self,
        circuit: &Circuit,
        quality: &NodeQuality,
        now: Time,
        pair: LinkPair,
        out: &mut Vec<NetworkEffect>,
    ) {
        let request = match self.end {
            End::Head => self.requests.assign(),
            End::Tail => None,
        };
        let idle = self.draining || self.end == End::Head && request.is_none();
        if idle || self.halves.get(pair.id).is_some() {
            out.push(NetworkEffect::Free(pair.memory));
            if let Some(request) = request {
                self.requests.unassign(request);
            }
            return;
        }
        let (early, correct) = request.map_or((false, false), |request| self.requests.manner(request));
        if let Some(request) = request.filter(|_| early) {
            let (circuit, origin, memory) = (circuit.id, pair.id, pair.memory);
            out.push(NetworkEffect::Event(NetworkEvent::Early { circuit, request, origin, memory }));
        }
        let state = State::Tracking { sendings: 1 };
        let half = Half { pair, state, request, handed_out_early: early, correct, at: now };
        self.track(circuit, &half, Telling::Once, out);
        self.halves.insert(pair.id, half);
        self.look_after(now, self.patience(circuit), pair.id);
        let place = self.unknown.iter().position(|(_, track)| track.current == pair.id);
        if let Some((_, track)) = place.and_then(|place| self.unknown.remove(place)) {
            self.hear(circuit, quality, now, &track, out);
        }
        let kept = circuit.round_trip.saturating_mul(KEPT);
        self.halves.forget(|half| {
            !matches!(half.state, State::Tracking { .. }) && now >= half.at.saturating_add(kept)
        });
    }

    /// The other end's track arrived.
    pub(super) fn hear(
        &mut self,
        circuit: &Circuit,
        quality: &NodeQuality,
        now: Time,
        track: &Track,
        out: &mut Vec<NetworkEffect>,
    ) {
        let Some(half) = self.halves.get_mut(track.current) else {
            if self.draining || track.withdrawn {
                return self.expire(circuit, track.origin, out);
            }
            match self.unknown.iter_mut().find(|(_, known)| known.current == track.current) {
                Some((_, known)) => *known = *track,
                None => self.unknown.push_back((now.saturating_add(circuit.round_trip), *track)),
            }
            return;
        };
        if track.withdrawn {
            let pair = half.pair.id;
            return self.give_up(circuit, now, pair, out);
        }
        match half.state {
            State::Gone => self.expire(circuit, track.origin, out),
            State::Confirmed { .. } if track.again => {
                let half = *half;
                self.track(circuit, &half, Telling::Answer, out);
            }
            State::Confirmed { .. } => {}
            State::Tracking { sendings } => {
                let (head, tail) = match self.end {
                    End::Head => (half.pair.id, track.origin),
                    End::Tail => (track.origin, half.pair.id),
                };
                let Some(request) = half.request.or(track.request) else {
                    let pair = half.pair.id;
                    return self.give_up(circuit, now, pair, out);
                };
                half.state = State::Confirmed { memory_released: false };
                half.request = Some(request);
                half.at = now;
                let LinkPair { memory, made, .. } = half.pair;
                half.correct |= track.correct;
                let correct = half.correct;
                let bell = if correct { BellIndex::PHI_PLUS } else { track.bell };
                if correct && self.end == End::Tail && track.bell != BellIndex::PHI_PLUS {
                    out.push(NetworkEffect::Correct { memory, pauli: track.bell });
                }
                let here = quality.memory.decay(Duration::ZERO, now.since(made));
                let there = circuit.far_memory.decay(Duration::ZERO, now.since(track.made));
                let estimate = track.estimate.shrunk(Decay::of_pair([here, there]));
                let id = EndToEndId { head, tail };
                let (of, end) = (circuit.id, self.end);
                let delivered = Delivered { circuit: of, end, request, id, memory, bell, estimate, made };
                out.push(NetworkEffect::Event(NetworkEvent::Delivered(delivered)));
                if self.end == End::Head {
                    self.requests.delivered(request);
                }
                if track.repeated {
                    self.be_quicker(circuit);
                } else if sendings > 1 {
                    self.be_slower(circuit);
                }
            }
        }
    }

    /// This end's track waits for another link: it has been heard, and is told on, more rarely.
    pub(super) fn waits(&mut self, circuit: &Circuit, pair: PairId) {
        if let Some(Half { state: State::Tracking { sendings }, .. }) = self.halves.get_mut(pair) {
            *sendings = (*sendings).min(SENDINGS / 2);
            self.be_slower(circuit);
        }
    }

    fn expire(&self, circuit: &Circuit, origin: PairId, out: &mut Vec<NetworkEffect>) {
        let to = self.end.other();
        self.send(NetworkMessage::Expire { circuit: circuit.id, to, origin }, out);
    }

    /// The half came to nothing: an expiry came for it, its link took it back, or the other end is silent.
    pub(super) fn give_up(
        &mut self,
        circuit: &Circuit,
        now: Time,
        pair: PairId,
        out: &mut Vec<NetworkEffect>,
    ) {
        let Some(half) = self.halves.get_mut(pair) else { return };
        let before = core::mem::replace(&mut half.state, State::Gone);
        half.at = now;
        let half = *half;
        match before {
            State::Gone => {}
            State::Tracking { .. } => {
                if half.handed_out_early {
                    self.revoke(circuit, &half, out);
                } else {
                    out.push(NetworkEffect::Free(half.pair.memory));
                }
                if let Some(request) = half.request.filter(|_| self.end == End::Head) {
                    self.requests.unassign(request);
                }
            }
            State::Confirmed { memory_released } => {
                if !memory_released {
                    self.revoke(circuit, &half, out);
                }
                if let Some(request) = half.request.filter(|_| self.end == End::Head) {
                    self.requests.take_back(request);
                }
            }
        }
    }

    fn revoke(&self, circuit: &Circuit, half: &Half, out: &mut Vec<NetworkEffect>) {
        let (circuit, end, origin, memory) = (circuit.id, self.end, half.pair.id, half.pair.memory);
        out.push(NetworkEffect::Event(NetworkEvent::Revoked { circuit, end, origin, memory }));
    }

    /// A link takes a pair back: the other end is told as well.
    pub(super) fn revoked(
        &mut self,
        circuit: &Circuit,
        now: Time,
        pair: PairId,
        out: &mut Vec<NetworkEffect>,
    ) {
        let Some(half) = self.halves.get(pair).filter(|half| !matches!(half.state, State::Gone)) else {
            return;
        };
        self.track(circuit, half, Telling::Withdrawn, out);
        self.give_up(circuit, now, pair, out);
    }

    /// The application has given the memory of a half back.
    pub(super) fn released(&mut self, pair: PairId, memory: MemoryId, out: &mut Vec<NetworkEffect>) {
        if let Some(half) = self.halves.get_mut(pair)
            && let State::Confirmed { memory_released } = &mut half.state
            && core::mem::replace(memory_released, true)
        {
            return;
        }
        out.push(NetworkEffect::Free(memory));
    }

    /// Tells again what is not confirmed, and gives up what is due.
    pub(super) fn timeout(&mut self, circuit: &Circuit, now: Time, out: &mut Vec<NetworkEffect>) {
        while self.unknown.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, track)) = self.unknown.pop_front() {
                self.expire(circuit, track.origin, out);
            }
        }
        while let Some(&Reverse((at, pair))) = self.again.peek()
            && at <= now
        {
            self.again.pop();
            let Some(Half { state: State::Tracking { sendings }, .. }) = self.halves.get_mut(pair) else {
                continue;
            };
            *sendings += 1;
            let sendings = *sendings;
            let over = sendings > SENDINGS;
            if let Some(half) = self.halves.get(pair) {
                let how = if over { Telling::Withdrawn } else { Telling::Again };
                self.track(circuit, half, how, out);
            }
            if over {
                self.give_up(circuit, now, pair, out);
            } else {
                self.look_after(now, self.patience(circuit), pair);
            }
        }
    }

    /// When [`timeout`](Self::timeout) has something to do; the latest of all times for never. What was confirmed in time
    /// wants nothing.
    pub(super) fn deadline(&mut self) -> Time {
        while let Some(&Reverse((_, pair))) = self.again.peek() {
            if self.halves.get(pair).is_some_and(|half| matches!(half.state, State::Tracking { .. })) {
                break;
            }
            self.again.pop();
        }
        let unknown = self.unknown.front().map_or(Time::MAX, |(until, _)| *until);
        self.again.peek().map_or(unknown, |Reverse((at, _))| unknown.min(*at))
    }

    /// No pair is taken any more; those that are not confirmed are given up.
    pub(super) fn drain(&mut self, circuit: &Circuit, now: Time, out: &mut Vec<NetworkEffect>) {
        self.draining = true;
        let open = |half: &&mut Half| matches!(half.state, State::Tracking { .. });
        let open: Vec<_> = self.halves.values_mut().filter(open).map(|half| half.pair.id).collect();
        for pair in open {
            if let Some(half) = self.halves.get(pair) {
                self.track(circuit, half, Telling::Withdrawn, out);
            }
            self.give_up(circuit, now, pair, out);
        }
        self.unknown.clear();
    }

    /// How many halves are held for want of the other end's track, and how many are remembered.
    pub(super) fn held(&mut self) -> (usize, usize) {
        let tracking = self.halves.values_mut().filter(|half| matches!(half.state, State::Tracking { .. }));
        (tracking.count(), self.halves.len())
    }
}

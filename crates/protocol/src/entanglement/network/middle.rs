//! A node within a circuit: swaps as soon as both sides hold a pair, and follows pairs through its swaps.
//!
//! Nothing waits for a message. A swap leaves a record under the names of both its pairs, and a [`Track`] that comes
//! later is turned by it; a track that comes earlier waits with its pair. A pair that is given up leaves a tombstone,
//! and a track that meets one goes back as an expiry. Records and tombstones are kept as long as a message may be
//! late, and no longer.

use super::KEPT;
use super::api::{Circuit, NetworkEffect, NodeQuality, PairChoice};
use super::by_pair::ByPair;
use super::message::{End, NetworkMessage, Track};
use crate::entanglement::PairId;
use crate::entanglement::link::LinkPair;
use bellwether_quantum::Decay;
use bellwether_quantum::bell::{BellDiagonal, BellIndex, SwapQuality};
use bellwether_units::{Duration, Time};
use std::collections::VecDeque;

#[derive(Debug)]
struct Swapping {
    token: u64,
    halves: [LinkPair; 2],
    /// A link took a pair of it back meanwhile.
    revoked: bool,
}

/// What became of a pair at this node.
#[derive(Debug)]
enum Fate {
    /// It was swapped: what a track that arrives with it becomes.
    Swapped {
        other: PairId,
        frame: BellIndex,
        hop: BellDiagonal,
        /// The origin of the track that passed.
        passed: Option<PairId>,
        /// When it was swapped, or the last track passed.
        at: Time,
    },
    /// It came to nothing.
    Gone { at: Time },
}

impl Fate {
    /// Since when no message is expected any more that would ask for it: a swap is remembered until a track has passed,
    /// however long the links beyond take.
    fn closed(&self) -> Option<Time> {
        match self {
            Self::Swapped { passed: None, .. } => None,
            Self::Swapped { at, .. } | Self::Gone { at } => Some(*at),
        }
    }
}

/// How many swaps that no track has passed yet are remembered on each side beyond the latest. There are never more of them
/// than a circuit has memories; but when an end crashes or a pair beyond is given up, tracks never come.
const UNPASSED: usize = 1024;

/// A track whose pair is not known here: it may be on its way from the heralding station, or long gone.
#[derive(Debug)]
struct Unknown {
    until: Time,
    track: Track,
}

/// A node within a circuit. Sides are named by the end to which they lead.
#[derive(Debug, Default)]
pub(super) struct Middle {
    /// Pairs of each side that wait for one of the other.
    waiting: [VecDeque<LinkPair>; 2],
    swapping: Vec<Swapping>,
    /// The tracks that came before the swap of their pairs, which wait or are being swapped.
    parked: Vec<Track>,
    fates: [ByPair<Fate>; 2],
    unknown: VecDeque<Unknown>,
    draining: bool,
}

fn send(circuit: &Circuit, towards: End, message: NetworkMessage, out: &mut Vec<NetworkEffect>) {
    let hop = match towards {
        End::Head => circuit.towards_head,
        End::Tail => circuit.towards_tail,
    };
    if let Some(hop) = hop {
        out.push(NetworkEffect::Send { to: hop.peer, link: hop.link, message });
    }
}

fn expire(circuit: &Circuit, to: End, origin: PairId, out: &mut Vec<NetworkEffect>) {
    send(circuit, to, NetworkMessage::Expire { circuit: circuit.id, to, origin }, out);
}

impl Middle {
    /// A link has made a pair. `token` names the swap to which it may lead; gives whether it was used. A pair for which
    /// there is no request is given up.
    pub(super) fn pair(
        &mut self,
        circuit: &Circuit,
        (side, pair): (End, LinkPair),
        (now, wanted): (Time, bool),
        token: u64,
        out: &mut Vec<NetworkEffect>,
    ) -> bool {
        let known = self.fates[side.index()].get(pair.id).is_some()
            || self.waiting[side.index()].iter().any(|waiting| waiting.id == pair.id)
            || self.swapping.iter().any(|swapping| swapping.halves[side.index()].id == pair.id);
        if known {
            out.push(NetworkEffect::Free(pair.memory));
            return false;
        }
        let early = self.unknown.iter().position(|u| u.track.from == side && u.track.current == pair.id);
        self.parked.extend(early.and_then(|place| self.unknown.remove(place)).map(|unknown| unknown.track));
        if self.draining || !wanted {
            out.push(NetworkEffect::Free(pair.memory));
            self.bury(circuit, side, pair.id, now, out);
            return false;
        }
        self.waiting[side.index()].push_back(pair);
        self.swap(circuit, token, out)
    }

    fn swap(&mut self, circuit: &Circuit, token: u64, out: &mut Vec<NetworkEffect>) -> bool {
        if self.waiting.iter().any(VecDeque::is_empty) {
            return false;
        }
        let [left, right] = &mut self.waiting;
        let take = |queue: &mut VecDeque<LinkPair>| match circuit.choice {
            PairChoice::Oldest => queue.pop_front(),
            PairChoice::Youngest => queue.pop_back(),
        };
        let (Some(left), Some(right)) = (take(left), take(right)) else { return false };
        out.push(NetworkEffect::Swap { token, left: left.memory, right: right.memory });
        self.swapping.push(Swapping { token, halves: [left, right], revoked: false });
        true
    }

    /// A swap is done; without an outcome, both pairs are lost.
    pub(super) fn swapped(
        &mut self,
        circuit: &Circuit,
        quality: &NodeQuality,
        now: Time,
        token: u64,
        outcome: Option<BellIndex>,
        out: &mut Vec<NetworkEffect>,
    ) {
        let Some(place) = self.swapping.iter().position(|s| s.token == token) else { return };
        let Swapping { halves, revoked, .. } = self.swapping.swap_remove(place);
        halves.iter().for_each(|half| out.push(NetworkEffect::Free(half.memory)));
        let Some(outcome) = outcome.filter(|_| !revoked) else {
            for (side, half) in [End::Head, End::Tail].into_iter().zip(halves) {
                self.bury(circuit, side, half.id, now, out);
                send(circuit, side, NetworkMessage::Lost { circuit: circuit.id, pair: half.id }, out);
            }
            return;
        };
        let [left, right] = &halves;
        // What this node did to both: halves waited in its memories, and the swap is not perfect.
        let perfect = BellDiagonal::PERFECT;
        let decays = [left, right].map(|half| quality.memory.decay(Duration::ZERO, now.since(half.made)));
        let here = perfect.swap(&perfect, &quality.swap).shrunk(Decay::of_pair(decays));
        for (side, (pair, other)) in [(End::Head, (left, right)), (End::Tail, (right, left))] {
            let promised = BellDiagonal::werner(other.goodness).unwrap_or(BellDiagonal::MIXED);
            let fate = Fate::Swapped {
                other: other.id,
                frame: outcome ^ other.bell,
                hop: here.swap(&promised, &SwapQuality::PERFECT),
                passed: None,
                at: now,
            };
            self.fates[side.index()].insert(pair.id, fate);
        }
        for (side, half) in [End::Head, End::Tail].into_iter().zip(&halves) {
            if let Some(track) = self.take_parked(side, half.id) {
                self.track(circuit, now, &track, out);
            }
        }
        let kept = circuit.round_trip.saturating_mul(KEPT);
        for fates in &mut self.fates {
            fates.forget(|fate| fate.closed().is_some_and(|at| now >= at.saturating_add(kept)));
            fates.limit(UNPASSED);
        }
    }

    fn take_parked(&mut self, side: End, pair: PairId) -> Option<Track> {
        let place = self.parked.iter().position(|track| track.current == pair && track.from == side)?;
        Some(self.parked.swap_remove(place))
    }

    /// A track arrived from the side where it came from.
    pub(super) fn track(
        &mut self,
        circuit: &Circuit,
        now: Time,
        track: &Track,
        out: &mut Vec<NetworkEffect>,
    ) {
        let side = track.from.index();
        match self.fates[side].get_mut(track.current) {
            Some(Fate::Swapped { other, frame, hop, passed, at }) => {
                (*passed, *at) = (Some(track.origin), now);
                let onward = Track {
                    current: *other,
                    bell: track.bell ^ *frame,
                    estimate: track.estimate.swap(hop, &SwapQuality::PERFECT),
                    ..*track
                };
                return send(circuit, track.from.other(), NetworkMessage::Track(onward), out);
            }
            Some(Fate::Gone { .. }) => return expire(circuit, track.from, track.origin, out),
            None => {}
        }
        let same = |known: &Track| known.current == track.current && known.from == track.from;
        let waits = self.waiting[side].iter().any(|pair| pair.id == track.current)
            || self.swapping.iter().any(|swapping| swapping.halves[side].id == track.current);
        // What waits here was not lost, however often it is told.
        if waits {
            match self.parked.iter_mut().find(|known| same(known)) {
                Some(known) => *known = Track { repeated: track.repeated && known.repeated, ..*track },
                None => self.parked.push(*track),
            }
            if track.again {
                let waits =
                    NetworkMessage::Waits { circuit: circuit.id, to: track.from, origin: track.origin };
                send(circuit, track.from, waits, out);
            }
        } else if self.draining {
            expire(circuit, track.from, track.origin, out);
        } else if let Some(Unknown { track: known, .. }) = self.unknown.iter_mut().find(|u| same(&u.track)) {
            *known = Track { repeated: track.repeated && known.repeated, ..*track };
        } else {
            let until = now.saturating_add(circuit.round_trip);
            self.unknown.push_back(Unknown { until, track: *track });
        }
    }

    /// The neighbour on a side has lost a pair: what it was swapped with is lost as well, and so is told on.
    pub(super) fn lost(
        &mut self,
        circuit: &Circuit,
        side: End,
        pair: PairId,
        now: Time,
        out: &mut Vec<NetworkEffect>,
    ) {
        if let Some(&Fate::Swapped { other, .. }) = self.fates[side.index()].get(pair) {
            send(circuit, side.other(), NetworkMessage::Lost { circuit: circuit.id, pair: other }, out);
        }
        self.revoked(circuit, side, pair, now, out);
    }

    /// A link takes a pair back.
    pub(super) fn revoked(
        &mut self,
        circuit: &Circuit,
        side: End,
        pair: PairId,
        now: Time,
        out: &mut Vec<NetworkEffect>,
    ) {
        if let Some(place) = self.waiting[side.index()].iter().position(|half| half.id == pair) {
            if let Some(half) = self.waiting[side.index()].remove(place) {
                out.push(NetworkEffect::Free(half.memory));
                self.bury(circuit, side, pair, now, out);
            }
        } else if let Some(swapping) = self.swapping.iter_mut().find(|s| s.halves[side.index()].id == pair) {
            swapping.revoked = true;
        } else {
            let Some(&Fate::Swapped { other, passed, .. }) = self.fates[side.index()].get(pair) else {
                return;
            };
            self.fates[side.index()].insert(pair, Fate::Gone { at: now });
            passed.into_iter().for_each(|origin| expire(circuit, side, origin, out));
            let there = side.other();
            if let Some(&Fate::Swapped { passed, .. }) = self.fates[there.index()].get(other) {
                self.fates[there.index()].insert(other, Fate::Gone { at: now });
                passed.into_iter().for_each(|origin| expire(circuit, there, origin, out));
            }
        }
    }

    fn bury(&mut self, circuit: &Circuit, side: End, pair: PairId, now: Time, out: &mut Vec<NetworkEffect>) {
        self.fates[side.index()].insert(pair, Fate::Gone { at: now });
        if let Some(track) = self.take_parked(side, pair) {
            expire(circuit, side, track.origin, out);
        }
    }

    /// Gives up what is due.
    pub(super) fn timeout(&mut self, circuit: &Circuit, now: Time, out: &mut Vec<NetworkEffect>) {
        while self.unknown.front().is_some_and(|u| u.until <= now) {
            if let Some(Unknown { track, .. }) = self.unknown.pop_front() {
                self.fates[track.from.index()].insert(track.current, Fate::Gone { at: now });
                expire(circuit, track.from, track.origin, out);
            }
        }
        let Some(cutoff) = circuit.cutoff else { return };
        for side in [End::Head, End::Tail] {
            let old = |pair: &LinkPair| pair.made.saturating_add(cutoff) <= now;
            while self.waiting[side.index()].front().is_some_and(old) {
                if let Some(half) = self.waiting[side.index()].pop_front() {
                    out.push(NetworkEffect::Free(half.memory));
                    self.bury(circuit, side, half.id, now, out);
                }
            }
        }
    }

    /// When [`timeout`](Self::timeout) has something to do; the latest of all times for never.
    pub(super) fn deadline(&self, circuit: &Circuit) -> Time {
        let unknown = self.unknown.front().map_or(Time::MAX, |u| u.until);
        let Some(cutoff) = circuit.cutoff else { return unknown };
        let fronts = self.waiting.iter().filter_map(VecDeque::front);
        fronts.fold(unknown, |next, front| next.min(front.made.saturating_add(cutoff)))
    }

    /// Nobody wants pairs: those that wait are given up.
    pub(super) fn flush(&mut self, circuit: &Circuit, now: Time, out: &mut Vec<NetworkEffect>) {
        for side in [End::Head, End::Tail] {
            for half in core::mem::take(&mut self.waiting[side.index()]) {
                out.push(NetworkEffect::Free(half.memory));
                self.bury(circuit, side, half.id, now, out);
            }
        }
    }

    /// No pair is taken any more; what is under way is followed to its end.
    pub(super) fn drain(&mut self, circuit: &Circuit, now: Time, out: &mut Vec<NetworkEffect>) {
        self.draining = true;
        self.flush(circuit, now, out);
        for Unknown { track, .. } in core::mem::take(&mut self.unknown) {
            expire(circuit, track.from, track.origin, out);
        }
    }

    /// How many halves are held, and how many records and tombstones are kept.
    pub(super) fn held(&self) -> (usize, usize) {
        let waiting: usize = self.waiting.iter().map(VecDeque::len).sum();
        (waiting + 2 * self.swapping.len(), self.fates.iter().map(ByPair::len).sum())
    }
}

//! The signalling machine of one node.

use super::account::{Accounts, SignallingLink};
use super::message::{Acknowledged, SignallingMessage};
use super::passing::{HEAD, Passing, Phase, TAIL};
use super::terms::{BestTerms, CircuitPurification, CircuitRefusal, CircuitTerms};
use super::{CircuitEnd, SignallingEffect, SignallingError, SignallingEvent, SignallingSettings, patience};
use crate::entanglement::CircuitId;
use crate::entanglement::network::Hop;
use crate::entanglement::routing::LinkKind;
use crate::timers::Timers;
use bellwether_quantum::bell::PurificationQuality;
use bellwether_units::{Duration, LinkId, NodeId, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A message that is repeated until it is acknowledged.
#[derive(Debug)]
struct Outgoing {
    hop: Hop,
    message: SignallingMessage,
    tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Resend(CircuitId, usize),
    Lapse(CircuitId),
    Refresh(CircuitId),
    Drained(CircuitId),
    Forget(CircuitId),
}

/// The signalling of one node. All that it knows is lost in a crash, and comes right again.
#[derive(Debug)]
pub struct Signalling {
    node: NodeId,
    settings: SignallingSettings,
    accounts: Accounts,
    circuits: BTreeMap<CircuitId, Passing>,
    outgoing: BTreeMap<(CircuitId, usize), Outgoing>,
    /// Circuits that were, so that late messages do not bring them back; and why they were refused, if they were.
    gone: BTreeMap<CircuitId, Option<CircuitRefusal>>,
    timers: Timers<Timer>,
}

impl Signalling {
    /// A node with these links and no circuits.
    pub fn new(node: NodeId, links: Vec<SignallingLink>, settings: SignallingSettings) -> Self {
        Self {
            node,
            settings,
            accounts: Accounts::new(node, links),
            circuits: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            gone: BTreeMap::new(),
            timers: Timers::new(),
        }
    }

    /// Opens a circuit that begins here. [`SignallingEvent::Opened`] or [`Refused`](SignallingEvent::Refused) follows.
    ///
    /// # Errors
    /// If the terms are no route from here, or the number was used before.
    pub fn open(
        &mut self,
        now: Time,
        circuit: CircuitId,
        terms: CircuitTerms,
        out: &mut Vec<SignallingEffect>,
    ) -> Result<(), SignallingError> {
        if !terms.sound() || terms.nodes.first() != Some(&self.node) {
            return Err(SignallingError::Terms(circuit));
        }
        if self.circuits.contains_key(&circuit) || self.gone.contains_key(&circuit) {
            return Err(SignallingError::Known(circuit));
        }
        let asked = terms.hops.iter().map(|hop| hop.fidelity).fold(0.0, f64::max);
        let best = BestTerms { fidelity: asked, rate: terms.rate, memories: terms.memories };
        self.take(now, circuit, &Arc::new(terms), 0, best, None, out);
        Ok(())
    }

    /// Closes a circuit that begins here: it drains first. [`SignallingEvent::Closed`] follows.
    ///
    /// # Errors
    /// If no circuit of this number begins here.
    pub fn close(
        &mut self,
        now: Time,
        circuit: CircuitId,
        out: &mut Vec<SignallingEffect>,
    ) -> Result<(), SignallingError> {
        let passing = self.circuits.get_mut(&circuit).filter(|passing| passing.is_head());
        let passing = passing.ok_or(SignallingError::NotHead(circuit))?;
        match passing.phase {
            Phase::Up => {
                passing.phase = Phase::Draining;
                let drain = passing.terms.round_trip.saturating_mul(self.settings.drain.into());
                self.timers.set(Timer::Drained(circuit), now.saturating_add(drain));
                out.push(SignallingEffect::Drain(circuit));
            }
            Phase::Installing { .. } => self.end(now, circuit, None, CircuitEnd::Closed, out),
            Phase::Draining => {}
        }
        Ok(())
    }

    /// A circuit cannot be at this node after all: it is torn down both ways.
    pub fn abandon(&mut self, now: Time, circuit: CircuitId, out: &mut Vec<SignallingEffect>) {
        self.end(now, circuit, None, CircuitEnd::TornDown, out);
    }

    /// A neighbour said something over a link. What it is not entitled to say is ignored.
    pub fn hear(
        &mut self,
        now: Time,
        from: NodeId,
        link: LinkId,
        message: &SignallingMessage,
        out: &mut Vec<SignallingEffect>,
    ) {
        if self.accounts.peer(link) != Some(from) {
            return;
        }
        let sender = Hop { link, peer: from };
        let circuit = message.circuit();
        if let Some(of) = message.kind() {
            send(sender, SignallingMessage::Acknowledge { circuit, of }, out);
        }
        if let SignallingMessage::Setup { terms, best, refused, .. } = message {
            return self.setup(now, sender, circuit, (terms, *best, *refused), out);
        }
        let Some(passing) = self.circuits.get_mut(&circuit) else {
            return self.unknown(now, sender, circuit, message, out);
        };
        let around = passing.terms.around(passing.place);
        let Some(side) = around.iter().position(|hop| *hop == Some(sender)) else { return };
        let lapse = lapse(&self.settings, &passing.terms);
        match message {
            SignallingMessage::Accept { .. } if side == TAIL => self.accepted(now, circuit, out),
            SignallingMessage::Refuse { why, .. } if side == TAIL => {
                if let Phase::Installing { .. } = passing.phase {
                    self.refused(now, circuit, *why, out);
                }
            }
            SignallingMessage::Refresh { .. } if side == HEAD => {
                passing.alive[HEAD] = now.saturating_add(lapse);
                match around[TAIL] {
                    Some(next) => send(next, SignallingMessage::Refresh { circuit }, out),
                    None => send(sender, SignallingMessage::Refreshed { circuit }, out),
                }
                self.timers.set(Timer::Lapse(circuit), self.circuits[&circuit].lapses());
            }
            SignallingMessage::Refreshed { .. } if side == TAIL => {
                passing.alive[TAIL] = now.saturating_add(lapse);
                if let Some(before) = around[HEAD] {
                    send(before, SignallingMessage::Refreshed { circuit }, out);
                }
                self.timers.set(Timer::Lapse(circuit), self.circuits[&circuit].lapses());
            }
            SignallingMessage::Teardown { .. } => {
                self.end(now, circuit, Some(side), CircuitEnd::TornDown, out);
            }
            SignallingMessage::Acknowledge { of, .. } => self.acknowledged(circuit, side, *of),
            _ => {}
        }
    }

    fn setup(
        &mut self,
        now: Time,
        sender: Hop,
        circuit: CircuitId,
        (terms, best, refused): (&Arc<CircuitTerms>, BestTerms, Option<CircuitRefusal>),
        out: &mut Vec<SignallingEffect>,
    ) {
        let place = terms.nodes.iter().position(|node| *node == self.node);
        let Some(place) = place.filter(|place| terms.around(*place)[HEAD] == Some(sender)) else { return };
        if let Some(refused) = self.gone.get(&circuit) {
            // It is late, or its circuit lapsed here: whoever still has it should not.
            let no = SignallingMessage::Teardown { circuit };
            let no = refused.map_or(no, |why| SignallingMessage::Refuse { circuit, why });
            return send(sender, no, out);
        }
        if !self.circuits.contains_key(&circuit) {
            self.take(now, circuit, terms, place, best, refused, out);
        }
    }

    /// Looks whether a new circuit can be had, sets aside what it takes, and hands it on, or answers.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one message")]
    fn take(
        &mut self,
        now: Time,
        circuit: CircuitId,
        terms: &Arc<CircuitTerms>,
        place: usize,
        mut best: BestTerms,
        mut refused: Option<CircuitRefusal>,
        out: &mut Vec<SignallingEffect>,
    ) {
        let full = self.circuits.len() >= self.settings.most_circuits;
        let examined = match self.accounts.examine(terms, place, &mut best) {
            _ if full => Err(CircuitRefusal::Full { node: self.node }),
            examined => examined,
        };
        let fatal = matches!(examined, Err(CircuitRefusal::NoLink { .. } | CircuitRefusal::Full { .. }));
        refused = if fatal { examined.err() } else { refused.or(examined.err()) };
        let promised = refused.is_none();
        if promised {
            self.accounts.promise(circuit, terms, place);
        }
        let until = now.saturating_add(lapse(&self.settings, terms));
        let phase = Phase::Installing { promised };
        let passing = Passing { terms: Arc::clone(terms), place, phase, alive: [until; 2] };
        let around = terms.around(place);
        self.circuits.insert(circuit, passing);
        self.timers.set(Timer::Lapse(circuit), until);
        match (refused, around[TAIL]) {
            (Some(why), _) if fatal => self.refused(now, circuit, why, out),
            (_, Some(next)) => {
                let terms = Arc::clone(terms);
                let message = SignallingMessage::Setup { circuit, terms, best, refused };
                self.repeat(now, circuit, TAIL, next, message, out);
            }
            (Some(why), None) => self.refused(now, circuit, why.with(best), out),
            (None, None) => self.accepted(now, circuit, out),
        }
    }

    /// All nodes from here to the tail have it.
    fn accepted(&mut self, now: Time, circuit: CircuitId, out: &mut Vec<SignallingEffect>) {
        let Some(passing) = self.circuits.get_mut(&circuit) else { return };
        if passing.phase != (Phase::Installing { promised: true }) {
            return;
        }
        passing.phase = Phase::Up;
        let until = now.saturating_add(lapse(&self.settings, &passing.terms));
        passing.alive = [until; 2];
        let refresh = passing.terms.refresh;
        let around = (passing.place, passing.terms.around(passing.place));
        let before = around.1[HEAD];
        let end = passing.is_head() || passing.is_tail();
        let installed = passing.terms.circuit(circuit, passing.place);
        let terms = Arc::clone(&passing.terms);
        let purification = self.purification(&terms, around);
        out.push(SignallingEffect::Install { circuit: installed, purification });
        // What was asked of the next node is answered.
        self.silence(circuit, TAIL);
        self.timers.set(Timer::Lapse(circuit), until);
        match before {
            Some(before) => {
                self.repeat(now, circuit, HEAD, before, SignallingMessage::Accept { circuit }, out);
            }
            None => self.timers.set(Timer::Refresh(circuit), now.saturating_add(refresh)),
        }
        if end {
            out.push(SignallingEffect::Event(SignallingEvent::Opened { circuit }));
        }
    }

    fn purification(
        &self,
        terms: &CircuitTerms,
        (place, around): (usize, [Option<Hop>; 2]),
    ) -> Option<CircuitPurification> {
        let rounds = |at: Option<usize>| at.and_then(|at| terms.hops.get(at)).map_or(0, |hop| hop.rounds);
        let rounds =
            [rounds(place.checked_sub(1)), rounds(Some(place))].map(|rounds| terms.how.first(rounds));
        if rounds.iter().all(|rounds| rounds.rounds() == 0) {
            return None;
        }
        let kinds = around.map(|hop| hop.and_then(|hop| self.accounts.kind(hop.link)));
        let quality = kinds.map(|kind| kind.map_or(PurificationQuality::PERFECT, |kind| kind.purification));
        // The other end's word takes a comparison there besides, and a little more.
        let patience = kinds.map(|kind| {
            kind.map_or(Duration::ZERO, |kind| patience(kind.delay) + kind.comparison.saturating_mul(2))
        });
        let hold = [HEAD, TAIL].map(|side| {
            let pair = kinds[side].map_or(Duration::ZERO, LinkKind::slowest_pair);
            terms.cutoff.unwrap_or_else(|| rounds[side].hold(pair))
        });
        Some(CircuitPurification { rounds, quality, patience, hold })
    }

    /// It will not be: what was set aside is free again, and whoever is before is told.
    fn refused(
        &mut self,
        now: Time,
        circuit: CircuitId,
        why: CircuitRefusal,
        out: &mut Vec<SignallingEffect>,
    ) {
        let Some(passing) = self.circuits.get(&circuit) else { return };
        let before = passing.terms.around(passing.place)[HEAD];
        self.forget(now, circuit);
        self.gone.entry(circuit).and_modify(|refused| *refused = Some(why));
        self.silence(circuit, TAIL);
        match before {
            Some(before) => {
                let message = SignallingMessage::Refuse { circuit, why };
                self.repeat(now, circuit, HEAD, before, message, out);
            }
            None => out.push(SignallingEffect::Event(SignallingEvent::Refused { circuit, why })),
        }
    }

    /// A message about a circuit that this node does not have.
    fn unknown(
        &mut self,
        now: Time,
        sender: Hop,
        circuit: CircuitId,
        message: &SignallingMessage,
        out: &mut Vec<SignallingEffect>,
    ) {
        match message {
            SignallingMessage::Accept { .. }
            | SignallingMessage::Refresh { .. }
            | SignallingMessage::Refreshed { .. } => {
                send(sender, SignallingMessage::Teardown { circuit }, out);
            }
            SignallingMessage::Teardown { .. } => {
                // The setup that it ends may come after it.
                self.remember(circuit, now.saturating_add(UNKNOWN));
            }
            SignallingMessage::Acknowledge { of, .. } => {
                for side in [HEAD, TAIL] {
                    if self.outgoing.get(&(circuit, side)).is_some_and(|outgoing| outgoing.hop == sender) {
                        self.acknowledged(circuit, side, *of);
                    }
                }
            }
            SignallingMessage::Refuse { .. } | SignallingMessage::Setup { .. } => {}
        }
    }

    /// A circuit is no more here; neighbours are told, but not the one who said so.
    fn end(
        &mut self,
        now: Time,
        circuit: CircuitId,
        told_by: Option<usize>,
        why: CircuitEnd,
        out: &mut Vec<SignallingEffect>,
    ) {
        let Some(passing) = self.circuits.get(&circuit) else { return };
        let around = passing.terms.around(passing.place);
        let installed = !matches!(passing.phase, Phase::Installing { .. });
        let (head, end) = (passing.is_head(), passing.is_head() || passing.is_tail());
        self.forget(now, circuit);
        if installed {
            out.push(SignallingEffect::Remove(circuit));
        }
        for side in [HEAD, TAIL] {
            self.silence(circuit, side);
            if let Some(hop) = around[side].filter(|_| told_by != Some(side)) {
                self.repeat(now, circuit, side, hop, SignallingMessage::Teardown { circuit }, out);
            }
        }
        if installed && end || head && why == CircuitEnd::Closed {
            out.push(SignallingEffect::Event(SignallingEvent::Closed { circuit, why }));
        } else if head {
            let why = CircuitRefusal::Silent;
            out.push(SignallingEffect::Event(SignallingEvent::Refused { circuit, why }));
        }
    }

    fn forget(&mut self, now: Time, circuit: CircuitId) {
        let Some(Passing { terms, .. }) = self.circuits.remove(&circuit) else { return };
        self.accounts.release(circuit);
        for timer in [Timer::Lapse(circuit), Timer::Refresh(circuit), Timer::Drained(circuit)] {
            self.timers.cancel(timer);
        }
        // Others have it for one lapse at most, and their last words come later yet.
        self.remember(circuit, now.saturating_add(lapse(&self.settings, &terms).saturating_mul(2)));
    }
    fn remember(&mut self, circuit: CircuitId, until: Time) {
        if self.gone.len() < 2 * self.settings.most_circuits || self.gone.contains_key(&circuit) {
            self.gone.entry(circuit).or_insert(None);
            self.timers.set(Timer::Forget(circuit), until);
        }
    }

    /// Sends a message until it is acknowledged, in place of what was to be said to that side before.
    fn repeat(
        &mut self,
        now: Time,
        circuit: CircuitId,
        side: usize,
        hop: Hop,
        message: SignallingMessage,
        out: &mut Vec<SignallingEffect>,
    ) {
        send(hop, message.clone(), out);
        let delay = self.accounts.kind(hop.link).map_or(Duration::ZERO, |kind| kind.delay);
        self.timers.set(Timer::Resend(circuit, side), now.saturating_add(patience(delay)));
        let tries = self.settings.tries.saturating_sub(1);
        self.outgoing.insert((circuit, side), Outgoing { hop, message, tries });
    }
    fn silence(&mut self, circuit: CircuitId, side: usize) {
        self.outgoing.remove(&(circuit, side));
        self.timers.cancel(Timer::Resend(circuit, side));
    }
    fn acknowledged(&mut self, circuit: CircuitId, side: usize, of: Acknowledged) {
        if self.outgoing.get(&(circuit, side)).is_some_and(|outgoing| outgoing.message.kind() == Some(of)) {
            self.silence(circuit, side);
        }
    }

    /// When [`timeout`](Self::timeout) is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<SignallingEffect>) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Resend(circuit, side) => self.resend(now, circuit, side, out),
                Timer::Lapse(circuit) => self.end(now, circuit, None, CircuitEnd::Lapsed, out),
                Timer::Refresh(circuit) => {
                    let Some(passing) = self.circuits.get(&circuit) else { continue };
                    if let Some(next) = passing.terms.around(passing.place)[TAIL] {
                        send(next, SignallingMessage::Refresh { circuit }, out);
                    }
                    let at = now.saturating_add(passing.terms.refresh);
                    self.timers.set(Timer::Refresh(circuit), at);
                }
                Timer::Drained(circuit) => self.end(now, circuit, None, CircuitEnd::Closed, out),
                Timer::Forget(circuit) => _ = self.gone.remove(&circuit),
            }
        }
    }

    fn resend(&mut self, now: Time, circuit: CircuitId, side: usize, out: &mut Vec<SignallingEffect>) {
        let Some(outgoing) = self.outgoing.get_mut(&(circuit, side)) else { return };
        if outgoing.tries == 0 {
            // Whoever does not hear it finds out by itself: nothing refreshes the circuit.
            self.outgoing.remove(&(circuit, side));
            return;
        }
        outgoing.tries -= 1;
        send(outgoing.hop, outgoing.message.clone(), out);
        let delay = self.accounts.kind(outgoing.hop.link).map_or(Duration::ZERO, |kind| kind.delay);
        // Each time a little later: the neighbour may be slow.
        let waited = self.settings.tries.saturating_sub(outgoing.tries);
        let after = patience(delay).saturating_mul(waited.into());
        self.timers.set(Timer::Resend(circuit, side), now.saturating_add(after));
    }

    /// The circuits that this node has installed.
    pub fn circuits(&self) -> impl Iterator<Item = CircuitId> + '_ {
        let up = self.circuits.iter().filter(|(_, p)| !matches!(p.phase, Phase::Installing { .. }));
        up.map(|(circuit, _)| *circuit)
    }
    /// Which share of a link, from 0 to 1, and how many of its memories at this end are promised to circuits.
    pub fn load(&self, link: LinkId) -> Option<(f64, u16)> {
        self.accounts.load(link)
    }
    /// How many circuits, unacknowledged messages and circuits that were are in mind.
    pub fn held(&self) -> (usize, usize, usize) {
        (self.circuits.len(), self.outgoing.len(), self.gone.len())
    }
}

/// How long the end of an unknown circuit is remembered.
const UNKNOWN: Duration = Duration::from_whole_seconds(1);

fn lapse(settings: &SignallingSettings, terms: &CircuitTerms) -> Duration {
    terms.refresh.saturating_mul(settings.missed.into())
}

fn send(hop: Hop, message: SignallingMessage, out: &mut Vec<SignallingEffect>) {
    out.push(SignallingEffect::Send { to: hop.peer, link: hop.link, message });
}

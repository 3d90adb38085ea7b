//! What a node knows of the links of others, and how it comes to know.
//!
//! Both ends of a link tell its condition and the level of their own half of its pool, numbered so that older
//! news never replaces newer, and every node hands on what is news to it. To keep this bearable in networks of
//! 10^5 nodes, levels are told in powers of two, at most once an interval, and only some hops far: a node knows
//! its surroundings exactly and assumes of what lies beyond that it works. What proves wrong comes back as a
//! failed transfer, and is remembered for a while. Cuts and alarms are rare, and go further. With a radius of
//! 0 nothing is told: a controller gathers [`Event::PoolLevel`] and gives all nodes one shared
//! [`LinkView`].

use super::api::{Event, Failure, LinkCondition};
use super::node::{KeyNode, Timer, Turn};
use super::routing::link_cost;
use super::view::LinkView;
use super::wire::{Frame, MAX_ENTRIES, State};
use bellwether_units::{LinkId, NodeId, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// By how much a link that may be to blame for a failure costs more.
const SUSPICION: u32 = 8;
/// After so many doublings, the wait before a cut, an alarm or its end is told again to a neighbour that does not
/// answer grows no longer. It is told for ever: a neighbour that still believed in an alarm would refuse every key.
const MOST_DOUBLINGS: u32 = 8;

/// What is known of the links that do not end here, and of the other end of those that do.
#[derive(Default)]
pub(super) struct View {
    base: Option<Arc<LinkView>>,
    /// When the controller's view came.
    base_at: Time,
    /// And when it was heard.
    heard: BTreeMap<(LinkId, u8), (State, Time)>,
    /// By neighbour.
    unheard: BTreeMap<NodeId, Unheard>,
    avoid: BTreeMap<LinkId, (Time, Failure)>,
}

/// Cuts and alarms, and their ends, that a neighbour has not answered.
#[derive(Default)]
struct Unheard {
    sendings: u32,
    states: BTreeMap<(LinkId, u8), State>,
}

impl View {
    pub(super) fn set_base(&mut self, now: Time, base: Arc<LinkView>) {
        (self.base, self.base_at) = (Some(base), now);
    }
    pub(super) fn avoid(&mut self, link: LinkId, until: Time, failure: Failure) {
        self.avoid.insert(link, (until, failure));
    }
    pub(super) fn is_suspected(&self, link: LinkId) -> bool {
        self.avoid.contains_key(&link)
    }
    pub(super) fn forget_suspicions(&mut self, now: Time) {
        self.avoid.retain(|_, (until, _)| *until > now);
    }
    /// The worse of what both ends say.
    pub(super) fn condition(&self, link: LinkId) -> LinkCondition {
        let base = self.base.as_ref().map(|base| base.get(link));
        (0..2u8)
            .map(|side| match (self.heard.get(&(link, side)), base) {
                (Some((state, _)), _) => state.condition,
                (None, Some(reports)) => reports[usize::from(side)].condition,
                (None, None) => LinkCondition::Up,
            })
            .max_by_key(|&c| match c {
                LinkCondition::Up => 0,
                LinkCondition::Alarmed => 1,
                LinkCondition::Cut => 2,
            })
            .unwrap_or_default()
    }
    /// What an end may use of its pool, as far as is known; 0 if it seems to be less than `need`. Heard levels
    /// older than `trusted` that are too low are not believed, and a controller's view replaces all before it.
    fn level(&self, link: LinkId, side: usize, need: u64, quantum: u64, trusted: Time) -> Option<u64> {
        let enough = |level: u64, most: u64| Some(if most >= need && level > 0 { level } else { 0 });
        match (self.heard.get(&(link, side as u8)), &self.base) {
            (Some((state, at)), base) if base.is_none() || *at >= self.base_at => {
                let level = enough(
                    class_floor(state.class, quantum),
                    class_floor(state.class + 1, quantum).saturating_sub(1),
                );
                level.filter(|&level| level > 0 || *at >= trusted)
            }
            (_, Some(base)) => base.get(link)[side].level.and_then(|level| enough(level, level)),
            _ => None,
        }
    }
}

/// 0 below one quantum, and one more for every doubling from there.
fn class_of(level: u64, quantum: u64) -> u8 {
    (level / quantum.max(1)).checked_ilog2().map_or(0, |log| log as u8 + 1)
}
/// The least level of a class.
fn class_floor(class: u8, quantum: u64) -> u64 {
    match class.checked_sub(1) {
        Some(shift) if u32::from(shift) >= quantum.leading_zeros() => u64::MAX,
        Some(shift) => quantum << shift,
        None => 0,
    }
}

impl KeyNode {
    /// What it costs to carry `need` bits of pad over `link`, entered at `at`; `None` if it cannot.
    pub(super) fn cost(&self, now: Time, need: u32, link: LinkId, at: NodeId) -> Option<u32> {
        if self.condition(link) != LinkCondition::Up {
            return None;
        }
        let capacity = self.settings.pool_capacity;
        let level = match self.link(link) {
            Some(end) if at == self.node => {
                Some(end.pool.outgoing()).filter(|&l| l >= need.into()).or(Some(0))
            }
            _ => {
                let age = now.since(Time::ZERO).saturating_sub(self.settings.level_lifetime);
                let (side, quantum) = (self.topology.side(link, at)?, self.settings.level_quantum);
                self.view.level(link, side, need.into(), quantum, Time::ZERO.saturating_add(age))
            }
        };
        let cost = link_cost(level.map(|l| l.min(capacity)), capacity)?;
        match self.view.avoid.get(&link) {
            Some(&(until, failure)) if until > now => match failure {
                Failure::Silence | Failure::NodeBusy => Some(cost.saturating_mul(SUSPICION)),
                _ => None,
            },
            _ => Some(cost),
        }
    }

    /// The condition of any link, as far as is known here.
    pub(super) fn condition(&self, link: LinkId) -> LinkCondition {
        match self.link(link).map(|end| end.condition) {
            Some(own) if own != LinkCondition::Up => own,
            _ => self.view.condition(link),
        }
    }

    pub(super) fn link_condition(&mut self, turn: &mut Turn<'_>, link: LinkId, condition: LinkCondition) {
        let Some(end) = self.link_mut(link) else { return };
        if end.condition == condition {
            return;
        }
        let repaired = end.condition == LinkCondition::Cut;
        end.condition = condition;
        let peer = end.peer;
        self.view.avoid.remove(&link);
        self.tell_own(turn, link, self.settings.condition_radius, true);
        if repaired {
            // What either side of the cut did not hear meanwhile.
            self.tell_states(turn, peer);
            self.announce_due(turn, link);
        }
        self.give_up_broken_routes(turn);
        turn.serve = true;
    }

    /// Tells the level of a pool if it has left the class that was told, but not too often.
    pub(super) fn note_level(&mut self, turn: &mut Turn<'_>, link: LinkId) {
        let (quantum, interval) = (self.settings.level_quantum, self.settings.level_interval);
        let Some(end) = self.link_mut(link) else { return };
        let level = end.level();
        // A level must rise a quarter into a class to count, so that noise at a border is not told.
        let class = match class_of(level.outgoing, quantum) {
            class if end.told.is_none_or(|(told, _)| class <= told) => class,
            _ => class_of(level.outgoing / 5 * 4, quantum).max(end.told.map_or(0, |(told, _)| told)),
        };
        match end.told {
            None if class == 0 => return,
            Some((told, _)) if told == class => return,
            Some((_, at)) if turn.now < at.saturating_add(interval) => {
                return self.timers.set_by(Timer::Level(link), at.saturating_add(interval));
            }
            _ => {}
        }
        end.told = Some((class, turn.now));
        turn.event(Event::PoolLevel { link, level });
        if self.settings.level_radius > 0 {
            self.tell_own(turn, link, self.settings.level_radius, false);
        }
    }

    fn own_state(&mut self, now: Time, link: LinkId, radius: u8) -> Option<State> {
        let end = self.link_mut(link)?;
        // Numbers follow the clock, so that they rise over restarts too.
        end.sequence = (end.sequence + 1).max(now.picoseconds() / 1_000_000);
        let class = end.told.map_or(0, |(class, _)| class);
        let (side, sequence, condition) = (end.side as u8, end.sequence, end.condition);
        Some(State { link, side, sequence, condition, class, radius })
    }

    pub(super) fn tell_own(&mut self, turn: &mut Turn<'_>, link: LinkId, radius: u8, answer: bool) {
        if let Some(state) = self.own_state(turn.now, link, radius)
            && radius > 0
        {
            self.spread(turn, &[state], None, answer);
        }
    }

    /// Sends states to every neighbour but one; again and again if they are to be answered.
    fn spread(&mut self, turn: &mut Turn<'_>, states: &[State], except: Option<NodeId>, answer: bool) {
        let mut peers: Vec<_> =
            self.links.iter().map(|end| end.peer).filter(|&p| Some(p) != except).collect();
        peers.sort_unstable();
        peers.dedup();
        for peer in peers {
            self.tell(turn, peer, states, answer);
        }
    }

    /// Sends states to one neighbour; again and again if they are to be answered.
    fn tell(&mut self, turn: &mut Turn<'_>, peer: NodeId, states: &[State], answer: bool) {
        for chunk in states.chunks(MAX_ENTRIES) {
            turn.send(peer, &Frame::States { answer, states: chunk.to_vec() });
        }
        if answer {
            let unheard = self.view.unheard.entry(peer).or_default();
            unheard.sendings = 1;
            unheard.states.extend(states.iter().map(|state| ((state.link, state.side), *state)));
            self.timers.set(Timer::Unheard(peer), turn.now.saturating_add(self.settings.retransmit));
        }
    }

    pub(super) fn unheard_due(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        let Some(unheard) = self.view.unheard.get_mut(&peer) else { return };
        unheard.sendings = (unheard.sendings + 1).min(MOST_DOUBLINGS);
        let wait = self.settings.retransmit.saturating_mul(1 << unheard.sendings);
        let states: Vec<_> = unheard.states.values().copied().collect();
        for chunk in states.chunks(MAX_ENTRIES) {
            turn.send(peer, &Frame::States { answer: true, states: chunk.to_vec() });
        }
        self.timers.set(Timer::Unheard(peer), turn.now.saturating_add(wait));
    }

    pub(super) fn states_heard(&mut self, peer: NodeId, heard: &[(LinkId, u8, u64)]) {
        let Some(unheard) = self.view.unheard.get_mut(&peer) else { return };
        for &(link, side, sequence) in heard {
            if unheard.states.get(&(link, side)).is_some_and(|state| state.sequence <= sequence) {
                unheard.states.remove(&(link, side));
            }
        }
        if unheard.states.is_empty() {
            self.view.unheard.remove(&peer);
            self.timers.cancel(Timer::Unheard(peer));
        }
    }

    pub(super) fn ask_states(&self, turn: &mut Turn<'_>) {
        for end in &self.links {
            turn.send(end.peer, &Frame::AskStates);
        }
    }

    /// Tells a neighbour all that is known here.
    pub(super) fn tell_states(&mut self, turn: &mut Turn<'_>, to: NodeId) {
        let (level_radius, condition_radius) = (self.settings.level_radius, self.settings.condition_radius);
        let links: Vec<_> = self.links.iter().map(|end| end.link).collect();
        let mut states: Vec<_> =
            links.into_iter().filter_map(|link| self.own_state(turn.now, link, condition_radius)).collect();
        states.extend(self.view.heard.values().map(|(state, _)| State {
            radius: if state.condition == LinkCondition::Up { level_radius } else { condition_radius },
            ..*state
        }));
        for chunk in states.chunks(MAX_ENTRIES) {
            turn.send(to, &Frame::States { answer: false, states: chunk.to_vec() });
        }
    }

    pub(super) fn hear_states(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        answer: bool,
        states: Vec<State>,
    ) {
        if answer {
            let heard = states.iter().map(|s| (s.link, s.side, s.sequence)).collect();
            turn.send(from, &Frame::StatesHeard(heard));
        }
        // What changes a condition is handed on with an answer wanted, the rest without.
        let mut hand_on = [Vec::new(), Vec::new()];
        // Whoever tells an old condition believes it, as a node may that was away: it hears the new one.
        let mut outdated = Vec::new();
        let mut worse = false;
        for state in states {
            if let Some(end) = self.link_mut(state.link)
                && end.side == usize::from(state.side)
            {
                // This node's own news from before a restart, or forged: newer news must overtake it.
                if state.sequence > end.sequence {
                    end.sequence = state.sequence;
                    self.tell_own(turn, state.link, self.settings.condition_radius, true);
                } else if state.condition != end.condition {
                    outdated.extend(self.own_state(turn.now, state.link, self.settings.condition_radius));
                }
                continue;
            }
            let place = (state.link, state.side);
            let old = self.view.heard.get(&place).map(|(old, _)| *old);
            outdated.extend(old.filter(|o| o.sequence > state.sequence && o.condition != state.condition));
            if state.link.index() >= self.topology.link_count()
                || old.is_some_and(|old| old.sequence >= state.sequence)
                || old.is_none() && self.view.heard.len() >= self.settings.view_limit
            {
                continue;
            }
            let before = old.map_or(LinkCondition::Up, |old| old.condition);
            worse |= state.condition != LinkCondition::Up && before == LinkCondition::Up;
            if let Some(&(_, failure)) = self.view.avoid.get(&state.link)
                && match failure {
                    Failure::PoolEmpty => state.class > 0,
                    Failure::LinkCut | Failure::LinkAlarmed => state.condition == LinkCondition::Up,
                    _ => false,
                }
            {
                self.view.avoid.remove(&state.link);
            }
            self.view.heard.insert(place, (state, turn.now));
            if state.radius > 1 {
                let changed = state.condition != before;
                hand_on[usize::from(changed)].push(State { radius: state.radius - 1, ..state });
            }
        }
        for (states, answer) in hand_on.iter().zip([false, true]) {
            if !states.is_empty() {
                self.spread(turn, states, Some(from), answer);
            }
        }
        if !outdated.is_empty() {
            self.tell(turn, from, &outdated, true);
        }
        if worse {
            self.give_up_broken_routes(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{LinkReport, Topology};

    #[test]
    fn a_controllers_view_holds_until_newer_news_comes() {
        let topology = Topology::new(2, &[(NodeId(0), NodeId(1))]).unwrap();
        let (link, need, quantum) = (LinkId(0), 448, 1024);
        let state = |class, sequence| State {
            link,
            side: 0,
            sequence,
            condition: LinkCondition::Up,
            class,
            radius: 0,
        };
        let time = Time::from_picoseconds;
        let mut view = View::default();
        let level = |view: &View, trusted| view.level(link, 0, need, quantum, time(trusted));
        assert_eq!(level(&view, 0), None);
        view.heard.insert((link, 0), (state(0, 1), time(5)));
        assert_eq!(level(&view, 0), Some(0), "too little");
        assert_eq!(level(&view, 6), None, "too old to keep from trying");
        let mut base = LinkView::unknown(&topology);
        base.report(&topology, link, NodeId(0), LinkReport { level: Some(5000), ..LinkReport::UNKNOWN });
        view.set_base(time(7), Arc::new(base));
        assert_eq!(level(&view, 0), Some(5000));
        view.heard.insert((link, 0), (state(2, 2), time(8)));
        assert_eq!(level(&view, 0), Some(2048));
    }

    #[test]
    fn a_class_is_a_power_of_two() {
        assert_eq!([0, 1023, 1024, 2047, 2048, u64::MAX].map(|l| class_of(l, 1024)), [0, 0, 1, 1, 2, 54]);
        assert_eq!(class_floor(60, 1024), u64::MAX);
        for level in [0, 5, 1024, 5000, 1 << 40] {
            let class = class_of(level, 1024);
            assert!(class_floor(class, 1024) <= level && level < class_floor(class + 1, 1024));
        }
    }
}

//! What holds on a link or at a node at each instant, as the events of the network file make it.
//!
//! Events are folded into a timeline of instants between which everything holds still, but for a
//! misalignment on its way to another value, which is told as a ramp.

use crate::channel::ChannelFaults;
use bellwether_network::{Attack, Event, EventKind, LinkEvent, Network, NodeEvent};
use bellwether_units::{Duration, LinkId, Loss, NodeId, Time};

/// What holds on a link from one instant to the next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conditions {
    /// Neither light nor messages pass.
    pub(crate) cut: bool,
    /// Loss beyond the fibre's own.
    pub(crate) extra_loss: Loss,
    /// The misalignment, where an event has set it.
    pub(crate) misalignment: Option<Ramp>,
    /// The eavesdropper on the quantum channel. Of several, the one who came last.
    pub(crate) attack: Option<Attack>,
    /// How far the receiver's clock is off.
    pub(crate) clock_offset: Duration,
    /// What becomes of messages.
    pub(crate) faults: ChannelFaults,
    /// Whether the transmitter's node runs.
    pub(crate) transmitter_up: bool,
    /// Whether the receiver's node runs.
    pub(crate) receiver_up: bool,
}

/// A value on its way to another, evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ramp {
    from: f64,
    to: f64,
    start: Time,
    over: Duration,
}

impl Ramp {
    /// The value at `now`.
    pub(crate) fn at(&self, now: Time) -> f64 {
        let elapsed = now.since(self.start);
        if elapsed >= self.over {
            return self.to;
        }
        self.from + (self.to - self.from) * elapsed.seconds() / self.over.seconds()
    }

    /// Whether the value is still moving at `now`.
    pub(crate) fn is_moving(&self, now: Time) -> bool {
        now.since(self.start) < self.over
    }
}

/// The conditions of a link over a run: each holds from its instant until the next.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    changes: Vec<(Time, Conditions)>,
}

impl Timeline {
    /// The conditions of `link`, from time zero on.
    pub(crate) fn of_link(network: &Network, link: LinkId) -> Self {
        let ends = [network.link(link).transmitter_at, network.link(link).receiver_at];
        let events: Vec<&Event> = concerning(network, link).collect();
        Self::of_events(&events, ends, network.link(link).fibre.misalignment, Time::ZERO)
    }

    /// The conditions that `events` (by rising time) make of a link between nodes `ends`, from `from` on.
    pub(crate) fn of_events(events: &[&Event], ends: [NodeId; 2], misalignment: f64, from: Time) -> Self {
        let mut instants = vec![from];
        instants.extend(events.iter().flat_map(|event| [Some(event.at), event.until]).flatten());
        instants.retain(|at| *at >= from);
        instants.sort_unstable();
        instants.dedup();
        let mut changes: Vec<(Time, Conditions)> = Vec::with_capacity(instants.len());
        for now in instants {
            let conditions = fold(events, ends, misalignment, now);
            if changes.last().is_none_or(|(_, last)| *last != conditions) {
                changes.push((now, conditions));
            }
        }
        Self { changes }
    }

    /// The conditions at `now`, which is not before the timeline's beginning, and when they change next.
    pub(crate) fn at(&self, now: Time) -> (&Conditions, Option<Time>) {
        let next = self.changes.partition_point(|(at, _)| *at <= now);
        (&self.changes[next - 1].1, self.changes.get(next).map(|(at, _)| *at))
    }

    /// The instants at which something changes, after time zero.
    pub(crate) fn instants(&self) -> impl Iterator<Item = Time> + '_ {
        self.changes.iter().map(|(at, _)| *at).filter(|at| *at > Time::ZERO)
    }
}

/// The events that concern `link` or the nodes at its ends, in the file's order of time.
fn concerning(network: &Network, link: LinkId) -> impl Iterator<Item = &Event> {
    let ends = [network.link(link).transmitter_at, network.link(link).receiver_at];
    network.events.iter().filter(move |event| match event.kind {
        EventKind::Link(which, _) => which == link,
        EventKind::EntanglingLink(..) => false,
        EventKind::Node(node, _) => ends.contains(&node),
    })
}

/// Copies of the events that concern `link`.
pub(crate) fn events_of(network: &Network, link: LinkId) -> Vec<Event> {
    concerning(network, link).cloned().collect()
}

/// What the events up to `now` have made of a link.
fn fold(events: &[&Event], ends: [NodeId; 2], base_misalignment: f64, now: Time) -> Conditions {
    let mut conditions = Conditions {
        cut: false,
        extra_loss: Loss::NONE,
        misalignment: None,
        attack: None,
        clock_offset: Duration::ZERO,
        faults: ChannelFaults::default(),
        transmitter_up: node_is_up(events, ends[0], now),
        receiver_up: node_is_up(events, ends[1], now),
    };
    for event in events.iter().filter(|event| event.at <= now) {
        let over = event.until.is_some_and(|until| until <= now);
        let EventKind::Link(_, what) = &event.kind else { continue };
        match what {
            LinkEvent::Repair => {
                conditions.cut = false;
                conditions.extra_loss = Loss::NONE;
            }
            LinkEvent::Misalignment { value, over: within } => {
                let before = conditions.misalignment.map_or(base_misalignment, |ramp| ramp.at(event.at));
                conditions.misalignment = if let Some(until) = event.until.filter(|_| over) {
                    Some(Ramp { from: before, to: before, start: until, over: Duration::ZERO })
                } else {
                    Some(Ramp { from: before, to: *value, start: event.at, over: *within })
                };
            }
            _ if over => {}
            LinkEvent::Cut => conditions.cut = true,
            LinkEvent::LossStep { loss } => conditions.extra_loss = conditions.extra_loss + *loss,
            LinkEvent::Attack(Attack::ManInTheMiddle { probability, tampering }) => {
                conditions.faults.tampering = *probability;
                conditions.faults.how = Some(*tampering);
            }
            LinkEvent::Attack(attack) => conditions.attack = Some(attack.clone()),
            LinkEvent::ClockOffset { offset } => conditions.clock_offset = *offset,
            LinkEvent::MessageLoss { probability } => conditions.faults.loss = *probability,
            LinkEvent::MessageDelay { delay, jitter } => {
                conditions.faults.extra_delay = *delay;
                conditions.faults.jitter = *jitter;
            }
            LinkEvent::MessageDuplication { probability } => conditions.faults.duplication = *probability,
            LinkEvent::MessageReordering { probability } => conditions.faults.reordering = *probability,
        }
    }
    conditions.faults.down = conditions.cut;
    conditions
}

/// Whether `node` runs at `now`: the last crash or restart that has happened decides.
pub(crate) fn node_is_up(events: &[&Event], node: NodeId, now: Time) -> bool {
    let mut up = true;
    let mut ends = None;
    for event in events.iter().filter(|event| event.at <= now) {
        match event.kind {
            EventKind::Node(which, NodeEvent::Crash) if which == node => {
                up = false;
                ends = event.until;
            }
            EventKind::Node(which, NodeEvent::Restart) if which == node => {
                up = true;
                ends = None;
            }
            _ => {}
        }
    }
    up || ends.is_some_and(|until| until <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, until: Option<u64>, what: LinkEvent) -> Event {
        let time = |s| Time::ZERO + Duration::from_whole_seconds(s);
        let kind = EventKind::Link(LinkId(0), what);
        Event { at: time(at), until: until.map(time), kind, note: String::new() }
    }

    fn at(events: &[Event], second: u64) -> Conditions {
        let events: Vec<&Event> = events.iter().collect();
        fold(&events, [NodeId(0), NodeId(1)], 0.01, Time::ZERO + Duration::from_whole_seconds(second))
    }

    #[test]
    fn a_cut_ends_at_its_end_or_at_a_repair() {
        let loss = Loss::from_decibels(2.0);
        let events = [
            event(10, Some(20), LinkEvent::Cut),
            event(30, None, LinkEvent::Cut),
            event(35, None, LinkEvent::LossStep { loss }),
            event(40, None, LinkEvent::Repair),
            event(50, None, LinkEvent::LossStep { loss }),
        ];
        let cut: Vec<bool> = [5, 10, 20, 30, 39, 40, 60].map(|s| at(&events, s).cut).to_vec();
        assert_eq!(cut, [false, true, false, true, true, false, false]);
        assert_eq!(at(&events, 36).extra_loss, loss);
        assert_eq!(at(&events, 45).extra_loss, Loss::NONE);
        assert_eq!(at(&events, 55).extra_loss, loss);
        assert!(at(&events, 12).faults.down);
    }

    #[test]
    fn a_misalignment_goes_evenly_to_its_value_and_back() {
        let over = Duration::from_whole_seconds(10);
        let events = [event(10, Some(40), LinkEvent::Misalignment { value: 0.05, over })];
        assert!(at(&events, 9).misalignment.is_none());
        let halfway = at(&events, 15).misalignment.unwrap();
        assert!((halfway.at(Time::ZERO + Duration::from_whole_seconds(15)) - 0.03).abs() < 1e-12);
        assert!(halfway.is_moving(Time::ZERO + Duration::from_whole_seconds(19)));
        assert!((halfway.at(Time::ZERO + Duration::from_whole_seconds(30)) - 0.05).abs() < 1e-12);
        let after = at(&events, 41).misalignment.unwrap();
        assert!((after.at(Time::ZERO + Duration::from_whole_seconds(41)) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn a_crashed_node_stays_down_until_it_restarts() {
        let crash = Event {
            at: Time::ZERO + Duration::from_whole_seconds(5),
            until: None,
            kind: EventKind::Node(NodeId(1), NodeEvent::Crash),
            note: String::new(),
        };
        let restart = Event {
            at: Time::ZERO + Duration::from_whole_seconds(9),
            kind: EventKind::Node(NodeId(1), NodeEvent::Restart),
            ..crash.clone()
        };
        let events = [crash, restart];
        let up: Vec<bool> = [4, 5, 8, 9].map(|s| at(&events, s).receiver_up).to_vec();
        assert_eq!(up, [true, false, false, true]);
        assert!(at(&events, 6).transmitter_up);
    }
}

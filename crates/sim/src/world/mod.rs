//! The nodes of a network and the messages between them, in virtual time.
//!
//! Links make key whether or not anybody uses it, so they are simulated apart and hand over what they made;
//! here the key managers of the nodes store it, relay it and deliver it.

mod served;
#[cfg(test)]
mod tests;

use crate::channel::ClassicalChannel;
use crate::conditions::{Timeline, node_is_up};
use crate::kernel::Schedule;
use crate::nodes;
use crate::trace::TraceRecord;
use bellwether_network::{Event as NetworkEvent, Network};
use bellwether_protocol::keys::{
    Command, Compaction, Demand, Event, KeyMaterial, KeyNode, LinkCondition, LinkReport, LinkView,
    PoolAccount, Record, Settings, Topology,
};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_units::{BlockId, DemandId, Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
pub(crate) use served::Served;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a durable write takes.
const PERSIST: Duration = Duration::from_milliseconds(1);
/// How long after a cut, or after its mending, a node notices: the loss-of-light alarm of its optics.
const LOSS_OF_LIGHT: Duration = Duration::from_milliseconds(50);
/// How long a request of a demand may wait for key, unless keys are asked for less often.
const PATIENCE: Duration = Duration::from_whole_seconds(60);

/// Up to so many nodes tell each other of their pools by flooding; beyond, a controller tells them, since the
/// messages of a flood grow with the square of the network.
const FLOODING_NODES: usize = 64;
/// How often a controller looks at the pools, at least a thousand times a run.
const CONTROLLER: Duration = Duration::from_whole_seconds(10);

/// What a link tells a node at one of its ends.
#[derive(Debug)]
pub(crate) enum LinkNews {
    /// A block of key is ready there.
    Key(BlockId, KeyMaterial),
    /// The link is to be taken as such from now on.
    Condition(LinkCondition),
}

#[derive(Debug)]
enum Happening {
    Told(NodeId, Command),
    Frame { from: NodeId, to: NodeId, bytes: Vec<u8> },
    Timeout(NodeId),
    Persisted(NodeId, u64, u32),
    Changed(LinkId),
    NodeChanged(NodeId),
    Controller,
}

/// A node: its key manager while it runs, and what of it is durable.
struct Station {
    machine: Option<KeyNode>,
    records: Vec<Record>,
    compaction: Compaction,
    /// Whether the node ever crashes, so that its records are wanted.
    crashes: bool,
    /// How often it was started: what was under way before a crash is not answered after it.
    life: u32,
    random: Stream,
    timeout: Option<Time>,
}

impl Station {
    /// A snapshot takes the place of all records.
    fn compact(&mut self) {
        let Some(snapshot) = self.machine.as_ref().map(KeyNode::snapshot) else { return };
        self.compaction.compacted(&snapshot);
        self.records.clear();
        self.records.push(snapshot);
    }
}

/// The nodes and what is between them.
pub(crate) struct World<'a> {
    network: &'a Network,
    topology: Arc<Topology>,
    settings: Settings,
    schedule: Schedule<Happening>,
    link_source: Vec<EntityId>,
    controller: EntityId,
    stations: Vec<Station>,
    channels: Vec<ClassicalChannel>,
    timelines: Vec<Timeline>,
    /// What the ends of links that are not well were last told of them, or would have been if they were up.
    conditions: BTreeMap<(NodeId, LinkId), LinkCondition>,
    neighbours: BTreeMap<(NodeId, NodeId), Vec<LinkId>>,
    served: Served,
    outputs: Vec<Output<NodeId, Event, Record, core::convert::Infallible>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(network: &'a Network, seed: u64) -> Self {
        let ends: Vec<_> = network.links.iter().map(|l| (l.transmitter_at, l.receiver_at)).collect();
        let topology = Arc::new(nodes::topology(network));
        let mut schedule = Schedule::new();
        let mut source =
            || schedule.add_source().expect("a network file has fewer than 2^24 nodes and links");
        let node_source: Vec<_> = network.nodes.iter().map(|_| source()).collect();
        let link_source: Vec<_> = network.links.iter().map(|_| source()).collect();
        let controller = source();
        debug_assert!(node_source.iter().enumerate().all(|(place, id)| id.index() == place));
        let mut neighbours: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, &(a, b)) in ends.iter().enumerate() {
            for pair in [(a, b), (b, a)] {
                neighbours.entry(pair).or_default().push(LinkId(place as u32));
            }
        }
        let stream = |entity, purpose| Stream::new(seed, entity, Purpose::named(purpose));
        let mut world = Self {
            network,
            settings: if network.nodes.len() > FLOODING_NODES {
                Settings { level_radius: 0, ..Settings::default() }
            } else {
                Settings::default()
            },
            channels: network
                .links
                .iter()
                .zip(&link_source)
                .map(|(link, &id)| ClassicalChannel::new(link.message_delay, stream(id, "node messages")))
                .collect(),
            timelines: (0..network.links.len())
                .map(|place| Timeline::of_link(network, LinkId(place as u32)))
                .collect(),
            stations: node_source
                .iter()
                .map(|&id| Station {
                    machine: None,
                    records: Vec::new(),
                    compaction: Compaction::default(),
                    crashes: false,
                    life: 0,
                    random: stream(id, "key manager"),
                    timeout: None,
                })
                .collect(),
            conditions: BTreeMap::new(),
            topology,
            schedule,
            link_source,
            controller,
            neighbours,
            served: Served::new(network),
            outputs: Vec::new(),
        };
        world.begin();
        world
    }

    /// What was served to whom.
    pub(crate) fn served(&self) -> &Served {
        &self.served
    }

    /// Where the key of a link's pool went, as its transmitter's node has it; `None` while that is down.
    pub(crate) fn pool(&self, link: LinkId) -> Option<PoolAccount> {
        let node = self.network.link(link).transmitter_at;
        self.stations[node.index()].machine.as_ref()?.pool(link)
    }

    /// A link tells the node at one of its ends something, at a time not before the present.
    pub(crate) fn tell(&mut self, at: Time, link: LinkId, node: NodeId, news: LinkNews) {
        let command = match news {
            LinkNews::Key(block, key) => Command::Store { link, block, key },
            LinkNews::Condition(condition) => Command::LinkState { link, condition },
        };
        self.plan(self.link_source[link.index()], at, Happening::Told(node, command));
    }

    /// Lets everything happen up to and including `end`.
    pub(crate) fn advance(&mut self, end: Time, trace: &mut Vec<TraceRecord>) {
        while let Some(event) = self.schedule.next_until(end) {
            self.happen(event.time, event.event, trace);
        }
    }

    fn begin(&mut self) {
        for place in 0..self.stations.len() {
            let node = NodeId(place as u32);
            self.stations[place].machine = Some(KeyNode::new(
                node,
                Arc::clone(&self.topology),
                nodes::key_settings(self.network, node, self.settings.clone()),
            ));
        }
        let events: Vec<&NetworkEvent> = self.network.events.iter().collect();
        for event in &events {
            if let bellwether_network::EventKind::Node(node, _) = event.kind {
                self.stations[node.index()].crashes = true;
                for at in [Some(event.at), event.until].into_iter().flatten() {
                    self.plan(EntityId(node.0), at, Happening::NodeChanged(node));
                }
            }
        }
        for place in 0..self.network.links.len() {
            let link = LinkId(place as u32);
            self.apply_faults(link, Time::ZERO);
            let instants: Vec<_> = self.timelines[place].instants().collect();
            for at in instants {
                self.plan(self.link_source[place], at, Happening::Changed(link));
            }
        }
        if self.network.nodes.len() > FLOODING_NODES && !self.network.demands.is_empty() {
            self.plan(self.controller, Time::ZERO, Happening::Controller);
        }
        for (place, demand) in self.network.demands.iter().enumerate() {
            let id = DemandId(place as u32);
            let command = wish(id, demand, demand.total);
            let source = EntityId(demand.from.0);
            self.plan(source, demand.start, Happening::Told(demand.from, Command::Demand(command)));
            if let Some(stop) = demand.stop {
                self.plan(source, stop, Happening::Told(demand.from, Command::EndDemand(id)));
            }
        }
    }

    /// A controller tells the nodes that ask for keys how much is in every pool.
    fn control(&mut self, now: Time, trace: &mut Vec<TraceRecord>) {
        let mut view = LinkView::unknown(&self.topology);
        for (place, link) in self.network.links.iter().enumerate() {
            let id = LinkId(place as u32);
            for node in [link.transmitter_at, link.receiver_at] {
                let machine = self.stations[node.index()].machine.as_ref();
                if let Some(pool) = machine.and_then(|machine| machine.pool(id)) {
                    let report = LinkReport { condition: LinkCondition::Up, level: Some(pool.outgoing) };
                    view.report(&self.topology, id, node, report);
                }
            }
        }
        let view = Arc::new(view);
        let mut sources: Vec<NodeId> = self.network.demands.iter().map(|demand| demand.from).collect();
        sources.sort_unstable();
        sources.dedup();
        for node in sources {
            self.handle(now, node, Input::Command(Command::View(Arc::clone(&view))), trace);
        }
        let next = now.saturating_add(CONTROLLER.max(self.network.run.duration / 1000));
        self.plan(self.controller, next, Happening::Controller);
    }

    fn plan(&mut self, source: EntityId, at: Time, what: Happening) {
        let at = at.max(self.schedule.now());
        self.schedule.at(source, at, what).expect("the time is not past and the source was added");
    }

    fn happen(&mut self, now: Time, what: Happening, trace: &mut Vec<TraceRecord>) {
        match what {
            Happening::Told(node, command) => {
                if let Command::LinkState { link, condition } = command {
                    self.conditions.insert((node, link), condition);
                }
                self.handle(now, node, Input::Command(command), trace);
            }
            Happening::Frame { from, to, bytes } => {
                self.handle(now, to, Input::Frame { from, bytes: &bytes }, trace);
            }
            Happening::Timeout(node) => {
                let station = &mut self.stations[node.index()];
                if station.timeout == Some(now) {
                    station.timeout = None;
                    let due = station.machine.as_ref().and_then(Protocol::deadline);
                    if due.is_some_and(|due| due <= now) {
                        self.handle(now, node, Input::Timeout, trace);
                    } else {
                        self.ask_for_timeout(now, node);
                    }
                }
            }
            Happening::Persisted(node, number, life) => {
                if self.stations[node.index()].life == life {
                    self.handle(now, node, Input::Persisted(number), trace);
                }
            }
            Happening::Changed(link) => self.link_changed(now, link),
            Happening::NodeChanged(node) => self.node_changed(now, node),
            Happening::Controller => self.control(now, trace),
        }
    }

    fn apply_faults(&mut self, link: LinkId, now: Time) {
        let faults = self.timelines[link.index()].at(now).0.faults;
        self.channels[link.index()].set_faults(faults);
    }

    fn link_changed(&mut self, now: Time, link: LinkId) {
        let before = now.picoseconds().checked_sub(1).map(Time::from_picoseconds);
        let was_cut = before.is_some_and(|before| self.timelines[link.index()].at(before).0.cut);
        let cut = self.timelines[link.index()].at(now).0.cut;
        self.apply_faults(link, now);
        if cut != was_cut {
            let condition = if cut { LinkCondition::Cut } else { LinkCondition::Up };
            let ends = [self.network.link(link).transmitter_at, self.network.link(link).receiver_at];
            for node in ends {
                self.tell(now.saturating_add(LOSS_OF_LIGHT), link, node, LinkNews::Condition(condition));
            }
        }
    }

    fn node_changed(&mut self, now: Time, node: NodeId) {
        let events: Vec<&NetworkEvent> = self.network.events.iter().collect();
        let up = node_is_up(&events, node, now);
        let (topology, settings) =
            (Arc::clone(&self.topology), nodes::key_settings(self.network, node, self.settings.clone()));
        let station = &mut self.stations[node.index()];
        match (up, station.machine.is_some()) {
            (false, true) => {
                station.machine = None;
                station.timeout = None;
                station.life += 1;
            }
            (true, false) => {
                let records = station.records.iter();
                station.machine = Some(KeyNode::restore(node, topology, settings, records));
                self.ask_for_timeout(now, node);
                self.retell_conditions(now, node);
                self.resume_demands(now, node);
            }
            _ => {}
        }
    }

    /// A restarted node's hardware says again how its links are.
    fn retell_conditions(&mut self, now: Time, node: NodeId) {
        let links = (node, LinkId(0))..=(node, LinkId(u32::MAX));
        let told: Vec<_> = self.conditions.range(links).map(|(&(_, link), &c)| (link, c)).collect();
        for (link, condition) in told {
            let command = Command::LinkState { link, condition };
            self.plan(EntityId(node.0), now, Happening::Told(node, command));
        }
    }

    /// A restarted node's software asks again for what it wants.
    fn resume_demands(&mut self, now: Time, node: NodeId) {
        for (place, demand) in self.network.demands.iter().enumerate() {
            let running = demand.start < now && demand.stop.is_none_or(|stop| stop > now);
            if demand.from == node && running {
                let id = DemandId(place as u32);
                let left = demand.total.map(|total| total.saturating_sub(self.served.requested(id)));
                let command = wish(id, demand, left);
                self.plan(EntityId(node.0), now, Happening::Told(node, Command::Demand(command)));
            }
        }
    }

    fn handle(
        &mut self,
        now: Time,
        node: NodeId,
        input: Input<'_, NodeId, Command, core::convert::Infallible>,
        trace: &mut Vec<TraceRecord>,
    ) {
        let station = &mut self.stations[node.index()];
        let Some(machine) = &mut station.machine else { return };
        let mut outputs = core::mem::take(&mut self.outputs);
        machine.handle(now, &mut station.random, input, &mut outputs);
        let life = station.life;
        let mut compact = false;
        for output in outputs.drain(..) {
            match output {
                Output::Event(event) => self.served.note(now, node, event, self.network, trace),
                Output::Send { to, bytes } => self.send(now, node, to, bytes),
                Output::Persist(number, record) => {
                    let station = &mut self.stations[node.index()];
                    if station.crashes {
                        compact |= station.compaction.added(&record);
                        station.records.push(record);
                    }
                    let at = now.saturating_add(PERSIST);
                    self.plan(EntityId(node.0), at, Happening::Persisted(node, number, life));
                }
                Output::Compute(job) => match job {},
            }
        }
        self.outputs = outputs;
        if compact {
            self.stations[node.index()].compact();
        }
        self.ask_for_timeout(now, node);
    }

    fn ask_for_timeout(&mut self, now: Time, node: NodeId) {
        let station = &mut self.stations[node.index()];
        let Some(due) = station.machine.as_ref().and_then(Protocol::deadline) else { return };
        let due = due.max(now);
        if station.timeout.is_none_or(|planned| due < planned) {
            station.timeout = Some(due);
            self.plan(EntityId(node.0), due, Happening::Timeout(node));
        }
    }

    /// A frame goes by the first link between the two nodes that is not cut.
    fn send(&mut self, now: Time, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        let Some(links) = self.neighbours.get(&(from, to)) else { return };
        let usable = links.iter().find(|link| !self.timelines[link.index()].at(now).0.cut);
        let Some(&link) = usable else { return };
        let mut copies = Vec::new();
        self.channels[link.index()].transmit(now, bytes, |at, bytes| copies.push((at, bytes)));
        for (at, bytes) in copies {
            self.plan(EntityId(from.0), at, Happening::Frame { from, to, bytes });
        }
    }
}

/// A demand as its node's key manager is told of it, of which `total` keys are still to be made.
fn wish(id: DemandId, demand: &bellwether_network::Demand, total: Option<u64>) -> Demand {
    let interval = Duration::from_seconds(1.0 / demand.rate.per_second()).unwrap_or(Duration::MAX);
    Demand {
        id,
        to: demand.to,
        bits: u32::try_from(demand.key_size.bits()).unwrap_or(u32::MAX),
        interval: interval.max(Duration::from_microseconds(1)),
        priority: demand.priority,
        patience: PATIENCE.max(interval),
        paths: demand.paths,
        total,
    }
}

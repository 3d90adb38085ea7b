//! Key managers over real key nodes: requests, relay and pools of the network below, stock and keys above.

use crate::world::{everybody, ms, name};
use bellwether_bits::SecretBits;
use bellwether_protocol::keys::delivery::{
    self, ApplicationKey, DecKeys, EncKeys, KeyManager, Protection, Ticket,
};
use bellwether_protocol::keys::{self, KeyMaterial, KeyNode, Topology};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_units::{BlockId, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::VecDeque;
use std::sync::Arc;

enum Do {
    Node(keys::Command),
    NodeFrame(NodeId, Vec<u8>),
    NodePersisted(u64),
    Manager(delivery::Command),
    ManagerFrame(NodeId, Vec<u8>),
    ManagerPersisted(u64),
    Timeout,
}

/// One site: a key node and the key manager over it.
struct Site {
    node: KeyNode,
    manager: KeyManager,
    rng: Stream,
}

struct Sites {
    sites: Vec<Site>,
    now: Time,
    answers: Vec<(Ticket, Result<Vec<ApplicationKey>, delivery::DeliveryError>)>,
}

impl Sites {
    /// A perfect driver: frames arrive and records are durable at once.
    fn run(&mut self, todo: Vec<(usize, Do)>) {
        let mut todo: VecDeque<_> = todo.into();
        while let Some((i, what)) = todo.pop_front() {
            let site = &mut self.sites[i];
            let (mut below, mut above) = (Vec::new(), Vec::new());
            let (now, rng) = (self.now, &mut site.rng);
            match what {
                Do::Node(command) => site.node.handle(now, rng, Input::Command(command), &mut below),
                Do::NodeFrame(from, bytes) => {
                    site.node.handle(now, rng, Input::Frame { from, bytes: &bytes }, &mut below);
                }
                Do::NodePersisted(n) => site.node.handle(now, rng, Input::Persisted(n), &mut below),
                Do::Manager(command) => site.manager.handle(now, rng, Input::Command(command), &mut above),
                Do::ManagerFrame(from, bytes) => {
                    site.manager.handle(now, rng, Input::Frame { from, bytes: &bytes }, &mut above);
                }
                Do::ManagerPersisted(n) => site.manager.handle(now, rng, Input::Persisted(n), &mut above),
                Do::Timeout => {
                    site.node.handle(now, rng, Input::Timeout, &mut below);
                    site.manager.handle(now, rng, Input::Timeout, &mut above);
                }
            }
            let from = NodeId(i as u32);
            for output in below {
                match output {
                    Output::Send { to, bytes } => todo.push_back((to.index(), Do::NodeFrame(from, bytes))),
                    Output::Persist(n, _) => todo.push_back((i, Do::NodePersisted(n))),
                    Output::Event(keys::Event::Delivered(key)) => {
                        todo.push_back((i, Do::Manager(delivery::Command::QuantumKey(key))));
                    }
                    Output::Event(keys::Event::Refused { request, reason, .. }) => {
                        let refused = delivery::Command::QuantumRefused { request, reason };
                        todo.push_back((i, Do::Manager(refused)));
                    }
                    Output::Event(_) => {}
                    Output::Compute(job) => match job {},
                }
            }
            for output in above {
                match output {
                    Output::Send { to, bytes } => todo.push_back((to.index(), Do::ManagerFrame(from, bytes))),
                    Output::Persist(n, _) => todo.push_back((i, Do::ManagerPersisted(n))),
                    Output::Event(delivery::Event::WantQuantum(request)) => {
                        todo.push_back((i, Do::Node(keys::Command::Request(request))));
                    }
                    Output::Event(delivery::Event::Answer { ticket, result }) => {
                        self.answers.push((ticket, result));
                    }
                    Output::Event(_) => {}
                    Output::Compute(job) => match job {},
                }
            }
        }
    }

    fn run_ms(&mut self, span: u64) {
        for _ in 0..span {
            self.now += ms(1);
            self.run((0..self.sites.len()).map(|i| (i, Do::Timeout)).collect());
        }
    }
}

/// Three nodes in a row: keys between the ends are relayed by the one between, which learns no hybrid key.
#[test]
fn applications_at_the_ends_of_a_line_get_keys_that_crossed_a_relay() {
    let topology = Arc::new(Topology::new(3, &[(NodeId(0), NodeId(1)), (NodeId(1), NodeId(2))]).unwrap());
    let directory = Arc::new(everybody(3, false));
    let site = |i: u32| {
        let mut rng = Stream::new(5, EntityId(i), Purpose::named("site"));
        let node = KeyNode::new(NodeId(i), Arc::clone(&topology), keys::Settings::default());
        let (d, s) = (Arc::clone(&directory), delivery::Settings::default());
        Site { node, manager: KeyManager::new(NodeId(i), d, s, &mut rng), rng }
    };
    let mut sites = Sites { sites: (0..3).map(site).collect(), now: Time::ZERO, answers: Vec::new() };
    let mut light = Stream::new(5, EntityId(9), Purpose::named("light"));
    for block in 0..20 {
        for link in 0..2_u32 {
            let bits = SecretBits::random(1 << 15, &mut light);
            let store = |key| {
                let key = KeyMaterial::Bits(key);
                Do::Node(keys::Command::Store { link: LinkId(link), block: BlockId(block), key })
            };
            let ends = [link as usize, link as usize + 1];
            sites.run(vec![(ends[0], store(bits.duplicate())), (ends[1], store(bits))]);
        }
    }
    sites.run_ms(3000);
    let ask = EncKeys {
        ticket: Ticket(1),
        caller: name("a-0"),
        slave: name("a-2"),
        additional: vec![name("q-1")],
        number: 2,
        bits: 256,
    };
    sites.run(vec![(0, Do::Manager(delivery::Command::EncKeys(ask)))]);
    let (ticket, result) = sites.answers.pop().unwrap();
    assert_eq!(ticket, Ticket(1));
    let issued = result.unwrap();
    assert_eq!(issued.len(), 2);
    for (slave, node) in [("a-2", 2), ("q-1", 1)] {
        let ids = issued.iter().map(|k| k.id).collect();
        let ask = DecKeys { ticket: Ticket(2), caller: name(slave), master: name("a-0"), ids };
        sites.run(vec![(node, Do::Manager(delivery::Command::DecKeys(ask)))]);
        sites.run_ms(10);
        let collected = sites.answers.pop().unwrap().1.unwrap();
        for (a, b) in issued.iter().zip(&collected) {
            assert!(a.id == b.id && a.key == b.key);
            assert_eq!(b.protection, Protection::QuantumOnly, "as good as the weaker of the two");
            let seen: std::collections::BTreeSet<_> = b.nodes.iter().map(|n| n.0).collect();
            assert_eq!(seen, [0, 1, 2].into(), "the relay is named");
        }
    }
    assert!(issued[0].key != issued[1].key);
}

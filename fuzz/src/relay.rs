//! An attacker among key nodes.
//!
//! A small network relays keys over trusted nodes in virtual time while the attacker changes frames under way,
//! replays and forges them in a neighbour's name. The driver asserts that the two ends of a key are equal, that
//! no key is handed out twice and that no bit of a pool is pad twice; here it is asserted besides that each
//! pool's books balance and that a frame causes a bounded number of others.

use crate::mutation::{Mutation, Payload, Rest};
use crate::world::{Happening, Weather, World};
use arbitrary::Arbitrary;
use bellwether_protocol::keys::{LinkCondition, Settings, Topology};
use bellwether_units::{Duration, LinkId, NodeId};

/// An attack: what is done, in this order.
#[derive(Arbitrary, Clone, Debug)]
pub struct Attack {
    seed: u8,
    shape: u8,
    rough: bool,
    moves: Rest<Move, MOVES>,
}

#[derive(Arbitrary, Clone, Debug)]
enum Move {
    /// Virtual time passes.
    Wait { milliseconds: u8 },
    /// Frames of the next milliseconds, up to so many, are changed under way; those of one kind alone if told.
    Change { milliseconds: u8, most: u8, kind: Option<u8>, mutations: Vec<Mutation> },
    /// A frame seen before comes again, perhaps to another node and changed.
    Replay { which: u16, elsewhere: Option<(u8, u8)>, mutations: Vec<Mutation> },
    /// A frame of a kind, with a link of the network first as most kinds have it.
    Forge { from: u8, to: u8, kind: u8, link: u8, rest: Payload },
    /// Any bytes from any node to any node.
    Bytes { from: u8, to: u8, bytes: Payload },
    /// Somebody wants a key.
    Request { from: u8, to: u8, bytes: u8, patience: u8 },
    /// Links make a block.
    Store { link: u8 },
    /// A link is cut, alarmed or repaired.
    Condition { link: u8, condition: u8 },
    /// A node crashes and starts again.
    Crash { node: u8, after: u8 },
}

/// As many frames are remembered.
const REMEMBERED: usize = 400;
/// As many moves are made.
const MOVES: usize = 48;
/// A frame may be answered, and be flooded or handed on to every neighbour; and not much more.
const CAUSED: usize = 400;

const SHAPES: [(u32, &[(u32, u32)]); 4] = [
    (2, &[(0, 1)]),
    (3, &[(0, 1), (1, 2)]),
    (4, &[(0, 1), (1, 2), (2, 3), (3, 0)]),
    (4, &[(0, 1), (0, 1), (1, 2), (1, 3), (2, 3)]),
];

/// Plays an attack.
pub fn play(attack: &Attack) {
    let (nodes, links) = SHAPES[usize::from(attack.shape) % SHAPES.len()];
    let pairs: Vec<_> = links.iter().map(|&(a, b)| (NodeId(a), NodeId(b))).collect();
    let Ok(topology) = Topology::new(nodes, &pairs) else { return };
    let weather = if attack.rough {
        Weather { loss: 0.1, duplication: 0.1, longest_delay_ms: 20, longest_write_ms: 5, ..Weather::FAIR }
    } else {
        Weather::FAIR
    };
    let settings = Settings { doubt_limit: Duration::from_whole_seconds(15), ..Settings::default() };
    let mut network = Network {
        world: World::new(topology, settings, weather, u64::from(attack.seed % 4)),
        nodes,
        links: links.len() as u32,
        seen: Vec::new(),
        counted: 0,
    };
    network.world.fill(2);
    network.run(20);
    network.world.demand(0, nodes - 1, 256, 40, 1);
    network.world.request(nodes - 1, 0, 512, 2000);
    network.run(10);
    for step in attack.moves.iter() {
        network.make(step);
        network.world.check_books();
    }
    network.world.end_demands();
    network.run(1000);
    network.world.check_books();
}

struct Network {
    world: World,
    nodes: u32,
    links: u32,
    seen: Vec<(NodeId, NodeId, Vec<u8>)>,
    counted: u64,
}

impl Network {
    fn node(&self, number: u8) -> NodeId {
        NodeId(u32::from(number) % self.nodes)
    }
    fn link(&self, number: u8) -> LinkId {
        LinkId(u32::from(number) % self.links)
    }

    /// Lets time pass, and looks at all frames on the way.
    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.world.run_ms(1);
            self.look();
        }
    }

    fn look(&mut self) {
        let counted = self.counted;
        for (&(_, number), happening) in &self.world.queue {
            self.counted = self.counted.max(number + 1);
            if number >= counted
                && let Happening::Frame { from, to, bytes } = happening
            {
                assert!(bytes.len() <= 1 << 20, "a frame of {} bytes", bytes.len());
                if self.seen.len() == REMEMBERED {
                    self.seen.remove(0);
                }
                self.seen.push((*from, *to, bytes.clone()));
            }
        }
    }

    /// Hands a frame to a node now.
    fn inject(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        let before = self.world.queue.len();
        self.world.at(self.world.now, Happening::Frame { from, to, bytes });
        self.world.run_until(self.world.now);
        let caused = self.world.queue.len().saturating_sub(before);
        assert!(caused <= CAUSED, "one frame caused {caused} effects");
        self.look();
    }

    fn make(&mut self, step: &Move) {
        match step {
            Move::Wait { milliseconds } => self.run(u64::from(*milliseconds)),
            Move::Change { milliseconds, most, kind, mutations } => {
                let mut left = usize::from(most % 16);
                for _ in 0..milliseconds % 32 {
                    let seen = &self.seen;
                    for happening in self.world.queue.values_mut() {
                        let Happening::Frame { bytes, .. } = happening else { continue };
                        let wanted = kind.is_none_or(|kind| bytes.get(1) == Some(&(kind % 8)));
                        if left > 0 && wanted {
                            left -= 1;
                            for mutation in mutations.iter().take(8) {
                                mutation.apply(bytes, 2, |other| pick(seen, other).map(|frame| &frame.2[..]));
                            }
                        }
                    }
                    self.run(1);
                }
            }
            Move::Replay { which, elsewhere, mutations } => {
                let Some((mut from, mut to, mut bytes)) = pick(&self.seen, usize::from(*which)).cloned()
                else {
                    return;
                };
                if let Some((other_from, other_to)) = elsewhere {
                    (from, to) = (self.node(*other_from), self.node(*other_to));
                }
                for mutation in mutations.iter().take(8) {
                    mutation.apply(&mut bytes, 2, |other| pick(&self.seen, other).map(|frame| &frame.2[..]));
                }
                self.inject(from, to, bytes);
            }
            Move::Forge { from, to, kind, link, rest } => {
                let mut bytes = vec![1, kind % 10];
                bytes.extend(self.link(*link).0.to_le_bytes());
                bytes.extend(rest.iter());
                self.inject(self.node(*from), self.node(*to), bytes);
            }
            Move::Bytes { from, to, bytes } => self.inject(self.node(*from), self.node(*to), bytes.0.clone()),
            Move::Request { from, to, bytes, patience } => {
                let (from, to) = (self.node(*from), self.node(*to));
                self.world.request(from.0, to.0, 8 * u32::from(*bytes), 20 * u64::from(*patience));
            }
            Move::Store { link } => {
                let link = self.link(*link);
                self.world.at(self.world.now, Happening::Store(link));
            }
            Move::Condition { link, condition } => {
                let condition = match condition % 3 {
                    0 => LinkCondition::Up,
                    1 => LinkCondition::Cut,
                    _ => LinkCondition::Alarmed,
                };
                let link = self.link(*link);
                self.world.at(self.world.now, Happening::Condition(link, condition));
            }
            Move::Crash { node, after } => {
                let node = self.node(*node);
                self.world.at(self.world.now, Happening::Crash(node));
                let later = self.world.now + Duration::from_milliseconds(u64::from(*after));
                self.world.at(later, Happening::Restart(node));
            }
        }
    }
}

/// One of the frames that were seen, the latest first.
fn pick(seen: &[(NodeId, NodeId, Vec<u8>)], which: usize) -> Option<&(NodeId, NodeId, Vec<u8>)> {
    seen.len().checked_sub(1).map(|last| &seen[last - which % seen.len()])
}

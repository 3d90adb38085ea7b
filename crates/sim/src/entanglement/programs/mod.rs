//! Programs of nodes, run over a [`World`] in virtual time.
//!
//! One thread polls the programs, in the order of their nodes, whenever one of them has been answered; when none can go on,
//! the world takes its next step. What happens depends on the seed alone. Gates act on what memories truly hold and take
//! the time and have the errors of the node's [`Processor`]; messages go the quickest way that is open, are not lost, and
//! keep their order.
//!
//! ```
//! use bellwether_protocol::application::{Operated, Basis, Node, ProgramError};
//! use bellwether_quantum::bell::BellDiagonal;
//! use bellwether_sim::entanglement::programs::Programs;
//! use bellwether_sim::entanglement::{Brightness, Chain, World, WorldOptions};
//! use bellwether_units::{Duration, NodeId, Time};
//!
//! async fn measure(node: Node, peer: NodeId) -> Result<bool, ProgramError> {
//!     let half = node.epr(peer, 0.9, Duration::MAX).await?;
//!     Ok(half.measure(Basis::Z).await?)
//! }
//!
//! // Three nodes, a herald in ten attempts of 10 µs.
//! let level = Brightness::stated(0.1, BellDiagonal::PERFECT.into())?;
//! let microseconds = Duration::from_microseconds;
//! let mut setup = Chain::new(3, 1, level, microseconds(10), microseconds(5)).setup()?;
//! setup.demands.clear();
//! let mut programs = Programs::new(World::new(setup, WorldOptions::default())?);
//! let (alice, bob) = (NodeId(0), NodeId(2));
//! let one = programs.spawn(alice, |node| measure(node, bob));
//! let other = programs.spawn(bob, |node| measure(node, alice));
//! programs.run(Time::from_picoseconds(u64::MAX))?;
//! assert_eq!(one.take(), other.take());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod lab;
mod place;
mod serve;
mod stuck;

pub use stuck::{Stuck, Wait, Waiting};

use super::hardware::Processor;
use super::world::{ProgramEvent, World};
use bellwether_protocol::application::{Node, Operated, Port, Seat};
use bellwether_protocol::entanglement::CircuitId;
use bellwether_quantum::store::Detail;
use bellwether_units::{NodeId, Time};
use core::cell::RefCell;
use core::future::Future;
use core::task::{Context, Poll};
use place::{Flag, Place};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// What a program returned, once it has.
#[derive(Clone, Debug)]
pub struct Returned<T>(Rc<RefCell<Option<T>>>);

impl<T> Returned<T> {
    /// What it returned; none if it has not ended, or this was taken.
    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().take()
    }
}

/// What will be due.
enum Due {
    /// A message arrives.
    Message { from: NodeId, bytes: Vec<u8> },
    /// News that a program has ended, after so many calls.
    Ended { from: NodeId, calls: Vec<(CircuitId, u64)> },
    /// A seat wants to see what time it is.
    Reminder,
}

/// A world, and the programs of its nodes: at most one for each.
pub struct Programs {
    world: World,
    /// In the order of nodes.
    places: BTreeMap<NodeId, Place>,
    due: BTreeMap<u64, (NodeId, Due)>,
    next_token: u64,
    /// When the last message from one node to another arrives, and how many are on their way.
    ways: BTreeMap<(NodeId, NodeId), (Time, u64)>,
    begun: bool,
    /// Whether anything has happened to programs since it was last asked whether they can go on.
    changed: bool,
}

impl Programs {
    /// Programs for the nodes of a world, with joint states followed exactly: at most ten qubits may be entangled with each
    /// other on which gates were done.
    pub fn new(world: World) -> Self {
        Self::with_detail(world, Detail::Exact)
    }
    /// As [`new`](Self::new), with joint states followed as told.
    pub fn with_detail(mut world: World, detail: Detail) -> Self {
        world.attach_programs(detail);
        Self {
            world,
            places: BTreeMap::new(),
            due: BTreeMap::new(),
            next_token: 0,
            ways: BTreeMap::new(),
            begun: false,
            changed: true,
        }
    }
    /// The world.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// A node is to run a program, which is given the node's handle. It begins when the world [runs](Self::run).
    ///
    /// # Panics
    /// If there is no such node, it has a program, or programs have begun.
    pub fn spawn<T, F>(&mut self, node: NodeId, program: impl FnOnce(Node) -> F) -> Returned<T>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        assert!(!self.begun, "programs have begun: spawn all before the first run");
        assert!(node.index() < self.world.node_count(), "there is no {node} to run a program");
        assert!(!self.places.contains_key(&node), "{node} has a program: a node runs one");
        let mut stream = self.world.program_stream(node, "program").expect("the node is there");
        let (handle, port) = Port::open(node, Box::new(move || stream.bits()));
        let returned = Returned(Rc::new(RefCell::new(None)));
        let place = Rc::clone(&returned.0);
        let future = program(handle);
        let task = async move {
            let value = future.await;
            *place.borrow_mut() = Some(value);
        };
        let local_qubits = self.world.processor(node).local_qubits;
        let seat = Seat::new(port, self.world.booths(node), local_qubits);
        self.places.insert(node, Place::new(seat, Box::pin(task)));
        returned
    }
    /// What a node's processor does to qubits of its program, instead of what its model says.
    ///
    /// # Panics
    /// If the node has no program.
    pub fn set_processor(&mut self, node: NodeId, processor: Processor) {
        let place = self.places.get_mut(&node).expect("a node with a program");
        place.seat.set_local_qubits(processor.local_qubits);
        self.world.set_processor(node, processor);
    }

    /// Runs until all programs have ended, at most up to `end`. After time was up, it may be called again.
    ///
    /// # Errors
    /// If all programs that have not ended wait for what will not come, or time is up: who waits for what.
    pub fn run(&mut self, end: Time) -> Result<(), Stuck> {
        if !self.begun {
            self.begin();
        }
        loop {
            self.poll();
            if self.places.values().all(|place| place.task.is_none()) {
                return Ok(());
            }
            if core::mem::take(&mut self.changed) && !self.can_go_on() {
                return Err(Stuck::Deadlock(self.report()));
            }
            if !self.world.step_for_programs(end) {
                self.changed = true;
                let report = self.report();
                return Err(if self.world.is_idle() {
                    Stuck::Deadlock(report)
                } else {
                    Stuck::TimeUp(report)
                });
            }
            for event in self.world.take_program_events() {
                self.changed = true;
                self.note(event);
            }
        }
    }

    /// Nodes without programs ask for nothing and say nothing.
    fn begin(&mut self) {
        self.begun = true;
        let programs: Vec<_> = self.places.keys().copied().collect();
        for node in programs {
            for other in (0..self.world.node_count() as u32).map(NodeId) {
                if !self.places.contains_key(&other) {
                    self.tell(node, |seat, now, out| seat.peer_over(now, other, &[], out));
                }
            }
        }
    }

    /// Polls programs that were answered, and does what they wish, until none can go on.
    fn poll(&mut self) {
        let nodes: Vec<_> = self.places.keys().copied().collect();
        loop {
            let mut idle = true;
            for node in &nodes {
                idle &= !self.poll_one(*node);
                while let Some(wish) = self.places[node].seat.port().take() {
                    idle = false;
                    self.serve(*node, wish);
                }
            }
            if idle {
                return;
            }
            self.changed = true;
        }
    }
    /// Polls a program if it was answered; whether it was.
    fn poll_one(&mut self, node: NodeId) -> bool {
        let now = self.world.now();
        let Some(place) = self.places.get_mut(&node) else { return false };
        let Some(task) = &mut place.task else { return false };
        if !place.flag.take() {
            return false;
        }
        place.seat.port().set_now(now);
        let waker: Waker = Arc::<Flag>::clone(&place.flag).into();
        if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            place.task = None;
            self.tell(node, Seat::over);
        }
        true
    }

    fn note(&mut self, event: ProgramEvent) {
        match event {
            ProgramEvent::Due(token) => {
                if let Some((node, due)) = self.due.remove(&token) {
                    self.fall_due(node, due);
                }
            }
            ProgramEvent::Delivered(node, delivered) => self.delivered(node, &delivered),
            ProgramEvent::Revoked { node, circuit, pair, memory } => {
                self.tell(node, |seat, now, out| seat.revoked(now, circuit, pair, memory, out));
            }
            ProgramEvent::Operated(node, Operated { request, result }) => {
                self.tell(node, |seat, now, out| seat.operated(now, request, result, out));
            }
            ProgramEvent::Crashed(node) => {
                self.tell(node, Seat::crashed);
            }
        }
    }
    /// Something will be due at a node.
    fn at(&mut self, node: NodeId, at: Time, due: Due) {
        let token = self.next_token;
        self.next_token += 1;
        self.due.insert(token, (node, due));
        self.world.remind_programs(node, at, token);
    }
}

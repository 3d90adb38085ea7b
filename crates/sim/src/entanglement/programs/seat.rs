//! A node that runs a program: the program, and what it waits for and has.

use crate::entanglement::hardware::{Processor, Spot};
use bellwether_protocol::application::{
    Basis, Booth, CallId, EprError, MeasuredPair, MessageError, Operation, OperationError, PairDesk, Port,
    Promise, Qubit, QubitName,
};
use bellwether_protocol::entanglement::{CircuitId, MemoryId, PairId};
use bellwether_units::{NodeId, Stream, Time};
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::Wake;

/// Whether a program was answered.
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A half that the network layer has lent out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Half {
    pub(super) circuit: CircuitId,
    pub(super) pair: PairId,
    pub(super) memory: MemoryId,
}

/// Where a qubit of the program is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) spot: Spot,
    /// To whom its memory goes back; to the processor if none.
    pub(super) half: Option<Half>,
}

/// A call for pairs.
pub(super) struct Call {
    pub(super) peer: NodeId,
    pub(super) answer: Answer,
}

pub(super) enum Answer {
    Pair(Promise<Result<Qubit, EprError>>),
    Measured {
        bases: Vec<Basis>,
        got: Vec<MeasuredPair>,
        wanted: u64,
        answer: Promise<Result<Vec<MeasuredPair>, EprError>>,
    },
}

/// Operations that were handed over together.
pub(super) struct Job {
    pub(super) operations: VecDeque<Operation>,
    pub(super) outcomes: Vec<bool>,
    pub(super) answer: Promise<Result<Vec<bool>, OperationError>>,
}

type Receiving = VecDeque<Promise<Result<Vec<u8>, MessageError>>>;

pub(super) struct Seat {
    pub(super) port: Port,
    /// None once it has ended.
    pub(super) task: Option<Pin<Box<dyn Future<Output = ()>>>>,
    pub(super) flag: Arc<Flag>,
    pub(super) processor: Processor,
    /// Draws bases.
    pub(super) stream: Stream,
    pub(super) desk: PairDesk,
    /// When the desk will be reminded.
    pub(super) desk_due: Time,
    pub(super) calls: BTreeMap<CallId, Call>,
    /// Calls that failed here: no pair comes for the other end's.
    pub(super) failed: BTreeSet<CallId>,
    pub(super) qubits: BTreeMap<QubitName, Held>,
    pub(super) next_qubit: u64,
    pub(super) local: u16,
    /// The first is at work.
    pub(super) jobs: VecDeque<Job>,
    /// How many programs' operations are under way: an operation outlives a crash of its job.
    pub(super) working: bool,
    pub(super) sleeping: u64,
    pub(super) inbox: BTreeMap<NodeId, VecDeque<Vec<u8>>>,
    pub(super) receiving: BTreeMap<NodeId, Receiving>,
    /// Nodes whose programs have ended, as far as this one has heard.
    pub(super) gone: BTreeSet<NodeId>,
}

impl Seat {
    pub(super) fn new(
        port: Port,
        task: Pin<Box<dyn Future<Output = ()>>>,
        processor: Processor,
        stream: Stream,
        booths: Vec<Booth>,
    ) -> Self {
        Self {
            port,
            task: Some(task),
            flag: Arc::new(Flag(AtomicBool::new(true))),
            processor,
            stream,
            desk: PairDesk::new(booths),
            desk_due: Time::MAX,
            calls: BTreeMap::new(),
            failed: BTreeSet::new(),
            qubits: BTreeMap::new(),
            next_qubit: 0,
            local: 0,
            jobs: VecDeque::new(),
            working: false,
            sleeping: 0,
            inbox: BTreeMap::new(),
            receiving: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }
    /// A name for a qubit that the program will own.
    pub(super) fn hold(&mut self, held: Held) -> QubitName {
        let name = QubitName(self.next_qubit);
        self.next_qubit += 1;
        self.qubits.insert(name, held);
        name
    }
}

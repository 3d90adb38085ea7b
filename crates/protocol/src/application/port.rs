//! Where a node's programs leave their wishes, and its driver takes them.

use super::{
    Basis, EprError, MeasuredPair, MessageError, Node, Operation, OperationError, PairFacts, PairTerms,
    Promise, Qubit, QubitName,
};
use bellwether_units::{Duration, NodeId, Time};
use core::any::Any;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a program wants of its driver.
pub enum Wish {
    /// A half of a pair.
    Pair {
        /// With whom.
        peer: NodeId,
        /// Of what kind, and by when.
        terms: PairTerms,
        /// The half.
        answer: Promise<Result<Qubit, EprError>>,
    },
    /// Pairs that are measured as they come.
    MeasuredPairs {
        /// With whom.
        peer: NodeId,
        /// How many, of what kind, and by when.
        terms: PairTerms,
        /// One of these is drawn for each, all with the same probability.
        bases: Vec<Basis>,
        /// What was measured, in the order of the pairs' names.
        answer: Promise<Result<Vec<MeasuredPair>, EprError>>,
    },
    /// A qubit in |0⟩.
    Zero {
        /// The qubit.
        answer: Promise<Result<Qubit, OperationError>>,
    },
    /// Gates and measurements, one after the other.
    Operate {
        /// Which.
        operations: Vec<Operation>,
        /// The outcomes of the measurements.
        answer: Promise<Result<Vec<bool>, OperationError>>,
    },
    /// Nobody holds the qubit any more.
    Free(QubitName),
    /// A message for another node's program.
    Send {
        /// For whom.
        to: NodeId,
        /// What.
        bytes: Vec<u8>,
        /// Whether it is on its way.
        answer: Promise<Result<(), MessageError>>,
    },
    /// The next message of another node's program.
    Receive {
        /// Whose.
        from: NodeId,
        /// The message.
        answer: Promise<Result<Vec<u8>, MessageError>>,
    },
    /// To be woken later.
    Sleep {
        /// How much later.
        span: Duration,
        /// It is time.
        answer: Promise<()>,
    },
    /// What only some drivers know; others drop it.
    Special(Box<dyn Any + Send>),
}

struct State {
    wishes: VecDeque<Wish>,
    now: Time,
    random: Box<dyn FnMut() -> u64 + Send>,
    driver: Option<Waker>,
}

/// What handles, qubits and the port of one node share.
pub(super) struct Shared {
    id: NodeId,
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) const fn id(&self) -> NodeId {
        self.id
    }
    pub(super) fn push(&self, wish: Wish) {
        let waker = {
            let mut state = self.lock();
            state.wishes.push_back(wish);
            state.driver.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    pub(super) fn now(&self) -> Time {
        self.lock().now
    }
    pub(super) fn random(&self) -> u64 {
        (self.lock().random)()
    }
}

/// The driver's side of a node: wishes come out of it.
pub struct Port {
    shared: Arc<Shared>,
}

impl Port {
    /// A node for programs, and its port. Random numbers for programs come from `random`.
    pub fn open(id: NodeId, random: Box<dyn FnMut() -> u64 + Send>) -> (Node, Self) {
        let state = State { wishes: VecDeque::new(), now: Time::ZERO, random, driver: None };
        let shared = Arc::new(Shared { id, state: Mutex::new(state) });
        (Node::new(Arc::clone(&shared)), Self { shared })
    }
    /// The oldest wish that was not taken yet.
    pub fn take(&self) -> Option<Wish> {
        self.shared.lock().wishes.pop_front()
    }
    /// The oldest wish, or the driver is woken when there is one.
    pub fn poll_take(&self, context: &mut Context<'_>) -> Poll<Wish> {
        let mut state = self.shared.lock();
        match state.wishes.pop_front() {
            Some(wish) => Poll::Ready(wish),
            None => {
                state.driver = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
    /// Waits for a wish.
    pub async fn next(&self) -> Wish {
        poll_fn(|context| self.poll_take(context)).await
    }
    /// Tells programs what time it is.
    pub fn set_now(&self, now: Time) {
        self.shared.lock().now = now;
    }
    /// A number below `bound`, from what programs of the node draw from.
    pub(super) fn below(&self, bound: usize) -> usize {
        // For the few bounds that there are, the bias is below 2^-60.
        ((u128::from(self.shared.random()) * bound as u128) >> 64) as usize
    }
    /// A qubit to be handed to the program: it owns the memory from then on, until [`Wish::Free`] or a measurement.
    pub fn qubit(&self, name: QubitName, facts: Option<PairFacts>) -> Qubit {
        Qubit::new(name, facts, Arc::clone(&self.shared))
    }
}

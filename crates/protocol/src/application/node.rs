//! A program's handle on its node.

use super::port::Shared;
use super::{
    Basis, Block, EprError, Gate, MeasuredPair, MessageError, Operation, OperationError, Outcomes, PairTerms,
    Promise, Qubit, TwoQubitGate, Wish,
};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, NodeId, Time};
use core::any::Any;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A node, as its program has it. It is cheap to clone.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

/// A gate on one qubit, by its name.
macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident($($angle:ident)?) $gate:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// If the qubit is not this node's, or lost.
            pub async fn $name(&self, qubit: &mut Qubit $(, $angle: f64)?) -> Result<(), OperationError> {
                self.gate($gate, qubit).await
            }
        )*
    };
}

impl Node {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
    /// Which node it is.
    pub fn id(&self) -> NodeId {
        self.shared.id()
    }
    /// What time it is, by the node's clock.
    pub fn now(&self) -> Time {
        self.shared.now()
    }
    /// 64 random bits.
    pub fn random(&self) -> u64 {
        self.shared.random()
    }
    /// A random number, uniform from 0 to less than 1.
    pub fn random_uniform(&self) -> f64 {
        (self.random() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Waits.
    pub async fn sleep(&self, span: Duration) {
        let (answer, wait) = Promise::new();
        self.shared.push(Wish::Sleep { span, answer });
        wait.await;
    }

    /// A half of a pair with `peer`, in |Φ⁺⟩ but for noise, that is claimed to have at least the fidelity
    /// `min_fidelity`, within so much time; [`Duration::MAX`] waits for ever.
    ///
    /// Both ends call. The calls of the two ends are matched by their number: the n-th call of one end with the other, of
    /// pairs one by one or in bulk, meets the n-th call of the other with it, whoever comes first. A call that fails counts.
    /// A half that comes for a call that has failed is given back, and the other end is not told: programs that go on
    /// after an error have to tell each other.
    ///
    /// # Errors
    /// If there is none in time, none of that fidelity can be had, the one that came is claimed to be worse by this end, the
    /// program of the other node is gone, this node's link is down, or no circuit joins the nodes.
    pub async fn epr(&self, peer: NodeId, min_fidelity: f64, within: Duration) -> Result<Qubit, EprError> {
        self.pair(peer, PairTerms { pairs: 1, min_fidelity, within, correct: true }).await
    }
    /// A half of a pair whose Bell state is told in [`Qubit::pair`] and not turned into |Φ⁺⟩. What the head of the
    /// circuit asks for holds for both.
    ///
    /// # Errors
    /// As those of [`epr`](Self::epr).
    pub async fn epr_uncorrected(
        &self,
        peer: NodeId,
        min_fidelity: f64,
        within: Duration,
    ) -> Result<Qubit, EprError> {
        self.pair(peer, PairTerms { pairs: 1, min_fidelity, within, correct: false }).await
    }
    async fn pair(&self, peer: NodeId, terms: PairTerms) -> Result<Qubit, EprError> {
        let (answer, wait) = Promise::new();
        self.shared.push(Wish::Pair { peer, terms, answer });
        wait.await
    }
    /// So many pairs, each measured as it comes in one of the bases, drawn with equal probability; without a wait for each.
    /// Without bases, all are measured in Z. They come in the order of their names, which is the same at both ends; after
    /// losses one end may have measured a pair that the other has not, so compare names. When time is up there are fewer.
    ///
    /// # Errors
    /// If none of that fidelity can be had, and otherwise as those of [`epr`](Self::epr) but for the time. Pairs that are
    /// claimed to be worse than `min_fidelity` are among the results, with what is claimed of them.
    pub async fn measured_pairs(
        &self,
        peer: NodeId,
        pairs: u64,
        bases: &[Basis],
        min_fidelity: f64,
        within: Duration,
    ) -> Result<Vec<MeasuredPair>, EprError> {
        let (answer, wait) = Promise::new();
        let terms = PairTerms { pairs, min_fidelity, within, correct: true };
        self.shared.push(Wish::MeasuredPairs { peer, terms, bases: bases.to_vec(), answer });
        wait.await
    }

    /// A qubit in |0⟩.
    ///
    /// # Errors
    /// If all memories for such qubits are in use.
    pub async fn qubit(&self) -> Result<Qubit, OperationError> {
        let (answer, wait) = Promise::new();
        self.shared.push(Wish::Zero { answer });
        wait.await
    }

    /// Applies a gate to a qubit.
    ///
    /// # Errors
    /// If the qubit is not this node's, or lost.
    pub async fn gate(&self, gate: Gate, qubit: &mut Qubit) -> Result<(), OperationError> {
        let name = qubit.name_at(&self.shared)?;
        self.operate(vec![Operation::One(gate, name)]).await.map(drop)
    }
    gates! {
        /// Flips a qubit's bit.
        x() Gate::X;
        /// Applies iXZ.
        y() Gate::Y;
        /// Flips a qubit's phase.
        z() Gate::Z;
        /// Applies a Hadamard gate.
        h() Gate::H;
        /// Applies diag(1, i).
        s() Gate::S;
        /// Applies diag(1, -i).
        s_inverse() Gate::SInverse;
        /// Applies diag(1, e^{iπ/4}).
        t() Gate::T;
        /// Applies diag(1, e^{-iπ/4}).
        t_inverse() Gate::TInverse;
        /// Rotates about X by `angle` radians.
        rx(angle) Gate::Rx(angle);
        /// Rotates about Y by `angle` radians.
        ry(angle) Gate::Ry(angle);
        /// Rotates about Z by `angle` radians.
        rz(angle) Gate::Rz(angle);
    }
    /// Applies a gate to two qubits.
    ///
    /// # Errors
    /// If one is not this node's, or lost, or more qubits would be entangled than can be followed.
    pub async fn gate_on_two(
        &self,
        gate: TwoQubitGate,
        first: &mut Qubit,
        second: &mut Qubit,
    ) -> Result<(), OperationError> {
        let names = [first.name_at(&self.shared)?, second.name_at(&self.shared)?];
        self.operate(vec![Operation::Two(gate, names)]).await.map(drop)
    }
    /// Flips the bit of `target` where `control` is |1⟩.
    ///
    /// # Errors
    /// As those of [`gate_on_two`](Self::gate_on_two).
    pub async fn cnot(&self, control: &mut Qubit, target: &mut Qubit) -> Result<(), OperationError> {
        self.gate_on_two(TwoQubitGate::Cnot, control, target).await
    }
    /// Flips the phase of |11⟩.
    ///
    /// # Errors
    /// As those of [`gate_on_two`](Self::gate_on_two).
    pub async fn cz(&self, first: &mut Qubit, second: &mut Qubit) -> Result<(), OperationError> {
        self.gate_on_two(TwoQubitGate::Cz, first, second).await
    }
    /// Exchanges two qubits.
    ///
    /// # Errors
    /// As those of [`gate_on_two`](Self::gate_on_two).
    pub async fn swap(&self, first: &mut Qubit, second: &mut Qubit) -> Result<(), OperationError> {
        self.gate_on_two(TwoQubitGate::Swap, first, second).await
    }

    /// Measures a qubit, which uses it up: `true` for -1, which is |1⟩ in Z.
    ///
    /// # Errors
    /// If the qubit is not this node's, or lost.
    pub async fn measure(&self, qubit: Qubit, basis: Basis) -> Result<bool, OperationError> {
        qubit.name_at(&self.shared)?;
        qubit.measure(basis).await
    }
    /// Measures two qubits in the Bell basis, which uses them up: the Bell state in which they were found.
    ///
    /// # Errors
    /// If one is not this node's, or lost.
    pub async fn bell_measure(&self, first: Qubit, second: Qubit) -> Result<BellIndex, OperationError> {
        first.name_at(&self.shared)?;
        second.name_at(&self.shared)?;
        let outcomes = self.operate(vec![Operation::Bell([first.spend(), second.spend()])]).await?;
        Ok(match outcomes[..] {
            [bit, phase] => BellIndex::new(bit, phase),
            _ => BellIndex::PHI_PLUS,
        })
    }
    /// Several gates and measurements, handed over at once and done one after the other without anything in between.
    ///
    /// ```
    /// use bellwether_protocol::application::{Basis, Node, OperationError, Qubit};
    ///
    /// /// The parity of two qubits, which uses the second up.
    /// async fn parity(node: &Node, a: &mut Qubit, mut b: Qubit) -> Result<bool, OperationError> {
    ///     let (ticket, read) = node
    ///         .local(|block| {
    ///             block.cnot(a, &mut b);
    ///             block.measure(b, Basis::Z)
    ///         })
    ///         .await?;
    ///     Ok(read[ticket])
    /// }
    /// ```
    ///
    /// # Errors
    /// If a qubit is not this node's, or lost, or one is named twice in a gate: what stands before it is done.
    pub async fn local<R>(
        &self,
        write: impl FnOnce(&mut Block) -> R,
    ) -> Result<(R, Outcomes), OperationError> {
        let mut block = Block::new(Arc::clone(&self.shared));
        let written = write(&mut block);
        let (operations, error) = block.finish();
        let outcomes = self.operate(operations).await?;
        error.map_or(Ok((written, Outcomes::new(outcomes))), Err)
    }
    async fn operate(&self, operations: Vec<Operation>) -> Result<Vec<bool>, OperationError> {
        let (answer, wait) = Promise::new();
        self.shared.push(Wish::Operate { operations, answer });
        wait.await
    }

    /// Sends a value to the program of another node, as JSON. Messages of one program to another arrive in the order in
    /// which they were sent. It is on its way when this returns; who has it is not known.
    ///
    /// # Errors
    /// If the value cannot be written, no way leads there, or no program runs there.
    pub async fn send<T: Serialize + ?Sized>(&self, to: NodeId, value: &T) -> Result<(), MessageError> {
        let bytes = serde_json::to_vec(value).map_err(|e| MessageError::Malformed(e.to_string()))?;
        let (answer, wait) = Promise::new();
        self.shared.push(Wish::Send { to, bytes, answer });
        wait.await
    }
    /// The next value that the program of another node has sent.
    ///
    /// # Errors
    /// If what came is no such value, or the other program has ended and sent no more.
    pub async fn receive<T: DeserializeOwned>(&self, from: NodeId) -> Result<T, MessageError> {
        let (answer, wait) = Promise::new();
        self.shared.push(Wish::Receive { from, answer });
        let bytes = wait.await?;
        serde_json::from_slice(&bytes).map_err(|e| MessageError::Malformed(format!("from {from}: {e}")))
    }

    /// Asks the driver for something that only it knows. A driver that does not know it drops it.
    pub fn ask_driver(&self, wish: Box<dyn Any + Send>) {
        self.shared.push(Wish::Special(wish));
    }
}

//! A qubit that a program owns.

use super::port::Shared;
use super::{Basis, Operation, OperationError, Promise, Wish};
use crate::entanglement::EndToEndId;
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{NodeId, Time};
use core::fmt;
use std::sync::Arc;

/// The name of a qubit at its node. A driver never gives one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QubitName(pub u64);

/// What is known of the pair of which a qubit was a half when it was handed out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairFacts {
    /// The name of the pair, the same at both ends.
    pub id: EndToEndId,
    /// Its Bell state: |Φ⁺⟩ unless it was asked for uncorrected.
    pub bell: BellIndex,
    /// The fidelity that is claimed of it, when it was handed out.
    pub fidelity: f64,
    /// Since when this half has been in its memory, by the clock of [`Node::now`](super::Node::now).
    pub born: Time,
}

/// A pair that was measured as it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasuredPair {
    /// What is known of it.
    pub facts: PairFacts,
    /// The basis that this end drew.
    pub basis: Basis,
    /// What it read: `true` for -1.
    pub outcome: bool,
}

/// A qubit in a memory of a program's node. It belongs to who holds it: gates borrow it, a measurement uses it up, and
/// dropping it frees its memory.
///
/// Measuring twice does not compile:
///
/// ```compile_fail,E0382
/// use bellwether_protocol::application::{Basis, OperationError, Qubit};
/// async fn twice(qubit: Qubit) -> Result<(), OperationError> {
///     qubit.measure(Basis::Z).await?;
///     qubit.measure(Basis::X).await?;
///     Ok(())
/// }
/// ```
///
/// Nor does a gate after the measurement:
///
/// ```compile_fail,E0382
/// use bellwether_protocol::application::{Basis, Node, OperationError, Qubit};
/// async fn after(node: Node, mut qubit: Qubit) -> Result<(), OperationError> {
///     node.measure(qubit, Basis::Z).await?;
///     node.h(&mut qubit).await
/// }
/// ```
///
/// Nor a gate on one qubit twice, nor a copy:
///
/// ```compile_fail,E0499
/// use bellwether_protocol::application::{Node, OperationError, Qubit};
/// async fn same(node: Node, mut qubit: Qubit) -> Result<(), OperationError> {
///     node.cnot(&mut qubit, &mut qubit).await
/// }
/// ```
#[must_use = "dropping a qubit frees its memory"]
pub struct Qubit {
    name: QubitName,
    facts: Option<PairFacts>,
    shared: Arc<Shared>,
    spent: bool,
}

impl Qubit {
    pub(super) fn new(name: QubitName, facts: Option<PairFacts>, shared: Arc<Shared>) -> Self {
        Self { name, facts, shared, spent: false }
    }
    /// Its name.
    pub const fn name(&self) -> QubitName {
        self.name
    }
    /// At which node it is.
    pub fn node(&self) -> NodeId {
        self.shared.id()
    }
    /// What is known of its pair, if it came as a half of one.
    pub const fn pair(&self) -> Option<&PairFacts> {
        self.facts.as_ref()
    }
    /// Its name and what is known of its pair; from here on somebody else sees to its memory: a driver that hands it on to
    /// a program elsewhere, which tells by [`Wish::Free`] that nobody holds it any more.
    pub fn into_parts(self) -> (QubitName, Option<PairFacts>) {
        let facts = self.facts;
        (self.spend(), facts)
    }
    /// Its name, if it belongs to the node of `shared`.
    pub(super) fn name_at(&self, shared: &Arc<Shared>) -> Result<QubitName, OperationError> {
        if Arc::ptr_eq(&self.shared, shared) {
            Ok(self.name)
        } else {
            Err(OperationError::NotThisNode { owner: self.node(), node: shared.id() })
        }
    }
    /// Its name; from here on somebody else sees to its memory.
    pub(super) fn spend(mut self) -> QubitName {
        self.spent = true;
        self.name
    }

    /// Measures it: `true` for -1, which is |1⟩ in Z.
    ///
    /// # Errors
    /// If the qubit was lost.
    pub async fn measure(self, basis: Basis) -> Result<bool, OperationError> {
        let shared = Arc::clone(&self.shared);
        let (answer, wait) = Promise::new();
        let operations = vec![Operation::Measure(self.spend(), basis)];
        shared.push(Wish::Operate { operations, answer });
        drop(shared);
        let outcomes = wait.await?;
        Ok(outcomes.first().copied().unwrap_or_default())
    }
}

impl Drop for Qubit {
    fn drop(&mut self) {
        if !self.spent {
            self.shared.push(Wish::Free(self.name));
        }
    }
}

impl fmt::Debug for Qubit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qubit")
            .field("node", &self.node())
            .field("name", &self.name.0)
            .finish_non_exhaustive()
    }
}

//! Qubits by handle: what an emulated network of memories truly holds.
//!
//! Each qubit lies in a joint state with those it may be entangled with. Joint states merge when a gate crosses them and
//! shrink when a qubit is measured or dropped. Each qubit has its own memory, whose noise is applied when the qubit is next
//! touched: noise on one qubit commutes with whatever is done to others.
//!
//! Pairs stay in the cheapest exact form as long as they are only stored, corrected, swapped and looked at. What else is done
//! makes them part of a cluster: a density matrix in a store of [`Detail::Exact`], or, in one of [`Detail::Sampled`], a
//! tableau of which errors are drawn, until something comes that is no Clifford gate and no Pauli noise.

mod operate;

use crate::aged::Ages;
use crate::bell::PauliChannel;
use crate::density::{DensityMatrix, MAX_QUBITS};
use crate::pair::PairState;
use crate::tableau::{Clifford, Tableau};
use crate::{Decay, MemoryNoise, StateError};
use bellwether_units::{Duration, Stream, Time};
use std::collections::BTreeMap;

/// The handle of one qubit of a [`Store`]. Handles are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QubitId(u64);

/// How a store carries what is not a lone pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// As density matrices: mixed states, at most ten qubits in one.
    #[default]
    Exact,
    /// As tableaux with errors drawn at random, as long as that is possible: one trajectory, any number of qubits.
    Sampled,
}

/// Some qubits' joint state.
#[derive(Clone, Debug)]
enum Joint {
    Pair(PairState),
    Dense(DensityMatrix),
    Tableau(Tableau),
}

#[derive(Clone, Debug)]
struct Group {
    state: Joint,
    /// The qubits, in the order of the state.
    members: Vec<QubitId>,
}

#[derive(Clone, Copy, Debug)]
struct Qubit {
    group: u64,
    memory: MemoryNoise,
    since: Time,
    updated: Time,
}

/// The qubits of a network and their true states.
#[derive(Clone, Debug, Default)]
pub struct Store {
    detail: Detail,
    qubits: BTreeMap<QubitId, Qubit>,
    groups: BTreeMap<u64, Group>,
    /// The number of the next qubit or group.
    next: u64,
}

impl Store {
    /// A store without qubits.
    pub fn new(detail: Detail) -> Self {
        Self { detail, ..Self::default() }
    }
    /// How many qubits there are.
    pub fn len(&self) -> usize {
        self.qubits.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.qubits.is_empty()
    }
    /// Whether the qubit is still there: neither measured nor dropped.
    pub fn contains(&self, qubit: QubitId) -> bool {
        self.qubits.contains_key(&qubit)
    }

    /// Puts a pair into two memories at `now`.
    pub fn add_pair(&mut self, pair: PairState, memories: [MemoryNoise; 2], now: Time) -> [QubitId; 2] {
        let ids = self.add(Joint::Pair(pair), &memories, now);
        [ids[0], ids[1]]
    }
    /// Puts a qubit in |0⟩ into a memory at `now`.
    pub fn add_zero(&mut self, memory: MemoryNoise, now: Time) -> QubitId {
        let state = match self.detail {
            Detail::Exact => Joint::Dense(DensityMatrix::zeros(1).expect("one qubit fits")),
            Detail::Sampled => Joint::Tableau(Tableau::zeros(1)),
        };
        self.add(state, &[memory], now)[0]
    }
    /// Puts any state into memories, one a qubit, at `now`. Fails unless there are as many memories as qubits.
    pub fn add_state(
        &mut self,
        state: DensityMatrix,
        memories: &[MemoryNoise],
        now: Time,
    ) -> Result<Vec<QubitId>, StateError> {
        if memories.len() == state.qubits() {
            Ok(self.add(Joint::Dense(state), memories, now))
        } else {
            Err(StateError::WrongSize { found: memories.len(), wanted: state.qubits() })
        }
    }
    fn add(&mut self, state: Joint, memories: &[MemoryNoise], now: Time) -> Vec<QubitId> {
        let group = self.number();
        let mut members = Vec::with_capacity(memories.len());
        for memory in memories {
            let id = QubitId(self.number());
            self.qubits.insert(id, Qubit { group, memory: *memory, since: now, updated: now });
            members.push(id);
        }
        self.groups.insert(group, Group { state, members: members.clone() });
        members
    }
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Says since when a qubit has been in its memory: for noise that depends on how long it has been there.
    pub fn kept_since(&mut self, qubit: QubitId, since: Time) -> Result<(), StateError> {
        self.qubits.get_mut(&qubit).ok_or(StateError::NoSuchQubit)?.since = since;
        Ok(())
    }
    /// Moves a qubit into another memory at `now`.
    pub fn move_to(
        &mut self,
        qubit: QubitId,
        memory: MemoryNoise,
        now: Time,
        stream: &mut Stream,
    ) -> Result<(), StateError> {
        self.refresh(qubit, now, stream)?;
        let place = self.qubits.get_mut(&qubit).ok_or(StateError::NoSuchQubit)?;
        (place.memory, place.since) = (memory, now);
        Ok(())
    }
    /// The true state of some qubits at `now`, in that order: for reports and tests, not for protocols. Of a sampled store
    /// it is that of the trajectory. Fails when the joint states they are part of do not fit a density matrix together.
    pub fn look(
        &mut self,
        qubits: &[QubitId],
        now: Time,
        stream: &mut Stream,
    ) -> Result<DensityMatrix, StateError> {
        let mut joint = DensityMatrix::zeros(0)?;
        let mut order: Vec<QubitId> = Vec::new();
        let mut groups = Vec::new();
        for qubit in qubits {
            groups.push(self.refresh(*qubit, now, stream)?);
        }
        for (qubit, group) in qubits.iter().zip(groups) {
            if order.contains(qubit) {
                continue;
            }
            let group = &self.groups[&group];
            joint = joint.tensor(&group.state.density()?)?;
            order.extend(&group.members);
        }
        let places: Vec<usize> = qubits
            .iter()
            .map(|qubit| order.iter().position(|other| other == qubit).expect("its group was joined"))
            .collect();
        Ok(joint.reduced(&places))
    }

    /// Applies what the qubit's memory did up to `now`. Tells the number of its group.
    fn refresh(&mut self, qubit: QubitId, now: Time, stream: &mut Stream) -> Result<u64, StateError> {
        let place = *self.qubits.get(&qubit).ok_or(StateError::NoSuchQubit)?;
        if now > place.updated {
            let decay = place.memory.decay(place.updated.since(place.since), now.since(place.since));
            if !decay.is_nothing() {
                let group = self.groups.get_mut(&place.group).expect("a qubit has a group");
                let position = group.position(qubit);
                group.state.age(position, decay, stream)?;
            }
            self.qubits.get_mut(&qubit).expect("it was there").updated = now;
        }
        Ok(place.group)
    }
    /// Brings qubits up to date and into one cluster, a tableau if `clifford` and the store samples. Tells its number.
    fn cluster(
        &mut self,
        qubits: &[QubitId],
        clifford: bool,
        now: Time,
        stream: &mut Stream,
    ) -> Result<u64, StateError> {
        let mut target: Option<u64> = None;
        for qubit in qubits {
            let number = self.refresh(*qubit, now, stream)?;
            if target == Some(number) {
                continue;
            }
            let Some(target) = target else {
                let group = self.groups.get_mut(&number).expect("a qubit has a group");
                group.state.clustered(self.detail, clifford, stream)?;
                target = Some(number);
                continue;
            };
            let mut other = self.groups[&number].state.clone();
            other.clustered(self.detail, clifford, stream)?;
            let joined = self.groups.get_mut(&target).expect("it was just there");
            // Before anything is changed: does it fit?
            joined.state.join(&other)?;
            let other = self.groups.remove(&number).expect("it was just there");
            for member in &other.members {
                self.qubits.get_mut(member).expect("members are there").group = target;
            }
            self.groups.get_mut(&target).expect("it was just there").members.extend(other.members);
        }
        target.ok_or(StateError::NoSuchQubit)
    }
    /// The cluster's state and the places of the qubits in it.
    fn at(&mut self, group: u64, qubits: &[QubitId]) -> (&mut Joint, Vec<usize>) {
        let group = self.groups.get_mut(&group).expect("a qubit has a group");
        let places = qubits.iter().map(|qubit| group.position(*qubit)).collect();
        (&mut group.state, places)
    }
    /// Forgets a qubit whose place in its group's state is already gone.
    fn forget(&mut self, qubit: QubitId) {
        let place = self.qubits.remove(&qubit).expect("it was there");
        let group = self.groups.get_mut(&place.group).expect("a qubit has a group");
        group.members.retain(|member| *member != qubit);
        if group.members.is_empty() {
            self.groups.remove(&place.group);
        }
    }
}

impl Group {
    fn position(&self, qubit: QubitId) -> usize {
        self.members.iter().position(|member| *member == qubit).expect("a group knows its members")
    }
}

impl Joint {
    fn density(&self) -> Result<DensityMatrix, StateError> {
        match self {
            Self::Pair(pair) => Ok(pair.density()),
            Self::Dense(state) => Ok(state.clone()),
            Self::Tableau(tableau) => DensityMatrix::try_from(tableau),
        }
    }
    /// Makes this a tableau if it can be one and is wanted to be, and a density matrix otherwise.
    fn clustered(&mut self, detail: Detail, clifford: bool, stream: &mut Stream) -> Result<(), StateError> {
        match self {
            Self::Pair(PairState::Bell(pair)) if clifford && detail == Detail::Sampled => {
                let mut tableau = Tableau::zeros(2);
                tableau.apply(0, Clifford::H);
                tableau.cnot(0, 1);
                tableau.pauli(0, PauliChannel::from(*pair).sample(stream.uniform()));
                *self = Self::Tableau(tableau);
            }
            Self::Tableau(_) if clifford => {}
            Self::Dense(_) => {}
            _ => *self = Self::Dense(self.density()?),
        }
        Ok(())
    }
    /// Joins another cluster to this one, whose qubits come after.
    fn join(&mut self, other: &Self) -> Result<(), StateError> {
        let joint = match (&*self, other) {
            (Self::Tableau(a), Self::Tableau(b)) => Self::Tableau(a.tensor(b)),
            (a, b) => {
                let qubits = a.qubits() + b.qubits();
                if qubits > MAX_QUBITS {
                    return Err(StateError::TooManyQubits(qubits));
                }
                Self::Dense(a.density()?.tensor(&b.density()?)?)
            }
        };
        *self = joint;
        Ok(())
    }
    fn qubits(&self) -> usize {
        match self {
            Self::Pair(_) => 2,
            Self::Dense(state) => state.qubits(),
            Self::Tableau(tableau) => tableau.qubits(),
        }
    }
    /// Applies what a memory did to one qubit.
    fn age(&mut self, position: usize, decay: Decay, stream: &mut Stream) -> Result<(), StateError> {
        if let Self::Tableau(tableau) = self {
            if decay.equilibrium() == 0.0 {
                tableau.pauli_noise(position, &PauliChannel::from_bloch_factors(decay.factors()), stream);
                return Ok(());
            }
            *self = Self::Dense(DensityMatrix::try_from(&*tableau)?);
        }
        match self {
            Self::Pair(pair) => {
                let nothing = MemoryNoise::NONE.decay(Duration::ZERO, Duration::ZERO);
                pair.age(if position == 0 { [decay, nothing] } else { [nothing, decay] });
            }
            Self::Dense(state) => state.bloch(position, decay.factors(), decay.equilibrium()),
            Self::Tableau(_) => unreachable!("it was promoted"),
        }
        Ok(())
    }
}

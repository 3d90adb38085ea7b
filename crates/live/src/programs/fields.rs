//! The values that frames of programs carry: gates, bases, what is known of pairs, and errors.

use bellwether_protocol::application::{
    Basis, EprError, Gate, MeasuredPair, MessageError, Operation, OperationError, PairFacts, PairTerms,
    QubitName, TwoQubitGate,
};
use bellwether_protocol::entanglement::{EndToEndId, PairId};
use bellwether_protocol::qkd::wire::{Malformed, Reader, Writer};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, LinkId, NodeId, Time};

/// The longest text of an error, in bytes.
const TEXT_LIMIT: usize = 4096;
/// The most bytes that a measured pair takes: six counts, a Bell state, a fidelity, a time, a basis, an outcome.
pub(super) const MEASURED_PAIR: usize = 6 * 10 + 1 + 8 + 8 + 9 + 1;

pub(super) fn put_node(out: &mut Writer, node: NodeId) {
    out.count(node.0.into());
}

pub(super) fn take_node(input: &mut Reader<'_>) -> Result<NodeId, Malformed> {
    Ok(NodeId(input.count_up_to(u32::MAX.into(), "a node")? as u32))
}

/// A text; of a longer one than an error's may be, the beginning.
pub(crate) fn put_text(out: &mut Writer, text: &str) {
    let whole = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=text.len().min(TEXT_LIMIT)).rev().find(whole).unwrap_or(0);
    out.block(&text.as_bytes()[..end]);
}

pub(crate) fn take_text(input: &mut Reader<'_>) -> Result<String, Malformed> {
    let bytes = input.block()?;
    if bytes.len() > TEXT_LIMIT {
        return Err(Malformed::Value("the length of a text"));
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::Value("a text"))
}

fn put_f64(out: &mut Writer, number: f64) {
    out.u64(number.to_bits());
}

fn take_f64(input: &mut Reader<'_>) -> Result<f64, Malformed> {
    Ok(f64::from_bits(input.u64()?))
}

/// An angle: devices are never asked to turn by what is no number.
fn take_angle(input: &mut Reader<'_>) -> Result<f64, Malformed> {
    let angle = take_f64(input)?;
    if angle.is_finite() { Ok(angle) } else { Err(Malformed::Value("an angle")) }
}

pub(super) fn put_terms(out: &mut Writer, terms: &PairTerms) {
    out.count(terms.pairs);
    put_f64(out, terms.min_fidelity);
    out.u64(terms.within.picoseconds());
    out.u8(u8::from(terms.correct));
}

pub(super) fn take_terms(input: &mut Reader<'_>) -> Result<PairTerms, Malformed> {
    Ok(PairTerms {
        pairs: input.count()?,
        // Whoever wants what is no number is told that it cannot be had.
        min_fidelity: take_f64(input)?,
        within: Duration::from_picoseconds(input.u64()?),
        correct: input.flag()?,
    })
}

pub(super) fn put_basis(out: &mut Writer, basis: Basis) {
    match basis {
        Basis::X => out.u8(0),
        Basis::Y => out.u8(1),
        Basis::Z => out.u8(2),
        Basis::Turned(angle) => {
            out.u8(3);
            put_f64(out, angle);
        }
    }
}

pub(super) fn take_basis(input: &mut Reader<'_>) -> Result<Basis, Malformed> {
    Ok(match input.u8()? {
        0 => Basis::X,
        1 => Basis::Y,
        2 => Basis::Z,
        3 => Basis::Turned(take_angle(input)?),
        _ => return Err(Malformed::Value("a basis")),
    })
}

fn put_gate(out: &mut Writer, gate: Gate) {
    let mut turned = |kind: u8, angle: f64| {
        out.u8(kind);
        put_f64(out, angle);
    };
    match gate {
        Gate::Rx(angle) => turned(8, angle),
        Gate::Ry(angle) => turned(9, angle),
        Gate::Rz(angle) => turned(10, angle),
        Gate::X => out.u8(0),
        Gate::Y => out.u8(1),
        Gate::Z => out.u8(2),
        Gate::H => out.u8(3),
        Gate::S => out.u8(4),
        Gate::SInverse => out.u8(5),
        Gate::T => out.u8(6),
        Gate::TInverse => out.u8(7),
    }
}

fn take_gate(input: &mut Reader<'_>) -> Result<Gate, Malformed> {
    Ok(match input.u8()? {
        0 => Gate::X,
        1 => Gate::Y,
        2 => Gate::Z,
        3 => Gate::H,
        4 => Gate::S,
        5 => Gate::SInverse,
        6 => Gate::T,
        7 => Gate::TInverse,
        8 => Gate::Rx(take_angle(input)?),
        9 => Gate::Ry(take_angle(input)?),
        10 => Gate::Rz(take_angle(input)?),
        _ => return Err(Malformed::Value("a gate")),
    })
}

pub(crate) fn put_name(out: &mut Writer, name: QubitName) {
    out.count(name.0);
}
pub(crate) fn take_name(input: &mut Reader<'_>) -> Result<QubitName, Malformed> {
    Ok(QubitName(input.count()?))
}

/// An operation on qubits that `put` writes.
pub(crate) fn put_operation<Q: Copy>(
    out: &mut Writer,
    operation: &Operation<Q>,
    put: impl Fn(&mut Writer, Q),
) {
    let both = |out: &mut Writer, [first, second]: [Q; 2]| {
        put(out, first);
        put(out, second);
    };
    match *operation {
        Operation::One(gate, qubit) => {
            out.u8(0);
            put_gate(out, gate);
            put(out, qubit);
        }
        Operation::Two(gate, qubits) => {
            out.u8(1);
            out.u8(match gate {
                TwoQubitGate::Cnot => 0,
                TwoQubitGate::Cz => 1,
                TwoQubitGate::Swap => 2,
            });
            both(out, qubits);
        }
        Operation::Measure(qubit, basis) => {
            out.u8(2);
            put(out, qubit);
            put_basis(out, basis);
        }
        Operation::Bell(qubits) => {
            out.u8(3);
            both(out, qubits);
        }
    }
}

/// What [`put_operation`] wrote, of qubits that `take` reads.
pub(crate) fn take_operation<Q>(
    input: &mut Reader<'_>,
    take: impl Fn(&mut Reader<'_>) -> Result<Q, Malformed>,
) -> Result<Operation<Q>, Malformed> {
    Ok(match input.u8()? {
        0 => Operation::One(take_gate(input)?, take(input)?),
        1 => {
            let gate = match input.u8()? {
                0 => TwoQubitGate::Cnot,
                1 => TwoQubitGate::Cz,
                2 => TwoQubitGate::Swap,
                _ => return Err(Malformed::Value("a gate on two qubits")),
            };
            Operation::Two(gate, [take(input)?, take(input)?])
        }
        2 => Operation::Measure(take(input)?, take_basis(input)?),
        3 => Operation::Bell([take(input)?, take(input)?]),
        _ => return Err(Malformed::Value("an operation")),
    })
}

fn put_pair(out: &mut Writer, pair: PairId) {
    out.count(pair.link.0.into());
    out.count(pair.epoch.into());
    out.count(pair.sequence);
}

fn take_pair(input: &mut Reader<'_>) -> Result<PairId, Malformed> {
    let link = LinkId(input.count_up_to(u32::MAX.into(), "the link of a pair")? as u32);
    let epoch = input.count_up_to(u32::MAX.into(), "the epoch of a pair")? as u32;
    Ok(PairId { link, epoch, sequence: input.count()? })
}

pub(super) fn put_facts(out: &mut Writer, facts: &PairFacts) {
    put_pair(out, facts.id.head);
    put_pair(out, facts.id.tail);
    out.u8(facts.bell.bits());
    put_f64(out, facts.fidelity);
    out.u64(facts.born.picoseconds());
}

pub(super) fn take_facts(input: &mut Reader<'_>) -> Result<PairFacts, Malformed> {
    let id = EndToEndId { head: take_pair(input)?, tail: take_pair(input)? };
    let bell = match input.u8()? {
        bits @ 0..4 => BellIndex::from_bits(bits),
        _ => return Err(Malformed::Value("a Bell state")),
    };
    Ok(PairFacts { id, bell, fidelity: take_f64(input)?, born: Time::from_picoseconds(input.u64()?) })
}

pub(super) fn put_measured(out: &mut Writer, pair: &MeasuredPair) {
    put_facts(out, &pair.facts);
    put_basis(out, pair.basis);
    out.u8(u8::from(pair.outcome));
}

pub(super) fn take_measured(input: &mut Reader<'_>) -> Result<MeasuredPair, Malformed> {
    Ok(MeasuredPair { facts: take_facts(input)?, basis: take_basis(input)?, outcome: input.flag()? })
}

/// An error of one of the kinds that programs are told.
pub(crate) trait Failure: Sized {
    fn put(&self, out: &mut Writer);
    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed>;
}

impl Failure for EprError {
    fn put(&self, out: &mut Writer) {
        let mut with = |kind: u8, node: NodeId| {
            out.u8(kind);
            put_node(out, node);
        };
        match *self {
            Self::TimedOut { peer, within } => {
                with(0, peer);
                out.u64(within.picoseconds());
            }
            Self::TooNoisy { wanted, best } => {
                out.u8(1);
                put_f64(out, wanted);
                put_f64(out, best);
            }
            Self::PeerGone(peer) => with(2, peer),
            Self::LinkDown(peer) => with(3, peer),
            Self::NoCircuit(peer) => with(4, peer),
            Self::NodeDown => out.u8(5),
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match input.u8()? {
            0 => Self::TimedOut { peer: take_node(input)?, within: Duration::from_picoseconds(input.u64()?) },
            1 => Self::TooNoisy { wanted: take_f64(input)?, best: take_f64(input)? },
            2 => Self::PeerGone(take_node(input)?),
            3 => Self::LinkDown(take_node(input)?),
            4 => Self::NoCircuit(take_node(input)?),
            5 => Self::NodeDown,
            _ => return Err(Malformed::Value("why there is no pair")),
        })
    }
}

impl Failure for OperationError {
    fn put(&self, out: &mut Writer) {
        match *self {
            Self::NotThisNode { owner, node } => {
                out.u8(0);
                put_node(out, owner);
                put_node(out, node);
            }
            Self::Lost => out.u8(1),
            Self::NoMemory(memories) => {
                out.u8(2);
                out.count(memories.into());
            }
            Self::TooManyEntangled(qubits) => {
                out.u8(3);
                out.count(qubits as u64);
            }
            Self::SameQubit => out.u8(4),
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match input.u8()? {
            0 => Self::NotThisNode { owner: take_node(input)?, node: take_node(input)? },
            1 => Self::Lost,
            2 => Self::NoMemory(input.count_up_to(u16::MAX.into(), "a number of memories")? as u16),
            3 => Self::TooManyEntangled(input.count_up_to(u32::MAX.into(), "a number of qubits")? as usize),
            4 => Self::SameQubit,
            _ => return Err(Malformed::Value("why an operation was not done")),
        })
    }
}

impl Failure for MessageError {
    fn put(&self, out: &mut Writer) {
        match self {
            Self::PeerGone(peer) => {
                out.u8(0);
                put_node(out, *peer);
            }
            Self::Unreachable(peer) => {
                out.u8(1);
                put_node(out, *peer);
            }
            Self::Malformed(what) => {
                out.u8(2);
                put_text(out, what);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match input.u8()? {
            0 => Self::PeerGone(take_node(input)?),
            1 => Self::Unreachable(take_node(input)?),
            2 => Self::Malformed(take_text(input)?),
            _ => return Err(Malformed::Value("why there is no message")),
        })
    }
}

/// What came of a wish: a mark, and what it gave or the error.
pub(super) fn put_result<T, E: Failure>(
    out: &mut Writer,
    result: &Result<T, E>,
    put: impl FnOnce(&mut Writer, &T),
) {
    match result {
        Ok(value) => {
            out.u8(0);
            put(out, value);
        }
        Err(error) => {
            out.u8(1);
            error.put(out);
        }
    }
}

pub(super) fn take_result<'a, T, E: Failure>(
    input: &mut Reader<'a>,
    take: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Result<T, E>, Malformed> {
    Ok(if input.flag()? { Err(E::take(input)?) } else { Ok(take(input)?) })
}

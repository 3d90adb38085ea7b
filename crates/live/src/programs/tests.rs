//! Tests of the frames of programs.

use super::wire::{ASK_LIMIT, Ask, MESSAGE_LIMIT, MOST_AT_ONCE, Tell};
use bellwether_protocol::application::{
    Basis, EprError, Gate, MeasuredPair, MessageError, Operation, OperationError, PairFacts, PairTerms,
    QubitName, TwoQubitGate,
};
use bellwether_protocol::entanglement::{EndToEndId, PairId};
use bellwether_protocol::qkd::wire::Malformed;
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, LinkId, NodeId, Time};
use proptest::prelude::*;

const PEER: NodeId = NodeId(300);
const TERMS: PairTerms =
    PairTerms { pairs: 1 << 40, min_fidelity: 0.8, within: Duration::MAX, correct: true };

fn facts() -> PairFacts {
    let pair = |link, sequence| PairId { link: LinkId(link), epoch: u32::MAX, sequence };
    PairFacts {
        id: EndToEndId { head: pair(0, 7), tail: pair(129, u64::MAX) },
        bell: BellIndex::PSI_MINUS,
        fidelity: 0.9,
        born: Time::from_picoseconds(123),
    }
}

/// Every kind of frame of a program, every gate and basis.
fn asks() -> Vec<Ask> {
    let (a, b) = (QubitName(1), QubitName(u64::MAX));
    let gates = [
        Gate::X,
        Gate::Y,
        Gate::Z,
        Gate::H,
        Gate::S,
        Gate::SInverse,
        Gate::T,
        Gate::TInverse,
        Gate::Rx(-1.5),
        Gate::Ry(0.0),
        Gate::Rz(1e300),
    ];
    let bases = vec![Basis::X, Basis::Y, Basis::Z, Basis::Turned(-0.25)];
    let mut operations: Vec<_> = gates.into_iter().map(|gate| Operation::One(gate, a)).collect();
    operations.extend(
        [TwoQubitGate::Cnot, TwoQubitGate::Cz, TwoQubitGate::Swap].map(|gate| Operation::Two(gate, [a, b])),
    );
    operations.extend(bases.iter().map(|basis| Operation::Measure(b, *basis)));
    operations.push(Operation::Bell([a, b]));
    vec![
        Ask::Hello,
        Ask::Pair { number: 1, peer: PEER, terms: TERMS },
        Ask::MeasuredPairs { number: 1 << 50, peer: PEER, terms: TERMS, bases },
        Ask::Zero { number: 2 },
        Ask::Operate { number: 3, operations },
        Ask::Free(b),
        Ask::Send { number: 4, to: PEER, bytes: b"[1,2]".to_vec() },
        Ask::Receive { number: 5, from: PEER },
        Ask::Alive,
        Ask::Over,
    ]
}

/// Every kind of frame of a node, every error.
fn tells() -> Vec<Tell> {
    let pair_errors = [
        EprError::TimedOut { peer: PEER, within: Duration::from_milliseconds(7) },
        EprError::TooNoisy { wanted: 0.9, best: 0.7 },
        EprError::PeerGone(PEER),
        EprError::LinkDown(PEER),
        EprError::NoCircuit(PEER),
        EprError::NodeDown,
    ];
    let operation_errors = [
        OperationError::NotThisNode { owner: PEER, node: NodeId(0) },
        OperationError::Lost,
        OperationError::NoMemory(u16::MAX),
        OperationError::TooManyEntangled(11),
        OperationError::SameQubit,
    ];
    let message_errors = [
        MessageError::PeerGone(PEER),
        MessageError::Unreachable(PEER),
        MessageError::Malformed("no list of numbers — at all".to_owned()),
    ];
    let measured = |basis| MeasuredPair { facts: facts(), basis, outcome: basis == Basis::X };
    let pairs = vec![measured(Basis::X), measured(Basis::Turned(0.5))];
    let mut tells = vec![
        Tell::Welcome {
            node: NodeId(1),
            now: Time::from_picoseconds(5),
            names: vec!["A".to_owned(), "Zürich".to_owned()],
        },
        Tell::Pair { number: 1, qubit: Ok((QubitName(9), Some(facts()))) },
        Tell::Measured { number: 2, pairs: Ok(pairs), more: true },
        Tell::Measured { number: 2, pairs: Ok(Vec::new()), more: false },
        Tell::Zero { number: 3, qubit: Ok((QubitName(10), None)) },
        Tell::Operated { number: 4, outcomes: Ok(vec![true, false, true]) },
        Tell::Sent { number: 5, result: Ok(()) },
        Tell::Message { number: 6, bytes: Ok(vec![0, 255]) },
        Tell::Alive,
        Tell::Over,
        Tell::Refused("no".to_owned()),
    ];
    for error in pair_errors {
        tells.push(Tell::Pair { number: 7, qubit: Err(error) });
        tells.push(Tell::Measured { number: 8, pairs: Err(error), more: false });
    }
    for error in operation_errors {
        tells.push(Tell::Zero { number: 9, qubit: Err(error) });
        tells.push(Tell::Operated { number: 10, outcomes: Err(error) });
    }
    for error in message_errors {
        tells.push(Tell::Sent { number: 11, result: Err(error.clone()) });
        tells.push(Tell::Message { number: 12, bytes: Err(error) });
    }
    tells
}

#[test]
fn frames_are_read_as_they_were_written_and_cut_ones_are_refused() {
    for ask in asks() {
        let bytes = ask.encode();
        assert!(Ask::decode(&bytes).as_ref() == Ok(&ask), "{ask:?}");
        assert!((0..bytes.len()).all(|cut| Ask::decode(&bytes[..cut]).is_err()), "{ask:?}");
        assert_eq!(Ask::decode(&[&bytes[..], &[0]].concat()).err(), Some(Malformed::Trailing), "{ask:?}");
    }
    for tell in tells() {
        let bytes = tell.encode();
        assert!(Tell::decode(&bytes).as_ref() == Ok(&tell), "{tell:?}");
        assert!((0..bytes.len()).all(|cut| Tell::decode(&bytes[..cut]).is_err()), "{tell:?}");
        assert_eq!(Tell::decode(&[&bytes[..], &[0]].concat()).err(), Some(Malformed::Trailing), "{tell:?}");
    }
}

#[test]
fn another_version_and_what_no_device_can_do_are_refused() {
    let mut hello = Ask::Hello.encode();
    *hello.last_mut().unwrap() = 2;
    assert_eq!(Ask::decode(&hello).err(), Some(Malformed::Version(2)));
    for angle in [f64::NAN, f64::INFINITY] {
        let turn = Operation::One(Gate::Rx(angle), QubitName(1));
        let read = Operation::Measure(QubitName(1), Basis::Turned(angle));
        for operation in [turn, read] {
            let bytes = Ask::Operate { number: 1, operations: vec![operation] }.encode();
            assert_eq!(Ask::decode(&bytes).err(), Some(Malformed::Value("an angle")));
        }
    }
    let operations = vec![Operation::One(Gate::X, QubitName(1)); MOST_AT_ONCE + 1];
    let most = Ask::Operate { number: 1, operations: operations[1..].to_vec() }.encode();
    assert!(Ask::decode(&most).is_ok() && most.len() <= ASK_LIMIT);
    assert!(Ask::decode(&Ask::Operate { number: 1, operations }.encode()).is_err());
    let message = |len| Ask::Send { number: u64::MAX, to: NodeId(u32::MAX), bytes: vec![0; len] }.encode();
    assert!(message(MESSAGE_LIMIT).len() <= ASK_LIMIT && Ask::decode(&message(MESSAGE_LIMIT)).is_ok());
    assert_eq!(Ask::decode(&message(MESSAGE_LIMIT + 1)).err(), Some(Malformed::TooLong));
}

#[test]
fn nothing_that_is_carried_is_printed() {
    let secret = Tell::Operated { number: 1, outcomes: Ok(vec![true, false]) };
    assert_eq!(format!("{secret:?}"), "Operated");
    assert_eq!(format!("{:?}", Ask::Send { number: 1, to: PEER, bytes: b"key".to_vec() }), "Send");
}

#[test]
fn a_long_text_is_cut_where_a_character_ends() {
    let told = Tell::Refused("é".repeat(3000));
    let Ok(Tell::Refused(why)) = Tell::decode(&told.encode()) else { panic!("a refusal") };
    assert_eq!(why, "é".repeat(2048));
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_back_alike(
        kind in prop_oneof![0u8..12, 0x80u8..0x8c],
        rest in prop::collection::vec(prop_oneof![0u8..5, any::<u8>()], 0..120),
    ) {
        let bytes = [&[kind], &rest[..]].concat();
        if let Ok(ask) = Ask::decode(&bytes) {
            prop_assert_eq!(&ask.encode()[..], &bytes[..]);
        }
        if let Ok(tell) = Tell::decode(&bytes) {
            prop_assert_eq!(&tell.encode()[..], &bytes[..]);
        }
    }

    #[test]
    fn a_changed_byte_never_panics_and_what_is_read_is_written_alike(
        which in 0usize..100,
        at in 0usize..1000,
        to: u8,
    ) {
        let change = |mut bytes: Vec<u8>| {
            let at = at % bytes.len();
            bytes[at] = to;
            bytes
        };
        let (asks, tells) = (asks(), tells());
        let bytes = change(asks[which % asks.len()].encode().to_vec());
        if let Ok(ask) = Ask::decode(&bytes) {
            prop_assert_eq!(&ask.encode()[..], &bytes[..]);
        }
        let bytes = change(tells[which % tells.len()].encode().to_vec());
        if let Ok(tell) = Tell::decode(&bytes) {
            prop_assert_eq!(&tell.encode()[..], &bytes[..]);
        }
    }
}

use super::wire::{Ask, Tell};
use bellwether_protocol::application::{
    Basis, Gate, Operated, Operation, OperationError, ProcessorCommand, QubitPlace, TwoQubitGate,
};
use bellwether_protocol::entanglement::MemoryId;
use bellwether_protocol::entanglement::hardware::{HardwareCommand, HardwareEvent};
use bellwether_units::Time;
use proptest::prelude::*;

fn asks() -> Vec<Ask> {
    let (memory, local) = (QubitPlace::Memory(MemoryId(300)), QubitPlace::Local(7));
    let operations = [
        Operation::One(Gate::Rx(0.5), memory),
        Operation::Two(TwoQubitGate::Cnot, [memory, local]),
        Operation::Measure(local, Basis::Turned(0.1)),
        Operation::Bell([local, memory]),
    ];
    let operate = |operation| Ask::Processor(ProcessorCommand::Operate { request: 9, operation });
    let mut asks = vec![
        Ask::Stack(HardwareCommand::Free { memory: MemoryId(4) }),
        Ask::Processor(ProcessorCommand::Zero { local: 65535 }),
        Ask::Processor(ProcessorCommand::Discard { local: 0 }),
    ];
    asks.extend(operations.map(operate));
    asks
}

fn tells() -> Vec<Tell> {
    let operated = |result| Tell::Operated(Operated { request: 1 << 40, result });
    vec![
        Tell::Welcome { life: 1_800_000_000, now: Time::from_picoseconds(1 << 60), local_qubits: 8 },
        Tell::Stack(HardwareEvent::Swapped { token: 3, outcome: None }),
        operated(Ok(vec![])),
        operated(Ok(vec![true])),
        operated(Ok(vec![false, true])),
        operated(Err(OperationError::Lost)),
        operated(Err(OperationError::TooManyEntangled(11))),
        Tell::Refused("n0 has no memory 9: it has 2".to_owned()),
    ]
}

#[test]
fn frames_are_read_as_they_were_written() {
    for ask in asks() {
        let bytes = ask.encode();
        assert!((0..bytes.len()).all(|cut| Ask::decode(&bytes[..cut]).is_err()), "{ask:?}");
        assert_eq!(Ask::decode(&bytes), Ok(ask));
    }
    for tell in tells() {
        let bytes = tell.encode();
        assert!((0..bytes.len()).all(|cut| Tell::decode(&bytes[..cut]).is_err()), "{tell:?}");
        assert_eq!(Tell::decode(&bytes), Ok(tell));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_back_alike(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(ask) = Ask::decode(&bytes) {
            prop_assert_eq!(ask.encode(), bytes.clone());
        }
        if let Ok(tell) = Tell::decode(&bytes) {
            prop_assert_eq!(&tell.encode()[..], &bytes[..]);
        }
    }

    #[test]
    fn a_changed_byte_never_panics(which in 0usize..7, at in 0usize..60, to: u8) {
        let mut bytes = asks()[which].encode();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(ask) = Ask::decode(&bytes) {
            prop_assert_eq!(ask.encode(), bytes);
        }
    }
}

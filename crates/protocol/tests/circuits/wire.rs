//! Messages as bytes.

use bellwether_protocol::entanglement::network::{End, NetworkMessage, RequestId, Track};
use bellwether_protocol::entanglement::{CircuitId, PairId};
use bellwether_quantum::bell::{BellDiagonal, BellIndex};
use bellwether_units::{LinkId, Time};
use proptest::prelude::*;

fn pairs() -> impl Strategy<Value = PairId> {
    any::<(u32, u32, u64)>().prop_map(|(link, epoch, sequence)| PairId {
        link: LinkId(link),
        epoch,
        sequence,
    })
}

fn messages() -> impl Strategy<Value = NetworkMessage> {
    let circuit = any::<u64>().prop_map(CircuitId);
    let end = any::<bool>().prop_map(|tail| if tail { End::Tail } else { End::Head });
    let track = (
        (circuit.clone(), end.clone(), pairs(), pairs(), 0u8..4),
        (0.25..=1.0, proptest::option::of(any::<u64>().prop_map(RequestId)), any::<[bool; 4]>()),
    )
        .prop_map(
            |(
                (circuit, from, origin, current, bell),
                (fidelity, request, [correct, withdrawn, again, repeated]),
            )| {
                let (bell, estimate) =
                    (BellIndex::from_bits(bell), BellDiagonal::werner(fidelity).expect("a fidelity"));
                let track = Track {
                    circuit,
                    from,
                    origin,
                    current,
                    bell,
                    estimate,
                    made: Time::from_picoseconds(origin.sequence.rotate_left(7)),
                    request,
                    correct,
                    withdrawn,
                    again,
                    repeated,
                };
                NetworkMessage::Track(track)
            },
        );
    let expire =
        (circuit.clone(), end, pairs(), any::<bool>()).prop_map(|(circuit, to, origin, waits)| match waits {
            false => NetworkMessage::Expire { circuit, to, origin },
            true => NetworkMessage::Waits { circuit, to, origin },
        });
    let request =
        (circuit, any::<u64>().prop_map(RequestId), any::<bool>()).prop_map(|(circuit, request, over)| {
            match over {
                false => NetworkMessage::Forward { circuit, request },
                true => NetworkMessage::Complete { circuit, request },
            }
        });
    prop_oneof![track, expire, request]
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written(message in messages()) {
        assert_eq!(NetworkMessage::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn what_is_no_message_is_refused(message in messages(), cut: prop::sample::Index, byte: u8) {
        let bytes = message.encode();
        assert!(NetworkMessage::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let mut longer = bytes.clone();
        longer.push(byte);
        assert!(NetworkMessage::decode(&longer).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        if let Ok(message) = NetworkMessage::decode(&bytes) {
            assert_eq!(NetworkMessage::decode(&message.encode()), Ok(message));
        }
    }
}

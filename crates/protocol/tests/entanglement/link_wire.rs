//! The words that are sent: the same when read as when written, refused when spoilt, and as the draft draws them.

use bellwether_protocol::entanglement::CircuitId;
use bellwether_protocol::entanglement::link::draft::{
    Create, DraftReply, ErrorCode, InexpressibleRequest, OkHead, TimeUnit, full_sequence, in_range,
};
use bellwether_protocol::entanglement::link::{
    AttemptTag, BasisChoice, BasisSet, LinkBody, LinkMessage, LinkRequest, LinkUser, MeasuredBasis,
    MidpointOutcome, MidpointReply, PairDemand, PairKind, QueueNumber, Refusal, RequestId, SequenceRange,
};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, LinkId, NodeId, Time};
use proptest::prelude::*;

fn basis() -> impl Strategy<Value = BasisChoice> {
    let set =
        prop_oneof![Just(BasisSet::Rotated), Just(BasisSet::Xz), Just(BasisSet::Xyz), Just(BasisSet::Chsh)];
    (set, any::<[u8; 2]>(), any::<[u8; 3]>()).prop_map(|(set, probabilities, rotations)| BasisChoice {
        set,
        probabilities,
        rotations,
    })
}

fn demand() -> impl Strategy<Value = PairDemand> {
    let user = prop_oneof![
        any::<u16>().prop_map(LinkUser::Application),
        any::<u64>().prop_map(|n| LinkUser::Circuit(CircuitId(n)))
    ];
    let kind = prop_oneof![
        Just(PairKind::Keep),
        (basis(), basis()).prop_map(|(here, there)| PairKind::Measure { here, there }),
        basis().prop_map(|here| PairKind::Prepare { here })
    ];
    let rest = (prop::option::of(1..u32::MAX), 0.0..=1.0, 0..8u8, 1..u16::MAX, any::<[bool; 2]>());
    (user, kind, rest).prop_map(
        |(user, kind, (number, fidelity, priority, weight, [consecutive, atomic]))| {
            let consecutive = consecutive || number.is_none();
            PairDemand { user, kind, number, fidelity, priority, weight, consecutive, atomic }
        },
    )
}

fn number() -> impl Strategy<Value = QueueNumber> {
    any::<(u32, u32)>().prop_map(|(life, count)| QueueNumber { life, count })
}
fn time() -> impl Strategy<Value = Time> {
    any::<u64>().prop_map(Time::from_picoseconds)
}

fn body() -> impl Strategy<Value = LinkBody> {
    let range = || {
        (any::<u32>(), 0..u64::MAX / 2, 0..u64::MAX / 2).prop_map(|(epoch, low, length)| SequenceRange {
            epoch,
            low,
            high: low + length,
        })
    };
    let refusal = prop_oneof![
        Just(Refusal::Rejected),
        Just(Refusal::Fault),
        (0.0..=1.0).prop_map(Refusal::Fidelity),
        any::<u16>().prop_map(Refusal::Memories)
    ];
    prop_oneof![
        Just(LinkBody::Hello),
        Just(LinkBody::Welcome),
        (any::<u32>(), prop::option::of((number(), time())), demand())
            .prop_map(|(serial, numbered, demand)| LinkBody::Add { serial, numbered, demand }),
        (any::<u32>(), number(), time()).prop_map(|(serial, number, ready)| LinkBody::Accept {
            serial,
            number,
            ready
        }),
        (any::<u32>(), refusal).prop_map(|(serial, refusal)| LinkBody::Reject { serial, refusal }),
        any::<(bool, u32, bool)>().prop_map(|(by_origin, serial, fault)| LinkBody::Remove {
            by_origin,
            serial,
            fault
        }),
        any::<(bool, u32)>().prop_map(|(by_origin, serial)| LinkBody::Removed { by_origin, serial }),
        range().prop_map(LinkBody::Expire),
        range().prop_map(LinkBody::Expired),
        any::<(u32, u64)>().prop_map(|(epoch, expected)| LinkBody::Sync { epoch, expected }),
        any::<(u32, u64)>().prop_map(|(epoch, expected)| LinkBody::Synced { epoch, expected }),
        any::<(u32, bool)>().prop_map(|(stamp, any)| LinkBody::Memory { stamp, any }),
        any::<u32>().prop_map(|stamp| LinkBody::MemoryHeard { stamp }),
        any::<(u32, u64, bool)>().prop_map(|(epoch, sequence, outcome)| LinkBody::Outcome {
            epoch,
            sequence,
            outcome
        }),
    ]
}

fn tag() -> impl Strategy<Value = AttemptTag> {
    (number(), any::<(u16, u32, u32)>()).prop_map(|(item, (slot, life, arming))| AttemptTag {
        item,
        slot,
        life,
        arming,
    })
}

fn reply() -> impl Strategy<Value = MidpointReply> {
    let outcome = prop_oneof![
        (0..4u8).prop_map(|bits| MidpointOutcome::Heralded(BellIndex::from_bits(bits))),
        Just(MidpointOutcome::Failed),
        Just(MidpointOutcome::QueueMismatch),
        Just(MidpointOutcome::TimeMismatch),
        Just(MidpointOutcome::NoClassicalOther),
    ];
    (any::<(u32, u32, u64, u64)>(), outcome, tag(), prop::option::of(tag())).prop_map(
        |((link, epoch, sequence, cycle), outcome, own, peer)| {
            let link = LinkId(link);
            MidpointReply { link, epoch, sequence, cycle, outcome, own, peer }
        },
    )
}

proptest! {
    #[test]
    fn messages_are_read_as_written(from: u32, to: u32, body in body(), cut in 0..80usize) {
        let message = LinkMessage { from, to, body };
        let bytes = message.encode();
        prop_assert_eq!(LinkMessage::decode(&bytes), Ok(message));
        // No beginning of a message is one, and none goes on.
        prop_assert!(LinkMessage::decode(&bytes[..cut.min(bytes.len() - 1)]).is_err());
        prop_assert!(LinkMessage::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn replies_are_read_as_written(reply in reply(), cut in 0..80usize) {
        let bytes = reply.encode();
        prop_assert_eq!(MidpointReply::decode(&bytes), Ok(reply));
        prop_assert!(MidpointReply::decode(&bytes[..cut.min(bytes.len() - 1)]).is_err());
        prop_assert!(MidpointReply::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    /// What any bytes are read as is written as the same bytes.
    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..64), kind in 0..15u8) {
        let framed = [&[kind, 1, 2], &bytes[..]].concat();
        for bytes in [&bytes, &framed] {
            if let Ok(message) = LinkMessage::decode(bytes) {
                prop_assert_eq!(&message.encode(), bytes);
            }
            if let Ok(reply) = MidpointReply::decode(bytes) {
                prop_assert_eq!(&reply.encode(), bytes);
            }
            if let Ok(create) = Create::decode(bytes) {
                prop_assert_eq!(&create.encode()[..], &bytes[..]);
            }
            if let Ok(reply) = DraftReply::decode(bytes) {
                prop_assert_eq!(&reply.encode(), bytes);
            }
        }
    }

    #[test]
    fn requests_go_into_a_create_and_come_out_of_it(demand in demand(), within in prop::option::of(1..20_000_000_000u64)) {
        let within = within.map(Duration::from_microseconds);
        let request = LinkRequest { id: RequestId(3), demand, within };
        let expressible = demand.number.is_some_and(|n| n <= 0xffff)
            && !matches!(demand.kind, PairKind::Prepare { .. })
            && !matches!(demand.user, LinkUser::Circuit(CircuitId(n)) if n > 0xffff)
            && within.is_none_or(|within| within.seconds() < 16384.0);
        let create = Create::of(NodeId(9), &request);
        prop_assert_eq!(create.is_ok(), expressible);
        if let Ok(create) = create {
            prop_assert_eq!(Create::decode(&create.encode()), Ok(create));
            let back = create.request(RequestId(3));
            prop_assert!(back.demand.fidelity >= demand.fidelity && back.demand.fidelity < demand.fidelity + 2e-5);
            prop_assert_eq!((back.demand.kind, back.demand.number), (demand.kind, demand.number));
            prop_assert_eq!((back.demand.priority, back.demand.atomic), (demand.priority, demand.atomic));
            prop_assert_eq!(back.within.is_some(), within.is_some());
            if let (Some(back), Some(within)) = (back.within, within) {
                // Fourteen bits and units a thousand apart keep at least one part in 16.
                prop_assert!(back <= within && back.seconds() > within.seconds() * 15.0 / 16.0);
            }
        }
    }

    #[test]
    fn short_numbers_are_read_across_the_wrap(near: u64, offset in -32_000..32_000i64) {
        if let Some(full) = near.checked_add_signed(offset) {
            prop_assert_eq!(full_sequence(near, full as u16), full);
        }
    }
}

/// By hand from figure 1 of the draft.
#[test]
fn a_create_has_the_bits_of_the_draft() {
    let create = Create {
        remote: NodeId(0x0102_0304),
        fidelity: 0xcccc,
        unit: TimeUnit::Millisecond,
        max_time: 0x1234,
        purpose: 0xbeef,
        number: 3,
        priority: 5,
        measure: true,
        atomic: false,
        consecutive: true,
        local: BasisChoice { set: BasisSet::Xz, probabilities: [0x11, 0x22], rotations: [0x33, 0x44, 0x55] },
        remote_basis: BasisChoice {
            set: BasisSet::Chsh,
            probabilities: [0x66, 0x77],
            rotations: [0x88, 0x99, 0xaa],
        },
    };
    // 101 1 0 1 01 | 11 000000 | PL1 | PL2
    let expected = [
        0x01, 0x02, 0x03, 0x04, 0xcc, 0xcc, 0x52, 0x34, 0xbe, 0xef, 0x00, 0x03, 0xb5, 0xc0, 0x11, 0x22, 0x66,
        0x77, 0x33, 0x44, 0x55, 0x88, 0x99, 0xaa,
    ];
    assert_eq!(create.encode(), expected);
    assert_eq!(Create::decode(&expected), Ok(create));
    let request = create.request(RequestId(1));
    assert_eq!(request.within, Some(Duration::from_milliseconds(0x1234)));
    assert_eq!(request.demand.priority, 2);
    for (byte, bit) in [(13, 0x01), (13, 0x20), (6, 0x80)] {
        let mut spoilt = expected;
        spoilt[byte] |= bit;
        assert!(Create::decode(&spoilt).is_err(), "a reserved bit, or an unknown unit");
    }
    assert!(Create::decode(&expected[..20]).is_err());
}

/// By hand from figures 2 to 5 of the draft.
#[test]
fn replies_have_the_bits_of_the_draft() {
    let head = OkHead {
        create: 0xabcd,
        from_remote: true,
        sequence: 0x1122,
        purpose: 0x3344,
        remote: NodeId(0x5566_7788),
        goodness: 0x99aa,
    };
    let cases: [(DraftReply, &[u8]); 5] = [
        (DraftReply::Ack { create: 0xabcd }, &[0x1a, 0xbc, 0xd0, 0x00]),
        (
            DraftReply::OkKeep { head, qubit: 9, time: 0xeeff },
            &[0x2a, 0xbc, 0xd9, 0x80, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xee, 0xff],
        ),
        (
            DraftReply::OkMeasure { head, outcome: true, basis: MeasuredBasis::ZPlusX },
            &[0x3a, 0xbc, 0xdd, 0x80, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0x00, 0x00],
        ),
        (
            DraftReply::Err {
                create: 0xabcd,
                code: ErrorCode::Expire,
                expired: Some((0xfffe, 0x0003)),
                origin: NodeId(7),
            },
            &[0x4a, 0xbc, 0xd5, 0x80, 0xff, 0xfe, 0x00, 0x03, 0x00, 0x00, 0x00, 0x07],
        ),
        (
            DraftReply::Err { create: 1, code: ErrorCode::Timeout, expired: None, origin: NodeId(7) },
            &[0x40, 0x00, 0x16, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07],
        ),
    ];
    for (reply, bytes) in cases {
        assert_eq!(reply.encode(), bytes);
        assert_eq!(DraftReply::decode(bytes), Ok(reply));
    }
    assert!(DraftReply::decode(&[0x5a, 0xbc, 0xd0, 0x00]).is_err());
    assert!(DraftReply::decode(&[0x1a, 0xbc, 0xd0, 0x01]).is_err());
    // Bases 5 to 7 and codes 0 and 7 to 15 are unused.
    assert!(DraftReply::decode(&[&[0x3a, 0xbc, 0xde, 0x80][..], &[0; 12]].concat()).is_err());
    assert!(DraftReply::decode(&[&[0x4a, 0xbc, 0xd0, 0x00][..], &[0; 8]].concat()).is_err());
    assert!(DraftReply::decode(&[&[0x4a, 0xbc, 0xd7, 0x00][..], &[0; 8]].concat()).is_err());
}

#[test]
fn ranges_may_pass_the_highest_number() {
    let inside = |sequence| in_range(0xfffe, 3, sequence);
    assert!([0xfffe, 0xffff, 0, 1, 2].into_iter().all(inside));
    assert!(![0xfffd, 3, 4, 0x8000].into_iter().any(inside));
    assert!(!in_range(5, 5, 5));
    assert_eq!(full_sequence(0x1_0001, 0xffff), 0xffff);
    assert_eq!(full_sequence(0xffff, 1), 0x1_0001);
    // Nothing is before 0, nor after the highest number.
    assert_eq!(full_sequence(1, 0xffff), 0xffff);
    assert_eq!(full_sequence(u64::MAX, 2), u64::MAX - 0xfffd);
}

#[test]
fn what_a_create_has_no_room_for_is_told() {
    let keep = LinkRequest::keep(RequestId(0), LinkUser::Application(1), 70_000);
    assert_eq!(Create::of(NodeId(0), &keep), Err(InexpressibleRequest::Number(Some(70_000))));
    let standing = LinkRequest::standing(RequestId(0), LinkUser::Application(1), 0.5, 1);
    assert_eq!(Create::of(NodeId(0), &standing), Err(InexpressibleRequest::Number(None)));
}

/// The words between ends, so that a change of them is seen.
#[test]
fn messages_have_the_bytes_that_they_had() {
    let request = LinkRequest::standing(RequestId(1), LinkUser::Circuit(CircuitId(300)), 0.75, 2);
    let numbered = Some((QueueNumber { life: 1, count: 5 }, Time::from_picoseconds(200)));
    let body = LinkBody::Add { serial: 9, numbered, demand: request.demand };
    let bytes = LinkMessage { from: 3, to: 4, body }.encode();
    let head = [2, 3, 4, 9, 1, 1, 5, 200, 1, 0x14, 172, 2];
    let fidelity = 0.75f64.to_bits().to_le_bytes();
    assert_eq!(bytes, [&head[..], &fidelity, &[0, 2]].concat());
    let expire = LinkBody::Expire(SequenceRange { epoch: 1, low: 130, high: 133 });
    assert_eq!(LinkMessage { from: 3, to: 4, body: expire }.encode(), [7, 3, 4, 1, 130, 1, 3]);
    let tag = |arming| AttemptTag { item: QueueNumber { life: 1, count: 5 }, slot: 2, life: 3, arming };
    let reply = MidpointReply {
        link: LinkId(6),
        epoch: 1,
        sequence: 7,
        cycle: 8,
        outcome: MidpointOutcome::Heralded(BellIndex::PSI_MINUS),
        own: tag(9),
        peer: Some(tag(10)),
    };
    assert_eq!(reply.encode(), [0x38, 6, 1, 7, 8, 1, 5, 2, 3, 9, 1, 5, 2, 3, 10]);
}

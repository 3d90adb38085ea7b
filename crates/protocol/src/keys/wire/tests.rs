use super::*;
use bellwether_units::{EntityId, Purpose, Stream};
use proptest::prelude::*;

fn any_frame(kind: u8, seed: u64) -> (Frame, bool) {
    let mut s = Stream::new(seed, EntityId(0), Purpose::named("frame"));
    let count = s.below(5) as usize;
    let links = |s: &mut Stream, n: usize| (0..n).map(|_| LinkId(s.bits() as u32)).collect::<Vec<_>>();
    let stretches = |s: &mut Stream, n: usize| -> Vec<Stretch> {
        let mut one = || Stretch {
            block: BlockId(s.bits()),
            offset: s.bits() as u32 >> 1,
            length: 1 + (s.bits() as u32 >> 2),
        };
        (0..n).map(|_| one()).collect()
    };
    let key = KeyId(u128::from(s.bits()) << 64 | u128::from(s.bits()));
    match kind {
        0 => {
            let blocks = (0..count).map(|_| (BlockId(s.bits()), s.bits() as u32)).collect();
            (
                Frame::Announce { link: LinkId(7), word: Word::Missing, floor: BlockId(s.bits()), blocks },
                false,
            )
        }
        1 => {
            let hop = s.below(2) as u16;
            let transfer = Transfer {
                key,
                share: 2,
                shares: 3,
                from: NodeId(s.bits() as u32),
                bits: 65,
                request: RequestId(s.bits()),
                demand: s.chance(0.5).then_some(DemandId(9)),
                route: links(&mut s, 2),
                hop,
                stretches: stretches(&mut s, count),
                ciphertext: BitString::random(if hop == 0 { 0 } else { 193 }, &mut s),
            };
            (Frame::Transfer(transfer), true)
        }
        2 => {
            let verdict = match s.below(3) {
                0 => Verdict::Failed(Some(LinkId(3)), Failure::PoolEmpty),
                1 => Verdict::Commit,
                _ => Verdict::Lost,
            };
            let path = links(&mut s, count + 1);
            (
                Frame::Control(Control {
                    key,
                    share: 1,
                    verdict,
                    token: s.bits(),
                    from: NodeId(1),
                    path,
                    hop: 0,
                }),
                false,
            )
        }
        3 => (Frame::Borrow { link: LinkId(1), last: s.bits(), wanted: s.bits() }, false),
        4 => {
            let (lent, pad) = (stretches(&mut s, count), stretches(&mut s, 1));
            (Frame::Lend { link: LinkId(1), number: s.bits(), lent, pad }, true)
        }
        5 => {
            let one = |i| State {
                link: LinkId(i),
                side: 1,
                sequence: u64::from(i) << 40,
                condition: LinkCondition::Alarmed,
                class: 12,
                radius: 3,
            };
            (Frame::States { answer: true, states: (0..count as u32).map(one).collect() }, false)
        }
        6 => (Frame::AskStates, false),
        7 => {
            let inventory = Inventory {
                from: BlockId(1),
                to: BlockId(s.bits()),
                free: stretches(&mut s, count),
                held: stretches(&mut s, 2),
                kept: (0..count).map(|_| BlockId(s.bits())).collect(),
            };
            (Frame::Inventory { link: LinkId(4), answer: true, loan: s.bits(), inventory }, false)
        }
        _ => (Frame::StatesHeard((0..count as u32).map(|i| (LinkId(i), 1, s.bits())).collect()), false),
    }
}

proptest! {
    #[test]
    fn frames_survive_the_wire(kind in 0u8..9, seed: u64) {
        let (frame, tagged) = any_frame(kind, seed);
        let mut bytes = frame.encode();
        if tagged {
            append_tag(&mut bytes, seed);
            prop_assert_eq!(split_tag(&bytes).1, seed);
        }
        prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame);
        for cut in 0..bytes.len() {
            prop_assert!(Frame::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        kind in 0u8..10, seed: u64, noise in prop::collection::vec(any::<u8>(), 0..80), flips in prop::collection::vec(any::<(usize, u8)>(), 0..4),
    ) {
        let mut head = vec![VERSION, kind];
        head.extend(noise);
        let _ = Frame::decode(&head);
        let mut bytes = any_frame(kind, seed).0.encode();
        for (at, value) in flips {
            let i = at % bytes.len();
            bytes[i] = value;
        }
        let _ = Frame::decode(&bytes);
    }
}

#[test]
fn another_version_and_trailing_bytes_are_refused() {
    assert_eq!(check_frame(&[2, 7]), Err(FrameError::Version(2)));
    assert_eq!(check_frame(&[1, 7, 0]), Err(FrameError::Trailing(1)));
    assert_eq!(check_frame(&[1, 99]), Err(FrameError::Value("the kind")));
}

/// The wire format is a promise: these bytes were written once and must be read for ever.
#[test]
fn frames_have_the_bytes_they_always_had() {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let transfer = Frame::Transfer(Transfer {
        key: KeyId(0x0123_4567_89ab_4def_8123_4567_89ab_cdef),
        share: 0,
        shares: 1,
        from: NodeId(2),
        bits: 64,
        request: RequestId(5),
        demand: Some(DemandId(3)),
        route: vec![LinkId(7), LinkId(9)],
        hop: 1,
        stretches: vec![Stretch { block: BlockId(4), offset: 128, length: 256 }],
        ciphertext: BitString::from_bytes(&[0xa5; 24], 192),
    });
    let mut bytes = transfer.encode();
    append_tag(&mut bytes, 0x1122_3344_5566_7788);
    assert_eq!(
        hex(&bytes),
        concat!(
            "0102efcdab8967452381ef4dab8967452301",           // version, kind, key
            "0001020000004000000005000000000000000103000000", // share, shares, from, bits, request, demand
            "020007000000090000000100",                       // route, hop
            "010004000000000000008000000000010000",           // stretches
            "c0000000a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5", // ciphertext
            "8877665544332211",                               // tag
        )
    );
    assert_eq!(Frame::decode(&bytes), Ok(transfer));
    let commit = Frame::Control(Control {
        key: KeyId(1),
        share: 0,
        verdict: Verdict::Commit,
        token: 0x0102_0304_0506_0708,
        from: NodeId(2),
        path: vec![LinkId(7)],
        hop: 0,
    });
    assert_eq!(
        hex(&commit.encode()),
        "0103010000000000000000000000000000000002000000000000080706050403020102000000010007000000\
             0000"
    );
}

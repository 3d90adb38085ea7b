use super::*;
use crate::keys::delivery::streams::StreamQos;
use bellwether_units::{EntityId, Purpose, Stream};
use proptest::prelude::*;

fn stream_word(s: &mut Stream) -> Word {
    let word = match s.below(3) {
        0 => StreamWord::Opened {
            master: "sae-0".parse().unwrap(),
            slave: "sae-1".parse().unwrap(),
            qos: StreamQos { chunk_bytes: 1 + s.below(100) as u32, priority: 7, ..StreamQos::default() },
        },
        1 => StreamWord::Window(s.bits()),
        _ => StreamWord::Closed { owner: s.chance(0.5) },
    };
    Word::Stream(s.bits(), KeyStreamId(s.bits().into()), word)
}

fn any_frame(kind: u8, seed: u64) -> Frame {
    let mut s = Stream::new(seed, EntityId(0), Purpose::named("frame"));
    let count = s.below(5) as usize;
    fn id(s: &mut Stream) -> KeyId {
        KeyId(u128::from(s.bits()) << 64 | u128::from(s.bits()))
    }
    fn ids(s: &mut Stream, n: usize) -> Vec<KeyId> {
        (0..n).map(|_| id(s)).collect()
    }
    let name = |n: usize| -> SaeName { format!("sae-{n}").parse().unwrap() };
    let body = match kind {
        0 => Body::Hello(Hello {
            challenge: s.bits(),
            answer: s.bits(),
            met: s.chance(0.5),
            base: s.bits(),
            heard: s.bits(),
            said: s.bits(),
            forgot: s.chance(0.5),
            held: ids(&mut s, count),
        }),
        1 => Body::Offer {
            block: id(&mut s),
            quantum_bits: s.bits() as u32,
            encapsulation_key: Box::new([s.bits() as u8; ENCAPSULATION_KEY]),
        },
        2 => Body::Accept {
            block: id(&mut s),
            ciphertext: Box::new([s.bits() as u8; CIPHERTEXT]),
            proof: [9; 32],
        },
        3 => Body::Confirm { block: id(&mut s) },
        4 => Body::Refuse { block: id(&mut s) },
        5 => {
            let words = (0..count)
                .map(|i| {
                    if i == 3 {
                        return Word::Released(s.bits(), ids(&mut s, count));
                    }
                    if i == 4 {
                        return stream_word(&mut s);
                    }
                    let keys = (0..i)
                        .map(|k| AnnouncedKey {
                            id: id(&mut s),
                            pieces: ids(&mut s, k)
                                .into_iter()
                                .map(|block| Piece { block, offset: 32, length: 7 })
                                .collect(),
                            padded: if k == 1 { vec![0xa5; 8] } else { Vec::new() },
                        })
                        .collect();
                    Word::Keys(Announcement {
                        number: s.bits(),
                        stream: s.chance(0.5).then(|| (KeyStreamId(s.bits().into()), s.bits() as u32)),
                        master: name(0),
                        slaves: (0..i).map(name).collect(),
                        bits: 64,
                        combined: [Protection::Hybrid, Protection::QuantumOnly][i % 2],
                        protection: [Protection::PostQuantumOnly, Protection::Local][i % 2],
                        nodes: vec![NodeId(4); i],
                        keys,
                    })
                })
                .collect();
            Body::Announce { base: s.bits(), words }
        }
        _ => Body::Ack { heard: s.bits(), missing: (0..count).map(|n| (s.bits(), ids(&mut s, n))).collect() },
    };
    Frame { from: Life(s.bits()), to: Life(s.bits()), body }
}

proptest! {
    #[test]
    fn frames_survive_the_wire(kind in 0u8..7, seed: u64) {
        let frame = any_frame(kind, seed);
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame);
        for cut in 0..bytes.len() {
            prop_assert!(Frame::decode(&bytes[..cut]).is_err());
        }
        let mut longer = bytes;
        longer.push(0);
        prop_assert_eq!(check_frame(&longer), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        kind in 0u8..8, seed: u64, noise in prop::collection::vec(any::<u8>(), 0..80),
        flips in prop::collection::vec(any::<(usize, u8)>(), 0..4),
    ) {
        let mut head = vec![VERSION, kind];
        head.extend(noise);
        let _ = check_frame(&head);
        let mut bytes = any_frame(kind, seed).encode();
        for (at, value) in flips {
            let i = at % bytes.len();
            bytes[i] = value;
        }
        let _ = check_frame(&bytes);
    }
}

/// The wire format is a promise: these bytes were written once and must be read for ever.
#[test]
fn frames_have_the_bytes_they_always_had() {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let frame = Frame {
        from: Life(1),
        to: Life(2),
        body: Body::Announce {
            base: 3,
            words: vec![
                Word::Released(3, vec![KeyId(5)]),
                Word::Keys(Announcement {
                    number: 4,
                    stream: None,
                    master: "a".parse().unwrap(),
                    slaves: vec!["b".parse().unwrap()],
                    bits: 64,
                    combined: Protection::Hybrid,
                    protection: Protection::PostQuantumOnly,
                    nodes: vec![NodeId(6)],
                    keys: vec![AnnouncedKey {
                        id: KeyId(7),
                        pieces: vec![Piece { block: KeyId(8), offset: 32, length: 8 }],
                        padded: vec![0xa5; 8],
                    }],
                }),
            ],
        },
    };
    let id = |n: u8| format!("{n:02x}{}", "00".repeat(15));
    let expected = [
        "0105",                             // version, kind
        "01000000000000000200000000000000", // lives
        "030000000000000002000000",         // base, count of words
        "010300000000000000",
        "01000000",
        &id(5), // released
        "000400000000000000",
        "0161",
        "01000000",
        "0162", // number, master, slaves
        "40000000",
        "00",
        "02",
        "01000000",
        "06000000", // bits, protections, nodes
        "01000000",
        &id(7),
        "01000000",
        &id(8),
        "20000000",
        "08000000", // keys, pieces
        "08000000",
        "a5a5a5a5a5a5a5a5", // padded
    ]
    .concat();
    assert_eq!(hex(&frame.encode()), expected);
    assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    assert_eq!(check_frame(&[2, 0]), Err(DecodeError::Version(2)));
}

use super::*;
use std::collections::BTreeSet;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn names() -> [SaeName; 3] {
    ["bank-a", "bank-b", "bank-c"].map(|n| n.parse().unwrap())
}

#[derive(Clone)]
struct Case {
    protection: Protection,
    role: Role,
    id: u128,
    bits: u32,
    master: usize,
    slaves: Vec<usize>,
    quantum: Vec<u8>,
    parts: Vec<(Transcript, u32, u32, [u8; 32])>,
}

fn case() -> Case {
    Case {
        protection: Protection::Hybrid,
        role: Role::Key,
        id: 7,
        bits: 256,
        master: 0,
        slaves: vec![1, 2],
        quantum: (0..32).collect(),
        parts: vec![([1; 48], 32, 20, [2; 32]), ([3; 48], 32, 12, [4; 32])],
    }
}

fn output(c: &Case) -> String {
    let all = names();
    let slaves: Vec<_> = c.slaves.iter().map(|&i| all[i].clone()).collect();
    let context = Context {
        protection: c.protection,
        role: c.role,
        id: KeyId(c.id),
        bits: c.bits,
        master: &all[c.master],
        slaves: &slaves,
    };
    let parts: Vec<_> = c
        .parts
        .iter()
        .map(|(transcript, offset, length, secret)| Part {
            transcript,
            offset: *offset,
            length: *length,
            secret,
        })
        .collect();
    hex(&derive(&context, &c.quantum, &parts))
}

#[test]
fn whatever_differs_makes_another_key() {
    let changes: [fn(&mut Case); 13] = [
        |_| {},
        |c| c.protection = Protection::PostQuantumOnly,
        |c| c.role = Role::Pad,
        |c| c.id = 8,
        |c| c.master = 1,
        |c| c.slaves = vec![1],
        |c| c.slaves = vec![2, 1],
        |c| c.quantum[31] ^= 1,
        |c| c.parts[0].0[47] ^= 1,
        |c| c.parts[0].1 = 33,
        |c| c.parts[0].2 = 21,
        |c| c.parts[1].3[0] ^= 1,
        |c| {
            // The same bytes, cut elsewhere between the two inputs.
            let moved = c.quantum.pop().unwrap();
            c.parts[0].3[0] = moved;
        },
    ];
    let outputs: BTreeSet<_> = changes
        .iter()
        .map(|change| {
            let mut c = case();
            change(&mut c);
            output(&c)
        })
        .collect();
    assert_eq!(outputs.len(), changes.len());
    let mut longer = case();
    longer.bits = 264;
    assert_ne!(output(&longer)[..64], output(&case()), "a longer key does not begin with a shorter one");
}

/// Computed once with another implementation of HMAC and SHA-384 (Python's), from the description alone.
#[test]
fn a_known_answer() {
    assert_eq!(output(&case()), "d1bdccdd139fffa9d45569e0a853a1438b31aede311a51602d5bfdd2ed877b59");
}

#[test]
fn quantum_only_is_the_stretch_itself() {
    let mut c = case();
    c.protection = Protection::QuantumOnly;
    assert_eq!(output(&c), hex(&c.quantum));
}

#[test]
fn a_key_longer_than_hkdf_gives_has_no_period() {
    let mut c = case();
    c.bits = 8 * 3 * CHUNK as u32;
    let whole = output(&c);
    let chunks: BTreeSet<_> = (0..3).map(|i| &whole[2 * i * CHUNK..2 * (i + 1) * CHUNK]).collect();
    assert_eq!((whole.len(), chunks.len()), (2 * 3 * CHUNK, 3));
}

#[test]
fn the_proof_takes_all_of_the_key() {
    let quantum: Vec<u8> = (0..128).collect();
    let (t, secret) = ([5; 48], [6; 32]);
    let mut proofs = BTreeSet::from([proof(&t, &quantum, &secret)]);
    for i in 0..quantum.len() {
        let mut other = quantum.clone();
        other[i] ^= 0x10;
        proofs.insert(proof(&t, &other, &secret));
    }
    proofs.insert(proof(&[4; 48], &quantum, &secret));
    proofs.insert(proof(&t, &quantum, &[7; 32]));
    proofs.insert(proof(&t, &[], &secret));
    proofs.insert(proof(&t, &quantum[..127], &secret));
    assert_eq!(proofs.len(), 133);
    let nodes = (NodeId(1), NodeId(2));
    assert_ne!(transcript(nodes, KeyId(1), 8, b"ab", b"c"), transcript(nodes, KeyId(1), 8, b"a", b"bc"));
}

use super::*;
use crate::keys::delivery::api::Protection;
use crate::keys::delivery::combine::Role;
use proptest::prelude::*;

fn block(id: u128, bytes: usize) -> Block {
    let quantum = Zeroizing::new((0..bytes).map(|i| (i as u8) ^ (id as u8) << 4).collect());
    Block::new(KeyId(id), quantum, Zeroizing::new([id as u8; 32]), [id as u8; 48], Arc::default())
}

fn key(taken: &Taken, protection: Protection, bytes: usize) -> Vec<u8> {
    let master = "a".parse().unwrap();
    let context = Context {
        protection,
        role: Role::Key,
        id: KeyId(9),
        bits: 8 * bytes as u32,
        master: &master,
        slaves: &[],
    };
    taken.derive(&context).to_vec()
}

proptest! {
    /// Whatever is taken in whatever sizes: no byte twice, all bytes in order, and the holder makes the same.
    #[test]
    fn owner_and_holder_take_the_same_and_nothing_twice(
        blocks in prop::collection::vec(33_usize..120, 1..6), sizes in prop::collection::vec(1_usize..70, 1..40),
    ) {
        let (mut owned, mut held) = (Owned::default(), Held::default());
        for (i, &bytes) in blocks.iter().enumerate() {
            owned.insert(block(i as u128, bytes));
            let b = block(i as u128, bytes);
            held.blocks.insert(b.id, HeldBlock { block: b, durable: true, confirmed: false, accept: None, repeats: 0 });
        }
        let total: usize = blocks.iter().map(|b| b - PROOF_BYTES).sum();
        let mut seen = BTreeSet::new();
        let mut sum = 0;
        for &size in &sizes {
            let left = owned.left();
            let Some(taken) = owned.take(size) else {
                prop_assert!(left < size);
                continue;
            };
            sum += size;
            prop_assert_eq!(owned.left(), total - sum);
            for piece in taken.pieces() {
                for at in piece.offset..piece.offset + piece.length {
                    prop_assert!(at >= PROOF_BYTES as u32);
                    prop_assert!(seen.insert((piece.block, at)));
                }
            }
            let twin = held.take(&taken.pieces(), size).unwrap();
            for protection in [Protection::Hybrid, Protection::QuantumOnly] {
                prop_assert_eq!(key(&taken, protection, size), key(&twin, protection, size));
            }
            prop_assert!(held.take(&taken.pieces(), size).is_none(), "nothing is taken twice");
            for piece in taken.pieces() {
                let bytes = &held.blocks[&piece.block].block.quantum;
                prop_assert!(bytes[piece.offset as usize..(piece.offset + piece.length) as usize].iter().all(|&b| b == 0));
            }
        }
    }
}

#[test]
fn a_secret_gives_its_number_of_keys_each_once() {
    let (mut owned, mut held) = (Owned::default(), Held::default());
    owned.insert(block(1, 0));
    held.blocks.insert(
        KeyId(1),
        HeldBlock { block: block(1, 0), durable: true, confirmed: false, accept: None, repeats: 0 },
    );
    assert!(owned.take(1).is_none());
    for i in 0..3 {
        assert_eq!(owned.uses_left(3), 3 - i);
        let taken = owned.take_secret(3).unwrap();
        let twin = held.take(&taken.pieces(), 32).unwrap();
        let p = Protection::PostQuantumOnly;
        assert_eq!(key(&taken, p, 32), key(&twin, p, 32));
        assert!(held.take(&taken.pieces(), 32).is_none());
    }
    assert!(owned.take_secret(3).is_none() && owned.len() == 0);
    assert_eq!(owned.touched(), [(KeyId(1), None)].into());
}

#[test]
fn impossible_pieces_are_refused_and_spend_nothing() {
    let mut held = Held::default();
    held.blocks.insert(
        KeyId(1),
        HeldBlock { block: block(1, 64), durable: true, confirmed: false, accept: None, repeats: 0 },
    );
    let piece = |block, offset, length| Piece { block: KeyId(block), offset, length };
    for bad in [
        vec![],
        vec![piece(2, 32, 8)],
        vec![piece(1, 0, 8)],
        vec![piece(1, 60, 8)],
        vec![piece(1, u32::MAX, 8)],
        vec![piece(1, 32, 0)],
        vec![piece(1, 32, 4), piece(1, 34, 4)],
        vec![piece(1, 32, 9)],
    ] {
        assert!(held.take(&bad, 8).is_none(), "{bad:?}");
    }
    assert!(held.take(&[piece(1, 32, 4), piece(1, 40, 4)], 8).is_some());
}

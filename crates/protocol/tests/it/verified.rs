//! Reconciliation and verification together: what passes is equal, and what differs does not pass.

use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::{CascadeSettings, CascadeVariant, Corrector, ParityServer, Step};
use bellwether_protocol::qkd::verify;
use bellwether_units::{EntityId, Purpose, Stream};

const BLOCKS: u64 = 10_000;
/// With this, 10^4 blocks and as many forced disagreements let one pass with probability below 10^-10.
const EPSILON: f64 = 1e-15;

/// Both ends of a block after reconciliation.
struct Ends {
    reference: BitString,
    corrected: BitString,
}

/// Block number `block`: 1 to 20 kbit, errors at a rate uniform in 0 to 8 %, each Cascade variant in turn.
fn reconciled(block: u64, stream: &mut Stream) -> Ends {
    let bits = 1_000 + stream.below(19_001) as usize;
    let rate = 0.08 * stream.uniform();
    let reference = BitString::random(bits, stream);
    let mut noisy = reference.clone();
    for bit in 0..bits {
        if stream.chance(rate) {
            noisy.flip(bit);
        }
    }
    let variant = CascadeVariant::ALL[block as usize % CascadeVariant::ALL.len()];
    // Frames of one block in two are cut, so that the last frame is longer than the others.
    let frame_length = if (block / 4).is_multiple_of(2) { 0 } else { 4096 };
    let settings = CascadeSettings { frame_length, ..CascadeSettings::new(variant, rate, block) };
    let mut server = ParityServer::new(&settings, SecretBits::new(reference.clone())).unwrap();
    let mut corrector = Corrector::new(&settings, SecretBits::new(noisy)).unwrap();
    let mut step = corrector.start();
    while let Step::Ask(request) = step {
        let reply = server.answer(&request).unwrap();
        step = corrector.reply(&reply).unwrap();
    }
    Ends { reference, corrected: corrector.corrected().expose().clone() }
}

/// Whether the receiver's block passes against the tag of the transmitter's.
fn passes(ends: &Ends, stream: &mut Stream) -> bool {
    let seed = u128::from(stream.bits()) << 64 | u128::from(stream.bits());
    let bits = verify::tag_bits(EPSILON, ends.reference.len()).unwrap();
    let sent = verify::tag(seed, &ends.reference, bits);
    verify::agrees(seed, &ends.corrected, bits, sent)
}

/// Flips one bit, two, or up to all of the block, at places that differ.
fn spoil(block: u64, key: &mut BitString, stream: &mut Stream) {
    let flips = match block % 3 {
        0 => 1,
        1 => 2,
        _ => 3 + stream.below(key.len() as u64 - 2) as usize,
    };
    let mut places: Vec<usize> = (0..key.len()).collect();
    for flip in 0..flips {
        let place = flip + stream.below((places.len() - flip) as u64) as usize;
        places.swap(flip, place);
        key.flip(places[flip]);
    }
}

#[test]
fn verified_blocks_are_equal_and_forced_disagreement_is_caught() {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("verified blocks"));
    let mut unequal = 0;
    for block in 0..BLOCKS {
        let mut ends = reconciled(block, &mut stream);
        let equal = ends.corrected == ends.reference;
        assert_eq!(passes(&ends, &mut stream), equal, "block {block}");
        unequal += u64::from(!equal);

        ends.corrected.clone_from(&ends.reference);
        spoil(block, &mut ends.corrected, &mut stream);
        assert!(ends.corrected != ends.reference && !passes(&ends, &mut stream), "block {block}, spoiled");
    }
    // Reconciliation alone leaves some blocks unequal, or passing would have proved nothing.
    assert!((1..=60).contains(&unequal), "{unequal} of {BLOCKS} blocks are unequal");
    println!("{unequal} of {BLOCKS} blocks came out of reconciliation unequal");
}

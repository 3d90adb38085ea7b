//! All families of reconciliation: blocks come out equal, or are caught; what is counted is what was sent.

use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::{CorrectingEnd, Family, ReferenceEnd, Step};
use bellwether_protocol::qkd::verify;
use bellwether_units::{EntityId, Purpose, Stream};

/// What blocks came to.
#[derive(Default)]
struct Tally {
    equal: u64,
    /// Verification told that they differ.
    caught: u64,
    /// Given up before.
    given_up: u64,
}

/// Reconciles and verifies `blocks` blocks of one family, at error rates from 0 to 11 %.
fn reconcile(family: Family, blocks: u64) -> Tally {
    let mut tally = Tally::default();
    let mut stream = Stream::new(7, EntityId(0), Purpose::named("families"));
    for block in 0..blocks {
        let bits = 4096 + stream.below(4097) as usize;
        let rate = 0.11 * stream.uniform();
        let reference = BitString::random(bits, &mut stream);
        let mut noisy = reference.clone();
        (0..bits).filter(|_| stream.chance(rate)).for_each(|bit| noisy.flip(bit));
        let method = family.method(rate, block);
        let mut server = ReferenceEnd::new(&method, SecretBits::new(reference.clone())).unwrap();
        let mut corrector = CorrectingEnd::new(&method, SecretBits::new(noisy)).unwrap();
        let mut step = Ok(corrector.start());
        while let Ok(Step::Ask(request)) = &step {
            let before = server.disclosed();
            let Ok(reply) = server.answer(request) else { break };
            let told = server.disclosed() - before;
            // A reply is a round of one or two bytes, and the disclosed bits.
            let head = if server.round_trips() > 128 { 2 } else { 1 };
            assert_eq!(reply.len() as u64, head + told.div_ceil(8), "{family:?}, block {block}");
            step = corrector.reply(&reply);
        }
        if !matches!(step, Ok(Step::Done)) {
            tally.given_up += 1;
            continue;
        }
        assert_eq!(corrector.disclosed(), server.disclosed(), "{family:?}, block {block}");
        let seed = u128::from(stream.bits()) << 64 | u128::from(stream.bits());
        let tag_bits = verify::tag_bits(1e-15, bits).unwrap();
        let sent = verify::tag(seed, &reference, tag_bits);
        let corrected = corrector.corrected();
        let passes = verify::agrees(seed, corrected.expose(), tag_bits, sent);
        assert_eq!(passes, corrected.expose() == &reference, "{family:?}, block {block}");
        *(if passes { &mut tally.equal } else { &mut tally.caught }) += 1;
    }
    tally
}

fn check(blocks: u64) {
    for family in Family::ALL {
        let Tally { equal, caught, given_up } = reconcile(family, blocks);
        println!("{family:?}: {equal} equal, {caught} caught, {given_up} given up");
        // A code is told more until it succeeds or the cap is reached, which in short blocks at low rates happens.
        let least = if family == Family::Ldpc { 0.9 } else { 0.98 };
        assert!(equal as f64 >= least * blocks as f64, "{family:?}: {equal} of {blocks} equal");
    }
}

#[test]
fn blocks_of_every_family_are_equal_or_caught() {
    check(300);
}

/// `cargo test --release -p bellwether-protocol --test it a_hundred_thousand_blocks -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_blocks_of_all_families_are_equal_or_caught() {
    check(100_000 / Family::ALL.len() as u64 + 1);
}

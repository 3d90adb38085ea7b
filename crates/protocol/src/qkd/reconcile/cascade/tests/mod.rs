//! Tests of both ends together.

mod adversary;
mod agreement;
mod efficiency;
mod textbook;

use super::binary_entropy;
use super::*;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{EntityId, Purpose, Stream};

fn stream(name: &str, seed: u64) -> Stream {
    Stream::new(seed, EntityId(0), Purpose::named(name))
}

/// A random key and a copy of it in which each bit is wrong with probability `rate`.
fn keys(bits: usize, rate: f64, stream: &mut Stream) -> (BitString, BitString) {
    let reference = BitString::random(bits, stream);
    let mut noisy = reference.clone();
    for bit in 0..bits {
        if stream.chance(rate) {
            noisy.flip(bit);
        }
    }
    (reference, noisy)
}

/// What a run came to.
struct Outcome {
    equal: bool,
    errors: usize,
    disclosed: u64,
    round_trips: u64,
}

/// Runs both ends, and checks with every reply that what is counted is what was sent.
fn run(
    settings: &CascadeSettings,
    pace: Pace,
    (reference, noisy): &(BitString, BitString),
) -> Result<Outcome, ReconcileError> {
    let mut server = ParityServer::new(settings, SecretBits::new(reference.clone()))?;
    let mut corrector = Corrector::with_pace(settings, SecretBits::new(noisy.clone()), pace)?;
    let mut step = corrector.start();
    while let Step::Ask(request) = step {
        let before = server.disclosed();
        let reply = server.answer(&request)?;
        let parities = server.disclosed() - before;
        let round_bytes = if server.round_trips() > 128 { 2 } else { 1 };
        assert_eq!(reply.len() as u64, round_bytes + parities.div_ceil(8), "parities on the wire");
        step = corrector.reply(&reply)?;
        assert_eq!(corrector.disclosed(), server.disclosed(), "both ends count alike");
        assert_eq!(corrector.round_trips(), server.round_trips());
    }
    let corrected = corrector.corrected();
    let mut undone = corrected.expose().clone();
    undone.xor_with(corrector.corrections());
    assert!(undone == *noisy, "the corrections are what was changed");
    assert!(server.disclosed() <= server.cap());
    Ok(Outcome {
        equal: corrected.expose() == reference,
        errors: reference.hamming_distance(noisy),
        disclosed: server.disclosed(),
        round_trips: server.round_trips(),
    })
}

use super::*;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{EntityId, Purpose, Stream};

#[allow(dead_code)]
struct Outcome {
    equal: bool,
    disclosed: u64,
    rounds: u64,
    sent: u64,
    received: u64,
}

fn noisy(bits: &BitString, rate: f64, stream: &mut Stream) -> BitString {
    let mut noisy = bits.clone();
    for bit in 0..bits.len() {
        if stream.chance(rate) {
            noisy.flip(bit);
        }
    }
    noisy
}

fn run(
    settings: &CascadeSettings,
    reference: &BitString,
    noisy: &BitString,
) -> Result<Outcome, ReconcileError> {
    let mut server = ParityServer::new(settings, SecretBits::new(reference.clone()))?;
    let mut corrector = Corrector::new(settings, SecretBits::new(noisy.clone()))?;
    let mut step = corrector.start();
    let (mut sent, mut received) = (0, 0);
    while let Step::Ask(request) = step {
        sent += request.len() as u64;
        let reply = server.answer(&request)?;
        received += reply.len() as u64;
        step = corrector.reply(&reply)?;
    }
    assert_eq!(server.disclosed(), corrector.disclosed());
    Ok(Outcome {
        equal: corrector.corrected().expose() == reference,
        disclosed: corrector.disclosed(),
        rounds: corrector.round_trips(),
        sent,
        received,
    })
}

/// Random blocks of many lengths and error rates come out equal.
#[test]
fn both_ends_agree() {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("agree"));
    let mut wrong = [0; 4];
    for block in 0..8000 {
        let bits = 2000 + stream.below(8000) as usize;
        let rate = 0.08 * stream.uniform();
        let variant = CascadeVariant::ALL[block as usize % 4];
        let reference = BitString::random(bits, &mut stream);
        let other = noisy(&reference, rate, &mut stream);
        let settings = CascadeSettings { frame_length: 0, ..CascadeSettings::new(variant, rate, block) };
        let outcome = run(&settings, &reference, &other).unwrap();
        wrong[block as usize % 4] += u32::from(!outcome.equal);
    }
    for (variant, (wrong, most)) in CascadeVariant::ALL.iter().zip(wrong.iter().zip([10, 25, 3, 5])) {
        assert!(*wrong <= most, "{variant:?}: {wrong} of 2000 blocks differ");
    }
}

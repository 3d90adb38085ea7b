//! Measures what one Cascade costs: round trips and disclosed bits, by variant and error rate.
//!
//! The first table is that of single frames, which the simulator draws from at detail `blocks`; the second is
//! that of whole blocks, in which all frames share each message. The error rate is known to both ends, as it is
//! after the first block of a link.
//!
//! ```console
//! $ cargo run --release -p bellwether-protocol --example round_trips -- 300 3
//! ```
//!
//! The numbers are frames and blocks a row.

use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::{
    CascadeSettings, CascadeVariant, Corrector, ParityServer, ReconcileError, Step, least_one_way_disclosure,
};
use bellwether_units::{EntityId, Purpose, Stream, binary_entropy};

const FRAME: usize = 1 << 16;
const BLOCK: usize = 1_000_000;

struct Outcome {
    round_trips: f64,
    efficiency: f64,
    equal: bool,
}

fn main() -> Result<(), ReconcileError> {
    let mut counts = std::env::args().skip(1).map(|word| word.parse::<u64>().ok());
    let mut count = |default| counts.next().flatten().unwrap_or(default).max(2);
    let (frames, blocks) = (count(300), count(3));
    println!("One frame of {FRAME} bits, {frames} of them: mean and standard deviation of the round trips");
    for variant in CascadeVariant::ALL {
        print!("{variant:?}");
        let mut kept = 0;
        for rate in [0.0025, 0.005, 0.01, 0.02, 0.04, 0.08] {
            let outcomes = measure(variant, FRAME, rate, frames)?;
            let (mean, deviation) = moments(&outcomes);
            kept += outcomes.iter().filter(|outcome| !outcome.equal).count();
            print!("  {:.2} %: {mean:.1} ({deviation:.1})", rate * 100.0);
        }
        println!("  frames that kept an error: {kept} of {}", 6 * frames);
    }
    println!("A block of {BLOCK} bits, {blocks} of them: mean round trips, and f = leak / (n h(Q))");
    for variant in CascadeVariant::ALL {
        print!("{variant:?}");
        for rate in [0.01, 0.02, 0.05] {
            let outcomes = measure(variant, BLOCK, rate, blocks)?;
            let f = outcomes.iter().map(|outcome| outcome.efficiency).sum::<f64>() / blocks as f64;
            print!("  {:.0} %: {:.0}, f = {f:.3}", rate * 100.0, moments(&outcomes).0);
        }
        println!();
    }
    print!("One message at least, one block in a thousand failing:");
    for rate in [0.01, 0.02, 0.05] {
        let least =
            least_one_way_disclosure(BLOCK as f64, rate, 1e-3) / (BLOCK as f64 * binary_entropy(rate));
        print!("  {:.0} %: f = {least:.3}", rate * 100.0);
    }
    println!();
    Ok(())
}

fn measure(
    variant: CascadeVariant,
    bits: usize,
    error_rate: f64,
    runs: u64,
) -> Result<Vec<Outcome>, ReconcileError> {
    (0..runs).map(|seed| reconcile(variant, bits, error_rate, seed)).collect()
}

fn reconcile(
    variant: CascadeVariant,
    bits: usize,
    error_rate: f64,
    seed: u64,
) -> Result<Outcome, ReconcileError> {
    let mut stream = Stream::new(seed, EntityId(0), Purpose::named("round trips"));
    let reference = BitString::random(bits, &mut stream);
    let mut noisy = reference.clone();
    let mut errors = 0;
    for bit in 0..bits {
        if stream.chance(error_rate) {
            noisy.flip(bit);
            errors += 1;
        }
    }
    let settings = CascadeSettings { variant, frame_length: FRAME, error_rate, seed };
    let mut server = ParityServer::new(&settings, SecretBits::new(reference.clone()))?;
    let mut corrector = Corrector::new(&settings, SecretBits::new(noisy))?;
    let mut step = corrector.start();
    while let Step::Ask(request) = step {
        step = corrector.reply(&server.answer(&request)?)?;
    }
    let least = bits as f64 * binary_entropy(errors as f64 / bits as f64);
    Ok(Outcome {
        round_trips: server.round_trips() as f64,
        efficiency: server.disclosed() as f64 / least,
        equal: *corrector.corrected().expose() == reference,
    })
}

fn moments(outcomes: &[Outcome]) -> (f64, f64) {
    let n = outcomes.len() as f64;
    let mean = outcomes.iter().map(|outcome| outcome.round_trips).sum::<f64>() / n;
    let square = outcomes.iter().map(|outcome| (outcome.round_trips - mean).powi(2)).sum::<f64>();
    (mean, (square / (n - 1.0)).sqrt())
}

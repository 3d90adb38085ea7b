//! Measures single frames of grouped Cascade and of low-density parity-check codes, the error rate known: the tables of
//! spreads from which planning and detail `blocks` of the simulator draw.
//!
//! ```console
//! $ cargo run --release -p bellwether-protocol --example frames -- grouped
//! $ cargo run --release -p bellwether-protocol --example frames -- ldpc
//! ```
//!
//! For grouped Cascade: by effort, frame length and error rate, the standard deviation of the efficiency in units of
//! 10^-4 and that of the round trips; and how many frames kept an error.
//!
//! For codes: the efficiency that a frame needs to be decoded, mean and standard deviation, in units of 10^-4. The code is
//! the one that the default settings take at that error rate. Frames err a little more after each success and a little
//! less after each failure, so that about half of them fail; a normal law of what they need is fitted to that by maximum
//! likelihood. Beside it, what frames took that err at that rate, and what the law says of the same frames.

use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::grouped::{Effort, GroupedSettings};
use bellwether_protocol::qkd::reconcile::ldpc::Telling;
use bellwether_protocol::qkd::reconcile::{
    CorrectingEnd, LdpcSettings, Method, ReconcileError, ReferenceEnd, Step,
};
use bellwether_units::{EntityId, Purpose, Stream, binary_entropy};

fn main() -> Result<(), ReconcileError> {
    match std::env::args().nth(1).as_deref() {
        Some("grouped") => grouped(),
        Some("ldpc") => codes(),
        _ => {
            println!("which family: grouped or ldpc?");
            Ok(())
        }
    }
}

/// A key, its noisy copy, and the rate at which they really differ.
fn keys(bits: usize, rate: f64, seed: u64) -> (BitString, BitString, f64) {
    let mut stream = Stream::new(seed, EntityId(bits as u32), Purpose::named("frames"));
    let reference = BitString::random(bits, &mut stream);
    let mut noisy = reference.clone();
    let mut errors = 0;
    for bit in 0..bits {
        if stream.chance(rate) {
            noisy.flip(bit);
            errors += 1;
        }
    }
    (reference, noisy, f64::from(errors) / bits as f64)
}

/// What a frame came to.
struct Outcome {
    efficiency: f64,
    round_trips: f64,
    equal: bool,
}

/// Reconciles a frame, with so many round trips at most.
fn reconcile(method: &Method, bits: usize, rate: f64, seed: u64) -> Result<(Outcome, f64), ReconcileError> {
    let (reference, noisy, seen) = keys(bits, rate, seed);
    let mut server = ReferenceEnd::new(method, SecretBits::new(reference.clone()))?;
    let mut corrector = CorrectingEnd::new(method, SecretBits::new(noisy))?;
    let mut step = corrector.start();
    let mut given_up = false;
    while let Step::Ask(request) = step {
        let next = server.answer(&request).and_then(|reply| corrector.reply(&reply));
        given_up = next.is_err();
        step = next.unwrap_or(Step::Done);
    }
    let outcome = Outcome {
        efficiency: server.disclosed() as f64 / (bits as f64 * binary_entropy(seen)),
        round_trips: server.round_trips() as f64,
        equal: !given_up && *corrector.corrected().expose() == reference,
    };
    Ok((outcome, seen))
}

/// Mean and standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}

fn grouped() -> Result<(), ReconcileError> {
    const LENGTHS: [usize; 5] = [4096, 16_384, 65_536, 262_144, 1 << 20];
    const RATES: [f64; 10] = [0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.065, 0.08, 0.11];
    for effort in [Effort::Quick, Effort::Thorough] {
        println!("// {effort:?}");
        for bits in LENGTHS {
            let frames = (6_000_000 / bits as u64).max(48);
            let mut kept = 0;
            print!("[");
            for rate in RATES {
                let outcomes: Result<Vec<Outcome>, _> = (0..frames)
                    .map(|seed| {
                        let settings =
                            GroupedSettings { effort, frame_length: 0, ..GroupedSettings::new(rate, seed) };
                        Ok(reconcile(&Method::Grouped(settings), bits, rate, seed)?.0)
                    })
                    .collect();
                let outcomes = outcomes?;
                let of = |part: fn(&Outcome) -> f64| moments(&outcomes.iter().map(part).collect::<Vec<_>>());
                kept += outcomes.iter().filter(|outcome| !outcome.equal).count();
                print!("({:.0}, {:.0}), ", 1e4 * of(|o| o.efficiency).1, of(|o| o.round_trips).1);
            }
            println!("], // {bits}: {kept} of {} frames kept an error", frames * RATES.len() as u64);
        }
    }
    Ok(())
}

fn codes() -> Result<(), ReconcileError> {
    const LENGTHS: [usize; 7] = [5_000, 16_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];
    const RATES: [f64; 8] = [0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.11];
    for bits in LENGTHS {
        let mut row = String::new();
        let frames = if bits < 200_000 { 300 } else { 120 };
        for rate in RATES {
            let law = needed(bits, rate, frames)?;
            row += &format!("({:.0}, {:.0}), ", 1e4 * law.0, 1e4 * law.1);
            told_by_default(bits, rate, law, frames / 3)?;
        }
        println!("[{row}], // {bits}");
    }
    Ok(())
}

/// Mean and standard deviation of the efficiency from which on a frame is decoded, told as much as at this error rate.
fn needed(bits: usize, rate: f64, frames: u64) -> Result<(f64, f64), ReconcileError> {
    let mut really = rate;
    let mut seen = Vec::new();
    for seed in 0..frames {
        let method = Method::Ldpc(LdpcSettings::new(rate, seed));
        let (reference, noisy, errs) = keys(bits, really, seed);
        let mut server = ReferenceEnd::new(&method, SecretBits::new(reference))?;
        let mut corrector = CorrectingEnd::new(&method, SecretBits::new(noisy))?;
        let Step::Ask(request) = corrector.start() else { continue };
        let decoded = matches!(corrector.reply(&server.answer(&request)?), Ok(Step::Done));
        seen.push((server.disclosed() as f64 / (bits as f64 * binary_entropy(errs)), decoded));
        really *= if decoded { 1.01 } else { 1.0 / 1.01 };
    }
    // The staircase first has to find its place.
    let seen = &seen[seen.len() / 5..];
    let likelihood = |mean: f64, spread: f64| -> f64 {
        let of = |&(told, decoded): &(f64, bool)| {
            let side = if decoded { mean - told } else { told - mean };
            (0.5 * libm::erfc(side / spread * std::f64::consts::FRAC_1_SQRT_2)).max(1e-6).ln()
        };
        seen.iter().map(of).sum()
    };
    let mut best = (f64::NEG_INFINITY, 1.0, 0.01);
    for mean in (0..500).map(|step| 1.0 + 0.002 * f64::from(step)) {
        for spread in (1..200).map(|step| 0.002 * f64::from(step)) {
            let this = likelihood(mean, spread);
            if this > best.0 {
                best = (this, mean, spread);
            }
        }
    }
    Ok((best.1, best.2))
}

/// Prints what frames took at the default settings, and what the law of what they need says.
fn told_by_default(bits: usize, rate: f64, law: (f64, f64), frames: u64) -> Result<(), ReconcileError> {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("law"));
    let mut normal = || {
        let (u, v) = (1.0 - stream.uniform(), stream.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    let (mut took, mut drawn) = (Vec::new(), Vec::new());
    for seed in 0..frames {
        let settings = LdpcSettings::new(rate, seed + 1_000_000);
        let (outcome, seen) = reconcile(&Method::Ldpc(settings), bits, rate, settings.seed)?;
        if outcome.equal {
            took.push((outcome.efficiency, outcome.round_trips));
        }
        for telling in Telling::of_block(&settings, bits)? {
            if let Some(retries) = telling.retries(seen, law.0 + law.1 * normal()) {
                let limit = bits as f64 * binary_entropy(seen);
                drawn.push((telling.disclosed(retries) as f64 / limit, retries as f64 + 1.0));
            }
        }
    }
    let show = |of: &[(f64, f64)]| {
        let (f, f_spread) = moments(&of.iter().map(|one| one.0).collect::<Vec<_>>());
        let (trips, _) = moments(&of.iter().map(|one| one.1).collect::<Vec<_>>());
        format!("f = {f:.3} ({f_spread:.3}), {trips:.2} round trips, {} of {frames} decoded", of.len())
    };
    println!("// {bits} bits, {:.1} %: {}; by the law {}", 100.0 * rate, show(&took), show(&drawn));
    Ok(())
}

//! Reconciliation by low-density parity-check codes. Goal: 200 Mbit/s at the decoder at 2 %, f at most 1.10, in frames
//! of 2^20 bits. Efficiency, failures of the first attempt and sweeps are printed beside the times.
//!
//! `RATE`, `F`, `BITS` and `FRAMES` choose one case: error rate, what is disclosed at first over the Shannon limit,
//! bits of a block (which is one frame) and how many blocks.

use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::{FrameCorrector, LdpcSettings, Step, SyndromeServer};
use bellwether_units::{EntityId, Purpose, Stream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
struct Case {
    rate: f64,
    efficiency: f64,
    bits: usize,
    blocks: u64,
}

fn entropy(p: f64) -> f64 {
    -p * p.log2() - (1.0 - p) * (1.0 - p).log2()
}

fn block(case: &Case, number: u64) -> (BitString, BitString) {
    let mut stream = Stream::new(number, EntityId(0), Purpose::named("bench"));
    let reference = BitString::random(case.bits, &mut stream);
    let mut noisy = reference.clone();
    for bit in 0..case.bits {
        if stream.chance(case.rate) {
            noisy.flip(bit);
        }
    }
    (reference, noisy)
}

/// How long this thread has had a processor, where the system tells; else what the clock says. On a machine that
/// others use as well the two differ.
#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| ORIGIN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

static ORIGIN: OnceLock<Instant> = OnceLock::new();

fn timed<T>(spent: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = now();
    let result = work();
    spent.push(now() - start);
    result
}

/// Prints mean efficiency, the share of blocks that needed more than one message, sweeps a block, and for either end
/// Mbit/s of processor time over the blocks that needed one message.
fn measure(case: &Case) {
    let settings = LdpcSettings { efficiency: case.efficiency, ..LdpcSettings::new(case.rate, 1) };
    let (mut disclosed, mut failures, mut sweeps) = (0, 0, 0);
    let (mut serving, mut correcting) = (Vec::new(), Vec::new());
    for number in 0..=case.blocks {
        let (reference, noisy) = block(case, number);
        let mut server =
            SyndromeServer::new(&settings, SecretBits::new(reference.clone())).expect("settings");
        let mut corrector = FrameCorrector::new(&settings, SecretBits::new(noisy)).expect("settings");
        let (mut asked, mut replied) = (Vec::new(), Vec::new());
        let mut step = corrector.start();
        while let Step::Ask(request) = step {
            let reply = timed(&mut asked, || server.answer(&request)).expect("an honest request");
            step = timed(&mut replied, || corrector.reply(&reply)).expect("an honest reply");
        }
        assert_eq!(corrector.corrected().expose(), &reference);
        if number == 0 {
            // The first block builds the code.
            continue;
        }
        disclosed += server.disclosed();
        failures += u64::from(server.round_trips() > 1);
        sweeps += corrector.sweeps();
        if server.round_trips() == 1 {
            serving.extend(asked);
            correcting.extend(replied);
        }
    }
    let speed = |spent: &[Duration]| {
        let seconds = spent.iter().sum::<Duration>().as_secs_f64();
        (case.bits * spent.len()) as f64 / seconds / 1e6
    };
    let total = (case.bits as u64 * case.blocks) as f64;
    println!(
        "{:>5.1} % {:>8} bits: f {:.3} (first {:.3}), {failures:>3} of {} failed at first, {:>5.1} sweeps, \
         corrector {:>5.0} Mbit/s, server {:>5.0} Mbit/s",
        100.0 * case.rate,
        case.bits,
        disclosed as f64 / total / entropy(case.rate),
        case.efficiency,
        case.blocks,
        sweeps as f64 / case.blocks as f64,
        speed(&correcting),
        speed(&serving),
    );
}

fn main() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<f64>().ok());
    if let Some(rate) = variable("RATE") {
        let efficiency = variable("F").unwrap_or(1.1);
        let bits = variable("BITS").unwrap_or(1_048_576.0) as usize;
        return measure(&Case { rate, efficiency, bits, blocks: variable("FRAMES").unwrap_or(10.0) as u64 });
    }
    for (rate, efficiency) in
        [(0.005, 1.21), (0.01, 1.14), (0.02, 1.09), (0.03, 1.09), (0.05, 1.09), (0.08, 1.09)]
    {
        measure(&Case { rate, efficiency, bits: 1 << 20, blocks: 10 });
    }
    for rate in [0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.11] {
        let efficiency = LdpcSettings::thorough(rate, 1).efficiency;
        measure(&Case { rate, efficiency, bits: 1 << 20, blocks: 10 });
    }
}

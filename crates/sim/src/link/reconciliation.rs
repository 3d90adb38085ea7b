//! What reconciliation takes at detail `blocks`: the measured law of the link's family.

use bellwether_network::Link;
use bellwether_protocol::hardware::Basis;
use bellwether_protocol::qkd::reconcile::grouped::{Effort, GroupedSettings, grouped_estimate};
use bellwether_protocol::qkd::reconcile::ldpc::{Telling, needed_efficiency};
use bellwether_protocol::qkd::reconcile::{
    CascadeVariant, EfficiencyEstimate, Family, LdpcSettings, efficiency_estimate,
};
use bellwether_protocol::qkd::security::BlockStatistics;
use bellwether_units::{Stream, binary_entropy};

/// Bits of a frame of Cascade.
const FRAME: u64 = 1 << 16;
/// Of how many frames at most each is drawn.
const MOST_FRAMES: u64 = 1024;
/// Error rates of the columns of [`ROUND_TRIPS`].
const RATES: [f64; 6] = [0.0025, 0.005, 0.01, 0.02, 0.04, 0.08];
/// Mean and standard deviation of the round trips of one frame, by variant and error rate: measured over 300
/// frames each with the error rate known, by `cargo run --release -p bellwether-protocol --example round_trips`.
#[rustfmt::skip]
const ROUND_TRIPS: [[(f64, f64); RATES.len()]; CascadeVariant::ALL.len()] = [
    [(65.8, 15.9), (66.8, 14.3), (65.8, 13.5), (63.6, 10.1), (61.8, 10.0), (58.4, 7.6)],
    [(78.9, 20.9), (100.2, 25.5), (118.9, 29.2), (184.3, 48.5), (176.4, 36.1), (171.0, 40.1)],
    [(98.9, 26.9), (114.8, 27.6), (145.1, 33.7), (197.2, 44.5), (267.8, 79.2), (355.8, 76.0)],
    [(92.8, 20.0), (111.3, 27.0), (152.4, 30.0), (195.0, 38.8), (258.7, 54.6), (278.8, 43.9)],
];
/// The probability that a frame of Yan's Cascade keeps an error: 4 of 1800 frames. Of the other variants none of 1800 did;
/// of grouped Cascade none of 7320 frames of 2^14 bits, 1820 of 2^16, 960 of 2^18 and as many of 2^20 (`--example frames`).
const ERROR_LEFT_BY_YAN: f64 = 2.2e-3;

/// How a link reconciles.
pub(super) struct Reconciliation {
    family: Family,
    /// Error rates of key and check basis in the last block that was corrected.
    last_rates: Option<(f64, f64)>,
}

/// What reconciliation of a block took.
pub(super) struct Took {
    /// Bits disclosed.
    pub(super) leak: u64,
    /// Questions and answers.
    pub(super) round_trips: u64,
}

impl Reconciliation {
    pub(super) fn new(family: Family) -> Self {
        Self { family, last_rates: None }
    }

    /// What reconciliation of a block with these counts takes; nothing if it gives up.
    pub(super) fn reconcile(&mut self, statistics: &BlockStatistics, fate: &mut Stream) -> Option<Took> {
        let key = statistics.total(Basis::Key);
        let block = Counts {
            sifted: key.sifted,
            rate: key.errors as f64 / key.sifted.max(1) as f64,
            told: statistics.error_rate(Basis::Check).unwrap_or(0.03).clamp(1e-4, 0.25),
        };
        let took = match self.family {
            Family::Cascade(variant) => cascade(variant, &block, fate),
            Family::Grouped(effort) => grouped(effort, &block, fate),
            Family::Ldpc => codes(self.expected_rate(statistics), &block, fate),
        }?;
        self.last_rates = statistics.error_rate(Basis::Check).map(|check| (block.rate, check));
        Some(took)
    }

    /// The error rate that both ends expect in the key basis, as the receiver of a link tells it: that of the last block if
    /// the check basis is like that one's, else what the check basis shows.
    fn expected_rate(&self, statistics: &BlockStatistics) -> f64 {
        let check = statistics.total(Basis::Check);
        let seen = check.error_rate().unwrap_or(0.03);
        let expected = match self.last_rates {
            Some((key, last)) => {
                let deviation = libm::sqrt(last.max(1e-3) / check.sifted.max(1) as f64);
                if libm::fabs(seen - last) < 5.0 * deviation { key } else { seen }
            }
            None => seen,
        };
        expected.clamp(1e-4, 0.25)
    }

    /// The probability that a block of so many sifted bits keeps an error.
    pub(super) fn error_left(&self, sifted: u64) -> f64 {
        match self.family {
            Family::Cascade(CascadeVariant::Yan) => {
                let frames = (sifted / FRAME).max(1) as f64;
                -libm::expm1(frames * libm::log1p(-ERROR_LEFT_BY_YAN))
            }
            _ => 0.0,
        }
    }
}

/// A block as reconciliation meets it.
struct Counts {
    sifted: u64,
    /// The error rate of the key basis.
    rate: f64,
    /// That of the check basis, within what both ends reckon with.
    told: f64,
}

impl Counts {
    /// What both ends of a Cascade disclose at most: three times what the error rate of the check basis would need.
    fn cap(&self, frames: u64) -> f64 {
        let cap = 3.0 * self.sifted as f64 * binary_entropy(self.told) + (64 * frames + 1000) as f64;
        cap.min(self.sifted as f64)
    }
}

fn cascade(variant: CascadeVariant, block: &Counts, fate: &mut Stream) -> Option<Took> {
    let frames = (block.sifted / FRAME).max(1);
    let limit = block.sifted as f64 * binary_entropy(block.rate);
    // The last frame takes the remainder.
    let estimate = efficiency_estimate(variant, (block.sifted / frames) as usize, block.rate);
    let spread = estimate.spread / libm::sqrt(frames as f64);
    let leak = (estimate.mean + spread * normal(fate)) * limit;
    if leak > block.cap(frames) {
        return None;
    }
    let (mean, deviation) = round_trips_of_a_frame(variant, block.rate);
    // The block is done when its last frame is.
    let slowest = (0..frames.min(MOST_FRAMES)).map(|_| normal(fate)).fold(f64::NEG_INFINITY, f64::max);
    Some(Took::of(leak, mean + deviation * slowest))
}

fn grouped(effort: Effort, block: &Counts, fate: &mut Stream) -> Option<Took> {
    let frame = frame_of_grouped();
    let frames = (block.sifted / frame).max(1);
    // The last frame takes the remainder.
    let last = block.sifted - frame * (frames - 1);
    let of = |bits: u64| grouped_estimate(effort, bits as usize, block.rate);
    let (others, longest) = (of(frame), of(last));
    let share = |bits: u64| bits as f64 / block.sifted.max(1) as f64;
    let mean = longest.efficiency * share(last) + others.efficiency * share(block.sifted - last);
    let spread = libm::hypot(
        longest.spread * share(last),
        others.spread * share(frame) * libm::sqrt((frames - 1) as f64),
    );
    let leak = (mean + spread * normal(fate)) * block.sifted as f64 * binary_entropy(block.rate);
    if leak > block.cap(frames) {
        return None;
    }
    // The block is done when its last frame is.
    let mut slowest = longest.round_trips + longest.round_trips_spread * normal(fate);
    for _ in 1..frames.min(MOST_FRAMES) {
        slowest = slowest.max(others.round_trips + others.round_trips_spread * normal(fate));
    }
    Some(Took::of(leak, slowest))
}

fn codes(expected: f64, block: &Counts, fate: &mut Stream) -> Option<Took> {
    let mut took = Took { leak: 0, round_trips: 0 };
    for telling in Telling::of_block(&LdpcSettings::new(expected, 0), block.sifted as usize).ok()? {
        let share = telling.bits() as f64 / block.sifted as f64;
        // So much do the frames of a block differ.
        let variance = block.rate * (1.0 - block.rate) / telling.bits() as f64 * (1.0 - share).max(0.0);
        let rate = (block.rate + libm::sqrt(variance) * normal(fate)).clamp(0.0, 0.5);
        let EfficiencyEstimate { mean, spread } = needed_efficiency(telling.bits(), rate);
        let retries = telling.retries(rate, mean + spread * normal(fate))?;
        took.leak += telling.disclosed(retries);
        took.round_trips = took.round_trips.max(1 + retries);
    }
    Some(took)
}

impl Took {
    fn of(leak: f64, round_trips: f64) -> Self {
        Self { leak: libm::ceil(leak.max(0.0)) as u64, round_trips: libm::round(round_trips.max(1.0)) as u64 }
    }
}

/// Bits of a frame of grouped Cascade.
fn frame_of_grouped() -> u64 {
    GroupedSettings::new(0.0, 0).frame_length as u64
}

/// Mean and standard deviation of the round trips of a frame of Cascade.
fn round_trips_of_a_frame(variant: CascadeVariant, rate: f64) -> (f64, f64) {
    let place = CascadeVariant::ALL.iter().position(|&other| other == variant).unwrap_or(0);
    let row = &ROUND_TRIPS[place];
    let rate = rate.clamp(RATES[0], RATES[RATES.len() - 1]);
    let right = RATES.partition_point(|&node| node <= rate).clamp(1, RATES.len() - 1);
    let part = libm::log(rate / RATES[right - 1]) / libm::log(RATES[right] / RATES[right - 1]);
    let between = |a: f64, b: f64| a + part * (b - a);
    (between(row[right - 1].0, row[right].0), between(row[right - 1].1, row[right].1))
}

/// Round trips of a block of `link` at this error rate, on average.
pub(super) fn expected_round_trips(link: &Link, family: Family, error_rate: f64) -> u64 {
    let bits = link.protocol.block_size.bits();
    match family {
        Family::Cascade(variant) => {
            let (mean, deviation) = round_trips_of_a_frame(variant, error_rate);
            let frames = (bits / FRAME).clamp(1, MOST_FRAMES);
            libm::round(mean + deviation * mean_of_greatest(frames)) as u64
        }
        Family::Grouped(effort) => {
            let frames = (bits / frame_of_grouped()).clamp(1, MOST_FRAMES);
            let estimate = grouped_estimate(effort, (bits / frames) as usize, error_rate);
            let greatest = estimate.round_trips_spread * mean_of_greatest(frames);
            libm::round(estimate.round_trips + greatest) as u64
        }
        Family::Ldpc => expected_round_trips_of_codes(bits, error_rate),
    }
}

/// One more than the mean of the greatest number of retries among the frames of a block.
fn expected_round_trips_of_codes(bits: u64, rate: f64) -> u64 {
    let rate = rate.clamp(1e-4, 0.25);
    let Ok(frames) = Telling::of_block(&LdpcSettings::new(rate, 0), bits as usize) else { return 1 };
    let Some(frame) = frames.first() else { return 1 };
    let needed = needed_efficiency(frame.bits(), rate);
    // The rate that is expected is that of a block before, and a frame's differs from it by chance.
    let chance = rate * (1.0 - rate) * (1.0 / frame.bits() as f64 + 1.0 / bits as f64);
    let slope = libm::log2((1.0 - rate) / rate) / binary_entropy(rate);
    let spread = libm::hypot(needed.spread, needed.mean * slope * libm::sqrt(chance));
    let within = |retries: u64| {
        let distance = (frame.efficiency(retries, rate) - needed.mean) / spread;
        libm::pow(below(distance), frames.len() as f64)
    };
    let retries: f64 = (0..Telling::RETRIES).map(|retries| 1.0 - within(retries)).sum();
    1 + libm::round(retries) as u64
}

/// The probability that a standard normal variate is below `x`.
fn below(x: f64) -> f64 {
    0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2)
}

/// Mean of the greatest of `n` standard normal variates: the integral of 1 - F^n above zero less that of F^n
/// below.
fn mean_of_greatest(n: u64) -> f64 {
    const STEP: f64 = 0.01;
    let below = |x: f64| libm::pow(below(x), n as f64);
    (0..800).map(|i| (f64::from(i) + 0.5) * STEP).map(|x| (1.0 - below(x) - below(-x)) * STEP).sum()
}

/// A standard normal variate (Box & Muller, Ann. Math. Stat. 29, 610 (1958)).
fn normal(fate: &mut Stream) -> f64 {
    let (u, v) = (1.0 - fate.uniform(), fate.uniform());
    libm::sqrt(-2.0 * libm::log(u)) * libm::cos(core::f64::consts::TAU * v)
}

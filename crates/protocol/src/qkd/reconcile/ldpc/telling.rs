//! What frames are told, attempt by attempt, for planning and for simulation without bits.

use super::super::one_way::binary_entropy;
use super::super::{EfficiencyEstimate, ReconcileError};
use super::LdpcSettings;
use super::plan::{Plan, RETRIES, step};

/// Frame lengths of the rows of [`NEEDED`].
const LENGTHS: [f64; 7] = [5e3, 16e3, 50e3, 1e5, 2e5, 5e5, 1e6];

/// Error rates of the columns of [`NEEDED`].
const RATES: [f64; 8] = [0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.11];

/// Mean and standard deviation, in units of 10^-4, of the efficiency from which on a frame is decoded, by frame length and
/// error rate: measured with the code that the default settings take at that rate, on 300 frames a cell, 120 of 200 kbit and
/// more, by `cargo run --release -p bellwether-protocol --example frames -- ldpc`. The codes of short frames follow from these
/// figures themselves: they were taken from an earlier round of the same measurement.
#[rustfmt::skip]
const NEEDED: [[(u16, u16); RATES.len()]; LENGTHS.len()] = [
    [(16500, 2500), (14120, 1500), (13380, 880), (13640, 1040), (12900, 900), (12700, 840), (12420, 660), (12420, 600)], // 5000
    [(14740, 1000), (12340, 440), (11720, 320), (11540, 240), (11360, 200), (11060, 160), (11100, 80), (11440, 240)], // 16000
    [(11920, 360), (11580, 240), (11140, 180), (11020, 160), (10940, 140), (10900, 140), (11040, 140), (11200, 80)], // 50000
    [(11800, 300), (11320, 160), (11100, 160), (10980, 120), (10900, 100), (10880, 80), (11040, 120), (11200, 60)], // 100000
    [(11600, 180), (11400, 160), (10820, 100), (10880, 60), (10820, 60), (10840, 80), (10900, 60), (11060, 40)], // 200000
    [(11440, 180), (11300, 100), (10840, 40), (10560, 80), (10540, 80), (10500, 40), (10500, 40), (10420, 40)], // 500000
    [(11400, 120), (11260, 80), (10820, 40), (10500, 60), (10560, 60), (10480, 20), (10500, 20), (10420, 20)], // 1000000
];

/// The efficiency from which on a frame of `frame_length` bits at `error_rate` is decoded: its mean, and its standard deviation
/// from frame to frame. It is compared with [`Telling::efficiency`] at the error rate that the frame really has.
///
/// Between measured points it is interpolated in the logarithms of both; beyond them it counts as at the nearest.
///
/// ```
/// use bellwether_protocol::qkd::reconcile::ldpc::needed_efficiency;
///
/// let needed = needed_efficiency(1_000_000, 0.02);
/// assert!(1.04 < needed.mean && needed.mean + 3.0 * needed.spread < 1.11);
/// ```
pub fn needed_efficiency(frame_length: usize, error_rate: f64) -> EfficiencyEstimate {
    let (row, down) = place(&LENGTHS, frame_length as f64);
    let (column, right) = place(&RATES, error_rate);
    let at = |part: fn((u16, u16)) -> u16| {
        let cell = |row: usize, column: usize| 1e-4 * f64::from(part(NEEDED[row][column]));
        let along = |row: usize| (1.0 - right) * cell(row, column) + right * cell(row, column + 1);
        (1.0 - down) * along(row) + down * along(row + 1)
    };
    EfficiencyEstimate { mean: at(|cell| cell.0), spread: at(|cell| cell.1) }
}

/// The interval of rising `nodes` that holds `value`, or is nearest to it, and how far into it, by logarithms.
fn place(nodes: &[f64], value: f64) -> (usize, f64) {
    let value = value.clamp(nodes[0], nodes[nodes.len() - 1]);
    let index = nodes.partition_point(|&node| node <= value).clamp(1, nodes.len() - 1) - 1;
    (index, libm::log(value / nodes[index]) / libm::log(nodes[index + 1] / nodes[index]))
}

/// What a frame is told at first and at each retry, as the code says that its settings choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Words of sifted bits.
    words: usize,
    /// Words that are told at first.
    first: usize,
    /// Words that are known to neither end before they are told.
    punctured: usize,
    /// Words that are told at each retry.
    step: usize,
}

impl Telling {
    /// How often a frame that is not decoded is told more.
    pub const RETRIES: u64 = RETRIES;

    /// What each frame of a block of so many bits is told.
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn of_block(settings: &LdpcSettings, bits: usize) -> Result<Vec<Self>, ReconcileError> {
        let plan = Plan::new(settings, bits)?;
        let of_frame = |words| {
            let (shape, punctured) = plan.choose(words);
            let checks = shape.checks();
            Self { words, first: checks - punctured, punctured, step: step(checks) }
        };
        Ok(plan.starts.windows(2).map(|ends| of_frame(ends[1] - ends[0])).collect())
    }

    /// Bits of the frame, those that fill up its last word included.
    pub fn bits(&self) -> usize {
        64 * self.words
    }

    /// Bits that were disclosed after so many retries.
    pub fn disclosed(&self, retries: u64) -> u64 {
        64 * (self.first + self.told_after(retries)) as u64
    }

    /// What the parities come to, after so many retries, over what the bits that were not told need at the Shannon limit.
    /// A sifted bit that is told is one less to be found; a punctured one is a parity more.
    pub fn efficiency(&self, retries: u64, error_rate: f64) -> f64 {
        let told = self.told_after(retries);
        let punctured = told.min(self.punctured);
        let open = (self.words + punctured - told) as f64;
        (self.first + punctured) as f64 / (open * binary_entropy(error_rate)).max(f64::MIN_POSITIVE)
    }

    /// After how many retries a frame that errs at this rate is decoded, if it is when the [`efficiency`](Self::efficiency)
    /// reaches `needed`; `None` if it never does.
    pub fn retries(&self, error_rate: f64, needed: f64) -> Option<u64> {
        (0..=RETRIES).find(|&retries| self.efficiency(retries, error_rate) >= needed)
    }

    fn told_after(&self, retries: u64) -> usize {
        (retries as usize).saturating_mul(self.step).min(self.punctured + self.words)
    }
}

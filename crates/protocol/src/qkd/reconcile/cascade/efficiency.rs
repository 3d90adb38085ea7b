//! How much reconciliation discloses, for planning and for simulation without bits.

use super::CascadeVariant;
use super::binary_entropy;

/// Frame lengths of the rows of [`MEASURED`].
pub(super) const LENGTHS: [usize; 4] = [4096, 16_384, 65_536, 262_144];

/// Error rates of the columns of [`MEASURED`].
pub(super) const RATES: [f64; 10] = [0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.055, 0.08, 0.11];

/// Mean and spread in units of 10^-4, by variant, frame length and error rate: measured on 6 Mbit a cell by the
/// test `measure_the_table`, at the default pace and with the right error rate expected.
#[rustfmt::skip]
const MEASURED: [[[(u16, u16); RATES.len()]; LENGTHS.len()]; 4] = [
    // Original
    [
        [(10900, 660), (11143, 221), (11284, 147), (11344, 122), (11402, 116), (11553, 95), (11641, 91), (11765, 76), (11983, 79), (12268, 63)], // 4096
        [(11059, 124), (11137, 92), (11261, 70), (11365, 59), (11420, 52), (11559, 46), (11650, 40), (11751, 34), (11969, 39), (12257, 32)], // 16384
        [(11023, 53), (11103, 37), (11238, 31), (11363, 29), (11418, 29), (11555, 19), (11647, 21), (11744, 17), (11964, 20), (12253, 16)], // 65536
        [(11021, 26), (11121, 19), (11253, 18), (11375, 11), (11423, 12), (11563, 14), (11646, 11), (11749, 10), (11963, 11), (12249, 7)], // 262144
    ],
    // Yan
    [
        [(11400, 613), (11012, 433), (10808, 275), (10693, 205), (10711, 196), (10660, 158), (10717, 141), (10695, 122), (10861, 117), (10848, 111)], // 4096
        [(10738, 290), (10636, 163), (10575, 128), (10512, 94), (10547, 88), (10523, 65), (10602, 63), (10585, 58), (10768, 58), (10763, 53)], // 16384
        [(10588, 143), (10491, 60), (10494, 46), (10430, 46), (10473, 35), (10474, 28), (10564, 31), (10549, 27), (10741, 27), (10739, 31)], // 65536
        [(10507, 94), (10455, 22), (10472, 24), (10404, 35), (10458, 15), (10459, 13), (10558, 16), (10536, 8), (10731, 14), (10726, 9)], // 262144
    ],
    // Option7
    [
        [(12057, 722), (11198, 372), (10834, 251), (10754, 205), (10668, 170), (10673, 143), (10629, 127), (10689, 118), (10733, 103), (10884, 104)], // 4096
        [(10792, 293), (10640, 175), (10531, 118), (10511, 94), (10452, 76), (10504, 64), (10470, 50), (10562, 58), (10605, 52), (10759, 55)], // 16384
        [(10482, 93), (10468, 84), (10395, 52), (10405, 42), (10375, 35), (10433, 35), (10424, 28), (10519, 35), (10567, 27), (10722, 33)], // 65536
        [(10392, 32), (10391, 63), (10363, 26), (10375, 20), (10344, 16), (10400, 10), (10403, 18), (10509, 28), (10552, 10), (10709, 9)], // 262144
    ],
    // Option8
    [
        [(12057, 722), (11198, 372), (10826, 246), (10711, 198), (10672, 166), (10616, 142), (10637, 128), (10633, 121), (10749, 110), (10794, 109)], // 4096
        [(10706, 164), (10623, 132), (10494, 88), (10450, 74), (10452, 61), (10434, 56), (10477, 48), (10516, 50), (10638, 52), (10701, 53)], // 16384
        [(10533, 62), (10508, 84), (10402, 54), (10377, 40), (10404, 35), (10385, 28), (10444, 28), (10502, 27), (10622, 30), (10683, 32)], // 65536
        [(10477, 27), (10441, 64), (10369, 10), (10344, 13), (10378, 22), (10364, 12), (10423, 13), (10494, 11), (10611, 12), (10679, 12)], // 262144
    ],
];

/// What reconciliation is expected to disclose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EfficiencyEstimate {
    /// The mean of disclosed bits over the Shannon limit `n h(Q)`.
    pub mean: f64,
    /// The standard deviation of this ratio from frame to frame, when the number of errors is as expected. That of
    /// a block of several frames is smaller by the square root of their number.
    pub spread: f64,
}

/// The efficiency that a frame of `frame_length` bits has at `error_rate`, at the default
/// [`Pace`](super::Pace) and when the rate is known.
///
/// Between measured points it is interpolated in the logarithms of both. Frames longer than 2^18 bits count as 2^18,
/// and rates above 11 % as 11 %. In frames shorter than 4096 bits, what is lost to shortness grows as one over the
/// length; below 0.25 %, the number of bits beyond the Shannon limit is constant. Both are rough. Rates below 10^-6 count
/// as 10^-6.
///
/// ```
/// use bellwether_protocol::qkd::reconcile::{CascadeVariant, efficiency_estimate};
///
/// let f = efficiency_estimate(CascadeVariant::Option8, 65_536, 0.02).mean;
/// assert!(1.03 < f && f < 1.05);
/// ```
pub fn efficiency_estimate(
    variant: CascadeVariant,
    frame_length: usize,
    error_rate: f64,
) -> EfficiencyEstimate {
    let (lengths, rates) = (LENGTHS.map(|length| length as f64), RATES);
    let (shortest, longest) = (lengths[0], lengths[lengths.len() - 1]);
    let (lowest, highest) = (rates[0], rates[rates.len() - 1]);
    let length = (frame_length as f64).clamp(1.0, longest);
    let rate = error_rate.clamp(1e-6, highest);
    let (column, right) = place(&rates, rate.max(lowest));
    let table = &MEASURED[CascadeVariant::ALL.iter().position(|&other| other == variant).unwrap_or(0)];
    let at = |length: f64, part: fn((u16, u16)) -> u16| {
        let (row, down) = place(&lengths, length);
        let cell = |row: usize, column: usize| f64::from(part(table[row][column])) * 1e-4;
        let along = |row: usize| (1.0 - right) * cell(row, column) + right * cell(row, column + 1);
        (1.0 - down) * along(row) + down * along(row + 1)
    };
    let (mut mean, mut spread) =
        (at(length.max(shortest), |cell| cell.0), at(length.max(shortest), |cell| cell.1));
    if length < shortest {
        let long = at(longest, |cell| cell.0);
        mean = long + (mean - long) * shortest / length;
        spread *= libm::sqrt(shortest / length);
    }
    if rate < lowest {
        let stretch = binary_entropy(lowest) / binary_entropy(rate);
        (mean, spread) = (1.0 + (mean - 1.0) * stretch, spread * stretch);
    }
    EfficiencyEstimate { mean, spread }
}

/// How many bits a block of `block_length` bits in frames of `frame_length` is expected to disclose.
pub fn expected_disclosure(
    variant: CascadeVariant,
    block_length: usize,
    frame_length: usize,
    error_rate: f64,
) -> f64 {
    let frame_length = if frame_length == 0 { block_length } else { frame_length.min(block_length) };
    let rate = error_rate.clamp(1e-6, 0.5);
    efficiency_estimate(variant, frame_length, rate).mean * block_length as f64 * binary_entropy(rate)
}

/// The interval of rising `nodes` that holds `value`, and how far into it, by logarithms.
fn place(nodes: &[f64], value: f64) -> (usize, f64) {
    let index = nodes.partition_point(|&node| node <= value).clamp(1, nodes.len() - 1) - 1;
    let ratio = |x: f64| libm::log(x / nodes[index]);
    (index, (ratio(value) / ratio(nodes[index + 1])).clamp(0.0, 1.0))
}

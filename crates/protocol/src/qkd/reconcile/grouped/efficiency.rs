//! How much is disclosed and how many round trips it takes, for planning.

use super::Effort;
use super::binary_entropy;

/// Frame lengths of the rows of [`MEASURED`].
pub(super) const LENGTHS: [usize; 5] = [4096, 16_384, 65_536, 262_144, 1 << 20];

/// Error rates of the columns of [`MEASURED`].
pub(super) const RATES: [f64; 10] = [0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.065, 0.08, 0.11];

/// Efficiency in units of 10^-4 and round trips, by effort, frame length and error rate: measured by the test
/// `measure_the_tables_of_grouped`, with the right error rate expected.
#[rustfmt::skip]
const MEASURED: [[[(u16, u16); RATES.len()]; LENGTHS.len()]; 2] = [
    // Quick
    [
        [(12254, 36), (11484, 55), (11105, 79), (10914, 86), (10890, 105), (10751, 109), (10716, 118), (10706, 135), (10774, 151), (10724, 136)], // 4096
        [(10882, 98), (10674, 134), (10550, 173), (10467, 176), (10479, 205), (10421, 202), (10448, 209), (10450, 228), (10518, 248), (10498, 215)], // 16384
        [(10433, 217), (10369, 266), (10334, 327), (10292, 312), (10323, 363), (10292, 313), (10353, 312), (10352, 336), (10424, 362), (10423, 308)], // 65536
        [(10264, 358), (10244, 436), (10239, 462), (10222, 460), (10259, 491), (10245, 443), (10315, 420), (10316, 436), (10391, 455), (10397, 427)], // 262144
        [(10221, 579), (10211, 590), (10218, 678), (10206, 506), (10244, 552), (10237, 543), (10308, 482), (10310, 564), (10385, 554), (10394, 485)], // 1048576
    ],
    // Thorough
    [
        [(11911, 31), (11393, 54), (11050, 86), (10898, 97), (10857, 125), (10737, 136), (10669, 154), (10658, 186), (10672, 210), (10595, 195)], // 4096
        [(10844, 108), (10670, 158), (10544, 227), (10470, 244), (10469, 297), (10409, 302), (10398, 324), (10405, 368), (10419, 403), (10378, 358)], // 16384
        [(10425, 276), (10370, 392), (10313, 505), (10289, 503), (10293, 599), (10281, 559), (10293, 563), (10299, 612), (10318, 646), (10296, 551)], // 65536
        [(10256, 596), (10234, 739), (10220, 860), (10214, 817), (10228, 894), (10222, 802), (10242, 852), (10264, 873), (10280, 876), (10266, 824)], // 262144
        [(10212, 887), (10196, 989), (10199, 1172), (10192, 1069), (10212, 1104), (10208, 1007), (10240, 1041), (10251, 1062), (10273, 1122), (10261, 989)], // 1048576
    ],
];

/// Standard deviations of the same from frame to frame, in the same units, when the number of errors is as expected: measured
/// on 6 Mbit a cell or 48 frames, whichever is more, by
/// `cargo run --release -p bellwether-protocol --example frames -- grouped`. None of those 40 340 frames kept an error.
#[rustfmt::skip]
const SPREADS: [[[(u16, u16); RATES.len()]; LENGTHS.len()]; 2] = [
    // Quick
    [
        [(1223, 14), (346, 18), (168, 21), (142, 23), (128, 26), (127, 28), (123, 30), (110, 33), (100, 37), (103, 32)], // 4096
        [(134, 27), (96, 34), (84, 43), (76, 46), (73, 52), (63, 50), (53, 46), (51, 51), (50, 56), (46, 46)], // 16384
        [(71, 55), (60, 88), (42, 69), (35, 78), (30, 75), (27, 75), (24, 65), (22, 75), (18, 68), (20, 54)], // 65536
        [(33, 95), (27, 115), (19, 98), (14, 90), (13, 80), (12, 85), (8, 79), (9, 63), (12, 79), (9, 59)], // 262144
        [(20, 161), (12, 91), (8, 116), (9, 84), (7, 86), (6, 91), (5, 79), (5, 66), (7, 74), (5, 62)], // 1048576
    ],
    // Thorough
    [
        [(1197, 13), (346, 18), (161, 23), (141, 26), (131, 30), (128, 32), (118, 36), (110, 44), (103, 47), (96, 46)], // 4096
        [(132, 29), (100, 39), (90, 52), (78, 59), (73, 74), (71, 79), (54, 87), (54, 83), (48, 100), (46, 79)], // 16384
        [(80, 65), (60, 106), (47, 110), (39, 137), (33, 115), (30, 148), (25, 133), (23, 119), (22, 110), (21, 111)], // 65536
        [(36, 161), (27, 200), (20, 144), (14, 145), (17, 239), (11, 183), (11, 152), (10, 204), (9, 156), (10, 118)], // 262144
        [(17, 276), (13, 252), (9, 221), (8, 242), (7, 246), (5, 159), (5, 166), (6, 137), (7, 210), (4, 118)], // 1048576
    ],
];

/// What reconciliation of one frame is expected to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupedEstimate {
    /// The mean of disclosed bits over the Shannon limit `n h(Q)`.
    pub efficiency: f64,
    /// The standard deviation of this ratio from frame to frame, when the number of errors is as expected. That of a block of
    /// several frames is smaller by the square root of their number.
    pub spread: f64,
    /// The mean of dependent round trips. Frames and blocks side by side take hardly more than the slowest of them.
    pub round_trips: f64,
    /// Their standard deviation from frame to frame.
    pub round_trips_spread: f64,
}

/// What a frame of `frame_length` bits takes at `error_rate`, when the rate is known.
///
/// Between measured points it is interpolated in the logarithms of both. Frames longer than 2^20 bits count as 2^20,
/// and rates above 11 % as 11 %. In frames shorter than 4096 bits, what is lost to shortness grows as one over the
/// length; below 0.25 %, the number of bits beyond the Shannon limit is constant. Both are rough.
///
/// ```
/// use bellwether_protocol::qkd::reconcile::grouped::{Effort, grouped_estimate};
///
/// let f = grouped_estimate(Effort::Thorough, 1 << 20, 0.02).efficiency;
/// assert!(1.01 < f && f < 1.03);
/// ```
pub fn grouped_estimate(effort: Effort, frame_length: usize, error_rate: f64) -> GroupedEstimate {
    let lengths = LENGTHS.map(|length| length as f64);
    let (shortest, longest) = (lengths[0], lengths[LENGTHS.len() - 1]);
    let (lowest, highest) = (RATES[0], RATES[RATES.len() - 1]);
    let length = (frame_length as f64).clamp(1.0, longest);
    let rate = error_rate.clamp(1e-6, highest);
    let (row, down) = place(&lengths, length.max(shortest));
    let (column, right) = place(&RATES, rate.max(lowest));
    let at = |tables: &[[[(u16, u16); RATES.len()]; LENGTHS.len()]; 2], part: fn((u16, u16)) -> u16| {
        let table = &tables[effort as usize];
        let cell = |row: usize, column: usize| f64::from(part(table[row][column]));
        let along = |row: usize| (1.0 - right) * cell(row, column) + right * cell(row, column + 1);
        (1.0 - down) * along(row) + down * along(row + 1)
    };
    let mut efficiency = 1e-4 * at(&MEASURED, |cell| cell.0);
    let mut spread = 1e-4 * at(&SPREADS, |cell| cell.0);
    if length < shortest {
        efficiency = 1.0 + (efficiency - 1.0) * shortest / length;
        spread *= libm::sqrt(shortest / length);
    }
    if rate < lowest {
        let stretch = binary_entropy(lowest) / binary_entropy(rate);
        (efficiency, spread) = (1.0 + (efficiency - 1.0) * stretch, spread * stretch);
    }
    GroupedEstimate {
        efficiency,
        spread,
        round_trips: at(&MEASURED, |cell| cell.1),
        round_trips_spread: at(&SPREADS, |cell| cell.1),
    }
}

/// The interval of rising `nodes` that holds `value`, and how far into it, by logarithms.
fn place(nodes: &[f64], value: f64) -> (usize, f64) {
    let index = nodes.partition_point(|&node| node <= value).clamp(1, nodes.len() - 1) - 1;
    let ratio = |x: f64| libm::log(x / nodes[index]);
    (index, (ratio(value) / ratio(nodes[index + 1])).clamp(0.0, 1.0))
}

//! How much reconciliation discloses, for planning.

use super::CascadeVariant;

/// An expected efficiency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EfficiencyEstimate {
    /// The mean of disclosed bits over `n h(Q)`.
    pub mean: f64,
    /// The standard deviation of one frame's.
    pub spread: f64,
}

/// The efficiency that a frame of `frame_length` bits is expected to have at error rate `error_rate`.
pub fn efficiency_estimate(
    variant: CascadeVariant,
    frame_length: usize,
    error_rate: f64,
) -> EfficiencyEstimate {
    let _ = frame_length;
    let mean = match variant {
        CascadeVariant::Original => 1.11 + 1.2 * error_rate,
        CascadeVariant::Yan => 1.04 + 0.3 * error_rate,
        CascadeVariant::Option7 | CascadeVariant::Option8 => 1.025 + 0.4 * error_rate,
    };
    EfficiencyEstimate { mean, spread: 0.005 }
}

//! The counts of a block of pulses, drawn in bulk: for large networks and long times.

use crate::Basis;
use crate::link::LinkModel;
use bellwether_units::Stream;

/// The counts of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockCounts {
    /// How many pulses the block took.
    pub pulses: u64,
    /// All recorded clicks, sifted or not.
    pub clicks: u64,
    /// Those in which both detectors fired.
    pub double_clicks: u64,
    /// Sifted clicks, double clicks included: by basis (key, check) and class.
    pub sifted: [Vec<u64>; 2],
    /// How many of them are in error: by basis (key, check) and class.
    pub errors: [Vec<u64>; 2],
}

impl BlockCounts {
    /// Sifted clicks in `basis`, all classes together.
    pub fn sifted_in(&self, basis: Basis) -> u64 {
        self.sifted[basis.index()].iter().sum()
    }
    /// Errors in `basis`, all classes together.
    pub fn errors_in(&self, basis: Basis) -> u64 {
        self.errors[basis.index()].iter().sum()
    }
}

/// Draws the counts of blocks. See the [module](self).
#[derive(Clone, Debug)]
pub struct BlockSampler {
    owed: u64,
}

impl BlockSampler {
    /// A sampler of `model` with both detectors alive.
    pub fn new(model: &LinkModel) -> Self {
        let mut sampler = Self { owed: 0 };
        sampler.set_model(model);
        sampler
    }
    /// Goes on by another model.
    pub fn set_model(&mut self, _model: &LinkModel) {
        self.owed = 0;
    }
    /// Replaces `out` by the counts of the next `pulses` pulses.
    pub fn sample_pulses(&mut self, pulses: u64, stream: &mut Stream, out: &mut BlockCounts) {
        self.sample_until(u64::MAX, pulses, stream, out);
    }
    /// Replaces `out` by the counts of the pulses until `key_clicks` sifted clicks in the key basis are there, or
    /// until `most_pulses` pulses have passed; [`BlockCounts::pulses`] tells how many it took.
    pub fn sample_until(
        &mut self,
        _key_clicks: u64,
        most_pulses: u64,
        _stream: &mut Stream,
        out: &mut BlockCounts,
    ) {
        out.pulses = most_pulses;
    }
}

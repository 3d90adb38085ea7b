//! Detector blinding with faked states.

use super::{AttackError, BasisChoice, Knowledge};
use crate::Basis;
use crate::link::{Arrival, LinkModel};
use bellwether_units::Current;

/// Blinds the detectors with bright light and dictates their clicks (Lydersen et al., Nature Photonics 4, 686
/// (2010)).
///
/// The eavesdropper measures with a copy of the receiver and sends bright pulses that make a detector click if the
/// receiver measures in her basis, and none if not. There are no dark counts, after-pulses or double clicks any more;
/// error rates stay as they were; the count falls by the share of unequal bases, which a better receiver, nearer to the
/// transmitter, makes up for. The receiver's own hold-off after a click goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blinding {
    /// How the eavesdropper measures what the transmitter sends. Breidbart is refused.
    pub basis: BasisChoice,
    /// Whether the loss of clicks at unequal bases is made up, so far as there are photons to measure.
    pub compensate_gain: bool,
    /// The current that the blinding light draws through the detectors.
    pub photocurrent: Current,
}

impl Blinding {
    fn check(&self) -> Result<(), AttackError> {
        self.basis.check()?;
        if self.basis == BasisChoice::Breidbart {
            return Err(AttackError::BlindingBreidbart);
        }
        if !self.photocurrent.amperes().is_finite() || self.photocurrent.amperes() < 0.0 {
            return Err(AttackError::Photocurrent(self.photocurrent));
        }
        Ok(())
    }

    pub(super) fn on(&self, honest: &LinkModel) -> Result<LinkModel, AttackError> {
        self.check()?;
        let parameters = honest.parameters();
        let signal = parameters.source.brightest();
        let arrivals = (0..honest.intensities())
            .map(|k| {
                Basis::BOTH.map(|prepared| {
                    let mut cases = Vec::new();
                    for basis in Basis::BOTH {
                        let chosen = self.basis.probability(basis).unwrap_or(0.0);
                        if chosen == 0.0 {
                            continue;
                        }
                        let gain = honest.gain(signal, basis);
                        let most = parameters.source.photons(signal).seen(1.0);
                        let factor = if self.compensate_gain && gain > 0.0 {
                            f64::max(f64::min(1.0 / chosen, most / gain), 1.0)
                        } else {
                            1.0
                        };
                        let probability = f64::min(factor * honest.outcome(k, prepared, basis).click(), 1.0);
                        let wrong = if prepared == basis { honest.error_rate(k, basis) } else { 0.5 };
                        cases.push((chosen, Arrival::Faked { basis, probability, wrong }));
                    }
                    cases
                })
            })
            .collect();
        Ok(LinkModel::from_arrivals(parameters.clone(), &arrivals, Some(self.photocurrent)))
    }

    pub(super) fn knowledge(&self) -> Result<Knowledge, AttackError> {
        self.check()?;
        let clicks = self.basis.probability(Basis::Key).unwrap_or(0.0) > 0.0;
        Ok(Knowledge::certain(f64::from(clicks)))
    }
}

//! Intercept and resend.

use super::{AttackError, BasisChoice, Knowledge, checked, mean_over_clicks};
use crate::Basis;
use crate::link::{Arrival, LinkModel};
use bellwether_units::binary_entropy;

/// Measures a fraction of the pulses and sends on what was found.
///
/// The eavesdropper sits at the transmitter, is told the number of photons without disturbing them, measures without
/// error of her own and sends as many photons on in the state she found; so no gain changes, and the error rate
/// rises by fraction/4 x (1 - 2e) over the intrinsic e, at bases chosen with equal probabilities or at Breidbart's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InterceptResend {
    /// The fraction of pulses attacked.
    pub fraction: f64,
    /// How they are measured.
    pub basis: BasisChoice,
}

/// cos²(22.5°): the probability that a measurement in Breidbart's basis gives the bit that was prepared.
const BREIDBART: f64 = 0.853_553_390_593_273_8;

impl InterceptResend {
    pub(super) fn on(&self, honest: &LinkModel) -> Result<LinkModel, AttackError> {
        checked("fraction of pulses attacked", self.fraction)?;
        self.basis.check()?;
        let parameters = honest.parameters();
        let transmittance = parameters.channel_loss.transmittance();
        let e = parameters.misalignment.error_probability();
        // A share `f` of wrong light becomes this after the misalignment.
        let misaligned = |f: f64| f * (1.0 - e) + (1.0 - f) * e;
        let arrivals = (0..honest.intensities())
            .map(|k| {
                Basis::BOTH.map(|prepared| {
                    let photons = parameters.source.photons(k);
                    let mut cases = Vec::new();
                    let mut case = |weight: f64, key: f64, check: f64| {
                        let wrong = [misaligned(key), misaligned(check)];
                        cases.push((
                            weight,
                            Arrival::Light { photons: photons.clone(), transmittance, wrong },
                        ));
                    };
                    // In `basis`, with the share `f` of wrong light there and none to tell in the other.
                    let mut in_basis = |weight: f64, basis: Basis, f: f64| match basis {
                        Basis::Key => case(weight, f, 0.5),
                        Basis::Check => case(weight, 0.5, f),
                    };
                    in_basis(1.0 - self.fraction, prepared, 0.0);
                    let mut breidbart = true;
                    for basis in Basis::BOTH {
                        if let Some(p) = self.basis.probability(basis) {
                            breidbart = false;
                            if basis == prepared {
                                in_basis(self.fraction * p, basis, 0.0);
                            } else {
                                in_basis(self.fraction * p / 2.0, basis, 0.0);
                                in_basis(self.fraction * p / 2.0, basis, 1.0);
                            }
                        }
                    }
                    if breidbart {
                        let (right, wrong) = (BREIDBART, 1.0 - BREIDBART);
                        case(self.fraction * right, wrong, wrong);
                        case(self.fraction * wrong, right, right);
                    }
                    cases
                })
            })
            .collect();
        Ok(LinkModel::from_arrivals(parameters.clone(), &arrivals, None))
    }

    pub(super) fn knowledge(&self, honest: &LinkModel) -> Result<Knowledge, AttackError> {
        checked("fraction of pulses attacked", self.fraction)?;
        self.basis.check()?;
        // Of a pulse without photons there is nothing to know.
        let lit = mean_over_clicks(honest, |k| {
            let vacuum = honest.parameters().source.photons(k).probability(0);
            honest.gain(k, Basis::Key) - vacuum * honest.dark_click()
        });
        Ok(match self.basis.probability(Basis::Key) {
            Some(p) => Knowledge::certain(self.fraction * p * lit),
            None => Knowledge {
                known_fraction: 0.0,
                information: self.fraction * lit * (1.0 - binary_entropy(BREIDBART)),
            },
        })
    }
}

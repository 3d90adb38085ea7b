//! Bounds on what an eavesdropper cannot know: empty pulses, single photons and their phase errors.

mod margins;
mod one_decoy;
mod sampling;
mod single_photon;
mod two_decoy;

use super::{EpsilonPart, Epsilons, ExpectedStatistics, NoKey, Penalty, SecurityParameters, SourceClass};
use core::fmt;
use libm::log2;
pub(super) use margins::Margins;

/// A security bound, with its constants.
///
/// The bounds that carry a paper's name reproduce its figures but for two points. An expectation is held
/// between 0 and the block's total, which only tightens a bound. And the printed bound `gamma` on the phase
/// error rate (after Fung, Ma & Chau, Phys. Rev. A 81, 012318 (2010)), which is too narrow for samples with
/// few errors, gives way to the exact hypergeometric tail of random sampling wherever it does not reach it.
///
/// The bounds called tight use the same proofs, and two facts more: single photons cannot have more errors
/// than were seen in all, and the exact tail is usually the narrower one. At 20 dB and 10^7 bits that
/// gives 16 % more key with one decoy and 4 % with two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bound {
    /// Two intensities: Rusca et al., Appl. Phys. Lett. 112, 171104 (2018), appendix A. Secrecy is divided
    /// into 19 equal parts. (A18) is used with the factor `e^k/p_k` that the print lacks.
    OneDecoyRusca,
    /// As [`OneDecoyRusca`](Self::OneDecoyRusca), tight.
    OneDecoyTight,
    /// Two intensities with the constants of Wiesemann et al., arXiv:2405.16578 (2024): 15 parts, no credit
    /// for empty pulses, a length that may vary from block to block.
    OneDecoyWiesemann,
    /// Three intensities: Lim et al., Phys. Rev. A 89, 022307 (2014), equations (1) to (5), 21 parts. Holding
    /// expectations above 0 gains about 12 % of key at 10^7 bits over the print.
    TwoDecoyLim,
    /// As [`TwoDecoyLim`](Self::TwoDecoyLim), to the letter: bounds on expectations may be negative and
    /// `gamma` stands alone. For comparison with published figures, not for use.
    TwoDecoyLimPrinted,
    /// As [`TwoDecoyLim`](Self::TwoDecoyLim), tight.
    TwoDecoyTight,
    /// A true single-photon source: Tomamichel et al., Nat. Commun. 3, 634 (2012), equation (2). Never for
    /// weak coherent pulses.
    SinglePhotonTomamichel,
    /// A source of single photons that sometimes emits several: every bit that may have come from several is
    /// taken to be known (tagged: Gottesman, Lo, Lütkenhaus & Preskill, Quantum Inf. Comput. 4, 325 (2004)),
    /// and the rest is as [`SinglePhotonTomamichel`](Self::SinglePhotonTomamichel). How many there may be
    /// follows from the pulses sent by a Chernoff bound. Secrecy is divided into 6 parts: 4 for the phase
    /// errors and one for each basis' tagged bits.
    SinglePhotonTagged,
}

/// How a bound departs from its print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Printed,
    Clipped,
    Tight,
}

impl Bound {
    /// The paper and its equations.
    pub const fn citation(self) -> &'static str {
        match self {
            Self::OneDecoyRusca => "Rusca et al., Appl. Phys. Lett. 112, 171104 (2018), eqs. (A16)-(A25)",
            Self::OneDecoyTight => {
                "Rusca et al., Appl. Phys. Lett. 112, 171104 (2018), eqs. (A16)-(A25), tight"
            }
            Self::OneDecoyWiesemann => "Wiesemann et al., arXiv:2405.16578 (2024)",
            Self::TwoDecoyLim => "Lim et al., Phys. Rev. A 89, 022307 (2014), eqs. (1)-(5), clipped",
            Self::TwoDecoyLimPrinted => "Lim et al., Phys. Rev. A 89, 022307 (2014), eqs. (1)-(5)",
            Self::TwoDecoyTight => "Lim et al., Phys. Rev. A 89, 022307 (2014), eqs. (1)-(5), tight",
            Self::SinglePhotonTomamichel => "Tomamichel et al., Nat. Commun. 3, 634 (2012), eq. (2)",
            Self::SinglePhotonTagged => {
                "Tomamichel et al., Nat. Commun. 3, 634 (2012), eq. (2), bits of several photons tagged"
            }
        }
    }
    /// How many intensities the source has.
    pub const fn intensities(self) -> usize {
        match self {
            Self::OneDecoyRusca | Self::OneDecoyTight | Self::OneDecoyWiesemann => 2,
            Self::TwoDecoyLim | Self::TwoDecoyLimPrinted | Self::TwoDecoyTight => 3,
            Self::SinglePhotonTomamichel | Self::SinglePhotonTagged => 1,
        }
    }
    /// Into how many equal parts the proof divides the secrecy parameter.
    const fn parts(self) -> f64 {
        match self {
            Self::OneDecoyRusca | Self::OneDecoyTight => 19.0,
            Self::OneDecoyWiesemann => 15.0,
            Self::TwoDecoyLim | Self::TwoDecoyLimPrinted | Self::TwoDecoyTight => 21.0,
            Self::SinglePhotonTomamichel => 4.0,
            Self::SinglePhotonTagged => 6.0,
        }
    }
    const fn form(self) -> Form {
        match self {
            Self::TwoDecoyLimPrinted => Form::Printed,
            Self::OneDecoyTight | Self::TwoDecoyTight => Form::Tight,
            _ => Form::Clipped,
        }
    }
    /// The statistical margins of a block with `secrecy`.
    pub(super) fn margins(self, secrecy: f64) -> Margins {
        Margins::finite(secrecy / self.parts(), self.form())
    }
    /// The secrecy parameter as the proof divides it.
    pub(super) fn epsilons(self, parameters: &SecurityParameters) -> Epsilons {
        let part = parameters.secrecy / self.parts();
        let shares: &[(&'static str, f64)] = match self {
            Self::OneDecoyRusca | Self::OneDecoyTight => &[
                ("phase errors and chain rules", 8.0),
                ("privacy amplification", 1.0),
                ("counts by intensity", 6.0),
                ("errors by intensity", 4.0),
            ],
            Self::OneDecoyWiesemann => &[("all parts, each a fifteenth", 15.0)],
            Self::TwoDecoyLim | Self::TwoDecoyLimPrinted | Self::TwoDecoyTight => &[
                ("phase errors and chain rules", 8.0),
                ("privacy amplification", 1.0),
                ("counts by intensity", 10.0),
                ("errors by intensity", 2.0),
            ],
            Self::SinglePhotonTomamichel => &[("phase errors and privacy amplification", 4.0)],
            Self::SinglePhotonTagged => {
                &[("phase errors and privacy amplification", 4.0), ("pulses of several photons", 2.0)]
            }
        };
        Epsilons {
            secrecy: shares.iter().map(|&(of, n)| EpsilonPart { of, value: n * part }).collect(),
            correctness: parameters.correctness,
            authentication: 0.0,
        }
    }
    /// The bits that verification and secrecy cost.
    pub(super) fn penalties(self, parameters: &SecurityParameters) -> Vec<Penalty> {
        let inverse = self.parts() / parameters.secrecy;
        let secrecy = match self {
            Self::OneDecoyWiesemann => 4.0 * (log2(inverse) - 0.25),
            Self::SinglePhotonTomamichel => 2.0 * log2(1.0 / parameters.secrecy),
            Self::SinglePhotonTagged => 2.0 * log2(1.5 / parameters.secrecy),
            _ => 6.0 * log2(inverse),
        };
        vec![
            Penalty { of: "verification and correctness", bits: parameters.verification_bits() },
            Penalty { of: "secrecy", bits: secrecy },
        ]
    }
    /// Refuses a source that the proof does not cover.
    pub(super) fn validate(self, source: &[SourceClass]) -> Result<(), NoKey> {
        let unsuitable = |why: String| Err(NoKey::UnsuitableSource { bound: self, why });
        if source.len() != self.intensities() {
            return unsuitable(format!("it has {} intensities, not {}", source.len(), self.intensities()));
        }
        for class in source {
            // The upper end keeps e^mean representable; no source of key is near it.
            if !(0.0..=100.0).contains(&class.mean_photons) {
                return unsuitable(format!("a mean photon number is {}, not 0 to 100", class.mean_photons));
            }
            if !(1e-12..=1.0).contains(&class.probability) {
                return unsuitable(format!("an intensity has probability {}", class.probability));
            }
        }
        let sum: f64 = source.iter().map(|class| class.probability).sum();
        if libm::fabs(sum - 1.0) > 1e-6 {
            return unsuitable(format!("the probabilities of its intensities sum to {sum}, not 1"));
        }
        for tagged in source.iter().flat_map(|class| class.several_photons) {
            if !(0.0..=1.0).contains(&tagged) {
                return unsuitable(format!("a pulse has several photons with probability {tagged}"));
            }
            if tagged > 0.0 && self != Self::SinglePhotonTagged {
                return unsuitable(
                    "its pulses may hold several photons and nothing tells how many".to_owned(),
                );
            }
        }
        match *source {
            [one] if one.mean_photons > 1.0 => {
                unsuitable(format!("a single-photon source cannot emit {} photons a pulse", one.mean_photons))
            }
            [bright, dim] if !(bright.mean_photons > dim.mean_photons && dim.mean_photons > 0.0) => {
                let [a, b] = [bright, dim].map(|class| class.mean_photons);
                unsuitable(format!("it needs mean photon numbers {a} > {b} > 0"))
            }
            [bright, dim, least]
                if !(bright.mean_photons > dim.mean_photons + least.mean_photons
                    && dim.mean_photons > least.mean_photons) =>
            {
                let [a, b, c] = [bright, dim, least].map(|class| class.mean_photons);
                unsuitable(format!("it needs mean photon numbers {a} > {b} + {c} and {b} > {c}"))
            }
            _ => Ok(()),
        }
    }
    /// The bounds for a source and counts that were validated.
    pub(super) fn evaluate(
        self,
        source: &[SourceClass],
        statistics: &ExpectedStatistics,
        margins: &Margins,
    ) -> Evaluation {
        match self {
            Self::OneDecoyRusca | Self::OneDecoyTight => {
                one_decoy::evaluate(source, statistics, margins, true)
            }
            Self::OneDecoyWiesemann => one_decoy::evaluate(source, statistics, margins, false),
            Self::TwoDecoyLim | Self::TwoDecoyLimPrinted | Self::TwoDecoyTight => {
                two_decoy::evaluate(source, statistics, margins)
            }
            Self::SinglePhotonTomamichel | Self::SinglePhotonTagged => {
                single_photon::evaluate(source, statistics, margins)
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.citation())
    }
}

/// What a bound says of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Evaluation {
    /// Key bits from empty pulses, at least.
    pub vacuum: f64,
    /// Key bits from single photons, at least.
    pub single_photons: f64,
    /// Check bits from single photons, at least.
    pub check_single_photons: f64,
    /// Errors among the check bits from single photons, at most.
    pub check_single_photon_errors: f64,
    /// Phase error rate of the key bits from single photons, at most; capped at 1/2.
    pub phase_error: f64,
}

impl Evaluation {
    /// The key bits that an eavesdropper cannot know.
    pub(super) fn secret_bits(&self) -> f64 {
        self.vacuum + self.single_photons * (1.0 - bellwether_units::binary_entropy(self.phase_error))
    }
}

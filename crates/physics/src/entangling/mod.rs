//! Links that entangle two memories: how often an attempt is heralded, which state the herald leaves, and how long
//! attempts and heralds take.
//!
//! A protocol tells [`Heralded`]: the probability of a herald and the state, both from the hardware. A [`Geometry`]
//! tells the [`Timing`]. A simulation draws the number of the next heralded attempt from [`Attempts`] in a few
//! nanoseconds, however rare heralds are, and cuts the draw where a parameter changes; what an attempt takes beside
//! its cycle, charge checks and calibration, is in [`ChargeCheck`] and [`Calibration`].
//!
//! | protocol | what it is | clicks | to first order |
//! |---|---|---|---|
//! | [`SingleClick`] | one photon from either node interferes with nothing from the other | 1 | 2 α η |
//! | [`DoubleClick`] | two photons, in two rounds, time bins or polarisations | 2 | η²/2 |
//! | [`PairSource`] | a source of photon pairs, each half caught by a memory | 2 | 2 λ η² |
//! | [`SerialReflection`] | one photon reflected from both nodes in turn | 1 | μ η |
//! | [`Ensemble`] | spin waves in ensembles of atoms, many modes | 1 | 2 M p η |
//!
//! ```
//! use bellwether_physics::entangling::{Attempts, Optics, SingleClick, SingleClickEnd};
//! use bellwether_quantum::bell::BellIndex;
//! use bellwether_units::{EntityId, Purpose, Stream};
//!
//! let end = SingleClickEnd { bright: 0.05, efficiency: 0.01 };
//! let optics = Optics { visibility: 0.95, dark: 1e-6, ..Optics::IDEAL };
//! let heralded = SingleClick::new(end, end, optics).heralded()?;
//! assert!((heralded.probability - 1.001741e-3).abs() < 1e-9);
//! assert!((heralded.state.fidelity(BellIndex::PSI_PLUS) - 0.936436).abs() < 1e-6);
//!
//! let attempts = Attempts::of(&heralded);
//! let mut stream = Stream::new(1, EntityId(0), Purpose::named("heralds"));
//! // The first herald among the next ten thousand attempts, if any.
//! let herald = attempts.first(0..10_000, &mut stream);
//! assert!(herald.is_none_or(|herald| herald.attempt < 10_000));
//! # Ok::<(), bellwether_physics::ParameterError>(())
//! ```

mod attempts;
mod availability;
mod double_click;
mod ensemble;
mod optics;
mod pair_source;
mod reflection;
mod single_click;
mod timing;

pub use attempts::{Attempts, Herald};
pub use availability::{Calibration, ChargeCheck};
pub use double_click::DoubleClick;
pub use ensemble::{Ensemble, NumberState};
pub use optics::{
    Arm, Optics, arrival_visibility, detuning_visibility, noise_click, pure_dephasing_visibility,
};
pub use pair_source::PairSource;
pub use reflection::SerialReflection;
pub use single_click::{SingleClick, SingleClickEnd};
pub use timing::{Geometry, MidpointRetries, Timing, rate};

use crate::parameter::ParameterError;
use bellwether_quantum::HeraldedState;
use bellwether_quantum::bell::BellIndex;

/// Which of two equally likely heralds came: the output ports of a beam splitter, or the parities of two clicks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// A click in the first detector, or two clicks in the same one: the pair is near Psi+.
    First,
    /// A click in the second detector, or clicks in both: the pair is near Psi-.
    Second,
}

impl Port {
    /// The Bell state that this herald announces.
    pub const fn frame(self) -> BellIndex {
        match self {
            Self::First => BellIndex::PSI_PLUS,
            Self::Second => BellIndex::PSI_MINUS,
        }
    }
}

/// What an attempt of a link comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heralded {
    /// The probability that an attempt is heralded, by any port.
    pub probability: f64,
    /// The state that a herald by the first port leaves; the second port leaves it with the other sign.
    pub state: HeraldedState,
    /// Whether there is a second port, as likely as the first.
    pub two_ports: bool,
}

impl Heralded {
    /// From the probabilities of a herald together with each basis state, and the coherence in the same measure.
    fn from_weights(weights: [f64; 4], coherence: f64, two_ports: bool) -> Result<Self, ParameterError> {
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            let (what, range) =
                ("the probability of a herald", "above 0: give some light or some dark clicks");
            return Err(ParameterError { what, value: total, range });
        }
        // The models cannot break this; states of excitations that a caller made up can.
        let (probability, state) = HeraldedState::from_weights(weights, coherence).map_err(|_| {
            let what = "the coherence of the heralded state, times its probability,";
            let range =
                "at most the root of the product of the weights of ud and du, which are probabilities";
            ParameterError { what, value: coherence, range }
        })?;
        Ok(Self { probability, state, two_ports })
    }

    /// The fidelity to the Bell state that the herald announces.
    pub fn fidelity(&self) -> f64 {
        self.state.fidelity(BellIndex::PSI_PLUS)
    }
}

//! One pulse of a link: what comes out of source, channel and detectors together.
//!
//! The receiver chooses its basis actively, with two detectors that serve both, or by a beam splitter, with two
//! detectors for each. A pulse that clicks in detectors of both bases counts in the one it is measured in.

use crate::detector::{Detector, DetectorKind};
use crate::misalignment::Misalignment;
use crate::photons::PhotonNumbers;
use crate::probability::is_probability;
use crate::source::Source;
use crate::throughput::Throughput;
use crate::{Basis, DeadTimeScope};
use bellwether_units::{Current, Duration, Frequency, Loss, Rate};

/// What a [`LinkModel`] is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkParameters {
    /// How many pulses are sent in a second.
    pub clock: Frequency,
    /// What the transmitter emits.
    pub source: Source,
    /// The probability that the transmitter prepares in the key basis.
    pub transmitter_key_probability: f64,
    /// The probability that the receiver measures in the key basis.
    pub receiver_key_probability: f64,
    /// The loss of the channel: what an eavesdropper may replace by a lossless line.
    pub channel_loss: Loss,
    /// The loss inside the receiver, before its detectors.
    pub receiver_loss: Loss,
    /// Which share of the light goes to the wrong detector.
    pub misalignment: Misalignment,
    /// The mean number of photons of other origin that reach the receiver in a detection window, as
    /// [`ClassicalChannel::photons_per_gate`](crate::ClassicalChannel::photons_per_gate) tells.
    pub background_photons: f64,
    /// The detectors: two that serve both bases, or two for each.
    pub detector: Detector,
    /// Whether a beam splitter chooses the basis. Each basis then has detectors of its own, which count in the
    /// dark at every pulse, whichever way its light goes.
    pub passive: bool,
}

impl LinkParameters {
    /// A link with both bases equally likely and no receiver loss, misalignment or background.
    pub fn new(clock: Frequency, source: Source, channel_loss: Loss, detector: Detector) -> Self {
        Self {
            clock,
            source,
            transmitter_key_probability: 0.5,
            receiver_key_probability: 0.5,
            channel_loss,
            receiver_loss: Loss::NONE,
            misalignment: Misalignment::default(),
            background_photons: 0.0,
            detector,
            passive: false,
        }
    }
}

/// Why a link cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// A probability is outside 0 to 1.
    #[error("the {what} {value} is not between 0 and 1")]
    NotAProbability {
        /// Which one.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// A loss is negative or not a number.
    #[error("the loss {0} is negative or not a number")]
    Loss(Loss),
    /// The clock does not tick.
    #[error("the clock {0} is not above 0 Hz and at most 1 THz")]
    Clock(Frequency),
    /// The windows of successive pulses overlap.
    #[error("a detection window of {gate} is longer than the {period_picoseconds} ps between two pulses")]
    GateTooLong {
        /// The window.
        gate: Duration,
        /// The time between pulses.
        period_picoseconds: f64,
    },
    /// The background is negative or not a number.
    #[error("{0} background photons in a window are not between 0 and 1e6")]
    Background(f64),
}

/// The probabilities of what the two detectors of the measured basis do in one pulse. The rest is silence.
///
/// "Right" is the detector of the bit that was prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Only the detector of the prepared bit fires.
    pub right: f64,
    /// Only the other detector fires.
    pub wrong: f64,
    /// Both fire.
    pub both: f64,
}

impl Outcome {
    /// The probability of a click.
    pub fn click(&self) -> f64 {
        self.right + self.wrong + self.both
    }
    /// The probability of a click whose outcome is wrong, double clicks taken at random.
    pub fn error(&self) -> f64 {
        self.wrong + self.both / 2.0
    }
    pub(crate) fn add(&mut self, weight: f64, other: Self) {
        self.right += weight * other.right;
        self.wrong += weight * other.wrong;
        self.both += weight * other.both;
    }
}

/// What reaches the receiver in a pulse of a given class and prepared basis, in one of the cases that an
/// eavesdropper makes of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arrival {
    /// Light.
    Light {
        /// Photons where the transmission loss `transmittance` begins.
        photons: PhotonNumbers,
        /// Of the channel, without the receiver.
        transmittance: f64,
        /// The share that goes to the wrong detector, by measured basis.
        wrong: [f64; 2],
    },
    /// A bright pulse that makes a blinded detector click, if measured in `basis`, with `probability`.
    Faked { basis: Basis, probability: f64, wrong: f64 },
}

/// For each class and prepared basis, the weighted cases.
pub(crate) type Arrivals = Vec<[Vec<(f64, Arrival)>; 2]>;

/// A trap as the sampler sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trap {
    /// That a click leaves a carrier which outlives its dead time.
    pub(crate) probability: f64,
    /// Time constant of release, in pulses.
    pub(crate) decay: f64,
}

/// The law of a link: what comes out of source, channel and detectors together. The [crate] has an example.
///
/// The receiver chooses its basis actively and has two detectors, one for each bit. Light in the right basis
/// goes to the wrong one in the share that the [`Misalignment`] tells; light in the other basis is halved. Since
/// threshold detectors see photon numbers only through their generating function, every outcome is a closed form
/// (Ma, Qi, Zhao & Lo, PRA 72, 012326 (2005), Eqs. (7)-(11), kept exact instead of to first order in the dark
/// counts). A pulse in which both detectors fire is one click with a random outcome. Light that jitter moves into
/// another window comes with that pulse's settings; it is averaged over what its own pulse may have been.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkModel {
    parameters: LinkParameters,
    outcomes: Vec<[[Outcome; 2]; 2]>,
    /// By detector and pulse: a trigger outside the window, not recorded.
    pub(crate) unrecorded: f64,
    /// By detector and pulse: a click in the window that is not of this pulse's light.
    noise: [f64; 2],
    /// From the channel's end to a click in the own window.
    receiver_efficiency: f64,
    pub(crate) dead_pulses: u64,
    pub(crate) traps: Vec<Trap>,
    throughput: Throughput,
    photocurrent: Option<Current>,
}

/// The charge of an avalanche, for the bias monitor: 10^6 to 10^7 electrons, of order 1 pC.
const AVALANCHE_COULOMBS: f64 = 1e-12;

impl LinkModel {
    /// The law of the honest link.
    pub fn new(parameters: LinkParameters) -> Result<Self, LinkError> {
        check(&parameters)?;
        let e = parameters.misalignment.error_probability();
        let transmittance = parameters.channel_loss.transmittance();
        let arrivals = (0..parameters.source.intensities())
            .map(|k| {
                Basis::BOTH.map(|prepared| {
                    let mut wrong = [0.5; 2];
                    wrong[prepared.index()] = e;
                    let photons = parameters.source.photons(k).clone();
                    vec![(1.0, Arrival::Light { photons, transmittance, wrong })]
                })
            })
            .collect();
        Ok(Self::from_arrivals(parameters, &arrivals, None))
    }

    /// The law of a link at whose receiver `arrivals` come in. With a photocurrent its detectors are blinded:
    /// they neither count in the dark nor after-pulse.
    pub(crate) fn from_arrivals(
        parameters: LinkParameters,
        arrivals: &Arrivals,
        photocurrent: Option<Current>,
    ) -> Self {
        let detector = &parameters.detector;
        let period = parameters.clock.period_picoseconds();
        let gate = detector.gate_picoseconds(period);
        let eta = parameters.receiver_loss.transmittance() * detector.parameters().efficiency;
        let (own, elsewhere) = detector.jitter_fractions(gate, period);
        let lost = f64::max(1.0 - own - elsewhere, 0.0);
        let blinded = photocurrent.is_some();

        // Light that jitter moves to another window or out of all: by detector, averaged over what is sent.
        let strays = |fraction: f64| -> f64 {
            let mut sum = 0.0;
            for_each_arrival(&parameters, arrivals, |weight, arrival, measured| {
                if let Arrival::Light { photons, transmittance, wrong } = arrival {
                    let e = wrong[measured.index()];
                    let x = transmittance * eta * fraction;
                    sum += weight * (photons.seen(x * (1.0 - e)) + photons.seen(x * e)) / 2.0;
                }
            });
            sum
        };
        let background = |width: f64| -libm::expm1(-parameters.background_photons * eta / 2.0 * width / gate);
        let either = |a: f64, b: f64| a + b - a * b;
        // Of a passive receiver's pulses only a share counts as measured in a basis, but its detectors count in
        // the dark at all of them: so much more often at those of the share.
        let dark = Basis::BOTH.map(|basis| {
            let share =
                if parameters.passive { choice(parameters.receiver_key_probability, basis) } else { 1.0 };
            (detector.dark_probability(gate) / share.max(1e-12)).min(1.0)
        });
        let (noise, unrecorded) = if blinded {
            ([0.0; 2], 0.0)
        } else {
            let outside = if detector.parameters().kind == DetectorKind::Snspd {
                either(
                    detector.dark_probability_outside(gate, period),
                    background(f64::max(period - gate, 0.0)),
                )
            } else {
                0.0
            };
            let stray = |fraction: f64| if fraction > 0.0 { strays(fraction) } else { 0.0 };
            let inside = dark.map(|dark| either(either(dark, background(gate)), stray(elsewhere)));
            (inside, either(outside, stray(lost)))
        };

        let outcomes = arrivals
            .iter()
            .map(|by_basis| {
                [0, 1].map(|prepared: usize| {
                    Basis::BOTH.map(|measured| {
                        let mut outcome = Outcome::default();
                        for (weight, arrival) in &by_basis[prepared] {
                            outcome
                                .add(*weight, arrival.outcome(measured, eta * own, noise[measured.index()]));
                        }
                        outcome
                    })
                })
            })
            .collect();
        let dead = detector.parameters().dead_time.picoseconds() as f64 / period;
        let traps = if blinded {
            Vec::new()
        } else {
            detector
                .releases()
                .map(|(probability, decay)| Trap { probability, decay: decay / period })
                .collect()
        };
        let mut model = Self {
            parameters,
            outcomes,
            unrecorded,
            noise,
            receiver_efficiency: eta * own,
            // A gate that opens in the moment the dead time ends is still lost, so that whole numbers of
            // periods give R / (1 + R tau) exactly.
            dead_pulses: libm::ceil(dead - 1e-9) as u64,
            traps,
            throughput: Throughput::default(),
            photocurrent,
        };
        model.throughput = Throughput::of(&model);
        model
    }

    /// What it was made from.
    pub fn parameters(&self) -> &LinkParameters {
        &self.parameters
    }
    /// How many classes of pulses there are.
    pub fn intensities(&self) -> usize {
        self.outcomes.len()
    }
    /// The probability that a pulse is of class `k`.
    pub fn intensity_probability(&self, k: usize) -> f64 {
        self.parameters.source.probability(k)
    }
    /// The probability that the transmitter prepares in `basis`.
    pub fn prepared_probability(&self, basis: Basis) -> f64 {
        choice(self.parameters.transmitter_key_probability, basis)
    }
    /// The probability that the receiver measures in `basis`.
    pub fn measured_probability(&self, basis: Basis) -> f64 {
        choice(self.parameters.receiver_key_probability, basis)
    }
    /// The total transmittance: channel, receiver and detector efficiency.
    pub fn transmittance(&self) -> f64 {
        let loss = self.parameters.channel_loss + self.parameters.receiver_loss;
        loss.transmittance() * self.parameters.detector.parameters().efficiency
    }
    /// For how many pulses a click makes its detectors dead.
    pub fn dead_pulses(&self) -> u64 {
        self.dead_pulses
    }
    /// Which detectors are dead after a click.
    pub fn dead_time_scope(&self) -> DeadTimeScope {
        self.parameters.detector.parameters().dead_time_scope
    }

    /// What a pulse of class `k`, prepared and measured in these bases, does to detectors that are alive.
    pub fn outcome(&self, k: usize, prepared: Basis, measured: Basis) -> Outcome {
        self.outcomes[k][prepared.index()][measured.index()]
    }
    /// The gain of class `k` in `basis`: the probability that a pulse prepared and measured in it clicks, with
    /// detectors alive and without after-pulses.
    pub fn gain(&self, k: usize, basis: Basis) -> f64 {
        self.outcome(k, basis, basis).click()
    }
    /// The error rate of those clicks; 0 if there are none.
    pub fn error_rate(&self, k: usize, basis: Basis) -> f64 {
        ratio(self.outcome(k, basis, basis).error(), self.gain(k, basis))
    }
    /// The probability that a pulse makes a click, over all settings, with detectors alive.
    pub fn click_probability(&self) -> f64 {
        self.mean_outcome().click()
    }
    /// The outcome averaged over all settings, with detectors alive.
    pub fn mean_outcome(&self) -> Outcome {
        self.averaged(|k, prepared, measured| self.outcome(k, prepared, measured))
    }

    /// As [`outcome`](Self::outcome), after dead time and with after-pulses: the probability that a pulse sent at
    /// any time is recorded so.
    ///
    /// Dead time is non-paralysable, R / (1 + R τ). With [`DeadTimeScope::Each`] the two detectors count as
    /// independent. After-pulses fall on pulses of any setting and are random in outcome; of their mutual losses
    /// the mean is taken.
    pub fn detected_outcome(&self, k: usize, prepared: Basis, measured: Basis) -> Outcome {
        self.throughput.detected(self.outcome(k, prepared, measured))
    }
    /// The gain of class `k` in `basis` after dead time and with after-pulses.
    pub fn detected_gain(&self, k: usize, basis: Basis) -> f64 {
        self.detected_outcome(k, basis, basis).click()
    }
    /// The error rate of class `k` in `basis` after dead time and with after-pulses.
    pub fn detected_error_rate(&self, k: usize, basis: Basis) -> f64 {
        ratio(self.detected_outcome(k, basis, basis).error(), self.detected_gain(k, basis))
    }
    /// The share of sifted clicks of all classes in `basis` that are in error, after dead time and with
    /// after-pulses.
    pub fn detected_qber(&self, basis: Basis) -> f64 {
        let sum = |of: &dyn Fn(Outcome) -> f64| -> f64 {
            (0..self.intensities())
                .map(|k| self.intensity_probability(k) * of(self.detected_outcome(k, basis, basis)))
                .sum()
        };
        ratio(sum(&|o| o.error()), sum(&|o| o.click()))
    }
    /// How many clicks are recorded in a second, over all settings.
    pub fn click_rate(&self) -> Rate {
        let mean = self.averaged(|k, p, m| self.detected_outcome(k, p, m));
        Rate::from_per_second(mean.click() * self.parameters.clock.hertz())
    }
    /// How many clicks a second are sifted in `basis`, all classes together.
    pub fn sifted_rate(&self, basis: Basis) -> Rate {
        let gain: f64 = (0..self.intensities())
            .map(|k| self.intensity_probability(k) * self.detected_gain(k, basis))
            .sum();
        let sifted = self.prepared_probability(basis) * self.measured_probability(basis) * gain;
        Rate::from_per_second(sifted * self.parameters.clock.hertz())
    }
    /// The probability that a pulse sent at any time is recorded as a double click.
    pub fn double_click_probability(&self) -> f64 {
        self.averaged(|k, p, m| self.detected_outcome(k, p, m)).both
    }
    /// The fraction of pulses that find both detectors alive.
    pub fn live_fraction(&self) -> f64 {
        self.throughput.both_alive
    }
    /// What a monitor of the detectors' bias current shows: of order 1 pC an avalanche, or the photocurrent of
    /// whoever blinds them.
    pub fn bias_current(&self) -> Current {
        let honest = self.click_rate().per_second() * AVALANCHE_COULOMBS;
        self.photocurrent.unwrap_or(Current::from_amperes(honest))
    }

    /// The probability that a pulse without photons clicks.
    pub(crate) fn dark_click(&self) -> f64 {
        Basis::BOTH
            .map(|basis| {
                let noise = self.noise[basis.index()];
                self.measured_probability(basis) * noise * (2.0 - noise)
            })
            .iter()
            .sum()
    }
    /// From the channel's end to a click in the own window.
    pub(crate) fn receiver_efficiency(&self) -> f64 {
        self.receiver_efficiency
    }
    pub(crate) fn throughput(&self) -> &Throughput {
        &self.throughput
    }

    fn averaged(&self, of: impl Fn(usize, Basis, Basis) -> Outcome) -> Outcome {
        let mut mean = Outcome::default();
        for k in 0..self.intensities() {
            for prepared in Basis::BOTH {
                for measured in Basis::BOTH {
                    mean.add(self.weight(k, prepared, measured), of(k, prepared, measured));
                }
            }
        }
        mean
    }

    /// The probability of these settings.
    pub(crate) fn weight(&self, k: usize, prepared: Basis, measured: Basis) -> f64 {
        self.intensity_probability(k)
            * self.prepared_probability(prepared)
            * self.measured_probability(measured)
    }
}

impl Arrival {
    /// What it does, with `eta` from the channel's end to a click in the own window and `noise` a detector.
    fn outcome(&self, measured: Basis, eta: f64, noise: f64) -> Outcome {
        let (right, wrong, both) = match self {
            Self::Light { photons, transmittance, wrong } => {
                let e = wrong[measured.index()];
                let x = transmittance * eta;
                let any = photons.seen(x);
                let (at_right, at_wrong) = (photons.seen(x * (1.0 - e)), photons.seen(x * e));
                let both = f64::max(at_right + at_wrong - any, 0.0);
                (f64::max(any - at_wrong, 0.0), f64::max(any - at_right, 0.0), both)
            }
            Self::Faked { basis, probability, wrong } if *basis == measured => {
                (probability * (1.0 - wrong), probability * wrong, 0.0)
            }
            Self::Faked { .. } => (0.0, 0.0, 0.0),
        };
        let none = 1.0 - right - wrong - both;
        let quiet = 1.0 - noise;
        Outcome {
            right: (right + none * noise) * quiet,
            wrong: (wrong + none * noise) * quiet,
            both: both + (right + wrong) * noise + none * noise * noise,
        }
    }
}

fn for_each_arrival(
    parameters: &LinkParameters,
    arrivals: &Arrivals,
    mut f: impl FnMut(f64, &Arrival, Basis),
) {
    for (k, by_basis) in arrivals.iter().enumerate() {
        for prepared in Basis::BOTH {
            for measured in Basis::BOTH {
                let settings = parameters.source.probability(k)
                    * choice(parameters.transmitter_key_probability, prepared)
                    * choice(parameters.receiver_key_probability, measured);
                for (weight, arrival) in &by_basis[prepared.index()] {
                    f(settings * weight, arrival, measured);
                }
            }
        }
    }
}

fn choice(key: f64, basis: Basis) -> f64 {
    match basis {
        Basis::Key => key,
        Basis::Check => 1.0 - key,
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn check(parameters: &LinkParameters) -> Result<(), LinkError> {
    for (what, value) in [
        ("probability of the key basis at the transmitter", parameters.transmitter_key_probability),
        ("probability of the key basis at the receiver", parameters.receiver_key_probability),
    ] {
        if !is_probability(value) {
            return Err(LinkError::NotAProbability { what, value });
        }
    }
    for loss in [parameters.channel_loss, parameters.receiver_loss] {
        if loss.decibels().is_nan() || loss.decibels() < 0.0 {
            return Err(LinkError::Loss(loss));
        }
    }
    let hertz = parameters.clock.hertz();
    if !(hertz > 0.0 && hertz <= 1e12) {
        return Err(LinkError::Clock(parameters.clock));
    }
    if !(0.0..=1e6).contains(&parameters.background_photons) {
        return Err(LinkError::Background(parameters.background_photons));
    }
    let period_picoseconds = parameters.clock.period_picoseconds();
    if let Some(gate) = parameters.detector.parameters().gate
        && gate.picoseconds() as f64 > period_picoseconds * (1.0 + 1e-9)
    {
        return Err(LinkError::GateTooLong { gate, period_picoseconds });
    }
    Ok(())
}

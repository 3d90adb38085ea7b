//! The light of a link: the devices of the network file as a physical model, under the conditions that hold.

use crate::conditions::Conditions;
use crate::run::RunError;
use bellwether_network as network;
use bellwether_network::{Attenuation, EavesdropperBasis, Link, Source as SourceDescription};
use bellwether_physics as physics;
use bellwether_physics::LinkParameters;
use bellwether_units::{Angle, Duration, Frequency, Loss, Stream, Time};

/// A loss through which nothing comes: a cut fibre.
const OPAQUE: Loss = Loss::from_decibels(1000.0);

/// A link's light over time.
#[derive(Clone, Debug)]
pub(crate) struct Optics {
    name: String,
    honest: LinkParameters,
    jitter: Duration,
    period: Duration,
    gate: Duration,
    drift: Option<(physics::Drift, Option<Duration>)>,
    angle: Angle,
    drifted_until: Time,
    stream: Stream,
}

impl Optics {
    /// The light of `link`; `stream` is for the drift of its alignment.
    pub(crate) fn new(link: &Link, stream: Stream) -> Result<Self, RunError> {
        let bad = |reason: String| RunError::Link { link: link.name.clone(), reason };
        let drift = match &link.fibre.drift {
            None => None,
            Some(drift) => Some((
                physics::Drift::random_walk(drift.angle, drift.over).map_err(|e| bad(e.to_string()))?,
                drift.realigned_every,
            )),
        };
        Ok(Self {
            name: link.name.clone(),
            honest: parameters(link).map_err(bad)?,
            jitter: link.receiver.detector.jitter,
            period: Duration::from_picoseconds(
                libm::round(link.transmitter.clock.period_picoseconds()) as u64
            ),
            gate: link.gate(),
            drift,
            angle: Angle::default(),
            drifted_until: Time::ZERO,
            stream,
        })
    }

    /// The model of the link as it was built: no event, no drift.
    pub(crate) fn honest(&self) -> Result<physics::LinkModel, RunError> {
        self.model_of(self.honest.clone(), None)
    }

    /// The model of the link in the dark: what the detectors do without the transmitter.
    pub(crate) fn dark(&self) -> Result<physics::LinkModel, RunError> {
        self.model_of(LinkParameters { channel_loss: OPAQUE, ..self.honest.clone() }, None)
    }

    /// The model at `now`; successive calls must not go back in time.
    pub(crate) fn at(&mut self, now: Time, conditions: &Conditions) -> Result<physics::LinkModel, RunError> {
        let angle = self.drift_to(now);
        let mut parameters = self.honest.clone();
        let misaligned = |e: physics::MisalignmentError| self.bad(e.to_string());
        if let Some(ramp) = conditions.misalignment {
            parameters.misalignment = physics::Misalignment::from_error(ramp.at(now)).map_err(misaligned)?;
        }
        parameters.misalignment = parameters.misalignment.rotated(angle).map_err(misaligned)?;
        let off = self.off_gate(conditions.clock_offset);
        parameters.receiver_loss = parameters.receiver_loss + off;
        parameters.channel_loss = if conditions.cut || !conditions.transmitter_up {
            OPAQUE
        } else {
            parameters.channel_loss + conditions.extra_loss
        };
        let attack = if conditions.cut { None } else { conditions.attack.as_ref() };
        self.model_of(parameters, attack)
    }

    /// By how many pulses the receiver's numbering is off for a clock that is off by `offset`.
    pub(crate) fn pulses_off(&self, offset: Duration) -> u64 {
        (offset.picoseconds() + self.period.picoseconds() / 2) / self.period.picoseconds().max(1)
    }

    /// Whether the model changes from one instant to the next even if no event happens.
    pub(crate) fn wanders(&self, conditions: &Conditions, now: Time) -> bool {
        self.drift.is_some() || conditions.misalignment.is_some_and(|ramp| ramp.is_moving(now))
    }

    fn drift_to(&mut self, now: Time) -> Angle {
        let Some((drift, realigned)) = &self.drift else { return Angle::default() };
        if let Some(every) = realigned.filter(|every| !every.is_zero()) {
            let last = now.since(Time::ZERO) / every;
            let aligned = Time::ZERO + every * last;
            if aligned > self.drifted_until {
                self.angle = Angle::default();
                self.drifted_until = aligned;
            }
        }
        self.angle = drift.advance(self.angle, now.since(self.drifted_until), &mut self.stream);
        self.drifted_until = now;
        self.angle
    }

    /// What is lost because the gate opens beside the pulse: the part of a pulse as wide as the detector's
    /// jitter that falls outside a gate moved by the offset (beyond what falls outside an unmoved one).
    fn off_gate(&self, offset: Duration) -> Loss {
        if offset.is_zero() {
            return Loss::NONE;
        }
        let period = self.period.seconds();
        let residual = offset.seconds() - self.pulses_off(offset) as f64 * period;
        let half = self.gate.seconds() / 2.0;
        // Full width at half maximum is 2 sqrt(2 ln 2) standard deviations.
        let sigma = (self.jitter.seconds() / 2.354_820_045).max(1e-15);
        let inside = |from: f64, to: f64| {
            0.5 * (libm::erf(to / (sigma * core::f64::consts::SQRT_2))
                - libm::erf(from / (sigma * core::f64::consts::SQRT_2)))
        };
        let kept = inside(residual - half, residual + half) / inside(-half, half);
        if kept <= 1e-100 { OPAQUE } else { Loss::from_transmittance(kept.min(1.0)) }
    }

    fn model_of(
        &self,
        parameters: LinkParameters,
        attack: Option<&network::Attack>,
    ) -> Result<physics::LinkModel, RunError> {
        let model = physics::LinkModel::new(parameters).map_err(|e| self.bad(e.to_string()))?;
        match attack.and_then(eavesdropper) {
            None => Ok(model),
            Some(attack) => attack.on(&model).map_err(|e| self.bad(e.to_string())),
        }
    }

    fn bad(&self, reason: String) -> RunError {
        RunError::Link { link: self.name.clone(), reason }
    }
}

/// The physics of a link as the network file describes it.
fn parameters(link: &Link) -> Result<LinkParameters, String> {
    let source = match &link.transmitter.source {
        SourceDescription::WeakCoherent { intensities } => {
            let classes: Vec<_> = intensities
                .iter()
                .map(|i| physics::Intensity { mean_photons: i.mean_photons, probability: i.probability })
                .collect();
            physics::Source::weak_coherent(&classes)
        }
        SourceDescription::SinglePhoton { brightness, g2 } => {
            physics::Source::single_photon(*brightness, *g2)
        }
        SourceDescription::Heralded { .. } => single_photons(photon_probabilities(link).unwrap_or_default()),
    }
    .map_err(|e| e.to_string())?;
    // A heralded source sends fewer pulses than its clock ticks, each as long as the others'.
    let ticks = pulse_rate(link) / link.mean_pulse_rate();
    let clock = Frequency::from_hertz(link.transmitter.clock.hertz() * ticks);
    let d = &link.receiver.detector;
    let detector = physics::Detector::new(physics::DetectorParameters {
        kind: match d.technology {
            network::DetectorTechnology::Snspd => physics::DetectorKind::Snspd,
            // Both avalanche diodes are gated here.
            network::DetectorTechnology::InGaAs | network::DetectorTechnology::Silicon => {
                physics::DetectorKind::InGaAs
            }
        },
        efficiency: d.efficiency,
        dark_counts: physics::DarkCounts::Rate(d.dark_count_rate),
        gate: d.gate.or_else(|| (ticks < 1.0).then(|| link.gate())),
        dead_time: d.dead_time,
        dead_time_scope: match d.dead_time_scope {
            network::DeadTimeScope::Common => physics::DeadTimeScope::Common,
            network::DeadTimeScope::Each => physics::DeadTimeScope::Each,
        },
        afterpulses: d
            .afterpulsing
            .iter()
            .map(|a| physics::Afterpulse {
                probability: a.probability,
                decay: a.decay,
                hold_off: d.dead_time,
            })
            .collect(),
        jitter: d.jitter,
    })
    .map_err(|e| e.to_string())?;
    Ok(LinkParameters {
        transmitter_key_probability: link.protocol.key_basis_probability,
        receiver_key_probability: link.protocol.key_basis_probability,
        receiver_loss: link.receiver.internal_loss,
        misalignment: physics::Misalignment::from_error(link.fibre.misalignment)
            .map_err(|e| e.to_string())?,
        background_photons: background(link)?,
        passive: link.receiver.basis_choice == network::BasisChoice::Passive,
        ..LinkParameters::new(clock, source, link.fibre.loss(), detector)
    })
}

/// How many pulses a second leave the transmitter, bursts averaged. A heralded source lets a pulse out only if
/// its herald clicked.
pub(crate) fn pulse_rate(link: &Link) -> f64 {
    link.mean_pulse_rate() * herald(&link.transmitter.source).map_or(1.0, |herald| herald.probability)
}

/// For a source without decoys: the probabilities that a pulse leaves with one photon and with several.
pub(crate) fn photon_probabilities(link: &Link) -> Option<[f64; 2]> {
    match &link.transmitter.source {
        SourceDescription::WeakCoherent { .. } => None,
        SourceDescription::SinglePhoton { brightness, g2 } => {
            let several = g2 * brightness * brightness / 2.0;
            Some([brightness - 2.0 * several, several])
        }
        source @ SourceDescription::Heralded { .. } => herald(source).map(|herald| herald.photons),
    }
}

/// The mean photon number of a source without decoys.
pub(crate) fn single_photon_brightness(link: &Link) -> f64 {
    photon_probabilities(link).map_or(0.0, |[one, several]| one + 2.0 * several)
}

/// What a heralded source sends.
struct Herald {
    /// How likely a pulse's herald clicks.
    probability: f64,
    /// The probabilities that such a pulse leaves with one photon and with several.
    photons: [f64; 2],
}

/// Pairs of a pulse whose herald clicked, thinned by the coupling to the transmitter's output.
fn herald(source: &SourceDescription) -> Option<Herald> {
    /// Beyond so many pairs nothing is left to count.
    const MOST_PAIRS: u32 = 200;
    let SourceDescription::Heralded {
        mean_pairs,
        modes,
        herald_efficiency,
        herald_dark_probability,
        coupling,
    } = source
    else {
        return None;
    };
    let statistics = physics::PairStatistics::Modes(*modes);
    let pairs =
        physics::Source::heralded(statistics, *mean_pairs, *herald_efficiency, *herald_dark_probability)
            .ok()?;
    let photons = pairs.photons(0);
    let [mut none, mut one] = [0.0; 2];
    for n in 0..MOST_PAIRS {
        let (p, lost) = (photons.probability(n), 1.0 - coupling);
        none += p * libm::pow(lost, f64::from(n));
        if n > 0 {
            one += p * f64::from(n) * coupling * libm::pow(lost, f64::from(n - 1));
        }
    }
    Some(Herald { probability: pairs.probability(0), photons: [one, (1.0 - none - one).max(0.0)] })
}

/// A source of single photons with these probabilities of one and of several (taken to be two) photons.
fn single_photons([one, several]: [f64; 2]) -> Result<physics::Source, physics::SourceError> {
    let brightness = one + 2.0 * several;
    let g2 = if brightness > 0.0 { 2.0 * several / (brightness * brightness) } else { 0.0 };
    physics::Source::single_photon(brightness, g2)
}

/// What a fibre does to light, without what it loses at its ends.
pub(crate) fn fibre(fibre: &network::Fibre) -> Result<physics::Fibre, physics::FibreError> {
    let attenuated = match fibre.attenuation {
        Attenuation::PerLength(loss) => physics::Fibre::new(fibre.length, loss),
        Attenuation::Total(loss) => physics::Fibre::with_total_loss(fibre.length, loss),
    };
    attenuated?.with_group_index(fibre.group_index)
}

/// Raman photons that reach the receiver in a window, of all classical channels together.
fn background(link: &Link) -> Result<f64, String> {
    let fibre = fibre(&link.fibre).map_err(|e| e.to_string())?;
    let quantum = physics::QuantumChannel {
        wavelength: link.transmitter.wavelength,
        bandwidth: link.receiver.filter,
        gate: link.gate(),
    };
    let mut photons = 0.0;
    for channel in &link.fibre.classical_channels {
        let scattering = physics::ClassicalChannel {
            direction: match channel.direction {
                network::Direction::Forward => physics::Direction::CoPropagating,
                network::Direction::Backward => physics::Direction::CounterPropagating,
            },
            launch_power: channel.power,
            attenuation: channel.loss_per_length,
            coefficient: channel.raman,
        };
        photons += scattering.photons_per_gate(&fibre, &quantum).map_err(|e| e.to_string())?;
    }
    Ok(photons)
}

/// The attack on the quantum channel, if it is one.
fn eavesdropper(attack: &network::Attack) -> Option<physics::Attack> {
    Some(match attack {
        network::Attack::InterceptResend { fraction, basis } => {
            physics::Attack::InterceptResend(physics::InterceptResend {
                fraction: *fraction,
                basis: match basis {
                    EavesdropperBasis::Random => physics::BasisChoice::Random { key_probability: 0.5 },
                    EavesdropperBasis::Key => physics::BasisChoice::AlwaysKey,
                    EavesdropperBasis::Check => physics::BasisChoice::AlwaysCheck,
                    EavesdropperBasis::Breidbart => physics::BasisChoice::Breidbart,
                },
            })
        }
        network::Attack::PhotonNumberSplitting { fraction } => {
            physics::Attack::PhotonNumberSplitting { fraction: *fraction }
        }
        network::Attack::BeamSplitting => physics::Attack::BeamSplitting,
        network::Attack::Blinding { bias_current } => physics::Attack::Blinding(physics::Blinding {
            basis: physics::BasisChoice::Random { key_probability: 0.5 },
            compensate_gain: true,
            photocurrent: *bias_current,
        }),
        network::Attack::ManInTheMiddle { .. } => return None,
    })
}

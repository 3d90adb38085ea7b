//! From a link's scheme, fibre and platforms to what its hardware does and what its protocol is told.

use super::BuildError;
use crate::entanglement::hardware::{Brightness, LinkModel};
use crate::platforms::{self, PlatformError};
use bellwether_network::{EntanglingLink, Interface, Platform, Scheme, StatedPair, Station};
use bellwether_physics::entangling::{
    Calibration, ChargeCheck, DoubleClick, Ensemble, Geometry, Heralded, MidpointRetries, Optics, PairSource,
    SerialReflection, SingleClick, SingleClickEnd, Timing,
};
use bellwether_physics::{Fibre, ParameterError};
use bellwether_protocol::entanglement::link::{FidelityLevel, FidelityTable, LinkSettings};
use bellwether_quantum::HeraldedState;
use bellwether_quantum::bell::BellDiagonal;
use bellwether_units::{Angle, Duration, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A link's hardware, and how its ends are told to run it.
pub(super) fn link(
    link: &EntanglingLink,
    platforms: [Option<&Platform>; 2],
    stated: &mut Stated,
) -> Result<(LinkModel, LinkSettings), BuildError> {
    let error = |error| BuildError::Link { link: link.name.clone(), error };
    let optics = Ends { link, platforms };
    let scheme = Arc::as_ptr(&link.scheme).addr();
    let (levels, timing) = match stated.get(&scheme) {
        Some(levels) => (Arc::clone(levels), optics.meet_in_the_middle().map_err(error)?),
        None => optics.levels().map_err(error)?,
    };
    if matches!(*link.scheme, Scheme::Stated { .. }) {
        stated.entry(scheme).or_insert_with(|| Arc::clone(&levels));
    }
    let cycle = link.cycle.unwrap_or(timing.cycle).max(Duration::from_picoseconds(1));
    let table = levels.iter().map(|level| FidelityLevel {
        brightness: level.brightness,
        fidelity: level.fidelity(),
        success: level.success(),
    });
    let table = FidelityTable::new(table.collect())
        .map_err(|why| BuildError::Promise { link: link.name.clone(), why: why.to_string() })?;
    let availability = link.availability.as_deref().copied().unwrap_or_default();
    let parameter = |why: ParameterError| error(why.into());
    let charge_check = match availability.charge_check {
        Some(check) => Some((ChargeCheck::new(check.pass, check.time).map_err(parameter)?, check.every)),
        None => None,
    };
    let calibration = match availability.calibration {
        Some(told) => {
            let offset = told.period.saturating_sub(told.length);
            Some(Calibration::new(told.period, told.length, offset).map_err(parameter)?)
        }
        None => None,
    };
    let model = LinkModel { levels, cycle, herald: timing.herald, charge_check, calibration };
    let mut settings = LinkSettings::new(table, cycle, link.message_delay);
    settings.first_cycle = Time::ZERO;
    settings.test_share = libm::round(link.test_share * 65536.0).min(65535.0) as u16;
    Ok((model, settings))
}

/// The two ends of a link and what is between them.
struct Ends<'a> {
    link: &'a EntanglingLink,
    platforms: [Option<&'a Platform>; 2],
}

type Levels = (Arc<[Brightness]>, Timing);

/// The levels of links whose physics is stated, by their scheme, which links of one template share.
pub(super) type Stated = BTreeMap<usize, Arc<[Brightness]>>;

impl Ends<'_> {
    fn platform(&self, end: usize) -> Result<&Platform, PlatformError> {
        self.platforms[end].ok_or(PlatformError::NoPlatform)
    }
    fn interfaces(&self) -> Result<[&Interface; 2], PlatformError> {
        Ok([&self.platform(0)?.interface, &self.platform(1)?.interface])
    }
    fn arms(&self) -> Result<[Fibre; 2], PlatformError> {
        let [first, second] = self.link.arms().map(|fibre| crate::optics::fibre(&fibre));
        Ok([first?, second?])
    }
    fn preparation(&self) -> Duration {
        let told = self.platforms.iter().flatten().filter_map(|platform| platform.interface.attempt_time);
        self.link.preparation.or(told.max()).unwrap_or_default()
    }
    fn timing(&self, geometry: &Geometry) -> Timing {
        geometry.timing(self.preparation(), self.link.processing)
    }
    fn meet_in_the_middle(&self) -> Result<Timing, PlatformError> {
        Ok(self.timing(&Geometry::MeetInTheMiddle { arms: self.arms()? }))
    }

    fn levels(&self) -> Result<Levels, PlatformError> {
        match &*self.link.scheme {
            Scheme::SingleClick { brightness, counts_photons } => self.single(brightness, *counts_photons),
            Scheme::DoubleClick => {
                let link = DoubleClick { efficiencies: self.efficiencies()?, optics: self.optics()? };
                Ok((Arc::from([Brightness::of(1.0, &link.heralded()?)]), self.meet_in_the_middle()?))
            }
            Scheme::PairSource { mean_pairs, clock, absorption } => {
                self.pair_source(*mean_pairs, clock.hertz(), *absorption)
            }
            Scheme::Reflection { mean_photons, reflectance, contrast } => {
                self.reflection(*mean_photons, *reflectance, *contrast)
            }
            Scheme::Ensemble => self.ensemble(),
            Scheme::Stated { success, pair } => {
                let pair = match pair {
                    StatedPair::Werner(fidelity) => BellDiagonal::werner(*fidelity)?,
                    StatedPair::BellDiagonal(probabilities) => BellDiagonal::new(*probabilities)?,
                };
                let level = Brightness::stated(*success, pair.into())?;
                Ok((Arc::from([level]), self.meet_in_the_middle()?))
            }
        }
    }

    fn single(&self, brightness: &[f64], counts_photons: bool) -> Result<Levels, PlatformError> {
        let (optics, efficiencies) = (self.optics()?, self.efficiencies()?);
        let level = |bright: &f64| -> Result<Brightness, PlatformError> {
            let [first, second] =
                efficiencies.map(|efficiency| SingleClickEnd { bright: *bright, efficiency });
            let mut link = SingleClick::new(first, second, optics).balanced(*bright)?;
            if counts_photons {
                link = link.counting_photons();
            }
            Ok(Brightness::of(*bright, &link.heralded()?))
        };
        let levels = brightness.iter().map(level).collect::<Result<_, _>>()?;
        Ok((levels, self.meet_in_the_middle()?))
    }

    /// Only pulses that find memories free at both ends count as attempts; of several memories each has its share.
    fn pair_source(
        &self,
        mean_pairs: f64,
        clock: f64,
        absorption: [f64; 2],
    ) -> Result<Levels, PlatformError> {
        let (arms, losses) = (self.arms()?, self.link.arm_losses());
        let efficiencies = [0, 1]
            .map(|end| absorption[end] * losses[end].transmittance() * self.link.station.detector_efficiency);
        let dark = self.dark().unwrap_or(0.0);
        let misalignment = self.link.station.visibility.map_or(0.0, |visibility| 0.5 * (1.0 - visibility));
        let source = PairSource { mean_pairs, efficiencies, darks: [dark; 2], misalignment };
        let mut heralded = source.heralded()?;
        let period = Duration::from_picoseconds(libm::round(1e12 / clock).max(1.0) as u64);
        // A catch is a click with or without its partner.
        let l = 0.5 * mean_pairs;
        let catches = efficiencies.map(|e| 1.0 - (1.0 - dark) / ((1.0 + e * l) * (1.0 + e * l)));
        let memories = u32::from(self.link.memories[0].min(self.link.memories[1]));
        let retries = MidpointRetries { arms, period, memories, catches };
        let [a, b] = retries.ready()?;
        heralded.probability *= a * b / f64::from(memories.max(1));
        let herald = retries.comparison();
        let timing = Timing { cycle: self.preparation().max(period), herald: [herald; 2] };
        Ok((Arc::from([Brightness::of(1.0, &heralded)]), timing))
    }

    fn reflection(
        &self,
        mean_photons: f64,
        reflectance: [f64; 2],
        contrast: f64,
    ) -> Result<Levels, PlatformError> {
        let fibre = crate::optics::fibre(&self.link.fibre)?;
        let efficiency = reflectance[0]
            * reflectance[1]
            * self.link.fibre.loss().transmittance()
            * self.link.station.detector_efficiency;
        let link = SerialReflection { mean_photons, efficiency, dark: self.dark()?, contrast };
        let timing = self.timing(&Geometry::Serial { fibre });
        Ok((Arc::from([Brightness::of(1.0, &link.heralded()?)]), timing))
    }

    /// The excitations that the memories give back, as qubits of none or one.
    fn ensemble(&self) -> Result<Levels, PlatformError> {
        let platform = self.platform(0)?;
        let untold = PlatformError::Untold("a write probability");
        let write_probability = platform.interface.write_probability.ok_or(untold)?;
        let [a, b] = self.efficiencies()?;
        let (modes, optics) = (platform.interface.modes, self.optics()?);
        let link = Ensemble { write_probability, efficiency: f64::min(a, b), modes, optics };
        let efficiency = platforms::retrieval(platform)?.efficiency(Duration::ZERO)?;
        let state = link.retrieved(efficiency)?;
        let [none, first, second, both] = state.populations;
        let coherence = state.coherence;
        let state = HeraldedState::new([both, first, second, none], coherence.into())?;
        let heralded = Heralded { probability: link.success()?, state, two_ports: true };
        Ok((Arc::from([Brightness::of(1.0, &heralded)]), self.meet_in_the_middle()?))
    }

    /// What the link's own figures and, where it has none, those of its platforms say of the light.
    fn optics(&self) -> Result<Optics, PlatformError> {
        let Station { visibility, phase, double_excitation, unmodelled_coherence, .. } = self.link.station;
        let [a, b] = self.interfaces()?;
        let lower = || {
            let both = a.visibility.zip(b.visibility);
            both.map(|(a, b)| f64::min(a, b)).ok_or(PlatformError::Untold("a visibility"))
        };
        let larger = |figure: fn(&Interface) -> f64| f64::max(figure(a), figure(b));
        let told = || larger(|interface| interface.phase.map_or(0.0, Angle::radians));
        Ok(Optics {
            visibility: visibility.map_or_else(lower, Ok)?,
            dark: self.dark()?,
            phase: phase.unwrap_or_else(|| Angle::from_radians(told())),
            double_excitation: double_excitation
                .unwrap_or_else(|| larger(|interface| interface.double_excitation.unwrap_or(0.0))),
            unmodelled_coherence,
        })
    }
    /// The station's dark clicks; a rate of it counts in its window or in those of the platforms.
    fn dark(&self) -> Result<f64, PlatformError> {
        let Station { dark_count_rate, window, dark_probability, .. } = self.link.station;
        if let Some(probability) = dark_probability {
            return Ok(probability);
        }
        let of_end = |interface: &Interface| {
            let mut told = Interface { window: window.or(interface.window), ..*interface };
            if dark_count_rate.is_some() && told.window.is_some() {
                told = Interface { dark_count_rate, dark_probability: None, ..told };
            }
            platforms::dark(&told)
        };
        let [a, b] = self.interfaces()?;
        Ok(f64::max(of_end(a)?, of_end(b)?))
    }
    fn efficiencies(&self) -> Result<[f64; 2], PlatformError> {
        let losses = self.link.arm_losses();
        let interfaces = self.interfaces()?;
        let of = |end: usize| -> Result<f64, PlatformError> {
            let click = interfaces[end].click_probability;
            let click = click.ok_or(PlatformError::Untold("a click probability"))?;
            Ok(click * losses[end].transmittance() * self.link.station.detector_efficiency)
        };
        Ok([of(0)?, of(1)?])
    }
}

#[cfg(test)]
mod tests {
    use crate::entanglement::link_model;
    use bellwether_network::{Network, Override};
    use bellwether_units::LinkId;

    /// The success and the fidelity of a link of 20 km with its station 5 km from the first end.
    fn of_scheme(scheme: &str, overrides: &[&str]) -> (f64, f64) {
        let text = format!(
            "format = 1\nnetwork.name = \"x\"\n[defaults.platform]\nprofile = \"rubidium-ensemble\"\n\
             interface.click_probability = 0.2\ninterface.window = \"1 us\"\n[node.A]\n[node.B]\n\
             [entangling.A-B]\nends = [\"A\", \"B\"]\nfibre = {{ length = \"20 km\", loss_per_length = \"0.2 dB/km\" }}\n\
             station = {{ arms = [\"5 km\", \"15 km\"], dark_probability = 1e-6, visibility = 0.9 }}\nscheme = {{ {scheme} }}\n"
        );
        // A pulse that is reflected has no station.
        let text = if scheme.contains("reflection") {
            text.replace("arms = [\"5 km\", \"15 km\"], ", "")
        } else {
            text
        };
        let overrides: Vec<_> = overrides.iter().map(|one| Override::parse(one).unwrap()).collect();
        let network = Network::parse(&text, "x.toml", &overrides).unwrap_or_else(|errors| panic!("{errors}"));
        let model = link_model(&network, LinkId(0)).unwrap();
        (model.levels[0].success(), model.levels[0].fidelity())
    }

    /// Each scheme to first order in its small probabilities, over arms of 1 and 3 dB.
    #[test]
    fn schemes_of_a_file_succeed_as_often_as_they_should() {
        let arms = [10f64.powf(-0.1), 10f64.powf(-0.3)];
        let near = |scheme: &str, wanted: f64, tolerance: f64| {
            let (success, _) = of_scheme(scheme, &[]);
            assert!((success / wanted - 1.0).abs() < tolerance, "{scheme}: {success}, not {wanted}");
        };
        near("kind = \"double-click\"", 0.04 * arms[0] * arms[1] / 2.0, 0.01);
        // The brighter end is the one of the longer arm.
        near("kind = \"single-click\", brightness = [0.02]", 2.0 * 0.02 * 0.2 * arms[1], 0.03);
        near(
            "kind = \"reflection\", mean_photons = 0.1, reflectance = [0.5, 0.2]",
            0.01 * arms[0] * arms[1],
            0.01,
        );
        near("kind = \"ensemble\"", 2.0 * 0.015 * 0.2 * arms[1], 0.05);
        near("kind = \"stated\", success = 0.5, fidelity = 0.8", 0.5, 1e-12);
        // A memory that has caught a photon waits while the ends compare, over 15 km and then 20 km.
        let caught = 0.01 * arms[0] * 35e3 * 1.468 / 299_792_458.0 * 1e4;
        let free = 1.0 / ((1.0 + caught) * (1.0 + caught * arms[1] / arms[0]));
        near(
            "kind = \"pair-source\", mean_pairs = 0.01, clock = \"10 kHz\"",
            0.01 * arms[0] * arms[1] * free,
            0.03,
        );
    }

    #[test]
    fn a_rate_of_dark_clicks_counts_in_the_window_of_station_or_platform() {
        let click = "kind = \"double-click\"";
        let (_, fidelity) = of_scheme(click, &["entangling.A-B.station.dark_probability=0.001"]);
        let rate = "entangling.A-B.station={ arms = [\"5 km\", \"15 km\"], visibility = 0.9, dark_count_rate = \"1000 /s\" }";
        let (_, by_rate) = of_scheme(click, &[rate]);
        // 1 - exp(-0.001) is a little less than 0.001.
        assert!((by_rate - fidelity).abs() < 1e-4, "{by_rate} {fidelity}");
        let (_, narrower) = of_scheme(click, &[rate, "entangling.A-B.station.window=1 ns"]);
        assert!(narrower > fidelity + 0.001, "{narrower} {fidelity}");
    }
}

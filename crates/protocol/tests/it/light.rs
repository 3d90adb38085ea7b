//! A small seeded source of photons and the detectors at the other end, for tests.
//!
//! Photon numbers are Poissonian within an intensity (or one a pulse for a single-photon source), each photon
//! is detected with one probability, and what is prepared in a pulse is a hash of its number, so that nothing
//! needs to be remembered.

use bellwether_bits::BitString;
use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use bellwether_protocol::qkd::alarm::Baseline;
use bellwether_protocol::qkd::security::{ExpectedClass, SourceClass};
use bellwether_units::{Current, EntityId, Purpose, Stream, Time};

pub(crate) struct Light {
    pub(crate) source: Vec<SourceClass>,
    /// Whether each pulse holds exactly one photon.
    pub(crate) single_photons: bool,
    /// The probability that both ends choose the key basis is the square of this.
    pub(crate) key_basis: f64,
    /// The probability that a photon is detected.
    pub(crate) transmittance: f64,
    /// The probability that an empty pulse clicks.
    pub(crate) dark: f64,
    /// The probability that a detected photon gives the wrong bit.
    pub(crate) misalignment: f64,
    /// The fraction of pulses that an eavesdropper intercepts and resends in a random basis.
    pub(crate) intercepted: f64,
    /// The probability that both detectors fire in a click.
    pub(crate) double_clicks: f64,
    /// What the monitor of the detectors' bias shows.
    pub(crate) bias_current: Option<Current>,
    /// The fibre is cut.
    pub(crate) cut: bool,
    seed: u64,
    stream: Stream,
    next: PulseNumber,
}

struct Prepared {
    check: bool,
    bit: bool,
    class: u8,
}

/// Pulses that were sent and have not been detected yet.
const UNDER_WAY: u64 = 1 << 20;

impl Light {
    /// Two intensities as in Rusca et al. 2018, 1 % misalignment.
    pub(crate) fn decoy(seed: u64, transmittance: f64) -> Self {
        Self {
            source: vec![SourceClass::new(0.5, 0.7), SourceClass::new(0.15, 0.3)],
            single_photons: false,
            key_basis: 0.8,
            transmittance,
            dark: 1e-6,
            misalignment: 0.01,
            intercepted: 0.0,
            double_clicks: 0.0,
            bias_current: None,
            cut: false,
            seed,
            stream: Stream::new(seed, EntityId(0), Purpose::named("light")),
            next: 0,
        }
    }

    /// One photon a pulse, half of them detected, so that small blocks give key.
    pub(crate) fn single_photons(seed: u64) -> Self {
        Self {
            source: vec![SourceClass::new(1.0, 1.0)],
            single_photons: true,
            key_basis: 0.7,
            ..Self::decoy(seed, 0.5)
        }
    }

    /// What calibration expects of single photons, without monitors of side channels.
    pub(crate) fn baseline(&self) -> Baseline {
        let class = ExpectedClass { gain: self.transmittance, error_rate: self.misalignment };
        Baseline {
            source: self.source.clone(),
            key: vec![class],
            check: vec![class],
            background_per_pulse: self.dark,
            clicks_per_pulse: self.transmittance,
            double_clicks_per_click: None,
            bias_current_limit: None,
        }
    }

    fn prepared(&self, pulse: PulseNumber) -> Prepared {
        let mut x = pulse.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.seed.wrapping_mul(0xd6e8_feb8_6659_fd93);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        let part = |shift: u32| (x >> shift & 0xff_ffff) as f64 / 16_777_216.0;
        let mut left = part(24);
        let class = self.source.iter().position(|class| {
            left -= class.probability;
            left < 0.0
        });
        Prepared { check: part(0) >= self.key_basis, bit: x >> 63 == 1, class: class.unwrap_or(0) as u8 }
    }

    /// What the transmitter's hardware remembers of these pulses: nothing if some are yet to be sent.
    /// Those under way were sent.
    pub(crate) fn recall(&self, pulses: &[PulseNumber]) -> Preparations {
        let mut out = Preparations::default();
        if pulses.iter().any(|&pulse| pulse >= self.next + UNDER_WAY) {
            return out;
        }
        for &pulse in pulses {
            let prepared = self.prepared(pulse);
            out.bases.push(prepared.check);
            out.bits.push(prepared.bit);
            out.intensities.push(prepared.class);
        }
        out
    }

    /// What the receiver's hardware reports of the next `pulses` pulses.
    pub(crate) fn window(&mut self, now: Time, pulses: u64) -> Detections {
        let mut out = Detections {
            first_pulse: self.next,
            pulse_count: pulses,
            ended: now,
            pulses: Vec::new(),
            bases: BitString::default(),
            outcomes: BitString::default(),
            double_clicks: 0,
            bias_current: self.bias_current,
        };
        // Candidates for a click come with the greatest probability of any class; each is then kept with its
        // own, so that the cost follows the clicks.
        let clicks: Vec<f64> =
            self.source.iter().map(|class| self.click_probability(class.mean_photons)).collect();
        let most = clicks.iter().copied().fold(0.0, f64::max);
        let end = self.next + pulses;
        let mut pulse = self.next;
        loop {
            if most < 1.0 {
                let gap = libm::log(1.0 - self.stream.uniform()) / libm::log1p(-most);
                pulse += gap.min(pulses as f64) as u64;
            }
            if pulse >= end {
                break;
            }
            let prepared = self.prepared(pulse);
            if self.stream.chance(clicks[prepared.class as usize] / most) {
                self.detect(pulse, &prepared, clicks[prepared.class as usize], &mut out);
            }
            pulse += 1;
        }
        self.next += pulses;
        out
    }

    fn click_probability(&self, mean_photons: f64) -> f64 {
        let photon = match (self.cut, self.single_photons) {
            (true, _) => 0.0,
            (false, true) => self.transmittance,
            (false, false) => 1.0 - libm::exp(-mean_photons * self.transmittance),
        };
        (photon + self.dark).clamp(1e-12, 1.0)
    }

    fn detect(&mut self, pulse: PulseNumber, prepared: &Prepared, click: f64, out: &mut Detections) {
        let dark = self.cut || self.stream.chance(self.dark / click);
        let check = !self.stream.chance(self.key_basis);
        let (mut basis, mut outcome) = (prepared.check, prepared.bit);
        if !dark && self.stream.chance(self.intercepted) {
            let eve = self.stream.chance(0.5);
            if eve != basis {
                (basis, outcome) = (eve, self.stream.chance(0.5));
            }
        }
        if dark || check != basis {
            outcome = self.stream.chance(0.5);
        } else if self.stream.chance(self.misalignment) {
            outcome = !outcome;
        }
        if self.double_clicks > 0.0 && self.stream.chance(self.double_clicks) {
            // Their random outcomes are part of the misalignment.
            out.double_clicks += 1;
        }
        out.pulses.push(pulse);
        out.bases.push(check);
        out.outcomes.push(outcome);
    }
}

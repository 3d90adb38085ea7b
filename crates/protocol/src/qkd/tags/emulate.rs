//! Two records of time tags from a source of pairs that never was.

use bellwether_units::{EntityId, Purpose, Stream};

/// A click: when, by the end's own clock in picoseconds, and in which of four detectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) time: u64,
    pub(super) channel: u8,
}

/// A source of polarisation-entangled pairs between two ends with passive choice of basis, four detectors each, and
/// clocks of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PairSource {
    /// Pairs a second.
    pub(super) pair_rate: f64,
    /// With which probability a photon becomes a click, at the reference end and at the other.
    pub(super) transmission: [f64; 2],
    /// Other clicks a second.
    pub(super) background: [f64; 2],
    /// The standard deviation of a click's time, in picoseconds.
    pub(super) jitter: f64,
    /// With which probability outcomes in equal bases differ.
    pub(super) error_rate: f64,
    /// How long it runs.
    pub(super) seconds: f64,
    /// What the reference clock shows when the other shows 0, in picoseconds; the other begins at 10 s.
    pub(super) offset: f64,
    /// By how much faster the reference clock runs.
    pub(super) drift: f64,
    /// By how much that grows in a second.
    pub(super) drift_rate: f64,
}

impl Default for PairSource {
    /// 300 000 pairs a second, a tenth seen at either end, 1 000 other clicks, 150 ps, 2 %, a second.
    fn default() -> Self {
        Self {
            pair_rate: 3e5,
            transmission: [0.1, 0.1],
            background: [1e3, 1e3],
            jitter: 150.0,
            error_rate: 0.02,
            seconds: 1.0,
            offset: 0.25e12,
            drift: 4e-6,
            drift_rate: 0.0,
        }
    }
}

/// What both ends recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Emulated {
    /// At the reference end.
    pub(super) reference: Vec<Tag>,
    /// At the other.
    pub(super) other: Vec<Tag>,
}

/// The time of the other clock at the beginning of the light: late enough that no clock shows a time below 0.
const BEGIN: f64 = 1e13;

impl PairSource {
    /// The reference clock's time when the other shows `time`.
    pub(super) fn reference_of(&self, time: f64) -> f64 {
        let since = time - BEGIN;
        time + self.offset + since * self.drift + 0.5 * self.drift_rate * 1e-12 * since * since
    }

    /// Lets it run. Equal seeds give equal records.
    pub(super) fn run(&self, seed: u64) -> Emulated {
        let mut random = Stream::new(seed, EntityId(0), Purpose::named("pair source"));
        let end = self.seconds * 1e12;
        let (mut reference, mut other) = (Vec::new(), Vec::new());
        let exponential = |random: &mut Stream, rate: f64| -libm::log(1.0 - random.uniform()) / rate * 1e12;
        let mut at = exponential(&mut random, self.pair_rate);
        while at < end {
            let bit = random.chance(0.5);
            let bases = [random.chance(0.5), random.chance(0.5)];
            let same = bases[0] == bases[1];
            let wrong = random.chance(if same { self.error_rate } else { 0.5 });
            if random.chance(self.transmission[0]) {
                let seen = self.reference_of(BEGIN + at) + self.jitter * normal(&mut random);
                reference.push(Tag { time: seen as u64, channel: u8::from(bases[0]) * 2 + u8::from(bit) });
            }
            if random.chance(self.transmission[1]) {
                let seen = BEGIN + at + self.jitter * normal(&mut random);
                other
                    .push(Tag { time: seen as u64, channel: u8::from(bases[1]) * 2 + u8::from(bit ^ wrong) });
            }
            at += exponential(&mut random, self.pair_rate);
        }
        for (record, rate, is_reference) in
            [(&mut reference, self.background[0], true), (&mut other, self.background[1], false)]
        {
            if rate > 0.0 {
                let mut at = exponential(&mut random, rate);
                while at < end {
                    let time = BEGIN + at;
                    let time = if is_reference { self.reference_of(time) } else { time };
                    record.push(Tag { time: time as u64, channel: random.below(4) as u8 });
                    at += exponential(&mut random, rate);
                }
            }
            record.sort_unstable_by_key(|tag| (tag.time, tag.channel));
        }
        Emulated { reference, other }
    }
}

/// A standard normal number (Box & Muller).
fn normal(random: &mut Stream) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - random.uniform()));
    radius * libm::cos(core::f64::consts::TAU * random.uniform())
}

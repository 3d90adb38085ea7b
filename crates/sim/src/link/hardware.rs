//! The emulated hardware of a link at detail `bits`: the receiver's clicks, and what the transmitter remembers.
//!
//! It implements the hardware interface of `bellwether_protocol::hardware` with models: what truly happened to
//! the light stays here, and each end is shown what its own devices would show.

use super::Tally;
use crate::conditions::{Conditions, Timeline};
use crate::optics::Optics;
use crate::run::RunError;
use bellwether_bits::BitString;
use bellwether_physics::{ClickSampler, Clicks};
use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use bellwether_units::{Current, Duration, Stream, Time};
use std::collections::VecDeque;

/// Devices at both ends of one link and the light between them.
pub(super) struct EmulatedHardware {
    optics: Optics,
    timeline: Timeline,
    sampler: ClickSampler,
    stream: Stream,
    choice: Choice,
    invented: Stream,
    pulse_rate: f64,
    window_pulses: u64,
    next_pulse: PulseNumber,
    delay: Duration,
    monitor: bool,
    /// What was prepared in the pulses that clicked, until the transmitter has been asked for it.
    memory: VecDeque<Clicks>,
    remembered: usize,
    clicks: Clicks,
    modelled: Option<Conditions>,
    bias_current: Current,
    tally: Tally,
}

/// How many clicks the transmitter's memory reaches back.
const MEMORY: usize = 8 << 20;

/// What a transmitter chooses from for each pulse.
pub(super) struct Choice {
    /// The probability of the key basis.
    pub(super) key_probability: f64,
    /// The probability of each intensity.
    pub(super) intensities: Vec<f64>,
}

impl Choice {
    fn draw(&self, stream: &mut Stream) -> (u8, u8) {
        let basis = if stream.chance(self.key_probability) { 0 } else { Clicks::PREPARED_CHECK };
        let bit = if stream.chance(0.5) { Clicks::PREPARED_BIT } else { 0 };
        let mut left = stream.uniform();
        let mut class = 0;
        for (k, p) in self.intensities.iter().enumerate() {
            class = k as u8;
            left -= p;
            if left < 0.0 {
                break;
            }
        }
        (basis | bit, class)
    }
}

/// What an [`EmulatedHardware`] is made of, beyond its light.
pub(super) struct Emulation {
    /// The link's light.
    pub(super) optics: Optics,
    /// What happens to the link.
    pub(super) timeline: Timeline,
    /// For clicks.
    pub(super) stream: Stream,
    /// What the transmitter chooses from.
    pub(super) choice: Choice,
    /// For preparations of pulses that did not click.
    pub(super) invented: Stream,
    /// Pulses a second.
    pub(super) pulse_rate: f64,
    /// Pulses a window.
    pub(super) window_pulses: u64,
    /// From transmitter to receiver.
    pub(super) delay: Duration,
    /// Whether the receiver watches the bias current of its detectors.
    pub(super) monitor: bool,
}

impl EmulatedHardware {
    pub(super) fn new(parts: Emulation) -> Result<Self, RunError> {
        let Emulation {
            mut optics,
            timeline,
            stream,
            choice,
            invented,
            pulse_rate,
            window_pulses,
            delay,
            monitor,
        } = parts;
        let model = optics.at(Time::ZERO, timeline.at(Time::ZERO).0)?;
        Ok(Self {
            optics,
            timeline,
            sampler: ClickSampler::new(&model),
            stream,
            choice,
            invented,
            pulse_rate,
            window_pulses,
            next_pulse: 0,
            delay,
            monitor,
            memory: VecDeque::new(),
            remembered: 0,
            clicks: Clicks::default(),
            modelled: None,
            bias_current: model.bias_current(),
            tally: Tally::default(),
        })
    }

    /// When the receiver has seen the whole of the next window.
    pub(super) fn next_window_ends(&self) -> Time {
        self.time_of(self.next_pulse + self.window_pulses).saturating_add(self.delay)
    }

    /// Lets the pulses of the next window fly and gives what the receiver reports of them; nothing if it did
    /// not run from the window's beginning to its end.
    pub(super) fn next_window(&mut self) -> Result<Option<Detections>, RunError> {
        let first_pulse = self.next_pulse;
        let end = first_pulse + self.window_pulses;
        let ended = self.next_window_ends();
        let mut clicks = self.fresh();
        let mut bias_current = None;
        let mut at = first_pulse;
        let mut off = 0;
        let mut seen = true;
        while at < end {
            let now = self.time_of(at);
            let (conditions, change) = self.timeline.at(now);
            let conditions = conditions.clone();
            let change = change.map_or(end, |change| self.pulse_at(change)).clamp(at + 1, end);
            self.remodel(now, &conditions)?;
            off = self.optics.pulses_off(conditions.clock_offset);
            seen &= conditions.receiver_up;
            if conditions.receiver_up {
                self.sampler.sample(at..change, &mut self.stream, &mut clicks);
                bias_current = greater(bias_current, self.bias_current);
            }
            self.tally.pulses += if conditions.transmitter_up { change - at } else { 0 };
            at = change;
        }
        self.next_pulse = end;
        self.count(&clicks);
        let detections = seen.then(|| self.report(first_pulse, ended, off, &clicks, bias_current));
        self.remember(clicks);
        Ok(detections)
    }

    /// The light seen so far, as nobody but the emulator knows it.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    fn count(&mut self, clicks: &Clicks) {
        const BOTH_CHECK: u8 = Clicks::MEASURED_CHECK | Clicks::PREPARED_CHECK;
        let with =
            |bases: u8| clicks.flags.iter().filter(|&&flags| flags & BOTH_CHECK == bases).count() as u64;
        self.tally.clicks += clicks.len() as u64;
        self.tally.key_sifted += with(0);
        self.tally.check_sifted += with(BOTH_CHECK);
    }

    /// What had been prepared in `pulses`, which rise. Of pulses without a click, and of those too long ago,
    /// nothing is remembered; they are answered by a preparation drawn afresh, which nobody can tell apart.
    ///
    /// For pulses that were not sent yet it gives nothing at all.
    pub(super) fn recall(&mut self, pulses: &[PulseNumber]) -> Preparations {
        if pulses.last().is_some_and(|&last| last >= self.next_pulse) {
            return Preparations::default();
        }
        let (flags, intensities) =
            self.remembered_run(pulses).unwrap_or_else(|| self.remembered_one_by_one(pulses));
        if let Some(&last) = pulses.last() {
            self.forget_before(last);
        }
        Preparations {
            bases: column(&flags, Clicks::PREPARED_CHECK),
            bits: column(&flags, Clicks::PREPARED_BIT),
            intensities,
        }
    }

    /// The flags and intensities of `pulses` where they are clicks of one window that follow each other, as
    /// they are unless a frame was lost or forged.
    fn remembered_run(&self, pulses: &[PulseNumber]) -> Option<(Vec<u8>, Vec<u8>)> {
        let first = *pulses.first()?;
        let window =
            self.memory.iter().find(|window| window.pulse.last().is_some_and(|&last| last >= first))?;
        let at = window.pulse.partition_point(|&pulse| pulse < first);
        let run = at..at + pulses.len();
        (window.pulse.get(run.clone())? == pulses)
            .then(|| (window.flags[run.clone()].to_vec(), window.intensity[run].to_vec()))
    }

    fn remembered_one_by_one(&mut self, pulses: &[PulseNumber]) -> (Vec<u8>, Vec<u8>) {
        let mut flags = Vec::with_capacity(pulses.len());
        let mut intensities = Vec::with_capacity(pulses.len());
        let mut windows = self.memory.iter();
        let mut current = windows.next();
        for &pulse in pulses {
            while current.is_some_and(|window| window.pulse.last().is_none_or(|&last| last < pulse)) {
                current = windows.next();
            }
            let found = current.and_then(|window| {
                let at = window.pulse.binary_search(&pulse).ok()?;
                Some((window.flags[at], window.intensity[at]))
            });
            let (flag, intensity) = found.unwrap_or_else(|| self.choice.draw(&mut self.invented));
            flags.push(flag);
            intensities.push(intensity);
        }
        (flags, intensities)
    }

    /// The transmitter's node crashed: what it remembered is gone.
    pub(super) fn forget(&mut self) {
        self.memory.clear();
        self.remembered = 0;
    }

    fn report(
        &self,
        first_pulse: PulseNumber,
        ended: Time,
        off: u64,
        clicks: &Clicks,
        bias_current: Option<Current>,
    ) -> Detections {
        // A receiver whose clock is off by whole pulses numbers them wrongly; those past the window's end are
        // taken for the window after it and lost.
        let last = first_pulse + self.window_pulses;
        let kept = clicks.pulse.partition_point(|&pulse| pulse + off < last);
        Detections {
            first_pulse,
            pulse_count: self.window_pulses,
            ended,
            pulses: match off {
                0 => clicks.pulse[..kept].to_vec(),
                _ => clicks.pulse[..kept].iter().map(|&pulse| pulse + off).collect(),
            },
            bases: column(&clicks.flags[..kept], Clicks::MEASURED_CHECK),
            outcomes: column(&clicks.flags[..kept], Clicks::OUTCOME),
            double_clicks: clicks.flags[..kept].iter().filter(|&&f| f & Clicks::DOUBLE != 0).count() as u64,
            bias_current: bias_current.filter(|_| self.monitor),
        }
    }

    fn remodel(&mut self, now: Time, conditions: &Conditions) -> Result<(), RunError> {
        let same = self.modelled.as_ref() == Some(conditions);
        if !same || self.optics.wanders(conditions, now) {
            let model = self.optics.at(now, conditions)?;
            self.sampler.set_model(&model);
            self.bias_current = model.bias_current();
            self.modelled = Some(conditions.clone());
        }
        Ok(())
    }

    fn remember(&mut self, clicks: Clicks) {
        self.remembered += clicks.len();
        self.memory.push_back(clicks);
        while self.remembered > MEMORY {
            let Some(oldest) = self.memory.pop_front() else { break };
            self.remembered -= oldest.len();
            self.clicks = oldest;
        }
    }

    fn forget_before(&mut self, pulse: PulseNumber) {
        while self.memory.front().is_some_and(|window| window.pulse.last().is_none_or(|&last| last <= pulse))
        {
            if let Some(oldest) = self.memory.pop_front() {
                self.remembered -= oldest.len();
                self.clicks = oldest;
            }
        }
    }

    /// Columns to fill, with the memory of a window that is forgotten.
    fn fresh(&mut self) -> Clicks {
        let mut clicks = core::mem::take(&mut self.clicks);
        clicks.clear();
        clicks
    }

    fn time_of(&self, pulse: PulseNumber) -> Time {
        let span = Duration::from_seconds(pulse as f64 / self.pulse_rate).unwrap_or(Duration::MAX);
        Time::ZERO.saturating_add(span)
    }

    fn pulse_at(&self, time: Time) -> PulseNumber {
        libm::ceil(time.seconds() * self.pulse_rate) as PulseNumber
    }
}

/// One flag of each click as a bit.
fn column(flags: &[u8], flag: u8) -> BitString {
    /// Gathers the lowest bits of eight bytes into one byte: bit i of the product's highest byte is that of
    /// byte i, and no two terms of the product meet.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    let shift = flag.trailing_zeros();
    let mut words = Vec::with_capacity(flags.len().div_ceil(64));
    for chunk in flags.chunks(64) {
        let mut word = 0u64;
        let eights = chunk.chunks_exact(8);
        let rest = eights.remainder();
        let done = chunk.len() - rest.len();
        for (i, eight) in eights.enumerate() {
            let bytes = u64::from_le_bytes(eight.try_into().expect("chunks_exact gives eight bytes"));
            word |= ((bytes >> shift & LOWEST).wrapping_mul(GATHER) >> 56) << (8 * i);
        }
        for (i, &f) in rest.iter().enumerate() {
            word |= u64::from(f >> shift & 1) << (done + i);
        }
        words.push(word);
    }
    BitString::from_words(words, flags.len())
}

/// The greater of two currents, where there is one already.
fn greater(so_far: Option<Current>, current: Current) -> Option<Current> {
    Some(so_far.filter(|so_far| *so_far > current).unwrap_or(current))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_column_holds_the_flag_of_each_click(
            flags in prop::collection::vec(any::<u8>(), 0..200),
            bit in 0u32..8,
        ) {
            let packed = column(&flags, 1 << bit);
            prop_assert_eq!(packed.len(), flags.len());
            for (i, f) in flags.iter().enumerate() {
                prop_assert_eq!(packed.get(i), f >> bit & 1 == 1);
            }
        }
    }
}

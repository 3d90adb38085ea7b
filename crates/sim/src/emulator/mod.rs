//! The emulated devices of one link: the receiver's clicks, what the transmitter remembers, and the light
//! between them.
//!
//! A [`LinkEmulator`] implements the hardware interface of [`bellwether_protocol::hardware`] with models. What
//! truly happened to the light stays in it; each end is shown what its own devices would show. The simulator
//! moves it in virtual time, a daemon paces it by the wall clock.
//!
//! ```
//! use bellwether_network::{Attack, EavesdropperBasis, LinkEvent, Network};
//! use bellwether_sim::emulator::LinkEmulator;
//! use bellwether_units::LinkId;
//!
//! let text = include_str!("../../../../networks/single-link.toml");
//! let network = Network::parse(text, "single-link.toml", &[])?;
//! let mut emulator = LinkEmulator::new(&network, LinkId(0), 7)?;
//! let detections = emulator.next_window()?.expect("both ends are up");
//! let prepared = emulator.recall(&detections.pulses);
//! assert_eq!(prepared.bits.len(), detections.pulses.len());
//! assert!(emulator.recall(&detections.pulses).bits.is_empty(), "it answers for a pulse only once");
//!
//! let attack = Attack::InterceptResend { fraction: 1.0, basis: EavesdropperBasis::Random };
//! let injected = emulator.inject(LinkEvent::Attack(attack), None)?;
//! assert!(emulator.withdraw(injected));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod injection;
mod memory;
mod settings;

pub use injection::InjectionError;
pub(crate) use settings::{authentication_of, settings_of};
pub use settings::{link_settings, provisioned, provisioned_bits};

use crate::conditions::{Conditions, Timeline};
use crate::expect::classes_of;
use crate::link::{MOST_CLICKS, Tally, pulses_of_window, stream, window_pulses};
use crate::optics::Optics;
use crate::run::RunError;
use bellwether_network::{Event, Network};
use bellwether_physics::{ClickSampler, Clicks};
use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use bellwether_units::{Current, Duration, LinkId, NodeId, Stream, Time};
use memory::{Choice, Memory, column, count_with};

/// Devices at both ends of one link and the light between them.
///
/// Its time is the network's: it begins with pulse 0 and moves with each window.
pub struct LinkEmulator {
    link: LinkId,
    optics: Optics,
    timeline: Timeline,
    /// What the timeline is folded from: the link's own events of the file, and those injected.
    events: Vec<Event>,
    ends: [NodeId; 2],
    misalignment: f64,
    injected: Vec<injection::Injected>,
    injections: u64,
    sampler: ClickSampler,
    stream: Stream,
    pulse_rate: f64,
    clicks_per_pulse: f64,
    window_pulses: u64,
    next_pulse: PulseNumber,
    delay: Duration,
    monitor: bool,
    memory: Memory,
    modelled: Option<Conditions>,
    bias_current: Current,
    tally: Tally,
}

/// Which ends see light of the other: what a loss-of-light detector at the end of a fibre tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LightSeen {
    /// The receiver sees the transmitter's synchronisation pulses.
    pub at_receiver: bool,
    /// The transmitter sees the receiver's answer to them.
    pub at_transmitter: bool,
}

impl LinkEmulator {
    /// The devices of `link` as `network` describes them, before the first pulse. Equal seeds give equal
    /// clicks.
    ///
    /// # Errors
    /// If the devices do not make a link.
    pub fn new(network: &Network, link: LinkId, seed: u64) -> Result<Self, RunError> {
        let timeline = Timeline::of_link(network, link);
        Self::with_timeline(network, link, seed, timeline)
    }

    /// As [`new`](Self::new), for a caller who has the link's timeline already.
    pub(crate) fn with_timeline(
        network: &Network,
        id: LinkId,
        seed: u64,
        timeline: Timeline,
    ) -> Result<Self, RunError> {
        let link = network.link(id);
        let mut optics = Optics::new(link, stream(network, id, seed, "drift"))?;
        let clicks_per_pulse = optics.honest()?.click_probability();
        let model = optics.at(Time::ZERO, timeline.at(Time::ZERO).0)?;
        let choice = Choice {
            key_probability: link.protocol.key_basis_probability,
            intensities: classes_of(link).iter().map(|class| class.probability).collect(),
        };
        let invented = stream(network, id, seed, "invented preparations");
        Ok(Self {
            link: id,
            optics,
            timeline,
            events: crate::conditions::events_of(network, id),
            ends: [link.transmitter_at, link.receiver_at],
            misalignment: link.fibre.misalignment,
            injected: Vec::new(),
            injections: 0,
            sampler: ClickSampler::new(&model),
            stream: stream(network, id, seed, "clicks"),
            pulse_rate: crate::optics::pulse_rate(link),
            clicks_per_pulse,
            window_pulses: window_pulses(network, link, clicks_per_pulse),
            next_pulse: 0,
            delay: link.fibre.delay(),
            monitor: link.receiver.detector.bias_current_monitor,
            memory: Memory::new(choice, invented),
            modelled: None,
            bias_current: model.bias_current(),
            tally: Tally::default(),
        })
    }

    /// Pulses that leave the transmitter in a second, bursts averaged.
    pub fn pulse_rate(&self) -> f64 {
        self.pulse_rate
    }

    /// How many pulses a window spans.
    pub fn window_pulses(&self) -> u64 {
        self.window_pulses
    }

    /// The first pulse that was not sent yet.
    pub fn next_pulse(&self) -> PulseNumber {
        self.next_pulse
    }

    /// How many pulses a window of this length spans, or fewer where an honest line would give more than
    /// `most_clicks`, or more than can be kept at hand.
    pub fn pulses_of_window(&self, window: Duration, most_clicks: u64) -> u64 {
        pulses_of_window(
            window.seconds() * self.pulse_rate,
            most_clicks.min(MOST_CLICKS),
            self.clicks_per_pulse,
        )
    }

    /// Lets windows from the next one on span so many pulses, at least one.
    pub fn set_window_pulses(&mut self, pulses: u64) {
        self.window_pulses = pulses.max(1);
    }

    /// When the receiver has seen the whole of the next window, in the network's time.
    pub fn next_window_ends(&self) -> Time {
        self.time_of(self.next_pulse + self.window_pulses).saturating_add(self.delay)
    }

    /// Lets the pulses of the next window fly and gives what the receiver reports of them; nothing if it did
    /// not run from the window's beginning to its end.
    ///
    /// # Errors
    /// If the devices do not make a link under the conditions that hold.
    pub fn next_window(&mut self) -> Result<Option<Detections>, RunError> {
        let first_pulse = self.next_pulse;
        let end = first_pulse + self.window_pulses;
        let ended = self.next_window_ends();
        let mut clicks = self.memory.fresh();
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
        self.memory.remember(clicks);
        Ok(detections)
    }

    /// The light seen so far, as nobody but the emulator knows it.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    fn count(&mut self, clicks: &Clicks) {
        const BOTH_CHECK: u8 = Clicks::MEASURED_CHECK | Clicks::PREPARED_CHECK;
        self.tally.clicks += clicks.len() as u64;
        self.tally.key_sifted += count_with(&clicks.flags, BOTH_CHECK, 0);
        self.tally.check_sifted += count_with(&clicks.flags, BOTH_CHECK, BOTH_CHECK);
    }

    /// Lets the pulses of the next window fly while nobody counts clicks: what a receiver does whose buffer is
    /// full, or to which nobody listens.
    pub fn skip_window(&mut self) {
        self.next_pulse += self.window_pulses;
    }

    /// What had been prepared in `pulses`.
    ///
    /// Each pulse is answered for at most once, in the order of pulses: nothing at all is answered if `pulses`
    /// do not rise, reach back to pulses asked for before, or were not all sent yet. Of pulses without a click,
    /// and of those too long ago (eight million clicks), nothing is remembered; they are answered by a
    /// preparation drawn afresh, which nobody can tell apart.
    pub fn recall(&mut self, pulses: &[PulseNumber]) -> Preparations {
        if pulses.last().is_some_and(|&last| last >= self.next_pulse) {
            return Preparations::default();
        }
        self.memory.recall(pulses)
    }

    /// The transmitter lost what it remembered.
    pub fn forget(&mut self) {
        self.memory.forget();
    }

    /// Which ends see light, as the next pulse is sent.
    pub fn light(&self) -> LightSeen {
        let (conditions, _) = self.timeline.at(self.time_of(self.next_pulse));
        let whole = !conditions.cut;
        LightSeen {
            at_receiver: whole && conditions.transmitter_up,
            at_transmitter: whole && conditions.receiver_up,
        }
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
            double_clicks: count_with(&clicks.flags[..kept], Clicks::DOUBLE, Clicks::DOUBLE),
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

    fn time_of(&self, pulse: PulseNumber) -> Time {
        let span = Duration::from_seconds(pulse as f64 / self.pulse_rate).unwrap_or(Duration::MAX);
        Time::ZERO.saturating_add(span)
    }

    fn pulse_at(&self, time: Time) -> PulseNumber {
        libm::ceil(time.seconds() * self.pulse_rate) as PulseNumber
    }
}

/// The greater of two currents, where there is one already.
fn greater(so_far: Option<Current>, current: Current) -> Option<Current> {
    Some(so_far.filter(|so_far| *so_far > current).unwrap_or(current))
}

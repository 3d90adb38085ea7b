//! Events that a tester or an operator makes happen while the emulator runs.

use super::LinkEmulator;
use crate::conditions::Timeline;
use bellwether_network::{Attack, Event, EventKind, LinkEvent};
use bellwether_units::{Duration, LinkId, Time};

/// How many events may be injected into one emulator.
const MOST: usize = 10_000;

/// An event that was injected.
pub(super) struct Injected {
    number: u64,
    /// Its place among the emulator's events.
    place: usize,
}

/// Why an event cannot be injected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InjectionError {
    /// A value lies outside what it can be.
    #[error("`{name}` is {value}: {range} is possible")]
    Value {
        /// Which value.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What would be right.
        range: &'static str,
    },
    /// The event is one of the classical channel, which is not emulated here.
    #[error("the emulated light has no classical messages: this event does nothing to it")]
    Classical,
    /// The devices do not make a link under it.
    #[error("{0}")]
    Impossible(String),
    /// Too many events were injected since the emulator was made.
    #[error("{MOST} events were injected since the emulation began; it takes no more")]
    TooMany,
}

impl LinkEmulator {
    /// Makes `what` happen to the link from the next window on, for `lasting` or until it is
    /// [withdrawn](Self::withdraw); gives the number to withdraw it by. It is what an event of the network file
    /// at this instant would be, and events of the file that are still to come happen as well.
    ///
    /// # Errors
    /// If the event has an impossible value, or is one of the classical channel.
    pub fn inject(&mut self, what: LinkEvent, lasting: Option<Duration>) -> Result<u64, InjectionError> {
        check(&what)?;
        if self.injected.len() >= MOST {
            return Err(InjectionError::TooMany);
        }
        let at = self.time_of(self.next_pulse);
        let until = lasting.map(|lasting| at.saturating_add(lasting));
        // Which link it is does not matter: these are the events of this link alone.
        let kind = EventKind::Link(self.link, what);
        self.events.push(Event { at, until, kind, note: String::new() });
        let timeline = self.folded(at);
        for instant in core::iter::once(at).chain(timeline.instants().filter(|then| *then > at)) {
            if let Err(error) = self.optics.clone().at(instant, timeline.at(instant).0) {
                self.events.pop();
                return Err(InjectionError::Impossible(error.to_string()));
            }
        }
        self.timeline = timeline;
        self.injections += 1;
        self.injected.push(Injected { number: self.injections, place: self.events.len() - 1 });
        Ok(self.injections)
    }

    /// Ends what was injected under `number` with the next window; whether it had not ended before. A repair
    /// and a misalignment's way there cannot be undone, a lasting misalignment ends.
    pub fn withdraw(&mut self, number: u64) -> bool {
        let now = self.time_of(self.next_pulse);
        let Some(injected) = self.injected.iter().find(|injected| injected.number == number) else {
            return false;
        };
        let event = &mut self.events[injected.place];
        if event.until.is_some_and(|until| until <= now) {
            return false;
        }
        event.until = Some(now);
        self.timeline = self.folded(now);
        true
    }

    /// Ends everything that was injected and still lasts.
    pub fn withdraw_all(&mut self) {
        let now = self.time_of(self.next_pulse);
        for injected in &self.injected {
            let event = &mut self.events[injected.place];
            if event.until.is_none_or(|until| until > now) {
                event.until = Some(now);
            }
        }
        self.timeline = self.folded(now);
    }

    /// The timeline from `now` on.
    fn folded(&self, now: Time) -> Timeline {
        let mut events: Vec<&Event> = self.events.iter().collect();
        events.sort_by_key(|event| event.at);
        Timeline::of_events(&events, self.ends, self.misalignment, now)
    }

    /// The link whose devices these are.
    pub fn link(&self) -> LinkId {
        self.link
    }
}

/// Refuses impossible values: what the network file refuses as well.
fn check(what: &LinkEvent) -> Result<(), InjectionError> {
    let within = |name, value: f64, most: f64, range| {
        let sound = (0.0..=most).contains(&value);
        if sound { Ok(()) } else { Err(InjectionError::Value { name, value, range }) }
    };
    match what {
        LinkEvent::Attack(
            Attack::InterceptResend { fraction, .. } | Attack::PhotonNumberSplitting { fraction },
        ) => within("fraction", *fraction, 1.0, "0 to 1"),
        LinkEvent::Attack(Attack::Blinding { bias_current }) => {
            within("bias_current", bias_current.amperes(), 1.0, "0 to 1 A")
        }
        LinkEvent::Misalignment { value, .. } => within("value", *value, 0.5, "0 to 0.5"),
        LinkEvent::LossStep { loss } => within("loss", loss.decibels(), 1000.0, "0 to 1000 dB"),
        LinkEvent::Attack(Attack::BeamSplitting)
        | LinkEvent::Cut
        | LinkEvent::Repair
        | LinkEvent::ClockOffset { .. } => Ok(()),
        LinkEvent::Attack(Attack::ManInTheMiddle { .. })
        | LinkEvent::MessageLoss { .. }
        | LinkEvent::MessageDelay { .. }
        | LinkEvent::MessageDuplication { .. }
        | LinkEvent::MessageReordering { .. } => Err(InjectionError::Classical),
    }
}

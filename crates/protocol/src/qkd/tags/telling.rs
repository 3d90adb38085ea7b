//! The end that tells its times and bases.

use super::MOST_AHEAD;
use super::click::{Clicks, EndCounts, Grouper};
use super::event::{Sifted, TagAccount, TagCommand, TagEvent, TagFailure, TagJob, TagJobResult};
use super::message::{Kind, LATEST, MOST_EVENTS, Told};
use super::settings::{TagSettings, TagSettingsError};
use super::sifted::SiftedKey;
use super::talk::{Out, Talk};
use crate::machine::{Input, Output, Protocol};
use crate::qkd::raw::Seals;
use crate::qkd::session::OtherEnd;
use bellwether_units::Time;
use core::convert::Infallible;
use rand_core::Rng;

/// The end that tells when it saw something and in which basis, and hears what of it belongs to the key.
pub struct TellingEnd {
    settings: TagSettings,
    talk: Talk,
    grouper: Grouper,
    /// Events that are not answered yet: the first so many were told.
    events: Clicks,
    told: usize,
    /// The number of the first of them.
    answered: u64,
    /// The other end wants events before this one.
    wanted: u64,
    /// Whether clicks were asked for.
    awaiting: bool,
    read_all: bool,
    ended: bool,
    key: SiftedKey,
}

impl TellingEnd {
    /// A machine for a record, with what was said and the shared secret, if there is one: its sending direction must be
    /// [`ReceiverToTransmitter`](crate::qkd::authenticate::Direction::ReceiverToTransmitter).
    ///
    /// # Errors
    /// If the settings cannot be worked with.
    pub fn new(settings: TagSettings, seals: Seals) -> Result<Self, TagSettingsError> {
        settings.validate()?;
        Ok(Self {
            settings,
            talk: Talk::new(&settings, false, seals),
            grouper: Grouper::new(settings.together),
            events: Clicks::with_capacity(MOST_AHEAD + (1 << 17)),
            told: 0,
            answered: 0,
            wanted: 0,
            awaiting: false,
            read_all: false,
            ended: false,
            key: SiftedKey::default(),
        })
    }

    /// How many clicks of this end's record were read.
    pub fn clicks(&self) -> u64 {
        self.grouper.counts.clicks
    }

    fn clicks_read(
        &mut self,
        clicks: &Clicks,
        last: bool,
        rng: &mut dyn Rng,
        out: &mut Out,
    ) -> Result<(), TagFailure> {
        self.awaiting = false;
        let rises = self.grouper.add(clicks, rng, &mut self.events);
        if !rises || clicks.times().last().is_some_and(|&time| time >= LATEST) {
            return Err(TagFailure::Record);
        }
        if last {
            self.read_all = true;
            self.grouper.flush(rng, &mut self.events);
        }
        self.go_on(out);
        Ok(())
    }

    /// Tells what is wanted and there, and asks for more.
    fn go_on(&mut self, out: &mut Out) {
        if !self.talk.agreed || self.ended {
            return;
        }
        loop {
            let first = self.answered + self.told as u64;
            let there = self.events.len() - self.told;
            let wanted = self.wanted.saturating_sub(first).min(MOST_EVENTS as u64) as usize;
            if wanted == 0 {
                return;
            }
            // Few at a time only where no more are wanted, or there.
            if there < wanted && !self.read_all {
                if !self.awaiting {
                    self.awaiting = true;
                    out.push(Output::Event(TagEvent::Wanted));
                }
                return;
            }
            if there == 0 {
                return self.end(out);
            }
            let count = wanted.min(there);
            let events = (self.told..self.told + count)
                .map(|at| Told {
                    time: self.events.times()[at] / self.settings.rounding,
                    basis: self.events.outcome(at).basis(),
                })
                .collect();
            self.talk.send(Kind::Events { first, events }, out);
            self.told += count;
        }
    }

    fn end(&mut self, out: &mut Out) {
        self.ended = true;
        self.talk.send(Kind::End(self.grouper.counts), out);
    }

    fn frame(&mut self, frame: &[u8], out: &mut Out) -> Result<(), TagFailure> {
        let Some(message) = self.talk.receive(frame, out)? else { return Ok(()) };
        match message {
            Kind::GoOn { before } => {
                if before > self.answered + MOST_AHEAD as u64 {
                    return Err(TagFailure::Misbehaved("it wants more at once than it may"));
                }
                self.wanted = self.wanted.max(before);
                self.go_on(out);
                Ok(())
            }
            Kind::Matched { first, events, sifted } => self.matched(first, events, &sifted),
            Kind::Enough => {
                if !self.ended {
                    self.end(out);
                }
                Ok(())
            }
            Kind::Done(account) => self.done(*account, out),
            Kind::AtWork => Ok(()),
            Kind::NoClock(error) => Err(TagFailure::Clocks(error)),
            Kind::Hello(_) | Kind::Stop | Kind::Events { .. } | Kind::End(_) => {
                Err(TagFailure::Misbehaved("a message that only the telling end sends"))
            }
        }
    }

    fn matched(&mut self, first: u64, events: u64, sifted: &[u32]) -> Result<(), TagFailure> {
        if first != self.answered || events > self.told as u64 {
            return Err(TagFailure::Misbehaved("an answer to events that were not told"));
        }
        for &at in sifted {
            let outcome = self.events.outcome(at as usize);
            self.key.push(outcome.basis(), outcome.bit());
        }
        if let Some(&last) = sifted.last() {
            // Clicks that came together with the last one were used as well.
            self.key.mark(self.events.times()[last as usize].saturating_add(self.settings.together));
        }
        self.answered += events;
        self.told -= events as usize;
        self.events.drop_front(events as usize);
        Ok(())
    }

    fn done(&mut self, account: TagAccount, out: &mut Out) -> Result<(), TagFailure> {
        if !self.ended {
            return Err(TagFailure::Misbehaved("it is done before the end"));
        }
        if account.sifted != self.key.by_basis() {
            return Err(TagFailure::Misbehaved("it counts other sifted bits than it told"));
        }
        if self.key.is_empty() {
            return Err(TagFailure::Nothing(account.coincidences));
        }
        let Some(seals) = self.talk.finish() else { return Ok(()) };
        let account = TagAccount { telling: self.grouper.counts, ..account };
        let key = core::mem::take(&mut self.key);
        out.push(Output::Event(TagEvent::Sifted(Box::new(Sifted { key, account, seals }))));
        Ok(())
    }

    /// What was counted of this end's clicks until now.
    pub fn counts(&self) -> EndCounts {
        self.grouper.counts
    }
}

impl Protocol for TellingEnd {
    type Peer = OtherEnd;
    type Command = TagCommand;
    type Event = TagEvent;
    type Record = Infallible;
    type Job = TagJob;
    type JobResult = TagJobResult;

    fn handle(
        &mut self,
        _: Time,
        rng: &mut dyn Rng,
        input: Input<'_, OtherEnd, TagCommand, TagJobResult>,
        out: &mut Out,
    ) {
        if self.talk.over {
            return;
        }
        let done = match input {
            Input::Command(TagCommand::Connect) => {
                self.talk.connect(out);
                Ok(())
            }
            Input::Command(TagCommand::Clicks { clicks, last }) => self.clicks_read(&clicks, last, rng, out),
            Input::Command(TagCommand::Stop) => {
                self.talk.stop(out);
                Ok(())
            }
            Input::Frame { bytes, .. } => self.frame(bytes, out),
            Input::Persisted(_) | Input::Computed(_) | Input::Timeout => Ok(()),
        };
        if let Err(failure) = done {
            self.talk.fail(failure, out);
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

//! The end that relates the clocks and finds what belongs together.

use super::MOST_AHEAD;
use super::click::{Clicks, EndCounts, Grouper, Outcome};
use super::clock::{ClockError, Follower};
use super::coincide::{DISPLACED, coincide};
use super::event::{Relation, Sifted, TagAccount, TagCommand, TagEvent, TagFailure, TagJob, TagJobResult};
use super::message::{Kind, LATEST, MOST_EVENTS, Told};
use super::settings::{TagSettings, TagSettingsError};
use super::sifted::SiftedKey;
use super::start::{Start, Wish};
use super::talk::{Out, Talk};
use crate::machine::{Input, Output, Protocol};
use crate::qkd::raw::Seals;
use crate::qkd::session::OtherEnd;
use bellwether_units::{Duration, Time};
use core::convert::Infallible;
use rand_core::Rng;

/// Events of this end that are held at a time, at most, while the clocks are related.
pub(super) const MOST_HELD: usize = 1 << 24;
/// After so long without a word the other end is told that this one is at work.
const QUIET: Duration = Duration::from_whole_seconds(10);
/// Coincidences wanted in a stretch.
const STRETCH: f64 = 300.0;
/// A stretch has no more events than this.
const LONGEST_STRETCH: usize = 1 << 21;

/// The end that hears of the other's times and bases, relates the clocks, and tells what belongs to the key.
pub struct MatchingEnd {
    settings: TagSettings,
    talk: Talk,
    grouper: Grouper,
    here: Clicks,
    read_all: bool,
    awaiting: bool,
    /// The other end's events that are not answered: the middle of their times, and basis.
    there: Clicks,
    /// The number of the first of them.
    answered: u64,
    /// The other end may tell events before this one.
    allowed: u64,
    /// The time of the last event that was told, in units of the rounding.
    last_told: Option<u64>,
    told_all: Option<EndCounts>,
    phase: Phase,
    key: SiftedKey,
    account: TagAccount,
    spoke: Time,
}

enum Phase {
    /// Gathers what the clocks are related by.
    Starting(Start),
    /// The clocks are being related.
    Relating(Start),
    /// Goes from stretch to stretch.
    Following { follower: Follower, stretch: usize, half: i64, first: (u64, i64) },
    /// There is nothing more to find: waits for the other end's last word.
    Draining,
}

impl MatchingEnd {
    /// A machine for a record, with what was said and the shared secret, if there is one: its sending direction must be
    /// [`TransmitterToReceiver`](crate::qkd::authenticate::Direction::TransmitterToReceiver).
    ///
    /// # Errors
    /// If the settings cannot be worked with.
    pub fn new(settings: TagSettings, seals: Seals) -> Result<Self, TagSettingsError> {
        settings.validate()?;
        Ok(Self {
            settings,
            talk: Talk::new(&settings, true, seals),
            grouper: Grouper::new(settings.together),
            here: Clicks::with_capacity(MOST_HELD + (1 << 17)),
            read_all: false,
            awaiting: false,
            there: Clicks::with_capacity(MOST_AHEAD),
            answered: 0,
            allowed: 0,
            last_told: None,
            told_all: None,
            phase: Phase::Starting(Start::default()),
            key: SiftedKey::default(),
            account: TagAccount::default(),
            spoke: Time::ZERO,
        })
    }

    /// What was counted of this end's clicks until now.
    pub fn counts(&self) -> EndCounts {
        self.grouper.counts
    }

    fn frame(&mut self, frame: &[u8], out: &mut Out) -> Result<(), TagFailure> {
        let greeted = self.talk.agreed;
        let Some(message) = self.talk.receive(frame, out)? else {
            return if greeted { Ok(()) } else { self.go_on(out) };
        };
        match message {
            Kind::Events { first, events } => {
                self.told(first, &events)?;
                self.go_on(out)
            }
            Kind::End(counts) => {
                if self.told_all.is_some() || counts.events < self.answered + self.there.len() as u64 {
                    return Err(TagFailure::Misbehaved("an end that does not fit"));
                }
                self.told_all = Some(counts);
                self.go_on(out)
            }
            _ => Err(TagFailure::Misbehaved("a message that only the matching end sends")),
        }
    }

    fn told(&mut self, first: u64, events: &[Told]) -> Result<(), TagFailure> {
        let next = self.answered + self.there.len() as u64;
        if self.told_all.is_some() || first.saturating_add(events.len() as u64) > self.allowed {
            return Err(TagFailure::Misbehaved("more events than it may tell"));
        }
        if matches!(self.phase, Phase::Draining) {
            // They were on their way.
            return Ok(());
        }
        if first != next {
            return Err(TagFailure::Misbehaved("events out of turn"));
        }
        let (unit, gap) = (self.settings.rounding, self.settings.least_gap());
        for event in events {
            let rises = self.last_told.is_none_or(|last| event.time >= last.saturating_add(gap));
            let middle = event.time.checked_mul(unit).map(|time| time + unit / 2);
            let Some(middle) = middle.filter(|&time| rises && time < LATEST + unit) else {
                return Err(TagFailure::Misbehaved("times that no record has"));
            };
            self.last_told = Some(event.time);
            self.there.push(middle, Outcome::new(event.basis, false));
        }
        Ok(())
    }

    fn clicks_read(
        &mut self,
        clicks: &Clicks,
        last: bool,
        rng: &mut dyn Rng,
        out: &mut Out,
    ) -> Result<(), TagFailure> {
        self.awaiting = false;
        let rises = self.grouper.add(clicks, rng, &mut self.here);
        if !rises || clicks.last_time().is_some_and(|time| time >= LATEST) {
            return Err(TagFailure::Record);
        }
        if last {
            self.read_all = true;
            self.grouper.flush(rng, &mut self.here);
        }
        self.go_on(out)
    }

    fn want(&mut self, out: &mut Out) {
        if !self.awaiting && !self.read_all {
            self.awaiting = true;
            out.push(Output::Event(TagEvent::Wanted));
        }
    }

    /// Lets the other end tell more, so that `ahead` of its events are here or on their way.
    fn allow(&mut self, ahead: usize, out: &mut Out) {
        let before = self.answered + ahead.min(MOST_AHEAD) as u64;
        // Not for every few.
        if before >= self.allowed + (ahead as u64 / 4).max(1) {
            self.allowed = before;
            self.talk.send(Kind::GoOn { before }, out);
        }
    }

    /// Does what can be done with what is here.
    fn go_on(&mut self, out: &mut Out) -> Result<(), TagFailure> {
        if !self.talk.agreed {
            return Ok(());
        }
        loop {
            match &mut self.phase {
                Phase::Relating(_) => return Ok(()),
                Phase::Draining => {
                    return if self.told_all.is_some() { self.finish(out) } else { Ok(()) };
                }
                Phase::Starting(start) => {
                    let told_all = self.told_all.is_some();
                    match start.wish(&self.settings, &self.here, self.read_all, &self.there, told_all) {
                        Wish::Told(ahead) => {
                            self.allow(ahead, out);
                            return Ok(());
                        }
                        Wish::Clicks => {
                            self.want(out);
                            return Ok(());
                        }
                        Wish::DropHere(count) => self.here.drop_front(count),
                        Wish::DropTold(count) => self.answer_nothing(count, out),
                        Wish::Relate(job) => {
                            let start = core::mem::take(start);
                            self.phase = Phase::Relating(start);
                            out.push(Output::Compute(job));
                            return Ok(());
                        }
                        Wish::GiveUp(error) => return self.give_up(error, out),
                    }
                }
                Phase::Following { .. } => {
                    if !self.follow(out) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn give_up(&mut self, error: ClockError, out: &mut Out) -> Result<(), TagFailure> {
        self.talk.send(Kind::NoClock(error), out);
        Err(TagFailure::Clocks(error))
    }

    fn related(&mut self, result: TagJobResult, out: &mut Out) -> Result<(), TagFailure> {
        let Phase::Relating(start) = &mut self.phase else { return Ok(()) };
        let start = core::mem::take(start);
        match result.0 {
            Ok(clock) => {
                let Some(&first) = self.there.times().first() else { return Ok(()) };
                let follower = start.follower(&clock, first);
                let window = self.settings.window.unwrap_or((6.0 * clock.jitter).ceil().max(1.0) as u64);
                let stretch = ((STRETCH / clock.share) as usize).clamp(100, LONGEST_STRETCH);
                let offset = follower.offset(first);
                self.account.relation =
                    Relation { offset, drift: follower.drift(), jitter: clock.jitter, window };
                let half = (window / 2).max(1) as i64;
                self.phase = Phase::Following { follower, stretch, half, first: (first, offset) };
            }
            Err(error) => {
                let complete = self.told_all.is_some();
                match start.again(&self.settings, error, complete) {
                    Ok(start) => self.phase = Phase::Starting(start),
                    Err(error) => return self.give_up(error, out),
                }
            }
        }
        self.go_on(out)
    }

    /// Goes on by a stretch; whether there is something to go on with at once.
    fn follow(&mut self, out: &mut Out) -> bool {
        let Phase::Following { stretch, half, .. } = &mut self.phase else { return false };
        let (half, told_all) = (*half, self.told_all.is_some());
        let ahead = (4 * *stretch).max(1 << 17);
        let stretch = *stretch;
        if self.there.is_empty() && told_all {
            self.phase = Phase::Draining;
            return true;
        }
        if !told_all {
            self.allow(ahead, out);
            if self.there.len() < stretch {
                return false;
            }
        }
        let Phase::Following { follower, first, .. } = &mut self.phase else { return false };
        let mut count = self.there.len().min(stretch);
        // Partners, and those that are counted beside, are no further away.
        let margin = (follower.search() as i64).max(2 * half * (DISPLACED + 1)).saturating_add(half);
        let expected = |time: u64| (time as i64).saturating_add(follower.offset(time));
        let times = self.there.times();
        let before = expected(times[0]) - margin;
        let gone = self.here.times().partition_point(|&time| (time as i64) < before);
        self.here.drop_front(gone);
        let until = self.here.last_time().map_or(i64::MIN, |time| time as i64 - margin);
        if !self.read_all && expected(times[count - 1]) > until {
            if self.here.len() < MOST_HELD {
                self.want(out);
                return false;
            }
            // A dense record: as much of the stretch as it covers.
            count = times[..count].partition_point(|&time| expected(time) <= until).max(1);
        }
        if self.read_all && self.here.is_empty() {
            // No partner can come any more.
            self.phase = Phase::Draining;
            if !told_all {
                self.talk.send(Kind::Enough, out);
            }
            return true;
        }
        let times = &times[..count];
        let end = times[count - 1];
        let was_lost = follower.is_lost();
        let seen = follower.step(self.here.times(), times);
        // The rest is too short for a peak: it goes on as it went.
        let rest = told_all && count == self.there.len();
        if seen || (rest && !was_lost) {
            let found = coincide(self.here.times(), times, |time| follower.offset(time), half);
            self.account.coincidences += found.pairs.len() as u64;
            self.account.displaced += found.displaced;
            self.account.ambiguous += found.ambiguous;
            let whole = (end - first.0) as f64;
            if whole > 0.0 {
                self.account.relation.drift = (follower.offset(end) - first.1) as f64 / whole;
            }
            self.answer(count, &found.pairs, out);
        } else {
            self.account.unfollowed += count as u64;
            self.answer(count, &[], out);
        }
        true
    }

    fn answer_nothing(&mut self, count: usize, out: &mut Out) {
        self.account.unfollowed += count as u64;
        self.answer(count, &[], out);
    }

    /// Answers the first `count` events that were told: pairs of equal bases belong to the key.
    fn answer(&mut self, count: usize, pairs: &[(u32, u32)], out: &mut Out) {
        let mut pairs = pairs.iter().peekable();
        let mut used = 0;
        for from in (0..count).step_by(MOST_EVENTS) {
            let to = (from + MOST_EVENTS).min(count);
            let mut sifted = Vec::new();
            while let Some(&&(told, here)) = pairs.peek()
                && (told as usize) < to
            {
                pairs.next();
                let outcome = self.here.outcome(here as usize);
                if outcome.basis() == self.there.outcome(told as usize).basis() {
                    sifted.push(told - from as u32);
                    self.key.push(outcome.basis(), outcome.bit());
                }
                used = here as usize + 1;
            }
            if used > 0 {
                // Clicks that came together with the last one were used as well.
                self.key.mark(self.here.times()[used - 1].saturating_add(self.settings.together));
            }
            let first = self.answered + from as u64;
            self.talk.send(Kind::Matched { first, events: (to - from) as u64, sifted }, out);
        }
        self.answered += count as u64;
        self.there.drop_front(count);
        // An event belongs to one pair only.
        self.here.drop_front(used);
    }

    fn finish(&mut self, out: &mut Out) -> Result<(), TagFailure> {
        self.account.matching = self.grouper.counts;
        self.account.sifted = self.key.by_basis();
        self.talk.send(Kind::Done(Box::new(self.account)), out);
        if self.key.is_empty() {
            return Err(TagFailure::Nothing(self.account.coincidences));
        }
        let Some(seals) = self.talk.finish() else { return Ok(()) };
        let account = TagAccount { telling: self.told_all.unwrap_or_default(), ..self.account };
        let key = core::mem::take(&mut self.key);
        out.push(Output::Event(TagEvent::Sifted(Box::new(Sifted { key, account, seals }))));
        Ok(())
    }
}

impl Protocol for MatchingEnd {
    type Peer = OtherEnd;
    type Command = TagCommand;
    type Event = TagEvent;
    type Record = Infallible;
    type Job = TagJob;
    type JobResult = TagJobResult;

    fn handle(
        &mut self,
        now: Time,
        rng: &mut dyn Rng,
        input: Input<'_, OtherEnd, TagCommand, TagJobResult>,
        out: &mut Out,
    ) {
        if self.talk.over {
            return;
        }
        let before = out.len();
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
            Input::Computed(result) => self.related(result, out),
            Input::Timeout => {
                if self.talk.agreed && now.since(self.spoke) >= QUIET {
                    self.talk.send(Kind::AtWork, out);
                }
                Ok(())
            }
            Input::Persisted(_) => Ok(()),
        };
        if out[before..].iter().any(|output| matches!(output, Output::Send { .. })) {
            self.spoke = now;
        }
        if let Err(failure) = done {
            self.talk.fail(failure, out);
        }
    }

    fn deadline(&self) -> Option<Time> {
        (self.talk.agreed && !self.talk.over).then(|| self.spoke.saturating_add(QUIET))
    }
}

//! Sifts a record of time tags with the other end, before keys are made of what is left.

use super::FileError;
use super::line::{Arrived, Outgoing};
use super::run::{Done, PATIENCE, Role, RunError, Watch, Work};
use super::tags::TagRecord;
use crate::random::SystemRandom;
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::raw::Seals;
use bellwether_protocol::qkd::session::OtherEnd;
use bellwether_protocol::qkd::tags::{
    MatchingEnd, Sifted, TagCommand, TagEvent, TagFailure, TagJob, TagJobResult, TagSettings,
    TagSettingsError, TellingEnd,
};
use bellwether_units::Time;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use tokio::sync::mpsc;
use tokio::time::Instant;

type Effects = Vec<Output<OtherEnd, TagEvent, Infallible, TagJob>>;

/// Either machine: Alice matches what Bob tells.
enum Machine {
    Alice(Box<MatchingEnd>),
    Bob(Box<TellingEnd>),
}

impl Machine {
    fn handle(
        &mut self,
        now: Time,
        random: &mut SystemRandom,
        input: Input<'_, OtherEnd, TagCommand, TagJobResult>,
        out: &mut Effects,
    ) {
        match self {
            Self::Alice(machine) => machine.handle(now, random, input, out),
            Self::Bob(machine) => machine.handle(now, random, input, out),
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self {
            Self::Alice(machine) => machine.deadline(),
            Self::Bob(machine) => machine.deadline(),
        }
    }
}

/// A record that is ready to be sifted.
pub(super) struct Sifting {
    machine: Machine,
    pub(super) record: Box<TagRecord>,
    /// Whether the clocks are being related: the other end waits then, and owes no word.
    relating: bool,
}

/// What a run lends for it.
pub(super) struct Lent<'a> {
    pub(super) arrived: &'a mut mpsc::Receiver<Arrived<Done>>,
    pub(super) sending: &'a Outgoing,
    pub(super) jobs: &'a std::sync::mpsc::Sender<Work>,
    pub(super) watch: &'a mut dyn Watch,
    pub(super) started: Instant,
}

impl Sifting {
    pub(super) fn new(
        role: Role,
        record: Box<TagRecord>,
        settings: TagSettings,
        seals: Seals,
    ) -> Result<Self, TagSettingsError> {
        let machine = match role {
            Role::Alice => Machine::Alice(Box::new(MatchingEnd::new(settings, seals)?)),
            Role::Bob => Machine::Bob(Box::new(TellingEnd::new(settings, seals)?)),
        };
        Ok(Self { machine, record, relating: false })
    }

    /// Sifts to the end of the shorter record; `telling` is done before anything of it is told.
    pub(super) fn run(
        mut self,
        lent: &mut Lent<'_>,
        telling: &dyn Fn() -> Result<(), FileError>,
    ) -> Result<Sifted, RunError> {
        let mut random = SystemRandom::new();
        let mut result = self.tell(Input::Command(TagCommand::Connect), &mut random, lent, telling)?;
        let mut heard = Instant::now();
        loop {
            if let Some(result) = result {
                return result.map(|sifted| *sifted).map_err(RunError::Sifting);
            }
            let input = match lent.arrived.blocking_recv() {
                Some(Arrived::Frame(frame)) => {
                    heard = Instant::now();
                    let input = Input::Frame { from: OtherEnd, bytes: &frame };
                    result = self.tell(input, &mut random, lent, telling)?;
                    continue;
                }
                Some(Arrived::Computed(Done::Tags(done))) => {
                    (heard, self.relating) = (Instant::now(), false);
                    Input::Computed(done)
                }
                Some(Arrived::Computed(Done::Raw(_))) => continue,
                Some(Arrived::Tick) => {
                    lent.watch.sifting(self.record.bytes_read(), self.record.bytes());
                    if heard.elapsed() > PATIENCE && !self.relating {
                        return Err(RunError::Silent);
                    }
                    let due = self.machine.deadline().is_some_and(|due| due <= now(lent.started));
                    match (lent.watch.is_stopped(), due) {
                        (true, _) => Input::Command(TagCommand::Stop),
                        (false, true) => Input::Timeout,
                        (false, false) => continue,
                    }
                }
                Some(Arrived::Closed(error)) => return Err(RunError::Gone(error)),
                None => return Err(RunError::Gone(io::ErrorKind::BrokenPipe.into())),
            };
            result = self.tell(input, &mut random, lent, telling)?;
        }
    }

    /// Tells the machine something and carries out what follows; how it ended, if it did.
    fn tell(
        &mut self,
        input: Input<'_, OtherEnd, TagCommand, TagJobResult>,
        random: &mut SystemRandom,
        lent: &mut Lent<'_>,
        telling: &dyn Fn() -> Result<(), FileError>,
    ) -> Result<Option<Result<Box<Sifted>, TagFailure>>, RunError> {
        let now = now(lent.started);
        let mut effects = Effects::new();
        self.machine.handle(now, random, input, &mut effects);
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let mut more = Effects::new();
            match effect {
                Output::Send { bytes, .. } => lent.sending.send(bytes),
                Output::Compute(job) => {
                    self.relating = true;
                    drop(lent.jobs.send(Work::Tags(job)));
                }
                Output::Event(TagEvent::Agreed) => telling()?,
                Output::Event(TagEvent::Wanted) => {
                    let (clicks, last) = self.record.read()?;
                    let input = Input::Command(TagCommand::Clicks { clicks, last });
                    self.machine.handle(now, random, input, &mut more);
                }
                Output::Event(TagEvent::Sifted(sifted)) => return Ok(Some(Ok(sifted))),
                Output::Event(TagEvent::Failed(failure)) => return Ok(Some(Err(failure))),
                Output::Persist(_, never) => match never {},
            }
            effects.extend(more);
        }
        if lent.sending.is_flooded() {
            return Err(RunError::Unread);
        }
        Ok(None)
    }
}

fn now(started: Instant) -> Time {
    Time::from_picoseconds(started.elapsed().as_nanos() as u64 * 1000)
}

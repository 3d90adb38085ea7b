//! One end of a distillation, driven from its files over its line.

use super::line::{Arrived, Line, Outgoing, frames_ahead};
use super::material::{Material, Source, UsedTime, unused_bits, unused_time};
use super::progress::Progress;
use super::sifting::{Lent, Sifting};
use super::summary::{SiftingSummary, Summary};
use super::{AuthenticationFile, FileError, KeyFile};
use crate::random::SystemRandom;
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::raw::{
    CorrectingEnd, RawCommand, RawEvent, RawFailure, RawJob, RawJobResult, RawRecord, RawSettings,
    RawSettingsError, ReferenceEnd, Seals,
};
use bellwether_protocol::qkd::session::OtherEnd;
use bellwether_protocol::qkd::tags::{self, TagFailure, TagJob, TagJobResult, TagSettingsError};
use bellwether_units::Time;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// How often the wish to stop is looked at, and progress told.
const TICK: Duration = Duration::from_millis(100);
/// After so long without anything to do another block begins: long enough for a near end to answer, and short enough
/// that blocks begin faster than they are worked through.
const IDLE: Duration = Duration::from_millis(4);
/// How long the other end may say nothing while something is awaited of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long the last frames may take to leave.
pub(super) const FAREWELL: Duration = Duration::from_secs(10);

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whose bits count.
    Alice,
    /// Who corrects.
    Bob,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Alice => "alice",
            Self::Bob => "bob",
        })
    }
}

/// Who is told how it goes.
pub trait Watch {
    /// So much of so much is done with, which made or used so many sifted bits. Called a few times a second.
    fn progress(&mut self, done: u64, of: u64, bits: u64);
    /// So many bytes of the record are read, of so many, to be sifted. Called a few times a second.
    fn sifting(&mut self, bytes: u64, of: u64);
    /// Something is wrong.
    fn alarm(&mut self, alarm: &dyn std::fmt::Display);
    /// Whether to come to an end now.
    fn is_stopped(&self) -> bool;
}

/// Why a run did not come to its end. What its summary tells stands.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings cannot be worked with.
    #[error(transparent)]
    Settings(#[from] RawSettingsError),
    /// The settings of sifting cannot be worked with.
    #[error(transparent)]
    TagSettings(#[from] TagSettingsError),
    /// The records could not be sifted.
    #[error(transparent)]
    Sifting(TagFailure),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The other end, or the talk with it.
    #[error(transparent)]
    Failed(RawFailure),
    /// The connection ended.
    #[error("the other end is gone: {0}")]
    Gone(io::Error),
    /// Nothing came for long.
    #[error("the other end has said nothing for {} s", PATIENCE.as_secs())]
    Silent,
    /// It asks and does not take the answers.
    #[error("the other end asks, and does not take the answers: too many wait to be sent")]
    Unread,
}

/// One end, ready for its line.
pub struct Run {
    role: Role,
    stage: Stage,
    settings: RawSettings,
    progress: Progress,
    secret: Option<AuthenticationFile>,
    keys: KeyFile,
    summary: Summary,
}

/// What comes first.
enum Stage {
    /// A record is sifted; keys are made of what is left.
    Sifting(Sifting, UsedTime),
    /// Keys are made of a raw key.
    Distilling(Machine, Source),
}

/// Work for another thread.
pub(super) enum Work {
    Raw(RawJob),
    Tags(TagJob),
}

/// What came of it.
pub(super) enum Done {
    Raw(RawJobResult),
    Tags(TagJobResult),
}

impl Work {
    fn run(self) -> Done {
        match self {
            Self::Raw(job) => Done::Raw(job.run()),
            Self::Tags(job) => Done::Tags(job.run()),
        }
    }
}

type Effects = Vec<Output<OtherEnd, RawEvent, RawRecord, RawJob>>;

/// Either machine.
enum Machine {
    Alice(Box<ReferenceEnd>),
    Bob(Box<CorrectingEnd>),
}

impl Machine {
    /// The machine of an end, on a connection on which `seals` know what was said.
    fn new(role: Role, settings: RawSettings, seals: Seals) -> Result<Self, RawSettingsError> {
        Ok(match role {
            Role::Alice => Self::Alice(Box::new(ReferenceEnd::after(settings, seals)?)),
            Role::Bob => Self::Bob(Box::new(CorrectingEnd::after(settings, seals)?)),
        })
    }

    fn handle(
        &mut self,
        now: Time,
        random: &mut SystemRandom,
        input: Input<'_, OtherEnd, RawCommand, RawJobResult>,
        out: &mut Effects,
    ) {
        match self {
            Self::Alice(machine) => machine.handle(now, random, input, out),
            Self::Bob(machine) => machine.handle(now, random, input, out),
        }
    }

    fn can_proceed(&self) -> bool {
        match self {
            Self::Alice(_) => false,
            Self::Bob(machine) => machine.can_proceed(),
        }
    }
}

impl Run {
    /// An end with its material and what to do with it (`bits`, `first_bit` and `authenticated` are set from the files),
    /// the shared secret if the talk is to be authenticated by one, and where keys go.
    ///
    /// # Errors
    /// If the settings cannot be worked with, or the material was used up before, or another process uses it.
    pub fn new(
        role: Role,
        material: Material,
        settings: RawSettings,
        mut secret: Option<AuthenticationFile>,
        keys: KeyFile,
    ) -> Result<Self, RunError> {
        let summary = Summary {
            role: role.to_string(),
            raw_key: material.path().display().to_string(),
            key_file: keys.path().display().to_string(),
            claim: settings.claim.to_string(),
            epsilon_authentication: secret.is_some().then_some(0.0),
            ..Summary::default()
        };
        let shared = secret.as_mut().and_then(AuthenticationFile::take_keys);
        let settings = RawSettings { authenticated: shared.is_some(), ..settings };
        let seals = Seals::new(shared);
        let (stage, progress) = match material {
            Material::RawKey(raw_key) => {
                let (progress, first_bit) = unused_bits(&raw_key)?;
                let settings = RawSettings { bits: raw_key.len(), first_bit, ..settings.clone() };
                let machine = Machine::new(role, settings, seals)?;
                (Stage::Distilling(machine, Source::RawKey(raw_key)), progress)
            }
            Material::TimeTags(mut record, tag_settings) => {
                let (progress, used) = unused_time(&record, &tag_settings)?;
                record.begin_at(used.first())?;
                // Found out before anything is said.
                settings.validate()?;
                (Stage::Sifting(Sifting::new(role, record, tag_settings, seals)?, used), progress)
            }
        };
        Ok(Self { role, stage, settings, progress, secret, keys, summary })
    }

    /// Distils over the line, and tells what came of it. To be called outside of the runtime's threads, which `runtime`
    /// lends for the line. An error is what kept it from its end; the account until then stands.
    pub fn carry_out(
        self,
        runtime: &Handle,
        line: Line,
        watch: &mut dyn Watch,
    ) -> (Summary, Result<(), RunError>) {
        let Self { role, stage, settings, progress, secret, mut keys, mut summary } = self;
        summary.authentication = match (&secret, line.encrypted) {
            (Some(_), _) => "a shared secret: information-theoretic (Wegman-Carter)",
            (None, true) => "certificates alone (TLS): computational, not information-theoretic",
            (None, false) => "NONE: whoever can change the talk can have the keys",
        }
        .to_owned();
        let longest = settings.longest_frame().max(tags::LONGEST_FRAME);
        let (arriving, mut arrived) = mpsc::channel(frames_ahead(longest));
        let entered = runtime.enter();
        let under_way = longest.saturating_mul(2 * settings.blocks_in_flight as usize);
        let (sending, written) = line.start(longest, under_way, arriving.clone());
        tokio::spawn(tick(arriving.clone()));
        drop(entered);
        let (jobs, for_worker) = std::sync::mpsc::channel::<Work>();
        std::thread::spawn(move || {
            for job in for_worker {
                if arriving.blocking_send(Arrived::Computed(job.run())).is_err() {
                    return;
                }
            }
        });
        let started = Instant::now();
        let mut lent = Lent { arrived: &mut arrived, sending: &sending, jobs: &jobs, watch, started };
        let ready = match stage {
            Stage::Distilling(machine, source) => Ok((machine, source)),
            Stage::Sifting(sifting, used) => {
                sift(role, sifting, (&progress, used), settings, &mut lent, &mut summary)
            }
        };
        let result = match ready {
            Err(error) => Err(error),
            Ok((machine, source)) => {
                summary.raw_bits = source.len();
                let mut driver = Driver {
                    machine,
                    random: SystemRandom::new(),
                    source,
                    progress,
                    secret,
                    keys: &mut keys,
                    jobs: &jobs,
                    sending: &sending,
                    summary: &mut summary,
                    watch,
                    started,
                    agreed: None,
                    total: 0,
                    stopping: false,
                    ended: None,
                };
                let result = driver.run(runtime, &mut arrived);
                if matches!(result, Err(RunError::Gone(_) | RunError::Silent | RunError::Unread)) {
                    // If that cannot be written down, more counts as used than was.
                    let _ = driver.tell(Input::Command(RawCommand::Lost));
                }
                summary.seconds = driver.agreed.map_or(0.0, |since| since.elapsed().as_secs_f64());
                result
            }
        };
        let result = match (result, keys.sync()) {
            (result, Ok(())) => result,
            (result, Err(error)) => result.and(Err(error.into())),
        };
        drop((jobs, sending));
        // The last confirmation must leave, or the other end has no keys.
        let _ = runtime.block_on(async { timeout(FAREWELL, written).await });
        // The worker ends with what it has in hand, which nobody waits for.
        drop(arrived);
        summary.key_bits = keys.bits();
        if keys.bits() == 0 {
            summary.key_file.clear();
        }
        summary.failure = result.as_ref().err().map(ToString::to_string);
        (summary, result)
    }
}

/// Sifts a record, and tells what came of it: the machine and the bits for what follows.
fn sift(
    role: Role,
    sifting: Sifting,
    (progress, used): (&Progress, UsedTime),
    settings: RawSettings,
    lent: &mut Lent<'_>,
    summary: &mut Summary,
) -> Result<(Machine, Source), RunError> {
    let sifted = sifting.run(lent, &|| used.telling(progress));
    summary.sifting_seconds = Some(lent.started.elapsed().as_secs_f64());
    let sifted = sifted.inspect_err(|error| {
        summary.interrupted = matches!(error, RunError::Sifting(TagFailure::Stopped("this")));
    })?;
    summary.sifting = Some(SiftingSummary::new(&sifted.account));
    let settings = RawSettings { bits: sifted.key.len(), first_bit: 0, tell_errors: true, ..settings };
    let machine = Machine::new(role, settings, sifted.seals)?;
    Ok((machine, Source::Sifted(sifted.key, used)))
}

pub(super) async fn tick<J>(to: mpsc::Sender<Arrived<J>>) {
    loop {
        tokio::time::sleep(TICK).await;
        if to.send(Arrived::Tick).await.is_err() {
            return;
        }
    }
}

struct Driver<'a> {
    machine: Machine,
    random: SystemRandom,
    source: Source,
    progress: Progress,
    secret: Option<AuthenticationFile>,
    keys: &'a mut KeyFile,
    jobs: &'a std::sync::mpsc::Sender<Work>,
    sending: &'a Outgoing,
    summary: &'a mut Summary,
    watch: &'a mut dyn Watch,
    started: Instant,
    agreed: Option<Instant>,
    total: u64,
    stopping: bool,
    ended: Option<Option<RawFailure>>,
}

impl Driver<'_> {
    fn run(&mut self, runtime: &Handle, arrived: &mut mpsc::Receiver<Arrived<Done>>) -> Result<(), RunError> {
        self.tell(Input::Command(RawCommand::Connect))?;
        let mut heard = Instant::now();
        while self.ended.is_none() {
            let next = match arrived.try_recv() {
                Ok(next) => Some(next),
                // Nothing waits, nor comes for a moment: one more block may begin. So as many are under way as the way is
                // long, and few where it is short.
                Err(_) if self.machine.can_proceed() => {
                    match runtime.block_on(async { timeout(IDLE, arrived.recv()).await }) {
                        Ok(next) => next,
                        Err(_) => {
                            self.tell(Input::Command(RawCommand::Proceed))?;
                            continue;
                        }
                    }
                }
                Err(_) => arrived.blocking_recv(),
            };
            match next {
                Some(Arrived::Frame(frame)) => {
                    heard = Instant::now();
                    self.tell(Input::Frame { from: OtherEnd, bytes: &frame })?;
                }
                Some(Arrived::Computed(Done::Raw(result))) => self.tell(Input::Computed(result))?,
                Some(Arrived::Computed(Done::Tags(_))) => {}
                Some(Arrived::Tick) => {
                    let bits = self.summary.distilled_bits;
                    self.watch.progress(bits, self.total, bits);
                    if self.watch.is_stopped() && !self.stopping {
                        self.stopping = true;
                        self.summary.interrupted = true;
                        self.tell(Input::Command(RawCommand::Stop))?;
                    }
                    if heard.elapsed() > PATIENCE {
                        return Err(RunError::Silent);
                    }
                }
                Some(Arrived::Closed(error)) => return Err(RunError::Gone(error)),
                None => return Err(RunError::Gone(io::ErrorKind::BrokenPipe.into())),
            }
        }
        match self.ended.take().flatten() {
            None => Ok(()),
            Some(RawFailure::Settings(error)) => Err(RunError::Settings(error)),
            Some(failure) => Err(RunError::Failed(failure)),
        }
    }

    fn tell(&mut self, input: Input<'_, OtherEnd, RawCommand, RawJobResult>) -> Result<(), RunError> {
        let now = Time::from_picoseconds(self.started.elapsed().as_nanos() as u64 * 1000);
        let mut effects = Effects::new();
        self.machine.handle(now, &mut self.random, input, &mut effects);
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let mut more = Effects::new();
            match effect {
                Output::Send { bytes, .. } => self.sending.send(bytes),
                Output::Compute(job) => drop(self.jobs.send(Work::Raw(job))),
                Output::Persist(number, record) => {
                    self.persist(record)?;
                    self.machine.handle(now, &mut self.random, Input::Persisted(number), &mut more);
                }
                Output::Event(RawEvent::Wanted { block, bits }) => {
                    let bits = self.source.bits(bits)?;
                    let input = Input::Command(RawCommand::Bits { block, bits });
                    self.machine.handle(now, &mut self.random, input, &mut more);
                }
                Output::Event(event) => self.event(event)?,
            }
            // Frames must leave in the order in which the machine asked for them, which its tags cover: what follows from
            // an effect comes after all that was asked for before.
            effects.extend(more);
        }
        if self.sending.is_flooded() { Err(RunError::Unread) } else { Ok(()) }
    }

    fn persist(&mut self, record: RawRecord) -> Result<(), RunError> {
        match record {
            RawRecord::Used(next) => {
                self.source.used(&self.progress, next)?;
                self.summary.used_bits[1] = next;
            }
            RawRecord::Pads(next) => {
                if let Some(secret) = &self.secret {
                    secret.used(next)?;
                    self.summary.next_pads = Some(next);
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, event: RawEvent) -> Result<(), RunError> {
        match event {
            RawEvent::Agreed { bits, .. } => {
                self.summary.used_bits = [bits.start, bits.start];
                self.total = bits.end - bits.start;
                self.agreed = Some(Instant::now());
            }
            RawEvent::Wanted { .. } => {}
            RawEvent::Compared { bits, compared, wrong, .. } => {
                if let (Some(bases), Some(sifting)) = (self.source.bases(bits), &mut self.summary.sifting) {
                    sifting.compared(&bases, &compared, &wrong);
                }
            }
            RawEvent::Block(block) => self.summary.block(&block),
            RawEvent::Key { block, key, account } => {
                self.keys.append(&key)?;
                self.summary.key(block.0, &account);
            }
            RawEvent::Alarm(alarm) => {
                self.summary.alarms.push(alarm.to_string());
                self.watch.alarm(&alarm);
            }
            RawEvent::Ended { failure } => self.ended = Some(failure),
        }
        Ok(())
    }
}

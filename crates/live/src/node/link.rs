//! The driver of one end of one link: a task that owns the end's distillation machine.
//!
//! It gives the machine what arrives (frames from the other end, detections or preparations from the hardware,
//! records that became durable, jobs that were computed, its timeouts) and carries out what the machine wants,
//! in order. It decides nothing itself but two things. It leaves windows in the hardware's buffer while the
//! machine could make no use of them, for up to a second. And it makes the machine anew, from what is durable,
//! when the devices were started anew, for their pulses are then counted anew.

use super::transcript::{Effects, Entry, Machine, Recorded, Told, digest};
use crate::hardware::{Hidden, LinkHardware, Recall, Side, Signal, Window};
use bellwether_bits::SecretBits;
use bellwether_protocol::hardware::Preparations;
use bellwether_protocol::machine::Output;
use bellwether_protocol::qkd::alarm::Alarm;
use bellwether_protocol::qkd::security::Certificate;
use bellwether_protocol::qkd::session::{
    BlockReport, Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, SettingsError, SkipReason,
};
use bellwether_units::{BlockId, Duration, Time};
use rand_core::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration as Span;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How often it is told at most how far a block is.
const PROGRESS_EVERY: Span = Span::from_secs(1);
/// How long a window may wait for a machine that could make no use of it.
const PATIENCE: Span = Span::from_secs(1);

/// Why something could not be made durable.
#[derive(Debug, thiserror::Error)]
#[error("an end's state could not be made durable: {0}")]
pub struct KeepError(pub String);

/// Where an end's durable state is kept.
pub trait Keeper: Send + Sync {
    /// Makes `record` durable in place of the one before; returns once it is.
    fn keep(&self, record: Durable) -> Pin<Box<dyn Future<Output = Result<(), KeepError>> + Send + '_>>;
}

/// The machines' time: since the process began to count, or as somebody's devices count it, and never the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// What it showed at the start.
    showed: Time,
}

impl Clock {
    /// Begins to count.
    pub fn start() -> Self {
        Self::reading(Time::ZERO)
    }
    /// A clock that shows this time now.
    pub fn reading(now: Time) -> Self {
        Self { start: Instant::now(), showed: now }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        let nanoseconds = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.showed.saturating_add(Duration::from_picoseconds(nanoseconds.saturating_mul(1000)))
    }

    /// When it will be `time`, or at once after.
    pub fn instant(&self, time: Time) -> Instant {
        let ahead = time.picoseconds().saturating_sub(self.showed.picoseconds());
        self.start + Span::from_nanos(ahead.div_ceil(1000))
    }
}

/// Everything that one end of a link is made of.
pub struct LinkEnd {
    /// Which end.
    pub side: Side,
    /// What both ends share.
    pub settings: LinkSettings,
    /// What was last made durable, or the state that the end was provisioned with.
    pub durable: Durable,
    /// Its devices.
    pub hardware: LinkHardware,
    /// Frames from the other end. When they end, so does the driver.
    pub frames: mpsc::Receiver<Vec<u8>>,
    /// Sends a frame to the other end. Must not block; frames may get lost.
    pub send: Box<dyn Fn(Vec<u8>) + Send>,
    /// Where its state is kept.
    pub keeper: Arc<dyn Keeper>,
    /// Who is told what happens. A listener that does not listen stops the link.
    pub notices: mpsc::Sender<Notice>,
    /// For secrets: the operating system's generator, but in tests.
    pub random: Box<dyn Rng + Send>,
    /// The machine's time.
    pub clock: Clock,
    /// Given everything that the machine is told, for [`transcript::check`](super::transcript::check). Holds
    /// raw key: for tests alone.
    pub transcript: Option<Box<dyn FnMut(Entry) + Send>>,
}

/// What an end of a link tells its node.
#[derive(Debug)]
pub enum Notice {
    /// A secret key that the other end holds, or will hold, as well.
    Key {
        /// The block it came from.
        block: BlockId,
        /// The key.
        key: SecretBits,
        /// What it promises.
        certificate: Box<Certificate>,
    },
    /// How a block ended.
    Block(Box<BlockReport>),
    /// Something is wrong.
    Alarm(Box<Alarm>),
    /// How far the block is that is being gathered; told once a second at most, if it has changed.
    Progress(Progress),
    /// A session is open.
    Connected {
        /// Its number.
        session: u64,
    },
    /// A session is over.
    Disconnected {
        /// Its number.
        session: u64,
    },
    /// A window was not made use of.
    Skipped {
        /// How many of its clicks.
        clicks: u64,
        /// Why.
        reason: SkipReason,
    },
    /// Whether this end sees the other's light.
    Light(bool),
    /// Windows that the hardware lost so far, because they were not taken in time.
    Lost(u64),
    /// The devices run; this run of theirs is the first or another than before.
    Devices {
        /// Which run.
        run: u64,
    },
    /// The devices do not answer.
    DevicesAway,
}

/// How far the block of a link is that is being gathered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sifted key bits that it has.
    pub sifted_bits: u64,
    /// With how many it is closed.
    pub of_bits: u64,
}

/// Why an end of a link stopped.
#[derive(Debug, thiserror::Error)]
pub enum LinkEndError {
    /// The settings or the durable state cannot be worked with.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its state could not be made durable. Nothing goes on without.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

/// Records that became durable, with the last of them.
struct Kept {
    numbers: Vec<(u64, u64)>,
    record: Durable,
}

struct Driver {
    end: LinkEnd,
    machine: Machine,
    /// Which machine it is, since the driver began.
    life: u64,
    /// Numbers asked of the hardware, and what they are to the machine.
    recalls: BTreeMap<u64, (u64, u64)>,
    next_recall: u64,
    jobs: u64,
    run: Option<u64>,
    lost: u64,
    /// How far the open block was when it was last told, and when that was.
    progress: Option<(Progress, Instant)>,
    /// Records on their way to being durable.
    records: mpsc::UnboundedSender<(u64, u64, Durable)>,
    unkept: usize,
    computed: mpsc::UnboundedSender<(u64, u64, JobResult)>,
    /// What the machine is to be told next.
    waiting: VecDeque<Told>,
    effects: Effects,
}

/// Nobody listens to the end any more.
struct Unheard;

/// Drives one end of a link until its frames end or nobody listens to it. Dropping the future stops it as a
/// crash would: whatever is durable then may be given to another.
///
/// # Errors
/// If the end cannot be set up, or its state cannot be made durable.
pub async fn drive(end: LinkEnd) -> Result<(), LinkEndError> {
    let (records, to_keep) = mpsc::unbounded_channel();
    let (kept_in, mut kept) = mpsc::unbounded_channel();
    let (computed, mut results) = mpsc::unbounded_channel();
    // Dropped with this future, and then stops.
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_in_order(Arc::clone(&end.keeper), to_keep, kept_in));
    let machine = Machine::new(end.side, &end.settings, end.durable.duplicate())?;
    let mut driver = Driver {
        end,
        machine,
        life: 0,
        recalls: BTreeMap::new(),
        next_recall: 0,
        jobs: 0,
        run: None,
        lost: 0,
        progress: None,
        records,
        unkept: 0,
        computed,
        waiting: VecDeque::new(),
        effects: Effects::new(),
    };
    driver.begin();
    let mut devices_gone = false;
    let mut unready_since = None;
    loop {
        if driver.settle().await.is_err() || driver.progress().await.is_err() {
            return Ok(());
        }
        let ready = driver.machine.takes_windows();
        if ready {
            unready_since = None;
        } else if unready_since.is_none() {
            unready_since = Some(Instant::now());
        }
        let waits = driver.end.hardware.waits;
        let patience = unready_since.filter(|_| !waits).map(|since| since + PATIENCE);
        let impatient = patience.is_some_and(|patience| patience <= Instant::now());
        let deadline = driver.machine.deadline().map(|due| driver.end.clock.instant(due));
        let clock = driver.end.clock;
        let soon = Instant::now;
        tokio::select! {
            frame = driver.end.frames.recv() => match frame {
                Some(frame) => driver.waiting.push_back(Told::Frame(frame)),
                None => return Ok(()),
            },
            signal = driver.end.hardware.signals.recv(), if !devices_gone => {
                let heard = match signal {
                    Some(Signal::Started { run }) => {
                        if driver.run.is_some_and(|before| before != run) {
                            driver.make_anew(&mut kept).await?;
                        }
                        driver.run = Some(run);
                        driver.notice(Notice::Devices { run }).await
                    }
                    Some(Signal::Prepared { request, preparations: Hidden(preparations) }) => {
                        driver.prepared(request, preparations);
                        Ok(())
                    }
                    Some(Signal::Light(seen)) => driver.notice(Notice::Light(seen)).await,
                    Some(Signal::Away) => driver.notice(Notice::DevicesAway).await,
                    None => {
                        devices_gone = true;
                        driver.forget_recalls();
                        driver.notice(Notice::DevicesAway).await
                    }
                };
                if heard.is_err() {
                    return Ok(());
                }
            },
            Some(window) = driver.end.hardware.windows.recv(), if driver.run.is_some() && (ready || impatient) => {
                unready_since = None;
                if driver.window(window).await.is_err() {
                    return Ok(());
                }
            },
            done = kept.recv() => match done {
                Some(done) => driver.kept(done?),
                None => return Err(KeepError("what keeps it has stopped".to_owned()).into()),
            },
            Some((life, job, result)) = results.recv() => {
                if life == driver.life {
                    driver.waiting.push_back(Told::Computed(job, result));
                }
            },
            () = sleep_until(deadline.unwrap_or_else(soon)), if deadline.is_some() => {
                // A sleep may end a little early, a deadline may have moved.
                if driver.machine.deadline().is_some_and(|due| due <= clock.now()) {
                    driver.waiting.push_back(Told::Timeout);
                }
            },
            () = sleep_until(patience.unwrap_or_else(soon)), if patience.is_some() && !impatient => {},
        }
    }
}

/// Makes records durable one after the other; of several that wait, the last replaces the others.
async fn keep_in_order(
    keeper: Arc<dyn Keeper>,
    mut records: mpsc::UnboundedReceiver<(u64, u64, Durable)>,
    kept: mpsc::UnboundedSender<Result<Kept, KeepError>>,
) {
    while let Some((life, number, mut record)) = records.recv().await {
        let mut numbers = vec![(life, number)];
        while let Ok((life, number, later)) = records.try_recv() {
            numbers.push((life, number));
            record = later;
        }
        let done = keeper.keep(record.duplicate()).await;
        let failed = done.is_err();
        if kept.send(done.map(|()| Kept { numbers, record })).is_err() || failed {
            return;
        }
    }
}

impl Driver {
    /// Tells a new machine to connect.
    fn begin(&mut self) {
        self.jobs = 0;
        if let Some(transcript) = &mut self.end.transcript {
            let (at, input) = (self.end.clock.now(), Recorded::Made(self.end.durable.duplicate()));
            transcript(Entry { at, input, outputs: digest(&Effects::new()) });
        }
        self.waiting.push_back(Told::Connect);
    }

    /// The devices were started anew: so is the machine, once all that it wanted durable is.
    async fn make_anew(
        &mut self,
        kept: &mut mpsc::UnboundedReceiver<Result<Kept, KeepError>>,
    ) -> Result<(), LinkEndError> {
        self.life += 1;
        self.waiting.clear();
        self.recalls.clear();
        while self.unkept > 0 {
            let done = kept.recv().await;
            let done = done.ok_or_else(|| KeepError("what keeps it has stopped".to_owned()))?;
            self.kept(done?);
        }
        self.machine = Machine::new(self.end.side, &self.end.settings, self.end.durable.duplicate())?;
        self.begin();
        Ok(())
    }

    fn kept(&mut self, done: Kept) {
        self.unkept -= done.numbers.len();
        self.end.durable = done.record;
        let life = self.life;
        let numbers = done.numbers.into_iter().filter(|(of, _)| *of == life);
        self.waiting.extend(numbers.map(|(_, number)| Told::Persisted(number)));
    }

    async fn window(&mut self, window: Window) -> Result<(), Unheard> {
        // What was under way when the devices were started anew is theirs no more.
        if self.run != Some(window.run) {
            return Ok(());
        }
        self.waiting.push_back(Told::Detected(window.detections));
        if window.lost != self.lost {
            self.lost = window.lost;
            self.notice(Notice::Lost(window.lost)).await?;
        }
        Ok(())
    }

    fn prepared(&mut self, number: u64, preparations: Preparations) {
        let Some((life, request)) = self.recalls.remove(&number) else { return };
        if life == self.life {
            self.waiting.push_back(Told::Recalled { request, preparations });
        }
    }

    /// The devices will answer nothing any more.
    fn forget_recalls(&mut self) {
        for (_, (life, request)) in std::mem::take(&mut self.recalls) {
            if life == self.life {
                let preparations = Preparations::default();
                self.waiting.push_back(Told::Recalled { request, preparations });
            }
        }
    }

    /// Tells the machine what waits, and does what it wants, until nothing waits.
    async fn settle(&mut self) -> Result<(), Unheard> {
        while let Some(told) = self.waiting.pop_front() {
            let at = self.end.clock.now();
            let mut effects = std::mem::take(&mut self.effects);
            let input = self.end.transcript.is_some().then(|| told.recorded());
            self.machine.tell(at, &mut *self.end.random, told, &mut effects);
            if let (Some(transcript), Some(input)) = (&mut self.end.transcript, input) {
                transcript(Entry { at, input, outputs: digest(&effects) });
            }
            for effect in effects.drain(..) {
                match effect {
                    Output::Send { to: OtherEnd, bytes } => (self.end.send)(bytes),
                    Output::Persist(number, record) => {
                        self.unkept += 1;
                        // If the other side has gone, its last word says why.
                        let _ = self.records.send((self.life, number, record));
                    }
                    Output::Compute(job) => self.compute(job),
                    Output::Event(event) => self.event(event).await?,
                }
            }
            self.effects = effects;
        }
        Ok(())
    }

    /// Tells how far the open block is, if that is news.
    async fn progress(&mut self) -> Result<(), Unheard> {
        let (sifted_bits, of_bits) = self.machine.progress();
        let (now, at) = (Progress { sifted_bits, of_bits }, Instant::now());
        if self.progress.is_some_and(|(told, when)| told == now || at.duration_since(when) < PROGRESS_EVERY) {
            return Ok(());
        }
        self.progress = Some((now, at));
        self.notice(Notice::Progress(now)).await
    }

    fn compute(&mut self, job: Job) {
        let (life, number, computed) = (self.life, self.jobs, self.computed.clone());
        self.jobs += 1;
        if job.is_brief() {
            self.waiting.push_back(Told::Computed(number, job.run()));
            return;
        }
        tokio::task::spawn_blocking(move || {
            // A driver that has stopped needs no result.
            let _ = computed.send((life, number, job.run()));
        });
    }

    async fn event(&mut self, event: LinkEvent) -> Result<(), Unheard> {
        let notice = match event {
            LinkEvent::Recall { request, pulses } => {
                let number = self.next_recall;
                self.next_recall += 1;
                if self.end.hardware.recalls.send(Recall { request: number, pulses }).is_ok() {
                    self.recalls.insert(number, (self.life, request));
                } else {
                    let preparations = Preparations::default();
                    self.waiting.push_back(Told::Recalled { request, preparations });
                }
                return Ok(());
            }
            LinkEvent::Key { block, key, certificate } => {
                Notice::Key { block, key, certificate: Box::new(certificate) }
            }
            LinkEvent::Block(report) => Notice::Block(Box::new(report)),
            LinkEvent::Alarm(alarm) => Notice::Alarm(Box::new(alarm)),
            LinkEvent::Connected { session } => Notice::Connected { session },
            LinkEvent::Disconnected { session } => Notice::Disconnected { session },
            LinkEvent::Skipped { clicks, reason } => Notice::Skipped { clicks, reason },
        };
        self.notice(notice).await
    }

    async fn notice(&mut self, notice: Notice) -> Result<(), Unheard> {
        self.end.notices.send(notice).await.map_err(|_| Unheard)
    }
}

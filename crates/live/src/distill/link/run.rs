//! One end of a link session, driven from its recording over its line.

use super::agreement::{Hello, in_words};
use super::material::{Clicks, LinkMaterial, Sent};
use super::said::{Said, reason};
use super::summary::LinkSummary;
use crate::distill::line::{Arrived, Line, Outgoing, frames_ahead};
use crate::distill::run::{FAREWELL, PATIENCE, Role, Watch, tick};
use crate::distill::{AuthenticationFile, FileError, KeyFile};
use crate::hardware::Side;
use crate::node::transcript::{Effects, Machine, Told};
use crate::random::SystemRandom;
use bellwether_bits::SecretBits;
use bellwether_network::Network;
use bellwether_protocol::hardware::PulseNumber;
use bellwether_protocol::machine::Output;
use bellwether_protocol::qkd::alarm::{Alarm, AlarmKind};
use bellwether_protocol::qkd::authenticate::AuthenticationError;
use bellwether_protocol::qkd::reconcile::Family;
use bellwether_protocol::qkd::session::{
    AuthenticationBudget, Durable, Job, JobResult, LinkEvent, LinkSettings, SettingsError, TagPolicy, Timing,
};
use bellwether_sim::emulator::link_settings;
use bellwether_units::{EntityId, LinkId, Purpose, Stream, Time};
use std::collections::VecDeque;
use std::io;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Pads of a run whose talk no secret protects: more than any recording has blocks for.
const OPEN_PADS: usize = 1 << 16;
/// What frames have beside the payload that the settings bound.
const FRAME_OVERHEAD: usize = 64;

/// Why a run did not come to its end. What its summary tells stands.
#[derive(Debug, thiserror::Error)]
pub enum LinkRunError {
    /// The link cannot be set up.
    #[error("{0}")]
    Link(String),
    /// The settings cannot be worked with.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The shared secret cannot be worked with.
    #[error(transparent)]
    Secret(#[from] AuthenticationError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The ends do not belong together.
    #[error("{0}")]
    Differ(String),
    /// The session came to nothing.
    #[error("{0}")]
    Session(String),
    /// The other end gave up.
    #[error("the other end gave up: {0}")]
    There(String),
    /// What the other end says is not understood.
    #[error("the other end says what is not understood ({0}): is it bellwether distill of this version?")]
    Unclear(&'static str),
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

/// One end of a link session, ready for its line.
pub struct LinkRun {
    machine: Machine,
    hello: Hello,
    longest: usize,
    /// Bytes of answers that an honest other end lets wait.
    under_way: usize,
    intensities: usize,
    pulse_rate: f64,
    material: LinkMaterial,
    secret: Option<AuthenticationFile>,
    keys: KeyFile,
    summary: LinkSummary,
}

impl LinkRun {
    /// An end of `link` with its recording, set as the network file describes the link, but for a family of
    /// reconciliation if one is given; the shared secret if the talk is to be authenticated by one, and where keys go.
    ///
    /// # Errors
    /// If the link or the secret cannot be worked with.
    pub fn new(
        material: LinkMaterial,
        network: &Network,
        link: LinkId,
        family: Option<Family>,
        secret: Option<AuthenticationFile>,
        keys: KeyFile,
    ) -> Result<Self, LinkRunError> {
        let described = network.link(link);
        let settings = link_settings(network, link).map_err(|error| LinkRunError::Link(error.to_string()))?;
        let settings = over_a_line(settings, family, secret.is_some());
        let durable = match &secret {
            Some(secret) => secret.durable()?,
            None => open_secret()?,
        };
        let pulse_rate = described.mean_pulse_rate();
        let hello = Hello {
            side: material.side,
            run: material.run,
            first_pulse: material.first_pulse(),
            settings: in_words(&described.name, pulse_rate, &settings, secret.is_some()),
        };
        let role = match material.side {
            Side::Transmitter => Role::Alice,
            Side::Receiver => Role::Bob,
        };
        let summary = LinkSummary {
            role: role.to_string(),
            recording: material.path.display().to_string(),
            link: described.name.clone(),
            key_file: keys.path().display().to_string(),
            block_bits: settings.block_bits,
            claim: settings.bound.to_string(),
            epsilon_authentication: secret.is_some().then_some(0.0),
            next_pads: secret.is_some().then(|| durable.next_pads()),
            ..LinkSummary::default()
        };
        Ok(Self {
            machine: Machine::new(material.side, &settings, durable)?,
            hello,
            longest: settings.limits.frame_bytes + FRAME_OVERHEAD,
            under_way: settings.limits.bytes_in_flight.saturating_mul(2),
            intensities: settings.source.len(),
            pulse_rate,
            material,
            secret,
            keys,
            summary,
        })
    }

    /// Distils over the line, and tells what came of it. To be called outside of the runtime's threads, which `runtime`
    /// lends for the line. An error is what kept it from its end; the account until then stands.
    pub fn carry_out(
        self,
        runtime: &Handle,
        line: Line,
        watch: &mut dyn Watch,
    ) -> (LinkSummary, Result<(), LinkRunError>) {
        let Self {
            machine,
            hello,
            longest,
            under_way,
            intensities,
            pulse_rate,
            material,
            secret,
            keys,
            mut summary,
        } = self;
        summary.authentication = match (&secret, line.encrypted) {
            (Some(_), _) => "a shared secret: information-theoretic (Wegman-Carter)",
            (None, true) => "certificates alone (TLS): computational, not information-theoretic",
            (None, false) => "NONE: whoever can change the talk can have the keys",
        }
        .to_owned();
        let (arriving, mut arrived) = mpsc::channel(frames_ahead(longest));
        let entered = runtime.enter();
        let (sending, written) = line.start(longest, under_way, arriving.clone());
        tokio::spawn(tick(arriving.clone()));
        drop(entered);
        let (jobs, for_worker) = std::sync::mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for job in for_worker {
                if arriving.blocking_send(Arrived::Computed(job.run())).is_err() {
                    return;
                }
            }
        });
        let size = material.size;
        let mut driver = Driver {
            machine,
            random: SystemRandom::new(),
            recorded: Recorded::Unopened(Some(material)),
            secret,
            keys,
            jobs,
            sending,
            summary: &mut summary,
            watch,
            started: Instant::now(),
            agreed: None,
            size,
            intensities,
            told: VecDeque::new(),
            effects: Effects::new(),
            connected: false,
            broken: None,
            stopping: false,
            said_over: false,
            failure: None,
        };
        let mut result = driver.run(&hello, &mut arrived);
        if let Err(error) = &result
            && !matches!(error, LinkRunError::There(_) | LinkRunError::Gone(_))
        {
            driver.say(&Said::Failed(match error {
                // What stands in a file is not the other end's to know.
                LinkRunError::File(_) => "its file cannot be used any further, and it says why".to_owned(),
                other => reason(other),
            }));
        }
        if let Err(error) = driver.keys.sync() {
            result = result.and(Err(error.into()));
        }
        driver.summary.unfinished_bits = driver.machine.progress().0;
        let Driver { jobs, sending, agreed, keys, .. } = driver;
        drop((jobs, sending));
        // The last confirmation must leave, or the other end has no keys.
        let _ = runtime.block_on(async { timeout(FAREWELL, written).await });
        // The worker ends with what it has in hand, which nobody waits for.
        drop(arrived);
        summary.seconds = agreed.map_or(0.0, |since| since.elapsed().as_secs_f64());
        summary.light_seconds = (summary.used_pulses[1] - summary.used_pulses[0]) as f64 / pulse_rate;
        summary.key_bits = keys.bits();
        if keys.bits() == 0 {
            summary.key_file.clear();
        }
        summary.failure = result.as_ref().err().map(ToString::to_string);
        (summary, result)
    }
}

/// The settings of a link whose ends talk over a line that loses nothing, under a secret that is not filled up again: all
/// key goes to the file.
fn over_a_line(settings: LinkSettings, family: Option<Family>, shared_secret: bool) -> LinkSettings {
    /// Longer than a run waits for anything.
    const NEVER: bellwether_units::Duration = bellwether_units::Duration::from_whole_seconds(24 * 3600);
    let mut settings = LinkSettings {
        // Files of the same link may be in other places of two network files.
        link: LinkId(0),
        reconciliation: family.unwrap_or(settings.reconciliation),
        authentication: AuthenticationBudget { target_pads: 0, low_water_pads: 0, greatest_share: 0 },
        timing: Timing {
            retransmit_after: NEVER,
            retransmit_at_most: NEVER,
            silent_after: NEVER,
            stalled_after: NEVER,
            ..settings.timing
        },
        tags: if shared_secret { settings.tags } else { TagPolicy::EveryBlock },
        ..settings
    };
    let limits = &mut settings.limits;
    // Room for the seed of an amplification of a large block.
    limits.frame_bytes =
        limits.frame_bytes.max(4096 + settings.block_bits as usize / 4 + limits.window_clicks / 4);
    limits.bytes_in_flight = limits.bytes_in_flight.max(limits.frame_bytes);
    settings
}

/// What stands in the place of a secret where there is none: known to everybody.
fn open_secret() -> Result<Durable, AuthenticationError> {
    let mut public = Stream::new(0, EntityId(0), Purpose::named("no secret"));
    Durable::provisioned(SecretBits::random(256 * (1 + OPEN_PADS), &mut public))
}

/// What an end goes by.
enum Recorded {
    /// Until the other end has said how far its recording was used.
    Unopened(Option<LinkMaterial>),
    Clicks(Clicks),
    Sent(Sent),
}

struct Driver<'a> {
    machine: Machine,
    random: SystemRandom,
    recorded: Recorded,
    secret: Option<AuthenticationFile>,
    keys: KeyFile,
    jobs: std::sync::mpsc::Sender<Job>,
    sending: Outgoing,
    summary: &'a mut LinkSummary,
    watch: &'a mut dyn Watch,
    started: Instant,
    agreed: Option<Instant>,
    /// Bytes of the recording.
    size: u64,
    intensities: usize,
    /// What the machine is to be told next.
    told: VecDeque<Told>,
    effects: Effects,
    connected: bool,
    /// Why the session cannot go on.
    broken: Option<String>,
    /// Windows are taken no more.
    stopping: bool,
    said_over: bool,
    /// What is wrong with the recording, of which all before is distilled.
    failure: Option<FileError>,
}

impl Driver<'_> {
    fn run(
        &mut self,
        hello: &Hello,
        arrived: &mut mpsc::Receiver<Arrived<JobResult>>,
    ) -> Result<(), LinkRunError> {
        self.say(&Said::Hello(&hello.encode()));
        let mut heard = Instant::now();
        loop {
            let next = match arrived.try_recv() {
                Ok(next) => Some(next),
                Err(_) if self.connected && self.machine.takes_windows() && !self.stopping => {
                    self.window()?;
                    continue;
                }
                Err(_) if self.is_done() => {
                    self.farewell()?;
                    continue;
                }
                Err(_) => arrived.blocking_recv(),
            };
            match next {
                Some(Arrived::Frame(frame)) => {
                    heard = Instant::now();
                    if self.hear(hello, &frame)? {
                        return self.failure.take().map_or(Ok(()), |failure| Err(failure.into()));
                    }
                }
                Some(Arrived::Computed(result)) => self.tell(Told::Computed(0, result))?,
                Some(Arrived::Tick) => {
                    self.tick()?;
                    if heard.elapsed() > PATIENCE {
                        return Err(LinkRunError::Silent);
                    }
                }
                Some(Arrived::Closed(error)) => return Err(LinkRunError::Gone(error)),
                None => return Err(LinkRunError::Gone(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }

    fn say(&self, said: &Said<'_>) {
        self.sending.send(said.encode());
    }

    /// Takes a frame in; whether the run is over.
    fn hear(&mut self, hello: &Hello, frame: &[u8]) -> Result<bool, LinkRunError> {
        let said = Said::decode(frame).ok_or(LinkRunError::Unclear("a frame of no known kind"))?;
        match (said, self.agreed) {
            (Said::Hello(other), None) => self.agree(hello, other)?,
            (Said::Failed(why), _) => return Err(LinkRunError::There(why)),
            (Said::Machine(bytes), Some(_)) => self.tell(Told::Frame(bytes.to_vec()))?,
            (Said::Stop, Some(_)) => self.stopping = true,
            (Said::Over { exhausted }, Some(_)) => {
                match &mut self.recorded {
                    Recorded::Sent(sent) => {
                        sent.settle(exhausted)?;
                        self.say(&Said::Over { exhausted });
                    }
                    Recorded::Clicks(_) if self.said_over => {}
                    _ => return Err(LinkRunError::Unclear("an end that this end has not come to")),
                }
                return Ok(true);
            }
            _ => return Err(LinkRunError::Unclear("a frame out of turn")),
        }
        Ok(false)
    }

    /// Compares what the ends are set to, and lets the machine begin.
    fn agree(&mut self, hello: &Hello, other: &[u8]) -> Result<(), LinkRunError> {
        let other = Hello::decode(other).map_err(|_| LinkRunError::Unclear("a beginning of another kind"))?;
        if let Some(what) = hello.disagreement(&other) {
            return Err(LinkRunError::Differ(what));
        }
        let Recorded::Unopened(material) = &mut self.recorded else { return Ok(()) };
        let Some(material) = material.take() else { return Ok(()) };
        let first: PulseNumber = hello.first_pulse.max(other.first_pulse);
        self.recorded = match hello.side {
            Side::Receiver => Recorded::Clicks(Clicks::new(material, first)),
            Side::Transmitter => Recorded::Sent(Sent::new(material, first, self.intensities)),
        };
        self.agreed = Some(Instant::now());
        self.tell(Told::Connect)
    }

    fn tick(&mut self) -> Result<(), LinkRunError> {
        let position = match &self.recorded {
            Recorded::Unopened(_) => 0,
            Recorded::Clicks(clicks) => clicks.position(),
            Recorded::Sent(sent) => sent.position(),
        };
        self.watch.progress(position, self.size, self.summary.sifted_bits);
        if self.watch.is_stopped() && !self.summary.interrupted {
            self.summary.interrupted = true;
            self.stopping = true;
            if matches!(self.recorded, Recorded::Sent(_)) {
                self.say(&Said::Stop);
            }
        }
        let now = self.now();
        if self.agreed.is_some() && self.machine.deadline().is_some_and(|due| due <= now) {
            self.tell(Told::Timeout)?;
        }
        Ok(())
    }

    /// The next window of a receiver's recording.
    fn window(&mut self) -> Result<(), LinkRunError> {
        let Recorded::Clicks(clicks) = &mut self.recorded else { return Ok(()) };
        match clicks.next_window() {
            Ok(Some(window)) => {
                self.summary.window(&window);
                self.tell(Told::Detected(window))
            }
            Ok(None) => {
                self.stopping = true;
                Ok(())
            }
            Err(error) => {
                // What was announced before is worth a key.
                self.failure = Some(error);
                self.stopping = true;
                Ok(())
            }
        }
    }

    /// Whether all that a receiver announced has become key, or never will.
    fn is_done(&self) -> bool {
        matches!(self.recorded, Recorded::Clicks(_))
            && self.stopping
            && !self.said_over
            && self.machine.is_idle()
    }

    fn farewell(&mut self) -> Result<(), LinkRunError> {
        self.said_over = true;
        let mut exhausted = false;
        if let Recorded::Clicks(clicks) = &mut self.recorded {
            exhausted = clicks.is_over();
            if self.failure.is_none() {
                clicks.settle()?;
            }
        }
        self.say(&Said::Over { exhausted });
        Ok(())
    }

    fn now(&self) -> Time {
        Time::from_picoseconds(self.started.elapsed().as_nanos() as u64 * 1000)
    }

    /// Tells the machine, and does what it wants, until nothing more follows.
    fn tell(&mut self, told: Told) -> Result<(), LinkRunError> {
        self.told.push_back(told);
        while let Some(told) = self.told.pop_front() {
            let now = self.now();
            let mut effects = std::mem::take(&mut self.effects);
            self.machine.tell(now, &mut self.random, told, &mut effects);
            for effect in effects.drain(..) {
                match effect {
                    Output::Send { bytes, .. } => self.sending.send(Said::machine(bytes)),
                    Output::Compute(job) => drop(self.jobs.send(job)),
                    Output::Persist(number, record) => {
                        if let Some(secret) = &self.secret {
                            secret.used(record.next_pads())?;
                            self.summary.next_pads = Some(record.next_pads());
                        }
                        self.told.push_back(Told::Persisted(number));
                    }
                    Output::Event(event) => self.event(event)?,
                }
            }
            self.effects = effects;
        }
        if self.sending.is_flooded() {
            return Err(LinkRunError::Unread);
        }
        self.broken.take().map_or(Ok(()), |why| Err(LinkRunError::Session(why)))
    }

    fn event(&mut self, event: LinkEvent) -> Result<(), LinkRunError> {
        match event {
            LinkEvent::Connected { .. } => self.connected = true,
            LinkEvent::Disconnected { .. } => {
                self.broken.get_or_insert_with(|| "the session with the other end broke".to_owned());
            }
            LinkEvent::Recall { request, pulses } => {
                let Recorded::Sent(sent) = &mut self.recorded else { return Ok(()) };
                let preparations = sent.recall(&pulses)?;
                if let (Some(first), Some(last)) = (pulses.first(), pulses.last()) {
                    self.summary.pulses(*first, last.saturating_add(1));
                    self.summary.clicks += pulses.len() as u64;
                }
                self.told.push_back(Told::Recalled { request, preparations });
            }
            LinkEvent::Block(report) => self.summary.block(&report),
            LinkEvent::Key { key, certificate, .. } => {
                self.keys.append(&key)?;
                self.summary.certified(&certificate);
            }
            LinkEvent::Skipped { clicks, reason } => {
                let alarm = format!("a window of {clicks} clicks was not made use of: {reason:?}");
                self.watch.alarm(&alarm);
                self.summary.alarms.push(alarm);
            }
            LinkEvent::Alarm(alarm) => self.alarm(&alarm),
        }
        Ok(())
    }

    fn alarm(&mut self, alarm: &Alarm) {
        self.summary.alarms.push(alarm.to_string());
        self.watch.alarm(alarm);
        match alarm.kind {
            AlarmKind::AuthenticationFailed => {
                let why = "authentication failed: the secrets differ, or somebody changes the talk";
                self.broken = Some(why.to_owned());
            }
            AlarmKind::AuthenticationKeysExhausted => {
                let why = "the secret for authentication is used up: agree on a new and longer one";
                self.broken = Some(why.to_owned());
            }
            AlarmKind::MalformedMessage => self.broken = Some(alarm.to_string()),
            _ => {}
        }
    }
}

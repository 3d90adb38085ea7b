//! A link at detail `bits`: every click is made, and the two machines distil the real key over the wire.

use super::watch::Watch;
use super::{BlockRecord, End, LinkRecord, LinkSays, Tally, stream};
use crate::channel::ClassicalChannel;
use crate::conditions::Timeline;
use crate::emulator::{LinkEmulator, provisioned, settings_of};
use crate::kernel::Schedule;
use crate::optics::Optics;
use crate::run::RunError;
use bellwether_network::Network;
use bellwether_protocol::hardware::Preparations;
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::alarm::AlarmKind;
use bellwether_protocol::qkd::session::{
    BlockReport, Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, Receiver, ReceiverCommand,
    Transmitter, TransmitterCommand,
};
use bellwether_units::{BlockId, Duration, EntityId, LinkId, Stream, Time};
use std::collections::{BTreeMap, VecDeque};

/// How long a durable write takes.
pub(super) const PERSIST: Duration = Duration::from_milliseconds(1);
/// How long privacy amplification is taken to occupy an end.
pub(super) const AMPLIFY: Duration = Duration::from_milliseconds(20);
/// How long the transmitter's hardware takes to say what it had prepared.
pub(super) const RECALL: Duration = Duration::from_microseconds(10);
/// Blocks of which it is remembered that their end was said: more than can be in flight.
const ENDED: usize = 256;
/// Alarms of one kind from both ends within so long are one alarm.
const SAME_ALARM: Duration = Duration::from_whole_seconds(1);

enum Happening {
    Window,
    Frame(End, Vec<u8>),
    Timeout(End),
    Persisted { end: End, life: u32, number: u64, record: Box<Durable> },
    Computed { end: End, life: u32, result: Box<JobResult> },
    Recalled { life: u32, request: u64, preparations: Preparations },
    Changed,
}

type Effects = Vec<Output<OtherEnd, LinkEvent, Durable, Job>>;

/// A machine while it runs, and what of it is durable.
struct Side<M> {
    machine: Option<M>,
    durable: Durable,
    life: u32,
    random: Stream,
    timeout: Option<Time>,
}

/// A link whose every bit is made.
pub(crate) struct BitsLink {
    settings: LinkSettings,
    schedule: Schedule<Happening>,
    hardware_source: EntityId,
    sources: [EntityId; 2],
    hardware: LinkEmulator,
    timeline: Timeline,
    transmitter: Side<Transmitter>,
    receiver: Side<Receiver>,
    channels: [ClassicalChannel; 2],
    watch: Watch,
    /// A block of the receiver whose key is about to be told.
    told: Option<BlockReport>,
    /// The latest blocks of which the end was said.
    ended: VecDeque<BlockId>,
    /// When an alarm of a kind was last told, and which end raised it.
    last_alarm: BTreeMap<&'static str, Time>,
    last_alarm_by: BTreeMap<&'static str, End>,
    tally: Tally,
    effects: Effects,
    failed: Option<RunError>,
}

impl BitsLink {
    pub(crate) fn new(network: &Network, id: LinkId, seed: u64) -> Result<Self, RunError> {
        let link = network.link(id);
        let timeline = Timeline::of_link(network, id);
        let watch = Watch::new(link, &Optics::new(link, stream(network, id, seed, "drift"))?)?;
        let settings = settings_of(link, id, &watch);
        let hardware = LinkEmulator::with_timeline(network, id, seed, timeline.clone())?;
        let durable = provisioned(network, id, seed)?;
        let mut schedule = Schedule::new();
        let mut source = || schedule.add_source().expect("three sources are fewer than 2^24");
        let (hardware_source, sources) = (source(), [source(), source()]);
        let channel = |name| ClassicalChannel::new(link.message_delay, stream(network, id, seed, name));
        let mut process = Self {
            settings,
            schedule,
            hardware_source,
            sources,
            hardware,
            timeline,
            transmitter: Side::new(durable.duplicate(), stream(network, id, seed, "transmitter")),
            receiver: Side::new(durable, stream(network, id, seed, "receiver")),
            channels: [channel("messages to the receiver"), channel("messages to the transmitter")],
            watch,
            told: None,
            ended: VecDeque::new(),
            last_alarm: BTreeMap::new(),
            last_alarm_by: BTreeMap::new(),
            tally: Tally::default(),
            effects: Vec::new(),
            failed: None,
        };
        process.begin()?;
        Ok(process)
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn advance(&mut self, until: Time, says: &mut Vec<LinkRecord>) -> Result<(), RunError> {
        while let Some(event) = self.schedule.next_until(until) {
            self.happen(event.time, event.event, says)?;
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), RunError> {
        let instants: Vec<_> = core::iter::once(Time::ZERO).chain(self.timeline.instants()).collect();
        for at in instants {
            self.plan(self.hardware_source, at, Happening::Changed);
        }
        self.plan(self.hardware_source, self.hardware.next_window_ends(), Happening::Window);
        Ok(())
    }

    fn plan(&mut self, source: EntityId, at: Time, what: Happening) {
        let at = at.max(self.schedule.now());
        self.schedule.at(source, at, what).expect("the time is not past and the source was added");
    }

    fn happen(&mut self, now: Time, what: Happening, says: &mut Vec<LinkRecord>) -> Result<(), RunError> {
        match what {
            Happening::Window => self.window(now, says)?,
            Happening::Changed => self.changed(now, says)?,
            Happening::Frame(End::Transmitter, bytes) => {
                self.transmit(now, Input::Frame { from: OtherEnd, bytes: &bytes }, says);
            }
            Happening::Frame(End::Receiver, bytes) => {
                self.receive(now, Input::Frame { from: OtherEnd, bytes: &bytes }, says);
            }
            Happening::Timeout(End::Transmitter) => {
                if self.transmitter.timeout_is_due(now) {
                    self.transmit(now, Input::Timeout, says);
                } else {
                    self.ask_for_timeouts(now);
                }
            }
            Happening::Timeout(End::Receiver) => {
                if self.receiver.timeout_is_due(now) {
                    self.receive(now, Input::Timeout, says);
                } else {
                    self.ask_for_timeouts(now);
                }
            }
            Happening::Persisted { end: End::Transmitter, life, number, record } => {
                if self.transmitter.life == life {
                    self.transmitter.durable = *record;
                    self.transmit(now, Input::Persisted(number), says);
                }
            }
            Happening::Persisted { end: End::Receiver, life, number, record } => {
                if self.receiver.life == life {
                    self.receiver.durable = *record;
                    self.receive(now, Input::Persisted(number), says);
                }
            }
            Happening::Computed { end: End::Transmitter, life, result } => {
                if self.transmitter.life == life {
                    self.transmit(now, Input::Computed(*result), says);
                }
            }
            Happening::Computed { end: End::Receiver, life, result } => {
                if self.receiver.life == life {
                    self.receive(now, Input::Computed(*result), says);
                }
            }
            Happening::Recalled { life, request, preparations } => {
                if self.transmitter.life == life {
                    let command = TransmitterCommand::Recalled { request, preparations };
                    self.transmit(now, Input::Command(command), says);
                }
            }
        }
        Ok(())
    }

    fn window(&mut self, now: Time, says: &mut Vec<LinkRecord>) -> Result<(), RunError> {
        let detections = self.hardware.next_window()?;
        self.tally = self.hardware.tally();
        if self.receiver.machine.is_some()
            && let Some(detections) = detections
        {
            self.receive(now, Input::Command(ReceiverCommand::Detected(detections)), says);
        }
        self.plan(self.hardware_source, self.hardware.next_window_ends(), Happening::Window);
        Ok(())
    }

    /// Something changed on the link or at its ends.
    fn changed(&mut self, now: Time, says: &mut Vec<LinkRecord>) -> Result<(), RunError> {
        let (conditions, _) = self.timeline.at(now);
        let (faults, transmitter_up, receiver_up) =
            (conditions.faults, conditions.transmitter_up, conditions.receiver_up);
        for channel in &mut self.channels {
            channel.set_faults(faults);
        }
        let refused = |e: bellwether_protocol::qkd::session::SettingsError| e.to_string();
        if !transmitter_up && self.transmitter.machine.is_some() {
            self.transmitter.crash();
            self.hardware.forget();
        } else if transmitter_up && self.transmitter.machine.is_none() {
            let durable = self.transmitter.durable.duplicate();
            let machine =
                Transmitter::new(self.settings.clone(), durable).map_err(|e| self.bad(refused(e)))?;
            self.transmitter.machine = Some(machine);
            self.transmit(now, Input::Command(TransmitterCommand::Connect), says);
        }
        if !receiver_up && self.receiver.machine.is_some() {
            self.receiver.crash();
            self.told = None;
        } else if receiver_up && self.receiver.machine.is_none() {
            let durable = self.receiver.durable.duplicate();
            let machine = Receiver::new(self.settings.clone(), durable).map_err(|e| self.bad(refused(e)))?;
            self.receiver.machine = Some(machine);
            self.receive(now, Input::Command(ReceiverCommand::Connect), says);
        }
        Ok(())
    }

    fn transmit(
        &mut self,
        now: Time,
        input: Input<'_, OtherEnd, TransmitterCommand, JobResult>,
        says: &mut Vec<LinkRecord>,
    ) {
        let mut effects = core::mem::take(&mut self.effects);
        if let Some(machine) = &mut self.transmitter.machine {
            machine.handle(now, &mut self.transmitter.random, input, &mut effects);
        }
        self.carry_out(now, End::Transmitter, &mut effects, says);
    }

    fn receive(
        &mut self,
        now: Time,
        input: Input<'_, OtherEnd, ReceiverCommand, JobResult>,
        says: &mut Vec<LinkRecord>,
    ) {
        let mut effects = core::mem::take(&mut self.effects);
        if let Some(machine) = &mut self.receiver.machine {
            machine.handle(now, &mut self.receiver.random, input, &mut effects);
        }
        self.carry_out(now, End::Receiver, &mut effects, says);
    }

    fn carry_out(&mut self, now: Time, end: End, effects: &mut Effects, says: &mut Vec<LinkRecord>) {
        let source = self.sources[end as usize];
        let life = match end {
            End::Transmitter => self.transmitter.life,
            End::Receiver => self.receiver.life,
        };
        for effect in effects.drain(..) {
            match effect {
                Output::Event(event) => self.note(now, end, event, says),
                Output::Send { to: OtherEnd, bytes } => {
                    let other = end.other();
                    let mut copies = Vec::new();
                    self.channels[end as usize].transmit(now, bytes, |at, copy| copies.push((at, copy)));
                    for (at, copy) in copies {
                        self.plan(source, at, Happening::Frame(other, copy));
                    }
                }
                Output::Persist(number, record) => {
                    let what = Happening::Persisted { end, life, number, record: Box::new(record) };
                    self.plan(source, now.saturating_add(PERSIST), what);
                }
                Output::Compute(job) => {
                    let takes = if job.makes_key() { AMPLIFY } else { Duration::ZERO };
                    let result = Box::new(job.run());
                    let what = Happening::Computed { end, life, result };
                    self.plan(source, now.saturating_add(takes), what);
                }
            }
        }
        self.effects = core::mem::take(effects);
        self.ask_for_timeouts(now);
    }

    fn note(&mut self, now: Time, end: End, event: LinkEvent, says: &mut Vec<LinkRecord>) {
        match event {
            LinkEvent::Recall { request, pulses } => {
                let preparations = self.hardware.recall(&pulses);
                let life = self.transmitter.life;
                let what = Happening::Recalled { life, request, preparations };
                self.plan(self.hardware_source, now.saturating_add(RECALL), what);
            }
            LinkEvent::Key { block, key, certificate } => {
                if end == End::Receiver
                    && let Some(report) = self.told.take_if(|report| report.block == block)
                {
                    let record = BlockRecord { certificate: Some(certificate), ..record_of(&report) };
                    self.say_block(now, record, says);
                }
                says.push(LinkRecord { at: now, what: LinkSays::Key(end, block, key.into()) });
            }
            LinkEvent::Block(report) if end == End::Receiver && report.discarded.is_none() => {
                self.told = Some(report);
            }
            // Both ends discard a block, unless one of them has crashed and forgotten it.
            LinkEvent::Block(report) if report.discarded.is_some() && !self.ended.contains(&report.block) => {
                self.say_block(now, record_of(&report), says);
            }
            // Both ends know the statistics of the light and judge them alike.
            LinkEvent::Alarm(alarm) if end == End::Transmitter && is_about_light(alarm.kind) => {}
            LinkEvent::Alarm(alarm) => {
                let kind = alarm.kind.name();
                let fresh = self.last_alarm.get(kind).is_none_or(|last| now.since(*last) > SAME_ALARM);
                if fresh || self.last_alarm_by.get(kind) == Some(&end) {
                    self.last_alarm.insert(kind, now);
                    self.last_alarm_by.insert(kind, end);
                    says.push(LinkRecord { at: now, what: self.watch.says(&alarm) });
                }
            }
            LinkEvent::Block(_)
            | LinkEvent::Connected { .. }
            | LinkEvent::Disconnected { .. }
            | LinkEvent::Skipped { .. } => {}
        }
    }

    fn say_block(&mut self, now: Time, record: BlockRecord, says: &mut Vec<LinkRecord>) {
        self.ended.push_back(record.block);
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
        says.push(LinkRecord { at: now, what: LinkSays::Block(Box::new(record)) });
    }

    fn ask_for_timeouts(&mut self, now: Time) {
        let [transmitter, receiver] = self.sources;
        if let Some(due) = self.transmitter.wanted_timeout(now) {
            self.plan(transmitter, due, Happening::Timeout(End::Transmitter));
        }
        if let Some(due) = self.receiver.wanted_timeout(now) {
            self.plan(receiver, due, Happening::Timeout(End::Receiver));
        }
    }

    fn bad(&self, reason: String) -> RunError {
        RunError::Link { link: self.settings.link.to_string(), reason }
    }
}

impl<M: Protocol> Side<M> {
    fn new(durable: Durable, random: Stream) -> Self {
        Self { machine: None, durable, life: 0, random, timeout: None }
    }

    fn crash(&mut self) {
        self.machine = None;
        self.timeout = None;
        self.life += 1;
    }

    /// A timeout has come: whether the machine still wants it.
    fn timeout_is_due(&mut self, now: Time) -> bool {
        if self.timeout != Some(now) {
            return false;
        }
        self.timeout = None;
        self.machine.as_ref().and_then(Protocol::deadline).is_some_and(|due| due <= now)
    }

    /// When a timeout must be planned for, if that has not been done.
    fn wanted_timeout(&mut self, now: Time) -> Option<Time> {
        let due = self.machine.as_ref().and_then(Protocol::deadline)?.max(now);
        if self.timeout.is_some_and(|planned| planned <= due) {
            return None;
        }
        self.timeout = Some(due);
        Some(due)
    }
}

impl End {
    fn other(self) -> Self {
        match self {
            Self::Transmitter => Self::Receiver,
            Self::Receiver => Self::Transmitter,
        }
    }
}

fn record_of(report: &BlockReport) -> BlockRecord {
    BlockRecord {
        block: report.block,
        opened: report.opened,
        statistics: report.statistics.clone(),
        corrected: report.corrected,
        leaked_bits: report.leaked_bits,
        round_trips: Some(report.round_trips),
        authentication_bits: report.pads_used * 128,
        set_aside_bits: report.set_aside_bits,
        certificate: None,
        discarded: report.discarded.as_ref().map(|why| (why.name().to_owned(), why.to_string())),
    }
}

/// Whether an alarm follows from counts that both ends have.
const fn is_about_light(kind: AlarmKind) -> bool {
    matches!(
        kind,
        AlarmKind::QberHigh(_)
            | AlarmKind::QberDrift(_)
            | AlarmKind::DecoyStatistics { .. }
            | AlarmKind::CountsLow
            | AlarmKind::CountsHigh
            | AlarmKind::DoubleClicksMissing
            | AlarmKind::BiasCurrent
            | AlarmKind::NoKey
    )
}

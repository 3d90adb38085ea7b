//! Two machines, the channel between them and their hardware in virtual time, with every invariant checked as
//! they go.

use crate::light::Light;
use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::alarm::Alarm;
use bellwether_protocol::qkd::security::{Bound, SecurityParameters};
use bellwether_protocol::qkd::session::{
    BlockReport, Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, Receiver, ReceiverCommand,
    Transmitter, TransmitterCommand,
};
use bellwether_units::{BlockId, Duration, EntityId, LinkId, Purpose, Stream, Time};
use std::collections::BTreeMap;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Transmitter,
    Receiver,
}

impl End {
    pub(crate) fn other(self) -> Self {
        match self {
            End::Transmitter => End::Receiver,
            End::Receiver => End::Transmitter,
        }
    }
}

/// What the channel does to frames.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Each copy is held back by up to this.
    pub(crate) hold: Duration,
}

/// What may be done to a frame under way: its sender, the bytes.
pub(crate) type Tamper = Box<dyn FnMut(&mut Stream, End, &mut Vec<u8>)>;

type Effect = Output<OtherEnd, LinkEvent, Durable, Job>;

enum Due {
    Frame { to: End, bytes: Vec<u8> },
    Persisted { end: End, life: u32, number: u64, record: Durable },
    Computed { end: End, life: u32, result: JobResult },
    Recalled { life: u32, request: u64, pulses: Vec<u64> },
    Window,
}

pub(crate) struct Pair {
    pub(crate) now: Time,
    pub(crate) settings: LinkSettings,
    pub(crate) light: Light,
    pub(crate) faults: Faults,
    pub(crate) tamper: Option<Tamper>,
    /// Pulses of a window and the time between windows; none while 0.
    pub(crate) window_pulses: u64,
    pub(crate) window_every: Duration,
    pub(crate) delay: Duration,
    /// The keys each end told.
    pub(crate) keys: [BTreeMap<BlockId, BitString>; 2],
    pub(crate) blocks: [Vec<BlockReport>; 2],
    pub(crate) alarms: [Vec<Alarm>; 2],
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) sessions: u64,
    /// Every request that the transmitter's hardware was given.
    pub(crate) recalls: Vec<Vec<u64>>,
    transmitter: Transmitter,
    receiver: Receiver,
    durable: [Durable; 2],
    lives: [u32; 2],
    queue: BTreeMap<(Time, u64), Due>,
    pushed: u64,
    streams: [Stream; 2],
    channel: Stream,
    /// The frame that each pad of each direction was used for.
    pads: BTreeMap<(End, u64), Vec<u8>>,
}

/// Settings with which small blocks of single photons give key.
pub(crate) fn small_blocks() -> LinkSettings {
    let light = Light::single_photons(0);
    let mut settings = LinkSettings::new(LinkId(0), light.source, Bound::SinglePhotonTomamichel);
    settings.block_bits = 2048;
    settings.security = SecurityParameters { secrecy: 1e-4, correctness: 1e-9 };
    settings.timing.silent_after = Duration::from_whole_seconds(3);
    settings.timing.stalled_after = Duration::from_whole_seconds(15);
    settings.timing.reopen_at_most = Duration::from_whole_seconds(2);
    settings.timing.retransmit_at_most = Duration::from_whole_seconds(1);
    settings
}

impl Pair {
    pub(crate) fn new(settings: LinkSettings, light: Light, seed: u64) -> Self {
        Self::with_pads(settings, light, seed, 400)
    }

    pub(crate) fn with_pads(settings: LinkSettings, light: Light, seed: u64, pairs: usize) -> Self {
        let stream = |name, end| Stream::new(seed, EntityId(end), Purpose::named(name));
        let secret = SecretBits::random(256 * (1 + pairs), &mut stream("secret", 0));
        let durable = || Durable::provisioned(secret.duplicate()).unwrap();
        let mut pair = Self {
            now: Time::ZERO,
            transmitter: Transmitter::new(settings.clone(), durable()).unwrap(),
            receiver: Receiver::new(settings.clone(), durable()).unwrap(),
            settings,
            light,
            faults: Faults::default(),
            tamper: None,
            window_pulses: 4000,
            window_every: Duration::from_milliseconds(20),
            delay: Duration::from_milliseconds(1),
            keys: Default::default(),
            blocks: Default::default(),
            alarms: Default::default(),
            frames: 0,
            bytes: 0,
            sessions: 0,
            recalls: Vec::new(),
            durable: [durable(), durable()],
            lives: [0, 0],
            queue: BTreeMap::new(),
            pushed: 0,
            streams: [stream("end", 1), stream("end", 2)],
            channel: stream("channel", 3),
            pads: BTreeMap::new(),
        };
        pair.connect(End::Transmitter);
        pair.connect(End::Receiver);
        pair.push(pair.now, Due::Window);
        pair
    }

    fn connect(&mut self, end: End) {
        match end {
            End::Transmitter => self.tell_transmitter(Input::Command(TransmitterCommand::Connect)),
            End::Receiver => self.tell_receiver(Input::Command(ReceiverCommand::Connect)),
        }
    }

    fn push(&mut self, at: Time, due: Due) {
        self.queue.insert((at, self.pushed), due);
        self.pushed += 1;
    }

    fn tell_transmitter(&mut self, input: Input<'_, OtherEnd, TransmitterCommand, JobResult>) {
        let mut out = Vec::new();
        self.transmitter.handle(self.now, &mut self.streams[0], input, &mut out);
        self.carry_out(End::Transmitter, out);
    }

    fn tell_receiver(&mut self, input: Input<'_, OtherEnd, ReceiverCommand, JobResult>) {
        let mut out = Vec::new();
        self.receiver.handle(self.now, &mut self.streams[1], input, &mut out);
        self.carry_out(End::Receiver, out);
    }

    fn tell<'a>(&mut self, end: End, input: impl FnOnce() -> Common<'a>) {
        macro_rules! widen {
            ($input:expr) => {
                match $input {
                    Common::Frame(bytes) => Input::Frame { from: OtherEnd, bytes },
                    Common::Persisted(number) => Input::Persisted(number),
                    Common::Computed(result) => Input::Computed(result),
                    Common::Timeout => Input::Timeout,
                }
            };
        }
        match end {
            End::Transmitter => self.tell_transmitter(widen!(input())),
            End::Receiver => self.tell_receiver(widen!(input())),
        }
    }

    fn carry_out(&mut self, end: End, out: Vec<Effect>) {
        let life = self.lives[end as usize];
        for effect in out {
            let later = self.now + Duration::from_microseconds(1 + self.channel.below(2000));
            match effect {
                Output::Event(event) => self.event(end, event),
                Output::Send { bytes, .. } => self.transmit(end, bytes),
                Output::Persist(number, record) => {
                    self.push(later, Due::Persisted { end, life, number, record });
                }
                Output::Compute(job) => {
                    let at = if job.makes_key() { later } else { self.now };
                    let result = job.run();
                    self.push(at, Due::Computed { end, life, result });
                }
            }
        }
    }

    fn event(&mut self, end: End, event: LinkEvent) {
        match event {
            LinkEvent::Recall { request, pulses } => {
                self.recalls.push(pulses.clone());
                let life = self.lives[0];
                let at = self.now + Duration::from_microseconds(10);
                self.push(at, Due::Recalled { life, request, pulses });
            }
            LinkEvent::Key { block, key, certificate } => {
                let key = key.expose().clone();
                let report = self.blocks[end as usize].last().expect("a report comes before its key");
                assert_eq!((report.block, report.key_bits), (block, key.len() as u64));
                assert_eq!(certificate.key_bits, report.key_bits + report.set_aside_bits);
                if let Some(other) = self.keys[end.other() as usize].get(&block) {
                    assert!(*other == key, "the ends hold different keys of {block}");
                }
                let before = self.keys[end as usize].insert(block, key);
                assert!(before.is_none(), "{block} was released twice at one end");
            }
            LinkEvent::Block(report) => self.blocks[end as usize].push(report),
            LinkEvent::Alarm(alarm) => self.alarms[end as usize].push(alarm),
            LinkEvent::Connected { .. } => self.sessions += u64::from(end == End::Transmitter),
            LinkEvent::Disconnected { .. } | LinkEvent::Skipped { .. } => {}
        }
    }

    fn transmit(&mut self, from: End, mut bytes: Vec<u8>) {
        self.frames += 1;
        self.bytes += bytes.len() as u64;
        self.check_pad(from, &bytes);
        if let Some(mut tamper) = self.tamper.take() {
            tamper(&mut self.channel, from, &mut bytes);
            self.tamper = Some(tamper);
        }
        if bytes.is_empty() || self.channel.chance(self.faults.loss) {
            return;
        }
        let copies = 1 + u32::from(self.channel.chance(self.faults.duplication));
        for _ in 0..copies {
            let held = self.channel.below(self.faults.hold.picoseconds() + 1);
            let at = self.now + self.delay + Duration::from_picoseconds(held);
            self.push(at, Due::Frame { to: from.other(), bytes: bytes.clone() });
        }
    }

    /// Reads the pad's number off a sealed frame, independently of the code under test.
    fn check_pad(&mut self, from: End, bytes: &[u8]) {
        if !matches!(bytes[1], 1 | 2 | 5) {
            return;
        }
        let at = bytes.len() - 24;
        let pad = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let mut content = bytes.to_vec();
        if bytes[1] == 5 {
            // The acknowledgement is not covered, and is renewed when the frame is sent again.
            content[10..18].fill(0);
        }
        let first = self.pads.entry((from, pad)).or_insert_with(|| content.clone());
        assert!(*first == content, "pad {pad} from the {from:?} was used for two frames");
    }

    /// The end loses all that is not durable and starts again.
    pub(crate) fn crash(&mut self, end: End) {
        self.lives[end as usize] += 1;
        let durable = self.durable[end as usize].duplicate();
        match end {
            End::Transmitter => self.transmitter = Transmitter::new(self.settings.clone(), durable).unwrap(),
            End::Receiver => self.receiver = Receiver::new(self.settings.clone(), durable).unwrap(),
        }
        self.connect(end);
    }

    /// Does the next thing that is due, if it is due before `until`.
    fn step(&mut self, until: Time) -> bool {
        let queued = self.queue.first_key_value().map(|(&(at, _), _)| at);
        let (transmitter, receiver) = (self.transmitter.deadline(), self.receiver.deadline());
        let Some(at) = [queued, transmitter, receiver].into_iter().flatten().min().filter(|&at| at <= until)
        else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(at);
        if queued == Some(at) {
            let Some((_, due)) = self.queue.pop_first() else { return false };
            self.happen(due);
        } else if transmitter == Some(at) {
            self.tell(End::Transmitter, || Common::Timeout);
            assert_ne!(self.transmitter.deadline(), Some(at), "a timeout that leads nowhere");
        } else {
            self.tell(End::Receiver, || Common::Timeout);
            assert_ne!(self.receiver.deadline(), Some(at), "a timeout that leads nowhere");
        }
        true
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Frame { to, bytes } => self.tell(to, || Common::Frame(&bytes)),
            Due::Persisted { end, life, number, record } if life == self.lives[end as usize] => {
                self.durable[end as usize] = record;
                self.tell(end, || Common::Persisted(number));
            }
            Due::Computed { end, life, result } if life == self.lives[end as usize] => {
                self.tell(end, || Common::Computed(result));
            }
            Due::Recalled { life, request, pulses } if life == self.lives[0] => {
                let preparations = self.light.recall(&pulses);
                self.tell_transmitter(Input::Command(TransmitterCommand::Recalled { request, preparations }));
            }
            Due::Window => {
                if self.window_pulses > 0 {
                    let detections = self.light.window(self.now, self.window_pulses);
                    self.tell_receiver(Input::Command(ReceiverCommand::Detected(detections)));
                }
                self.push(self.now + self.window_every, Due::Window);
            }
            _ => {}
        }
    }

    /// Hands a frame to an end, as an attacker could.
    pub(crate) fn inject(&mut self, to: End, bytes: &[u8]) {
        self.tell(to, || Common::Frame(bytes));
    }

    /// Runs for a time.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Runs until both ends have told `count` keys since the start, or `limit` is over; whether they have.
    pub(crate) fn run_to_keys(&mut self, count: usize, limit: Duration) -> bool {
        let until = self.now + limit;
        while self.shared_keys() < count {
            if !self.step(until) {
                return false;
            }
        }
        true
    }

    /// Blocks of which both ends hold the key.
    pub(crate) fn shared_keys(&self) -> usize {
        self.keys[0].keys().filter(|block| self.keys[1].contains_key(block)).count()
    }

    /// Reports of one end, by why they ended.
    pub(crate) fn discarded(&self, end: End, name: &str) -> usize {
        let blocks = self.blocks[end as usize].iter();
        blocks.filter(|report| report.discarded.as_ref().is_some_and(|reason| reason.name() == name)).count()
    }

    pub(crate) fn pads_left(&self) -> [u64; 2] {
        [self.transmitter.pads_left(), self.receiver.pads_left()]
    }

    /// How many pads were used in all.
    pub(crate) fn pads_used(&self) -> usize {
        self.pads.len()
    }
}

/// What either machine may be told.
enum Common<'a> {
    Frame(&'a [u8]),
    Persisted(u64),
    Computed(JobResult),
    Timeout,
}

//! Two detection records and a TCP connection: all it takes to distil keys.
//!
//! Two threads stand for two machines. Each has its own half of an experiment's record (what was sent, what was
//! detected), a socket to the other, and a secret that both were given beforehand. Nothing else passes between
//! them. Run it with `cargo run --release -p bellwether-protocol --example distill_over_tcp`.
//!
//! A real program would replace [`Experiment`] by its devices or files, keep each `Persist` record in a
//! file that survives a crash, and run each `Compute` job on a worker thread.

#![allow(clippy::disallowed_methods, reason = "a driver owns the clock and the threads")]

use bellwether_bits::SecretBits;
use bellwether_protocol::hardware::{Detections, Preparations};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::security::{Bound, SourceClass};
use bellwether_protocol::qkd::session::{
    Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, Receiver, ReceiverCommand, Transmitter,
    TransmitterCommand,
};
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream, Time};
use rand_core::{Rng, TryRng};
use std::convert::Infallible;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

/// Keys that each end waits for.
const KEYS: usize = 3;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let source = vec![SourceClass::new(0.5, 0.7), SourceClass::new(0.15, 0.3)];
    let mut settings = LinkSettings::new(LinkId(0), source, Bound::OneDecoyRusca);
    settings.block_bits = 500_000;
    // Both ends were given this when they were installed: two hash keys, and 256 pads for each direction.
    let secret = SecretBits::random(256 * 257, &mut SystemRandom::open()?);
    let alice = Transmitter::new(settings.clone(), Durable::provisioned(secret.duplicate())?)?;
    let bob = Receiver::new(settings, Durable::provisioned(secret)?)?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let alice = thread::spawn(move || transmit(alice, listener.accept()?.0));
    let bob = thread::spawn(move || receive(bob, TcpStream::connect(address)?));
    let alice = alice.join().map_err(|_| "the transmitter's thread panicked")??;
    let bob = bob.join().map_err(|_| "the receiver's thread panicked")??;

    let equal = alice.iter().zip(&bob).filter(|(a, b)| a == b).count();
    println!("{equal} of {KEYS} keys are the same at both ends");
    if equal == KEYS { Ok(()) } else { Err("the keys differ".into()) }
}

/// The machine with the transmitter: it looks up what it had sent whenever the receiver announces clicks.
fn transmit(machine: Transmitter, socket: TcpStream) -> io::Result<Vec<SecretBits>> {
    let experiment = Experiment;
    let mut driver = Driver::new("transmitter", machine, socket)?;
    driver.tell(Input::Command(TransmitterCommand::Connect))?;
    while driver.keys.len() < KEYS {
        driver.wait(Duration::from_milliseconds(100))?;
        for (request, pulses) in std::mem::take(&mut driver.recalls) {
            let preparations = experiment.sent(&pulses);
            driver.tell(Input::Command(TransmitterCommand::Recalled { request, preparations }))?;
        }
    }
    Ok(driver.keys)
}

/// The machine with the receiver: it goes through its record of clicks, window by window.
fn receive(machine: Receiver, socket: TcpStream) -> io::Result<Vec<SecretBits>> {
    let experiment = Experiment;
    let mut driver = Driver::new("receiver", machine, socket)?;
    driver.tell(Input::Command(ReceiverCommand::Connect))?;
    let mut window = 0;
    while driver.keys.len() < KEYS {
        driver.wait(Duration::from_milliseconds(2))?;
        if driver.connected && driver.machine.blocks_in_flight() < 4 {
            let detections = experiment.detected(window, driver.now());
            window += 1;
            driver.tell(Input::Command(ReceiverCommand::Detected(detections)))?;
        }
    }
    // The transmitter has its last key once the last confirmation has arrived.
    for _ in 0..20 {
        driver.wait(Duration::from_milliseconds(10))?;
    }
    Ok(driver.keys)
}

/// Carries out what a machine wants: this is all that a machine needs around it.
struct Driver<M> {
    name: &'static str,
    machine: M,
    random: SystemRandom,
    started: Instant,
    socket: TcpStream,
    frames: mpsc::Receiver<Vec<u8>>,
    connected: bool,
    recalls: Vec<(u64, Vec<u64>)>,
    keys: Vec<SecretBits>,
}

impl<M, C> Driver<M>
where
    M: Protocol<
            Peer = OtherEnd,
            Command = C,
            Event = LinkEvent,
            Record = Durable,
            Job = Job,
            JobResult = JobResult,
        >,
{
    fn new(name: &'static str, machine: M, socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let (sender, frames) = mpsc::channel();
        let incoming = socket.try_clone()?;
        thread::spawn(move || {
            while let Ok(frame) = read_frame(&incoming) {
                if sender.send(frame).is_err() {
                    return;
                }
            }
        });
        let (random, started) = (SystemRandom::open()?, Instant::now());
        Ok(Self {
            name,
            machine,
            random,
            started,
            socket,
            frames,
            connected: false,
            recalls: vec![],
            keys: vec![],
        })
    }

    fn now(&self) -> Time {
        Time::from_picoseconds(self.started.elapsed().as_nanos() as u64 * 1000)
    }

    /// Tells the machine something and carries out what it wants done.
    fn tell(&mut self, input: Input<'_, OtherEnd, C, JobResult>) -> io::Result<()> {
        let mut out = Vec::new();
        self.machine.handle(self.now(), &mut self.random, input, &mut out);
        for effect in out {
            match effect {
                Output::Send { bytes, .. } => write_frame(&self.socket, &bytes)?,
                // Here `record.encode()` would be written to a file, replacing the one before, and synced.
                Output::Persist(number, _) => self.tell(Input::Persisted(number))?,
                Output::Compute(job) => self.tell(Input::Computed(job.run()))?,
                Output::Event(event) => self.event(event),
            }
        }
        Ok(())
    }

    fn event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected { session } => {
                println!("{:<12} session {session} is open", self.name);
                self.connected = true;
            }
            LinkEvent::Disconnected { .. } => self.connected = false,
            LinkEvent::Recall { request, pulses } => self.recalls.push((request, pulses)),
            LinkEvent::Block(report) => println!(
                "{:<12} {}: {} sifted key bits, {} disclosed in {} rounds, {} bits of key{}",
                self.name,
                report.block,
                report.statistics.key.iter().map(|class| class.sifted).sum::<u64>(),
                report.leaked_bits,
                report.round_trips,
                report.key_bits,
                report.discarded.map(|reason| format!(" ({reason})")).unwrap_or_default(),
            ),
            LinkEvent::Key { key, certificate, .. } => {
                println!("{:<12} holds {key:?}, epsilon {:.1e}", self.name, certificate.epsilons.total());
                self.keys.push(key);
            }
            LinkEvent::Alarm(alarm) => println!("{:<12} ALARM {alarm}", self.name),
            LinkEvent::Skipped { clicks, reason } => {
                println!("{:<12} skipped {clicks} clicks: {reason:?}", self.name)
            }
        }
    }

    /// Waits for frames and timeouts, at most for `longest`.
    fn wait(&mut self, longest: Duration) -> io::Result<()> {
        let now = self.now();
        let due = self.machine.deadline().map_or(longest, |deadline| deadline.since(now).min(longest));
        match self.frames.recv_timeout(std::time::Duration::from_nanos(due.picoseconds().div_ceil(1000))) {
            Ok(frame) => {
                self.tell(Input::Frame { from: OtherEnd, bytes: &frame })?;
                while let Ok(frame) = self.frames.try_recv() {
                    self.tell(Input::Frame { from: OtherEnd, bytes: &frame })?;
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => thread::sleep(std::time::Duration::from_millis(1)),
        }
        if self.machine.deadline().is_some_and(|deadline| deadline <= self.now()) {
            self.tell(Input::Timeout)?;
        }
        Ok(())
    }
}

/// On a stream, a frame is its length in four bytes and then its bytes.
fn write_frame(mut socket: &TcpStream, frame: &[u8]) -> io::Result<()> {
    let mut bytes = (frame.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(frame);
    match socket.write_all(&bytes) {
        // A machine does not mind lost frames: the other end may just have got all the keys it wanted.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            Ok(())
        }
        written => written,
    }
}

fn read_frame(mut socket: &TcpStream) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    socket.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len) as usize;
    if len > 32 << 20 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; len];
    socket.read_exact(&mut frame)?;
    Ok(frame)
}

/// Where seeds and shuffles come from: the operating system's generator.
struct SystemRandom(File);

impl SystemRandom {
    fn open() -> io::Result<Self> {
        File::open("/dev/urandom").map(Self)
    }
}

impl TryRng for SystemRandom {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_u64() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.read_exact(bytes).expect("the system's generator never ends");
        Ok(())
    }
}

/// An experiment that was never made: pulses of two intensities in two bases, of which some are detected.
/// Both threads know how to compute it, and each asks only for its own side.
struct Experiment;

/// Pulses of one window.
const WINDOW: u64 = 2_000_000;

impl Experiment {
    /// What was sent in these pulses.
    fn sent(&self, pulses: &[u64]) -> Preparations {
        let mut sent = Preparations::default();
        for &pulse in pulses {
            let mut draw = Stream::new(1, EntityId(0), Purpose::named("sent").numbered(pulse));
            sent.bases.push(draw.chance(0.2));
            sent.bits.push(draw.chance(0.5));
            sent.intensities.push(u8::from(draw.chance(0.3)));
        }
        sent
    }

    /// What was detected in window `number`: a tenth of the photons, with 1 % of errors.
    fn detected(&self, number: u64, now: Time) -> Detections {
        let mut draw = Stream::new(1, EntityId(1), Purpose::named("detected").numbered(number));
        let first_pulse = number * WINDOW;
        let mut seen = Detections { first_pulse, pulse_count: WINDOW, ended: now, ..Detections::default() };
        // Pulses of which a photon of the brighter intensity would arrive, found by skipping the others.
        let most = 1.0 - libm::exp(-0.1 * 0.5);
        let mut pulse = first_pulse;
        loop {
            pulse += (libm::log(1.0 - draw.uniform()) / libm::log1p(-most)) as u64;
            if pulse >= first_pulse + WINDOW {
                return seen;
            }
            let sent = self.sent(&[pulse]);
            let kept = if sent.intensities[0] == 0 { 1.0 } else { (1.0 - libm::exp(-0.1 * 0.15)) / most };
            if draw.chance(kept) {
                let basis = draw.chance(0.2);
                let same = basis == sent.bases.get(0);
                let wrong = draw.chance(if same { 0.01 } else { 0.5 });
                seen.pulses.push(pulse);
                seen.bases.push(basis);
                seen.outcomes.push(sent.bits.get(0) ^ wrong);
            }
            pulse += 1;
        }
    }
}

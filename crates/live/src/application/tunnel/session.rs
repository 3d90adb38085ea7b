//! One end of one connection through a tunnel, as a state machine without I/O.
//!
//! | record | data | meaning |
//! |---|---|---|
//! | 0 data | up to 16 KiB | a piece of the connection |
//! | 1 ready | | I hold the key: the first record of each end |
//! | 2 finish | | nothing more comes from me |
//! | 3 taken | count 4 | so many bytes were passed on: as many more may come |
//! | 4 new key | key ID 16 | initiator: collect this key |
//! | 5 have key | key ID 16 | responder: I hold it |
//! | 6 lost key | key ID 16 | responder: I cannot get it, take another |
//! | 7 switch | | my last record under this key |
//!
//! At most [`WINDOW`] bytes are on their way in one direction, so that records about keys pass even while a program
//! does not read. Once an input gave an error, every further one does.

mod rotation;

use super::frame::{DATA_LIMIT, Decoder, Frame, FrameError, Hello, Welcome};
use super::limits::{Limits, LimitsError};
use super::schedule::{Chain, Direction};
use bellwether_protocol::keys::KeyId;
use bellwether_units::{Duration, Time};
use zeroize::Zeroizing;

/// How many bytes may be on their way in one direction.
pub const WINDOW: usize = 1 << 20;
/// From so many bytes that were passed on, the other end is told.
const TOLD: usize = WINDOW / 4;
/// How long both ends may take to prove that they hold the key.
const HANDSHAKE: Duration = Duration::from_whole_seconds(30);
/// The pause before another key is fetched after one could not be had.
const PAUSE: Duration = Duration::from_whole_seconds(1);

const DATA: u8 = 0;
const READY: u8 = 1;
const FINISH: u8 = 2;
const TAKEN: u8 = 3;
const NEW_KEY: u8 = 4;
const HAVE_KEY: u8 = 5;
const LOST_KEY: u8 = 6;
const SWITCH: u8 = 7;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Fetches fresh keys: the master of ETSI GS QKD 014.
    Initiator,
    /// Collects them by their names: the slave.
    Responder,
}

/// What an end is told.
pub enum Input<'a> {
    /// These bytes came from the other end.
    Arrived(&'a [u8]),
    /// The other end's bytes have ended.
    Ended,
    /// The key that was wanted.
    Key(KeyId, &'a [u8]),
    /// The key that was wanted is not to be had.
    NoKey,
    /// The local program sent this, at most [`Session::room`].
    Write(&'a [u8]),
    /// The local program sends no more.
    Finish,
    /// The local program has taken so many bytes.
    Taken(usize),
    /// The deadline has come.
    Timeout,
}

/// What it wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes to the other end.
    Send(Vec<u8>),
    /// Fetch a fresh key.
    WantFresh,
    /// Collect this key.
    WantNamed(KeyId),
    /// Both ends have proven that they hold this key: the local program may be connected.
    Ready(KeyId),
    /// Both directions are under this fresh key from now on.
    Rotated(KeyId),
    /// For the local program.
    Deliver(Vec<u8>),
    /// Nothing more comes for the local program.
    Finished,
}

/// Why a connection is broken off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// What arrived is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other end's limits.
    #[error("the other end's limits cannot be: {0}")]
    Limits(#[from] LimitsError),
    /// What arrived does not belong here.
    #[error("the other end breaks the rules of the tunnel: {0}")]
    Rules(&'static str),
    /// A record was changed, repeated, left out, or sealed with another key.
    #[error(
        "what arrived was not sealed by the other end with the agreed key (check both ends' --as and --peer)"
    )]
    Forged,
    /// No key for the beginning.
    #[error("no key is to be had")]
    NoKey,
    /// The handshake took too long.
    #[error("the other end did not prove in time that it holds the key")]
    Silent,
    /// The key's time is over.
    #[error("the key's time is over and there is no fresh one")]
    Expired,
    /// It ended before its end was announced.
    #[error("the connection between the ends of the tunnel broke off")]
    Truncated,
    /// More was written than there was room for.
    #[error("more was written than there was room for")]
    Room,
}

enum Phase {
    /// Responder: for the hello.
    Hello,
    /// Responder: for the key that the hello names.
    HelloKey(Hello),
    /// Initiator: for the welcome.
    Welcome(Hello, Zeroizing<Vec<u8>>),
    /// For the other end's proof.
    Proof(KeyId),
    Open,
    Failed(SessionError),
}

enum Rotation {
    Idle,
    /// Initiator: not before this time again.
    Paused(Time),
    /// A key was asked for; the responder's has a name.
    Wanted(Option<KeyId>),
    /// Initiator: the other end knows its name. Responder: the other end knows that it is held.
    Offered(KeyId, Chain),
    /// Initiator: what it sends is under the new key.
    Switched(KeyId, Chain),
}

struct Line {
    chain: Chain,
    send: Direction,
    receive: Direction,
}

/// One end of one connection.
pub struct Session {
    role: Role,
    /// Names of initiator and responder.
    names: [String; 2],
    limits: Limits,
    random: [u8; 32],
    decoder: Decoder,
    phase: Phase,
    line: Option<Line>,
    rotation: Rotation,
    /// When the handshake began, or the key came into use.
    begun: Time,
    /// Bytes of the connection under the present key.
    sent: u64,
    received: u64,
    /// How many more bytes may be sent, and may come, before any were taken.
    window: usize,
    granted: usize,
    /// Taken, and the other end was not told yet.
    untold: usize,
    finished: bool,
    peer_finished: bool,
}

impl Session {
    /// The initiator's end, with the first key that its key manager gave it to share with the responder.
    /// `names` are those of initiator and responder; `random` is fresh.
    pub fn initiator(
        names: [String; 2],
        limits: Limits,
        random: [u8; 32],
        (id, key): (KeyId, &[u8]),
        now: Time,
        out: &mut Vec<Output>,
    ) -> Self {
        let hello = Hello { random, key: id, life: limits.life, volume: limits.volume };
        out.push(Output::Send(hello.encode()));
        let phase = Phase::Welcome(hello, Zeroizing::new(key.to_vec()));
        Self::new(Role::Initiator, names, limits, random, phase, now)
    }

    /// The responder's end.
    pub fn responder(names: [String; 2], limits: Limits, random: [u8; 32], now: Time) -> Self {
        Self::new(Role::Responder, names, limits, random, Phase::Hello, now)
    }

    fn new(
        role: Role,
        names: [String; 2],
        limits: Limits,
        random: [u8; 32],
        phase: Phase,
        begun: Time,
    ) -> Self {
        Self {
            role,
            names,
            limits,
            random,
            decoder: Decoder::new(),
            phase,
            line: None,
            rotation: Rotation::Idle,
            begun,
            sent: 0,
            received: 0,
            window: WINDOW,
            granted: WINDOW,
            untold: 0,
            finished: false,
            peer_finished: false,
        }
    }

    /// How many bytes may be written now.
    pub fn room(&self) -> usize {
        if !matches!(self.phase, Phase::Open) || self.finished {
            return 0;
        }
        usize::try_from(self.limits.volume - self.sent).unwrap_or(usize::MAX).min(self.window)
    }

    /// A secret that both ends have and nobody else, beside those that records are sealed with; `None` before both have
    /// proven that they hold the first key. It changes with the key.
    pub fn export(&self, label: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let line = self.line.as_ref().filter(|_| matches!(self.phase, Phase::Open))?;
        Some(line.chain.export(label))
    }

    /// Whether both ends have said that nothing more comes.
    pub fn is_finished(&self) -> bool {
        self.finished && self.peer_finished
    }

    /// When [`Input::Timeout`] is wanted.
    pub fn deadline(&self) -> Option<Time> {
        let end = match self.phase {
            Phase::Failed(_) => return None,
            Phase::Open => self.begun.saturating_add(self.limits.life()),
            _ => self.begun.saturating_add(HANDSHAKE),
        };
        match (&self.rotation, self.role, &self.phase) {
            (Rotation::Idle, Role::Initiator, Phase::Open) => Some(self.half_life().min(end)),
            (Rotation::Paused(until), ..) => Some((*until).min(end)),
            _ => Some(end),
        }
    }

    fn half_life(&self) -> Time {
        self.begun.saturating_add(Duration::from_picoseconds(self.limits.life().picoseconds() / 2))
    }

    /// Takes one input and appends what it wants, to be done in order.
    ///
    /// # Errors
    /// Then the connection is to be broken off at once, and what was delivered is not the whole.
    pub fn handle(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) -> Result<(), SessionError> {
        if let Phase::Failed(error) = &self.phase {
            return Err(error.clone());
        }
        self.step(now, input, out).inspect_err(|error| {
            self.phase = Phase::Failed(error.clone());
            // Keys are wiped now and not when somebody gets round to dropping this.
            self.line = None;
            self.rotation = Rotation::Idle;
        })
    }

    fn step(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) -> Result<(), SessionError> {
        self.in_time(now)?;
        match input {
            Input::Arrived(bytes) => {
                self.decoder.push(bytes);
                while let Some(frame) = self.decoder.next_frame()? {
                    self.frame(now, frame, out)?;
                }
            }
            Input::Ended if self.peer_finished => {}
            Input::Ended => return Err(SessionError::Truncated),
            Input::Key(id, key) => self.key(id, key, out)?,
            Input::NoKey => self.no_key(now, out)?,
            Input::Write(bytes) => self.write(bytes, out)?,
            Input::Finish if self.finished => {}
            Input::Finish => {
                self.seal(FINISH, &[], out)?;
                self.finished = true;
            }
            Input::Taken(count) => self.taken(count, out)?,
            Input::Timeout => {}
        }
        self.rotate_when_due(now, out);
        Ok(())
    }

    /// A key whose time is over opens and seals nothing more, whatever comes.
    fn in_time(&self, now: Time) -> Result<(), SessionError> {
        match self.phase {
            Phase::Open if now >= self.begun.saturating_add(self.limits.life()) => Err(SessionError::Expired),
            Phase::Open => Ok(()),
            _ if now >= self.begun.saturating_add(HANDSHAKE) => Err(SessionError::Silent),
            _ => Ok(()),
        }
    }

    fn frame(&mut self, now: Time, frame: Frame, out: &mut Vec<Output>) -> Result<(), SessionError> {
        match (frame, std::mem::replace(&mut self.phase, Phase::Open)) {
            (Frame::Hello(hello), Phase::Hello) => {
                self.limits = self.limits.with(hello.life, hello.volume)?;
                out.push(Output::WantNamed(hello.key));
                self.phase = Phase::HelloKey(hello);
            }
            (Frame::Welcome(welcome), Phase::Welcome(hello, key)) => {
                self.limits = self.limits.with(welcome.life, welcome.volume)?;
                self.begin(&hello, &welcome, &key, out)?;
            }
            (Frame::Record(mut body), phase @ (Phase::Proof(_) | Phase::Open)) => {
                self.phase = phase;
                let line = self.line.as_mut().ok_or(SessionError::Forged)?;
                let (kind, data) = line.receive.open(&mut body).ok_or(SessionError::Forged)?;
                self.record(now, kind, data, out)?;
            }
            _ => return Err(SessionError::Rules("a frame out of its turn")),
        }
        Ok(())
    }

    /// Makes the first keys, and proves that this end holds them.
    fn begin(
        &mut self,
        hello: &Hello,
        welcome: &Welcome,
        key: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let names = [self.names[0].as_str(), self.names[1].as_str()];
        let chain = Chain::first(names, &hello.encode(), &welcome.encode(), key);
        let (send, receive) = directions(&chain, self.role);
        self.line = Some(Line { chain, send, receive });
        self.phase = Phase::Proof(hello.key);
        self.seal(READY, &[], out)
    }

    fn record(
        &mut self,
        now: Time,
        kind: u8,
        data: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        if let Phase::Proof(id) = self.phase {
            if (kind, data) != (READY, &[]) {
                return Err(SessionError::Rules("a record before the proof"));
            }
            (self.phase, self.begun) = (Phase::Open, now);
            out.push(Output::Ready(id));
            return Ok(());
        }
        match (kind, self.role) {
            (DATA, _) => self.data(data, out),
            (FINISH, _) if data.is_empty() && !self.peer_finished => {
                self.peer_finished = true;
                out.push(Output::Finished);
                Ok(())
            }
            (TAKEN, _) => {
                let count = data.try_into().map_or(0, u32::from_be_bytes) as usize;
                self.window += count;
                let honest = count > 0 && self.window <= WINDOW;
                if honest { Ok(()) } else { Err(SessionError::Rules("it took what was not sent")) }
            }
            (NEW_KEY, Role::Responder) => self.new_key(data, out),
            (HAVE_KEY, Role::Initiator) => self.have_key(data, out),
            (LOST_KEY, Role::Initiator) => self.lost_key(now, data),
            (SWITCH, _) if data.is_empty() => self.switch(now, out),
            _ => Err(SessionError::Rules("a record that cannot come from it now")),
        }
    }

    fn data(&mut self, data: &[u8], out: &mut Vec<Output>) -> Result<(), SessionError> {
        self.received += data.len() as u64;
        if data.is_empty() || self.peer_finished || self.received > self.limits.volume {
            return Err(SessionError::Rules("data beyond its end or the key's volume"));
        }
        let left = self.granted.checked_sub(data.len());
        self.granted = left.ok_or(SessionError::Rules("more data than was granted"))?;
        out.push(Output::Deliver(data.to_vec()));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], out: &mut Vec<Output>) -> Result<(), SessionError> {
        if bytes.len() > self.room() {
            return Err(SessionError::Room);
        }
        self.window -= bytes.len();
        self.sent += bytes.len() as u64;
        bytes.chunks(DATA_LIMIT).try_for_each(|piece| self.seal(DATA, piece, out))
    }

    fn taken(&mut self, count: usize, out: &mut Vec<Output>) -> Result<(), SessionError> {
        self.untold += count;
        if self.untold < TOLD || self.peer_finished {
            return Ok(());
        }
        let told = std::mem::take(&mut self.untold);
        self.granted += told;
        self.seal(TAKEN, &(told as u32).to_be_bytes(), out)
    }

    fn seal(&mut self, kind: u8, data: &[u8], out: &mut Vec<Output>) -> Result<(), SessionError> {
        let line = self.line.as_mut().ok_or(SessionError::Rules("there is no key yet"))?;
        let mut record = Vec::with_capacity(data.len() + 20);
        line.send.seal(kind, data, &mut record);
        out.push(Output::Send(record));
        Ok(())
    }
}

/// What this end sends under, and what it receives.
fn directions(chain: &Chain, role: Role) -> (Direction, Direction) {
    let (initiator, responder) = (chain.direction(Role::Initiator), chain.direction(Role::Responder));
    match role {
        Role::Initiator => (initiator, responder),
        Role::Responder => (responder, initiator),
    }
}

fn key_id(data: &[u8]) -> Option<KeyId> {
    Some(KeyId(u128::from_be_bytes(data.try_into().ok()?)))
}

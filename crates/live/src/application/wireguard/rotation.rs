//! One end's pre-shared key as a state machine without I/O.
//!
//! A *channel* is a connection on which both ends have proven that they hold the same key of the key managers; a
//! pre-shared key comes with it. So both are prepared when it opens. Then:
//!
//! ```text
//! initiator                              responder
//!    commit            ----->
//!                                        sets the pre-shared key
//!                      <-----            committed
//!    sets the pre-shared key
//!    ping, now and then ----->
//!                      <-----            pong
//! ```
//!
//! The initiator sets a key only after the responder has said that it did. If that word is lost, the two differ, and the
//! initiator begins anew with another key at once, then after pauses. The channel is held until another takes its place: an
//! end that was started anew, and has forgotten what was set, is noticed by its loss. If none can be opened when a rotation
//! is due, because there are no fresh keys, the channel stays and so does the key; it is tried again after pauses.
//!
//! **Fails closed.** A key is replaced by a random one, which nobody knows, when it becomes too old, when an end is started
//! (nobody knows how old what it finds is) and when it is stopped.

use super::super::tunnel::Role;
use bellwether_protocol::keys::KeyId;
use bellwether_units::{Duration, Time};
use zeroize::Zeroizing;

/// How long a commit may take.
const COMMIT: Duration = Duration::from_whole_seconds(10);
/// The initiator says that it is there so often.
const PING: Duration = Duration::from_whole_seconds(10);
/// A channel on which nothing was heard for so long is lost.
const SILENCE: Duration = Duration::from_whole_seconds(35);
/// The first pause before the initiator begins anew, and the longest. It doubles while rotations do not last.
const PAUSE: [Duration; 2] = [Duration::from_whole_seconds(1), Duration::from_whole_seconds(30)];
/// A pre-shared key that could not be set is tried again after this.
const AGAIN: Duration = Duration::from_whole_seconds(1);
/// The shortest interval of rotations, and the longest age of a key.
const RANGE: [Duration; 2] = [Duration::from_whole_seconds(1), Duration::from_whole_seconds(12 * 3600)];

/// A pre-shared key of WireGuard: 256 bits, wiped when dropped and never shown.
#[derive(Clone)]
pub struct Psk(pub Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Psk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Psk")
    }
}

/// How often keys change, and how old one may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    interval: Duration,
    max_age: Duration,
}

/// Why settings are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pre-shared key changes every 1 s to 12 h, and its greatest age is above that interval and at most 12 h: not \
     {interval} and {max_age}"
)]
pub struct SettingsError {
    interval: Duration,
    max_age: Duration,
}

impl Settings {
    /// The initiator begins a rotation every `interval`; a key older than `max_age` is replaced by a random one.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn new(interval: Duration, max_age: Duration) -> Result<Self, SettingsError> {
        let [least, most] = RANGE;
        if interval < least || max_age <= interval || max_age > most {
            return Err(SettingsError { interval, max_age });
        }
        Ok(Self { interval, max_age })
    }
}

/// What the ends say to each other on a channel: one byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Message {
    /// Initiator: set it.
    Commit = 1,
    /// Responder: it is set.
    Committed = 2,
    /// Initiator: are you there?
    Ping = 3,
    /// Responder: I am.
    Pong = 4,
}

impl Message {
    /// The message of a byte, if it is one.
    pub fn of(byte: u8) -> Option<Self> {
        [Self::Commit, Self::Committed, Self::Ping, Self::Pong].into_iter().find(|one| *one as u8 == byte)
    }
}

/// What an end is told.
#[derive(Debug)]
pub enum Input {
    /// A channel is open, in the place of the one before: both ends hold this.
    Open(KeyId, Psk),
    /// The other end says this on the open channel; `None`: something that no end says.
    Heard(Option<Message>),
    /// The channel that was open is lost.
    Closed,
    /// The channel that was wanted could not be opened. The one before, if there is one, is as it was.
    Refused,
    /// Whether the key that was to be set is set.
    Set(bool),
    /// Whether a random key is set.
    Locked(bool),
    /// The interface had a handshake with its peer at this time or later.
    Handshake(Time),
    /// The deadline has come.
    Timeout,
    /// The end is to stop.
    Stop,
}

/// What it wants, to be done in order.
#[derive(Debug)]
pub enum Output {
    /// Open a channel with a fresh key, which takes the place of the one before.
    Connect,
    /// Say this on the channel.
    Say(Message),
    /// Close the channel.
    Close,
    /// Set this pre-shared key, and tell whether that was done.
    Set(Psk),
    /// Set a random one, and tell.
    Lock,
    /// Tell whoever watches.
    Event(Event),
}

/// What whoever watches is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The pre-shared key that came with this key of the key managers is set at this end.
    Installed(KeyId),
    /// WireGuard has made a handshake since.
    Confirmed(KeyId),
    /// A random key is set: the peer cannot be reached beyond the session that WireGuard has.
    Locked(Cause),
    /// A pre-shared key could not be set.
    Failed,
    /// The channel is lost.
    Apart,
    /// No fresh key could be agreed on; the one before stays, up to its greatest age.
    Kept,
}

/// Why a random key is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The end was started.
    Start,
    /// The key was too old, and there was no fresh one.
    Age,
    /// A key could not be set, and nobody knows what is.
    Failure,
    /// The end stops.
    Stop,
}

#[derive(Debug)]
enum Phase {
    /// There is no channel; the initiator opens one at this time.
    Apart(Time),
    /// Initiator: a channel is being opened, while that before is `held` or there is none.
    Connecting { held: bool },
    /// Initiator: for the word that it is set. Responder: for the word to set it.
    Prepared(KeyId, Psk),
    /// While it is being set.
    Setting(KeyId),
    /// Set at both ends, as far as this one knows.
    Together,
}

/// A key that is set at this end.
#[derive(Clone, Copy, Debug)]
struct Installed {
    id: KeyId,
    /// When both ends held it.
    agreed: Time,
    /// When it was set here.
    set: Time,
    confirmed: bool,
}

/// One end.
#[derive(Debug)]
pub struct Rotation {
    role: Role,
    settings: Settings,
    phase: Phase,
    /// When the channel opened, and when it was last heard of.
    opened: Time,
    heard: Time,
    pinged: Time,
    /// When a rotation that was due is tried again.
    again: Option<Time>,
    pause: Duration,
    installed: Option<Installed>,
    /// When a random key is to be set, and why.
    lock: Option<(Time, Cause)>,
}

impl Rotation {
    /// An end that was started now. The first thing it wants is a random key.
    pub fn new(role: Role, settings: Settings, now: Time) -> Self {
        Self {
            role,
            settings,
            phase: Phase::Apart(now),
            opened: now,
            heard: now,
            pinged: now,
            again: None,
            pause: PAUSE[0],
            installed: None,
            lock: Some((now, Cause::Start)),
        }
    }

    /// When [`Input::Timeout`] is wanted.
    pub fn deadline(&self) -> Option<Time> {
        let phase = match &self.phase {
            Phase::Apart(at) => (self.role == Role::Initiator).then_some(*at),
            Phase::Connecting { held: false } | Phase::Setting(_) => None,
            Phase::Connecting { held: true } => Some(self.pinged.saturating_add(PING).min(self.silent())),
            Phase::Prepared(..) => Some(self.opened.saturating_add(COMMIT)),
            Phase::Together => Some(match self.role {
                Role::Initiator => {
                    self.next_rotation().min(self.pinged.saturating_add(PING)).min(self.silent())
                }
                Role::Responder => self.silent(),
            }),
        };
        [phase, self.too_old(), self.lock.map(|(at, _)| at)].into_iter().flatten().min()
    }

    /// Whether it waits for a handshake that shows that the key is in use.
    pub fn wants_handshake(&self) -> bool {
        self.installed.is_some_and(|installed| !installed.confirmed)
    }

    /// Takes one input and appends what it wants.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Open(id, psk) => {
                (self.opened, self.heard, self.pinged, self.again) = (now, now, now, None);
                self.phase = Phase::Prepared(id, psk);
                if self.role == Role::Initiator {
                    out.push(Output::Say(Message::Commit));
                }
            }
            Input::Heard(message) => self.hear(now, message, out),
            Input::Closed => match self.phase {
                // What comes of the new channel is waited for.
                Phase::Connecting { .. } => self.phase = Phase::Connecting { held: false },
                _ => self.apart(now, out),
            },
            Input::Refused => match self.phase {
                Phase::Connecting { held: true } => {
                    self.phase = Phase::Together;
                    self.again = Some(now.saturating_add(self.next_pause()));
                    out.push(Output::Event(Event::Kept));
                }
                Phase::Connecting { held: false } => self.apart(now, out),
                _ => {}
            },
            Input::Set(done) => self.set(now, done, out),
            Input::Locked(done) => self.locked(now, done, out),
            Input::Handshake(at) => {
                if let Some(installed) = &mut self.installed
                    && !installed.confirmed
                    && at >= installed.set
                {
                    installed.confirmed = true;
                    out.push(Output::Event(Event::Confirmed(installed.id)));
                }
            }
            Input::Timeout => {}
            Input::Stop => {
                self.phase = Phase::Apart(Time::MAX);
                self.installed = None;
                self.lock = Some((now, Cause::Stop));
                out.push(Output::Close);
            }
        }
        self.when_due(now, out);
    }

    fn hear(&mut self, now: Time, message: Option<Message>, out: &mut Vec<Output>) {
        self.heard = now;
        match (message, self.role, &self.phase) {
            (Some(Message::Commit), Role::Responder, Phase::Prepared(..))
            | (Some(Message::Committed), Role::Initiator, Phase::Prepared(..)) => {
                if let Phase::Prepared(id, psk) = std::mem::replace(&mut self.phase, Phase::Together) {
                    self.phase = Phase::Setting(id);
                    out.push(Output::Set(psk));
                }
            }
            (Some(Message::Ping), Role::Responder, Phase::Together) => out.push(Output::Say(Message::Pong)),
            (Some(Message::Pong), Role::Initiator, Phase::Together) => {}
            (_, _, Phase::Apart(_) | Phase::Connecting { .. }) => {}
            _ => {
                out.push(Output::Close);
                self.apart(now, out);
            }
        }
    }

    fn set(&mut self, now: Time, done: bool, out: &mut Vec<Output>) {
        let Phase::Setting(id) = self.phase else { return };
        if !done {
            // Nobody knows what is set now. If there was a key before, its age still bounds it.
            if self.installed.is_none() && self.lock.is_none() {
                self.lock = Some((now, Cause::Failure));
            }
            out.extend([Output::Event(Event::Failed), Output::Close]);
            return self.apart(now, out);
        }
        self.phase = Phase::Together;
        self.installed = Some(Installed { id, agreed: self.opened, set: now, confirmed: false });
        // What is set is fresh: there is nothing to lock any more.
        self.lock = None;
        out.push(Output::Event(Event::Installed(id)));
        if self.role == Role::Responder {
            out.push(Output::Say(Message::Committed));
        }
    }

    fn locked(&mut self, now: Time, done: bool, out: &mut Vec<Output>) {
        let Some((_, cause)) = self.lock else { return };
        if done {
            self.lock = None;
            self.installed = None;
            out.push(Output::Event(Event::Locked(cause)));
        } else {
            self.lock = Some((now.saturating_add(AGAIN), cause));
            out.push(Output::Event(Event::Failed));
        }
    }

    /// There is no channel any more.
    fn apart(&mut self, now: Time, out: &mut Vec<Output>) {
        if matches!(self.phase, Phase::Apart(_)) {
            return;
        }
        if matches!(self.phase, Phase::Together) && now >= self.opened.saturating_add(PAUSE[1]) {
            self.pause = PAUSE[0];
            self.phase = Phase::Apart(now);
        } else {
            self.phase = Phase::Apart(now.saturating_add(self.next_pause()));
        }
        out.push(Output::Event(Event::Apart));
    }

    /// The pause that is due; the one after it is twice as long.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = Duration::from_picoseconds(pause.picoseconds() * 2).min(PAUSE[1]);
        pause
    }

    fn when_due(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.too_old().is_some_and(|end| now >= end) {
            self.installed = None;
            self.lock = Some((now, Cause::Age));
        }
        // What is being set would be taken for what is there.
        if let Some((at, cause)) = self.lock
            && now >= at
            && !matches!(self.phase, Phase::Setting(_))
        {
            // Not wanted again before it is told whether it was done.
            self.lock = Some((Time::MAX, cause));
            out.push(Output::Lock);
        }
        match (&self.phase, self.role) {
            (Phase::Apart(at), Role::Initiator) if now >= *at && *at < Time::MAX => self.connect(false, out),
            (Phase::Together, Role::Initiator) if now >= self.next_rotation() => {
                if self.again.is_none() {
                    self.pause = PAUSE[0];
                }
                self.connect(true, out);
            }
            (Phase::Together, _) if now >= self.silent() => {
                out.push(Output::Close);
                self.apart(now, out);
            }
            (Phase::Connecting { held: true }, _) if now >= self.silent() => {
                out.push(Output::Close);
                self.phase = Phase::Connecting { held: false };
            }
            (Phase::Together | Phase::Connecting { held: true }, Role::Initiator)
                if now >= self.pinged.saturating_add(PING) =>
            {
                self.pinged = now;
                out.push(Output::Say(Message::Ping));
            }
            (Phase::Prepared(..), _) if now >= self.opened.saturating_add(COMMIT) => {
                out.push(Output::Close);
                self.apart(now, out);
            }
            _ => {}
        }
    }

    fn connect(&mut self, held: bool, out: &mut Vec<Output>) {
        self.phase = Phase::Connecting { held };
        out.push(Output::Connect);
    }

    fn next_rotation(&self) -> Time {
        self.again.unwrap_or(self.opened.saturating_add(self.settings.interval))
    }

    fn silent(&self) -> Time {
        self.heard.saturating_add(SILENCE)
    }

    fn too_old(&self) -> Option<Time> {
        self.installed.map(|installed| installed.agreed.saturating_add(self.settings.max_age))
    }
}

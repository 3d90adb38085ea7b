//! One end over sockets: channels, the key manager and `wg`.

use super::interface::{Interface, InterfaceError};
use super::rotation::{Event, Input, Message, Output, Psk, Rotation, Settings};
use crate::application::tunnel::Role;
use crate::application::tunnel::run::{Site, TunnelError, answer, open};
use crate::node::link::Clock;
use crate::process::stop::Stop;
use bellwether_protocol::keys::KeyId;
use bellwether_units::Time;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until};

/// What the pre-shared key is derived under.
const LABEL: &[u8] = b"wireguard preshared-key";
/// How often a handshake is looked for while one is waited for.
const LOOK: Duration = Duration::from_secs(5);
/// Channels of which it is not known yet who opens them.
const CALLERS: usize = 16;
/// How often it is tried to set a random key at the end, once a second.
const LAST_TRIES: u32 = 3;

/// Why an end does not run.
#[derive(Debug, thiserror::Error)]
pub enum WireGuardError {
    /// The interface.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The responder's socket.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The end was asked to stop and could not set a random key.
    #[error("a pre-shared key is still set, for `wg` could not replace it: {0}")]
    Left(InterfaceError),
}

/// One end.
pub struct End {
    /// Who it is and where its keys come from; its purpose is `WireGuard`.
    pub site: Site,
    /// Where the responder listens.
    pub channel: String,
    /// What is set.
    pub interface: Interface,
    /// How often.
    pub settings: Settings,
    /// Who is told what happens.
    pub tell: Box<dyn Fn(Event) + Send + Sync>,
}

/// What the task of a channel tells.
enum Told {
    Open { channel: u64, id: KeyId, psk: Psk, say: mpsc::Sender<u8> },
    Heard { channel: u64, byte: u8 },
    Closed { channel: u64 },
}

/// Runs an end until `stop` is asked for; then a random key is set.
///
/// # Errors
/// If the interface is not there or the socket cannot be had, and if the last random key could not be set.
pub async fn keep_until_stopped(end: End, stop: &mut Stop) -> Result<(), WireGuardError> {
    keep(end, async {
        let cause = stop.asked().await;
        tracing::info!(?cause, "stopping");
    })
    .await
}

/// Runs an end until `stop` is over; then a random key is set.
///
/// # Errors
/// As [`keep_until_stopped`].
pub async fn keep(end: End, stop: impl Future<Output = ()>) -> Result<(), WireGuardError> {
    let listener = match end.site.role {
        Role::Initiator => None,
        Role::Responder => {
            let listener = TcpListener::bind(&end.channel).await;
            let listen = |source| WireGuardError::Listen { address: end.channel.clone(), source };
            Some(listener.map_err(listen)?)
        }
    };
    end.interface.check().await?;
    let clock = Clock::start();
    let (tell, told) = mpsc::channel(16);
    let mut driver = Driver {
        rotation: Rotation::new(end.site.role, end.settings, clock.now()),
        site: Arc::new(end.site),
        onward: end.channel.into(),
        interface: end.interface,
        watcher: end.tell,
        clock,
        tell,
        channels: JoinSet::new(),
        serial: 0,
        dialling: None,
        current: None,
        locked: Ok(()),
    };
    driver.run(told, listener, stop).await
}

struct Driver {
    rotation: Rotation,
    site: Arc<Site>,
    onward: Arc<str>,
    interface: Interface,
    watcher: Box<dyn Fn(Event) + Send + Sync>,
    clock: Clock,
    tell: mpsc::Sender<Told>,
    channels: JoinSet<()>,
    serial: u64,
    /// The channel that is being opened by this end.
    dialling: Option<u64>,
    /// The channel that is open. To drop what it is told closes it.
    current: Option<(u64, mpsc::Sender<u8>)>,
    /// How the last random key could be set.
    locked: Result<(), InterfaceError>,
}

impl Driver {
    async fn run(
        &mut self,
        mut told: mpsc::Receiver<Told>,
        listener: Option<TcpListener>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), WireGuardError> {
        let callers = Arc::new(Semaphore::new(CALLERS));
        let mut look = interval(LOOK);
        tokio::pin!(stop);
        self.handle(Input::Timeout).await;
        loop {
            let deadline = self.rotation.deadline();
            let far = || Instant::now() + Duration::from_secs(3600);
            let wake = deadline.map_or_else(far, |time| self.clock.instant(time).min(far()));
            tokio::select! {
                Some(told) = told.recv() => self.told(told).await,
                (stream, permit) = accept(listener.as_ref(), &callers) => self.spawn(Some((stream, permit))),
                Some(_) = self.channels.join_next() => {}
                () = sleep_until(wake) => self.handle(Input::Timeout).await,
                _ = look.tick(), if self.rotation.wants_handshake() => self.look().await,
                () = &mut stop => break,
            }
        }
        self.handle(Input::Stop).await;
        for _ in 0..LAST_TRIES {
            if self.locked.is_ok() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
            self.handle(Input::Timeout).await;
        }
        std::mem::replace(&mut self.locked, Ok(())).map_err(WireGuardError::Left)
    }

    /// Tells the machine, and does what it wants, until it wants nothing more.
    async fn handle(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            self.rotation.handle(self.clock.now(), input, &mut out);
            for output in out {
                match output {
                    Output::Connect => {
                        // The channel before is held until this one is open.
                        self.dialling = Some(self.serial);
                        self.spawn(None);
                    }
                    Output::Say(message) => {
                        if let Some((_, say)) = &self.current {
                            // A channel that takes nothing more is told to be closed, soon.
                            let _ = say.try_send(message as u8);
                        }
                    }
                    Output::Close => self.current = None,
                    Output::Set(psk) => {
                        let done = self.interface.set(&psk).await;
                        inputs.push_back(Input::Set(self.done(done)));
                    }
                    Output::Lock => {
                        self.locked = self.interface.lock().await;
                        if let Err(error) = &self.locked {
                            tracing::error!("a random pre-shared key could not be set: {error}");
                        }
                        inputs.push_back(Input::Locked(self.locked.is_ok()));
                    }
                    Output::Event(event) => (self.watcher)(event),
                }
            }
        }
    }

    fn done(&self, done: Result<(), InterfaceError>) -> bool {
        done.inspect_err(|error| tracing::error!("a pre-shared key could not be set: {error}")).is_ok()
    }

    async fn told(&mut self, told: Told) {
        match told {
            Told::Open { channel, id, psk, say } => {
                // An initiator may have begun anew meanwhile; a responder takes whoever has proven itself last.
                if self.site.role == Role::Initiator && self.dialling != Some(channel) {
                    return;
                }
                self.dialling = None;
                self.current = Some((channel, say));
                self.handle(Input::Open(id, psk)).await;
            }
            Told::Heard { channel, byte } if self.is_current(channel) => {
                self.handle(Input::Heard(Message::of(byte))).await;
            }
            Told::Closed { channel } if self.dialling == Some(channel) => {
                self.dialling = None;
                self.handle(Input::Refused).await;
            }
            Told::Closed { channel } if self.is_current(channel) => {
                self.current = None;
                self.handle(Input::Closed).await;
            }
            // Of a channel that another has replaced.
            Told::Heard { .. } | Told::Closed { .. } => {}
        }
    }

    fn is_current(&self, channel: u64) -> bool {
        self.current.as_ref().is_some_and(|(current, _)| *current == channel)
    }

    /// Opens a channel, or answers who wants to open one.
    fn spawn(&mut self, caller: Option<(TcpStream, OwnedSemaphorePermit)>) {
        let channel = self.serial;
        self.serial += 1;
        let (site, onward, tell) = (Arc::clone(&self.site), Arc::clone(&self.onward), self.tell.clone());
        self.channels.spawn(async move {
            if let Err(error) = converse(channel, caller, &site, &onward, &tell).await {
                tracing::info!(channel, "the channel to the other end is closed: {error}");
            }
            // A driver that has stopped needs no word.
            let _ = tell.send(Told::Closed { channel }).await;
        });
    }

    async fn look(&mut self) {
        let Ok(Some(seconds)) = self.interface.latest_handshake().await else { return };
        // `wg` tells whole seconds, rounded down.
        let ago = OffsetDateTime::now_utc().unix_timestamp_nanos() - i128::from(seconds) * 1_000_000_000;
        let ago = u64::try_from(ago.max(0) * 1000).unwrap_or(u64::MAX);
        let at = Time::from_picoseconds(self.clock.now().picoseconds().saturating_sub(ago));
        self.handle(Input::Handshake(at)).await;
    }
}

async fn accept(
    listener: Option<&TcpListener>,
    callers: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match (Arc::clone(callers).acquire_owned().await, listener.accept().await) {
            (Ok(permit), Ok((stream, _))) => return (stream, permit),
            // Too many open files, most likely.
            _ => sleep(Duration::from_millis(300)).await,
        }
    }
}

/// A channel from its beginning to its end.
async fn converse(
    channel: u64,
    caller: Option<(TcpStream, OwnedSemaphorePermit)>,
    site: &Site,
    onward: &str,
    tell: &mpsc::Sender<Told>,
) -> Result<(), TunnelError> {
    let carried = match caller {
        None => open(onward, site).await?,
        Some((stream, _permit)) => {
            // A socket that cannot do without delay works all the same.
            let _ = stream.set_nodelay(true);
            answer(stream, site).await?
        }
    };
    let Some((id, secret)) = carried.secret(LABEL) else { return Ok(()) };
    let (say, said) = mpsc::channel(4);
    if tell.send(Told::Open { channel, id, psk: Psk(secret), say }).await.is_err() {
        return Ok(());
    }
    carried.converse(said, tell, |byte| Told::Heard { channel, byte }).await
}

/// Tells the log. Keys are named, never shown.
pub fn log(event: Event) {
    match event {
        Event::Installed(id) => tracing::info!(key = %id, "a fresh pre-shared key is set"),
        Event::Confirmed(id) => tracing::info!(key = %id, "WireGuard has made a handshake since"),
        Event::Locked(cause) => {
            tracing::warn!(?cause, "a random pre-shared key is set: no handshake until there is a fresh one");
        }
        Event::Failed => {}
        Event::Kept => {
            tracing::warn!(
                "no fresh pre-shared key could be agreed on: the one before stays, up to its greatest age"
            );
        }
        Event::Apart => tracing::warn!("there is no channel to the other end"),
    }
}

//! Tunnels over sockets: what listens, and what carries a connection.

use super::session::{Input, Output, Session, SessionError};
use super::{Limits, Role};
use crate::application::client::Key;
use crate::application::supply::{Supply, SupplyError, is_post_quantum_only};
use crate::node::link::Clock;
use crate::process::stop::Stop;
use bellwether_protocol::keys::KeyId;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zeroize::Zeroizing;

/// Bytes read from a socket at once.
const PIECE: usize = 64 << 10;
/// What waits for the other end of the tunnel before more of the program is read, in bytes.
const AHEAD: usize = 256 << 10;
/// Connecting takes at most this long.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the other end may take to close after both have said all.
const PARTING: Duration = Duration::from_secs(5);
/// The pause before a connection is tried again, or a socket that could not be accepted.
const AGAIN: Duration = Duration::from_millis(300);

/// What happens in a tunnel, told as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// A connection goes through, under this key.
    Opened(KeyId),
    /// It has a fresh key.
    Rotated(KeyId),
    /// A key came, or did not: the connection goes on under the one before while that lasts.
    Key(&'a Result<Key, SupplyError>),
    /// It could not begin; it is tried again.
    Again(&'a TunnelError),
    /// Both ends have said all.
    Closed,
    /// It was broken off, and its program is told by a reset.
    Broken(&'a TunnelError),
}

/// Who is told.
pub type Tell = Box<dyn Fn(Event<'_>) + Send + Sync>;

/// Why a connection is broken off.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// By the rules of the tunnel.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// No first key.
    #[error(transparent)]
    Supply(#[from] SupplyError),
    /// A socket.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// What goes through. Ends of different purposes have different keys, so that none takes the other for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Connections of programs.
    Connections,
    /// What two ends say to each other about the pre-shared keys of WireGuard.
    WireGuard,
}

/// What all connections of one end have in common.
pub struct Site {
    /// Which end.
    pub role: Role,
    /// What for.
    pub purpose: Purpose,
    /// This application's name; the other's is in `supply`.
    pub name: String,
    /// Its keys.
    pub supply: Supply,
    /// How long they are used.
    pub limits: Limits,
    /// How many connections go through at once; further ones wait.
    pub connections: usize,
    /// Who is told.
    pub tell: Tell,
}

impl Site {
    fn names(&self) -> [String; 2] {
        // A name of an application has no blank.
        let [own, other] = [&self.name, &self.supply.peer].map(|name| match self.purpose {
            Purpose::Connections => name.clone(),
            Purpose::WireGuard => format!("wireguard {name}"),
        });
        if self.role == Role::Initiator { [own, other] } else { [other, own] }
    }

    fn random() -> [u8; 32] {
        let mut random = [0; 32];
        getrandom::fill(&mut random).expect("an operating system that started this process gives randomness");
        random
    }
}

/// Carries connections until it is dropped: an initiator's are those of local programs, and go to the responder at
/// `onward`; a responder's are those of initiators, and go to the program at `onward`.
pub async fn serve(listener: TcpListener, onward: String, site: Arc<Site>) {
    let free = Arc::new(Semaphore::new(site.connections));
    let onward: Arc<str> = onward.into();
    let mut running = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        let accepted = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted,
                Some(_) = running.join_next() => {}
            }
        };
        match accepted {
            Ok((stream, _)) => {
                let (onward, site) = (Arc::clone(&onward), Arc::clone(&site));
                running.spawn(connection(stream, onward, site, permit));
            }
            // Too many open files, most likely: others may close meanwhile.
            Err(_) => sleep(AGAIN).await,
        }
    }
}

/// Listens at `at` and [`serve`]s until `stop` is asked for. The log tells when it listens.
///
/// # Errors
/// If it cannot listen there.
pub async fn carry_until_stopped(
    at: &str,
    onward: String,
    site: Arc<Site>,
    stop: &mut Stop,
) -> io::Result<()> {
    let listener = TcpListener::bind(at).await?;
    tracing::info!(at = %listener.local_addr()?, %onward, "the tunnel is open");
    tokio::select! {
        () = serve(listener, onward, site) => {}
        cause = stop.asked() => tracing::info!(?cause, "stopping"),
    }
    Ok(())
}

async fn connection(stream: TcpStream, onward: Arc<str>, site: Arc<Site>, _permit: OwnedSemaphorePermit) {
    // A socket that cannot do without delay works all the same.
    let _ = stream.set_nodelay(true);
    let ended = match site.role {
        Role::Initiator => outward(stream, &onward, &site).await,
        Role::Responder => inward(stream, &onward, &site).await,
    };
    (site.tell)(ended.as_ref().map_or_else(Event::Broken, |()| Event::Closed));
}

/// The initiator's end, tried again as long as the supply is patient while nothing was forwarded.
async fn outward(mut program: TcpStream, onward: &str, site: &Site) -> Result<(), TunnelError> {
    let end = Instant::now() + site.supply.patience;
    loop {
        let error = match open(onward, site).await {
            Ok(carried) => return carry(carried, program).await,
            Err(error) => error,
        };
        let lasting = !matches!(
            error,
            TunnelError::Io { .. } | TunnelError::Session(SessionError::Truncated | SessionError::Silent)
        );
        if lasting || Instant::now() + AGAIN > end {
            reset(&mut program);
            return Err(error);
        }
        (site.tell)(Event::Again(&error));
        sleep(AGAIN).await;
    }
}

/// A connection to the responder at `onward` on which both ends have proven that they hold a fresh key.
pub(in crate::application) async fn open<'a>(
    onward: &str,
    site: &'a Site,
) -> Result<Carried<'a>, TunnelError> {
    // First the other end, so that no key is spent where nobody is.
    let peer = connect(onward).await?;
    let key = site.supply.fresh().await?;
    let (clock, mut out) = (Clock::start(), Vec::new());
    let bytes = Zeroizing::new(key.key.expose().to_bytes());
    let session = Session::initiator(
        site.names(),
        site.limits,
        Site::random(),
        (key.id, &bytes),
        clock.now(),
        &mut out,
    );
    Carried::new(session, clock, peer, out, site).proven().await
}

/// An initiator's connection, once both ends have proven that they hold the key that it names.
pub(in crate::application) async fn answer(peer: TcpStream, site: &Site) -> Result<Carried<'_>, TunnelError> {
    let clock = Clock::start();
    let session = Session::responder(site.names(), site.limits, Site::random(), clock.now());
    Carried::new(session, clock, peer, Vec::new(), site).proven().await
}

async fn inward(peer: TcpStream, onward: &str, site: &Site) -> Result<(), TunnelError> {
    let carried = answer(peer, site).await?;
    let program = connect(onward).await?;
    carry(carried, program).await
}

async fn connect(address: &str) -> Result<TcpStream, TunnelError> {
    let failed = |source| TunnelError::Io { what: format!("cannot reach {address}"), source };
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let stream = timeout(CONNECT, TcpStream::connect(address)).await;
    let stream = stream.unwrap_or_else(|_| Err(late())).map_err(failed)?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// What is broken off must not look like an end to the program.
fn reset(program: &mut TcpStream) {
    let _ = program.set_zero_linger();
}

type Wanted<'a> = Pin<Box<dyn Future<Output = Result<Key, SupplyError>> + Send + 'a>>;

/// A session with its connection to the other end, and what is on its way.
pub(in crate::application) struct Carried<'a> {
    session: Session,
    clock: Clock,
    peer: TcpStream,
    site: &'a Site,
    to_peer: VecDeque<u8>,
    to_program: VecDeque<u8>,
    wanted: Option<Wanted<'a>>,
    /// Which key both ends have proven that they hold.
    ready: Option<KeyId>,
    /// The other end sends no more for the program.
    finished: bool,
}

impl<'a> Carried<'a> {
    fn new(session: Session, clock: Clock, peer: TcpStream, out: Vec<Output>, site: &'a Site) -> Self {
        let mut carried = Self {
            session,
            clock,
            peer,
            site,
            to_peer: VecDeque::new(),
            to_program: VecDeque::new(),
            wanted: None,
            ready: None,
            finished: false,
        };
        carried.carry_out(out);
        carried
    }

    fn handle(&mut self, input: Input<'_>) -> Result<(), TunnelError> {
        let mut out = Vec::new();
        let handled = self.session.handle(self.clock.now(), input, &mut out);
        self.carry_out(out);
        Ok(handled?)
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send(bytes) => self.to_peer.extend(bytes),
                Output::Deliver(bytes) => self.to_program.extend(bytes),
                Output::WantFresh => self.wanted = Some(Box::pin(self.site.supply.fresh())),
                Output::WantNamed(id) => self.wanted = Some(Box::pin(self.site.supply.named(id))),
                Output::Finished => self.finished = true,
                Output::Ready(id) => {
                    self.ready = Some(id);
                    (self.site.tell)(Event::Opened(id));
                }
                Output::Rotated(id) => (self.site.tell)(Event::Rotated(id)),
            }
        }
    }

    fn key(&mut self, key: Result<Key, SupplyError>) -> Result<(), TunnelError> {
        self.wanted = None;
        (self.site.tell)(Event::Key(&key));
        match key {
            Ok(key) => {
                let bytes = Zeroizing::new(key.key.expose().to_bytes());
                self.handle(Input::Key(key.id, &bytes))
            }
            Err(_) => self.handle(Input::NoKey),
        }
    }

    fn deadline(&self) -> Instant {
        let far = || Instant::now() + Duration::from_secs(3600);
        self.session.deadline().map_or_else(far, |time| self.clock.instant(time))
    }

    /// Until both ends have proven that they hold the key.
    async fn proven(mut self) -> Result<Self, TunnelError> {
        let mut arrived = vec![0; PIECE];
        while self.ready.is_none() {
            let deadline = self.deadline();
            let (mut from_peer, mut into_peer) = self.peer.split();
            tokio::select! {
                read = from_peer.read(&mut arrived), if self.to_peer.is_empty() => match read.map_err(lost)? {
                    0 => self.handle(Input::Ended)?,
                    count => self.handle(Input::Arrived(&arrived[..count]))?,
                },
                wrote = into_peer.write(self.to_peer.as_slices().0), if !self.to_peer.is_empty() => {
                    self.to_peer.drain(..wrote.map_err(lost)?);
                }
                key = asked(&mut self.wanted) => self.key(key)?,
                () = sleep_until(deadline) => self.handle(Input::Timeout)?,
            }
        }
        Ok(self)
    }
}

impl Carried<'_> {
    /// The key that both ends have proven, by its name, and a secret for `label` that comes of it.
    pub(in crate::application) fn secret(&self, label: &[u8]) -> Option<(KeyId, Zeroizing<[u8; 32]>)> {
        self.ready.zip(self.session.export(label))
    }

    /// Sends bytes that come from `say`, and passes those of the other end on to `hear`, each as `told` tells it, until
    /// nobody says or hears anything any more.
    pub(in crate::application) async fn converse<T: Send>(
        mut self,
        mut say: mpsc::Receiver<u8>,
        hear: &mpsc::Sender<T>,
        told: impl Fn(u8) -> T + Send,
    ) -> Result<(), TunnelError> {
        let mut arrived = vec![0; PIECE];
        loop {
            while let Some(byte) = self.to_program.pop_front() {
                if hear.send(told(byte)).await.is_err() {
                    return Ok(());
                }
                self.handle(Input::Taken(1))?;
            }
            let room = self.session.room();
            let deadline = self.deadline();
            let (mut from_peer, mut into_peer) = self.peer.split();
            tokio::select! {
                read = from_peer.read(&mut arrived) => match read.map_err(lost)? {
                    0 => self.handle(Input::Ended)?,
                    count => self.handle(Input::Arrived(&arrived[..count]))?,
                },
                wrote = into_peer.write(self.to_peer.as_slices().0), if !self.to_peer.is_empty() => {
                    self.to_peer.drain(..wrote.map_err(lost)?);
                }
                said = say.recv(), if room > 0 => match said {
                    Some(byte) => self.handle(Input::Write(&[byte]))?,
                    None => return Ok(()),
                },
                key = asked(&mut self.wanted) => self.key(key)?,
                () = sleep_until(deadline) => self.handle(Input::Timeout)?,
            }
        }
    }
}

async fn asked(wanted: &mut Option<Wanted<'_>>) -> Result<Key, SupplyError> {
    match wanted {
        Some(wanted) => wanted.await,
        None => std::future::pending().await,
    }
}

fn lost(source: io::Error) -> TunnelError {
    TunnelError::Io { what: "the connection between the ends of the tunnel".to_owned(), source }
}

fn gone(source: io::Error) -> TunnelError {
    TunnelError::Io { what: "the program's connection".to_owned(), source }
}

async fn carry(carried: Carried<'_>, mut program: TcpStream) -> Result<(), TunnelError> {
    let ended = forward(carried, &mut program).await;
    if ended.is_err() {
        reset(&mut program);
    }
    ended
}

async fn forward(mut carried: Carried<'_>, program: &mut TcpStream) -> Result<(), TunnelError> {
    let (mut from_program, mut into_program) = program.split();
    let (mut arrived, mut written) = (vec![0; PIECE], vec![0; PIECE]);
    let (mut speaks, mut hears, mut peer_speaks) = (true, true, true);
    loop {
        if carried.finished && hears && carried.to_program.is_empty() {
            into_program.shutdown().await.map_err(gone)?;
            hears = false;
        }
        if carried.session.is_finished() && !hears && carried.to_peer.is_empty() {
            break;
        }
        let room = carried.session.room().min(PIECE);
        let deadline = carried.deadline();
        let (mut from_peer, mut into_peer) = carried.peer.split();
        tokio::select! {
            read = from_peer.read(&mut arrived), if peer_speaks => match read.map_err(lost)? {
                0 => {
                    peer_speaks = false;
                    carried.handle(Input::Ended)?;
                }
                count => carried.handle(Input::Arrived(&arrived[..count]))?,
            },
            wrote = into_peer.write(carried.to_peer.as_slices().0), if !carried.to_peer.is_empty() => {
                carried.to_peer.drain(..wrote.map_err(lost)?);
            }
            read = from_program.read(&mut written[..room]),
                if speaks && room > 0 && carried.to_peer.len() < AHEAD => match read.map_err(gone)? {
                0 => {
                    speaks = false;
                    carried.handle(Input::Finish)?;
                }
                count => carried.handle(Input::Write(&written[..count]))?,
            },
            wrote = into_program.write(carried.to_program.as_slices().0), if !carried.to_program.is_empty() => {
                let count = wrote.map_err(gone)?;
                carried.to_program.drain(..count);
                carried.handle(Input::Taken(count))?;
            }
            key = asked(&mut carried.wanted) => carried.key(key)?,
            () = sleep_until(deadline) => carried.handle(Input::Timeout)?,
        }
    }
    // Both have said all. Closing with something unread would reset what the other end may still have to read.
    let _ = carried.peer.shutdown().await;
    let parting = async { while matches!(carried.peer.read(&mut arrived).await, Ok(1..)) {} };
    let _ = timeout(PARTING, parting).await;
    Ok(())
}

/// Tells the log. Keys are named, never shown.
pub fn log(event: Event<'_>) {
    match event {
        Event::Opened(id) => tracing::info!(key = %id, "a connection goes through"),
        Event::Rotated(id) => tracing::info!(key = %id, "a connection has a fresh key"),
        Event::Key(Ok(key)) if is_post_quantum_only(key) => {
            tracing::warn!(key = %key.id, "the key has no quantum part");
        }
        Event::Key(Ok(_)) => {}
        Event::Key(Err(error)) => tracing::warn!("no fresh key: {error}"),
        Event::Again(error) => tracing::warn!("a connection cannot begin yet: {error}"),
        Event::Closed => tracing::info!("a connection has ended"),
        Event::Broken(error) => tracing::error!("a connection was broken off: {error}"),
    }
}

//! The daemon's side: who may attach a program, and what becomes of its frames.
//!
//! An application of the node itself attaches a program, one at a time. To the node's driver a program is an [`Attached`]:
//! a stream of wishes, whose promises are kept by frames to the program's process. The stream ends when the program does,
//! or its connection.
//!
//! | what | bound | what happens beyond |
//! |---|---|---|
//! | the first frame | 64 bytes, within the listener's patience for a request's head | the connection is closed |
//! | a frame | a message of 8 MiB and its head | the program is told, and the connection closed |
//! | wishes under way | 1024 | the same |
//! | wishes that the driver has not taken | 64 | no more is read |
//! | silence | 60 s | the connection is closed |
//!
//! A malformed frame ends its connection and nothing else.

use super::SILENCE;
use super::wire::{ASK_LIMIT, Ask, MESSAGE_LIMIT, MOST_MEASURED, Tell};
use crate::hardware::wire::{FRAME_LIMIT, FrameError, read_frame, write_frame};
use crate::identity::tls;
use crate::interface::listener::{Bounds, Caller, Counters, Listener, OnRefusal, Security, Service, stopped};
use crate::node::link::Clock;
use bellwether_protocol::application::{
    EprError, MeasuredPair, MessageError, Operation, OperationError, PairFacts, Promise, Qubit, QubitName,
    Wish,
};
use bellwether_protocol::keys::delivery::{Directory, SaeName};
use bellwether_units::NodeId;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// The longest first frame.
const HELLO_LIMIT: usize = 64;
/// Wishes of a program that wait for an answer.
const UNDER_WAY: usize = 1024;
/// Wishes that wait for the driver.
const WISHES: usize = 64;
/// Frames that wait for the program to take them.
const OUTGOING: usize = 64;
/// How long a connection that has ended is still read, so that its last word is not lost with what was not read.
const LINGER: Duration = Duration::from_secs(2);
/// How long a program may take to take a frame off us.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that has attached. Dropping it ends the connection, and the program is told that the node did so.
pub struct Attached {
    /// Whose program it is.
    pub application: SaeName,
    /// What it wishes. When the program has ended, qubits that it still held are wished free, and the wishes end. A qubit
    /// that is promised and comes too late is dropped, which its own port tells. A wish may be dropped unanswered only where
    /// nothing comes of it.
    pub wishes: mpsc::Receiver<Wish>,
}

/// Where programs attach to a node. Cheap to clone.
#[derive(Clone)]
pub struct Entrance(Arc<Inside>);

struct Inside {
    node: NodeId,
    names: Vec<String>,
    /// None as long as the node's devices were never there.
    clock: SetOnce<Clock>,
    directory: RwLock<Arc<Directory>>,
    place: Arc<Semaphore>,
    attached: mpsc::Sender<Attached>,
}

/// Why a connection ended, if not by the program's wish.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("nothing was heard of the program, or it took nothing, for too long")]
    Silent,
    #[error("{0}")]
    Refused(String),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

fn refused(why: impl Into<String>) -> Ended {
    Ended::Refused(why.into())
}

impl Entrance {
    /// The entrance of `node`, where applications that `directory` places there may attach. Programs are told the `names`
    /// of all nodes in the order of their numbers, and the time of `clock`. Attached programs come out of the receiver, one
    /// after the other.
    pub fn new(
        node: NodeId,
        names: Vec<String>,
        clock: Clock,
        directory: Arc<Directory>,
    ) -> (Self, mpsc::Receiver<Attached>) {
        let (entrance, programs) = Self::closed(node, names, directory);
        entrance.open(clock);
        (entrance, programs)
    }
    /// The same, of a node that does not know its time yet: until it is [`open`](Self::open), whoever wants to attach waits,
    /// and is told before long that its devices are away.
    pub fn closed(
        node: NodeId,
        names: Vec<String>,
        directory: Arc<Directory>,
    ) -> (Self, mpsc::Receiver<Attached>) {
        let (attached, programs) = mpsc::channel(1);
        let (place, directory) = (Arc::new(Semaphore::new(1)), RwLock::new(directory));
        let clock = SetOnce::new();
        (Self(Arc::new(Inside { node, names, clock, directory, place, attached })), programs)
    }
    /// Programs may attach from now on, and are told the time of `clock`. Only the first clock counts.
    pub fn open(&self, clock: Clock) {
        let _ = self.0.clock.set(clock);
    }

    /// From now on these applications may attach; who is attached stays.
    pub fn set_directory(&self, directory: Arc<Directory>) {
        *self.0.directory.write().unwrap_or_else(PoisonError::into_inner) = directory;
    }

    /// Serves connections to `socket` until `stop` turns true. Callers are known as those of the key manager, whose
    /// `security` this is. Gives what was counted as well.
    pub fn listen(
        &self,
        socket: TcpListener,
        security: Security,
        bounds: Bounds,
        on_refusal: Arc<OnRefusal>,
        stop: watch::Receiver<bool>,
    ) -> (JoinHandle<()>, Arc<Counters>) {
        let security = match security {
            Security::Tls { config, identify } => {
                Security::Tls { config: Arc::new(tls::program_server(&config)), identify }
            }
            plain @ Security::Plain(_) => plain,
        };
        let listener = Listener::new(security, self.clone(), bounds).on_refusal(on_refusal);
        let counters = listener.counters();
        (tokio::spawn(Arc::new(listener).serve(socket, stop)), counters)
    }

    fn is_here(&self, application: &SaeName) -> bool {
        let directory = self.0.directory.read().unwrap_or_else(PoisonError::into_inner);
        directory.node_of(application.as_str()) == Some(self.0.node)
    }

    fn name(&self) -> &str {
        self.0.names.get(self.0.node.index()).map_or("", String::as_str)
    }

    /// Lets a program in, if it may come.
    async fn admit<R: AsyncRead + Unpin>(
        &self,
        reader: &mut R,
        caller: &Caller,
        patience: Duration,
    ) -> Result<Admitted, Ended> {
        let hello = timeout(patience, read_frame(reader, HELLO_LIMIT)).await.map_err(|_| Ended::Silent)??;
        let Ask::Hello = Ask::decode(&hello).map_err(FrameError::from)? else {
            return Err(refused("a program begins with a greeting"));
        };
        let (application, node) = (caller.name(), self.name());
        if !self.is_here(application) {
            return Err(refused(format!(
                "`{application}` is no application of node `{node}`: attach to its own node, or write \
                 [sae.{application}] with node = \"{node}\""
            )));
        }
        // A node that has just been started finds its devices within a moment.
        let Ok(&clock) = timeout(patience, self.0.clock.wait()).await else {
            return Err(refused(format!("the devices of node `{node}` are away: try again")));
        };
        let Ok(place) = Arc::clone(&self.0.place).try_acquire_owned() else {
            return Err(refused(format!("a program is attached to node `{node}` already: one is at a time")));
        };
        let (sender, wishes) = mpsc::channel(WISHES);
        let attached = Attached { application: application.clone(), wishes };
        self.0.attached.send(attached).await.map_err(|_| refused("the node stops"))?;
        Ok(Admitted { place, wishes: sender, clock })
    }

    /// Reads wishes until the program says that it is over, or its connection ends.
    async fn listen_to<R: AsyncRead + Unpin>(
        &self,
        reader: &mut R,
        wishes: &mpsc::Sender<Wish>,
        answers: &mut Answers,
    ) -> Result<(), Ended> {
        loop {
            let frame =
                timeout(SILENCE, read_frame(reader, ASK_LIMIT)).await.map_err(|_| Ended::Silent)??;
            while answers.under_way.try_join_next().is_some() {}
            let wish = match Ask::decode(&frame).map_err(FrameError::from)? {
                Ask::Hello => return Err(refused("a second greeting")),
                Ask::Over => return Ok(()),
                Ask::Alive => {
                    // Where many frames wait, these are signs of life.
                    let _ = answers.outgoing.try_send(Tell::Alive);
                    continue;
                }
                ask => answers.wish(ask),
            };
            if answers.under_way.len() > UNDER_WAY {
                return Err(refused(format!("more than {UNDER_WAY} wishes wait for an answer")));
            }
            if let Some(wish) = wish
                && wishes.send(wish).await.is_err()
            {
                return Err(refused("the node has ended the program"));
            }
        }
    }
}

/// A program that was let in.
struct Admitted {
    place: OwnedSemaphorePermit,
    wishes: mpsc::Sender<Wish>,
    clock: Clock,
}

/// What is said of a message that no frame carries.
pub(super) fn too_long(len: usize) -> String {
    format!("{len} bytes are more than the {MESSAGE_LIMIT} that one message may have")
}

/// The qubits that a program holds.
type Held = Arc<Mutex<BTreeSet<QubitName>>>;

fn lock(held: &Held) -> MutexGuard<'_, BTreeSet<QubitName>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands a qubit on to the program, which holds it from then on.
fn hand_on(qubit: Qubit, held: &Held) -> (QubitName, Option<PairFacts>) {
    let (name, facts) = qubit.into_parts();
    lock(held).insert(name);
    (name, facts)
}

/// Makes wishes of frames, and frames of what becomes of them.
struct Answers {
    outgoing: mpsc::Sender<Tell>,
    under_way: JoinSet<()>,
    held: Held,
}

impl Answers {
    fn new(outgoing: mpsc::Sender<Tell>) -> Self {
        Self { outgoing, under_way: JoinSet::new(), held: Held::default() }
    }

    /// A promise whose fulfilment is told to the program.
    fn by<T: Send + 'static>(&mut self, told: impl FnOnce(T) -> Vec<Tell> + Send + 'static) -> Promise<T> {
        let (promise, wait) = Promise::new();
        let outgoing = self.outgoing.clone();
        self.under_way.spawn(async move {
            for tell in told(wait.await) {
                if outgoing.send(tell).await.is_err() {
                    return;
                }
            }
        });
        promise
    }

    /// A wish as the driver knows it; nothing if there is nothing to wish.
    fn wish(&mut self, ask: Ask) -> Option<Wish> {
        let held = Arc::clone(&self.held);
        Some(match ask {
            Ask::Pair { number, peer, terms } => {
                let answer = self.by(move |qubit: Result<Qubit, EprError>| {
                    vec![Tell::Pair { number, qubit: qubit.map(|qubit| hand_on(qubit, &held)) }]
                });
                Wish::Pair { peer, terms, answer }
            }
            Ask::MeasuredPairs { number, peer, terms, bases } => {
                let answer = self.by(move |pairs| measured(number, pairs));
                Wish::MeasuredPairs { peer, terms, bases, answer }
            }
            Ask::Zero { number } => {
                let answer = self.by(move |qubit: Result<Qubit, OperationError>| {
                    vec![Tell::Zero { number, qubit: qubit.map(|qubit| hand_on(qubit, &held)) }]
                });
                Wish::Zero { answer }
            }
            Ask::Operate { number, operations } => {
                {
                    let mut held = lock(&held);
                    operations.iter().flat_map(Operation::used_up).for_each(|name| {
                        held.remove(&name);
                    });
                }
                let answer = self.by(move |outcomes| vec![Tell::Operated { number, outcomes }]);
                Wish::Operate { operations, answer }
            }
            Ask::Free(name) => {
                lock(&held).remove(&name).then_some(())?;
                Wish::Free(name)
            }
            Ask::Send { number, to, bytes } => {
                let answer = self.by(move |result| vec![Tell::Sent { number, result }]);
                Wish::Send { to, bytes, answer }
            }
            Ask::Receive { number, from } => {
                let fits = |bytes: Vec<u8>| match bytes.len() {
                    0..=MESSAGE_LIMIT => Ok(bytes),
                    len => Err(MessageError::Malformed(too_long(len))),
                };
                let answer = self.by(move |bytes: Result<Vec<u8>, MessageError>| {
                    vec![Tell::Message { number, bytes: bytes.and_then(fits) }]
                });
                Wish::Receive { from, answer }
            }
            Ask::Hello | Ask::Alive | Ask::Over => return None,
        })
    }

    /// Nobody waits any more: what the program still held.
    async fn close(mut self) -> BTreeSet<QubitName> {
        // A qubit that is being handed on at this moment is among them, or dropped.
        self.under_way.shutdown().await;
        core::mem::take(&mut *lock(&self.held))
    }
}

/// Measured pairs, in as many frames as they take.
fn measured(number: u64, pairs: Result<Vec<MeasuredPair>, EprError>) -> Vec<Tell> {
    let pairs = match pairs {
        Ok(pairs) if pairs.len() > MOST_MEASURED => pairs,
        pairs => return vec![Tell::Measured { number, pairs, more: false }],
    };
    let last = (pairs.len() - 1) / MOST_MEASURED;
    let frames = pairs.chunks(MOST_MEASURED).enumerate();
    frames.map(|(i, chunk)| Tell::Measured { number, pairs: Ok(chunk.to_vec()), more: i < last }).collect()
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, tell: &Tell) -> Result<(), Ended> {
    let frame = tell.encode();
    if frame.len() > FRAME_LIMIT {
        return Err(refused(format!("an answer of {} bytes is longer than a frame may be", frame.len())));
    }
    Ok(timeout(PATIENCE, write_frame(writer, &frame)).await.map_err(|_| Ended::Silent)??)
}

/// What a program is told last.
fn last_word(ended: &Result<(), Ended>) -> Option<Tell> {
    match ended {
        Ok(()) => Some(Tell::Over),
        Err(Ended::Refused(why)) => Some(Tell::Refused(why.clone())),
        Err(Ended::Frame(FrameError::Malformed(error))) => {
            Some(Tell::Refused(format!("a malformed frame: {error}")))
        }
        Err(Ended::Frame(FrameError::Stream(_)) | Ended::Silent) => None,
    }
}

impl Entrance {
    /// Serves a program that was let in, from its welcome to the last word.
    async fn attend<R, W>(
        &self,
        reader: &mut R,
        writer: &mut W,
        Admitted { place, wishes, clock }: Admitted,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Ended>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (outgoing, mut tells) = mpsc::channel(OUTGOING);
        let mut answers = Answers::new(outgoing);
        let (last, mut last_said) = oneshot::channel();
        let Inside { node, ref names, .. } = *self.0;
        let writing = async {
            write(writer, &Tell::Welcome { node, now: clock.now(), names: names.clone() }).await?;
            loop {
                tokio::select! {
                    biased;
                    last = &mut last_said => return match last {
                        Ok(tell) => write(writer, &tell).await,
                        Err(_) => Ok(()),
                    },
                    Some(tell) = tells.recv() => write(writer, &tell).await?,
                }
            }
        };
        tokio::pin!(writing);
        let mut broken = false;
        let ended = tokio::select! {
            ended = self.listen_to(reader, &wishes, &mut answers) => ended,
            failed = &mut writing => {
                broken = true;
                failed
            }
            () = wishes.closed() => Err(refused("the node has ended the program")),
            () = stopped(stop) => Err(refused("the node stops")),
        };
        for name in answers.close().await {
            // A driver that has let go of the program has let go of its qubits.
            let _ = wishes.send(Wish::Free(name)).await;
        }
        // The driver is told by the end of the wishes, and another may attach before this one is told.
        drop((wishes, place));
        if let Some(tell) = last_word(&ended).filter(|_| !broken) {
            let _ = last.send(tell);
            // A frame that was begun is finished.
            let _ = timeout(PATIENCE, writing).await;
        }
        ended
    }
}

impl Service for Entrance {
    async fn serve<T>(&self, stream: T, caller: &Caller, bounds: &Bounds, mut stop: watch::Receiver<bool>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (node, application) = (self.name(), caller.name().as_str());
        let ended = match self.admit(&mut reader, caller, bounds.head_timeout).await {
            Ok(admitted) => {
                tracing::info!(node, application, "a program is attached");
                self.attend(&mut reader, &mut writer, admitted, &mut stop).await
            }
            Err(error) => {
                let ended = Err(error);
                if let Some(tell) = last_word(&ended) {
                    let _ = write(&mut writer, &tell).await;
                }
                ended
            }
        };
        match ended {
            Ok(()) => tracing::info!(node, application, "a program is over"),
            Err(error) => tracing::warn!(node, application, %error, "the connection of a program has ended"),
        }
        let _ = timeout(PATIENCE, writer.shutdown()).await;
        let _ = timeout(LINGER, tokio::io::copy(&mut reader, &mut tokio::io::sink())).await;
    }
}

//! What carries the wishes of a program to its node, and the answers back.

use super::client::AttachError;
use super::server::too_long;
use super::wire::{Ask, MESSAGE_LIMIT, MOST_AT_ONCE, Tell};
use super::{HEARTBEAT, SILENCE};
use crate::hardware::wire::{FRAME_LIMIT, FrameError, read_frame, write_frame};
use crate::interface::listener::stopped;
use bellwether_protocol::application::{
    EprError, MeasuredPair, MessageError, OperationError, Port, Promise, Qubit, Wish,
};
use bellwether_units::{NodeId, Time};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// How long a node may take to hear that a program has ended.
const PARTING: Duration = Duration::from_secs(5);
/// How long it is listened for what the other side says last, once nothing can be written.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The node's time, as the program's process knows it: what the node told, and how long ago it was asked. So it is ahead of
/// the node's by less than a round trip and never behind, and what the node tells of has always happened already.
#[derive(Clone, Copy)]
pub(super) struct ProgramClock {
    pub(super) asked: Instant,
    pub(super) told: Time,
}

impl ProgramClock {
    pub(super) fn now(self) -> Time {
        let since = u64::try_from(self.asked.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.told.saturating_add(bellwether_units::Duration::from_nanoseconds(since))
    }
}

/// What waits for an answer of the node.
enum Waiting {
    Pair(Promise<Result<Qubit, EprError>>),
    Measured { answer: Promise<Result<Vec<MeasuredPair>, EprError>>, most: u64, got: Vec<MeasuredPair> },
    Zero(Promise<Result<Qubit, OperationError>>),
    Operate(Promise<Result<Vec<bool>, OperationError>>),
    Send(NodeId, Promise<Result<(), MessageError>>),
    Receive(NodeId),
}

/// The messages of another node's program. One is asked for at a time, so that they keep their order; one that nobody
/// waits for any more when it comes is for who asks next.
#[derive(Default)]
struct Inbox {
    asked: bool,
    waiting: VecDeque<Promise<Result<Vec<u8>, MessageError>>>,
    early: VecDeque<Vec<u8>>,
}

impl Inbox {
    /// The first that is still awaited.
    fn awaited(&mut self) -> Option<Promise<Result<Vec<u8>, MessageError>>> {
        while let Some(promise) = self.waiting.pop_front() {
            if promise.is_awaited() {
                return Some(promise);
            }
        }
        None
    }
}

#[derive(Default)]
struct State {
    numbers: u64,
    waiting: BTreeMap<u64, Waiting>,
    inboxes: BTreeMap<NodeId, Inbox>,
    sleeping: JoinSet<()>,
    lost: bool,
}

pub(super) struct Carrier {
    port: Arc<Port>,
    clock: ProgramClock,
    state: Mutex<State>,
}

impl Carrier {
    pub(super) fn new(port: Arc<Port>, clock: ProgramClock) -> Self {
        Self { port, clock, state: Mutex::default() }
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the program has ended: `left` then turns true, or nobody is left who could turn it.
    pub(super) async fn run<R, W>(
        self,
        mut reader: R,
        mut writer: W,
        mut left: watch::Receiver<bool>,
    ) -> Result<(), AttachError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (again, mut asked_again) = mpsc::unbounded_channel();
        let reading = self.read(&mut reader, &again);
        tokio::pin!(reading);
        let ended = tokio::select! {
            written = self.write(&mut writer, &mut asked_again, &mut left) => match written {
                // The node says when it has heard all.
                Ok(()) => return timeout(PARTING, reading).await.unwrap_or(Err(AttachError::Silent)),
                // Whoever takes no more may have said why.
                Err(error) => match timeout(LAST_WORD, reading).await {
                    Ok(Err(AttachError::Refused(why))) => Err(AttachError::Refused(why)),
                    _ => Err(error),
                },
            },
            read = &mut reading => read,
        };
        let error = ended.err().unwrap_or(AttachError::Unexpected);
        self.fail();
        let _ = timeout(LAST_WORD, writer.shutdown()).await;
        loop {
            tokio::select! {
                () = stopped(&mut left) => return Err(error),
                wish = self.port.next() => drop(self.wish(wish)),
            }
        }
    }

    /// Writes what the program wishes until it has left; then that it has.
    async fn write<W: AsyncWrite + Unpin>(
        &self,
        writer: &mut W,
        again: &mut mpsc::UnboundedReceiver<Ask>,
        left: &mut watch::Receiver<bool>,
    ) -> Result<(), AttachError> {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ask = tokio::select! {
                biased;
                wish = self.port.next() => self.wish(wish)?,
                Some(ask) = again.recv() => Some(ask),
                _ = heartbeat.tick() => Some(Ask::Alive),
                () = stopped(left) => break,
            };
            if let Some(ask) = ask {
                write_frame(writer, &ask.encode()).await?;
            }
        }
        // What it let go last was wished before it left.
        while let Some(wish) = self.port.take() {
            if let Some(ask) = self.wish(wish)? {
                write_frame(writer, &ask.encode()).await?;
            }
        }
        Ok(write_frame(writer, &Ask::Over.encode()).await?)
    }

    /// Hears answers until the node says that it has heard the program's end.
    async fn read<R: AsyncRead + Unpin>(
        &self,
        reader: &mut R,
        again: &mpsc::UnboundedSender<Ask>,
    ) -> Result<(), AttachError> {
        loop {
            let frame = timeout(SILENCE, read_frame(reader, FRAME_LIMIT))
                .await
                .map_err(|_| AttachError::Silent)??;
            let tell = Tell::decode(&frame).map_err(FrameError::from)?;
            if matches!(tell, Tell::Over) {
                return Ok(());
            }
            self.port.set_now(self.clock.now());
            if let Some(ask) = self.hear(tell)? {
                // The receiver is the writer, which goes on as long as this does.
                let _ = again.send(ask);
            }
        }
    }

    /// A wish of the program: what is to be asked of the node, if anything.
    fn wish(&self, wish: Wish) -> Result<Option<Ask>, AttachError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.lost {
            refuse(wish, state, self);
            return Ok(None);
        }
        state.numbers += 1;
        let number = state.numbers;
        let (ask, waiting) = match wish {
            Wish::Pair { peer, terms, answer } => (Ask::Pair { number, peer, terms }, Waiting::Pair(answer)),
            Wish::MeasuredPairs { peer, terms, bases, answer } => {
                if bases.len() > MOST_AT_ONCE {
                    answer.fulfil(Err(EprError::NodeDown));
                    return Err(AttachError::TooMuch("more bases"));
                }
                let waiting = Waiting::Measured { answer, most: terms.pairs.max(1), got: Vec::new() };
                (Ask::MeasuredPairs { number, peer, terms, bases }, waiting)
            }
            Wish::Zero { answer } => (Ask::Zero { number }, Waiting::Zero(answer)),
            Wish::Operate { operations, answer } => {
                if operations.len() > MOST_AT_ONCE {
                    answer.fulfil(Err(OperationError::Lost));
                    return Err(AttachError::TooMuch("more operations"));
                }
                (Ask::Operate { number, operations }, Waiting::Operate(answer))
            }
            Wish::Free(name) => return Ok(Some(Ask::Free(name))),
            Wish::Send { to, bytes, answer } => {
                if bytes.len() > MESSAGE_LIMIT {
                    let why = MessageError::Malformed(too_long(bytes.len()));
                    drop(guard);
                    answer.fulfil(Err(why));
                    return Ok(None);
                }
                (Ask::Send { number, to, bytes }, Waiting::Send(to, answer))
            }
            Wish::Receive { from, answer } => {
                let inbox = state.inboxes.entry(from).or_default();
                if let Some(bytes) = inbox.early.pop_front() {
                    drop(guard);
                    answer.fulfil(Ok(bytes));
                    return Ok(None);
                }
                inbox.waiting.push_back(answer);
                if core::mem::replace(&mut inbox.asked, true) {
                    return Ok(None);
                }
                (Ask::Receive { number, from }, Waiting::Receive(from))
            }
            Wish::Sleep { span, answer } => {
                self.sleep(state, span, answer);
                return Ok(None);
            }
            // What only the simulator can show: nobody answers.
            Wish::Special(_) => return Ok(None),
        };
        state.waiting.insert(number, waiting);
        Ok(Some(ask))
    }

    fn sleep(&self, state: &mut State, span: bellwether_units::Duration, answer: Promise<()>) {
        let (port, clock) = (Arc::clone(&self.port), self.clock);
        while state.sleeping.try_join_next().is_some() {}
        state.sleeping.spawn(async move {
            sleep(Duration::from_nanos(span.picoseconds().div_ceil(1000))).await;
            port.set_now(clock.now());
            answer.fulfil(());
        });
    }

    /// An answer of the node: what is to be asked next because of it, if anything.
    fn hear(&self, tell: Tell) -> Result<Option<Ask>, AttachError> {
        let mut state = self.lock();
        let unexpected = Err(AttachError::Unexpected);
        // Promises are fulfilled without the lock: whoever is woken may wish for something.
        match tell {
            Tell::Pair { number, qubit } => {
                let Some(Waiting::Pair(answer)) = state.waiting.remove(&number) else { return unexpected };
                drop(state);
                answer.fulfil(qubit.map(|(name, facts)| self.port.qubit(name, facts)));
            }
            Tell::Zero { number, qubit } => {
                let Some(Waiting::Zero(answer)) = state.waiting.remove(&number) else { return unexpected };
                drop(state);
                answer.fulfil(qubit.map(|(name, facts)| self.port.qubit(name, facts)));
            }
            Tell::Measured { number, pairs, more } => {
                let Some(Waiting::Measured { got, most, .. }) = state.waiting.get_mut(&number) else {
                    return unexpected;
                };
                let result = match pairs {
                    Ok(pairs) => {
                        got.extend(pairs);
                        if got.len() as u64 > *most {
                            return unexpected;
                        }
                        if more {
                            return Ok(None);
                        }
                        Ok(core::mem::take(got))
                    }
                    Err(error) => Err(error),
                };
                let Some(Waiting::Measured { answer, .. }) = state.waiting.remove(&number) else {
                    return unexpected;
                };
                drop(state);
                answer.fulfil(result);
            }
            Tell::Operated { number, outcomes } => {
                let Some(Waiting::Operate(answer)) = state.waiting.remove(&number) else { return unexpected };
                drop(state);
                answer.fulfil(outcomes);
            }
            Tell::Sent { number, result } => {
                let Some(Waiting::Send(_, answer)) = state.waiting.remove(&number) else { return unexpected };
                drop(state);
                answer.fulfil(result);
            }
            Tell::Message { number, bytes } => {
                let Some(Waiting::Receive(from)) = state.waiting.remove(&number) else { return unexpected };
                return Ok(self.message(state, from, bytes));
            }
            Tell::Alive => {}
            Tell::Refused(why) => return Err(AttachError::Refused(why)),
            Tell::Welcome { .. } | Tell::Over => return unexpected,
        }
        Ok(None)
    }

    /// A message, or why there is none, for the first that waits; another is asked for if more do.
    fn message(
        &self,
        mut state: MutexGuard<'_, State>,
        from: NodeId,
        bytes: Result<Vec<u8>, MessageError>,
    ) -> Option<Ask> {
        let State { numbers, waiting, inboxes, .. } = &mut *state;
        let inbox = inboxes.entry(from).or_default();
        let given = match (inbox.awaited(), bytes) {
            (Some(first), bytes) => Some((first, bytes)),
            (None, Ok(bytes)) => {
                inbox.early.push_back(bytes);
                None
            }
            (None, Err(_)) => None,
        };
        inbox.waiting.retain(Promise::is_awaited);
        inbox.asked = !inbox.waiting.is_empty();
        let ask = inbox.asked.then(|| {
            *numbers += 1;
            waiting.insert(*numbers, Waiting::Receive(from));
            Ask::Receive { number: *numbers, from }
        });
        drop(state);
        if let Some((first, bytes)) = given {
            first.fulfil(bytes);
        }
        ask
    }

    /// The connection is lost: all that waits fails.
    fn fail(&self) {
        self.port.set_now(self.clock.now());
        let (waiting, inboxes) = {
            let mut state = self.lock();
            state.lost = true;
            let inboxes = state.inboxes.iter_mut();
            let inboxes: Vec<_> = inboxes.map(|(from, i)| (*from, core::mem::take(&mut i.waiting))).collect();
            (core::mem::take(&mut state.waiting), inboxes)
        };
        for waiting in waiting.into_values() {
            match waiting {
                Waiting::Pair(answer) => answer.fulfil(Err(EprError::NodeDown)),
                Waiting::Measured { answer, .. } => answer.fulfil(Err(EprError::NodeDown)),
                Waiting::Zero(answer) => answer.fulfil(Err(OperationError::Lost)),
                Waiting::Operate(answer) => answer.fulfil(Err(OperationError::Lost)),
                Waiting::Send(to, answer) => answer.fulfil(Err(MessageError::Unreachable(to))),
                Waiting::Receive(_) => {}
            }
        }
        for (from, inbox) in inboxes {
            for answer in inbox {
                answer.fulfil(Err(MessageError::Unreachable(from)));
            }
        }
    }
}

/// What a program wishes when there is no node any more.
fn refuse(wish: Wish, state: &mut State, carrier: &Carrier) {
    match wish {
        Wish::Pair { answer, .. } => answer.fulfil(Err(EprError::NodeDown)),
        Wish::MeasuredPairs { answer, .. } => answer.fulfil(Err(EprError::NodeDown)),
        Wish::Zero { answer } => answer.fulfil(Err(OperationError::Lost)),
        Wish::Operate { answer, .. } => answer.fulfil(Err(OperationError::Lost)),
        Wish::Send { to, answer, .. } => answer.fulfil(Err(MessageError::Unreachable(to))),
        Wish::Receive { from, answer } => {
            // What came before is there.
            let early = state.inboxes.get_mut(&from).and_then(|inbox| inbox.early.pop_front());
            answer.fulfil(early.ok_or(MessageError::Unreachable(from)));
        }
        Wish::Sleep { span, answer } => carrier.sleep(state, span, answer),
        Wish::Free(_) | Wish::Special(_) => {}
    }
}

//! What the embedded store and that in PostgreSQL have in common: a log of rows, each the changes of one transaction.
//!
//! Callers seal their values and queue them; a thread takes everything that waits (bounded), has it written as one
//! row, waits once until that is durable, then answers all. So the cost of a synchronisation is shared by whoever
//! came meanwhile. Nothing is read but at the start: which row holds which record is remembered.
//!
//! Deleting a record makes it dead weight; its sealed bytes stay where they were written until the row is taken away
//! and its place is used again, and open only with the master key.

mod rows;
mod writer;

pub(super) use writer::{Opened, Writer, open};

use super::seal::{Header, Seal};
use super::{Answer, Change, Commit, KEY_LIMIT, Load, Records, Space, StoreError, VALUE_LIMIT, Waiter};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Beyond this many bytes that wait, commits are refused.
const BACKLOG_LIMIT: usize = 1 << 30;
/// What a change costs in a transaction besides its bytes.
const CHANGE_COST: usize = 64;

/// Where rows are kept. Whatever fails, nothing is done with it afterwards but to close it.
pub(super) trait Backend {
    /// The header, if there is one.
    fn header(&mut self) -> Result<Option<Header>, StoreError>;

    /// Writes the header into an empty place, durably.
    fn create(&mut self, header: &Header) -> Result<(), StoreError>;

    /// Gives rows in the order of their numbers.
    fn read(&mut self, which: Which<'_>, each: Each<'_>) -> Result<(), StoreError>;

    /// Takes rows away and writes a new one, both or neither, and durably. It is the commit of this number.
    fn write(&mut self, taken: Range<u64>, number: u64, row: &[u8], commit: u64) -> Result<(), StoreError>;
}

/// Takes a row: its number and its content.
pub(super) type Each<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), StoreError>;

/// Which rows are read.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    All,
    /// Those of these numbers; all are there if nobody meddled.
    These(&'a BTreeSet<u64>),
}

/// What the thread and those who call it share.
pub(super) struct Shared {
    /// Where the store is, for errors.
    pub(super) path: PathBuf,
    pub(super) seal: Arc<Seal>,
    waiting: AtomicUsize,
}

impl Shared {
    pub(super) fn new(path: PathBuf, seal: Arc<Seal>) -> Arc<Self> {
        Arc::new(Self { path, seal, waiting: AtomicUsize::new(0) })
    }
}

/// One change, sealed: its place, and its record or none to delete it.
type Sealed = (Vec<u8>, Option<Vec<u8>>);

/// What the thread is asked to do.
pub(super) enum Work {
    Commit { changes: Vec<Sealed>, bytes: usize, answer: Waiter<()> },
    Load { space: Space, answer: Waiter<Records> },
}

/// The callers' side of a store.
pub(super) struct Log {
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Work>>,
    writer: Option<JoinHandle<()>>,
}

impl Log {
    /// `writer` is the thread that runs a [`Writer`] on what `queue` gives.
    pub(super) fn new(shared: Arc<Shared>, queue: mpsc::Sender<Work>, writer: JoinHandle<()>) -> Self {
        Self { shared, queue: Some(queue), writer: Some(writer) }
    }

    /// See [`Store::commit`](super::Store::commit).
    pub(super) fn commit(&self, changes: Vec<Change>) -> Commit {
        let (changes, bytes) = match self.seal_changes(changes) {
            Ok(sealed) => sealed,
            Err(error) => return Commit(Answer::Now(Some(Err(error)))),
        };
        let waiting = self.shared.waiting.fetch_add(bytes, Ordering::Relaxed);
        if waiting > BACKLOG_LIMIT {
            self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return Commit(Answer::Now(Some(Err(StoreError::Behind { waiting }))));
        }
        let (answer, receiver) = oneshot::channel();
        self.enqueue(Work::Commit { changes, bytes, answer });
        Commit(Answer::Later(receiver))
    }

    /// See [`Store::load`](super::Store::load).
    pub(super) fn load(&self, space: Space) -> Load {
        let (answer, receiver) = oneshot::channel();
        self.enqueue(Work::Load { space, answer });
        Load(Answer::Later(receiver))
    }

    /// See [`Store::backlog`](super::Store::backlog).
    pub(super) fn backlog(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    fn enqueue(&self, work: Work) {
        // A writer that is gone drops the work, and with it the answer's sender: the caller reads `Closed`.
        if let Some(queue) = &self.queue {
            let _ = queue.send(work);
        }
    }

    fn seal_changes(&self, changes: Vec<Change>) -> Result<(Vec<Sealed>, usize), StoreError> {
        let mut sealed = Vec::with_capacity(changes.len());
        let mut bytes = 0;
        for change in changes {
            let (place, record) = match change {
                Change::Put { space, key, value } => {
                    check_size(&key, &value)?;
                    (space.place(&key), Some(self.shared.seal.seal(space, &key, &value)))
                }
                Change::Delete { space, key } => {
                    check_size(&key, &[])?;
                    (space.place(&key), None)
                }
            };
            bytes += CHANGE_COST + place.len() + record.as_ref().map_or(0, Vec::len);
            sealed.push((place, record));
        }
        Ok((sealed, bytes))
    }
}

impl Drop for Log {
    /// Waits until everything that was committed is durable and the place is closed.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer stopped by a fault");
        }
    }
}

fn check_size(key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    if key.len() > KEY_LIMIT || value.len() > VALUE_LIMIT {
        return Err(StoreError::TooLarge { key: key.len(), value: value.len() });
    }
    Ok(())
}

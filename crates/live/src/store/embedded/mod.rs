//! The embedded store: one file (redb), one writing thread, one synchronisation for many commits.
//!
//! Callers seal their values and queue them; the thread takes everything that waits (bounded), writes it as one
//! row, synchronises the file once, then answers all. So the cost of a synchronisation is shared by whoever
//! came meanwhile. Nothing is read but at the start: which row holds which record is remembered.
//!
//! Deleting a record makes it dead weight; its sealed bytes stay in the file until the row is taken away and its
//! page is used again, and open only with the master key.

mod rows;
mod writer;

use super::seal::{MasterKey, Seal, failed};
use super::witness::{self, Testimony, Witness};
use super::{
    Answer, Change, Commit, KEY_LIMIT, Load, Records, Space, Store, StoreError, VALUE_LIMIT, Waiter,
};
use redb::{Database, StorageBackend};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use writer::{Opened, Writer};

/// Beyond this many bytes that wait, commits are refused.
const BACKLOG_LIMIT: usize = 1 << 30;
/// Pages kept in memory; they hold sealed values only.
const CACHE: usize = 64 << 20;
/// What a change costs in a transaction besides its bytes.
const CHANGE_COST: usize = 64;

/// What to do with a store that was put back to an older state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rollback {
    /// Refuse to open it ([`StoreError::RolledBack`], [`StoreError::NoWitness`]).
    #[default]
    Refuse,
    /// Open it and say so ([`EmbeddedStore::rolled_back`]): whatever was owned then must be burned.
    Accept,
}

/// A store in one file.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Work>>,
    writer: Option<JoinHandle<()>>,
    rolled_back: bool,
}

struct Shared {
    path: PathBuf,
    seal: Arc<Seal>,
    waiting: AtomicUsize,
}

/// One change, sealed: its place, and its record or none to delete it.
type Sealed = (Vec<u8>, Option<Vec<u8>>);

enum Work {
    Commit { changes: Vec<Sealed>, bytes: usize, answer: Waiter<()> },
    Load { space: Space, answer: Waiter<Records> },
}

impl EmbeddedStore {
    /// Opens the store at `path`, or makes one there (mode 0600), with its witness at `witness`.
    ///
    /// Blocks: after a crash the whole file is checked.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`], [`StoreError::RolledBack`], [`StoreError::NoWitness`],
    /// [`StoreError::RowTampered`], [`StoreError::Failed`].
    pub fn open(
        path: &Path,
        witness: &Path,
        master: &MasterKey,
        rollback: Rollback,
    ) -> Result<Self, StoreError> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| failed(path, error))?;
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create_file(file)
            .map_err(|error| failed(path, error))?;
        Self::start(database, path, Some(witness), master, rollback)
    }

    /// Opens or makes a store on storage of the caller's, without a witness: for tests of crashes.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn on_storage(storage: impl StorageBackend, master: &MasterKey) -> Result<Self, StoreError> {
        let path = Path::new("(storage of the caller)");
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(storage)
            .map_err(|error| failed(path, error))?;
        Self::start(database, path, None, master, Rollback::Refuse)
    }

    /// Whether the store was opened although it is older than its witness, or its witness is gone.
    pub fn rolled_back(&self) -> bool {
        self.rolled_back
    }

    fn start(
        database: Database,
        path: &Path,
        witness: Option<&Path>,
        master: &MasterKey,
        rollback: Rollback,
    ) -> Result<Self, StoreError> {
        let Opened { seal, mut commits, index } = writer::open(&database, path, master)?;
        let seal = Arc::new(seal);
        let mut rolled_back = false;
        let witness = match witness {
            None => None,
            Some(place) => {
                let seen = compare(place, path, &seal, commits, rollback)?;
                rolled_back = seen.is_none_or(|seen| seen > commits);
                commits = commits.max(seen.unwrap_or(0));
                witness::tell(place, &seal, commits)?;
                Some(Witness::start(place.to_owned(), Arc::clone(&seal), commits)?)
            }
        };
        let shared = Arc::new(Shared { path: path.to_owned(), seal, waiting: AtomicUsize::new(0) });
        let (queue, work) = mpsc::channel();
        let writer = Writer::new(database, Arc::clone(&shared), commits, index, witness);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&work))
            .map_err(|error| failed(path, error))?;
        Ok(Self { shared, queue: Some(queue), writer: Some(thread), rolled_back })
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

impl Store for EmbeddedStore {
    fn commit(&self, changes: Vec<Change>) -> Commit {
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

    fn load(&self, space: Space) -> Load {
        let (answer, receiver) = oneshot::channel();
        self.enqueue(Work::Load { space, answer });
        Load(Answer::Later(receiver))
    }

    fn backlog(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for EmbeddedStore {
    /// Waits until everything that was committed is durable and the file is closed.
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

/// What the witness saw; nothing if it cannot be asked and that is accepted.
fn compare(
    place: &Path,
    path: &Path,
    seal: &Seal,
    commits: u64,
    rollback: Rollback,
) -> Result<Option<u64>, StoreError> {
    let no_witness = |problem: &str| match rollback {
        Rollback::Accept => Ok(None),
        Rollback::Refuse => {
            Err(StoreError::NoWitness { path: place.to_owned(), problem: problem.to_owned() })
        }
    };
    match witness::ask(place, seal)? {
        Testimony::Commits(seen) if seen > commits && rollback == Rollback::Refuse => {
            Err(StoreError::RolledBack { path: path.to_owned(), store: commits, witness: seen })
        }
        Testimony::Commits(seen) => Ok(Some(seen)),
        // A new store: its witness is written before its first commit.
        Testimony::Missing if commits == 0 => Ok(Some(0)),
        Testimony::Missing => no_witness("missing"),
        Testimony::Unbelievable(problem) => no_witness(problem),
    }
}

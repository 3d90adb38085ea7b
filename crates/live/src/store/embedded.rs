//! The embedded store: one file (redb), one writing thread, one synchronisation for many commits.
//!
//! Callers seal their values and queue them; the thread takes everything that waits (bounded), writes it in one
//! transaction, synchronises the file once, then answers all. So the cost of a synchronisation, some milliseconds
//! on most disks, is shared by whoever came meanwhile.
//!
//! Deleting a record frees its page; the sealed bytes stay in the file until the page is used again, and open only
//! with the master key.

use super::seal::{Counted, Header, MasterKey, Seal, failed};
use super::witness::{self, Testimony, Witness};
use super::{
    Answer, Change, Commit, KEY_LIMIT, Load, Records, Space, Store, StoreError, VALUE_LIMIT, Waiter,
};
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use tokio::time::Instant;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const HEADER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("header");

/// One transaction takes at most this many bytes of changes, so that nobody waits for a huge one.
const TRANSACTION_LIMIT: usize = 16 << 20;
/// Beyond this many bytes that wait, commits are refused.
const BACKLOG_LIMIT: usize = 256 << 20;
/// Pages kept in memory; they hold sealed values only.
const CACHE: usize = 64 << 20;
/// How long a transaction waits at most for those whom the last one answered.
const LONGEST_PATIENCE: Duration = Duration::from_millis(1);
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
    /// [`StoreError::Failed`].
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
        let (seal, mut commits) = open_header(&database, path, master)?;
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
        let writer = Writer {
            database,
            shared: Arc::clone(&shared),
            commits,
            witness,
            failure: None,
            last_answered: 0,
            last_took: Duration::ZERO,
        };
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

/// Reads the header, or writes one into an empty database; gives the seal and the number of commits.
fn open_header(database: &Database, path: &Path, master: &MasterKey) -> Result<(Seal, u64), StoreError> {
    let failed = |error: &dyn Display| failed(path, error);
    let transaction = database.begin_write().map_err(|error| failed(&error))?;
    let opened = {
        let mut table = transaction.open_table(HEADER).map_err(|error| failed(&error))?;
        let header =
            table.get("header").map_err(|error| failed(&error))?.map(|value| Header(value.value().to_vec()));
        let counter =
            table.get("commits").map_err(|error| failed(&error))?.map(|value| value.value().to_vec());
        match header {
            Some(header) => {
                let seal = Seal::open(master, &header, path)?;
                let commits = read_counter(&seal, counter.as_deref())
                    .ok_or_else(|| failed(&"its count of commits was changed outside this program"))?;
                (seal, commits)
            }
            None => {
                let (seal, header) = Seal::create(master)?;
                table.insert("header", header.0.as_slice()).map_err(|error| failed(&error))?;
                table
                    .insert("commits", counter_value(&seal, 0).as_slice())
                    .map_err(|error| failed(&error))?;
                (seal, 0)
            }
        }
    };
    transaction.open_table(RECORDS).map_err(|error| failed(&error))?;
    transaction.commit().map_err(|error| failed(&error))?;
    Ok(opened)
}

fn counter_value(seal: &Seal, commits: u64) -> Vec<u8> {
    [&commits.to_be_bytes()[..], &seal.proof(Counted::InStore, commits)].concat()
}

fn read_counter(seal: &Seal, value: Option<&[u8]>) -> Option<u64> {
    let value = value?;
    let commits = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
    bool::from(value.ct_eq(&counter_value(seal, commits))).then_some(commits)
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

/// The thread that writes.
struct Writer {
    database: Database,
    shared: Arc<Shared>,
    commits: u64,
    witness: Option<Witness>,
    /// After a failure nothing is known of the file's state until it is opened again.
    failure: Option<StoreError>,
    /// How many commits the last transaction took, and how long it lasted.
    last_answered: usize,
    last_took: Duration,
}

impl Writer {
    fn run(mut self, work: &mpsc::Receiver<Work>) {
        while let Ok(first) = work.recv() {
            let start = Instant::now();
            // Those who were just answered come back at once, most of them: without a moment's patience the first
            // of them would be written alone, and all others wait for two synchronisations.
            let patience = (self.last_took / 8).min(LONGEST_PATIENCE);
            let expected = self.last_answered;
            let mut batch = Batch::default();
            let mut load = None;
            let mut item = Some(first);
            while let Some(work_item) = item.take() {
                match work_item {
                    Work::Commit { changes, bytes, answer } => batch.add(changes, bytes, answer),
                    Work::Load { space, answer } => {
                        load = Some((space, answer));
                        break;
                    }
                }
                if batch.bytes >= TRANSACTION_LIMIT {
                    break;
                }
                item = work.try_recv().ok();
                if item.is_none() && batch.answers.len() < expected {
                    item = work.recv_timeout(patience.saturating_sub(start.elapsed())).ok();
                }
            }
            let start = Instant::now();
            self.last_answered = batch.answers.len();
            self.write(batch);
            self.last_took = start.elapsed();
            if let Some((space, answer)) = load {
                // Whoever asked may be gone; then nobody needs the records.
                let _ = answer.send(self.read(space));
            }
        }
    }

    fn write(&mut self, batch: Batch) {
        if batch.answers.is_empty() {
            return;
        }
        let bytes = batch.bytes;
        let result = match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => self.transact(batch.changes).map_err(|error| failed(&self.shared.path, error)),
        };
        self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
        match &result {
            Ok(()) => {
                if let Some(witness) = &self.witness {
                    witness.durable(self.commits);
                }
            }
            Err(error) if self.failure.is_none() => {
                tracing::error!(%error, "the store failed; it takes no more commits");
                self.failure = Some(error.clone());
            }
            Err(_) => {}
        }
        for answer in batch.answers {
            // A caller that stopped waiting learns nothing; its changes are durable all the same.
            let _ = answer.send(result.clone());
        }
    }

    fn transact(&mut self, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), redb::Error> {
        let commits = self.commits + 1;
        let transaction = self.database.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for (place, record) in &changes {
                match record {
                    Some(record) => records.insert(place.as_slice(), record.as_slice())?,
                    None => records.remove(place.as_slice())?,
                };
            }
            let mut header = transaction.open_table(HEADER)?;
            header.insert("commits", counter_value(&self.shared.seal, commits).as_slice())?;
        }
        transaction.commit()?;
        self.commits = commits;
        Ok(())
    }

    fn read(&self, space: Space) -> Result<Records, StoreError> {
        let failed = |error: &dyn Display| failed(&self.shared.path, error);
        let transaction = self.database.begin_read().map_err(|error| failed(&error))?;
        let table = transaction.open_table(RECORDS).map_err(|error| failed(&error))?;
        let prefix = space.prefix();
        let mut records = Records::new();
        for entry in table.range(&prefix[..]..).map_err(|error| failed(&error))? {
            let (place, record) = entry.map_err(|error| failed(&error))?;
            let Some(key) = place.value().strip_prefix(&prefix) else { break };
            records.push((key.to_vec(), self.shared.seal.open_record(space, key, record.value())?));
        }
        Ok(records)
    }
}

/// What one transaction takes: the last change of each place, and everybody who waits for it.
#[derive(Default)]
struct Batch {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    answers: Vec<Waiter<()>>,
}

impl Batch {
    fn add(&mut self, changes: Vec<Sealed>, bytes: usize, answer: Waiter<()>) {
        self.changes.extend(changes);
        self.bytes += bytes;
        self.answers.push(answer);
    }
}

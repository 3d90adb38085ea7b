//! The store in PostgreSQL: a log of rows in a database that several replicas of a node can reach.
//!
//! A node's key manager owns its state in memory, so of all replicas one leads, and the others stand by: they wait for
//! the store's lock, and keep their own witnesses up to date meanwhile. When the leader dies, or the database hears
//! nothing of it, the lock becomes free and one of the others takes the store over (`session` says how the old one is
//! kept from writing). Rows, and what a change of them by somebody else is met with, are as in the embedded store; a
//! database that was put back to an older state is noticed by every replica whose witness saw more.

pub mod address;
mod password;
mod session;

pub use address::Address;

use super::log::{self, Log, Opened, Shared, Work, Writer};
use super::master::MasterKeyChoice;
use super::seal::{MasterKey, Seal, failed};
use super::witness::{self, Newcomer, Seen};
use super::{Change, Commit, Load, Lost, Rollback, Space, Store, StoreError};
use session::{RowsInDatabase, Session};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

/// How often a replica that stands by asks for the lock.
const ASK: Duration = Duration::from_millis(200);
/// How often it looks how far the leader is.
const LOOK: Duration = Duration::from_secs(1);

/// Which store, and where.
pub struct PostgresSettings {
    /// The database.
    pub address: Address,
    /// Whose store it is in the database: the same for all replicas of a node, and another for each node.
    pub name: String,
    /// This replica's own witness: a file that is no part of the database.
    pub witness: PathBuf,
    /// What to do if the database is older than the witness.
    pub rollback: Rollback,
}

/// A store in PostgreSQL that this replica leads.
pub struct PostgresStore {
    log: Log,
    rolled_back: bool,
    broken: watch::Receiver<Option<StoreError>>,
}

impl PostgresStore {
    /// Waits until this replica leads, and opens the store, or makes it. Calls `stands_by` once if another leads now.
    /// Dropping the future gives up.
    ///
    /// # Errors
    /// If the database cannot be reached or fails, [`StoreError::WrongMasterKey`] (also while another leads),
    /// [`StoreError::RolledBack`], [`StoreError::NoWitness`], [`StoreError::RowTampered`].
    pub async fn open(
        settings: PostgresSettings,
        master: MasterKeyChoice,
        stands_by: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StoreError> {
        let path = PathBuf::from(format!("{} ({})", settings.address, settings.name));
        let (queue, work) = mpsc::channel();
        let (answer, opened) = oneshot::channel();
        let place = path.clone();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve(settings, &place, &master, stands_by, answer, &work))
            .map_err(|error| failed(&path, error))?;
        let Ready { shared, rolled_back, broken } = opened.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { log: Log::new(shared, queue, thread), rolled_back, broken })
    }

    /// Whether the store was opened although it is older than its witness, or its witness cannot be believed.
    pub fn rolled_back(&self) -> bool {
        self.rolled_back
    }
}

impl Store for PostgresStore {
    fn commit(&self, changes: Vec<Change>) -> Commit {
        self.log.commit(changes)
    }

    fn load(&self, space: Space) -> Load {
        self.log.load(space)
    }

    fn backlog(&self) -> usize {
        self.log.backlog()
    }

    fn lost(&self) -> Lost {
        let mut broken = self.broken.clone();
        Box::pin(async move {
            let found = broken.wait_for(Option::is_some).await;
            found.ok().and_then(|error| error.clone()).unwrap_or(StoreError::Closed)
        })
    }
}

struct Ready {
    shared: Arc<Shared>,
    rolled_back: bool,
    broken: watch::Receiver<Option<StoreError>>,
}

/// The thread of a store: waits for the lock, opens the store, says so, and writes what is queued until nobody can
/// queue anything any more.
fn serve(
    settings: PostgresSettings,
    path: &std::path::Path,
    master: &MasterKeyChoice,
    stands_by: impl FnOnce(),
    answer: oneshot::Sender<Result<Ready, StoreError>>,
    work: &mpsc::Receiver<Work>,
) {
    let (tell, broken) = watch::channel(None);
    let open = || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store-connection")
            .enable_all()
            .build()
            .map_err(|error| failed(path, error))?;
        let waited = runtime.block_on(lead(&settings, path, master, stands_by, &answer, &tell))?;
        let Some((session, master)) = waited else { return Ok(None) };
        let session = Arc::new(session);
        let (epoch, of_pulse) = watch::channel(0);
        let mut rows =
            RowsInDatabase { session: Arc::clone(&session), epoch, seal: None, commit: None, runtime };
        let Opened { seal, commits, index } = log::open(&mut rows, path, &master)?;
        let seal = Arc::new(seal);
        rows.seal = Some(Arc::clone(&seal));
        rows.runtime.spawn(session::pulse(session, of_pulse, tell.clone()));
        let place = &settings.witness;
        let seen = witness::begin(place, path, &seal, commits, settings.rollback, Newcomer::Welcome)?;
        let Seen { commits, rolled_back, witness } = seen;
        let shared = Shared::new(path.to_owned(), seal);
        let writer = Writer::new(rows, Arc::clone(&shared), commits, index, witness);
        Ok(Some((Ready { shared, rolled_back, broken }, writer)))
    };
    // Whoever asked may have given up: then nothing is led.
    match open() {
        Ok(Some((ready, writer))) => {
            if answer.send(Ok(ready)).is_ok() {
                writer.run(work);
            }
        }
        Ok(None) => {}
        Err(error) => {
            let _ = answer.send(Err(error));
        }
    }
}

/// A session that holds the lock, and the master key; none if whoever asked has given up.
async fn lead(
    settings: &PostgresSettings,
    path: &std::path::Path,
    master: &MasterKeyChoice,
    stands_by: impl FnOnce(),
    asked: &oneshot::Sender<Result<Ready, StoreError>>,
    tell: &watch::Sender<Option<StoreError>>,
) -> Result<Option<(Session, MasterKey)>, StoreError> {
    let session = Session::connect(&settings.address, &settings.name, path, tell.clone()).await?;
    session.check_durability().await?;
    let (mut stands_by, mut known, mut looked) = (Some(stands_by), None, None::<Instant>);
    while !asked.is_closed() {
        // A wrong master key is told now, and not when the leader has died.
        if known.is_none()
            && let Some(header) = session.header().await?
        {
            let master = master.open(true)?;
            known = Some((Seal::open(&master, &header, path)?, master));
        }
        if session.try_lock().await? {
            if known.is_none() && session.header().await?.is_some() {
                // It was made between the two questions: once more, with its key.
                continue;
            }
            let master = match known {
                Some((_, master)) => master,
                None => master.open(false)?,
            };
            return Ok(Some((session, master)));
        }
        if let Some(stands_by) = stands_by.take() {
            stands_by();
        }
        if let Some((seal, _)) = &known
            && looked.is_none_or(|looked| looked.elapsed() >= LOOK)
        {
            looked = Some(Instant::now());
            if let Some(commits) = session.commits(seal).await? {
                witness::advance(&settings.witness, seal, commits)?;
            }
        }
        sleep(ASK).await;
    }
    Ok(None)
}

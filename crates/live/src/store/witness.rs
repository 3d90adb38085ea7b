//! The store's witness: the number of its last commit, kept outside it.
//!
//! If an old copy of the store is put back, its own count is behind the witness'. The witness is written by a
//! thread of its own, at most once a second and when the store closes, always after the commit became durable; so it
//! is never ahead of a store that nobody put back, and a copy less than a second older than the store may go
//! unnoticed here (the peers, who remember what they were told, notice that). On the same disk it is put back
//! together with the store: give it a place that is not part of the same snapshot (`--witness`).

use super::seal::{Seal, failed};
use super::{Rollback, StoreError};
use crate::hex;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;
use subtle::ConstantTimeEq;

const PAUSE: Duration = Duration::from_secs(1);
const TITLE: &str = "bellwether store witness 1";

/// What to do with a store that has commits where there is no witness at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newcomer {
    /// Somebody took the witness away.
    Refused,
    /// This replica sees the store for the first time.
    Welcome,
}

/// How a store goes on after its witness was asked.
pub(super) struct Seen {
    /// Commits are counted from here on.
    pub(super) commits: u64,
    /// Whether the store may be older than what was done.
    pub(super) rolled_back: bool,
    /// Kept up to date from now on.
    pub(super) witness: Option<Witness>,
}

/// Compares a store of so many commits with its witness at `place`, and keeps the witness from now on.
pub(super) fn begin(
    place: &Path,
    store: &Path,
    seal: &Arc<Seal>,
    commits: u64,
    rollback: Rollback,
    newcomer: Newcomer,
) -> Result<Seen, StoreError> {
    let seen = compare(place, store, seal, commits, rollback, newcomer)?;
    let rolled_back = seen.is_none_or(|seen| seen > commits);
    let commits = commits.max(seen.unwrap_or(0));
    tell(place, seal, commits)?;
    let witness = Some(Witness::start(place.to_owned(), Arc::clone(seal), commits)?);
    Ok(Seen { commits, rolled_back, witness })
}

/// What the witness saw; nothing if it cannot be asked and that is accepted.
fn compare(
    place: &Path,
    store: &Path,
    seal: &Seal,
    commits: u64,
    rollback: Rollback,
    newcomer: Newcomer,
) -> Result<Option<u64>, StoreError> {
    let no_witness = |problem: &str| match rollback {
        Rollback::Accept => Ok(None),
        Rollback::Refuse => {
            Err(StoreError::NoWitness { path: place.to_owned(), problem: problem.to_owned() })
        }
    };
    match ask(place, seal)? {
        Testimony::Commits(seen) if seen > commits && rollback == Rollback::Refuse => {
            Err(StoreError::RolledBack { path: store.to_owned(), store: commits, witness: seen })
        }
        Testimony::Commits(seen) => Ok(Some(seen)),
        // A new store: its witness is written before its first commit.
        Testimony::Missing if commits == 0 || newcomer == Newcomer::Welcome => Ok(Some(0)),
        Testimony::Missing => no_witness("missing"),
        Testimony::Unbelievable(problem) => no_witness(problem),
    }
}

/// What a witness says.
pub(super) enum Testimony {
    /// The store had this many commits once.
    Commits(u64),
    /// There is none.
    Missing,
    /// It cannot be believed.
    Unbelievable(&'static str),
}

/// Asks the witness at `path`.
pub(super) fn ask(path: &Path, seal: &Seal) -> Result<Testimony, StoreError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Testimony::Missing),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Ok(Testimony::Unbelievable("no witness' file"));
        }
        Err(error) => return Err(failed(path, error)),
    };
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Ok(Testimony::Unbelievable("no witness' file"));
    }
    if lines.next() != Some(hex::encode(seal.store()).as_str()) {
        return Ok(Testimony::Unbelievable("that of another store"));
    }
    let Some(commits) = lines.next().and_then(|line| line.parse().ok()) else {
        return Ok(Testimony::Unbelievable("no witness' file"));
    };
    let proof = hex::encode(&seal.witness_proof(commits));
    if !bool::from(lines.next().unwrap_or_default().as_bytes().ct_eq(proof.as_bytes())) {
        return Ok(Testimony::Unbelievable("changed outside this program"));
    }
    Ok(Testimony::Commits(commits))
}

/// Writes the witness, durably.
pub(super) fn tell(path: &Path, seal: &Seal, commits: u64) -> Result<(), StoreError> {
    let proof = hex::encode(&seal.witness_proof(commits));
    let text = format!("{TITLE}\n{}\n{commits}\n{proof}\n", hex::encode(seal.store()));
    crate::identity::files::write_private(path, text.as_bytes()).map_err(|error| failed(path, error))
}

/// Lets a witness that is there, or none, know of commits that another replica made. One that saw more, or cannot be
/// believed, stays as it is: whoever opens the store hears of that.
pub(super) fn advance(path: &Path, seal: &Seal, commits: u64) -> Result<(), StoreError> {
    match ask(path, seal)? {
        Testimony::Commits(seen) if seen < commits => tell(path, seal, commits),
        Testimony::Missing => tell(path, seal, commits),
        _ => Ok(()),
    }
}

/// Keeps a witness up to date until dropped.
pub(super) struct Witness {
    commits: Arc<AtomicU64>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Starts at `commits`, which `path` says already.
    pub(super) fn start(path: PathBuf, seal: Arc<Seal>, commits: u64) -> Result<Self, StoreError> {
        let latest = Arc::new(AtomicU64::new(commits));
        let (stop, stopped) = mpsc::channel();
        let seen = Arc::clone(&latest);
        let place = path.clone();
        let work = move || {
            let mut told = commits;
            loop {
                let last = stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout);
                let now = seen.load(Ordering::Acquire);
                if now != told {
                    match tell(&path, &seal, now) {
                        Ok(()) => told = now,
                        Err(error) => tracing::error!(%error, "the store's witness cannot be written"),
                    }
                }
                if last {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("store-witness".to_owned())
            .spawn(work)
            .map_err(|error| failed(&place, error))?;
        Ok(Self { commits: latest, stop: Some(stop), thread: Some(thread) })
    }

    /// A commit became durable.
    pub(super) fn durable(&self, commits: u64) {
        self.commits.store(commits, Ordering::Release);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's witness stopped by a fault");
        }
    }
}

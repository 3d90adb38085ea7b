//! The durable store: small keyed records, sealed at rest.
//!
//! A machine's `Persist` becomes a [`Store::commit`], and the answer `Persisted` follows once the commit's future
//! is ready. Commits become durable in the order in which they were called, each wholly or not at all. Values are
//! secrets and are sealed ([`seal`]) before they reach a disk; keys of records are not, and must carry none.
//!
//! [`embedded`] keeps them in one file, [`postgres`] in a database that several replicas of a node can reach, [`memory`]
//! in memory for tests, with the semantics of a crash.

pub mod embedded;
mod log;
pub mod master;
pub mod memory;
pub mod postgres;
pub mod seal;
mod token;
mod witness;

pub use embedded::EmbeddedStore;
pub use master::{MasterKeyChoice, MasterKeyPlace};
pub use memory::MemoryStore;
pub use postgres::PostgresStore;
pub use seal::MasterKey;
pub use token::TokenKey;

use bellwether_units::LinkId;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// What to do with a store that was put back to an older state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rollback {
    /// Refuse to open it ([`StoreError::RolledBack`], [`StoreError::NoWitness`]).
    #[default]
    Refuse,
    /// Open it and say so (`rolled_back` of the store): whatever was owned then must be burned.
    Accept,
}

/// Keys of records are at most this long, in bytes.
pub const KEY_LIMIT: usize = 1024;
/// Values of records are at most this long, in bytes.
pub const VALUE_LIMIT: usize = 64 << 20;

/// Whose records they are: each machine of a node has a space of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Keys for applications.
    Delivery,
    /// Pools and relay.
    Relay,
    /// One link end's session.
    Link(LinkId),
    /// The node's own affairs.
    Meta,
}

impl Space {
    /// Five bytes that come before a record's key, so that spaces never meet.
    fn prefix(self) -> [u8; 5] {
        let (tag, number) = match self {
            Self::Meta => (0, 0),
            Self::Delivery => (1, 0),
            Self::Relay => (2, 0),
            Self::Link(LinkId(link)) => (3, link),
        };
        let [a, b, c, d] = number.to_be_bytes();
        [tag, a, b, c, d]
    }

    /// Where the record stands in a store that keeps all spaces in one order.
    fn place(self, key: &[u8]) -> Vec<u8> {
        [&self.prefix(), key].concat()
    }
}

/// One step of a commit. Two changes of one key in a commit: the later holds.
pub enum Change {
    /// Sets a record, whether it was there or not.
    Put {
        /// Whose.
        space: Space,
        /// Its key, at most [`KEY_LIMIT`] bytes, not secret.
        key: Vec<u8>,
        /// Its value, at most [`VALUE_LIMIT`] bytes, sealed at rest.
        value: Zeroizing<Vec<u8>>,
    },
    /// Removes a record; none there is no error.
    Delete {
        /// Whose.
        space: Space,
        /// Its key.
        key: Vec<u8>,
    },
}

/// Records of one space: key and value.
pub type Records = Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>;

/// What a store can answer instead of what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system or the database refused. The store takes no more commits: open it again.
    #[error("the store at {} failed: {problem}", path.display())]
    Failed {
        /// Where it is.
        path: PathBuf,
        /// What happened.
        problem: String,
    },
    /// The master key does not open this store.
    #[error(
        "the master key does not open the store at {}: it is another store's key, or the store's header was changed",
        path.display()
    )]
    WrongMasterKey {
        /// Where the store is.
        path: PathBuf,
    },
    /// A record is not what was sealed under its key: changed, moved, or from another store.
    #[error("a record of the store was changed or moved outside this program ({space:?}, key {key})")]
    Tampered {
        /// Whose record.
        space: Space,
        /// Its key, hexadecimal.
        key: String,
    },
    /// A row of the store's file, which holds the changes of one transaction, is not what was written there.
    #[error(
        "row {row} of the store at {} was changed, put back or taken away outside this program",
        path.display()
    )]
    RowTampered {
        /// Where the store is.
        path: PathBuf,
        /// The row's number.
        row: u64,
    },
    /// The store is older than what its witness has seen: an old copy was put back.
    #[error(
        "the store at {} was put back to an older state (commit {store}, its witness saw {witness}): \
         keys in it may have been handed out. `bellwether node` opens it with --accept-rollback; what it \
         holds is then burned",
        path.display()
    )]
    RolledBack {
        /// Where the store is.
        path: PathBuf,
        /// The last commit in the store.
        store: u64,
        /// A commit that was durable once.
        witness: u64,
    },
    /// The witness is gone or not this store's, so nobody can tell whether the store is current.
    #[error("the witness {} of the store is {problem}: whether the store is current cannot be told. \
         `bellwether node` opens it with --accept-rollback; what it holds is then burned", path.display())]
    NoWitness {
        /// Where the witness should be.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The master key cannot be read.
    #[error("the master key cannot be used: {0}")]
    MasterKey(String),
    /// A key or value beyond [`KEY_LIMIT`] or [`VALUE_LIMIT`].
    #[error("a record with a key of {key} bytes and a value of {value} bytes is too large for the store")]
    TooLarge {
        /// Length of the key.
        key: usize,
        /// Length of the value.
        value: usize,
    },
    /// More commits wait than the store will hold. Nothing of this one was done.
    #[error("the store is behind: {waiting} bytes wait to become durable")]
    Behind {
        /// Bytes that wait.
        waiting: usize,
    },
    /// Another replica of the node has taken the store over.
    #[error(
        "another replica has taken over the store at {}: this one may write nothing more, and nothing that it had not \
         made durable was given to anybody",
        path.display()
    )]
    TakenOver {
        /// Where the store is.
        path: PathBuf,
    },
    /// What was said of where the database is cannot be followed.
    #[error("the address of the store cannot be used: {0}")]
    Address(String),
    /// The store was closed before it answered; the commit may be durable or not.
    #[error("the store was closed")]
    Closed,
}

/// Small keyed records that survive a crash.
pub trait Store: Send + Sync {
    /// Makes these changes durable, all or none. They are queued by the call itself, so two calls one after the
    /// other become durable in that order, whether or not the first is awaited.
    fn commit(&self, changes: Vec<Change>) -> Commit;

    /// All records of a space, ordered by key, with every commit that was called before.
    fn load(&self, space: Space) -> Load;

    /// How many bytes wait to become durable. A driver stops taking new work above a bound of its own, far below
    /// the one at which commits are refused ([`StoreError::Behind`]).
    fn backlog(&self) -> usize;

    /// Ready with the reason as soon as the store is known to take no more commits, also if nobody has tried one. For
    /// a store that only a commit can find broken, it never is.
    fn lost(&self) -> Lost {
        Box::pin(std::future::pending())
    }
}

/// Ready once a store takes no more commits.
pub type Lost = Pin<Box<dyn Future<Output = StoreError> + Send>>;

/// Ready once a commit is durable.
#[must_use = "a commit that nobody awaits may have failed"]
pub struct Commit(Answer<()>);

/// Ready with the records.
#[must_use = "records are read for somebody"]
pub struct Load(Answer<Records>);

/// Where the answer to a commit or a load goes.
type Waiter<T> = oneshot::Sender<Result<T, StoreError>>;

enum Answer<T> {
    Now(Option<Result<T, StoreError>>),
    Later(oneshot::Receiver<Result<T, StoreError>>),
}

impl<T: Unpin> Answer<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, StoreError>> {
        match self {
            Self::Now(result) => Poll::Ready(result.take().unwrap_or(Err(StoreError::Closed))),
            Self::Later(receiver) => {
                Pin::new(receiver).poll(context).map(|answer| answer.unwrap_or(Err(StoreError::Closed)))
            }
        }
    }
}

impl Future for Commit {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

impl Future for Load {
    type Output = Result<Records, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

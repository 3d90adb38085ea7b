//! The audit log of a node: who was given which keys, what touched them, what went wrong. No key is in it.
//!
//! `STATE/nodes/NAME/audit.jsonl` has one JSON object a line, chained by hashes ([`chain`]). It only grows; beyond a
//! size it is renamed to `audit.NUMBER.jsonl`, after the number of its first entry, and the next file continues the
//! chain. Entries are written in batches, each followed by `fdatasync`. While nothing can be written, entries wait, and
//! [`AuditLog::is_behind`] tells the key manager to give no more keys.
//!
//! The chain shows that nothing within it was changed. It cannot show that its end was cut off: for that, keep the
//! head that `GET /api/v1/status` tells somewhere else, and look for it ([`check::verify`]).

pub mod chain;
pub mod check;
mod writer;

use crate::interface::operations::events::Event;
use chain::{BrokenChain, Head};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::oneshot;
use writer::Writer;

/// The file that is written to.
pub const FILE: &str = "audit.jsonl";
/// A file that is larger is put aside and continued in another, in bytes.
pub const FILE_LIMIT: u64 = 64 << 20;
/// With so many entries waiting the log is behind.
const BEHIND: usize = 8192;

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the audit log {}: {source}", path.display())]
pub struct AuditError {
    /// What was tried.
    pub doing: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

/// What stood in the log when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A chain that holds, as far back as was looked.
    Whole,
    /// A chain that holds, and so many bytes of an entry that was being written when the node stopped; these were
    /// cut off. That entry's key had not been told of as durable, but may have been given out.
    Cut(u64),
    /// A chain that does not hold. The file was put aside and a new one begun.
    Broken {
        /// Where the file is now.
        kept_as: PathBuf,
        /// What is wrong.
        why: BrokenChain,
    },
}

enum Order {
    Append(Arc<Event>),
    Flush(oneshot::Sender<()>),
}

/// What the log's thread tells.
#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    failures: AtomicU64,
    written: AtomicU64,
    head: Mutex<Head>,
}

/// A handle of the log. When the last is dropped, what waits is written.
#[derive(Clone)]
pub struct AuditLog {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
}

impl AuditLog {
    /// Opens the log in `folder`, checks its tail and starts the thread that writes it. A file larger than `limit`
    /// bytes is put aside.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(folder: &Path, limit: u64) -> Result<(Self, Found), AuditError> {
        let (writer, found) = Writer::open(folder, limit)?;
        let shared = Arc::new(Shared { head: Mutex::new(writer.head()), ..Shared::default() });
        let (orders, to_do) = mpsc::channel();
        let to_tell = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        thread.spawn(move || writer.run(&to_do, &to_tell)).map_err(|source| AuditError {
            doing: "start a thread for",
            path: folder.join(FILE),
            source,
        })?;
        Ok((Self { orders, shared }, found))
    }

    /// An entry. It is written soon.
    pub fn append(&self, event: Arc<Event>) {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        // The thread ends with the last handle only.
        let _ = self.orders.send(Order::Append(event));
    }

    /// Ready once all that was appended before is on the disk.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        let _ = self.orders.send(Order::Flush(done));
        let _ = wait.await;
    }

    /// Whether so much waits to be written that no more keys should be given.
    pub fn is_behind(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) > BEHIND
    }

    /// How many entries wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// How many attempts to write failed since the start. An entry is tried until it is written.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// How many entries were written since the start.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Where the chain on the disk stands.
    pub fn head(&self) -> Head {
        *self.shared.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

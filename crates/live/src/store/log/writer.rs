//! The thread that writes: what waits becomes one row, synchronised once, and everybody is answered.

use super::super::seal::{MasterKey, Seal};
use super::super::witness::Witness;
use super::super::{Records, Space, StoreError, Waiter};
use super::rows::{self, Head, Index, Writing};
use super::{Backend, Sealed, Shared, Which, Work};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::time::Instant;

/// One transaction takes at most this many bytes of changes, so that nobody waits for a huge one.
const TRANSACTION_LIMIT: usize = 16 << 20;
/// Beside a transaction's own bytes, so many of the oldest rows are cleaned in it.
const LEAST_CLEANED: usize = 64 << 10;
/// How long a transaction waits at most for those whom the last one answered.
const LONGEST_PATIENCE: Duration = Duration::from_millis(1);

/// What a place holds when it is opened.
pub(in crate::store) struct Opened {
    pub(in crate::store) seal: Seal,
    pub(in crate::store) commits: u64,
    pub(in crate::store) index: Index,
}

/// Reads the header, or has one written into an empty place, and reads all rows.
pub(in crate::store) fn open<B: Backend>(
    backend: &mut B,
    path: &Path,
    master: &MasterKey,
) -> Result<Opened, StoreError> {
    let seal = match backend.header()? {
        Some(header) => Seal::open(master, &header, path)?,
        None => {
            let (seal, header) = Seal::create(master)?;
            backend.create(&header)?;
            seal
        }
    };
    let (mut index, mut commits, mut stated) = (Index::default(), 0, None);
    backend.read(Which::All, &mut |number, row| {
        let tampered = || StoreError::RowTampered { path: path.to_owned(), row: number };
        if stated.is_none() {
            index.begin_at(number);
        }
        let (head, changes) = rows::read(&seal, number, row).ok_or_else(tampered)?;
        if number != index.next() || head.commits < commits {
            return Err(tampered());
        }
        (commits, stated) = (head.commits, Some(head.first));
        let changes = changes.into_iter().map(|(place, record)| (place.to_vec(), record.map(<[u8]>::len)));
        index.written(row.len(), changes);
        Ok(())
    })?;
    if stated.is_some_and(|first| first != index.first()) {
        let row = index.first().saturating_sub(1);
        return Err(StoreError::RowTampered { path: path.to_owned(), row });
    }
    Ok(Opened { seal, commits, index })
}

/// Owns a place, and writes what is queued for it.
pub(in crate::store) struct Writer<B> {
    backend: B,
    shared: Arc<Shared>,
    commits: u64,
    index: Index,
    witness: Option<Witness>,
    /// After a failure nothing is known of the file's state until it is opened again.
    failure: Option<StoreError>,
    /// How many commits the last transaction took, and how long it lasted.
    last_answered: usize,
    last_took: Duration,
}

impl<B: Backend> Writer<B> {
    /// Goes on where a place was opened.
    pub(in crate::store) fn new(
        backend: B,
        shared: Arc<Shared>,
        commits: u64,
        index: Index,
        witness: Option<Witness>,
    ) -> Self {
        let (failure, last_answered, last_took) = (None, 0, Duration::ZERO);
        Self { backend, shared, commits, index, witness, failure, last_answered, last_took }
    }

    /// Until nobody can queue anything any more.
    pub(in crate::store) fn run(mut self, work: &mpsc::Receiver<Work>) {
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
        let result = match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => self.transact(batch.changes, batch.bytes),
        };
        self.shared.waiting.fetch_sub(batch.bytes, Ordering::Relaxed);
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

    fn transact(
        &mut self,
        changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
        bytes: usize,
    ) -> Result<(), StoreError> {
        let number = self.index.next();
        let cleaned = self.index.to_clean(2 * bytes + LEAST_CLEANED);
        let oldest = self.index.first()..self.index.first() + cleaned as u64;
        let head = Head { commits: self.commits + 1, first: oldest.end };
        let mut writing = Writing::with_room(bytes);
        let mut written = Vec::with_capacity(changes.len());
        let Self { backend, shared, index, .. } = self;
        if !oldest.is_empty() {
            let mut found = 0;
            backend.read(Which::These(&oldest.clone().collect()), &mut |number, row| {
                found += 1;
                let tampered = || StoreError::RowTampered { path: shared.path.clone(), row: number };
                let (_, carried) = rows::read(&shared.seal, number, row).ok_or_else(tampered)?;
                for (place, record) in carried {
                    if record.is_some() && index.stands(place, number) && !changes.contains_key(place) {
                        writing.push(place, record);
                        written.push((place.to_vec(), record.map(<[u8]>::len)));
                    }
                }
                Ok(())
            })?;
            if found != cleaned {
                return Err(StoreError::RowTampered { path: shared.path.clone(), row: oldest.start });
            }
        }
        for (place, record) in changes {
            // What is not there need not be deleted.
            if record.is_some() || index.has(&place) {
                writing.push(&place, record.as_deref());
                written.push((place, record.map(|record| record.len())));
            }
        }
        let row = writing.finish(&shared.seal, number, head);
        backend.write(oldest, number, &row, head.commits)?;
        index.written(row.len(), written);
        (0..cleaned).for_each(|_| index.forget_oldest());
        self.commits = head.commits;
        Ok(())
    }

    fn read(&mut self, space: Space) -> Result<Records, StoreError> {
        let prefix = space.prefix();
        let mut records = Records::new();
        let Self { backend, shared, index, .. } = self;
        let wanted = index.rows_of(&prefix);
        let mut found = 0;
        backend.read(Which::These(&wanted), &mut |number, row| {
            found += 1;
            let tampered = || StoreError::RowTampered { path: shared.path.clone(), row: number };
            let (_, changes) = rows::read(&shared.seal, number, row).ok_or_else(tampered)?;
            for (place, record) in changes {
                if let (Some(key), Some(record)) = (place.strip_prefix(&prefix), record)
                    && index.stands(place, number)
                {
                    records.push((key.to_vec(), shared.seal.open_record(space, key, record)?));
                }
            }
            Ok(())
        })?;
        if found != wanted.len() {
            let row = wanted.first().copied().unwrap_or_default();
            return Err(StoreError::RowTampered { path: shared.path.clone(), row });
        }
        records.sort_by(|(a, _), (b, _)| a.cmp(b));
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

//! The thread that writes: what waits becomes one row, synchronised once, and everybody is answered.

use super::super::seal::{Header, MasterKey, Seal, failed};
use super::super::witness::Witness;
use super::super::{Records, Space, StoreError, Waiter};
use super::rows::{self, Head, Index, Writing};
use super::{Sealed, Shared, Work};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::time::Instant;

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const HEADER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("header");

/// One transaction takes at most this many bytes of changes, so that nobody waits for a huge one.
const TRANSACTION_LIMIT: usize = 16 << 20;
/// Beside a transaction's own bytes, so many of the oldest rows are cleaned in it.
const LEAST_CLEANED: usize = 64 << 10;
/// How long a transaction waits at most for those whom the last one answered.
const LONGEST_PATIENCE: Duration = Duration::from_millis(1);

/// What the file holds when it is opened.
pub(super) struct Opened {
    pub(super) seal: Seal,
    pub(super) commits: u64,
    pub(super) index: Index,
}

/// Reads the header, or writes one into an empty database, and reads all rows.
pub(super) fn open(database: &Database, path: &Path, master: &MasterKey) -> Result<Opened, StoreError> {
    let failed = |error: &dyn Display| failed(path, error);
    let transaction = database.begin_write().map_err(|error| failed(&error))?;
    let opened = {
        let mut table = transaction.open_table(HEADER).map_err(|error| failed(&error))?;
        let header = table.get("header").map_err(|error| failed(&error))?;
        let header = header.map(|value| Header(value.value().to_vec()));
        let seal = match header {
            Some(header) => Seal::open(master, &header, path)?,
            None => {
                let (seal, header) = Seal::create(master)?;
                table.insert("header", header.0.as_slice()).map_err(|error| failed(&error))?;
                seal
            }
        };
        let table = transaction.open_table(ROWS).map_err(|error| failed(&error))?;
        let (mut index, mut commits, mut stated) = (Index::default(), 0, None);
        for entry in table.iter().map_err(|error| failed(&error))? {
            let (number, row) = entry.map_err(|error| failed(&error))?;
            let (number, row) = (number.value(), row.value());
            let tampered = || StoreError::RowTampered { path: path.to_owned(), row: number };
            if stated.is_none() {
                index.begin_at(number);
            }
            let (head, changes) = rows::read(&seal, number, row).ok_or_else(tampered)?;
            if number != index.next() || head.commits < commits {
                return Err(tampered());
            }
            (commits, stated) = (head.commits, Some(head.first));
            let changes =
                changes.into_iter().map(|(place, record)| (place.to_vec(), record.map(<[u8]>::len)));
            index.written(row.len(), changes);
        }
        if stated.is_some_and(|first| first != index.first()) {
            return Err(StoreError::RowTampered {
                path: path.to_owned(),
                row: index.first().saturating_sub(1),
            });
        }
        Opened { seal, commits, index }
    };
    transaction.commit().map_err(|error| failed(&error))?;
    Ok(opened)
}

pub(super) struct Writer {
    pub(super) database: Database,
    pub(super) shared: Arc<Shared>,
    pub(super) commits: u64,
    pub(super) index: Index,
    pub(super) witness: Option<Witness>,
    /// After a failure nothing is known of the file's state until it is opened again.
    failure: Option<StoreError>,
    /// How many commits the last transaction took, and how long it lasted.
    last_answered: usize,
    last_took: Duration,
}

impl Writer {
    pub(super) fn new(
        database: Database,
        shared: Arc<Shared>,
        commits: u64,
        index: Index,
        witness: Option<Witness>,
    ) -> Self {
        let (failure, last_answered, last_took) = (None, 0, Duration::ZERO);
        Self { database, shared, commits, index, witness, failure, last_answered, last_took }
    }

    pub(super) fn run(mut self, work: &mpsc::Receiver<Work>) {
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
            None => {
                self.transact(batch.changes, batch.bytes).map_err(|error| failed(&self.shared.path, error))
            }
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
    ) -> Result<(), redb::Error> {
        let number = self.index.next();
        let cleaned = self.index.to_clean(2 * bytes + LEAST_CLEANED);
        let oldest = self.index.first()..self.index.first() + cleaned as u64;
        let head = Head { commits: self.commits + 1, first: oldest.end };
        let mut writing = Writing::with_room(bytes);
        let mut written = Vec::with_capacity(changes.len());
        let transaction = self.database.begin_write()?;
        let row = {
            let mut table = transaction.open_table(ROWS)?;
            for number in oldest {
                let row = table.remove(number)?;
                let row = row.as_ref().map(redb::AccessGuard::value).unwrap_or_default();
                let read = rows::read(&self.shared.seal, number, row);
                let (_, carried) = read.ok_or_else(|| redb::Error::Corrupted(format!("row {number}")))?;
                for (place, record) in carried {
                    if record.is_some() && self.index.stands(place, number) && !changes.contains_key(place) {
                        writing.push(place, record);
                        written.push((place.to_vec(), record.map(<[u8]>::len)));
                    }
                }
            }
            for (place, record) in changes {
                // What is not there need not be deleted.
                if record.is_some() || self.index.has(&place) {
                    writing.push(&place, record.as_deref());
                    written.push((place, record.map(|record| record.len())));
                }
            }
            let row = writing.finish(&self.shared.seal, number, head);
            table.insert(number, row.as_slice())?;
            row.len()
        };
        transaction.commit()?;
        self.index.written(row, written);
        (0..cleaned).for_each(|_| self.index.forget_oldest());
        self.commits = head.commits;
        Ok(())
    }

    fn read(&self, space: Space) -> Result<Records, StoreError> {
        let failed = |error: &dyn Display| failed(&self.shared.path, error);
        let transaction = self.database.begin_read().map_err(|error| failed(&error))?;
        let table = transaction.open_table(ROWS).map_err(|error| failed(&error))?;
        let prefix = space.prefix();
        let mut records = Records::new();
        for number in self.index.rows_of(&prefix) {
            let row = table.get(number).map_err(|error| failed(&error))?;
            let row = row.as_ref().map(redb::AccessGuard::value).unwrap_or_default();
            let tampered = || StoreError::RowTampered { path: self.shared.path.clone(), row: number };
            let (_, changes) = rows::read(&self.shared.seal, number, row).ok_or_else(tampered)?;
            for (place, record) in changes {
                if let (Some(key), Some(record)) = (place.strip_prefix(&prefix), record)
                    && self.index.stands(place, number)
                {
                    records.push((key.to_vec(), self.shared.seal.open_record(space, key, record)?));
                }
            }
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

//! The embedded store: a log of rows in one file (redb), synchronised once for many commits.

use super::log::{self, Backend, Each, Log, Opened, Shared, Which, Writer};
use super::seal::{Header, MasterKey, failed};
use super::witness::{self, Newcomer, Seen};
use super::{Change, Commit, Load, Rollback, Space, Store, StoreError};
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use std::fmt::Display;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const HEADER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("header");
/// Pages kept in memory; they hold sealed values only.
const CACHE: usize = 64 << 20;

/// A store in one file.
pub struct EmbeddedStore {
    log: Log,
    rolled_back: bool,
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
        let mut rows = RowsInFile { database, path: path.to_owned() };
        let Opened { seal, commits, index } = log::open(&mut rows, path, master)?;
        let seal = Arc::new(seal);
        let seen = match witness {
            None => Seen { commits, rolled_back: false, witness: None },
            Some(place) => witness::begin(place, path, &seal, commits, rollback, Newcomer::Refused)?,
        };
        let shared = Shared::new(path.to_owned(), seal);
        let (queue, work) = mpsc::channel();
        let writer = Writer::new(rows, Arc::clone(&shared), seen.commits, index, seen.witness);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&work))
            .map_err(|error| failed(path, error))?;
        Ok(Self { log: Log::new(shared, queue, thread), rolled_back: seen.rolled_back })
    }
}

impl Store for EmbeddedStore {
    fn commit(&self, changes: Vec<Change>) -> Commit {
        self.log.commit(changes)
    }

    fn load(&self, space: Space) -> Load {
        self.log.load(space)
    }

    fn backlog(&self) -> usize {
        self.log.backlog()
    }
}

struct RowsInFile {
    database: Database,
    path: PathBuf,
}

impl RowsInFile {
    fn failed(&self, error: impl Display) -> StoreError {
        failed(&self.path, error)
    }

    fn replace(&self, taken: Range<u64>, number: u64, row: &[u8]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(ROWS)?;
            for number in taken {
                table.remove(number)?;
            }
            table.insert(number, row)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Backend for RowsInFile {
    fn header(&mut self) -> Result<Option<Header>, StoreError> {
        let transaction = self.database.begin_read().map_err(|error| self.failed(error))?;
        let table = match transaction.open_table(HEADER) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table.map_err(|error| self.failed(error))?,
        };
        let header = table.get("header").map_err(|error| self.failed(error))?;
        Ok(header.map(|value| Header(value.value().to_vec())))
    }

    fn create(&mut self, header: &Header) -> Result<(), StoreError> {
        let create = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            transaction.open_table(HEADER)?.insert("header", header.0.as_slice())?;
            transaction.open_table(ROWS)?;
            transaction.commit()?;
            Ok(())
        };
        create().map_err(|error| self.failed(error))
    }

    fn read(&mut self, which: Which<'_>, each: Each<'_>) -> Result<(), StoreError> {
        let transaction = self.database.begin_read().map_err(|error| self.failed(error))?;
        let table = transaction.open_table(ROWS).map_err(|error| self.failed(error))?;
        match which {
            Which::All => {
                for entry in table.iter().map_err(|error| self.failed(error))? {
                    let (number, row) = entry.map_err(|error| self.failed(error))?;
                    each(number.value(), row.value())?;
                }
            }
            Which::These(numbers) => {
                for &number in numbers {
                    if let Some(row) = table.get(number).map_err(|error| self.failed(error))? {
                        each(number, row.value())?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, taken: Range<u64>, number: u64, row: &[u8], _: u64) -> Result<(), StoreError> {
        self.replace(taken, number, row).map_err(|error| self.failed(error))
    }
}

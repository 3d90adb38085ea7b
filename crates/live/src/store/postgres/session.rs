//! One connection to the database that may lead: it holds the store's lock, and its epoch is the store's.
//!
//! | table | column | what |
//! |---|---|---|
//! | `bellwether_store` | `name` | whose store: the network and the node |
//! | | `header` | the store's header, which only the master key opens |
//! | | `epoch` | how often the store was taken over |
//! | | `commits`, `proof` | how many commits it has had, and what proves that to whoever has the master key |
//! | `bellwether_row` | `store`, `number`, `content` | a row of the log |
//!
//! The lock is an advisory one of the session: the server frees it when the session ends, and ends the session when
//! its connection breaks or nothing is heard over it for [`SILENCE`]. Whoever gets the lock raises the epoch before it
//! reads a row, and every commit writes only if the epoch is still its own, in the same statement. So a leader that was
//! cut off and comes back writes nothing, also where the lock fails it (a pooler that shares sessions, an operator's
//! `pg_advisory_unlock`).

use super::super::StoreError;
use super::super::log::{Backend, Each, Which};
use super::super::seal::{Header, Seal, failed};
use super::address::{Address, host_name, told};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Error, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The server ends a session over which it has heard nothing for so long, and so frees its lock.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
/// A session says so often that it lives.
pub(super) const PULSE: Duration = Duration::from_secs(1);
/// What the server has not answered after so long counts as failed. Longer than what a commit of the largest size and
/// a replica of the database need.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Rows that are asked for at once.
const ROWS_TOGETHER: i64 = 64;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS bellwether_store (
    name text PRIMARY KEY,
    header bytea NOT NULL,
    epoch bigint NOT NULL,
    commits bigint NOT NULL,
    proof bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS bellwether_row (
    store text NOT NULL REFERENCES bellwether_store,
    number bigint NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (store, number)
);
ALTER TABLE bellwether_row ALTER COLUMN content SET STORAGE EXTERNAL;
";

/// `$1` store, `$2` epoch, `$3` commits, `$4` their proof, `$5` to `$6` the rows to be taken away, `$7` the new row's
/// number, `$8` its content. Says how many rows it wrote: none if the epoch is another one.
const COMMIT: &str = "
WITH held AS (
    UPDATE bellwether_store SET commits = $3, proof = $4 WHERE name = $1 AND epoch = $2 RETURNING name
), taken AS (
    DELETE FROM bellwether_row
    WHERE store = $1 AND number >= $5 AND number < $6 AND EXISTS (SELECT FROM held)
)
INSERT INTO bellwether_row (store, number, content) SELECT name, $7, $8 FROM held";

/// A connection that is not yet, or already, the leader's.
pub(super) struct Session {
    pub(super) client: Arc<Client>,
    store: String,
    /// What people call the place, for errors.
    pub(super) path: PathBuf,
}

impl Session {
    /// Connects and makes the tables if they are not there.
    pub(super) async fn connect(
        address: &Address,
        store: &str,
        path: &Path,
        broken: watch::Sender<Option<StoreError>>,
    ) -> Result<Self, StoreError> {
        let mut refusals = Vec::new();
        for mut server in address.servers() {
            // So that operators see in the server whose session it is.
            server.application_name(format!("bellwether {store}"));
            let connected = match &address.tls {
                None => server.connect(NoTls).await.map(|(client, connection)| {
                    tokio::spawn(drive(connection, path.to_owned(), broken.clone()));
                    client
                }),
                Some(tls) => {
                    let tls = MakeRustlsConnect::new(tls.clone());
                    server.connect(tls).await.map(|(client, connection)| {
                        tokio::spawn(drive(connection, path.to_owned(), broken.clone()));
                        client
                    })
                }
            };
            match connected {
                Ok(client) => return Self::prepared(client, store, path).await,
                Err(error) => refusals.push((server, told(&error))),
            }
        }
        let several = refusals.len() > 1;
        let refusals = refusals.into_iter().map(|(server, why)| match server.get_hosts().first() {
            Some(host) if several => format!("{}: {why}", host_name(host)),
            _ => why,
        });
        Err(failed(path, refusals.collect::<Vec<_>>().join("; ")))
    }

    async fn prepared(client: Client, store: &str, path: &Path) -> Result<Self, StoreError> {
        let session = Self { client: Arc::new(client), store: store.to_owned(), path: path.to_owned() };
        session.within(session.prepare()).await?;
        Ok(session)
    }

    /// What a session must be like before anything relies on it.
    async fn prepare(&self) -> Result<(), Error> {
        // Whoever asks for settings that an older server does not have gets the others. A commit that is answered
        // must be durable, whatever the database's own setting.
        let silence = SILENCE.as_millis().to_string();
        let settings = [
            ("idle_session_timeout", silence.as_str()),
            ("tcp_user_timeout", &silence),
            ("tcp_keepalives_idle", "2"),
            ("tcp_keepalives_interval", "1"),
            ("tcp_keepalives_count", "3"),
            ("lock_timeout", &silence),
        ];
        for (name, value) in settings {
            let set = "SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1";
            self.client.query(set, &[&name, &value]).await?;
        }
        let durable = "SELECT set_config('synchronous_commit', 'on', false) \
                       WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')";
        self.client.query(durable, &[]).await?;
        let there = "SELECT to_regclass('bellwether_store') IS NOT NULL \
                     AND to_regclass('bellwether_row') IS NOT NULL";
        if !self.client.query_one(there, &[]).await?.get::<_, bool>(0) {
            // Two that make them at once would meet in the catalogue.
            let lock = lock_of("tables");
            self.client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({lock})")).await?;
            self.client.batch_execute(TABLES).await?;
            self.client.batch_execute("COMMIT").await?;
        }
        Ok(())
    }

    /// Refuses a server that forgets what it has answered when its power fails.
    pub(super) async fn check_durability(&self) -> Result<(), StoreError> {
        let row = self.within(self.client.query_one("SELECT current_setting('fsync')", &[])).await?;
        match row.get::<_, &str>(0) {
            "on" => Ok(()),
            _ => Err(failed(
                &self.path,
                "the server runs with fsync = off and would forget keys that were handed out: turn it on",
            )),
        }
    }

    /// The store's header, if there is a store.
    pub(super) async fn header(&self) -> Result<Option<Header>, StoreError> {
        let read = "SELECT header FROM bellwether_store WHERE name = $1";
        let row = self.within(self.client.query_opt(read, &[&self.store])).await?;
        Ok(row.map(|row| Header(row.get(0))))
    }

    /// How many commits the store has had, if that is proven.
    pub(super) async fn commits(&self, seal: &Seal) -> Result<Option<u64>, StoreError> {
        let read = "SELECT commits, proof FROM bellwether_store WHERE name = $1";
        let row = self.within(self.client.query_opt(read, &[&self.store])).await?;
        Ok(row.and_then(|row| {
            let commits = u64::try_from(row.get::<_, i64>(0)).ok()?;
            let proof: &[u8] = row.get(1);
            bool::from(subtle::ConstantTimeEq::ct_eq(proof, &seal.witness_proof(commits)[..]))
                .then_some(commits)
        }))
    }

    /// Takes the store's lock if nobody has it.
    pub(super) async fn try_lock(&self) -> Result<bool, StoreError> {
        let lock = lock_of(&self.store);
        let row = self.within(self.client.query_one("SELECT pg_try_advisory_lock($1)", &[&lock])).await?;
        Ok(row.get(0))
    }

    /// The store's epoch, if there is a store.
    async fn epoch(&self) -> Result<Option<i64>, StoreError> {
        let read = "SELECT epoch FROM bellwether_store WHERE name = $1";
        Ok(self.within(self.client.query_opt(read, &[&self.store])).await?.map(|row| row.get(0)))
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(|error| failed(&self.path, told(&error))),
            Err(_) => Err(failed(&self.path, format!("the server does not answer for {PATIENCE:?}"))),
        }
    }
}

/// Moves a connection's bytes until it ends, and says that it did.
async fn drive(
    connection: impl Future<Output = Result<(), Error>>,
    path: PathBuf,
    broken: watch::Sender<Option<StoreError>>,
) {
    let how = match connection.await {
        Ok(()) => "the connection has ended".to_owned(),
        Err(error) => told(&error),
    };
    broken.send_if_modified(|first| first.is_none().then(|| *first = Some(failed(&path, how))).is_some());
}

/// Asks so often that the session lives, and says when the server is silent or the store was taken over.
pub(super) async fn pulse(
    session: Arc<Session>,
    epoch: watch::Receiver<i64>,
    broken: watch::Sender<Option<StoreError>>,
) {
    let error = loop {
        sleep(PULSE).await;
        let before = *epoch.borrow();
        match session.epoch().await {
            // Before the store is made there is none.
            Ok(now) if now.is_none_or(|now| now == before) || *epoch.borrow() != before => {}
            Ok(_) => break StoreError::TakenOver { path: session.path.clone() },
            Err(error) => break error,
        }
    };
    broken.send_if_modified(|first| first.is_none().then(|| *first = Some(error)).is_some());
}

fn lock_of(what: &str) -> i64 {
    let digest = Sha256::digest(format!("bellwether store lock 1\0{what}"));
    i64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

/// The rows of a store whose lock this session holds.
pub(super) struct RowsInDatabase {
    pub(super) session: Arc<Session>,
    /// Known to the pulse as well; 0 before the store was taken over.
    pub(super) epoch: watch::Sender<i64>,
    /// Makes proofs; there is one as soon as there is a header.
    pub(super) seal: Option<Arc<Seal>>,
    pub(super) commit: Option<Statement>,
    /// Moves the connection. Dropped last, and never by a task.
    pub(super) runtime: Runtime,
}

impl RowsInDatabase {
    fn ask<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        self.runtime.block_on(self.session.within(asked))
    }
}

impl Backend for RowsInDatabase {
    /// Takes the store over, if there is one.
    fn header(&mut self) -> Result<Option<Header>, StoreError> {
        let take = "UPDATE bellwether_store SET epoch = epoch + 1 WHERE name = $1 RETURNING header, epoch";
        let row = self.ask(self.session.client.query_opt(take, &[&self.session.store]))?;
        Ok(row.map(|row| {
            self.epoch.send_replace(row.get(1));
            Header(row.get(0))
        }))
    }

    fn create(&mut self, header: &Header) -> Result<(), StoreError> {
        let make =
            "INSERT INTO bellwether_store (name, header, epoch, commits, proof) VALUES ($1, $2, 1, 0, '')";
        self.epoch.send_replace(1);
        self.ask(self.session.client.execute(make, &[&self.session.store, &header.0]))?;
        Ok(())
    }

    fn read(&mut self, which: Which<'_>, each: Each<'_>) -> Result<(), StoreError> {
        let store = &self.session.store;
        let client = &self.session.client;
        let mut give = |rows: Vec<tokio_postgres::Row>| {
            let mut last = None;
            for row in rows {
                let number: i64 = row.get(0);
                each(number as u64, row.get(1))?;
                last = Some(number);
            }
            Ok::<_, StoreError>(last)
        };
        match which {
            Which::All => {
                let read = "SELECT number, content FROM bellwether_row WHERE store = $1 AND number > $2 \
                            ORDER BY number LIMIT $3";
                let statement = self.ask(client.prepare(read))?;
                let mut last = -1;
                while let Some(reached) =
                    give(self.ask(client.query(&statement, &[store, &last, &ROWS_TOGETHER]))?)?
                {
                    last = reached;
                }
            }
            Which::These(numbers) => {
                let read = "SELECT number, content FROM bellwether_row WHERE store = $1 AND number = ANY($2) \
                            ORDER BY number";
                let statement = self.ask(client.prepare(read))?;
                let numbers: Vec<i64> = numbers.iter().map(|&number| number as i64).collect();
                for some in numbers.chunks(ROWS_TOGETHER as usize) {
                    give(self.ask(client.query(&statement, &[store, &some]))?)?;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, taken: Range<u64>, number: u64, row: &[u8], commit: u64) -> Result<(), StoreError> {
        let client = &self.session.client;
        if self.commit.is_none() {
            self.commit = Some(self.ask(client.prepare(COMMIT))?);
        }
        let statement = self.commit.as_ref().expect("prepared above");
        let proof = self.seal.as_ref().map(|seal| seal.witness_proof(commit)).unwrap_or_default();
        let (store, epoch) = (&self.session.store, *self.epoch.borrow());
        let [commits, from, to, number] = [commit, taken.start, taken.end, number].map(|n| n as i64);
        let written = self.ask(
            client.execute(statement, &[store, &epoch, &commits, &&proof[..], &from, &to, &number, &row]),
        )?;
        match written {
            1 => Ok(()),
            _ => Err(StoreError::TakenOver { path: self.session.path.clone() }),
        }
    }
}

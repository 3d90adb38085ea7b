//! The store in PostgreSQL: the same as the embedded one must do, and replicas that take it over from each other.

use crate::database::{Server, server};
use crate::store::{
    Model, changes_records_often, commits_in_the_order_of_calls, delete, holds_what_changed_last,
    keeps_what_was_committed, plain, put, some_changes,
};
use bellwether_live::store::postgres::{Address, PostgresSettings};
use bellwether_live::store::{MasterKey, MasterKeyChoice, PostgresStore, Rollback, Space, Store, StoreError};
use bellwether_units::{EntityId, Purpose, Stream};
use rand_core::Rng;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::NoTls;

/// Beyond what any takeover needs, also on a machine with much else to do.
const LONG: Duration = Duration::from_secs(60);

/// A store in a database of a test's own.
struct Place {
    server: Arc<Server>,
    name: String,
    folder: TempDir,
    master: PathBuf,
    database: String,
}

impl Place {
    /// Nothing if there is no server to be had.
    fn new() -> Option<Self> {
        let server = server()?;
        let folder = tempfile::tempdir().unwrap();
        let master = folder.path().join("master.key");
        let database = server.new_database();
        Some(Self { server, name: "a network/A".to_owned(), folder, master, database })
    }

    fn settings(&self, replica: &str, rollback: Rollback) -> PostgresSettings {
        PostgresSettings {
            address: Address::new(&self.server.address(&self.database)).unwrap(),
            name: self.name.clone(),
            witness: self.folder.path().join(replica).join("witness"),
            rollback,
        }
    }

    fn master(&self) -> MasterKeyChoice {
        MasterKeyChoice::Own(self.master.clone())
    }

    async fn open(&self, rollback: Rollback) -> Result<PostgresStore, StoreError> {
        self.replica("first", rollback, || {}).await
    }

    async fn reopen(&self) -> PostgresStore {
        self.open(Rollback::Refuse).await.unwrap()
    }

    async fn replica(
        &self,
        name: &str,
        rollback: Rollback,
        stands_by: impl FnOnce() + Send + 'static,
    ) -> Result<PostgresStore, StoreError> {
        PostgresStore::open(self.settings(name, rollback), self.master(), stands_by).await
    }

    /// Does something behind the store's back. `STORE` stands for its name.
    async fn sql(&self, text: &str) -> Vec<tokio_postgres::SimpleQueryMessage> {
        let address = self.server.address(&self.database);
        let (client, connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let done = client.simple_query(&text.replace("STORE", &format!("'{}'", self.name))).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
        done
    }
}

macro_rules! place {
    () => {
        match Place::new() {
            Some(place) => place,
            None => return,
        }
    };
}

#[tokio::test]
async fn what_was_committed_is_in_the_database_after_reopening() {
    let place = place!();
    keeps_what_was_committed(async || place.reopen().await).await;
    commits_in_the_order_of_calls(&place.reopen().await).await;
}

#[tokio::test]
async fn the_next_server_is_taken_when_the_first_is_away_and_all_are_named_when_none_is_there() {
    let place = place!();
    let address = |hosts: &str| {
        let hosts = hosts.replace('/', "%2F");
        Address::new(&format!("postgres://bellwether@{hosts}/{}", place.database)).unwrap()
    };
    let open = async |hosts: &str| {
        let settings =
            PostgresSettings { address: address(hosts), ..place.settings("first", Rollback::Refuse) };
        PostgresStore::open(settings, place.master(), || {}).await
    };
    let socket = place.server.socket().display();
    let store = open(&format!("/nowhere,{socket}")).await.unwrap();
    store.commit(vec![put(Space::Delivery, b"key", b"value")]).await.unwrap();
    drop(store);
    let error = open("/nowhere,/elsewhere").await.err().unwrap().to_string();
    assert!(error.contains("/nowhere: ") && error.contains("/elsewhere: "), "{error}");
}

#[tokio::test]
async fn the_database_stays_small_however_often_records_change() {
    let place = place!();
    changes_records_often(&place.reopen().await).await;
    let rows = place.sql("SELECT sum(octet_length(content)) FROM bellwether_row WHERE store = STORE").await;
    let bytes = rows.iter().find_map(|row| match row {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse::<u64>().ok(),
        _ => None,
    });
    assert!(bytes.unwrap() < 2 << 20, "6.5 MB were written, 20 kB are left, and rows have {bytes:?} bytes");
    holds_what_changed_last(&place.reopen().await).await;
}

#[tokio::test]
async fn no_value_stands_in_the_database_in_the_open_and_another_master_key_opens_nothing() {
    let place = place!();
    let secret = b"a value that could be recognised";
    let store = place.reopen().await;
    store.commit(vec![put(Space::Delivery, b"key", secret)]).await.unwrap();
    let rows = place.sql("SELECT encode(content, 'escape') FROM bellwether_row WHERE store = STORE").await;
    let text = format!("{rows:?}");
    assert!(text.len() > 100 && !text.contains("recognised"));
    // Told at once, also while another leads.
    let other = place.folder.path().join("other.key");
    let opened = |key: MasterKeyChoice| {
        let opened = PostgresStore::open(place.settings("second", Rollback::Refuse), key, || {});
        async { timeout(LONG, opened).await.unwrap().err().unwrap() }
    };
    let error = opened(MasterKeyChoice::Own(other.clone())).await.to_string();
    assert!(error.contains("other.key") && !other.exists(), "{error}");
    MasterKey::create_file(&other).unwrap();
    let error = opened(MasterKeyChoice::Own(other)).await;
    assert!(matches!(error, StoreError::WrongMasterKey { .. }), "{error}");
}

#[tokio::test]
async fn rows_of_the_database_that_are_changed_or_taken_away_are_noticed() {
    let one = "bellwether_row WHERE store = STORE AND number = 1";
    let tampered = [
        (
            format!("UPDATE bellwether_row SET content = set_byte(content, 60, 0) || '\\x00' {}", &one[15..]),
            1,
        ),
        (format!("DELETE FROM {one}"), 2),
        (
            format!(
                "UPDATE bellwether_row SET content = (SELECT content FROM {one}) WHERE number = 2 AND store = STORE"
            ),
            2,
        ),
    ];
    for (change, told) in tampered {
        let place = place!();
        let store = place.reopen().await;
        for value in [b"1", b"2", b"3"] {
            store.commit(vec![put(Space::Relay, b"one", value)]).await.unwrap();
        }
        drop(store);
        place.sql(&change).await;
        let error = place.open(Rollback::Refuse).await.err().unwrap();
        assert!(matches!(error, StoreError::RowTampered { row, .. } if row == told), "{change}: {error}");
    }
}

#[tokio::test]
async fn a_database_put_back_is_noticed_by_every_replica_that_saw_more() {
    let place = place!();
    let store = place.reopen().await;
    store.commit(vec![put(Space::Meta, b"a", b"1")]).await.unwrap();
    place.sql("CREATE TABLE backup AS SELECT * FROM bellwether_row WHERE store = STORE").await;
    store.commit(vec![delete(Space::Meta, b"a")]).await.unwrap();
    drop(store);
    place.sql("DELETE FROM bellwether_row WHERE store = STORE; INSERT INTO bellwether_row SELECT * FROM backup; DROP TABLE backup").await;
    let error = place.open(Rollback::Refuse).await.err().unwrap();
    assert!(matches!(error, StoreError::RolledBack { store: 1, witness: 2, .. }), "{error}");
    let store = place.open(Rollback::Accept).await.unwrap();
    assert!(store.rolled_back());
    store.commit(vec![put(Space::Meta, b"b", b"2")]).await.unwrap();
    drop(store);
    assert!(!place.reopen().await.rolled_back(), "accepted once, it goes on from the witness' count");
}

#[tokio::test]
async fn whenever_the_session_is_ended_the_database_holds_a_prefix_with_all_that_was_answered() {
    let place = place!();
    let mut states = vec![Model::new()];
    let (mut broken, mut all_answered) = (0, 0);
    for seed in 0..12 {
        let mut random = Stream::new(seed, EntityId(0), Purpose::named("sessions that end"));
        let store = place.reopen().await;
        let found: Model = plain(store.load(Space::Relay).await.unwrap()).into_iter().collect();
        let mut answered = states.iter().rposition(|state| *state == found).unwrap();
        assert!(answered >= all_answered, "seed {seed}");
        states.truncate(answered + 1);
        let pause = Duration::from_micros(random.next_u64() % 20_000);
        let kill = async {
            sleep(pause).await;
            place
                .sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND application_name = 'bellwether ' || STORE",
                )
                .await;
        };
        let commits = async {
            for _ in 0..400 {
                let mut waiting = Vec::new();
                for _ in 0..1 + random.next_u64() % 4 {
                    let (changes, after) = some_changes(&mut random, states.last().unwrap(), 3000);
                    states.push(after);
                    waiting.push(store.commit(changes));
                }
                for commit in waiting {
                    if commit.await.is_err() {
                        return true;
                    }
                    answered += 1;
                }
            }
            false
        };
        let (failed, ()) = tokio::join!(commits, kill);
        broken += u32::from(failed);
        all_answered = answered;
        drop(store);
    }
    assert!(broken > 6, "{broken} of 12 were ended within commits");
}

#[tokio::test]
async fn a_replica_takes_over_when_the_leader_stops_and_when_its_epoch_is_gone() {
    let place = place!();
    let first = place.reopen().await;
    first.commit(vec![put(Space::Meta, b"a", b"1")]).await.unwrap();
    let standing = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&standing);
    let mut second = Box::pin(place.replica("second", Rollback::Refuse, move || {
        told.store(true, Ordering::SeqCst);
    }));
    assert!(timeout(Duration::from_millis(1500), &mut second).await.is_err(), "two lead");
    assert!(standing.load(Ordering::SeqCst));
    // It has looked how far the leader is.
    assert!(place.folder.path().join("second/witness").exists());
    drop(first);
    let second = timeout(LONG, second).await.unwrap().unwrap();
    assert_eq!(plain(second.load(Space::Meta).await.unwrap()), [(b"a".to_vec(), b"1".to_vec())]);

    // A leader whose lock somebody else freed meets the epoch.
    place.sql("UPDATE bellwether_store SET epoch = epoch + 1 WHERE name = STORE").await;
    let error = second.commit(vec![put(Space::Meta, b"a", b"2")]).await.unwrap_err();
    assert!(matches!(error, StoreError::TakenOver { .. }), "{error}");
    let error = timeout(LONG, second.lost()).await.unwrap();
    assert!(matches!(error, StoreError::TakenOver { .. }), "{error}");
    drop(second);
    let third = place.reopen().await;
    assert_eq!(plain(third.load(Space::Meta).await.unwrap()), [(b"a".to_vec(), b"1".to_vec())]);
}

/// Passes connections on to a server until it is told to pass nothing any more, and then keeps them open.
async fn line(server: &Server, passes: watch::Receiver<bool>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = server.socket().join(".s.PGSQL.5432");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (mut passes, socket) = (passes.clone(), socket.clone());
            tokio::spawn(async move {
                let mut far = UnixStream::connect(socket).await.unwrap();
                tokio::select! {
                    // Asked first: not a byte passes once it is cut.
                    biased;
                    // Neither side hears of the other's end.
                    () = async { drop(passes.wait_for(|passes| !passes).await) } => std::future::pending().await,
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_leader_that_is_cut_off_is_replaced_and_writes_nothing_any_more() {
    let place = place!();
    let (cut, passes) = watch::channel(true);
    let address = line(&place.server, passes).await;
    let far = format!("postgres://bellwether@{address}/{}", place.database);
    let settings =
        PostgresSettings { address: Address::new(&far).unwrap(), ..place.settings("far", Rollback::Refuse) };
    let old = PostgresStore::open(settings, place.master(), || {}).await.unwrap();
    old.commit(vec![put(Space::Meta, b"a", b"1")]).await.unwrap();
    cut.send(false).unwrap();
    let begun = Instant::now();
    let late = old.commit(vec![put(Space::Meta, b"a", b"old")]);
    let new = timeout(LONG, place.reopen()).await.unwrap();
    let took = begun.elapsed();
    println!(
        "the database ended the session of a leader that was cut off, and another led, after {took:.1?}"
    );
    assert!(took < Duration::from_secs(30), "{took:?}");
    new.commit(vec![put(Space::Meta, b"b", b"2")]).await.unwrap();
    let error = timeout(LONG, late).await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    timeout(LONG, old.lost()).await.unwrap();
    drop(old);
    let records = plain(new.load(Space::Meta).await.unwrap());
    assert_eq!(records, [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())]);
}

//! The store: reopening, tampering, rollback, crashes.

use bellwether_live::store::{
    Change, EmbeddedStore, MasterKey, MemoryStore, Records, Rollback, Space, Store, StoreError,
};
use bellwether_units::{EntityId, LinkId, Purpose, Stream};
use rand_core::Rng;
use redb::{Database, ReadableTable, StorageBackend, TableDefinition};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use zeroize::Zeroizing;

pub(crate) fn put(space: Space, key: &[u8], value: &[u8]) -> Change {
    Change::Put { space, key: key.to_vec(), value: Zeroizing::new(value.to_vec()) }
}

pub(crate) fn delete(space: Space, key: &[u8]) -> Change {
    Change::Delete { space, key: key.to_vec() }
}

pub(crate) fn plain(records: Records) -> Vec<(Vec<u8>, Vec<u8>)> {
    records.into_iter().map(|(key, value)| (key, value.to_vec())).collect()
}

struct Place {
    folder: TempDir,
    master: MasterKey,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), master: MasterKey::random().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("store.redb")
    }

    fn witness(&self) -> PathBuf {
        self.folder.path().join("elsewhere/witness")
    }

    fn open(&self, rollback: Rollback) -> Result<EmbeddedStore, StoreError> {
        EmbeddedStore::open(&self.file(), &self.witness(), &self.master, rollback)
    }

    fn reopen(&self) -> EmbeddedStore {
        self.open(Rollback::Refuse).unwrap()
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let place = Place::new();
    keeps_what_was_committed(async || place.reopen()).await;
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(place.file()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// What any store must do that can be opened again.
pub(crate) async fn keeps_what_was_committed<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let link = Space::Link(LinkId(7));
    store
        .commit(vec![put(Space::Relay, b"b", b"2"), put(Space::Relay, b"a", b"1"), put(link, b"a", b"3")])
        .await
        .unwrap();
    store.commit(vec![put(Space::Relay, b"c", b"4"), delete(Space::Relay, b"c")]).await.unwrap();
    store.commit(vec![delete(Space::Relay, b"a"), put(Space::Relay, b"a", b"5")]).await.unwrap();
    let relay = vec![(b"a".to_vec(), b"5".to_vec()), (b"b".to_vec(), b"2".to_vec())];
    let mut store = Some(store);
    for _ in 0..2 {
        let store = match store.take() {
            Some(store) => store,
            None => open().await,
        };
        assert_eq!(plain(store.load(Space::Relay).await.unwrap()), relay);
        assert_eq!(plain(store.load(link).await.unwrap()), [(b"a".to_vec(), b"3".to_vec())]);
        assert_eq!(plain(store.load(Space::Link(LinkId(6))).await.unwrap()), []);
        assert_eq!(plain(store.load(Space::Delivery).await.unwrap()), []);
    }
}

#[tokio::test]
async fn no_value_stands_in_the_files_in_the_open() {
    let place = Place::new();
    let secret = b"a value that could be recognised";
    let store = place.reopen();
    store.commit(vec![put(Space::Delivery, b"key", secret)]).await.unwrap();
    drop(store);
    for file in [place.file(), place.witness()] {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(8).any(|window| secret.windows(8).any(|part| part == window)));
    }
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let place = Place::new();
    drop(place.reopen());
    let other = MasterKey::random().unwrap();
    let error = EmbeddedStore::open(&place.file(), &place.witness(), &other, Rollback::Refuse).err().unwrap();
    assert!(matches!(error, StoreError::WrongMasterKey { .. }), "{error}");
}

/// Changes the rows of a closed store behind its back.
fn tamper(place: &Place, change: impl FnOnce(&mut redb::Table<'_, u64, &'static [u8]>)) {
    const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
    let database = Database::open(place.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(ROWS).unwrap());
    transaction.commit().unwrap();
}

#[tokio::test]
async fn rows_that_are_changed_put_back_or_taken_away_are_noticed() {
    let rows = || async {
        let place = Place::new();
        let store = place.reopen();
        for value in [b"1", b"2", b"3"] {
            store.commit(vec![put(Space::Relay, b"one", value)]).await.unwrap();
        }
        drop(store);
        place
    };
    let refused = |place: &Place| place.open(Rollback::Refuse).err().unwrap();

    let place = rows().await;
    tamper(&place, |table| {
        let mut row = table.get(1).unwrap().unwrap().value().to_vec();
        *row.last_mut().unwrap() ^= 1;
        table.insert(1, row.as_slice()).unwrap();
    });
    assert!(matches!(refused(&place), StoreError::RowTampered { row: 1, .. }));

    let place = rows().await;
    tamper(&place, |table| {
        let older = table.get(1).unwrap().unwrap().value().to_vec();
        table.insert(2, older.as_slice()).unwrap();
    });
    assert!(matches!(refused(&place), StoreError::RowTampered { row: 2, .. }));

    for (taken, told) in [(0, 0), (1, 2)] {
        let place = rows().await;
        tamper(&place, |table| drop(table.remove(taken).unwrap()));
        let error = refused(&place);
        assert!(matches!(error, StoreError::RowTampered { row, .. } if row == told), "{error}");
    }

    let place = rows().await;
    tamper(&place, |table| drop(table.remove(2).unwrap()));
    assert!(matches!(refused(&place), StoreError::RolledBack { store: 2, witness: 3, .. }));
}

#[tokio::test]
async fn a_store_stays_small_however_often_records_change() {
    let place = Place::new();
    changes_records_often(&place.reopen()).await;
    let length = std::fs::metadata(place.file()).unwrap().len();
    assert!(length < 6 << 20, "6.5 MB were written, 20 kB are left, and the file has {length} bytes");
    holds_what_changed_last(&place.reopen()).await;
}

/// Writes 6.5 MB, of which 20 kB are left.
pub(crate) async fn changes_records_often(store: &impl Store) {
    store.commit(vec![put(Space::Relay, b"kept", &[7; 3000])]).await.unwrap();
    for round in 0..400u32 {
        let changes = (0..8u32).map(|key| put(Space::Meta, &key.to_be_bytes(), &vec![round as u8; 2000]));
        let gone = delete(Space::Delivery, &(round.wrapping_sub(1)).to_be_bytes());
        let new = put(Space::Delivery, &round.to_be_bytes(), &[1; 500]);
        store.commit(changes.chain([new, gone]).collect()).await.unwrap();
    }
}

/// The records that [`changes_records_often`] leaves.
pub(crate) async fn holds_what_changed_last(store: &impl Store) {
    let meta = store.load(Space::Meta).await.unwrap();
    assert_eq!(meta.len(), 8);
    assert!(meta.iter().all(|(_, value)| value.to_vec() == vec![399u32 as u8; 2000]));
    assert_eq!(plain(store.load(Space::Relay).await.unwrap()), [(b"kept".to_vec(), vec![7; 3000])]);
    let last = 399u32.to_be_bytes().to_vec();
    assert_eq!(plain(store.load(Space::Delivery).await.unwrap()), [(last, vec![1; 500])]);
}

#[tokio::test]
async fn an_old_copy_put_back_is_noticed() {
    let place = Place::new();
    let store = place.reopen();
    store.commit(vec![put(Space::Meta, b"a", b"1")]).await.unwrap();
    drop(store);
    let old = std::fs::read(place.file()).unwrap();
    let store = place.reopen();
    store.commit(vec![delete(Space::Meta, b"a")]).await.unwrap();
    drop(store);

    std::fs::write(place.file(), &old).unwrap();
    let error = place.open(Rollback::Refuse).err().unwrap();
    assert!(matches!(error, StoreError::RolledBack { store: 1, witness: 2, .. }), "{error}");
    let store = place.open(Rollback::Accept).unwrap();
    assert!(store.rolled_back());
    store.commit(vec![put(Space::Meta, b"b", b"2")]).await.unwrap();
    drop(store);
    assert!(!place.reopen().rolled_back(), "accepted once, it goes on from the witness' count");

    // The same with the witness gone, changed, or the whole store made anew.
    std::fs::remove_file(place.witness()).unwrap();
    assert!(matches!(place.open(Rollback::Refuse), Err(StoreError::NoWitness { .. })));
    assert!(place.open(Rollback::Accept).unwrap().rolled_back());
    let witness = std::fs::read_to_string(place.witness()).unwrap();
    std::fs::write(place.witness(), witness.replace("\n3\n", "\n1\n")).unwrap();
    assert!(matches!(place.open(Rollback::Refuse), Err(StoreError::NoWitness { .. })));
    std::fs::write(place.witness(), witness).unwrap();
    drop(place.reopen());
    std::fs::remove_file(place.file()).unwrap();
    assert!(matches!(place.open(Rollback::Refuse), Err(StoreError::NoWitness { .. })));
}

#[tokio::test]
async fn commits_become_durable_in_the_order_of_their_calls() {
    commits_in_the_order_of_calls(&Place::new().reopen()).await;
}

/// What any store must do with commits that wait.
pub(crate) async fn commits_in_the_order_of_calls(store: &impl Store) {
    let commits: Vec<_> =
        (0..2000u32).map(|n| store.commit(vec![put(Space::Meta, b"last", &n.to_be_bytes())])).collect();
    let seen = store.load(Space::Meta).await.unwrap();
    assert_eq!(plain(seen), [(b"last".to_vec(), 1999u32.to_be_bytes().to_vec())]);
    for commit in commits.into_iter().rev() {
        commit.await.unwrap();
    }
    assert_eq!(store.backlog(), 0);
    let long = vec![0; 2000];
    assert!(matches!(
        store.commit(vec![put(Space::Meta, &long, b"")]).await,
        Err(StoreError::TooLarge { key: 2000, value: 0 })
    ));
}

#[tokio::test]
async fn a_crash_of_the_memory_store_keeps_what_reached_it() {
    let store = MemoryStore::holding();
    let first = store.commit(vec![put(Space::Relay, b"a", b"1")]);
    let second = store.commit(vec![put(Space::Relay, b"b", b"2")]);
    let third = store.commit(vec![delete(Space::Relay, b"a")]);
    assert_eq!((store.held(), store.backlog()), (3, 5));
    assert_eq!(plain(store.load(Space::Relay).await.unwrap()), [(b"b".to_vec(), b"2".to_vec())]);
    store.make_durable(1);
    first.await.unwrap();
    let restarted = store.crash(1);
    assert!(matches!(second.await, Err(StoreError::Closed)), "on the disk, but nobody was told");
    assert!(matches!(third.await, Err(StoreError::Closed)));
    let both = [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())];
    assert_eq!(plain(restarted.load(Space::Relay).await.unwrap()), both);
}

/// Storage that remembers which writes no synchronisation has made durable.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    synchronisations: u64,
    /// After this many synchronisations the power fails: nothing is durable any more.
    fails_after: Option<u64>,
}

#[derive(Debug)]
enum Pending {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Disk {
    /// What the platter holds after the power failed: what was durable, and of the rest, sector by sector, what
    /// `random` says.
    fn image(&self, random: &mut Stream) -> Vec<u8> {
        let platter = self.0.lock().unwrap();
        let mut image = platter.durable.clone();
        for pending in &platter.pending {
            match pending {
                Pending::Length(length) if random.next_u64().is_multiple_of(2) => {
                    image.resize(usize::try_from(*length).unwrap(), 0);
                }
                Pending::Length(_) => {}
                Pending::Write(offset, data) => {
                    for (at, sector) in data.chunks(512).enumerate() {
                        let start = usize::try_from(*offset).unwrap() + at * 512;
                        if random.next_u64().is_multiple_of(2) && start + sector.len() <= image.len() {
                            image[start..start + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        image
    }

    fn holding(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Platter { live: image.clone(), durable: image, ..Platter::default() })))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let platter = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let bytes = platter.live.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        let mut platter = self.0.lock().unwrap();
        platter.live.resize(usize::try_from(length).unwrap(), 0);
        platter.pending.push(Pending::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut platter = self.0.lock().unwrap();
        if platter.fails_after.is_some_and(|limit| platter.synchronisations >= limit) {
            return Err(io::Error::other("the power failed"));
        }
        platter.synchronisations += 1;
        platter.durable = platter.live.clone();
        platter.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut platter = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        platter
            .live
            .get_mut(start..start + data.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(data);
        platter.pending.push(Pending::Write(offset, data.to_vec()));
        Ok(())
    }
}

#[tokio::test]
async fn a_commit_costs_one_synchronisation_and_many_that_wait_share_one() {
    let disk = Disk::default();
    let store = EmbeddedStore::on_storage(disk.clone(), &MasterKey::random().unwrap()).unwrap();
    let synchronisations = || disk.0.lock().unwrap().synchronisations;
    for number in 0..100u32 {
        store.commit(vec![put(Space::Meta, &number.to_be_bytes(), &[1; 100])]).await.unwrap();
    }
    let before = synchronisations();
    for number in 0..100u32 {
        store.commit(vec![put(Space::Meta, &number.to_be_bytes(), &[2; 100])]).await.unwrap();
    }
    let alone = synchronisations() - before;
    assert!((100..=110).contains(&alone), "{alone}");
    let commits: Vec<_> =
        (0..100u32).map(|n| store.commit(vec![put(Space::Meta, &n.to_be_bytes(), &[3; 100])])).collect();
    for commit in commits {
        commit.await.unwrap();
    }
    let together = synchronisations() - before - alone;
    assert!(together < 50, "{together}");
}

pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Some changes with values of up to `size` bytes, and the model with them applied.
pub(crate) fn some_changes(random: &mut Stream, model: &Model, size: u64) -> (Vec<Change>, Model) {
    let (mut changes, mut after) = (Vec::new(), model.clone());
    for _ in 0..1 + random.next_u64() % 40 {
        let key = (random.next_u64() % 200).to_be_bytes().to_vec();
        if random.next_u64().is_multiple_of(4) {
            changes.push(delete(Space::Relay, &key));
            after.remove(&key);
        } else {
            let value = vec![random.next_u64() as u8; (random.next_u64() % size) as usize];
            changes.push(put(Space::Relay, &key, &value));
            after.insert(key, value);
        }
    }
    (changes, after)
}

#[tokio::test]
async fn after_a_power_failure_the_store_holds_a_prefix_of_the_commits_with_all_that_were_answered() {
    let master = MasterKey::random().unwrap();
    for seed in 0..60 {
        let mut random = Stream::new(seed, EntityId(0), Purpose::named("store crashes"));
        // With large values old rows are cleaned between.
        let size = if seed % 2 == 0 { 300 } else { 12_000 };
        let disk = Disk::default();
        let store = EmbeddedStore::on_storage(disk.clone(), &master).unwrap();
        let started = disk.0.lock().unwrap().synchronisations;
        disk.0.lock().unwrap().fails_after = Some(started + random.next_u64() % 24);
        // Each state that the commits lead through, and how many of them were answered.
        let mut states = vec![Model::new()];
        let mut answered = 0;
        'commits: for _ in 0..20 {
            let mut waiting = Vec::new();
            for _ in 0..1 + random.next_u64() % 4 {
                let (changes, after) = some_changes(&mut random, states.last().unwrap(), size);
                states.push(after);
                waiting.push(store.commit(changes));
            }
            for commit in waiting {
                if commit.await.is_err() {
                    break 'commits;
                }
                answered += 1;
            }
        }
        let image = disk.image(&mut random);
        drop(store);
        let restarted = EmbeddedStore::on_storage(Disk::holding(image), &master)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found: Model = plain(restarted.load(Space::Relay).await.unwrap()).into_iter().collect();
        let reached = states.iter().skip(answered).position(|state| *state == found);
        assert!(reached.is_some(), "seed {seed}: {answered} commits were answered");
        // And it goes on working.
        restarted.commit(vec![put(Space::Relay, b"after", b"x")]).await.unwrap();
    }
}

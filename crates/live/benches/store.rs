//! Durable puts of small values in the embedded store, and in PostgreSQL if `BELLWETHER_BENCH_DATABASE` is the address
//! of a database.
//!
//! Goal: at least 40,000 changes a second with 64 concurrent callers. What one synchronisation of the disk costs
//! bounds a caller who waits for each commit, so the same is measured with callers that keep some commits under
//! way, as a machine's driver does, and the disk alone beside it. The files lie in `BELLWETHER_BENCH_FOLDER`, or
//! else under the target folder.

use bellwether_live::store::postgres::{Address, PostgresSettings};
use bellwether_live::store::{
    Change, EmbeddedStore, MasterKey, MasterKeyChoice, PostgresStore, Rollback, Space, Store,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use zeroize::Zeroizing;

const CALLERS: u64 = 64;

fn folder() -> PathBuf {
    std::env::var_os("BELLWETHER_BENCH_FOLDER")
        .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}

/// A record as small as that of one delivered key: 16 bytes of key, 64 of value.
fn change(caller: u64, number: u64) -> Change {
    let key = [caller.to_be_bytes(), (number % 10_000).to_be_bytes()].concat();
    Change::Put { space: Space::Delivery, key, value: Zeroizing::new(vec![7; 64]) }
}

/// All callers together commit `changes` changes; each keeps `under_way` commits of `batch` changes under way.
async fn commit(store: &Arc<dyn Store>, changes: u64, under_way: usize, batch: u64) -> Duration {
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut waiting = VecDeque::new();
                for number in 0..changes.div_ceil(CALLERS * batch) {
                    if waiting.len() >= under_way
                        && let Some(oldest) = waiting.pop_front()
                    {
                        let oldest: bellwether_live::store::Commit = oldest;
                        oldest.await.expect("the disk works");
                    }
                    let changes = (0..batch).map(|at| change(caller, number * batch + at)).collect();
                    waiting.push_back(store.commit(changes));
                }
                for commit in waiting {
                    commit.await.expect("the disk works");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("callers do not panic");
    }
    start.elapsed()
}

fn durable_puts(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let folder = tempfile::tempdir_in(folder()).expect("the folder can be written");
    let master = MasterKey::random().expect("the system gives randomness");
    let (file, witness) = (folder.path().join("store.redb"), folder.path().join("witness"));
    let store = EmbeddedStore::open(&file, &witness, &master, Rollback::Refuse).expect("a new store opens");
    measure(criterion, &runtime, "durable_puts_of_64_callers", &(Arc::new(store) as Arc<dyn Store>));
    let Some(address) = std::env::var_os("BELLWETHER_BENCH_DATABASE") else { return };
    let address = Address::new(&address.to_string_lossy()).expect("an address");
    let (name, witness) = ("benchmark".to_owned(), folder.path().join("other witness"));
    let settings = PostgresSettings { address, name, witness, rollback: Rollback::Refuse };
    let master = MasterKeyChoice::Own(folder.path().join("master.key"));
    let store = runtime.block_on(PostgresStore::open(settings, master, || {})).expect("a new database");
    measure(
        criterion,
        &runtime,
        "durable_puts_of_64_callers_in_postgresql",
        &(Arc::new(store) as Arc<dyn Store>),
    );
}

fn measure(criterion: &mut Criterion, runtime: &Runtime, name: &str, store: &Arc<dyn Store>) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(10));
    for (name, under_way, batch) in
        [("one_under_way", 1, 1), ("16_under_way", 16, 1), ("batches_of_32", 1, 32)]
    {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|changes| runtime.block_on(commit(store, changes, under_way, batch)));
        });
    }
    group.finish();
}

fn disk(criterion: &mut Criterion) {
    let path = tempfile::NamedTempFile::new_in(folder()).expect("the folder can be written");
    let file = File::options().write(true).open(path.path()).expect("a file just made opens");
    file.set_len(1 << 20).expect("a megabyte is free");
    let mut group = criterion.benchmark_group("disk");
    group.sample_size(10);
    let mut at = 0;
    group.bench_function("write_4_kib_and_synchronise", |bencher| {
        bencher.iter(|| {
            at = (at + 4096) % (1 << 20);
            file.write_all_at(&[1; 4096], at).expect("the disk works");
            file.sync_data().expect("the disk works");
        });
    });
    group.finish();
}

criterion_group!(benches, durable_puts, disk);
criterion_main!(benches);

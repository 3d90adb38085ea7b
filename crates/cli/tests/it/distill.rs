//! Two processes that make keys of recorded material.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "a slow line needs a clock")]

use crate::place::{Running, signal};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const SECRET: &str = "--bound single-photon --auth-key auth.key";

pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let secret: Vec<u8> = random(9).flat_map(u64::to_le_bytes).take(4096).collect();
    fs::write(folder.path().join("auth.key"), secret).unwrap();
    fs::set_permissions(folder.path().join("auth.key"), fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

/// Numbers without end (xorshift64*).
pub(crate) fn random(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        Some(state.wrapping_mul(0x2545_f491_4f6c_dd1d))
    })
}

/// Packed bits, and a copy of which one in `one_in` is wrong.
fn raw(bytes: usize, one_in: u64) -> [Vec<u8>; 2] {
    let here: Vec<u8> = random(1).take(bytes).map(|word| (word >> 56) as u8).collect();
    let mut there = here.clone();
    for (bit, draw) in (0..8 * bytes).zip(random(2)) {
        if draw % one_in == 0 {
            there[bit / 8] ^= 1 << (bit % 8);
        }
    }
    [here, there]
}

fn headed(bits: &[u8]) -> Vec<u8> {
    [b"BwRawKey\x01", &(8 * bits.len() as u64).to_le_bytes()[..], bits].concat()
}

fn write_raw(folder: &Path, bytes: usize) {
    let [here, there] = raw(bytes, 50);
    fs::write(folder.join("alice.raw"), headed(&here)).unwrap();
    fs::write(folder.join("bob.raw"), headed(&there)).unwrap();
}

pub(crate) fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.current_dir(folder).args(line.split(' ').filter(|word| !word.is_empty()));
    command
}

/// Starts the end that listens, and says where.
pub(crate) fn listening(folder: &Path, line: &str) -> (Running, String) {
    let mut running = Running::start(command(folder, &format!("distill {line} --listen 127.0.0.1:0")));
    let told = running.until("listening at ");
    let address = told.split_whitespace().last().expect("an address").to_owned();
    (running, address)
}

/// Both ends, to their end: exit codes of the one that listens and of the other, and what the other said.
pub(crate) fn both(folder: &Path, listen: &str, connect: &str) -> (Option<i32>, Output) {
    let (running, address) = listening(folder, listen);
    let output = command(folder, &format!("distill {connect} --connect {address}")).output().unwrap();
    (running.wait(), output)
}

pub(crate) fn account(folder: &Path, key: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(format!("{key}.json"))).unwrap()).unwrap()
}

/// The keys of both ends are there, equal, and their owner's alone.
pub(crate) fn assert_equal(folder: &Path) -> u64 {
    let [a, b] = ["a.key", "b.key"].map(|name| fs::read(folder.join(name)).unwrap());
    assert!(!a.is_empty() && a == b, "{} and {} bytes", a.len(), b.len());
    let mode = fs::metadata(folder.join("a.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let [a_told, b_told] = ["a.key", "b.key"].map(|name| account(folder, name));
    assert_eq!(a_told["key_bits"], 8 * a.len() as u64);
    for field in ["key_bits", "blocks", "corrected_errors", "reconciliation_leak", "epsilon_secrecy"] {
        assert_eq!(a_told[field], b_told[field], "{field}");
    }
    for name in ["a.key", "b.key", "a.key.json", "b.key.json"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    8 * a.len() as u64
}

#[test]
fn raw_keys_in_every_format_become_equal_keys() {
    let folder = folder();
    let folder = folder.path();
    let [here, there] = raw(50_000, 50);
    let text = |bits: &[u8]| -> String {
        let bit = |at: usize| if bits[at / 8] >> (at % 8) & 1 == 1 { '1' } else { '0' };
        (0..8 * bits.len())
            .flat_map(|at| [bit(at)].into_iter().chain((at % 64 == 63).then_some('\n')))
            .collect()
    };
    fs::write(folder.join("headed"), headed(&here)).unwrap();
    fs::write(folder.join("packed"), &there).unwrap();
    fs::write(folder.join("text"), text(&there)).unwrap();
    let mut lengths = Vec::new();
    for (bob, more) in [("packed", "--bits 400000"), ("text", "")] {
        // A sample of another draw gives another length, by a little.
        let (code, output) = both(
            folder,
            &format!("--alice headed --out a.key {SECRET}"),
            &format!("--bob {bob} {more} --out b.key {SECRET} --json"),
        );
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{errors}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&told["role"], &told["raw_bits"]), (&"bob".into(), &400_000.into()));
        let rate = told["error_rate"].as_f64().unwrap();
        assert!((0.018..0.022).contains(&rate), "{rate}");
        lengths.push(assert_equal(folder));

        // What gave key once gives none again.
        let line = format!("distill --alice headed --out a.key {SECRET} --listen 127.0.0.1:0");
        let again = command(folder, &line).output().unwrap();
        let told = String::from_utf8_lossy(&again.stderr);
        assert!(again.status.code() == Some(2) && told.contains("headed.progress"), "{told}");
        assert!(!folder.join("a.key").exists());
        fs::remove_file(folder.join("headed.progress")).unwrap();
    }
    assert!(lengths.iter().all(|bits| (100_000..300_000).contains(bits)), "{lengths:?}");
}

#[test]
fn either_end_may_listen_and_what_differs_is_told() {
    let folder = folder();
    let folder = folder.path();
    write_raw(folder, 30_000);
    let unprotected = "--min-entropy-rate 0.5 --unauthenticated";
    let (code, output) = both(
        folder,
        &format!("--bob bob.raw --out b.key {unprotected}"),
        &format!("--alice alice.raw --out a.key {unprotected} --secrecy 1e-9"),
    );
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(2), Some(2)), "{told}");
    assert!(told.contains("secrecy is 0.000000001 here and 0.0000000001 at the other end"), "{told}");
    assert!(told.contains("warning: nothing protects the talk"), "{told}");
    let (code, output) = both(
        folder,
        &format!("--bob bob.raw --out b.key {unprotected}"),
        &format!("--alice alice.raw --out a.key {unprotected}"),
    );
    assert_eq!((code, output.status.code()), (Some(0), Some(0)));
    assert!(account(folder, "a.key")["authentication"].as_str().unwrap().starts_with("NONE"));
    assert_equal(folder);
}

#[test]
fn another_secret_is_found_out_and_gives_no_key() {
    let folder = folder();
    let folder = folder.path();
    write_raw(folder, 30_000);
    fs::write(folder.join("other.key"), [7; 4096]).unwrap();
    fs::set_permissions(folder.join("other.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let (code, output) = both(
        folder,
        "--bob bob.raw --out b.key --bound single-photon --auth-key other.key",
        &format!("--alice alice.raw --out a.key {SECRET}"),
    );
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(1), Some(1)), "{told}");
    assert!(told.contains("authentication failed"), "{told}");
    assert!(!folder.join("a.key").exists() && !folder.join("b.key").exists());
}

/// Carries bytes between two programs, each `delay` late, and changes nothing. The address to connect to, and how many
/// bytes it has carried.
pub(crate) fn slow(to: String, delay: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let carried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&carried);
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(to).unwrap();
        for (mut from, mut to) in
            [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far.try_clone().unwrap(), near)]
        {
            to.set_nodelay(true).unwrap();
            let count = Arc::clone(&count);
            let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
            thread::spawn(move || {
                let mut buffer = vec![0; 1 << 18];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                        return;
                    }
                }
            });
            thread::spawn(move || {
                for (due, bytes) in receiver {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    if to.write_all(&bytes).is_err() {
                        return;
                    }
                    count.fetch_add(bytes.len(), Relaxed);
                }
                // Neither end minds if the other is gone already.
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    (address, carried)
}

/// Over a round trip of 60 ms a block of this family takes hundreds of waits: 20 blocks one after the other would take
/// minutes. They are under way together.
#[test]
fn a_long_way_costs_latency_and_no_throughput() {
    let folder = folder();
    let folder = folder.path();
    write_raw(folder, 250_000);
    let more = format!("{SECRET} --block 100000 --reconciliation grouped-quick");
    let (running, address) = listening(folder, &format!("--alice alice.raw --out a.key {more}"));
    let (address, _) = slow(address, Duration::from_millis(30));
    let line = format!("distill --bob bob.raw --out b.key {more} --connect {address}");
    let output = command(folder, &line).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((running.wait(), output.status.code()), (Some(0), Some(0)), "{told}");
    let told = account(folder, "b.key");
    let (seconds, blocks) = (told["seconds"].as_f64().unwrap(), told["key_blocks"].as_u64().unwrap());
    assert!(blocks >= 20 && seconds < 60.0, "{blocks} blocks, {seconds} s");
    assert_equal(folder);
}

#[test]
fn ctrl_c_keeps_the_keys_of_finished_blocks_at_both_ends() {
    let folder = folder();
    let folder = folder.path();
    write_raw(folder, 500_000);
    // One block at a time over a slow line, and the signal when more has been said than is of three blocks: some are
    // finished, most have not begun.
    let more = format!("{SECRET} --block 50000 --reconciliation grouped-quick");
    let (running, address) =
        listening(folder, &format!("--alice alice.raw --out a.key {more} --in-flight 1"));
    let (address, carried) = slow(address, Duration::from_millis(2));
    let line = format!("distill --bob bob.raw --out b.key {more} --connect {address}");
    let mut bob = command(folder, &line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while carried.load(Relaxed) < 100_000 {
        assert_eq!(bob.try_wait().unwrap(), None, "it ended before three blocks were finished");
        thread::sleep(Duration::from_millis(10));
    }
    signal(bob.id(), "INT");
    assert_eq!(bob.wait().unwrap().code(), Some(130));
    assert_eq!(running.wait(), Some(0), "the other end was told to stop");
    let told = account(folder, "b.key");
    let (blocks, used) = (told["key_blocks"].as_u64().unwrap(), told["used_bits"][1].as_u64().unwrap());
    assert!((1..80).contains(&blocks) && used < 4_000_000, "{blocks} blocks, {used} bits");
    assert_eq!(told["interrupted"], true);
    assert_equal(folder);
}

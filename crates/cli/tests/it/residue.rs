//! Where the bytes of a delivered key are: with the applications that got it, and nowhere else.

#![expect(
    clippy::disallowed_methods,
    reason = "processes run by the wall clock, and so does what is waited for them"
)]

use crate::database::server;
use crate::https::{Connection, application};
use crate::place::{Place, Running, network};
use bellwether_live::state::State;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many keys are delivered.
const KEYS: usize = 8;
/// A trace is so long, in bytes: half of a key.
const TRACE: usize = 16;
/// Memory is read in pieces of this size, in bytes.
const PIECE: usize = 1 << 20;
/// What is on its way to be wiped when a key has been collected is gone after this time.
const PATIENCE: Duration = Duration::from_secs(15);

/// A and B, who have no link but to the relay R between them.
fn relayed(first_port: u16) -> String {
    let text = network(first_port);
    let (head, link) = text.split_once("[link.A-B]").expect("a link");
    let hop = |name: &str, ends: &str| {
        format!("[link.A-B]{link}")
            .replace("link.A-B", &format!("link.{name}"))
            .replace("[\"A\", \"B\"]", ends)
    };
    format!("{head}[node.R]\n{}{}", hop("A-R", "[\"A\", \"R\"]"), hop("R-B", "[\"R\", \"B\"]"))
}

/// A form in which a key may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    key: usize,
    name: &'static str,
}

/// What is looked for, and a quick way to say that a place holds none of it.
struct Traces {
    /// Sorted.
    traces: Vec<([u8; TRACE], Form)>,
    /// Which first two bytes any of them has.
    begin: Vec<bool>,
}

impl Traces {
    fn of(keys: &[Vec<u8>], texts: &[String]) -> Self {
        let mut traces: Vec<([u8; TRACE], Form)> = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let base64 = texts[number].as_bytes();
            let reversed: Vec<u8> = key.iter().map(|byte| byte.reverse_bits()).collect();
            for (key, mirrored) in [(key, false), (&reversed, true)] {
                let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
                let words: Vec<u8> = key.chunks(8).flat_map(|word| word.iter().rev().copied()).collect();
                let forms = [
                    ("its bytes", key.clone()),
                    ("its words", words),
                    ("hexadecimal", hex.clone().into_bytes()),
                    ("HEXADECIMAL", hex.to_uppercase().into_bytes()),
                ];
                for (name, form) in forms {
                    let name = if mirrored { "mirrored" } else { name };
                    // Either half alone is as bad.
                    for half in [&form[..TRACE], &form[form.len() - TRACE..]] {
                        let trace = half.try_into().expect("as long as a trace");
                        traces.push((trace, Form { key: number, name }));
                    }
                }
            }
            for half in [&base64[..TRACE], &base64[20..20 + TRACE]] {
                let trace = half.try_into().expect("as long as a trace");
                traces.push((trace, Form { key: number, name: "base64" }));
            }
        }
        traces.sort_unstable();
        let mut begin = vec![false; 1 << 16];
        for (trace, _) in &traces {
            begin[usize::from(u16::from_le_bytes([trace[0], trace[1]]))] = true;
        }
        Self { traces, begin }
    }

    /// What of it is in these bytes.
    fn search(&self, bytes: &[u8], found: &mut BTreeSet<Form>) {
        for at in 0..bytes.len().saturating_sub(TRACE - 1) {
            let first = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
            if !self.begin[first] {
                continue;
            }
            let here = &bytes[at..at + TRACE];
            let from = self.traces.partition_point(|(trace, _)| trace.as_slice() < here);
            let these = self.traces[from..].iter().take_while(|(trace, _)| trace.as_slice() == here);
            found.extend(these.map(|(_, form)| *form));
        }
    }
}

/// Reads the memory that a process may write, piece by piece; how much of it held anything, in bytes.
fn memory(pid: u32, mut each: impl FnMut(&[u8])) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("its maps");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let (mut piece, mut searched) = (vec![0; PIECE + TRACE], 0);
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').expect("a range");
        if !rest.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut from, to) = (number(from), number(to));
        while from < to {
            let length = piece.len().min((to - from) as usize);
            // What went away meanwhile holds nothing.
            if memory.read_exact_at(&mut piece[..length], from).is_ok() {
                let read = &piece[..length];
                // Most of what is mapped was never used.
                if !read.chunks(4096).all(|page| page.iter().fold(0, |all, byte| all | byte) == 0) {
                    searched += length.min(PIECE);
                    each(read);
                }
            }
            from += PIECE as u64;
        }
    }
    searched
}

/// All files under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The keys of a container: names, texts in base64, and bytes.
fn keys_of(body: &[u8]) -> Vec<(String, String, Vec<u8>)> {
    let body: Value = serde_json::from_slice(body).expect("a key container");
    let text = |key: &Value, member: &str| key[member].as_str().expect("a text").to_owned();
    let keys = body["keys"].as_array().expect("keys").iter();
    keys.map(|key| {
        let base64 = text(key, "key");
        let bytes = bytes_of(&base64);
        (text(key, "key_ID"), base64, bytes)
    })
    .collect()
}

fn bytes_of(base64: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut count) = (Vec::new(), 0_u32, 0);
    for digit in base64.bytes().filter(|digit| *digit != b'=') {
        let value = DIGITS.iter().position(|other| *other == digit).expect("base64");
        held = held << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((held >> count) as u8);
        }
    }
    bytes
}

/// Keys that were delivered: names, texts in base64, and bytes.
type Delivered = Vec<(String, String, Vec<u8>)>;

/// Delivers keys between the ends of a network that runs.
fn deliver(place: &Place) -> Delivered {
    let folder = place.path().join("state");
    let state = State::at(&folder);
    let options = format!("--network network.toml --state {}", folder.display());
    // One key in a process of its own shows that all is ready.
    place.done(&format!("key get {options} --as bank-a --slave bank-b --wait 60s"));

    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], place.first_port() + port));
    let open = |name, port| Connection::open(&application(&state, name), at(port)).expect("a connection");
    let (mut a, mut b) = (open("bank-a", 1), open("bank-b", 4));
    let mut keys = Vec::new();
    while keys.len() < KEYS {
        let issued = a.ask("POST", "/api/v1/keys/bank-b/enc_keys", "{\"number\":2}").expect("an answer");
        assert_eq!(issued.status, 200, "{}", issued.message());
        let issued = keys_of(&issued.body);
        let ids: Vec<Value> = issued.iter().map(|(id, ..)| json!({ "key_ID": id })).collect();
        let wanted = json!({ "key_IDs": ids }).to_string();
        let collected = b.ask("POST", "/api/v1/keys/bank-a/dec_keys", &wanted).expect("an answer");
        assert_eq!(collected.status, 200, "{}", collected.message());
        assert_eq!(keys_of(&collected.body), issued);
        keys.extend(issued);
    }
    keys
}

fn traces_of(keys: &Delivered) -> Traces {
    let bytes: Vec<Vec<u8>> = keys.iter().map(|(_, _, bytes)| bytes.clone()).collect();
    let texts: Vec<String> = keys.iter().map(|(_, text, _)| text.clone()).collect();
    Traces::of(&bytes, &texts)
}

/// Searches all files under a folder, which must hold nothing of the keys; whether they hold `marks`.
fn search_files(folder: &Path, traces: &Traces, marks: &[u8]) -> bool {
    let files = files(folder);
    let (mut size, mut marked) = (0, false);
    for path in &files {
        // What went away meanwhile holds nothing.
        let Ok(bytes) = fs::read(path) else { continue };
        let mut found = BTreeSet::new();
        traces.search(&bytes, &mut found);
        assert!(found.is_empty(), "{}: {found:?}", path.display());
        marked |= bytes.windows(marks.len()).any(|window| window == marks);
        size += bytes.len();
    }
    println!("nothing in {} files of {} KiB", files.len(), size >> 10);
    marked
}

#[test]
fn the_bytes_of_a_delivered_key_are_in_no_table_and_no_file_of_a_database() {
    let Some(server) = server() else { return };
    let place = Place::with(relayed);
    let state = place.path().join("state");
    let store = server.address(&server.new_database());
    let line = format!("up network.toml --state {} --store {store} --log-level debug", state.display());
    let mut running = Running::start(place.command(&line));
    running.until("--master bank-a");
    let keys = deliver(&place);
    let traces = traces_of(&keys);
    assert_eq!(running.stop("INT"), Some(0));
    // Tables, dead rows in them and the log of what was written (WAL): the stores' names are there.
    server.write_all_out();
    assert!(search_files(&server.data(), &traces, b"Two Nodes/A"), "the database's files were not read");
    search_files(&state, &traces, b"audit");
    assert!(!keys.is_empty());
}

#[test]
fn the_bytes_of_a_delivered_key_are_in_no_process_and_no_file_of_the_network() {
    let place = Place::with(relayed);
    let folder = place.path().join("state");
    let mut running = Running::start(
        place.command(&format!("up network.toml --state {} --log-level debug", folder.display())),
    );
    running.until("--master bank-a");
    let keys = deliver(&place);
    let traces = traces_of(&keys);

    // They can be found: here they are, and what is searched holds the names of the keys.
    let mut found = BTreeSet::new();
    memory(std::process::id(), |piece| traces.search(piece, &mut found));
    for key in 0..KEYS {
        for name in ["its bytes", "base64"] {
            assert!(
                found.contains(&Form { key, name }),
                "key {key} as {name} in the application's own memory"
            );
        }
    }

    let begun = Instant::now();
    loop {
        let mut all = BTreeSet::new();
        let mut told = Vec::new();
        let processes = place.processes();
        assert_eq!(processes.len(), 5, "three nodes, the light, and what looks after them");
        for (pid, arguments) in processes {
            let (mut found, mut named) = (BTreeSet::new(), false);
            let name = keys[0].0.as_bytes();
            let size = memory(pid, |piece| {
                traces.search(piece, &mut found);
                named |= piece.windows(name.len()).any(|window| window == name);
            });
            let end = ["--name=A", "--name=B"].iter().any(|end| arguments.contains(end));
            assert!(named || !end, "the memory of {arguments} was not read as it is");
            let who = arguments.split("--name=").nth(1).map_or("no node", |rest| &rest[..1]);
            told.push(format!("{who}: {} MiB", size >> 20));
            all.extend(found.into_iter().map(|form| (who.to_owned(), form)));
        }
        if all.is_empty() {
            println!("nothing of {KEYS} keys in the memory that was used: {}", told.join(", "));
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "found {all:?}");
        sleep(Duration::from_secs(1));
    }
    let name = keys[0].0.as_bytes();
    assert!(search_files(&folder, &traces, name), "the audit logs name the keys");
    // And they were held to the end.
    assert!(!keys.is_empty());
    assert_eq!(running.stop("INT"), Some(0));
}

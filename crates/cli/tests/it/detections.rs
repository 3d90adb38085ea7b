//! Two processes that make keys of a recorded link: detections, and what was prepared for them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use crate::distill::{account, assert_equal, both, command, folder, listening, slow};
use crate::place::{network, signal};
use bellwether_live::hardware::recording::{Record, RecordingReader};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// The link of a network file, under a secret.
const LINK: &str = "--network network.toml --auth-key auth.key";

/// Records some seconds of the link A-B, or of another, to a folder.
fn record(folder: &Path, network: &str, to: &str, seconds: u32) {
    let output = command(folder, &format!("record {network} --for {seconds}s --to {to}")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A folder with a secret, a network and a recording of its link in `light`.
fn recorded(seconds: u32) -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("network.toml"), network(4000)).unwrap();
    record(folder.path(), "network.toml", "light", seconds);
    folder
}

const ALICE: &str = "--alice light/A-B.transmitter.bin --out a.key";
const BOB: &str = "--bob light/A-B.receiver.bin --out b.key";

/// What a command that must fail says, with its exit code.
fn refused(folder: &Path, line: &str) -> String {
    let output = command(folder, &format!("distill {line}")).output().unwrap();
    format!("{:?} {}", output.status.code(), String::from_utf8_lossy(&output.stderr))
}

/// Waits until keys stand in `b.key`.
pub(crate) fn first_keys(folder: &Path) {
    let stand = || fs::metadata(folder.join("b.key")).is_ok_and(|file| file.len() > 0);
    // A minute: more than they take on a busy machine.
    let seen = (0..6000).any(|_| {
        thread::sleep(Duration::from_millis(10));
        stand()
    });
    assert!(seen, "no keys");
}

/// Writes both files of a recording as tables: the transmitter's tells of other pulses too.
fn as_tables(folder: &Path) {
    let read = |name: &str| {
        let file = fs::read(folder.join("light").join(name)).unwrap();
        let mut reader = RecordingReader::new(&file[..]).unwrap();
        let mut records = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            records.push(record);
        }
        records
    };
    let mut sent = "pulse,basis,bit,intensity\n".to_owned();
    for record in read("A-B.transmitter.bin") {
        let Record::Sent { pulses, preparations, .. } = record else { continue };
        for (at, pulse) in pulses.iter().enumerate() {
            let (basis, bit) = (preparations.bases.get(at), preparations.bits.get(at));
            let basis = if basis { "check" } else { "key" };
            writeln!(sent, "{pulse},{basis},{},{}", u8::from(bit), preparations.intensities[at]).unwrap();
            if pulses.get(at + 1).is_some_and(|next| *next > pulse + 1) {
                writeln!(sent, "{},0,1,0", pulse + 1).unwrap();
            }
        }
    }
    let mut clicks = "bit,pulse,basis\n".to_owned();
    let windows = read("A-B.receiver.bin").into_iter().zip(read("A-B.transmitter.bin"));
    for pair in windows.filter(|(window, _)| matches!(window, Record::Window(_))) {
        let (Record::Window(window), Record::Sent { preparations, .. }) = pair else { panic!("a window") };
        let mut double_clicks = window.double_clicks;
        for (at, pulse) in window.pulses.iter().enumerate() {
            let (basis, bit) = (window.bases.get(at), window.outcomes.get(at));
            writeln!(clicks, "{},{pulse},{}", u8::from(bit), u8::from(basis)).unwrap();
            // Which clicks were double does not stand in the file: of those that sifting drops it makes no difference.
            if double_clicks > 0 && preparations.bases.get(at) != basis {
                writeln!(clicks, "{},{pulse},{}", u8::from(!bit), u8::from(basis)).unwrap();
                double_clicks -= 1;
            }
        }
    }
    fs::write(folder.join("sent.csv"), sent).unwrap();
    fs::write(folder.join("clicks.csv"), clicks).unwrap();
}

#[test]
fn a_recording_gives_the_keys_that_a_simulation_promises_and_as_tables_the_same() {
    let folder = recorded(3);
    let folder = folder.path();
    let (code, output) = both(folder, &format!("{ALICE} {LINK}"), &format!("{BOB} {LINK} --json"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{errors}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The last of 300 windows had not ended when the recording did.
    assert_eq!((&told["link"], &told["light_seconds"]), (&"A-B".into(), &2.99.into()), "{told}");
    let left_over = told["unfinished_bits"].as_u64().unwrap();
    assert!((1..150_000).contains(&left_over), "{left_over}");
    let blocks = told["key_blocks"].as_u64().unwrap();
    let bits = assert_equal(folder);

    let simulated = command(folder, "simulate network.toml --for 3s --out simulated").output().unwrap();
    assert!(simulated.status.success());
    let summary: Value =
        serde_json::from_slice(&fs::read(folder.join("simulated/summary.json")).unwrap()).unwrap();
    let link = &summary["links"][0];
    let [expected_bits, expected_blocks] =
        ["secret_bits", "blocks"].map(|field| link[field].as_f64().unwrap());
    // Blocks under way at the end of a simulation are not counted.
    assert!((blocks as f64 - expected_blocks).abs() < 3.0, "{blocks} of {expected_blocks} blocks");
    let (a_block, expected) = (bits as f64 / blocks as f64, expected_bits / expected_blocks);
    assert!((a_block / expected - 1.0).abs() < 0.05, "{a_block} and {expected} bits a block");

    // What gave key once gives none again.
    let told = refused(folder, &format!("{BOB} {LINK} --connect 127.0.0.1:1"));
    assert!(told.contains("Some(2)") && told.contains("A-B.receiver.bin.progress"), "{told}");
    assert!(!folder.join("b.key").exists());

    as_tables(folder);
    let (code, output) = both(
        folder,
        &format!("--bob clicks.csv --out b.key {LINK}"),
        &format!("--alice sent.csv --out a.key {LINK}"),
    );
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{told}");
    let of_tables = assert_equal(folder) as f64;
    // Their windows end elsewhere, and so do the blocks.
    assert!((of_tables / bits as f64 - 1.0).abs() < 0.1, "{of_tables} and {bits} bits");
}

#[test]
fn certificates_may_stand_in_the_place_of_a_secret_and_another_family_of_the_networks() {
    let folder = recorded(1);
    let folder = folder.path();
    let made = command(folder, "pki network.toml --state state").output().unwrap();
    assert!(made.status.success());
    let certified = |own: &str, peer: &str| {
        format!(
            "--network network.toml --unauthenticated --certificate state/pki/nodes/{own}.pem --key \
             state/pki/nodes/{own}.key.pem --ca state/pki/nodes/ca.pem --peer {peer} --reconciliation grouped-quick"
        )
    };
    let (mut running, address) = listening(folder, &format!("{ALICE} {}", certified("A", "B")));
    // One who says nothing, one who says something else, and one with a certificate of another node.
    let _silent = TcpStream::connect(&address).unwrap();
    TcpStream::connect(&address).unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    running.until("refused: the connection with 127.0.0.1");
    let other = format!("distill {BOB} {} --connect {address}", certified("A", "A"));
    let output = command(folder, &other).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let told = running.until("refused: the certificate of the other end");
    assert!(told.contains("is that of `A`, not of `B`"), "{told}");
    let output =
        command(folder, &format!("distill {BOB} {} --connect {address}", certified("B", "A"))).output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((running.wait(), output.status.code()), (Some(0), Some(0)), "{told}");
    let account = account(folder, "b.key");
    assert!(account["authentication"].as_str().unwrap().starts_with("certificates alone"), "{account}");
    assert!(account["epsilon_authentication"].is_null() && account["next_pads"].is_null(), "{account}");
    assert!(account["efficiency"].as_f64().unwrap() < 1.1, "{account}");
    assert_equal(folder);
}

#[test]
fn files_and_settings_that_do_not_belong_together_are_told() {
    let folder = recorded(1);
    let folder = folder.path();
    let text = network(4000);
    // The same link at half the rate, and a second link of another name.
    fs::write(folder.join("slower.toml"), text.replace("10 MHz", "5 MHz")).unwrap();
    let link = &text[text.find("[link.A-B]").unwrap()..];
    let second = link.replace("link.A-B", "link.second").replace("\"B\"", "\"C\"");
    fs::write(folder.join("two.toml"), format!("{text}[node.C]\n{second}")).unwrap();
    fs::write(folder.join("raw.txt"), "0101").unwrap();
    let bin = "light/A-B.receiver.bin";
    for (line, told) in [
        (format!("{BOB} --network slower.toml"), "was recorded at 10000000 pulses a second, and link A-B"),
        (format!("{BOB} --network two.toml"), "name one link of the network with --link"),
        (format!("{BOB} --network two.toml --link third"), "has no link `third`"),
        (format!("{BOB} --network two.toml --link second"), "is a recording of link A-B, not of second"),
        (format!("{BOB} --network nowhere.toml"), "nowhere.toml"),
        (format!("--alice {bin} --out a.key --network network.toml"), "are the two ends' files swapped"),
        ("--bob raw.txt --out b.key --network network.toml".to_owned(), "raw keys go without --network"),
        (format!("{BOB} --network network.toml --format text"), "raw keys and time tags are of no link"),
        (format!("{BOB} --bound single-photon --format detections"), "give --network FILE and --link LINK"),
        (format!("{BOB} --bound single-photon"), "is a detection file: give --network"),
    ] {
        let found = refused(folder, &format!("{line} --auth-key auth.key --connect 127.0.0.1:1"));
        assert!(found.starts_with("Some(2)") && found.contains(told), "{line}: {found}");
        assert!(!folder.join("b.key").exists() && !folder.join("a.key").exists(), "{line}");
    }

    let differ = |alice: &str, bob: &str, told: &str| {
        let (code, output) = both(folder, alice, bob);
        let found = String::from_utf8_lossy(&output.stderr);
        assert_eq!((code, output.status.code()), (Some(2), Some(2)), "{found}");
        assert!(found.contains(told), "{found}");
        assert!(!folder.join("b.key").exists() && !folder.join("a.key").exists());
    };
    differ(
        &format!("{ALICE} {LINK}"),
        &format!("{BOB} {LINK} --set link.A-B.protocol.block_size=\"100kbit\""),
        "the number of sifted bits in a block is 100000 here and 150000 at the other end",
    );
    differ(
        &format!("{ALICE} {LINK} --reconciliation grouped-quick"),
        &format!("{BOB} {LINK}"),
        "reconciliation is",
    );
    record(folder, "network.toml", "other", 1);
    differ(
        &format!("{ALICE} {LINK}"),
        &format!("--bob other/A-B.receiver.bin --out b.key {LINK}"),
        "the two ends' files are of different recordings",
    );
}

#[test]
fn another_secret_is_found_out_before_anything_is_made() {
    let folder = recorded(1);
    let folder = folder.path();
    fs::copy(folder.join("auth.key"), folder.join("other.key")).unwrap();
    fs::write(folder.join("other.key"), [7; 4096]).unwrap();
    let (code, output) = both(
        folder,
        &format!("{ALICE} {LINK}"),
        &format!("{BOB} --network network.toml --auth-key other.key"),
    );
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(1), Some(1)), "{told}");
    assert!(told.contains("authentication failed"), "{told}");
    assert!(!folder.join("a.key").exists() && !folder.join("b.key").exists());
}

#[test]
fn damaged_recordings_keep_the_keys_of_what_came_before() {
    let folder = recorded(2);
    let folder = folder.path();
    let cut = |name: &str| {
        let path = folder.join("light").join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        bytes
    };
    let whole = cut("A-B.receiver.bin");
    let (code, output) = both(folder, &format!("{ALICE} {LINK}"), &format!("{BOB} {LINK}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(0), Some(2)), "{told}");
    assert!(told.contains("A-B.receiver.bin: the file stops at byte"), "{told}");
    assert!(account(folder, "b.key")["key_blocks"].as_u64().unwrap() > 3);
    assert_equal(folder);

    // At the transmitter the rest cannot be answered, and both ends stop.
    fs::write(folder.join("light/A-B.receiver.bin"), whole).unwrap();
    for name in ["A-B.receiver.bin.progress", "A-B.transmitter.bin.progress"] {
        fs::remove_file(folder.join("light").join(name)).unwrap();
    }
    cut("A-B.transmitter.bin");
    let (code, output) = both(folder, &format!("{BOB} {LINK}"), &format!("{ALICE} {LINK}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(1), Some(2)), "{told}");
    assert!(told.contains("A-B.transmitter.bin: the file stops at byte"), "{told}");
}

#[test]
fn a_click_of_which_the_transmitter_tells_nothing_ends_the_run() {
    let folder = recorded(1);
    let folder = folder.path();
    as_tables(folder);
    let sent = fs::read_to_string(folder.join("sent.csv")).unwrap();
    let clicks = fs::read_to_string(folder.join("clicks.csv")).unwrap();
    let pulse = clicks.lines().nth(1000).unwrap().split(',').nth(1).unwrap();
    let start = format!("\n{pulse},");
    let at = sent.find(&start).unwrap() + 1;
    let end = at + sent[at..].find('\n').unwrap() + 1;
    fs::write(folder.join("sent.csv"), [&sent[..at], &sent[end..]].concat()).unwrap();
    let (alice, bob) =
        (format!("--alice sent.csv --out a.key {LINK}"), format!("--bob clicks.csv --out b.key {LINK}"));
    let (code, output) = both(folder, &bob, &alice);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(1), Some(2)), "{told}");
    assert!(told.contains(&format!("does not tell what was prepared in pulse {pulse}")), "{told}");
    for name in ["sent.csv.progress", "clicks.csv.progress"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let (code, output) = both(folder, &alice, &bob);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(2), Some(1)), "{told}");
    assert!(told.contains("the other end gave up: its file cannot be used any further"), "{told}");
}

#[test]
fn keys_made_before_the_other_end_went_are_kept() {
    let folder = recorded(4);
    let folder = folder.path();
    // Over a slow line blocks end one after the other, and most have not when the first keys stand.
    let (alice, address) = listening(folder, &format!("{ALICE} {LINK}"));
    let (address, _) = slow(address, Duration::from_millis(15));
    let bob = command(folder, &format!("distill {BOB} {LINK} --connect {address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    first_keys(folder);
    assert_eq!(alice.stop("KILL"), None);
    let output = bob.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("the other end is gone"), "{told}");
    let account = account(folder, "b.key");
    assert_eq!(account["key_bits"], 8 * fs::metadata(folder.join("b.key")).unwrap().len());
    assert!(account["failure"].as_str().unwrap().contains("gone"), "{account}");
}

#[test]
fn ctrl_c_keeps_what_is_done_and_another_run_goes_on_after_it() {
    let folder = recorded(4);
    let folder = folder.path();
    let (alice, address) = listening(folder, &format!("{ALICE} {LINK}"));
    let (address, _) = slow(address, Duration::from_millis(15));
    let mut bob = command(folder, &format!("distill {BOB} {LINK} --connect {address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    first_keys(folder);
    signal(bob.id(), "INT");
    assert_eq!(bob.wait().unwrap().code(), Some(130));
    assert_eq!(alice.wait(), Some(0), "the other end was told to stop");
    let first = account(folder, "b.key");
    assert_eq!(first["interrupted"], true);
    assert_equal(folder);

    let (code, output) = both(folder, &format!("{ALICE} {LINK}"), &format!("{BOB} {LINK}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{told}");
    let second = account(folder, "b.key");
    assert_eq!(second["used_pulses"][0], first["used_pulses"][1], "nothing is lost and nothing used twice");
    assert_eq!(second["used_pulses"][1], 39_900_000, "all windows that the recording has");
    assert!(second["next_pads"][0].as_u64() > first["next_pads"][0].as_u64(), "{second}");
    assert_equal(folder);
}

//! Two processes that make keys of time tags.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use crate::distill::{SECRET, account, assert_equal, both, command, folder, listening, random};
use crate::place::signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What both ends recorded: times in picoseconds and channels.
type Records = [Vec<(u64, u8)>; 2];

/// A source of pairs, half of which each end sees, with 2 % of errors, 100 ps of jitter, and a clock of Alice's that is
/// 10 ms ahead and 3 ppm faster.
fn pairs(pairs_a_second: f64, seconds: f64) -> Records {
    let mut draw = random(7).map(|word| (word >> 11) as f64 / (1u64 << 53) as f64);
    let mut draw = move || draw.next().unwrap();
    let mut records = Records::default();
    let mut at = 0.0;
    loop {
        at -= (1.0 - draw()).ln() / pairs_a_second;
        if at > seconds {
            break;
        }
        let bit = u8::from(draw() < 0.5);
        let bases = [u8::from(draw() < 0.5), u8::from(draw() < 0.5)];
        let wrong = u8::from(draw() < if bases[0] == bases[1] { 0.02 } else { 0.5 });
        for (end, record) in records.iter_mut().enumerate() {
            // Twelve even numbers make one that is nearly normal.
            let jitter = 100.0 * ((0..12).map(|_| draw()).sum::<f64>() - 6.0);
            let clock = if end == 0 { 0.010 + at * 3e-6 } else { 0.0 };
            if draw() < 0.5 {
                let time = (1.0 + at + clock) * 1e12 + jitter;
                record.push((time as u64, 2 * bases[end] + if end == 1 { bit ^ wrong } else { bit }));
            }
        }
    }
    records.iter_mut().for_each(|record| record.sort_unstable());
    records
}

fn binary(tags: &[(u64, u8)]) -> Vec<u8> {
    let records = tags.iter().flat_map(|(time, channel)| [&time.to_le_bytes()[..], &[*channel]].concat());
    b"BwTimTag\x01".iter().copied().chain(records).collect()
}

fn write(folder: &Path, [alice, bob]: &Records) {
    fs::write(folder.join("alice.tags"), binary(alice)).unwrap();
    fs::write(folder.join("bob.tags"), binary(bob)).unwrap();
}

const NEAR: &str = "--offset-within 20ms --drift-within 5";

#[test]
fn time_tags_in_every_format_become_equal_keys() {
    let folder = folder();
    let folder = folder.path();
    let [alice, bob] = pairs(2e5, 2.0);
    fs::write(folder.join("alice.tags"), binary(&alice)).unwrap();
    // The other end's tagger has other inputs, and one of its cables is longer.
    let input = |channel: u8| [8, 7, 6, 5][usize::from(channel)];
    let late = |channel: u8| if channel == 2 { 3500 } else { 0 };
    let mut bob: Vec<(u64, u8)> = bob.iter().map(|&(time, c)| (time + late(c), input(c))).collect();
    bob.push((bob[0].0, 0));
    bob.sort_unstable();
    let text: String = bob.iter().map(|(time, channel)| format!("{time},{channel}\n")).collect();
    fs::write(folder.join("bob.csv"), format!("time_ps,channel\n{text}")).unwrap();
    fs::write(folder.join("bob.bare"), &binary(&bob)[9..]).unwrap();
    let wiring = "--channels 8=Z0,7=Z1,6=X0,5=X1,0=- --delays 6=3500ps";
    for (file, more) in [("bob.csv", ""), ("bob.bare", "--format bare-time-tags")] {
        let (code, output) = both(
            folder,
            &format!("--alice alice.tags --out a.key {SECRET} {NEAR}"),
            &format!("--bob {file} {more} --out b.key {SECRET} {wiring} --json"),
        );
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{errors}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (alice, bob) = (&account(folder, "a.key")["sifting"], &told["sifting"]);
        for field in ["clock_offset_ps", "coincidences", "accidental_coincidences", "alice", "bob"] {
            assert_eq!(alice[field], bob[field], "{field}");
        }
        let number = |value: &Value| value.as_f64().unwrap();
        assert!((number(&alice["clock_drift_ppm"]) - 3.0).abs() < 1e-3, "{alice}");
        assert!((number(&alice["clock_offset_ps"]) - 1.0e10).abs() < 1e6, "{alice}");
        // 2e5 pairs a second for two seconds, a quarter of which both saw.
        assert!((98_000.0..102_000.0).contains(&number(&alice["coincidences"])), "{alice}");
        for basis in [0, 1] {
            let (sample, rest) = (&alice["bases"][basis], &bob["bases"][basis]);
            assert!((24_000.0..26_000.0).contains(&number(&sample["sifted"])), "{sample}");
            // Five standard deviations of 2 % of the sample, a tenth.
            assert!((0.006..0.034).contains(&number(&sample["error_rate"])), "{sample}");
            assert!((0.0155..0.0245).contains(&number(&rest["error_rate"])), "{rest}");
            assert!((0.95..0.97).contains(&number(&rest["visibility"])), "{rest}");
            let all = number(&sample["compared"]) + number(&rest["compared"]);
            assert_eq!(all, number(&sample["sifted"]));
        }
        let bits = assert_equal(folder);
        assert!((5_000..40_000).contains(&bits), "{bits}");

        // What gave key once gives none again.
        let line = format!("distill --alice alice.tags --out a.key {SECRET} --listen 127.0.0.1:0");
        let again = command(folder, &line).output().unwrap();
        let told = String::from_utf8_lossy(&again.stderr);
        assert!(again.status.code() == Some(2) && told.contains("alice.tags.progress"), "{told}");
        fs::remove_file(folder.join("alice.tags.progress")).unwrap();
    }
}

#[test]
fn certificates_protect_the_talk_of_time_tags() {
    let folder = folder();
    let folder = folder.path();
    write(folder, &pairs(4e5, 1.0));
    fs::write(
        folder.join("lab.toml"),
        "format = 1\nnetwork.name = \"lab\"\n[node.Alice]\n[node.Bob]\n[link.A-B]\nends = [\"Alice\", \"Bob\"]\n\
         fibre = { length = \"1 km\", loss_per_length = \"0.2 dB/km\" }\ntransmitter = \"generic-decoy-1ghz\"\n\
         receiver = \"generic-snspd\"\n",
    )
    .unwrap();
    let made = command(folder, "pki lab.toml --state state").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let tls = |own: &str, peer: &str| {
        let nodes = "state/pki/nodes";
        format!(
            "--certificate {nodes}/{own}.pem --key {nodes}/{own}.key.pem --ca {nodes}/ca.pem --peer {peer}"
        )
    };
    let (code, output) = both(
        folder,
        &format!("--alice alice.tags --out a.key {SECRET} {NEAR} {}", tls("Alice", "Bob")),
        &format!("--bob bob.tags --out b.key {SECRET} {}", tls("Bob", "Alice")),
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{errors}");
    let told = String::from_utf8_lossy(&output.stdout);
    for part in ["clicks of Bob", "coincidences", "basis X", "visibility 0.9", "Alice's is 0.0100"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_equal(folder);
}

#[test]
fn what_cannot_be_is_told_and_uses_nothing_up() {
    let folder = folder();
    let folder = folder.path();
    let records = pairs(1e5, 0.5);
    write(folder, &records);
    fs::write(folder.join("raw.txt"), "0110".repeat(5000)).unwrap();
    let refused = |line: &str| {
        let output =
            command(folder, &format!("distill {line} --out x.key {SECRET} --listen 127.0.0.1:0")).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(!folder.join("x.key").exists());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(
        refused("--alice raw.txt --rounding 2ns")
            .contains("--rounding is for time tags, and raw.txt is a raw key")
    );
    assert!(refused("--alice alice.tags --bits 7").contains("--bits is for raw keys"));
    assert!(refused("--alice alice.tags --channels 0=Z0").contains("no channel is Z1"));
    assert!(refused("--alice alice.tags --rounding 2us").contains("the rounding of times is 2000000 ps"));
    assert!(refused("--bob bob.tags --clock-offset 1s").contains("--clock-offset"));

    // A channel that nobody named, and times that go back: told where they stand, when they are reached.
    let [_, bob] = &records;
    let mut wrong = bob.clone();
    wrong[20].1 = 9;
    fs::write(folder.join("early.tags"), binary(&wrong)).unwrap();
    assert!(refused("--bob early.tags").contains("record 21: channel 9"));
    wrong[20].1 = 0;
    wrong[20_000].1 = 9;
    fs::write(folder.join("unknown.tags"), binary(&wrong)).unwrap();
    wrong[20_000] = (1, 0);
    let text: String = wrong.iter().map(|(time, channel)| format!("{time},{channel}\n")).collect();
    fs::write(folder.join("back.csv"), format!("time_ps,channel\n{text}")).unwrap();
    for (file, part) in
        [("unknown.tags", "record 20001: channel 9"), ("back.csv", "line 20002: 1 ps, after ")]
    {
        let (_, output) = both(
            folder,
            &format!("--alice alice.tags --out a.key {SECRET} {NEAR}"),
            &format!("--bob {file} --out b.key {SECRET}"),
        );
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && told.contains(part), "{told}");
    }

    // Different settings, a raw key at the other end, and a record of another run.
    let [_, other] = pairs(1e5, 0.7);
    let other: Vec<(u64, u8)> = other.iter().map(|&(time, channel)| (time / 3 * 2, channel)).collect();
    fs::write(folder.join("other.tags"), binary(&other)).unwrap();
    for (bob, part, code) in [
        ("bob.tags --rounding 500ps", "the rounding of times is 500 ps here and 1000 ps at the other end", 2),
        ("raw.txt", "it has a record of time tags, and this end a raw key", 1),
        ("other.tags", "the clocks cannot be related: no offset stands out", 1),
    ] {
        let (listening, output) = both(
            folder,
            &format!("--alice alice.tags --out a.key {SECRET} {NEAR}"),
            &format!("--bob {bob} --out b.key {SECRET}"),
        );
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(code) && listening.is_some_and(|code| code > 0),
            "{listening:?} {told}"
        );
        assert!(told.contains(part), "{told}");
        assert!(!folder.join("a.key").exists() && !folder.join("b.key").exists());
        assert!(matches!(next_time(folder, "alice"), None | Some(Some(0))), "sifting uses nothing up");
    }
}

/// The first time that may still be used by the record beside a record, if there is one; nothing inside if all is used.
fn next_time(folder: &Path, end: &str) -> Option<Option<u64>> {
    let text = fs::read(folder.join(format!("{end}.tags.progress"))).ok()?;
    Some(serde_json::from_slice::<Value>(&text).unwrap()["next_time"].as_u64())
}

/// What was told once is told again only in the same way.
#[test]
fn a_record_is_not_told_in_two_ways() {
    let folder = folder();
    let folder = folder.path();
    write(folder, &pairs(2e5, 1.0));
    // The clocks are further apart than is looked for, so that no key is made of what was told.
    let (_, output) = both(
        folder,
        &format!("--alice alice.tags --out a.key {SECRET} --clock-offset 50s --offset-within 1ms"),
        &format!("--bob bob.tags --out b.key {SECRET}"),
    );
    assert!(!output.status.success());
    let line = format!("distill --bob bob.tags --out b.key {SECRET} --connect 127.0.0.1:1");
    let output = command(folder, &format!("{line} --channels 0=Z0,1=X0,2=Z1,3=X1")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && told.contains("was told before"), "{told}");
    let (code, output) = both(
        folder,
        &format!("--alice alice.tags --out a.key {SECRET} {NEAR}"),
        &format!("--bob bob.tags --out b.key {SECRET}"),
    );
    assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{}", account(folder, "b.key"));
    assert_equal(folder);
}

/// Bob is killed while keys are made. What was disclosed is not used again, and the rest of both records gives key.
#[test]
fn a_crash_uses_up_what_was_disclosed_and_no_more() {
    let folder = folder();
    let folder = folder.path();
    write(folder, &pairs(4e5, 2.0));
    // So that it is killed in the middle, Bob cannot go on beyond a few small blocks under way.
    let blocks = "--block 2000 --in-flight 2";
    let (running, address) =
        listening(folder, &format!("--alice alice.tags --out a.key {SECRET} {NEAR} {blocks}"));
    let line = format!("distill --bob bob.tags --out b.key {SECRET} {blocks} --connect {address}");
    let mut bob = command(folder, &line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while ["alice", "bob"].iter().any(|end| matches!(next_time(folder, end), None | Some(Some(0)))) {
        assert!(bob.try_wait().unwrap().is_none(), "it ended before anything was used");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    signal(bob.id(), "KILL");
    bob.wait().unwrap();
    assert_eq!(running.wait(), Some(1), "the other end is gone");
    let used = |end: &str| -> Value {
        serde_json::from_slice(&fs::read(folder.join(format!("{end}.tags.progress"))).unwrap()).unwrap()
    };
    let marks = ["alice", "bob"].map(|end| used(end)["next_time"].as_u64());
    let _ = ["a.key", "b.key", "a.key.json"].map(|name| fs::remove_file(folder.join(name)));
    let (Some(alice), Some(bob)) = (marks[0], marks[1]) else {
        // It was too quick, and all was used: nothing is left to look at.
        return;
    };
    // Records begin at a second, Alice's 10 ms later. She lives on and gives back what no block used, which may be all.
    assert!((alice == 0 || alice > 1_010_000_000_000) && bob > 1_000_000_000_000, "{marks:?}");
    let (code, output) = both(
        folder,
        &format!("--alice alice.tags --out a.key {SECRET} {NEAR}"),
        &format!("--bob bob.tags --out b.key {SECRET}"),
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{errors}");
    let told = account(folder, "b.key");
    let (clicks, events) = (&told["sifting"]["bob"]["clicks"], &told["sifting"]["bob"]["events"]);
    assert!(clicks.as_u64().unwrap() < 400_000 && events.as_u64().unwrap() > 1000, "{told}");
    assert_equal(folder);
    assert_eq!(["alice", "bob"].map(|end| used(end)["next_time"].clone()), [Value::Null, Value::Null]);
}

/// The records that the documents tell a newcomer to make.
#[test]
fn the_example_makes_records_that_give_key() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no python3, so examples/time-tags was NOT run");
        return;
    }
    let folder = folder();
    let folder = folder.path();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/time-tags/pairs.py");
    let made = Command::new("python3").arg(program).arg("--csv").current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (code, output) = both(
        folder,
        &format!("--alice alice.csv --out a.key {SECRET}"),
        &format!("--bob bob.csv --out b.key {SECRET}"),
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((code, output.status.code()), (Some(0), Some(0)), "{errors}");
    assert_equal(folder);
}

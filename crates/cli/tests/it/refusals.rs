//! What is no network file: exit code 2, the value and the remedy told, nothing printed, no panic.

use bellwether_units::{EntityId, Purpose, Stream};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const NETWORK: &str = r#"format = 1
network.name = "small"
[node.A]
[node.B]
[link.A-B]
ends = ["A", "B"]
fibre = { length = "50 km", loss_per_length = "0.2 dB/km" }
transmitter = "generic-decoy-1ghz"
receiver = "generic-snspd"
protocol = { block_size = "10 Mbit" }
"#;

/// 100 MB.
const LARGE: usize = 100_000_000;
/// Just below what is read at most, 64 MiB.
const READ: usize = 67_000_000;

/// Runs `check` and `simulate` on the file; both must refuse it, and say each of `told`.
fn assert_refused(file: &Path, told: &[&str]) {
    for word in ["check", "simulate"] {
        let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .arg(word)
            .arg(file)
            .output()
            .expect("the command can be started");
        let text = String::from_utf8_lossy(&output.stderr);
        let place = format!("{word} {}: {text}", file.display());
        assert_eq!(output.status.code(), Some(2), "{place}");
        assert!(text.starts_with("error") && !text.contains("panicked"), "{place}");
        assert!(text.len() < 10_000, "{} bytes are told of {}", text.len(), file.display());
        assert!(output.stdout.is_empty(), "{word} printed results of {}", file.display());
        for part in told {
            assert!(text.contains(part), "`{part}` is missing: {place}");
        }
    }
}

/// The small file with one text replaced by another is refused.
fn assert_change_is_refused(from: &str, to: &str, told: &[&str]) {
    let place = tempfile::tempdir().expect("there is room for a directory");
    let file = place.path().join("net.toml");
    assert!(NETWORK.contains(from), "{from}");
    fs::write(&file, NETWORK.replacen(from, to, 1)).expect("the directory can be written");
    assert_refused(&file, told);
}

#[test]
fn the_file_itself_is_right() {
    let place = tempfile::tempdir().expect("there is room for a directory");
    let file = place.path().join("net.toml");
    fs::write(&file, NETWORK).expect("the directory can be written");
    let status = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("check")
        .arg(file)
        .stdout(Stdio::null())
        .status()
        .expect("the command can be started");
    assert!(status.success());
}

#[test]
fn an_unknown_key() {
    let told = ["`lenght`", "net.toml:7:11", "write `length`"];
    assert_change_is_refused("length =", "lenght =", &told);
}

#[test]
fn a_missing_unit() {
    let told = ["`50` has no unit", "net.toml:7:20", "like `50 km`"];
    assert_change_is_refused("\"50 km\"", "\"50\"", &told);
}

#[test]
fn a_negative_length() {
    let told = ["`-50 km`", "net.toml:7:20", "0 m to"];
    assert_change_is_refused("\"50 km\"", "\"-50 km\"", &told);
}

#[test]
fn a_link_to_a_missing_node() {
    let told = ["no node `BB`", "net.toml:6:14", "the nearest node is `B`"];
    assert_change_is_refused("\"B\"]", "\"BB\"]", &told);
}

#[test]
fn an_impossible_probability() {
    let change = "length = \"50 km\", misalignment = 1.5";
    let told = ["1.5 is not a probability", "net.toml:7:44", "would do: 0.01"];
    assert_change_is_refused("length = \"50 km\"", change, &told);
}

#[test]
fn a_duplicate_name() {
    let told = ["`A` is given twice", "net.toml:4:7", "another name"];
    assert_change_is_refused("[node.B]", "[node.A]\n[node.B]", &told);
}

#[test]
fn invalid_utf_8() {
    let place = tempfile::tempdir().expect("there is room for a directory");
    let file = place.path().join("net.toml");
    let mut bytes = NETWORK.as_bytes().to_vec();
    let at = NETWORK.find("small").expect("the name is there");
    bytes[at] = 0xff;
    fs::write(&file, bytes).expect("the directory can be written");
    let told = [format!("line 2 has a wrong byte, 0xff, at offset {at}"), "save it as UTF-8".to_owned()];
    assert_refused(&file, &told.each_ref().map(String::as_str));
}

/// `size` bytes of no meaning, the same every time.
fn random_bytes(size: usize) -> Vec<u8> {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("garbage"));
    (0..size.div_ceil(8)).flat_map(|_| stream.below(u64::MAX).to_le_bytes()).take(size).collect()
}

/// The small file, and then links that look right and join its nodes, until `size` bytes are full.
fn links_without_end(size: usize) -> Vec<u8> {
    let mut text = String::with_capacity(size + 200);
    text.push_str(NETWORK);
    let mut link = 0;
    while text.len() < size {
        text.push_str(&format!(
            "[link.l{link}]\nends = [\"A\", \"B\"]\nfibre.total_loss = \"10 dB\"\nfibre.length = \"50 km\"\n\
             transmitter = \"generic-decoy-1ghz\"\nreceiver = \"generic-snspd\"\n"
        ));
        link += 1;
    }
    text.truncate(size);
    text.into_bytes()
}

/// The small file over and over.
fn copies(size: usize) -> Vec<u8> {
    NETWORK.as_bytes().iter().copied().cycle().take(size).collect()
}

#[test]
fn a_hundred_megabytes_of_garbage() {
    let place = tempfile::tempdir().expect("there is room for a directory");
    let told = ["larger than 64 MiB", "`[generate]`"];
    for (name, bytes) in
        [("random", random_bytes(LARGE)), ("links", links_without_end(LARGE)), ("copies", copies(LARGE))]
    {
        let file = place.path().join(name);
        File::create(&file).and_then(|mut file| file.write_all(&bytes)).expect("there is room for 100 MB");
        assert_refused(&file, &told);
        fs::remove_file(file).expect("the file is there");
    }
}

/// A pipe has no size that would tell beforehand.
#[cfg(unix)]
#[test]
fn a_hundred_megabytes_of_garbage_from_a_pipe() {
    for bytes in [random_bytes(LARGE), links_without_end(LARGE)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(["check", "/dev/stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command can be started");
        let mut input = child.stdin.take().expect("there is a pipe");
        // The command may hang up as soon as it has seen enough.
        let _ = input.write_all(&bytes);
        drop(input);
        let output = child.wait_with_output().expect("the command ends");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.starts_with("error") && text.contains("larger than 64 MiB"), "{text}");
    }
}

/// As much as is read at all, so that it must be parsed to be refused.
#[test]
fn as_much_garbage_as_is_read() {
    let place = tempfile::tempdir().expect("there is room for a directory");
    for (name, bytes, told) in [
        ("random", random_bytes(READ), ["not UTF-8", "save it as UTF-8"]),
        ("copies", copies(READ), ["more than 1024 MiB of memory", "`[generate]`"]),
        ("fewer copies", copies(5_000_000), ["`A` is given twice", "leave one of them out"]),
        ("letters", b"garbage ".repeat(READ / 8), ["a line is longer than 1 MiB", "letters:1:1"]),
    ] {
        let file = place.path().join(name);
        fs::write(&file, bytes).expect("there is room for 67 MB");
        assert_refused(&file, &told);
    }
}

//! The examples do what they say.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Ports that the example's network takes: three for each of five nodes, one for the light, five for key streams.
const PORTS: u16 = 21;

/// The first of so many free ports. What connects outward takes none below 32768.
fn first_port() -> u16 {
    let any = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
    (0..900)
        .map(|step| 12_000 + (any % 900 + step) % 900 * PORTS)
        .find(|first| (0..PORTS).all(|place| TcpListener::bind(("127.0.0.1", first + place)).is_ok()))
        .expect("free ports")
}

#[test]
fn banks_send_transfers_through_an_eavesdropper_and_a_cut() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no python3, so examples/bank-transfer was NOT run");
        return;
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bank-transfer/transfers.py");
    let output = Command::new("python3")
        .arg(program)
        .args(["--bellwether", env!("CARGO_BIN_EXE_bellwether")])
        .args(["--set", &format!("live.first_port={}", first_port())])
        .output()
        .expect("python3 is there");
    let (told, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{failed}");
    for part in ["raises an alarm", "sees no light", "REFUSED: it was changed", "none was lost"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Keys came over three relays at least, alone or with others.
    let routes = told.lines().find_map(|line| line.strip_prefix("Keys came over ")).expect("a last line");
    assert!(["-C", "-D", "-E"].iter().all(|relay| routes.contains(relay)), "{routes}");
}

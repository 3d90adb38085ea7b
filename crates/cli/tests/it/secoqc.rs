//! The network of Vienna, as the README starts it: keys soon, and a cut that nobody who asks for keys notices.

#![expect(
    clippy::disallowed_methods,
    reason = "processes run by the wall clock, and so does what is waited for them"
)]

use crate::place::{Place, Running};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// The six nodes listen at four ports each, and their light at one.
const PORTS: u16 = 25;
/// On an idle machine the first key is there within 10 s of the start; this machine may be busy.
const FIRST_KEY: Duration = Duration::from_secs(30);
/// A cut link is gone round within a second.
const REROUTED: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn vienna_serves_keys_soon_and_goes_round_a_cut_without_losing_a_request() {
    let place = Place::new();
    let any = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
    let first_port = (0..400)
        .map(|step| 5_000 + (any % 100 + step) % 100 * PORTS)
        .find(|first| (0..PORTS).all(|place| TcpListener::bind(("127.0.0.1", first + place)).is_ok()))
        .expect("free ports");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks/secoqc-2008.toml");
    fs::copy(file, place.path().join("vienna.toml")).expect("the network of the repository");
    let options = format!("--network vienna.toml --state state --set live.first_port={first_port}");
    let begun = Instant::now();
    let up = format!("up vienna.toml --state state --set live.first_port={first_port}");
    let mut running = Running::start(place.command(&up));
    running.until("--master bank-a");
    place.a_key_at_both_ends(&options);
    println!("the first key was at both ends {:.2} s after the start", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < FIRST_KEY, "{:?}", begun.elapsed());

    // Every way of a key from SIE to ERD is cut in turn, while applications go on asking.
    let audit = || -> Vec<Value> {
        let text = fs::read_to_string(place.path().join("state/nodes/SIE/audit.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let ask = || {
        let begun = Instant::now();
        let told = place.run(&format!("key get {options} --as bank-a --slave bank-b"));
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        begun.elapsed()
    };
    place.done(&format!("inject {options} cut ERD-SIE"));
    let cut = Instant::now();
    let known = |entry: &Value| entry["link"] == "ERD-SIE" && entry["condition"] == "cut";
    while !audit().iter().any(known) {
        assert!(cut.elapsed() < PATIENCE, "nobody notices the cut");
        ask();
    }
    println!("the cut was noticed within {:.0} ms", cut.elapsed().as_secs_f64() * 1e3);
    let mut detour = None;
    let mut slowest = Duration::ZERO;
    while detour.is_none() {
        assert!(cut.elapsed() < PATIENCE, "no key comes another way");
        slowest = slowest.max(ask());
        detour = audit().into_iter().skip_while(|entry| !known(entry)).find(|entry| {
            entry["event"] == "quantum-key" && !entry["routes"].to_string().contains("ERD-SIE")
        });
    }
    println!("then the slowest request took {:.0} ms", slowest.as_secs_f64() * 1e3);
    assert!(slowest < 3 * REROUTED, "{slowest:?}");
    assert_eq!(running.stop("INT"), Some(0));
}

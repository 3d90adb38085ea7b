//! The command as a person types it: exit codes, files, interruption.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const NETWORK: &str = r#"
format = 1
network.name = "three nodes"
run = { duration = "10 min", seed = 3 }
[node.A]
position = ["48.2 deg", "16.4 deg"]
[node.B]
position = ["48.3 deg", "16.3 deg"]
[node.C]
[link.A-B]
ends = ["A", "B"]
fibre = { length = "50 km", loss_per_length = "0.2 dB/km" }
transmitter = "generic-decoy-1ghz"
receiver = "generic-snspd"
protocol = { block_size = "10 Mbit" }
[link.B-C]
ends = ["B", "C"]
fibre = { length = "30 km", loss_per_length = "0.2 dB/km" }
transmitter = "generic-decoy-1ghz"
receiver = "generic-snspd"
protocol = { block_size = "10 Mbit" }
[demand.bank]
from = "A"
to = "C"
key_size = "256 bit"
rate = "1 /s"
[[event]]
link = "B-C"
at = "5 min"
until = "6 min"
kind = "cut"
"#;

fn bellwether(directory: &Path, line: &str) -> Output {
    command(directory, line).output().expect("the command can be started")
}

fn command(directory: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.current_dir(directory).args(line.split_whitespace());
    command
}

/// A directory with the network above as `network.toml`.
fn workplace() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    fs::write(directory.path().join("network.toml"), NETWORK).expect("the directory can be written");
    directory
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("the file was written");
    serde_json::from_str(&text).expect("the file is JSON")
}

#[test]
fn a_run_writes_its_results_and_says_the_same_every_time() {
    let place = workplace();
    let here = place.path();
    let mut hashes = Vec::new();
    for line in ["--threads 1 --out one", "--threads 2 --out two", "--threads 2 --out three"] {
        let output = bellwether(here, &format!("simulate network.toml --for 2min {line}"));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("A-B") && shown.contains("bank") && !shown.contains('\x1b'), "{shown}");
        let directory = here.join(line.rsplit(' ').next().expect("the line has words"));
        for file in ["report.html", "trace.jsonl", "manifest.json", "network.toml"] {
            assert!(directory.join(file).is_file(), "{file} is missing");
        }
        hashes.push((shown, fs::read(directory.join("summary.json")).expect("the summary was written")));
    }
    assert_eq!(hashes[0], hashes[1], "other threads, other results");
    assert_eq!(hashes[1], hashes[2], "another time, other results");
}

#[test]
fn a_manifest_is_all_that_a_replay_needs() {
    let place = workplace();
    let here = place.path();
    let line = "simulate network.toml --for 90s --seed 11 --detail blocks --set link.A-B.fibre.length=60km --out first";
    assert!(bellwether(here, line).status.success());
    // Elsewhere, with nothing but the directory of results.
    fs::remove_file(here.join("network.toml")).expect("the file is there");
    let first = here.join("first");
    let manifest = json(&first.join("manifest.json"));
    let replay = manifest["replay"].as_array().expect("a list of words").iter();
    let words = replay.skip(1).map(|word| word.as_str().expect("a word"));
    let status = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .current_dir(&first)
        .args(words)
        .args(["--out", "again"])
        .stdout(Stdio::null())
        .status()
        .expect("the command can be started");
    assert!(status.success());
    let (mut one, mut two) = (json(&first.join("summary.json")), json(&first.join("again/summary.json")));
    for summary in [&mut one, &mut two] {
        // The copy has another name, and that is all.
        summary["run"]["file"].take();
    }
    assert_eq!(one, two);
}

#[test]
fn bad_input_is_refused_with_code_2_and_no_panic() {
    let place = workplace();
    let here = place.path();
    fs::write(here.join("garbage.toml"), [0xff_u8, 0, 1, 2].repeat(1000)).expect("a file");
    fs::write(here.join("unknown.toml"), NETWORK.replace("fibre = {", "fiber = {")).expect("a file");
    for line in [
        "simulate absent.toml",
        "simulate garbage.toml",
        "simulate unknown.toml",
        "check unknown.toml",
        "check network.toml --set link.A-B.fibre.length=-1km",
        "check network.toml --set link.A-B.fibre.length=80",
        "simulate network.toml --for never",
        "rate network.toml",
        "rate network.toml --link absent",
        "rate network.toml --link A-B --sweep fibre.length=-1km..1km",
        "nothing",
    ] {
        let output = bellwether(here, line);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {told}");
        assert!(!told.contains("panicked") && told.contains("error"), "{line}: {told}");
        assert!(output.stdout.is_empty(), "{line} printed results");
    }
    let told = String::from_utf8_lossy(&bellwether(here, "check unknown.toml").stderr).into_owned();
    assert!(told.contains("unknown.toml:12") && told.contains("fibre"), "file, line and remedy: {told}");
}

#[test]
fn what_cannot_be_written_is_code_1() {
    let place = workplace();
    let output = bellwether(place.path(), "simulate network.toml --for 1min --out network.toml/results");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn json_is_one_value_on_standard_output() {
    let place = workplace();
    for line in [
        "simulate network.toml --for 1min --json",
        "simulate network.toml --for 1min --runs 2 --json",
        "check network.toml --json",
        "rate network.toml --link A-B --json",
        "rate network.toml --link A-B --sweep fibre.length=0km..100km:3 --json",
        "profiles --json",
        "schema",
    ] {
        let output = bellwether(place.path(), line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok(), "{line}");
    }
}

#[test]
fn check_tells_of_links_that_entangle() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks/delft-3-node-2021.toml");
    let place = workplace();
    let output = bellwether(place.path(), &format!("check {}", file.display()));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "3 nodes (0 trusted, 1 repeater), 2 entangling links with 32 m of fibre,",
        "Bob-Charlie      Bob – Charlie    30 m  single-click  8.90 /s     0.839  7 /s, F 0.811 (from memory)",
        "swap     Alice → Charlie  by Bob  2.5 ms",
        "Alice-Charlie  Alice → Charlie       0.5  all there are  keep  swap     0.1 /s, F 0.551 (from memory)",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(!told.contains("link       from"), "no table of links that make key: {told}");
    let untold = format!("check {} --set node.Alice.platform=strontium-calcium", file.display());
    assert_eq!(
        bellwether(place.path(), &untold).status.code(),
        Some(2),
        "a platform that tells no visibility"
    );
    let json = bellwether(place.path(), &format!("check {} --json", file.display()));
    let found: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&found["entangling_links"], &found["fibre_km"]), (&Value::from(2), &Value::from(0.0)));
    assert!(!String::from_utf8_lossy(&json.stdout).contains("-0.0"));
}

/// The 97.5 % point of Student's t with two degrees of freedom (any table).
const STUDENT_T_OF_THREE_RUNS: f64 = 4.302_653;

/// The mean of three values and its 95 % interval, as they must be told: (low, mean, high).
fn interval_of(values: [f64; 3]) -> [f64; 3] {
    let mean = values.iter().sum::<f64>() / 3.0;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0;
    let half = STUDENT_T_OF_THREE_RUNS * (variance / 3.0).sqrt();
    [mean - half, mean, mean + half]
}

#[test]
fn runs_give_the_means_and_intervals_of_the_same_runs_alone() {
    let place = workplace();
    let here = place.path();
    let output = bellwether(here, "simulate network.toml --for 1min --runs 3 --seed 5 --out many");
    assert!(output.status.success());
    let means = json(&here.join("many/summary.json"));
    assert_eq!((&means["runs"], &means["run"]["seed"]), (&3.into(), &5.into()));
    let lines = fs::read_to_string(here.join("many/runs.jsonl")).expect("the runs were written");
    let runs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let alone = [5, 6, 7].map(|seed| {
        let output = bellwether(here, &format!("simulate network.toml --for 1min --seed {seed} --json"));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    });
    assert_eq!(runs, alone, "runs.jsonl holds other runs than those with the seeds 5, 6 and 7");

    let count = |counts: &Value| -> f64 {
        let counts = counts.as_array().expect("a list").iter();
        counts.map(|count| count["count"].as_f64().expect("a number")).sum()
    };
    let mut compared = 0;
    let mut compare = |told: &Value, figure: &dyn Fn(&Value) -> f64| {
        let expected = interval_of([0, 1, 2].map(|run| figure(&alone[run])));
        for (end, expected) in ["low", "mean", "high"].into_iter().zip(expected) {
            let told = told[end].as_f64().expect("a number");
            assert!((told - expected).abs() <= 1e-6 * expected.abs(), "{end}: {told}, not {expected}");
        }
        compared += usize::from(expected[0] < expected[2]);
    };
    for link in 0..2 {
        let told = &means["links"][link];
        for figure in ["sifted_rate_per_s", "qber_key", "secret_rate_per_s"] {
            compare(&told[figure], &|run| run["links"][link][figure].as_f64().expect("a number"));
        }
        compare(&told["alarms"], &|run| {
            let alarms = run["alarms"].as_array().expect("a list").iter();
            let of_link = alarms.filter(|alarm| alarm["link"] == told["name"]);
            of_link.map(|alarm| alarm["count"].as_f64().expect("a number")).sum::<f64>() + 0.0
        });
    }
    let told = &means["demands"][0];
    compare(&told["delivered"], &|run| run["demands"][0]["delivered"].as_f64().expect("a number"));
    compare(&told["refused"], &|run| count(&run["demands"][0]["refused"]) + 0.0);
    assert!(compared >= 6, "only {compared} intervals have a width, so the runs do not differ");
}

#[test]
fn no_result_is_a_negative_zero() {
    let place = workplace();
    // Without alarms and refusals, and without any key at all.
    for line in ["--for 1min", "--for 1min --runs 3", "--for 1min --set link.*.fibre.length=400km --runs 2"] {
        let output = bellwether(place.path(), &format!("simulate network.toml --json {line}"));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !told.contains("-0.0"), "{line}: {told}");
    }
}

#[test]
fn a_sweep_is_plotted() {
    let place = workplace();
    let line = "rate network.toml --link A-B --sweep fibre.length=0km..200km:21 --svg rate.svg";
    let output = bellwether(place.path(), line);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).matches(" km ").count() >= 20);
    assert!(fs::read_to_string(place.path().join("rate.svg")).expect("the plot").starts_with("<svg"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = workplace();
    let mut child = command(place.path(), "completions zsh")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the command ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn completions_know_the_subcommands() {
    let place = workplace();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = bellwether(place.path(), &format!("completions {shell}"));
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && script.contains("simulate"), "{shell}");
    }
}

/// Figures of all that is measured; how good they are is for who reads them, but for what is disclosed, which no other work on
/// the machine changes.
#[test]
fn a_quick_bench_measures_every_family_and_draws_it() {
    let place = workplace();
    let output = bellwether(place.path(), "bench --quick --json --svg efficiency.svg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = report["efficiencies"].as_array().expect("rows");
    let families: std::collections::BTreeSet<_> = rows.iter().map(|row| row["family"].as_str()).collect();
    assert_eq!((families.len(), rows.len()), (7, 49));
    for row in rows {
        let (family, f) = (row["family"].as_str().unwrap(), row["efficiency"].as_f64().unwrap());
        assert!((1.0..1.5).contains(&f), "{row}");
        assert!(family != "grouped-thorough" || f < 1.035, "{row}");
        assert!(row["corrector_bits_per_s"].as_f64().unwrap() > 0.0);
    }
    let figures = report["figures"].as_array().expect("figures");
    assert!(figures.len() >= 9 && figures.iter().all(|figure| figure["value"].as_f64().unwrap() > 0.0));
    assert!(std::fs::read_to_string(place.path().join("efficiency.svg")).unwrap().starts_with("<svg"));
}

/// Interrupted once the trace has begun: the results are there, valid, and say that they are partial.
#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_partial_results_with_code_130() {
    let place = workplace();
    let here = place.path();
    let child = command(here, "simulate network.toml --detail bits --for 10h --threads 1 --out cut")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let trace = here.join("cut/trace.jsonl");
    for _ in 0..600 {
        if fs::metadata(&trace).is_ok_and(|metadata| metadata.len() > 0) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let output = child.wait_with_output().expect("the command ends");
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = json(&here.join("cut/summary.json"));
    assert_eq!(summary["run"]["partial"], true);
    assert!(summary["run"]["simulated_s"].as_f64() < summary["run"]["duration_s"].as_f64());
    let trace = fs::read_to_string(trace).expect("the trace was written");
    let last = trace.lines().last().expect("the trace has lines");
    assert_eq!(serde_json::from_str::<Value>(last).expect("JSON")["event"], "run-ended");
    assert!(String::from_utf8_lossy(&output.stdout).contains("partial"));
    assert!(fs::read_to_string(here.join("cut/report.html")).expect("the report").contains("Partial:"));
}

/// A file of four megabytes that is nothing but tables, and one of 60 that is nothing but commas.
#[cfg(target_os = "linux")]
#[test]
fn a_file_dense_in_tables_is_refused_within_a_gigabyte_and_a_half_of_addresses() {
    let directory = workplace();
    let head = "format = 1\nnetwork.name = \"dense\"\n";
    let tables = (0..650).map(|line| format!("x{line} = [{}]\n", "{a=1},".repeat(1000))).collect::<String>();
    let commas = (0..300).map(|line| format!("x{line} = [{}]\n", "1,".repeat(100_000))).collect::<String>();
    for (name, lines, told) in
        [("tables", tables, "has no key `x0`"), ("commas", commas, "more than 1024 MiB of memory")]
    {
        fs::write(directory.path().join(name), head.to_owned() + &lines)
            .expect("the directory can be written");
        let shell = format!("ulimit -v 1572864; exec {} check {name}", env!("CARGO_BIN_EXE_bellwether"));
        let output = Command::new("sh").current_dir(directory.path()).args(["-c", &shell]).output();
        let output = output.expect("there is a shell");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {text}");
        assert!(text.contains(told) && text.contains(name), "{name}: {text}");
    }
}

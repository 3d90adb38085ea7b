//! The documents are true: what they show parses, what they link to exists, what is generated is current.

use bellwether_cli::args::Args;
use bellwether_network::{Network, Override};
use bellwether_sim::expect::expectation;
use bellwether_sim::run::{Observer, Options, simulate};
use bellwether_sim::trace::TraceRecord;
use bellwether_units::{Duration, LinkId, Time};
use clap::Parser;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page: those beside the code, and those of the book.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|name| root().join(name))
        .into();
    let book = fs::read_dir(root().join("docs/src")).expect("the book is there");
    paths.extend(book.map(|entry| entry.expect("an entry").path()).filter(|path| is_page(path)));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path, text)
        })
        .collect()
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The contents of the fenced blocks of a language, with the line that each begins on.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(word)) => open = Some((number + 2, word == language, String::new())),
            (None, None) => {}
            (Some(_), Some(_)) => found.extend(open.take().filter(|(_, wanted, _)| *wanted)),
            (Some((_, _, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a fenced block does not end");
    found.into_iter().map(|(line, _, block)| (line, block)).collect()
}

/// The targets of the links and images of a page.
fn targets(text: &str) -> Vec<String> {
    let mut rest = outside_code(text);
    let mut found = Vec::new();
    while let Some(at) = rest.find("](") {
        rest = rest.split_off(at + 2);
        let end = rest.find(')').expect("a link ends");
        found.push(rest[..end].to_owned());
    }
    found
}

/// A page without its fenced blocks and its spans of code, in which brackets are no links.
fn outside_code(text: &str) -> String {
    let mut kept = String::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            kept.extend(line.split('`').step_by(2));
            kept.push('\n');
        }
    }
    kept
}

/// The words of a command line as a shell would part them, without what follows a pipe, `>` or `#`.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | '#' | ';') => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The command lines of `bellwether` on a page, as words, with their place.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (path, text) in pages() {
        for (first, block) in blocks(&text, "console") {
            for (number, line) in block.lines().enumerate() {
                let Some(line) = line.strip_prefix("$ ") else { continue };
                let line = line.replace("cargo run --release -- ", "bellwether ");
                let line = words(&line);
                if line.first().is_some_and(|word| word == "bellwether") {
                    found.push((format!("{}:{}", path.display(), first + number), line));
                }
            }
        }
    }
    found
}

#[test]
fn whole_network_files_are_right_and_give_key() {
    let mut seen = 0;
    for (path, text) in pages() {
        for (line, block) in blocks(&text, "toml") {
            if block.starts_with("format = 1") {
                let place = format!("{}:{line}", path.display());
                let network = Network::parse(&block, &place, &[]).unwrap_or_else(|errors| panic!("{errors}"));
                for (number, link) in network.links.iter().take(10).enumerate() {
                    let expected = expectation(&network, LinkId(number as u32)).expect("devices that fit");
                    assert_eq!(expected.no_key, None, "{place}: {} gives no key", link.name);
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "only {seen} network files are shown");
}

#[test]
fn parts_of_network_files_are_toml() {
    for (path, text) in pages() {
        for (line, block) in blocks(&text, "toml") {
            let place = format!("{}:{line}", path.display());
            // What a part names is not there; what it says must still be known.
            if let Err(errors) = Network::parse(&block, &place, &[]) {
                let text = errors.to_string();
                assert!(!text.contains("has no key"), "{text}");
                assert!(!text.contains("TOML"), "{text}");
            }
        }
    }
}

#[test]
fn commands_are_as_they_would_be_typed() {
    let commands = commands();
    for (place, words) in &commands {
        // Help and version are answers, which clap tells as errors.
        if let Err(error) = Args::try_parse_from(words)
            && error.use_stderr()
        {
            panic!("{place}: {words:?}: {error}");
        }
    }
    assert!(commands.len() >= 20, "only {} commands are shown", commands.len());
}

#[test]
fn files_that_commands_name_are_right_with_their_overrides() {
    let mut seen = 0;
    for (place, words) in commands() {
        let Some(file) = words.iter().find(|word| word.starts_with("networks/")) else { continue };
        let overrides = words.windows(2).filter(|pair| pair[0] == "--set");
        let overrides: Vec<_> =
            overrides.map(|pair| Override::parse(&pair[1]).expect("clap has read it")).collect();
        Network::read(root().join(file), &overrides).unwrap_or_else(|errors| panic!("{place}: {errors}"));
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} commands name a network");
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for (path, text) in pages() {
        for target in targets(&text) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let file = path.parent().expect("a page lies in a folder").join(file);
            assert!(file.exists(), "{} links to {target}, which is not there", path.display());
            if !anchor.is_empty() && is_page(&file) {
                let text = fs::read_to_string(&file).expect("a page is UTF-8");
                assert!(
                    anchors(&text).iter().any(|known| known == anchor),
                    "{} links to {target}, a heading that is not there",
                    path.display()
                );
            }
            seen += 1;
        }
    }
    assert!(seen >= 40, "only {seen} links");
}

/// The anchors of a page's headings, as mdBook and GitHub make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            heading
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn paths_in_code_exist() {
    const FOLDERS: &[&str] = &["crates/", "networks/", "docs/", "examples/", "tests/", "fuzz/", ".ci/"];
    for (path, text) in pages() {
        let spans = text
            .lines()
            .filter(|line| !line.starts_with("```"))
            .flat_map(|line| line.split('`').skip(1).step_by(2));
        for span in spans {
            if FOLDERS.iter().any(|folder| span.starts_with(folder)) && !span.contains([' ', '*', '<', '{']) {
                assert!(root().join(span).exists(), "{} names {span}, which is not there", path.display());
            }
        }
    }
}

#[test]
fn the_summary_lists_every_page_of_the_book() {
    let summary = fs::read_to_string(root().join("docs/src/SUMMARY.md")).expect("the book has a summary");
    let listed = targets(&summary);
    for (path, _) in pages() {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a page has a name").to_owned();
        if path.parent().is_some_and(|folder| folder.ends_with("docs/src")) && name != "SUMMARY.md" {
            assert!(listed.contains(&name), "SUMMARY.md does not list {name}");
        }
    }
}

/// Set this to write what is generated anew: `REWRITE_DOCUMENTS=1 cargo test -p bellwether-tests documents`.
const REWRITE: &str = "REWRITE_DOCUMENTS";

#[test]
fn the_reference_of_network_files_is_current() {
    let path = root().join("docs/src/network-reference.md");
    let generated = bellwether_network::reference_markdown();
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, &generated).expect("the checkout can be written to");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/src/network-reference.md is out of date: {REWRITE}=1 writes it anew"
    );
}

/// Collects the names of all fields, however deep.
fn fields(value: &serde_json::Value, names: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                names.insert(name.clone());
                fields(value, names);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| fields(item, names)),
        _ => {}
    }
}

/// Keeps the trace of a run.
struct Trace(Vec<TraceRecord>);

impl Observer for Trace {
    fn progress(&mut self, _now: Time, _end: Time) -> bool {
        true
    }
    fn trace(&mut self, records: &[TraceRecord]) {
        self.0.extend_from_slice(records);
    }
}

#[test]
fn every_field_of_the_results_is_told() {
    let page = fs::read_to_string(root().join("docs/src/results.md")).expect("the page is there");
    let mut names = BTreeSet::new();
    let mut events = BTreeSet::new();
    for (file, overrides) in [
        ("networks/secoqc-2008.toml", vec![]),
        (
            "networks/eavesdropper.toml",
            vec!["demand.office.rate=0.01 /s", "event.0.at=1 min", "event.0.until=3 min"],
        ),
    ] {
        let overrides: Vec<_> = overrides.iter().map(|text| Override::parse(text).expect(text)).collect();
        let network =
            Network::read(root().join(file), &overrides).unwrap_or_else(|errors| panic!("{errors}"));
        let options = Options { duration: Some(Duration::from_whole_seconds(1200)), ..Options::default() };
        let mut trace = Trace(Vec::new());
        let outcome = simulate(&network, &options, &mut trace).expect(file);
        fields(&serde_json::to_value(&outcome.summary).expect("a summary is JSON"), &mut names);
        for record in trace.0 {
            let record = serde_json::to_value(&record).expect("a record is JSON");
            events.extend(record["event"].as_str().map(str::to_owned));
            fields(&record, &mut names);
        }
    }
    assert!(names.len() > 60 && events.len() >= 7, "{names:?} {events:?}");
    for name in names.iter().chain(&events) {
        let told = [format!("`{name}`"), format!("`{name}[]`")].iter().any(|word| page.contains(word));
        assert!(told, "results.md does not tell of `{name}`");
    }
}

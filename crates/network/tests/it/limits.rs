//! Files that nobody should write.

use crate::{SMALL, parse};
use bellwether_network::{Network, Problem};
use std::io::{Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

fn refused(bytes: &[u8]) -> Problem {
    let mut errors = Network::parse_bytes(bytes, "net.toml", &[]).unwrap_err();
    assert!(!errors.to_string().is_empty());
    errors.mistakes.remove(0).problem
}

#[test]
fn a_file_of_100_megabytes_is_refused_unread() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.seek(SeekFrom::Start(100_000_000)).unwrap();
    file.write_all(b"garbage").unwrap();
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    let errors = Network::read(file.path(), &[]).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(errors.mistakes[0].problem, Problem::TooLarge { limit: 64 });
}

#[test]
fn a_count_out_of_range_is_told_with_one_that_would_do() {
    let text = |nodes: u64| {
        format!(
            "format = 1\nnetwork.name = \"g\"\n[defaults]\ntransmitter = \"generic-decoy-1ghz\"\n\
             receiver = \"generic-snspd\"\n[generate]\nkind = \"line\"\nnodes = {nodes}\nspacing = \"20 km\"\n\
             link.fibre.loss_per_length = \"0.2 dB/km\"\n"
        )
    };
    for nodes in [0, 1, 1_000_001, u64::MAX] {
        let errors = parse(&text(nodes)).unwrap_err();
        assert!(errors.to_string().contains("a value that would do: 2"), "{errors}");
    }
    parse(&text(2)).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn a_missing_file_and_a_folder_are_told() {
    for path in ["/nonexistent/net.toml", "/"] {
        let errors = Network::read(path, &[]).unwrap_err();
        assert!(matches!(errors.mistakes[0].problem, Problem::Unreadable { .. }), "{errors}");
    }
}

#[test]
fn bytes_that_are_no_text_are_found() {
    let mut bytes = SMALL.as_bytes().to_vec();
    let at = SMALL.find("[node.B]").unwrap();
    bytes[at + 2] = 0xff;
    let line = SMALL[..at].lines().count() + 1;
    assert_eq!(refused(&bytes), Problem::NotUtf8 { line, byte: 0xff, offset: at + 2 });
}

#[test]
fn garbage_of_some_megabytes_is_refused() {
    for garbage in ["[", "x=[", "a={b=", "a.", "\0", "\"", "=", "x=1,", "\u{feff}", "[[a]]\n[a]\n", "é"] {
        let text = garbage.repeat(3_000_000 / garbage.len());
        let errors = parse(&text).unwrap_err();
        assert!(errors.to_string().len() < 10_000, "{garbage}");
    }
    let deep: String =
        (0..100_000).map(|depth| format!("[{}]\n", vec!["a"; 1 + depth % 90].join("."))).collect();
    assert!(parse(&deep).is_err());
}

#[test]
fn a_large_file_is_read_to_its_end() {
    let mut text = SMALL.to_owned();
    let filler =
        "# a line that says nothing, so that the file is large enough to be looked at in two steps\n";
    text.push_str(&filler.repeat(12_000));
    // A text over many lines, with what looks like a header in it, where the first step ends.
    text.push_str("[node.C]\nnote = \"\"\"\n");
    text.push_str(&"[not.a.header]\n".repeat(20_000));
    text.push_str("\"\"\"\n");
    let network = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(network.nodes.len(), 3);
    text.push_str("[node.A]\n");
    assert!(matches!(refused(text.as_bytes()), Problem::Duplicate { .. }));
}

#[test]
fn as_many_mistakes_as_a_file_can_hold_are_counted_and_a_few_shown() {
    let mut text = String::from("format = 1\nnetwork.name = \"x\"\n");
    for index in 0..50_000 {
        text.push_str(&format!("[link.l{index}]\nends = [\"A\", \"B\"]\nlength = 3\n"));
    }
    let errors = parse(&text).unwrap_err();
    assert!(errors.count >= 100_000, "{}", errors.count);
    assert_eq!(errors.mistakes.len(), bellwether_network::Errors::KEPT);
    let report = errors.to_string();
    assert!(report.ends_with(&format!("and {} more mistakes in net.toml\n", errors.count - 20)));
}

#[test]
fn a_mistake_in_a_long_line_is_shown_in_part() {
    let text = SMALL.replace(
        "\"small\"",
        &format!("\"{}\"\nsources = [{}3]", "x".repeat(100_000), "\"y\",".repeat(9999)),
    );
    let errors = parse(&text).unwrap_err();
    let place = errors.mistakes[0].place.clone().unwrap();
    assert_eq!((place.line, place.column), (5, 12 + 4 * 9999));
    assert!(errors.to_string().len() < 2000);
    assert!(errors.to_string().contains(&format!("net.toml:5:{}", place.column)));
}

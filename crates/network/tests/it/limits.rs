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

/// A ring of so many nodes and links, written out, with more keys than they need.
fn written_out(nodes: usize) -> String {
    let mut text = String::from("format = 1\nnetwork.name = \"ring\"\n");
    for node in 0..nodes {
        text.push_str(&format!(
            "[node.n{node}]\nposition = [\"{}.25 deg\", \"{}.5 deg\"]\nrole = \"trusted-node\"\n",
            node as i32 % 120 - 60,
            node as i32 / 120 % 300 - 150
        ));
    }
    for node in 0..nodes {
        let next = (node + 1) % nodes;
        text.push_str(&format!(
            "[link.n{node}-n{next}]\nends = [\"n{node}\", \"n{next}\"]\ntransmitter = \"generic-decoy-1ghz\"\n\
             receiver = \"generic-snspd\"\ndetail = \"blocks\"\nmessage_delay = \"300 us\"\nnote = \"leased\"\n\
             [link.n{node}-n{next}.fibre]\nlength = \"{} km\"\nloss_per_length = \"0.2 dB/km\"\n\
             misalignment = 0.01\nextra_loss = \"1 dB\"\n",
            20 + node % 60
        ));
    }
    text
}

#[test]
fn a_hundred_thousand_links_written_out_in_full_are_read() {
    let text = written_out(100_000);
    assert!(text.len() > 33_000_000, "{}", text.len());
    let network = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((network.nodes.len(), network.links.len()), (100_000, 100_000));
}

/// Files of many tables, keys and items, for their size.
const DENSE: [(&str, &str); 9] = [
    ("items", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"),
    ("lists", "[[1],[1],[1],[1],[1],[1],[1],[1],[1]]"),
    ("tables", "[{a=1},{a=1},{a=1},{a=1},{a=1},{a=1}]"),
    ("tables in tables", "{a={a={a={a={a={a={a={a={a={a={a=1}}}}}}}}}}}"),
    ("dotted keys", "{a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1}"),
    ("numbers", "[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]"),
    ("texts", "['','','','','','','','','','','','','']"),
    ("texts with escapes", r#"["\n","\n","\n","\n","\n","\n"]"#),
    ("empty", "{}"),
];

#[test]
fn a_file_that_would_take_gigabytes_is_refused_by_its_tables_and_keys() {
    let header = "format = 1\nnetwork.name = \"x\"\n";
    for (what, value) in DENSE {
        let line = |index: usize| format!("x{index}={value}\n");
        let text: String = std::iter::once(header.to_owned())
            .chain((0..60_000_000 / (line(999_999).len())).map(line))
            .collect();
        assert!(text.len() > 50_000_000, "{what}: {}", text.len());
        let problem = refused(text.as_bytes());
        let Problem::TooDense { limit: 1024, line, tables, keys, items } = problem else {
            panic!("{what}: {problem}")
        };
        assert_eq!(keys.min(2), 2, "{what}");
        assert!((10_000..60_000_000).contains(&(tables + keys + items)), "{what}");
        assert!(line > 1000 && line < text.lines().count(), "{what}");
    }
    let headers: String = (0..3_000_000).map(|index| format!("[a{index}.b.c]\n")).collect();
    assert!(matches!(refused(headers.as_bytes()), Problem::TooDense { keys: 0, .. }));
    let report = Network::parse(&headers, "net.toml", &[]).unwrap_err().to_string();
    for told in ["net.toml", "1024 MiB", "tables", "`[defaults]`", "`[generate]`"] {
        assert!(report.contains(told), "{report}");
    }
}

#[test]
fn classical_channels_of_the_defaults_count_for_every_link() {
    let text = |channels: usize, links: usize| {
        let mut text = SMALL.replace(
            "[node.A]",
            &format!(
                "[defaults]\nfibre.classical_channels = [{}]\n[node.A]",
                "{ power = \"-20 dBm\" },".repeat(channels)
            ),
        );
        for link in 1..links {
            text.push_str(&format!(
                "[link.l{link}]\nends = [\"A\", \"B\"]\ntransmitter = \"generic-decoy-1ghz\"\n\
                 receiver = \"generic-snspd\"\nfibre = {{ length = \"1 km\", total_loss = \"1 dB\" }}\n"
            ));
        }
        text
    };
    parse(&text(100, 2)).unwrap_or_else(|errors| panic!("{errors}"));
    let errors = parse(&text(5_000, 1_000)).unwrap_err();
    assert_eq!(errors.count, 1, "{errors}");
    assert!(errors.to_string().contains("more than 4000000 classical channels"), "{errors}");
    let generated = format!(
        "format = 1\nnetwork.name = \"g\"\n[defaults]\ntransmitter = \"generic-decoy-1ghz\"\n\
         receiver = \"generic-snspd\"\n[generate]\nkind = \"line\"\nnodes = 100_000\nspacing = \"20 km\"\n\
         link.fibre = {{ loss_per_length = \"0.2 dB/km\", classical_channels = [{}] }}\n",
        "{ power = \"-20 dBm\" },".repeat(50)
    );
    let errors = parse(&generated).unwrap_err();
    assert!(errors.to_string().contains("more than 4000000 classical channels"), "{errors}");
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

/// A window of a picosecond made a run of a second take a quarter of an hour.
#[test]
fn a_window_too_short_to_get_on_with_is_refused() {
    let window =
        |time: &str| parse(&SMALL.replace("[node.A]", &format!("[run]\nwindow = \"{time}\"\n[node.A]")));
    for short in ["1 ps", "9.999999 us", "0 s"] {
        let told = window(short).unwrap_err().to_string();
        assert!(told.contains("`window` must be") && told.contains("net.toml:6:10"), "{told}");
    }
    assert!(window("1 us").unwrap_err().to_string().contains("must be 10 us or more"));
    assert_eq!(window("10 us").unwrap().run.window, bellwether_units::Duration::from_microseconds(10));
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

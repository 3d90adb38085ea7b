//! The report and the plots stand alone and show what they were given.

use crate::{sample, sample_pairs};
use bellwether_cli::{plot, report};
use std::fs;
use std::path::Path;

/// Where a person can look at what was made.
fn keep(name: &str, text: &str) {
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), text)
        .expect("the target directory can be written");
}

/// Every way in which HTML or SVG can load something from elsewhere.
fn assert_is_self_contained(text: &str) {
    let text = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "").to_lowercase();
    for load in [
        "http:", "https:", "//", "src=", "href=", "<link", "<script", "@import", "<iframe", "<object",
        "<base",
    ] {
        assert!(!text.contains(load), "`{load}` loads something");
    }
    for (place, _) in text.match_indices("url(") {
        assert!(text[place..].starts_with("url(#"), "a url outside the file");
    }
}

/// Opened elements are closed in the right order. Void elements and self-closing ones have no end.
fn assert_is_balanced(text: &str) {
    let mut open = Vec::new();
    for tag in text.split('<').skip(1) {
        let (inside, _) = tag.split_once('>').expect("every tag ends");
        let name: String = inside.chars().take_while(|c| c.is_alphanumeric() || *c == '/').collect();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "closed out of order");
        } else if !inside.ends_with('/')
            && !["meta", "br"].contains(&name.as_str())
            && !inside.starts_with('!')
        {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

#[test]
fn the_report_stands_alone() {
    let html = report::html(&sample::summary());
    keep("report.html", &html);
    assert_is_self_contained(&html);
    assert_is_balanced(&html);
    assert!(!html.contains("NaN") && !html.contains("inf"));
}

#[test]
fn the_report_shows_every_link_and_says_what_is_from_memory() {
    let summary = sample::summary();
    let html = report::html(&summary);
    for link in &summary.links {
        assert!(
            html.matches(&format!("<b>{}</b>", link.name)).count() >= 2,
            "{} in table and section",
            link.name
        );
    }
    assert_eq!(html.matches("class=\"map\"").count(), 1);
    // A curve chart for each link, and the comparison.
    assert_eq!(html.matches("class=\"chart\"").count(), summary.links.len() + 1);
    assert!(html.contains("from memory") && html.contains("reconstructed") && html.contains(">fitted<"));
    assert!(html.contains(&summary.run.sha256));
}

#[test]
fn names_from_the_file_cannot_become_markup() {
    let mut summary = sample::summary();
    let evil = "<script>alert('x')</script>\"&".to_owned();
    summary.run.network.clone_from(&evil);
    summary.nodes[0].name.clone_from(&evil);
    summary.links[0].name.clone_from(&evil);
    summary.links[0].transmitter.clone_from(&evil);
    summary.links[0].note = Some(evil.clone());
    summary.demands[0].name.clone_from(&evil);
    summary.alarms[0].text.clone_from(&evil);
    summary.events[0].text.clone_from(&evil);
    let html = report::html(&summary);
    assert_is_self_contained(&html);
    assert_is_balanced(&html);
}

#[test]
fn pairs_stand_beside_keys() {
    let summary = sample_pairs::with_keys();
    let html = report::html(&summary);
    keep("report-pairs.html", &html);
    assert_is_self_contained(&html);
    assert_is_balanced(&html);
    assert!(!html.contains("NaN") && !html.contains("inf"));
    // Curves of the key links, their comparison, waiting times of two demands, memories.
    assert_eq!(html.matches("class=\"chart\"").count(), summary.links.len() + 1 + 2 + 1);
    assert_eq!(html.matches("class=\"link pairs\" d=\"M").count(), 3 + 1, "on the map and in its key");
    for told in [
        "too good",
        "cannot be had",
        "0.7020 ± 0.0020",
        "station.visibility",
        "0.820 ± 0.010",
        "median 1.5 s",
    ] {
        assert!(html.contains(told), "`{told}` is missing");
    }
}

#[test]
fn without_key_links_the_report_tells_nothing_of_keys() {
    let html = report::html(&sample_pairs::alone());
    keep("report-pairs-alone.html", &html);
    assert_is_self_contained(&html);
    assert_is_balanced(&html);
    let after = html.split("</style>").nth(1).expect("there is a style");
    for word in
        ["QBER", "Sifted", "Secret key", "alarm", "links gave key", "Clicks", "Link by link", "no key"]
    {
        assert!(!after.contains(word), "`{word}` in a report without key links");
    }
    assert!(after.contains("erd-gud was cut") && after.contains("Entangled pairs for applications"));
}

#[test]
fn names_of_pairs_cannot_become_markup() {
    let mut summary = sample_pairs::with_keys();
    let evil = "<script>alert('x')</script>\"&".to_owned();
    let found = summary.entanglement.as_mut().expect("there are pairs");
    found.links[0].name.clone_from(&evil);
    found.demands[0].name.clone_from(&evil);
    found.demands[0].losses[0].source.clone_from(&evil);
    found.demands[0].planned.as_mut().expect("a plan").path[0].clone_from(&evil);
    found.demands[2].refused = Some(evil.clone());
    found.assumptions[0].clone_from(&evil);
    if let Some(published) = &mut found.links[1].published {
        published.evidence.clone_from(&evil);
        published.fitted = Some(evil);
    }
    let html = report::html(&summary);
    assert_is_self_contained(&html);
    assert_is_balanced(&html);
}

#[test]
fn a_partial_run_says_so_at_the_top() {
    let mut summary = sample::summary();
    summary.run.partial = true;
    summary.run.simulated_s = 3600.0;
    let html = report::html(&summary);
    assert!(html.contains("Partial: the run was stopped after 01:00:00 of 1 d 00:00:00."));
}

#[test]
fn a_large_network_gives_a_report_of_bounded_size() {
    let mut summary = sample::summary();
    let link = summary.links[0].clone();
    summary.links = (0..10_000)
        .map(|number| bellwether_sim::summary::LinkSummary { name: format!("L{number}"), ..link.clone() })
        .collect();
    let html = report::html(&summary);
    assert!(html.len() < 8_000_000, "{} bytes", html.len());
}

#[test]
fn a_sweep_is_a_plot_that_stands_alone() {
    let (lengths, rows) = sample::sweep();
    let svg = plot::sweep("A-B", "fibre.length", &lengths, "km", &rows, 1e9);
    keep("rate.svg", &svg);
    assert_is_self_contained(&svg);
    assert_is_balanced(&svg);
}

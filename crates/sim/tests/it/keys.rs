//! Keys over a network of links: relayed, rerouted, refused for a reason, and the same on any number of threads.

use crate::link_file::LinkFile;
use crate::support::{Run, parse};
use bellwether_network::Network;
use bellwether_sim::trace::TraceEvent;

/// Links of half a megabit a second at detail `detail`, by name and ends, with `more` appended.
fn network(detail: &str, seconds: u32, nodes: &str, links: &[(&str, &str, &str)], more: &str) -> Network {
    let mut text = format!(
        "format = 1\n[network]\nname = \"relays\"\n[run]\nduration = \"{seconds} s\"\ndetail = \"{detail}\"\n\
         seed = 4\nwindow = \"10 ms\"\n{nodes}\n"
    );
    for &(name, a, b) in links {
        text.push_str(&LinkFile { name, ends: [a, b], length: "20 km", ..LinkFile::default() }.text());
    }
    parse(&(text + more))
}

const SQUARE: &str = "[node.A]\n[node.B]\n[node.C]\n[node.D]\n";
const RING: [(&str, &str, &str); 4] =
    [("A-B", "A", "B"), ("B-C", "B", "C"), ("A-D", "A", "D"), ("D-C", "D", "C")];
const DEMAND: &str =
    "[demand.keys]\nfrom = \"A\"\nto = \"C\"\nkey_size = \"256 bit\"\nrate = \"10 /s\"\nstart = \"2 s\"\n";

/// The routes of the keys delivered between these seconds, each once.
fn routes(run: &Run, from: f64, to: f64) -> Vec<String> {
    let mut routes: Vec<String> = run
        .trace
        .iter()
        .filter(|record| (from..to).contains(&(record.at_ps as f64 * 1e-12)))
        .filter_map(|record| match &record.event {
            TraceEvent::KeyDelivered { route, .. } => Some(route.join("-")),
            _ => None,
        })
        .collect();
    routes.sort();
    routes.dedup();
    routes
}

fn cut(link: &str, from: u32, to: u32) -> String {
    format!("[[event]]\nat = \"{from} s\"\nuntil = \"{to} s\"\nlink = \"{link}\"\nkind = \"cut\"\n")
}

#[test]
fn keys_go_round_a_cut() {
    let events = cut("B-C", 10, 20) + &cut("A-D", 24, 30);
    let run = Run::of(&network("blocks", 40, SQUARE, &RING, &(DEMAND.to_owned() + &events)), 1);
    let demand = &run.summary.demands[0];
    assert_eq!(run.summary.totals.keys_mismatched, 0);
    assert!(demand.refused.is_empty(), "{:?}", demand.refused);
    assert!(demand.delivered >= demand.requested - 2, "{demand:?}");
    // Nodes learn of a cut within a twentieth of a second; what was under way takes another to come round.
    assert_eq!(routes(&run, 10.2, 20.0), ["A-D-C"]);
    assert_eq!(routes(&run, 24.2, 30.0), ["A-B-C"]);
    assert!(demand.max_latency_s.unwrap() < 2.0, "{demand:?}");
    let rerouted =
        |record: &&bellwether_sim::trace::TraceRecord| matches!(record.event, TraceEvent::Rerouted { .. });
    assert!(run.trace.iter().filter(rerouted).count() >= 1);
}

#[test]
fn keys_avoid_a_link_with_an_eavesdropper() {
    let attack = "[[event]]\nat = \"10 s\"\nuntil = \"20 s\"\nlink = \"A-B\"\nkind = \"attack\"\n\
                  attack = \"intercept-resend\"\nfraction = 1.0\n";
    let run = Run::of(&network("blocks", 30, SQUARE, &RING, &(DEMAND.to_owned() + attack)), 1);
    // The first intercepted block ends within 1.2 s.
    assert_eq!(routes(&run, 11.5, 20.0), ["A-D-C"]);
    assert!(run.summary.demands[0].refused.is_empty(), "{:?}", run.summary.demands);
    assert_eq!(run.summary.totals.keys_mismatched, 0);
}

#[test]
fn what_cannot_be_served_is_refused_with_its_reason() {
    let line = [RING[0], RING[1]];
    let reasons = |demand: &str, more: &str| {
        let nodes = "[node.A]\n[node.B]\n[node.C]\n";
        let run = Run::of(&network("blocks", 90, nodes, &line, &(demand.to_owned() + more)), 1);
        let demand = &run.summary.demands[0];
        assert_eq!(
            demand.requested,
            demand.delivered + demand.pending + demand.refused.iter().map(|count| count.count).sum::<u64>()
        );
        demand.refused.iter().map(|count| count.what.clone()).collect::<Vec<_>>()
    };
    assert_eq!(reasons(DEMAND, &cut("B-C", 4, 90)), ["every way there has a cut link"]);
    let attack = "[[event]]\nat = \"4 s\"\nlink = \"A-B\"\nkind = \"attack\"\n\
                  attack = \"intercept-resend\"\nfraction = 1.0\n";
    assert_eq!(reasons(DEMAND, attack), ["every way there has a cut or alarmed link"]);
    // Far more than the links make: requests wait for key for a minute.
    let greedy = DEMAND.replace("256 bit", "65536 bit");
    assert_eq!(reasons(&greedy, ""), ["the pools on the way held too little key"]);
    let crash = "[[event]]\nat = \"4 s\"\nnode = \"B\"\nkind = \"node-crash\"\n";
    let crashed = reasons(DEMAND, crash);
    assert!(
        crashed.contains(&"the destination or a node on the way did not answer".to_owned()),
        "{crashed:?}"
    );
}

#[test]
fn a_crashed_relay_is_gone_round_and_comes_back() {
    let crash = "[[event]]\nat = \"10 s\"\nuntil = \"16 s\"\nnode = \"B\"\nkind = \"node-crash\"\n";
    let run = Run::of(&network("bits", 26, SQUARE, &RING, &(DEMAND.to_owned() + crash)), 2);
    let demand = &run.summary.demands[0];
    assert_eq!(run.summary.totals.keys_mismatched, 0);
    assert!(demand.delivered * 10 >= demand.requested * 9, "{demand:?}");
    for link in &run.summary.links[..2] {
        let lost = link.discarded.iter().find(|count| count.what == "session-lost");
        assert!(lost.is_some(), "{}: {:?}", link.name, link.discarded);
        assert!(link.series.secret_bits.iter().rev().take(40).sum::<u64>() > 0, "{} makes key", link.name);
    }
}

#[test]
fn threads_and_repetition_change_nothing_at_detail_bits() {
    let events = cut("B-C", 2, 3)
        + "[[event]]\nat = \"1 s\"\nlink = \"A-D\"\nkind = \"message-loss\"\nprobability = 0.02\n\
           [[event]]\nat = \"3 s\"\nuntil = \"4 s\"\nnode = \"D\"\nkind = \"node-crash\"\n";
    let text = DEMAND.replace("2 s", "1 s") + &events;
    let network = network("bits", 5, SQUARE, &RING, &text);
    let once = Run::of(&network, 1).written();
    assert!(once.contains("key-delivered"));
    for threads in [1, 2, 4] {
        assert!(Run::of(&network, threads).written() == once, "another result on {threads} threads");
    }
}

/// A node that restarts is told again that its link is cut, and says that this is why it serves no keys.
#[test]
fn a_restarted_node_knows_of_its_cut_link() {
    let nodes = "[node.A]\n[node.B]\n";
    let demand = "[demand.keys]\nfrom = \"A\"\nto = \"B\"\nkey_size = \"256 bit\"\nrate = \"1 /s\"\n";
    let crash = "[[event]]\nat = \"22 s\"\nuntil = \"23 s\"\nnode = \"A\"\nkind = \"node-crash\"\n";
    let more = demand.to_owned() + &cut("A-B", 20, 120) + crash;
    let run = Run::of(&network("blocks", 110, nodes, &[("A-B", "A", "B")], &more), 1);
    assert!(run.summary.demands[0].delivered >= 10, "{:?}", run.summary.demands);
    let refused: Vec<_> = run
        .trace
        .iter()
        .filter_map(|record| match &record.event {
            TraceEvent::KeyRefused { reason, .. } => {
                Some((record.at_ps / 1_000_000_000_000, reason.as_str()))
            }
            _ => None,
        })
        .collect();
    // Whoever asks after the restart waits a minute in vain.
    assert!(refused.len() >= 20 && refused.iter().all(|&(at, _)| at >= 23 + 60), "{refused:?}");
    assert!(refused.iter().all(|&(_, reason)| reason == "every way there has a cut link"), "{refused:?}");
}

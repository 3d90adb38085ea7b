//! Both ends of a link are told equal keys, whatever happens to it.

#[path = "../../tests/it/link_file.rs"]
mod link_file;

use super::*;
use bellwether_units::Duration;
use link_file::LinkFile;
use std::collections::BTreeMap;

const NODES: &str = r#"
format = 1
[network]
name = "one link"
[run]
duration = "9 s"
window = "10 ms"
[node.A]
[node.B]
"#;

/// The keys that each end was told, as words, by block.
type Told = [BTreeMap<u64, (Vec<u64>, usize)>; 2];

fn run(detail: &str, seed: u64, happens: &str) -> Told {
    // Nothing is lost in the receiver, and a block is full after a few seconds.
    let link = LinkFile { internal_loss: "0 dB", block: "150 kbit", ..LinkFile::default() }.text();
    let nodes = NODES.replace("[run]", &format!("[run]\ndetail = \"{detail}\""));
    let text = format!("{nodes}{link}{happens}");
    let network = Network::parse(&text, "link.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let end = Time::ZERO + network.run.duration;
    let mut link = LinkProcess::new(&network, LinkId(0), seed, end).unwrap();
    let mut told = Told::default();
    let mut now = Time::ZERO;
    while now < end {
        now += Duration::from_milliseconds(100);
        let mut says = Vec::new();
        link.advance(now, &mut says).unwrap();
        for LinkRecord { what, .. } in says {
            if let LinkSays::Key(end, block, key) = what {
                let content = match &key {
                    KeyMaterial::Bits(bits) => bits.expose().words().to_vec(),
                    KeyMaterial::Emulated { seed, .. } => vec![*seed],
                };
                let before = told[end as usize].insert(block.0, (content, key.len()));
                assert!(before.is_none(), "{block} is told twice at the {end:?}");
            }
        }
    }
    told
}

fn event(what: &str) -> String {
    format!("[[event]]\nat = \"2 s\"\nuntil = \"4 s\"\n{what}\n")
}

#[test]
fn both_ends_are_told_equal_keys_whatever_happens() {
    let link = |what: &str| event(&format!("link = \"A-B\"\n{what}"));
    let tampering = |how: &str| {
        link(&format!(
            "kind = \"attack\"\nattack = \"man-in-the-middle\"\ntampering = \"{how}\"\nprobability = 0.01"
        ))
    };
    let everything = [
        String::new(),
        tampering("modify"),
        tampering("replay"),
        tampering("forge"),
        link("kind = \"message-loss\"\nprobability = 0.05"),
        link("kind = \"message-duplication\"\nprobability = 0.5")
            + &link("kind = \"message-reordering\"\nprobability = 0.5"),
        link("kind = \"message-delay\"\ndelay = \"5 ms\"\njitter = \"5 ms\""),
        link("kind = \"cut\""),
        link("kind = \"clock-offset\"\noffset = \"100 ns\""),
        link("kind = \"attack\"\nattack = \"intercept-resend\"\nfraction = 0.05"),
        event("node = \"A\"\nkind = \"node-crash\""),
        event("node = \"B\"\nkind = \"node-crash\""),
        event("node = \"A\"\nkind = \"node-crash\"") + &link("kind = \"message-loss\"\nprobability = 0.1"),
    ];
    for (seed, happens) in everything.iter().enumerate() {
        let [transmitter, receiver] = run("bits", seed as u64, happens);
        // 0.34 s a block: the last 5 s give key again.
        assert!(receiver.len() > 12, "{happens}: {} keys", receiver.len());
        for (block, key) in &transmitter {
            assert!(receiver.get(block) == Some(key), "{happens}: the keys of block {block} differ");
            assert!(key.1 > 1000, "{happens}: a key of {} bits", key.1);
        }
        // The receiver tells first: a crash or the end may keep the transmitter from it, once each.
        assert!(receiver.len() - transmitter.len() <= 2, "{happens}");
        let mut keys: Vec<_> = receiver.values().collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), receiver.len(), "{happens}: no key comes twice");
    }
}

#[test]
fn a_drawn_link_tells_both_ends_the_same() {
    for happens in ["", &event("node = \"B\"\nkind = \"node-crash\"")] {
        let [transmitter, receiver] = run("blocks", 1, happens);
        assert!(receiver.len() > 12 && receiver.len() - transmitter.len() <= 1);
        assert!(transmitter.iter().all(|(block, key)| receiver.get(block) == Some(key)));
    }
}

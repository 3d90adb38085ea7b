//! What the nodes of a long run keep is bounded, and enough to restart from.

use super::*;
use crate::trace::TraceEvent;

const SECONDS: u64 = 1_500;

/// Two nodes and a relay between them, which crashes now and then.
fn network() -> Network {
    let mut text = String::from(
        r#"
format = 1
[network]
name = "a relay that crashes"
[run]
duration = "1500 s"
detail = "blocks"
[node.A]
[node.B]
[node.C]
[demand.keys]
from = "A"
to = "C"
key_size = "256 bit"
rate = "20 /s"
"#,
    );
    for (link, a, b) in [("A-B", "A", "B"), ("B-C", "B", "C")] {
        text += &format!("[link.{link}]\nends = [\"{a}\", \"{b}\"]\nfibre = {{ length = \"25 km\", ");
        text += "loss_per_length = \"0.2 dB/km\" }\n";
        text += &format!("[link.{link}.transmitter]\nclock = \"10 MHz\"\nwavelength = \"1550 nm\"\n");
        text += "source = { kind = \"weak-coherent\", intensities = [{ mean_photons = 0.5, probability = 0.7 }, \
                 { mean_photons = 0.15, probability = 0.3 }] }\n";
        text += &format!("[link.{link}.receiver]\ndetector = {{ technology = \"snspd\", efficiency = 0.8, ");
        text += "dark_count_rate = \"100 /s\", dead_time = \"30 ns\" }\n";
    }
    for (n, node) in ["A", "B", "C"].iter().cycle().take(12).enumerate() {
        let at = 100 + 100 * n;
        text += &format!("[[event]]\nat = \"{at} s\"\nuntil = \"{} s\"\n", at + 3);
        text += &format!("node = \"{node}\"\nkind = \"node-crash\"\n");
    }
    Network::parse(&text, "world.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn journals_are_compacted_and_restarted_from() {
    let network = network();
    let mut world = World::new(&network, 1);
    let mut trace = Vec::new();
    let (mut largest, mut written, mut delivered) = (0, 0, 0);
    for second in 0..SECONDS {
        let at = Time::ZERO + Duration::from_whole_seconds(second);
        for (place, link) in network.links.iter().enumerate() {
            for node in [link.transmitter_at, link.receiver_at] {
                let key = KeyMaterial::Emulated { seed: second << 1 | place as u64, bits: 20_000 };
                world.tell(at, LinkId(place as u32), node, LinkNews::Key(BlockId(second), key));
            }
        }
        world.advance(at, &mut trace);
        let keys = |record: &TraceRecord| matches!(record.event, TraceEvent::KeyDelivered { .. });
        delivered += trace.drain(..).filter(keys).count();
        for station in &world.stations {
            largest = largest.max(station.compaction.size());
            written = written.max(station.records.len());
        }
        assert!(world.served.half_delivered() < 500, "{} at {second} s", world.served.half_delivered());
    }
    assert_eq!(world.served.mismatched(), 0);
    let wanted = 20 * (SECONDS - 12 * 10) as usize;
    assert!(delivered > wanted, "{delivered} of more than {wanted}");
    // Every key is remembered by its 16 bytes, and a journal is at most twice its snapshot.
    let bound = 2 * 16 * delivered + (512 << 10);
    assert!(largest < bound, "a journal of {largest} bytes, {bound} were expected at most");
    assert!(written < 10_000, "{written} records");
}

//! Honest links raise no alarm.

use crate::support::{Run, Small, parse};

/// Links of every kind, whose blocks all give key: 1800 to 3400 of each in 340 s.
const HONEST: &str = r#"
format = 1
[network]
name = "honest links"
[run]
duration = "340 s"
detail = "blocks"
seed = 11
window = "10 ms"
[node.A]
[node.B]
[link.plain]
ends = ["A", "B"]
[link.plain.fibre]
length = "25 km"
loss_per_length = "0.2 dB/km"
misalignment = 0.01
[link.plain.transmitter]
clock = "70 MHz"
wavelength = "1550 nm"
source = { kind = "weak-coherent", intensities = [{ mean_photons = 0.5, probability = 0.7 }, { mean_photons = 0.15, probability = 0.3 }] }
[link.plain.receiver]
internal_loss = "1 dB"
detector = { technology = "snspd", efficiency = 0.8, dark_count_rate = "100 /s", dead_time = "30 ns", bias_current_monitor = true }
[link.plain.protocol]
block_size = "200 kbit"
key_basis_probability = 0.7

[link.far]
ends = ["A", "B"]
[link.far.fibre]
length = "100 km"
loss_per_length = "0.2 dB/km"
misalignment = 0.005
[link.far.transmitter]
clock = "1 GHz"
wavelength = "1550 nm"
source = { kind = "weak-coherent", intensities = [{ mean_photons = 0.5, probability = 0.6 }, { mean_photons = 0.15, probability = 0.4 }] }
[link.far.receiver]
internal_loss = "1 dB"
detector = { technology = "snspd", efficiency = 0.8, dark_count_rate = "1000 /s", dead_time = "50 ns", dead_time_scope = "each", jitter = "100 ps" }
[link.far.protocol]
block_size = "150 kbit"
key_basis_probability = 0.7

[link.avalanche]
ends = ["B", "A"]
[link.avalanche.fibre]
length = "10 km"
loss_per_length = "0.2 dB/km"
misalignment = 0.005
[link.avalanche.transmitter]
clock = "500 MHz"
wavelength = "1550 nm"
source = { kind = "weak-coherent", intensities = [{ mean_photons = 0.5, probability = 0.5 }, { mean_photons = 0.1, probability = 0.3 }, { mean_photons = 0.0002, probability = 0.2 }] }
[link.avalanche.receiver]
internal_loss = "2 dB"
detector = { technology = "ingaas", efficiency = 0.2, dark_count_rate = "1000 /s", dead_time = "200 ns", gate = "500 ps", afterpulsing = { probability = 0.01, decay = "500 ns" } }
[link.avalanche.protocol]
block_size = "400 kbit"
bound = "lim-2014"
key_basis_probability = 0.8

[link.single]
ends = ["A", "B"]
[link.single.fibre]
length = "20 km"
loss_per_length = "0.2 dB/km"
misalignment = 0.01
[link.single.transmitter]
clock = "10 MHz"
wavelength = "1550 nm"
source = { kind = "single-photon", brightness = 0.3, g2 = 0.0 }
[link.single.receiver]
internal_loss = "1 dB"
basis_choice = "passive"
detector = { technology = "snspd", efficiency = 0.8, dark_count_rate = "100 /s", dead_time = "30 ns" }
[link.single.protocol]
block_size = "50 kbit"
bound = "tomamichel-2012"
key_basis_probability = 0.8
"#;

#[test]
fn ten_thousand_honest_blocks_raise_no_alarm() {
    let network = parse(HONEST);
    // The documented threshold: an honest block raises any alarm once in 10^9.
    assert!(network.links.iter().all(|link| link.protocol.false_alarm_probability == 1e-9));
    let run = Run::of(&network, 1);
    for link in &run.summary.links {
        assert!(link.blocks > 1000, "{}: {} blocks, {:?}", link.name, link.blocks, link.expected);
    }
    let blocks: u64 = run.summary.links.iter().map(|link| link.blocks).sum();
    assert!(blocks >= 10_000, "{blocks} blocks");
    assert!(run.summary.alarms.is_empty(), "{:?}", run.summary.alarms);
}

#[test]
fn hundreds_of_honest_blocks_bit_for_bit_raise_none() {
    // Small blocks, so that there are many.
    let link = Small { block: "70 kbit", clock: "20 MHz", key_basis: 0.5, ..Small::new("bits", 45) };
    let run = link.run();
    assert!(run.link().blocks > 200, "{} blocks, {:?}", run.link().blocks, run.link().discarded);
    assert!(run.summary.alarms.is_empty(), "{:?}", run.summary.alarms);
}

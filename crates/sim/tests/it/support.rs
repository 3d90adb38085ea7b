//! Networks to test with.

use bellwether_network::Network;

/// Two nodes, one link of one decoy state at detail `detail`, with `more` appended to the file.
pub(crate) fn one_link(detail: &str, more: &str) -> Network {
    let text = format!(
        r#"
format = 1
[network]
name = "one link"
[run]
duration = "10 s"
detail = "{detail}"
seed = 1
window = "10 ms"
[node.A]
[node.B]
[link.A-B]
ends = ["A", "B"]
[link.A-B.fibre]
length = "50 km"
loss_per_length = "0.2 dB/km"
misalignment = 0.01
[link.A-B.transmitter]
clock = "100 MHz"
wavelength = "1550 nm"
[link.A-B.transmitter.source]
kind = "weak-coherent"
intensities = [{{ mean_photons = 0.5, probability = 0.7 }}, {{ mean_photons = 0.15, probability = 0.3 }}]
[link.A-B.receiver]
internal_loss = "1 dB"
[link.A-B.receiver.detector]
technology = "snspd"
efficiency = 0.8
dark_count_rate = "100 /s"
dead_time = "30 ns"
[link.A-B.protocol]
block_size = "1 Mbit"
key_basis_probability = 0.7
{more}
"#
    );
    parse(&text)
}

/// Three nodes in a row, with a demand from end to end, an eavesdropper on the first link and a crash.
pub(crate) fn chain_of_three() -> Network {
    let link = |name: &str, ends: &str| {
        format!(
            r#"
[link.{name}]
ends = {ends}
[link.{name}.fibre]
length = "20 km"
loss_per_length = "0.2 dB/km"
misalignment = 0.01
[link.{name}.transmitter]
clock = "20 MHz"
wavelength = "1550 nm"
[link.{name}.transmitter.source]
kind = "weak-coherent"
intensities = [{{ mean_photons = 0.5, probability = 0.7 }}, {{ mean_photons = 0.15, probability = 0.3 }}]
[link.{name}.receiver]
internal_loss = "1 dB"
[link.{name}.receiver.detector]
technology = "snspd"
efficiency = 0.8
dark_count_rate = "100 /s"
dead_time = "30 ns"
[link.{name}.protocol]
block_size = "1 Mbit"
key_basis_probability = 0.7
"#
        )
    };
    let head = r#"
format = 1
[network]
name = "three in a row"
[run]
duration = "60 s"
detail = "blocks"
seed = 3
window = "10 ms"
[node.A]
[node.B]
[node.C]
[demand.ends]
from = "A"
to = "C"
key_size = "256 bit"
rate = "2 /s"
[[event]]
at = "20 s"
until = "30 s"
link = "A-B"
kind = "attack"
attack = "intercept-resend"
fraction = 0.5
[[event]]
at = "40 s"
until = "45 s"
node = "C"
kind = "node-crash"
"#;
    let text = format!("{head}{}{}", link("A-B", r#"["A", "B"]"#), link("B-C", r#"["B", "C"]"#));
    parse(&text)
}

/// The network of a text that must be right.
pub(crate) fn parse(text: &str) -> Network {
    Network::parse(text, "test.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

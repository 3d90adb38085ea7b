//! What several fuzz targets share: reading files, mutating frames, and the drivers of the protocol's own tests,
//! which check every invariant as they go.

pub mod link;
pub mod mutation;
pub mod reconcile;
pub mod relay;

// Two ends of a link, and a network of key nodes, in virtual time.
#[allow(dead_code)]
#[path = "../../crates/protocol/tests/it/light.rs"]
mod light;
#[allow(dead_code)]
#[path = "../../crates/protocol/tests/it/pair.rs"]
mod pair;
#[allow(dead_code)]
#[path = "../../crates/protocol/tests/keys/wire.rs"]
mod wire;
#[allow(dead_code)]
#[path = "../../crates/protocol/tests/keys/world.rs"]
mod world;

use bellwether_network::{Network, Override};

/// The longest report on a file's mistakes: as many as are shown, each with its lines and its remedy.
const LONGEST_REPORT: usize = 256 * 1024;

/// Reads a network file; whatever is refused must render to a report of bounded length.
pub fn read_network(bytes: &[u8], overrides: &[Override]) -> Option<Network> {
    match Network::parse_bytes(bytes, "fuzz.toml", overrides) {
        Ok(network) => Some(network),
        Err(errors) => {
            assert!(!errors.mistakes.is_empty() && errors.count >= errors.mistakes.len());
            let report = errors.to_string();
            assert!(
                !report.is_empty() && report.len() <= LONGEST_REPORT,
                "a report of {} bytes",
                report.len()
            );
            assert!(errors.render(true).len() >= report.len());
            None
        }
    }
}

/// Valid network files: the published ones, and one with a graph and what they do not show.
pub fn files() -> [&'static str; 5] {
    [
        include_str!("../../networks/secoqc-2008.toml"),
        include_str!("../../networks/single-link.toml"),
        include_str!("../../networks/eavesdropper.toml"),
        include_str!("../../networks/bb84-421km.toml"),
        include_str!("../seeds/network_file/generated.toml"),
    ]
}

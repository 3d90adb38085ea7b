//! What several fuzz targets share: reading files, mutating frames, and the drivers of the protocol's own tests,
//! which check every invariant as they go.

pub mod link;
pub mod mutation;
pub mod reconcile;
pub mod relay;
pub mod tunnel;

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

#[cfg(test)]
mod tests {
    use arbitrary::{Arbitrary, Unstructured};
    use bellwether_units::{EntityId, Purpose, Stream};
    use rand_core::Rng;

    /// Plays random inputs without a fuzzer, so many a second more than with its instruments. `ATTACKS` says
    /// how many, `FIRST` from which on.
    fn play<T: for<'a> Arbitrary<'a>>(name: &'static str, play: impl Fn(&T)) {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let (first, count) = (number("FIRST").unwrap_or(0), number("ATTACKS").unwrap_or(30));
        for seed in first..first + count {
            let mut stream = Stream::new(seed, EntityId(0), Purpose::named(name));
            let mut bytes = vec![0; 16 + stream.below(2000) as usize];
            stream.fill_bytes(&mut bytes);
            // Small numbers and zeros are likelier than in random bytes.
            for byte in &mut bytes {
                *byte = match stream.below(4) {
                    0 => *byte % 16,
                    1 => 0,
                    _ => *byte,
                };
            }
            let Ok(input) = T::arbitrary_take_rest(Unstructured::new(&bytes)) else { continue };
            let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(&input)));
            assert!(played.is_ok(), "attack {seed}: {}", core::any::type_name::<T>());
        }
    }

    #[test]
    fn random_attacks_on_a_receiver() {
        play("receiver", |attack| crate::link::play(attack, crate::link::Victim::Receiver));
    }

    #[test]
    fn random_attacks_on_a_transmitter() {
        play("transmitter", |attack| crate::link::play(attack, crate::link::Victim::Transmitter));
    }

    #[test]
    fn random_attacks_on_a_tunnel() {
        play("tunnel", crate::tunnel::play);
    }

    #[test]
    fn random_attacks_among_key_nodes() {
        play("key nodes", crate::relay::play);
    }
}

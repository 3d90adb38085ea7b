//! The part of a network file that describes a link, for tests from within and from outside.

/// A link of one decoy state, to be changed where a test wants another. Texts stand as in the file.
#[derive(Clone, Debug)]
pub(crate) struct LinkFile<'t> {
    pub(crate) name: &'t str,
    /// The transmitter's node and the receiver's.
    pub(crate) ends: [&'t str; 2],
    pub(crate) length: &'t str,
    pub(crate) clock: &'t str,
    pub(crate) source: &'t str,
    pub(crate) internal_loss: &'t str,
    /// Further lines of the detector; its dead time, unless a test wants none.
    pub(crate) detector: &'t str,
    pub(crate) block: &'t str,
    pub(crate) key_basis: f64,
    /// Further lines of the protocol.
    pub(crate) protocol: &'t str,
}

impl Default for LinkFile<'_> {
    fn default() -> Self {
        Self {
            name: "A-B",
            ends: ["A", "B"],
            length: "25 km",
            clock: "10 MHz",
            source: "{ kind = \"weak-coherent\", intensities = [{ mean_photons = 0.5, probability = 0.7 }, \
                     { mean_photons = 0.15, probability = 0.3 }] }",
            internal_loss: "1 dB",
            detector: "dead_time = \"30 ns\"",
            block: "200 kbit",
            key_basis: 0.7,
            protocol: "",
        }
    }
}

impl LinkFile<'_> {
    /// The link's tables.
    pub(crate) fn text(&self) -> String {
        let Self { name, ends, length, clock, source, internal_loss, detector, block, key_basis, protocol } =
            self;
        format!(
            r#"
[link.{name}]
ends = {ends:?}
[link.{name}.fibre]
length = "{length}"
loss_per_length = "0.2 dB/km"
misalignment = 0.01
[link.{name}.transmitter]
clock = "{clock}"
wavelength = "1550 nm"
source = {source}
[link.{name}.receiver]
internal_loss = "{internal_loss}"
[link.{name}.receiver.detector]
technology = "snspd"
efficiency = 0.8
dark_count_rate = "100 /s"
{detector}
[link.{name}.protocol]
block_size = "{block}"
key_basis_probability = {key_basis}
{protocol}
"#
        )
    }
}

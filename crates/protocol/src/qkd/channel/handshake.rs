//! What the ends tell one another when a session opens.

use crate::qkd::alarm::Thresholds;
use crate::qkd::session::{LinkSettings, Timing};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_bits::gf128::PolynomialHasher;

/// The payload of the frames that open and accept a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// The digest of the settings.
    pub(super) settings: u128,
    /// The first block number that this end never used.
    pub(super) next_block: u64,
    /// One after the last authentication pad that this end holds.
    pub(super) pads_end: u64,
}

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(32);
        out.bytes(&self.settings.to_le_bytes());
        out.u64(self.next_block);
        out.u64(self.pads_end);
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let settings = u128::from_le_bytes(input.array()?);
        let hello = Self { settings, next_block: input.u64()?, pads_end: input.u64()? };
        input.finish()?;
        Ok(hello)
    }
}

/// A digest of what both ends must have alike. It tells mistakes apart, not attacks: the frame that carries it
/// is authenticated.
pub(super) fn digest(settings: &LinkSettings) -> u128 {
    let shared = LinkSettings {
        baseline: None,
        thresholds: Thresholds::default(),
        timing: Timing::default(),
        ..settings.clone()
    };
    // `Debug` of numbers is exact, and the text names every field.
    let mut hasher = PolynomialHasher::new(0x6265_6c6c_7765_7468_6572_2071_6b64_2031);
    hasher.update(format!("{shared:?}").as_bytes());
    hasher.finish()
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qkd::reconcile::{CascadeVariant, Family};
    use crate::qkd::security::{Bound, SecurityParameters, SourceClass};
    use crate::qkd::session::{AuthenticationBudget, Limits, TagPolicy};
    use bellwether_units::{Duration, LinkId};
    use std::collections::BTreeSet;

    type Change = fn(&mut LinkSettings);

    fn settings() -> LinkSettings {
        let source = vec![SourceClass::new(0.5, 0.7), SourceClass::new(0.1, 0.3)];
        LinkSettings::new(LinkId(3), source, Bound::OneDecoyRusca)
    }

    #[test]
    fn whatever_both_ends_must_have_alike_changes_the_digest() {
        // A field that is new does not compile here until it is put below.
        let LinkSettings {
            link: _,
            source: _,
            bound: _,
            security: SecurityParameters { secrecy: _, correctness: _ },
            block_bits: _,
            reconciliation: _,
            frame_bits: _,
            baseline: _,
            thresholds: _,
            tags: _,
            authentication: AuthenticationBudget { target_pads: _, low_water_pads: _, greatest_share: _ },
            limits:
                Limits {
                    frame_bytes: _,
                    window_clicks: _,
                    windows_in_flight: _,
                    blocks_in_flight: _,
                    frames_in_flight: _,
                    bytes_in_flight: _,
                    backlog_bytes: _,
                },
            timing: _,
        } = settings();
        let SourceClass { mean_photons: _, probability: _, several_photons: [_, _] } = settings().source[0];
        let changes: &[Change] = &[
            |s| s.link = LinkId(4),
            |s| s.source[0].mean_photons = 0.5 + f64::EPSILON,
            |s| s.source[1].probability = 0.3 + f64::EPSILON,
            |s| s.source[0].several_photons[0] = 1e-12,
            |s| s.source[0].several_photons[1] = 1e-12,
            |s| s.source.swap(0, 1),
            |s| s.source.truncate(1),
            |s| s.bound = Bound::OneDecoyTight,
            |s| s.security.secrecy *= 2.0,
            |s| s.security.correctness *= 2.0,
            |s| s.block_bits += 1,
            |s| s.reconciliation = Family::Cascade(CascadeVariant::Option8),
            |s| s.frame_bits = Some(0),
            |s| s.frame_bits = Some(64),
            |s| s.tags = TagPolicy::EveryMessage,
            |s| s.authentication.target_pads += 1,
            |s| s.authentication.low_water_pads += 1,
            |s| s.authentication.greatest_share += 1,
            |s| s.limits.frame_bytes += 1,
            |s| s.limits.window_clicks += 1,
            |s| s.limits.windows_in_flight += 1,
            |s| s.limits.blocks_in_flight += 1,
            |s| s.limits.frames_in_flight += 1,
            |s| s.limits.bytes_in_flight += 1,
            |s| s.limits.backlog_bytes += 1,
        ];
        let mut digests = BTreeSet::from([digest(&settings())]);
        for (index, change) in changes.iter().enumerate() {
            let mut changed = settings();
            change(&mut changed);
            assert!(digests.insert(digest(&changed)), "change {index} is not told from another");
        }
    }

    #[test]
    fn times_and_alarms_need_not_be_alike() {
        let mut changed = settings();
        changed.timing.silent_after = Duration::from_whole_seconds(77);
        changed.thresholds.false_alarm /= 2.0;
        assert_eq!(digest(&changed), digest(&settings()));
    }
}

//! The account of a run, for people and as JSON.

use bellwether_bits::BitString;
use bellwether_protocol::qkd::raw::{Account, RawBlock, RawDiscard};
use bellwether_protocol::qkd::tags::{Basis, EndCounts, TagAccount};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// `alice` (whose bits count) or `bob` (who corrects).
    pub role: String,
    /// The file of the material.
    pub raw_key: String,
    /// The file of the keys; empty if there is none.
    pub key_file: String,
    /// Bits in the raw key, or sifted bits of the record.
    pub raw_bits: u64,
    /// The first that was used, and the first that was not.
    pub used_bits: [u64; 2],
    /// Bits of the blocks that ended, with or without key.
    pub distilled_bits: u64,
    /// Blocks that gave key.
    pub key_blocks: u64,
    /// Blocks that gave none, by reason.
    pub discarded_blocks: BTreeMap<String, u64>,
    /// Bits disclosed as samples, of blocks with key.
    pub sample_bits: u64,
    /// How many of them were wrong.
    pub sample_errors: u64,
    /// The other bits of blocks with key.
    pub corrected_bits: u64,
    /// How many of them were wrong.
    pub corrected_errors: u64,
    /// `corrected_errors` over `corrected_bits`.
    pub error_rate: Option<f64>,
    /// Bits that reconciliation disclosed, of blocks with key.
    pub reconciliation_leak: u64,
    /// Reconciliation's leak over the Shannon limit.
    pub efficiency: Option<f64>,
    /// Bits of verification tags, of blocks with key.
    pub verification_leak: u64,
    /// Bits of key.
    pub key_bits: u64,
    /// What the length rests on.
    pub claim: String,
    /// How far all keys together may be from ideal ones: secrecy.
    pub epsilon_secrecy: f64,
    /// Correctness.
    pub epsilon_correctness: f64,
    /// Authentication; `None` where it is not information-theoretic.
    pub epsilon_authentication: Option<f64>,
    /// What the ends' talk is protected by.
    pub authentication: String,
    /// Pads used, by direction: numbers of the next.
    pub next_pads: Option<[u64; 2]>,
    /// Alarms, in words.
    pub alarms: Vec<String>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Why it ended before its end, if it did.
    pub failure: Option<String>,
    /// Where the material is a record of time tags: what came of sifting it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sifting: Option<SiftingSummary>,
    /// From connection to sifted bits, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sifting_seconds: Option<f64>,
    /// From agreement to end, in seconds.
    pub seconds: f64,
    /// The blocks whose keys stand in the file, in its order.
    pub blocks: Vec<BlockSummary>,
}

/// One block with key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockSummary {
    /// Its number.
    pub block: u64,
    /// Bits besides the sample.
    pub bits: u64,
    /// How many were wrong.
    pub errors: u64,
    /// Bits of the sample.
    pub sample_bits: u64,
    /// How many were wrong.
    pub sample_errors: u64,
    /// The upper bound on the phase error rate, if the claim has one.
    pub phase_error: Option<f64>,
    /// Bits disclosed by reconciliation.
    pub leak: u64,
    /// Bits of key.
    pub key_bits: u64,
}

/// What came of sifting two records of time tags. Alice matches what Bob tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SiftingSummary {
    /// What Alice's clock showed beyond Bob's at Bob's first event, in picoseconds.
    pub clock_offset_ps: i64,
    /// By how much faster Alice's clock ran, in parts per million.
    pub clock_drift_ppm: f64,
    /// The standard deviation of differences of times that belong together, rounding included, in picoseconds.
    pub jitter_ps: f64,
    /// The coincidence window, in picoseconds.
    pub window_ps: u64,
    /// Alice's clicks.
    pub alice: ClickSummary,
    /// Bob's clicks.
    pub bob: ClickSummary,
    /// Pairs of events that belong together, in any bases.
    pub coincidences: u64,
    /// About how many of them are chance, from windows beside.
    pub accidental_coincidences: f64,
    /// Bob's events that were left out, as it was not clear to which of Alice's they belong.
    pub ambiguous_events: u64,
    /// Bob's events at times at which the clocks could not be followed.
    pub unfollowed_events: u64,
    /// What is known of each basis.
    pub bases: [BasisSummary; 2],
}

/// Clicks of an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClickSummary {
    /// Clicks.
    pub clicks: u64,
    /// Events: clicks that came together are one.
    pub events: u64,
    /// Events of both detectors of one basis: their bit was drawn.
    pub double_clicks: u64,
    /// Events of detectors of both bases: basis and bit were drawn.
    pub cross_clicks: u64,
}

/// Sifted bits of a basis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BasisSummary {
    /// `Z` or `X`.
    pub basis: &'static str,
    /// Sifted bits.
    pub sifted: u64,
    /// How many of them this end compared: Alice those of samples, Bob those that were corrected.
    pub compared: u64,
    /// How many of these were wrong.
    pub wrong: u64,
    /// `wrong` over `compared`.
    pub error_rate: Option<f64>,
    /// 1 - 2 `error_rate`.
    pub visibility: Option<f64>,
}

impl From<EndCounts> for ClickSummary {
    fn from(counts: EndCounts) -> Self {
        let EndCounts { clicks, events, double_clicks, cross_clicks } = counts;
        Self { clicks, events, double_clicks, cross_clicks }
    }
}

impl SiftingSummary {
    pub(super) fn new(account: &TagAccount) -> Self {
        Self {
            clock_offset_ps: account.relation.offset,
            clock_drift_ppm: account.relation.drift * 1e6,
            jitter_ps: account.relation.jitter,
            window_ps: account.relation.window,
            alice: account.matching.into(),
            bob: account.telling.into(),
            coincidences: account.coincidences,
            accidental_coincidences: account.displaced as f64 / 2.0,
            ambiguous_events: account.ambiguous,
            unfollowed_events: account.unfollowed,
            bases: Basis::BOTH.map(|basis| BasisSummary {
                basis: basis.name(),
                sifted: account.sifted[basis as usize],
                ..BasisSummary::default()
            }),
        }
    }

    /// Of some bits some were compared, and of those some were wrong.
    pub(super) fn compared(&mut self, bases: &BitString, compared: &BitString, wrong: &BitString) {
        let of_x = bases.select(compared);
        for (basis, mask) in self.bases.iter_mut().zip([of_x.not(), of_x]) {
            basis.compared += mask.count_ones() as u64;
            basis.wrong += wrong.and(&mask).count_ones() as u64;
            let rate = basis.wrong as f64 / basis.compared as f64;
            basis.error_rate = (basis.compared > 0).then_some(rate);
            basis.visibility = basis.error_rate.map(|rate| 1.0 - 2.0 * rate);
        }
    }
}

impl Summary {
    pub(super) fn block(&mut self, block: &RawBlock) {
        self.distilled_bits += block.bits;
        if let Some(reason) = &block.discarded {
            *self.discarded_blocks.entry(reason.name().to_owned()).or_default() += 1;
            if *reason == RawDiscard::Unfinished {
                self.distilled_bits -= block.bits;
            }
        }
    }

    pub(super) fn key(&mut self, block: u64, account: &Account) {
        let counts = account.counts;
        self.key_blocks += 1;
        self.sample_bits += counts.sample.sifted;
        self.sample_errors += counts.sample.errors;
        self.corrected_bits += counts.key.sifted;
        self.corrected_errors += counts.key.errors;
        self.reconciliation_leak += counts.disclosed;
        self.verification_leak += u64::from(account.verification_bits);
        self.epsilon_secrecy += account.epsilons.secrecy_total();
        self.epsilon_correctness += account.epsilons.correctness;
        if let Some(sum) = &mut self.epsilon_authentication {
            *sum += account.epsilons.authentication;
        }
        self.blocks.push(BlockSummary {
            block,
            bits: counts.key.sifted,
            errors: counts.key.errors,
            sample_bits: counts.sample.sifted,
            sample_errors: counts.sample.errors,
            phase_error: account.certificate.as_ref().map(|certificate| certificate.phase_error),
            leak: counts.disclosed,
            key_bits: account.key_bits,
        });
        self.error_rate =
            (self.corrected_bits > 0).then(|| self.corrected_errors as f64 / self.corrected_bits as f64);
        let limit: f64 = self
            .blocks
            .iter()
            .map(|block| {
                let rate = if block.bits > 0 { block.errors as f64 / block.bits as f64 } else { 0.0 };
                block.bits as f64 * bellwether_units::binary_entropy(rate)
            })
            .sum();
        self.efficiency = (limit > 0.0).then(|| self.reconciliation_leak as f64 / limit);
    }
}

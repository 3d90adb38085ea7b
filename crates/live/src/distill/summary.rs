//! The account of a run, for people and as JSON.

use bellwether_protocol::qkd::raw::{Account, RawBlock, RawDiscard};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// `alice` (whose bits count) or `bob` (who corrects).
    pub role: String,
    /// The raw key's file.
    pub raw_key: String,
    /// The file of the keys; empty if there is none.
    pub key_file: String,
    /// Bits in the raw key.
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

//! The account of a run over recordings, for people and as JSON.

use bellwether_protocol::hardware::{Basis, Detections};
use bellwether_protocol::qkd::security::Certificate;
use bellwether_protocol::qkd::session::BlockReport;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LinkSummary {
    /// `alice` (who sent the pulses, and whose bits count) or `bob` (who detected them, and corrects).
    pub role: String,
    /// The recording's file.
    pub recording: String,
    /// The link of the network file.
    pub link: String,
    /// The file of the keys; empty if there is none.
    pub key_file: String,
    /// The first pulse that was used, and the first after the last.
    pub used_pulses: [u64; 2],
    /// How long these pulses took to leave the transmitter, in seconds.
    pub light_seconds: f64,
    /// Clicks in them.
    pub clicks: u64,
    /// Clicks in which several detectors fired.
    pub double_clicks: u64,
    /// Sifted bits in the key basis of the blocks that ended.
    pub sifted_bits: u64,
    /// Sifted bits of a block that was not complete when the run ended, and gave no key.
    pub unfinished_bits: u64,
    /// With how many sifted bits a block is complete.
    pub block_bits: u64,
    /// Blocks that gave key.
    pub key_blocks: u64,
    /// Blocks that gave none, by reason.
    pub discarded_blocks: BTreeMap<String, u64>,
    /// Bits in the check basis, all disclosed, of blocks with key.
    pub check_bits: u64,
    /// How many of them were wrong.
    pub check_errors: u64,
    /// `check_errors` over `check_bits`.
    pub check_error_rate: Option<f64>,
    /// Bits in the key basis, of blocks with key.
    pub corrected_bits: u64,
    /// How many of them were wrong.
    pub corrected_errors: u64,
    /// `corrected_errors` over `corrected_bits`.
    pub error_rate: Option<f64>,
    /// Bits that reconciliation disclosed, of blocks with key.
    pub reconciliation_leak: u64,
    /// Reconciliation's leak over the Shannon limit.
    pub efficiency: Option<f64>,
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
    pub blocks: Vec<LinkBlockSummary>,
}

/// One block with key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkBlockSummary {
    /// Its number.
    pub block: u64,
    /// Pulses in its windows.
    pub pulses: u64,
    /// Bits in the key basis.
    pub bits: u64,
    /// How many were wrong.
    pub errors: u64,
    /// Bits in the check basis.
    pub check_bits: u64,
    /// How many were wrong.
    pub check_errors: u64,
    /// Bits disclosed by reconciliation.
    pub leak: u64,
    /// Questions and answers of reconciliation.
    pub round_trips: u64,
    /// Bits of key.
    pub key_bits: u64,
}

impl LinkSummary {
    /// A window, at the receiver.
    pub(super) fn window(&mut self, window: &Detections) {
        self.pulses(window.first_pulse, window.first_pulse.saturating_add(window.pulse_count));
        self.clicks += window.pulses.len() as u64;
        self.double_clicks += window.double_clicks;
    }

    /// Pulses that were told of, from the first up to the one after the last.
    pub(super) fn pulses(&mut self, first: u64, end: u64) {
        if self.used_pulses == [0, 0] {
            self.used_pulses = [first, end];
        }
        self.used_pulses[1] = self.used_pulses[1].max(end);
    }

    pub(super) fn block(&mut self, report: &BlockReport) {
        let (key, check) = (report.statistics.total(Basis::Key), report.statistics.total(Basis::Check));
        if report.closed.is_some() {
            self.sifted_bits += key.sifted;
        }
        if let Some(reason) = &report.discarded {
            *self.discarded_blocks.entry(reason.name().to_owned()).or_default() += 1;
            return;
        }
        self.key_blocks += 1;
        self.check_bits += check.sifted;
        self.check_errors += check.errors;
        self.corrected_bits += key.sifted;
        self.corrected_errors += key.errors;
        self.reconciliation_leak += report.leaked_bits;
        self.blocks.push(LinkBlockSummary {
            block: report.block.0,
            pulses: report.pulses,
            bits: key.sifted,
            errors: key.errors,
            check_bits: check.sifted,
            check_errors: check.errors,
            leak: report.leaked_bits,
            round_trips: report.round_trips,
            key_bits: report.key_bits,
        });
        let rate = |errors: u64, bits: u64| (bits > 0).then(|| errors as f64 / bits as f64);
        self.error_rate = rate(self.corrected_errors, self.corrected_bits);
        self.check_error_rate = rate(self.check_errors, self.check_bits);
        let limit = |block: &LinkBlockSummary| {
            let rate = rate(block.errors, block.bits).unwrap_or(0.0);
            block.bits as f64 * bellwether_units::binary_entropy(rate)
        };
        let limit: f64 = self.blocks.iter().map(limit).sum();
        self.efficiency = (limit > 0.0).then(|| self.reconciliation_leak as f64 / limit);
    }

    pub(super) fn certified(&mut self, certificate: &Certificate) {
        self.epsilon_secrecy += certificate.epsilons.secrecy_total();
        self.epsilon_correctness += certificate.epsilons.correctness;
        if let Some(sum) = &mut self.epsilon_authentication {
            *sum += certificate.epsilons.authentication;
        }
    }
}

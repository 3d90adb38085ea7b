//! One block at one end, from its first window to its report.

use super::{BlockReport, DiscardReason, LinkSettings};
use crate::qkd::alarm::BlockObservation;
use crate::qkd::security::{BlockStatistics, Certificate, NoKey, key_length, may_yield_key};
use crate::qkd::sift::SiftedWindow;
use crate::qkd::verify;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{BlockId, Current, Time};

/// The sifted bits of a block and all that is to be told of it.
pub(super) struct Block {
    pub(super) id: BlockId,
    pub(super) opened: Option<Time>,
    pub(super) closed: Option<Time>,
    pub(super) pulses: u64,
    pub(super) clicks: u64,
    pub(super) double_clicks: u64,
    pub(super) bias_current: Option<Current>,
    pub(super) statistics: BlockStatistics,
    pub(super) corrected: bool,
    pub(super) leaked_bits: u64,
    pub(super) round_trips: u64,
    pub(super) set_aside_bits: u64,
    pub(super) key_bits: u64,
    /// This end's sifted key bits; taken out when reconciliation begins.
    pub(super) key: SecretBits,
    /// For each intensity class, which key bits belong to it.
    pub(super) classes: Vec<BitString>,
    /// How many key bits there are.
    pub(super) len: usize,
}

/// What a window contributes besides its sifted bits.
#[derive(Clone, Copy)]
pub(super) struct WindowCounts {
    pub(super) pulses: u64,
    pub(super) clicks: u64,
    pub(super) double_clicks: u64,
    pub(super) bias_current: Option<Current>,
}

impl Block {
    /// An empty block for a source of `classes` intensities.
    pub(super) fn new(id: BlockId, classes: usize) -> Self {
        Self {
            id,
            opened: None,
            closed: None,
            pulses: 0,
            clicks: 0,
            double_clicks: 0,
            bias_current: None,
            statistics: BlockStatistics::empty(classes),
            corrected: false,
            leaked_bits: 0,
            round_trips: 0,
            set_aside_bits: 0,
            key_bits: 0,
            key: SecretBits::default(),
            classes: vec![BitString::default(); classes],
            len: 0,
        }
    }

    /// Appends a window.
    pub(super) fn append(&mut self, now: Time, counts: WindowCounts, sifted: SiftedWindow) {
        self.opened.get_or_insert(now);
        self.pulses = self.pulses.saturating_add(counts.pulses);
        self.statistics.pulses = self.pulses;
        self.clicks = self.clicks.saturating_add(counts.clicks);
        self.double_clicks = self.double_clicks.saturating_add(counts.double_clicks);
        if let Some(current) = counts.bias_current {
            let greatest = self.bias_current.get_or_insert(current);
            if current > *greatest {
                *greatest = current;
            }
        }
        let sums = self.statistics.key.iter_mut().chain(&mut self.statistics.check);
        for (sum, more) in sums.zip(sifted.statistics.key.iter().chain(&sifted.statistics.check)) {
            sum.sifted += more.sifted;
            sum.errors += more.errors;
        }
        for (class, more) in self.classes.iter_mut().zip(&sifted.key_classes) {
            class.extend_from(more);
        }
        self.key.append(sifted.key);
        self.len = self.key.len();
    }

    pub(super) fn is_full(&self, settings: &LinkSettings) -> bool {
        self.len as u64 >= settings.block_bits
    }

    /// How many sifted key bits it has, and how many it is closed with.
    pub(super) fn progress(&self, settings: &LinkSettings) -> (u64, u64) {
        (self.len as u64, settings.block_bits)
    }

    /// How it looks to the alarms.
    pub(super) fn observation(&self, now: Time) -> BlockObservation<'_> {
        BlockObservation {
            block: self.id,
            at: now,
            statistics: &self.statistics,
            pulses: self.pulses,
            clicks: self.clicks,
            double_clicks: self.double_clicks,
            bias_current: self.bias_current,
        }
    }

    /// Whether it can yield key at all, before the errors in the key basis are known.
    pub(super) fn may_yield_key(&self, settings: &LinkSettings) -> Result<(), NoKey> {
        may_yield_key(settings.bound, &settings.source, &self.statistics, &settings.security)
    }

    /// What it yields with these counts, if `disclosed` bits were disclosed in reconciliation.
    pub(super) fn certify(&self, settings: &LinkSettings, disclosed: u64) -> Result<Certificate, NoKey> {
        let tag = verification_bits(settings, self.len);
        let beyond = tag.saturating_sub(settings.security.verification_allowance());
        let leak = disclosed.saturating_add(u64::from(beyond));
        let mut certificate =
            key_length(settings.bound, &settings.source, &self.statistics, leak, &settings.security)?;
        // A key is never longer than the bits that it is made from; the bounds see to it, up to rounding.
        certificate.key_bits = certificate.key_bits.min(self.len as u64);
        Ok(certificate)
    }

    /// The account of it, ended now.
    pub(super) fn report(&self, now: Time, pads_used: u64, discarded: Option<DiscardReason>) -> BlockReport {
        BlockReport {
            block: self.id,
            opened: self.opened.unwrap_or(now),
            closed: self.closed,
            ended: now,
            pulses: self.pulses,
            clicks: self.clicks,
            double_clicks: self.double_clicks,
            statistics: self.statistics.clone(),
            corrected: self.corrected,
            leaked_bits: self.leaked_bits,
            round_trips: self.round_trips,
            pads_used,
            set_aside_bits: self.set_aside_bits,
            key_bits: if discarded.is_some() { 0 } else { self.key_bits },
            discarded,
        }
    }
}

/// How long the verification tag of a block of `len` bits is.
pub(super) fn verification_bits(settings: &LinkSettings, len: usize) -> u32 {
    verify::tag_bits(settings.security.correctness, len).unwrap_or(verify::MAX_TAG_BITS)
}

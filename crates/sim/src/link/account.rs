//! The account of one link over a run: what its blocks add up to, over all and over time.

use super::{BlockRecord, Tally};
use crate::summary::{Contribution, Count, Series};
use bellwether_protocol::hardware::Basis;
use bellwether_protocol::qkd::security::{EpsilonLedger, ExpectedCounts};
use bellwether_units::{Duration, Time, binary_entropy};
use std::collections::BTreeMap;

/// What a link's blocks add up to.
#[derive(Debug, Default)]
pub(crate) struct LinkAccount {
    pub(crate) blocks: u64,
    /// Handed out, without what was set aside.
    pub(crate) secret_bits: u64,
    pub(crate) set_aside_bits: u64,
    pub(crate) sifted_bits: u64,
    pub(crate) authentication_bits: u64,
    pub(crate) leaked_bits: u64,
    pub(crate) alarms: u64,
    discarded: BTreeMap<String, u64>,
    /// Of the blocks whose errors are known: sifted key bits, errors, and the least that had to be disclosed.
    key_bits: u64,
    key_errors: u64,
    check_bits: u64,
    check_errors: u64,
    least_leak: f64,
    counted_leak: u64,
    round_trips: u64,
    round_trip_blocks: u64,
    epsilons: EpsilonLedger,
    lost: Lost,
    bin: Duration,
    series: Vec<Bin>,
}

/// Where the sifted bits of blocks with key went.
#[derive(Debug, Default)]
struct Lost {
    discarded: f64,
    multi_photon: f64,
    phase_error: f64,
    leak: f64,
    penalty: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    secret: u64,
    sifted: u64,
    errors: u64,
    pool: u64,
}

impl LinkAccount {
    /// An empty account over `bins` equal bins of `bin`.
    pub(crate) fn new(bin: Duration, bins: usize) -> Self {
        Self { bin, series: vec![Bin::default(); bins], ..Self::default() }
    }

    /// Enters a block that ended at `at`.
    pub(crate) fn enter(&mut self, at: Time, record: &BlockRecord) {
        let key = record.statistics.total(Basis::Key);
        let check = record.statistics.total(Basis::Check);
        self.sifted_bits += key.sifted;
        self.check_bits += check.sifted;
        self.check_errors += check.errors;
        self.leaked_bits += record.leaked_bits;
        self.authentication_bits += record.authentication_bits;
        if let Some(trips) = record.round_trips {
            self.round_trips += trips;
            self.round_trip_blocks += 1;
        }
        let place = self.place(at);
        if record.corrected {
            self.key_bits += key.sifted;
            self.key_errors += key.errors;
            self.least_leak +=
                key.sifted as f64 * binary_entropy(key.errors as f64 / key.sifted.max(1) as f64);
            self.counted_leak += record.leaked_bits;
            if let Some(bin) = self.series.get_mut(place) {
                bin.sifted += key.sifted;
                bin.errors += key.errors;
            }
        }
        match (&record.certificate, &record.discarded) {
            (Some(certificate), None) => {
                self.blocks += 1;
                let secret_bits = certificate.key_bits - record.set_aside_bits;
                self.secret_bits += secret_bits;
                self.set_aside_bits += record.set_aside_bits;
                self.epsilons.enter(&certificate.epsilons);
                if let Some(bin) = self.series.get_mut(place) {
                    bin.secret += secret_bits;
                }
                let ExpectedCounts { sifted, .. } = certificate.statistics.total(Basis::Key);
                let unknown = certificate.vacuum + certificate.single_photons;
                let phase = certificate.single_photons * binary_entropy(certificate.phase_error.min(0.5));
                self.lost.multi_photon += sifted - unknown;
                self.lost.phase_error += phase;
                self.lost.leak += certificate.leak;
                self.lost.penalty += unknown - phase - certificate.leak - certificate.key_bits as f64;
            }
            (_, reason) => {
                self.lost.discarded += key.sifted as f64;
                let reason = reason.as_ref().map_or("unknown", |(name, _)| name.as_str());
                *self.discarded.entry(reason.to_owned()).or_default() += 1;
            }
        }
    }

    /// Notes how much is in the pool at the end of bin number `place`.
    pub(crate) fn note_pool(&mut self, place: usize, bits: u64) {
        if let Some(bin) = self.series.get_mut(place) {
            bin.pool = bits;
        }
    }

    pub(crate) fn qber(&self, basis: Basis) -> Option<f64> {
        let (errors, bits) = match basis {
            Basis::Key => (self.key_errors, self.key_bits),
            Basis::Check => (self.check_errors, self.check_bits),
        };
        (bits > 0).then(|| errors as f64 / bits as f64)
    }

    pub(crate) fn discarded(&self) -> Vec<Count> {
        self.discarded.iter().map(|(what, &count)| Count { what: what.clone(), count }).collect()
    }

    pub(crate) fn efficiency(&self) -> Option<f64> {
        (self.least_leak > 0.0).then(|| self.counted_leak as f64 / self.least_leak)
    }

    pub(crate) fn round_trips_per_block(&self) -> Option<f64> {
        (self.round_trip_blocks > 0).then(|| self.round_trips as f64 / self.round_trip_blocks as f64)
    }

    pub(crate) fn epsilon_total(&self) -> f64 {
        self.epsilons.total()
    }

    /// Where the clicks went, in bits: the parts add up to the clicks.
    pub(crate) fn key_budget(&self, tally: Tally) -> Vec<Contribution> {
        let part = |cause: &str, amount: f64| Contribution { cause: cause.to_owned(), amount };
        let check = tally.check_sifted as f64;
        // Ends that number pulses differently may sift more than had equal bases.
        let unfinished = tally.key_sifted.saturating_sub(self.sifted_bits) as f64;
        vec![
            part("the bases differ", tally.clicks as f64 - check - self.sifted_bits as f64 - unfinished),
            part("disclosed in the check basis", check),
            part("in no finished block", unfinished),
            part("in discarded blocks", self.lost.discarded),
            part("not from single photons", self.lost.multi_photon),
            part("phase errors", self.lost.phase_error),
            part("disclosed by reconciliation", self.lost.leak),
            part("price of the failure probabilities", self.lost.penalty),
            part("set aside for authentication", self.set_aside_bits as f64),
            part("secret key", self.secret_bits as f64),
        ]
    }

    /// The bins up to `until`.
    pub(crate) fn series(&self, until: Time) -> Series {
        let bins = &self.series[..self.series.len().min(self.place(until) + 1)];
        // An instant on the border of two bins has filled only the earlier one.
        let whole = until.since(Time::ZERO) % self.bin == Duration::ZERO && bins.len() > 1;
        let bins = if whole { &bins[..bins.len().min(self.place(until))] } else { bins };
        Series {
            bin_s: self.bin.seconds(),
            secret_bits: bins.iter().map(|bin| bin.secret).collect(),
            sifted_bits: bins.iter().map(|bin| bin.sifted).collect(),
            errors: bins.iter().map(|bin| bin.errors).collect(),
            pool_bits: bins.iter().map(|bin| bin.pool).collect(),
        }
    }

    fn place(&self, at: Time) -> usize {
        (at.since(Time::ZERO) / self.bin) as usize
    }
}

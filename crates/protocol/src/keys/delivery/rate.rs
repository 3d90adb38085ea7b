//! How much one may ask for: a bucket that fills at a rate and holds one span's worth.
//!
//! It is kept as the time at which it would be full again (the generic cell rate algorithm, ITU-T I.371), in whole
//! numbers. A request that finds anything left in the bucket passes, and its debt is waited for afterwards; so even
//! a request for more than the bucket holds can be served.

use super::api::{DeliveryError, EncKeys};
use super::directory::{Directory, PairPolicy};
use super::name::SaeName;
use bellwether_units::{Duration, Time};
use std::collections::BTreeMap;

const SECOND: Duration = Duration::from_whole_seconds(1);
const DAY: Duration = Duration::from_whole_seconds(24 * 3600);

/// When the bucket is full again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket(Time);

impl Bucket {
    /// How long until there is anything in it.
    pub(super) fn wait(self, now: Time, span: Duration) -> Option<Duration> {
        let owed = self.0.since(now);
        (owed >= span && owed > Duration::default())
            .then(|| owed.saturating_sub(span) + Duration::from_picoseconds(1))
    }
    pub(super) fn take(&mut self, now: Time, amount: u64, per_span: u64, span: Duration) {
        let cost = u128::from(amount) * u128::from(span.picoseconds()) / u128::from(per_span.max(1));
        let cost = Duration::from_picoseconds(cost.min(u128::from(u64::MAX / 4)) as u64);
        self.0 = self.0.max(now).saturating_add(cost);
    }
}

/// What everybody has asked for lately.
#[derive(Debug, Default)]
pub(super) struct Rates {
    callers: BTreeMap<SaeName, Bucket>,
    /// Keys a second and bits a day of a pair.
    pairs: BTreeMap<(SaeName, SaeName), (Bucket, Bucket)>,
}

impl Rates {
    /// Whether a request may be served; if the caller or the pair has had its share, when to come again.
    pub(super) fn check(
        &self,
        now: Time,
        directory: &Directory,
        policy: PairPolicy,
        ask: &EncKeys,
    ) -> Result<(), DeliveryError> {
        let caller_rate = directory.keys_per_second(ask.caller.as_str()).map(u64::from);
        let caller = self.callers.get(&ask.caller).copied().unwrap_or_default();
        let pair = (ask.caller.clone(), ask.slave.clone());
        let (keys, bits) = self.pairs.get(&pair).copied().unwrap_or_default();
        let pair_rate = policy.keys_per_second.map(u64::from);
        let wait = |bucket: Bucket, rate: Option<u64>, span| rate.and_then(|_| bucket.wait(now, span));
        let waits = [
            wait(caller, caller_rate, SECOND),
            wait(keys, pair_rate, SECOND),
            wait(bits, policy.bits_per_day, DAY),
        ];
        if let Some(retry_after) = waits.into_iter().flatten().max() {
            return Err(DeliveryError::RateLimited { retry_after });
        }
        Ok(())
    }

    /// Counts a request that is served.
    pub(super) fn charge(&mut self, now: Time, directory: &Directory, policy: PairPolicy, ask: &EncKeys) {
        let number = u64::from(ask.number);
        if let Some(rate) = directory.keys_per_second(ask.caller.as_str()) {
            self.callers.entry(ask.caller.clone()).or_default().take(now, number, rate.into(), SECOND);
        }
        if policy.keys_per_second.is_some() || policy.bits_per_day.is_some() {
            let (keys, bits) = self.pairs.entry((ask.caller.clone(), ask.slave.clone())).or_default();
            if let Some(rate) = policy.keys_per_second {
                keys.take(now, number, rate.into(), SECOND);
            }
            if let Some(rate) = policy.bits_per_day {
                bits.take(now, number * u64::from(ask.bits), rate, DAY);
            }
        }
    }
    /// Forgets whom the directory does not know.
    pub(super) fn retain(&mut self, directory: &Directory) {
        self.callers.retain(|name, _| directory.node_of(name.as_str()).is_some());
        self.pairs.retain(|(master, slave), _| directory.policy(master.as_str(), slave.as_str()).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::delivery::api::Ticket;
    use bellwether_units::NodeId;

    fn ask(number: u32, bits: u32) -> EncKeys {
        let name = |n: &str| n.parse::<SaeName>().unwrap();
        EncKeys { ticket: Ticket(0), caller: name("a"), slave: name("b"), additional: vec![], number, bits }
    }

    impl Rates {
        fn admit(
            &mut self,
            now: Time,
            directory: &Directory,
            policy: PairPolicy,
            ask: &EncKeys,
        ) -> Result<(), DeliveryError> {
            self.check(now, directory, policy, ask)?;
            self.charge(now, directory, policy, ask);
            Ok(())
        }
    }

    fn served(policy: PairPolicy, caller: Option<u32>, number: u32, bits: u32) -> u64 {
        let mut directory = Directory::default();
        directory.add_application("a".parse().unwrap(), NodeId(0), caller).unwrap();
        let mut rates = Rates::default();
        // A hundred requests a second for a hundred seconds.
        (0..10_000_u64)
            .filter(|i| {
                let now = Time::from_picoseconds(i * 10_000_000_000);
                rates.admit(now, &directory, policy, &ask(number, bits)).is_ok()
            })
            .count() as u64
            * u64::from(number)
    }

    #[test]
    fn no_more_passes_than_the_rate_and_one_burst() {
        let free = PairPolicy::default();
        assert_eq!(served(free, None, 2, 256), 20_000);
        let by_caller = served(free, Some(20), 2, 256);
        assert!((2000..=2022).contains(&by_caller), "{by_caller} keys in 100 s at 20 a second");
        let by_pair = served(PairPolicy { keys_per_second: Some(5), ..free }, Some(20), 1, 256);
        assert!((500..=506).contains(&by_pair), "{by_pair} keys in 100 s at 5 a second");
        let by_day = served(PairPolicy { bits_per_day: Some(256 * 300), ..free }, None, 1, 256);
        assert!((300..=301).contains(&by_day), "{by_day} keys with a day's worth of 300");
    }

    #[test]
    fn who_is_refused_is_told_when_to_come() {
        let mut directory = Directory::default();
        directory.add_application("a".parse().unwrap(), NodeId(0), Some(10)).unwrap();
        let mut rates = Rates::default();
        let policy = PairPolicy::default();
        rates.admit(Time::ZERO, &directory, policy, &ask(15, 256)).unwrap();
        let Err(DeliveryError::RateLimited { retry_after }) =
            rates.admit(Time::ZERO, &directory, policy, &ask(1, 256))
        else {
            panic!("15 of 10 keys are spent");
        };
        assert!(rates.admit(Time::ZERO + retry_after, &directory, policy, &ask(1, 256)).is_ok());
        assert_eq!(retry_after.seconds(), 0.500_000_000_001);
    }
}

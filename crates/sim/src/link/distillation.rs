//! What distillation makes of a block at detail `blocks`: drawn, where a link at detail `bits` would do it.
//!
//! What is disclosed, and how many round trips that takes, follows the measured law of the link's family; the
//! key's length follows from the same bound as at detail `bits`, and the stock of one-time pads is kept up by
//! the same rule.

use super::bits::{AMPLIFY, PERSIST, RECALL};
use super::reconciliation::{Reconciliation, Took, expected_round_trips};
use super::watch::Watch;
use super::{BlockRecord, LinkSays};
use crate::channel::ChannelFaults;
use crate::emulator::authentication_of;
use crate::expect::{bound_of, classes_of, family_of, security_of};
use bellwether_network::{Link, TagPolicy, Tampering};
use bellwether_protocol::hardware::Basis;
use bellwether_protocol::qkd::alarm::{Alarm, AlarmKind, BlockObservation, Reading};
use bellwether_protocol::qkd::security::{
    Bound, Certificate, NoKey, SecurityParameters, SourceClass, key_length, may_yield_key,
};
use bellwether_protocol::qkd::session::{AuthenticationBudget, DiscardReason};
use bellwether_protocol::qkd::verify;
use bellwether_units::{Duration, Stream, Time};

/// How much later a frame arrives that had to be sent again.
const REPEATED_AFTER: Duration = Duration::from_milliseconds(5);

/// What distils the blocks of one link.
pub(super) struct Distillation {
    bound: Bound,
    classes: Vec<SourceClass>,
    security: SecurityParameters,
    reconciliation: Reconciliation,
    tags: TagPolicy,
    budget: AuthenticationBudget,
    /// Pairs of one-time pads left.
    pads: u64,
    /// Whether it was told that they are few.
    low: bool,
    message_delay: Duration,
    fate: Stream,
}

/// A block that is to be distilled.
pub(super) struct Full<'a> {
    pub(super) record: BlockRecord,
    pub(super) seen: BlockObservation<'a>,
    /// How many windows it has.
    pub(super) windows: u64,
    /// What becomes of messages meanwhile.
    pub(super) faults: ChannelFaults,
}

/// What became of it.
pub(super) struct Distilled {
    /// Its end; the certificate tells the key.
    pub(super) record: BlockRecord,
    /// When the receiver told it.
    pub(super) ended: Time,
    /// When the transmitter tells its key.
    pub(super) told: Time,
    /// Bits of key handed out at both ends.
    pub(super) key_bits: u64,
    /// What it raised.
    pub(super) alarms: Vec<LinkSays>,
    /// Whether the session ended with it, because a message was tampered with.
    pub(super) broken: bool,
    /// Whether no pad is left, so that the link stands still.
    pub(super) exhausted: bool,
}

impl Distillation {
    pub(super) fn new(link: &Link, fate: Stream) -> Self {
        let budget = authentication_of(link);
        Self {
            bound: bound_of(link),
            classes: classes_of(link),
            security: security_of(link),
            reconciliation: Reconciliation::new(family_of(link)),
            tags: link.protocol.authentication,
            pads: budget.target_pads,
            budget,
            low: false,
            message_delay: link.message_delay,
            fate,
        }
    }

    /// A session was opened, which takes a tag of each end.
    pub(super) fn open_session(&mut self) {
        self.pads = self.pads.saturating_sub(1);
    }

    /// What one message takes, on average.
    fn message(&self, faults: &ChannelFaults) -> Duration {
        let loss = faults.loss.min(0.99);
        let again = REPEATED_AFTER.seconds() * loss / (1.0 - loss) + faults.jitter.seconds() / 2.0;
        let seconds = self.message_delay.seconds() + faults.extra_delay.seconds() + again;
        Duration::from_seconds(seconds).unwrap_or(Duration::MAX)
    }

    /// When a window that the receiver has seen at `seen` is sifted.
    pub(super) fn sifted(&self, seen: Time, faults: &ChannelFaults) -> Time {
        seen.saturating_add(self.message(faults).saturating_mul(2)).saturating_add(RECALL)
    }

    /// Distils a block, whose last window was seen at `full.seen.at`.
    pub(super) fn distil(&mut self, full: Full<'_>, watch: &mut Watch) -> Distilled {
        let Full { mut record, mut seen, windows, faults } = full;
        let message = self.message(&faults);
        let after = |start: Time, messages: u64| start.saturating_add(message.saturating_mul(messages));
        let closed = self.sifted(seen.at, &faults);
        record.corrected = false;
        let possible = may_yield_key(self.bound, &self.classes, &record.statistics, &self.security);
        let reconciled =
            possible.map_err(DiscardReason::from).and_then(|()| match watch.monitor_alarmed(&seen) {
                true => Err(DiscardReason::Monitor),
                false => self
                    .reconciliation
                    .reconcile(&record.statistics, &mut self.fate)
                    .ok_or(DiscardReason::Reconciliation),
            });
        let Took { leak, round_trips } = match reconciled {
            Ok(took) => took,
            Err(reason) => {
                // The errors of the key basis stay unknown.
                let mut statistics = record.statistics.clone();
                statistics.key.iter_mut().for_each(|class| class.errors = 0);
                record.statistics = statistics;
                let alarm = match &reason {
                    DiscardReason::NoKey(why) => Some(Alarm::no_key(record.block, closed, why)),
                    DiscardReason::Reconciliation => Some(Alarm::spoilt(record.block, closed, &reason)),
                    // What the monitors raise follows.
                    _ => None,
                };
                let statistics = record.statistics.clone();
                seen = BlockObservation { at: closed, statistics: &statistics, ..seen };
                let mut alarms: Vec<_> = alarm.iter().map(|alarm| watch.says(alarm)).collect();
                alarms.extend(watch.block(&seen));
                if self.tags == TagPolicy::EveryMessage {
                    self.use_pads(windows, &mut record);
                }
                return Distilled::discarded(record, closed, reason, alarms);
            }
        };
        record.corrected = true;
        record.leaked_bits = leak;
        record.round_trips = Some(round_trips);
        let corrected = after(closed, 2 * round_trips);
        let pairs = pad_pairs(self.tags, windows, round_trips);
        let made = after(corrected, 2).saturating_add(AMPLIFY.saturating_mul(2)).saturating_add(PERSIST);
        if self.tampered(&faults, 2 * (windows + round_trips) + 3) {
            return self.broken(record, corrected, watch);
        }
        let statistics = record.statistics.clone();
        match self.certify(&record) {
            Err(why) => {
                let mut alarms = vec![watch.says(&Alarm::no_key(record.block, corrected, &why))];
                alarms.extend(watch.block(&BlockObservation {
                    at: corrected,
                    statistics: &statistics,
                    ..seen
                }));
                if self.tags == TagPolicy::EveryMessage {
                    self.use_pads(pairs - 2, &mut record);
                }
                Distilled::discarded(record, corrected, why.into(), alarms)
            }
            Ok(_) if self.error_left(&record) => {
                let mut alarms = vec![watch.says(&Alarm::keys_differ(record.block, made))];
                alarms.extend(watch.block(&BlockObservation { at: made, statistics: &statistics, ..seen }));
                self.use_pads(pairs, &mut record);
                Distilled::discarded(record, made, DiscardReason::Verification, alarms)
            }
            Ok(certificate) => {
                let mut alarms = watch.block(&BlockObservation { at: made, statistics: &statistics, ..seen });
                if self.pads < pairs {
                    return self.exhausted(record, made, watch);
                }
                self.use_pads(pairs, &mut record);
                let set_aside = self.refill(&certificate);
                alarms.extend(self.low_pads(made, watch));
                record.set_aside_bits = 256 * set_aside;
                let key_bits = certificate.key_bits - record.set_aside_bits;
                record.certificate = Some(certificate);
                let told = after(made, 1).saturating_add(PERSIST);
                Distilled { record, ended: made, told, key_bits, alarms, broken: false, exhausted: false }
            }
        }
    }

    fn certify(&self, record: &BlockRecord) -> Result<Certificate, NoKey> {
        let sifted = record.statistics.total(Basis::Key).sifted;
        let tag =
            verify::tag_bits(self.security.correctness, sifted as usize).unwrap_or(verify::MAX_TAG_BITS);
        let beyond = tag.saturating_sub(self.security.verification_allowance());
        let leak = record.leaked_bits + u64::from(beyond);
        let mut certificate =
            key_length(self.bound, &self.classes, &record.statistics, leak, &self.security)?;
        certificate.key_bits = certificate.key_bits.min(sifted);
        Ok(certificate)
    }

    fn error_left(&mut self, record: &BlockRecord) -> bool {
        let left = self.reconciliation.error_left(record.statistics.total(Basis::Key).sifted);
        left > 0.0 && self.fate.chance(left)
    }

    /// Whether any of `messages` is tampered with in a way that a tag notices: a replay is not, for what comes
    /// a second time counts for nothing.
    fn tampered(&mut self, faults: &ChannelFaults, messages: u64) -> bool {
        let p = if faults.how == Some(Tampering::Replay) { 0.0 } else { faults.tampering };
        p > 0.0 && self.fate.chance(-libm::expm1(messages as f64 * libm::log1p(-p.min(1.0 - 1e-12))))
    }

    fn use_pads(&mut self, pairs: u64, record: &mut BlockRecord) {
        // The transmitter, which confirms nothing, uses one less than the receiver.
        record.authentication_bits = 128 * (2 * pairs).saturating_sub(1);
        self.pads = self.pads.saturating_sub(pairs);
    }

    /// Fills the stock up from a new key; gives how many pairs that took.
    fn refill(&mut self, certificate: &Certificate) -> u64 {
        // The last tag of a block comes after the refill.
        let wanted = self.budget.target_pads.saturating_sub(self.pads + 1);
        let taken = wanted.min(affordable_pairs(&self.budget, certificate.key_bits));
        self.pads += taken;
        taken
    }

    fn low_pads(&mut self, at: Time, watch: &Watch) -> Option<LinkSays> {
        let low = self.pads <= self.budget.low_water_pads;
        let was_low = core::mem::replace(&mut self.low, low);
        (low && !was_low).then(|| watch.says(&self.pads_alarm(AlarmKind::AuthenticationKeysLow, at)))
    }

    fn pads_alarm(&self, kind: AlarmKind, at: Time) -> Alarm {
        let expected = Reading::Count(self.budget.target_pads as f64);
        Alarm::new(kind, None, at, Reading::Count(self.pads as f64), expected)
    }

    fn exhausted(&mut self, mut record: BlockRecord, at: Time, watch: &Watch) -> Distilled {
        let left = self.pads;
        self.use_pads(left, &mut record);
        let alarms = vec![watch.says(&self.pads_alarm(AlarmKind::AuthenticationKeysExhausted, at))];
        let discarded = Distilled::discarded(record, at, DiscardReason::SessionLost, alarms);
        Distilled { exhausted: true, ..discarded }
    }

    fn broken(&mut self, mut record: BlockRecord, at: Time, watch: &Watch) -> Distilled {
        record.corrected = false;
        record.statistics.key.iter_mut().for_each(|class| class.errors = 0);
        let [seen, expected] = ["a tag that does not verify", "none"].map(|text| Reading::Text(text.into()));
        let alarm = Alarm::new(AlarmKind::AuthenticationFailed, None, at, seen, expected);
        let alarms = vec![watch.says(&alarm)];
        self.use_pads(1, &mut record);
        let discarded = Distilled::discarded(record, at, DiscardReason::Authentication, alarms);
        Distilled { broken: true, ..discarded }
    }

    /// Bits from which both ends' emulated key follows.
    pub(super) fn seed(&mut self) -> u64 {
        self.fate.bits()
    }
}

impl Distilled {
    fn discarded(mut record: BlockRecord, at: Time, why: DiscardReason, alarms: Vec<LinkSays>) -> Self {
        record.discarded = Some((why.name().to_owned(), why.to_string()));
        Self { record, ended: at, told: at, key_bits: 0, alarms, broken: false, exhausted: false }
    }
}

/// Pairs of one-time pads that a block with key takes: one for each tag of the receiver, who sends more.
fn pad_pairs(tags: TagPolicy, windows: u64, round_trips: u64) -> u64 {
    match tags {
        TagPolicy::EveryBlock => 2,
        TagPolicy::EveryMessage => windows + round_trips + 2,
    }
}

/// Bits that a block of `windows` windows and of `key_bits` of key sets aside, on average, to make up for the
/// one-time pads that it takes.
pub(crate) fn set_aside_bits(link: &Link, windows: f64, error_rate: f64, key_bits: u64) -> u64 {
    let round_trips = expected_round_trips(link, family_of(link), error_rate);
    let pairs = pad_pairs(link.protocol.authentication, libm::ceil(windows) as u64, round_trips);
    256 * pairs.min(affordable_pairs(&authentication_of(link), key_bits))
}

/// Pairs of pads that a key may give.
fn affordable_pairs(budget: &AuthenticationBudget, key_bits: u64) -> u64 {
    (u128::from(key_bits) * u128::from(budget.greatest_share) / 256 / 256) as u64
}

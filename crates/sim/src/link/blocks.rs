//! A link at detail `blocks`: the counts of whole blocks are drawn, and the same security bound is applied.
//!
//! What a block discloses is drawn from the measured efficiency of the link's Cascade; what tampering with
//! messages does is reckoned by the number of messages of a block. Key bits follow from a seed.

use super::watch::Watch;
use super::{BlockRecord, End, LinkRecord, LinkSays, Tally, stream, window_pulses};
use crate::conditions::{Conditions, Timeline};
use crate::expect::{bound_of, classes_of, security_of};
use crate::optics::Optics;
use crate::run::RunError;
use bellwether_network::{Link, Network, TagPolicy};
use bellwether_physics::{BlockCounts, BlockSampler, binomial};
use bellwether_protocol::hardware::Basis;
use bellwether_protocol::keys::KeyMaterial;
use bellwether_protocol::qkd::alarm::BlockObservation;
use bellwether_protocol::qkd::security::{BlockStatistics, ClassCounts, SourceClass, key_length};
use bellwether_units::{BlockId, Current, Duration, LinkId, Stream, Time, binary_entropy};

/// How often a model that wanders is made anew.
const WANDER_STEP: Duration = Duration::from_whole_seconds(1);
/// Messages that a block takes beside its windows: two for each round trip of reconciliation, and a few.
const MESSAGES: f64 = 200.0;
/// Round trips from the last window of a block to its key.
const ROUND_TRIPS: u64 = 100;
/// How long an end waits for the other before it raises an alarm.
const SILENT_AFTER: Duration = Duration::from_whole_seconds(10);

/// A link whose blocks are drawn whole.
pub(crate) struct BlocksLink {
    link: Link,
    classes: Vec<SourceClass>,
    optics: Optics,
    timeline: Timeline,
    sampler: BlockSampler,
    counting: Stream,
    fate: Stream,
    pulse_rate: f64,
    delay: Duration,
    window_clicks: u64,
    end: Time,
    next_pulse: u64,
    tally: Tally,
    block: BlockId,
    open: OpenBlock,
    counts: BlockCounts,
    modelled: Option<Conditions>,
    bias_current: Option<Current>,
    watch: Watch,
    silent: Option<Time>,
    /// Said, but not yet due.
    waiting: Vec<LinkRecord>,
}

/// The block that is being filled.
struct OpenBlock {
    opened: Time,
    target: u64,
    statistics: BlockStatistics,
    double_clicks: u64,
    pulses: u64,
    clicks: u64,
    /// The greatest that the monitor showed.
    bias_current: Option<Current>,
}

impl BlocksLink {
    pub(crate) fn new(network: &Network, id: LinkId, seed: u64, end: Time) -> Result<Self, RunError> {
        let link = network.link(id).clone();
        let timeline = Timeline::of_link(network, id);
        let mut optics = Optics::new(&link, stream(network, id, seed, "drift"))?;
        let watch = Watch::new(&link, &optics)?;
        let honest = optics.honest()?;
        let model = optics.at(Time::ZERO, timeline.at(Time::ZERO).0)?;
        let per_pulse = honest.sifted_rate(bellwether_physics::Basis::Key).per_second()
            / honest.parameters().clock.hertz();
        let window = window_pulses(
            network,
            &link,
            honest.click_rate().per_second() / honest.parameters().clock.hertz(),
        );
        let classes = classes_of(&link);
        let mut process = Self {
            open: OpenBlock::new(Time::ZERO, 0, classes.len()),
            classes,
            optics,
            timeline,
            sampler: BlockSampler::new(&model),
            counting: stream(network, id, seed, "block counts"),
            fate: stream(network, id, seed, "block fate"),
            pulse_rate: crate::optics::pulse_rate(&link),
            delay: link.message_delay,
            window_clicks: libm::round(window as f64 * per_pulse) as u64,
            end,
            next_pulse: 0,
            tally: Tally::default(),
            block: BlockId(0),
            counts: BlockCounts::default(),
            modelled: None,
            bias_current: None,
            watch,
            silent: None,
            waiting: Vec::new(),
            link,
        };
        process.open_block(Time::ZERO);
        Ok(process)
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn advance(&mut self, until: Time, says: &mut Vec<LinkRecord>) -> Result<(), RunError> {
        // Blocks are drawn whole, beyond `until` if need be, so that results do not depend on where a run is
        // cut into slices.
        while self.time() <= until && self.time() < self.end {
            self.step()?;
        }
        self.waiting.sort_by_key(|record| record.at);
        let due = self.waiting.partition_point(|record| record.at <= until);
        says.extend(self.waiting.drain(..due));
        Ok(())
    }

    fn time(&self) -> Time {
        Time::ZERO.saturating_add(self.span_of(self.next_pulse))
    }

    fn span_of(&self, pulses: u64) -> Duration {
        Duration::from_seconds(pulses as f64 / self.pulse_rate).unwrap_or(Duration::MAX)
    }

    /// Draws until the block is full or something changes.
    fn step(&mut self) -> Result<(), RunError> {
        let now = self.time();
        let (conditions, change) = self.timeline.at(now);
        let conditions = conditions.clone();
        let mut limit = change.unwrap_or(self.end).min(self.end);
        if self.optics.wanders(&conditions, now) {
            limit = limit.min(now.saturating_add(WANDER_STEP));
        }
        let most =
            (libm::ceil(limit.seconds() * self.pulse_rate) as u64).max(self.next_pulse + 1) - self.next_pulse;
        if !(conditions.transmitter_up && conditions.receiver_up) {
            self.lose_session(now);
            self.next_pulse += most;
            return Ok(());
        }
        if conditions.cut {
            self.fall_silent(now, limit);
            self.next_pulse += most;
            return Ok(());
        }
        self.silent = None;
        self.remodel(now, &conditions)?;
        self.open.bias_current = match (self.open.bias_current, self.bias_current) {
            (Some(a), Some(b)) if a > b => Some(a),
            (a, b) => b.or(a),
        };
        let have = self.open.statistics.total(Basis::Key).sifted;
        let wanted = self.open.target.saturating_sub(have).max(1);
        let mut counts = core::mem::take(&mut self.counts);
        self.sampler.sample_until(wanted, most, &mut self.counting, &mut counts);
        self.next_pulse += counts.pulses;
        self.tally.pulses += counts.pulses;
        self.tally.clicks += counts.clicks;
        self.tally.key_sifted += counts.sifted_in(bellwether_physics::Basis::Key);
        self.tally.check_sifted += counts.sifted_in(bellwether_physics::Basis::Check);
        if self.optics.pulses_off(conditions.clock_offset) > 0 {
            self.misnumber(&mut counts);
        }
        let at = self.time().saturating_add(self.delay);
        if let Some(what) = self.watch.counts(at, counts.pulses, counts.clicks) {
            self.say(at, what);
        }
        self.open.add(&counts);
        self.counts = counts;
        if self.open.statistics.total(Basis::Key).sifted >= self.open.target {
            self.close_block(&conditions);
        }
        Ok(())
    }

    fn remodel(&mut self, now: Time, conditions: &Conditions) -> Result<(), RunError> {
        if self.modelled.as_ref() != Some(conditions) || self.optics.wanders(conditions, now) {
            let model = self.optics.at(now, conditions)?;
            self.sampler.set_model(&model);
            self.modelled = Some(conditions.clone());
            self.bias_current = Some(model.bias_current());
        }
        Ok(())
    }

    /// A block closes at the end of the window in which it has its bits: up to a window's bits too many.
    fn open_block(&mut self, now: Time) {
        let beyond = self.fate.below(self.window_clicks.max(1));
        self.open = OpenBlock::new(now, self.link.protocol.block_size.bits() + beyond, self.classes.len());
    }

    fn close_block(&mut self, conditions: &Conditions) {
        let seen = self.time().saturating_add(self.delay);
        let done = seen.saturating_add(self.delay.saturating_mul(2 * ROUND_TRIPS));
        let statistics = self.open.statistics.clone();
        let key = statistics.total(Basis::Key);
        let leaked_bits = self.leak(key);
        let tampering = conditions.faults.tampering;
        let tampered = tampering > 0.0
            && self.fate.chance(-libm::expm1(MESSAGES * libm::log1p(-tampering.min(1.0 - 1e-12))));
        let mut record = BlockRecord {
            block: self.block,
            opened: self.open.opened,
            statistics,
            corrected: true,
            leaked_bits,
            round_trips: None,
            authentication_bits: self.authentication_bits(),
            certificate: None,
            discarded: None,
        };
        if tampered {
            record.discarded = Some(("authentication".into(), "authentication failed in its session".into()));
            record.corrected = false;
            self.alarm(
                done,
                "authentication-failed",
                "a message failed authentication: a wrong tag seen, none expected",
            );
        } else {
            let seen = BlockObservation {
                block: self.block,
                at: done,
                statistics: &record.statistics,
                pulses: self.open.pulses,
                clicks: self.open.clicks,
                double_clicks: self.open.double_clicks,
                bias_current: self.open.bias_current,
            };
            for what in self.watch.block(&seen) {
                self.say(done, what);
            }
            let bound = bound_of(&self.link);
            match key_length(bound, &self.classes, &record.statistics, leaked_bits, &security_of(&self.link))
            {
                Ok(certificate) => {
                    let bits = certificate.key_bits.saturating_sub(record.authentication_bits);
                    let seed = self.fate.bits();
                    for end in [End::Receiver, End::Transmitter] {
                        let at = if end == End::Receiver { done } else { done.saturating_add(self.delay) };
                        let key = KeyMaterial::Emulated { seed, bits: bits.min(u64::from(u32::MAX)) as u32 };
                        self.say(at, LinkSays::Key(end, self.block, key));
                    }
                    record.certificate = Some(certificate);
                }
                Err(why) => {
                    let what = self.watch.no_key(self.block, done, &why);
                    self.say(done, what);
                    record.discarded = Some(("no-key".into(), why.to_string()));
                }
            }
        }
        self.say(done, LinkSays::Block(Box::new(record)));
        self.block = BlockId(self.block.0 + 1);
        self.open_block(self.time());
    }

    /// What reconciliation of these bits discloses.
    fn leak(&mut self, key: ClassCounts) -> u64 {
        let rate = key.errors as f64 / key.sifted.max(1) as f64;
        let f = self.link.protocol.reconciliation.planning_efficiency;
        libm::ceil(f * key.sifted as f64 * binary_entropy(rate)) as u64
    }

    fn authentication_bits(&self) -> u64 {
        match self.link.protocol.authentication {
            TagPolicy::EveryBlock => 3 * 128,
            TagPolicy::EveryMessage => MESSAGES as u64 * 128,
        }
    }

    /// A receiver that numbers pulses wrongly is told of preparations that have nothing to do with its clicks.
    fn misnumber(&mut self, counts: &mut BlockCounts) {
        for (sifted, errors) in counts.sifted.iter_mut().zip(&mut counts.errors) {
            let mut left: u64 = sifted.iter().sum();
            let mut weight = 1.0;
            for (k, class) in self.classes.iter().enumerate() {
                let share =
                    if k + 1 == self.classes.len() { 1.0 } else { (class.probability / weight).min(1.0) };
                sifted[k] = binomial(left, share, &mut self.fate);
                errors[k] = binomial(sifted[k], 0.5, &mut self.fate);
                left -= sifted[k];
                weight -= class.probability;
            }
        }
    }

    fn lose_session(&mut self, now: Time) {
        if self.open.clicks > 0 {
            let record = BlockRecord {
                block: self.block,
                opened: self.open.opened,
                statistics: self.open.statistics.clone(),
                corrected: false,
                leaked_bits: 0,
                round_trips: None,
                authentication_bits: 0,
                certificate: None,
                discarded: Some((
                    "session-lost".into(),
                    "the session ended before the block was done".into(),
                )),
            };
            self.say(now, LinkSays::Block(Box::new(record)));
            self.block = BlockId(self.block.0 + 1);
        }
        self.open_block(now);
    }

    fn fall_silent(&mut self, now: Time, limit: Time) {
        let first = self.silent.is_none();
        let since = *self.silent.get_or_insert(now);
        let dark = self.watch.enough_pulses();
        let noticed = now.saturating_add(self.span_of(dark));
        if first
            && noticed < limit
            && let Some(what) = self.watch.counts(noticed, dark, 0)
        {
            self.say(noticed, what);
        }
        let at = since.saturating_add(SILENT_AFTER);
        if at >= now && at < limit {
            self.alarm(
                at,
                "peer-silent",
                &format!("the other end is silent: no frame for {SILENT_AFTER} seen, an answer expected"),
            );
        }
    }

    fn alarm(&mut self, at: Time, kind: &str, text: &str) {
        let what = self.watch.in_words(kind, text, kind == "authentication-failed");
        self.say(at, what);
    }

    fn say(&mut self, at: Time, what: LinkSays) {
        self.waiting.push(LinkRecord { at, what });
    }
}

impl OpenBlock {
    fn new(opened: Time, target: u64, classes: usize) -> Self {
        Self {
            opened,
            target,
            statistics: BlockStatistics::empty(classes),
            double_clicks: 0,
            pulses: 0,
            clicks: 0,
            bias_current: None,
        }
    }

    fn add(&mut self, counts: &BlockCounts) {
        self.pulses += counts.pulses;
        self.clicks += counts.clicks;
        self.double_clicks += counts.double_clicks;
        self.statistics.pulses += counts.pulses;
        for (basis, classes) in [&mut self.statistics.key, &mut self.statistics.check].into_iter().enumerate()
        {
            for (k, class) in classes.iter_mut().enumerate() {
                class.sifted += counts.sifted[basis][k];
                class.errors += counts.errors[basis][k];
            }
        }
    }
}

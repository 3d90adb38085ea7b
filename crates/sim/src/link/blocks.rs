//! A link at detail `blocks`: the counts of whole blocks are drawn, and the same security bound is applied.
//!
//! A block ends with the window in which it has its bits, as at detail `bits`. What distillation makes of it is
//! drawn ([`Distillation`]). Key bits follow from a seed.

use super::distillation::{Distillation, Distilled, Full};
use super::watch::Watch;
use super::{BlockRecord, End, LinkRecord, LinkSays, Tally, stream, window_pulses};
use crate::conditions::{Conditions, Timeline};
use crate::expect::classes_of;
use crate::optics::Optics;
use crate::run::RunError;
use bellwether_network::{Link, Network};
use bellwether_physics::{BlockCounts, BlockSampler, binomial};
use bellwether_protocol::hardware::Basis;
use bellwether_protocol::keys::KeyMaterial;
use bellwether_protocol::qkd::alarm::{Alarm, AlarmKind, BlockObservation, Reading};
use bellwether_protocol::qkd::security::{BlockStatistics, SourceClass};
use bellwether_protocol::qkd::session::{DiscardReason, Timing};
use bellwether_units::{BlockId, Current, Duration, LinkId, Stream, Time};

/// How often a model that wanders is made anew, as it is in the middle of the time for which it stands.
const WANDER_STEP: Duration = Duration::from_whole_seconds(1);

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
    window_pulses: u64,
    end: Time,
    next_pulse: u64,
    tally: Tally,
    block: BlockId,
    open: OpenBlock,
    counts: BlockCounts,
    modelled: Option<Conditions>,
    /// The time for which the model was last made.
    modelled_at: Time,
    bias_current: Option<Current>,
    watch: Watch,
    distillation: Distillation,
    /// Since when no message has passed.
    silent: Option<Time>,
    /// When the session ends because a message was tampered with.
    breaks: Option<Time>,
    /// No one-time pad is left: the link stands still.
    stopped: bool,
    /// Alarms said, but not yet due.
    waiting: Vec<LinkRecord>,
    /// Blocks on their way through distillation, which a cut holds up and a crash ends.
    distilling: Vec<LinkRecord>,
}

/// The block that is being filled.
struct OpenBlock {
    first_pulse: u64,
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
        let classes = classes_of(&link);
        let mut distillation = Distillation::new(&link, stream(network, id, seed, "distillation"));
        distillation.open_session();
        Ok(Self {
            open: OpenBlock::new(0, classes.len()),
            classes,
            optics,
            timeline,
            sampler: BlockSampler::new(&model),
            counting: stream(network, id, seed, "block counts"),
            fate: stream(network, id, seed, "block fate"),
            pulse_rate: crate::optics::pulse_rate(&link),
            delay: link.fibre.delay(),
            window_pulses: window_pulses(network, &link, honest.click_probability()),
            end,
            next_pulse: 0,
            tally: Tally::default(),
            block: BlockId(0),
            counts: BlockCounts::default(),
            modelled: None,
            modelled_at: Time::ZERO,
            bias_current: None,
            watch,
            distillation,
            silent: None,
            breaks: None,
            stopped: false,
            waiting: Vec::new(),
            distilling: Vec::new(),
            link,
        })
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
        let first = says.len();
        for queue in [&mut self.waiting, &mut self.distilling] {
            queue.sort_by_key(|record| record.at);
            let due = queue.partition_point(|record| record.at <= until);
            says.extend(queue.drain(..due));
        }
        says[first..].sort_by_key(|record| record.at);
        Ok(())
    }

    fn time(&self) -> Time {
        self.time_of(self.next_pulse)
    }

    fn time_of(&self, pulse: u64) -> Time {
        let span = Duration::from_seconds(pulse as f64 / self.pulse_rate).unwrap_or(Duration::MAX);
        Time::ZERO.saturating_add(span)
    }

    /// The first pulse at or after `time`.
    fn pulse_at(&self, time: Time) -> u64 {
        libm::ceil(time.seconds() * self.pulse_rate) as u64
    }

    /// Draws until the block is full or something changes.
    fn step(&mut self) -> Result<(), RunError> {
        let now = self.time();
        if self.breaks.is_some_and(|at| at <= now) {
            self.breaks = None;
            self.lose_session(now, &DiscardReason::Authentication);
        }
        let (conditions, change) = self.timeline.at(now);
        let conditions = conditions.clone();
        let mut limit = change.unwrap_or(self.end).min(self.end);
        limit = limit.min(self.breaks.unwrap_or(limit));
        if self.optics.wanders(&conditions, now) {
            limit = limit.min(now.saturating_add(WANDER_STEP));
        }
        let most = self.pulse_at(limit).max(self.next_pulse + 1) - self.next_pulse;
        let both_up = conditions.transmitter_up && conditions.receiver_up;
        if !both_up {
            self.lose_session(now, &DiscardReason::SessionLost);
        }
        // Both ends wait for each other, if both are there.
        let speechless = conditions.cut || conditions.faults.loss >= 1.0 || !both_up;
        match speechless && (conditions.transmitter_up || conditions.receiver_up) {
            true => self.fall_silent(now, limit),
            false => self.silent = None,
        }
        if !conditions.receiver_up {
            self.pass(most, &conditions);
        } else if speechless || self.stopped {
            self.see_without_keeping(most, &conditions)?;
        } else {
            self.fill_block(most, &conditions)?;
        }
        Ok(())
    }

    /// Pulses that nobody sees.
    fn pass(&mut self, pulses: u64, conditions: &Conditions) {
        self.next_pulse += pulses;
        self.tally.pulses += if conditions.transmitter_up { pulses } else { 0 };
    }

    /// Light, or darkness, that goes into no block.
    fn see_without_keeping(&mut self, most: u64, conditions: &Conditions) -> Result<(), RunError> {
        let mut counts = core::mem::take(&mut self.counts);
        // So few that their alarm comes in time.
        let few = self.watch.dark_pulses().min(most);
        for pulses in [few, most - few] {
            if pulses > 0 {
                self.see(u64::MAX, pulses, conditions, &mut counts)?;
            }
        }
        self.counts = counts;
        Ok(())
    }

    fn fill_block(&mut self, most: u64, conditions: &Conditions) -> Result<(), RunError> {
        let wanted = self.link.protocol.block_size.bits();
        let have = self.open.statistics.total(Basis::Key).sifted;
        let to_border = self.window_pulses - self.next_pulse % self.window_pulses;
        let mut counts = core::mem::take(&mut self.counts);
        if have < wanted {
            self.see(wanted - have, most, conditions, &mut counts)?;
        } else {
            self.see(u64::MAX, most.min(to_border), conditions, &mut counts)?;
        }
        if self.optics.pulses_off(conditions.clock_offset) > 0 {
            self.misnumber(&mut counts);
        }
        self.open.add(&counts, self.bias_current);
        self.counts = counts;
        let full = self.open.statistics.total(Basis::Key).sifted >= wanted;
        if full && self.next_pulse.is_multiple_of(self.window_pulses) {
            self.close_block(conditions);
        }
        Ok(())
    }

    /// Draws what the receiver counts in the next pulses, up to `most` or until it has `wanted` key bits.
    fn see(
        &mut self,
        wanted: u64,
        most: u64,
        conditions: &Conditions,
        counts: &mut BlockCounts,
    ) -> Result<(), RunError> {
        self.remodel(conditions)?;
        self.sampler.sample_until(wanted, most, &mut self.counting, counts);
        self.next_pulse += counts.pulses;
        self.tally.pulses += if conditions.transmitter_up { counts.pulses } else { 0 };
        self.tally.clicks += counts.clicks;
        self.tally.key_sifted += counts.sifted_in(bellwether_physics::Basis::Key);
        self.tally.check_sifted += counts.sifted_in(bellwether_physics::Basis::Check);
        let at = self.time().saturating_add(self.delay);
        if let Some(what) = self.watch.counts(at, counts.pulses, counts.clicks) {
            self.say(at, what);
        }
        Ok(())
    }

    fn remodel(&mut self, conditions: &Conditions) -> Result<(), RunError> {
        let now = self.time();
        let wanders = self.optics.wanders(conditions, now);
        if self.modelled.as_ref() != Some(conditions) || wanders {
            // A step that an event or the end of a block cuts short must not make time go back.
            let middle = now.saturating_add(if wanders { WANDER_STEP / 2 } else { Duration::ZERO });
            self.modelled_at = self.modelled_at.max(middle);
            let model = self.optics.at(self.modelled_at, conditions)?;
            self.sampler.set_model(&model);
            self.modelled = Some(conditions.clone());
            self.bias_current = Some(model.bias_current());
        }
        Ok(())
    }

    fn close_block(&mut self, conditions: &Conditions) {
        let next = OpenBlock::new(self.next_pulse, self.classes.len());
        let open = core::mem::replace(&mut self.open, next);
        let id = self.block;
        self.block = BlockId(id.0 + 1);
        let monitor = self.link.receiver.detector.bias_current_monitor;
        let seen = BlockObservation {
            block: id,
            at: self.time().saturating_add(self.delay),
            statistics: &open.statistics,
            pulses: open.pulses,
            clicks: open.clicks,
            double_clicks: open.double_clicks,
            bias_current: open.bias_current.filter(|_| monitor),
        };
        let full = Full {
            record: self.record(id, &open, conditions),
            seen,
            windows: open.pulses.div_ceil(self.window_pulses),
            faults: conditions.faults,
        };
        let Distilled { record, ended, told, key_bits, alarms, broken, exhausted } =
            self.distillation.distil(full, &mut self.watch);
        let said = |at, what| LinkRecord { at, what };
        self.distilling.extend(alarms.into_iter().map(|alarm| said(ended, alarm)));
        let key = record.certificate.is_some().then(|| self.distillation.seed());
        self.distilling.push(said(ended, LinkSays::Block(Box::new(record))));
        if let Some(seed) = key {
            let bits = key_bits.min(u64::from(u32::MAX)) as u32;
            for (end, at) in [(End::Receiver, ended), (End::Transmitter, told)] {
                let key = KeyMaterial::Emulated { seed, bits };
                self.distilling.push(said(at, LinkSays::Key(end, id, key)));
            }
        }
        self.stopped |= exhausted;
        if broken {
            self.breaks = Some(self.breaks.map_or(ended, |at| at.min(ended)));
        }
    }

    fn record(&self, block: BlockId, open: &OpenBlock, conditions: &Conditions) -> BlockRecord {
        let first_window = self.time_of(open.first_pulse + self.window_pulses).saturating_add(self.delay);
        BlockRecord {
            block,
            opened: self.distillation.sifted(first_window, &conditions.faults),
            statistics: open.statistics.clone(),
            corrected: false,
            leaked_bits: 0,
            round_trips: None,
            authentication_bits: 0,
            set_aside_bits: 0,
            certificate: None,
            discarded: None,
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

    /// The session is over: the open block and those on their way are discarded.
    fn lose_session(&mut self, now: Time, why: &DiscardReason) {
        let discarded = Some((why.name().to_owned(), why.to_string()));
        for mut said in core::mem::take(&mut self.distilling) {
            if said.at > now {
                let LinkSays::Block(block) = &mut said.what else { continue };
                block.certificate = None;
                block.discarded.clone_from(&discarded);
                said.at = now;
            }
            self.distilling.push(said);
        }
        if self.open.clicks > 0 {
            let mut record = self.record(self.block, &self.open, self.timeline.at(now).0);
            record.statistics.key.iter_mut().for_each(|class| class.errors = 0);
            record.discarded = discarded;
            self.say(now, LinkSays::Block(Box::new(record)));
            self.block = BlockId(self.block.0 + 1);
            self.distillation.open_session();
        }
        self.open = OpenBlock::new(self.next_pulse, self.classes.len());
    }

    /// No message passes from `now` to `limit`: what is on its way waits, and ends that are up complain.
    fn fall_silent(&mut self, now: Time, limit: Time) {
        let wait = limit.since(now);
        for said in self.distilling.iter_mut().filter(|said| said.at > now) {
            said.at = said.at.saturating_add(wait);
        }
        let since = *self.silent.get_or_insert(now);
        let patience = Timing::default().silent_after;
        let at = since.saturating_add(patience);
        if at >= now && at < limit {
            let [seen, expected] = [patience; 2].map(Reading::Span);
            let alarm = Alarm::new(AlarmKind::PeerSilent, None, at, seen, expected);
            let what = self.watch.says(&alarm);
            self.say(at, what);
        }
    }

    fn say(&mut self, at: Time, what: LinkSays) {
        self.waiting.push(LinkRecord { at, what });
    }
}

impl OpenBlock {
    fn new(first_pulse: u64, classes: usize) -> Self {
        Self {
            first_pulse,
            statistics: BlockStatistics::empty(classes),
            double_clicks: 0,
            pulses: 0,
            clicks: 0,
            bias_current: None,
        }
    }

    fn add(&mut self, counts: &BlockCounts, bias_current: Option<Current>) {
        self.pulses += counts.pulses;
        self.clicks += counts.clicks;
        self.double_clicks += counts.double_clicks;
        self.bias_current = match (self.bias_current, bias_current) {
            (Some(a), Some(b)) if a > b => Some(a),
            (a, b) => b.or(a),
        };
        for (basis, classes) in [&mut self.statistics.key, &mut self.statistics.check].into_iter().enumerate()
        {
            for (k, class) in classes.iter_mut().enumerate() {
                class.sifted += counts.sifted[basis][k];
                class.errors += counts.errors[basis][k];
            }
        }
    }
}

//! The counts of a block of pulses, drawn in bulk: for large networks and long times.

use crate::alias::{self, AliasTable};
use crate::exponential::{Exponential, wait_scale};
use crate::link::{LinkModel, Outcome};
use crate::variates::binomial;
use crate::{Basis, DeadTimeScope};
use bellwether_units::Stream;

/// The counts of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockCounts {
    /// How many pulses the block took.
    pub pulses: u64,
    /// All recorded clicks, sifted or not.
    pub clicks: u64,
    /// Those in which both detectors fired.
    pub double_clicks: u64,
    /// Sifted clicks, double clicks included: by basis (key, check) and class.
    pub sifted: [Vec<u64>; 2],
    /// How many of them are in error: by basis (key, check) and class.
    pub errors: [Vec<u64>; 2],
}

impl BlockCounts {
    /// Sifted clicks in `basis`, all classes together.
    pub fn sifted_in(&self, basis: Basis) -> u64 {
        self.sifted[basis.index()].iter().sum()
    }
    /// Errors in `basis`, all classes together.
    pub fn errors_in(&self, basis: Basis) -> u64 {
        self.errors[basis.index()].iter().sum()
    }

    fn reset(&mut self, classes: usize) {
        self.pulses = 0;
        self.clicks = 0;
        self.double_clicks = 0;
        for column in self.sifted.iter_mut().chain(&mut self.errors) {
            column.clear();
            column.resize(classes, 0);
        }
    }

    fn add(&mut self, cell: Cell, n: u64) {
        match cell {
            Cell::Unrecorded => return,
            Cell::Unsifted { double } => self.double_clicks += if double { n } else { 0 },
            Cell::Sifted { basis, class, error, double } => {
                self.sifted[basis.index()][class] += n;
                self.errors[basis.index()][class] += if error { n } else { 0 };
                self.double_clicks += if double { n } else { 0 };
            }
        }
        self.clicks += n;
    }
}

/// What a trigger counts as.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Sifted { basis: Basis, class: usize, error: bool, double: bool },
    Unsifted { double: bool },
    Unrecorded,
}

/// A law over cells.
#[derive(Clone, Debug)]
struct Cells {
    /// Each with its probability given that it is none of those before.
    cells: Vec<(Cell, f64)>,
    table: AliasTable,
    /// The probability of a sifted click in the key basis.
    key: f64,
}

/// Draws the counts of blocks of pulses, in bulk.
///
/// Among pulses that find the detectors alive, triggers are binomial, and what they are is multinomial, drawn as
/// conditional binomials; each trigger takes its dead pulses out of the block. A block is drawn in a few lots, each so
/// small that it fits (beyond eight standard deviations; should it not, the excess is owed by the next block), and the
/// last hundred or so clicks one by one. So counts and durations have the law of
/// [`ClickSampler`](crate::ClickSampler). Two things are simplified: an after-pulse follows its click at once, with
/// the mean probability of not being lost to a dead time; and with
/// [`DeadTimeScope::Each`] the two detectors are replaced by one pair with half the dead
/// time and the same mean.
///
/// ```
/// # use bellwether_physics::*;
/// # use bellwether_units::{EntityId, Frequency, Loss, Purpose, Stream};
/// let source = Source::weak_coherent(&[Intensity { mean_photons: 0.5, probability: 1.0 }])?;
/// let detector = Detector::new(DetectorParameters::ideal(DetectorKind::Snspd, 0.8))?;
/// let clock = Frequency::from_hertz(1e9);
/// let model = LinkModel::new(LinkParameters::new(clock, source, Loss::from_decibels(20.0), detector))?;
/// let mut stream = Stream::new(1, EntityId(0), Purpose::named("blocks"));
/// let mut counts = BlockCounts::default();
/// BlockSampler::new(&model).sample_until(1_000_000, u64::MAX, &mut stream, &mut counts);
/// assert!(counts.sifted_in(Basis::Key) >= 1_000_000);
/// assert!((counts.pulses as f64 * model.gain(0, Basis::Key) / 4.0 / 1e6 - 1.0).abs() < 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockSampler {
    classes: usize,
    /// That a live pulse triggers.
    trigger: f64,
    /// Makes an exponential variate the wait for a trigger.
    scale: f64,
    /// Pulses lost to a trigger.
    dead: u64,
    /// That a trigger is followed by an after-pulse.
    followed: f64,
    light: Cells,
    afterpulse: Cells,
    /// Dead pulses of clicks of the block before.
    owed: u64,
    /// Whether the next trigger is an after-pulse of the last.
    pending: bool,
}

/// Standard deviations that a lot keeps clear of the end of its block.
const CLEARANCE: f64 = 8.0;
/// The least number of triggers for which a lot is worth while.
const LOT: f64 = 64.0;

impl BlockSampler {
    /// A sampler of `model` with both detectors alive.
    pub fn new(model: &LinkModel) -> Self {
        let throughput = model.throughput();
        let weights = (throughput.both_alive, throughput.one_alive);
        let followed = throughput.followed;
        let (light, triggers) = light(model, weights);
        // Triggers by light, a pulse at any time, and pulses lost to each.
        let (trigger, dead) = match model.dead_time_scope() {
            DeadTimeScope::Common => (throughput.trigger, model.dead_pulses),
            DeadTimeScope::Each => {
                let dead = model.dead_pulses / 2;
                (triggers / (1.0 - triggers * dead as f64 / (1.0 - followed)), dead)
            }
        };
        let classes = model.intensities();
        let afterpulse = afterpulse(model);
        let scale = wait_scale(trigger);
        Self { classes, trigger, scale, dead, followed, light, afterpulse, owed: 0, pending: false }
    }

    /// Goes on by another model, with what is dead.
    pub fn set_model(&mut self, model: &LinkModel) {
        let (owed, pending) = (self.owed, self.pending);
        *self = Self { owed, pending, ..Self::new(model) };
    }

    /// Replaces `out` by the counts of the next `pulses` pulses.
    pub fn sample_pulses(&mut self, pulses: u64, stream: &mut Stream, out: &mut BlockCounts) {
        self.sample_until(u64::MAX, pulses, stream, out);
    }

    /// Replaces `out` by the counts of the pulses until `key_clicks` sifted clicks in the key basis are there, or
    /// until `most_pulses` pulses have passed; [`BlockCounts::pulses`] tells how many it took.
    ///
    /// The block ends with the pulse of its last click. There is a chance below 1e-14 that it holds more key clicks
    /// than were asked for.
    pub fn sample_until(
        &mut self,
        key_clicks: u64,
        most_pulses: u64,
        stream: &mut Stream,
        out: &mut BlockCounts,
    ) {
        out.reset(self.classes);
        let mut key = 0;
        while key < key_clicks {
            // Dead pulses first, so that a block that ends with a click leaves them to the next.
            let paid = u64::min(self.owed, most_pulses - out.pulses);
            out.pulses += paid;
            self.owed -= paid;
            if out.pulses >= most_pulses {
                break;
            }
            let left = most_pulses - out.pulses;
            if self.pending {
                self.click(true, stream, out);
            } else if let Some(live) = self.lot(left, key_clicks - key) {
                self.lot_of(live, stream, out);
                out.pulses += live;
            } else {
                let (gap, _) = Exponential::tables().wait(self.scale, stream);
                // A wait is held at 2^63: no pulse triggers.
                if gap >= u64::min(left, i64::MAX as u64) {
                    out.pulses = most_pulses;
                    break;
                }
                out.pulses += gap + 1;
                self.click(false, stream, out);
            }
            key = out.sifted_in(Basis::Key);
        }
    }

    /// How many live pulses surely fit into `left` pulses and hold fewer than `key` key clicks; none if they would be
    /// too few to be worth while.
    fn lot(&self, left: u64, key: u64) -> Option<u64> {
        let left = left as f64;
        let triggers = self.trigger / (1.0 - self.followed);
        // The standard deviation of triggers in as many live pulses as hold `n` in the mean is at most sqrt(n) times this.
        let spread = libm::sqrt((1.0 + self.followed) / (1.0 - self.followed));
        let dead = self.dead as f64;
        let pulses = left / (1.0 + triggers * dead);
        let mut live = f64::max(
            pulses - CLEARANCE * spread * libm::sqrt(pulses * triggers) * dead / (1.0 + triggers * dead),
            0.0,
        );
        if key == u64::MAX && self.dead == 0 {
            return Some(left as u64);
        }
        if key < u64::MAX {
            let rate =
                self.trigger * (self.light.key + self.followed / (1.0 - self.followed) * self.afterpulse.key);
            let key = key as f64;
            let clear = key - CLEARANCE * spread * libm::sqrt(key);
            live = f64::min(live, if clear > 0.0 { clear / rate } else { 0.0 });
        }
        // With after-pulses that almost never end, a single pulse may bring a whole lot.
        (live >= 1.0 && live * triggers >= LOT).then_some(live as u64)
    }

    /// Counts what `live` live pulses bring, and owes the dead ones.
    fn lot_of(&mut self, live: u64, stream: &mut Stream, out: &mut BlockCounts) {
        let triggers = binomial(live, self.trigger, stream);
        // Each generation of after-pulses brings forth the next.
        let (mut afterpulses, mut generation) = (0u64, triggers);
        while generation > 0 && self.followed > 0.0 {
            generation = binomial(generation, self.followed, stream);
            afterpulses += generation;
        }
        self.light.distribute(triggers, stream, out);
        self.afterpulse.distribute(afterpulses, stream, out);
        self.owed = self.owed.saturating_add((triggers + afterpulses).saturating_mul(self.dead));
    }

    fn click(&mut self, afterpulse: bool, stream: &mut Stream, out: &mut BlockCounts) {
        let cells = if afterpulse { &self.afterpulse } else { &self.light };
        let bits = (stream.bits() >> (64 - alias::BITS)) as u32;
        let cell = cells.table.draw(bits, stream) as usize;
        if let Some((cell, _)) = cells.cells.get(cell) {
            out.add(*cell, 1);
        }
        self.owed = self.owed.saturating_add(self.dead);
        self.pending = self.followed > 0.0 && stream.chance(self.followed);
    }
}

impl Cells {
    fn new(mut weighted: Vec<(Cell, f64)>) -> Self {
        weighted.retain(|cell| cell.1 > 0.0);
        // The likeliest first: then few are left for the others.
        weighted.sort_by(|a, b| b.1.total_cmp(&a.1));
        let total: f64 = weighted.iter().map(|cell| cell.1).sum();
        let entries: Vec<_> = weighted.iter().enumerate().map(|(i, cell)| (i as u32, cell.1)).collect();
        let is_key = |cell: &Cell| matches!(cell, Cell::Sifted { basis: Basis::Key, .. });
        let key = weighted.iter().filter(|(cell, _)| is_key(cell)).map(|(_, p)| p / total).sum();
        // Summed from the small end, so that the last conditional probability is 1.
        let mut rest = 0.0;
        for (_, p) in weighted.iter_mut().rev() {
            rest += *p;
            *p /= rest;
        }
        Self { cells: weighted, table: AliasTable::new(&entries), key }
    }

    fn distribute(&self, mut n: u64, stream: &mut Stream, out: &mut BlockCounts) {
        for &(cell, p) in &self.cells {
            if n == 0 {
                break;
            }
            let here = binomial(n, p, stream);
            out.add(cell, here);
            n -= here;
        }
    }
}

/// What triggers by light are, with the fractions of pulses at which both detectors and only the first are alive; and
/// the probability of one a pulse at any time.
fn light(model: &LinkModel, (both_alive, one_alive): (f64, f64)) -> (Cells, f64) {
    let mut weighted = Vec::new();
    let (mut unsifted, mut clicks) = (Outcome::default(), 0.0);
    for class in 0..model.intensities() {
        for prepared in Basis::BOTH {
            for measured in Basis::BOTH {
                let live = model.outcome(class, prepared, measured);
                let mut outcome = Outcome::default();
                outcome.add(both_alive, live);
                outcome.right += one_alive * (live.right + live.both);
                outcome.wrong += one_alive * (live.wrong + live.both);
                let weight = model.weight(class, prepared, measured);
                clicks += weight * outcome.click();
                if prepared != measured {
                    unsifted.add(weight, outcome);
                    continue;
                }
                let Outcome { right, wrong, both } = outcome;
                for (error, double, p) in [
                    (false, false, right),
                    (true, false, wrong),
                    (false, true, both / 2.0),
                    (true, true, both / 2.0),
                ] {
                    weighted.push((Cell::Sifted { basis: measured, class, error, double }, weight * p));
                }
            }
        }
    }
    weighted.push((Cell::Unsifted { double: false }, unsifted.right + unsifted.wrong));
    weighted.push((Cell::Unsifted { double: true }, unsifted.both));
    let unrecorded = model.unrecorded * (2.0 - model.unrecorded) * (both_alive - clicks).max(0.0)
        + 2.0 * model.unrecorded * one_alive;
    weighted.push((Cell::Unrecorded, unrecorded));
    (Cells::new(weighted), clicks + unrecorded)
}

/// What after-pulses are: random in outcome, at pulses of any setting.
fn afterpulse(model: &LinkModel) -> Cells {
    let mut weighted = Vec::new();
    let mut unsifted = 0.0;
    for class in 0..model.intensities() {
        for basis in Basis::BOTH {
            unsifted += model.weight(class, basis, basis.other());
            for error in [false, true] {
                let cell = Cell::Sifted { basis, class, error, double: false };
                weighted.push((cell, model.weight(class, basis, basis) / 2.0));
            }
        }
    }
    weighted.push((Cell::Unsifted { double: false }, unsifted));
    Cells::new(weighted)
}

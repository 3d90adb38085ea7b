//! The clicks of a run of pulses, one by one, at a cost that follows clicks and not pulses.

use crate::alias::AliasTable;
use crate::clicks::Clicks;
use crate::detector::DeadTimeScope;
use crate::exponential::{Exponential, wait_scale, whole};
use crate::link::LinkModel;
use crate::waits::Waits;
use crate::{Basis, Outcome};
use bellwether_units::{Ahead, Stream};
use core::ops::Range;

/// Draws the clicks of a link one by one, at a cost that follows clicks and not pulses. The [crate] has an example.
///
/// While nothing is dead, pulses are independent: the wait for the next click is geometric, and what the click is does
/// not depend on the wait. So a click costs an exponential variate and a look-up in one table of joint outcomes. Dead
/// time adds to the pulse number. After-pulses run beside as a second process: a click leaves a carrier in a trap or
/// not, and the carrier's release is an event of its own; whichever comes first is next, and the wait for the other may
/// be drawn again, for it has no memory. Nothing is approximated.
#[derive(Clone, Debug)]
pub struct ClickSampler {
    /// By which detectors are alive: the first, the second, both (index: mask less 1).
    states: [State; 3],
    dead: u64,
    scope: DeadTimeScope,
    traps: Vec<Trap>,
    /// The first pulse at which each detector is alive again.
    live_from: [u64; 2],
    /// Carriers still trapped: the pulse of release and the detector.
    carriers: Vec<(u64, u8)>,
}

/// Clicks on their way into columns, which take many at a time more cheaply than one by one.
struct Run {
    pulses: [u64; RUN],
    whats: [u32; RUN],
    len: usize,
}

/// How many clicks a run holds.
const RUN: usize = 64;

impl Default for Run {
    fn default() -> Self {
        Self { pulses: [0; RUN], whats: [0; RUN], len: 0 }
    }
}

impl Run {
    /// Puts a trigger of a pulse, if it is recorded. The run must not be full.
    #[inline]
    fn put(&mut self, pulse: u64, what: u32) {
        self.pulses[self.len] = pulse;
        self.whats[self.len] = what;
        self.len += usize::from(what & UNRECORDED == 0);
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.len >= RUN
    }

    /// Moves all clicks to the end of `out`.
    fn append_to(&mut self, out: &mut Clicks) {
        let whats = &self.whats[..self.len];
        out.pulse.extend_from_slice(&self.pulses[..self.len]);
        out.flags.extend(whats.iter().map(|&what| what as u8));
        out.intensity.extend(whats.iter().map(|&what| (what >> INTENSITY) as u8));
        self.len = 0;
    }
}

/// The law of a pulse at which given detectors are alive.
#[derive(Clone, Debug)]
struct State {
    /// The wait for the next trigger.
    waits: Waits,
    /// What a trigger is.
    triggers: AliasTable,
    /// What was prepared and measured in a pulse without a trigger.
    quiet: AliasTable,
}

#[derive(Clone, Copy, Debug)]
struct Trap {
    /// Makes an exponential variate the number of avalanches that leave no carrier before the next that does.
    scale: f64,
    /// Time constant of release in pulses.
    decay: f64,
    /// How many avalanches leave no carrier before the next that does; drawn by the first avalanche.
    idle: Option<u64>,
}

// What a table gives: the flags of `Clicks` in the lowest byte, the class in the next, then which detectors fired.
const INTENSITY: u32 = 8;
const FIRED: u32 = 16;
/// The trigger fell outside the window: its detectors are dead all the same.
const UNRECORDED: u32 = 1 << 18;

impl ClickSampler {
    /// A sampler of `model` with both detectors alive and no trap filled.
    pub fn new(model: &LinkModel) -> Self {
        Self {
            states: states(model),
            dead: model.dead_pulses,
            scope: model.dead_time_scope(),
            traps: traps(model),
            live_from: [0; 2],
            carriers: Vec::new(),
        }
    }

    /// Goes on by another model: the line drifted, or someone tapped it. Detectors that are dead stay so, and
    /// filled traps empty as they would have. Exact, since the wait for the next click has no memory.
    pub fn set_model(&mut self, model: &LinkModel) {
        self.states = states(model);
        self.dead = model.dead_pulses;
        self.scope = model.dead_time_scope();
        self.traps = traps(model);
    }

    /// Appends the clicks of `pulses` to `out`.
    ///
    /// Successive calls must take successive pulses; however a run is cut into calls, its law is the same (its
    /// numbers are not, for the draw that passes the end of a call is repeated in the next).
    pub fn sample(&mut self, pulses: Range<u64>, stream: &mut Stream, out: &mut Clicks) {
        let plain = self.traps.is_empty() && self.carriers.is_empty();
        let random = &mut stream.ahead();
        if plain && self.scope == DeadTimeScope::Common && self.live_from[0] == self.live_from[1] {
            self.sample_plain(pulses, random, out);
        } else {
            self.sample_general(pulses, random, out);
        }
    }

    /// Without traps and with a common dead time: one wait and one look-up a click.
    fn sample_plain(&mut self, pulses: Range<u64>, random: &mut Ahead<'_>, out: &mut Clicks) {
        let State { waits, triggers, .. } = &self.states[2];
        let step = self.dead.saturating_add(1);
        let mut live = self.live_from[0];
        let mut at = u64::max(pulses.start, live);
        let mut run = Run::default();
        while at < pulses.end {
            let (gap, bits) = waits.draw(random);
            at = at.saturating_add(gap);
            if at >= pulses.end {
                break;
            }
            let what = triggers.draw(bits, random);
            run.put(at, what);
            at = at.saturating_add(step);
            live = at;
            if run.is_full() {
                run.append_to(out);
            }
        }
        run.append_to(out);
        self.live_from = [live; 2];
    }

    fn sample_general(&mut self, pulses: Range<u64>, random: &mut Ahead<'_>, out: &mut Clicks) {
        let mut at = pulses.start;
        loop {
            let alive = [self.live_from[0] <= at, self.live_from[1] <= at];
            // Until when the same detectors are alive.
            let until = match alive {
                [true, true] => pulses.end,
                [true, false] => u64::min(self.live_from[1], pulses.end),
                [false, true] => u64::min(self.live_from[0], pulses.end),
                [false, false] => {
                    at = u64::min(self.live_from[0], self.live_from[1]);
                    if at >= pulses.end {
                        break;
                    }
                    continue;
                }
            };
            if at >= pulses.end {
                break;
            }
            let release = self.next_release(at);
            let mask = usize::from(alive[0]) | usize::from(alive[1]) << 1;
            let state = &self.states[mask - 1];
            let (gap, bits) = state.waits.draw(random);
            let light = at.saturating_add(gap);
            let next = u64::min(light, release.unwrap_or(u64::MAX));
            if next >= until {
                at = until;
                continue;
            }
            at = next;
            let mut what = if light == next { state.triggers.draw(bits, random) } else { 0 };
            let mut fired = what >> FIRED & 3;
            if release == Some(next) {
                if light != next {
                    what = state.quiet.draw(bits, random);
                } else if what & UNRECORDED != 0 {
                    what &= !UNRECORDED;
                    fired = 0;
                }
                let before = fired;
                self.carriers.retain(|&(pulse, detector)| {
                    if pulse == next {
                        fired |= 1 << detector;
                    }
                    pulse != next
                });
                if fired != before {
                    what &= !u32::from(Clicks::OUTCOME | Clicks::DOUBLE);
                    what |= match fired {
                        1 => 0,
                        2 => u32::from(Clicks::OUTCOME),
                        _ => u32::from(Clicks::DOUBLE) | (random.bits() as u32 & u32::from(Clicks::OUTCOME)),
                    };
                }
            }
            if what & UNRECORDED == 0 {
                out.push(at, what as u8, (what >> INTENSITY) as u8);
            }
            self.fire(at, fired, random);
            at = at.saturating_add(1);
        }
    }

    /// The pulse of the next release into a live detector, no earlier than `at`. Forgets releases into dead ones.
    fn next_release(&mut self, at: u64) -> Option<u64> {
        let live_from = self.live_from;
        self.carriers
            .retain(|&(pulse, detector)| pulse >= at && pulse >= live_from[usize::from(detector & 1)]);
        self.carriers.iter().map(|carrier| carrier.0).min()
    }

    /// Makes detectors dead that fired in pulse `at`, and fills their traps.
    fn fire(&mut self, at: u64, fired: u32, random: &mut Ahead<'_>) {
        let live = at.saturating_add(self.dead).saturating_add(1);
        for detector in 0..2u8 {
            let own = fired >> detector & 1 == 1;
            if own || self.scope == DeadTimeScope::Common {
                self.live_from[usize::from(detector)] = live;
            }
            if own {
                for trap in &mut self.traps {
                    let idle = trap.idle.unwrap_or_else(|| Exponential::tables().wait(trap.scale, random).0);
                    trap.idle = if idle == 0 {
                        let held = Exponential::tables().draw(random) * trap.decay;
                        self.carriers.push((live.saturating_add(whole(held)), detector));
                        None
                    } else {
                        Some(idle - 1)
                    };
                }
            }
        }
    }
}

fn traps(model: &LinkModel) -> Vec<Trap> {
    model
        .traps
        .iter()
        .map(|t| Trap { scale: wait_scale(t.probability), decay: t.decay, idle: None })
        .collect()
}

fn states(model: &LinkModel) -> [State; 3] {
    [1, 2, 3].map(|mask| state(model, mask))
}

/// The law of a pulse at which the detectors in `mask` are alive.
fn state(model: &LinkModel, mask: u32) -> State {
    let mut triggers = Vec::new();
    let mut quiet = Vec::new();
    let first = if mask & 1 == 1 { model.unrecorded } else { 0.0 };
    let second = if mask & 2 == 2 { model.unrecorded } else { 0.0 };
    for k in 0..model.intensities() {
        for prepared in Basis::BOTH {
            for measured in Basis::BOTH {
                for bit in [0, 1] {
                    let weight = model.weight(k, prepared, measured) / 2.0;
                    let mut settings = (k as u32) << INTENSITY;
                    settings |= if measured == Basis::Check { u32::from(Clicks::MEASURED_CHECK) } else { 0 };
                    settings |= if prepared == Basis::Check { u32::from(Clicks::PREPARED_CHECK) } else { 0 };
                    settings |= if bit == 1 { u32::from(Clicks::PREPARED_BIT) } else { 0 };
                    let Outcome { right, wrong, both } = model.outcome(k, prepared, measured);
                    let (zero, one) = if bit == 0 { (right, wrong) } else { (wrong, right) };
                    let outcome = u32::from(Clicks::OUTCOME);
                    let double = u32::from(Clicks::DOUBLE);
                    let mut silent = 1.0;
                    let mut recorded = |fired: u32, flags: u32, p: f64| {
                        triggers.push((settings | flags | fired << FIRED, weight * p));
                        silent -= p;
                    };
                    match mask {
                        1 => recorded(1, 0, zero + both),
                        2 => recorded(2, outcome, one + both),
                        _ => {
                            recorded(1, 0, zero);
                            recorded(2, outcome, one);
                            recorded(3, double, both / 2.0);
                            recorded(3, double | outcome, both / 2.0);
                        }
                    }
                    let silent = f64::max(silent, 0.0);
                    let mut unrecorded = |fired: u32, p: f64| {
                        triggers.push((settings | UNRECORDED | fired << FIRED, weight * silent * p));
                    };
                    unrecorded(1, first * (1.0 - second));
                    unrecorded(2, second * (1.0 - first));
                    unrecorded(3, first * second);
                    quiet.push((settings, weight * silent * (1.0 - first) * (1.0 - second)));
                }
            }
        }
    }
    let trigger = triggers.iter().map(|entry| entry.1).sum();
    State {
        waits: Waits::new(wait_scale(trigger)),
        triggers: AliasTable::new(&triggers),
        quiet: AliasTable::new(&quiet),
    }
}

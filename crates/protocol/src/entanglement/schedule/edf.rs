//! The baseline: at every moment, of the tasks whose links are free, the one whose deadline is nearest begins.
//!
//! Slots are not broken off once begun, and take all their links at once. With such tasks no simple rule finds a schedule
//! whenever there is one; this one never lets a link idle that a waiting task could have.

use super::{NetworkSchedule, PacketTask, ScheduleRefusal, Slot};
use bellwether_units::LinkId;
use std::collections::{BTreeMap, BTreeSet};

/// The schedule of these tasks by earliest deadline first, of at most `most_slots` slots before it repeats. Each slot of a task
/// lies within one of its periods. Of equal deadlines, the task that comes first in the list begins.
///
/// # Errors
/// If there is none by this rule, with the period at which the task that missed its deadline would fit.
pub fn earliest_deadline_first(
    tasks: &[PacketTask],
    most_slots: u64,
) -> Result<NetworkSchedule, ScheduleRefusal> {
    match attempt(tasks, most_slots)? {
        Ok(schedule) => Ok(schedule),
        Err((missed, deadline)) => {
            let task = &tasks[missed];
            let slower = |times: &u64| {
                let period = task.period.saturating_mul(*times);
                let mut tasks = tasks.to_vec();
                tasks[missed].period = period;
                matches!(attempt(&tasks, most_slots), Ok(Ok(_)))
            };
            let best = [2, 3, 4, 6, 8, 12, 16, 24, 32].iter().find(|times| slower(times));
            let best = best.map(|times| task.period * times);
            Err(ScheduleRefusal::Missed { circuit: task.circuit, length: task.length, deadline, best })
        }
    }
}

/// A schedule, or the task that missed its deadline.
fn attempt(
    tasks: &[PacketTask],
    most_slots: u64,
) -> Result<Result<NetworkSchedule, (usize, u64)>, ScheduleRefusal> {
    let repeat = repetition(tasks, most_slots)?;
    let mut slots: BTreeMap<LinkId, Vec<Slot>> = BTreeMap::new();
    let mut busy: BTreeMap<LinkId, u64> = BTreeMap::new();
    // By deadline, then by place in the list.
    let mut waiting: BTreeSet<(u64, usize)> = BTreeSet::new();
    // When something happens: a task's next period begins, or links become free.
    let mut releases: BTreeSet<(u64, usize)> = (0..tasks.len()).map(|place| (0, place)).collect();
    let mut ends: BTreeSet<u64> = BTreeSet::new();
    loop {
        let release = releases.first().map(|(at, _)| *at);
        let Some(now) = release.into_iter().chain(ends.first().copied()).min() else { break };
        ends.remove(&now);
        while let Some(&(at, place)) = releases.first().filter(|(at, _)| *at == now) {
            releases.remove(&(at, place));
            let next = at + tasks[place].period;
            waiting.insert((next, place));
            if next < repeat {
                releases.insert((next, place));
            }
        }
        let mut begun = Vec::new();
        for &(deadline, place) in &waiting {
            let task = &tasks[place];
            let end = now + task.length;
            if end > deadline {
                return Ok(Err((place, deadline)));
            }
            if task.links.iter().any(|link| busy.get(link).is_some_and(|until| *until > now)) {
                continue;
            }
            let slot = Slot { circuit: task.circuit, begin: now, end };
            for link in &task.links {
                busy.insert(*link, end);
                slots.entry(*link).or_default().push(slot);
            }
            ends.insert(end);
            begun.push((deadline, place));
        }
        begun.iter().for_each(|entry| _ = waiting.remove(entry));
    }
    Ok(Ok(NetworkSchedule { repeat, slots }))
}

/// After how many bins all tasks begin together again.
fn repetition(tasks: &[PacketTask], most_slots: u64) -> Result<u64, ScheduleRefusal> {
    let mut repeat = 1u64;
    let mut shares: BTreeMap<LinkId, f64> = BTreeMap::new();
    for task in tasks {
        let &PacketTask { circuit, length, period, ref links } = task;
        let distinct: BTreeSet<_> = links.iter().collect();
        if length == 0 || length > period || links.is_empty() || distinct.len() != links.len() {
            return Err(ScheduleRefusal::Senseless { circuit, length, period, links: links.len() });
        }
        repeat =
            least_common_multiple(repeat, period).ok_or(ScheduleRefusal::TooLong { limit: most_slots })?;
        for link in links {
            let share = shares.entry(*link).or_default();
            *share += length as f64 / period as f64;
            if *share > 1.0 + 1e-9 {
                return Err(ScheduleRefusal::Overloaded { link: *link, share: *share });
            }
        }
    }
    let slots = tasks.iter().map(|task| u128::from(repeat / task.period)).sum::<u128>();
    if slots > most_slots.into() {
        return Err(ScheduleRefusal::TooLong { limit: most_slots });
    }
    Ok(repeat)
}

fn least_common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b).filter(|all| *all < u64::MAX / 4)
}

//! Time-slot schedules: what they promise holds in every bin, and what does not fit is refused.

use bellwether_protocol::entanglement::CircuitId;
use bellwether_protocol::entanglement::schedule::{
    NetworkSchedule, Packet, PacketTask, ScheduleRefusal, SlotClock, earliest_deadline_first,
};
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream, Time};
use proptest::prelude::*;

fn task(circuit: u64, links: &[u32], length: u64, period: u64) -> PacketTask {
    let links = links.iter().map(|link| LinkId(*link)).collect();
    PacketTask { circuit: CircuitId(circuit), links, length, period }
}

/// Which bins of a repetition a link gives a circuit.
fn bins(schedule: &NetworkSchedule, link: u32, circuit: u64) -> Vec<u64> {
    let slots = schedule.slots(LinkId(link)).iter().filter(|slot| slot.circuit == CircuitId(circuit));
    slots.flat_map(|slot| slot.begin..slot.end).collect()
}

#[test]
fn circuits_that_share_no_link_run_together_and_others_in_turn() {
    let tasks = [task(1, &[0, 1], 2, 6), task(2, &[2], 3, 6), task(3, &[1, 2], 1, 4)];
    let schedule = earliest_deadline_first(&tasks, 1000).unwrap();
    assert_eq!(schedule.repeat(), 12);
    // The third has the nearest deadline; then the others, at once.
    assert_eq!(bins(&schedule, 1, 3), [0, 4, 9]);
    assert_eq!(bins(&schedule, 0, 1), [1, 2, 6, 7]);
    assert_eq!(bins(&schedule, 2, 2), [1, 2, 3, 6, 7, 8]);
    // Starts at 0, 4 and 9; at 1 and 6.
    assert_eq!(tasks.each_ref().map(|task| schedule.jitter(task)), [1, 1, 1]);
    let alone = earliest_deadline_first(&tasks[..1], 1000).unwrap();
    assert_eq!(alone.jitter(&tasks[0]), 0);
}

#[test]
fn a_link_knows_whom_it_serves_and_until_when() {
    let schedule = earliest_deadline_first(&[task(1, &[0], 2, 5), task(2, &[0], 1, 5)], 10).unwrap();
    let bin = Duration::from_milliseconds(10);
    let clock = SlotClock { first: Time::ZERO + bin, bin };
    let at = |bins: f64| Time::ZERO + Duration::from_seconds(0.01 * (bins + 1.0)).unwrap();
    let serves = |bins| schedule.serves(LinkId(0), &clock, at(bins));
    assert_eq!(serves(-0.5), (None, at(0.0)));
    assert_eq!(serves(0.0), (Some(CircuitId(1)), at(2.0)));
    assert_eq!(serves(1.99), (Some(CircuitId(1)), at(2.0)));
    assert_eq!(serves(2.0), (Some(CircuitId(2)), at(3.0)));
    assert_eq!(serves(3.2), (None, at(5.0)));
    assert_eq!(serves(500.0), (Some(CircuitId(1)), at(502.0)));
    assert_eq!(schedule.serves(LinkId(9), &clock, at(1.0)), (None, at(5.0)));
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let share = |tasks: &[PacketTask]| earliest_deadline_first(tasks, 1000).unwrap_err();
    assert_eq!(
        share(&[task(1, &[0], 3, 4), task(2, &[0], 1, 2)]),
        ScheduleRefusal::Overloaded { link: LinkId(0), share: 1.25 }
    );
    // The short one comes too late behind the long one, which is not broken off.
    let tasks = [task(1, &[0], 1, 3), task(2, &[0], 5, 12)];
    let ScheduleRefusal::Missed { circuit, best: Some(best), .. } = share(&tasks) else { panic!() };
    assert_eq!((circuit, best), (CircuitId(1), 6));
    assert!(earliest_deadline_first(&[task(1, &[0], 1, best), tasks[1].clone()], 1000).is_ok());
    for senseless in [task(1, &[0], 0, 4), task(1, &[0], 5, 4), task(1, &[], 1, 4), task(1, &[3, 3], 1, 4)] {
        assert!(matches!(share(&[senseless]), ScheduleRefusal::Senseless { .. }));
    }
    let primes = [task(1, &[0], 1, 997), task(2, &[0], 1, 991), task(3, &[0], 1, 983)];
    assert_eq!(share(&primes), ScheduleRefusal::TooLong { limit: 1000 });
}

/// Two pairs within a window, at one pair a window in the mean: 1 - 2/e.
#[test]
fn packets_succeed_as_often_as_poisson_counts_suffice() {
    let packet = Packet { pairs: 2, window: Duration::from_milliseconds(100) };
    assert!((packet.success(0.1) - (1.0 - 2.0 * (-1.0f64).exp())).abs() < 1e-12);
    assert_eq!(Packet { pairs: 0, ..packet }.success(0.1), 1.0);
    let bin = Duration::from_milliseconds(1);
    let bins = packet.bins(0.01, 0.9, bin).unwrap();
    let within = |bins| Packet { window: bin * bins, ..packet }.success(0.01);
    assert!(within(bins) >= 0.9 && within(bins - 1) < 0.9, "{bins}");
    assert_eq!((packet.bins(1.0, 0.9, bin), packet.bins(0.01, 1.0, bin)), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_period_has_its_slot_and_no_bin_two_circuits(seed: u64) {
        let mut s = Stream::new(seed, EntityId(0), Purpose::named("schedules"));
        let tasks: Vec<_> = (0..1 + s.below(8))
            .map(|circuit| {
                let period = [4, 6, 8, 12, 24][s.below(5) as usize];
                let first = s.below(5) as u32;
                let links: Vec<_> = (first..=first + s.below(3) as u32).collect();
                task(circuit, &links, 1 + s.below(1 + period / 3), period)
            })
            .collect();
        match earliest_deadline_first(&tasks, 10_000) {
            Ok(schedule) => {
                for link in 0..8 {
                    let slots = schedule.slots(LinkId(link));
                    prop_assert!(slots.windows(2).all(|two| two[0].end <= two[1].begin));
                    prop_assert!(slots.last().is_none_or(|slot| slot.end <= schedule.repeat()));
                }
                for task in &tasks {
                    for link in &task.links {
                        let bins = bins(&schedule, link.0, task.circuit.0);
                        for period in 0..schedule.repeat() / task.period {
                            let within = period * task.period..(period + 1) * task.period;
                            let inside: Vec<_> = bins.iter().filter(|bin| within.contains(bin)).collect();
                            prop_assert_eq!(inside.len() as u64, task.length);
                            prop_assert_eq!(**inside.last().unwrap() - **inside.first().unwrap() + 1, task.length);
                        }
                        // All links of a circuit at once.
                        prop_assert_eq!(bins, self::bins(&schedule, task.links[0].0, task.circuit.0));
                    }
                    prop_assert!(schedule.jitter(task) < task.period);
                }
            }
            Err(ScheduleRefusal::Missed { circuit, best, .. }) => {
                if let Some(best) = best {
                    let mut slower = tasks.clone();
                    let of = slower.iter_mut().find(|task| task.circuit == circuit).unwrap();
                    of.period = best;
                    prop_assert!(earliest_deadline_first(&slower, 10_000).is_ok());
                }
            }
            Err(ScheduleRefusal::Overloaded { link, share }) => {
                let of = tasks.iter().filter(|task| task.links.contains(&link));
                let exact: f64 = of.map(|task| task.length as f64 / task.period as f64).sum();
                prop_assert!(share > 1.0 && exact >= share - 1e-9);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

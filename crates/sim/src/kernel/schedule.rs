//! A queue with a clock, handing each source its own counter.

use super::{Key, KeyError, Past, Queue};
use bellwether_units::{Duration, EntityId, Time};

/// What is to happen, and how far time has come.
///
/// Each source's events are numbered in the order in which that source scheduled them, whatever other sources
/// do in between: so a run split over threads gives each event the same [`Key`].
///
/// ```
/// use bellwether_sim::kernel::Schedule;
/// use bellwether_units::Duration;
///
/// let mut schedule = Schedule::new();
/// let clock = schedule.add_source()?;
/// schedule.after(clock, Duration::from_nanoseconds(1), 3)?;
/// let mut ticks = 0;
/// while let Some(event) = schedule.next() {
///     ticks += 1;
///     if event.event > 1 {
///         schedule.after(clock, Duration::from_nanoseconds(1), event.event - 1)?;
///     }
/// }
/// assert_eq!((ticks, schedule.now().picoseconds()), (3, 3_000));
/// # Ok::<(), bellwether_sim::kernel::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schedule<E> {
    queue: Queue<E>,
    counters: Vec<u64>,
}

/// An event whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<E> {
    /// When.
    pub time: Time,
    /// Who scheduled it.
    pub source: EntityId,
    /// What.
    pub event: E,
}

/// Why an event cannot be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Its time has passed.
    #[error(transparent)]
    Past(#[from] Past),
    /// There is no room in the order.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The source was never added.
    #[error("{0} is not a source of this schedule")]
    UnknownSource(EntityId),
    /// The event would be after the last instant that the clock can tell.
    #[error("the event would be {0} after the present, beyond the clock's 213 days")]
    BeyondClock(Duration),
}

impl<E> Schedule<E> {
    /// Nothing to do, at time zero, without sources.
    pub fn new() -> Self {
        Self { queue: Queue::new(), counters: Vec::new() }
    }

    /// Adds a source of events; sources are numbered from 0 and go before later ones at the same instant.
    ///
    /// # Errors
    /// [`KeyError::Source`] if there are [`Key::MAX_SOURCES`] already.
    pub fn add_source(&mut self) -> Result<EntityId, ScheduleError> {
        let next = u32::try_from(self.counters.len()).unwrap_or(u32::MAX);
        let source = EntityId(next);
        if next >= Key::MAX_SOURCES {
            return Err(KeyError::Source(source).into());
        }
        self.counters.push(0);
        Ok(source)
    }

    /// The present: the time of the last event taken.
    pub const fn now(&self) -> Time {
        self.queue.now()
    }

    /// How many events are to come.
    pub const fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is to come.
    pub const fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Schedules `event` for `time`.
    ///
    /// # Errors
    /// If the time has passed, the source was never added, or it has used up its counter.
    #[inline]
    pub fn at(&mut self, source: EntityId, time: Time, event: E) -> Result<Key, ScheduleError> {
        let counter = self.counters.get_mut(source.index()).ok_or(ScheduleError::UnknownSource(source))?;
        let key = Key::new(time, source, *counter)?;
        self.queue.push(key, event)?;
        *counter += 1;
        Ok(key)
    }

    /// Schedules `event` for `delay` after the present.
    ///
    /// # Errors
    /// As [`at`](Self::at), and if the clock does not reach that far.
    #[inline]
    pub fn after(&mut self, source: EntityId, delay: Duration, event: E) -> Result<Key, ScheduleError> {
        let time = self.now().picoseconds().checked_add(delay.picoseconds());
        let time = time.ok_or(ScheduleError::BeyondClock(delay))?;
        self.at(source, Time::from_picoseconds(time), event)
    }

    /// When the next event is.
    #[inline]
    pub fn next_time(&mut self) -> Option<Time> {
        self.queue.peek_time()
    }

    /// Moves to the next event.
    #[expect(clippy::should_implement_trait, reason = "events are added between one and the next")]
    #[inline]
    pub fn next(&mut self) -> Option<Event<E>> {
        let (key, event) = self.queue.pop()?;
        Some(Event { time: key.time(), source: key.source(), event })
    }

    /// Moves to the next event if it is at or before `end`.
    #[inline]
    pub fn next_until(&mut self, end: Time) -> Option<Event<E>> {
        if self.next_time()? > end { None } else { self.next() }
    }
}

impl<E> Default for Schedule<E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_goes_by_source_and_then_by_the_sources_own_order() {
        let mut schedule = Schedule::new();
        let (first, second) = (schedule.add_source().unwrap(), schedule.add_source().unwrap());
        let at = Time::from_picoseconds(7);
        for (source, event) in [(second, "c"), (first, "a"), (second, "d"), (first, "b")] {
            schedule.at(source, at, event).unwrap();
        }
        let order: Vec<_> = core::iter::from_fn(|| schedule.next().map(|event| event.event)).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_cannot_be_scheduled_is_refused_and_leaves_no_trace() {
        let mut schedule = Schedule::new();
        let source = schedule.add_source().unwrap();
        let stranger = EntityId(5);
        assert_eq!(
            schedule.at(stranger, Time::ZERO, ()),
            Err(ScheduleError::UnknownSource(stranger)),
            "a source that was never added"
        );
        schedule.after(source, Duration::from_picoseconds(5), ()).unwrap();
        assert!(schedule.next().is_some());
        assert!(matches!(schedule.at(source, Time::ZERO, ()), Err(ScheduleError::Past(_))));
        assert!(matches!(schedule.after(source, Duration::MAX, ()), Err(ScheduleError::BeyondClock(_))));
        assert!(schedule.is_empty());
        let key = schedule.after(source, Duration::ZERO, ()).unwrap();
        assert_eq!(key.counter(), 1, "refusals do not use up the counter");
    }

    #[test]
    fn until_includes_its_end() {
        let mut schedule = Schedule::new();
        let source = schedule.add_source().unwrap();
        for time in [1, 2, 3] {
            schedule.at(source, Time::from_picoseconds(time), time).unwrap();
        }
        let end = Time::from_picoseconds(2);
        let served = core::iter::from_fn(|| schedule.next_until(end)).count();
        assert_eq!((served, schedule.len(), schedule.now()), (2, 1, end));
    }
}

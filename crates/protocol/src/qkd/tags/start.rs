//! What the clocks are related by: pieces of both records from about the same time, longer ones where short ones do not
//! do.

use super::START_AHEAD;
use super::click::Clicks;
use super::clock::{Clock, ClockError, Follower};
use super::event::TagJob;
use super::matching::MOST_HELD;
use super::settings::TagSettings;

/// With so many events of the other end the clocks are tried to be related, one after the other.
const TRIES: [usize; 3] = [1 << 16, 1 << 19, START_AHEAD];

/// How far it came.
#[derive(Default)]
pub(super) struct Start {
    tried: usize,
    /// Whether the clocks are taken to show about the same time, and not the records to begin together.
    same_time: bool,
    /// What the recovery's times are counted from, here and there.
    from: [i64; 2],
    /// Why the first guess led to nothing.
    failure: Option<ClockError>,
}

/// What is needed next.
pub(super) enum Wish {
    /// So many events of the other end.
    Told(usize),
    /// More clicks of this end.
    Clicks,
    /// So many events of this end are too early.
    DropHere(usize),
    /// So many events of the other end are too early.
    DropTold(usize),
    /// The clocks to be related.
    Relate(TagJob),
    /// It is hopeless.
    GiveUp(ClockError),
}

impl Start {
    /// What the offset is about, if it can be known yet.
    fn guess(&self, settings: &TagSettings, here: &Clicks, there: &Clicks) -> Option<i64> {
        match settings.offset {
            Some(offset) => Some(offset),
            None if self.same_time => Some(0),
            None => Some(*here.times().first()? as i64 - *there.times().first()? as i64),
        }
    }

    pub(super) fn wish(
        &mut self,
        settings: &TagSettings,
        here: &Clicks,
        read_all: bool,
        there: &Clicks,
        told_all: bool,
    ) -> Wish {
        let target = TRIES[self.tried];
        if there.len() < target && !told_all {
            return Wish::Told(target);
        }
        // If there is nothing to try another guess on, the first one's failure tells more.
        let too_few = ClockError::TooFew { here: here.len(), there: there.len() };
        let too_few = self.failure.unwrap_or(too_few);
        let (Some(&first), Some(last)) = (there.times().first(), there.last_time()) else {
            return Wish::GiveUp(too_few);
        };
        if here.is_empty() && !read_all {
            return Wish::Clicks;
        }
        let Some(guess) = self.guess(settings, here, there) else { return Wish::GiveUp(too_few) };
        // Times of this end that any offset in reach relates to the other's.
        let reach = settings.search.offset as i64 + 1;
        let (from, to) = (
            (first as i64).saturating_add(guess).saturating_sub(reach),
            (last as i64).saturating_add(guess).saturating_add(reach),
        );
        let early = here.times().partition_point(|&time| (time as i64) < from);
        if early > 0 {
            return Wish::DropHere(early);
        }
        let begin = here.times().first().map_or(i64::MAX, |&time| time as i64);
        if begin > to {
            if read_all && here.is_empty() {
                return Wish::GiveUp(too_few);
            }
            return Wish::DropTold(there.len());
        }
        let covered = here.last_time().is_some_and(|time| time as i64 > to);
        if !covered && !read_all && here.len() < MOST_HELD {
            return Wish::Clicks;
        }
        self.from = [from, first as i64 - reach];
        let since = |times: &[u64], from: i64| -> Vec<u64> {
            times.iter().map(|&time| (time as i64).saturating_sub(from).max(0) as u64).collect()
        };
        Wish::Relate(TagJob {
            here: since(here.times(), self.from[0]),
            there: since(there.times(), self.from[1]),
            search: settings.search,
        })
    }

    /// What follows the clocks from the time of the first event of the other end on.
    pub(super) fn follower(&self, clock: &Clock, first: u64) -> Follower {
        let [here, there] = self.from;
        let recovered_at = (first as i64).saturating_sub(there) as u64;
        Follower::from_clock(clock, recovered_at, first, here.saturating_sub(there))
    }

    /// What to try next, if the clocks could not be related; the other end told all that it has if `complete`.
    pub(super) fn again(
        mut self,
        settings: &TagSettings,
        error: ClockError,
        complete: bool,
    ) -> Result<Self, ClockError> {
        if !complete && self.tried + 1 < TRIES.len() {
            self.tried += 1;
            return Ok(self);
        }
        // Another guess, if it leads elsewhere.
        let [here, there] = self.from;
        let apart = here.saturating_sub(there).unsigned_abs() as f64;
        if settings.offset.is_none() && !self.same_time && apart > settings.search.offset / 4.0 {
            self.same_time = true;
            self.failure = Some(error);
            return Ok(self);
        }
        Err(self.failure.unwrap_or(error))
    }
}

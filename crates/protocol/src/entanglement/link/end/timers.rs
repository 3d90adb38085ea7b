//! What an end waits for.

use bellwether_units::{Duration, Time};

#[derive(Clone, Copy)]
pub(super) enum Timer {
    /// Looking for the other end again.
    Hello,
    /// Repeating what was not answered.
    Errand,
    /// A request has no time left.
    Expiry,
    /// A request may be served from then on.
    Ready,
    /// The policy chooses anew.
    Window,
    /// No pair came for a while: tell which were heard of.
    Settle,
    /// Replies that the other end has heard are lost if they do not come until then.
    Doubt,
    /// All memories have been in use for long.
    Starved,
}

/// One time each; the latest of all times for those that are not set.
pub(super) struct Timers {
    at: [Time; 8],
    /// The least of them.
    next: Time,
}

impl Default for Timers {
    fn default() -> Self {
        Self { at: [Time::MAX; 8], next: Time::MAX }
    }
}

impl Timers {
    pub(super) fn next(&self) -> Option<Time> {
        Some(self.next).filter(|next| *next < Time::MAX)
    }
    pub(super) fn set(&mut self, timer: Timer, at: Time) {
        let before = core::mem::replace(&mut self.at[timer as usize], at);
        if at <= self.next {
            self.next = at;
        } else if before == self.next {
            self.next = self.at.iter().copied().fold(Time::MAX, Time::min);
        }
    }
    /// At the first multiple of `grain` from `at` on, for what need not be done at once: then one call of a node does it
    /// for all its links.
    pub(super) fn set_late(&mut self, timer: Timer, at: Time, grain: Duration) {
        let grain = grain.picoseconds().max(1);
        let at = at.picoseconds().div_ceil(grain).saturating_mul(grain);
        self.set(timer, Time::from_picoseconds(at));
    }
    pub(super) fn set_by(&mut self, timer: Timer, at: Time) {
        self.set(timer, self.at[timer as usize].min(at));
    }
    pub(super) fn clear(&mut self, timer: Timer) {
        self.set(timer, Time::MAX);
    }
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.at[timer as usize] < Time::MAX
    }
    /// Whether its time has come; it is not set any more then.
    pub(super) fn take(&mut self, timer: Timer, now: Time) -> bool {
        let due = self.at[timer as usize] <= now && self.is_set(timer);
        if due {
            self.clear(timer);
        }
        due
    }
}

//! The event kernel: what happens next in virtual time.
//!
//! Events are totally ordered by (time, source entity, the source's own counter), a [`Key`]. The order never
//! depends on when an event was pushed into the queue, hence not on the number of threads.
//!
//! - [`Queue`]: a monotone 64-way bucket queue of keyed events.
//! - [`Schedule`]: the same with a clock, handing each source its own counter.
//!
//! Nothing can be taken back out of the queue. A superseded timeout is recognised when it is popped: the
//! machine's `deadline()` is then not the present instant.

mod key;
mod queue;
mod schedule;

pub use key::{Key, KeyError};
pub use queue::{Past, Queue};
pub use schedule::{Event, Schedule, ScheduleError};

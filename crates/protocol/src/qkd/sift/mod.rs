//! Sifting: which clicks both ends measured and prepared in the same basis.
//!
//! For each window of pulses the receiver sends an [`Announcement`]: the pulses of its clicks, their bases, and
//! the outcomes of those in the check basis. The transmitter looks up what it had prepared and answers with a
//! [`Reply`]: which bases match, the intensity class of each kept click, and its own bits of the kept clicks in
//! the check basis. Check-basis bits are disclosed both ways, so both ends hold the same statistics; bits in
//! the key basis are never sent. Each end then makes its [`SiftedWindow`].
//!
//! Everything works on packed words: a click costs a few nanoseconds an end.

mod announcement;
mod gaps;
mod reply;
mod window;

pub use announcement::Announcement;
pub use reply::Reply;
pub use window::{SiftedWindow, sift_received, sift_sent};

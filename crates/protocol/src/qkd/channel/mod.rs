//! The classical channel of one link: sessions, delivery in order and once, and authentication.

mod durable;
mod frame;
mod reliable;

pub use durable::Durable;

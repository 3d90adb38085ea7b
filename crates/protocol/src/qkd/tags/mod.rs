//! Time tags of two ends with clocks of their own: how the clocks are related.

pub mod clock;
#[cfg(test)]
mod emulate;

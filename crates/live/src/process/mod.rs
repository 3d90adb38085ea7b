//! What a network's processes have in common: a runtime, a log, an end, and somebody who looks after them.
//!
//! - [`descriptors`]: how many files and sockets it may have open.
//! - [`runtime`]: where the asynchronous parts of this room run.
//! - [`log`]: what a process tells of itself on standard error.
//! - [`stop`]: how a process is asked to stop.
//! - [`parts`]: what a process of a node, or of the emulated physical layer, does until then.
//! - [`crew`]: processes that are started, watched, started again and stopped together.
//! - [`whole`]: a network on one machine, as a crew or in one process.

pub mod crew;
pub mod descriptors;
pub mod log;
pub mod parts;
pub mod runtime;
pub mod stop;
pub mod whole;

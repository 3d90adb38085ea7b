//! The simulator as a library user meets it, in one binary.

mod sources;
mod support;
mod whole_run;

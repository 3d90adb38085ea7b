//! Kernels that use instruction sets chosen at run time, each beside its portable twin.
//!
//! This is the only place with `unsafe`: intrinsics of a target feature may only run where the feature
//! exists, and every dispatching function here checks it first.
#![allow(unsafe_code, reason = "intrinsics of target features that are checked at run time")]

mod compress;

pub(crate) use compress::compress;

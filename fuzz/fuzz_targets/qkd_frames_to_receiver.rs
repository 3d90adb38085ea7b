//! Forged, changed, replayed and spliced frames to the receiver of a link.
//!
//! Both ends run for real; no attack makes a machine panic, gives the ends different keys of a block, uses a
//! one-time pad for two frames, or makes an end send without bound.
#![no_main]

use bellwether_fuzz::link::{Attack, Victim, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|attack: Attack| play(&attack, Victim::Receiver));

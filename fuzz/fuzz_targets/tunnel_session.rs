//! Bytes changed, repeated, inserted and lost between the two ends of a tunnel's connection.
//!
//! No attack makes an end panic, or gives a program anything but the beginning of what the other wrote.
#![no_main]

use bellwether_fuzz::tunnel::{Attack, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|attack: Attack| play(&attack));

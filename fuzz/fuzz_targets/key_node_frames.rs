//! Forged, changed and replayed frames among key nodes that relay keys.
//!
//! No attack makes a node panic, gives the ends of a key different bits, hands a key out twice, uses a bit of a
//! pool as pad twice, unbalances a pool's books, or makes a node send without bound.
#![no_main]

use bellwether_fuzz::relay::{Attack, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|attack: Attack| play(&attack));

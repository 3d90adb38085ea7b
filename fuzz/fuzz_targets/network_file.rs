//! A network file of arbitrary bytes.
//!
//! What a person gives to `bellwether check` may be anything. It is read or refused; every refusal renders to a
//! report of bounded length.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    bellwether_fuzz::read_network(bytes, &[]);
});

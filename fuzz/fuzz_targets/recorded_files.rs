//! Files that `bellwether distill` reads: raw keys, and time tags as binary records and as comma-separated values.
//!
//! They are read or refused with words of bounded length, in bounded memory; times of clicks rise, and reading in small
//! pieces gives what reading in large ones gives.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_live::distill::tags::{Channels, TagFormat, TagReader};
use bellwether_live::distill::{Format, RawKey};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::PathBuf;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: u8,
    bits: Option<u16>,
    piece: u8,
    delayed: bool,
    bytes: &'a [u8],
}

/// The times that are read, or that it was refused.
fn times(bytes: &[u8], format: Option<TagFormat>, piece: usize, delayed: bool) -> Option<Vec<u64>> {
    let mut channels = Channels::parse("0=Z0,1=Z1,2=X0,3=X1,48=Z0,9=-").expect("channels");
    if delayed {
        channels = channels.with_delays("1=350ps,3=-1us").expect("delays");
    }
    let mut reader = match TagReader::new(bytes, format, channels) {
        Ok(reader) => reader,
        Err(error) => {
            assert!((1..1000).contains(&error.to_string().len()));
            return None;
        }
    };
    let mut times: Vec<u64> = Vec::new();
    loop {
        match reader.read(piece) {
            Ok((clicks, last)) => {
                times.extend_from_slice(clicks.times());
                assert!(times.is_sorted() && times.len() <= bytes.len());
                assert!(reader.bytes() <= bytes.len() as u64);
                if last {
                    return Some(times);
                }
            }
            Err(error) => {
                assert!((1..1000).contains(&error.to_string().len()));
                return None;
            }
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let bytes = match input.kind % 3 {
        0 => input.bytes.to_vec(),
        1 => [b"BwTimTag\x01", input.bytes].concat(),
        _ => [b"time_ps,channel\n", input.bytes].concat(),
    };
    for format in [None, Some(TagFormat::Headed), Some(TagFormat::Bare), Some(TagFormat::Columns)] {
        let whole = times(&bytes, format, 1 << 14, input.delayed);
        let parts = times(&bytes, format, 1 + usize::from(input.piece), input.delayed);
        assert_eq!(whole, parts);
    }
    // A raw key is read where it lies.
    let path: PathBuf = std::env::temp_dir().join(format!("bellwether-fuzz-{}", std::process::id()));
    let raw = if input.kind % 2 == 0 { bytes } else { [b"BwRawKey\x01", input.bytes].concat() };
    fs::write(&path, &raw).expect("a temporary file");
    for format in [None, Some(Format::Headed), Some(Format::Packed), Some(Format::Text)] {
        match RawKey::open(&path, format, input.bits.map(u64::from)) {
            Ok(key) => {
                assert!(key.len() > 0 && key.len() <= 8 * raw.len() as u64);
                let bits = key.bits(key.len() / 2..key.len()).expect("what is there can be read");
                assert_eq!(bits.len() as u64, key.len() - key.len() / 2);
            }
            Err(error) => assert!((1..2000).contains(&error.to_string().len())),
        }
    }
});

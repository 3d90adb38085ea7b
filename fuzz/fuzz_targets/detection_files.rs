//! What `bellwether distill` reads of a link: detection files and tables of either end, and the frames in which the ends agree.
//!
//! They are read or refused with words of bounded length, in bounded memory; pulses rise.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_live::distill::link::fuzz;
use bellwether_live::hardware::Side;
use bellwether_live::hardware::recording::{Record, RecordingReader};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: u8,
    receiver: bool,
    intensities: u8,
    bytes: &'a [u8],
}

fn refused(error: &impl std::fmt::Display) {
    assert!((1..1000).contains(&error.to_string().len()));
}

/// Windows of a receiver do not overlap, and pulses of a transmitter rise.
fn in_order(records: &[Record]) {
    let mut next = 0;
    for record in records {
        if let Record::Window(window) = record {
            assert!(window.first_pulse >= next);
            next = window.first_pulse.saturating_add(window.pulse_count);
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let side = if input.receiver { Side::Receiver } else { Side::Transmitter };
    match input.kind % 5 {
        0 => {
            fuzz::frame(input.bytes);
        }
        1 => {
            // A greeting of this version, so that what follows is read.
            let side = u8::from(!input.receiver);
            fuzz::frame(&[&[0, 1, side, 0], input.bytes].concat());
        }
        2 | 3 => {
            let bytes = match (input.kind % 5, side) {
                (2, _) => input.bytes.to_vec(),
                (_, Side::Receiver) => [b"pulse,basis,bit\n", input.bytes].concat(),
                (_, Side::Transmitter) => [b"pulse,basis,bit,intensity\n", input.bytes].concat(),
            };
            match fuzz::table(side, &bytes, 1 + usize::from(input.intensities % 4), 1e9) {
                Ok(records) => in_order(&records),
                Err(error) => refused(&error),
            }
        }
        _ => match RecordingReader::new(input.bytes) {
            Ok(mut reader) => loop {
                match reader.next_record() {
                    Ok(Some(_)) => assert!(reader.position() <= input.bytes.len() as u64),
                    Ok(None) => break,
                    Err(error) => {
                        refused(&error);
                        break;
                    }
                }
            },
            Err(error) => refused(&error),
        },
    }
});

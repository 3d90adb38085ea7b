//! Everything that a daemon reads as frames: of other nodes, of tunnels, of key streams, of the physical layer, of
//! devices that entangle, of programs and their nodes.
//!
//! Bytes are decoded or refused, within a bounded size, and the same in whatever pieces they arrive.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_live::application::tunnel::frame as tunnel;
use bellwether_live::frames::{Decoder, Framing};
use bellwether_live::hardware::wire::{Ask, Tell};
use bellwether_live::interface::etsi004::frame as stream;
use bellwether_live::memories::wire as memory;
use bellwether_live::programs::wire as program;
use bellwether_live::transport::frame as node;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    what: u8,
    piece: u8,
    bytes: &'a [u8],
}

/// The frames of bytes that arrive in pieces of a size, and why they end.
fn frames<F: Framing>(bytes: &[u8], piece: usize) -> (Vec<F>, Option<F::Error>, usize) {
    let (mut decoder, mut frames) = (Decoder::<F>::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error), 0),
            }
        }
    }
    let waiting = decoder.waiting();
    (frames, None, waiting)
}

fn in_any_pieces<F: Framing<Error: PartialEq + core::fmt::Debug> + PartialEq + core::fmt::Debug>(
    bytes: &[u8],
    piece: u8,
) {
    let whole = frames::<F>(bytes, bytes.len().max(1));
    assert_eq!(whole, frames::<F>(bytes, usize::from(piece) + 1));
}

fuzz_target!(|input: Input<'_>| {
    let Input { what, piece, bytes } = input;
    match what % 9 {
        0 => in_any_pieces::<node::Frame>(bytes, piece),
        1 => in_any_pieces::<tunnel::Frame>(bytes, piece),
        2 => {
            let Some((header, rest)) = bytes.split_first_chunk() else { return };
            let Ok((kind, length)) = stream::read_header(*header) else { return };
            assert!(length <= 4096);
            // What is cut off is refused.
            if let Ok(request) = stream::Request::read(kind, &rest[..length.min(rest.len())]) {
                let payload = &rest[..length.min(rest.len())];
                assert!(!payload.is_empty(), "{request:?} of nothing");
                assert!(stream::Request::read(kind, &payload[..payload.len() - 1]).is_err());
            }
        }
        3 => {
            if let Ok(ask) = Ask::decode(bytes) {
                let encoded = ask.encode().expect("what was read can be written");
                assert_eq!(Ask::decode(&encoded).as_ref(), Ok(&ask));
            }
        }
        4 => {
            if let Ok(ask) = program::Ask::decode(bytes) {
                assert_eq!(*ask.encode(), bytes);
            }
        }
        6 => {
            if let Ok(ask) = memory::Ask::decode(bytes) {
                assert_eq!(ask.encode(), bytes);
            }
        }
        7 => {
            if let Ok(tell) = memory::Tell::decode(bytes) {
                assert_eq!(*tell.encode(), bytes);
            }
        }
        5 => {
            if let Ok(tell) = program::Tell::decode(bytes) {
                assert_eq!(*tell.encode(), bytes);
            }
        }
        _ => {
            if let Ok(tell) = Tell::decode(bytes) {
                let encoded = tell.encode();
                let again = Tell::decode(&encoded).expect("what was written can be read").encode();
                assert_eq!(*encoded, *again);
            }
        }
    }
});

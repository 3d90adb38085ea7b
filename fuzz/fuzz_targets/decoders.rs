//! Everything that decodes a message by itself: bit strings, tags, sifting's messages, key nodes' and key
//! managers' frames, messages of entangling links, letters between programs.
//!
//! Bytes are decoded or refused, within a bounded size; what is decoded is encoded again and decodes to the
//! same.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_bits::BitString;
use bellwether_protocol::application::MailMessage;
use bellwether_protocol::entanglement::link::draft::{Create, DraftReply};
use bellwether_protocol::entanglement::link::{LinkMessage, MidpointReply};
use bellwether_protocol::keys::{check_frame, delivery};
use bellwether_protocol::qkd::authenticate::Tag;
use bellwether_protocol::qkd::sift::{Announcement, Reply};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    what: u8,
    count: u16,
    bases: Vec<u8>,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let (bytes, count) = (input.bytes, usize::from(input.count));
    match input.what % 8 {
        0 => {
            for len in
                [count, 8 * bytes.len(), (8 * bytes.len()).saturating_sub(count % 9), usize::MAX - count]
            {
                if let Some(bits) = BitString::decode(bytes, len) {
                    assert_eq!(bits.len(), len);
                    assert_eq!(bits.to_bytes(), bytes);
                    assert_eq!(bits.iter_ones().count(), bits.count_ones());
                }
            }
        }
        1 => {
            if let Some(&tag) = bytes.first_chunk::<{ Tag::ENCODED_LEN }>() {
                assert_eq!(Tag::from_bytes(tag).to_bytes(), tag);
            }
        }
        2 => {
            if let Ok(announcement) = Announcement::decode(bytes, count) {
                assert!(announcement.pulses.len() <= count);
                assert!(announcement.pulses.is_sorted_by(|a, b| a < b));
                // The sender may choose the parameter of its gap code, so the bytes may differ.
                let encoded = announcement.encode().expect("what was decoded is sound");
                assert_eq!(Announcement::decode(&encoded, count), Ok(announcement));
            }
        }
        3 => {
            let bases =
                BitString::from_bytes(&input.bases, 8 * input.bases.len() - input.bases.len().min(count % 8));
            if let Ok(reply) = Reply::decode(bytes, &bases, 1 + count % 5) {
                assert_eq!(reply.matches.len(), bases.len());
                assert_eq!(reply.encode(), bytes);
            }
        }
        4 => {
            // A frame that is accepted encodes to the same bytes: the check asserts it.
            let _ = delivery::check_frame(bytes);
            let mut framed = vec![1, input.count as u8 % 8];
            framed.extend(bytes);
            let _ = delivery::check_frame(&framed);
        }
        5 => {
            let framed = [&[input.count as u8 % 15], bytes].concat();
            for bytes in [bytes, &framed] {
                if let Ok(message) = LinkMessage::decode(bytes) {
                    assert_eq!(message.encode(), bytes);
                }
                if let Ok(reply) = MidpointReply::decode(bytes) {
                    assert_eq!(reply.encode(), bytes);
                }
                if let Ok(create) = Create::decode(bytes) {
                    assert_eq!(create.encode(), bytes);
                }
                if let Ok(reply) = DraftReply::decode(bytes) {
                    assert_eq!(reply.encode(), bytes);
                }
            }
        }
        6 => {
            let framed = [&[1, input.count as u8 % 5], bytes].concat();
            for bytes in [bytes, &framed] {
                if let Ok(message) = MailMessage::decode(bytes) {
                    assert_eq!(message.encode(), bytes);
                }
            }
        }
        _ => {
            let _ = check_frame(bytes);
            let mut framed = vec![1, input.count as u8 % 10];
            framed.extend(bytes);
            let _ = check_frame(&framed);
        }
    }
});

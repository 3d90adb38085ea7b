//! Frames between nodes, inside TLS.
//!
//! ```text
//! version 1 | channel 1 | link 4, big endian | length 4, big endian | payload
//! ```
//!
//! Version is 1. Channels: 0 keep alive, 1 QKD of a link, 2 relay, 3 delivery, 4 entanglement, 5 programs; the link is 0 except on channel 1.
//! A frame that keeps a connection alive carries nothing. Whatever else arrives is an error, and the connection
//! is closed: both ends are this program, so there is nothing to be lenient about.
//!
//! This module knows no socket, so that its decoder can be tested with any bytes.

use crate::frames::{self, Framing};
use bellwether_units::LinkId;

/// The version of the frames that this program speaks.
pub const VERSION: u8 = 1;
/// Bytes before the payload.
pub const HEAD: usize = 10;
/// Payloads are at most this long, in bytes.
pub const PAYLOAD_LIMIT: usize = 17 << 20;

/// Which machines talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The two ends of a link's session.
    Qkd(LinkId),
    /// Pools, relay and routing.
    Relay,
    /// Key managers, about keys for applications.
    Delivery,
    /// The stacks of neighbours, about entanglement.
    Entanglement,
    /// Nodes, for the programs that are attached to them.
    Programs,
}

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The peer is there; the one that was dialled sends it back.
    KeepAlive,
    /// Something for the machines of a channel.
    Message(Channel, Vec<u8>),
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another version.
    #[error("frames of version {0} are not spoken here (this is version {VERSION})")]
    Version(u8),
    /// No such channel.
    #[error("there is no channel {0}")]
    Channel(u8),
    /// A link where none belongs.
    #[error("a frame of channel {channel} names link {link}")]
    Link {
        /// The channel.
        channel: u8,
        /// The link.
        link: u32,
    },
    /// Too long.
    #[error("a frame of {0} bytes is longer than the {PAYLOAD_LIMIT} allowed")]
    TooLong(usize),
    /// A frame that keeps alive carries something.
    #[error("a frame that keeps a connection alive carries {0} bytes")]
    Burden(usize),
}

/// The ten bytes before a payload of this length.
///
/// # Errors
/// [`FrameError::TooLong`].
pub fn head(channel: Channel, length: usize) -> Result<[u8; HEAD], FrameError> {
    let (tag, link) = match channel {
        Channel::Qkd(LinkId(link)) => (1, link),
        Channel::Relay => (2, 0),
        Channel::Delivery => (3, 0),
        Channel::Entanglement => (4, 0),
        Channel::Programs => (5, 0),
    };
    let short = u32::try_from(length).ok().filter(|_| length <= PAYLOAD_LIMIT);
    let length = short.ok_or(FrameError::TooLong(length))?;
    let mut head = [VERSION, tag, 0, 0, 0, 0, 0, 0, 0, 0];
    head[2..6].copy_from_slice(&link.to_be_bytes());
    head[6..].copy_from_slice(&length.to_be_bytes());
    Ok(head)
}

/// The frame that keeps a connection alive.
pub const KEEP_ALIVE: [u8; HEAD] = [VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Reads frames from bytes as they arrive.
pub type Decoder = frames::Decoder<Frame>;

impl Framing for Frame {
    type Error = FrameError;

    fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
        let (channel, length) = read_head(head)?;
        let Some(payload) = bytes.get(HEAD..HEAD + length) else { return Ok(None) };
        let frame = match channel {
            None => Self::KeepAlive,
            Some(channel) => Self::Message(channel, payload.to_vec()),
        };
        Ok(Some((frame, HEAD + length)))
    }
}

/// Channel (none: keep alive) and length of the payload.
fn read_head(head: &[u8; HEAD]) -> Result<(Option<Channel>, usize), FrameError> {
    let [version, tag, a, b, c, d, e, f, g, h] = *head;
    let (link, length) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]) as usize);
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let channel = match tag {
        0 => None,
        1 => Some(Channel::Qkd(LinkId(link))),
        2 => Some(Channel::Relay),
        3 => Some(Channel::Delivery),
        4 => Some(Channel::Entanglement),
        5 => Some(Channel::Programs),
        other => return Err(FrameError::Channel(other)),
    };
    if tag != 1 && link != 0 {
        return Err(FrameError::Link { channel: tag, link });
    }
    if length > PAYLOAD_LIMIT {
        return Err(FrameError::TooLong(length));
    }
    if channel.is_none() && length != 0 {
        return Err(FrameError::Burden(length));
    }
    Ok((channel, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::tests::{decode, room};
    use proptest::prelude::*;

    fn channels() -> impl Strategy<Value = Channel> {
        prop_oneof![
            any::<u32>().prop_map(|link| Channel::Qkd(LinkId(link))),
            Just(Channel::Relay),
            Just(Channel::Delivery),
            Just(Channel::Entanglement),
            Just(Channel::Programs),
        ]
    }

    fn encode(frame: &Frame) -> Vec<u8> {
        match frame {
            Frame::KeepAlive => KEEP_ALIVE.to_vec(),
            Frame::Message(channel, payload) => {
                [&head(*channel, payload.len()).unwrap()[..], payload.as_slice()].concat()
            }
        }
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let message = (channels(), proptest::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(channel, payload)| Frame::Message(channel, payload));
        proptest::collection::vec(prop_oneof![1 => Just(Frame::KeepAlive), 4 => message], 0..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn frames_arrive_as_they_were_sent_however_they_are_cut(
            frames in frames(),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(encode).collect();
            prop_assert_eq!(decode(&bytes, &cuts), (frames, None));
        }

        #[test]
        fn any_bytes_give_the_same_however_they_are_cut_and_bound_the_memory(
            start in frames(),
            noise in proptest::collection::vec(any::<u8>(), 0..400),
            version in any::<bool>(),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let mut bytes: Vec<u8> = start.iter().flat_map(encode).collect();
            // Half of the time the noise begins like a frame, so that it is read further.
            if version {
                bytes.push(VERSION);
            }
            bytes.extend(&noise);
            let whole = decode(&bytes, &[]);
            prop_assert_eq!(&whole, &decode(&bytes, &cuts));
            prop_assert!(whole.0.starts_with(&start));
            let carried: usize = whole.0.iter().map(|frame| encode(frame).len()).sum();
            prop_assert!(carried <= bytes.len());
            // What was decoded encodes to what was read: nothing is read in two ways.
            let again: Vec<u8> = whole.0.iter().flat_map(encode).collect();
            prop_assert_eq!(again.as_slice(), &bytes[..carried]);
        }
    }

    #[test]
    fn the_bytes_of_a_frame_are_those_of_the_description() {
        let head = head(Channel::Qkd(LinkId(0x0102_0304)), 5).unwrap();
        assert_eq!(head, [1, 1, 1, 2, 3, 4, 0, 0, 0, 5]);
        assert_eq!(super::head(Channel::Delivery, PAYLOAD_LIMIT).unwrap(), [1, 3, 0, 0, 0, 0, 1, 0x10, 0, 0]);
        assert!(matches!(super::head(Channel::Relay, PAYLOAD_LIMIT + 1), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn each_malformed_head_is_told_and_stays_wrong() {
        let wrong = [
            ([2, 2, 0, 0, 0, 0, 0, 0, 0, 0], FrameError::Version(2)),
            ([1, 6, 0, 0, 0, 0, 0, 0, 0, 0], FrameError::Channel(6)),
            ([1, 2, 0, 0, 0, 9, 0, 0, 0, 0], FrameError::Link { channel: 2, link: 9 }),
            ([1, 2, 0, 0, 0, 0, 1, 0x10, 0, 1], FrameError::TooLong(PAYLOAD_LIMIT + 1)),
            ([1, 0, 0, 0, 0, 0, 0, 0, 0, 1], FrameError::Burden(1)),
        ];
        for (head, error) in wrong {
            let mut decoder = Decoder::new();
            decoder.push(&head);
            assert_eq!(decoder.next_frame(), Err(error));
            decoder.push(&KEEP_ALIVE);
            assert_eq!(decoder.next_frame(), Err(error));
        }
    }

    #[test]
    fn a_promised_length_takes_no_memory() {
        let mut decoder = Decoder::new();
        decoder.push(&head(Channel::Relay, PAYLOAD_LIMIT).unwrap());
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(room(&decoder) < 100 && decoder.waiting() == HEAD);
    }
}

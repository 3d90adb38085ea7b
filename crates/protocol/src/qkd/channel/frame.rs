//! Frames on the wire.
//!
//! | field | bytes | in |
//! |---|---|---|
//! | version, 1 | 1 | all |
//! | kind | 1 | all |
//! | session | 8 | all |
//! | acknowledgement: the next sequence number wanted | 8 | data, sealed data, acknowledgement |
//! | sequence number | 8 | data, sealed data |
//! | payload | to the end | data, sealed data, open, accept |
//! | number of the one-time pad | 8 | sealed data, open, accept |
//! | tag | 16 | sealed data, open, accept |
//!
//! Integers are little-endian. Everything but the acknowledgement is covered by tags: a forged
//! acknowledgement can hold a session up or end it, but not change what is delivered.

use crate::qkd::wire::{Malformed, Reader, Writer};

const VERSION: u8 = 1;
const ACK_AT: usize = 10;
/// The bytes of a sealed frame around its payload.
pub(super) const OVERHEAD: usize = 26 + 24;

/// The number of a one-time pad, and the tag made with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) pad: u64,
    pub(super) tag: [u8; 16],
}

/// A frame as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// The transmitter opens a session.
    Open { session: u64, payload: &'a [u8], seal: Seal },
    /// The receiver accepts it.
    Accept { session: u64, payload: &'a [u8], seal: Seal },
    /// The receiver asks for a session after this one.
    Reset { session: u64 },
    /// A message.
    Data { session: u64, ack: u64, sequence: u64, payload: &'a [u8], seal: Option<Seal> },
    /// Nothing but an acknowledgement.
    Ack { session: u64, ack: u64 },
}

/// The part of a frame that a tag covers besides its payload: unambiguous, since the payload's length is in it.
pub(super) fn covered_header(kind: Kind, session: u64, sequence: u64, payload: usize, pad: u64) -> [u8; 34] {
    let mut header = [0; 34];
    header[0] = VERSION;
    header[1] = kind as u8;
    header[2..10].copy_from_slice(&session.to_le_bytes());
    header[10..18].copy_from_slice(&sequence.to_le_bytes());
    header[18..26].copy_from_slice(&(payload as u64).to_le_bytes());
    header[26..].copy_from_slice(&pad.to_le_bytes());
    header
}

/// The kinds of frames, as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open = 1,
    Accept = 2,
    Reset = 3,
    Data = 4,
    Sealed = 5,
    Ack = 6,
}

impl Frame<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let payload_bytes = match self {
            Frame::Open { payload, .. } | Frame::Accept { payload, .. } | Frame::Data { payload, .. } => {
                payload.len()
            }
            Frame::Reset { .. } | Frame::Ack { .. } => 0,
        };
        let mut out = Writer::with_capacity(OVERHEAD + payload_bytes);
        out.u8(VERSION);
        let seal = |out: &mut Writer, seal: &Seal| {
            out.u64(seal.pad);
            out.bytes(&seal.tag);
        };
        match self {
            Frame::Open { session, payload, seal: with } | Frame::Accept { session, payload, seal: with } => {
                out.u8(if matches!(self, Frame::Open { .. }) { Kind::Open } else { Kind::Accept } as u8);
                out.u64(*session);
                out.bytes(payload);
                seal(&mut out, with);
            }
            Frame::Reset { session } => {
                out.u8(Kind::Reset as u8);
                out.u64(*session);
            }
            Frame::Data { session, ack, sequence, payload, seal: with } => {
                out.u8(if with.is_some() { Kind::Sealed } else { Kind::Data } as u8);
                out.u64(*session);
                out.u64(*ack);
                out.u64(*sequence);
                out.bytes(payload);
                if let Some(with) = with {
                    seal(&mut out, with);
                }
            }
            Frame::Ack { session, ack } => {
                out.u8(Kind::Ack as u8);
                out.u64(*session);
                out.u64(*ack);
            }
        }
        out.finish()
    }

    /// Reads a frame of at most `limit` bytes.
    pub(super) fn decode(bytes: &[u8], limit: usize) -> Result<Frame<'_>, Malformed> {
        if bytes.len() > limit {
            return Err(Malformed::TooLong);
        }
        let mut input = Reader::new(bytes);
        let version = input.u8()?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let kind = input.u8()?;
        let session = input.u64()?;
        let sealed = |input: &mut Reader<'_>| -> Result<(usize, Seal), Malformed> {
            let rest = input.rest();
            let at = rest.len().checked_sub(24).ok_or(Malformed::Truncated)?;
            let mut end = Reader::new(&rest[at..]);
            Ok((at, Seal { pad: end.u64()?, tag: end.array()? }))
        };
        let frame = match kind {
            1 | 2 => {
                let start = bytes.len() - input.remaining();
                let (len, seal) = sealed(&mut input)?;
                let payload = &bytes[start..start + len];
                if kind == 1 {
                    Frame::Open { session, payload, seal }
                } else {
                    Frame::Accept { session, payload, seal }
                }
            }
            3 => Frame::Reset { session },
            4 => Frame::Data {
                session,
                ack: input.u64()?,
                sequence: input.u64()?,
                payload: input.rest(),
                seal: None,
            },
            5 => {
                let (ack, sequence) = (input.u64()?, input.u64()?);
                let start = bytes.len() - input.remaining();
                let (len, seal) = sealed(&mut input)?;
                Frame::Data { session, ack, sequence, payload: &bytes[start..start + len], seal: Some(seal) }
            }
            6 => Frame::Ack { session, ack: input.u64()? },
            other => return Err(Malformed::Kind(other)),
        };
        input.finish()?;
        Ok(frame)
    }
}

/// Brings the acknowledgement in an encoded data frame up to date before it is sent again.
pub(super) fn renew_ack(frame: &mut [u8], ack: u64) {
    frame[ACK_AT..ACK_AT + 8].copy_from_slice(&ack.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_the_wire(
            session: u64, ack: u64, sequence: u64, pad: u64, tag: [u8; 16],
            payload in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let seal = Seal { pad, tag };
            for frame in [
                Frame::Open { session, payload: &payload, seal },
                Frame::Accept { session, payload: &payload, seal },
                Frame::Reset { session },
                Frame::Data { session, ack, sequence, payload: &payload, seal: None },
                Frame::Data { session, ack, sequence, payload: &payload, seal: Some(seal) },
                Frame::Ack { session, ack },
            ] {
                let encoded = frame.encode();
                prop_assert_eq!(Frame::decode(&encoded, 200), Ok(frame));
                prop_assert_eq!(Frame::decode(&encoded, 9), Err(Malformed::TooLong));
            }
        }

        #[test]
        fn any_bytes_decode_without_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..80), kind in 0u8..8,
        ) {
            let _ = Frame::decode(&bytes, 1000);
            if bytes.len() > 1 {
                (bytes[0], bytes[1]) = (VERSION, kind);
            }
            if let Ok(frame) = Frame::decode(&bytes, 1000) {
                prop_assert_eq!(frame.encode(), bytes);
            }
        }
    }

    #[test]
    fn the_wire_format_is_pinned() {
        let frame = Frame::Data {
            session: 2,
            ack: 3,
            sequence: 4,
            payload: &[0xaa, 0xbb],
            seal: Some(Seal { pad: 5, tag: [6; 16] }),
        };
        let mut expected = vec![1, 5, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([0xaa, 0xbb, 5, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([6; 16]);
        assert_eq!(frame.encode(), expected);
        assert_eq!(expected.len(), OVERHEAD + 2);
        renew_ack(&mut expected, 9);
        assert_eq!(
            Frame::decode(&expected, 100),
            Ok(match frame {
                Frame::Data { session, sequence, payload, seal, .. } => {
                    Frame::Data { session, ack: 9, sequence, payload, seal }
                }
                other => other,
            })
        );
    }
}

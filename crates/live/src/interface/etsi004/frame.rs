//! The binary frames in which existing clients of ETSI GS QKD 004 speak.
//!
//! The standard defines functions, not a wire. This layout is that of the open implementation `etsi-qkd-004` of the
//! QUBIP project, as its client writes and reads it; it is known from that code, not from the standard's text. All
//! integers are big-endian.
//!
//! | field | bytes |
//! |---|---|
//! | version 1, 0, 1 | 3 |
//! | kind: 2 and 3 OPEN_CONNECT and its answer, 4 and 5 GET_KEY, 8 and 9 CLOSE | 1 |
//! | length of what follows | 4 |
//!
//! OPEN_CONNECT: source and destination, each ended by a zero byte; the quality of service (seven numbers of four
//! bytes, and a MIME type in 256); the stream's 16 bytes, all zero if it is to be named. Answer: a status of four
//! bytes; with 0, 1 and 7 the quality of service and the stream. GET_KEY: stream, index, size of the buffer for
//! metadata. Answer: status; with 0 the index, the length of the chunk, the chunk, the length of the metadata, the
//! metadata; with 8 the size that the metadata needs. CLOSE: stream. Answer: status.

use super::status::Status;
use bellwether_protocol::keys::delivery::{KeyStreamId, StreamQos};
use zeroize::Zeroizing;

/// The length of the part before the payload.
pub(super) const HEADER: usize = 8;
/// The longest payload of a request, in bytes.
pub(super) const MAX_PAYLOAD: usize = 4096;
const VERSION: [u8; 3] = [1, 0, 1];
const MIME_TYPE: usize = 256;

/// Why bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The version has another first number.
    #[error("version {0}.{1}.{2} of the frames is not known")]
    Version(u8, u8, u8),
    /// The kind is none of a request.
    #[error("{0} is no kind of request")]
    Kind(u8),
    /// The payload is too long.
    #[error("a request has at most {MAX_PAYLOAD} bytes, not {0}")]
    TooLong(u32),
    /// The payload does not have the form of its kind.
    #[error("the request does not have the form of its kind")]
    Form,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// OPEN_CONNECT.
    Open {
        /// The URI of the one application.
        source: String,
        /// The URI of the other.
        destination: String,
        /// What is asked for.
        qos: StreamQos,
        /// What the metadata of chunks are to be.
        mime_type: String,
        /// The stream, if it has a name.
        stream: Option<KeyStreamId>,
    },
    /// GET_KEY.
    Get {
        /// Of which stream.
        stream: KeyStreamId,
        /// Which chunk.
        index: u32,
        /// How much room the caller has for metadata, in bytes.
        metadata_size: u32,
    },
    /// CLOSE.
    Close {
        /// Which stream.
        stream: KeyStreamId,
    },
}

/// The kind and the length of the payload that follow from the first bytes of a frame.
///
/// # Errors
/// If they begin no request.
pub fn read_header(header: [u8; HEADER]) -> Result<(u8, usize), FrameError> {
    let [major, minor, patch, kind, a, b, c, d] = header;
    if major != VERSION[0] {
        return Err(FrameError::Version(major, minor, patch));
    }
    let length = u32::from_be_bytes([a, b, c, d]);
    if ![2, 4, 8].contains(&kind) {
        return Err(FrameError::Kind(kind));
    }
    if length as usize > MAX_PAYLOAD {
        return Err(FrameError::TooLong(length));
    }
    Ok((kind, length as usize))
}

impl Request {
    /// Reads the payload of a request.
    ///
    /// # Errors
    /// If it does not have the form of its kind.
    pub fn read(kind: u8, payload: &[u8]) -> Result<Self, FrameError> {
        let mut rest = Rest(payload);
        let request = match kind {
            2 => Self::Open {
                source: rest.text()?,
                destination: rest.text()?,
                qos: rest.qos()?,
                mime_type: rest.mime_type()?,
                stream: Some(rest.stream()?).filter(|stream| stream.0 != 0),
            },
            4 => Self::Get { stream: rest.stream()?, index: rest.number()?, metadata_size: rest.number()? },
            8 => Self::Close { stream: rest.stream()? },
            kind => return Err(FrameError::Kind(kind)),
        };
        if rest.0.is_empty() { Ok(request) } else { Err(FrameError::Form) }
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(FrameError::Form)?;
        self.0 = rest;
        Ok(*head)
    }
    fn number(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }
    fn stream(&mut self) -> Result<KeyStreamId, FrameError> {
        self.array().map(|bytes| KeyStreamId(u128::from_be_bytes(bytes)))
    }
    fn text(&mut self) -> Result<String, FrameError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(FrameError::Form)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        String::from_utf8(text.to_vec()).map_err(|_| FrameError::Form)
    }
    fn qos(&mut self) -> Result<StreamQos, FrameError> {
        Ok(StreamQos {
            chunk_bytes: self.number()?,
            max_bps: self.number()?,
            min_bps: self.number()?,
            jitter_bps: self.number()?,
            priority: self.number()?,
            timeout_ms: self.number()?,
            ttl_seconds: self.number()?,
        })
    }
    fn mime_type(&mut self) -> Result<String, FrameError> {
        let bytes: [u8; MIME_TYPE] = self.array()?;
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8(text.to_vec()).map_err(|_| FrameError::Form)
    }
}

/// The answer to OPEN_CONNECT.
pub(super) fn opened(status: Status, qos: &StreamQos, stream: Option<KeyStreamId>) -> Zeroizing<Vec<u8>> {
    let mut payload = status.number().to_be_bytes().to_vec();
    if [Status::Success, Status::PeerAbsent, Status::QosNotMet].contains(&status) {
        for number in [
            qos.chunk_bytes,
            qos.max_bps,
            qos.min_bps,
            qos.jitter_bps,
            qos.priority,
            qos.timeout_ms,
            qos.ttl_seconds,
        ] {
            payload.extend(number.to_be_bytes());
        }
        let end = payload.len() + MIME_TYPE;
        payload.extend(super::METADATA_TYPE.as_bytes());
        payload.resize(end, 0);
        payload.extend(stream.map_or(0, |stream| stream.0).to_be_bytes());
    }
    frame(3, &[&payload])
}

/// The answer to GET_KEY that brings a chunk.
pub(super) fn chunk(index: u32, key: &[u8], metadata: &str) -> Zeroizing<Vec<u8>> {
    let (key_length, metadata_length) = (key.len() as u32, metadata.len() as u32);
    frame(
        5,
        &[
            &Status::Success.number().to_be_bytes(),
            &index.to_be_bytes(),
            &key_length.to_be_bytes(),
            key,
            &metadata_length.to_be_bytes(),
            metadata.as_bytes(),
        ],
    )
}

/// The answer to GET_KEY that brings none.
pub(super) fn no_chunk(status: Status, metadata_needed: u32) -> Zeroizing<Vec<u8>> {
    let number = status.number().to_be_bytes();
    match status {
        Status::MetadataSize => frame(5, &[&number, &metadata_needed.to_be_bytes()]),
        _ => frame(5, &[&number]),
    }
}

/// The answer to CLOSE.
pub(super) fn closed(status: Status) -> Zeroizing<Vec<u8>> {
    frame(9, &[&status.number().to_be_bytes()])
}

fn frame(kind: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    // Room at once: a buffer that grows leaves unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + length));
    bytes.extend(VERSION);
    bytes.push(kind);
    bytes.extend((length as u32).to_be_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open_payload() -> Vec<u8> {
        let mut payload = b"app://bank-a\0app://bank-b\0".to_vec();
        for number in [32u32, 40_000, 5000, 10, 3, 5000, 3600] {
            payload.extend(number.to_be_bytes());
        }
        payload.extend(b"application/json");
        payload.resize(payload.len() + 240, 0);
        payload.extend([0; 16]);
        payload
    }

    #[test]
    fn requests_are_read_as_the_known_client_writes_them() {
        let qos = StreamQos {
            chunk_bytes: 32,
            max_bps: 40_000,
            min_bps: 5000,
            jitter_bps: 10,
            priority: 3,
            timeout_ms: 5000,
            ttl_seconds: 3600,
        };
        let open = Request::Open {
            source: "app://bank-a".to_owned(),
            destination: "app://bank-b".to_owned(),
            qos,
            mime_type: "application/json".to_owned(),
            stream: None,
        };
        assert_eq!(Request::read(2, &open_payload()), Ok(open));
        let mut get = (1..=16).collect::<Vec<u8>>();
        get.extend([0, 0, 0, 7, 0, 0, 4, 0]);
        let stream = KeyStreamId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        assert_eq!(Request::read(4, &get), Ok(Request::Get { stream, index: 7, metadata_size: 1024 }));
        assert_eq!(Request::read(8, &get[..16]), Ok(Request::Close { stream }));
        assert_eq!(read_header([1, 0, 1, 4, 0, 0, 0, 24]), Ok((4, 24)));
        assert_eq!(read_header([2, 0, 1, 4, 0, 0, 0, 24]), Err(FrameError::Version(2, 0, 1)));
        assert_eq!(read_header([1, 0, 1, 5, 0, 0, 0, 24]), Err(FrameError::Kind(5)));
        assert_eq!(read_header([1, 0, 1, 2, 0, 0, 16, 1]), Err(FrameError::TooLong(4097)));
    }

    #[test]
    fn answers_have_the_known_form() {
        let qos = StreamQos { chunk_bytes: 1, ttl_seconds: 7, ..StreamQos::default() };
        let answer = opened(Status::PeerAbsent, &qos, Some(KeyStreamId(5)));
        assert_eq!(answer.len(), 8 + 4 + 28 + 256 + 16);
        assert_eq!(answer[..16], [1, 0, 1, 3, 0, 0, 1, 48, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!((&answer[36..40], &answer[40..56]), (&[0, 0, 0, 7][..], &b"application/json"[..]));
        assert_eq!((answer[56], answer[311]), (0, 5));
        let answer = opened(Status::InUse, &qos, None);
        assert_eq!(answer[..], [1, 0, 1, 3, 0, 0, 0, 4, 0, 0, 0, 5]);
        let answer = chunk(9, &[0xaa; 3], "{}");
        let (head, rest) = answer.split_at(8);
        assert_eq!(head, [1, 0, 1, 5, 0, 0, 0, 21]);
        assert_eq!(rest, [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 3, 0xaa, 0xaa, 0xaa, 0, 0, 0, 2, b'{', b'}']);
        assert_eq!(no_chunk(Status::MetadataSize, 82)[8..], [0, 0, 0, 8, 0, 0, 0, 82]);
        assert_eq!(no_chunk(Status::Insufficient, 82)[8..], [0, 0, 0, 2]);
        assert_eq!(closed(Status::Success)[..], [1, 0, 1, 9, 0, 0, 0, 4, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_request_or_none(kind: u8, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Request::read(kind, &bytes);
        }
        #[test]
        fn a_request_that_is_cut_is_none(cut in 0usize..326) {
            let payload = open_payload();
            prop_assert_eq!(payload.len(), 326);
            prop_assert_eq!(Request::read(2, &payload[..cut]), Err(FrameError::Form));
        }
    }
}

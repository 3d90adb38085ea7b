//! Detection files: what the devices at one end of a link saw or sent, to be played to a node later.
//!
//! Two files make a recording: the receiver's holds windows of clicks, the transmitter's what was prepared in
//! their pulses. The format is told byte by byte in the book's page "Detection files", so that a device's own
//! software can write it. Records are written and read one by one; each carries a checksum.

use super::Side;
use super::columns::{
    MOST_PULSES, agree, is_sound, put_detections, put_preparations, put_pulses, room, take_detections,
    take_number, take_preparations, take_pulses,
};
use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use bellwether_protocol::qkd::wire::{Malformed, Reader, Writer};
use bellwether_sim::emulator::LinkEmulator;
use bellwether_sim::run::RunError;
use bellwether_units::Time;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// What a detection file begins with.
const MAGIC: [u8; 8] = *b"BwDetect";
/// The version of the format.
const VERSION: u8 = 1;
/// The longest header and the longest record, without length and checksum.
const HEADER_LIMIT: usize = 4096;
const RECORD_LIMIT: usize = 16 << 20;
/// The longest name of a link.
const NAME_LIMIT: u64 = 256;
/// Bytes of a checksum: the first of a SHA-256.
const CHECKSUM: usize = 8;

/// What a file begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Whose file it is.
    pub side: Side,
    /// The recording: the same in both files of one, and in no other.
    pub run: u64,
    /// Pulses that leave the transmitter in a second.
    pub pulse_rate: f64,
    /// The link's name, for people.
    pub link: String,
}

/// One record of a file.
#[derive(Clone)]
pub enum Record {
    /// A receiver's window.
    Window(Detections),
    /// What a transmitter prepared in a stretch of pulses.
    Sent {
        /// The stretch's first pulse.
        first_pulse: PulseNumber,
        /// How many pulses it spans.
        pulse_count: u64,
        /// The pulses that are told of, rising. A device that tells of all of them lists all.
        pulses: Vec<PulseNumber>,
        /// What was prepared in them.
        preparations: Preparations,
    },
    /// From this instant on the end sees light, or none.
    Light {
        /// The instant, from the beginning of the recording.
        at: Time,
        /// Whether light is seen.
        seen: bool,
    },
    /// The recording ended here, as it was meant to.
    End,
}

/// Why a detection file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// It is no detection file.
    #[error("this is no detection file: it does not begin with `BwDetect`")]
    NotOne,
    /// The bytes at `at` are no record.
    #[error("the record at byte {at} is damaged: {what}")]
    Malformed {
        /// Where it begins.
        at: u64,
        /// What is wrong.
        what: Malformed,
    },
    /// The checksum of the record at `at` differs.
    #[error("the record at byte {at} is damaged: its checksum differs")]
    Checksum {
        /// Where it begins.
        at: u64,
    },
    /// The file stops without an end, at `at`.
    #[error("the file stops at byte {at} in the middle of a recording")]
    Stops {
        /// Where.
        at: u64,
    },
    /// A record does not follow from those before it, or belongs in the other end's file.
    #[error("the record at byte {at} is out of place: {what}")]
    OutOfPlace {
        /// Where it begins.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// What is to be written contradicts itself.
    #[error("a record that contradicts itself is not written")]
    Unsound,
    /// The emulated link cannot be.
    #[error(transparent)]
    Link(#[from] RunError),
}

/// Writes a detection file.
pub struct RecordingWriter<W: Write> {
    file: W,
    order: Order,
}

impl<W: Write> RecordingWriter<W> {
    /// Begins a file. Wrap `file` in a buffer.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(mut file: W, header: &Header) -> Result<Self, RecordingError> {
        let mut out = Writer::with_capacity(64 + header.link.len());
        out.u8(match header.side {
            Side::Receiver => 0,
            Side::Transmitter => 1,
        });
        out.u64(header.run);
        out.u64(header.pulse_rate.to_bits());
        out.block(header.link.as_bytes());
        let fields = out.finish();
        if Header::decode(&fields).is_err() {
            return Err(RecordingError::Unsound);
        }
        file.write_all(&MAGIC)?;
        file.write_all(&[VERSION])?;
        write_record(&mut file, &fields)?;
        Ok(Self { file, order: Order::new(header.side) })
    }

    /// Appends a record.
    ///
    /// # Errors
    /// If it contradicts itself or those before it, or the file cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<(), RecordingError> {
        if !record.is_sound() || self.order.admit(record).is_err() {
            return Err(RecordingError::Unsound);
        }
        write_record(&mut self.file, &record.encode())
    }

    /// Ends the recording and gives the file back.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<W, RecordingError> {
        self.append(&Record::End)?;
        self.file.flush()?;
        Ok(self.file)
    }
}

fn write_record(file: &mut impl Write, body: &[u8]) -> Result<(), RecordingError> {
    let length = u32::try_from(body.len()).map_err(|_| RecordingError::Unsound)?.to_le_bytes();
    file.write_all(&length)?;
    file.write_all(body)?;
    file.write_all(&checksum(length, body))?;
    Ok(())
}

fn checksum(length: [u8; 4], body: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::new().chain_update(length).chain_update(body).finalize();
    core::array::from_fn(|i| digest[i])
}

/// Reads a detection file, record by record.
pub struct RecordingReader<R: Read> {
    file: R,
    header: Header,
    at: u64,
    order: Order,
}

impl<R: Read> RecordingReader<R> {
    /// Reads the beginning of a file. Wrap `file` in a buffer.
    ///
    /// # Errors
    /// If it is no detection file of this version.
    pub fn new(mut file: R) -> Result<Self, RecordingError> {
        let mut begin = [0; MAGIC.len() + 1];
        file.read_exact(&mut begin).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => RecordingError::NotOne,
            _ => RecordingError::File(error),
        })?;
        if begin[..MAGIC.len()] != MAGIC {
            return Err(RecordingError::NotOne);
        }
        let mut at = begin.len() as u64;
        let malformed = |what| RecordingError::Malformed { at: MAGIC.len() as u64, what };
        if begin[MAGIC.len()] != VERSION {
            return Err(malformed(Malformed::Version(begin[MAGIC.len()])));
        }
        let fields = read_record(&mut file, &mut at, HEADER_LIMIT)?;
        let header = Header::decode(&fields).map_err(malformed)?;
        let order = Order::new(header.side);
        Ok(Self { file, header, at, order })
    }

    /// What the file begins with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next record; after [`Record::End`] nothing.
    ///
    /// # Errors
    /// If the file is damaged, out of order or stops.
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordingError> {
        if self.order.ended {
            return Ok(None);
        }
        let begins = self.at;
        let body = read_record(&mut self.file, &mut self.at, RECORD_LIMIT)?;
        let record = Record::decode(&body).map_err(|what| RecordingError::Malformed { at: begins, what })?;
        self.order.admit(&record).map_err(|what| RecordingError::OutOfPlace { at: begins, what })?;
        Ok(Some(record))
    }
}

fn read_record(
    file: &mut impl Read,
    at: &mut u64,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, RecordingError> {
    let begins = *at;
    let mut fill = |bytes: &mut [u8]| match file.read_exact(bytes) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(RecordingError::Stops { at: begins })
        }
        Err(error) => Err(error.into()),
    };
    let mut length = [0; 4];
    fill(&mut length)?;
    let size = u32::from_le_bytes(length) as usize;
    if size > limit {
        return Err(RecordingError::Malformed { at: begins, what: Malformed::TooLong });
    }
    let mut body = Zeroizing::new(vec![0; size]);
    fill(&mut body)?;
    let mut sum = [0; CHECKSUM];
    fill(&mut sum)?;
    if sum != checksum(length, &body) {
        return Err(RecordingError::Checksum { at: begins });
    }
    *at += (length.len() + size + CHECKSUM) as u64;
    Ok(body)
}

impl Header {
    fn decode(fields: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(fields);
        let side = match input.u8()? {
            0 => Side::Receiver,
            1 => Side::Transmitter,
            _ => return Err(Malformed::Value("whose file it is")),
        };
        let (run, pulse_rate) = (input.u64()?, take_number(&mut input)?);
        if pulse_rate <= 0.0 {
            return Err(Malformed::Value("the pulse rate"));
        }
        let len = input.count_up_to(NAME_LIMIT, "the length of a name")? as usize;
        let link = String::from_utf8(input.bytes(len)?.to_vec()).map_err(|_| Malformed::Value("a name"))?;
        input.finish()?;
        Ok(Self { side, run, pulse_rate, link })
    }
}

impl Record {
    fn is_sound(&self) -> bool {
        match self {
            Self::Window(detections) => is_sound(detections),
            Self::Sent { first_pulse, pulse_count, pulses, preparations } => {
                let end = first_pulse.checked_add(*pulse_count);
                end.is_some_and(|end| pulses.last().is_none_or(|&last| last < end))
                    && pulses.first().is_none_or(|first| first >= first_pulse)
                    && pulses.windows(2).all(|pair| pair[0] < pair[1])
                    && pulses.len() as u64 <= MOST_PULSES
                    && pulses.len() == preparations.intensities.len()
                    && agree(preparations)
            }
            Self::Light { .. } | Self::End => true,
        }
    }

    /// The kind and fields, without length and checksum.
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out;
        match self {
            Self::Window(detections) => {
                out = Writer::with_capacity(room(detections.pulses.len()));
                out.u8(1);
                put_detections(&mut out, detections);
            }
            Self::Sent { first_pulse, pulse_count, pulses, preparations } => {
                out = Writer::with_capacity(room(pulses.len()));
                out.u8(2);
                out.u64(*first_pulse);
                out.u64(*pulse_count);
                put_pulses(&mut out, *first_pulse, pulses);
                put_preparations(&mut out, preparations);
            }
            Self::Light { at, seen } => {
                out = Writer::with_capacity(10);
                out.u8(3);
                out.u64(at.picoseconds());
                out.u8(u8::from(*seen));
            }
            Self::End => {
                out = Writer::with_capacity(1);
                out.u8(4);
            }
        }
        Zeroizing::new(out.finish())
    }

    fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(body);
        let record = match input.u8()? {
            1 => Self::Window(take_detections(&mut input)?),
            2 => {
                let (first_pulse, pulse_count) = (input.u64()?, input.u64()?);
                let end = first_pulse.checked_add(pulse_count);
                let end = end.ok_or(Malformed::Value("the stretch's length"))?;
                let pulses = take_pulses(&mut input, first_pulse, end)?;
                let preparations = take_preparations(&mut input)?;
                if preparations.intensities.len() != pulses.len() {
                    return Err(Malformed::Value("the number of preparations"));
                }
                Self::Sent { first_pulse, pulse_count, pulses, preparations }
            }
            3 => {
                let at = Time::from_picoseconds(input.u64()?);
                let seen = match input.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(Malformed::Value("a yes or no")),
                };
                Self::Light { at, seen }
            }
            4 => Self::End,
            kind => return Err(Malformed::Kind(kind)),
        };
        input.finish()?;
        Ok(record)
    }
}

/// What may follow in a file.
struct Order {
    side: Side,
    next_pulse: PulseNumber,
    ended: bool,
}

impl Order {
    fn new(side: Side) -> Self {
        Self { side, next_pulse: 0, ended: false }
    }

    fn admit(&mut self, record: &Record) -> Result<(), &'static str> {
        if self.ended {
            return Err("it comes after the end");
        }
        let (first, count) = match (record, self.side) {
            (Record::Window(window), Side::Receiver) => (window.first_pulse, window.pulse_count),
            (Record::Sent { first_pulse, pulse_count, .. }, Side::Transmitter) => {
                (*first_pulse, *pulse_count)
            }
            (Record::Light { .. }, _) => return Ok(()),
            (Record::End, _) => {
                self.ended = true;
                return Ok(());
            }
            (Record::Window(_), Side::Transmitter) => return Err("clicks belong in the receiver's file"),
            (Record::Sent { .. }, Side::Receiver) => {
                return Err("preparations belong in the transmitter's file");
            }
        };
        if first < self.next_pulse {
            return Err("its pulses were recorded before");
        }
        self.next_pulse = first.saturating_add(count);
        Ok(())
    }
}

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Windows.
    pub windows: u64,
    /// Clicks in them.
    pub clicks: u64,
    /// Pulses that flew.
    pub pulses: u64,
}

/// Records an emulated link, of this name, up to `until` of the network's time into the two ends' files.
///
/// # Errors
/// If the link cannot be emulated, or a file cannot be written.
pub fn record<R: Write, T: Write>(
    emulator: &mut LinkEmulator,
    link: &str,
    run: u64,
    until: Time,
    receiver: R,
    transmitter: T,
) -> Result<Recorded, RecordingError> {
    let pulse_rate = emulator.pulse_rate();
    let header = |side| Header { side, run, pulse_rate, link: link.to_owned() };
    let mut receiver = RecordingWriter::new(receiver, &header(Side::Receiver))?;
    let mut transmitter = RecordingWriter::new(transmitter, &header(Side::Transmitter))?;
    let mut recorded = Recorded { windows: 0, clicks: 0, pulses: 0 };
    let mut light = None;
    let mut at = Time::ZERO;
    while emulator.next_window_ends() <= until {
        let seen = emulator.light();
        if light != Some(seen) {
            receiver.append(&Record::Light { at, seen: seen.at_receiver })?;
            transmitter.append(&Record::Light { at, seen: seen.at_transmitter })?;
            light = Some(seen);
        }
        at = emulator.next_window_ends();
        recorded.pulses += emulator.window_pulses();
        let Some(detections) = emulator.next_window()? else { continue };
        let preparations = emulator.recall(&detections.pulses);
        recorded.windows += 1;
        recorded.clicks += detections.pulses.len() as u64;
        transmitter.append(&Record::Sent {
            first_pulse: detections.first_pulse,
            pulse_count: detections.pulse_count,
            pulses: detections.pulses.clone(),
            preparations,
        })?;
        receiver.append(&Record::Window(detections))?;
    }
    receiver.finish()?;
    transmitter.finish()?;
    Ok(recorded)
}

//! The frames between a node, or a tester, and a physical layer.
//!
//! A frame is a length (four bytes, little-endian, of what follows), a kind (one byte) and the fields of that
//! kind. The asking side begins with [`Ask::Hello`], which carries the version. Frames travel inside TLS; who
//! speaks is known from its certificate and never from a frame.

use super::Side;
use super::columns::{
    MOST_PULSES, put_detections, put_preparations, put_pulses, room, take_detections, take_number,
    take_preparations, take_pulses,
};
use bellwether_network::{Attack, EavesdropperBasis, LinkEvent};
use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use bellwether_protocol::qkd::wire::{Malformed, Reader, Writer};
use bellwether_units::{Current, Duration, Loss};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The version of the frames.
pub const VERSION: u8 = 1;
/// The longest frame, without its length.
pub const FRAME_LIMIT: usize = 16 << 20;
/// What a first frame begins with.
const MAGIC: [u8; 4] = *b"BwPL";
/// The longest name of a link.
const NAME_LIMIT: u64 = 256;

/// What somebody wants of a physical layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To have the devices of one end.
    Devices(Side),
    /// To make things happen to the link.
    Control,
    /// To have the devices of a node that entangle; frames are those of [`memories::wire`](crate::memories::wire) from then
    /// on. No link is named.
    Memories,
}

/// What is said to a physical layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// The first frame of a connection.
    Hello {
        /// What is wanted.
        role: Role,
        /// The link's name.
        link: String,
    },
    /// A receiver takes so many windows more.
    Credit(u32),
    /// A transmitter asks for preparations.
    Recall {
        /// To be answered with.
        request: u64,
        /// The pulses, rising.
        pulses: Vec<PulseNumber>,
    },
    /// Something is to happen to the link's light.
    Inject {
        /// What; never an event of the classical channel, of which there is none here.
        event: LinkEvent,
        /// For how long; `None`: until it is withdrawn.
        lasting: Option<Duration>,
    },
    /// What was injected under this number is to end; `None`: everything that was injected.
    Withdraw(Option<u64>),
}

/// What a physical layer says.
#[derive(Clone)]
pub enum Tell {
    /// The first frame: the connection stands.
    Welcome {
        /// The run of the devices.
        run: u64,
        /// Whether this end sees light.
        light: bool,
        /// Pulses a window.
        window_pulses: u64,
        /// Pulses a second.
        pulse_rate: f64,
    },
    /// A window, for a receiver that had credit.
    Window {
        /// Windows lost so far.
        lost: u64,
        /// The clicks.
        detections: Detections,
    },
    /// The answer to a recall.
    Prepared {
        /// Its number.
        request: u64,
        /// What had been prepared; nothing if that is not told.
        preparations: Preparations,
    },
    /// Whether this end sees light.
    Light(bool),
    /// The event happens, under this number.
    Injected(u64),
    /// Whether anything was withdrawn.
    Withdrawn(bool),
    /// What was asked is not done, and why.
    Refused(String),
}

/// Why a frame was not read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed or ended.
    #[error(transparent)]
    Stream(#[from] io::Error),
    /// The bytes are no frame.
    #[error("a malformed frame: {0}")]
    Malformed(#[from] Malformed),
}

impl Ask {
    /// The kind and fields, without a length. An event that has nothing to do with light gives nothing.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Writer::with_capacity(64);
        match self {
            Self::Hello { role, link } => {
                out.u8(1);
                out.bytes(&MAGIC);
                out.u8(VERSION);
                out.u8(match role {
                    Role::Devices(Side::Receiver) => 0,
                    Role::Devices(Side::Transmitter) => 1,
                    Role::Control => 2,
                    Role::Memories => 3,
                });
                out.block(link.as_bytes());
            }
            Self::Credit(windows) => {
                out.u8(2);
                out.count(u64::from(*windows));
            }
            Self::Recall { request, pulses } => {
                out.u8(3);
                out.u64(*request);
                put_pulses(&mut out, 0, pulses);
            }
            Self::Inject { event, lasting } => {
                out.u8(4);
                put_event(&mut out, event)?;
                match lasting {
                    None => out.u8(0),
                    Some(lasting) => {
                        out.u8(1);
                        out.u64(lasting.picoseconds());
                    }
                }
            }
            Self::Withdraw(number) => {
                out.u8(5);
                out.u8(u8::from(number.is_some()));
                out.u64(number.unwrap_or(0));
            }
        }
        Some(out.finish())
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let ask = match input.u8()? {
            1 => {
                if input.array::<4>()? != MAGIC {
                    return Err(Malformed::Value("the mark of a physical layer"));
                }
                let version = input.u8()?;
                if version != VERSION {
                    return Err(Malformed::Version(version));
                }
                let role = match input.u8()? {
                    0 => Role::Devices(Side::Receiver),
                    1 => Role::Devices(Side::Transmitter),
                    2 => Role::Control,
                    3 => Role::Memories,
                    _ => return Err(Malformed::Value("a role")),
                };
                let len = input.count_up_to(NAME_LIMIT, "the length of a name")? as usize;
                let link = String::from_utf8(input.bytes(len)?.to_vec());
                Self::Hello { role, link: link.map_err(|_| Malformed::Value("a name"))? }
            }
            2 => Self::Credit(input.count_up_to(u64::from(u32::MAX), "a credit")? as u32),
            3 => {
                let request = input.u64()?;
                Self::Recall { request, pulses: take_pulses(&mut input, 0, PulseNumber::MAX)? }
            }
            4 => {
                let event = take_event(&mut input)?;
                let lasting = match input.u8()? {
                    0 => None,
                    1 => Some(Duration::from_picoseconds(input.u64()?)),
                    _ => return Err(Malformed::Value("the mark of a duration")),
                };
                Self::Inject { event, lasting }
            }
            5 => match (input.u8()?, input.u64()?) {
                (0, 0) => Self::Withdraw(None),
                (1, number) => Self::Withdraw(Some(number)),
                _ => return Err(Malformed::Value("the number of an event")),
            },
            kind => return Err(Malformed::Kind(kind)),
        };
        input.finish()?;
        Ok(ask)
    }
}

impl Tell {
    /// The kind and fields, without a length.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out;
        match self {
            Self::Welcome { run, light, window_pulses, pulse_rate } => {
                out = Writer::with_capacity(64);
                out.u8(0x81);
                out.u8(VERSION);
                out.u64(*run);
                out.u8(u8::from(*light));
                out.u64(*window_pulses);
                out.u64(pulse_rate.to_bits());
            }
            Self::Window { lost, detections } => {
                out = Writer::with_capacity(room(detections.pulses.len()));
                out.u8(0x82);
                out.u64(*lost);
                put_detections(&mut out, detections);
            }
            Self::Prepared { request, preparations } => {
                out = Writer::with_capacity(room(preparations.intensities.len()));
                out.u8(0x83);
                out.u64(*request);
                put_preparations(&mut out, preparations);
            }
            Self::Light(light) => {
                out = Writer::with_capacity(2);
                out.u8(0x84);
                out.u8(u8::from(*light));
            }
            Self::Injected(number) => {
                out = Writer::with_capacity(9);
                out.u8(0x85);
                out.u64(*number);
            }
            Self::Withdrawn(any) => {
                out = Writer::with_capacity(2);
                out.u8(0x86);
                out.u8(u8::from(*any));
            }
            Self::Refused(why) => {
                out = Writer::with_capacity(16 + why.len());
                out.u8(0x87);
                out.block(why.as_bytes());
            }
        }
        Zeroizing::new(out.finish())
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let tell = match input.u8()? {
            0x81 => {
                let version = input.u8()?;
                if version != VERSION {
                    return Err(Malformed::Version(version));
                }
                let (run, light, window_pulses) = (input.u64()?, input.flag()?, input.u64()?);
                Self::Welcome { run, light, window_pulses, pulse_rate: take_number(&mut input)? }
            }
            0x82 => Self::Window { lost: input.u64()?, detections: take_detections(&mut input)? },
            0x83 => Self::Prepared { request: input.u64()?, preparations: take_preparations(&mut input)? },
            0x84 => Self::Light(input.flag()?),
            0x85 => Self::Injected(input.u64()?),
            0x86 => Self::Withdrawn(input.flag()?),
            0x87 => {
                let why = String::from_utf8(input.block()?.to_vec());
                Self::Refused(why.map_err(|_| Malformed::Value("a reason"))?)
            }
            kind => return Err(Malformed::Kind(kind)),
        };
        input.finish()?;
        Ok(tell)
    }
}

/// An event that happens to light; the others give nothing.
fn put_event(out: &mut Writer, event: &LinkEvent) -> Option<()> {
    let mut numbers = |kind: u8, numbers: &[u64]| {
        out.u8(kind);
        numbers.iter().for_each(|&number| out.u64(number));
    };
    match event {
        LinkEvent::Cut => numbers(1, &[]),
        LinkEvent::Repair => numbers(2, &[]),
        LinkEvent::LossStep { loss } => numbers(3, &[loss.decibels().to_bits()]),
        LinkEvent::Misalignment { value, over } => numbers(4, &[value.to_bits(), over.picoseconds()]),
        LinkEvent::ClockOffset { offset } => numbers(5, &[offset.picoseconds()]),
        LinkEvent::Attack(Attack::InterceptResend { fraction, basis }) => {
            let basis = match basis {
                EavesdropperBasis::Random => 0,
                EavesdropperBasis::Key => 1,
                EavesdropperBasis::Check => 2,
                EavesdropperBasis::Breidbart => 3,
            };
            numbers(6, &[fraction.to_bits(), basis]);
        }
        LinkEvent::Attack(Attack::PhotonNumberSplitting { fraction }) => numbers(7, &[fraction.to_bits()]),
        LinkEvent::Attack(Attack::BeamSplitting) => numbers(8, &[]),
        LinkEvent::Attack(Attack::Blinding { bias_current }) => {
            numbers(9, &[bias_current.amperes().to_bits()]);
        }
        LinkEvent::Attack(Attack::ManInTheMiddle { .. })
        | LinkEvent::MessageLoss { .. }
        | LinkEvent::MessageDelay { .. }
        | LinkEvent::MessageDuplication { .. }
        | LinkEvent::MessageReordering { .. } => return None,
    }
    Some(())
}

/// What [`put_event`] wrote. Whether its values are possible, the emulator judges.
fn take_event(input: &mut Reader<'_>) -> Result<LinkEvent, Malformed> {
    Ok(match input.u8()? {
        1 => LinkEvent::Cut,
        2 => LinkEvent::Repair,
        3 => LinkEvent::LossStep { loss: Loss::from_decibels(take_number(input)?) },
        4 => LinkEvent::Misalignment {
            value: take_number(input)?,
            over: Duration::from_picoseconds(input.u64()?),
        },
        5 => LinkEvent::ClockOffset { offset: Duration::from_picoseconds(input.u64()?) },
        6 => LinkEvent::Attack(Attack::InterceptResend {
            fraction: take_number(input)?,
            basis: match input.u64()? {
                0 => EavesdropperBasis::Random,
                1 => EavesdropperBasis::Key,
                2 => EavesdropperBasis::Check,
                3 => EavesdropperBasis::Breidbart,
                _ => return Err(Malformed::Value("a basis")),
            },
        }),
        7 => LinkEvent::Attack(Attack::PhotonNumberSplitting { fraction: take_number(input)? }),
        8 => LinkEvent::Attack(Attack::BeamSplitting),
        9 => {
            let bias_current = Current::from_amperes(take_number(input)?);
            LinkEvent::Attack(Attack::Blinding { bias_current })
        }
        _ => return Err(Malformed::Value("an event")),
    })
}

/// Writes one frame.
///
/// # Errors
/// If the stream fails.
pub async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).ok().filter(|_| frame.len() <= FRAME_LIMIT);
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a frame beyond the limit"))?;
    stream.write_all(&length.to_le_bytes()).await?;
    stream.write_all(frame).await?;
    stream.flush().await
}

/// Reads one frame of at most `limit` bytes. Memory grows with what arrives, not with what is promised.
///
/// # Errors
/// If the stream fails or ends, or the frame is empty or longer.
pub async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    const STEP: usize = 256 << 10;
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > limit {
        return Err(Malformed::TooLong.into());
    }
    if length == 0 {
        return Err(Malformed::Truncated.into());
    }
    let mut frame = Zeroizing::new(Vec::with_capacity(length.min(STEP)));
    while frame.len() < length {
        let have = frame.len();
        if have == frame.capacity() {
            // Growing by hand leaves no copy that is not wiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(length.min(have * 4)));
            larger.extend_from_slice(&frame);
            frame = larger;
        }
        let end = length.min(frame.capacity());
        frame.resize(end, 0);
        stream.read_exact(&mut frame[have..end]).await?;
    }
    Ok(frame)
}

/// The longest frame that anybody has reason to send to a physical layer: a recall of a whole window.
pub const ASK_LIMIT: usize = 64 + 10 * MOST_PULSES as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_bits::BitString;
    use bellwether_units::Time;
    use proptest::prelude::*;

    fn window(seed: u64, clicks: usize) -> Detections {
        let mut rng = bellwether_units::Stream::new(
            seed,
            bellwether_units::EntityId(0),
            bellwether_units::Purpose::named("frames"),
        );
        Detections {
            first_pulse: 1000,
            pulse_count: 10 * clicks as u64,
            ended: Time::from_picoseconds(77),
            pulses: (0..clicks as u64).map(|i| 1000 + 10 * i + rng.below(10)).collect(),
            bases: BitString::random(clicks, &mut rng),
            outcomes: BitString::random(clicks, &mut rng),
            double_clicks: clicks as u64 / 10,
            bias_current: seed.is_multiple_of(2).then(|| Current::from_amperes(1e-6)),
        }
    }

    #[test]
    fn asks_are_read_as_they_were_written() {
        let events = [
            LinkEvent::Cut,
            LinkEvent::Repair,
            LinkEvent::LossStep { loss: Loss::from_decibels(2.5) },
            LinkEvent::Misalignment { value: 0.1, over: Duration::from_milliseconds(3) },
            LinkEvent::ClockOffset { offset: Duration::from_nanoseconds(2) },
            LinkEvent::Attack(Attack::InterceptResend { fraction: 0.3, basis: EavesdropperBasis::Breidbart }),
            LinkEvent::Attack(Attack::PhotonNumberSplitting { fraction: 1.0 }),
            LinkEvent::Attack(Attack::BeamSplitting),
            LinkEvent::Attack(Attack::Blinding { bias_current: Current::from_amperes(0.001) }),
        ];
        let mut asks = vec![
            Ask::Hello { role: Role::Control, link: "Alice-Bob".to_owned() },
            Ask::Hello { role: Role::Memories, link: String::new() },
            Ask::Hello { role: Role::Devices(Side::Transmitter), link: String::new() },
            Ask::Credit(4),
            Ask::Recall { request: 9, pulses: vec![0, 1, 5, 1 << 60] },
            Ask::Withdraw(None),
            Ask::Withdraw(Some(0)),
        ];
        for (i, event) in events.into_iter().enumerate() {
            let lasting = (i % 2 == 0).then(|| Duration::from_whole_seconds(1));
            asks.push(Ask::Inject { event, lasting });
        }
        for ask in asks {
            assert_eq!(Ask::decode(&ask.encode().unwrap()), Ok(ask));
        }
        let classical = LinkEvent::MessageLoss { probability: 0.1 };
        assert!(Ask::Inject { event: classical, lasting: None }.encode().is_none());
    }

    #[test]
    fn a_window_is_read_as_it_was_written() {
        for clicks in [0, 1, 63, 64, 1000] {
            let sent = window(clicks as u64, clicks);
            let bytes = Tell::Window { lost: 3, detections: sent.clone() }.encode();
            let Ok(Tell::Window { lost: 3, detections: read }) = Tell::decode(&bytes) else {
                panic!("a window");
            };
            assert_eq!(
                (read.first_pulse, read.pulse_count, read.ended),
                (1000, sent.pulse_count, sent.ended)
            );
            assert!(read.pulses == sent.pulses && read.bases == sent.bases && read.outcomes == sent.outcomes);
            assert_eq!((read.double_clicks, read.bias_current), (sent.double_clicks, sent.bias_current));
            for cut in 0..bytes.len().min(100) {
                assert!(Tell::decode(&bytes[..cut]).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_back_alike(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(ask) = Ask::decode(&bytes) {
                prop_assert_eq!(ask.encode().unwrap(), bytes.clone());
            }
            if let Ok(tell) = Tell::decode(&bytes) {
                prop_assert_eq!(&tell.encode()[..], &bytes[..]);
            }
        }

        #[test]
        fn a_changed_byte_never_panics(at in 0usize..2000, to: u8, clicks in 0usize..200) {
            let mut bytes = Tell::Window { lost: 0, detections: window(5, clicks) }.encode();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(tell) = Tell::decode(&bytes) {
                prop_assert_eq!(&tell.encode()[..], &bytes[..]);
            }
        }
    }
}

//! The frames between a node and the devices that entangle, after the greeting of
//! [`hardware::wire`](crate::hardware::wire): a kind (one byte) and its fields.

use crate::programs::fields::{Failure, put_operation, put_text, take_operation, take_text};
use bellwether_protocol::application::{Operated, OperationError, ProcessorCommand, QubitPlace};
use bellwether_protocol::entanglement::MemoryId;
use bellwether_protocol::entanglement::hardware::{HardwareCommand, HardwareEvent};
use bellwether_protocol::qkd::wire::{Malformed, Reader, Writer};
use bellwether_units::Time;
use zeroize::Zeroizing;

/// The version of the frames.
pub const VERSION: u8 = 1;
/// The longest frame either side has reason to send.
pub const FRAME_LIMIT: usize = 8 << 10;
/// No operation has more outcomes.
const MOST_OUTCOMES: u64 = 2;

/// What a node says to its devices.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// What its stack wants.
    Stack(HardwareCommand),
    /// What the seat of its program wants.
    Processor(ProcessorCommand),
}

/// What its devices say to a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Tell {
    /// The first frame: the devices are this node's, and all its memories are empty.
    Welcome {
        /// The life that the node's stack begins: greater than all before.
        life: u32,
        /// The time of the devices, which is that of all nodes.
        now: Time,
        /// How many memories the processor has for qubits of programs.
        local_qubits: u16,
    },
    /// Something for the stack.
    Stack(HardwareEvent),
    /// Something for the seat of the program.
    Operated(Operated),
    /// What was asked is not this node's to ask, and why; the devices hang up.
    Refused(String),
}

fn put_place(out: &mut Writer, place: QubitPlace) {
    match place {
        QubitPlace::Memory(MemoryId(memory)) => {
            out.u8(0);
            out.count(memory.into());
        }
        QubitPlace::Local(local) => {
            out.u8(1);
            out.count(local.into());
        }
    }
}
fn take_u16(input: &mut Reader<'_>) -> Result<u16, Malformed> {
    Ok(input.count_up_to(u16::MAX.into(), "the number of a memory")? as u16)
}
fn take_place(input: &mut Reader<'_>) -> Result<QubitPlace, Malformed> {
    match input.u8()? {
        0 => Ok(QubitPlace::Memory(MemoryId(take_u16(input)?))),
        1 => Ok(QubitPlace::Local(take_u16(input)?)),
        _ => Err(Malformed::Value("the place of a qubit")),
    }
}

impl Ask {
    /// The kind and fields.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64);
        match self {
            Self::Stack(command) => {
                out.u8(1);
                out.bytes(&command.encode());
            }
            Self::Processor(ProcessorCommand::Zero { local }) => {
                out.u8(2);
                out.count((*local).into());
            }
            Self::Processor(ProcessorCommand::Discard { local }) => {
                out.u8(3);
                out.count((*local).into());
            }
            Self::Processor(ProcessorCommand::Operate { request, operation }) => {
                out.u8(4);
                out.count(*request);
                put_operation(&mut out, operation, put_place);
            }
        }
        out.finish()
    }
    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let command = match input.u8()? {
            1 => return HardwareCommand::decode(input.rest()).map(Self::Stack),
            2 => ProcessorCommand::Zero { local: take_u16(&mut input)? },
            3 => ProcessorCommand::Discard { local: take_u16(&mut input)? },
            4 => {
                let request = input.count()?;
                ProcessorCommand::Operate { request, operation: take_operation(&mut input, take_place)? }
            }
            kind => return Err(Malformed::Kind(kind)),
        };
        input.finish()?;
        Ok(Self::Processor(command))
    }
}

impl Tell {
    /// The kind and fields. Outcomes may become key, so the bytes are wiped after use.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(96);
        match self {
            Self::Welcome { life, now, local_qubits } => {
                out.u8(0x81);
                out.u8(VERSION);
                out.count((*life).into());
                out.u64(now.picoseconds());
                out.count((*local_qubits).into());
            }
            Self::Stack(event) => {
                out.u8(0x82);
                out.bytes(&Zeroizing::new(event.encode()));
            }
            Self::Operated(Operated { request, result }) => {
                out.u8(0x83);
                out.count(*request);
                match result {
                    Ok(outcomes) => {
                        out.u8(0);
                        out.count(outcomes.len() as u64);
                        outcomes.iter().for_each(|outcome| out.u8(u8::from(*outcome)));
                    }
                    Err(error) => {
                        out.u8(1);
                        error.put(&mut out);
                    }
                }
            }
            Self::Refused(why) => {
                out.u8(0x84);
                put_text(&mut out, why);
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
                let life = input.count_up_to(u32::MAX.into(), "a life")? as u32;
                let now = Time::from_picoseconds(input.u64()?);
                Self::Welcome { life, now, local_qubits: take_u16(&mut input)? }
            }
            0x82 => return HardwareEvent::decode(input.rest()).map(Self::Stack),
            0x83 => {
                let request = input.count()?;
                let result = if input.flag()? {
                    Err(OperationError::take(&mut input)?)
                } else {
                    let count = input.count_up_to(MOST_OUTCOMES, "the number of outcomes")?;
                    Ok((0..count).map(|_| input.flag()).collect::<Result<_, _>>()?)
                };
                Self::Operated(Operated { request, result })
            }
            0x84 => Self::Refused(take_text(&mut input)?),
            kind => return Err(Malformed::Kind(kind)),
        };
        input.finish()?;
        Ok(tell)
    }
}

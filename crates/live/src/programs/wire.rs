//! The frames between a program's process and its node.
//!
//! A frame is a length (four bytes, little-endian, of what follows), a kind (one byte) and the fields of that
//! kind. The program begins with [`Ask::Hello`], which carries the version. Every wish that is answered has a number, and
//! the answer the same one. Frames travel inside TLS; whose program speaks is known from the certificate and never from a
//! frame. Frames are wiped when they are dropped: what a measurement read may become key.

use super::fields::{
    MEASURED_PAIR, put_basis, put_facts, put_measured, put_name, put_node, put_operation, put_result,
    put_terms, put_text, take_basis, take_facts, take_measured, take_name, take_node, take_operation,
    take_result, take_terms, take_text,
};
use bellwether_protocol::application::{
    Basis, EprError, MeasuredPair, MessageError, Operation, OperationError, PairFacts, PairTerms, QubitName,
};
use bellwether_protocol::qkd::wire::{Malformed, Reader, Writer};
use bellwether_units::{NodeId, Time};
use std::fmt;
use zeroize::Zeroizing;

/// The version of the frames.
pub const VERSION: u8 = 1;
/// The longest message of a program, in bytes.
pub const MESSAGE_LIMIT: usize = 8 << 20;
/// The longest frame of a program, without its length: a message and what is around it.
pub const ASK_LIMIT: usize = MESSAGE_LIMIT + 64;
/// The most operations of a block, and the most bases of a call.
pub const MOST_AT_ONCE: usize = 1 << 16;
/// The most measured pairs of one frame; more come in several.
pub const MOST_MEASURED: usize = 4096;
/// What a first frame begins with.
const MAGIC: [u8; 4] = *b"BwPG";

/// What a program says to its node.
#[derive(Clone, PartialEq)]
pub enum Ask {
    /// The first frame of a connection.
    Hello,
    /// A half of a pair.
    Pair {
        /// To be answered with.
        number: u64,
        /// With whom.
        peer: NodeId,
        /// Of what kind.
        terms: PairTerms,
    },
    /// Pairs that are measured as they come.
    MeasuredPairs {
        /// To be answered with.
        number: u64,
        /// With whom.
        peer: NodeId,
        /// Of what kind.
        terms: PairTerms,
        /// One of these is drawn for each: at most [`MOST_AT_ONCE`].
        bases: Vec<Basis>,
    },
    /// A qubit in |0⟩.
    Zero {
        /// To be answered with.
        number: u64,
    },
    /// Gates and measurements.
    Operate {
        /// To be answered with.
        number: u64,
        /// Which: at most [`MOST_AT_ONCE`].
        operations: Vec<Operation>,
    },
    /// Nobody holds the qubit any more.
    Free(QubitName),
    /// A message for another node's program.
    Send {
        /// To be answered with.
        number: u64,
        /// For whom.
        to: NodeId,
        /// What: at most [`MESSAGE_LIMIT`] bytes.
        bytes: Vec<u8>,
    },
    /// The next message of another node's program.
    Receive {
        /// To be answered with.
        number: u64,
        /// Whose.
        from: NodeId,
    },
    /// The program is still there.
    Alive,
    /// The program has ended.
    Over,
}

/// What a node says to a program.
#[derive(Clone, PartialEq)]
pub enum Tell {
    /// The first frame: the program is attached.
    Welcome {
        /// Which node it is.
        node: NodeId,
        /// What time it is there.
        now: Time,
        /// The names of all nodes, in the order of their numbers.
        names: Vec<String>,
    },
    /// A half of a pair, or none.
    Pair {
        /// The wish's number.
        number: u64,
        /// The qubit, which is the program's from here on.
        qubit: Result<(QubitName, Option<PairFacts>), EprError>,
    },
    /// Some of the pairs that were measured, or none.
    Measured {
        /// The wish's number.
        number: u64,
        /// At most [`MOST_MEASURED`].
        pairs: Result<Vec<MeasuredPair>, EprError>,
        /// Whether more follow; never behind an error.
        more: bool,
    },
    /// A qubit in |0⟩, or none.
    Zero {
        /// The wish's number.
        number: u64,
        /// The qubit, which is the program's from here on.
        qubit: Result<(QubitName, Option<PairFacts>), OperationError>,
    },
    /// Operations were done, or not.
    Operated {
        /// The wish's number.
        number: u64,
        /// What was read.
        outcomes: Result<Vec<bool>, OperationError>,
    },
    /// A message is on its way, or not.
    Sent {
        /// The wish's number.
        number: u64,
        /// Why not.
        result: Result<(), MessageError>,
    },
    /// A message, or none.
    Message {
        /// The wish's number.
        number: u64,
        /// At most [`MESSAGE_LIMIT`] bytes.
        bytes: Result<Vec<u8>, MessageError>,
    },
    /// The node is still there.
    Alive,
    /// The node has heard all, and that the program has ended.
    Over,
    /// The program is not, or no longer, attached, and why.
    Refused(String),
}

/// Says of what kind it is: what programs send to each other is their own.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello => "Hello",
            Self::Pair { .. } => "Pair",
            Self::MeasuredPairs { .. } => "MeasuredPairs",
            Self::Zero { .. } => "Zero",
            Self::Operate { .. } => "Operate",
            Self::Free(_) => "Free",
            Self::Send { .. } => "Send",
            Self::Receive { .. } => "Receive",
            Self::Alive => "Alive",
            Self::Over => "Over",
        })
    }
}

/// Says of what kind it is: what it carries may become key.
impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Welcome { .. } => "Welcome",
            Self::Pair { .. } => "Pair",
            Self::Measured { .. } => "Measured",
            Self::Zero { .. } => "Zero",
            Self::Operated { .. } => "Operated",
            Self::Sent { .. } => "Sent",
            Self::Message { .. } => "Message",
            Self::Alive => "Alive",
            Self::Over => "Over",
            Self::Refused(_) => "Refused",
        })
    }
}

/// A list of at most `most` values of at least one byte each.
fn take_list<T>(
    input: &mut Reader<'_>,
    most: usize,
    what: &'static str,
    take: impl Fn(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = input.count_up_to(most as u64, what)? as usize;
    let mut list = Vec::with_capacity(count.min(input.remaining()));
    for _ in 0..count {
        list.push(take(input)?);
    }
    Ok(list)
}

fn take_message(input: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let bytes = input.block()?;
    if bytes.len() > MESSAGE_LIMIT { Err(Malformed::TooLong) } else { Ok(bytes.to_vec()) }
}

fn take_version(input: &mut Reader<'_>) -> Result<(), Malformed> {
    match input.u8()? {
        VERSION => Ok(()),
        version => Err(Malformed::Version(version)),
    }
}

impl Ask {
    /// The kind and fields, without a length.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = match self {
            Self::Send { bytes, .. } => Writer::with_capacity(64 + bytes.len()),
            _ => Writer::with_capacity(64),
        };
        match self {
            Self::Hello => {
                out.u8(1);
                out.bytes(&MAGIC);
                out.u8(VERSION);
            }
            Self::Pair { number, peer, terms } => {
                out.u8(2);
                out.count(*number);
                put_node(&mut out, *peer);
                put_terms(&mut out, terms);
            }
            Self::MeasuredPairs { number, peer, terms, bases } => {
                out.u8(3);
                out.count(*number);
                put_node(&mut out, *peer);
                put_terms(&mut out, terms);
                out.count(bases.len() as u64);
                bases.iter().for_each(|basis| put_basis(&mut out, *basis));
            }
            Self::Zero { number } => {
                out.u8(4);
                out.count(*number);
            }
            Self::Operate { number, operations } => {
                out.u8(5);
                out.count(*number);
                out.count(operations.len() as u64);
                operations.iter().for_each(|operation| put_operation(&mut out, operation, put_name));
            }
            Self::Free(name) => {
                out.u8(6);
                out.count(name.0);
            }
            Self::Send { number, to, bytes } => {
                out.u8(7);
                out.count(*number);
                put_node(&mut out, *to);
                out.block(bytes);
            }
            Self::Receive { number, from } => {
                out.u8(8);
                out.count(*number);
                put_node(&mut out, *from);
            }
            Self::Alive => out.u8(9),
            Self::Over => out.u8(10),
        }
        Zeroizing::new(out.finish())
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let input = &mut input;
        let ask = match input.u8()? {
            1 => {
                if input.array::<4>()? != MAGIC {
                    return Err(Malformed::Value("the mark of a program"));
                }
                take_version(input)?;
                Self::Hello
            }
            2 => Self::Pair { number: input.count()?, peer: take_node(input)?, terms: take_terms(input)? },
            3 => Self::MeasuredPairs {
                number: input.count()?,
                peer: take_node(input)?,
                terms: take_terms(input)?,
                bases: take_list(input, MOST_AT_ONCE, "the number of bases", take_basis)?,
            },
            4 => Self::Zero { number: input.count()? },
            5 => Self::Operate {
                number: input.count()?,
                operations: take_list(input, MOST_AT_ONCE, "the number of operations", |input| {
                    take_operation(input, take_name)
                })?,
            },
            6 => Self::Free(QubitName(input.count()?)),
            7 => Self::Send { number: input.count()?, to: take_node(input)?, bytes: take_message(input)? },
            8 => Self::Receive { number: input.count()?, from: take_node(input)? },
            9 => Self::Alive,
            10 => Self::Over,
            kind => return Err(Malformed::Kind(kind)),
        };
        if input.remaining() > 0 {
            return Err(Malformed::Trailing);
        }
        Ok(ask)
    }
}

fn put_qubit(out: &mut Writer, (name, facts): &(QubitName, Option<PairFacts>)) {
    out.count(name.0);
    out.u8(u8::from(facts.is_some()));
    if let Some(facts) = facts {
        put_facts(out, facts);
    }
}

fn take_qubit(input: &mut Reader<'_>) -> Result<(QubitName, Option<PairFacts>), Malformed> {
    let name = QubitName(input.count()?);
    Ok((name, if input.flag()? { Some(take_facts(input)?) } else { None }))
}

impl Tell {
    /// The most bytes that it takes, so that no copy is left behind that is not wiped.
    fn room(&self) -> usize {
        const HEAD: usize = 256;
        const TEXT: usize = 5000;
        match self {
            Self::Welcome { names, .. } => {
                HEAD + names.iter().map(|name| name.len().min(TEXT) + 10).sum::<usize>()
            }
            Self::Measured { pairs: Ok(pairs), .. } => HEAD + pairs.len() * MEASURED_PAIR,
            Self::Operated { outcomes: Ok(outcomes), .. } => HEAD + outcomes.len(),
            Self::Message { bytes: Ok(bytes), .. } => HEAD + bytes.len(),
            Self::Message { .. } | Self::Sent { .. } | Self::Refused(_) => TEXT,
            _ => HEAD,
        }
    }

    /// The kind and fields, without a length.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(self.room());
        match self {
            Self::Welcome { node, now, names } => {
                out.u8(0x81);
                out.u8(VERSION);
                put_node(&mut out, *node);
                out.u64(now.picoseconds());
                out.count(names.len() as u64);
                names.iter().for_each(|name| put_text(&mut out, name));
            }
            Self::Pair { number, qubit } => {
                out.u8(0x82);
                out.count(*number);
                put_result(&mut out, qubit, put_qubit);
            }
            Self::Measured { number, pairs, more } => {
                out.u8(0x83);
                out.count(*number);
                put_result(&mut out, pairs, |out, pairs| {
                    out.u8(u8::from(*more));
                    out.count(pairs.len() as u64);
                    pairs.iter().for_each(|pair| put_measured(out, pair));
                });
            }
            Self::Zero { number, qubit } => {
                out.u8(0x84);
                out.count(*number);
                put_result(&mut out, qubit, put_qubit);
            }
            Self::Operated { number, outcomes } => {
                out.u8(0x85);
                out.count(*number);
                put_result(&mut out, outcomes, |out, outcomes| {
                    out.count(outcomes.len() as u64);
                    outcomes.iter().for_each(|outcome| out.u8(u8::from(*outcome)));
                });
            }
            Self::Sent { number, result } => {
                out.u8(0x86);
                out.count(*number);
                put_result(&mut out, result, |_, ()| {});
            }
            Self::Message { number, bytes } => {
                out.u8(0x87);
                out.count(*number);
                put_result(&mut out, bytes, |out, bytes| out.block(bytes));
            }
            Self::Alive => out.u8(0x88),
            Self::Over => out.u8(0x89),
            Self::Refused(why) => {
                out.u8(0x8a);
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
        let input = &mut input;
        let tell = match input.u8()? {
            0x81 => {
                take_version(input)?;
                let (node, now) = (take_node(input)?, Time::from_picoseconds(input.u64()?));
                let names = take_list(input, u32::MAX as usize, "the number of nodes", take_text)?;
                Self::Welcome { node, now, names }
            }
            0x82 => Self::Pair { number: input.count()?, qubit: take_result(input, take_qubit)? },
            0x83 => {
                let (number, mut more) = (input.count()?, false);
                let pairs = take_result(input, |input| {
                    more = input.flag()?;
                    take_list(input, MOST_MEASURED, "the number of pairs", take_measured)
                })?;
                Self::Measured { number, pairs, more }
            }
            0x84 => Self::Zero { number: input.count()?, qubit: take_result(input, take_qubit)? },
            0x85 => {
                let take = |input: &mut Reader<'_>| {
                    take_list(input, 2 * MOST_AT_ONCE, "the number of outcomes", |input| input.flag())
                };
                Self::Operated { number: input.count()?, outcomes: take_result(input, take)? }
            }
            0x86 => Self::Sent { number: input.count()?, result: take_result(input, |_| Ok(()))? },
            0x87 => Self::Message { number: input.count()?, bytes: take_result(input, take_message)? },
            0x88 => Self::Alive,
            0x89 => Self::Over,
            0x8a => Self::Refused(take_text(input)?),
            kind => return Err(Malformed::Kind(kind)),
        };
        if input.remaining() > 0 {
            return Err(Malformed::Trailing);
        }
        Ok(tell)
    }
}

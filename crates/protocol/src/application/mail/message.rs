//! What the mail of two nodes tells each other.

use crate::entanglement::CircuitId;
use crate::qkd::wire::{Malformed, Reader, Writer};

/// The version of these messages.
const VERSION: u8 = 1;

/// What one node's program, or its driver, has to say to another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// A message of the program ([`SeatEffect::Send`](crate::application::SeatEffect::Send)).
    Message(Vec<u8>),
    /// A program is there. Whoever hears it and has one may ask for pairs with it: the sender knows its life.
    Here,
    /// The program has ended ([`SeatEffect::Over`](crate::application::SeatEffect::Over)).
    Over {
        /// How often it called for pairs, circuit by circuit.
        calls: Vec<(CircuitId, u64)>,
    },
}

/// Between the mail of two nodes. Each may be lost, doubled, late or out of order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailMessage {
    /// Who is there.
    Greeting {
        /// The sender's life.
        life: u64,
        /// The other's life, as far as the sender knows it.
        to: Option<u64>,
    },
    /// A letter of one life to another.
    Letter {
        /// The sender's life.
        life: u64,
        /// The life that the letter is for.
        to: u64,
        /// The how manieth letter from one to the other it is, from 0.
        number: u64,
        /// The letter.
        letter: Letter,
    },
    /// Letters have come.
    Received {
        /// The sender's life.
        life: u64,
        /// The life whose letters have come.
        to: u64,
        /// All letters below this number have.
        next: u64,
    },
}

impl Letter {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Message(bytes) => {
                w.u8(0);
                w.bytes(bytes);
            }
            Self::Over { calls } => {
                w.u8(1);
                w.count(calls.len() as u64);
                for (circuit, calls) in calls {
                    w.count(circuit.0);
                    w.count(*calls);
                }
            }
            Self::Here => w.u8(2),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match r.u8()? {
            0 => Ok(Self::Message(r.rest().to_vec())),
            1 => {
                let most = r.remaining() as u64 / 2;
                let circuits = r.count_up_to(most, "the number of circuits")?;
                let call = |_| Ok((CircuitId(r.count()?), r.count()?));
                Ok(Self::Over { calls: (0..circuits).map(call).collect::<Result<_, Malformed>>()? })
            }
            2 => Ok(Self::Here),
            kind => Err(Malformed::Kind(kind)),
        }
    }
}

impl MailMessage {
    /// Who says it, and to which life of the other; none if the sender knows of none.
    pub(super) const fn lives(&self) -> (u64, Option<u64>) {
        match *self {
            Self::Greeting { life, to } => (life, to),
            Self::Letter { life, to, .. } | Self::Received { life, to, .. } => (life, Some(to)),
        }
    }

    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(24);
        w.u8(VERSION);
        match self {
            Self::Greeting { life, to } => {
                w.u8(if to.is_some() { 1 } else { 0 });
                w.count(*life);
                to.iter().for_each(|to| w.count(*to));
            }
            Self::Letter { life, to, number, letter } => {
                w.u8(2);
                w.count(*life);
                w.count(*to);
                w.count(*number);
                letter.write(&mut w);
            }
            Self::Received { life, to, next } => {
                w.u8(3);
                w.count(*life);
                w.count(*to);
                w.count(*next);
            }
        }
        w.finish()
    }
    /// What was [encoded](Self::encode).
    ///
    /// # Errors
    /// If the bytes are no message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            VERSION => {}
            version => return Err(Malformed::Version(version)),
        }
        let kind = r.u8()?;
        let message = match kind {
            0 => Self::Greeting { life: r.count()?, to: None },
            1 => Self::Greeting { life: r.count()?, to: Some(r.count()?) },
            2 => {
                let (life, to, number) = (r.count()?, r.count()?, r.count()?);
                Self::Letter { life, to, number, letter: Letter::read(&mut r)? }
            }
            3 => Self::Received { life: r.count()?, to: r.count()?, next: r.count()? },
            kind => return Err(Malformed::Kind(kind)),
        };
        r.finish()?;
        Ok(message)
    }
}

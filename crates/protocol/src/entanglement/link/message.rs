//! What the two ends of a link tell each other.
//!
//! Messages may be lost, doubled, late and out of order. All are harmless when they come again, and each names the lives of
//! both ends, so that nothing from before a crash is taken for news.

use super::LinkUser;
use super::effect::{QueueNumber, read_u32};
use super::request::{BasisChoice, PairDemand, PairKind};
use crate::entanglement::CircuitId;
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_units::Time;

/// A message from one end of a link to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkMessage {
    /// Which life of the end that sends.
    pub from: u32,
    /// Which life of the end that is to hear it, as far as known; 0 if not.
    pub to: u32,
    /// What it says.
    pub body: LinkBody,
}

/// Why an end does not take a request into the queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// It does not serve this user, or has as many requests as it takes.
    Rejected,
    /// It can promise no more than this fidelity.
    Fidelity(f64),
    /// It has only so many memories.
    Memories(u16),
    /// Its hardware is out of order.
    Fault,
}

/// Numbers of pairs in one epoch of the heralding station: from `low` to below `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceRange {
    /// Which life of the station.
    pub epoch: u32,
    /// The first.
    pub low: u64,
    /// The first that does not belong to it.
    pub high: u64,
}

impl SequenceRange {
    /// Whether the pair with this number belongs to it.
    pub const fn contains(&self, epoch: u32, sequence: u64) -> bool {
        self.epoch == epoch && self.low <= sequence && sequence < self.high
    }
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinkBody {
    /// The end lives, and asks the other to say so too.
    Hello,
    /// The answer.
    Welcome,
    /// Take this request into the queue.
    Add {
        /// Its name at the end that asks.
        serial: u32,
        /// Its number and from when on it may be served, if the end that asks gives the numbers.
        numbered: Option<(QueueNumber, Time)>,
        /// The request.
        demand: PairDemand,
    },
    /// It is in the queue.
    Accept {
        /// Its name at the end that asked.
        serial: u32,
        /// Its number.
        number: QueueNumber,
        /// From when on it may be served.
        ready: Time,
    },
    /// It is not.
    Reject {
        /// Its name at the end that asked.
        serial: u32,
        /// Why not.
        refusal: Refusal,
    },
    /// Take it out of the queue.
    Remove {
        /// Whether the end that says so had asked for it, rather than the one that is told.
        by_origin: bool,
        /// Its name at the end that asked for it.
        serial: u32,
        /// The hardware is the reason.
        fault: bool,
    },
    /// It is out of the queue.
    Removed {
        /// As in the message that is answered.
        by_origin: bool,
        /// As in the message that is answered.
        serial: u32,
    },
    /// These pairs are none.
    Expire(SequenceRange),
    /// They are none here either.
    Expired(SequenceRange),
    /// The end has heard of all pairs up to a number.
    Sync {
        /// Which life of the station.
        epoch: u32,
        /// The first number that the end has not heard of.
        expected: u64,
    },
    /// The answer.
    Synced {
        /// As in the message that is answered.
        epoch: u32,
        /// As in the message that is answered.
        expected: u64,
    },
    /// Whether the end has any memory for the link.
    Memory {
        /// Grows with every such message.
        stamp: u32,
        /// Whether it has.
        any: bool,
    },
    /// The answer.
    MemoryHeard {
        /// As in the message that is answered.
        stamp: u32,
    },
    /// A half that both ends test gave this outcome. It is told once, and not answered.
    Outcome {
        /// The epoch of the pair.
        epoch: u32,
        /// Its number.
        sequence: u64,
        /// Whether -1 was measured.
        outcome: bool,
    },
}

impl LinkMessage {
    /// As bytes; the frame around them carries the version.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(32);
        let kind = match self.body {
            LinkBody::Hello => 0,
            LinkBody::Welcome => 1,
            LinkBody::Add { .. } => 2,
            LinkBody::Accept { .. } => 3,
            LinkBody::Reject { .. } => 4,
            LinkBody::Remove { .. } => 5,
            LinkBody::Removed { .. } => 6,
            LinkBody::Expire(_) => 7,
            LinkBody::Expired(_) => 8,
            LinkBody::Sync { .. } => 9,
            LinkBody::Synced { .. } => 10,
            LinkBody::Memory { .. } => 11,
            LinkBody::MemoryHeard { .. } => 12,
            LinkBody::Outcome { .. } => 13,
        };
        w.u8(kind);
        w.count(self.from.into());
        w.count(self.to.into());
        self.body.write(&mut w);
        w.finish()
    }

    /// From bytes.
    ///
    /// # Errors
    /// If they are not what [`encode`](Self::encode) gives.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u8()?;
        let (from, to) = (read_u32(&mut r)?, read_u32(&mut r)?);
        let body = LinkBody::read(kind, &mut r)?;
        r.finish()?;
        Ok(Self { from, to, body })
    }
}

impl LinkBody {
    fn write(&self, w: &mut Writer) {
        match *self {
            Self::Hello | Self::Welcome => {}
            Self::Add { serial, numbered, demand } => {
                w.count(serial.into());
                w.u8(numbered.is_some().into());
                if let Some((number, ready)) = numbered {
                    write_number(w, number);
                    w.count(ready.picoseconds());
                }
                write_demand(w, &demand);
            }
            Self::Accept { serial, number, ready } => {
                w.count(serial.into());
                write_number(w, number);
                w.count(ready.picoseconds());
            }
            Self::Reject { serial, refusal } => {
                w.count(serial.into());
                match refusal {
                    Refusal::Rejected => w.u8(0),
                    Refusal::Fidelity(best) => {
                        w.u8(1);
                        w.u64(best.to_bits());
                    }
                    Refusal::Memories(memories) => {
                        w.u8(2);
                        w.count(memories.into());
                    }
                    Refusal::Fault => w.u8(3),
                }
            }
            Self::Remove { by_origin, serial, fault } => {
                w.u8(u8::from(by_origin) | u8::from(fault) << 1);
                w.count(serial.into());
            }
            Self::Removed { by_origin, serial } => {
                w.u8(by_origin.into());
                w.count(serial.into());
            }
            Self::Expire(range) | Self::Expired(range) => {
                w.count(range.epoch.into());
                w.count(range.low);
                w.count(range.high - range.low);
            }
            Self::Sync { epoch, expected } | Self::Synced { epoch, expected } => {
                w.count(epoch.into());
                w.count(expected);
            }
            Self::Memory { stamp, any } => {
                w.count(stamp.into());
                w.u8(any.into());
            }
            Self::MemoryHeard { stamp } => w.count(stamp.into()),
            Self::Outcome { epoch, sequence, outcome } => {
                w.count(epoch.into());
                w.count(sequence);
                w.u8(outcome.into());
            }
        }
    }

    fn read(kind: u8, r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            0 => Self::Hello,
            1 => Self::Welcome,
            2 => {
                let serial = read_u32(r)?;
                let numbered = if read_bool(r)? {
                    let number = read_number(r)?;
                    Some((number, Time::from_picoseconds(r.count()?)))
                } else {
                    None
                };
                Self::Add { serial, numbered, demand: read_demand(r)? }
            }
            3 => {
                let (serial, number) = (read_u32(r)?, read_number(r)?);
                Self::Accept { serial, number, ready: Time::from_picoseconds(r.count()?) }
            }
            4 => {
                let serial = read_u32(r)?;
                let refusal = match r.u8()? {
                    0 => Refusal::Rejected,
                    1 => Refusal::Fidelity(read_fidelity(r)?),
                    2 => Refusal::Memories(r.count_up_to(u16::MAX.into(), "a number of memories")? as u16),
                    3 => Refusal::Fault,
                    _ => return Err(Malformed::Value("the reason of a refusal")),
                };
                Self::Reject { serial, refusal }
            }
            5 => {
                let flags = read_up_to(r, 3, "the flags of a removal")?;
                Self::Remove { by_origin: flags & 1 != 0, fault: flags & 2 != 0, serial: read_u32(r)? }
            }
            6 => Self::Removed { by_origin: read_bool(r)?, serial: read_u32(r)? },
            7 => Self::Expire(read_range(r)?),
            8 => Self::Expired(read_range(r)?),
            9 => Self::Sync { epoch: read_u32(r)?, expected: r.count()? },
            10 => Self::Synced { epoch: read_u32(r)?, expected: r.count()? },
            11 => Self::Memory { stamp: read_u32(r)?, any: read_bool(r)? },
            12 => Self::MemoryHeard { stamp: read_u32(r)? },
            13 => Self::Outcome { epoch: read_u32(r)?, sequence: r.count()?, outcome: read_bool(r)? },
            kind => return Err(Malformed::Kind(kind)),
        })
    }
}

fn read_up_to(r: &mut Reader<'_>, limit: u8, what: &'static str) -> Result<u8, Malformed> {
    let value = r.u8()?;
    if value > limit { Err(Malformed::Value(what)) } else { Ok(value) }
}
fn read_bool(r: &mut Reader<'_>) -> Result<bool, Malformed> {
    Ok(read_up_to(r, 1, "a flag")? == 1)
}
fn read_fidelity(r: &mut Reader<'_>) -> Result<f64, Malformed> {
    let value = f64::from_bits(r.u64()?);
    if (0.0..=1.0).contains(&value) && value.is_sign_positive() {
        Ok(value)
    } else {
        Err(Malformed::Value("a fidelity"))
    }
}
fn read_range(r: &mut Reader<'_>) -> Result<SequenceRange, Malformed> {
    let (epoch, low) = (read_u32(r)?, r.count()?);
    let high = low.checked_add(r.count()?).ok_or(Malformed::Value("a range of sequence numbers"))?;
    Ok(SequenceRange { epoch, low, high })
}
fn write_number(w: &mut Writer, number: QueueNumber) {
    w.count(number.life.into());
    w.count(number.count.into());
}
fn read_number(r: &mut Reader<'_>) -> Result<QueueNumber, Malformed> {
    Ok(QueueNumber { life: read_u32(r)?, count: read_u32(r)? })
}

fn write_demand(w: &mut Writer, demand: &PairDemand) {
    let kind = match demand.kind {
        PairKind::Keep => 0,
        PairKind::Measure { .. } => 1,
        PairKind::Prepare { .. } => 2,
    };
    let circuit = matches!(demand.user, LinkUser::Circuit(_));
    w.u8(kind
        | u8::from(circuit) << 2
        | u8::from(demand.number.is_some()) << 3
        | u8::from(demand.consecutive) << 4
        | u8::from(demand.atomic) << 5);
    match demand.user {
        LinkUser::Application(purpose) => w.count(purpose.into()),
        LinkUser::Circuit(circuit) => w.count(circuit.0),
    }
    if let Some(number) = demand.number {
        w.count(number.into());
    }
    w.u64(demand.fidelity.to_bits());
    w.u8(demand.priority);
    w.count(demand.weight.into());
    match &demand.kind {
        PairKind::Keep => {}
        PairKind::Measure { here, there } => {
            here.write(w);
            there.write(w);
        }
        PairKind::Prepare { here } => here.write(w),
    }
}

fn read_demand(r: &mut Reader<'_>) -> Result<PairDemand, Malformed> {
    let flags = read_up_to(r, 0x3f, "the flags of a request")?;
    let user = if flags & 4 != 0 {
        LinkUser::Circuit(CircuitId(r.count()?))
    } else {
        LinkUser::Application(r.count_up_to(u16::MAX.into(), "a purpose")? as u16)
    };
    let number = if flags & 8 != 0 { Some(read_u32(r)?) } else { None };
    if number == Some(0) {
        return Err(Malformed::Value("a request for no pairs"));
    }
    let fidelity = read_fidelity(r)?;
    let priority = read_up_to(r, 7, "a priority")?;
    let weight = r.count_up_to(u16::MAX.into(), "a weight")? as u16;
    if weight == 0 {
        return Err(Malformed::Value("a weight of 0"));
    }
    let kind = match flags & 3 {
        0 => PairKind::Keep,
        1 => PairKind::Measure { here: BasisChoice::read(r)?, there: BasisChoice::read(r)? },
        2 => PairKind::Prepare { here: BasisChoice::read(r)? },
        _ => return Err(Malformed::Value("the kind of a request")),
    };
    let (consecutive, atomic) = (flags & 16 != 0, flags & 32 != 0);
    if number.is_none() && !consecutive {
        return Err(Malformed::Value("a request without an end that is answered at its end"));
    }
    Ok(PairDemand { user, kind, number, fidelity, priority, weight, consecutive, atomic })
}

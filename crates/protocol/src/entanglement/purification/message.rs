//! What two ends that purify tell each other.

use crate::entanglement::{EndToEndId, PairId};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_quantum::bell::Purification;

/// The version of these messages.
const VERSION: u8 = 1;

/// How pairs are named that are purified: by the link, or from end to end.
pub trait PairName: Copy + Ord + core::fmt::Debug {
    /// Appends the name.
    fn write(self, w: &mut Writer);
    /// What was [written](Self::write).
    ///
    /// # Errors
    /// If it is no name.
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed>;
}

impl PairName for PairId {
    fn write(self, w: &mut Writer) {
        Self::write(self, w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::read(r)
    }
}

impl PairName for EndToEndId {
    fn write(self, w: &mut Writer) {
        PairId::write(self.head, w);
        PairId::write(self.tail, w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { head: PairId::read(r)?, tail: PairId::read(r)? })
    }
}

/// Between two ends that purify. Each may be lost, doubled, late or out of order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PurificationMessage<Id> {
    /// From the end that leads: compare these two as I did.
    Check(Check<Id>),
    /// The answer.
    Verdict {
        /// The pair that was to be kept.
        kept: Id,
        /// Of which level it was.
        level: u8,
        /// Whether it is kept, at both ends.
        agreed: bool,
    },
    /// From either end: this pair is given up.
    Abandon {
        /// Which.
        pair: Id,
    },
}

/// What the end that leads has done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check<Id> {
    /// The pair to keep.
    pub kept: Id,
    /// Of which level it is.
    pub level: u8,
    /// The pair that was measured.
    pub sacrificed: Id,
    /// Of which level it was.
    pub sacrificed_level: u8,
    /// What was compared.
    pub how: Purification,
    /// Whether the kept pair is handed on if the outcomes agree.
    pub last: bool,
    /// What was measured.
    pub outcome: bool,
}

impl<Id: PairName> PurificationMessage<Id> {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(24);
        w.u8(VERSION);
        match self {
            Self::Check(check) => {
                w.u8(0);
                check.kept.write(&mut w);
                w.u8(check.level);
                check.sacrificed.write(&mut w);
                w.u8(check.sacrificed_level);
                let how = match check.how {
                    Purification::Bbpssw => 0,
                    Purification::Dejmps => 1,
                    Purification::Phase => 2,
                };
                w.u8(how | u8::from(check.last) << 2 | u8::from(check.outcome) << 3);
            }
            Self::Verdict { kept, level, agreed } => {
                w.u8(1);
                kept.write(&mut w);
                w.u8(*level);
                w.u8(u8::from(*agreed));
            }
            Self::Abandon { pair } => {
                w.u8(2);
                pair.write(&mut w);
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
        let message = match r.u8()? {
            0 => {
                let (kept, level) = (Id::read(&mut r)?, r.u8()?);
                let (sacrificed, sacrificed_level) = (Id::read(&mut r)?, r.u8()?);
                let flags = r.u8()?;
                let how = match flags & 3 {
                    0 => Purification::Bbpssw,
                    1 => Purification::Dejmps,
                    2 => Purification::Phase,
                    _ => return Err(Malformed::Value("the kind of purification")),
                };
                if flags >= 1 << 4 || kept == sacrificed {
                    return Err(Malformed::Value("the flags of a check"));
                }
                let (last, outcome) = (flags & 4 != 0, flags & 8 != 0);
                Self::Check(Check { kept, level, sacrificed, sacrificed_level, how, last, outcome })
            }
            1 => {
                let (kept, level) = (Id::read(&mut r)?, r.u8()?);
                match r.u8()? {
                    agreed @ (0 | 1) => Self::Verdict { kept, level, agreed: agreed == 1 },
                    _ => return Err(Malformed::Value("whether outcomes agreed")),
                }
            }
            2 => Self::Abandon { pair: Id::read(&mut r)? },
            kind => return Err(Malformed::Kind(kind)),
        };
        r.finish()?;
        Ok(message)
    }
}

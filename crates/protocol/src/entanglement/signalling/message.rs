//! What nodes of a circuit tell each other about its being there.

use super::terms::{BestTerms, CircuitRefusal, CircuitTerms};
use crate::entanglement::CircuitId;
use crate::qkd::wire::{Malformed, Reader, Writer};
use std::sync::Arc;

/// The version of these messages.
const VERSION: u8 = 1;

pub(super) type WireError<T> = Result<T, Malformed>;

/// Between neighbours of a circuit, over their link. Each may be lost, doubled, late or out of order.
#[derive(Clone, Debug, PartialEq)]
pub enum SignallingMessage {
    /// Towards the tail: take this circuit on.
    Setup {
        /// Which.
        circuit: CircuitId,
        /// What it asks.
        terms: Arc<CircuitTerms>,
        /// What all nodes so far can give.
        best: BestTerms,
        /// A node before has refused: who comes after sets nothing aside and tells what it could give.
        refused: Option<CircuitRefusal>,
    },
    /// Towards the head: all nodes from here to the tail have it.
    Accept {
        /// Which.
        circuit: CircuitId,
    },
    /// Towards the head: it will not be.
    Refuse {
        /// Which.
        circuit: CircuitId,
        /// Why, with the best that the whole route could give.
        why: CircuitRefusal,
    },
    /// Towards the tail: it is still wanted.
    Refresh {
        /// Which.
        circuit: CircuitId,
    },
    /// Towards the head, from the tail: it is still there.
    Refreshed {
        /// Which.
        circuit: CircuitId,
    },
    /// Either way: it is no more.
    Teardown {
        /// Which.
        circuit: CircuitId,
    },
    /// To a neighbour: its message of this kind has arrived, and need not be repeated.
    Acknowledge {
        /// Which circuit.
        circuit: CircuitId,
        /// Which kind of message.
        of: Acknowledged,
    },
}

/// Messages that are repeated until they are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// [`SignallingMessage::Setup`].
    Setup,
    /// [`SignallingMessage::Accept`].
    Accept,
    /// [`SignallingMessage::Refuse`].
    Refuse,
    /// [`SignallingMessage::Teardown`].
    Teardown,
}

impl SignallingMessage {
    /// Which circuit it is about.
    pub const fn circuit(&self) -> CircuitId {
        match self {
            Self::Setup { circuit, .. }
            | Self::Accept { circuit }
            | Self::Refuse { circuit, .. }
            | Self::Refresh { circuit }
            | Self::Refreshed { circuit }
            | Self::Teardown { circuit }
            | Self::Acknowledge { circuit, .. } => *circuit,
        }
    }
    /// What it is acknowledged as, if it is.
    pub(super) const fn kind(&self) -> Option<Acknowledged> {
        match self {
            Self::Setup { .. } => Some(Acknowledged::Setup),
            Self::Accept { .. } => Some(Acknowledged::Accept),
            Self::Refuse { .. } => Some(Acknowledged::Refuse),
            Self::Teardown { .. } => Some(Acknowledged::Teardown),
            Self::Refresh { .. } | Self::Refreshed { .. } | Self::Acknowledge { .. } => None,
        }
    }

    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(16);
        w.u8(VERSION);
        w.u8(match self {
            Self::Setup { .. } => 0,
            Self::Accept { .. } => 1,
            Self::Refuse { .. } => 2,
            Self::Refresh { .. } => 3,
            Self::Refreshed { .. } => 4,
            Self::Teardown { .. } => 5,
            Self::Acknowledge { .. } => 6,
        });
        w.count(self.circuit().0);
        match self {
            Self::Setup { terms, best, refused, .. } => {
                terms.write(&mut w);
                best.write(&mut w);
                w.u8(u8::from(refused.is_some()));
                refused.iter().for_each(|refused| refused.write(&mut w));
            }
            Self::Refuse { why, .. } => why.write(&mut w),
            Self::Acknowledge { of, .. } => w.u8(*of as u8),
            Self::Accept { .. } | Self::Refresh { .. } | Self::Refreshed { .. } | Self::Teardown { .. } => {}
        }
        w.finish()
    }

    /// What was [encoded](Self::encode).
    ///
    /// # Errors
    /// If the bytes are no message, or one without sense.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            VERSION => {}
            version => return Err(Malformed::Version(version)),
        }
        let kind = r.u8()?;
        let circuit = CircuitId(r.count()?);
        let message = match kind {
            0 => {
                let terms = Arc::new(CircuitTerms::read(&mut r)?);
                let best = BestTerms::read(&mut r)?;
                let refused = match r.u8()? {
                    0 => None,
                    1 => Some(CircuitRefusal::read(&mut r)?),
                    _ => return Err(Malformed::Value("whether a circuit was refused")),
                };
                Self::Setup { circuit, terms, best, refused }
            }
            1 => Self::Accept { circuit },
            2 => Self::Refuse { circuit, why: CircuitRefusal::read(&mut r)? },
            3 => Self::Refresh { circuit },
            4 => Self::Refreshed { circuit },
            5 => Self::Teardown { circuit },
            6 => {
                let of = match r.u8()? {
                    0 => Acknowledged::Setup,
                    1 => Acknowledged::Accept,
                    2 => Acknowledged::Refuse,
                    3 => Acknowledged::Teardown,
                    _ => return Err(Malformed::Value("what is acknowledged")),
                };
                Self::Acknowledge { circuit, of }
            }
            kind => return Err(Malformed::Kind(kind)),
        };
        r.finish()?;
        Ok(message)
    }
}

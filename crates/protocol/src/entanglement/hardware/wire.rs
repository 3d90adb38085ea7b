//! Commands and events as bytes; the frame around them carries the version.

use super::{HardwareCommand, HardwareEvent};
use crate::entanglement::MemoryId;
use crate::entanglement::link::{AttemptTag, BasisChoice, MeasuredBasis, MidpointReply};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_quantum::bell::{BellIndex, Purification};

fn put_memory(w: &mut Writer, memory: MemoryId) {
    w.count(memory.0.into());
}
fn take_memory(r: &mut Reader<'_>) -> Result<MemoryId, Malformed> {
    Ok(MemoryId(r.count_up_to(u16::MAX.into(), "the number of a memory")? as u16))
}
fn take_bell(r: &mut Reader<'_>) -> Result<BellIndex, Malformed> {
    match r.u8()? {
        bits @ 0..4 => Ok(BellIndex::from_bits(bits)),
        _ => Err(Malformed::Value("a Bell state")),
    }
}
const HOW: [Purification; 3] = [Purification::Bbpssw, Purification::Dejmps, Purification::Phase];
const BASES: [MeasuredBasis; 5] =
    [MeasuredBasis::X, MeasuredBasis::Y, MeasuredBasis::Z, MeasuredBasis::ZPlusX, MeasuredBasis::ZMinusX];

/// The place of one of a few values.
fn place<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter().position(|known| known == value).unwrap_or(all.len()) as u8
}
fn at<T: Copy>(all: &[T], place: u8, what: &'static str) -> Result<T, Malformed> {
    all.get(usize::from(place)).copied().ok_or(Malformed::Value(what))
}

impl HardwareCommand {
    /// The command as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(40);
        match self {
            Self::Arm { memory, tag, brightness } => {
                w.u8(0);
                put_memory(&mut w, *memory);
                tag.write(&mut w);
                w.u64(brightness.to_bits());
            }
            Self::Disarm { memory } => {
                w.u8(1);
                put_memory(&mut w, *memory);
            }
            Self::Free { memory } => {
                w.u8(2);
                put_memory(&mut w, *memory);
            }
            Self::Measure { memory, basis } => {
                w.u8(3);
                put_memory(&mut w, *memory);
                basis.write(&mut w);
            }
            Self::Swap { token, left, right } => {
                w.u8(4);
                w.count(*token);
                put_memory(&mut w, *left);
                put_memory(&mut w, *right);
            }
            Self::Correct { memory, pauli } => {
                w.u8(5);
                put_memory(&mut w, *memory);
                w.u8(pauli.bits());
            }
            Self::Compare { token, kept, sacrificed, how } => {
                w.u8(6);
                w.count(*token);
                put_memory(&mut w, *kept);
                put_memory(&mut w, *sacrificed);
                w.u8(place(&HOW, how));
            }
        }
        w.finish()
    }
    /// What was [encoded](Self::encode).
    ///
    /// # Errors
    /// If the bytes are no command.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let command = match r.u8()? {
            0 => {
                let (memory, tag) = (take_memory(&mut r)?, AttemptTag::read(&mut r)?);
                let brightness = f64::from_bits(r.u64()?);
                if !brightness.is_finite() {
                    return Err(Malformed::Value("a brightness"));
                }
                Self::Arm { memory, tag, brightness }
            }
            1 => Self::Disarm { memory: take_memory(&mut r)? },
            2 => Self::Free { memory: take_memory(&mut r)? },
            3 => Self::Measure { memory: take_memory(&mut r)?, basis: BasisChoice::read(&mut r)? },
            4 => {
                let token = r.count()?;
                Self::Swap { token, left: take_memory(&mut r)?, right: take_memory(&mut r)? }
            }
            5 => Self::Correct { memory: take_memory(&mut r)?, pauli: take_bell(&mut r)? },
            6 => {
                let (token, kept) = (r.count()?, take_memory(&mut r)?);
                let (sacrificed, how) = (take_memory(&mut r)?, at(&HOW, r.u8()?, "a way to compare")?);
                Self::Compare { token, kept, sacrificed, how }
            }
            kind => return Err(Malformed::Kind(kind)),
        };
        r.finish()?;
        Ok(command)
    }
}

impl HardwareEvent {
    /// The event as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(40);
        match self {
            Self::Midpoint(reply) => {
                w.u8(0);
                w.bytes(&reply.encode());
            }
            Self::Unanswered(memory) => {
                w.u8(1);
                put_memory(&mut w, *memory);
            }
            Self::Failed(memory) => {
                w.u8(2);
                put_memory(&mut w, *memory);
            }
            Self::Measured { memory, basis, outcome } => {
                w.u8(3);
                put_memory(&mut w, *memory);
                w.u8(place(&BASES, basis));
                w.u8(u8::from(*outcome));
            }
            Self::Swapped { token, outcome } => {
                w.u8(4);
                w.count(*token);
                w.u8(u8::from(outcome.is_some()));
                if let Some(outcome) = outcome {
                    w.u8(outcome.bits());
                }
            }
            Self::Compared { token, outcome } => {
                w.u8(5);
                w.count(*token);
                w.u8(u8::from(outcome.is_some()));
                if let Some(outcome) = outcome {
                    w.u8(u8::from(*outcome));
                }
            }
        }
        w.finish()
    }
    /// What was [encoded](Self::encode).
    ///
    /// # Errors
    /// If the bytes are no event.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let event = match r.u8()? {
            0 => return MidpointReply::decode(r.rest()).map(Self::Midpoint),
            1 => Self::Unanswered(take_memory(&mut r)?),
            2 => Self::Failed(take_memory(&mut r)?),
            3 => {
                let memory = take_memory(&mut r)?;
                let basis = at(&BASES, r.u8()?, "a basis")?;
                Self::Measured { memory, basis, outcome: r.flag()? }
            }
            4 => {
                let token = r.count()?;
                let outcome = if r.flag()? { Some(take_bell(&mut r)?) } else { None };
                Self::Swapped { token, outcome }
            }
            5 => {
                let token = r.count()?;
                let outcome = if r.flag()? { Some(r.flag()?) } else { None };
                Self::Compared { token, outcome }
            }
            kind => return Err(Malformed::Kind(kind)),
        };
        r.finish()?;
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entanglement::link::{BasisSet, MidpointOutcome, QueueNumber};
    use bellwether_units::LinkId;
    use proptest::prelude::*;

    fn commands() -> Vec<HardwareCommand> {
        let memory = MemoryId(300);
        let tag = AttemptTag { item: QueueNumber { life: 2, count: 9 }, slot: 4, life: 1, arming: 1 << 30 };
        let basis = BasisChoice { set: BasisSet::Xyz, probabilities: [3, 200], rotations: [1, 2, 3] };
        let mut all = vec![
            HardwareCommand::Arm { memory, tag, brightness: 0.125 },
            HardwareCommand::Disarm { memory },
            HardwareCommand::Free { memory },
            HardwareCommand::Measure { memory, basis },
            HardwareCommand::Swap { token: u64::MAX, left: memory, right: MemoryId(0) },
        ];
        all.extend(BellIndex::ALL.map(|pauli| HardwareCommand::Correct { memory, pauli }));
        let compare = |how| HardwareCommand::Compare { token: 7, kept: memory, sacrificed: MemoryId(1), how };
        all.extend(HOW.map(compare));
        all
    }
    fn events() -> Vec<HardwareEvent> {
        let memory = MemoryId(65535);
        let reply = MidpointReply {
            link: LinkId(3),
            epoch: 1,
            sequence: 1 << 40,
            cycle: 1 << 50,
            outcome: MidpointOutcome::Heralded(BellIndex::PSI_MINUS),
            own: AttemptTag::default(),
            peer: Some(AttemptTag::default()),
        };
        let mut all = vec![
            HardwareEvent::Midpoint(reply),
            HardwareEvent::Unanswered(memory),
            HardwareEvent::Failed(memory),
        ];
        all.extend(BASES.map(|basis| HardwareEvent::Measured { memory, basis, outcome: true }));
        for outcome in [None, Some(BellIndex::PHI_MINUS)] {
            all.push(HardwareEvent::Swapped { token: 500, outcome });
        }
        for outcome in [None, Some(false), Some(true)] {
            all.push(HardwareEvent::Compared { token: 500, outcome });
        }
        all
    }

    #[test]
    fn commands_and_events_are_read_as_they_were_written() {
        for command in commands() {
            let bytes = command.encode();
            assert_eq!(HardwareCommand::decode(&bytes), Ok(command));
            assert!((0..bytes.len()).all(|cut| HardwareCommand::decode(&bytes[..cut]).is_err()));
        }
        for event in events() {
            let bytes = event.encode();
            assert_eq!(HardwareEvent::decode(&bytes), Ok(event));
            assert!((0..bytes.len()).all(|cut| HardwareEvent::decode(&bytes[..cut]).is_err()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_back_alike(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(command) = HardwareCommand::decode(&bytes) {
                prop_assert_eq!(command.encode(), bytes.clone());
            }
            if let Ok(event) = HardwareEvent::decode(&bytes) {
                prop_assert_eq!(event.encode(), bytes);
            }
        }
    }
}

//! The frames of a run: what is said beside what the machines say.
//!
//! | kind | from | body |
//! |---|---|---|
//! | 0 hello | both, first | what the end is set to |
//! | 1 machine | both | a frame of the session |
//! | 2 stop | transmitter | nothing: somebody wants to come to an end |
//! | 3 over | receiver, then transmitter | 1 if the recording has no more, else 0; the transmitter says the same back |
//! | 4 failed | either | why, in words |
//!
//! Nothing of these but the session's frames is authenticated. Whoever forges them can end a run, as by cutting the line.

use super::agreement::text;

/// What one end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    Hello(&'a [u8]),
    Machine(&'a [u8]),
    Stop,
    Over { exhausted: bool },
    Failed(String),
}

impl<'a> Said<'a> {
    /// A frame that the machine wants sent.
    pub(super) fn machine(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.insert(0, 1);
        bytes
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(body) => [&[0][..], body].concat(),
            Self::Machine(body) => [&[1][..], body].concat(),
            Self::Stop => vec![2],
            Self::Over { exhausted } => vec![3, u8::from(*exhausted)],
            Self::Failed(why) => [&[4][..], why.as_bytes()].concat(),
        }
    }

    /// What a frame says; nothing if no honest end says it.
    pub(super) fn decode(frame: &'a [u8]) -> Option<Self> {
        let (&kind, body) = frame.split_first()?;
        match (kind, body) {
            (0, body) => Some(Self::Hello(body)),
            (1, body) => Some(Self::Machine(body)),
            (2, []) => Some(Self::Stop),
            (3, [exhausted @ (0 | 1)]) => Some(Self::Over { exhausted: *exhausted == 1 }),
            (4, body) => text(body).ok().map(Self::Failed),
            _ => None,
        }
    }
}

/// A reason that fits into a frame: without what a terminal would act on, and not too long.
pub(super) fn reason(error: &impl std::fmt::Display) -> String {
    const LONGEST: usize = 200;
    error.to_string().chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        for said in [
            Said::Hello(b"hello"),
            Said::Machine(b""),
            Said::Stop,
            Said::Over { exhausted: true },
            Said::Over { exhausted: false },
            Said::Failed(reason(&"a pulse\nis missing: µ".repeat(100))),
        ] {
            assert_eq!(Said::decode(&said.encode()), Some(said));
        }
        assert_eq!(Said::machine(vec![7, 8]), Said::Machine(&[7, 8]).encode());
        for wrong in [&[][..], &[2, 0], &[3], &[3, 2], &[4, 0x1b], &[5]] {
            assert_eq!(Said::decode(wrong), None, "{wrong:?}");
        }
    }
}

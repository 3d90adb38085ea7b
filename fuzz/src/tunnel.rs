//! An attacker between the two ends of a tunnel's connection.
//!
//! Neither end panics or sends without bound, and whatever the attacker does, each program is given the beginning of what
//! the other wrote and nothing else.

use crate::mutation::{Mutation, Payload, Rest};
use arbitrary::Arbitrary;
use bellwether_live::application::tunnel::Limits;
use bellwether_live::application::tunnel::session::{Input, Output, Session};
use bellwether_protocol::keys::KeyId;
use bellwether_units::{Duration, Time};

/// An attack: what is done, in this order.
#[derive(Arbitrary, Clone, Debug)]
pub struct Attack {
    /// Whether the ends begin in peace.
    open: bool,
    moves: Rest<Move, 128>,
}

#[derive(Arbitrary, Clone, Debug)]
enum Move {
    /// So many bytes arrive.
    Arrive {
        end: bool,
        bytes: u16,
    },
    /// What is on its way is changed.
    Change {
        end: bool,
        mutation: Mutation,
    },
    /// Something is put before or behind what is on its way.
    Insert {
        end: bool,
        before: bool,
        bytes: Payload,
    },
    /// What is on its way is put behind once more.
    Again {
        end: bool,
    },
    /// A program writes, as much as it may.
    Write {
        end: bool,
        bytes: Payload,
    },
    Finish {
        end: bool,
    },
    Ended {
        end: bool,
    },
    Wait {
        milliseconds: u16,
    },
    /// From now on a key manager gives keys, or gives none.
    Serve {
        end: bool,
        served: bool,
    },
}

#[derive(Default)]
struct End {
    wire: Vec<u8>,
    written: Vec<u8>,
    delivered: Vec<u8>,
    given: bool,
    failed: bool,
}

struct Pair {
    sessions: [Session; 2],
    ends: [End; 2],
    served: [bool; 2],
    keys: u8,
    now: Time,
}

fn key(id: KeyId) -> [u8; 32] {
    let mut key = [0x5a; 32];
    key[..16].copy_from_slice(&id.0.to_be_bytes());
    key
}

/// Plays an attack.
pub fn play(attack: &Attack) {
    let names = || ["a".to_owned(), "b".to_owned()];
    let limits = Limits::new(Duration::from_whole_seconds(2), 1 << 16).expect("limits");
    let mut out = Vec::new();
    let first = (KeyId(0), &key(KeyId(0))[..]);
    let initiator = Session::initiator(names(), limits, [1; 32], first, Time::ZERO, &mut out);
    let responder = Session::responder(names(), limits, [2; 32], Time::ZERO);
    let mut pair = Pair {
        sessions: [initiator, responder],
        ends: Default::default(),
        served: [true; 2],
        keys: 0,
        now: Time::ZERO,
    };
    pair.carry_out(0, out);
    if attack.open {
        for _ in 0..4 {
            pair.arrive(0, usize::MAX);
            pair.arrive(1, usize::MAX);
        }
        assert!(pair.sessions.iter().all(|session| session.room() > 0), "the ends are open");
    }
    for step in attack.moves.iter() {
        pair.make(step);
        for end in [0, 1] {
            let (got, wrote) = (&pair.ends[end].delivered, &pair.ends[1 - end].written);
            assert!(wrote.starts_with(got), "a program was given what the other did not write");
            assert!(pair.ends[end].wire.len() < 1 << 22, "an end sends without bound");
        }
    }
}

impl Pair {
    fn give(&mut self, end: usize, input: Input<'_>) {
        let mut out = Vec::new();
        let handled = self.sessions[end].handle(self.now, input, &mut out);
        self.ends[end].failed |= handled.is_err();
        assert!(!self.ends[end].failed || handled.is_err(), "an end that has failed goes on");
        self.carry_out(end, out);
    }

    fn carry_out(&mut self, end: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send(bytes) => self.ends[1 - end].wire.extend(bytes),
                Output::Deliver(bytes) => {
                    assert!(self.ends[end].given, "bytes before the proof of the key");
                    self.ends[end].delivered.extend(&bytes);
                    self.give(end, Input::Taken(bytes.len()));
                }
                Output::WantFresh if self.served[0] => {
                    self.keys = self.keys.wrapping_add(1);
                    let id = KeyId(self.keys.into());
                    self.give(end, Input::Key(id, &key(id)));
                }
                Output::WantNamed(id) if self.served[1] => self.give(end, Input::Key(id, &key(id))),
                Output::WantFresh | Output::WantNamed(_) => self.give(end, Input::NoKey),
                Output::Ready(_) => self.ends[end].given = true,
                Output::Rotated(_) | Output::Finished => {}
            }
        }
    }

    fn arrive(&mut self, end: usize, most: usize) {
        let count = most.min(self.ends[end].wire.len());
        let bytes: Vec<u8> = self.ends[end].wire.drain(..count).collect();
        self.give(end, Input::Arrived(&bytes));
    }

    fn make(&mut self, step: &Move) {
        match step {
            Move::Arrive { end, bytes } => self.arrive(usize::from(*end), usize::from(*bytes)),
            Move::Change { end, mutation } => {
                mutation.apply(&mut self.ends[usize::from(*end)].wire, 0, |_| None);
            }
            Move::Insert { end, before, bytes } => {
                let wire = &mut self.ends[usize::from(*end)].wire;
                let at = if *before { 0 } else { wire.len() };
                wire.splice(at..at, bytes.iter().copied());
            }
            Move::Again { end } => {
                let wire = &mut self.ends[usize::from(*end)].wire;
                wire.extend_from_within(..wire.len().min(1 << 12));
            }
            Move::Write { end, bytes } => {
                let end = usize::from(*end);
                let room = self.sessions[end].room().min(bytes.len());
                self.ends[end].written.extend(&bytes[..room]);
                self.give(end, Input::Write(&bytes[..room]));
            }
            Move::Finish { end } => self.give(usize::from(*end), Input::Finish),
            Move::Ended { end } => self.give(usize::from(*end), Input::Ended),
            Move::Wait { milliseconds } => {
                self.now = self.now + Duration::from_milliseconds((*milliseconds).into());
                for end in [0, 1] {
                    if self.sessions[end].deadline().is_some_and(|deadline| deadline <= self.now) {
                        self.give(end, Input::Timeout);
                    }
                }
            }
            Move::Serve { end, served } => self.served[usize::from(*end)] = *served,
        }
    }
}

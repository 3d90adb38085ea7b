//! Two ends of a tunnel in memory: whatever is done to the bytes between them, no program is told anything but the
//! beginning of what the other wrote.

use super::session::{Input, Output, Session, SessionError, WINDOW};
use super::{Limits, LimitsError};
use bellwether_protocol::keys::KeyId;
use bellwether_units::{Duration, Time};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const LIFE: Duration = Duration::from_whole_seconds(10);
const VOLUME: u64 = 1 << 16;

struct Pair {
    ends: [Session; 2],
    /// Bytes on their way to each end.
    wires: [Vec<u8>; 2],
    written: [Vec<u8>; 2],
    delivered: [Vec<u8>; 2],
    ended: [bool; 2],
    ready: [bool; 2],
    rotations: [u32; 2],
    keys: u128,
    /// Whether the initiator's and the responder's key manager give keys.
    served: [bool; 2],
    /// Whether the programs take what is delivered.
    reads: bool,
    now: Time,
}

/// A key of the key managers.
fn key(id: KeyId) -> [u8; 32] {
    Sha256::digest(id.0.to_be_bytes()).into()
}

fn names() -> [String; 2] {
    ["bank-a".to_owned(), "bank-b".to_owned()]
}

impl Pair {
    fn new(names_there: [String; 2]) -> Self {
        Self::with(names_there, VOLUME)
    }

    fn with(names_there: [String; 2], volume: u64) -> Self {
        let limits = Limits::new(LIFE, volume).unwrap();
        let mut out = Vec::new();
        let initiator =
            Session::initiator(names(), limits, [1; 32], (KeyId(0), &key(KeyId(0))), Time::ZERO, &mut out);
        let longer = Limits::new(Duration::from_whole_seconds(60), 1 << 36).unwrap();
        let responder = Session::responder(names_there, longer, [2; 32], Time::ZERO);
        let mut pair = Self {
            ends: [initiator, responder],
            wires: Default::default(),
            written: Default::default(),
            delivered: Default::default(),
            ended: [false; 2],
            ready: [false; 2],
            rotations: [0; 2],
            keys: 0,
            served: [true; 2],
            reads: true,
            now: Time::ZERO,
        };
        pair.carry_out(0, out).unwrap();
        pair
    }

    fn open() -> Self {
        Self::open_with(VOLUME)
    }

    fn open_with(volume: u64) -> Self {
        let mut pair = Self::with(names(), volume);
        pair.settle().unwrap();
        assert_eq!(pair.ready, [true; 2]);
        pair
    }

    fn give(&mut self, end: usize, input: Input<'_>) -> Result<(), SessionError> {
        let mut out = Vec::new();
        let handled = self.ends[end].handle(self.now, input, &mut out);
        self.carry_out(end, out)?;
        handled
    }

    fn carry_out(&mut self, end: usize, out: Vec<Output>) -> Result<(), SessionError> {
        for output in out {
            match output {
                Output::Send(bytes) => self.wires[1 - end].extend(bytes),
                Output::Deliver(bytes) => {
                    assert!(self.ready[end], "delivered before the proof");
                    self.delivered[end].extend(&bytes);
                    if self.reads {
                        self.give(end, Input::Taken(bytes.len()))?;
                    }
                }
                Output::WantFresh if self.served[0] => {
                    self.keys += 1;
                    let id = KeyId(self.keys);
                    self.give(0, Input::Key(id, &key(id)))?;
                }
                Output::WantNamed(id) if self.served[1] => self.give(1, Input::Key(id, &key(id)))?,
                Output::WantFresh | Output::WantNamed(_) => self.give(end, Input::NoKey)?,
                Output::Ready(_) => self.ready[end] = true,
                Output::Rotated(_) => self.rotations[end] += 1,
                Output::Finished => self.ended[end] = true,
            }
        }
        Ok(())
    }

    /// Up to `most` bytes arrive at an end.
    fn arrive(&mut self, end: usize, most: usize) -> Result<(), SessionError> {
        let count = most.min(self.wires[end].len());
        let bytes: Vec<u8> = self.wires[end].drain(..count).collect();
        self.give(end, Input::Arrived(&bytes))
    }

    fn settle(&mut self) -> Result<(), SessionError> {
        while self.wires.iter().any(|wire| !wire.is_empty()) {
            self.arrive(0, usize::MAX)?;
            self.arrive(1, usize::MAX)?;
        }
        Ok(())
    }

    /// Writes what there is room for.
    fn write(&mut self, end: usize, most: usize) -> Result<(), SessionError> {
        let count = most.min(self.ends[end].room());
        let from = self.written[end].len();
        let bytes: Vec<u8> = (from..from + count).map(|at| (at * (end + 7) / 3) as u8).collect();
        self.written[end].extend(&bytes);
        self.give(end, Input::Write(&bytes))
    }

    fn honest(&self) -> bool {
        (0..2).all(|end| self.written[1 - end].starts_with(&self.delivered[end]))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize),
    Arrive(usize, usize),
    Wait(u64),
    Finish(usize),
    Serve(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = 0..2_usize;
    let step = prop_oneof![
        4 => (end.clone(), 0..40_000_usize).prop_map(|(end, count)| Step::Write(end, count)),
        8 => (end.clone(), 1..60_000_usize).prop_map(|(end, count)| Step::Arrive(end, count)),
        2 => (0..800_u64).prop_map(Step::Wait),
        1 => end.clone().prop_map(Step::Finish),
        1 => (end, any::<bool>()).prop_map(|(end, served)| Step::Serve(end, served)),
    ];
    proptest::collection::vec(step, 1..60)
}

fn play(pair: &mut Pair, steps: &[Step]) -> Result<(), SessionError> {
    for step in steps {
        match *step {
            Step::Write(end, count) => pair.write(end, count)?,
            Step::Arrive(end, count) => pair.arrive(end, count)?,
            Step::Finish(end) => pair.give(end, Input::Finish)?,
            Step::Serve(end, served) => pair.served[end] = served,
            Step::Wait(milliseconds) => {
                pair.now = pair.now.saturating_add(Duration::from_milliseconds(milliseconds));
                pair.give(0, Input::Timeout)?;
                pair.give(1, Input::Timeout)?;
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_arrives_through_changes_of_keys(steps in steps()) {
        let mut pair = Pair::open();
        match play(&mut pair, &steps) {
            // Only time may end it, and only where a key was not to be had, or what was sent did not arrive.
            Err(error) => prop_assert!(error == SessionError::Expired && pair.honest(), "{error}"),
            Ok(()) => {
                prop_assert!(pair.honest());
                if pair.settle().is_ok() {
                    for end in 0..2 {
                        prop_assert_eq!(&pair.delivered[end], &pair.written[1 - end]);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_changed_between_the_ends_is_found_out(
        steps in steps(),
        end in 0..2_usize,
        place in any::<prop::sample::Index>(),
        manner in 0..4_u8,
        bit in 0..8_u8,
    ) {
        let mut pair = Pair::open();
        prop_assume!(play(&mut pair, &steps).is_ok());
        // Something that was not carried yet, so that there is something to change.
        for end in 0..2 {
            prop_assume!(pair.give(end, Input::Finish).is_ok());
        }
        let wire = &mut pair.wires[end];
        prop_assume!(!wire.is_empty());
        let at = place.index(wire.len());
        match manner {
            0 => wire[at] ^= 1 << bit,
            1 => {
                wire.remove(at);
            }
            2 => wire.insert(at, wire[at] ^ 1 << bit),
            _ => wire.truncate(at),
        }
        let settled = pair.settle().and_then(|()| pair.give(end, Input::Ended));
        prop_assert!(pair.honest());
        // What was changed may be behind the end, where nothing is for the program any more.
        let whole = pair.ended[end] && pair.delivered[end] == pair.written[1 - end];
        prop_assert!(whole || (!pair.ended[end] && settled.is_err()), "{:?}", settled);
    }

    #[test]
    fn no_bytes_make_an_end_panic_or_deliver(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        end in 0..2_usize,
    ) {
        let mut pair = Pair::open();
        let _ = pair.give(end, Input::Arrived(&noise));
        prop_assert!(pair.delivered[end].is_empty() && !pair.ended[end] && pair.rotations == [0; 2]);
        let mut fresh = Pair::new(names());
        fresh.wires = Default::default();
        let _ = fresh.give(end, Input::Arrived(&noise));
        prop_assert_eq!(fresh.ready, [false; 2]);
    }
}

#[test]
fn records_repeated_or_in_another_order_do_not_open() {
    for repeated in [true, false] {
        let mut pair = Pair::open();
        pair.write(0, 10).unwrap();
        let first = std::mem::take(&mut pair.wires[1]);
        pair.write(0, 10).unwrap();
        let second = std::mem::take(&mut pair.wires[1]);
        pair.wires[1] = if repeated { [first.clone(), first].concat() } else { [second, first].concat() };
        assert_eq!(pair.settle(), Err(SessionError::Forged));
        assert_eq!(pair.delivered[1].len(), if repeated { 10 } else { 0 });
    }
}

#[test]
fn a_responder_without_the_key_or_of_another_name_is_not_ready() {
    let mut pair = Pair::new(["bank-a".to_owned(), "stranger".to_owned()]);
    assert_eq!(pair.settle(), Err(SessionError::Forged));
    assert_eq!(pair.ready, [false; 2]);
    let mut pair = Pair::new(names());
    pair.served[1] = false;
    assert_eq!(pair.settle(), Err(SessionError::NoKey));
    let mut pair = Pair::new(names());
    pair.now = Time::from_picoseconds(31_000_000_000_000);
    assert_eq!(pair.settle(), Err(SessionError::Silent));
}

#[test]
fn keys_change_by_volume_and_what_exceeds_it_waits() {
    let mut pair = Pair::open();
    while pair.rotations[0] < 5 {
        pair.write(0, 20_000).unwrap();
        pair.settle().unwrap();
    }
    assert_eq!((pair.rotations, &pair.delivered[1]), ([5, 5], &pair.written[0]));
    pair.served[0] = false;
    let before = pair.written[0].len();
    for _ in 0..10 {
        pair.write(0, 20_000).unwrap();
        pair.settle().unwrap();
    }
    assert!((pair.written[0].len() - before) as u64 <= VOLUME && pair.ends[0].room() == 0);
}

#[test]
fn without_a_fresh_key_it_ends_when_the_time_is_over_and_not_before() {
    for unserved in 0..2 {
        let mut pair = Pair::open();
        pair.served[unserved] = false;
        // The time runs from when the second end was ready, which is zero here.
        for tenth in 1..100 {
            pair.now = Time::from_picoseconds(tenth * 100_000_000_000);
            pair.give(0, Input::Timeout).unwrap();
            pair.settle().unwrap();
            pair.write(0, 10).unwrap();
            pair.settle().unwrap();
        }
        assert_eq!((&pair.delivered[1], pair.rotations), (&pair.written[0], [0; 2]));
        pair.now = Time::from_picoseconds(10_000_000_000_000);
        for end in 0..2 {
            assert_eq!(pair.give(end, Input::Timeout), Err(SessionError::Expired));
            assert_eq!(pair.ends[end].room(), 0);
        }
    }
}

#[test]
fn a_key_manager_that_comes_back_in_time_saves_the_connection() {
    let mut pair = Pair::open();
    for second in 1..=60 {
        pair.served = [second % 8 == 0, second % 8 < 2];
        pair.now = Time::from_picoseconds(second * 500_000_000_000);
        pair.give(0, Input::Timeout).unwrap();
        pair.settle().unwrap();
    }
    assert!(pair.rotations[0] >= 2 && pair.rotations[0] == pair.rotations[1], "{:?}", pair.rotations);
}

#[test]
fn a_program_that_does_not_read_stops_the_other_and_not_the_change_of_keys() {
    let mut pair = Pair::open_with(1 << 30);
    pair.reads = false;
    while pair.ends[0].room() > 0 {
        pair.write(0, 100_000).unwrap();
        pair.settle().unwrap();
    }
    assert_eq!(pair.delivered[1].len(), WINDOW);
    pair.now = Time::from_picoseconds(6_000_000_000_000);
    pair.give(0, Input::Timeout).unwrap();
    pair.settle().unwrap();
    assert_eq!((pair.rotations, pair.ends[0].room()), ([1; 2], 0));
    pair.give(1, Input::Taken(WINDOW)).unwrap();
    pair.settle().unwrap();
    assert_eq!(pair.ends[0].room(), WINDOW);
}

#[test]
fn limits_out_of_range_are_refused() {
    assert_eq!(Limits::new(Duration::from_milliseconds(999), VOLUME), Err(LimitsError::Life(999)));
    assert_eq!(Limits::new(LIFE, 1000), Err(LimitsError::Volume(1000)));
}

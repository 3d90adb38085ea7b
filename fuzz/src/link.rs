//! An attacker on the classical channel of one link.
//!
//! Both ends go through a real opening handshake and distil blocks in virtual time while the attacker changes,
//! replays, splices and forges frames to one of them. The driver asserts that keys of a block are equal at both
//! ends, that no block is told twice and that no one-time pad serves two frames; here it is asserted besides
//! that an end answers with a bounded number of bounded frames, and that keys are made again once it is over.

use crate::light::Light;
use crate::mutation::{Mutation, Payload, Rest};
use crate::pair::{End, Faults, Pair, small_blocks};
use arbitrary::Arbitrary;
use bellwether_protocol::qkd::session::TagPolicy;
use bellwether_units::Duration;
use std::cell::RefCell;
use std::rc::Rc;

/// Which end the attacker's frames go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The end that sends the pulses.
    Transmitter,
    /// The end that detects them.
    Receiver,
}

/// An attack: what is done, in this order.
#[derive(Arbitrary, Clone, Debug)]
pub struct Attack {
    seed: u8,
    tag_every_message: bool,
    wait_for_key: bool,
    moves: Rest<Move, MOVES>,
}

#[derive(Arbitrary, Clone, Debug)]
enum Move {
    /// Virtual time passes.
    Wait { milliseconds: u8 },
    /// The next frame to the victim, after so many that pass, is changed under way.
    Change { after: u8, spare_header: bool, mutations: Vec<Mutation> },
    /// A frame that was sent before, by either end, comes again, changed or not.
    Replay { which: u16, from_victim: bool, spare_header: bool, mutations: Vec<Mutation> },
    /// A frame in the right form, of this session or near it, with numbers near those in use.
    Forge { kind: u8, session: i8, sequence: i8, ack: i8, payload: Payload },
    /// A message of this session in the right place, of a given kind.
    Message { kind: u8, numbers: [u8; 3], payload: Payload },
    /// Any bytes.
    Bytes(Payload),
    /// The channel loses and doubles frames from now on, in 1/512.
    Faults { loss: u8, duplication: u8, hold: u8 },
    /// The victim loses what is not durable, and starts again.
    Crash,
}

/// What the attacker has seen, by sender.
#[derive(Default)]
struct Seen {
    frames: [Vec<Vec<u8>>; 2],
    bytes: usize,
    plan: Option<(u8, bool, Vec<Mutation>)>,
    longest: usize,
}

/// Bytes before the payload of a frame with a message.
const HEADER: usize = 26;
/// As many frames of each end are remembered.
const REMEMBERED: usize = 512;
/// As many moves are made.
const MOVES: usize = 48;

/// Plays an attack.
pub fn play(attack: &Attack, victim: Victim) {
    let end = match victim {
        Victim::Transmitter => End::Transmitter,
        Victim::Receiver => End::Receiver,
    };
    let mut settings = small_blocks();
    // Small and quick, for an attack is played many times; and still with key in every honest block.
    settings.block_bits = 1024;
    settings.timing.silent_after = Duration::from_milliseconds(500);
    settings.timing.stalled_after = Duration::from_whole_seconds(1);
    settings.timing.reopen_at_most = Duration::from_milliseconds(300);
    settings.timing.retransmit_at_most = Duration::from_milliseconds(200);
    settings.tags = if attack.tag_every_message { TagPolicy::EveryMessage } else { TagPolicy::EveryBlock };
    let seed = u64::from(attack.seed % 4);
    let mut light = Light::single_photons(seed);
    (light.transmittance, light.key_basis) = (1.0, 0.6);
    let mut pair = Pair::new(settings, light, seed);
    pair.window_pulses = 700;
    pair.delay = Duration::from_microseconds(50);
    let seen = Rc::new(RefCell::new(Seen::default()));
    let watch = Rc::clone(&seen);
    pair.tamper = Some(Box::new(move |_, from, bytes| watch.borrow_mut().pass(from, end, bytes)));
    pair.run(Duration::from_milliseconds(50));
    for step in attack.moves.iter() {
        make(step, &mut pair, end, &seen);
    }
    pair.faults = Faults::default();
    seen.borrow_mut().plan = None;
    pair.run(Duration::from_milliseconds(200));
    if attack.moves.is_empty() {
        assert!(pair.shared_keys() > 0, "no key without an attack: {:?}", pair.blocks);
    } else if attack.wait_for_key && !attack.tag_every_message {
        let keys = pair.shared_keys();
        let recovered = pair.run_to_keys(keys + 1, Duration::from_whole_seconds(30));
        assert!(recovered, "no key after the attack has ended: {attack:?}\n{:#?}", {
            let tail = |end: End| {
                let alarms = pair.alarms[end as usize].iter().rev().take(8).collect::<Vec<_>>();
                let reports = pair.blocks[end as usize].iter().rev().take(4).collect::<Vec<_>>();
                (format!("{alarms:?}"), format!("{reports:?}"))
            };
            (
                pair.now,
                pair.sessions,
                pair.pads_left(),
                pair.shared_keys(),
                tail(End::Transmitter),
                tail(End::Receiver),
            )
        });
    }

    let seen = seen.borrow();
    // Each window and each move may cost an end a few frames, and a lost frame is sent again now and then.
    let steps = attack.moves.len() as u64 + 1;
    let milliseconds = pair.now.picoseconds() / 1_000_000_000;
    let most = 2000 + 600 * steps + 20 * milliseconds;
    assert!(pair.frames <= most, "{} frames in {milliseconds} ms and {steps} moves", pair.frames);
    assert!(seen.longest <= pair.settings.limits.frame_bytes, "a frame of {} bytes", seen.longest);
    assert!(seen.bytes as u64 <= 1_000_000 + 100_000 * (steps + milliseconds), "{} bytes sent", seen.bytes);
}

fn make(step: &Move, pair: &mut Pair, victim: End, seen: &Rc<RefCell<Seen>>) {
    let from = victim.other();
    match step {
        Move::Wait { milliseconds } => pair.run(Duration::from_milliseconds(u64::from(*milliseconds))),
        Move::Change { after, spare_header, mutations } => {
            seen.borrow_mut().plan = Some((after % 32, *spare_header, mutations.clone()));
            pair.run(Duration::from_milliseconds(20));
        }
        Move::Replay { which, from_victim, spare_header, mutations } => {
            let frame = {
                let seen = seen.borrow();
                let sender = if *from_victim { victim } else { from };
                let Some(mut frame) = seen.frame(sender, usize::from(*which)).map(<[u8]>::to_vec) else {
                    return;
                };
                for mutation in mutations.iter().take(8) {
                    let header = if *spare_header { HEADER } else { 0 };
                    mutation.apply(&mut frame, header, |other| seen.frame(sender, other));
                }
                frame
            };
            pair.inject(victim, &frame);
        }
        Move::Forge { kind, session, sequence, ack, payload } => {
            let (now, next, acknowledged) = seen.borrow().place(from);
            let mut frame = vec![1, kind % 8];
            frame.extend(now.wrapping_add_signed(i64::from(*session)).to_le_bytes());
            if matches!(kind % 8, 4..=6) {
                frame.extend(acknowledged.wrapping_add_signed(i64::from(*ack)).to_le_bytes());
            }
            if matches!(kind % 8, 4 | 5) {
                frame.extend(next.wrapping_add_signed(i64::from(*sequence)).to_le_bytes());
            }
            frame.extend(payload.iter());
            pair.inject(victim, &frame);
        }
        Move::Message { kind, numbers, payload } => {
            let (now, next, acknowledged) = seen.borrow().place(from);
            let mut frame = vec![1, 4];
            frame.extend(now.to_le_bytes());
            frame.extend(acknowledged.to_le_bytes());
            frame.extend(next.to_le_bytes());
            frame.push(kind % 16);
            frame.extend(numbers.iter().flat_map(|&number| u64::from(number).to_le_bytes()));
            frame.extend(payload.iter());
            pair.inject(victim, &frame);
        }
        Move::Bytes(bytes) => pair.inject(victim, bytes),
        Move::Faults { loss, duplication, hold } => {
            pair.faults = Faults {
                loss: f64::from(*loss) / 512.0,
                duplication: f64::from(*duplication) / 512.0,
                hold: Duration::from_milliseconds(u64::from(*hold)),
            };
        }
        Move::Crash => pair.crash(victim),
    }
}

impl Seen {
    fn frame(&self, from: End, which: usize) -> Option<&[u8]> {
        let frames = &self.frames[from as usize];
        // The latest first, for those are still in play.
        frames.len().checked_sub(1).map(|last| frames[last - which % frames.len()].as_slice())
    }

    /// Session, next sequence number and acknowledgement of an end, read off its last frames.
    fn place(&self, from: End) -> (u64, u64, u64) {
        let number = |frame: &[u8], at: usize| {
            frame.get(at..at + 8).map_or(0, |b| b.iter().rev().fold(0u64, |sum, &b| sum << 8 | u64::from(b)))
        };
        let frames = self.frames.iter().flatten();
        let session = frames.map(|frame| number(frame, 2)).max().unwrap_or(1);
        let own = self.frames[from as usize].iter().filter(|f| number(f, 2) == session);
        let next =
            own.clone().filter(|f| matches!(f[1], 4 | 5)).map(|f| number(f, 18).saturating_add(1)).max();
        let ack = own.filter(|f| matches!(f[1], 4..=6)).map(|f| number(f, 10)).max();
        (session, next.unwrap_or(0), ack.unwrap_or(0))
    }

    fn pass(&mut self, from: End, victim: End, bytes: &mut Vec<u8>) {
        self.longest = self.longest.max(bytes.len());
        self.bytes += bytes.len();
        let ring = &mut self.frames[from as usize];
        if ring.len() < REMEMBERED {
            ring.push(bytes.clone());
        } else {
            ring.rotate_left(1);
            ring[REMEMBERED - 1] = bytes.clone();
        }
        if from == victim {
            return;
        }
        match self.plan.take() {
            Some((0, spare_header, mutations)) => {
                let header = if spare_header { HEADER } else { 0 };
                for mutation in mutations.iter().take(8) {
                    mutation.apply(bytes, header, |other| self.frame(from, other));
                }
            }
            Some((after, spare_header, mutations)) => self.plan = Some((after - 1, spare_header, mutations)),
            None => {}
        }
    }
}

use super::*;
use crate::entanglement::CircuitId;
use proptest::prelude::*;

const ALICE: NodeId = NodeId(0);
const BOB: NodeId = NodeId(1);

fn letter(number: u64) -> Letter {
    // Both kinds, so that they keep their order among each other.
    if number % 3 == 2 {
        Letter::Over { calls: vec![(CircuitId(number), number), (CircuitId(1), 0)] }
    } else {
        Letter::Message(number.to_le_bytes().to_vec())
    }
}

/// What becomes of a frame: how late it is, and how often it comes.
#[derive(Clone, Copy, Debug)]
struct Fate {
    late: u16,
    copies: u8,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = (0..400u16, prop_oneof![2 => Just(0u8), 3 => Just(1), 1 => Just(2)]);
    proptest::collection::vec(fate.prop_map(|(late, copies)| Fate { late, copies }), 0..200)
}

/// Two ends and what is on its way between them; frames meet their fates in turn, and nothing bad once these are used up.
struct Played {
    now: Time,
    ends: [Mail; 2],
    /// By when it arrives and when it was sent: for whom, and what.
    frames: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    sent: u64,
    fates: std::vec::IntoIter<Fate>,
    got: [Vec<Letter>; 2],
    restarts: [u32; 2],
}

impl Played {
    fn new(fates: Vec<Fate>) -> Self {
        let timing = MailTiming::default();
        Self {
            now: Time::ZERO,
            ends: [Mail::new(7, timing), Mail::new(0, timing)],
            frames: BTreeMap::new(),
            sent: 0,
            fates: fates.into_iter(),
            got: [Vec::new(), Vec::new()],
            restarts: [0, 0],
        }
    }
    fn act(&mut self, end: usize, act: impl FnOnce(&mut Mail, Time, &mut Vec<MailEffect>)) {
        let mut out = Vec::new();
        act(&mut self.ends[end], self.now, &mut out);
        for effect in out {
            match effect {
                MailEffect::Send { to, message } => {
                    assert_eq!(to.index(), 1 - end);
                    let Fate { late, copies } = self.fates.next().unwrap_or(Fate { late: 10, copies: 1 });
                    for copy in 0..u64::from(copies) {
                        let late = Duration::from_milliseconds(1 + u64::from(late) * (copy + 1));
                        self.sent += 1;
                        self.frames.insert((self.now + late, self.sent), (1 - end, message.encode()));
                    }
                }
                MailEffect::Deliver { from, letter } => {
                    assert_eq!(from.index(), 1 - end);
                    self.got[end].push(letter);
                }
                MailEffect::Restarted { peer } => {
                    assert_eq!(peer.index(), 1 - end);
                    self.restarts[end] += 1;
                }
            }
        }
    }
    fn send(&mut self, end: usize, number: u64) {
        let to = [BOB, ALICE][end];
        self.act(end, |mail, now, out| mail.send(now, to, letter(number), out));
    }
    /// Lets the next thing happen; whether there was one.
    fn step(&mut self) -> bool {
        let frame = self.frames.keys().next().map(|(at, _)| *at);
        let due = [0, 1].map(|end| self.ends[end].deadline());
        let Some(at) = frame.into_iter().chain(due.into_iter().flatten()).min() else { return false };
        assert!(at < Time::ZERO + Duration::from_whole_seconds(100_000), "it never comes to rest");
        self.now = at;
        if frame == Some(at)
            && let Some((_, (end, bytes))) = self.frames.pop_first()
        {
            let message = MailMessage::decode(&bytes).expect("it was encoded");
            let from = [BOB, ALICE][end];
            self.act(end, |mail, now, out| mail.hear(now, from, &message, out));
        } else {
            let end = usize::from(due[0] != Some(at));
            self.act(end, Mail::timeout);
        }
        true
    }
    fn settle(&mut self) {
        while self.step() {}
        assert_eq!([self.ends[0].waiting(BOB), self.ends[1].waiting(ALICE)], [0, 0]);
    }
}

fn letters(numbers: impl Iterator<Item = u64>) -> Vec<Letter> {
    numbers.map(letter).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the network does, each letter comes once and in order.
    #[test]
    fn letters_come_once_and_in_order(fates in fates(), counts in [0..100u64, 0..100u64], steps in 0..20usize) {
        let mut played = Played::new(fates);
        for number in 0..counts[0].max(counts[1]) {
            for (end, count) in counts.into_iter().enumerate() {
                if number < count {
                    played.send(end, number);
                }
            }
            for _ in 0..steps {
                played.step();
            }
        }
        played.settle();
        prop_assert_eq!(&played.got[0], &letters(0..counts[1]));
        prop_assert_eq!(&played.got[1], &letters(0..counts[0]));
        prop_assert_eq!(played.restarts, [0, 0]);
    }

    /// An end that begins anew gets nothing that its former life got or was sent, and all that is sent once it is known.
    #[test]
    fn a_new_life_begins_anew(fates in fates(), before in 0..80u64, steps in 0..200usize, after in 0..20u64) {
        let mut played = Played::new(fates);
        (0..before).for_each(|number| played.send(0, number));
        for _ in 0..steps {
            played.step();
        }
        let former = core::mem::take(&mut played.got[1]);
        let knew = played.ends[0].ways.get(&BOB).is_some_and(|way| way.theirs.is_some());
        played.ends[1] = Mail::new(1, MailTiming::default());
        // The new life speaks, by which the other end gets to know it.
        played.send(1, 1000);
        played.settle();
        prop_assert_eq!(&played.got[0][..], &letters(1000..1001)[..]);
        (before..before + after).for_each(|number| played.send(0, number));
        played.settle();
        prop_assert_eq!(&former, &letters(0..former.len() as u64));
        prop_assert_eq!(played.restarts[1], 0);
        if knew {
            prop_assert_eq!(&played.got[1], &letters(before..before + after));
            prop_assert_eq!(played.restarts[0], 1);
        } else {
            // To the sender it is the first life, or the second if a greeting of the first was still under way.
            let all = letters(0..before + after);
            let late = letters(before..before + after);
            prop_assert!(played.got[1] == all || played.got[1] == late);
            prop_assert!(former.is_empty());
        }
    }

    #[test]
    fn no_bytes_make_an_end_panic(frames in proptest::collection::vec(proptest::collection::vec(0..8u8, 0..12), 0..40)) {
        let mut mail = Mail::new(3, MailTiming::default());
        let mut out = Vec::new();
        mail.send(Time::ZERO, BOB, letter(0), &mut out);
        for mut bytes in frames {
            bytes.insert(0, 1);
            if let Ok(message) = MailMessage::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
                mail.hear(Time::ZERO, BOB, &message, &mut out);
            }
        }
    }
}

#[test]
fn what_is_not_answered_is_said_again_ever_more_rarely() {
    let mut mail = Mail::new(1, MailTiming::default());
    let mut out = Vec::new();
    mail.send(Time::ZERO, BOB, letter(0), &mut out);
    mail.send(Time::ZERO, BOB, letter(1), &mut out);
    let greeting = MailEffect::Send { to: BOB, message: MailMessage::Greeting { life: 1, to: None } };
    assert_eq!(out, [greeting]);
    let mut waits = Vec::new();
    let mut now = Time::ZERO;
    for _ in 0..7 {
        let due = mail.deadline().expect("it is said again");
        waits.push(due.since(now).picoseconds() / 1_000_000_000);
        now = due;
        out.clear();
        mail.timeout(now, &mut out);
        assert_eq!(out.len(), 1);
    }
    assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
    // An answer begins it anew: both letters are on their way.
    out.clear();
    mail.hear(now, BOB, &MailMessage::Greeting { life: 4, to: Some(1) }, &mut out);
    assert_eq!(out.len(), 2);
    assert_eq!(mail.deadline(), Some(now + MailTiming::default().first));
}

#[test]
fn old_lives_are_not_heard() {
    let mut mail = Mail::new(5, MailTiming::default());
    let mut out = Vec::new();
    let from = |life, to| MailMessage::Letter { life, to, number: 0, letter: letter(0) };
    mail.hear(Time::ZERO, BOB, &from(2, 5), &mut out);
    assert!(matches!(out[0], MailEffect::Deliver { from: BOB, .. }));
    out.clear();
    // From the other's former life, and from its present one to a life that is yet to come.
    mail.hear(Time::ZERO, BOB, &from(1, 5), &mut out);
    mail.hear(Time::ZERO, BOB, &from(2, 6), &mut out);
    assert!(out.is_empty());
    // To this one's former life: it is told which the present one is.
    mail.hear(Time::ZERO, BOB, &from(2, 4), &mut out);
    let greeting = MailEffect::Send { to: BOB, message: MailMessage::Greeting { life: 5, to: Some(2) } };
    assert_eq!(out, [greeting]);
}

//! Two ends in virtual time, through lost channels, silence, crashes, a `wg` that fails and key managers without key:
//! no old key stays, no key is set at the initiator that the responder has not set, and all is well soon after.

use super::super::tunnel::Role;
use super::rotation::{Cause, Event, Input, Message, Output, Psk, Rotation, Settings};
use bellwether_protocol::keys::KeyId;
use bellwether_units::{Duration, Time};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

const INTERVAL: Duration = Duration::from_whole_seconds(120);
const MAX_AGE: Duration = Duration::from_whole_seconds(300);
const ROLES: [Role; 2] = [Role::Initiator, Role::Responder];

/// What goes wrong, and for how many seconds.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The channel breaks; both ends are told.
    Cut,
    /// Nothing arrives and nobody is told.
    Silence(u64),
    /// No key is to be had.
    NoKeys(u64),
    /// `wg` of an end fails.
    NoTool(usize, u64),
    /// An end is killed, and started again later.
    Crash(usize, u64),
}

enum Packet {
    Open(u128),
    Heard(Message),
    Closed,
    Refused,
    Revive,
}

/// What an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Random(u64),
    Key(u128),
}

struct World {
    now: Time,
    ends: [Option<Rotation>; 2],
    slots: [Slot; 2],
    /// The channel that each end has, and the one that the initiator opens.
    channels: [Option<u64>; 2],
    dialling: Option<u64>,
    next_channel: u64,
    /// After how long an attempt to open one is given up, in seconds.
    gives_up: u64,
    /// What arrives when, where and on which channel, in the order of time.
    wire: BTreeMap<(Time, u64), (usize, u64, Packet)>,
    packets: u64,
    silent_until: Time,
    no_keys_until: Time,
    no_tool_until: [Time; 2],
    down_until: [Time; 2],
    /// When both ends held each key.
    agreed: Vec<Time>,
    set_by_responder: BTreeSet<u128>,
    installed: [Vec<u128>; 2],
    /// How often the ends told that the channel is lost, and that a key was kept.
    told_apart: u32,
    told_kept: u32,
    randoms: u64,
    /// Since when the two differ, and for how long they did at most.
    differ_since: Option<Time>,
    differed: Duration,
    delay: Duration,
}

fn seconds(count: u64) -> Duration {
    Duration::from_whole_seconds(count)
}

impl World {
    fn new(delay: Duration) -> Self {
        let settings = Settings::new(INTERVAL, MAX_AGE).unwrap();
        let mut world = Self {
            now: Time::ZERO,
            ends: ROLES.map(|role| Some(Rotation::new(role, settings, Time::ZERO))),
            // Left over from before.
            slots: [Slot::Random(u64::MAX); 2],
            channels: [None; 2],
            dialling: None,
            next_channel: 0,
            gives_up: 10,
            wire: BTreeMap::new(),
            packets: 0,
            silent_until: Time::ZERO,
            no_keys_until: Time::ZERO,
            no_tool_until: [Time::ZERO; 2],
            down_until: [Time::ZERO; 2],
            agreed: Vec::new(),
            set_by_responder: BTreeSet::new(),
            installed: [Vec::new(), Vec::new()],
            told_apart: 0,
            told_kept: 0,
            randoms: 0,
            differ_since: Some(Time::ZERO),
            differed: Duration::ZERO,
            delay,
        };
        world.tell(1, Input::Timeout);
        world.tell(0, Input::Timeout);
        world
    }

    fn post(&mut self, after: Duration, to: usize, channel: u64, packet: Packet) {
        let at = self.now.saturating_add(after);
        self.wire.insert((at, self.packets), (to, channel, packet));
        self.packets += 1;
    }

    fn is_silent(&self) -> bool {
        self.now < self.silent_until
    }

    /// What an end has set besides this, it closes.
    fn replace(&mut self, end: usize, channel: u64) {
        if let Some(before) = self.channels[end].replace(channel).filter(|&before| before != channel) {
            self.post(self.delay, 1 - end, before, Packet::Closed);
        }
    }

    fn close(&mut self, end: usize) {
        if let Some(channel) = self.channels[end].take() {
            self.post(self.delay, 1 - end, channel, Packet::Closed);
        }
    }

    fn tell(&mut self, end: usize, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(machine) = &mut self.ends[end] else { return };
            let mut out = Vec::new();
            machine.handle(self.now, input, &mut out);
            for output in out {
                match output {
                    Output::Connect => self.connect(end),
                    Output::Say(message) => {
                        let channel = self.channels[end].expect("who says something has a channel");
                        self.post(self.delay, 1 - end, channel, Packet::Heard(message));
                    }
                    Output::Close => self.close(end),
                    Output::Set(psk) => {
                        let done = self.now >= self.no_tool_until[end];
                        if done {
                            let id = u128::from_be_bytes(psk.0[..16].try_into().unwrap());
                            self.slots[end] = Slot::Key(id);
                            self.installed[end].push(id);
                            if end == 1 {
                                self.set_by_responder.insert(id);
                            }
                            let before = self.set_by_responder.contains(&id);
                            assert!(before, "the initiator set a key that the responder has not set");
                        }
                        inputs.push_back(Input::Set(done));
                    }
                    Output::Lock => {
                        let done = self.now >= self.no_tool_until[end];
                        if done {
                            self.randoms += 1;
                            self.slots[end] = Slot::Random(self.randoms);
                        }
                        inputs.push_back(Input::Locked(done));
                    }
                    Output::Event(Event::Locked(Cause::Age)) => {
                        assert!(matches!(self.slots[end], Slot::Random(_)))
                    }
                    Output::Event(Event::Apart) => self.told_apart += 1,
                    Output::Event(Event::Kept) => self.told_kept += 1,
                    Output::Event(_) => {}
                }
            }
        }
        self.compare();
    }

    fn connect(&mut self, end: usize) {
        assert_eq!(end, 0, "only the initiator opens channels");
        let channel = self.next_channel;
        self.next_channel += 1;
        self.dialling = Some(channel);
        if self.is_silent() || self.now < self.no_keys_until {
            return self.post(seconds(self.gives_up), 0, channel, Packet::Refused);
        }
        if self.ends[1].is_none() {
            return self.post(self.delay, 0, channel, Packet::Refused);
        }
        let id = self.agreed.len() as u128;
        self.agreed.push(self.now);
        self.post(self.delay, 1, channel, Packet::Open(id));
        self.post(self.delay, 0, channel, Packet::Open(id));
    }

    /// Lets happen what happens next, up to a time; whether anything did.
    fn step(&mut self, until: Time) -> bool {
        let arrives = self.wire.first_key_value().map(|((at, _), _)| *at);
        let deadline = |end: usize| self.ends[end].as_ref()?.deadline();
        let next = [arrives, deadline(0), deadline(1)].into_iter().flatten().min();
        let Some(next) = next.filter(|&next| next <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        if arrives == Some(next) {
            let (_, (to, channel, packet)) = self.wire.pop_first().expect("something arrives");
            self.arrive(to, channel, packet);
        } else {
            let end = usize::from(deadline(0) != Some(next));
            self.tell(end, Input::Timeout);
        }
        self.check();
        true
    }

    fn arrive(&mut self, to: usize, channel: u64, packet: Packet) {
        let current = self.channels[to] == Some(channel);
        let dialled = to == 0 && self.dialling == Some(channel);
        match packet {
            Packet::Revive => self.revive(to),
            _ if self.ends[to].is_none() => {}
            // The session gives up when the other end does not prove itself.
            Packet::Open(_) if to == 0 && self.is_silent() => {
                self.post(seconds(30), 0, channel, Packet::Refused)
            }
            // What goes between the ends is lost; that an own attempt has failed is not.
            Packet::Open(_) | Packet::Heard(_) if self.is_silent() => {}
            Packet::Open(id) if to == 1 || dialled => {
                self.replace(to, channel);
                if to == 0 {
                    self.dialling = None;
                }
                let mut bytes = Zeroizing::new([0; 32]);
                bytes[..16].copy_from_slice(&id.to_be_bytes());
                self.tell(to, Input::Open(KeyId(id), Psk(bytes)));
            }
            Packet::Heard(message) if current => self.tell(to, Input::Heard(Some(message))),
            Packet::Closed if current => {
                self.channels[to] = None;
                self.tell(to, Input::Closed);
            }
            Packet::Refused if dialled => {
                self.dialling = None;
                self.tell(to, Input::Refused);
            }
            _ => {}
        }
    }

    fn revive(&mut self, end: usize) {
        if self.ends[end].is_none() && self.now >= self.down_until[end] {
            let settings = Settings::new(INTERVAL, MAX_AGE).unwrap();
            self.ends[end] = Some(Rotation::new(ROLES[end], settings, self.now));
            self.tell(end, Input::Timeout);
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Cut => {
                for end in [0, 1] {
                    if let Some(channel) = self.channels[end] {
                        self.post(Duration::ZERO, end, channel, Packet::Closed);
                    }
                }
                if let Some(channel) = self.dialling {
                    self.post(Duration::ZERO, 0, channel, Packet::Refused);
                }
            }
            Fault::Silence(count) => self.silent_until = self.now.saturating_add(seconds(count)),
            Fault::NoKeys(count) => self.no_keys_until = self.now.saturating_add(seconds(count)),
            Fault::NoTool(end, count) => self.no_tool_until[end] = self.now.saturating_add(seconds(count)),
            Fault::Crash(end, count) => {
                self.close(end);
                // Whoever is dialled, or dials, is told by the other's system.
                let dialled = self.dialling.take_if(|_| end == 0).or(self.dialling);
                if let Some(channel) = dialled {
                    let gone = if end == 0 { Packet::Closed } else { Packet::Refused };
                    self.post(self.delay, 1 - end, channel, gone);
                }
                self.ends[end] = None;
                self.down_until[end] = self.down_until[end].max(self.now.saturating_add(seconds(count)));
                self.post(seconds(count), end, 0, Packet::Revive);
            }
        }
    }

    fn check(&self) {
        for end in [0, 1] {
            let Slot::Key(id) = self.slots[end] else { continue };
            // The instants at which both held it differ by as long as the channel takes to open.
            let old = self.agreed[id as usize].saturating_add(MAX_AGE).saturating_add(seconds(2));
            let able = self.no_tool_until[end].saturating_add(seconds(2));
            let excused = self.ends[end].is_none() || self.now <= able;
            assert!(self.now <= old || excused, "end {end} keeps a key that is too old");
        }
    }

    fn compare(&mut self) {
        match (self.slots[0] == self.slots[1], self.differ_since) {
            (true, Some(since)) => {
                self.differed = self.differed.max(self.now.since(since));
                self.differ_since = None;
            }
            (false, None) => self.differ_since = Some(self.now),
            _ => {}
        }
    }

    fn run(&mut self, for_: Duration) {
        let until = self.now.saturating_add(for_);
        let mut steps = 0;
        while self.step(until) {
            steps += 1;
            assert!(steps < 200_000, "the ends are never at rest");
        }
    }
}

#[test]
fn undisturbed_ends_differ_for_a_round_trip_at_each_change() {
    let delay = Duration::from_milliseconds(50);
    let mut world = World::new(delay);
    world.run(seconds(1));
    assert!(matches!(world.slots[0], Slot::Key(0)) && world.slots[0] == world.slots[1]);
    world.differed = Duration::ZERO;
    world.run(seconds(1200));
    assert_eq!(world.installed[0], world.installed[1]);
    assert_eq!(world.installed[0].len(), 11, "one at the start, and one each 120 s after it opened");
    assert_eq!(world.differed, delay, "the responder sets first, and the initiator when it hears of that");
}

#[test]
fn an_end_that_is_started_anew_has_the_same_key_as_the_other_within_seconds() {
    for end in [0, 1] {
        let mut world = World::new(Duration::from_milliseconds(50));
        world.run(seconds(100));
        world.fault(Fault::Crash(end, 1));
        world.differed = Duration::ZERO;
        world.run(seconds(6));
        assert_eq!(world.slots[0], world.slots[1], "end {end}");
        assert!(matches!(world.slots[0], Slot::Key(1..)), "what was set before the crash is set no more");
        world.run(seconds(10));
        // A session of WireGuard lasts for 180 s, and a handshake is tried again every 5 s.
        assert!(world.differed < seconds(60), "{}", world.differed);
    }
}

#[test]
fn without_fresh_keys_both_ends_are_locked_at_the_greatest_age() {
    let mut world = World::new(Duration::from_milliseconds(50));
    world.run(seconds(10));
    world.fault(Fault::NoKeys(1000));
    world.run(seconds(280));
    assert!(matches!(world.slots, [Slot::Key(_), Slot::Key(_)]), "{:?}", world.slots);
    world.run(seconds(15));
    assert!(matches!(world.slots, [Slot::Random(_), Slot::Random(_)]), "{:?}", world.slots);
    world.run(seconds(800));
    assert!(matches!(world.slots[0], Slot::Key(_)) && world.slots[0] == world.slots[1], "and open again");
}

#[test]
fn a_rotation_that_fails_leaves_the_channel_and_the_key_as_they_were() {
    // An attempt that lasts longer than an end puts up with silence, too.
    for gives_up in [1, 60] {
        let mut world = World::new(Duration::from_milliseconds(50));
        world.gives_up = gives_up;
        world.run(seconds(10));
        let (before, channels) = (world.slots, world.channels);
        world.fault(Fault::NoKeys(200));
        world.run(seconds(195));
        assert_eq!((world.slots, world.channels), (before, channels), "as long as there are no keys");
        assert!(world.told_kept >= 1 && world.told_apart == 0);
        world.run(seconds(gives_up + 40));
        assert!(matches!(world.slots[0], Slot::Key(1)) && world.slots[0] == world.slots[1], "then at once");
        assert_eq!(world.told_apart, 0);
        assert!(world.told_kept <= 12, "{}: pauses grow", world.told_kept);
    }
}

#[test]
fn an_end_that_stops_is_locked_and_a_handshake_confirms_a_key_once() {
    let settings = Settings::new(INTERVAL, MAX_AGE).unwrap();
    let at = |count| Time::ZERO.saturating_add(seconds(count));
    let mut end = Rotation::new(Role::Responder, settings, at(0));
    let mut tell = |now, input| {
        let mut out = Vec::new();
        end.handle(at(now), input, &mut out);
        format!("{out:?}")
    };
    assert_eq!(tell(0, Input::Timeout), "[Lock]");
    assert_eq!(tell(0, Input::Locked(false)), "[Event(Failed)]");
    assert_eq!(tell(1, Input::Timeout), "[Lock]", "tried again");
    assert_eq!(tell(1, Input::Locked(true)), "[Event(Locked(Start))]");
    tell(2, Input::Open(KeyId(7), Psk(Zeroizing::new([0; 32]))));
    assert_eq!(tell(2, Input::Heard(Some(Message::Commit))), "[Set(Psk)]");
    assert!(tell(2, Input::Set(true)).ends_with("Say(Committed)]"));
    assert_eq!(tell(9, Input::Handshake(at(1))), "[]", "it was made just before");
    assert!(tell(9, Input::Handshake(at(8))).starts_with("[Event(Confirmed("));
    assert_eq!(tell(9, Input::Handshake(at(9))), "[]");
    assert!(tell(10, Input::Heard(None)).starts_with("[Close"), "what no end says ends the channel");
    assert_eq!(tell(11, Input::Stop), "[Close, Lock]");
}

fn faults() -> impl Strategy<Value = Vec<(u64, Fault)>> {
    let fault = prop_oneof![
        Just(Fault::Cut),
        (1..200u64).prop_map(Fault::Silence),
        (1..600u64).prop_map(Fault::NoKeys),
        (0..2usize, 1..100u64).prop_map(|(end, count)| Fault::NoTool(end, count)),
        (0..2usize, 0..100u64).prop_map(|(end, count)| Fault::Crash(end, count)),
    ];
    // Half of the gaps are short, so that faults meet an exchange that is under way.
    let gap = prop_oneof![0..400_000u64, 0..400u64];
    proptest::collection::vec((gap, fault), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_wrong_no_old_key_stays_and_all_is_well_soon_after(
        delay in 1..1500u64,
        faults in faults(),
    ) {
        let mut world = World::new(Duration::from_milliseconds(delay));
        for (gap, fault) in faults {
            world.run(Duration::from_milliseconds(gap));
            world.fault(fault);
        }
        world.run(seconds(700));
        if world.slots[0] != world.slots[1] {
            // In the middle of a change.
            world.run(seconds(10));
        }
        // The longest silence, a pause and an attempt that was begun without keys are over long before.
        prop_assert!(matches!(world.slots[0], Slot::Key(_)), "{:?}", world.slots);
        prop_assert_eq!(world.slots[0], world.slots[1]);
        let Slot::Key(id) = world.slots[0] else { unreachable!() };
        let age = world.now.since(world.agreed[id as usize]);
        prop_assert!(age <= INTERVAL + seconds(10), "{}", age);
    }
}
